"""Codes whose errors the network notices least: codewords are placed, and given to tokens, by how much the output moves.

Plain k-means treats all axes alike, and so minimises an error that the network may not notice. Here an error r of one token's
embedding costs r^T S r with the **sensitivity** S = E[g g^T], where g is the derivative of v . z by that embedding, v the sentence
vector and z a random direction: a Fisher information (its diagonal alone: weighted low-rank factorisation, Hsu et al., ICLR 2022,
arXiv 2207.00112). :func:`sensitivity` measures S; its diagonal stretches the axes in which k-means starts; then
:func:`joint_codes` uses the whole matrix, so that subspaces make up for each other. The network notices other things once its table
is compressed, so :func:`sensitive_codes` then measures S again, and goes on from the codes it has.

Choosing codes together: the error of a token is (x - y)^T M (x - y) for its vector x, its reconstruction y and a (D, D) matrix M.
With M diagonal every subspace is on its own; else its codes and codebook are found while the others stay as they are, one subspace
after the other (block coordinate descent; for codes that add up: iterated conditional modes, Martinez et al., ECCV 2016). For
subspace b the error is, up to a constant, (t - c)^T M_bb (t - c) with

    t = x_b + M_bb^-1 M_bo (x_o - y_o),    o: all other axes,

so c is the nearest codeword to t, and a codeword is the mean of the t of its members. No step raises the error.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.deadline import Clock, Deadline
from ..base.errors import Cancelled
from ..base.pace import slowness
from ..base.progress import Progress, ProgressCallback, part_of, report
from ..codec.estimates import estimate_seconds
from ..codec.unique import LARGE_BOX, exchange

if TYPE_CHECKING:
    from ..codec.compressed import SubspaceCompressed
    from ..codec.settings import CompressionSettings
    from ..models.model import PretrainedModel

ROWS = 2000  # sentences on which sensitivities are measured
COUNT_POWER = 0.75  # a token weighs (count + 1) to this power
BETWEEN_AXES = 0.9  # how much of S off its diagonal counts
ROUNDS = 2  # how often S is measured again, with the compressed table in the network, and codes are chosen by it
MOST_ROUNDS = 8  # where there is time
LONGEST_MEASURING = 0.15  # share of the time for the search that one measurement of S may take
LONGEST_START = (
    0.3  # share of the time for the search, after the first measurement, that k-means, with which it begins, may take
)
SWEEPS = 10  # over all subspaces, at most
ENOUGH = 2e-3  # a sweep has to lower the error by this share for another one to follow
FEWEST_ITERATIONS = 3  # of k-means; with fewer it is better to begin with the codes that there are
_BATCH = 64
POOL = 8 * _BATCH  # rows that are sorted by length together
_CHUNK = 2**16  # tokens whose vectors are held at once


def sensitivity(
    model: "PretrainedModel",
    rows: Sequence[Sequence[int]],
    seed: int = 0,
    progress: ProgressCallback | None = None,
    deadline: Deadline | None = None,
) -> torch.Tensor:
    """S, (D, D) float32 with a diagonal of mean 1, measured on at most ROWS of the rows of token ids. The identity if nothing
    moves the output. deadline: no more rows are read than can be until then, but at least one batch."""
    deadline = deadline or Deadline(None)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(rows), generator=generator)[:ROWS].tolist()
    parts = [chosen[start : start + POOL] for start in range(0, len(chosen), POOL)]
    chosen = [place for part in parts for place in sorted(part, key=lambda place: len(rows[place]))]  # little padding
    table = torch.nn.Embedding.from_pretrained(model.table, freeze=True).to(model.device)
    probe = model.with_embeddings(table)
    seen: list[torch.Tensor] = []

    def watch(module, arguments, output):
        seen.append(output.detach().requires_grad_())
        return seen[-1]

    table.register_forward_hook(watch)
    total = torch.zeros(model.dim, model.dim, device=model.device)
    for start in range(0, len(chosen), _BATCH):
        if start and not deadline.has_room("batch"):
            break
        report(progress, "measuring which axes matter", start / len(chosen))
        seen.clear()
        with deadline.piece("batch"):
            vectors = torch.nn.functional.normalize(
                probe.encode_ids_tensor([rows[place] for place in chosen[start : start + _BATCH]])
            )
            directions = torch.randn(vectors.shape, generator=generator).to(vectors.device)
            found = torch.autograd.grad((vectors * directions).sum(), seen, allow_unused=True)
            for gradient in found:
                if gradient is not None:
                    flat = gradient.float().flatten(0, -2)
                    total += flat.T @ flat
    total = total.cpu()
    mean = float(total.diagonal().mean())
    if not np.isfinite(mean) or mean <= 0:
        return torch.eye(model.dim)
    return total / mean


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
        factor = self.factors[axis]
        codewords = book @ factor
        return codewords.square().sum(1) - 2 * (targets @ factor) @ codewords.T

    def nearest(self, axis: int, targets: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
        """(n,) codes."""
        return torch.cat([self.costs(axis, targets[rows], book).argmin(1) for rows in _chunks(len(targets))])

    def weight(self, vectors: torch.Tensor, weights: torch.Tensor) -> float:
        """Sum of w r^T M r over (n, D) vectors r with (n,) weights w."""
        parts = (weights[rows] * ((vectors[rows] @ self.matrix) * vectors[rows]).sum(1) for rows in _chunks(len(vectors)))
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
    progress: ProgressCallback | None = None,
) -> tuple[torch.Tensor, list[torch.Tensor], list[float]]:
    """Codes and codebooks with a lower error: (V, f) int64, f tensors (Q, d_i), and the errors, that of the start first.

    table: (V, D) float32. codes: (V, f), to begin with. books: f codebooks (Q, d_i). weights: (V,), of the tokens.
    unique: no two tokens may have the same tuple; in ``codes`` none have. deadline: no subspace is begun that would not be done
    by then, except the first. Raises Cancelled.
    """
    deadline = deadline or Deadline(None)
    codes, books = codes.long().clone(), [book.clone() for book in books]
    apart, rng = table - looked_up(codes, books), np.random.default_rng(seed)
    of_zeros = metric.weight(table, weights)

    def error() -> float:
        return metric.weight(apart, weights) / of_zeros if of_zeros > 0 else 0.0

    errors = [error()]
    for sweep in range(sweeps):
        for axis, part in enumerate(metric.slices):
            if (sweep or axis) and not deadline.has_room("subspace"):
                return codes, books, [*errors, error()] if axis else errors
            report(progress, "choosing codes together", (sweep + axis / len(books)) / sweeps)
            with deadline.piece("subspace"):
                targets = metric.targets(axis, table, apart)
                if not unique:
                    codes[:, axis] = metric.nearest(axis, targets, books[axis])
                books[axis] = _means(targets, codes[:, axis], weights, books[axis])
                if unique:
                    line = _Line(codes.numpy(), axis, metric, targets, books[axis], weights)
                    exchange(line, [axis], LARGE_BOX, rng, stop=lambda: deadline.is_over)
                else:
                    codes[:, axis] = metric.nearest(axis, targets, books[axis])
                apart[:, part] = table[:, part] - books[axis][codes[:, axis]]
        errors.append(error())
        if errors[-1] > (1 - ENOUGH) * errors[-2]:
            break
    return codes, books, errors


def _means(targets: torch.Tensor, codes: torch.Tensor, weights: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """Weighted means of the members; a codeword without any stays."""
    mass = torch.zeros(len(book)).index_add_(0, codes, weights)
    sums = torch.zeros_like(book).index_add_(0, codes, targets * weights[:, None])
    return torch.where(mass[:, None] > 0, sums / mass.clamp(min=1e-30)[:, None], book)


def metric_of(matrix: torch.Tensor, widths: Sequence[int]) -> Metric:
    """S with everything off its diagonal reduced to BETWEEN_AXES, and some weight on every axis, which makes it definite."""
    diagonal = torch.diag(matrix.diagonal().clamp(min=1e-3))
    return Metric(BETWEEN_AXES * matrix + (1 - BETWEEN_AXES) * diagonal, widths)


def affordable_iterations(settings: "CompressionSettings", model: "PretrainedModel", seconds: float) -> int:
    """How many iterations of k-means fit into ``seconds`` on this computer as busy as it is now; 0 if hardly any does."""
    expected = slowness() * estimate_seconds(settings, model.num_tokens, model.dim)
    found = int(settings.iterations * seconds / expected)
    return 0 if found < FEWEST_ITERATIONS else min(settings.iterations, found)


def counts_of(rows: Sequence[Sequence[int]], vocabulary: int) -> np.ndarray:
    """How often every token occurs, (V,) int64."""
    return np.bincount(np.fromiter((number for row in rows for number in row), dtype=np.int64), minlength=vocabulary)


class _Until:
    """A callback that also asks to stop when a deadline is past."""

    def __init__(self, deadline: Deadline, progress: ProgressCallback | None):
        self.deadline, self.progress, self.was_late = deadline, progress, False

    def __call__(self, message: Progress) -> bool | None:
        asked = None if self.progress is None else self.progress(message)
        if asked is not True and self.deadline.is_over:
            self.was_late = asked = True
        return asked


def sensitive_codes(
    model: "PretrainedModel",
    compressed: "SubspaceCompressed",
    rows: Sequence[Sequence[int]],
    seed: int = 0,
    progress: ProgressCallback | None = None,
    seconds: float | None = None,
    clock: Clock = time.perf_counter,
) -> "SubspaceCompressed":
    """The table compressed again with the same settings: tokens weigh (count + 1) ** COUNT_POWER, errors as much as the output
    moves with them.

    compressed: of the method ``cluster`` or ``product``. The result keeps its settings and what is stored; unique tuples stay
    unique. seconds: that it may take. They are used until a round changes next to nothing; on a slow or busy computer there are
    fewer iterations, or k-means is left out: see LONGEST_MEASURING and LONGEST_START. None: ROUNDS rounds however long they take.
    """
    deadline = Deadline(seconds, clock)
    with deadline.piece("measuring"):
        matrix = sensitivity(model, rows, seed, part_of(progress, 0.0, 0.2), deadline.part(LONGEST_MEASURING))
    weights = (counts_of(rows, model.num_tokens) + 1.0) ** COUNT_POWER
    codes, books = _start(model, compressed, matrix, weights, deadline.part(LONGEST_START), part_of(progress, 0.2, 0.4))
    unique = len(torch.unique(codes, dim=0)) == len(codes)
    for measured in range(MOST_ROUNDS if deadline.exists else ROUNDS + 1):
        start, end = (0.4 + 0.6 * min(1.0, k / (ROUNDS + 1)) for k in (measured, measured + 1))
        between = (start + end) / 2
        if measured:
            if not deadline.has_room("measuring", *["subspace"] * len(books)):
                break
            here = torch.nn.Embedding.from_pretrained(looked_up(codes, books)).to(model.device)
            probe, told = model.with_embeddings(here), part_of(progress, start, between)
            with deadline.piece("measuring"):
                matrix = sensitivity(probe, rows, seed + measured, told, deadline.part(LONGEST_MEASURING))
        codes, books, errors = joint_codes(
            model.table,
            codes,
            books,
            torch.from_numpy(weights).float(),
            metric_of(matrix, [book.shape[1] for book in books]),
            unique=unique,
            seed=seed + measured,
            deadline=deadline,
            progress=part_of(progress, between if measured else start, end),
        )
        if measured >= ROUNDS and errors[-1] > (1 - ENOUGH) * errors[0]:
            break
    return replace(compressed, codes=codes.to(compressed.codes.dtype), codebooks=books, history=[], info={})


def _start(
    model: "PretrainedModel",
    compressed: "SubspaceCompressed",
    matrix: torch.Tensor,
    weights: np.ndarray,
    deadline: Deadline,
    progress: ProgressCallback | None,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Codes and codebooks to begin with: k-means in axes that are stretched by the diagonal of S, or what there is already if k-means
    does not end in time."""
    from ..codec import compress

    settings = replace(compressed.settings, weights="vocabulary", text_digest=None)  # the numbers are what counts
    iterations = affordable_iterations(settings, model, deadline.left) if deadline.exists else settings.iterations
    stretch = matrix.diagonal().clamp(min=1e-3).sqrt()
    until = _Until(deadline, progress)
    if iterations:
        try:
            settings = replace(settings, iterations=iterations)
            found = compress(model.table * stretch, settings=settings, weights=weights, progress=until)
            widths = [book.shape[1] for book in found.codebooks]
            books = [book / part for book, part in zip(found.codebooks, stretch.split(widths), strict=True)]
            return found.codes, books
        except Cancelled:
            if not until.was_late:
                raise
    return compressed.codes, list(compressed.codebooks)
