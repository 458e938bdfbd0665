"""Optimized product quantization without a model of the data (Ge et al. 2013, algorithm 1)."""

from __future__ import annotations

from ...base.lazy import lazy_module
from .base import MethodSettings
from .codebooks import Found, Problem
from .product import Cost, Product, clustered

torch = lazy_module("torch")


class OptimizedProduct(Product):
    """Alternates one step of k-means with the rotation R that brings the table nearest to its reconstruction, the orthogonal
    Procrustes problem: R = U V^T of the singular value decomposition of X^T Y.
    """

    key = "optimized_product"
    title = "Optimized PQ"
    summary = "Product quantization after a learned rotation of the axes."
    reads = tuple(name for name in Product.reads if name != "sensitive")
    is_rotated = True
    can_be_sensitive = False  # its axes are turned
    can_be_reassigned = False

    cost = Cost(multiply=0.06, gather=72, turn=0.078, extra_rounds=8)

    def find(self, problem: Problem) -> Found:
        from ..blocks import Blocks, joined_codewords
        from ..kmeans import Monitor, kmeans

        settings, x = problem.settings, problem.centred()
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
            left, _, right = torch.linalg.svd(weighted.T @ joined_codewords(step.codes, books))
            rotation = left @ right
            monitor.plain_variance, monitor.weighted_variance = (
                _turned_variances(scatter, rotation, blocks.widths) for scatter in scatters
            )
        blocks = Blocks.cut(x @ rotation, settings.subspaces, problem.weights)
        codes, stop = clustered(problem, blocks, monitor, books, 0.6)
        return Found(codes, monitor, stop, rotation)

    def rounds(self, settings: MethodSettings, vocabulary: int) -> float:
        return settings.iterations + self.cost.extra_rounds  # from a start: no samples


def _scatter(x: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Sum of w_t (x_t - mean) (x_t - mean)^T over the tokens: (V, D) -> (D, D) float64."""
    rows = x - (x.mean(0) if weights is None else weights @ x / weights.sum())
    return (rows.T @ (rows if weights is None else rows * weights[:, None])).double()


def _turned_variances(scatter: torch.Tensor, rotation: torch.Tensor, widths: list[int]) -> torch.Tensor:
    """What :meth:`Blocks.variances` tells of the turned table, without going through it: (f,) float64."""
    turned = rotation.double()
    return torch.stack([part.sum() for part in ((scatter @ turned) * turned).sum(0).split(widths)])
