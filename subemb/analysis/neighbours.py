"""Nearest tokens, exactly, and how many of them survive compression."""

from dataclasses import dataclass

import numpy as np
import torch

from ..base.arguments import Seed, checked
from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..base.shown import Brief
from ..codec.compressed import Compressed
from .rows import Rows, as_table, pieces

METRICS = ("cosine", "euclidean")
RANKS = (1000, 5000, 15_000)  # of token frequency at which a band ends; the last band is the rest
ALIKE = 0.1  # of the mean squared distance of rows from their mean
FEWEST = 20  # tokens asked of a band, of which its share is told
_SCORE_FLOATS = 2**23  # 32 MB of similarities at a time
_TIE = 1e-6  # cosines closer than this are equal: float32 products of equal rows differ by about 1e-7


@dataclass(frozen=True, repr=False)
class Neighbours(Brief):
    """The k nearest tokens of n queries, nearest first."""

    ids: np.ndarray  # (n, k) int64
    scores: np.ndarray  # (n, k) float32, cosines (larger is nearer) or Euclidean distances (smaller is nearer)


@dataclass(frozen=True, repr=False)
class NeighboursCompared(Brief):
    """The k nearest tokens of n queries before and after compression, and which of them are near on the other side too.

    Near is who is as near as the k-th: several tokens may be equally near, and the luck of their ids loses none of them.
    """

    before: Neighbours  # in the original table
    after: Neighbours  # in the reconstruction
    also_after: np.ndarray  # (n, k) bool, of ``before.ids``: after compression still as near as the k-th
    also_before: np.ndarray  # (n, k) bool, of ``after.ids``: was as near as the k-th
    within_reach: np.ndarray  # (n,) int, tokens as near as the k-th after compression: k, or more where some are equally near

    @property
    def kept(self) -> np.ndarray:
        """(n,) how many of the neighbours before are neighbours after."""
        return self.also_after.sum(1)


@dataclass(frozen=True, repr=False)
class NeighboursKept(Brief):
    """Share of nearest neighbours kept."""

    mean: float  # over the tokens asked, 0..1
    per_token: np.ndarray  # (n,) float32
    ids: np.ndarray  # (n,) int64, the tokens asked
    k: int  # neighbours of each


