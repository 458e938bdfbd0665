"""Which settings of every method store about the same number of bytes: the only fair ground to compare methods on.

Many pairs of f and Q store equally much, and they differ in quality, so one rule picks for every method. Measured on
all-MiniLM-L6-v2 at 0.23, 0.59, 1.36 and 3 % of the table, product quantization loses least with Q = 32 (relative error
.902, .815, .649, .377): Q = 16 and 64 come within 1.1 % of that, Q = 256 is up to 17 % worse, because wide codebooks
crowd out subspaces. Residual quantization is best with the smallest codebooks (at 0.59 %: .808 with Q = 4, .850 with 16,
.878 with 64) but its time grows with the stages, so these are bounded. Codes of arbitrary and random assignments follow no
vectors; there the fewest subspaces, and so the largest codebooks, are best.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..base.errors import InputError
from ..codec.methods import METHODS
from ..codec.settings import CompressionSettings
from ..codec.sizes import FLOAT_BYTES, Size, code_bits_each, predicted_size
from ..codec.subspaces import LARGEST_CODEBOOK
from .timing import estimate_seconds

__all__ = ["EqualBytes", "estimate_seconds", "predicted_size", "settings_at_bytes"]

#: Pairs of f and Q within this share of the target count as equal; among them quality decides.
TOLERANCE = 0.02
#: A method whose nearest size is further from the target than this is flagged: its numbers cannot be compared.
NEAR = 0.05
BEST_CODEBOOK_SIZE = 32
BEST_RESIDUAL_CODEBOOK_SIZE = 4
MOST_STAGES = 32
LARGEST_CODE_BITS = 16


@dataclass(frozen=True)
class EqualBytes:
    """One method near a target.

    settings: resolved. size: what it will store. is_near: within NEAR of the target; False for a method that has no
    settings there (int8 and int4 have one size only, a rotation or one direction of low rank can be too large already).
    """

    settings: CompressionSettings
    size: Size
    is_near: bool


def settings_at_bytes(
    target_bytes: int,
    vocabulary: int,
    dim: int,
    methods: Iterable[str] = tuple(METHODS),
    *,
    seed: int = 0,
    weights: str = "none",
    text_digest: str | None = None,
    keep: CompressionSettings | None = None,
) -> dict[str, EqualBytes]:
    """For every method the settings whose ``Size.total_bytes`` comes nearest to a target; nothing is run.

    target_bytes: such as ``compressed.size().total_bytes``. vocabulary, dim: V and D of the table.
    seed, weights, text_digest: put into all settings.
    keep: settings of the run that is compared with; its method keeps them as they are.

    A method that has no valid settings at all for this table is left out. Raises InputError for an unknown method or a
    target below 1.

    >>> found = settings_at_bytes(106_381, 30522, 384)
    >>> found["product"].settings.subspaces, found["product"].settings.codebook_size, found["product"].is_near
    (3, 32, True)
    """
    if target_bytes < 1:
        raise InputError(f"a target of {target_bytes} bytes is too small; it must be at least 1")
    found = {}
    for method in methods:
        base = CompressionSettings(method, seed=seed, weights=weights, text_digest=text_digest)
        if keep is not None and keep.method == method:
            settings = keep.resolve(vocabulary, dim)
        else:
            settings = _nearest(base, target_bytes, vocabulary, dim)
        if settings is not None:
            size = predicted_size(settings, vocabulary, dim)
            found[method] = EqualBytes(settings, size, abs(size.total_bytes - target_bytes) <= NEAR * target_bytes)
    return found


def _nearest(base: CompressionSettings, target: int, vocabulary: int, dim: int) -> CompressionSettings | None:
    """The settings of one method that come nearest to the target, or None if there are none for this table."""
    if base.method == "low_rank":
        one = predicted_size(replace(base, rank=1), vocabulary, dim).total_bytes
        rank = 1 + round((target - one) / (FLOAT_BYTES * (vocabulary + dim)))  # every rank adds V + D floats
        return replace(base, rank=max(1, min(rank, vocabulary, dim))).resolve(vocabulary, dim)
    if not METHODS[base.method].uses_codebooks:
        return base.resolve(vocabulary, dim)
    pairs = list(_pairs(base, target, vocabulary, dim))
    if not pairs:
        return None
    equal = [pair for pair in pairs if pair.gap <= TOLERANCE]
    best = min(equal, key=_preference) if equal else min(pairs, key=lambda pair: (pair.gap, _preference(pair)))
    return replace(base, subspaces=best.subspaces, codebook_size=best.codebook_size).resolve(vocabulary, dim)


class _Pair(NamedTuple):
    method: str
    subspaces: int
    codebook_size: int
    gap: float  # difference to the target, as a share of it


def _preference(pair: _Pair) -> tuple[float, ...]:
    """Lower is better: see the module's text. Of the codebooks with codes of so many bits the fullest wastes least."""
    if pair.method in ("arbitrary", "random"):
        return (pair.subspaces, -pair.codebook_size)
    best = BEST_RESIDUAL_CODEBOOK_SIZE if pair.method == "residual" else BEST_CODEBOOK_SIZE
    bits = code_bits_each(pair.codebook_size)
    return (abs(bits - code_bits_each(best)), -pair.codebook_size / 2**bits, pair.gap)


def _pairs(base: CompressionSettings, target: int, vocabulary: int, dim: int) -> Iterator[_Pair]:
    """Pairs (f, Q) worth looking at: for every f and every number of bits a code can have, the Q nearest to the target, and
    the largest Q with codes of so many bits.

    Bytes are reckoned here as predicted_size does, which would take seconds for the thousands of pairs.
    """
    limit = min(vocabulary, LARGEST_CODEBOOK)
    is_residual = base.method == "residual"
    rotation = dim * dim * FLOAT_BYTES if base.method == "optimized_product" else 0
    for subspaces in range(1, (MOST_STAGES if is_residual else dim) + 1):
        per_codeword = FLOAT_BYTES * dim * (subspaces if is_residual else 1)
        for bits in range(1, LARGEST_CODE_BITS + 1):
            fixed = rotation + (0 if base.method == "arbitrary" else -(-vocabulary * subspaces * bits // 8))
            low, high = 2 ** (bits - 1) + 1, min(2**bits, limit)
            exact = max(low, min(round((target - fixed) / per_codeword), high))
            for size in {exact, high} if low <= high else ():
                # Methods with distinct tuples need Q ** f >= V, which 64 codes always give.
                if not (base.wants_unique and subspaces < 64 and size**subspaces < vocabulary):
                    yield _Pair(base.method, subspaces, size, abs(fixed + size * per_codeword - target) / target)
