"""The result of the codebook methods: looking rows up, counting bytes, finding equal tuples."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import any_results, made_result

from subemb.codec.compressed import SubspaceCompressed
from subemb.codec.methods import METHODS
from subemb.codec.settings import CompressionSettings

WITH_CODES = tuple(name for name, method in METHODS.items() if method.uses_codebooks)


def by_hand(method: str = "product", **more) -> SubspaceCompressed:
    """Three tokens, widths 2 and 1, two codewords each; tokens 0 and 2 have the same tuple."""
    books = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0], [6.0]])]
    codes = torch.tensor([[1, 0], [0, 1], [1, 0]], dtype=torch.uint8)
    wanted = CompressionSettings(method, 2, 2, unique=False) if method == "product" else CompressionSettings(method, 2, 2)
    return SubspaceCompressed(wanted, 3, 3, codes, books, **more)


def test_rows_are_codewords_side_by_side():
    assert by_hand().reconstruct().tolist() == [[3, 4, 5], [1, 2, 6], [3, 4, 5]]
    assert by_hand().widths == [2, 1]


def test_rotated_rows_are_turned_back():
    # Codes live in table @ R. This R sends axis 0 to 1, 1 to 2 and 2 to 0, so rows come back with R transposed.
    turn = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert by_hand("optimized_product", rotation=turn).reconstruct()[0].tolist() == [4, 5, 3]
    table = torch.tensor([[4.0, 5.0, 3.0]])
    assert (table @ turn).tolist() == [[3, 4, 5]]


def test_residual_rows_are_codewords_added_up():
    books = [torch.tensor([[1.0, 2.0], [10.0, 20.0]]), torch.tensor([[0.5, 0.0], [0.25, 0.125]])]
    result = SubspaceCompressed(CompressionSettings("residual", 2, 2), 2, 2, torch.tensor([[0, 1], [1, 0]]), books)
    assert result.reconstruct().tolist() == [[1.25, 2.125], [10.5, 20.0]]


def test_tuples_are_counted():
    result = by_hand()
    assert result.distinct_tuples == 2
    assert result.colliding_tokens == 2
    groups = result.tuple_groups().tolist()
    assert groups[0] == groups[2] != groups[1]


@given(any_results(methods=WITH_CODES))
@settings(max_examples=60, deadline=None)
def test_tuple_counts_agree_with_a_dictionary(result):
    seen: dict[tuple, int] = {}
    for row in result.codes.tolist():
        seen[tuple(row)] = seen.get(tuple(row), 0) + 1
    assert result.distinct_tuples == len(seen)
    assert result.colliding_tokens == sum(count for count in seen.values() if count > 1)


@given(any_results(), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_lookup_gives_rows_of_the_reconstruction(result, numbers):
    ids = torch.tensor(numbers) % result.num_embeddings
    whole = result.reconstruct()
    assert (whole.shape, whole.dtype) == ((result.num_embeddings, result.embedding_dim), torch.float32)
    assert torch.allclose(result.lookup(ids), whole[ids], atol=1e-5)
    assert result.lookup(ids.view(1, -1, 1)).shape == (1, len(ids), 1, result.embedding_dim)


@given(any_results(methods=("product", "residual", "cluster", "random")), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_row_made_of_codewords_is_rebuilt_exactly(result, seed):
    """Whatever codes a token gets, it becomes exactly these codewords."""
    generator = torch.Generator().manual_seed(seed)
    picked = torch.randint(result.settings.codebook_size, (1, result.settings.subspaces), generator=generator)
    row = replace(result, codes=picked, num_embeddings=1).reconstruct()[0]
    words = [book[code] for book, code in zip(result.codebooks, picked[0], strict=True)]
    expected = torch.stack(words).sum(0) if result.is_additive else torch.cat(words)
    assert torch.allclose(row, expected, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_ids_of_any_integer_type_name_rows(method, kind):
    """torch would take uint8 ids for a mask."""
    result = made_result(method)
    assert torch.equal(result.lookup(torch.tensor([1, 0, 1], dtype=kind)), result.lookup(torch.tensor([1, 0, 1])))


def test_sizes_by_hand():
    size = made_result("product", vocabulary=100, dim=10, subspaces=3, codebook_size=20).size(model_parameters=5000)
    assert (size.codebook_parameters, size.other_parameters, size.code_bits) == (20 * 10, 0, 100 * 3 * 5)
    assert (size.float_bytes, size.code_bytes, size.total_bytes) == (800, 188, 988)
    assert size.parameter_share == pytest.approx(0.2)
    assert size.total_share == pytest.approx(988 / 4000)
    assert size.compressed_model_bytes == 20_000 - 4000 + 988
    assert size.original_share_of_model == pytest.approx(0.2)
    assert size.share_of_model == pytest.approx(988 / (16_000 + 988))


def test_everything_stored_is_counted():
    assert made_result("arbitrary", 100, 10, 3).size().code_bits == 0  # computed from the id
    assert made_result("random", 100, 10, 3).size().code_bits == 100 * 3 * 3
    assert made_result("optimized_product", 100, 10, 3).size().other_parameters == 100
    assert made_result("residual", 100, 10, 3, 7).size().codebook_parameters == 3 * 7 * 10


@pytest.mark.parametrize("method", METHODS)
def test_sizes_without_the_model_leave_its_share_open(method):
    size = made_result(method).size()
    assert (size.model_bytes, size.compressed_model_bytes, size.share_of_model, size.original_share_of_model) == (None,) * 4