@dataclass(frozen=True, repr=False)
class NearBefore(Brief):
    """Which others were near some tokens in a table: what :func:`neighbours_kept` needs of it, found once for many reconstructions.

    Near is who reaches the k-th largest cosine, so a token has k of them, or more where some are equally near.
    """

    ids: np.ndarray  # (n,) int64, the tokens asked
    k: int  # neighbours of each
    near: np.ndarray  # (m,) int64, the near tokens of all n, one after the other
    starts: np.ndarray  # (n + 1,) int64: those of token i stand at starts[i] to starts[i + 1]

    def rows(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Of the tokens from ``start`` to ``end``: (row, near token) of every pair, rows counted from 0."""
        rows = np.repeat(np.arange(end - start), np.diff(self.starts[start : end + 1]))
        return rows, self.near[self.starts[start] : self.starts[end]]


@torch.no_grad()
@checked
def nearest(
    table: torch.Tensor | np.ndarray,
    queries,
    k: int = 10,
    metric: str = "cosine",
    exclude_self: bool = True,
    progress: ProgressCallback | None = None,
) -> Neighbours:
    """The k rows of a (V, D) table nearest to each query, by brute force in pieces.

    queries: token ids (an int, or (n,) ints), or (n, D) vectors. exclude_self: leave a query's own id out (ids only).
    metric: ``cosine`` (a zero row has cosine 0 with everything) or ``euclidean``.
    k is cut to the number of tokens. Equal scores within the k are ordered by id.

    Raises InputError for an unknown metric, ids outside the table or vectors of another width.
    """
    if metric not in METRICS:
        raise InputError(f"unknown metric {metric!r}; choose one of {', '.join(METRICS)}")
    table = as_table(table)
    ids, vectors = _queries(queries, table)
    exclude = exclude_self and ids is not None
    k = min(_checked_k(k), len(table) - int(exclude))
    prepared = _Prepared(table, metric)
    out_ids = np.empty((len(vectors), k), dtype=np.int64)
    out_scores = np.empty((len(vectors), k), dtype=np.float32)
    for start, end in pieces(len(vectors), len(table), _SCORE_FLOATS):
        report(progress, "finding neighbours", start / len(vectors))
        scores = prepared.scores(vectors[start:end])
        if exclude:
            scores[torch.arange(end - start), ids[start:end]] = -torch.inf
        out_ids[start:end], out_scores[start:end] = _top(scores, k)
    if metric == "euclidean":
        out_scores = _exact_distances(table, vectors, out_ids)
    return Neighbours(out_ids, out_scores)


def alike_share(table: torch.Tensor | np.ndarray, asked: int = 256) -> float:
    """The share of rows that nearly equal another one, 0 to 1, of some rows of a (V, D) table: those of tokens that a model never saw do.

    Nearly: the squared distance is under ALIKE of the mean one of all rows from their mean. asked: how many are looked at, drawn at random.

    >>> apart = 5 * torch.eye(6)
    >>> alike_share(apart), alike_share(torch.cat([apart, apart[:2] + 0.1]))
    (0.0, 0.5)
    """
    table = as_table(table)
    if len(table) < 2:
        return 0.0
    rows = torch.randperm(len(table), generator=torch.Generator().manual_seed(0))[:asked]
    spread = float(table.var(0, correction=0).sum())
    return float((nearest(table, rows, 1, "euclidean").scores ** 2 < ALIKE * spread).mean())


def _top(scores: torch.Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, k) places and values of the k largest of each row; equal ones in the order of their places."""
    top = scores.topk(k, dim=1)
    # topk leaves equal scores in no particular order
    order = np.lexsort((top.indices.numpy(), -top.values.numpy()), axis=1)
    return np.take_along_axis(top.indices.numpy(), order, axis=1), np.take_along_axis(top.values.numpy(), order, axis=1)


@checked
@torch.no_grad()
def compare_neighbours(
    table: torch.Tensor | np.ndarray, reconstruction: Compressed | torch.Tensor | np.ndarray, ids, k: int = 10
) -> NeighboursCompared:
    """The k nearest others (cosine, among all V) of some tokens in a (V, D) table and in its reconstruction, to be shown side by side.

    ids: an int or (n,) ints. k is cut to the number of other tokens.
    Raises InputError for ids outside the table or shapes that do not fit.
    """
    table = as_table(table)
    rebuilt = Rows(reconstruction, tuple(table.shape)).all()
    k = min(_checked_k(k), len(table) - 1)
    asked, _ = _queries(ids, table)
    sides = _Prepared(table, "cosine"), _Prepared(rebuilt, "cosine")
    parts = []
    for start, end in pieces(len(asked), len(table), _SCORE_FLOATS):
        own = asked[start:end]
        before, after = (side.scores(side.rows[own]) for side in sides)
        reached = [_with_ties(scores, own, k)[0].numpy() for scores in (before, after)]  # (n, V) each
        tops = [_top(scores, k) for scores in (before, after)]
        also_after = np.take_along_axis(reached[1], tops[0][0], axis=1)
        also_before = np.take_along_axis(reached[0], tops[1][0], axis=1)
        parts.append((*tops[0], *tops[1], also_after, also_before, np.count_nonzero(reached[1], axis=1)))
    first_ids, first, second_ids, second, also_after, also_before, reach = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return NeighboursCompared(Neighbours(first_ids, first), Neighbours(second_ids, second), also_after, also_before, reach)


@torch.no_grad()
@checked
def neighbours_kept(
    table: torch.Tensor | np.ndarray,
    reconstruction: Compressed | torch.Tensor | np.ndarray,
    k: int = 10,
    sample: int | None = 2000,
    seed: Seed = 0,
    progress: ProgressCallback | None = None,
    ids=None,
    before: NearBefore | None = None,
) -> NeighboursKept:
    """Of a token's k nearest others (cosine, among all V) after compression, the share that were its k nearest before.

    Ties must not be settled by the luck of the ids, since tokens that collide are exactly as near as each other. For a token
    t with cosines s_j in the table and r_j in the reconstruction:

    - j was a neighbour if s_j is at least the k-th largest s (so all of several tokens tied for the last place count);
    - after compression, the k places go to the largest r, and tokens tied for the last places share them in equal parts: the
      expectation over all ways to break the tie. ``kept(t) = (1/k) sum_j P(j gets a place) [j was a neighbour]``.

    Without ties this is the plain overlap of two sets; an unchanged table gives exactly 1.

    sample: how many tokens to ask, drawn by ``seed`` (None: all). ids: ask these instead. before: what :func:`near_before` found in
    this table, in place of k, sample, seed and ids.
    Raises InputError for shapes that do not fit, Cancelled through ``progress``.
    """
    table = as_table(table)
    rebuilt = Rows(reconstruction, tuple(table.shape)).all()
    if before is None:
        before = near_before(table, k, sample, seed, part_of(progress, 0.0, 0.5), ids)
        progress = part_of(progress, 0.5, 1.0)
    asked, k = torch.from_numpy(before.ids), before.k
    if len(asked) and int(asked.max()) >= len(table):
        raise InputError(f"token id {int(asked.max())} is not in this table; ids go from 0 to {len(table) - 1}")
    after = _Prepared(rebuilt, "cosine")
    kept = np.empty(len(asked))
    for start, end in pieces(len(asked), len(table), _SCORE_FLOATS):
        report(progress, "comparing neighbours", start / len(asked), tokens=start)
        own = asked[start:end]
        above, tied = _with_ties(after.scores(rebuilt[own]), own, k, split=True)
        rows, near = before.rows(start, end)
        # naive: places left over for the tied tokens, in equal parts
        places = (k - _count(above)) / _count(tied)
        was_above, was_tied = (np.bincount(rows[mask.numpy()[rows, near]], minlength=len(own)) for mask in (above, tied))
        kept[start:end] = (was_above + places * was_tied) / k
    report(progress, "comparing neighbours", 1.0)
    return NeighboursKept(float(kept.mean()), kept.astype(np.float32), before.ids, k)


def frequency_bands(frequencies: np.ndarray) -> dict[str, np.ndarray]:
    """Tokens by how frequent they are: the ranks of each band in words -> its ids, the most frequent first.

    frequencies: (V,), or any numbers in their order. Of equal ones the lower id is the more frequent.

    >>> {ranks: ids.tolist()[:3] for ranks, ids in frequency_bands(np.arange(1200.0)).items()}
    {'1 to 1,000': [1199, 1198, 1197], '1,001 to 1,200': [199, 198, 197]}
    """
    order = np.argsort(-np.asarray(frequencies), kind="stable")
    ends = [*(end for end in RANKS if end < len(order)), len(order)]
    return {f"{start + 1:,} to {end:,}": order[start:end] for start, end in zip([0, *ends], ends, strict=False)}


def kept_by_frequency(kept: NeighboursKept, frequencies: np.ndarray) -> dict[str, float]:
    """Share of nearest neighbours kept, band by band: of the tokens that were asked, those of each; bands of fewer than FEWEST left out."""
    shares = np.full(len(frequencies), np.nan)
    shares[kept.ids] = kept.per_token
    found = {ranks: shares[ids][~np.isnan(shares[ids])] for ranks, ids in frequency_bands(frequencies).items()}
    return {ranks: float(own.mean()) for ranks, own in found.items() if len(own) >= FEWEST}


@torch.no_grad()
@checked
def near_before(
    table: torch.Tensor | np.ndarray,
    k: int = 10,
    sample: int | None = 2000,
    seed: Seed = 0,
    progress: ProgressCallback | None = None,
    ids=None,
) -> NearBefore:
    """The k nearest others (cosine, among all V) of some tokens, ties included; the arguments are those of :func:`neighbours_kept`."""
    table = as_table(table)
    k = min(_checked_k(k), len(table) - 1)
    if k == 0:
        raise InputError("a table of 1 token has no neighbours; at least 2 are needed")
    asked = _sample(len(table), sample, seed) if ids is None else _queries(ids, table)[0]
    prepared, counts, near = _Prepared(table, "cosine"), [], []
    for start, end in pieces(len(asked), len(table), _SCORE_FLOATS):
        report(progress, "finding neighbours", start / len(asked), tokens=start)
        own = asked[start:end]
        reached = _with_ties(prepared.scores(table[own]), own, k)[0].numpy()
        counts.append(np.count_nonzero(reached, axis=1))
        near.append(np.nonzero(reached)[1])
    report(progress, "finding neighbours", 1.0)
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]) if counts else np.zeros(1, np.int64)
    return NearBefore(asked.numpy(), k, np.concatenate(near) if near else np.zeros(0, np.int64), starts)


