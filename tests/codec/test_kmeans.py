from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from subemb.base.errors import Cancelled
from subemb.codec import compress
from subemb.codec.blocks import Blocks
from subemb.codec.kmeans import Monitor, kmeans, sampled_start


def run(table, subspaces, size, *, weights=None, seed=0, progress=None, **options):
    table = torch.as_tensor(table, dtype=torch.float32)
    weights = None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    blocks = Blocks.cut(table - table.mean(0), subspaces, weights)
    monitor = Monitor(blocks, progress)
    return kmeans(blocks, size, torch.Generator().manual_seed(seed), monitor, **options), monitor.history


def clumps(seed=0, count=5, each=40, dim=6):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 1, dim)) * 10 + rng.normal(size=(count, each, dim))).reshape(-1, dim)


def test_two_obvious_clusters_by_hand():
    table = [[0.0], [1.0], [10.0], [11.0]]
    result, history = run(table, 1, 2, seed=1)
    codes = result.codes[:, 0].tolist()
    assert codes[0] == codes[1] != codes[2] == codes[3]
    assert sorted((result.codebooks[0].flatten() + 5.5).tolist()) == pytest.approx([0.5, 10.5])
    # squared error 4 x 0.25, over a variance of 2 x (5.5 ** 2 + 4.5 ** 2)
    assert history[-1]["error"] == pytest.approx(1.0 / 101.0, rel=1e-5)


@hypothesis_settings(max_examples=25)
@given(st.integers(2, 60), st.integers(1, 7), st.integers(1, 3), st.integers(1, 8), st.booleans(), st.integers(0, 999))
def test_codes_are_in_range_and_the_error_never_grows(vocabulary, dim, subspaces, size, weighted, seed):
    generator = torch.Generator().manual_seed(seed)
    # few different values: many rows are copies, so that codewords lose all their members
    table = torch.randint(0, 3, (vocabulary, dim), generator=generator).float()
    weights = torch.rand(vocabulary, generator=generator) + 0.01 if weighted else None
    size, subspaces = min(size, vocabulary), min(subspaces, dim)
    result, history = run(table, subspaces, size, weights=weights, seed=seed, tolerance=0.0, iterations=12)
    assert result.codes.shape == (vocabulary, subspaces)
    assert int(result.codes.min()) >= 0
    assert int(result.codes.max()) < size
    errors = [step["weighted_error" if weighted else "error"] for step in history]
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(errors))
    assert all(len(step["per_subspace"]) == subspaces for step in history)


def test_lloyd_steps_agree_with_scikit_learn_from_the_same_start():
    from sklearn.cluster import KMeans

    table = torch.as_tensor(np.random.default_rng(3).normal(size=(300, 8)), dtype=torch.float32)
    table -= table.mean(0)
    start = table[:6].clone()
    result, history = run(table, 1, 6, start=[start[None]], iterations=40, tolerance=0.0)
    other = KMeans(6, init=start.numpy(), n_init=1, max_iter=200, tol=0.0).fit(table.numpy())
    assert result.codes[:, 0].tolist() == other.labels_.tolist()
    assert history[-1]["error"] * table.square().sum().item() == pytest.approx(other.inertia_, rel=1e-4)


def test_whole_weights_are_the_same_as_repeated_rows():
    rng = np.random.default_rng(4)
    table, counts = rng.normal(size=(60, 4)), rng.integers(1, 5, size=60)
    mean = (table * counts[:, None]).sum(0) / counts.sum()
    start = [torch.as_tensor((table - mean)[None, :5], dtype=torch.float32)]

    def final(rows, weights):
        blocks = Blocks.cut(torch.as_tensor(rows - mean, dtype=torch.float32), 1, weights)
        monitor = Monitor(blocks)
        result = kmeans(blocks, 5, torch.Generator(), monitor, start=start, iterations=30, tolerance=0.0)
        return result, monitor.history[-1]

    weighted, last = final(table, torch.as_tensor(counts, dtype=torch.float32))
    repeated, other = final(np.repeat(table, counts, axis=0), None)
    torch.testing.assert_close(weighted.codebooks[0], repeated.codebooks[0], rtol=1e-4, atol=1e-5)
    assert last["weighted_error"] == pytest.approx(other["error"], rel=1e-4)


