"""Product quantization: k-means in every subspace on its own (Jegou, Douze and Schmid 2011)."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from ...base.lazy import lazy_module
from ..rounds import passes
from .base import MethodSettings, Suggested
from .codebooks import CodebookMethod, Found, Problem

torch = lazy_module("torch")


class Cost(NamedTuple):
    """Nanoseconds of one thread in each round that reads all tokens, of k-means or of codes and codebooks."""

    multiply: float = 0.0  # for each of V x D x Q
    compare: float = 0.0  # for each of V x f x Q
    read: float = 0.0  # for each of V x D
    gather: float = 0.0  # for each of V x f
    turn: float = 0.0  # for each of V x D x D
    extra_rounds: int = 0  # after the iterations asked for: they turn the axes


SWEEPS, MORE_SWEEPS = 3.0, 1.1  # of codes chosen together, about: so many, and as many times ln(f) more
MULTIPLY_TOGETHER = 0.197  # a sweep, for each of V x D x D
GATHER_TOGETHER = 1.56  # a sweep, for each of V x D x f
COMPARE_TOGETHER = 7.0  # a sweep, for each of V x f x Q
EXCHANGE_TOGETHER = 5_000.0  # a sweep, for each token whose tuple stays distinct


class Exchanges(NamedTuple):
    """Nanoseconds of one thread for distinct tuples, k-means before them included, with 25 iterations."""

    token: float = 65_900.0  # for each token
    crowded: float = 74_700.0  # for each token, times the cube of tokens per tuple: boxes are then full, and hard to settle
    order: float = 111.0  # for each of V x f x f: tokens are put in order once a subspace, by all their codes
    price: float = 0.93  # for each of V x D x Q


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

    cost: ClassVar[Cost] = Cost(multiply=0.036, compare=0.4, read=0.6, gather=24)

    def find(self, problem: Problem) -> Found:
        from ..kmeans import Monitor

        blocks = problem.cut()
        monitor = Monitor(blocks, problem.progress)
        codes, stop = clustered(problem, blocks, monitor)
        return Found(codes, monitor, stop)

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int) -> float:
        numbers, codes, size = vocabulary * dim, vocabulary * settings.subspaces, settings.codebook_size
        found = self.rounds(settings, vocabulary) * (
            numbers * (self.cost.multiply * size + self.cost.read)
            + codes * (self.cost.compare * size + self.cost.gather)
            + self.cost.turn * numbers * dim
        )
        together = 0.0
        if settings.sensitive:
            compared = COMPARE_TOGETHER * codes * size
            exchanged = EXCHANGE_TOGETHER * vocabulary if settings.wants_unique else 0.0
            moved = MULTIPLY_TOGETHER * numbers * dim + GATHER_TOGETHER * numbers * settings.subspaces
            sweeps = min(SWEEPS + MORE_SWEEPS * math.log(settings.subspaces), settings.iterations)
            together = sweeps * (moved + compared + exchanged)
        if not settings.wants_unique:
            return found + together
        each = Exchanges()
        load = min(1.0, vocabulary / float(size) ** min(settings.subspaces, 64))
        exchanges = vocabulary * (each.token + each.crowded * load**3) + each.order * codes * settings.subspaces
        exchanges = (exchanges + each.price * numbers * size) * (settings.iterations + 10) / 35
        return exchanges + together + (found if self.is_rotated else 0.0)

    def rounds(self, settings: MethodSettings, vocabulary: int) -> float:
        """How often every token is read."""
        return passes(vocabulary, settings.codebook_size, settings.iterations)


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
