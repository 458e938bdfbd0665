"""Residual quantization: every stage quantizes what the stages before left over, and codewords are added up.

At a given size the smallest codebooks are best (all-MiniLM-L6-v2 at 0.59 % of the table: .808 with Q = 4, .850 with 16, .878 with
64), but the time grows with the stages, so these are bounded.
"""

from __future__ import annotations

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ..rounds import passes
from .base import MethodSettings, Suggested
from .codebooks import CodebookMethod, Found, Problem

torch = lazy_module("torch")

MOST_STAGES = 256  # each is a k-means of the whole table
MOST_STAGES_AT_BYTES = 32  # that are offered at a given size
LARGEST_JOINT = 4096  # codewords of all stages together that are solved for at once


class Residual(CodebookMethod):
    """Stage after stage, k-means of what the stages before left over; then all codebooks together by least squares."""

    key = "residual"
    title = "Residual"
    summary = "Each stage quantizes what the stages before left over; codewords are added up."
    reads = (*CodebookMethod.reads, "iterations", "tolerance")
    suggested = Suggested(subspaces=4, codebook_size=256)
    is_additive = True

    subspaces_label = "Stages"
    subspaces_letter = "stages"
    subspaces_help = "How many codes each token gets."
    best_codebook_size = 4

    def check_subspaces(self, subspaces: int, dim: int) -> None:
        if subspaces > MOST_STAGES:
            raise InputError(f"{subspaces} stages are more than the {MOST_STAGES} that can be computed; use fewer")

    def find(self, problem: Problem) -> Found:
        from ..blocks import Blocks, added_codewords, codebook_means, less_codewords
        from ..kmeans import Monitor, kmeans

        settings, centred = problem.settings, problem.centred()
        left = centred
        stages, size = settings.subspaces, settings.codebook_size
        monitor = Monitor(Blocks.cut(left, 1, problem.weights), problem.progress)
        codes = torch.empty(len(left), stages, dtype=torch.int64, device=left.device)
        books = torch.zeros(stages, size, left.shape[1], dtype=left.dtype, device=left.device)
        for stage in range(stages):
            blocks = Blocks.cut(left, 1, problem.weights)
            result = kmeans(
                blocks, size, problem.generator, monitor, iterations=settings.iterations,
                tolerance=settings.tolerance, share=(stage / stages, (stage + 1) / stages), stage=f"stage {stage + 1} of {stages}",
            )  # fmt: skip
            codes[:, stage] = result.codes[:, 0]
            books[stage] = codebook_means(left[None], codes[None, :, stage], problem.weights, result.codebooks[0])[0][0]
            left = less_codewords(left, codes[:, stage], books[stage])
        if stages > 1 and stages * size <= LARGEST_JOINT:
            books = joint_codebooks(left, codes, books, problem.weights)
            distance = (centred - added_codewords(codes, books)).square().sum(1).double()
            weighted = distance if problem.weights is None else distance * problem.weights
            monitor.record("joint codebooks", 1.0, distance.sum()[None], weighted.sum()[None])
        return Found(codes, monitor, result.stop, codebooks=books)

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
        stage = passes(vocabulary, settings.codebook_size, settings.iterations) * (3.3 + 0.036 * settings.codebook_size)
        return vocabulary * dim * (15.0 + settings.subspaces * stage)

    def most_subspaces(self, dim: int) -> int:
        return MOST_STAGES_AT_BYTES


def joint_codebooks(left: torch.Tensor, codes: torch.Tensor, books: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Codebooks of all stages of an additive code at once: the least-squares solution given the codes.

    left: (V, D) what the codebooks ``books`` (f, Q, D) leave over with ``codes`` (V, f). Solves the normal equations
    B^T B change = B^T left, B being the (V, f * Q) matrix of ones where a token uses a codeword; a small ridge keeps the
    solvable part, since adding a vector to one stage and taking it from another changes nothing.
    """
    from ..blocks import codebook_sums

    stages, size, dim = books.shape
    w = None if weights is None else weights.double()
    normal = torch.zeros(stages, size, stages, size, dtype=torch.float64, device=left.device)
    for i in range(stages):
        for j in range(stages):
            normal[i, :, j] = torch.bincount(codes[:, i] * size + codes[:, j], weights=w, minlength=size * size).view(
                size, size
            )
    exact = left.double() if w is None else left.double() * w[:, None]
    right = torch.stack([codebook_sums(exact[None], codes[:, i][None], size, None)[0][0] for i in range(stages)])
    normal = normal.view(stages * size, stages * size)
    normal.diagonal().add_(1e-6 * normal.diagonal().mean())
    change = torch.cholesky_solve(right.view(stages * size, dim), torch.linalg.cholesky(normal))
    return (books.double() + change.view(stages, size, dim)).float()
