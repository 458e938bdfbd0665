import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from subemb.base.errors import InputError
from subemb.codec.blocks import (
    Blocks,
    _segment_sums,
    codebook_means,
    codebook_sums,
    exact_codebooks,
    nearest_codes,
)
from subemb.codec.methods.arbitrary import arbitrary_codes
from subemb.codec.methods.residual import joint_codebooks


def test_arbitrary_codes_are_the_digits_most_significant_first():
    assert arbitrary_codes(6, 2, 3).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert arbitrary_codes(30522, 3, 32)[30521].tolist() == [29, 25, 25]  # 29 * 1024 + 25 * 32 + 25


@given(st.integers(1, 300), st.integers(1, 6), st.integers(1, 20))
def test_arbitrary_codes_spell_the_id_or_are_refused(vocabulary, subspaces, size):
    if size**subspaces < vocabulary:
        with pytest.raises(InputError, match=f"too few for {vocabulary} tokens"):
            arbitrary_codes(vocabulary, subspaces, size)
        return
    codes = arbitrary_codes(vocabulary, subspaces, size)
    powers = torch.tensor([size ** (subspaces - 1 - i) for i in range(subspaces)])
    assert (codes @ powers).tolist() == list(range(vocabulary))
    assert int(codes.max()) < size


def test_the_refusal_names_what_would_do():
    with pytest.raises(
        InputError, match=r"31 \*\* 3 = 29791 .* 30522 tokens; use a codebook size of at least 32, or .* 4 subsp"
    ):
        arbitrary_codes(30522, 3, 31)
    with pytest.raises(InputError, match=r"codebook size of at least 2$"):
        arbitrary_codes(8, 3, 1)


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 1000))
def test_blocks_hold_the_table_whatever_the_widths(dim, subspaces, seed):
    subspaces = min(subspaces, dim)
    table = torch.randn(7, dim, generator=torch.Generator().manual_seed(seed))
    blocks = Blocks.cut(table, subspaces, None)
    assert len(blocks.groups) <= 2
    torch.testing.assert_close(torch.cat([blocks.axis(i) for i in range(subspaces)], dim=1), table, rtol=0, atol=0)
    codes = torch.arange(7 * subspaces).view(7, subspaces)
    assert torch.equal(blocks.join_codes(blocks.split_codes(codes)), codes)


@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 1000))
def test_nearest_codes_are_nearest(width, size, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 33, width, generator=generator)
    books = torch.randn(2, size, width, generator=generator)
    codes, distances = nearest_codes(x, books, chunk_elements=64)
    every = (x[:, :, None] - books[:, None]).square().sum(-1)
    torch.testing.assert_close(distances, every.amin(-1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(every.gather(2, codes[..., None])[..., 0], every.amin(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [1, 3, 40])
def test_chunk_size_does_not_change_the_codes(width):
    generator = torch.Generator().manual_seed(0)
    x, books = torch.randn(3, 500, width, generator=generator), torch.randn(3, 17, width, generator=generator)
    reference, distances = nearest_codes(x, books, chunk_elements=2**24)
    for elements in (1, 3000, 2**15):
        codes, others = nearest_codes(x, books, chunk_elements=elements)
        assert torch.equal(codes, reference)
        torch.testing.assert_close(others, distances)


def test_means_by_hand_with_weights_and_an_empty_codeword():
    x = torch.tensor([[[0.0], [4.0], [10.0]]])
    codes = torch.tensor([[0, 0, 2]])
    fallback = torch.full((1, 3, 1), -7.0)
    means, totals = codebook_means(x, codes, None, fallback)
    assert means.flatten().tolist() == [2.0, -7.0, 10.0]
    assert totals.flatten().tolist() == [2.0, 0.0, 1.0]
    means, _ = codebook_means(x, codes, torch.tensor([3.0, 1.0, 5.0]), fallback)
    assert means.flatten().tolist() == [1.0, -7.0, 10.0]


def test_sums_in_sorted_segments_are_the_same_sums():
    generator = torch.Generator().manual_seed(1)
    x, codes = torch.randn(1, 200, 5, generator=generator), torch.randint(0, 9, (1, 200), generator=generator)
    codes[codes == 4] = 5  # an empty one
    sums, _ = codebook_sums(x, codes, 9, None)
    torch.testing.assert_close(_segment_sums(x[0], codes[0], 9), sums[0])


def test_codebooks_of_a_table_are_exact_for_single_members_and_the_mean_without_members():
    table = torch.tensor([[0.1, 1e6], [0.3, -1e6], [0.7, 3.3]])
    books = exact_codebooks(table, torch.tensor([[0, 2], [1, 0], [3, 1]]), [1, 1], 4, torch.tensor([0.3, 0.3, 2.4]))
    assert books[0].flatten()[[0, 1, 3]].tolist() == table[:, 0].tolist()
    assert books[1].flatten()[[2, 0, 1]].tolist() == table[:, 1].tolist()
    assert books[0][2].item() == pytest.approx((0.1 + 0.3 + 0.7) / 3)


def test_joint_codebooks_solve_the_least_squares_problem():
    generator = torch.Generator().manual_seed(2)
    x, codes = torch.randn(60, 4, generator=generator), torch.randint(0, 3, (60, 2), generator=generator)
    weights = torch.rand(60, generator=generator) + 0.1
    books = joint_codebooks(x, codes, torch.zeros(2, 3, 4), weights)
    ones = torch.nn.functional.one_hot(codes, 3).view(60, 6).double().numpy()
    root = weights.double().sqrt().numpy()[:, None]
    best = ones @ np.linalg.lstsq(root * ones, root * x.double().numpy(), rcond=None)[0]
    np.testing.assert_allclose((books[0][codes[:, 0]] + books[1][codes[:, 1]]).numpy(), best, atol=1e-4)
