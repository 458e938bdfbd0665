"""Work that has to be over in time, on a computer whose speed is not known beforehand and changes on the way."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Clock = Callable[[], float]  # seconds, of which only differences count


class Deadline:
    """So many seconds from now, and how long pieces of the work have taken lately.

    A piece is begun only if one like the last of its kind would still end in time, so that work ends at its deadline rather than one
    piece later, and as early as a busy computer makes necessary.

    seconds: None for no deadline. clock: of tests, in place of the computer's.

    >>> now = [0.0]
    >>> deadline = Deadline(10, clock=lambda: now[0])
    >>> with deadline.piece("sweep"):
    ...     now[0] += 6
    >>> deadline.left, deadline.has_room("sweep"), deadline.has_room("another kind")
    (4.0, False, True)
    """

    def __init__(self, seconds: float | None, clock: Clock = time.perf_counter):
        self.seconds, self.clock = math.inf if seconds is None else seconds, clock
        self.started = clock()
        self._took: dict[str, float] = {}

    @property
    def exists(self) -> bool:
        """Whether there is a deadline at all."""
        return self.seconds < math.inf

    @property
    def left(self) -> float:
        """Seconds until then; below 0 when it is past, infinite without a deadline."""
        return self.started + self.seconds - self.clock()

    @property
    def is_over(self) -> bool:
        """Whether it is past."""
        return self.left <= 0

    def has_room(self, *kinds: str) -> bool:
        """Whether another piece of each of these kinds would end in time. One of a kind that was never done counts as short."""
        return self.left > 0 and self.left >= sum(self._took.get(kind, 0.0) for kind in kinds)

    @contextmanager
    def piece(self, kind: str) -> Iterator[None]:
        """Measure how long a piece of this kind takes."""
        begun = self.clock()
        yield
        self._took[kind] = self.clock() - begun

    def of_what_is_left(self, share: float) -> "Deadline":
        """A deadline of its own, from now on: this share of the time that is left. It knows how long pieces took, and adds to that."""
        found = Deadline(share * max(0.0, self.left) if self.exists else None, self.clock)
        found._took = self._took
        return found

    def part(self, share: float) -> "Deadline":
        """A deadline of its own, from now on: this share of the whole time, and no longer than this one."""
        return Deadline(max(0.0, min(share * self.seconds, self.left)) if self.exists else None, self.clock)
