"""Jobs of the page Entailment: a pair of sentences and labelled sets, judged by every side of a subject."""

from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of
from ..evaluate.data.pairs import PairSet
from ..evaluate.entailment import pairs as evaluation
from ..evaluate.entailment.engines import EngineChoice, chosen_head, engine_options
from ..evaluate.entailment.pairs import EntailmentReport, PairJudgement
from ..evaluate.similarity.sentences import checked_text
from .kept import keep_result, kept_result, result_key
from .recent import Recent
from .sides import Subject, open_sides

if TYPE_CHECKING:
    from ..evaluate.entailment.head import EntailmentHead
    from ..models.model import PretrainedModel

PAIR = "subemb.tasks.evaluations:judge_pair"
SET = "subemb.tasks.evaluations:evaluate_set"
KIND = "entailment-set"  # of kept results
MOST_PAIRS = 50_000  # of a set: their sentences are kept with the result
_FORMAT = 2  # of the kept results; another number when they change
LONGEST = 1000  # characters of a premise or hypothesis that is typed
RESAMPLES, SEED = 2000, 0
KEPT_HEADS = 4

_heads = Recent(KEPT_HEADS)


def _head_of(model: "PretrainedModel", choice: EngineChoice) -> "EntailmentHead | None":
    """:func:`chosen_head`; a head is kept in the process for the next job."""
    if choice.head is None:
        return chosen_head(model, choice)
    return _heads.take((model.identity, choice), lambda: chosen_head(model, choice))


# A pair


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
    premise = checked_text(premise, "the premise", LONGEST)
    hypothesis = checked_text(hypothesis, "the hypothesis", LONGEST)
    sides = open_sides(subject, progress)
    model = next(iter(sides.values()))
    choice = engine_choice or next((option.choice for option in engine_options(model)[0]), None)
    head = None if choice is None else _head_of(model, choice)
    return evaluation.judge_pair(sides, premise, hypothesis, head, progress)


# A labelled set


def set_key(subject: Subject, digest: str, choice: EngineChoice, resamples: int = RESAMPLES, seed: int = SEED) -> str:
    """Key of a set's result: what is compared, the data's digest, the engine and the settings of the bootstrap."""
    return result_key(KIND, format=_FORMAT, subject=subject.content, data=digest, engine=choice, resamples=resamples, seed=seed)


def kept_set(key: str) -> EntailmentReport | None:
    """A kept result, or None if it is not there or cannot be read (then it can be computed again)."""
    values = kept_result(KIND, key)
    if values is None:
        return None
    try:
        return EntailmentReport.from_dict(values)
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
    found = evaluation.evaluate_entailment(sides, pairs, head, resamples, seed, part_of(progress, 0.02, 0.99))
    keep_result(KIND, key, found.to_dict())
    return key
