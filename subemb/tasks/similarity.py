"""Jobs of the page Similarity: a pair of sentences, and lists of them, on every side of a subject."""

from ..base.progress import ProgressCallback
from ..evaluate.similarity.effects import AttributionSettings
from ..evaluate.similarity.sentences import ListComparison, PairComparison, compare, pair_on_sides
from .sides import Subject, open_sides


def compare_pair(
    subject: Subject,
    first: str,
    second: str,
    settings: AttributionSettings | None = None,
    progress: ProgressCallback | None = None,
) -> PairComparison:
    """The job: :func:`pair_on_sides` of a subject."""
    return pair_on_sides(open_sides(subject, progress), first, second, settings, progress)


def compare_lists(
    subject: Subject, first: list[str], second: list[str] | None = None, progress: ProgressCallback | None = None
) -> ListComparison:
    """The job: :func:`subemb.evaluate.similarity.sentences.compare` of a subject."""
    return compare(open_sides(subject, progress), first, second, progress)
