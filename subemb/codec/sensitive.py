"""Codes chosen together, by what the output notices of their errors.

Plain k-means treats all axes alike, and so minimises an error that the network may not notice. Here an error r of one token's
embedding costs r^T S r with the **sensitivity** S, a (D, D) matrix that :mod:`subemb.models.sensitivity` measures: a Fisher information
(its diagonal alone: weighted low-rank factorisation, Hsu et al., ICLR 2022, arXiv 2207.00112). Its diagonal stretches the axes in
which k-means starts; then :func:`joint_codes` uses the whole matrix, so that subspaces make up for each other.

Choosing codes together: the error of a token is (x - y)^T M (x - y) for its vector x, its reconstruction y and a (D, D) matrix M.
With M diagonal every subspace is on its own; else its codes and codebook are found while the others stay as they are, one subspace
after the other (block coordinate descent; for codes that add up: iterated conditional modes, Martinez et al., ECCV 2016). For
subspace b the error is, up to a constant, (t - c)^T M_bb (t - c) with

    t = x_b + M_bb^-1 M_bo (x_o - y_o),    o: all other axes,

so c is the nearest codeword to t, and a codeword is the mean of the t of its members. No step raises the error.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..base.deadline import Deadline
from ..base.progress import Progress, ProgressCallback, report
from .kmeans import share
from .unique import LARGE_BOX, exchange, linear_hash

BETWEEN_AXES = 0.9  # how much of S off its diagonal counts
LEAST = 1e-3  # what every axis counts, its mean being 1
SWEEPS = 10  # over all subspaces, at most
ENOUGH = 2e-3  # a sweep has to lower the error by this share for another one to follow
_CHUNK = 2**16  # tokens whose vectors are held at once


class Metric:
    """M, cut into the parts that each subspace needs. matrix: (D, D), symmetric, positive definite. widths: d_i, adding up to D."""

    def __init__(self, matrix: torch.Tensor, widths: Sequence[int]):
        self.matrix = matrix
        ends = np.cumsum(widths).tolist()
        self.slices = [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]
        self.inner = [matrix[part, part] for part in self.slices]
        self.factors = [torch.linalg.cholesky(inner) for inner in self.inner]
        self._pulls = []
        for part, inner in zip(self.slices, self.inner, strict=True):
            others = matrix[part].clone()
            others[:, part] = 0
            self._pulls.append(torch.linalg.solve(inner, others).T.contiguous())  # (D, d)

    def targets(self, axis: int, wanted: torch.Tensor, apart: torch.Tensor) -> torch.Tensor:
        """t, (n, d), of (n, D) vectors; apart: (n, D), the vectors less their reconstructions."""
        return wanted[:, self.slices[axis]] + apart @ self._pulls[axis]

    def costs(self, axis: int, targets: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
        """(n, Q): what each codeword costs, up to a constant of the row."""
        gains, prices = self._gains(axis, targets, book)
        return prices - gains

    def _gains(self, axis: int, targets: torch.Tensor, book: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, Q) and (Q,): costs are the second less the first."""
        factor = self.factors[axis]
        codewords = book @ factor
        return 2 * (targets @ factor) @ codewords.T, codewords.square().sum(1)

    def nearest(self, axis: int, targets: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
        """(n,) codes."""
        from .kernels import cheapest

        return torch.cat([cheapest(*self._gains(axis, targets[rows], book)) for rows in _chunks(len(targets))])

    def weight(self, vectors: torch.Tensor, weights: torch.Tensor) -> float:
        """Sum of w r^T M r over (n, D) vectors r with (n,) weights w."""
        parts = (weights[rows] * noticed(vectors[rows], self.matrix) for rows in _chunks(len(vectors)))
        return sum(float(part.sum()) for part in parts)


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, count, _CHUNK))


def looked_up(codes: torch.Tensor, books: Sequence[torch.Tensor]) -> torch.Tensor:
    """The vectors (n, D) that (n, f) codes stand for."""
    return torch.cat([book[codes[:, axis]] for axis, book in enumerate(books)], 1)


class _Line:
    """One subspace of codes that are to stay distinct tuples, for :func:`subemb.codec.unique.exchange`."""

    def __init__(self, codes: np.ndarray, axis: int, metric: Metric, targets, book, weights):
        self.codes, self.codebook_size = codes, len(book)
        self.wanted = {axis: metric.nearest(axis, targets, book).numpy()}
        self._costs = lambda tokens: metric.costs(axis, targets[tokens], book) * weights[tokens][:, None]

    def costs(self, axis: int, tokens: np.ndarray) -> np.ndarray:
        costs = self._costs(torch.from_numpy(tokens))
        return (costs - costs.amin(1, keepdim=True)).numpy()


