"""Sentences on every side: how a model reads them, the cosine of two and what moved it, and the nearest in a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of, report
from ...models.model import PretrainedModel
from .demonstration import unrelated_cosine
from .effects import NOTHING, Attribution, AttributionSettings, cosines

LONGEST_SENTENCE = 2000  # characters
MOST_SENTENCES = 200  # of one list
TIE = 1e-6  # cosines closer than this are equal: encoding in another batch moves them by about 1e-7


@dataclass(frozen=True)
class ReadSentence:
    """A sentence as a model reads it, special tokens included."""

    text: str
    ids: tuple[int, ...]
    tokens: tuple[str, ...]  # as ``Vocabulary.display``; not escaped
    kinds: tuple[str, ...]  # as ``Vocabulary.kinds``
    full_length: int  # tokens that the whole sentence would have

    @property
    def is_cut(self) -> bool:
        """Whether the model reads only a part of it."""
        return self.full_length > len(self.ids)


def checked_text(text: str, what: str, longest: int = LONGEST_SENTENCE) -> str:
    """Raises InputError for an empty sentence or one over ``longest`` characters. what: how a message calls it."""
    if not isinstance(text, str):
        raise InputError(f"{what} is {text!r}, a {type(text).__name__} instead of a string")
    if not text.strip():
        raise InputError(f"{what} is empty; write a sentence")
    if len(text) > longest:
        raise InputError(f"{what} has {len(text):,} characters; at most {longest:,} are compared: shorten it")
    return text


def read_sentences(model: PretrainedModel, texts: list[str]) -> list[ReadSentence]:
    """How a model reads sentences. Raises ModelError if it has no tokenizer."""
    rows = model.token_ids(texts)
    vocabulary = model.vocabulary
    whole = model.token_ids(texts, whole=True)
    return [
        ReadSentence(
            text,
            tuple(ids),
            tuple(vocabulary.display[i] for i in ids),
            tuple(str(vocabulary.kinds[i]) for i in ids),
            max(len(ids), len(full)),
        )
        for text, ids, full in zip(texts, rows, whole, strict=True)
    ]


# Two sentences


@dataclass(frozen=True)
class PairComparison:
    """Two sentences on every side."""

    cosines: dict[str, float]  # side -> cosine; the first side is the reference
    sentences: tuple[ReadSentence, ReadSentence]  # how the model reads the two
    #: side -> what moved its cosine; only for sides that differ from the first in nothing but the table, because the effect of
    #: a changed network cannot be assigned to single tokens
    attributions: dict[str, Attribution]
    pooling: str  # how sentence vectors are made
    #: side -> mean cosine of unrelated sentences; {} unless what both sentences share decides somewhere, which may be what all do
    unrelated: dict[str, float] = field(default_factory=dict)

    @property
    def sides(self) -> list[str]:
        return list(self.cosines)

    def change(self, side: str) -> float:
        """Cosine of a side minus that of the first side."""
        return self.cosines[side] - self.cosines[self.sides[0]]


def pair_on_sides(
    sides: Mapping[str, PretrainedModel],
    first: str,
    second: str,
    settings: AttributionSettings | None = None,
    progress: ProgressCallback | None = None,
) -> PairComparison:
    """Cosine of two sentences on every side, and which tokens and blocks moved it.

    Raises InputError for a sentence that is empty or too long (see LONGEST_SENTENCE) or has no tokens, ModelError, Cancelled.
    """
    from .attribution import attribute

    texts = [checked_text(first, "the first sentence"), checked_text(second, "the second sentence")]
    reference, *others = sides
    report(progress, "loading the network", 0.0)
    for model in sides.values():
        model.network()
    report(progress, "reading the sentences", 0.05)
    sentences = read_sentences(sides[reference], texts)
    rows = [sentence.ids for sentence in sentences]
    for ids, which in zip(rows, ("first", "second"), strict=True):
        if not ids:
            raise InputError(f"the {which} sentence has no token that the model knows; write another one")
    found = {}
    for side, model in sides.items():
        vectors = model.encode_ids(rows)
        found[side] = float(cosines(vectors[0], vectors[1]))
    attributions = {}
    for number, side in enumerate(others):
        if sides[side].weights:
            continue
        part = part_of(progress, 0.1 + 0.9 * number / len(others), 0.1 + 0.9 * (number + 1) / len(others))
        attributions[side] = attribute(sides[reference], sides[side], *rows, settings=settings, progress=part)
    unrelated = {}
    shared = [side for side, one in attributions.items() if one.decides == "shared" and abs(one.change) > NOTHING]
    if shared:
        report(progress, "comparing unrelated sentences", 1.0)
        unrelated = {side: unrelated_cosine(sides[side]) for side in (reference, *shared)}
    return PairComparison(found, tuple(sentences), attributions, sides[reference].pooling, unrelated)


# Lists of sentences


@dataclass(frozen=True)
class ListComparison:
    """Cosines of n first with m second sentences. Arrays are read-only."""

    first: tuple[str, ...]
    second: tuple[str, ...] | None  # None for a list against itself; then the diagonal is left out of every ranking
    matrices: dict[str, np.ndarray]  # side -> (n, m) float64 cosines; the first side is the reference

    @property
    def columns(self) -> tuple[str, ...]:
        """The sentences of the columns: the second list, or the first where it is compared with itself."""
        return self.first if self.second is None else self.second

    @property
    def sides(self) -> list[str]:
        return list(self.matrices)

    def difference(self, side: str) -> np.ndarray:
        """(n, m) cosines of a side minus those of the first side."""
        return self.matrices[side] - self.matrices[self.sides[0]]

    @cached_property
    def ranks(self) -> dict[str, np.ndarray]:
        """Side -> (n, m) int rank of each second sentence for each first one, from 1; 0 for a sentence against itself.

        Equal cosines (to 1e-6) share the best of their ranks.
        """
        return {side: ranks_of(matrix, self.second is None) for side, matrix in self.matrices.items()}

    def nearest(self, side: str) -> np.ndarray:
        """(n,) index of the nearest second sentence of each first one; -1 if there is none to choose from."""
        values = self.matrices[side]
        if self.second is None:
            values = np.where(np.eye(len(values), dtype=bool), -np.inf, values)
        best = values.argmax(1)
        return np.where(np.isfinite(values.max(1)), best, -1)

    def changed(self, side: str) -> np.ndarray:
        """(n,) bool: whether the first side's nearest sentence is no longer nearest; a tie still counts as nearest."""
        before = self.nearest(self.sides[0])
        ranks = self.ranks[side][np.arange(len(before)), before]
        return (before >= 0) & (ranks > 1)

    def rank_changes(self, side: str) -> np.ndarray:
        """(n, m) int: rank on this side minus rank on the first side; above 0 means it fell back."""
        return self.ranks[side] - self.ranks[self.sides[0]]


