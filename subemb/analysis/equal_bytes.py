"""Which settings of every method store about the same number of bytes: the only fair ground to compare methods on.

Each method says itself what it does at a given size: see :meth:`subemb.codec.methods.base.Method.at_bytes`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..base.errors import InputError
from ..codec.estimates import predicted_size
from ..codec.methods import METHODS
from ..codec.settings import CompressionSettings
from ..codec.sizes import Size

#: A method whose nearest size is further from the target than this is flagged: its numbers cannot be compared.
NEAR = 0.05


@dataclass(frozen=True)
class EqualBytes:
    """One method near a target."""

    settings: CompressionSettings  # resolved
    size: Size  # what it will store
    is_near: bool  # within NEAR of the target; a method with a single size, for one, may be far from it


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

    >>> found = settings_at_bytes(69_523, 30522, 384)
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
            settings = base.about.at_bytes(base, target_bytes, vocabulary, dim)
        if settings is not None:
            size = predicted_size(settings, vocabulary, dim)
            found[method] = EqualBytes(settings, size, abs(size.total_bytes - target_bytes) <= NEAR * target_bytes)
    return found
