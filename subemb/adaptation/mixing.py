"""Several sources of sentences, read evenly: a long one does not drown a short one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 2000  # rows of each source in a pass, where any source has as many: short ones are read again meanwhile


@dataclass(frozen=True)
class Mixture:
    """Rows that lie source by source, and the order in which they are read.

    A pass reads equally many rows of every source: as many as the shortest has, but at least LEAST. A longer source is gone through over
    several passes, a shorter one is gone through again.

    >>> Mixture((3, 8)).each, Mixture((3000, 100_000)).each, Mixture((500,)).each
    (8, 3000, 500)
    """

    sizes: tuple[int, ...]  # rows of each source

    @property
    def each(self) -> int:
        """Rows of each source in a pass."""
        return max(min(self.sizes), min(LEAST, max(self.sizes)))

    @property
    def rows(self) -> int:
        """Rows of a pass."""
        return self.each * len(self.sizes)

    def order(self, number: int, seed: Sequence[int]) -> np.ndarray:
        """(rows,) places of the rows of pass ``number``, in a random order. seed: integers; equal ones give equal orders."""
        if len(self.sizes) == 1:
            return np.random.default_rng(list(seed)).permutation(self.sizes[0])
        starts = np.cumsum([0, *self.sizes])
        parts = [starts[source] + self._part(source, number, seed) for source in range(len(self.sizes))]
        return np.random.default_rng([*seed, 1]).permutation(np.concatenate(parts))

    def _part(self, source: int, number: int, seed: Sequence[int]) -> np.ndarray:
        """Of an endless sequence of random orders of a source, the rows of this pass."""
        size, first = self.sizes[source], number * self.each
        turns = range(first // size, (first + self.each - 1) // size + 1)
        orders = [np.random.default_rng([seed[0], 2, source, turn]).permutation(size) for turn in turns]
        return np.concatenate(orders)[first % size :][: self.each]

    def sample(self, most: int, seed: int) -> np.ndarray:
        """At most ``most`` places and all of a source where that is fewer; of a mixture evenly, short sources more than once."""
        if len(self.sizes) == 1:
            return np.arange(self.sizes[0])
        each = min(max(self.sizes), max(1, most // len(self.sizes)))
        starts = np.cumsum([0, *self.sizes])
        found = []
        for source, size in enumerate(self.sizes):
            orders = [np.random.default_rng([seed, 3, source, turn]).permutation(size) for turn in range(-(-each // size))]
            found.append(starts[source] + np.concatenate(orders)[:each])
        return np.concatenate(found)
