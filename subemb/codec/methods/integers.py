"""int8 and int4: every number of the table rounded to one of a few steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...base.lazy import lazy_module
from ...base.progress import ProgressCallback, report
from ..compressed import BaselineCompressed
from ..sizes import Size
from .base import Method, MethodSettings, TensorForm

torch = lazy_module("torch")

INT8_LIMIT = 127
INT4_STEPS = 15
INT4_GROUP = 32  # axes that share one minimum and one step


@dataclass(repr=False)
class Int8Compressed(BaselineCompressed):
    """Row t is ``row_scale[t] * values[t]`` (symmetric rounding, one scale a row)."""

    stored = ("values", "row_scale")
    values: torch.Tensor  # (V, D) int8, from -127 to 127
    row_scale: torch.Tensor  # (V,) float32, the row's largest magnitude over 127

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        ids = ids.long()
        values = torch.nn.functional.embedding(ids, self.values)
        return values.to(self.row_scale.dtype) * self.row_scale[ids].unsqueeze(-1)

    def size(self, model_parameters: int | None = None) -> Size:
        bits = 8 * self.values.numel()
        return Size(self.num_embeddings, self.embedding_dim, 0, self.row_scale.numel(), bits, model_parameters)


class Int8(Method):
    """Every number to the nearest of 255 steps of its row; no number moves by more than half a step."""

    key = "int8"
    title = "int8"
    summary = "Every number rounded to 8 bits, one scale a row."

    def fit(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None = None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ) -> Int8Compressed:
        from ..chunks import row_slices

        vocabulary, dim = table.shape
        values = torch.empty(vocabulary, dim, dtype=torch.int8)
        scale = torch.empty(vocabulary, dtype=torch.float32)
        for part, done in row_slices(vocabulary):
            rows = table[part].float()
            step = rows.abs().amax(1) / INT8_LIMIT
            scale[part] = step
            values[part] = _rounded(rows, step.unsqueeze(1)).clamp_(-INT8_LIMIT, INT8_LIMIT).to(torch.int8)
            report(progress, "rounding", done)
        return Int8Compressed(self.resolve(settings, vocabulary, dim), vocabulary, dim, values, scale)

    def size(self, settings: MethodSettings, vocabulary: int, dim: int) -> Size:
        return Size(vocabulary, dim, 0, other_parameters=vocabulary, code_bits=8 * vocabulary * dim)

    def expected(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        return {
            "values": TensorForm((vocabulary, dim), torch.int8),
            "row_scale": TensorForm((vocabulary,), torch.float32),
        }

    def built(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor], **notes: Any
    ) -> Int8Compressed:
        return Int8Compressed(settings, vocabulary, dim, **tensors, **notes)

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
        return 10.0 * vocabulary * dim


@dataclass(repr=False)
class Int4Compressed(BaselineCompressed):
    """Groups of 32 axes (the last may be shorter): ``minimum[t, g] + step[t, g] * value``, values from 0 to 15.

    G = ceil(D / 32). Minimum and step in 16 bits each take the bytes of one float32 scale, and leave a third less error than
    that symmetric scheme does (measured on all-MiniLM-L6-v2: .0062 against .0095).
    """

    stored = ("values", "minimum", "step")
    values: torch.Tensor  # (V, ceil(D / 2)) uint8, two values a byte, the even axis in the low half
    minimum: torch.Tensor  # (V, G) bfloat16
    step: torch.Tensor  # (V, G) bfloat16

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        ids = ids.long()
        packed = torch.nn.functional.embedding(ids, self.values)
        values = torch.stack([packed & 15, packed >> 4], dim=-1).flatten(-2)[..., : self.embedding_dim]
        minimum, step = (_spread(part[ids].float(), self.embedding_dim) for part in (self.minimum, self.step))
        return torch.addcmul(minimum, step, values.float())

    def size(self, model_parameters: int | None = None) -> Size:
        # A group's minimum and step are 16 bits each: together one 32-bit float.
        return Size(self.num_embeddings, self.embedding_dim, 0, self.step.numel(), 8 * self.values.numel(), model_parameters)


class Int4(Method):
    """Every number to the nearest of 16 steps between its group's minimum and maximum; at most half a step off."""

    key = "int4"
    title = "int4"
    summary = f"Every number rounded to 4 bits, one scale for each group of {INT4_GROUP}."

    def fit(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None = None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ) -> Int4Compressed:
        from ..chunks import row_slices

        vocabulary, dim = table.shape
        values = torch.empty(vocabulary, -(-dim // 2), dtype=torch.uint8)
        minimum = torch.empty(vocabulary, _groups(dim), dtype=torch.bfloat16)
        step = torch.empty_like(minimum)
        for part, done in row_slices(vocabulary):
            values[part], minimum[part], step[part] = _int4_rows(table[part].float())
            report(progress, "rounding", done)
        return Int4Compressed(self.resolve(settings, vocabulary, dim), vocabulary, dim, values, minimum, step)

    def size(self, settings: MethodSettings, vocabulary: int, dim: int) -> Size:
        # One minimum and one step a group, 16 bits each: together the bytes of one float. Two values a byte.
        return Size(vocabulary, dim, 0, other_parameters=vocabulary * _groups(dim), code_bits=8 * vocabulary * -(-dim // 2))

    def expected(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        groups = TensorForm((vocabulary, _groups(dim)), torch.bfloat16)
        return {"values": TensorForm((vocabulary, -(-dim // 2)), torch.uint8), "minimum": groups, "step": groups}

    def built(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor], **notes: Any
    ) -> Int4Compressed:
        return Int4Compressed(settings, vocabulary, dim, **tensors, **notes)

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
        return 28.0 * vocabulary * dim


def _groups(dim: int) -> int:
    """G = ceil(D / 32)."""
    return -(-dim // INT4_GROUP)


def _int4_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(n, D) float32 -> packed values (n, ceil(D / 2)), minimum and step (n, G) bfloat16."""
    dim = rows.shape[1]
    # The last number is repeated to fill the last group: that changes neither its minimum nor its maximum.
    filled = torch.nn.functional.pad(rows.unsqueeze(1), (0, -dim % INT4_GROUP), mode="replicate").squeeze(1)
    grouped = filled.view(len(rows), -1, INT4_GROUP)
    # Rounded outwards, so that the 16 steps still cover the whole group and half a step bounds the error.
    minimum = _bfloat16_bound(grouped.amin(2), upper=False)
    step = _bfloat16_bound((grouped.amax(2) - minimum) / INT4_STEPS, upper=True)
    values = _rounded(grouped - minimum.unsqueeze(2), step.unsqueeze(2)).clamp_(0, INT4_STEPS).to(torch.uint8)
    even = torch.nn.functional.pad(values.flatten(1)[:, :dim], (0, dim % 2))
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
