"""Distinct tuples with the least added error.

1. *Room*: going through the subspaces in order, no prefix of codes may be shared by more tokens than there are tuples that
   begin with it, Q ** (subspaces left). Tokens over the limit move to other codes, those with the least to lose first. At the
   last subspace the limit is one token a tuple, so this ends without collisions whenever Q ** f >= V.
2. *Exchange*: tokens that agree in all codes but those of a few subspaces share a small box of tuples. Which of them takes
   which tuple of the box is an assignment problem, solved exactly (:func:`subemb.codec.kernels.assigned`). First boxes of one line,
   which are cheap; then boxes of about LARGE_BOX tuples over two or more subspaces, cut at random, which find what lines cannot.
3. After every round of exchanges the codebooks move to the means of their members.

Each step of 2 and 3 lowers the error or leaves it, so the last result is the best one. With the codebooks where they are, exchanges can win
back no more than room has cost; where that is little, as with many more tuples than tokens, there are none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np
import torch

from .blocks import Blocks, codebook_means, nearest_codes
from .kmeans import Monitor, settled
from .subspaces import LOOSE_BOX, SMALL_BOX, axes_together, is_loose, require_enough_tuples
from .threads import in_threads

LARGE_BOX = 256
LARGEST_PROBLEM = 2**16  # tokens x tuples of one box; larger ones take most of the time and win nearly nothing, and are cut
BATCH_ELEMENTS = 2**24  # costs held at once


def make_unique(
    blocks: Blocks,
    codes: torch.Tensor,
    books: list[torch.Tensor],
    monitor: Monitor,
    *,
    generator: torch.Generator,
    iterations: int = 25,
    tolerance: float = 1e-4,
    share: tuple[float, float] = (0.5, 1.0),
) -> tuple[torch.Tensor, str]:
    """Distinct tuples from (V, f) codes with one (g, Q, d) codebook a group: codes (V, f), and why it stopped.

    iterations: rounds of exchanges at most; it goes from lines to wide boxes, and then stops, when a round lowers the error
        by less than 6 (lines) or 4 (boxes) times ``tolerance`` of itself: a round costs several iterations of k-means. There is none
        where it could not lower it by so much.

    Raises InputError if there are fewer tuples than tokens; Cancelled.
    """
    state = _State(blocks, codes.cpu().numpy().copy(), books)
    require_enough_tuples(blocks.vocabulary, blocks.subspaces, state.codebook_size, "unique tuples")
    if len(groups_of(linear_hash(state.codes))[1]) == len(codes):
        return codes, "already distinct"
    monitor.note("making room", share[0])
    give_room(state)
    keys = linear_hash(state.codes)
    monitor.note("room made", share[0], (blocks, state.books, torch.from_numpy(state.codes).to(blocks.device)))
    if all(settled(with_room, nearest, 6 * tolerance) for with_room, nearest in state.errors()):
        moved = state.move_codebooks()
        monitor.record("making room", share[1], *blocks.squared_errors(moved, state.books), seen=(blocks, state.books, moved))
        return moved, "tolerance"
    rng = np.random.default_rng(torch.randint(2**31, (1,), generator=generator).item())
    loose = is_loose(blocks.vocabulary, blocks.subspaces, state.codebook_size)
    wide, previous = False, float("inf")
    for iteration in range(1, iterations + 1):
        place = share[0] + (share[1] - share[0]) * (iteration - 1) / iterations
        limit = (LOOSE_BOX if loose else LARGE_BOX) if wide else SMALL_BOX
        for axes in axis_sets(blocks.subspaces, state.codebook_size, limit, wide, rng):
            monitor.note("exchanging tuples", place)
            exchange(state, axes, limit, rng, keys)
        moved = state.move_codebooks()
        fraction = share[0] + (share[1] - share[0]) * iteration / iterations
        seen = (blocks, state.books, moved)
        error = monitor.record("exchanging tuples", fraction, *blocks.squared_errors(moved, state.books), seen=seen)
        if settled(previous, error, (4 if wide else 6) * tolerance):
            if wide or blocks.subspaces == 1:
                return moved, "tolerance"
            wide = True
        previous = error
    return moved, "iterations"


@dataclass
class _State:
    """Codes being improved, with what is needed to price them."""

    blocks: Blocks
    codes: np.ndarray  # (V, f) int64, changed in place
    books: list[torch.Tensor]  # one (g, Q, d) a group of subspaces of equal width
    flat: list[torch.Tensor] = field(default_factory=list)  # the same as f codebooks (Q, d_i)
    wanted: list[np.ndarray] = field(default_factory=list)  # per subspace (V,) nearest codes

    def __post_init__(self):
        self.priced()

    @property
    def codebook_size(self) -> int:
        return self.books[0].shape[1]

    def priced(self) -> None:
        """Find the nearest codes again, after the codebooks have changed."""
        self.flat = [book[j] for book in self.books for j in range(len(book))]
        parts = [nearest_codes(x, book)[0] for (_, x), book in zip(self.blocks.groups, self.books, strict=True)]
        self.wanted = list(torch.cat(parts).cpu().numpy())

    def costs(self, axis: int, tokens: np.ndarray) -> np.ndarray:
        """(n, Q) float32: what each code of a subspace costs n tokens, above the cheapest."""
        if self.blocks.device.type == "cpu":
            from .kernels import code_costs

            return code_costs(self.blocks.axis(axis), tokens, self.flat[axis], self.blocks.weights)
        rows = torch.from_numpy(tokens).to(self.blocks.device)
        book = self.flat[axis]
        costs = torch.addmm(book.square().sum(1), self.blocks.axis(axis)[rows], book.T, alpha=-2)
        costs -= costs.amin(1, keepdim=True)
        if self.blocks.weights is not None:
            costs *= self.blocks.weights[rows][:, None]
        return costs.cpu().numpy()

    def errors(self) -> list[tuple[float, float]]:
        """Unweighted and weighted: the squared error of the codes, and that of the nearest ones, which is the least there can be."""
        both = (self.codes, np.stack(self.wanted, axis=1))
        found = [self.blocks.squared_errors(torch.from_numpy(codes).to(self.blocks.device), self.books) for codes in both]
        return [(float(mine.sum()), float(least.sum())) for mine, least in zip(*found, strict=True)]

    def move_codebooks(self) -> torch.Tensor:
        """Codebooks to the means of their members; gives back the codes as a tensor."""
        codes = torch.from_numpy(self.codes).to(self.blocks.device)
        self.books = [
            codebook_means(x, part, self.blocks.weights, book)[0]
            for (_, x), part, book in zip(self.blocks.groups, self.blocks.split_codes(codes), self.books, strict=True)
        ]
        self.priced()
        return codes


# Room


def give_room(state: _State) -> None:
    """Step 1: codes without collisions, in place."""
    vocabulary, subspaces = state.codes.shape
    groups = np.zeros(vocabulary, np.int64)
    for axis in range(subspaces):
        room = min(state.codebook_size ** (subspaces - 1 - axis), vocabulary)
        chosen = state.wanted[axis].copy()
        slot = groups * state.codebook_size + chosen
        _, which, counts = np.unique(slot, return_inverse=True, return_counts=True)
        if counts.max() > room:
            crowded = np.zeros(groups.max() + 1, bool)
            crowded[groups[counts[which] > room]] = True
            tokens = np.flatnonzero(crowded[groups])
            for part in _batches(tokens[np.argsort(groups[tokens], kind="stable")], groups, state.codebook_size):
                local = np.unique(groups[part], return_inverse=True)[1]
                chosen[part] = codes_with_room(state.costs(axis, part), local, room)
            slot = groups * state.codebook_size + chosen
        state.codes[:, axis] = chosen
        groups = np.unique(slot, return_inverse=True)[1]


def codes_with_room(costs: np.ndarray, groups: np.ndarray, room: int) -> np.ndarray:
    """Cheap codes, none used more than ``room`` times in any group: costs (n, Q), groups (n,) -> (n,) int64.

    Every token asks for its cheapest code with room left; where more ask than fit, those that would lose most by their second
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


