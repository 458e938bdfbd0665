"""Codes packed in bits: nothing is lost, nothing is wasted, and it is quick enough for the largest tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subemb.base.errors import InputError
from subemb.codec.packing import pack, packed_bytes, unpack


@given(st.integers(0, 24), st.integers(0, 300), st.integers(0, 5))
def test_what_is_packed_is_unpacked_again(bits, count, seed):
    numbers = np.random.default_rng(seed).integers(0, 2**bits, count)
    packed = pack(numbers, bits)
    assert packed.dtype == np.uint8
    assert len(packed) == packed_bytes(count, bits) == -(-count * bits // 8)
    assert unpack(packed, count, bits).tolist() == numbers.tolist()


@given(st.integers(1, 8), st.lists(st.integers(0, 255), max_size=60))
def test_the_bits_lie_side_by_side(bits, numbers):
    """As numpy's packbits puts them, lowest bit first."""
    numbers = np.array(numbers, np.uint8) & (2**bits - 1)
    wanted = np.packbits((numbers[:, None] >> np.arange(bits)) & 1, bitorder="little")
    assert pack(numbers, bits).tolist() == wanted.tolist()


def test_numbers_that_lie_across_the_pieces_packed_together():
    numbers = np.random.default_rng(0).integers(0, 61, 2**20 + 13)
    assert np.array_equal(unpack(pack(numbers, 6), len(numbers), 6), numbers)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="10 numbers of 3 bits take 4 bytes, not 5"):
        unpack(np.zeros(5, np.uint8), 10, 3)
    with pytest.raises(InputError, match="numbers of 25 bits"):
        pack(np.zeros(5, np.int64), 25)
