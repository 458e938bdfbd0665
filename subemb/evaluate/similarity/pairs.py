"""Sentence similarity on labelled pairs: cosines of every side, and how well they agree with what people said.

report = evaluate_pairs({"original": model, "compressed": small}, read_pairs(Path("sts-dev.csv")))
report.scores["compressed"].values["spearman"], report.scores["compressed"].differences["spearman"]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...base.arguments import Seed, checked
from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of, report
from ...models.model import PretrainedModel
from ...models.sentences import reading_seconds
from ..data.pairs import PairSet
from ..report import (
    METRICS,
    RESAMPLES,
    SEED,
    Report,
    SideScores,
    of_side,
    places_by_language,
    read_only,
    score_parts,
    score_sides,
)
from ..statistics import check_resamples, descending_ranks

_ENCODING = 0.9  # share of the time; the rest is the bootstrap
_BYTES_A_TOKEN, _FRAME_TOKENS = 4.0, 2  # bytes of UTF-8 (longer characters make more tokens); special tokens of a sentence


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SimilarityReport(Report):
    """The sides of a model on pairs of sentences, by cosine. Made by :func:`evaluate_pairs`."""

    KIND: ClassVar[str] = "similarity"
    pairs: PairSet
    pooling: str  # how sentence vectors were made, in words
    cosines: dict[str, np.ndarray]  # side -> (n,) float32

    def __post_init__(self):
        object.__setattr__(self, "cosines", {side: read_only(found, np.float32) for side, found in self.cosines.items()})

    @property
    def found_values(self) -> dict[str, np.ndarray]:
        return {f"cosines of {side}": values for side, values in self.cosines.items()}

    def ranks(self, side: str) -> np.ndarray:
        """(n,) float64: 1 for the highest cosine; equal cosines share the mean of their ranks."""
        return descending_ranks(self.cosines[side])

    def moved(self, side: str, limit: int | None = None) -> np.ndarray:
        """Indices of pairs, the largest change of rank first; where that is equal, the larger change of the cosine first."""
        reference = self.sides[0]
        ranks = np.abs(self.ranks(side) - self.ranks(reference))
        change = np.abs(self.cosines[side].astype(np.float64) - self.cosines[reference])
        return np.lexsort((np.arange(len(self)), -change, -ranks))[:limit]


@checked
def cosines(
    model: PretrainedModel, first: Sequence[str], second: Sequence[str], progress: ProgressCallback | None = None
) -> np.ndarray:
    """Cosine of the sentence vectors of n pairs, (n,) float32 in -1..1; 0 where a vector is zero.

    Every distinct sentence is encoded once. Raises InputError if the lists differ in length, and what ``encode`` raises.
    """
    if len(first) != len(second):
        raise InputError(f"{len(first)} first sentences but {len(second)} second ones; give one of each a pair")
    sentences, places = distinct_sentences(first, second)
    return cosines_of(model.encode(sentences, progress=progress), places)


def distinct_sentences(first: Sequence[str], second: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The distinct sentences of n pairs, and (n, 2) int64 which of them make each pair."""
    place = {sentence: number for number, sentence in enumerate(dict.fromkeys([*first, *second]))}
    return list(place), np.array([[place[text] for text in side] for side in (first, second)], dtype=np.int64).T


def cosines_of(vectors: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Cosines (n,) float32 of the pairs at ``places`` (n, 2) among sentence vectors (s, width), which are brought to length 1."""
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found = np.empty(len(places), dtype=np.float32)
    for start in range(0, len(places), 4096):  # never all pairs' vectors at once
        left, right = places[start : start + 4096].T
        found[start : start + 4096] = np.einsum("ij,ij->i", vectors[left], vectors[right], dtype=np.float64)
    return np.clip(found, -1.0, 1.0)


@checked
def evaluate_pairs(
    sides: Mapping[str, PretrainedModel],
    pairs: PairSet,
    resamples: int = RESAMPLES,
    seed: Seed = SEED,
    progress: ProgressCallback | None = None,
) -> SimilarityReport:
    """How well the cosines of each side agree with gold, and the difference to the first side with its 95 % interval.

    sides: name -> model, one or more; the first is the reference. Similarity is measured by Spearman and Pearson; paraphrase by
    accuracy and F1, each at the threshold that is best for this side on these pairs, and by average precision. If there are
    several languages, each is measured separately too. Intervals are paired bootstraps with ``resamples`` resamples.
    Raises InputError for a set that cannot be used, and what ``encode`` raises.
    """
    _check(sides, pairs)
    check_resamples(resamples)
    share, found = _ENCODING / len(sides), {}
    for number, (name, model) in enumerate(sides.items()):
        part = of_side(part_of(progress, number * share, (number + 1) * share), f"{name} table")
        found[name] = cosines(model, pairs.first, pairs.second, part)

    def score(places: np.ndarray, step: ProgressCallback | None) -> dict[str, SideScores]:
        of_these = {name: values[places] for name, values in found.items()}
        return score_sides(pairs.gold[places], of_these, METRICS[pairs.task], resamples, seed, step)

    languages = places_by_language(pairs.languages)
    scores, by_language = score_parts(len(pairs), languages, score, part_of(progress, _ENCODING, 1.0))
    report(progress, "done", 1.0)
    return SimilarityReport(
        pairs=pairs,
        sides=tuple(sides),
        scores=scores,
        by_language=by_language,
        resamples=resamples,
        seed=seed,
        pooling=next(iter(sides.values())).pooling,
        cosines=found,
    )


def encoding_seconds(model: PretrainedModel, sentences: Sequence[str], sides: int = 1) -> float:
    """Roughly how many seconds ``sides`` sides will take to encode the distinct ``sentences``.

    Estimated without loading the network, from its number of weights and the length of the sentences in bytes.
    """
    distinct = set(sentences)
    tokens = sum(len(sentence.encode("utf-8", "replace")) / _BYTES_A_TOKEN + _FRAME_TOKENS for sentence in distinct)
    return sides * reading_seconds(model, len(distinct), tokens)


def _check(sides: Mapping, pairs: PairSet) -> None:
    if not sides:
        raise InputError("there is no side to evaluate; give at least one model")
    if pairs.task not in ("similarity", "paraphrase"):
        raise InputError(f"{pairs.name} is a set for {pairs.task}; cosines need graded scores or 0 and 1")
    if len(pairs) < 2:
        raise InputError(f"{pairs.name} has {len(pairs)} usable pairs; at least 2 are needed")
