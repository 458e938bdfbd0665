"""Jobs of the page Similarity: a labelled set, and a list of words, on every side of a subject; results are kept on disk."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of
from .kept import keep_result, kept_result, result_key
from .sides import Subject, open_sides

if TYPE_CHECKING:
    from ..evaluate.data.pairs import PairSet, WordSet
    from ..evaluate.similarity.pairs import SimilarityReport
    from ..evaluate.similarity.words import WordReport

MOST_PAIRS = 50_000  # of a job: their sentences are kept with the result
RESAMPLES, SEED = 2000, 0
_SET, _WORDS = "similarity-set", "word-similarity"
_FORMAT = 2  # of the kept reports; another number when they change


@dataclass(frozen=True)
class Kept:
    """A kept result. content: what was evaluated, as ``Subject.content``. report: what was found."""

    content: tuple[str | None, ...]
    report: Any

    def is_of(self, subject: Subject) -> bool:
        """Whether it is about this model, run and adaptation."""
        return self.content == subject.content


def set_key(subject: Subject, digest: str, resamples: int = RESAMPLES, seed: int = SEED) -> str:
    """Key of the result of :func:`evaluate_set`: equal for equal models, runs, pairs and settings. digest: of the PairSet."""
    return _key(_SET, subject, digest, resamples, seed)


def words_key(subject: Subject, digest: str, resamples: int = RESAMPLES, seed: int = SEED) -> str:
    """Key of the result of :func:`evaluate_words`. digest: of the WordSet."""
    return _key(_WORDS, subject, digest, resamples, seed)


def kept_set(key: str) -> "Kept | None":
    """The kept result of a labelled set, its report a SimilarityReport; None if it is not there."""
    from ..evaluate.similarity.pairs import SimilarityReport

    return _kept(_SET, key, SimilarityReport.from_dict)


def kept_words(key: str) -> "Kept | None":
    """The kept result of a word list, its report a WordReport; None if it is not there."""
    from ..evaluate.similarity.words import WordReport

    return _kept(_WORDS, key, WordReport.from_dict)


def evaluate_set(
    subject: Subject,
    pairs: "PairSet",
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: ProgressCallback | None = None,
) -> str:
    """The job: :func:`subemb.evaluate.similarity.pairs.evaluate_pairs` of a subject. Returns the key of the kept result.

    Raises InputError for more than MOST_PAIRS pairs and for sets that cannot be used, ModelError, Cancelled.
    """
    from ..evaluate.similarity.pairs import evaluate_pairs

    if len(pairs) > MOST_PAIRS:
        raise InputError(
            f"{pairs.name} has {len(pairs):,} pairs; at most {MOST_PAIRS:,} are evaluated: choose a sample of them"
        )
    key = set_key(subject, pairs.digest, resamples, seed)
    if kept_set(key) is None:
        sides = open_sides(subject, part_of(progress, 0.0, 0.02))
        report = evaluate_pairs(sides, pairs, resamples, seed, part_of(progress, 0.02, 1.0))
        _keep(_SET, key, subject, report)
    return key


def evaluate_words(
    subject: Subject,
    words: "WordSet",
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: ProgressCallback | None = None,
) -> str:
    """The job: :func:`subemb.evaluate.similarity.words.evaluate_words` of a subject. Returns the key of the kept result."""
    from ..evaluate.similarity import words as evaluation

    key = words_key(subject, words.digest, resamples, seed)
    if kept_words(key) is None:
        sides = open_sides(subject, part_of(progress, 0.0, 0.1))
        _keep(_WORDS, key, subject, evaluation.evaluate_words(sides, words, resamples, seed, part_of(progress, 0.1, 1.0)))
    return key


def _key(kind: str, subject: Subject, digest: str, resamples: int, seed: int) -> str:
    return result_key(kind, format=_FORMAT, subject=list(subject.content), data=digest, resamples=resamples, seed=seed)


def _keep(kind: str, key: str, subject: Subject, report: "SimilarityReport | WordReport") -> None:
    keep_result(kind, key, {"subject": list(subject.content), "report": report.to_dict()})


def _kept(kind: str, key: str, read) -> Kept | None:
    values = kept_result(kind, key)
    if values is None:
        return None
    try:
        return Kept(tuple(values["subject"]), read(values["report"]))
    except (InputError, KeyError, TypeError, ValueError):
        return None  # of an older version, or damaged: it can be computed again
