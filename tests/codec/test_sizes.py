import numpy as np
import pytest
import torch

from subemb.codec import Size, compress
from subemb.codec.sizes import code_bits_each


def test_code_bits_by_hand():
    assert [code_bits_each(size) for size in (1, 2, 3, 4, 5, 32, 33, 256, 257, 65536)] == [0, 1, 2, 2, 3, 5, 6, 8, 9, 16]


def test_the_paper_counts_floats_and_we_count_codes_too():
    size = Size(30522, 384, codebook_parameters=32 * 384, code_bits=30522 * 3 * 5, model_parameters=22_713_216)
    assert size.parameters == 12288
    assert size.parameter_share == pytest.approx(0.001048, abs=1e-6)
    assert size.code_bytes == 57229  # 457,830 bits, the last byte not full
    assert size.total_bytes == 12288 * 4 + 57229
    assert size.total_share == pytest.approx(0.00227, abs=1e-5)
    assert size.original_share_of_model == pytest.approx(0.516, abs=1e-3)
    assert size.compressed_model_bytes == (22_713_216 - 30522 * 384) * 4 + size.total_bytes


def test_without_the_model_its_share_is_unknown():
    size = Size(10, 4, 8)
    assert size.share_of_model is size.original_share_of_model is size.compressed_model_bytes is None


@pytest.mark.parametrize(
    ("method", "floats", "bits"),
    [
        ("arbitrary", 4 * 10, 0),
        ("random", 4 * 10, 50 * 3 * 2),
        ("cluster", 4 * 10, 50 * 3 * 2),
        ("product", 4 * 10, 50 * 3 * 2),
        ("optimized_product", 4 * 10 + 10 * 10, 50 * 3 * 2),
        ("residual", 3 * 4 * 10, 50 * 3 * 2),
    ],
)
def test_every_method_counts_what_it_stores(method, floats, bits):
    table = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 10)))
    size = compress(table, method, 3, 4, iterations=2).size()
    assert (size.parameters, size.code_bits) == (floats, bits)