def joint_codes(
    table: torch.Tensor,
    codes: torch.Tensor,
    books: Sequence[torch.Tensor],
    weights: torch.Tensor,
    metric: Metric,
    *,
    unique: bool,
    sweeps: int = SWEEPS,
    seed: int = 0,
    deadline: Deadline | None = None,
    piece: str = "subspace",
    progress: ProgressCallback | None = None,
    watch: Callable[[torch.Tensor, float, float], None] | None = None,
) -> tuple[torch.Tensor, list[torch.Tensor], list[float]]:
    """Codes and codebooks with a lower error: (V, f) int64, f tensors (Q, d_i), and the errors, that of the start first.

    table: (V, D) float32. codes: (V, f), to begin with. books: f codebooks (Q, d_i). weights: (V,), of the tokens.
    unique: no two tokens may have the same tuple; in ``codes`` none have. deadline: no subspace is begun that would not be done
    by then, except the first; what it knows the pieces by is ``piece``. watch: called with the start and after every sweep: vectors less their reconstructions (V, D), the
    error, and the share of the sweeps that is done. Raises Cancelled.
    """
    deadline = deadline or Deadline(None)
    codes, books = codes.long().clone(), [book.clone() for book in books]
    apart, rng = table - looked_up(codes, books), np.random.default_rng(seed)
    of_zeros, keys = metric.weight(table, weights), linear_hash(codes.numpy()) if unique else None

    def error() -> float:
        return metric.weight(apart, weights) / of_zeros if of_zeros > 0 else 0.0

    errors = [error()]
    if watch is not None:
        watch(apart, errors[0], 0.0)
    for sweep in range(sweeps):
        for axis, part in enumerate(metric.slices):
            if (sweep or axis) and not deadline.has_room(piece):
                return codes, books, [*errors, error()] if axis else errors
            report(progress, "choosing codes together", (sweep + axis / len(books)) / sweeps)
            with deadline.piece(piece):
                targets = metric.targets(axis, table, apart)
                if not unique:
                    codes[:, axis] = metric.nearest(axis, targets, books[axis])
                books[axis] = _means(targets, codes[:, axis], weights, books[axis])
                if unique:
                    line = _Line(codes.numpy(), axis, metric, targets, books[axis], weights)
                    exchange(line, [axis], LARGE_BOX, rng, keys, lambda: deadline.is_over)
                else:
                    codes[:, axis] = metric.nearest(axis, targets, books[axis])
                apart[:, part] = table[:, part] - books[axis][codes[:, axis]]
        errors.append(error())
        if watch is not None:
            watch(apart, errors[-1], (sweep + 1) / sweeps)
        if errors[-1] > (1 - ENOUGH) * errors[-2]:
            break
    return codes, books, errors


def _means(targets: torch.Tensor, codes: torch.Tensor, weights: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """Weighted means of the members; a codeword without any stays."""
    mass = torch.zeros(len(book)).index_add_(0, codes, weights)
    sums = torch.zeros_like(book).index_add_(0, codes, targets * weights[:, None])
    return torch.where(mass[:, None] > 0, sums / mass.clamp(min=1e-30)[:, None], book)


def noticed(vectors: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """(n,): r^T M r of (n, D) vectors r, what the output notices of each. matrix: M (D, D)."""
    return ((vectors @ matrix) * vectors).sum(1)


def definite(sensitivity: torch.Tensor) -> torch.Tensor:
    """M: S with everything off its diagonal reduced to BETWEEN_AXES, and some weight on every axis, which makes it definite."""
    diagonal = torch.diag(sensitivity.diagonal().clamp(min=LEAST))
    return BETWEEN_AXES * sensitivity + (1 - BETWEEN_AXES) * diagonal


def metric_of(matrix: torch.Tensor, widths: Sequence[int]) -> Metric:
    """The :class:`Metric` of a sensitivity, made definite."""
    return Metric(definite(matrix), widths)


def stretch_of(sensitivity: torch.Tensor) -> torch.Tensor:
    """(D,): by how much k-means sees every axis stretched, so that its squared errors count as the output notices them."""
    return sensitivity.diagonal().clamp(min=LEAST).sqrt()


def without_numbers(progress: ProgressCallback | None) -> ProgressCallback | None:
    """A callback that is told how far the work is, but no errors: those of stretched axes are not the table's."""
    if progress is None:
        return None
    return lambda message: progress(Progress(message.stage, message.fraction))


def chosen_together(
    table: torch.Tensor,
    codes: torch.Tensor,
    books: Sequence[torch.Tensor],
    weights: torch.Tensor | None,
    sensitivity: torch.Tensor,
    *,
    unique: bool,
    sweeps: int = SWEEPS,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> tuple[torch.Tensor, list[torch.Tensor], list[dict[str, Any]]]:
    """:func:`joint_codes` by a sensitivity, and the history of its sweeps, the start first, as a :class:`~.kmeans.Monitor` keeps it.

    Every entry has the error of the table itself too, and ``sensitive_error``, which is the one that is minimised. Raises Cancelled.
    """
    from .kernels import centred, table_moments

    began, history, widths = time.perf_counter(), [], [book.shape[1] for book in books]
    each = torch.ones(len(table)) if weights is None else weights.float()
    mean, weighted_of_all = map(torch.from_numpy, table_moments(table, weights))
    of_all = torch.from_numpy(table_moments(table, None)[1])
    metric = metric_of(sensitivity, widths)
    about_mean = share(metric.weight(table, each), metric.weight(centred(table, mean, 1.0, [table.shape[1]])[0], each))

    def watch(apart: torch.Tensor, error: float, done: float) -> None:
        squares = apart.square()
        plain = squares.sum(0, dtype=torch.float64)
        values: dict[str, Any] = {
            "iteration": len(history) + 1,
            "error": share(plain.sum(), of_all.sum()),
            "per_subspace": [share(a.sum(), b.sum()) for a, b in zip(plain.split(widths), of_all.split(widths), strict=True)],
            "sensitive_error": error * about_mean,
        }
        if weights is not None:
            values["weighted_error"] = share((each @ squares).sum(), weighted_of_all.sum())
        stage = "choosing codes together"
        history.append({**values, "stage": stage, "seconds": time.perf_counter() - began})
        report(progress, stage, done, **values)

    codes, books, _ = joint_codes(
        table, codes, books, each, metric, unique=unique, sweeps=min(sweeps, SWEEPS), seed=seed, progress=progress, watch=watch
    )
    return codes, books, history
