"""Low rank, int8 and int4: cases worked by hand, agreement with numpy and scikit-learn, bounds of the error."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from made_results import BASELINE_FUNCTIONS, made_result

from subemb.base.errors import Cancelled, InputError
from subemb.codec import compress, load
from subemb.codec.compression import checked_sensitivity
from subemb.codec.estimates import predicted_size
from subemb.codec.layers import CompressedEmbedding
from subemb.codec.methods.integers import Int4Compressed
from subemb.codec.methods.low_rank import block_lengths, block_ranks
from subemb.codec.sensitive import definite
from subemb.codec.settings import CompressionSettings

INT8, INT4 = CompressionSettings("int8"), CompressionSettings("int4")
compress_low_rank, compress_int8, compress_int4 = (BASELINE_FUNCTIONS[key] for key in ("low_rank", "int8", "int4"))


def low_rank(rank: int) -> CompressionSettings:
    return CompressionSettings("low_rank", rank=rank)


def relative_error(table: torch.Tensor, rebuilt: torch.Tensor) -> float:
    return float((table - rebuilt).square().sum() / (table - table.mean(0)).square().sum())


# Tables of every magnitude that float32 squares and sums without overflow, many entries equal, some rows constant.
numbers = st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False) | st.sampled_from([0.0, 1.0, -1.0, 2.0**-100, 3.75])
tables = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=70), elements=numbers, fill=numbers)


# int8


def test_int8_by_hand():
    result = compress_int8(torch.tensor([[1.27, -0.634, 0.0], [0.0, 0.0, 0.0]]), INT8)
    assert result.values.tolist() == [[127, -63, 0], [0, 0, 0]]  # -63.4 steps of 0.01
    assert result.row_scale.tolist() == pytest.approx([0.01, 0.0])
    assert result.reconstruct()[0].tolist() == pytest.approx([1.27, -0.63, 0.0])
    assert result.size().code_bits == 2 * 3 * 8
    assert result.size().other_parameters == 2


@pytest.mark.slow
@given(tables)
@settings(max_examples=60, deadline=None)
def test_int8_moves_no_number_by_more_than_half_a_step(table):
    table = torch.from_numpy(table)
    result = compress_int8(table, INT8)
    assert result.values.dtype == torch.int8
    moved = (table.double() - result.reconstruct().double()).abs()
    # A few float32 roundings of the largest magnitude come on top.
    allowed = result.row_scale.double() * 0.5 + table.double().abs().amax(1) * 1e-6 + 1e-40
    assert (moved <= allowed.unsqueeze(1)).all()


# int4


def test_int4_by_hand():
    # Both rows are exactly 16 steps that bfloat16 holds: minimum -1 and step 0.25, minimum 0 and step 2.
    table = torch.tensor([[-1.0, -0.75, 2.75, 0.0, 0.1], [30.0, 0.0, 2.0, 5.1, 28.0]])
    result = compress_int4(table, INT4)
    assert result.minimum.tolist() == [[-1.0], [0.0]]
    assert result.step.tolist() == [[0.25], [2.0]]
    # values 0 1 15 4 4 and 15 0 1 3 14, the even axis in the low half of each byte, the last byte half empty
    assert result.values.tolist() == [[0 + 16 * 1, 15 + 16 * 4, 4], [15 + 16 * 0, 1 + 16 * 3, 14]]
    assert result.reconstruct().tolist() == [[-1.0, -0.75, 2.75, 0.0, 0.0], [30.0, 0.0, 2.0, 6.0, 28.0]]


def test_int4_groups_do_not_see_each_other():
    """The last group is shorter where 32 does not divide D; its own minimum and maximum count."""
    table = torch.cat([torch.linspace(0, 1000, 32), torch.tensor([5.0, 5.0, 5.0])]).unsqueeze(0)
    result = compress_int4(table, INT4)
    assert result.step.shape == (1, 2)
    assert result.reconstruct()[0, 32:].tolist() == [5.0, 5.0, 5.0]
    size = result.size()
    assert (size.other_parameters, size.code_bits) == (2, 18 * 8)  # 35 numbers: 18 bytes
    stored = sum(tensor.numel() * tensor.element_size() for tensor in result.tensors().values())
    assert size.total_bytes == stored


@given(tables)
@settings(max_examples=60, deadline=None)
def test_int4_moves_no_number_by_more_than_half_a_step(table):
    table = torch.from_numpy(table)
    result = compress_int4(table, INT4)
    step = result.step.double().repeat_interleave(32, dim=1)[:, : table.shape[1]]
    moved = (table.double() - result.reconstruct().double()).abs()
    largest = table.double().abs().amax(1, keepdim=True)
    assert (moved <= step * 0.5 + largest * 1e-6 + 1e-38).all()


@pytest.mark.slow
@given(tables)
@settings(max_examples=40, deadline=None)
def test_int4_steps_are_hardly_wider_than_the_group_needs(table):
    table = torch.from_numpy(table)
    result = compress_int4(table, INT4)
    for g in range(result.step.shape[1]):
        group = table[:, 32 * g : 32 * g + 32].double()
        needed = (group.amax(1) - group.amin(1)) / 15
        # bfloat16 keeps 8 bits: the minimum is off by 1/128 of itself at most, the step by 1/128 of itself.
        allowed = (needed + group.amin(1).abs() / 128 / 15) * (1 + 1 / 128) * (1 + 1e-6) + 1e-38
        assert (result.step[:, g].double() <= allowed).all()


def test_int4_keeps_constant_rows_to_five_digits():
    table = torch.tensor([0.1, -1234.567, 1e-20, 1e20, 0.0]).unsqueeze(1).repeat(1, 40)
    assert torch.allclose(compress_int4(table, INT4).reconstruct(), table, rtol=2e-5, atol=0)


def test_int4_beats_one_float32_scale_a_group_at_the_same_bytes():
    table = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))
    groups = table.view(-1, 32)
    scale = groups.abs().amax(1, keepdim=True) / 7
    symmetric = ((groups / scale).round() * scale).view_as(table)
    result = compress_int4(table, INT4)
    assert relative_error(table, result.reconstruct()) < 0.8 * relative_error(table, symmetric)
    assert result.size().total_bytes == 500 * (2 * 4 + 32)


# Low rank


def test_low_rank_by_hand():
    # About the mean (2, 3) the rows are -3, 0 and 3 times (1, 0): one direction is all there is.
    result = compress_low_rank(torch.tensor([[-1.0, 3.0], [2.0, 3.0], [5.0, 3.0]]), low_rank(1))
    assert result.mean.tolist() == [2.0, 3.0]
    assert result.components.tolist() == [[1.0, 0.0]]
    assert result.coefficients.tolist() == [[-3.0], [0.0], [3.0]]
    assert result.size().parameters == 3 + 2 + 2
    assert result.size().code_bits == 0


@pytest.mark.parametrize(("vocabulary", "dim", "rank"), [(200, 17, 5), (9, 30, 4), (64, 8, 8), (40, 1, 1)])
def test_low_rank_agrees_with_numpy(vocabulary, dim, rank):
    table = torch.randn(vocabulary, dim, generator=torch.Generator().manual_seed(1)) * torch.logspace(0, -2, dim) + 3
    exact = table.double().numpy()
    left, values, right = np.linalg.svd(exact - exact.mean(0), full_matrices=False)
    best = (left[:, :rank] * values[:rank]) @ right[:rank] + exact.mean(0)
    result = compress_low_rank(table, low_rank(rank))
    assert np.allclose(result.reconstruct().numpy(), best, atol=1e-5)
    assert np.allclose(np.abs(result.components.numpy() @ right[:rank].T), np.eye(rank), atol=1e-4)


def test_low_rank_agrees_with_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    table = torch.randn(300, 20, generator=torch.Generator().manual_seed(2)) * torch.linspace(3, 0.1, 20)
    pca = decomposition.PCA(n_components=6, svd_solver="full").fit(table.numpy())
    result = compress_low_rank(table, low_rank(6))
    assert np.allclose(result.reconstruct().numpy(), pca.inverse_transform(pca.transform(table.numpy())), atol=1e-4)
    assert np.allclose(np.abs(result.coefficients.numpy()), np.abs(pca.transform(table.numpy())), atol=1e-3)


def test_low_rank_takes_strong_and_weak_directions_apart():
    """A few huge axes, as real tables have, do not drown the others: float64 sums keep 1 beside 10,000."""
    table = torch.randn(400, 10, generator=torch.Generator().manual_seed(3))
    table[:, 0] *= 10_000
    table[:, 1:] *= torch.linspace(1, 0.1, 9)
    exact = np.linalg.svd((table.double() - table.double().mean(0)).numpy(), compute_uv=False)
    left_over = float((table - compress_low_rank(table, low_rank(4)).reconstruct()).double().square().sum())
    assert left_over == pytest.approx((exact[4:] ** 2).sum(), rel=1e-3)


def test_low_rank_of_constant_rows_is_the_mean():
    table = torch.tensor([[1.5, -2.0, 4.0]]).repeat(7, 1)
    assert torch.equal(compress_low_rank(table, low_rank(2)).reconstruct(), table)


def test_low_rank_default_and_limit():
    table = torch.randn(30, 16, generator=torch.Generator().manual_seed(0))
    assert compress_low_rank(table, CompressionSettings("low_rank")).settings.rank == 2  # D // 8
    with pytest.raises(InputError, match=r"rank 17 .* 30 x 16 .* 1 to 16"):
        compress_low_rank(table, low_rank(17))


@given(st.integers(1, 11), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_low_rank_error_falls_with_the_rank(rank, seed):
    table = torch.randn(40, 12, generator=torch.Generator().manual_seed(seed))
    more, less = (relative_error(table, compress_low_rank(table, low_rank(r)).reconstruct()) for r in (rank + 1, rank))
    assert more <= less + 1e-6


@pytest.fixture(scope="module")
def counted():
    """150 tokens of 12 numbers, and weights that fall by a hundred."""
    table = torch.randn(150, 12, generator=torch.Generator().manual_seed(5)) * torch.linspace(2, 0.2, 12) + 1
    weights = torch.logspace(0, -2, 150)[torch.randperm(150, generator=torch.Generator().manual_seed(6))]
    return table, weights / weights.mean()


@pytest.mark.parametrize("sensitive", [False, True])
def test_blocks_of_a_low_rank_agree_with_numpy(counted, sensitive):
    """Every block is the truncated decomposition of sqrt(w) (x - mean) L, with S = L L^T, brought back."""
    table, weights = counted
    root = np.eye(12)
    sensitivity = None
    if sensitive:
        gradients = np.random.default_rng(7).normal(size=(40, 12)) * np.linspace(0.2, 2, 12)
        sensitivity = gradients.T @ gradients
        root = np.linalg.cholesky(definite(checked_sensitivity(sensitivity, 12)).double().numpy())
    result = compress(table, "low_rank", rank=6, weights=weights, sensitivity=sensitivity)
    order = np.argsort(-weights.numpy(), kind="stable")
    rebuilt, start = result.reconstruct().numpy(), 0
    assert result.ranks == block_ranks(6, 150, 12)
    assert result.ranks[0] > 6 > result.ranks[-1] > 0
    for length, rank in zip(block_lengths(150), result.ranks, strict=True):
        tokens = order[start : start + length]
        start += length
        x, w = table.double().numpy()[tokens], weights.double().numpy()[tokens]
        mean = w @ x / w.sum()
        left, values, right = np.linalg.svd(np.sqrt(w)[:, None] * (x - mean) @ root, full_matrices=False)
        best = (left[:, :rank] * values[:rank]) @ right[:rank] @ np.linalg.inv(root) / np.sqrt(w)[:, None] + mean
        apart = np.square(rebuilt[tokens] - best).sum() / np.square(best - mean).sum()
        assert apart < 1e-3, "but for rounding to 8 bits"
    assert result.size().total_bytes <= 6 * (150 + 12) + 4 * 12, "8 bits for each number of a plain decomposition, and its mean"
    assert result.size() == predicted_size(result.settings, 150, 12)


def test_blocks_of_a_low_rank_are_looked_up_saved_and_multiplied(counted, tmp_path):
    table, weights = counted
    result = compress(table, "low_rank", rank=5, weights=weights)
    whole = result.reconstruct()
    ids = torch.tensor([[3, 3], [149, 0], [7, 1]])
    assert torch.allclose(result.lookup(ids), whole[ids], atol=1e-5)
    assert torch.allclose(result.lookup(torch.tensor(5)), whole[5], atol=1e-5)
    with pytest.raises(IndexError):
        result.lookup(torch.tensor([150]))
    hidden = torch.randn(4, 12, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.allclose(result.project(hidden), hidden @ whole.T, atol=1e-4)
    result.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert torch.equal(again.reconstruct(), whole)
    assert again.settings == result.settings
    layer = CompressedEmbedding(result)
    assert torch.allclose(layer(ids), whole[ids], atol=1e-5)
    assert torch.allclose(layer.bfloat16()(ids).float(), whole[ids], atol=0.1)


# All of them


@pytest.mark.parametrize("method", BASELINE_FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_lookup_gives_float32_rows_of_the_reconstruction(method, dtype):
    table = torch.randn(20, 35, generator=torch.Generator().manual_seed(0)).to(dtype)
    result = BASELINE_FUNCTIONS[method](table, CompressionSettings(method))
    whole = result.reconstruct()
    assert (whole.shape, whole.dtype) == ((20, 35), torch.float32)
    ids = torch.tensor([[3, 3], [19, 0], [7, 1]], dtype=torch.int32)
    assert torch.allclose(result.lookup(ids), whole[ids.long()], atol=1e-6)
    assert result.lookup(torch.tensor(5)).shape == (35,)
    assert result.lookup(torch.empty(0, dtype=torch.long)).shape == (0, 35)


@pytest.mark.parametrize("method", BASELINE_FUNCTIONS)
@pytest.mark.parametrize("bad", [-1, 20])
def test_lookup_refuses_ids_outside_the_table(method, bad):
    with pytest.raises(IndexError):
        made_result(method, 20, 35).lookup(torch.tensor([0, bad]))


@pytest.mark.parametrize("method", BASELINE_FUNCTIONS)
def test_chunks_of_rows_change_nothing(method, monkeypatch):
    table = torch.randn(50, 33, generator=torch.Generator().manual_seed(4))
    whole = BASELINE_FUNCTIONS[method](table, CompressionSettings(method)).tensors()
    monkeypatch.setattr("subemb.codec.chunks.CHUNK_ROWS", 7)
    for name, tensor in BASELINE_FUNCTIONS[method](table, CompressionSettings(method)).tensors().items():
        assert torch.allclose(tensor.float(), whole[name].float(), atol=1e-5), name


@pytest.mark.parametrize("method", BASELINE_FUNCTIONS)
def test_progress_rises_to_one_and_can_stop(method, monkeypatch):
    monkeypatch.setattr("subemb.codec.chunks.CHUNK_ROWS", 10)
    monkeypatch.setattr("subemb.codec.methods.trim._AT_ONCE", 100)
    seen = []
    table = torch.randn(35, 8, generator=torch.Generator().manual_seed(0))
    BASELINE_FUNCTIONS[method](table, CompressionSettings(method), lambda message: seen.append(message.fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) >= 4
    with pytest.raises(Cancelled):
        BASELINE_FUNCTIONS[method](table, CompressionSettings(method), lambda message: True)


@pytest.mark.parametrize("method", BASELINE_FUNCTIONS)
def test_project_is_the_product_with_the_reconstruction(method, monkeypatch):
    monkeypatch.setattr("subemb.codec.chunks.CHUNK_ROWS", 16)
    result = made_result(method, 50, 12)
    hidden = torch.randn(4, 12, generator=torch.Generator().manual_seed(0), requires_grad=True)
    dense = hidden.detach().clone().requires_grad_()
    logits, expected = result.project(hidden), dense @ result.reconstruct().T
    assert torch.allclose(logits, expected, atol=1e-5)
    logits.square().sum().backward()
    expected.square().sum().backward()
    assert torch.allclose(hidden.grad, dense.grad, rtol=1e-4, atol=1e-4)


def test_the_table_itself_is_left_alone():
    table = torch.randn(20, 33, generator=torch.Generator().manual_seed(0))
    before = table.clone()
    for method, function in BASELINE_FUNCTIONS.items():
        function(table, CompressionSettings(method))
    assert torch.equal(table, before)


def test_int4_reads_packed_halves_in_order():
    settings_ = INT4.resolve(1, 3)
    one = torch.ones(1, 1, dtype=torch.bfloat16)
    result = Int4Compressed(settings_, 1, 3, torch.tensor([[0x21, 0x03]], dtype=torch.uint8), 0 * one, one)
    assert result.reconstruct().tolist() == [[1.0, 2.0, 3.0]]
