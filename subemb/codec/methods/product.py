"""Product quantization: k-means in every subspace on its own (Jegou, Douze and Schmid 2011)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from ...base.lazy import lazy_module
from .base import MethodSettings, Suggested
from .codebooks import CodebookMethod, Found, Problem

torch = lazy_module("torch")


class Cost(NamedTuple):
    """Nanoseconds of one thread: once for a table, and again in each round of k-means or of codes and codebooks."""

    once: float  # for each of V x D numbers
    multiply: float = 0.0  # a round, for each of V x D x Q
    compare: float = 0.0  # a round, for each of V x f x Q
    read: float = 0.0  # a round, for each of V x D
    gather: float = 0.0  # a round, for each of V x f
    turn: float = 0.0  # a round, for each of V x D x D
    extra_rounds: int = 0  # after the iterations asked for: they make tuples distinct or turn the axes


EXCHANGES = 80_000.0  # nanoseconds a token: making tuples distinct
SWEEPS = 6  # of codes chosen together, about
MULTIPLY_TOGETHER = 0.1  # a sweep, for each of V x D x D
COMPARE_TOGETHER = 10.0  # a sweep, for each of V x f x Q
EXCHANGE_TOGETHER = 5_000.0  # a sweep, for each token whose tuple stays distinct


class Product(CodebookMethod):
    """k-means in every subspace, and then distinct tuples where they are wanted."""

    key = "product"
    title = "Product quantization"
    summary = "k-means in every subspace on its own; tokens may collide unless unique tuples are asked for."
    reads = (*CodebookMethod.reads, "iterations", "tolerance", "sensitive")
    suggested = Suggested(subspaces=8, codebook_size=256)  # the automatic Q is made for unique tuples
    can_be_unique = True
    can_be_sensitive = True
    can_be_reassigned = True

    cost: ClassVar[Cost] = Cost(once=50, multiply=0.011, compare=1.15, read=2.8, gather=52)
    cost_of_unique: ClassVar[Cost] = Cost(once=46, multiply=0.028, compare=1.5, read=3.2, gather=203, extra_rounds=8)

    def find(self, problem: Problem) -> Found:
        from ..blocks import Blocks
        from ..kmeans import Monitor

        blocks = Blocks.cut(problem.taken(), problem.settings.subspaces, problem.weights)
        monitor = Monitor(blocks, problem.progress)
        codes, stop = clustered(problem, blocks, monitor)
        return Found(codes, monitor, stop)

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int) -> float:
        cost = self.cost_of_unique if settings.wants_unique else self.cost
        numbers, codes = vocabulary * dim, vocabulary * settings.subspaces
        one_round = (
            numbers * (cost.multiply * settings.codebook_size + cost.read)
            + codes * (cost.compare * settings.codebook_size + cost.gather)
            + cost.turn * numbers * dim
        )
        exchanges = EXCHANGES * vocabulary if settings.wants_unique else 0.0
        together = 0.0
        if settings.sensitive:
            compared = COMPARE_TOGETHER * codes * settings.codebook_size
            exchanged = EXCHANGE_TOGETHER * vocabulary if settings.wants_unique else 0.0
            together = SWEEPS * (MULTIPLY_TOGETHER * numbers * dim + compared + exchanged)
        return cost.once * numbers + (settings.iterations + cost.extra_rounds) * one_round + exchanges + together


def clustered(
    problem: Problem, blocks, monitor, start: list[torch.Tensor] | None = None, begun: float = 0.0
) -> tuple[torch.Tensor, str]:
    """k-means and unique tuples: codes (V, f), and why it stopped.

    blocks: the Blocks to cluster. start: codebooks to begin with, one (g, Q, d) a group. begun: share of the whole work that is done.
    """
    from ..kmeans import kmeans
    from ..unique import make_unique

    settings = problem.settings
    limits = {"iterations": settings.iterations, "tolerance": settings.tolerance}
    half = begun + (1 - begun) * 0.3 if settings.unique else 1.0
    result = kmeans(blocks, settings.codebook_size, problem.generator, monitor, start=start, share=(begun, half), **limits)
    if not settings.unique:
        return result.codes, result.stop
    return make_unique(
        blocks, result.codes, result.codebooks, monitor, generator=problem.generator, share=(half, 1.0), **limits
    )
