"""What an attribution says: effects of tokens and of blocks on the cosine of two sentences, as plain numbers.

Computed by :mod:`subemb.evaluate.similarity.attribution`; kept apart from it so that a page can read results without importing torch.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch

from ...base.plain import Settings, setting
from ...codec.compressed import Compressed, SubspaceCompressed
from ...codec.subspaces import subspace_widths


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosines of (..., width) with (..., width) vectors, in float64; 0 where one of them is zero.

    >>> cosines(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [1.0, 0.0]])).tolist()
    [0.96, 0.0]
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return (first * second).sum(-1) / np.where(lengths > 0, lengths, 1.0)


@dataclass(frozen=True)
class AttributionSettings(Settings):
    """What is done exactly, and what by integrated gradients. Raises InputError below 0."""

    OUTSIDE = "{name} is {value}; it must be 0 (never exact) or more"

    exact_tokens: int = setting(64, least=0)  # sentences up to this many tokens are done exactly
    exact_swaps: int = setting(256, least=0)  # so many encodings at most for blocks done exactly


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


RUNS_OF_AXES = 8  # in which a method without subspaces is shown, here and on the page Reconstruction error


@dataclass(frozen=True, eq=False)
class Blocks:
    """How D axes fall into b blocks.

    widths: b numbers of axes, in order. kind: what one is called: ``subspace`` or ``run of axes``. rotation: (D, D) orthogonal
    matrix R or None; blocks then are runs of the axes of ``vector @ R``, as optimized product quantization has them.
    """

    widths: tuple[int, ...]
    kind: str = "subspace"
    rotation: torch.Tensor | None = None

    @classmethod
    def of(cls, compressed: Compressed | None, dim: int) -> "Blocks":
        """Those of a compressed table: its subspaces; runs of axes for residual, the baselines, or None."""
        if isinstance(compressed, SubspaceCompressed) and not compressed.is_additive:
            return cls(tuple(compressed.widths), "subspace", compressed.rotation)
        return cls(tuple(subspace_widths(dim, min(RUNS_OF_AXES, dim))), "run of axes")

    def __len__(self) -> int:
        return len(self.widths)

    @property
    def axes(self) -> list[tuple[int, int]]:
        """First and last axis of every block."""
        ends = list(accumulate(self.widths))
        return [(end - width, end - 1) for end, width in zip(ends, self.widths, strict=True)]

    def turned(self, vectors: torch.Tensor) -> torch.Tensor:
        """(..., D) vectors in the axes that the blocks are runs of."""
        return vectors if self.rotation is None else vectors @ self.rotation.to(vectors)

    def keep(self, turned: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Of :meth:`turned` displacements (..., D) only the chosen blocks (..., b) bool, in the model's own axes: (..., D)."""
        axes = chosen.repeat_interleave(torch.tensor(self.widths), dim=-1)
        kept = turned * axes
        return kept if self.rotation is None else kept @ self.rotation.to(kept).T

    def sums(self, products: torch.Tensor) -> torch.Tensor:
        """(..., D) numbers per axis added up by block: (..., b)."""
        # naive: for i, (first, last) in enumerate(axes): out[..., i] = products[..., first : last + 1].sum(-1)
        return torch.stack([part.sum(-1) for part in products.split(list(self.widths), dim=-1)], dim=-1)
