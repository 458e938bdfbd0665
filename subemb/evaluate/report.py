"""The results that all evaluations share: scores, intervals, languages, and their JSON form.

An evaluation on labelled data returns a subclass of :class:`Report`, which adds what only this evaluation measures (cosines,
probabilities, confusions). :func:`score_sides` scores the sides; :func:`score_parts` does so over all pairs and each language.
Without labels (masked words) the result is a :class:`Scored`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from ..base.errors import InputError
from ..base.plain import from_plain, to_plain
from ..base.progress import Progress, ProgressCallback, part_of
from ..base.shown import Card, Shown
from ..base.text import count_text, score_change, score_text
from . import statistics
from .data.kinds import KINDS
from .data.pairs import Note, PairSet, WordSet
from .statistics import Interval, best_threshold, check_resamples, is_constant, paired_bootstrap

RESAMPLES, SEED = 2000, 0  # of the bootstrap, unless others are given
#: Task of the data -> what is measured; pages show the first one first.
METRICS = {key: kind.metrics for key, kind in KINDS.items()} | {"words": ("spearman",)}
METRIC_NAMES = {
    "spearman": "Spearman",
    "pearson": "Pearson",
    "best_accuracy": "Accuracy",
    "best_f1": "F1",
    "average_precision": "Average precision",
    "accuracy": "Accuracy",
}
#: Metric -> what it says, for readers who are new to it.
METRIC_HELP = {
    "spearman": "Do the cosines put the pairs in the same order as people did? 100: exactly the same order, 0: no relation. Only the "
    "order counts, not how high the cosines are.",
    "pearson": "Do the cosines rise in a straight line with what people said? 100: exactly, 0: no relation.",
    "accuracy": "Share of pairs judged as people labelled them.",
    "best_accuracy": "Share of pairs judged right, when a cosine at or above a threshold counts as paraphrase.",
    "best_f1": "Harmonic mean of precision and recall of the paraphrases found, at the threshold that suits it best.",
    "average_precision": "Precision averaged over all thresholds: 100 if every paraphrase has a higher cosine than every other pair.",
}
_THRESHOLDS = {"best_accuracy": "accuracy", "best_f1": "f1"}


@dataclass(frozen=True)
class SideScores:
    """One side on some pairs."""

    values: dict[str, float]  # metric -> value in natural units, NaN where undefined
    thresholds: dict[str, float] = field(default_factory=dict)  # metric -> threshold of the cosine, for metrics that need one
    differences: dict[str, Interval] = field(default_factory=dict)  # metric -> to the first side; empty for that side

    def to_dict(self) -> dict[str, Any]:
        """JSON types; NaN becomes None."""
        return to_plain(self)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Scored(Shown):
    """The scores of a model's sides."""

    sides: tuple[str, ...]  # names; the first is the reference
    scores: dict[str, SideScores]  # side -> its scores over everything that was measured

    def described(self) -> Card:
        """What is shown of it: the scores x 100 of every side, with their differences to the first."""
        metrics = list(next(iter(self.scores.values())).values) if self.scores else []
        rows = [
            [side, *(_score_and_difference(self.scores[self.sides[0]], self.scores[side], metric) for metric in metrics)]
            for side in self.sides
            if side in self.scores
        ]
        first = metrics[0] if metrics else ""
        line = (
            ", ".join(f"{side} {score_text(self.scores[side].values[first], minus='-')}" for side in self.scores)
            if metrics
            else ""
        )
        name = METRIC_NAMES.get(first, first)
        return Card(
            type(self).__name__,
            f"{name} x 100: {line}" if line else "without scores",
            header=["side", *(f"{METRIC_NAMES.get(metric, metric)} x 100" for metric in metrics)],
            rows=rows,
            note="In brackets: the difference to the first side, with its 95 % interval." if len(rows) > 1 else "",
        )


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Report(Scored):
    """The sides of a model on one labelled set. Arrays are read-only."""

    KIND: ClassVar[str] = ""  # what messages call it
    pairs: PairSet | WordSet  # the data
    by_language: dict[str, dict[str, SideScores]] = field(default_factory=dict)  # empty unless there are several languages
    resamples: int = RESAMPLES  # of the bootstrap
    seed: int = SEED  # of the bootstrap

    def __len__(self) -> int:
        """Pairs that were measured."""
        return len(self.pairs)

    def described(self) -> Card:
        """What is shown of it: the data, and the scores of every side."""
        card = super().described()
        data = f"{self.pairs.name}: {count_text(len(self))} pairs"
        by = [("judged by", self.judged_by)] if self.judged_by else []
        return replace(card, line=f"{data}, {card.line}", facts=[("data", data), *by])

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured; the first is the main one."""
        return METRICS[self.pairs.task]

    @property
    def judged_by(self) -> str:
        """What judged the pairs, in words, if there is a choice; else empty."""
        return ""

    @property
    def remarks(self) -> tuple[Note, ...]:
        """Why something could not be measured, in sentences; empty if everything was."""
        gold, what = self.gold, "label" if self.pairs.task in ("entailment", "paraphrase") else "score"
        found = []
        if len(gold) and is_constant(gold):
            value = self.labels[int(gold[0])] if self.labels else f"{gold[0]:g}"
            found.append(
                f"All {len(gold):,} pairs have the same {what}, {value}, so how well labels or scores are told apart cannot be measured on them"
            )
        found += [
            f"The {name} are the same for all pairs, {values[0]:g}, so nothing can be measured there"
            for name, values in self.found_values.items()
            if len(values) > 1 and is_constant(values)
        ]
        return tuple(Note("measures", text) for text in found)

    @property
    def labels(self) -> tuple[str, ...]:
        """What ``gold`` are indices into; empty where it is the values themselves."""
        return ()

    @property
    def gold(self) -> np.ndarray:
        """(n,) gold of the pairs that were measured."""
        return self.pairs.gold

    @property
    def found_values(self) -> dict[str, np.ndarray]:
        """What sides found, by what it is called: (n,) numbers that must not all be equal."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; NaN becomes None."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The reverse of :meth:`to_dict`. Raises InputError if the values are no such report."""
        try:
            return from_plain(cls, values)
        except (InputError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"this is no saved {cls.KIND} report ({error}); compute it again") from error


def shown_difference(reference: SideScores, scores: SideScores, metric: str, minus: str = "−") -> str:
    """The difference of a side's score to the reference's, x 100: :func:`subemb.base.text.score_change`."""
    known = scores.differences[metric].difference if metric in scores.differences else None
    return score_change(reference.values[metric], scores.values[metric], minus, known=known)


def _score_and_difference(reference: SideScores, scores: SideScores, metric: str) -> str:
    """A score x 100, and how far it is from that of the first side, where that was measured."""
    text, found = score_text(scores.values[metric]), scores.differences.get(metric)
    if found is None:
        return text
    low, high = (score_text(end, signed=True) for end in (found.low, found.high))
    return f"{text} ({shown_difference(reference, scores, metric)}, {low} to {high})"


def read_only(values: Any, kind: type) -> np.ndarray:
    """A copy of the values as a read-only array of the type ``kind``."""
    array = np.array(values, kind)
    array.flags.writeable = False
    return array


# Scoring


def score_sides(
    gold: np.ndarray,
    found: Mapping[str, np.ndarray],
    metrics: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: ProgressCallback | None = None,
) -> dict[str, SideScores]:
    """Measure how well what each side found for n pairs agrees with gold, and the difference to the first side.

    gold: (n,). found: side -> (n,) scores or labels. metrics: some of
    :data:`~subemb.evaluate.statistics.STATISTICS`. Intervals are paired bootstraps. Where all of gold is the same, or
    a side's scores are, metrics are undefined (NaN): the best threshold would be right without telling anything apart, and accuracy would only
    say how often that label is given (the difference of two sides in it is still measured). Raises InputError for resamples that are no positive number.
    """
    check_resamples(resamples)
    reference, scores = next(iter(found)), {}
    is_share = (
        metrics[0] == "accuracy"
    )  # of labels that are given, not found by a threshold: sides can differ in it on any pairs
    tells_apart = {name: not is_constant(gold) and (is_share or not is_constant(values)) for name, values in found.items()}
    nothing = Interval(math.nan, math.nan, math.nan, 0.95, resamples, seed, resamples)
    steps = max(1, (len(found) - 1) * len(metrics))
    for number, (name, values) in enumerate(found.items()):
        differences = {}
        for step, metric in enumerate(metrics if number else ()):
            start = (number - 1) * len(metrics) + step
            part = part_of(progress, start / steps, (start + 1) / steps)
            is_defined = is_share or (tells_apart[name] and tells_apart[reference])
            differences[metric] = (
                paired_bootstrap(metric, gold, found[reference], values, resamples, seed, part) if is_defined else nothing
            )
        thresholds = [metric for metric in metrics if metric in _THRESHOLDS and tells_apart[name]]
        scores[name] = SideScores(
            {metric: getattr(statistics, metric)(gold, values) if tells_apart[name] else math.nan for metric in metrics},
            {metric: best_threshold(gold, values, _THRESHOLDS[metric]) for metric in thresholds},
            differences,
        )
    return scores


def score_parts(
    pairs: int,
    parts: Mapping[str, np.ndarray],
    score: Callable[[np.ndarray, ProgressCallback | None], Mapping[str, SideScores]],
    progress: ProgressCallback | None = None,
) -> tuple[dict[str, SideScores], dict[str, dict[str, SideScores]]]:
    """Call ``score`` with the indices of all pairs, and with those of each part (name -> indices).

    Returns the scores over all pairs, and part -> its scores.
    """
    groups = {None: np.arange(pairs), **parts}
    total, done, scores = max(1, sum(map(len, groups.values()))), 0, {}
    for name, places in groups.items():
        scores[name] = dict(score(places, part_of(progress, done / total, (done + len(places)) / total)))
        done += len(places)
    return scores.pop(None), scores


def places_by_language(languages: Sequence[str]) -> dict[str, np.ndarray]:
    """Language -> indices of its pairs, in order of appearance; empty unless there are several languages."""
    codes = np.array(languages, dtype=object)
    distinct = list(dict.fromkeys(languages))
    return {code: np.flatnonzero(codes == code) for code in distinct} if len(distinct) > 1 else {}


def of_side(progress: ProgressCallback | None, side: str) -> ProgressCallback | None:
    """A callback whose stages begin with the side's name."""
    if progress is None:
        return None
    return lambda message: progress(Progress(f"{side}: {message.stage}", message.fraction, message.values))
