"""Jobs of the page Entailment: a pair of sentences and labelled sets, judged by every side of a subject."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback, part_of, report
from ..evaluate.data.pairs import LABELS, PairSet
from ..evaluate.entailment.report import EntailmentReport
from ..evaluate.similarity.report import pairs_from_dict, pairs_to_dict
from ..evaluate.similarity.sentences import checked_text
from .kept import keep_result, kept_result, result_key
from .recent import Recent
from .sides import Subject, open_sides

if TYPE_CHECKING:
    from ..evaluate.entailment.head import EntailmentHead
    from ..evaluate.entailment.pairs import Engine
    from ..models.model import PretrainedModel

PAIR = "subemb.tasks.evaluations:judge_pair"
SET = "subemb.tasks.evaluations:evaluate_set"
KIND = "entailment-set"  # of kept results
MOST_PAIRS = 50_000  # of a set: their sentences are kept with the result
_FORMAT = 1  # of the kept results; another number when they change
LONGEST = 1000  # characters of a premise or hypothesis that is typed
RESAMPLES, SEED = 2000, 0
KEPT_HEADS = 4

_heads = Recent(KEPT_HEADS)


# Which engine


@dataclass(frozen=True)
class EngineChoice:
    """Who judges, as jobs are told and as keys know it.

    head: name of an entailment head, or None for the model's own classifier. digest: of the head's tensors, so that a head
    that was trained again under its name is another one.
    """

    head: str | None = None
    digest: str = ""

    @property
    def name(self) -> str:
        """Short text for links: ``classifier``, or the head's name."""
        return "classifier" if self.head is None else f"head {self.head}"


@dataclass(frozen=True)
class EngineOption:
    """An engine that a model has. labels: of its answers. order: of the classifier's labels as ``config.json`` has them.
    card: of an entailment head."""

    choice: EngineChoice
    labels: tuple[str, ...]
    order: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)


def engine_options(model: "PretrainedModel") -> tuple[list[EngineOption], str | None]:
    """The engines of a model: its own classifier first, then entailment heads; and why its classifier cannot be used, if so.

    Raises InputError if the card of a shipped head is damaged.
    """
    from ..evaluate.entailment.classifier import ClassifierEngine
    from ..evaluate.entailment.head_files import cards_for

    options, problem = [], None
    if model.has_head("classifier"):
        try:
            labels = ClassifierEngine(model).labels
            given = sorted((int(number), str(name)) for number, name in model.config["id2label"].items())
            options.append(EngineOption(EngineChoice(), labels, tuple(name for _, name in given)))
        except ModelError as error:
            problem = str(error)
    for name, card in cards_for(model):
        options.append(EngineOption(_choice_of(name, card), LABELS, card=card))
    return options, problem


def _choice_of(name: str, card: Mapping[str, Any]) -> EngineChoice:
    return EngineChoice(name, str(card.get("tensors_sha256"))[:16])


def _head_of(model: "PretrainedModel", choice: EngineChoice) -> "EntailmentHead | None":
    """The entailment head of a choice, kept in the process for the next job; None for the model's own classifier."""
    from ..evaluate.entailment.head_files import heads_for

    if choice.head is None:
        if not model.has_head("classifier"):
            raise ModelError(f"{model.name} has no classifier of sentence pairs; choose an entailment head", "unsupported")
        return None

    def find() -> "EntailmentHead":
        found = next((head for head in heads_for(model) if _choice_of(head.name, head.card) == choice), None)
        if found is None:
            raise InputError(f"the entailment head {choice.head!r} is gone, damaged or trained again; reload the page")
        return found

    return _heads.take((model.identity, choice), find)


# A pair


