"""The paper's two algorithms and product quantization, and what is done with them, in plain loops: slow, short, to be read in class.

The methods in codec/methods do the same quickly, and tests show that both give the same codes. Each function takes ``tell``, such
as ``print``, and then says every step as it goes:

>>> _ = arbitrary(3, subspaces=2, codebook_size=2, tell=print)
token 0 in base 2 has the digits [0, 0]
token 1 in base 2 has the digits [0, 1]
token 2 in base 2 has the digits [1, 0]

Axis letters: V tokens, D dimensions, f subspaces, Q codebook size, d_i width of subspace i.
"""

import itertools
from collections.abc import Callable

import numpy as np
from scipy.optimize import linear_sum_assignment

from .subspaces import require_enough_tuples, subspace_widths

Tell = Callable[[str], object]


def _silent(text: str) -> None:
    """Says nothing."""


def arbitrary(vocabulary: int, subspaces: int, codebook_size: int, tell: Tell = _silent) -> np.ndarray:
    """Algorithm 1: number the tokens and write each number in base Q; the digits are the codes, (V, f) ints.

    Raises InputError if Q ** f < V: then tokens would share their digits.
    """
    require_enough_tuples(vocabulary, subspaces, codebook_size, "arbitrary codes")
    codes = np.zeros((vocabulary, subspaces), int)
    for token in range(vocabulary):
        rest = token
        for i in reversed(range(subspaces)):  # the last digit comes first
            codes[token, i] = rest % codebook_size
            rest = rest // codebook_size
        tell(f"token {token} in base {codebook_size} has the digits {codes[token].tolist()}")
    return codes


