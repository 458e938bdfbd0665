"""Does the hypothesis follow from the premise? One pair, and labelled sets of pairs, judged by every side of a model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...base.arguments import Seed, checked
from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of, report
from ...models.characters import text_facts
from ...models.model import PretrainedModel
from ..data.pairs import LABELS, TWO_WAY_LABELS, PairSet
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
from ..similarity.sentences import checked_text, read_sentences
from ..statistics import Interval, McNemar, accuracy, check_resamples, cohen_kappa, confusion, mcnemar
from .engines import ClassifierEngine, Engine, engine_for

if TYPE_CHECKING:
    from .head import EntailmentHead

MOST_PAIRS = 100_000
_DIGITS = 6  # of kept probabilities


# One pair


@dataclass(frozen=True)
class PairJudgement:
    """What every side says about one pair."""

    labels: tuple[str, ...]  # in the order of the probabilities
    probabilities: dict[str, tuple[float, ...]]  # side -> one for each label, adding up to 1; the first side is the reference
    cut: tuple[str, ...] = ()  # sentences that say what the model did not read; empty if it read everything

    @property
    def sides(self) -> list[str]:
        return list(self.probabilities)

    def winner(self, side: str) -> str:
        """The most probable label; the first one if several are equally probable."""
        found = self.probabilities[side]
        return self.labels[found.index(max(found))]

    def flipped(self, side: str) -> bool:
        """Whether a side gives another label than the first side."""
        return self.winner(side) != self.winner(self.sides[0])


def judge_pair(
    sides: Mapping[str, PretrainedModel],
    premise: str,
    hypothesis: str,
    head: "EntailmentHead | str | None" = None,
    progress: ProgressCallback | None = None,
) -> PairJudgement:
    """Probabilities of the labels of one pair, by every side.

    sides: name -> model, the first is the reference. head: as in :func:`~subemb.evaluate.entailment.engines.engine_for`.
    Raises InputError for a sentence that is empty or too long (see LONGEST_SENTENCE), ModelError (``unsupported``) for a model
    without an engine, Cancelled.
    """
    premise, hypothesis = checked_text(premise, "the premise"), checked_text(hypothesis, "the hypothesis")
    found, engine = {}, None
    for place, (side, model) in enumerate(sides.items()):
        part = part_of(progress, place / len(sides), (place + 1) / len(sides))
        report(part, f"{side}: judging the pair", 0.0)
        engine = engine_for(model, head)
        found[side] = tuple(engine.probabilities([premise], [hypothesis])[0].tolist())
    return PairJudgement(tuple(engine.labels), found, _what_is_cut(engine, premise, hypothesis))


def _what_is_cut(engine: Engine, premise: str, hypothesis: str) -> tuple[str, ...]:
    if isinstance(engine, ClassifierEngine):
        model = engine.model
        with model.tokenizer_lock:  # fast tokenizers cannot serve two threads at once
            length = len(model.tokenizer(premise, hypothesis, truncation=False, verbose=False)["input_ids"])
        return (f"The model reads {engine.limit} of the pair's {length} tokens.",) if length > engine.limit else ()
    read = zip(("premise", "hypothesis"), read_sentences(engine.model, [premise, hypothesis]), strict=True)
    return tuple(
        f"The model reads {len(sentence.ids)} of the {sentence.full_length} tokens of the {name}."
        for name, sentence in read
        if sentence.is_cut
    )


# A labelled set


@dataclass(frozen=True)
class Writing:
    """How a language is written."""

    script: str  # of most of its sentences
    tokens: int  # number of tokens of the model's vocabulary in that script


@dataclass(frozen=True)
class JudgedScores(SideScores):
    """How one side judged some pairs; shares are in 0..1. For the first side, comparisons with it are None or NaN."""

    confusion: tuple[tuple[int, ...], ...] = ()  # counts: rows gold, columns judged, in the report's labels
    mcnemar: McNemar | None = None  # McNemar's exact test against the first side
    agreement: float = math.nan  # share of pairs that this side and the first judge alike
    kappa: float = math.nan  # agreement beyond chance (Cohen 1960); also NaN if both give all pairs the same one label

    @property
    def accuracy(self) -> float:
        """Share of pairs judged as labelled; NaN without pairs."""
        return self.values["accuracy"]

    @property
    def difference(self) -> Interval | None:
        """Difference of the accuracy to the first side; None for that side."""
        return self.differences.get("accuracy")


@dataclass(frozen=True)
class Flip:
    """A pair that a side judges differently from the first side."""

    place: int  # index of the pair in its set
    gold: int  # the right label, as an index into the report's labels
    before: int  # the first side's label, likewise
    after: int  # this side's label, likewise
    probabilities_before: tuple[float, ...]  # of the engine's labels, by the first side
    probabilities_after: tuple[float, ...]  # of the engine's labels, by this side
    change: float  # half the sum of absolute changes of the probabilities (total variation), 0..1

    @property
    def kind(self) -> str:
        """``lost`` (was right), ``won`` (is right now) or ``changed`` (wrong both times)."""
        return "lost" if self.before == self.gold else "won" if self.after == self.gold else "changed"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class EntailmentReport(Report):
    """The sides of a model on pairs of premise and hypothesis. Made by :func:`evaluate_entailment`."""

    KIND: ClassVar[str] = "entailment"
    pairs: PairSet
    engine: str  # who judged
    description: str  # how it judged
    engine_labels: tuple[str, ...]  # of the columns of ``probabilities``
    probabilities: dict[str, np.ndarray]  # side -> (n, len(engine_labels)) float64, to six digits
    scores: dict[str, JudgedScores]
    by_language: dict[str, dict[str, JudgedScores]] = field(default_factory=dict)
    writing: dict[str, Writing] = field(default_factory=dict)  # by language; empty unless there are several

    def __post_init__(self):
        columns = len(self.engine_labels)
        found = {side: read_only(rows, np.float64).reshape(-1, columns) for side, rows in self.probabilities.items()}
        object.__setattr__(self, "probabilities", found)

    @property
    def judged_by(self) -> str:
        return self.engine

    @property
    def labels(self) -> tuple[str, ...]:
        """What counts as a label here: two for a two-way set or engine, else three."""
        return labels_of(self.pairs, self.engine_labels)

    @cached_property
    def gold(self) -> np.ndarray:
        """(n,) int64 indices into ``labels``."""
        return read_only(gold_of(self.pairs, self.labels), np.int64)

    @property
    def languages(self) -> tuple[str, ...]:
        """One code for each pair, or empty."""
        return self.pairs.languages

    @cached_property
    def predicted(self) -> dict[str, np.ndarray]:
        """Side -> (n,) indices into ``labels``."""
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


@checked
def evaluate_entailment(
    sides: Mapping[str, PretrainedModel],
    pairs: PairSet,
    head: "EntailmentHead | str | None" = None,
    resamples: int = RESAMPLES,
    seed: Seed = SEED,
    progress: ProgressCallback | None = None,
) -> EntailmentReport:
    """Judge every pair with every side, and compare the sides with the first.

    sides: name -> model, the first is the reference. pairs: a three-way set, or a two-way one (RTE), in which entailment
    counts against the rest: a pair is called entailment if that is more probable than neutral and contradiction together.
    head: as in :func:`~subemb.evaluate.entailment.engines.engine_for`, the same for all sides. resamples, seed: of the bootstrap.
    Raises InputError for a set of another task, or one that is empty or too large; ModelError as the engines do, Cancelled.
    """
    if not sides:
        raise InputError("there is no side to evaluate; give at least one model")
    if pairs.task != "entailment":
        raise InputError(f"{pairs.name} is a set for {pairs.task}; give pairs labelled {', '.join(LABELS)}")
    if not 1 <= len(pairs) <= MOST_PAIRS:
        raise InputError(f"{pairs.name} has {len(pairs):,} pairs; 1 to {MOST_PAIRS:,} can be evaluated, take a sample of it")
    check_resamples(resamples)
    engines = {name: engine_for(model, head) for name, model in sides.items()}
    found = {}
    for place, (name, engine) in enumerate(engines.items()):
        part = part_of(progress, 0.9 * place / len(engines), 0.9 * (place + 1) / len(engines))
        found[name] = engine.probabilities(pairs.first, pairs.second, of_side(part, name))
    report(progress, "comparing the sides", 0.9)
    made = make_report(next(iter(engines.values())), pairs, found, resamples, seed, part_of(progress, 0.9, 1.0))
    report(progress, "comparing the sides", 1.0)
    return replace(made, writing=writing_of(pairs, next(iter(sides.values())))) if made.by_language else made


def make_report(
    engine: Engine,
    pairs: PairSet,
    probabilities: Mapping[str, np.ndarray],
    resamples: int = RESAMPLES,
    seed: Seed = SEED,
    progress: ProgressCallback | None = None,
) -> EntailmentReport:
    """The report on an engine's answers. probabilities: side -> (n, len(engine.labels)) probabilities of the n pairs."""
    labels = labels_of(pairs, engine.labels)
    gold = gold_of(pairs, labels)
    found = {side: np.round(np.asarray(rows, np.float64), _DIGITS) for side, rows in probabilities.items()}
    predicted = {side: judged(rows, len(labels)) for side, rows in found.items()}

    def score(places: np.ndarray, part: ProgressCallback | None) -> dict[str, JudgedScores]:
        of_these = {side: rows[places] for side, rows in predicted.items()}
        return score_judgements(gold[places], of_these, len(labels), resamples, seed, part)

    scores, by_language = score_parts(len(pairs), places_by_language(pairs.languages), score, progress)
    return EntailmentReport(
        pairs=pairs,
        sides=tuple(found),
        scores=scores,
        by_language=by_language,
        resamples=resamples,
        seed=seed,
        engine=engine.name,
        description=engine.description,
        engine_labels=tuple(engine.labels),
        probabilities=found,
    )