def test_subspaces_do_not_influence_each_other():
    table = torch.as_tensor(clumps(dim=7), dtype=torch.float32)
    table -= table.mean(0)
    start = [torch.stack([table[:4, :3], table[4:8, 3:6]]), table[None, 8:12, 6:]]
    # 7 axes in 3 subspaces: widths 3, 2, 2
    blocks = Blocks.cut(table, 3, None)
    assert blocks.widths == [3, 2, 2]
    start = [blocks.axis(0)[None, :4], torch.stack([blocks.axis(1)[4:8], blocks.axis(2)[8:12]])]
    together = kmeans(blocks, 4, torch.Generator(), Monitor(blocks), start=start, iterations=5, tolerance=0.0)
    for i, first in enumerate((start[0], start[1][:1], start[1][1:])):
        alone_blocks = Blocks.cut(blocks.axis(i), 1, None)
        alone = kmeans(alone_blocks, 4, torch.Generator(), Monitor(alone_blocks), start=[first], iterations=5, tolerance=0.0)
        assert torch.equal(alone.codes[:, 0], together.codes[:, i])


def test_a_codeword_without_members_is_put_to_use():
    table = torch.tensor([[0.0], [0.1], [5.0], [5.1], [9.0]])
    far = torch.tensor([[[0.0], [100.0], [200.0]]])
    result, history = run(table, 1, 3, start=[far], iterations=20, tolerance=0.0)
    assert len(set(result.codes[:, 0].tolist())) == 3
    assert history[-1]["error"] < 1e-3


def test_as_many_codewords_as_tokens_is_exact():
    result, history = run(clumps(count=2, each=3), 2, 6)
    assert result.stop == "exact"
    assert history[-1]["error"] == 0.0


def test_a_table_of_equal_rows_has_no_error():
    _, history = run(np.ones((9, 4)), 2, 3)
    assert history[-1]["error"] == 0.0


def test_equal_seeds_give_equal_results_and_tolerance_stops_early():
    table = clumps()
    first, history = run(table, 2, 6, seed=5)
    again, _ = run(table, 2, 6, seed=5)
    assert torch.equal(first.codes, again.codes)
    assert first.stop == "tolerance"
    assert first.iterations == len(history) < 25
    assert run(table, 2, 6, seed=5, iterations=1)[0].stop == "iterations"


def test_heavy_tokens_are_drawn_first():
    x = torch.arange(1000.0).view(1, 1000, 1)
    weights = torch.full((1000,), 1e-6)
    weights[:5] = 1.0
    start = sampled_start(x, 5, weights, torch.Generator().manual_seed(0))
    assert sorted(start.flatten().tolist()) == [0, 1, 2, 3, 4]


def test_every_iteration_is_reported_and_can_stop_the_work():
    messages = []

    def stop_at_three(message):
        messages.append(message)
        return message.values["iteration"] == 3

    with pytest.raises(Cancelled):
        run(clumps(), 2, 6, progress=stop_at_three, tolerance=0.0)
    assert [message.values["iteration"] for message in messages] == [1, 2, 3]
    assert messages[0].fraction < messages[1].fraction < messages[2].fraction
    assert all(type(value) is float for message in messages for value in message.values["per_subspace"])


def test_error_agrees_with_faiss_product_quantization():
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(6)
    # correlated axes and uneven spread, as in a real table
    table = (rng.normal(size=(4000, 24)) @ rng.normal(size=(24, 24)) + rng.standard_t(4, size=(4000, 24))).astype(np.float32)
    table -= table.mean(0)
    other = faiss.ProductQuantizer(24, 3, 5)
    other.train(table)
    theirs = np.square(table - other.decode(other.compute_codes(table))).sum() / np.square(table).sum()
    _, history = run(table, 3, 32, tolerance=0.0)
    assert history[-1]["error"] == pytest.approx(theirs, rel=0.01)


def test_the_error_that_decides_when_to_stop_has_content_of_that_is_minimised():
    x = torch.tensor([[-1.0], [0.0], [1.0]])
    for weights, expected in ((None, 0.5), (torch.tensor([0.5, 0.5, 2.0]), 0.2)):
        monitor = Monitor(Blocks.cut(x, 1, weights))
        weighted = monitor.weighted_variance * 0.2
        assert monitor.record("k-means", 0.5, monitor.plain_variance * 0.5, weighted) == pytest.approx(expected)
        assert monitor.history[0]["error"] == pytest.approx(0.5)


@pytest.mark.parametrize("weighted", [False, True])
def test_errors_of_a_later_stage_on_a_sample_are_of_the_table_too(weighted):
    """Not of what the stages before left: the last round on a sample tells about what the first on all tokens does."""
    draw = torch.Generator().manual_seed(3)
    table, weights = torch.randn(1500, 6, generator=draw), torch.rand(1500, generator=draw) + 0.1 if weighted else None
    history = compress(table, "residual", 3, 8, weights=weights, iterations=8).history
    for stage in (1, 2, 3):
        steps = [step for step in history if step["stage"].startswith(f"stage {stage} of 3")]
        last = max(at for at, step in enumerate(steps) if "sample" in step["stage"])
        for name in ("error", "weighted_error") if weighted else ("error",):
            assert steps[last][name] == pytest.approx(steps[last + 1][name], rel=0.1)