def _with_ties(scores: torch.Tensor, own: torch.Tensor, k: int, split: bool = False) -> tuple[torch.Tensor, ...]:
    """Boolean (n, V): scores that reach the k-th largest of their row; or, split, those above it and those tied with it."""
    scores[torch.arange(len(own)), own] = -torch.inf
    last = scores.topk(k, dim=1).values[:, -1:]
    reach = scores >= last - _TIE
    if not split:
        return (reach,)
    above = scores > last + _TIE
    return above, reach & ~above


def _count(mask: torch.Tensor) -> np.ndarray:
    """(n,) how many of each row are true; numpy counts them ten times as fast."""
    return np.count_nonzero(mask.numpy(), axis=1)


class _Prepared:
    """A table made ready for many queries, without a copy of it; scores are larger the nearer."""

    def __init__(self, table: torch.Tensor, metric: str):
        self.metric = metric
        self.rows = table
        norms = _norms(table)
        self.inverse_norms = torch.where(norms > 0, 1.0 / norms, 0.0).float()
        self.half_squares = (norms.square() / 2).float()
        self._buffer: torch.Tensor | None = None

    def scores(self, vectors: torch.Tensor) -> torch.Tensor:
        """(n, D) -> (n, V), overwritten by the next call: fresh memory for each piece would cost more than the product."""
        if self._buffer is None or len(self._buffer) < len(vectors):
            self._buffer = torch.empty(len(vectors), len(self.rows), dtype=torch.float32)
        out = self._buffer[: len(vectors)]
        if self.metric == "cosine":
            return torch.mm(_unit(vectors), self.rows.T, out=out).mul_(self.inverse_norms)
        # ||q - w||^2 = ||q||^2 - 2 (q.w - ||w||^2 / 2): the order of the bracket is the order of nearness
        return torch.addmm(-self.half_squares, vectors, self.rows.T, out=out)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    """Rows of length 1; zero rows stay zero."""
    norms = _norms(vectors)[:, None]
    return vectors / torch.where(norms > 0, norms, 1.0).float()


