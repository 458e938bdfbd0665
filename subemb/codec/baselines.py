"""The yardsticks: low rank, int8 and int4, behind the same interface as the codebook methods.

They answer "compared with what?". Each keeps a few tensors, named in its class attribute ``stored``, looks rows up without
rebuilding the whole table, and counts everything it keeps. All work goes in chunks of rows, so that memory stays bounded.
"""

import time
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F

from ..base.progress import ProgressCallback, report
from .compressed import Compressed
from .settings import CompressionSettings
from .sizes import INT4_GROUP, Size

CHUNK_ROWS = 8192
INT8_LIMIT = 127
INT4_STEPS = 15


@dataclass
class BaselineCompressed(Compressed):
    """What the three baselines share: a fixed list of stored tensors.

    stored: names of the tensor fields, in the order in which they are written to a file.
    """

    stored: ClassVar[tuple[str, ...]] = ()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything stored, by name."""
        return {name: getattr(self, name) for name in self.stored}

    def with_tensors(self, tensors: dict[str, torch.Tensor | None]) -> "BaselineCompressed":
        """The same result with other tensors (same names)."""
        return replace(self, **tensors)

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        """``hidden @ reconstruction.T`` in bounded memory, differentiable in hidden: (n, D) -> (n, V)."""
        return _ChunkedProduct.apply(hidden, self)


@dataclass
class LowRankCompressed(BaselineCompressed):
    """Truncated SVD about the mean: row t is ``coefficients[t] @ components + mean``.

    coefficients: (V, r) float32. components: (r, D) float32, orthonormal rows, strongest first. mean: (D,) float32.
    """

    stored: ClassVar[tuple[str, ...]] = ("coefficients", "components", "mean")
    coefficients: torch.Tensor
    components: torch.Tensor
    mean: torch.Tensor

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        return F.embedding(ids.long(), self.coefficients) @ self.components + self.mean

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ self.components.T @ self.coefficients.T + (hidden @ self.mean).unsqueeze(1)

    def size(self, model_parameters: int | None = None) -> Size:
        floats = sum(tensor.numel() for tensor in self.tensors().values())
        return Size(self.num_embeddings, self.embedding_dim, 0, floats, 0, model_parameters)


@dataclass
class Int8Compressed(BaselineCompressed):
    """Row t is ``row_scale[t] * values[t]``, values from -127 to 127 (symmetric rounding, one scale a row).

    values: (V, D) int8. row_scale: (V,) float32, the row's largest magnitude over 127.
    """

    stored: ClassVar[tuple[str, ...]] = ("values", "row_scale")
    values: torch.Tensor
    row_scale: torch.Tensor

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        ids = ids.long()
        return F.embedding(ids, self.values).to(self.row_scale.dtype) * self.row_scale[ids].unsqueeze(-1)

    def size(self, model_parameters: int | None = None) -> Size:
        bits = 8 * self.values.numel()
        return Size(self.num_embeddings, self.embedding_dim, 0, self.row_scale.numel(), bits, model_parameters)


@dataclass
class Int4Compressed(BaselineCompressed):
    """Groups of 32 axes (the last may be shorter): ``minimum[t, g] + step[t, g] * value``, values from 0 to 15.

    values: (V, ceil(D / 2)) uint8, two values a byte, the even axis in the low half.
    minimum, step: (V, G) bfloat16, G = ceil(D / 32). Minimum and step in 16 bits each take the bytes of one float32 scale,
    and leave a third less error than that symmetric scheme does (measured on all-MiniLM-L6-v2: .0062 against .0095).
    """

    stored: ClassVar[tuple[str, ...]] = ("values", "minimum", "step")
    values: torch.Tensor
    minimum: torch.Tensor
    step: torch.Tensor

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        ids = ids.long()
        packed = F.embedding(ids, self.values)
        values = torch.stack([packed & 15, packed >> 4], dim=-1).flatten(-2)[..., : self.embedding_dim]
        minimum, step = (_spread(part[ids].float(), self.embedding_dim) for part in (self.minimum, self.step))
        return torch.addcmul(minimum, step, values.float())

    def size(self, model_parameters: int | None = None) -> Size:
        # A group's minimum and step are 16 bits each: together one 32-bit float.
        return Size(self.num_embeddings, self.embedding_dim, 0, self.step.numel(), 8 * self.values.numel(), model_parameters)


#: The result class of every baseline, by method.
BASELINES: dict[str, type[BaselineCompressed]] = {
    "low_rank": LowRankCompressed,
    "int8": Int8Compressed,
    "int4": Int4Compressed,
}


class _ChunkedProduct(torch.autograd.Function):
    """hidden @ reconstruction.T, a chunk of rows at a time; autograd by itself would keep every chunk for the way back."""

    @staticmethod
    def forward(ctx, hidden: torch.Tensor, result: BaselineCompressed) -> torch.Tensor:
        ctx.result = result
        return torch.cat([hidden @ rows.to(hidden).T for _, rows in _row_chunks(result, hidden.device)], dim=1)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        pieces = (gradient[:, part] @ rows.to(gradient) for part, rows in _row_chunks(ctx.result, gradient.device))
        return sum(pieces), None


def _row_chunks(result: BaselineCompressed, device: torch.device):
    """Every reconstructed row, in order: pairs of a slice of ids and the (n, D) rows there."""
    for start in range(0, result.num_embeddings, CHUNK_ROWS):
        ids = torch.arange(start, min(start + CHUNK_ROWS, result.num_embeddings), device=device)
        yield slice(start, start + len(ids)), result.lookup(ids)


def compress_low_rank(
    table: torch.Tensor, settings: CompressionSettings, progress: ProgressCallback | None = None
) -> LowRankCompressed:
    """Best rank-r approximation of ``table - mean`` in squared error (Eckart and Young, 1936).

    The directions are the eigenvectors of the (D, D) Gram matrix, summed in float64 over chunks of rows: for V much larger
    than D that costs a fraction of an SVD of the table and holds nothing of size V besides the result.

    table: (V, D) float. Raises InputError if the rank is more than min(V, D); Cancelled if the callback says so.
    """
    started = time.perf_counter()
    settings = settings.resolve(*table.shape)
    vocabulary, dim = table.shape
    mean = table.mean(0, dtype=torch.float64)
    gram = torch.zeros(dim, dim, dtype=torch.float64, device=table.device)
    for start in range(0, vocabulary, CHUNK_ROWS):
        rows = table[start : start + CHUNK_ROWS].double() - mean
        gram.addmm_(rows.T, rows)
        report(progress, "measuring directions", 0.6 * min(1.0, (start + CHUNK_ROWS) / vocabulary))
    vectors = torch.linalg.eigh(gram)[1].flip(1)[:, : settings.rank].T  # eigh sorts upwards
    components = (vectors * _signs(vectors)).contiguous()
    coefficients = torch.empty(vocabulary, settings.rank, dtype=torch.float32)
    for start in range(0, vocabulary, CHUNK_ROWS):
        rows = table[start : start + CHUNK_ROWS].double() - mean
        coefficients[start : start + CHUNK_ROWS] = rows @ components.T
        report(progress, "projecting rows", 0.7 + 0.3 * min(1.0, (start + CHUNK_ROWS) / vocabulary))
    info = {"seconds": time.perf_counter() - started}
    return LowRankCompressed(settings, vocabulary, dim, coefficients, components.float().cpu(), mean.float().cpu(), info=info)


def compress_int8(
    table: torch.Tensor, settings: CompressionSettings, progress: ProgressCallback | None = None
) -> Int8Compressed:
    """Every number to the nearest of 255 steps of its row; no number moves by more than half a step.

    table: (V, D) float. Raises Cancelled if the callback says so.
    """
    started = time.perf_counter()
    vocabulary, dim = table.shape
    values = torch.empty(vocabulary, dim, dtype=torch.int8)
    scale = torch.empty(vocabulary, dtype=torch.float32)
    for start in range(0, vocabulary, CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        rows = table[part].float()
        step = rows.abs().amax(1) / INT8_LIMIT
        scale[part] = step
        values[part] = _rounded(rows, step.unsqueeze(1)).clamp_(-INT8_LIMIT, INT8_LIMIT).to(torch.int8)
        report(progress, "rounding", min(1.0, (start + CHUNK_ROWS) / vocabulary))
    info = {"seconds": time.perf_counter() - started}
    return Int8Compressed(settings.resolve(vocabulary, dim), vocabulary, dim, values, scale, info=info)


def compress_int4(
    table: torch.Tensor, settings: CompressionSettings, progress: ProgressCallback | None = None
) -> Int4Compressed:
    """Every number to the nearest of 16 steps between its group's minimum and maximum; at most half a step off.

    table: (V, D) float. Raises Cancelled if the callback says so.
    """
    started = time.perf_counter()
    vocabulary, dim = table.shape
    groups = -(-dim // INT4_GROUP)
    values = torch.empty(vocabulary, -(-dim // 2), dtype=torch.uint8)
    minimum = torch.empty(vocabulary, groups, dtype=torch.bfloat16)
    step = torch.empty_like(minimum)
    for start in range(0, vocabulary, CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        values[part], minimum[part], step[part] = _int4_rows(table[part].float())
        report(progress, "rounding", min(1.0, (start + CHUNK_ROWS) / vocabulary))
    info = {"seconds": time.perf_counter() - started}
    return Int4Compressed(settings.resolve(vocabulary, dim), vocabulary, dim, values, minimum, step, info=info)


def _int4_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(n, D) float32 -> packed values (n, ceil(D / 2)), minimum and step (n, G) bfloat16."""
    dim = rows.shape[1]
    # The last number is repeated to fill the last group: that changes neither its minimum nor its maximum.
    filled = F.pad(rows.unsqueeze(1), (0, -dim % INT4_GROUP), mode="replicate").squeeze(1)
    grouped = filled.view(len(rows), -1, INT4_GROUP)
    # Rounded outwards, so that the 16 steps still cover the whole group and half a step bounds the error.
    minimum = _bfloat16_bound(grouped.amin(2), upper=False)
    step = _bfloat16_bound((grouped.amax(2) - minimum) / INT4_STEPS, upper=True)
    values = _rounded(grouped - minimum.unsqueeze(2), step.unsqueeze(2)).clamp_(0, INT4_STEPS).to(torch.uint8)
    even = F.pad(values.flatten(1)[:, :dim], (0, dim % 2))
    return even[:, 0::2] | (even[:, 1::2] << 4), minimum.bfloat16(), step.bfloat16()


def _bfloat16_bound(values: torch.Tensor, upper: bool) -> torch.Tensor:
    """The nearest bfloat16 number that is at least (``upper``) or at most the value; float32 in and out.

    bfloat16 is the upper half of a float32, so cutting the lower half off rounds towards zero, and adding one to what is
    left goes one number further from zero.
    """
    bits = values.contiguous().view(torch.int32)
    cut = bits & -0x10000
    away = ((bits != cut) & ((bits >= 0) == upper)).int()
    return (cut + 0x10000 * away).view(torch.float32)


def _rounded(values: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """values / step to the nearest whole number, 0 where the step is 0 (a constant group, a zero row)."""
    return torch.where(step > 0, values / step, 0.0).round_()


def _spread(groups: torch.Tensor, dim: int) -> torch.Tensor:
    """One number a group to one number an axis: (..., G) -> (..., D)."""
    return groups.repeat_interleave(INT4_GROUP, dim=-1)[..., :dim]


def _signs(vectors: torch.Tensor) -> torch.Tensor:
    """(r, 1) signs that make the largest entry of every row positive: an eigenvector's own sign is left to chance."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return torch.where(largest < 0, -1.0, 1.0).to(vectors.dtype)