def product(
    table: np.ndarray, subspaces: int, start: np.ndarray, iterations: int = 25, tell: Tell = _silent
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Product quantization: k-means in every subspace on its own. Codes (V, f) ints, and f codebooks (Q, d_i).

    table: (V, D). start: (Q, D) vectors to begin with, such as some rows of the table. A codeword that loses all its tokens stays
    where it is; the fast code moves it to a token that is badly served.
    """
    codes = np.zeros((len(table), subspaces), int)
    codebooks = []
    for i, axes in enumerate(cut(table.shape[1], subspaces)):
        codebook = start[:, axes].copy()
        for iteration in range(iterations):
            before = codes[:, i].copy()
            for token, row in enumerate(table):  # every token takes the nearest codeword
                distances = [((row[axes] - codeword) ** 2).sum() for codeword in codebook]
                codes[token, i] = int(np.argmin(distances))
            for code in range(len(codebook)):  # every codeword moves to the mean of its tokens
                members = codes[:, i] == code
                if members.any():
                    codebook[code] = table[members][:, axes].mean(axis=0)
            moved = int((codes[:, i] != before).sum())
            tell(f"subspace {i}, iteration {iteration + 1}: {moved} of {len(table)} tokens change their codeword")
            if iteration > 0 and moved == 0:
                break
        codebooks.append(codebook)
    return codes, codebooks


def cluster(
    table: np.ndarray, subspaces: int, start: np.ndarray, iterations: int = 25, tell: Tell = _silent
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Algorithm 2: :func:`product`, and then no two tokens may have the same tuple of codes. Returns the same as that.

    Tuples are like seats: there are Q ** f of them, each costs a token its squared error there, and the tokens are seated so that all
    of them together lose least. The fast code seats only tokens together whose tuples are alike, box by box, because V x Q ** f prices
    are too many for a real table; where everything fits into one box, both are the same. Raises InputError if Q ** f < V.
    """
    codes, codebooks = product(table, subspaces, start, iterations, tell)
    require_enough_tuples(*codes.shape, len(start), "unique tuples")
    seats = list(itertools.product(range(len(start)), repeat=subspaces))
    axes = cut(table.shape[1], subspaces)
    for turn in range(iterations):
        distinct = len({tuple(row) for row in codes.tolist()})
        tell(f"round {turn}: {distinct} different tuples for {len(table)} tokens")
        if turn == 0 and distinct == len(table):
            break
        prices = np.zeros((len(table), len(seats)))
        for token, row in enumerate(table):
            for k, seat in enumerate(seats):
                prices[token, k] = sum(((row[axes[i]] - codebooks[i][code]) ** 2).sum() for i, code in enumerate(seat))
        before, codes = codes, np.array([seats[k] for k in linear_sum_assignment(prices)[1]])
        if (codes == before).all():
            break
        for i, codebook in enumerate(codebooks):  # every codeword moves to the mean of its tokens
            for code in set(codes[:, i].tolist()):
                codebook[code] = table[codes[:, i] == code][:, axes[i]].mean(axis=0)
    return codes, codebooks


def rebuild(codes: np.ndarray, codebooks: list[np.ndarray], tell: Tell = _silent) -> np.ndarray:
    """The reconstruction (V, D): every token's codewords, joined. codes: (V, f) ints. codebooks: f of (Q, d_i)."""
    rebuilt = []
    for token, tuple_of_codes in enumerate(codes.tolist()):
        parts = [codebooks[i][code] for i, code in enumerate(tuple_of_codes)]
        rebuilt.append(np.concatenate(parts))
        tell(f"token {token} has the codes {tuple_of_codes}: {rebuilt[-1].tolist()}")
    return np.array(rebuilt)


def squared_error(table: np.ndarray, rebuilt: np.ndarray, tell: Tell = _silent) -> float:
    """The sum of all squared differences of a table and its reconstruction, both (V, D)."""
    total = 0.0
    for token, row in enumerate(table):
        difference = row - rebuilt[token]
        error = (difference**2).sum()
        tell(f"token {token} is off by {difference.tolist()}: {error:g}")
        total = total + error
    return float(total)


def count_bytes(
    vocabulary: int, dim: int, subspaces: int, codebook_size: int, tell: Tell = _silent
) -> tuple[float, float, float]:
    """Bytes of the table, of all codebooks, and of all codes, packed. A float takes 4 bytes."""
    table = vocabulary * dim * 4
    codebooks = codebook_size * dim * 4  # f codebooks of Q x d_i, and the widths d_i add up to D
    bits = (codebook_size - 1).bit_length()  # ceil(log2 Q)
    codes = vocabulary * subspaces * bits / 8
    tell(f"the table: {vocabulary} x {dim} floats of 4 bytes = {table:,} bytes")
    tell(f"codebooks: {codebook_size} x {dim} floats of 4 bytes = {codebooks:,} bytes")
    tell(f"codes: {vocabulary} x {subspaces} codes of {bits} bits = {codes:,g} bytes")
    return table, codebooks, codes


def adapt(
    table: np.ndarray,
    codes: np.ndarray,
    codebooks: list[np.ndarray],
    sentences: list[list[int]],
    rounds: int = 50,
    rate: float = 0.5,
    tell: Tell = _silent,
) -> list[np.ndarray]:
    """Adaptation in small: codewords move until sentences, not tokens, are where they were. Returns new codebooks, f of (Q, d_i).

    sentences: lists of token ids; the vector of a sentence is the mean of its tokens' vectors, and no network stands behind it. Every
    round is one step of gradient descent on half the squared differences of all sentences. The real adaptation does the same through a
    network, and finds better codes first.
    """
    codebooks = [codebook.copy() for codebook in codebooks]
    for turn in range(rounds):
        rebuilt = rebuild(codes, codebooks)
        error = 0.0
        for tokens in sentences:
            difference = table[tokens].mean(axis=0) - rebuilt[tokens].mean(axis=0)
            error = error + (difference**2).sum()
            for token in tokens:  # each of its codewords goes a little of the way
                for i, axes in enumerate(cut(table.shape[1], len(codebooks))):
                    codebooks[i][codes[token, i]] += rate * difference[axes] / len(tokens)
        tell(f"round {turn}: the sentences are off by {error:.3f}")
    return codebooks


def cut(dim: int, subspaces: int) -> list[slice]:
    """The axes of every subspace.

    >>> cut(10, 3)
    [slice(0, 4, None), slice(4, 7, None), slice(7, 10, None)]
    """
    ends = np.cumsum(subspace_widths(dim, subspaces)).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
