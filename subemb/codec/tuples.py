"""Bookkeeping of tuples: which tokens share one, and who may keep a code that too many want."""

from collections.abc import Sequence

import numpy as np


def linear_hash(codes: np.ndarray, without: Sequence[int] = (), salt: int = 0) -> np.ndarray:
    """A 64-bit number for every row of (V, f) codes: equal rows get equal numbers; subspaces in ``without`` do not count.

    Different rows get the same number with probability 2 ** -64 a pair; that would only keep two boxes from being told apart.
    """
    rng = np.random.default_rng([salt, codes.shape[1]])
    keys = np.zeros(len(codes), np.int64)
    for axis in range(codes.shape[1]):
        factor, shift = rng.integers(-(2**63), 2**63 - 1, size=2, dtype=np.int64)
        if axis not in without:
            keys += _mixed(codes[:, axis].astype(np.int64) * (factor | 1) + shift)
    return keys


def _mixed(values: np.ndarray) -> np.ndarray:
    """Scrambles 64-bit numbers (the finalizer of splitmix64), so that sums of them do not collide in patterns."""
    bits = values.view(np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (bits ^ (bits >> np.uint64(31))).view(np.int64)


def groups_of(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V,) keys -> (V,) numbers 0..n-1 of the groups of equal keys, and (n,) the first token of each."""
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return group, first


def codes_with_room(costs: np.ndarray, groups: np.ndarray, room: int) -> np.ndarray:
    """Cheap codes, none used more than ``room`` times in any group: costs (n, Q), groups (n,) -> (n,) int64.

    Every token asks for its cheapest code with room left; where more ask than fit, those with most to lose by their second
    choice are served. Repeated until all have a code, which needs at most ``room * Q`` tokens a group.

    >>> codes_with_room(np.array([[0.0, 1.0], [0.0, 5.0]]), np.zeros(2, int), 1).tolist()
    [1, 0]
    """
    size = costs.shape[1]
    left = np.full((int(groups.max()) + 1) * size, room)
    codes = np.full(len(costs), -1)
    waiting = np.arange(len(costs))
    while len(waiting):
        open_codes = left.reshape(-1, size)[groups[waiting]] > 0
        offers = np.where(open_codes, costs[waiting], np.inf)
        row, best = np.arange(len(waiting)), offers.argmin(1)
        first = offers[row, best]
        offers[row, best] = np.inf
        loss = offers.min(1) - first
        slot = groups[waiting] * size + best
        order = np.lexsort((-loss, slot))
        starts = np.r_[0, np.flatnonzero(np.diff(slot[order])) + 1]
        rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
        served = order[rank < left[slot[order]]]
        codes[waiting[served]] = best[served]
        left -= np.bincount(slot[served], minlength=len(left))
        waiting = np.delete(waiting, served)
    return codes
