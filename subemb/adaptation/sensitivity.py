"""Codes where the network looks: found by the text's token counts, and by how much the output moves with each axis.

Plain k-means takes all axes for equal, and so minimises an error that the network may not notice. Here an error r of one token's
embedding counts as r^T S r, S = E[g g^T], g being the derivative of v . z by that embedding for the sentence vector v along a random
direction z: a Fisher information (its diagonal alone: weighted low-rank factorisation, Hsu et al., ICLR 2022, arXiv 2207.00112).
The diagonal gives the axes in which k-means starts; the whole matrix lets subspaces make up for each other
(:mod:`subemb.adaptation.codes`). The network notices other things once the table is compressed, so S is measured again
there, and codes go on from where they are.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.progress import ProgressCallback, part_of, report
from .codes import Metric, joint_codes, looked_up

if TYPE_CHECKING:
    from ..codec.compressed import SubspaceCompressed
    from ..models.load import PretrainedModel

ROWS = 2000  # sentences that sensitivities are measured on
COUNT_POWER = 0.75
BETWEEN_AXES = 0.9  # share of what lies off the diagonal of S that counts
LONGEST_MEASURING, LONGEST_SEARCH = 0.1, 0.25  # shares of a time budget: to measure S once, after which no round is begun
ROUNDS = 2  # of measuring S anew, with the compressed table in the network, and choosing codes by that
_BATCH = 64
POOL = 8 * _BATCH  # rows that are sorted by length together


def sensitivity(
    model: "PretrainedModel",
    rows: Sequence[Sequence[int]],
    seed: int = 0,
    progress: ProgressCallback | None = None,
    seconds: float | None = None,
) -> torch.Tensor:
    """S, (D, D) float32 with a diagonal of mean 1, measured on at most ROWS of the rows of token ids. The identity where nothing
    moves the output. seconds: after which no further rows are read."""
    started = time.perf_counter()
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
        if start and seconds is not None and time.perf_counter() - started > seconds:
            break
        report(progress, "measuring which axes matter", start / len(chosen))
        seen.clear()
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


def metric_of(matrix: torch.Tensor, widths: Sequence[int]) -> Metric:
    """S with what lies off the diagonal at BETWEEN_AXES of it, and no axis without any weight, which makes it definite."""
    diagonal = torch.diag(matrix.diagonal().clamp(min=1e-3))
    return Metric(BETWEEN_AXES * matrix + (1 - BETWEEN_AXES) * diagonal, widths)


def counts_of(rows: Sequence[Sequence[int]], vocabulary: int) -> np.ndarray:
    """How often every token occurs, (V,) int64."""
    return np.bincount(np.fromiter((number for row in rows for number in row), dtype=np.int64), minlength=vocabulary)


def sensitive_codes(
    model: "PretrainedModel",
    compressed: "SubspaceCompressed",
    rows: Sequence[Sequence[int]],
    seed: int = 0,
    progress: ProgressCallback | None = None,
    seconds: float | None = None,
) -> "SubspaceCompressed":
    """The table compressed anew with the same settings: tokens weigh (count + 1) ** COUNT_POWER, errors by what the output
    notices of them.

    compressed: of the method ``cluster`` or ``product``. The result keeps its settings and what is stored; unique tuples stay
    unique. seconds: the time budget, of which the search takes a part: see LONGEST_MEASURING and LONGEST_SEARCH.
    """
    from dataclasses import replace

    from ..codec import compress

    started = time.perf_counter()
    measuring = None if seconds is None else LONGEST_MEASURING * seconds
    deadline = None if seconds is None else started + LONGEST_SEARCH * seconds
    matrix = sensitivity(model, rows, seed, part_of(progress, 0.0, 0.2), measuring)
    stretch = matrix.diagonal().clamp(min=1e-3).sqrt()
    weights = (counts_of(rows, model.num_tokens) + 1.0) ** COUNT_POWER
    settings = replace(compressed.settings, weights="vocabulary", text_digest=None)  # the numbers below are what counts
    found = compress(model.table * stretch, settings=settings, weights=weights, progress=part_of(progress, 0.2, 0.4))
    widths = [book.shape[1] for book in found.codebooks]
    codes, books = found.codes, [book / part for book, part in zip(found.codebooks, stretch.split(widths), strict=True)]
    for measured in range(ROUNDS + 1):
        if measured and deadline is not None and time.perf_counter() > deadline:
            break
        start, end = (0.4 + 0.6 * k / (ROUNDS + 1) for k in (measured, measured + 1))
        between = (start + end) / 2
        if measured:
            here = torch.nn.Embedding.from_pretrained(looked_up(codes, books)).to(model.device)
            matrix = sensitivity(
                model.with_embeddings(here), rows, seed + measured, part_of(progress, start, between), measuring
            )
        codes, books, _ = joint_codes(
            model.table,
            codes,
            books,
            torch.from_numpy(weights).float(),
            metric_of(matrix, widths),
            unique=found.distinct_tuples == found.num_embeddings,
            seed=seed + measured,
            deadline=deadline,
            progress=part_of(progress, between if measured else start, end),
        )
    return replace(compressed, codes=codes.to(found.codes.dtype), codebooks=books, history=[], info={})
