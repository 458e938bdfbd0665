"""The methods that end in codes and codebooks: how each finds its codes.

They work on the centred table; compression.py computes the codebooks that are kept from the table itself.
"""

from dataclasses import dataclass

import torch

from ..base.progress import ProgressCallback
from .blocks import Blocks, arbitrary_codes, codebook_means, joint_codebooks
from .kmeans import Monitor, kmeans
from .settings import CompressionSettings
from .unique import make_unique

LARGEST_JOINT = 4096  # codewords of all stages together that are solved for at once


@dataclass
class Problem:
    """What a method gets.

    centred: (V, D) float32, about its (weighted) mean, in units of its root mean square. weights: (V,) of mean 1 or None.
    settings: resolved. generator: the source of everything random.
    """

    centred: torch.Tensor
    weights: torch.Tensor | None
    settings: CompressionSettings
    generator: torch.Generator
    progress: ProgressCallback | None = None


@dataclass
class Found:
    """What a method finds.

    codes: (V, f) int64. monitor: holds the history. stop: why it ended, in a word. rotation: (D, D) or None.
    codebooks: (f, Q, D) of the centred table, where they are not simply the means of the members.
    """

    codes: torch.Tensor
    monitor: Monitor
    stop: str = "done"
    rotation: torch.Tensor | None = None
    codebooks: torch.Tensor | None = None


def quantize(problem: Problem) -> Found:
    """Codes by the method of the settings. Raises InputError (too few tuples) and Cancelled."""
    return _METHODS[problem.settings.method](problem)


def arbitrary(problem: Problem) -> Found:
    """The digits of the id; for ``random`` of a seeded permutation of the ids."""
    settings = problem.settings
    blocks = Blocks.cut(problem.centred, settings.subspaces, problem.weights)
    codes = arbitrary_codes(blocks.vocabulary, settings.subspaces, settings.codebook_size)
    if settings.method == "random":
        codes = codes[torch.randperm(len(codes), generator=problem.generator)]
    return Found(codes.to(blocks.device), Monitor(blocks, problem.progress))


def product(problem: Problem) -> Found:
    """k-means in every subspace, and then distinct tuples where they are wanted: ``product`` and ``cluster``."""
    blocks = Blocks.cut(problem.centred, problem.settings.subspaces, problem.weights)
    monitor = Monitor(blocks, problem.progress)
    codes, stop = _clustered(problem, blocks, monitor, None, 0.0)
    return Found(codes, monitor, stop)


def _clustered(
    problem: Problem, blocks: Blocks, monitor: Monitor, start: list[torch.Tensor] | None, begun: float
) -> tuple[torch.Tensor, str]:
    """k-means and unique tuples, from the share ``begun`` of the whole work on: codes (V, f), and why it stopped."""
    settings = problem.settings
    limits = {"iterations": settings.iterations, "tolerance": settings.tolerance}
    half = begun + (1 - begun) * 0.3 if settings.unique else 1.0
    result = kmeans(blocks, settings.codebook_size, problem.generator, monitor, start=start, share=(begun, half), **limits)
    if not settings.unique:
        return result.codes, result.stop
    return make_unique(
        blocks, result.codes, result.codebooks, monitor, generator=problem.generator, share=(half, 1.0), **limits
    )


def optimized_product(problem: Problem) -> Found:
    """Optimized product quantization without a model of the data (Ge et al. 2013, algorithm 1).

    By turns one step of k-means and the rotation R that brings the table nearest to its reconstruction, the orthogonal
    Procrustes problem: R = U V^T of the singular value decomposition of X^T Y.
    """
    settings, x = problem.settings, problem.centred
    weighted = x if problem.weights is None else x * problem.weights[:, None]
    rotation = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    books, turns = None, settings.iterations
    monitor = Monitor(Blocks.cut(x, settings.subspaces, problem.weights), problem.progress)
    scatters = [_scatter(x, weights) for weights in (None, problem.weights)]
    for turn in range(turns):
        blocks = Blocks.cut(x @ rotation, settings.subspaces, problem.weights)
        step = kmeans(
            blocks, settings.codebook_size, problem.generator, monitor, iterations=1, start=books,
            share=(0.6 * turn / turns, 0.6 * (turn + 1) / turns), stage="rotating",
        )  # fmt: skip
        books = step.codebooks
        flat = [book[j] for book in books for j in range(len(book))]
        rebuilt = torch.cat([book[step.codes[:, i]] for i, book in enumerate(flat)], dim=1)
        left, _, right = torch.linalg.svd(weighted.T @ rebuilt)
        rotation = left @ right
        monitor.plain_variance, monitor.weighted_variance = (
            _turned_variances(scatter, rotation, blocks.widths) for scatter in scatters
        )
    blocks = Blocks.cut(x @ rotation, settings.subspaces, problem.weights)
    codes, stop = _clustered(problem, blocks, monitor, books, 0.6)
    return Found(codes, monitor, stop, rotation)


def _scatter(x: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Sum of w_t (x_t - mean) (x_t - mean)^T over the tokens: (V, D) -> (D, D) float64."""
    rows = x - (x.mean(0) if weights is None else weights @ x / weights.sum())
    return (rows.T @ (rows if weights is None else rows * weights[:, None])).double()


def _turned_variances(scatter: torch.Tensor, rotation: torch.Tensor, widths: list[int]) -> torch.Tensor:
    """What :meth:`Blocks.variances` tells of the turned table, without going through it: (f,) float64."""
    turned = rotation.double()
    return torch.stack([part.sum() for part in ((scatter @ turned) * turned).sum(0).split(widths)])


def residual(problem: Problem) -> Found:
    """Stage after stage, k-means of what the stages before left over; then all codebooks together by least squares."""
    settings, left = problem.settings, problem.centred
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
        left = left - books[stage][codes[:, stage]]
    if stages > 1 and stages * size <= LARGEST_JOINT:
        books = joint_codebooks(left, codes, books, problem.weights)
        rebuilt = torch.stack([books[stage][codes[:, stage]] for stage in range(stages)]).sum(0)
        distance = (problem.centred - rebuilt).square().sum(1).double()
        weighted = distance if problem.weights is None else distance * problem.weights
        monitor.record("joint codebooks", 1.0, distance.sum()[None], weighted.sum()[None])
    return Found(codes, monitor, result.stop, codebooks=books)


_METHODS = {
    "arbitrary": arbitrary,
    "random": arbitrary,
    "cluster": product,
    "product": product,
    "optimized_product": optimized_product,
    "residual": residual,
}
