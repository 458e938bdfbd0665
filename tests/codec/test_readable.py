"""The algorithms in plain loops give the same codes as the fast ones, on tables that are small enough for loops."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subemb.base.errors import InputError
from subemb.codec import compress, readable
from subemb.codec.blocks import Blocks, column_means
from subemb.codec.kmeans import sampled_start
from subemb.codec.layers import SubspaceEmbedding
from subemb.codec.methods.arbitrary import arbitrary_codes
from subemb.ui.pages.lesson.toy import CODEBOOK_SIZE, SUBSPACES, toy


def islands(vocabulary: int, dim: int, seed: int) -> torch.Tensor:
    """A table of a few clouds of tokens, as word vectors are."""
    generator = torch.Generator().manual_seed(seed)
    centres = 3 * torch.randn(5, dim, generator=generator)
    return centres[torch.arange(vocabulary) % 5] + torch.randn(vocabulary, dim, generator=generator)


def same_start(table: torch.Tensor, subspaces: int, codebook_size: int, seed: int) -> np.ndarray:
    """(Q, D): the codewords that compress() begins with for this seed, in the table's own units."""
    mean = column_means(table, None)
    centred = (table.double() - mean).float()
    scale = float(torch.linalg.vector_norm(centred, dtype=torch.float64)) / centred.numel() ** 0.5
    blocks = Blocks.cut(centred / scale, subspaces, None)
    generator = torch.Generator().manual_seed(seed)
    books = [sampled_start(x, codebook_size, None, generator) for _, x in blocks.groups]
    joined = torch.cat([book for group in books for book in group], dim=1)
    return (joined.double() * scale + mean).numpy()


def both(method: str, table: torch.Tensor, subspaces: int, codebook_size: int, seed: int):
    """(codes, codebooks) of the plain loops, and the fast result; both until nothing changes any more."""
    start = same_start(table, subspaces, codebook_size, seed)
    plain = getattr(readable, method)(table.double().numpy(), subspaces, start, iterations=200)
    fast = compress(table, method, subspaces, codebook_size, iterations=200, tolerance=0.0, seed=seed)
    return plain, fast


def assert_same(plain, fast) -> None:
    codes, codebooks = plain
    assert fast.codes.tolist() == codes.tolist()
    for i, (book, quick) in enumerate(zip(codebooks, fast.codebooks, strict=True)):
        used = np.unique(codes[:, i])  # a codeword without tokens is nobody's
        assert np.allclose(book[used], quick.numpy()[used], atol=1e-5)


@given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_arbitrary_codes_are_the_same(vocabulary, subspaces, codebook_size):
    if codebook_size**subspaces < vocabulary:
        with pytest.raises(InputError, match="too few"):
            readable.arbitrary(vocabulary, subspaces, codebook_size)
        return
    codes = readable.arbitrary(vocabulary, subspaces, codebook_size)
    assert codes.tolist() == arbitrary_codes(vocabulary, subspaces, codebook_size).tolist()


# Tables and seeds in which no codeword loses all its tokens: the loops leave such a one where it is, the fast code moves it at random.


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("dim", "subspaces", "codebook_size"), [(12, 3, 4), (7, 2, 3), (6, 1, 5)])
def test_product_codes_are_the_same_from_the_same_start(dim, subspaces, codebook_size, seed):
    table = islands(60, dim, seed)
    plain, fast = both("product", table, subspaces, codebook_size, seed)
    assert all(len(np.unique(plain[0][:, i])) == codebook_size for i in range(subspaces)), "a codeword lost all its tokens"
    assert_same(plain, fast)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("vocabulary", "subspaces", "codebook_size"), [(40, 3, 4), (60, 2, 8), (27, 3, 3)])
def test_cluster_codes_are_the_same_where_all_tuples_fit_into_one_box(vocabulary, subspaces, codebook_size, seed):
    table = islands(vocabulary, 12, seed)
    plain, fast = both("cluster", table, subspaces, codebook_size, seed)
    assert fast.history[-1]["stage"] == "exchanging tuples", "nothing collided"
    assert len({tuple(row) for row in plain[0].tolist()}) == vocabulary
    assert_same(plain, fast)


