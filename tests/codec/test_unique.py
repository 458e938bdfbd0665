import itertools
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from subemb.base.errors import Cancelled, InputError
from subemb.codec import unique
from subemb.codec.blocks import Blocks
from subemb.codec.kmeans import Monitor, kmeans
from subemb.codec.subspaces import automatic_codebook_size
from subemb.codec.unique import (
    SMALL_BOX,
    _State,
    axis_sets,
    codes_with_room,
    exchange,
    give_room,
    groups_of,
    linear_hash,
    make_unique,
)


def prepared(table, subspaces, size, weights=None, seed=0, iterations=6):
    table = torch.as_tensor(table, dtype=torch.float32)
    blocks = Blocks.cut(table - table.mean(0), subspaces, weights)
    generator = torch.Generator().manual_seed(seed)
    found = kmeans(blocks, size, generator, Monitor(blocks), iterations=iterations)
    return blocks, found, generator


def made_unique(table, subspaces, size, weights=None, progress=None, **options):
    blocks, found, generator = prepared(table, subspaces, size, weights)
    monitor = Monitor(blocks, progress)
    codes, _ = make_unique(blocks, found.codes, found.codebooks, monitor, generator=generator, **options)
    return codes, monitor.history


def distinct(codes):
    return len(set(map(tuple, codes.tolist())))


@pytest.mark.slow
@hypothesis_settings(max_examples=40)
@given(st.integers(2, 90), st.integers(1, 6), st.integers(1, 5), st.integers(0, 3), st.booleans(), st.integers(0, 999))
def test_tuples_are_distinct_whenever_there_are_enough(vocabulary, dim, subspaces, spare, weighted, seed):
    generator = torch.Generator().manual_seed(seed)
    table = torch.randint(0, 2, (vocabulary, dim), generator=generator).float()  # many equal rows
    subspaces = min(subspaces, dim)
    size = min(automatic_codebook_size(vocabulary, subspaces) + spare, vocabulary)
    weights = torch.rand(vocabulary, generator=generator) + 0.01 if weighted else None
    codes, history = made_unique(table, subspaces, size, weights, iterations=6)
    assert distinct(codes) == vocabulary
    assert int(codes.min()) >= 0
    assert int(codes.max()) < size
    errors = [step["weighted_error" if weighted else "error"] for step in history]
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(errors))


@pytest.mark.slow_after(5)
@pytest.mark.parametrize(
    ("vocabulary", "subspaces", "size"), [(27, 3, 3), (1024, 2, 32), (64, 1, 64), (256, 8, 2), (243, 5, 3)]
)
@pytest.mark.parametrize("kind", ["normal", "zero", "two rows"])
def test_a_space_without_a_spare_tuple_is_filled_to_the_last(vocabulary, subspaces, size, kind):
    rng = np.random.default_rng(0)
    table = {
        "normal": rng.normal(size=(vocabulary, 8)),
        "zero": np.zeros((vocabulary, 8)),
        "two rows": rng.normal(size=(2, 8))[rng.integers(0, 2, vocabulary)],
    }[kind]
    codes, _ = made_unique(table, subspaces, size, iterations=5)
    assert distinct(codes) == vocabulary


def test_many_copies_in_a_huge_space_stay_next_to_each_other():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(300, 24)).astype(np.float32)
    table[:80] = table[0]
    blocks, found, generator = prepared(table, 12, 8)
    codes, _ = make_unique(blocks, found.codes, found.codebooks, Monitor(blocks), generator=generator, iterations=8)
    assert distinct(codes) == 300
    # 80 copies need 80 tuples, which changing two or three of the twelve codes already gives
    changed = (codes[:80] != codes[:80].mode(0).values).sum(1)
    assert changed.float().mean() < 4


def test_distinct_codes_are_left_alone():
    table = np.random.default_rng(2).normal(size=(30, 24))
    blocks, found, generator = prepared(table, 12, 8)
    assert distinct(found.codes) == 30
    codes, stop = make_unique(blocks, found.codes, found.codebooks, Monitor(blocks), generator=generator)
    assert stop == "already distinct"
    assert torch.equal(codes, found.codes)


