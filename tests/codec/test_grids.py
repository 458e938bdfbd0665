"""Codebooks in 8 and 16 bits: what is measured is what is stored, and it costs next to nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from subemb.base.errors import InputError
from subemb.codec import compress
from subemb.codec.compression import checked_weights, measured
from subemb.codec.estimates import predicted_size
from subemb.codec.grids import automatic_codebook_bits, from_stored, on_grid, stored_dtype, to_stored
from subemb.codec.layers import SubspaceEmbedding
from subemb.codec.loading import load
from subemb.codec.methods import METHODS
from subemb.codec.settings import CompressionSettings

CODEBOOK_METHODS = [key for key, method in METHODS.items() if method.uses_codebooks]


@given(st.sampled_from([8, 16]), st.integers(0, 1000), st.integers(-100, 120))
def test_rounding_twice_changes_nothing_more(bits, seed, exponent):
    rng = np.random.default_rng(seed)
    book = torch.from_numpy((rng.standard_t(3, (5, 7)) * 2.0**exponent).astype(np.float32))
    once = on_grid(book, bits)
    assert torch.equal(on_grid(once, bits), once)
    numbers, scale = to_stored(once, bits)
    assert numbers.dtype == stored_dtype(bits)
    assert torch.equal(from_stored(numbers, scale), once)


@given(st.integers(0, 200))
def test_no_number_moves_by_more_than_half_a_step(seed):
    book = torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))
    largest = float(book.abs().max())
    assert float((on_grid(book, 8) - book).abs().max()) <= largest / 127 * (0.5 + 0.01)
    assert float((on_grid(book, 16) - book).abs().max()) <= largest * 2.0**-10


def test_rounding_by_hand():
    """127 steps to the largest number, 12.7: whole tenths stay, whatever bfloat16 makes of a tenth."""
    numbers, scale = to_stored(torch.tensor([[12.7, -0.1, 0.0, 6.34]]), 8)
    assert numbers.tolist() == [[127, -1, 0, 63]]
    assert float(scale) == pytest.approx(0.1, rel=2**-8)


@pytest.mark.parametrize("bits", [8, 16])
def test_extremes_stay_finite(bits):
    largest = torch.finfo(torch.float32).max
    for value in (largest, 1e-30, 1e-40, 0.0):
        book = torch.tensor([[value, -value / 2]])
        found = on_grid(book, bits)
        assert bool(torch.isfinite(found).all())
        assert torch.equal(on_grid(found, bits), found)
        assert float((found - book).abs().max()) <= max(value / 100, 1e-35)
    spoilt = torch.tensor([[float("nan"), 1.0]])
    assert on_grid(spoilt, bits) is spoilt


def test_the_automatic_bits_follow_from_the_shape():
    assert automatic_codebook_bits(30522, 384, 3, 32) == 8
    assert automatic_codebook_bits(30522, 384, 96, 64) == 16  # more than 1.25 bits a number
    assert automatic_codebook_bits(30522, 8, 8, 1024) == 32  # more than 8
    assert automatic_codebook_bits(1000, 384, 3, 1000) == 32  # a codeword for every token: exact
    assert automatic_codebook_bits(1000, 16, 3, 32) == 32  # 2 kB
    with pytest.raises(InputError, match="unknown codebook_bits 12; choose one of 8, 16, 32"):
        CompressionSettings("product", codebook_bits=12)


@pytest.mark.slow_after(6)
@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("method", CODEBOOK_METHODS)
def test_a_result_holds_what_will_be_stored(method, bits, tmp_path):
    table = torch.randn(300, 12, generator=torch.Generator().manual_seed(0))
    compressed = compress(table, method, 3, 8, codebook_bits=bits, iterations=3)
    assert compressed.size() == predicted_size(compressed.settings, 300, 12)
    numbers = sum(book.numel() for book in compressed.codebooks)
    assert compressed.size().codebook_bytes == numbers * bits // 8 + (6 if bits < 32 else 0)
    for book in compressed.codebooks:
        assert torch.equal(on_grid(book, bits), book)
        assert bits != 8 or len(book.unique()) <= 255
    compressed.save_pretrained(tmp_path)
    layer = SubspaceEmbedding.from_pretrained(tmp_path)
    assert torch.equal(layer.weight.detach(), compressed.reconstruct())


def test_what_was_trained_is_rounded_when_it_is_kept():
    table = torch.randn(300, 12, generator=torch.Generator().manual_seed(0))
    layer = SubspaceEmbedding.from_compressed(compress(table, "product", 3, 8, codebook_bits=8, iterations=3))
    with torch.no_grad():
        for book in layer.codebooks:
            book.mul_(1.2345)
    kept = layer.to_compressed()
    assert all(torch.equal(on_grid(book.detach(), 8), held) for book, held in zip(layer.codebooks, kept.codebooks, strict=True))
    assert not torch.equal(kept.codebooks[0], layer.codebooks[0])


def test_layers_of_no_settings_keep_every_bit():
    books = [torch.randn(300, 4), torch.randn(300, 4)]
    layer = SubspaceEmbedding(torch.randint(300, (1000, 2)), books)
    assert all(torch.equal(one, other) for one, other in zip(layer.to_compressed().codebooks, books, strict=True))


def test_8_bits_add_less_than_a_thousandth_to_the_error():
    """A table whose variances differ between axes and tokens, at the rates where 8 bits are automatic."""
    rng = np.random.default_rng(0)
    table = (rng.standard_t(5, (3000, 64)) * rng.uniform(0.3, 3, 64)).astype(np.float32)
    for subspaces, size in ((2, 32), (8, 32), (16, 32)):
        exact = compress(table, "product", subspaces, size, codebook_bits=32, iterations=4)
        rounded = compress(table, "product", subspaces, size, iterations=4)
        assert rounded.settings.codebook_bits == 8
        assert rounded.info["error"] < exact.info["error"] * 1.001


FAR_FROM_0 = [
    {"method": "product", "subspaces": 8, "codebook_size": 32},
    {"method": "residual", "subspaces": 3, "codebook_size": 32},
    {"method": "optimized_product", "subspaces": 8, "codebook_size": 32},
    {"tiers": "300:8x32,*:2x32"},
    {"budget": "9 kB"},
]


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("settings", FAR_FROM_0, ids=lambda one: next(iter(one.values())))
def test_numbers_far_from_0_get_codebooks_that_tell_them_apart(settings, tmp_path):
    """One scale serves numbers about 0; of numbers that are all 5 or so, a step of 8 bits would be as large as what tells tokens apart."""
    asked = {"iterations": 3, **settings}
    spread = torch.randn(800, 32, generator=torch.Generator().manual_seed(0))
    about_0, far = compress(spread, **asked), compress(5 + 0.01 * spread, **asked)
    assert about_0.settings.codebook_bits in (8, None)
    assert "rounding" not in about_0.info
    assert far.settings.codebook_bits == 32
    assert far.size() == predicted_size(far.settings, 800, 32)
    found = far.info["rounding"]
    assert found["in"] < 32
    assert 1.01 * found["errors"][0] < found["errors"][1]
    if "budget" in settings:
        assert far.size().total_bytes <= 9000
    else:
        assert far.info["error"] == pytest.approx(about_0.info["error"], rel=0.02)
    far.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path).reconstruct(), far.reconstruct())


def test_the_error_that_rounding_would_have_made_is_the_one_it_makes():
    table = 5 + 0.05 * torch.randn(800, 32, generator=torch.Generator().manual_seed(0))
    weights = torch.rand(800, generator=torch.Generator().manual_seed(1))
    served = compress(table, "product", 8, 32, iterations=3, weights=weights)
    books = [on_grid(book, 8) for book in served.codebooks]
    rounded = measured(table, replace(served, codebooks=books), checked_weights(weights, 800))
    assert served.info["rounding"]["errors"] == pytest.approx(
        [served.info["weighted_error"], rounded["weighted_error"]], rel=0.02
    )


def test_bits_that_differ_from_the_usual_ones_are_kept():
    table = 5 + 0.01 * torch.randn(800, 32, generator=torch.Generator().manual_seed(0))
    wished = compress(table, "product", 8, 32, iterations=3, codebook_bits=16)
    assert wished.settings.codebook_bits == 16
    assert "rounding" not in wished.info
