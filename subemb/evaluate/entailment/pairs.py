"""Does the hypothesis follow from the premise? One pair, and labelled sets of pairs, judged by every side of a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of, report
from ..data.pairs import LABELS, PairSet
from ..similarity.sentences import checked_text, read_sentences
from .engines import ClassifierEngine, Engine, engine_for

if TYPE_CHECKING:
    from ...models.model import PretrainedModel
    from .head import EntailmentHead
    from .report import EntailmentReport

MOST_PAIRS = 100_000


# One pair


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
    sides: "Mapping[str, PretrainedModel]",
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


def evaluate_entailment(
    sides: "Mapping[str, PretrainedModel]",
    pairs: PairSet,
    head: "EntailmentHead | str | None" = None,
    resamples: int = 2000,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> "EntailmentReport":
    """Judge every pair with every side, and compare the sides with the first.

    sides: name -> model, the first is the reference. pairs: a three-way set, or a two-way one (RTE), in which entailment
    counts against the rest: a pair is called entailment if that is more probable than neutral and contradiction together.
    head: as in :func:`~subemb.evaluate.entailment.engines.engine_for`, the same for all sides. resamples, seed: of the bootstrap.
    Raises InputError for a set that is none or empty, ModelError as the engines do, Cancelled.
    """
    from .report import make_report

    if not sides:
        raise InputError("there is no side to evaluate; give at least one model")
    if pairs.task != "entailment":
        raise InputError(f"{pairs.name} is a set for {pairs.task}; give pairs labelled {', '.join(LABELS)}")
    if not 1 <= len(pairs) <= MOST_PAIRS:
        raise InputError(f"{pairs.name} has {len(pairs):,} pairs; 1 to {MOST_PAIRS:,} can be evaluated, take a sample of it")
    engines = {name: engine_for(model, head) for name, model in sides.items()}
    found = {}
    for place, (name, engine) in enumerate(engines.items()):
        part = part_of(progress, 0.9 * place / len(engines), 0.9 * (place + 1) / len(engines))
        found[name] = engine.probabilities(pairs.first, pairs.second, _named(part, name))
    report(progress, "comparing the sides", 0.9)
    made = make_report(next(iter(engines.values())), pairs, found, resamples, seed, part_of(progress, 0.9, 1.0))
    report(progress, "comparing the sides", 1.0)
    return made


def _named(progress: ProgressCallback | None, side: str) -> ProgressCallback | None:
    """The callback with the side's name in its stages."""
    if progress is None:
        return None
    from dataclasses import replace

    return lambda message: progress(replace(message, stage=f"{side}: {message.stage}"))
