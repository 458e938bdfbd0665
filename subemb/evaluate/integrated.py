"""Integrated gradients of the cosine of two sentences with respect to the embeddings of their tokens.

Source: Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017.
"""

from collections.abc import Sequence

import numpy as np
import torch

from ..base.progress import ProgressCallback, part_of, report
from .effects import Integral
from .given_embeddings import GivenEncoder, rows_at_once

STEPS = (12, 36)  # points of the integral: the first, and the second if the gap is too large
LARGEST_GAP = 0.01  # of the change
SMALLEST_GAP = 1e-4  # of a cosine: less is of no account

Sentence = tuple[Sequence[int], torch.Tensor, torch.Tensor]


def integrated_gradients(
    encoder: GivenEncoder, first: Sentence, second: Sentence, progress: ProgressCallback | None = None
) -> tuple[Integral, list[torch.Tensor]]:
    """Along the straight line from the original embeddings to the displaced ones, all positions of both sentences together.

    first, second: (n,) ids, (n, D) original embeddings, (n, D) displacements.
    Returns the facts, and for each sentence (n, D) float64, the mean gradient along the line; its products with the displacement
    are the attributions. Raises Cancelled.
    """
    start = 0.0
    for steps in STEPS:
        end = start + steps / sum(STEPS)
        result, gradients = _integral(encoder, (first, second), steps, part_of(progress, start, end))
        start = end
        if abs(result.gap) <= max(SMALLEST_GAP, LARGEST_GAP * abs(result.change)):
            break
    return result, gradients


def _integral(
    encoder: GivenEncoder, sentences: tuple[Sentence, Sentence], steps: int, progress: ProgressCallback | None
) -> tuple[Integral, list[torch.Tensor]]:
    points, weights = np.polynomial.legendre.leggauss(steps)  # of -1..1: Gauss-Legendre needs few points of a smooth function
    points = torch.tensor(np.concatenate([[0.0], (points + 1) / 2, [1.0]]), dtype=torch.float32)
    weights = torch.tensor(np.concatenate([[0.0], weights / 2, [0.0]]))  # the ends are read for the true change
    gradients = [torch.zeros_like(original, dtype=torch.float64) for _, original, _ in sentences]
    ends = []
    at_once = max(1, rows_at_once(sum(len(ids) for ids, _, _ in sentences)))
    for start in range(0, len(points), at_once):
        report(progress, f"integrated gradients at {steps} points", start / len(points))
        part = slice(start, start + at_once)
        values, found = _gradients(encoder, sentences, points[part], weights[part])
        ends.append(values)
        for total, gradient in zip(gradients, found, strict=True):
            total += gradient.double()
    values = torch.cat(ends)
    total = sum(
        float((gradient * displacement.double()).sum())
        for gradient, (_, _, displacement) in zip(gradients, sentences, strict=True)
    )
    return Integral(total, float(values[-1] - values[0]), steps), gradients


def _gradients(
    encoder: GivenEncoder, sentences: tuple[Sentence, Sentence], points: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Cosines (m,) at m points of the line, and for each sentence the gradients (n, D) there, weighted and added up."""
    with torch.enable_grad():
        given, vectors = [], []
        for ids, original, displacement in sentences:
            rows = (original + points[:, None, None] * displacement).requires_grad_(True)
            given.append(rows)
            vectors.append(encoder(ids, rows).double())
        values = torch.nn.functional.cosine_similarity(*vectors, dim=-1, eps=1e-12)
        # Not backward(): that would leave gradients on the weights, which everybody shares.
        found = torch.autograd.grad((values * weights).sum(), given)
    return values.detach(), [gradient.sum(0) for gradient in found]