def ranks_of(matrix: np.ndarray, against_itself: bool = False) -> np.ndarray:
    """Ranks along every row, 1 for the largest; neighbours in this order that differ by less than TIE share
    the best rank.

    against_itself: the diagonal gets 0 and does not count.

    >>> ranks_of(np.array([[0.5, 0.9, 0.9, 0.1]])).tolist()
    [[3, 1, 1, 4]]
    """
    values = np.array(matrix, dtype=np.float64)
    if against_itself:
        np.fill_diagonal(values, -np.inf)
    order = np.argsort(-values, axis=1, kind="stable")
    descending = np.take_along_axis(values, order, axis=1)
    # naive: for each row: rank = 1 + the number of values that are clearly larger
    with np.errstate(invalid="ignore"):  # the diagonal, last, is minus infinity
        is_new = np.diff(descending, axis=1) < -TIE
    place = np.arange(2, values.shape[1] + 1)
    starts = np.concatenate([np.ones((len(values), 1), int), np.where(is_new, place, 1)], axis=1)
    ranks = np.empty(values.shape, int)
    np.put_along_axis(ranks, order, np.maximum.accumulate(starts, axis=1), axis=1)
    if against_itself:
        np.fill_diagonal(ranks, 0)
    return ranks


def checked_list(sentences: Sequence[str], what: str) -> list[str]:
    """Raises InputError for an empty list, more than MOST_SENTENCES, or a sentence that is empty or too long."""
    sentences = list(sentences)
    if not sentences:
        raise InputError(f"{what} is empty; write one sentence a line")
    if len(sentences) > MOST_SENTENCES:
        raise InputError(f"{what} has {len(sentences):,} sentences; at most {MOST_SENTENCES} are compared: leave some out")
    return [checked_text(text, f"{what}, sentence {number},", LONGEST_SENTENCE) for number, text in enumerate(sentences, 1)]


def compare(
    sides: Mapping[str, PretrainedModel],
    first: Sequence[str],
    second: Sequence[str] | None = None,
    progress: ProgressCallback | None = None,
) -> ListComparison:
    """Cosines of two lists of sentences, or of one with itself, on every side.

    Raises InputError for lists that are empty or too long (see MOST_SENTENCES), ModelError, Cancelled.
    """
    first = checked_list(first, "the first list" if second is not None else "the list")
    if second is not None:
        second = checked_list(second, "the second list")
    elif len(first) < 2:
        raise InputError("a list against itself needs at least 2 sentences; write more, or a second list")
    # Every sentence is encoded once, however often it occurs: equal sentences then have equal vectors to the last bit.
    texts = list(dict.fromkeys([*first, *(second or ())]))
    place = {text: number for number, text in enumerate(texts)}
    rows = [place[text] for text in first]
    columns = rows if second is None else [place[text] for text in second]
    matrices = {}
    for number, (side, model) in enumerate(sides.items()):
        vectors = model.encode(texts, progress=part_of(progress, number / len(sides), (number + 1) / len(sides)))
        matrix = cosines(vectors[rows][:, None], vectors[columns][None])
        matrix.setflags(write=False)
        matrices[side] = matrix
    return ListComparison(tuple(first), None if second is None else tuple(second), matrices)