def test_what_room_has_cost_is_left_where_exchanges_could_win_back_little():
    table = np.random.default_rng(3).normal(size=(400, 24)).astype(np.float32)
    table[1] = table[0] + 1e-3  # one pair that k-means does not tell apart
    blocks, found, generator = prepared(table, 12, 8, iterations=100)
    nearest = np.stack(_State(blocks, found.codes.numpy().copy(), found.codebooks).wanted, axis=1)
    assert distinct(nearest) == 399
    monitor = Monitor(blocks)
    codes, stop = make_unique(blocks, found.codes, found.codebooks, monitor, generator=generator, tolerance=1e-4)
    assert stop == "tolerance"
    assert [step["stage"] for step in monitor.history] == ["making room"]
    assert distinct(codes) == 400
    assert np.flatnonzero((codes.numpy() != nearest).any(1)).tolist() in ([0], [1])
    longer = Monitor(blocks)
    make_unique(blocks, found.codes, found.codebooks, longer, generator=generator, tolerance=0.0, iterations=1)
    assert [step["stage"] for step in longer.history] == ["exchanging tuples"]
    assert longer.history[0]["error"] > monitor.history[0]["error"] * (1 - 6e-4)


def test_too_few_tuples_are_refused():
    with pytest.raises(InputError, match=r"2 \*\* 3 = 8 tuples are too few for 9 tokens"):
        made_unique(np.random.default_rng(0).normal(size=(9, 6)), 3, 2)


def total_cost(state):
    return sum(
        (state.blocks.axis(i) - state.flat[i][torch.from_numpy(state.codes[:, i])]).square().sum().item()
        for i in range(state.blocks.subspaces)
    )


@pytest.mark.parametrize("seed", range(5))
def test_exchange_over_all_axes_is_the_best_of_all_assignments(seed):
    # 5 tokens, 2 x 2 subspaces with 3 codewords: 9 tuples, 9 * 8 * 7 * 6 * 5 ways
    rng = np.random.default_rng(seed)
    table = torch.as_tensor(rng.normal(size=(5, 4)), dtype=torch.float32)
    blocks = Blocks.cut(table, 2, None)
    books = [torch.as_tensor(rng.normal(size=(2, 3, 2)), dtype=torch.float32)]
    tuples = list(itertools.product(range(3), repeat=2))
    state = _State(blocks, np.array(tuples[:5]), books)
    exchange(state, [0, 1], 9, rng)
    costs = [
        [(table[t] - torch.cat([books[0][0][a], books[0][1][b]])).square().sum().item() for a, b in tuples] for t in range(5)
    ]
    best = min(sum(costs[t][slot] for t, slot in enumerate(slots)) for slots in itertools.permutations(range(9), 5))
    assert total_cost(state) == pytest.approx(best, rel=1e-4)
    assert distinct(state.codes) == 5


@pytest.mark.parametrize("limit", [4, 9, 64])
def test_no_exchange_makes_it_worse_or_loses_distinctness(limit):
    rng = np.random.default_rng(3)
    blocks, found, _ = prepared(rng.normal(size=(120, 9)), 3, 5)
    codes = np.array(list(itertools.product(range(5), repeat=3)))[rng.permutation(125)[:120]]
    state = _State(blocks, codes, found.codebooks)
    before = total_cost(state)
    for axes in axis_sets(3, 5, limit, True, rng):
        exchange(state, axes, limit, rng)
        after = total_cost(state)
        assert after <= before * (1 + 1e-6)
        assert distinct(state.codes) == 120
        before = after


@given(st.integers(1, 12), st.integers(1, 300), st.sampled_from([64, 256, 4096]), st.booleans())
def test_every_round_visits_every_subspace(subspaces, size, limit, wide):
    sets = list(axis_sets(subspaces, size, limit, wide, np.random.default_rng(0)))
    assert {axis for axes in sets for axis in axes} == set(range(subspaces))
    assert all(len(set(axes)) == len(axes) for axes in sets)


@given(st.integers(2, 40), st.integers(1, 300), st.integers(0, 99))
def test_no_set_of_a_round_comes_twice(subspaces, size, seed):
    sets = [frozenset(axes) for axes in axis_sets(subspaces, size, 4096, True, np.random.default_rng(seed))]
    assert len(set(sets)) == (len(sets) if len(sets[0]) < subspaces else 1)