def test_the_table_of_the_lesson_gets_the_same_codes_from_the_fast_code():
    lesson = toy()
    table = torch.tensor(lesson.table, dtype=torch.float32)
    groups = [groups_of(codes) for codes in (lesson.grouped[0], lesson.unique[0])]
    for seed in range(200):  # from a start in which k-means finds the lesson's groups
        fast = compress(table, "product", SUBSPACES, CODEBOOK_SIZE, iterations=50, tolerance=0.0, seed=seed, codebook_bits=32)
        if groups_of(fast.codes.numpy()) == groups[0]:
            break
    assert groups_of(fast.codes.numpy()) == groups[0]
    assert np.allclose(fast.reconstruct().numpy(), lesson.rebuilt(lesson.grouped), atol=1e-5)
    fast = compress(table, "cluster", SUBSPACES, CODEBOOK_SIZE, iterations=50, tolerance=0.0, seed=seed, codebook_bits=32)
    assert groups_of(fast.codes.numpy()) == groups[1]
    assert np.allclose(fast.reconstruct().numpy(), lesson.rebuilt(lesson.unique), atol=1e-5)


def groups_of(codes: np.ndarray) -> list[set[frozenset[int]]]:
    """For each subspace the tokens that have the same code, whatever its number."""
    return [{frozenset(np.flatnonzero(column == code).tolist()) for code in set(column.tolist())} for column in codes.T]


def test_the_steps_can_be_told():
    told = []
    readable.cluster(islands(9, 4, 0).numpy(), 2, islands(9, 4, 0).numpy()[:3], tell=told.append)
    assert any(text.startswith("subspace 1, iteration 1:") for text in told)
    assert told[-1].endswith("9 different tuples for 9 tokens")


@pytest.mark.parametrize(("vocabulary", "dim", "subspaces", "codebook_size"), [(40, 12, 3, 4), (30, 7, 2, 8), (9, 5, 5, 2)])
def test_what_is_rebuilt_its_error_and_its_bytes_are_those_of_the_fast_code(vocabulary, dim, subspaces, codebook_size):
    table = islands(vocabulary, dim, 1)
    fast = compress(table, "product", subspaces, codebook_size, codebook_bits=32)
    rebuilt = readable.rebuild(fast.codes.numpy(), [book.numpy() for book in fast.codebooks])
    assert np.array_equal(rebuilt, fast.reconstruct().numpy())
    error = readable.squared_error(table.double().numpy(), rebuilt)
    assert error == pytest.approx(float((table.double() - fast.reconstruct()).square().sum()))
    size = fast.size()
    counted = readable.count_bytes(vocabulary, dim, subspaces, codebook_size)
    assert counted == (size.original_bytes, size.codebook_bytes, size.code_bits / 8)


def test_adapting_in_small_is_gradient_descent_on_the_codebooks():
    table = islands(12, 7, 2)
    fast = compress(table, "product", 2, 3, codebook_bits=32)
    sentences = [[0, 1, 2], [3, 3, 4, 5], [6], [0, 7, 11]]
    layer = SubspaceEmbedding.from_compressed(fast).double()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.3)
    for _ in range(5):
        optimizer.zero_grad()
        means = [(table[tokens].double().mean(0), layer(torch.tensor(tokens)).mean(0)) for tokens in sentences]
        sum((wanted - found).square().sum() / 2 for wanted, found in means).backward()
        optimizer.step()
    codebooks = [book.double().numpy() for book in fast.codebooks]
    told = []
    moved = readable.adapt(table.double().numpy(), fast.codes.numpy(), codebooks, sentences, 5, 0.3, told.append)
    assert np.allclose(readable.rebuild(fast.codes.numpy(), moved), layer.weight.detach().numpy(), atol=1e-6)
    assert np.array_equal(codebooks[0], fast.codebooks[0].double().numpy()), "what was given was changed"
    assert len(told) == 5


NAMES = ["arbitrary", "product", "cluster", "rebuild", "squared_error", "count_bytes", "adapt", "cut"]


@pytest.mark.parametrize("name", NAMES)
def test_each_fits_on_a_page(name):
    assert len(inspect.getsource(getattr(readable, name)).splitlines()) <= 40
