"""Use of codes: by hand, against scipy, and invariants."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import entropy

from subemb.analysis import code_usage, collision_groups, members, shared_blocks, tokens_by_code
from subemb.analysis import usage as module
from subemb.base.errors import InputError
from subemb.codec.compressed import SubspaceCompressed
from subemb.codec.settings import CompressionSettings

CODES = np.array([[0, 1], [0, 0], [1, 0], [0, 1], [0, 1]])
TABLE = torch.tensor([[0.0, 0.0, 1.0], [3.0, 4.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 4.0], [0.0, 4.0, 1.0]])


def compressed(codes, books, method="product", rotation=None):
    codes = torch.as_tensor(codes).to(torch.uint8)
    settings = CompressionSettings(method, len(books), len(books[0]))
    dim = books[0].shape[1] if method == "residual" else sum(book.shape[1] for book in books)
    return SubspaceCompressed(settings, len(codes), dim, codes, books, rotation=rotation)


def test_usage_by_hand():
    usage = code_usage(CODES, 4)
    assert [count.tolist() for count in usage.counts] == [[4, 1, 0, 0], [2, 3, 0, 0]]
    assert usage.used.tolist() == [2, 2]
    assert usage.entropy[0] == pytest.approx(-(0.8 * np.log2(0.8) + 0.2 * np.log2(0.2)))
    assert usage.entropy_share[0] == pytest.approx(usage.entropy[0] / 2)
    assert usage.perplexity[1] == pytest.approx(2 ** usage.entropy[1])


def test_usage_of_equal_and_single_codes():
    even = code_usage(np.arange(8)[:, None])
    assert (even.entropy[0], even.entropy_share[0], even.perplexity[0]) == (3, 1, 8)
    single = code_usage(np.zeros((5, 1), dtype=int), 1)
    assert (single.entropy[0], single.entropy_share[0], single.perplexity[0]) == (0, 1, 1)
    assert code_usage(np.zeros((5, 1), dtype=int), 4).entropy_share[0] == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
def test_usage_agrees_with_scipy(vocabulary, f, q, seed):
    codes = np.random.default_rng(seed).integers(0, q, (vocabulary, f))
    usage = code_usage(codes, q)
    for i in range(f):
        assert usage.counts[i].sum() == vocabulary
        assert usage.entropy[i] == pytest.approx(entropy(usage.counts[i], base=2), abs=1e-9)


def test_collisions_by_hand():
    (group,) = collision_groups(TABLE, CODES)
    assert group.ids.tolist() == [0, 3, 4]
    assert group.max_distance == pytest.approx(5)  # distances 3, 4, 5
    assert group.mean_distance == pytest.approx(4)
    assert group.compared == 3
    assert collision_groups(TABLE, np.arange(5)[:, None]) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(1, 3), st.integers(0, 99))
def test_collisions_agree_with_the_compressed_table(vocabulary, f, seed):
    draw = torch.Generator().manual_seed(seed)
    table = torch.randn(vocabulary, 6, generator=draw)
    codes = torch.randint(3, (vocabulary, f), generator=draw)
    small = compressed(codes, [torch.randn(3, 6 // f, generator=draw) for _ in range(f)])
    groups = collision_groups(table, small, limit=None)
    assert sum(len(group.ids) for group in groups) == small.colliding_tokens
    assert vocabulary - sum(len(group.ids) - 1 for group in groups) == small.distinct_tuples
    assert [len(group.ids) for group in groups] == sorted((len(group.ids) for group in groups), reverse=True)
    for group in groups:
        assert len(np.unique(codes[group.ids].numpy(), axis=0)) == 1
        assert group.mean_distance == pytest.approx(pdist(table[group.ids].numpy()).mean(), rel=1e-4)
    assert len(collision_groups(table, small, limit=1)) == min(1, len(groups))


def test_large_collisions_are_measured_on_a_part(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_COMPARED", 3)
    (group,) = collision_groups(torch.arange(9.0)[:, None], np.zeros((9, 1), dtype=int))
    assert (len(group.ids), group.compared, group.max_distance) == (9, 3, 8)  # tokens 0, 4 and 8


def test_members_come_nearest_first():
    books = [torch.tensor([[0.0, 3.0], [1.0, 1.0]]), torch.tensor([[0.0], [1.0]])]
    small = compressed(CODES, books)
    found = members(TABLE, small, 0, 0)
    assert found.ids.tolist() == [4, 0, 3, 1]
    np.testing.assert_allclose(found.distances, [1, 3, 3, 10**0.5], rtol=1e-6)
    assert members(TABLE, small, 1, 1).ids.tolist() == [0, 4, 3]


def test_members_of_an_unused_code_are_none():
    found = members(TABLE, compressed(CODES, [torch.zeros(3, 2), torch.zeros(3, 1)]), 1, 2)
    assert (found.ids.tolist(), found.distances.tolist()) == ([], [])


def test_members_with_a_rotation_are_measured_in_its_space():
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0))).Q
    books = [torch.randn(2, 2), torch.randn(2, 1)]
    turned = members(TABLE, compressed(CODES, books, rotation=rotation), 0, 0)
    plain = members(TABLE @ rotation, compressed(CODES, books), 0, 0)
    assert turned.ids.tolist() == plain.ids.tolist()
    np.testing.assert_allclose(turned.distances, plain.distances)


def test_members_of_a_later_stage_see_what_is_left_over():
    books = [torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), torch.tensor([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])]
    found = members(TABLE, compressed(CODES, books, "residual"), 1, 0)
    # token 1: (3, 4, 0) - (0, 0, 1) = (3, 4, -1), from (3, 0, 0) sqrt(17); token 2: (0, 1, 1), sqrt(11)
    assert found.ids.tolist() == [2, 1]
    np.testing.assert_allclose(found.distances, [11**0.5, 17**0.5], rtol=1e-6)


def test_sharing_by_hand():
    assert [ids.tolist() for ids in tokens_by_code(CODES, 0)] == [[1, 3, 4], [3, 4]]
    assert shared_blocks(CODES, 0, [1, 2, 3]).tolist() == [[True, False], [False, False], [True, True]]
    assert shared_blocks(CODES, 0, []).shape == (0, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: code_usage(CODES, 1), "code 1, too large for a codebook of 1"),
        (lambda: code_usage(CODES / 2), "whole numbers"),
        (lambda: collision_groups(TABLE[:2], CODES), "codes of 5 tokens do not fit a table of 2"),
        (lambda: members(TABLE, compressed(CODES, [torch.zeros(2, 3)] * 2), 2, 0), "no subspace 2; choose 0 to 1"),
        (lambda: members(TABLE, compressed(CODES, [torch.zeros(2, 3)] * 2), 0, 7), "no code 7 in subspace 0; choose 0 to 1"),
        (lambda: shared_blocks(CODES, 9, [1]), "no token 9; ids go from 0 to 4"),
        (lambda: tokens_by_code(CODES, -1), "no token -1"),
    ],
)
def test_what_is_not_there_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