@pytest.mark.parametrize("largest", [1, 20, 60, 1000])
def test_a_box_with_too_large_a_problem_is_cut_until_it_fits(largest, monkeypatch):
    rng = np.random.default_rng(3)
    blocks, found, _ = prepared(rng.normal(size=(120, 9)), 3, 5)
    codes = np.array(list(itertools.product(range(5), repeat=3)))[rng.permutation(125)[:120]]
    state = _State(blocks, codes.copy(), found.codebooks)
    before, solved = total_cost(state), []

    def solve(state, axes, tokens, groups, labels):
        for group in np.unique(groups):
            box = tokens[groups == group]
            parts = [label[state.codes[box[0], axis]] for axis, label in zip(axes, labels, strict=True)]
            tuples = math.prod(int((label == part).sum()) for label, part in zip(labels, parts, strict=True))
            solved.append(len(box) * tuples)
        real(state, axes, tokens, groups, labels)

    real = unique._solve_boxes
    monkeypatch.setattr(unique, "_solve_boxes", solve)
    monkeypatch.setattr(unique, "LARGEST_PROBLEM", largest)
    exchange(state, [0, 2], 25, rng)
    assert distinct(state.codes) == 120
    assert (state.codes[:, 1] == codes[:, 1]).all()
    assert max(solved, default=0) <= largest
    if largest == 1:  # a tuple for each box: nothing can be exchanged
        assert (state.codes == codes).all()
    else:
        assert total_cost(state) < before


def test_room_goes_to_those_who_lose_most():
    costs = np.array([[0.0, 1.0, 9.0], [0.0, 5.0, 9.0], [0.0, 2.0, 3.0]])
    assert codes_with_room(costs, np.zeros(3, int), 1).tolist() == [1, 0, 2]
    assert codes_with_room(costs, np.zeros(3, int), 2).tolist() == [1, 0, 0]
    assert codes_with_room(costs, np.array([0, 1, 2]), 1).tolist() == [0, 0, 0]


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 999))
def test_room_is_kept(n, size, seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, n)
    room = -(-np.bincount(groups).max() // size)
    codes = codes_with_room(rng.integers(0, 3, (n, size)).astype(float), groups, room)
    assert np.bincount(groups * size + codes).max() <= room
    assert (codes >= 0).all()


def test_hashes_tell_tuples_apart_and_ignore_what_is_left_out():
    codes = np.array(list(itertools.product(range(12), repeat=4)))
    assert len(np.unique(linear_hash(codes))) == 12**4
    assert len(np.unique(linear_hash(codes, axes=[0, 2]))) == 12**2
    assert (linear_hash(codes, [1, 3]) + linear_hash(codes, [0, 2]) == linear_hash(codes)).all()
    group, first = groups_of(np.array([5, 3, 5]))
    assert group.tolist() == [1, 0, 1]
    assert first.tolist() == [1, 0]


def test_it_can_be_stopped():
    with pytest.raises(Cancelled):
        made_unique(
            np.random.default_rng(0).normal(size=(27, 6)), 3, 3, progress=lambda message: message.stage == "exchanging tuples"
        )


@pytest.mark.parametrize(("weights", "expected"), [(None, [0, 1]), ([0.5, 1.5], [1, 0])])
def test_the_token_with_more_to_lose_keeps_its_code(weights, expected):
    """Both want codeword 0. Leaving it costs token 0 one unit and token 1 .81 - .01 = .8 units, times their weights."""
    weights = None if weights is None else torch.tensor(weights)
    blocks = Blocks.cut(torch.tensor([[0.0], [0.1]]), 1, weights)
    books = [torch.tensor([[[0.0], [1.0]]])]
    for codes in ([[0], [0]], [[1], [0]], [[0], [1]]):
        state = _State(blocks, np.array(codes), books)
        if codes == [[0], [0]]:
            give_room(state)
        exchange(state, [0], SMALL_BOX, np.random.default_rng(0))
        assert state.codes.ravel().tolist() == expected
