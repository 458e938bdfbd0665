"""The cosine of two vectors, and the results of an attribution: effects of tokens and blocks on a cosine, as plain numbers.

:mod:`.attribution` computes them. They stand in a separate module so that pages and jobs can read them without importing torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...base.plain import Settings, setting
from ...base.shown import Brief

OWN_SHARE = (
    0.25  # of its sentence's part, from which on one token is said to decide; of the other sentence's, from which on both do
)
NOTHING = 1e-6  # in cosine; a smaller effect is rounding


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosines of (..., width) with (..., width) vectors, in float64; 0 where one of them is zero.

    >>> cosines(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [1.0, 0.0]])).tolist()
    [0.96, 0.0]
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return (first * second).sum(-1) / np.where(lengths > 0, lengths, 1.0)


@dataclass(frozen=True)
class AttributionSettings(Settings):
    """What is done exactly, and what by integrated gradients. Raises InputError below 0."""

    OUTSIDE = "{name} is {value}; it must be 0 (never exact) or more"

    exact_tokens: int = setting(64, least=0)  # sentences up to this many tokens are done exactly
    exact_swaps: int = setting(256, least=0)  # blocks are done exactly if that takes at most this many encodings


@dataclass(frozen=True, repr=False)
class SentenceEffects(Brief):
    """Effects of one of the two sentences, with n positions and b blocks. All effects are differences of cosines."""

    ids: np.ndarray  # (n,) token ids
    whole: float  # effect of all its tokens together
    tokens: np.ndarray  # (n,) effect of each position alone
    blocks: np.ndarray  # (n, b) effect of each block of each position
    per_block: np.ndarray  # (b,) effect of a block of all its positions together
    moved: np.ndarray  # (n,) length of the displacement over that of the original embedding


@dataclass(frozen=True)
class Integral:
    """Integrated gradients as a whole."""

    total: float  # sum of the attributions
    change: float  # the true change of the cosine
    steps: int  # points on the line

    @property
    def gap(self) -> float:
        """Error of the numerical integral: total - change."""
        return self.total - self.change


@dataclass(frozen=True, repr=False)
class Attribution(Brief):
    """What moved the cosine of a pair of sentences. Effects that are not exact come from integrated gradients: see ``integral``."""

    before: float  # the original cosine
    after: float  # with all tokens of both sentences replaced
    first: SentenceEffects
    second: SentenceEffects
    per_block: np.ndarray  # (b,) effect of a block of all positions of both sentences together
    widths: tuple[int, ...]  # axes of every block
    kind: str  # what a block is called: ``subspace`` or ``run of axes``
    rotated: bool  # whether blocks are runs of rotated axes
    tokens_exact: bool  # whether ``tokens`` of both sentences is exact
    blocks_exact: bool  # whether ``blocks`` of both sentences is exact
    together_exact: bool  # whether ``per_block`` is exact
    integral: Integral | None = None  # None if everything is exact

    @property
    def change(self) -> float:
        """Change of the cosine: after - before."""
        return self.after - self.before

    @property
    def sentences(self) -> tuple[SentenceEffects, SentenceEffects]:
        """Both sentences."""
        return self.first, self.second

    @property
    def shared(self) -> float:
        """What is left of the change without what each sentence does alone: ``change == first.whole + second.whole + shared``.

        With u and v the two sentence vectors at length 1, u' and v' after: ``(u' - u) @ (v' - v)``. Above 0 both move the same way.
        """
        return self.change - self.first.whole - self.second.whole

    @property
    def decides(self) -> str:
        """Whose part the change is: ``shared``, ``both`` (what each sentence does alone), ``first`` or ``second``.

        ``shared`` where the common move is more than half of the change; else one sentence where the other's own part is less than a
        quarter of its, or goes the other way.
        """
        direction = 1 if self.change >= 0 else -1
        first, second = (direction * part.whole for part in self.sentences)
        if direction * self.shared > first + second:
            return "shared"
        return "first" if second < OWN_SHARE * first else "second" if first < OWN_SHARE * second else "both"

    def decisive_token(self, own: Sequence[Sequence[bool]]) -> tuple[int, int] | None:
        """Sentence (0 or 1) and position of the token that moved the cosine most, or None if no single one decides.

        One does whose effect has the sign of the change and is at least a quarter of its sentence's part, where the sentences' own parts
        decide. own: (n,) of each sentence, which positions are of the text.
        """
        if self.decides == "shared":
            return None
        direction = 1 if self.change >= 0 else -1
        best, found = NOTHING, None
        for number, part in enumerate(self.sentences):
            whole = part.whole if self.tokens_exact else float(part.tokens.sum())
            for place, value in enumerate(direction * part.tokens):
                if own[number][place] and value > best and value >= OWN_SHARE * direction * whole > 0:
                    best, found = float(value), (number, place)
        return found


RUNS_OF_AXES = 8  # blocks for a method without subspaces, here and on the page Reconstruction error
