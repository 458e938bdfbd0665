"""Codes whose errors the network notices least, for the text that an adaptation reads.

:mod:`subemb.models.sensitivity` measures on that text what the output notices, :mod:`subemb.codec.sensitive` chooses codes by it. The
network notices other things once its table is compressed, so :func:`sensitive_codes` then measures again, and goes on from the codes
it has.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..base.deadline import Clock, Deadline
from ..base.errors import Cancelled
from ..base.pace import slowness
from ..base.progress import Progress, ProgressCallback, part_of
from ..codec.compressed import Compressed
from ..codec.estimates import estimate_seconds
from ..codec.sensitive import ENOUGH, joint_codes, looked_up, metric_of, stretch_of
from ..codec.settings import CompressionSettings
from ..models.model import PretrainedModel
from ..models.sensitivity import measured_sensitivity

COUNT_POWER = 0.75  # a token weighs (count + 1) to this power
ROUNDS = 2  # how often S is measured again, with the compressed table in the network, and codes are chosen by it
MOST_ROUNDS = 8  # where there is time
LONGEST_MEASURING = 0.15  # share of the time for the search that one measurement of S may take
LONGEST_START = (
    0.3  # share of the time for the search, after the first measurement, that k-means, with which it begins, may take
)
FEWEST_ITERATIONS = 3  # of k-means; with fewer it is better to begin with the codes that there are


def affordable_iterations(settings: CompressionSettings, model: PretrainedModel, seconds: float) -> int:
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


@dataclass
class _Found:
    """Codes of one part of the table, as they are now."""

    tokens: torch.Tensor  # (n,) int64, the ids that its rows stand for
    table: torch.Tensor  # (n, D), their vectors
    weights: torch.Tensor  # (n,) float32
    codes: torch.Tensor  # (n, f)
    books: list[torch.Tensor]  # f codebooks (Q, d_i)
    piece: str  # what a deadline knows the work on one subspace by
    unique: bool = False  # whether no two tokens have the same tuple, which is to stay so
    is_found: bool = False  # whether the last round came to an end with it

    def choose(self, matrix: torch.Tensor, seed: int, deadline: Deadline, progress: ProgressCallback | None) -> None:
        """Choose codes and codebooks together, from what there is."""
        self.codes, self.books, errors = joint_codes(
            self.table,
            self.codes,
            self.books,
            self.weights,
            metric_of(matrix, [book.shape[1] for book in self.books]),
            unique=self.unique,
            seed=seed,
            deadline=deadline,
            piece=self.piece,
            progress=progress,
        )
        self.is_found = errors[-1] > (1 - ENOUGH) * errors[0]


def sensitive_codes(
    model: PretrainedModel,
    compressed: Compressed,
    rows: Sequence[Sequence[int]],
    seed: int = 0,
    progress: ProgressCallback | None = None,
    seconds: float | None = None,
    clock: Clock = time.perf_counter,
) -> Compressed:
    """The table compressed again with the same settings: tokens weigh (count + 1) ** COUNT_POWER, errors as much as the output
    moves with them.

    compressed: of the method ``cluster``, ``product`` or ``tiered``. The result keeps its settings and what is stored; unique tuples stay
    unique, and tokens stay in their tier. Tiers are searched one after the other, each for a share of the time that its share of
    the tokens is.
    seconds: that it may take. They are used until a round changes next to nothing; on a slow or busy computer there are
    fewer iterations, or k-means is left out: see LONGEST_MEASURING and LONGEST_START. None: ROUNDS rounds however long they take.
    """
    deadline = Deadline(seconds, clock)
    with deadline.piece("measuring"):
        matrix = measured_sensitivity(model, rows, seed, part_of(progress, 0.0, 0.2), deadline.part(LONGEST_MEASURING))
    weights = (counts_of(rows, model.num_tokens) + 1.0) ** COUNT_POWER
    parts = _start(model, compressed, matrix, weights, deadline.part(LONGEST_START), part_of(progress, 0.2, 0.4))
    pieces = [part.piece for part in parts for _ in part.books]
    for measured in range(MOST_ROUNDS if deadline.exists else ROUNDS + 1):
        start, end = (0.4 + 0.6 * min(1.0, k / (ROUNDS + 1)) for k in (measured, measured + 1))
        between = (start + end) / 2
        if measured:
            if not deadline.has_room("measuring", *pieces):
                break
            here = torch.nn.Embedding.from_pretrained(_table_of(compressed, parts)).to(model.device)
            probe, told = model.with_embeddings(here), part_of(progress, start, between)
            with deadline.piece("measuring"):
                matrix = measured_sensitivity(probe, rows, seed + measured, told, deadline.part(LONGEST_MEASURING))
        told, done, left = part_of(progress, between if measured else start, end), 0.0, sum(len(part.tokens) for part in parts)
        for number, part in enumerate(parts):
            share, left = len(part.tokens) / left, left - len(part.tokens)
            if number and not deadline.has_room(part.piece):
                break
            own = deadline if not left else deadline.of_what_is_left(share)
            part.choose(matrix, seed + measured, own, part_of(told, done, done + share * (1 - done)))
            done += share * (1 - done)
        if measured >= ROUNDS and all(part.is_found for part in parts):
            break
    held = [part for _, part in compressed.coded]
    return compressed.with_coded(
        [replace(old, codes=new.codes.to(old.codes.dtype), codebooks=new.books) for old, new in zip(held, parts, strict=True)]
    )


def _table_of(compressed: Compressed, parts: Sequence[_Found]) -> torch.Tensor:
    """The vectors (V, D) of the whole table with the codes that were found; what has no codes is as it was."""
    if len(parts[0].tokens) == compressed.num_embeddings:
        return looked_up(parts[0].codes, parts[0].books)
    table = compressed.reconstruct()
    for part in parts:
        table[part.tokens] = looked_up(part.codes, part.books)
    return table


def _start(
    model: PretrainedModel,
    compressed: Compressed,
    matrix: torch.Tensor,
    weights: np.ndarray,
    deadline: Deadline,
    progress: ProgressCallback | None,
) -> list[_Found]:
    """Codes and codebooks to begin with: k-means in axes that are stretched by the diagonal of S, or what there is already where k-means
    does not end in time."""
    from ..codec import compress

    iterations = compressed.settings.iterations
    if deadline.exists:
        iterations = affordable_iterations(compressed.settings, model, deadline.left)
    coded, stretch, found, done = compressed.coded, stretch_of(matrix), [], 0.0
    for number, (tokens, part) in enumerate(coded):
        table = model.table if len(tokens) == model.num_tokens else model.table[tokens]
        own, codes, books = weights[tokens.numpy()], part.codes, list(part.codebooks)
        share = len(tokens) / sum(len(others) for others, _ in coded)
        until, done = _Until(deadline, part_of(progress, done, done + share)), done + share
        # the numbers of the weights are what counts
        settings = replace(
            part.settings, weights="vocabulary", sensitive=False, text_digest=None, iterations=max(1, iterations)
        )
        if iterations and not (number and deadline.is_over):
            try:
                begun = compress(table * stretch, settings=settings, weights=own, progress=until)
                codes = begun.codes
                books = [book / each for book, each in zip(begun.codebooks, stretch.split(part.widths), strict=True)]
            except Cancelled:
                if not until.was_late:
                    raise
        unique = len(torch.unique(codes, dim=0)) == len(codes)
        found.append(_Found(tokens, table, torch.from_numpy(own).float(), codes, books, f"subspace of part {number}", unique))
    return found


def with_drawn_codebooks(compressed: Compressed, table: torch.Tensor, seed: int = 0) -> Compressed:
    """The same codes with codebooks that know nothing of the table but how large its numbers are: each axis is drawn from the normal
    distribution of the mean and standard deviation that the table's axis has.

    compressed: with codebooks whose axes are the table's. table: (V, D).
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for tokens, part in compressed.coded:
        rows = table if len(tokens) == len(table) else table[tokens]
        mean, spread = rows.mean(0).split(part.widths), rows.std(0).split(part.widths)
        drawn = (torch.randn(book.shape, generator=generator) for book in part.codebooks)
        books = [middle + wide * book for book, middle, wide in zip(drawn, mean, spread, strict=True)]
        parts.append(replace(part, codebooks=books))
    return compressed.with_coded(parts)
