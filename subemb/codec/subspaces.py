"""How many subspaces, how wide, and how many codewords each: f, d_i and Q of a (V, D) table, in whole numbers."""

from ..base.errors import InputError

LARGEST_CODEBOOK = 65536  # codes must fit in 16 bits
LOOSE_LOAD = 0.25  # tokens per tuple, see is_loose
SMALL_BOX = 64  # tuples: lines, or a few subspaces together where codebooks are tiny
LOOSE_BOX = 4096  # tuples: only tokens that collide meet in a box there, so it can be wide


def subspace_widths(dim: int, subspaces: int) -> list[int]:
    """Widths d_1..d_f of f subspaces of D axes; they differ by at most 1, the wider ones first.

    Raises InputError if f is not between 1 and D.

    >>> subspace_widths(384, 3), subspace_widths(10, 4)
    ([128, 128, 128], [3, 3, 2, 2])
    """
    if not 1 <= subspaces <= dim:
        raise InputError(f"{subspaces} subspaces do not fit a table of {dim} dimensions; choose a number from 1 to {dim}")
    base, wider = divmod(dim, subspaces)
    return [base + 1] * wider + [base] * (subspaces - wider)


def is_loose(vocabulary: int, subspaces: int, codebook_size: int) -> bool:
    """Whether there are so many tuples that most tokens have one of their own.

    >>> is_loose(30522, 3, 32), is_loose(30522, 8, 32)
    (False, True)
    """
    return vocabulary < LOOSE_LOAD * float(codebook_size) ** min(subspaces, 64)


def axes_together(subspaces: int, codebook_size: int, limit: int, wide: bool) -> int:
    """How many subspaces' codes are exchanged together: as many as have ``limit`` tuples at most; at least one, or two if ``wide``.

    >>> axes_together(6, 16, 4096, wide=True), axes_together(6, 61, 64, wide=False), axes_together(1, 9, 4096, wide=True)
    (3, 1, 1)
    """
    together = 1
    while together < subspaces and codebook_size ** (together + 1) <= limit:
        together += 1
    return min(subspaces, max(2, together)) if wide else together


def automatic_codebook_size(vocabulary: int, subspaces: int) -> int:
    """The smallest Q with Q ** f >= V, that is ceil(V ** (1/f)), found in whole numbers (paper, section 3.1).

    >>> automatic_codebook_size(30522, 3), automatic_codebook_size(27, 3), automatic_codebook_size(28, 3)
    (32, 3, 4)
    """
    guess = max(1, round(vocabulary ** (1.0 / subspaces)))
    while guess**subspaces < vocabulary:
        guess += 1
    while guess > 1 and (guess - 1) ** subspaces >= vocabulary:
        guess -= 1
    return guess


def checked_codebook_size(codebook_size: int | None, vocabulary: int, subspaces: int) -> int:
    """Q as given, or automatic for None. Raises InputError outside 1..min(V, 65536)."""
    limit = min(vocabulary, LARGEST_CODEBOOK)
    if codebook_size is None:
        size = automatic_codebook_size(vocabulary, subspaces)
        if size > limit:
            raise InputError(
                f"{subspaces} subspace(s) for {vocabulary} tokens would need a codebook of {size}, more than {limit}; "
                "use more subspaces or give a codebook size"
            )
        return size
    if not 1 <= codebook_size <= limit:
        raise InputError(
            f"a codebook size of {codebook_size} cannot be used with {vocabulary} tokens; "
            f"choose a number from 1 to {limit}, or leave it empty for the automatic size"
        )
    return codebook_size


def has_enough_tuples(vocabulary: int, subspaces: int, codebook_size: int) -> bool:
    """Whether Q ** f >= V. 64 codes of any two codewords are enough for every table, so no larger power is computed.

    >>> has_enough_tuples(30522, 3, 32), has_enough_tuples(30522, 3, 31), has_enough_tuples(2, 100, 1)
    (True, False, False)
    """
    return codebook_size ** min(subspaces, 64) >= vocabulary


def require_enough_tuples(vocabulary: int, subspaces: int, codebook_size: int, purpose: str) -> None:
    """Raises InputError, naming the smallest Q and f that work, unless Q ** f >= V."""
    if has_enough_tuples(vocabulary, subspaces, codebook_size):
        return
    enough = automatic_codebook_size(vocabulary, subspaces)
    message = (
        f"{purpose}: {codebook_size} ** {subspaces} = {codebook_size**subspaces} tuples are too few for {vocabulary} tokens; "
        f"use a codebook size of at least {enough}"
    )
    if codebook_size > 1:
        more = subspaces
        while codebook_size**more < vocabulary:
            more += 1
        message += f", or at least {more} subspaces"
    raise InputError(message)
