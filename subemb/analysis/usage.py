"""How codes are used: by how many tokens, by which, and by which together."""

from dataclasses import dataclass

import numpy as np
import torch

from ..base.arguments import Count, checked
from ..base.errors import InputError
from ..base.shown import Brief
from ..codec.compressed import Compressed, SubspaceCompressed
from ..codec.methods.tiered import TieredCompressed
from .parts import parts_of
from .rows import as_table

LARGEST_COMPARED = 1000  # members of a collision that are compared pairwise


@dataclass(frozen=True, repr=False)
class CodeUsage(Brief):
    """Use of the codes of every subspace."""

    counts: list[np.ndarray]  # f arrays (Q,) int64, tokens using each code
    used: np.ndarray  # (f,) codes used at all
    entropy: np.ndarray  # (f,) bits, ``-sum_k p_k log2 p_k`` with p_k the share of tokens using code k
    entropy_share: np.ndarray  # (f,) entropy over log2 Q, 1 if all codes are used equally (and for Q = 1)
    perplexity: np.ndarray  # (f,) ``2 ** entropy``: how many equally used codes would have this entropy


@dataclass(frozen=True, repr=False)
class CollisionGroup(Brief):
    """Tokens with the same tuple, which compression makes identical."""

    ids: np.ndarray  # (n,) int64 ascending
    mean_distance: float  # Euclidean, over pairs of their rows in the original table
    max_distance: float  # of the same pairs
    compared: int  # members that were measured; of more than LARGEST_COMPARED, that many spread evenly


@dataclass(frozen=True, repr=False)
class Members(Brief):
    """Tokens using one code, nearest first."""

    ids: np.ndarray  # (n,) int64
    distances: np.ndarray  # (n,) float32, Euclidean, to the shared sub-vector


@checked
def code_usage(codes: SubspaceCompressed | torch.Tensor | np.ndarray, codebook_size: Count | None = None) -> CodeUsage:
    """Use of codes. codes: a compressed table, or (V, f) ints with ``codebook_size`` Q (default: largest code + 1)."""
    matrix = codes_of(codes)
    if isinstance(codes, SubspaceCompressed):
        sizes = [len(book) for book in codes.codebooks]
    else:
        sizes = [codebook_size or int(matrix.max()) + 1] * matrix.shape[1]
    if any(int(matrix[:, i].max()) >= size for i, size in enumerate(sizes)):
        raise InputError(f"there is a code {int(matrix.max())}, too large for a codebook of {max(sizes)}")
    counts = [np.bincount(matrix[:, i], minlength=size) for i, size in enumerate(sizes)]
    shares = [count / len(matrix) for count in counts]
    entropy = np.array([-(share[share > 0] * np.log2(share[share > 0])).sum() for share in shares])
    entropy = np.maximum(entropy, 0.0)  # not -0.0
    largest = np.log2(sizes)
    return CodeUsage(
        counts=counts,
        used=np.array([(count > 0).sum() for count in counts]),
        entropy=entropy,
        entropy_share=np.where(largest > 0, entropy / np.where(largest > 0, largest, 1.0), 1.0),
        perplexity=2.0**entropy,
    )


@checked
def collision_groups(
    table: torch.Tensor | np.ndarray,
    codes: SubspaceCompressed | TieredCompressed | torch.Tensor | np.ndarray,
    limit: Count | None = 100,
) -> list[CollisionGroup]:
    """Groups of at least two tokens with the same tuple, the largest first; at most ``limit`` (None: all).

    Tokens of different tiers are never the same.
    """
    table = as_table(table)
    if isinstance(codes, TieredCompressed):
        parts = [(part.ids, codes_of(part.codes)) for part in parts_of(codes) if part.codes is not None]
        _check_lengths(table, codes.tier)
    else:
        matrix = codes_of(codes)
        _check_lengths(table, matrix)
        parts = [(np.arange(len(matrix)), matrix)]
    runs = (ids[places] for ids, matrix in parts for places in _alike(matrix))
    found = sorted(runs, key=lambda ids: (-len(ids), ids[0]))
    return [_collision(table, ids) for ids in found[:limit]]


