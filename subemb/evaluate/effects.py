"""What an attribution says: effects of tokens and of blocks on the cosine of two sentences, as plain numbers.

Computed by :mod:`subemb.evaluate.similarity.attribution`; kept apart from it so that a page can read results without importing torch.
"""

from dataclasses import dataclass

import numpy as np

from ..base.errors import InputError


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosines of (..., width) with (..., width) vectors, in float64; 0 where one of them is zero.

    >>> cosines(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [1.0, 0.0]])).tolist()
    [0.96, 0.0]
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return (first * second).sum(-1) / np.where(lengths > 0, lengths, 1.0)


@dataclass(frozen=True)
class AttributionSettings:
    """exact_tokens: sentences up to this many tokens are done exactly, longer ones by integrated gradients.
    exact_swaps: so many encodings at most for blocks; beyond, blocks are told by integrated gradients.
    """

    exact_tokens: int = 64
    exact_swaps: int = 256

    def __post_init__(self):
        for name in ("exact_tokens", "exact_swaps"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 (never exact) or more")


@dataclass(frozen=True)
class SentenceEffects:
    """One of the two sentences, n positions and b blocks. All effects are differences of cosines.

    ids: (n,) token ids. whole: of all its tokens together. tokens: (n,) of each position alone. blocks: (n, b) of each block of
    each position. per_block: (b,) of a block of all its positions together. moved: (n,) length of the displacement over the
    length of the original embedding.
    """

    ids: np.ndarray
    whole: float
    tokens: np.ndarray
    blocks: np.ndarray
    per_block: np.ndarray
    moved: np.ndarray


@dataclass(frozen=True)
class Integral:
    """What integrated gradients add up to (``total``), the true change, and the number of points on the line."""

    total: float
    change: float
    steps: int

    @property
    def gap(self) -> float:
        """Error of the numerical integral: total - change."""
        return self.total - self.change


@dataclass(frozen=True)
class Attribution:
    """What moved the cosine of a pair of sentences. before: the original cosine; after: with all tokens of both replaced.

    per_block: (b,) effect of a block of all positions of both sentences together. widths, kind, rotated: what the blocks are.
    tokens_exact, blocks_exact, together_exact: whether ``tokens``, ``blocks`` and ``per_block`` are exact; if not, they are parts
    of ``integral``, which is None when everything is exact.
    """

    before: float
    after: float
    first: SentenceEffects
    second: SentenceEffects
    per_block: np.ndarray
    widths: tuple[int, ...]
    kind: str
    rotated: bool
    tokens_exact: bool
    blocks_exact: bool
    together_exact: bool
    integral: Integral | None = None

    @property
    def change(self) -> float:
        """Of the cosine: after - before."""
        return self.after - self.before

    @property
    def sentences(self) -> tuple[SentenceEffects, SentenceEffects]:
        """Both."""
        return self.first, self.second