# Exchange


def axis_sets(subspaces: int, codebook_size: int, limit: int, wide: bool, rng: np.random.Generator) -> Iterator[list[int]]:
    """The subspaces whose codes are exchanged together, one set after the other, every subspace at least once a round."""
    together = axes_together(subspaces, codebook_size, limit, wide)
    order = rng.permutation(subspaces).tolist() if wide or together > 1 else list(range(subspaces))
    count = -(-(2 * subspaces if wide else subspaces) // together)
    # where sets fill the row of subspaces, they begin one later in its second turn: they would be those of the first
    later = int(subspaces % together == 0)
    for step in range(count):
        first = step * together + later * (step * together // subspaces)
        yield [order[(first + k) % subspaces] for k in range(together)]


def exchange(
    state: _State,
    axes: list[int],
    limit: int,
    rng: np.random.Generator,
    keys: np.ndarray | None = None,
    stop: Callable[[], bool] | None = None,
) -> None:
    """Step 2: the best tuples within boxes over some subspaces, all other codes fixed; in place.

    keys: (V,) :func:`linear_hash` of the codes, changed with them; None computes it.
    stop: asked now and then; once it says True the boxes that are left stay as they are.

    A box is cut into random parts where it would have more than ``limit`` tuples, and where its assignment problem would be larger than
    LARGEST_PROBLEM. Boxes in which everybody can have the nearest codes are settled without solving anything.
    """
    size = state.codebook_size
    side = size if len(axes) == 1 or size ** len(axes) <= limit else max(2, int(limit ** (1 / len(axes))))
    if len(axes) == 1 and size > LARGE_BOX:
        side = LARGE_BOX
    parts = -(-size // side)
    # The part of a code is its place in this order modulo the number of parts: each of twice as many parts lies in one of these.
    draw = rng if parts > 1 else rng.spawn(1)[0]
    places = np.stack([np.argsort(draw.permutation(size)) for _ in axes])
    keys = linear_hash(state.codes) if keys is None else keys
    keys -= linear_hash(state.codes, axes)  # what is left is that of the other subspaces, which say whose box it is
    tokens = np.arange(len(state.codes))
    while len(tokens):
        tokens = _exchange_within(state, axes, tokens, keys[tokens], places % parts, stop)
        parts *= 2
    keys += linear_hash(state.codes, axes)


def _exchange_within(
    state: _State, axes: list[int], tokens: np.ndarray, keys: np.ndarray, labels: np.ndarray, stop: Callable[[], bool] | None
) -> np.ndarray:
    """Settle the boxes of n tokens: gives back those whose boxes are too large, and stay.

    keys: (n,), equal where all codes but those of the k axes are. labels: (k, Q), the part of the codebook that a code belongs to. All
    tokens of a box must be among these.
    """
    here, wanted = state.codes[np.ix_(tokens, axes)], np.stack([state.wanted[axis][tokens] for axis in axes], axis=1)
    parts_here = np.stack([label[here[:, k]] for k, label in enumerate(labels)], axis=1)
    key = keys + linear_hash(parts_here, salt=1)
    groups, starts = groups_of(key)
    inside = np.ones(len(groups), bool)
    for k, label in enumerate(labels):
        inside &= label[wanted[:, k]] == parts_here[:, k]
    contested = np.zeros(len(starts), bool)
    contested[groups[~inside]] = True
    pair, firsts = groups_of(key + linear_hash(wanted, salt=2))
    contested[groups[np.bincount(pair, minlength=len(firsts))[pair] > 1]] = True
    tuples = np.prod([np.bincount(label)[parts_here[starts, k]] for k, label in enumerate(labels)], axis=0)
    too_large = contested & (np.bincount(groups) * tuples > LARGEST_PROBLEM)
    free = ~contested[groups]
    state.codes[np.ix_(tokens[free], axes)] = wanted[free]
    solved = np.flatnonzero((contested & ~too_large)[groups])
    solved = solved[np.argsort(groups[solved], kind="stable")]
    for part in _batches(solved, groups, state.codebook_size * len(axes)):
        _solve_boxes(state, axes, tokens[part], groups[part], labels)
        if stop is not None and stop():
            return tokens[:0]
    return tokens[too_large[groups]]


def _solve_boxes(state: _State, axes: list[int], tokens: np.ndarray, groups: np.ndarray, labels: np.ndarray) -> None:
    """Solve the boxes of tokens that lie together by group. Boxes are disjoint, so threads may solve them at once."""
    from .kernels import PIECES, boxes_loop

    costs = np.stack([state.costs(axis, tokens) for axis in axes])
    borders = np.r_[0, np.flatnonzero(np.diff(groups)) + 1, len(tokens)]
    # boxes of about as many tokens for every piece
    cuts = np.unique(np.searchsorted(borders, np.linspace(0, len(tokens), PIECES + 1)))
    chosen = np.array(axes)

    def work(first: int, last: int) -> None:
        boxes_loop(first, last, borders, tokens, chosen, labels, costs, state.codes)

    in_threads(work, list(pairwise(cuts.tolist())))


def _batches(tokens: np.ndarray, groups: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Tokens ordered by group, in runs of whole groups of about BATCH_ELEMENTS / width tokens."""
    step, start = max(1, BATCH_ELEMENTS // width), 0
    while start < len(tokens):
        end = min(start + step, len(tokens))
        while end < len(tokens) and groups[tokens[end]] == groups[tokens[end - 1]]:
            end += 1
        yield tokens[start:end]
        start = end


# Groups of tokens


def groups_of(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V,) keys -> (V,) numbers 0..n-1 of the groups of equal keys, and (n,) the first token of each."""
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return group, first


def linear_hash(codes: np.ndarray, axes: Sequence[int] | None = None, salt: int = 0) -> np.ndarray:
    """A 64-bit number for every row of (V, f) codes: equal rows get equal numbers. axes: the subspaces that count; None for all.

    It is the sum of what each subspace counts for. Two different rows get the same number with probability 2 ** -64; two boxes would then
    be taken for one.
    """
    factors, shifts = _hash_numbers(salt, codes.shape[1])
    keys = np.zeros(len(codes), np.int64)
    for axis in range(codes.shape[1]) if axes is None else axes:
        keys += _mixed(codes[:, axis].astype(np.int64) * factors[axis] + shifts[axis])
    return keys


@cache
def _hash_numbers(salt: int, subspaces: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each subspace: an odd factor and a shift."""
    drawn = np.random.default_rng([salt, subspaces]).integers(-(2**63), 2**63 - 1, size=(subspaces, 2), dtype=np.int64)
    return drawn[:, 0] | 1, drawn[:, 1]


def _mixed(values: np.ndarray) -> np.ndarray:
    """Scrambles 64-bit numbers (the finalizer of splitmix64), so that sums of them do not collide in patterns."""
    bits = values.view(np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (bits ^ (bits >> np.uint64(31))).view(np.int64)
