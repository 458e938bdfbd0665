"""Codes where the network looks: k-means by the text's token counts, in axes stretched by how much the output moves with them.

Plain k-means takes all axes for equal, and so minimises an error that the network may not notice. Here axis d counts by
s_d = E[(d(v . r) / d e_d)^2], the mean squared derivative of the sentence vector v, along random directions r, by the axis of
one token's embedding e: the diagonal of a Fisher information, as in weighted low-rank factorisation (Hsu et al., ICLR 2022,
arXiv 2207.00112). Codewords are weighted means, which are the same in stretched axes as in plain ones.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..progress import ProgressCallback, part_of, report

if TYPE_CHECKING:
    from ..codec.result import SubspaceCompressed
    from ..pretrained import PretrainedModel

ROWS = 2000  # sentences that sensitivities are measured on
COUNT_POWER = 0.75
_BATCH = 64


def axis_sensitivity(
    model: "PretrainedModel", rows: Sequence[Sequence[int]], seed: int = 0, progress: ProgressCallback | None = None
) -> torch.Tensor:
    """s, (D,) float32 of mean 1, measured on at most ROWS of the rows of token ids. All 1 where nothing moves the output."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(rows), generator=generator)[:ROWS].tolist()
    chosen.sort(key=lambda place: len(rows[place]))
    table = torch.nn.Embedding.from_pretrained(model.table, freeze=True)
    probe = model.with_embeddings(table)
    seen: list[torch.Tensor] = []

    def watch(module, arguments, output):
        seen.append(output.detach().requires_grad_())
        return seen[-1]

    table.register_forward_hook(watch)
    total = torch.zeros(model.dim, dtype=torch.float64)
    for start in range(0, len(chosen), _BATCH):
        report(progress, "measuring which axes matter", start / len(chosen))
        seen.clear()
        vectors = torch.nn.functional.normalize(
            probe.encode_ids_tensor([rows[place] for place in chosen[start : start + _BATCH]])
        )
        directions = torch.randn(vectors.shape, generator=generator)
        found = torch.autograd.grad((vectors * directions).sum(), seen, allow_unused=True)
        for gradient in found:
            if gradient is not None:
                total += gradient.double().square().sum(tuple(range(gradient.ndim - 1)))
    mean = float(total.mean())
    if not np.isfinite(mean) or mean <= 0:
        return torch.ones(model.dim)
    return (total / mean).float()


def counts_of(rows: Sequence[Sequence[int]], vocabulary: int) -> np.ndarray:
    """How often every token occurs, (V,) int64."""
    return np.bincount(np.fromiter((number for row in rows for number in row), dtype=np.int64), minlength=vocabulary)


def sensitive_codes_and_stretch(
    model: "PretrainedModel",
    compressed: "SubspaceCompressed",
    rows: Sequence[Sequence[int]],
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> "tuple[SubspaceCompressed, torch.Tensor]":
    """The table compressed anew with the same settings: tokens weigh (count + 1) ** COUNT_POWER, axes by their sensitivity.

    compressed: of the method ``cluster`` or ``product``. The result keeps its settings and what is stored; unique tuples stay
    unique. Also returns the factors by which the axes were stretched, (D,).
    """
    from dataclasses import replace

    from ..codec import compress

    stretch = axis_sensitivity(model, rows, seed, part_of(progress, 0.0, 0.6)).clamp(min=1e-3).sqrt()
    weights = (counts_of(rows, model.num_tokens) + 1.0) ** COUNT_POWER
    settings = replace(compressed.settings, weights="vocabulary", text_digest=None)  # the numbers below are what counts
    found = compress(model.table * stretch, settings=settings, weights=weights, progress=part_of(progress, 0.6, 1.0))
    start, books = 0, []
    for book in found.codebooks:
        books.append((book / stretch[start : start + book.shape[1]]).contiguous())
        start += book.shape[1]
    return replace(compressed, codes=found.codes, codebooks=books, history=[], info={}), stretch
