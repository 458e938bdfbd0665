"""Low rank: the truncated singular value decomposition of the table about its mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ...base.progress import ProgressCallback, report
from ..compressed import BaselineCompressed
from ..sizes import FLOAT_BYTES, Size
from .base import Method, MethodSettings, TensorForm

torch = lazy_module("torch")


@dataclass(repr=False)
class LowRankCompressed(BaselineCompressed):
    """Row t is ``coefficients[t] @ components + mean``."""

    stored = ("coefficients", "components", "mean")
    coefficients: torch.Tensor  # (V, r) float32
    components: torch.Tensor  # (r, D) float32, orthonormal rows, strongest first
    mean: torch.Tensor  # (D,) float32

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.embedding(ids.long(), self.coefficients) @ self.components + self.mean

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ self.components.T @ self.coefficients.T + (hidden @ self.mean).unsqueeze(1)

    def size(self, model_parameters: int | None = None) -> Size:
        floats = sum(tensor.numel() for tensor in self.tensors().values())
        return Size(self.num_embeddings, self.embedding_dim, 0, floats, 0, model_parameters)


class LowRank(Method):
    """Best rank-r approximation of ``table - mean`` in squared error (Eckart and Young, 1936).

    The directions are the eigenvectors of the (D, D) Gram matrix, summed in float64 over chunks of rows: for V much larger
    than D that costs a fraction of an SVD of the table and holds nothing of size V besides the result.
    """

    key = "low_rank"
    title = "Low rank (SVD)"
    summary = "The table as a product of two thin matrices about its mean."
    reads = ("rank",)

    def resolve(self, settings: MethodSettings, vocabulary: int, dim: int) -> MethodSettings:
        limit = min(vocabulary, dim)
        rank = settings.rank if settings.rank is not None else max(1, dim // 8)
        if rank > limit:
            raise InputError(f"rank {rank} is more than this table of {vocabulary} x {dim} allows; choose 1 to {limit}")
        return replace(super().resolve(settings, vocabulary, dim), rank=rank)

    def fit(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None = None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ) -> LowRankCompressed:
        from ..chunks import row_slices

        vocabulary, dim = table.shape
        settings = self.resolve(settings, vocabulary, dim)
        mean = table.mean(0, dtype=torch.float64)
        gram = torch.zeros(dim, dim, dtype=torch.float64, device=table.device)
        for part, done in row_slices(vocabulary):
            rows = table[part].double() - mean
            gram.addmm_(rows.T, rows)
            report(progress, "measuring directions", 0.6 * done)
        vectors = torch.linalg.eigh(gram)[1].flip(1)[:, : settings.rank].T  # eigh sorts upwards
        components = (vectors * _signs(vectors)).contiguous()
        coefficients = torch.empty(vocabulary, settings.rank, dtype=torch.float32)
        for part, done in row_slices(vocabulary):
            coefficients[part] = (table[part].double() - mean) @ components.T
            report(progress, "projecting rows", 0.7 + 0.3 * done)
        return LowRankCompressed(settings, vocabulary, dim, coefficients, components.float().cpu(), mean.float().cpu())

    def size(self, settings: MethodSettings, vocabulary: int, dim: int) -> Size:
        return Size(vocabulary, dim, 0, other_parameters=settings.rank * (vocabulary + dim) + dim)  # two factors and the mean

    def expected(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        return {
            "coefficients": TensorForm((vocabulary, settings.rank), torch.float32),
            "components": TensorForm((settings.rank, dim), torch.float32),
            "mean": TensorForm((dim,), torch.float32),
        }

    def built(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor], **notes: Any
    ) -> LowRankCompressed:
        return LowRankCompressed(settings, vocabulary, dim, **tensors, **notes)

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int) -> float:
        return 0.08 * vocabulary * dim * dim  # the Gram matrix

    def at_bytes(self, settings: MethodSettings, target: int, vocabulary: int, dim: int) -> MethodSettings:
        one = self.size(replace(settings, rank=1), vocabulary, dim).total_bytes
        rank = 1 + round((target - one) / (FLOAT_BYTES * (vocabulary + dim)))  # every rank adds V + D floats
        return self.resolve(replace(settings, rank=max(1, min(rank, vocabulary, dim))), vocabulary, dim)


def _signs(vectors: torch.Tensor) -> torch.Tensor:
    """(r, 1) signs that make the largest entry of every row positive: an eigenvector's own sign is left to chance."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return torch.where(largest < 0, -1.0, 1.0).to(vectors.dtype)
