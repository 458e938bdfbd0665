"""The lesson's own table, small enough to check by hand, and what the plain loops of :mod:`subemb.codec.readable` make of it."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from ....codec import readable

#: Twelve words. The first two numbers say what a thing is, the next two how large it is, the last two where one meets it; no real
#: model is so tidy.
TABLE = {
    "cat": (4, 3, -3, -1, 3, 3),
    "dog": (3, 4, -1, -1, 1, 3),
    "cow": (2, 2, 2, 4, -4, 1),
    "bee": (4, 2, -3, -2, -2, 2),
    "rat": (2, 4, -3, 0, 0, -3),
    "apple": (-2, 2, -1, -2, -3, 0),
    "bread": (-4, 2, -1, 0, 2, 4),
    "soup": (-3, 3, 1, 0, 2, 2),
    "pizza": (-3, 1, 0, -2, 1, -2),
    "bike": (-1, -3, 2, -1, 2, -3),
    "bus": (1, -4, 4, 5, 1, -4),
    "tractor": (0, -5, 3, 3, -3, 1),
}
SUBSPACES, CODEBOOK_SIZE = 3, 3
FOLLOWED = "dog"  # marked in every picture
START = ("bee", "rat", "cow")  # the first codewords are the pieces of these
DRAWN = 0  # the subspace whose k-means is drawn
SENTENCES = (("cat", "dog", "bread"), ("bee", "dog", "rat"), ("cow", "bus", "tractor"), ("dog", "pizza"))  # to adapt to
DRAWN_ADAPTATION = 2  # the subspace in which adapting is drawn
ROUNDS = (0, 1, 2, 4, 8, 16)  # of adapting that are drawn


@dataclass(frozen=True)
class Moment:
    """One moment of k-means in one subspace, or of adapting."""

    codes: np.ndarray  # (V,) ints; -1 where a word has no codeword yet
    codebook: np.ndarray  # (Q, d_i)
    said: str  # what has just happened


class Toy:
    """Everything that the pictures show of the lesson's table. Arrays are shared: not to be changed."""

    words = tuple(TABLE)

    @cached_property
    def table(self) -> np.ndarray:
        """(V, D) floats."""
        return np.array(list(TABLE.values()), float)

    @cached_property
    def axes(self) -> list[slice]:
        """The axes of every subspace."""
        return readable.cut(self.table.shape[1], SUBSPACES)

    @cached_property
    def start(self) -> np.ndarray:
        """(Q, D): the rows that the codebooks begin with."""
        return self.table[[self.words.index(word) for word in START]]

    @property
    def followed(self) -> int:
        """The row of the word that is marked."""
        return self.words.index(FOLLOWED)

    @cached_property
    def grouped(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Codes (V, f) and codebooks of k-means alone, before tuples are made unique."""
        return readable.product(self.table, SUBSPACES, self.start)

    @cached_property
    def unique(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Codes (V, f) and codebooks once no two words have the same tuple."""
        return readable.cluster(self.table, SUBSPACES, self.start)

    def rebuilt(self, found: tuple[np.ndarray, list[np.ndarray]]) -> np.ndarray:
        """(V, D): the table that codes and codebooks give back."""
        return readable.rebuild(*found)

    def error(self, found: tuple[np.ndarray, list[np.ndarray]]) -> float:
        """Sum of squared differences to the table."""
        return readable.squared_error(self.table, self.rebuilt(found))

    @cached_property
    def collision(self) -> tuple[str, ...]:
        """The words that have the same tuple before it is repaired."""
        codes = self.grouped[0].tolist()
        return tuple(word for word, row in zip(self.words, codes, strict=True) if codes.count(row) > 1)

    @cached_property
    def moved(self) -> tuple[str, ...]:
        """The words that have another tuple after the repair."""
        changed = (self.grouped[0] != self.unique[0]).any(axis=1)
        return tuple(word for word, is_moved in zip(self.words, changed, strict=True) if is_moved)

    @cached_property
    def counted(self) -> tuple[float, float, float]:
        """Bytes of the table, of the codebooks, of the codes."""
        return readable.count_bytes(*self.table.shape, SUBSPACES, CODEBOOK_SIZE)

    @cached_property
    def moments(self) -> list[Moment]:
        """k-means in the subspace DRAWN, one moment for each half of an iteration: words join, codewords move.

        The loops are run again and again, each time by one iteration longer.
        """
        nobody = np.full(len(self.words), -1)
        found = [Moment(nobody, self.start[:, self.axes[DRAWN]], f"Codewords begin on {', '.join(START)}.")]
        for iterations in range(1, 100):
            codes, codebooks = readable.product(self.table, SUBSPACES, self.start, iterations)
            codes, codebook, before = codes[:, DRAWN], codebooks[DRAWN], found[-1]
            changed = int((codes != before.codes).sum())
            if not changed:
                found.append(Moment(codes, codebook, "Nothing moves any more: done."))
                break
            joined = f"{changed} word{'s' * (changed > 1)} {'join' if changed > 1 else 'joins'} the nearest codeword."
            found.append(Moment(codes, before.codebook, joined))
            found.append(Moment(codes, codebook, "Codewords move to the middle of their words."))
        return found

    @cached_property
    def sentences(self) -> list[list[int]]:
        """Rows of the words of each sentence."""
        return [[self.words.index(word) for word in sentence] for sentence in SENTENCES]

    def adapted(self, rounds: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """The unique codes, and their codebooks after so many rounds of adapting."""
        codes, codebooks = self.unique
        return codes, readable.adapt(self.table, codes, codebooks, self.sentences, rounds)

    def sentence_vectors(self, table: np.ndarray) -> np.ndarray:
        """(sentences, D): the mean of each sentence's words in a table (V, D)."""
        return np.array([table[tokens].mean(axis=0) for tokens in self.sentences])

    def sentence_error(self, found: tuple[np.ndarray, list[np.ndarray]]) -> float:
        """Sum of squared differences of all sentence vectors to those of the table."""
        return readable.squared_error(self.sentence_vectors(self.table), self.sentence_vectors(self.rebuilt(found)))


@cache
def toy() -> Toy:
    """The one toy of the process."""
    return Toy()
