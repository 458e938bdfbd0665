"""Arbitrary codes (the paper's Algorithm 1), and their control: the same codes dealt out at random."""

from __future__ import annotations

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ..compressed import SubspaceCompressed
from ..subspaces import require_enough_tuples
from .base import MethodSettings, Suggested
from .codebooks import CodebookMethod, Found, Pair, Problem

torch = lazy_module("torch")


def arbitrary_codes(vocabulary: int, subspaces: int, codebook_size: int) -> torch.Tensor:
    """The digits of every token id in base Q, most significant first: (V, f) int64 (the paper's Algorithm 1).

    Raises InputError if Q ** f < V: then ids would share their digits.

    >>> arbitrary_codes(5, 2, 3).tolist()
    [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]]
    """
    require_enough_tuples(vocabulary, subspaces, codebook_size, "arbitrary codes")
    codes = torch.empty(vocabulary, subspaces, dtype=torch.int64)
    rest = torch.arange(vocabulary)
    for i in reversed(range(subspaces)):
        codes[:, i] = rest % codebook_size
        rest = rest // codebook_size
    return codes


class Random(CodebookMethod):
    """The control for :class:`Arbitrary`: what codes that follow nothing at all are worth."""

    key = "random"
    title = "Random"
    summary = "Arbitrary codes dealt out in a seeded random order: the control for arbitrary."
    suggested = Suggested(subspaces=3, codebook_size=None)
    is_unique = True

    def find(self, problem: Problem) -> Found:
        from ..kmeans import Monitor

        blocks = problem.cut()
        codes = self.codes(problem.settings, blocks.vocabulary, problem.generator)
        return Found(codes.to(blocks.device), Monitor(blocks, problem.progress))

    def codes(self, settings: MethodSettings, vocabulary: int, generator: torch.Generator) -> torch.Tensor:
        """The digits of a permutation of the ids: (V, f) int64."""
        codes = arbitrary_codes(vocabulary, settings.subspaces, settings.codebook_size)
        return codes[torch.randperm(vocabulary, generator=generator)]

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
        return vocabulary * (4.0 * dim + 99.0 * settings.subspaces)

    def preference(self, pair: Pair) -> tuple[float, ...]:
        """Such codes follow no vectors: the fewest subspaces, and so the largest codebooks, are best."""
        return (pair.subspaces, -pair.codebook_size)


class Arbitrary(Random):
    """Codes that need not be stored: they are computed from the id."""

    key = "arbitrary"
    title = "Arbitrary"
    summary = "The digits of the token id in base Q are the codes: distinct for free, blind to meaning (Algorithm 1)."
    stores_codes = False

    def codes(self, settings: MethodSettings, vocabulary: int, generator: torch.Generator) -> torch.Tensor:
        return arbitrary_codes(vocabulary, settings.subspaces, settings.codebook_size)

    def tensors(self, compressed: SubspaceCompressed) -> dict[str, torch.Tensor]:
        tensors, codes = super().tensors(compressed), compressed.codes
        if not torch.equal(codes.cpu().long(), arbitrary_codes(*codes.shape, compressed.settings.codebook_size)):
            raise InputError("the codes are not the digits of the token ids, as those of method arbitrary must be")
        return tensors

    def built_codes(self, settings: MethodSettings, vocabulary: int, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        return arbitrary_codes(vocabulary, settings.subspaces, settings.codebook_size)
