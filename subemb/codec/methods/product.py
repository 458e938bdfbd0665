"""Product quantization: k-means in every subspace on its own (Jegou, Douze and Schmid 2011)."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from ...base.lazy import lazy_module
from ..rounds import passes
from ..subspaces import LOOSE_BOX, LOOSE_LOAD
from .base import NOTICED, MethodSettings, Suggested
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


ONCE = 12.0  # nanoseconds of one thread for each of V x D: means, centring, codebooks of the table, errors
SWEEPS, MORE_SWEEPS = 3.0, 1.1  # of codes chosen together, about: so many, and as many times ln(f) more
MULTIPLY_TOGETHER = 0.197  # a sweep, for each of V x D x D
GATHER_TOGETHER = 1.56  # a sweep, for each of V x D x f
COMPARE_TOGETHER = 7.0  # a sweep, for each of V x f x Q
EXCHANGE_TOGETHER = 6_500.0  # a sweep, for each token whose tuple stays distinct
STEP_TOGETHER = 500_000.0  # a sweep, for each subspace, however few tokens there are


class Exchanges(NamedTuple):
    """Nanoseconds of one thread for distinct tuples, k-means before them included, with 25 iterations.

    Which tokens meet in a box depends on the table; the numbers of visits are those of the bundled model, whose unused tokens look alike.
    Fitted on it and on multilingual-e5-small.
    """

    token: float = 32_000.0  # for each token: k-means, room, codebooks
    set: float = 2_000.0  # for each of V x f: the exchanges of one subspace, without the boxes
    order: float = 80.0  # for each of V x f x f: tokens are put in order once a subspace, by all their codes
    #: How often tokens are in a box that has to be solved: unused and other special ones, which are about as many whatever the vocabulary,
    #: so often together; and each token so often where codes are just enough to tell tokens apart, by a factor e less for so many bits
    #: more than that.
    visits: float = 49_000.0
    more_visits: float = 28.4
    bits: float = 7.0
    # Where tuples are scarce, and boxes are single lines of Q of them:
    scarce_token: float = 60_000.0  # for each token
    scarce_set: float = 1_200.0  # and subspace
    special_line: float = 3_200.0  # a visit of the first kind, for each tuple of the line
    other_line: float = 700.0  # any other token, for each of so many tuples of its line at most
    longest_line: int = 24
    box: float = 17_300.0  # a visit of the first kind, where they are not: a box of 32 x 32 tuples, or fewer
    wider: float = 1.2  # power of the tuples of a larger one
    more: float = 15_000.0  # a visit of the second kind
    crowd: float = 84.0  # and for each token that is in the box too

    def of_token(self, vocabulary: int, subspaces: int, size: int) -> float:
        """Nanoseconds for each token."""
        spare = max(0.0, subspaces * math.log2(max(2, size)) - math.log2(vocabulary))
        special, load = self.visits / vocabulary, 2.0**-spare
        if load > LOOSE_LOAD:
            lines = special * self.special_line * size + self.other_line * min(size, self.longest_line)
            return self.scarce_token + self.scarce_set * subspaces + lines
        more, tuples = self.more_visits * math.exp(-spare / self.bits), min(size**2, LOOSE_BOX)
        solving = special * self.box * max(1.0, tuples / 1024) ** self.wider + more * (self.more + self.crowd * load * tuples)
        return self.token + subspaces * (self.set + self.order * subspaces) + solving


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

    cost: ClassVar[Cost] = Cost(multiply=0.036, compare=0.4, read=0.6, gather=28)

    def find(self, problem: Problem) -> Found:
        from ..kmeans import Monitor

        blocks = problem.cut()
        monitor = Monitor(blocks, problem.progress)
        codes, stop = clustered(problem, blocks, monitor)
        return Found(codes, monitor, stop)

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int) -> float:
        numbers, codes, size = vocabulary * dim, vocabulary * settings.subspaces, settings.codebook_size
        found = ONCE * numbers + self.rounds(settings, vocabulary) * (
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
            steps = STEP_TOGETHER * settings.subspaces
            together = sweeps * (moved + compared + exchanged + steps) + NOTICED * numbers * dim
        if not settings.wants_unique:
            return found + together
        exchanges = vocabulary * Exchanges().of_token(vocabulary, settings.subspaces, size) * (settings.iterations + 10) / 35
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