@checked
def members(table: torch.Tensor | np.ndarray, compressed: SubspaceCompressed, subspace: int, code: int) -> Members:
    """All tokens using code ``code`` of subspace ``subspace`` (both from 0), nearest to the shared sub-vector first.

    Distances are within the subspace (after the rotation, if there is one); for ``residual``, between what the earlier
    stages left over and the codeword. Raises InputError if there is no such subspace or code.
    """
    table, matrix = as_table(table), codes_of(compressed)
    _check_lengths(table, matrix)
    if not 0 <= subspace < len(compressed.codebooks):
        raise InputError(f"there is no subspace {subspace}; choose 0 to {len(compressed.codebooks) - 1}")
    book = compressed.codebooks[subspace]
    if not 0 <= code < len(book):
        raise InputError(f"there is no code {code} in subspace {subspace}; choose 0 to {len(book) - 1}")
    ids = np.flatnonzero(matrix[:, subspace] == code)
    rows = table[torch.from_numpy(ids)]
    if compressed.is_additive:
        for stage in range(subspace):
            rows = rows - compressed.codebooks[stage][torch.from_numpy(matrix[ids, stage])]
    else:
        if compressed.rotation is not None:
            rows = rows @ compressed.rotation
        start = sum(compressed.widths[:subspace])
        rows = rows[:, start : start + compressed.widths[subspace]]
    distances = (rows - book[code]).norm(dim=1).detach().numpy()
    order = np.argsort(distances, kind="stable")
    return Members(ids[order], distances[order])


@checked
def tokens_by_code(codes: SubspaceCompressed | torch.Tensor | np.ndarray, token: int) -> list[np.ndarray]:
    """Which tokens share each code of a token: f arrays of ids, ascending, without the token itself."""
    matrix = codes_of(codes)
    _check_token(token, matrix)
    sharing = (np.flatnonzero(matrix[:, i] == matrix[token, i]) for i in range(matrix.shape[1]))
    return [ids[ids != token] for ids in sharing]


@checked
def shared_blocks(codes: SubspaceCompressed | torch.Tensor | np.ndarray, token: int, others) -> np.ndarray:
    """Which blocks other tokens share with one: (n, f) bool. Its sum over axis 1 is how many.

    >>> shared_blocks(np.array([[0, 1, 2], [0, 1, 1], [1, 0, 2]]), 0, [1, 2]).sum(1).tolist()
    [2, 1]
    """
    matrix = codes_of(codes)
    try:
        others = np.atleast_1d(np.asarray(others, dtype=np.int64))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"others are {others!r:.80}; give token ids") from None
    for one in (token, *others):
        _check_token(one, matrix)
    return matrix[others] == matrix[token]


def codes_of(codes: SubspaceCompressed | torch.Tensor | np.ndarray) -> np.ndarray:
    """(V, f) int64. Raises InputError for a method without codes."""
    if isinstance(codes, Compressed):
        if not isinstance(codes, SubspaceCompressed):
            raise InputError(f"{codes.settings.method} has no codes; choose a method with codebooks")
        codes = codes.codes
    matrix = np.asarray(codes)
    if matrix.ndim != 2 or 0 in matrix.shape or matrix.dtype.kind not in "iu":
        raise InputError(f"codes must be whole numbers of shape (tokens, subspaces), not {matrix.dtype} {matrix.shape}")
    if matrix.min() < 0:
        raise InputError(f"there is a code {int(matrix.min())}; codes count from 0")
    return matrix.astype(np.int64)


def _alike(matrix: np.ndarray) -> list[np.ndarray]:
    """Rows that are equal, at least two together."""
    _, group, counts = np.unique(matrix, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(group.ravel(), kind="stable")
    return [places for places in np.split(order, np.cumsum(counts)[:-1]) if len(places) > 1]


def _collision(table: torch.Tensor, ids: np.ndarray) -> CollisionGroup:
    chosen = ids
    if len(ids) > LARGEST_COMPARED:
        chosen = ids[np.linspace(0, len(ids) - 1, LARGEST_COMPARED).round().astype(int)]
    distances = torch.nn.functional.pdist(table[torch.from_numpy(chosen)])
    return CollisionGroup(ids, float(distances.mean()), float(distances.max()), len(chosen))


def _check_lengths(table: torch.Tensor, matrix: np.ndarray | torch.Tensor) -> None:
    if len(table) != len(matrix):
        raise InputError(f"codes of {len(matrix)} tokens do not fit a table of {len(table)}")


def _check_token(token: int, matrix: np.ndarray) -> None:
    if not 0 <= token < len(matrix):
        raise InputError(f"there is no token {token}; ids go from 0 to {len(matrix) - 1}")
