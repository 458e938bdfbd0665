"""Which tokens belong to a set, in few bits: Elias and Fano's code for increasing numbers, or one bit a token where that is shorter.

n of U tokens take n * l bits for the lowest l bits of their places, and n + (U >> l) + 1 bits for the rest: the place in a row of bits of
every one of them is its upper part plus its rank. The size follows from n and U alone, and is within half a bit a token of the
least that is possible (Elias 1974, Fano 1971).
"""

from __future__ import annotations

from ..base.errors import InputError
from ..base.lazy import lazy_module
from .packing import pack, packed_bytes, unpack

np = lazy_module("numpy")


def membership_bytes(members: int, universe: int) -> int:
    """Bytes that tell which ``members`` of ``universe`` places are taken.

    >>> membership_bytes(1500, 30522), membership_bytes(0, 30522), membership_bytes(15000, 30522)
    (1176, 0, 3816)
    """
    low = _low_bits(members, universe)
    if low is None:
        return packed_bytes(universe, 1)
    if not members or members == universe:
        return 0
    return packed_bytes(members, low) + packed_bytes(members + (universe >> low) + 1, 1)


def to_bytes(places: np.ndarray, universe: int) -> np.ndarray:
    """Increasing places below ``universe``: uint8, as many as :func:`membership_bytes` says."""
    places, members = np.asarray(places, np.int64), len(places)
    low = _low_bits(members, universe)
    if low is None:
        taken = np.zeros(universe, np.uint8)
        taken[places] = 1
        return pack(taken, 1)
    if not members or members == universe:
        return np.zeros(0, np.uint8)
    upper = np.zeros(members + (universe >> low) + 1, np.uint8)
    upper[(places >> low) + np.arange(members)] = 1
    return np.concatenate([pack(places & ((1 << low) - 1), low), pack(upper, 1)])


def from_bytes(content: np.ndarray, members: int, universe: int) -> np.ndarray:
    """The inverse of :func:`to_bytes`: (members,) int64, increasing. Raises InputError for bytes that no such set has."""
    if len(content) != membership_bytes(members, universe):
        raise InputError(f"{members} of {universe} tokens take {membership_bytes(members, universe)} bytes, not {len(content)}")
    low = _low_bits(members, universe)
    if low is None:
        places = np.flatnonzero(unpack(content, universe, 1))
    elif not members or members == universe:
        places = np.arange(members)
    else:
        start = packed_bytes(members, low)
        upper = np.flatnonzero(unpack(content[start:], members + (universe >> low) + 1, 1))
        if len(upper) != members:
            raise InputError(f"the set of tokens has {len(upper)} members; it must have {members}")
        places = (upper - np.arange(members) << low) + unpack(content[:start], members, low)
    if len(places) != members or (members and (places[-1] >= universe or (np.diff(places) <= 0).any())):
        raise InputError(f"the set of tokens is damaged: it must be {members} different ones of {universe}")
    return places.astype(np.int64)


def _low_bits(members: int, universe: int) -> int | None:
    """How many low bits of a place are written as they are; None for one bit a token."""
    if not members or members == universe:
        return 0
    costs = [packed_bytes(members, low) + packed_bytes(members + (universe >> low) + 1, 1) for low in range(17)]
    best = min(range(17), key=costs.__getitem__)
    return best if costs[best] < packed_bytes(universe, 1) else None
