"""Product quantization: k-means in every subspace on its own (Jegou, Douze and Schmid 2011)."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from ...base.lazy import lazy_module
from ..rounds import passes
from ..subspaces import LOOSE_BOX, SMALL_BOX, axes_together, is_loose
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
    """Nanoseconds of one thread for distinct tuples, with 25 iterations; what two threads cannot share counts more than once.

    Which tokens meet in a box depends on the table: the bundled model's unused tokens are alike, and each time that codebooks move they have
    to be told apart anew; where no tokens are, most boxes are free. Fitted on the bundled model with and without those tokens, and on
    multilingual-e5-small, which has none (see :func:`subemb.analysis.neighbours.alike_share`).
    """

    # Where tuples are scarce, and boxes are single lines of Q of them; k-means before them included:
    scarce_token: float = 60_000.0  # for each token
    scarce_set: float = 1_200.0  # and subspace
    special_visits: float = 49_000.0  # of unused and other special tokens, which are about as many whatever the vocabulary
    special_line: float = 3_200.0  # one of those, for each tuple of the line
    other_line: float = 700.0  # any other token, for each of so many tuples of its line at most
    longest_line: int = 24
    # Where there are many more tuples than tokens, after k-means. A term shrinks by a factor e for so many bits more than tell all tokens
    # apart, and grows with the tuples of a box (of LOOSE_BOX at most) and with Q, by the powers that stand beside it.
    token: float = 1_200.0  # for each token
    order: float = 1_100.0  # and f x f: tokens are put in order once a set of subspaces, by all their codes
    order_bits: float = 17.5
    meeting: float = 131_000.0  # tokens that share a box by chance
    meeting_bits: float = 4.3
    meeting_powers: tuple[float, float] = (1.0, 0.57)
    # Nothing of these two where no tokens are alike and so few meet that exchanges are not worth a round: with many subspaces.
    many_subspaces: int = 7  # or one fewer, and the bits below to spare
    many_bits: float = 9.0
    room: float = 25.0  # instead, for each token and subspace
    # More where there are alike tokens:
    alike_token: float = 800.0  # for each token
    alike_set: float = 1_700.0  # and subspace
    alike_order: float = 175.0  # and f x f
    solving: float = 14_400.0  # boxes of alike tokens
    solving_bits: float = 100.0
    solving_powers: tuple[float, float] = (1.1, 0.32)
    moving: float = 137_000.0  # others that they drive from their tuples
    moving_bits: float = 14.0
    moving_powers: tuple[float, float] = (0.5, 0.57)

    def scarce(self, vocabulary: int, subspaces: int, size: int) -> float:
        """Nanoseconds for each token where tuples are scarce."""
        lines = self.special_visits / vocabulary * self.special_line * size + self.other_line * min(size, self.longest_line)
        return self.scarce_token + self.scarce_set * subspaces + lines

    def loose(self, vocabulary: int, subspaces: int, size: int, alike: float) -> float:
        """The same where they are not. alike: 1 for as many alike tokens as the bundled model has, 0 for none."""
        spare = subspaces * math.log2(max(2, size)) - math.log2(vocabulary)
        together = [axes_together(subspaces, size, limit, wide) for limit, wide in ((SMALL_BOX, False), (LOOSE_BOX, True))]
        sets = (1 / together[0] + 2 / together[1]) / 2  # in a round, for each subspace
        tuples = min(size ** together[1], LOOSE_BOX) / 1024

        def term(nanoseconds: float, bits: float, powers: tuple[float, float], boxes: float) -> float:
            return nanoseconds * math.exp(-spare / bits) * boxes ** powers[0] * (size / 32) ** powers[1]

        exchanged = self.order * sets * subspaces**2 * math.exp(-spare / self.order_bits)
        exchanged += term(self.meeting, self.meeting_bits, self.meeting_powers, tuples)
        few_meet = subspaces >= self.many_subspaces - (spare >= self.many_bits)
        alone = self.room * subspaces if few_meet else exchanged
        more = exchanged + self.alike_token + sets * subspaces * (self.alike_set + self.alike_order * subspaces)
        more += term(self.solving, self.solving_bits, self.solving_powers, max(1.0, tuples))
        more += term(self.moving, self.moving_bits, self.moving_powers, tuples)
        return self.token + alone + alike * (more - alone)


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

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
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
        exchanges, iterations = Exchanges(), (settings.iterations + 10) / 35
        if not is_loose(vocabulary, settings.subspaces, size):
            scarce = vocabulary * exchanges.scarce(vocabulary, settings.subspaces, size) * iterations
            return scarce + together + (found if self.is_rotated else 0.0)
        return found + vocabulary * exchanges.loose(vocabulary, settings.subspaces, size, alike) * iterations + together

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
