"""What the comparison of sides on labelled premise/hypothesis pairs finds, in plain numbers that can be kept as JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of
from ..data.pairs import TWO_WAY_LABELS, PairSet
from ..statistics import (
    Interval,
    McNemar,
    accuracy,
    confusion,
    mcnemar,
    nan_for_none,
    none_for_nan,
    paired_bootstrap,
    read_only,
)

if TYPE_CHECKING:
    from .engines import Engine

_DIGITS = 6  # of kept probabilities


@dataclass(frozen=True)
class Score:
    """One side on some pairs, shares in 0..1.

    accuracy: share of pairs judged as labelled; NaN without pairs. confusion: rows gold, columns judged, in the report's labels.
    Against the first side (None for the first itself): difference with its paired bootstrap interval, McNemar's exact test,
    agreement (share of pairs that both judge alike) and kappa (agreement beyond chance, Cohen 1960; NaN if chance alone
    makes them agree always).
    """

    accuracy: float
    confusion: tuple[tuple[int, ...], ...]
    difference: Interval | None = None
    mcnemar: McNemar | None = None
    agreement: float | None = None
    kappa: float | None = None


@dataclass(frozen=True)
class Flip:
    """A pair that a side judges differently from the first side.

    place: of the pair in its set. gold, before, after: indices into the report's labels. probabilities_before, _after: of the
    engine's labels. change: half the sum of absolute changes of the probabilities (total variation), 0..1.
    """

    place: int
    gold: int
    before: int
    after: int
    probabilities_before: tuple[float, ...]
    probabilities_after: tuple[float, ...]
    change: float

    @property
    def kind(self) -> str:
        """``lost`` (was right), ``won`` (is right now) or ``changed`` (wrong both times)."""
        return "lost" if self.before == self.gold else "won" if self.after == self.gold else "changed"


@dataclass(frozen=True, eq=False)
class EntailmentReport:
    """The sides of a model on one labelled set. Made by :func:`subemb.evaluate.entailment.pairs.evaluate_entailment`.

    data, format, digest: of the set. engine, description: who judged. labels: what counts as a label here (two for a two-way
    set or classifier, else three). engine_labels: of the columns of ``probabilities``.
    gold: (n,) indices into labels. languages: one code per pair, or empty. sides: names, the first is the reference.
    probabilities: side -> (n, len(engine_labels)) float64, to six digits. predicted: side -> (n,) indices into labels.
    scores: side -> Score over all pairs. by_language: language -> side -> Score, empty unless there are several languages.
    """

    data: str
    format: str
    digest: str
    engine: str
    description: str
    labels: tuple[str, ...]
    engine_labels: tuple[str, ...]
    gold: np.ndarray
    languages: tuple[str, ...]
    sides: tuple[str, ...]
    probabilities: dict[str, np.ndarray]
    scores: dict[str, Score]
    by_language: dict[str, dict[str, Score]] = field(default_factory=dict)
    resamples: int = 2000
    seed: int = 0

    def __len__(self) -> int:
        return len(self.gold)

    @property
    def predicted(self) -> dict[str, np.ndarray]:
        return {side: judged(found, len(self.labels)) for side, found in self.probabilities.items()}

    @property
    def language_counts(self) -> dict[str, int]:
        """Pairs of each language, in order of appearance."""
        return {code: self.languages.count(code) for code in dict.fromkeys(self.languages)}

    def flips(self, side: str) -> list[Flip]:
        """Pairs that ``side`` judges differently from the first side, the largest change of probabilities first."""
        predicted, reference = self.predicted, self.sides[0]
        before, after = self.probabilities[reference], self.probabilities[side]
        change = np.abs(after - before).sum(1) / 2
        places = np.flatnonzero(predicted[reference] != predicted[side])
        return [
            Flip(
                int(place),
                int(self.gold[place]),
                int(predicted[reference][place]),
                int(predicted[side][place]),
                tuple(before[place].tolist()),
                tuple(after[place].tolist()),
                float(change[place]),
            )
            for place in places[np.argsort(-change[places], kind="stable")]
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; NaN becomes None."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values["gold"] = self.gold.tolist()
        values["probabilities"] = {side: found.tolist() for side, found in self.probabilities.items()}
        values["scores"] = _scores_to_dict(self.scores)
        values["by_language"] = {code: _scores_to_dict(scores) for code, scores in self.by_language.items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EntailmentReport":
        """The reverse of :meth:`to_dict`. Raises InputError for what is none."""
        try:
            values = dict(values)
            values["gold"] = read_only(np.array(values["gold"], np.int64))
            columns = len(values["engine_labels"])
            values["probabilities"] = {
                side: read_only(np.array(found, np.float64).reshape(-1, columns))
                for side, found in values["probabilities"].items()
            }
            values["scores"] = _scores_from_dict(values["scores"])
            values["by_language"] = {code: _scores_from_dict(scores) for code, scores in values["by_language"].items()}
            for name in ("labels", "engine_labels", "languages", "sides"):
                values[name] = tuple(values[name])
            return cls(**values)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"this is no saved entailment report ({error}); compute it again") from error


def make_report(
    engine: "Engine",
    pairs: PairSet,
    probabilities: Mapping[str, np.ndarray],
    resamples: int = 2000,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> EntailmentReport:
    """The report on what an engine said: side -> (n, len(engine.labels)) probabilities of the n pairs."""
    labels = TWO_WAY_LABELS if 2 in (len(pairs.labels), len(engine.labels)) else tuple(pairs.labels)
    gold = np.minimum(np.asarray(pairs.gold, np.int64), len(labels) - 1)  # neutral and contradiction are the rest
    found = {side: np.round(np.asarray(rows, np.float64), _DIGITS) for side, rows in probabilities.items()}
    predicted = {side: judged(rows, len(labels)) for side, rows in found.items()}
    groups: dict[str | None, np.ndarray] = {None: np.arange(len(gold))}
    codes = np.array(pairs.languages, dtype=object)
    if len(set(pairs.languages)) > 1:
        groups |= {code: np.flatnonzero(codes == code) for code in dict.fromkeys(pairs.languages)}
    scores = {}
    for place, (code, chosen) in enumerate(groups.items()):
        part = part_of(progress, place / len(groups), (place + 1) / len(groups))
        scores[code] = _scores(
            gold[chosen], {side: rows[chosen] for side, rows in predicted.items()}, len(labels), resamples, seed, part
        )
    return EntailmentReport(
        data=pairs.name,
        format=pairs.format,
        digest=pairs.digest,
        engine=engine.name,
        description=engine.description,
        labels=labels,
        engine_labels=tuple(engine.labels),
        gold=read_only(gold),
        languages=tuple(pairs.languages),
        sides=tuple(found),
        probabilities={side: read_only(rows) for side, rows in found.items()},
        scores=scores.pop(None),
        by_language=scores,
        resamples=resamples,
        seed=seed,
    )


def judged(probabilities: np.ndarray, labels: int) -> np.ndarray:
    """(n, k) probabilities -> (n,) most probable label, the first of equals. Two labels of three columns: entailment if it
    is more probable than the rest together.

    >>> judged(np.array([[0.4, 0.3, 0.3], [0.6, 0.3, 0.1]]), 2).tolist()
    [1, 0]
    """
    if labels < probabilities.shape[1]:
        return (probabilities[:, 0] <= probabilities[:, 1:].sum(1)).astype(np.int64)
    return probabilities.argmax(1)


def cohen_kappa(first: np.ndarray, second: np.ndarray, classes: int) -> float:
    """Agreement of two (n,) judgements beyond chance: ``(p_o - p_e) / (1 - p_e)`` (Cohen 1960), -1..1.

    p_o: share judged alike; p_e: what it would be if both judged at random with their own shares of labels. NaN without pairs,
    or if both give one and the same label to all of them.
    """
    counts = confusion(first, second, classes)
    total = counts.sum()
    if not total:
        return math.nan
    alike = np.trace(counts) / total
    chance = float(counts.sum(0) @ counts.sum(1)) / total**2
    return float((alike - chance) / (1 - chance)) if chance < 1 else math.nan


def _scores(
    gold: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    classes: int,
    resamples: int,
    seed: int,
    progress: ProgressCallback | None,
) -> dict[str, Score]:
    scores, reference = {}, next(iter(predicted.values()))
    for place, (side, labels) in enumerate(predicted.items()):
        counts = tuple(tuple(row) for row in confusion(gold, labels, classes).tolist())
        if not place:
            scores[side] = Score(accuracy(gold, labels), counts)
            continue
        part = part_of(progress, (place - 1) / (len(predicted) - 1), place / (len(predicted) - 1))
        scores[side] = Score(
            accuracy(gold, labels),
            counts,
            paired_bootstrap("accuracy", gold, reference, labels, resamples, seed, part),
            mcnemar(gold, reference, labels),
            accuracy(reference, labels),
            cohen_kappa(reference, labels, classes),
        )
    return scores


def _scores_to_dict(scores: dict[str, Score]) -> dict[str, Any]:
    result = {}
    for side, score in scores.items():
        result[side] = {
            "accuracy": none_for_nan(score.accuracy),
            "confusion": [list(row) for row in score.confusion],
            "difference": None if score.difference is None else score.difference.to_dict(),
            "mcnemar": None if score.mcnemar is None else asdict(score.mcnemar),
            "agreement": none_for_nan(score.agreement),
            "kappa": none_for_nan(score.kappa),
        }
    return result


def _scores_from_dict(values: dict[str, Any]) -> dict[str, Score]:
    result = {}
    for side, score in values.items():
        compared = score["difference"] is not None
        result[side] = Score(
            nan_for_none(score["accuracy"]),
            tuple(tuple(row) for row in score["confusion"]),
            Interval.from_dict(score["difference"]) if compared else None,
            McNemar(**score["mcnemar"]) if compared else None,
            nan_for_none(score["agreement"]) if compared else None,
            nan_for_none(score["kappa"]) if compared else None,
        )
    return result
