import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subemb.codec import compress, kernels
from subemb.codec.blocks import Blocks, added_codewords, exact_codebooks, less_codewords, nearest_codes
from subemb.codec.kmeans import Monitor, kmeans, sampled_start
from subemb.codec.nearest import nearest
from subemb.codec.rounds import passes, plan


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 70), st.integers(1, 11), st.integers(1, 19), st.booleans(), st.integers(0, 99))
def test_one_step_agrees_with_the_naive_one(groups, vocabulary, width, size, weighted, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(groups, vocabulary, width, generator=generator)
    books = torch.randn(groups, size, width, generator=generator)
    weights = torch.rand(vocabulary, generator=generator) if weighted else None
    codes, distances, sums, totals = nearest(x, books, weights)
    apart = (x[:, :, None] - books[:, None]).square().sum(-1)
    torch.testing.assert_close(distances, apart.amin(-1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(apart.gather(2, codes.long()[..., None])[..., 0], apart.amin(-1), rtol=1e-4, atol=1e-5)
    pull = torch.ones(vocabulary) if weights is None else weights
    member = torch.nn.functional.one_hot(codes.long(), size).double() * pull[:, None]
    torch.testing.assert_close(totals, member.sum(1))
    torch.testing.assert_close(sums, member.mT @ x.double(), rtol=1e-4, atol=1e-5)


def test_codes_agree_with_faiss():
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    x, book = rng.normal(size=(3000, 20)).astype(np.float32), rng.normal(size=(61, 20)).astype(np.float32)
    index = faiss.IndexFlatL2(20)
    index.add(book)
    distances, codes = index.search(x, 1)
    ours, apart = nearest_codes(torch.from_numpy(x)[None], torch.from_numpy(book)[None])
    assert (ours[0].numpy() == codes[:, 0]).mean() > 0.999  # ties in the last digit
    np.testing.assert_allclose(apart[0].numpy(), distances[:, 0], rtol=1e-4, atol=1e-4)


def test_any_number_of_threads_gives_the_same_numbers():
    table = torch.randn(5000, 12, generator=torch.Generator().manual_seed(1))
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(compress(table, "product", 3, 8, seed=2))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0].codes, found[1].codes)
    assert all(torch.equal(a, b) for a, b in zip(found[0].codebooks, found[1].codebooks, strict=True))


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_spread_are_those_of_numpy_also_far_from_zero(weighted):
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(2500, 5)) * 1e-2 + [0, 1e3, -1e3, 1, 5]).astype(np.float32)
    w = rng.random(2500) if weighted else np.ones(2500)
    mean, spread = kernels.moments(torch.from_numpy(x), torch.from_numpy(w) if weighted else None)
    expected = np.average(x.astype(np.float64), axis=0, weights=w)
    np.testing.assert_allclose(mean, expected, rtol=1e-12)
    np.testing.assert_allclose(spread, (w[:, None] * np.square(x.astype(np.float64) - expected)).sum(0), rtol=1e-8)


def test_exact_codebooks_are_means_of_members_and_of_all_where_there_are_none():
    table = torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [10.0, 20.0, 30.0]])
    codes = torch.tensor([[0, 1], [0, 1], [2, 0]])
    first, second = exact_codebooks(table, codes, [2, 1], 3, torch.tensor([1.0, 3.0, 1.0]))
    assert first[0].tolist() == [2.5, 3.5]
    assert first[2].tolist() == [10.0, 20.0]
    torch.testing.assert_close(first[1], table[:, :2].mean(0))
    assert second[:2, 0].tolist() == [30.0, 4.5]


def test_rounds_add_up_and_small_tables_take_no_sample():
    for vocabulary, size, iterations in ((250_037, 256, 25), (30_522, 256, 10), (100, 4, 7), (10**6, 2, 1), (10**6, 2, 3)):
        rounds = plan(vocabulary, size, iterations)
        assert sum(count for _, count in rounds) == iterations
        assert rounds[-1][0] is None
        assert rounds[-1][1] >= min(iterations, 2)
        assert all(count > 0 for _, count in rounds)
    assert plan(100, 4, 7) == [(None, 7)]
    assert passes(30_522, 32, 10) == pytest.approx((4 * 1024 + 4 * 8192) / 30_522 + 2)


