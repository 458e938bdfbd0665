"""Which tensors a saved result has, by method: their names, shapes and types, and checks of their values.

The layout itself is described in subemb.codec.storage.
"""

import torch

from ..base.errors import InputError
from .baselines import INT4_GROUP
from .blocks import arbitrary_codes
from .compressed import Compressed, SubspaceCompressed
from .settings import CompressionSettings
from .subspaces import subspace_widths


def widths_of(settings: CompressionSettings, dim: int) -> list[int]:
    """Widths of the codebooks, in order."""
    return [dim] * settings.subspaces if settings.method == "residual" else subspace_widths(dim, settings.subspaces)


def tensors_of(compressed: Compressed) -> dict[str, torch.Tensor]:
    """The tensors of a result by the names that they have in the file."""
    if not isinstance(compressed, SubspaceCompressed):
        return compressed.tensors()
    settings = compressed.settings
    tensors = {f"codebooks.{i}": book for i, book in enumerate(compressed.codebooks)}
    if compressed.rotation is not None:
        tensors["rotation"] = compressed.rotation
    codes = compressed.codes
    if codes.shape != (compressed.num_embeddings, settings.subspaces):
        raise InputError(
            f"codes have shape {tuple(codes.shape)}; {compressed.num_embeddings} tokens with {settings.subspaces} codes each need "
            f"({compressed.num_embeddings}, {settings.subspaces})"
        )
    if settings.method == "arbitrary":
        if not torch.equal(codes.cpu().long(), arbitrary_codes(*codes.shape, settings.codebook_size)):
            raise InputError("the codes are not the digits of the token ids, as those of method arbitrary must be")
        return tensors
    low, high = (int(code) for code in codes.long().aminmax())
    if low < 0 or high >= settings.codebook_size:
        bad = low if low < 0 else high
        raise InputError(f"code {bad} is outside codebooks of {settings.codebook_size} sub-vectors")
    tensors["codes"] = codes.to(_file_code_dtype(settings))
    return tensors


def _file_code_dtype(settings: CompressionSettings) -> torch.dtype:
    return torch.uint8 if settings.codebook_size <= 256 else torch.uint16


def _expected(settings: CompressionSettings, vocabulary: int, dim: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and type of every tensor of a result."""
    real, size = torch.float32, settings.codebook_size
    if settings.method == "low_rank":
        rank = settings.rank
        return {"coefficients": ((vocabulary, rank), real), "components": ((rank, dim), real), "mean": ((dim,), real)}
    if settings.method == "int8":
        return {"values": ((vocabulary, dim), torch.int8), "row_scale": ((vocabulary,), real)}
    if settings.method == "int4":
        groups = ((vocabulary, -(-dim // INT4_GROUP)), torch.bfloat16)
        return {"values": ((vocabulary, -(-dim // 2)), torch.uint8), "minimum": groups, "step": groups}
    expected = {f"codebooks.{i}": ((size, width), real) for i, width in enumerate(widths_of(settings, dim))}
    if settings.method != "arbitrary":
        expected["codes"] = ((vocabulary, settings.subspaces), _file_code_dtype(settings))
    if settings.method == "optimized_product":
        expected["rotation"] = ((dim, dim), real)
    return expected


def check_tensors(settings: CompressionSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor]) -> None:
    """Raises InputError unless the tensors are those of such a result: names, shapes, types, finite floats, codes below Q."""
    expected = _expected(settings, vocabulary, dim)
    missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or extra:
        parts = [f"tensor {', '.join(names)} {what}" for names, what in ((missing, "missing"), (extra, "unknown")) if names]
        raise InputError(f"{'; '.join(parts)} (method {settings.method})")
    for name, (shape, dtype) in expected.items():
        tensor = tensors[name]
        if (tuple(tensor.shape), tensor.dtype) != (shape, dtype):
            raise InputError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}; it must be {shape} {dtype}")
        if dtype.is_floating_point and not torch.isfinite(tensor).all():
            raise InputError(f"{name} holds NaN or infinity")
    if "codes" in expected:
        highest = int(tensors["codes"].int().max())
        if highest >= settings.codebook_size:
            raise InputError(f"code {highest} is outside codebooks of {settings.codebook_size} sub-vectors")
