"""Small whole numbers packed in bits, as the saved file keeps codes: ceil(log2 Q) bits each, nothing between them.

N numbers of b bits take ceil(N * b / 8) bytes. Eight numbers of at most 8 bits make b whole bytes, the first number in the lowest bits;
of wider numbers the low bytes come first, one after the other, and then what is left of every number, packed in the same way.

Numbers that are not all equally frequent take less in :func:`coded`, a Huffman code for every column: a raw deflate stream without any
repetitions (RFC 1951), which zlib writes and reads. Of product codes that is 2 to 6 % less, of codes of equally full clusters nothing.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from ..base.errors import InputError
from ..base.lazy import lazy_module

np = lazy_module("numpy")

WIDEST = 24  # bits of a number
_AT_ONCE = 2**20  # numbers packed together, so that the copies in between stay small


def packed_bytes(count: int, bits: int) -> int:
    """How many bytes ``count`` numbers of ``bits`` bits take.

    >>> packed_bytes(30522 * 3, 5)
    57229
    """
    return -(-count * bits // 8)


def pack(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers from 0 to 2 ** bits - 1, of any shape, row by row: (ceil(N * bits / 8),) uint8.

    >>> import numpy as np
    >>> pack(np.array([1, 2, 3]), 2).tolist()  # 3, 2, 1 in binary: 11 10 01
    [57]
    """
    _check_bits(bits)
    flat = np.asarray(numbers).reshape(-1)
    if bits > 8:
        low = (flat & 255).astype(np.uint8)
        return np.concatenate([low, pack(flat >> 8, bits - 8)])
    if bits == 8:
        return flat.astype(np.uint8)
    parts = [_packed(flat[start : start + _AT_ONCE], bits) for start in range(0, len(flat), _AT_ONCE)]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


def unpack(packed: np.ndarray, count: int, bits: int) -> np.ndarray:
    """The inverse of :func:`pack`: (count,) uint8, uint16 for more than 8 bits, uint32 for more than 16. Raises InputError for another number of bytes.

    >>> import numpy as np
    >>> unpack(np.array([57], np.uint8), 3, 2).tolist()
    [1, 2, 3]
    """
    _check_bits(bits)
    packed = np.ascontiguousarray(packed, np.uint8)
    if packed.shape != (packed_bytes(count, bits),):
        raise InputError(f"{count} numbers of {bits} bits take {packed_bytes(count, bits)} bytes, not {packed.size}")
    if bits > 8:
        wide = np.uint16 if bits <= 16 else np.uint32
        return packed[:count] | unpack(packed[count:], count, bits - 8).astype(wide) << wide(8)
    if bits == 8:
        return packed.copy()
    numbers = np.empty(count, np.uint8)
    for start in range(0, count, _AT_ONCE):
        end = min(start + _AT_ONCE, count)
        numbers[start:end] = _unpacked(packed[start * bits // 8 : packed_bytes(end, bits)], end - start, bits)
    return numbers


def _check_bits(bits: int) -> None:
    if not 0 <= bits <= WIDEST:
        raise InputError(f"numbers of {bits} bits cannot be packed; it must be 0 to {WIDEST}")


def _packed(flat: np.ndarray, bits: int) -> np.ndarray:
    """Numbers of at most 7 bits: eight of them side by side in a 64-bit word, of which ``bits`` bytes are kept."""
    eights = np.zeros((-(-len(flat) // 8), 8), np.uint8)
    eights.reshape(-1)[: len(flat)] = flat
    words = np.zeros(len(eights), "<u8")
    for place in range(8):
        words |= eights[:, place].astype("<u8") << np.uint64(place * bits)
    return words.view(np.uint8).reshape(-1, 8)[:, :bits].reshape(-1)[: packed_bytes(len(flat), bits)]


def _unpacked(packed: np.ndarray, count: int, bits: int) -> np.ndarray:
    whole = -(-count // 8)
    bytes_ = np.zeros((whole, 8), np.uint8)
    filled = np.zeros(whole * bits, np.uint8)
    filled[: len(packed)] = packed
    bytes_[:, :bits] = filled.reshape(whole, bits)
    words = bytes_.view("<u8").reshape(-1)
    mask = np.uint64(2**bits - 1)
    numbers = np.empty((whole, 8), np.uint8)
    for place in range(8):
        numbers[:, place] = words >> np.uint64(place * bits) & mask
    return numbers.reshape(-1)[:count]


# Codes by how frequent they are


class CodesIn(NamedTuple):
    """Where packed codes lie in the tensors of a saved result."""

    tensor: str  # its name; (n,) uint8
    start: int  # the first of their bytes
    count: int  # how many numbers there are
    columns: int  # numbers of a token; each column has a code of its own
    bits: int  # of a number, at most 16

    @property
    def end(self) -> int:
        return self.start + packed_bytes(self.count, self.bits)


def coded(packed: np.ndarray, codes: CodesIn) -> bytes:
    """What :func:`pack` made, column by column in as few bits as their frequencies allow."""
    numbers = unpack(packed, codes.count, codes.bits).reshape(-1, codes.columns)
    streams = []
    for column in numbers.T:
        for shift in range(0, codes.bits, 8):
            stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
            streams += [stream.compress((column >> shift & 255).astype(np.uint8).tobytes()), stream.flush()]
    return b"".join(streams)


def decoded(content: bytes, codes: CodesIn) -> np.ndarray:
    """The inverse of :func:`coded`: (n,) uint8. Raises InputError for anything that it did not write; takes no more memory than the codes."""
    rows = codes.count // codes.columns
    numbers = np.zeros((rows, codes.columns), np.uint16)
    for column in range(codes.columns):
        for shift in range(0, codes.bits, 8):
            stream = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                found = stream.decompress(content, rows + 1)
            except zlib.error as error:
                raise InputError(f"the codes of {codes.tensor} are damaged: {error}") from error
            if len(found) != rows or not stream.eof:
                raise InputError(f"the codes of {codes.tensor} are damaged: column {column} does not have {rows} of them")
            content = stream.unused_data
            numbers[:, column] |= np.frombuffer(found, np.uint8).astype(np.uint16) << np.uint16(shift)
    if content:
        raise InputError(f"the codes of {codes.tensor} are damaged: {len(content)} bytes are left over")
    if int(numbers.max(initial=0)) >> codes.bits:
        raise InputError(f"the codes of {codes.tensor} are damaged: one of them has more than {codes.bits} bits")
    return pack(numbers, codes.bits)