def _norms(vectors: torch.Tensor) -> torch.Tensor:
    """(n,) float64: in float32 the squares of numbers beyond 1e19 or below 1e-22 are infinite or 0."""
    norms = torch.empty(len(vectors), dtype=torch.float64)
    for start, end in pieces(*vectors.shape):  # torch makes a float64 copy of what it is given
        torch.linalg.vector_norm(vectors[start:end], dim=1, dtype=torch.float64, out=norms[start:end])
    return norms


def _exact_distances(table: torch.Tensor, vectors: torch.Tensor, ids: np.ndarray) -> np.ndarray:
    """(n, k) Euclidean distances, without the rounding of the expanded square."""
    out = np.empty(ids.shape, dtype=np.float32)
    for start, end in pieces(len(ids), ids.shape[1] * table.shape[1]):
        rows = table[torch.from_numpy(ids[start:end])]
        out[start:end] = (rows - vectors[start:end, None]).norm(dim=2).numpy()
    return out


def _queries(queries, table: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
    """(ids or None, vectors) of what was asked."""
    if isinstance(queries, np.ndarray | torch.Tensor) and queries.ndim == 2:
        vectors = as_table(queries, "queries")
        if vectors.shape[1] != table.shape[1]:
            raise InputError(f"queries of {vectors.shape[1]} dimensions do not fit a table of {table.shape[1]}")
        return None, vectors
    try:
        ids = torch.as_tensor(np.atleast_1d(np.asarray(queries)))
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"queries are {queries!r:.80}; give token ids (whole numbers) or a matrix of vectors") from None
    if ids.ndim != 1 or ids.is_floating_point() or ids.dtype == torch.bool:
        raise InputError("queries must be token ids (whole numbers) or a matrix of vectors")
    ids = ids.long()
    outside = ids[(ids < 0) | (ids >= len(table))]
    if len(outside):
        raise InputError(f"token id {int(outside[0])} is not in this table; ids go from 0 to {len(table) - 1}")
    return ids, table[ids]


def _checked_k(k: int) -> int:
    if k < 1:
        raise InputError(f"{k} neighbours cannot be found; ask for at least 1")
    return k


def _sample(vocabulary: int, sample: int | None, seed: int) -> torch.Tensor:
    if sample is not None and sample < 1:
        raise InputError(f"a sample of {sample} tokens is too small; ask for at least 1")
    if sample is None or sample >= vocabulary:
        return torch.arange(vocabulary)
    return torch.from_numpy(np.sort(np.random.default_rng(seed).choice(vocabulary, sample, replace=False)))
