"""Weights that mean nothing without a scale beside them: float8 numbers times the scale, or a refusal that names it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..base.errors import ModelError
from .headers import FLOAT_TYPES, Tensor
from .stored import partner_name, scale_name

if TYPE_CHECKING:
    import torch

_WHOLE, _FLOAT8 = ("F64", "F32", "F16", "BF16"), ("F8_E4M3", "F8_E5M2")


def scale_of(tensor: Tensor, tensors: Mapping[str, Tensor], model: str) -> Tensor | None:
    """The tensor that ``tensor`` has to be multiplied by, one number or one for each row; None if it is whole by itself.

    Raises ModelError (``bad_table``) naming the other tensor where it is not known how the two make one.
    """
    found = scale_name(tensor.name, tensors)
    # A table of ordinary floats may have a scale of its architecture beside it.
    partner = partner_name(tensor.name, tensors) if tensor.dtype not in _WHOLE else None
    other = found or partner
    if other is None:
        return None
    rows = tensor.shape[0] if tensor.shape else 0
    fits = tensors[other].shape in ((), (1,), (1, 1), (rows,), (rows, 1)) and tensors[other].dtype in FLOAT_TYPES
    if found is None or tensor.dtype not in _FLOAT8 or not fits or partner is not None:
        raise ModelError(
            f"{tensor.name} of {model} is stored as {tensor.dtype} with {other} beside it, without which it means nothing, and how the "
            "two make one is not known; use a copy of the model that is not quantized",
            "bad_table",
        )
    return tensors[found]


def read_number_tensor(tensor: Tensor) -> "torch.Tensor":
    """A whole tensor as its file stores it."""
    from safetensors import safe_open

    with safe_open(tensor.file, "pt") as file:
        return file.get_tensor(tensor.stored)


def scaled(values: "torch.Tensor", scale: "torch.Tensor") -> "torch.Tensor":
    """(n, ...) values times a scale: one number, or one for each of the n rows; float32."""
    factor = scale.float().flatten()
    return values.float() * (factor if len(factor) == 1 else factor.reshape(-1, *[1] * (values.ndim - 1)))
