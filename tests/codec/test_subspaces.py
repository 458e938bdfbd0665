import pytest
from hypothesis import given
from hypothesis import strategies as st

from subemb.base.errors import InputError
from subemb.codec.subspaces import automatic_codebook_size, checked_codebook_size, subspace_widths


@given(st.integers(1, 2000), st.data())
def test_widths_fill_the_axes_and_differ_by_at_most_one(dim, data):
    subspaces = data.draw(st.integers(1, dim))
    widths = subspace_widths(dim, subspaces)
    assert sum(widths) == dim
    assert len(widths) == subspaces
    assert max(widths) - min(widths) <= 1
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("subspaces", [0, -1, 385])
def test_impossible_numbers_of_subspaces_are_refused_with_the_limits(subspaces):
    with pytest.raises(InputError, match=rf"{subspaces} subspaces.*384 dimensions.*1 to 384"):
        subspace_widths(384, subspaces)


@given(st.integers(1, 10**7), st.integers(1, 400))
def test_automatic_size_is_the_smallest_that_gives_every_token_a_tuple(vocabulary, subspaces):
    size = automatic_codebook_size(vocabulary, subspaces)
    assert size**subspaces >= vocabulary
    assert size == 1 or (size - 1) ** subspaces < vocabulary


def test_automatic_size_of_exact_powers():
    assert automatic_codebook_size(27, 3) == 3
    assert automatic_codebook_size(28, 3) == 4
    assert automatic_codebook_size(30522, 2) == 175
    assert automatic_codebook_size(250037, 3) == 63


def test_codebook_size_is_limited_by_the_vocabulary_and_by_16_bits():
    assert checked_codebook_size(None, 30522, 3) == 32
    assert checked_codebook_size(7, 7, 3) == 7
    with pytest.raises(InputError, match=r"codebook size of 8 .* 7 tokens.* 1 to 7"):
        checked_codebook_size(8, 7, 3)
    with pytest.raises(InputError, match="1 to 65536"):
        checked_codebook_size(65537, 250037, 3)
    with pytest.raises(InputError, match="use more subspaces"):
        checked_codebook_size(None, 250037, 1)
