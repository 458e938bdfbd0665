"""Jobs of the page Entailment: a pair of sentences and labelled sets, judged by every side of a subject."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of
from ..evaluate.data.pairs import PairSet
from ..evaluate.entailment import pairs as evaluation
from ..evaluate.entailment.engines import EngineChoice, chosen_head, engine_options
from ..evaluate.entailment.pairs import PairJudgement
from ..evaluate.entailment.report import EntailmentReport
from ..evaluate.similarity.report import pairs_from_dict, pairs_to_dict
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
_FORMAT = 1  # of the kept results; another number when they change
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
