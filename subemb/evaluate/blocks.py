"""Blocks of a token's embedding: the subspaces in which it was compressed, or equal runs of axes where there are none."""

from dataclasses import dataclass
from itertools import accumulate

import torch

from ..codec.compressed import Compressed, SubspaceCompressed
from ..codec.subspaces import subspace_widths

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
