"""Codes whose errors the network notices least, for the text that an adaptation reads.

:mod:`subemb.models.sensitivity` measures on that text what the output notices, :mod:`subemb.codec.sensitive` chooses codes by it. The
network notices other things once its table is compressed, so :func:`sensitive_codes` then measures again, and goes on from the codes
it has.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.deadline import Clock, Deadline
from ..base.errors import Cancelled
from ..base.pace import slowness
from ..base.progress import Progress, ProgressCallback, part_of
from ..codec.estimates import estimate_seconds
from ..codec.sensitive import ENOUGH, joint_codes, looked_up, metric_of, stretch_of
from ..models.sensitivity import measured_sensitivity

if TYPE_CHECKING:
    from ..codec.compressed import SubspaceCompressed
    from ..codec.settings import CompressionSettings
    from ..models.model import PretrainedModel

COUNT_POWER = 0.75  # a token weighs (count + 1) to this power
ROUNDS = 2  # how often S is measured again, with the compressed table in the network, and codes are chosen by it
MOST_ROUNDS = 8  # where there is time
LONGEST_MEASURING = 0.15  # share of the time for the search that one measurement of S may take
LONGEST_START = (
    0.3  # share of the time for the search, after the first measurement, that k-means, with which it begins, may take
)
FEWEST_ITERATIONS = 3  # of k-means; with fewer it is better to begin with the codes that there are


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
        matrix = measured_sensitivity(model, rows, seed, part_of(progress, 0.0, 0.2), deadline.part(LONGEST_MEASURING))
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
                matrix = measured_sensitivity(probe, rows, seed + measured, told, deadline.part(LONGEST_MEASURING))
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

    settings = replace(
        compressed.settings, weights="vocabulary", sensitive=False, text_digest=None
    )  # the numbers are what counts
    iterations = affordable_iterations(settings, model, deadline.left) if deadline.exists else settings.iterations
    stretch = stretch_of(matrix)
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
