"""Codebooks in fewer bits than a float32 has.

Each codebook has one scale, a bfloat16; its numbers are stored as whole numbers from -127 to 127 (8 bits) or as float16 (16 bits), and
stand for themselves times the scale. In memory a result holds these products, so that what is measured is what is stored, and the scale
is found again from the largest number.

What 8 bits cost, in added weighted error on all-MiniLM-L6-v2 (codes by k-means): 0.007 % at f=3, f=8 and f=24 with Q=32, 0.019 % at f=96
Q=32, and 0.094 % at f=96 Q=256, where codes have 2 bits for every number of the table. A scale for every column would take that
to 0.060 %, for up to 12 % more bytes of codebooks. The error of the codes halves with every half bit or so, that of rounding stays,
so above 1.25 bits
codebooks get 16.

One scale a codebook serves numbers about 0, as those of models are. Of a table whose numbers are all 5 or so, and differ by hundredths, a
step is as large as what tells tokens apart. What rounding would add is therefore measured once there are codes (:func:`bits_that_serve`), and
where it is too much codebooks get more bits than the shape alone asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base.lazy import lazy_module
from .sizes import code_bits_each

torch = lazy_module("torch")

CODEBOOK_BITS = (8, 16, 32)
SCALE_BYTES = 2  # a bfloat16
LARGEST_IN_8 = 127
_LARGEST_BELOW_2 = 2 - 2.0**-10  # of float16
# Bits of codes for each number of the table up to which codebooks of 8 and of 16 bits add less than a thousandth to the error.
_RATE_OF_8, _RATE_OF_16 = 1.25, 8
# What rounding may add: a share of the error that codes leave, or one of the table's variance, whichever is more. Of
# all-MiniLM-L6-v2 it adds 0.3 % of what codes leave where these are residual, and at most 0.05 % elsewhere.
ROUNDING_SHARE, ROUNDING_LEAST = 0.01, 1e-3
HARDLY_ANY = 512  # numbers of codebooks up to which they are kept as floats
_LEAST_EXPONENT = -126  # of scales; below it numbers lose precision


def automatic_codebook_bits(vocabulary: int, dim: int, subspaces: int, codebook_size: int) -> int:
    """Bits a number of codebooks that cost nothing on the output, told from the shape alone: see the module's text.

    Where there is a codeword for every token the table is kept exactly, and so are its numbers; and numbers of which there are hardly any
    (2 kB as floats) are not worth rounding.

    >>> [automatic_codebook_bits(30522, 384, f, q) for f, q in ((3, 32), (96, 32), (96, 256), (1, 30522), (1, 1))]
    [8, 8, 16, 32, 32]
    """
    rate = subspaces * code_bits_each(codebook_size) / dim
    if codebook_size >= vocabulary or codebook_size * dim <= HARDLY_ANY or rate > _RATE_OF_16:
        return 32
    return 8 if rate <= _RATE_OF_8 else 16


def bits_that_serve(
    bits: int,
    books: Sequence[torch.Tensor],
    codes: torch.Tensor,
    weights: torch.Tensor | None,
    variance: float,
    left: Callable[[], float],
) -> tuple[int, list[float] | None]:
    """The fewest bits from ``bits`` on with which rounding codebooks adds little; and, where these are more, the error without any rounding
    and what it would have been with ``bits``, as shares of the variance.

    books: f of (Q, d_i) float32. codes: (V, f). weights: (V,) of mean 1, None for equal ones. variance, left(): of the whole table, and what codes
    leave of it with these numbers as they are: weighted squared errors.
    """
    if bits == 32 or not variance > 0 or _rounding_at_most(bits, books) * len(codes) <= ROUNDING_LEAST * variance:
        return bits, None
    w = None if weights is None else weights.double().cpu()
    masses = [torch.bincount(codes[:, i].long().cpu(), w, len(book)).double() for i, book in enumerate(books)]

    def added(more: int) -> float:
        # naive: sum over t of w_t * |row of t - row of t with rounded codebooks| ** 2
        moved = [(book.double() - on_grid(book, more).double()).square().sum(1) for book in books]
        return sum(float(mass @ square) for mass, square in zip(masses, moved, strict=True))

    first = added(bits)
    if first <= ROUNDING_LEAST * variance or first <= ROUNDING_SHARE * (remains := left()):
        return bits, None
    allowed = max(ROUNDING_LEAST * variance, ROUNDING_SHARE * remains)
    enough = next(more for more in CODEBOOK_BITS if more > bits and added(more) <= allowed)
    return enough, [remains / variance, (remains + first) / variance]


def _rounding_at_most(bits: int, books: Sequence[torch.Tensor]) -> float:
    """No row is moved by more, squared: a little over half a step in every number."""
    half = {8: 0.51 / LARGEST_IN_8, 16: 0.51 * 2.0**-10}[bits]
    return sum(book.shape[1] * (float(book.abs().max()) * half) ** 2 for book in books)


def stored_dtype(bits: int) -> torch.dtype:
    """What the numbers of a codebook are in a file."""
    return {8: torch.int8, 16: torch.float16, 32: torch.float32}[bits]


def codebook_bytes(numbers: int, codebooks: int, bits: int) -> int:
    """What codebooks take, scales and all.

    >>> codebook_bytes(32 * 384, 3, 8), codebook_bytes(32 * 384, 3, 32)
    (12294, 49152)
    """
    return numbers * bits // 8 + (codebooks * SCALE_BYTES if bits < 32 else 0)


def on_grid(book: torch.Tensor, bits: int) -> torch.Tensor:
    """The codebook that is stored for this one: the nearest numbers that there are, as float32. Doing it twice changes nothing more.

    What is not finite or not float32 stays as it is; whoever writes it refuses it.
    """
    if bits == 32 or book.dtype != torch.float32 or not book.numel() or not bool(torch.isfinite(book).all()):
        return book
    numbers, scale = to_stored(book, bits)
    return from_stored(numbers, scale)


def to_stored(book: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The numbers of a finite float32 codebook as they are written, same shape, and its scale, a bfloat16 without axes."""
    largest = float(book.abs().max())
    scale = _scale(largest, bits)
    if not scale:
        return torch.zeros_like(book, dtype=stored_dtype(bits)), torch.zeros((), dtype=torch.bfloat16)
    numbers = book.double() / scale
    if bits == 8:
        numbers = numbers.round()
    largest = LARGEST_IN_8 if bits == 8 else _LARGEST_BELOW_2
    return numbers.clamp(-largest, largest).to(stored_dtype(bits)), torch.tensor(scale, dtype=torch.bfloat16)


def from_stored(numbers: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The inverse of :func:`to_stored`: float32."""
    return numbers.float() * scale.float()


def _scale(largest: float, bits: int) -> float:
    """A bfloat16 that is found again from the largest number on its grid; 0 for numbers too small to be scaled.

    8 bits: a 127th of the largest number. Rounding it to the 8 digits of a bfloat16 moves the largest number by less than half a
    step, so its neighbour on the grid is always 127. 16 bits: the power of two at or below the largest number, which divides exactly.
    """
    if largest < 2.0**_LEAST_EXPONENT * LARGEST_IN_8:
        return 0.0
    if bits == 16:
        return 2.0 ** (torch.frexp(torch.tensor(largest))[1].item() - 1)
    scale = torch.tensor(largest / LARGEST_IN_8).to(torch.bfloat16)
    if float(scale) * LARGEST_IN_8 > torch.finfo(torch.float32).max:
        scale = scale * (1 - 2.0**-7)  # one step of a bfloat16 down, where rounding up would make the largest number infinite
    return float(scale)
