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
LEAST, MEASURED = 3, 4  # subspaces
SHORT = 32  # tuples of a line


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
    special_line: float = 3_200.0  # one of those, for each tuple of a line of SHORT of them
    special_power: float = 0.3  # of the tuples of a longer line
    other_line: float = 700.0  # any other token, for each of so many tuples of its line at most
    longest_line: int = 24
    # Where there are many more tuples than tokens, and so bits to spare, after k-means:
    token: float = 2_700.0  # for each token
    ordering: float = 5_400.0  # and set of subspaces in a round: tokens are put in order by their boxes
    meeting: float = 61_000.0  # those that share a box by chance, with MEASURED subspaces of 32 codewords
    meeting_power: float = -0.9  # of the number of subspaces
    meeting_size: tuple[float, float] = (0.55, 0.2)  # powers of the codebook size: with LEAST subspaces or fewer, and with more
    meeting_bits: float = 13.0  # bits to spare that make them fewer by a factor e; with MEASURED or fewer subspaces, none do
    alike: float = 115_000.0  # instead, where tokens are alike: with MEASURED subspaces of 32 codewords, boxes of 1,024
    alike_power: float = -1.94
    alike_size: tuple[float, float] = (0.3, 0.03)
    alike_bits: float = 55.0  # that make them more by a factor e
    alike_tuples: float = 0.17  # power of the tuples of a box
    # Where no tokens are alike, exchanges are not worth a round from so many bits to spare on, and never with MEASURED subspaces or fewer:
    spare_bits: float = 6.0
    fewer_bits: float = 1.2  # for each of the missing ones, squared
    many: int = 7
    room: float = 115.0  # instead, for each token and subspace

    def scarce(self, vocabulary: int, subspaces: int, size: int) -> float:
        """Nanoseconds for each token where tuples are scarce."""
        special = self.special_line * min(size, SHORT) * max(1.0, size / SHORT) ** self.special_power
        lines = self.special_visits / vocabulary * special + self.other_line * min(size, self.longest_line)
        return self.scarce_token + self.scarce_set * subspaces + lines

    def loose(self, vocabulary: int, subspaces: int, size: int, alike: float) -> float:
        """The same where they are not. alike: 1 for as many alike tokens as the bundled model has, 0 for none."""
        spare = subspaces * math.log2(max(2, size)) - math.log2(vocabulary)
        together = [axes_together(subspaces, size, limit, wide) for limit, wide in ((SMALL_BOX, False), (LOOSE_BOX, True))]
        tuples = min(size ** together[1], LOOSE_BOX)
        ordering = self.ordering * subspaces * (1 / together[0] + 2 / together[1]) / 2

        def solving(nanoseconds: float, power: float, of_size: tuple[float, float]) -> float:
            return nanoseconds * (max(LEAST, subspaces) / MEASURED) ** power * (size / 32) ** of_size[subspaces > LEAST]

        met = solving(self.meeting, self.meeting_power, self.meeting_size) + ordering
        if subspaces > MEASURED:
            met = met * math.exp(-spare / self.meeting_bits)
            if spare >= self.spare_bits + self.fewer_bits * max(0, self.many - subspaces) ** 2:
                met = self.room * subspaces
        told_apart = solving(self.alike, self.alike_power, self.alike_size) * math.exp(spare / self.alike_bits)
        told_apart = told_apart * (tuples / 1024) ** self.alike_tuples + ordering
        share = math.sqrt(alike)  # a few alike tokens already set off exchanges over all
        return self.token + (1 - share) * met + share * told_apart


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
