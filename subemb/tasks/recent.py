"""What a worker process keeps in memory for its next job."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Recent(OrderedDict):
    """Things by key, the least recently used first. most: how many are kept."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def take(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The thing of this key, made if need be, and now the most recently used one.

        >>> kept = Recent(2)
        >>> [kept.take(key, key.upper) for key in ("a", "b", "a", "c")], list(kept)
        (['A', 'B', 'A', 'C'], ['a', 'c'])
        """
        if key not in self:
            self[key] = make()
        self.move_to_end(key)
        while len(self) > self.most:
            self.popitem(last=False)
        return self[key]