@pytest.mark.parametrize("weighted", [False, True])
def test_sampled_rounds_say_so_and_end_as_good_as_rounds_on_all_tokens(weighted):
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(3000, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    weights = torch.rand(3000, generator=generator) ** 4 + 1e-3 if weighted else None
    weights = None if weights is None else weights / weights.mean()
    blocks = Blocks.cut(table - table.mean(0), 2, weights)
    which = "weighted_error" if weighted else "error"

    def final(seed, whole):
        draw, monitor = torch.Generator().manual_seed(seed), Monitor(blocks)
        start = [sampled_start(x, 8, weights, draw) for _, x in blocks.groups]
        made = kmeans(blocks, 8, draw, monitor, iterations=12, tolerance=0.0, start=start if whole else None)
        assert made.iterations <= 12  # rounds on a sample may settle
        return monitor.history

    sampled, whole = ([final(seed, way) for seed in range(5)] for way in (False, True))
    # medians over seeds: where k-means starts makes more of a difference than where it looks
    ends = [np.median([history[-1][which] for history in histories]) for histories in (sampled, whole)]
    assert ends[0] < 1.02 * ends[1]
    stages = [step["stage"] for step in sampled[0]]
    assert stages[0] == "k-means on a sample of 256 tokens"
    assert stages[-1] == "k-means"
    assert {step["stage"] for step in whole[0]} == {"k-means"}


@pytest.mark.parametrize("seed", range(6))
def test_assignments_are_the_best_as_scipy_finds_them(seed):
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(seed)
    for _ in range(40):
        n = int(rng.integers(1, 25))
        m = n + int(rng.integers(0, 12))
        # whole numbers: many rows want the same, and many ways are as good
        costs = rng.integers(0, 6, (n, m)).astype(np.float32) if seed % 2 else rng.random((n, m), np.float32)
        columns = np.empty(n, np.int64)
        kernels.assigned(costs, columns)
        assert len(set(columns.tolist())) == n
        best = costs[linear_sum_assignment(costs)].sum()
        assert costs[np.arange(n), columns].sum() == pytest.approx(best, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_costs_and_errors_of_given_codes_agree_with_the_naive_ones(weighted):
    generator = torch.Generator().manual_seed(4)
    x, book = torch.randn(50, 7, generator=generator), torch.randn(11, 7, generator=generator)
    weights = torch.rand(50, generator=generator) if weighted else None
    pull = torch.ones(50) if weights is None else weights
    apart = (x[:, None] - book).square().sum(-1)
    tokens = np.array([3, 1, 49, 3])
    costs = kernels.code_costs(x, tokens, book, weights)
    expected = (apart - apart.amin(1, keepdim=True)) * pull[:, None]
    np.testing.assert_allclose(costs, expected[tokens].numpy(), rtol=1e-4, atol=1e-5)
    codes = torch.randint(11, (50,), generator=generator)
    plain, by_weight = kernels.code_errors(x[None], codes[None], book[None], weights)
    chosen = apart.gather(1, codes[:, None])[:, 0]
    assert plain.item() == pytest.approx(chosen.sum().item(), rel=1e-5)
    assert by_weight.item() == pytest.approx((chosen * pull).sum().item(), rel=1e-5)


def test_rows_joined_from_codebooks_of_different_width_and_length():
    books = [torch.randn(5, 3), torch.randn(4, 2), torch.randn(7, 2)]
    codes = torch.stack([torch.randint(len(book), (300,)) for book in books], 1).to(torch.uint8)
    ids = torch.randint(300, (700,))
    expected = torch.cat([book[codes[ids, i].long()] for i, book in enumerate(books)], 1)
    assert torch.equal(kernels.joined_rows(ids, codes, books), expected)
    with pytest.raises(IndexError):
        kernels.joined_rows(torch.tensor([300]), codes, books)


@pytest.mark.parametrize("positions", [1, 3, 70])
def test_gathered_products_are_sums_over_codes(positions):
    codes = torch.randint(6, (900, 4)).to(torch.uint8)
    products = torch.randn(24, positions)
    expected = products[codes.long() + torch.arange(4) * 6].sum(1)
    torch.testing.assert_close(kernels.gathered_products(codes, products, [0, 6, 12, 18]), expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 4), st.integers(1, 9), st.integers(1, 40), st.integers(0, 99))
def test_stages_are_added_up_and_taken_away_as_torch_does_to_the_last_bit(vocabulary, stages, size, dim, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(vocabulary, dim, generator=generator)
    books = torch.randn(stages, size, dim, generator=generator)
    codes = torch.randint(size, (vocabulary, stages), generator=generator)
    ids = torch.randint(vocabulary, (2 * vocabulary,), generator=generator)
    added, left = books[0][codes[:, 0]], x
    for stage in range(stages):
        added = added + books[stage][codes[:, stage]] if stage else added
        left = left - books[stage][codes[:, stage]]
        x = less_codewords(x, codes[:, stage], books[stage])
    assert torch.equal(x, left)
    assert torch.equal(added_codewords(codes, books), added)
    assert torch.equal(kernels.added_rows(ids, codes.to(torch.uint8), list(books)), added[ids])
    with pytest.raises(IndexError, match="out of range"):
        kernels.added_rows(torch.tensor([vocabulary]), codes, books)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 99))
def test_the_first_of_the_cheapest_is_taken(vocabulary, size, seed):
    generator = torch.Generator().manual_seed(seed)
    gains, prices = torch.randint(4, (vocabulary, size), generator=generator), torch.randint(3, (size,), generator=generator)
    costs = (prices - gains).float().numpy()
    assert kernels.cheapest(gains.float(), prices.float()).tolist() == costs.argmin(1).tolist()
