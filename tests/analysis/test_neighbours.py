"""Nearest tokens and how many are kept: by hand, against scikit-learn and against random tie-breaking."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from subemb.analysis import compare_neighbours, near_before, nearest, neighbours_kept
from subemb.analysis import neighbours as module
from subemb.base.errors import Cancelled, InputError


def angles(*degrees):
    """Points of the unit circle."""
    turn = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([turn.cos(), turn.sin()], 1).float()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_nearest_agrees_with_scikit_learn(metric, monkeypatch):
    monkeypatch.setattr(module, "_SCORE_FLOATS", 1000)  # many small pieces
    table = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    found = nearest(table, np.arange(0, 300, 7), 5, metric)
    distances, ids = NearestNeighbors(n_neighbors=6, metric=metric).fit(table).kneighbors(table[::7])
    np.testing.assert_array_equal(found.ids, ids[:, 1:])
    expected = 1 - distances[:, 1:] if metric == "cosine" else distances[:, 1:]
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)
    vectors = nearest(table, table[::7], 6, metric)  # as vectors, each finds itself first
    np.testing.assert_array_equal(vectors.ids, ids)


def test_nearest_by_hand_with_ties_by_id():
    table = angles(0, 10, -10, 30, 10)
    assert nearest(table, 0, 4).ids.tolist() == [[1, 2, 4, 3]]
    assert nearest(table, 1, 2).ids.tolist() == [[4, 0]]
    assert nearest(table, [3], 2, exclude_self=False).ids.tolist() == [[3, 1]]
    assert nearest(table, [0, 3], 99).ids.shape == (2, 4)  # cut to the others there are


def test_zero_rows_have_cosine_zero():
    found = nearest(torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]), 1, 2)
    assert found.ids.tolist() == [[0, 2]]
    assert found.scores.tolist() == [[0.0, -1.0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 1), "token id 5 is not in this table; ids go from 0 to 4"),
        (([-1], 1), "token id -1"),
        ((0, 0), "at least 1"),
        ((0, 1, "manhattan"), "unknown metric 'manhattan'"),
        ((np.ones((1, 3)), 1), "3 dimensions do not fit a table of 2"),
        (([0.5], 1), "whole numbers"),
    ],
)
def test_nearest_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        nearest(angles(0, 1, 2, 3, 4), *arguments)


def test_kept_is_the_overlap_of_two_sets(monkeypatch):
    monkeypatch.setattr(module, "_SCORE_FLOATS", 5000)
    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 16)).astype(np.float32)
    rebuilt = table + rng.normal(scale=0.7, size=table.shape).astype(np.float32)
    kept = neighbours_kept(table, rebuilt, k=10, sample=120, seed=3)
    before, after = (NearestNeighbors(n_neighbors=11, metric="cosine").fit(x).kneighbors(x)[1][:, 1:] for x in (table, rebuilt))
    expected = [len(set(before[i]) & set(after[i])) / 10 for i in kept.ids]
    np.testing.assert_allclose(kept.per_token, expected, atol=1e-6)
    assert kept.mean == pytest.approx(np.mean(expected))
    assert 0.1 < kept.mean < 0.9
    assert len(set(kept.ids)) == 120
    np.testing.assert_array_equal(kept.ids, neighbours_kept(table, rebuilt, k=10, sample=120, seed=3).ids)


def test_ties_by_hand():
    table = angles(0, 1, 2, 3, 90)
    # Tokens 1, 2 and 3 collide: for token 0 all three are equally near, two of the three are its 2 nearest.
    rebuilt = angles(0, 5, 5, 5, 90)
    kept = neighbours_kept(table, rebuilt, k=2, ids=[0])
    assert kept.per_token[0] == pytest.approx(2 / 3)
    # With one certain place (1) and one shared by 2 and 3, of which 2 was a neighbour: (1 + 1/2) / 2.
    assert neighbours_kept(table, angles(0, 1, 5, 5, 90), k=2, ids=[0]).mean == pytest.approx(0.75)
    # Renumbering the tokens changes nothing.
    turned = torch.tensor([4, 3, 2, 1, 0])
    assert neighbours_kept(table[turned], rebuilt[turned], k=2, ids=[4]).mean == pytest.approx(2 / 3)


def test_when_all_tokens_collapse_only_chance_is_left():
    table = torch.randn(101, 8, generator=torch.Generator().manual_seed(0))
    assert neighbours_kept(table, torch.ones(101, 8), k=10).mean == pytest.approx(0.1, abs=1e-6)
    assert neighbours_kept(table, torch.zeros(101, 8), k=10).mean == pytest.approx(0.1, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 60), st.integers(1, 12), st.integers(0, 99))
def test_the_expectation_is_that_of_random_tie_breaking(vocabulary, k, seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(vocabulary, 5))
    rebuilt = rng.normal(size=(4, 5))[rng.integers(0, 4, vocabulary)]  # at most four different rows
    kept = neighbours_kept(table, rebuilt, k=k, ids=[0]).mean
    k = min(k, vocabulary - 1)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    neighbours = set(np.argsort(-(unit @ unit[0])[1:], kind="stable")[:k] + 1)
    unit = rebuilt / np.linalg.norm(rebuilt, axis=1, keepdims=True)
    scores = (unit @ unit[0])[1:].round(6)
    trials = [neighbours & set(np.lexsort((rng.random(vocabulary - 1), -scores))[:k] + 1) for _ in range(400)]
    assert kept == pytest.approx(np.mean([len(trial) for trial in trials]) / k, abs=0.12)


def test_an_unchanged_table_keeps_everything_even_with_equal_rows():
    table = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))[torch.arange(60) % 30]
    table[5] = 0
    assert neighbours_kept(table, table, k=3).mean == 1.0
    assert neighbours_kept(table, 2 * table, k=3).mean == 1.0  # cosine does not see length


def test_all_tokens_are_asked_when_the_sample_is_larger():
    kept = neighbours_kept(angles(0, 1, 2), angles(0, 1, 2), k=10)
    assert (kept.ids.tolist(), kept.k) == ([0, 1, 2], 2)


def test_progress_can_cancel():
    with pytest.raises(Cancelled):
        neighbours_kept(angles(0, 1, 2), angles(0, 1, 2), progress=lambda message: True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((angles(0, 1), angles(0)), "1 x 2 but the table is 2 x 2"),
        ((angles(0), angles(0)), "at least 2"),
        ((angles(0, 1), angles(0, 1), 1, 0), "sample of 0"),
    ],
)
def test_kept_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        neighbours_kept(*arguments)


@pytest.mark.parametrize("factor", [1e-28, 1e28])  # squares of such numbers do not fit float32
def test_scale_does_not_matter(factor):
    table, rebuilt = torch.randn(2, 60, 5, generator=torch.Generator().manual_seed(0)).double()
    expected = neighbours_kept(table, rebuilt, k=5)
    assert 0 < expected.mean < 1
    np.testing.assert_array_equal(neighbours_kept(table * factor, rebuilt * factor, k=5).per_token, expected.per_token)
    found = nearest(table * factor, np.arange(60), 5)
    np.testing.assert_array_equal(found.ids, nearest(table, np.arange(60), 5).ids)


def test_a_neighbour_at_an_equal_distance_is_not_lost():
    """Tokens 1 to 4 are told apart before and are one point after: each of them is as near as the others."""
    table = angles(0, 10, 11, 12, 13, 90, 100)
    rebuilt = angles(0, 12, 12, 12, 12, 90, 90)
    found = compare_neighbours(table, rebuilt, 0, 2)
    assert found.before.ids.tolist() == [[1, 2]]
    assert found.also_after.tolist() == [[True, True]]
    assert found.kept.tolist() == [2]
    assert found.within_reach.tolist() == [4]
    listed = found.after.ids[0].tolist()
    assert set(listed) <= {1, 2, 3, 4}
    assert found.also_before[0].tolist() == [token in (1, 2) for token in listed]


def test_without_ties_what_is_kept_is_the_intersection_of_both_lists():
    generator = np.random.default_rng(0)
    table = generator.normal(size=(200, 6)).astype(np.float32)
    rebuilt = table + 0.3 * generator.normal(size=table.shape).astype(np.float32)
    found = compare_neighbours(table, rebuilt, np.arange(200), 5)
    for before, after, also_after, also_before, kept in zip(
        found.before.ids, found.after.ids, found.also_after, found.also_before, found.kept, strict=True
    ):
        both = set(before) & set(after)
        assert set(before[also_after]) == set(after[also_before]) == both
        assert kept == len(both)
    assert found.kept.mean() / 5 == pytest.approx(neighbours_kept(table, rebuilt, 5).mean)
    np.testing.assert_array_equal(found.after.ids, nearest(rebuilt, np.arange(200), 5).ids)


def test_neighbours_found_before_give_the_same_share():
    generator = torch.Generator().manual_seed(3)
    table = torch.randn(200, 6, generator=generator)
    table[50:60] = table[40:50]  # ties
    changed = table + 0.3 * torch.randn(200, 6, generator=generator)
    before = near_before(table, k=7, sample=60, seed=2)
    once, again = neighbours_kept(table, changed, k=7, sample=60, seed=2), neighbours_kept(table, changed, before=before)
    assert np.array_equal(once.per_token, again.per_token)
    assert np.array_equal(once.ids, again.ids)
    assert (again.k, again.mean) == (7, once.mean)
    cosines = torch.nn.functional.normalize(table) @ torch.nn.functional.normalize(table).T
    for row, token in enumerate(before.ids):
        near = set(before.near[before.starts[row] : before.starts[row + 1]].tolist())
        others = cosines[token].clone()
        others[token] = -2
        assert near == set(torch.nonzero(others >= others.topk(7).values[-1] - 1e-6).flatten().tolist())


def test_neighbours_kept_by_frequency_are_means_of_those_who_were_asked():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(1300, 8)).astype(np.float32)
    kept = neighbours_kept(table, table + 0.3 * rng.normal(size=table.shape).astype(np.float32), 5, sample=600)
    frequencies = rng.random(1300)
    ranks = np.empty(1300, int)
    ranks[np.argsort(-frequencies)] = np.arange(1300)
    first = kept.per_token[ranks[kept.ids] < 1000].mean()
    rest = kept.per_token[ranks[kept.ids] >= 1000].mean()
    found = module.kept_by_frequency(kept, frequencies)
    assert found == pytest.approx({"1 to 1,000": first, "1,001 to 1,300": rest}, rel=1e-6)
    few = neighbours_kept(table, table, 5, ids=np.argsort(-frequencies)[:50])
    assert module.kept_by_frequency(few, frequencies) == {"1 to 1,000": 1.0}  # nobody of the others was asked


def test_alike_tokens_are_found_in_a_table():
    apart = torch.randn(300, 64, generator=torch.Generator().manual_seed(0))
    alike = apart.clone()
    alike[:60] = alike[0] + 0.05 * alike[:60]
    assert module.alike_share(apart) == 0
    assert module.alike_share(alike) == pytest.approx(60 / 300, abs=0.02)
    assert module.alike_share(apart[:1]) == 0
    assert module.alike_share(torch.zeros(10, 4)) == 0  # as near as they are spread