def labels_of(pairs: PairSet, engine_labels: Sequence[str]) -> tuple[str, ...]:
    """What counts as a label: two if the set or the engine has only two, else three."""
    return TWO_WAY_LABELS if 2 in (len(pairs.labels), len(engine_labels)) else pairs.labels


def gold_of(pairs: PairSet, labels: Sequence[str]) -> np.ndarray:
    """(n,) int64 indices into ``labels``; of two labels, the second stands for neutral and contradiction."""
    return np.minimum(pairs.gold, len(labels) - 1)


def judged(probabilities: np.ndarray, labels: int) -> np.ndarray:
    """(n, k) probabilities -> (n,) most probable label, the first one if several are equally probable.

    Where two labels are judged by three columns: entailment if it is more probable than the other two together.

    >>> judged(np.array([[0.4, 0.3, 0.3], [0.6, 0.3, 0.1]]), 2).tolist()
    [1, 0]
    """
    if labels < probabilities.shape[1]:
        return (probabilities[:, 0] <= probabilities[:, 1:].sum(1)).astype(np.int64)
    return probabilities.argmax(1)


def score_judgements(
    gold: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    classes: int,
    resamples: int = RESAMPLES,
    seed: Seed = SEED,
    progress: ProgressCallback | None = None,
) -> dict[str, JudgedScores]:
    """Accuracy and confusion of (n,) judgements of every side, and how they compare with those of the first side."""
    scores, reference = {}, next(iter(predicted))
    for side, found in score_sides(gold, predicted, METRICS["entailment"], resamples, seed, progress).items():
        judgements = predicted[side]
        counts = tuple(map(tuple, confusion(gold, judgements, classes).tolist()))
        compared = {}
        if side != reference:
            first = predicted[reference]
            compared = {
                "mcnemar": mcnemar(gold, first, judgements),
                "agreement": accuracy(first, judgements),
                "kappa": cohen_kappa(first, judgements, classes),
            }
        scores[side] = JudgedScores(found.values, found.thresholds, found.differences, counts, **compared)
    return scores


def writing_of(pairs: PairSet, model: PretrainedModel) -> dict[str, Writing]:
    """Language code -> the script of most of its sentences, and how many tokens of the vocabulary are in it."""
    tokens = dict(zip(*np.unique(model.vocabulary.scripts, return_counts=True), strict=True))
    found = {}
    for code, part in pairs.by_language().items():
        scripts, counts = np.unique(text_facts([*part.first, *part.second]).script, return_counts=True)
        lettered = scripts != "Common"
        script = str(scripts[lettered][counts[lettered].argmax()]) if lettered.any() else "Common"
        found[code] = Writing(script, int(tokens.get(script, 0)))
    return found
