"""What every method gives back: one interface, so that pages, metrics and files treat all methods alike."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .settings import CompressionSettings
from .sizes import Size, code_bits_each


@dataclass
class Compressed(ABC):
    """A compressed (V, D) table.

    settings: resolved settings (every automatic value filled in).
    num_embeddings, embedding_dim: V and D.
    history: one dict per iteration, as sent through the progress callback: ``iteration``, ``error``, ``per_subspace``.
    info: measured facts: ``seconds``; for weighted runs ``weighted_error``; methods may add their own. Plain types.
    """

    settings: CompressionSettings
    num_embeddings: int
    embedding_dim: int
    history: list[dict[str, Any]] = field(default_factory=list, kw_only=True)
    info: dict[str, Any] = field(default_factory=dict, kw_only=True)

    @abstractmethod
    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        """Reconstructed rows of token ids of any shape: (...) ints -> (..., D) float32."""

    @abstractmethod
    def size(self, model_parameters: int | None = None) -> Size:
        """Everything stored; ``model_parameters`` (floats of the whole model) adds the share of the model."""

    def reconstruct(self) -> torch.Tensor:
        """The whole reconstruction, (V, D) float32."""
        return self.lookup(torch.arange(self.num_embeddings))

    def save_pretrained(self, folder, **facts: Any) -> None:
        """Write ``subspace_embedding.safetensors`` and ``config.json`` into ``folder``; see subemb.codec.storage."""
        from .storage import save

        save(self, folder, **facts)


@dataclass
class SubspaceCompressed(Compressed):
    """Codes and codebooks: arbitrary, random, cluster, product, optimized_product, residual.

    codes: (V, f) ints in the smallest unsigned type that torch indexes after widening (uint8 for Q <= 256, else int32).
    codebooks: f tensors (Q, d_i) float32; for residual f tensors (Q, D).
    rotation: (D, D) orthogonal matrix R or None; the reconstruction is ``concat(...) @ R.T`` (codes live in ``table @ R``).
    """

    codes: torch.Tensor
    codebooks: Sequence[torch.Tensor]
    rotation: torch.Tensor | None = None

    @property
    def is_additive(self) -> bool:
        """True for residual: codewords have all D axes and are added up instead of joined."""
        return self.settings.method == "residual"

    @property
    def widths(self) -> list[int]:
        """Width d_i of every subspace."""
        return [book.shape[1] for book in self.codebooks]

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        rows = self.codes[ids.long()].long()  # torch takes uint8 ids for a mask
        # naive: for i in range(f): out[..., start_i:end_i] = codebooks[i][codes[ids, i]]
        parts = [book[rows[..., i]] for i, book in enumerate(self.codebooks)]
        vectors = torch.stack(parts).sum(0) if self.is_additive else torch.cat(parts, dim=-1)
        return vectors if self.rotation is None else vectors @ self.rotation.T

    def size(self, model_parameters: int | None = None) -> Size:
        bits = 0 if self.settings.method == "arbitrary" else sum(code_bits_each(len(book)) for book in self.codebooks)
        return Size(
            vocabulary=self.num_embeddings,
            dim=self.embedding_dim,
            codebook_parameters=sum(book.numel() for book in self.codebooks),
            other_parameters=0 if self.rotation is None else self.rotation.numel(),
            code_bits=self.num_embeddings * bits,
            model_parameters=model_parameters,
        )

    def tuple_groups(self) -> torch.Tensor:
        """(V,) ints: tokens with the same tuple get the same number, 0 .. number of distinct tuples - 1."""
        return torch.unique(self.codes, dim=0, return_inverse=True)[1]

    @property
    def distinct_tuples(self) -> int:
        """How many different tuples there are; V when all are unique."""
        return int(self.tuple_groups().max()) + 1

    @property
    def colliding_tokens(self) -> int:
        """Tokens that share their tuple with at least one other token."""
        groups = self.tuple_groups()
        return int((torch.bincount(groups)[groups] > 1).sum())