@dataclass(frozen=True)
class PairJudgement:
    """What every side says about one pair.

    labels: of the probabilities. probabilities: side -> one for each label, adding up to 1; the first side is the reference.
    cut: what the model did not read, in sentences; empty if it read everything.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, tuple[float, ...]]
    cut: tuple[str, ...] = ()

    @property
    def sides(self) -> list[str]:
        return list(self.probabilities)

    def winner(self, side: str) -> str:
        """The most probable label; of equals the first."""
        found = self.probabilities[side]
        return self.labels[found.index(max(found))]

    def flipped(self, side: str) -> bool:
        """Whether a side judges otherwise than the first."""
        return self.winner(side) != self.winner(self.sides[0])


def judge_pair(
    subject: Subject,
    premise: str,
    hypothesis: str,
    engine_choice: EngineChoice | None = None,
    progress: ProgressCallback | None = None,
) -> PairJudgement:
    """The job: probabilities of the labels of one pair, by every side of a subject.

    engine_choice: None takes the first of :func:`engine_options`. Raises InputError for a sentence that is empty or longer
    than LONGEST characters, ModelError (``unsupported``) for a model without an engine, Cancelled.
    """
    from ..evaluate.entailment.pairs import engine_for

    premise = checked_text(premise, "the premise", LONGEST)
    hypothesis = checked_text(hypothesis, "the hypothesis", LONGEST)
    sides = open_sides(subject, progress)
    head = _given_or_first(next(iter(sides.values())), engine_choice)
    found, engine = {}, None
    for place, (side, model) in enumerate(sides.items()):
        part = part_of(progress, place / len(sides), (place + 1) / len(sides))
        report(part, f"{side}: judging the pair", 0.0)
        engine = engine_for(model, head)
        found[side] = tuple(engine.probabilities([premise], [hypothesis])[0].tolist())
    return PairJudgement(tuple(engine.labels), found, _what_is_cut(engine, premise, hypothesis))


def _given_or_first(model: "PretrainedModel", choice: EngineChoice | None) -> "EntailmentHead | None":
    if choice is not None:
        return _head_of(model, choice)
    options, _ = engine_options(model)
    return _head_of(model, options[0].choice) if options else None  # without any, engine_for says what to do


def _what_is_cut(engine: "Engine", premise: str, hypothesis: str) -> tuple[str, ...]:
    from ..evaluate.entailment.classifier import ClassifierEngine
    from ..evaluate.similarity.sentences import read_sentences

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
    """How a language is written. script: of most letters in its sentences. tokens: of the model's vocabulary in that script."""

    script: str
    tokens: int


@dataclass(frozen=True, eq=False)
class SetResult:
    """The report on a labelled set with the pairs that it is about.

    writing: language code -> its script, where there are several.
    """

    report: EntailmentReport
    pairs: PairSet
    writing: dict[str, Writing]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "report": self.report.to_dict(),
            "pairs": pairs_to_dict(self.pairs),
            "writing": {code: asdict(found) for code, found in self.writing.items()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SetResult":
        """The reverse of :meth:`to_dict`. Raises InputError for what is none."""
        try:
            return cls(
                EntailmentReport.from_dict(values["report"]),
                pairs_from_dict(values["pairs"]),
                {code: Writing(**found) for code, found in values["writing"].items()},
            )
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"this is no kept result of an entailment set ({error}); compute it again") from error


def set_key(subject: Subject, digest: str, choice: EngineChoice, resamples: int = RESAMPLES, seed: int = SEED) -> str:
    """Key of a set's result: what is compared, the data's digest, the engine and the settings of the bootstrap."""
    return result_key(KIND, format=_FORMAT, subject=subject.content, data=digest, engine=choice, resamples=resamples, seed=seed)


def kept_set(key: str) -> SetResult | None:
    """A kept result, or None if it is not there or cannot be read (then it can be computed again)."""
    values = kept_result(KIND, key)
    if values is None:
        return None
    try:
        return SetResult.from_dict(values)
    except InputError:
        return None


def evaluate_set(
    subject: Subject,
    pairs: PairSet,
    engine_choice: EngineChoice,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: ProgressCallback | None = None,
) -> str:
    """The job: every side of a subject on a labelled set. Returns the key of the kept result, :func:`set_key`.

    Raises what :func:`subemb.evaluate.entailment.pairs.evaluate_entailment` raises, and InputError for more than MOST_PAIRS pairs and
    for a head that is gone.
    """
    from ..evaluate.entailment.pairs import evaluate_entailment

    if len(pairs) > MOST_PAIRS:
        raise InputError(
            f"{pairs.name} has {len(pairs):,} pairs; at most {MOST_PAIRS:,} are evaluated: choose a sample of them"
        )
    key = set_key(subject, pairs.digest, engine_choice, resamples, seed)
    if kept_set(key) is not None:
        return key
    sides = open_sides(subject, progress)
    model = next(iter(sides.values()))
    head = _head_of(model, engine_choice)
    found = evaluate_entailment(sides, pairs, head, resamples, seed, part_of(progress, 0.02, 0.99))
    writing = writing_of(pairs, model) if len(set(pairs.languages)) > 1 else {}
    keep_result(KIND, key, SetResult(found, pairs, writing).to_dict())
    return key


def writing_of(pairs: PairSet, model: "PretrainedModel") -> dict[str, Writing]:
    """Language code -> the script of most of its sentences, and how many tokens of the vocabulary are in it."""
    import numpy as np

    from ..models.characters import text_facts

    tokens = dict(zip(*np.unique(model.vocabulary.scripts, return_counts=True), strict=True))
    found = {}
    for code, part in pairs.by_language().items():
        scripts, counts = np.unique(text_facts([*part.first, *part.second]).script, return_counts=True)
        lettered = scripts != "Common"
        script = str(scripts[lettered][counts[lettered].argmax()]) if lettered.any() else "Common"
        found[code] = Writing(script, int(tokens.get(script, 0)))
    return found
