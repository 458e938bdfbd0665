"""Jobs of the page Similarity: a pair of sentences, and lists of them, on every side of a subject."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..evaluate.similarity.effects import Attribution, AttributionSettings, cosines
from ..evaluate.similarity.sentences import ReadSentence, checked_text, read_sentences
from .sides import Subject, open_sides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..evaluate.similarity.sentences import ListComparison
    from ..models.model import PretrainedModel


@dataclass(frozen=True)
class PairComparison:
    """Two sentences on every side.

    cosines: side -> cosine; the first side is the reference. sentences: how the model reads the two.
    attributions: side -> what moved its cosine, for every side but the first whose table is all that differs: what a changed network
    did is not the doing of single tokens. pooling: how sentence vectors are made.
    """

    cosines: dict[str, float]
    sentences: tuple[ReadSentence, ReadSentence]
    attributions: dict[str, Attribution]
    pooling: str

    @property
    def sides(self) -> list[str]:
        return list(self.cosines)

    def change(self, side: str) -> float:
        """Cosine of a side minus that of the first side."""
        return self.cosines[side] - self.cosines[self.sides[0]]


def pair_on_sides(
    sides: "Mapping[str, PretrainedModel]",
    first: str,
    second: str,
    settings: AttributionSettings | None = None,
    progress: ProgressCallback | None = None,
) -> PairComparison:
    """Cosine of two sentences on every side, and which tokens and blocks moved it.

    Raises InputError for a sentence that is empty or too long (see LONGEST_SENTENCE) or has no tokens, ModelError, Cancelled.
    """
    from ..evaluate.similarity.attribution import attribute

    texts = [checked_text(first, "the first sentence"), checked_text(second, "the second sentence")]
    reference, *others = sides
    report(progress, "loading the network", 0.0)
    for model in sides.values():
        model.network()
    report(progress, "reading the sentences", 0.05)
    sentences = read_sentences(sides[reference], texts)
    rows = [sentence.ids for sentence in sentences]
    for ids, which in zip(rows, ("first", "second"), strict=True):
        if not ids:
            raise InputError(f"the {which} sentence has no token that the model knows; write another one")
    found = {}
    for side, model in sides.items():
        vectors = model.encode_ids(rows)
        found[side] = float(cosines(vectors[0], vectors[1]))
    attributions = {}
    for number, side in enumerate(others):
        if getattr(sides[side], "weights", None):
            continue
        part = part_of(progress, 0.1 + 0.9 * number / len(others), 0.1 + 0.9 * (number + 1) / len(others))
        attributions[side] = attribute(sides[reference], sides[side], *rows, settings=settings, progress=part)
    return PairComparison(found, tuple(sentences), attributions, sides[reference].pooling)


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
) -> "ListComparison":
    """The job: :func:`subemb.evaluate.similarity.sentences.compare` of a subject."""
    from ..evaluate.similarity.sentences import compare

    return compare(open_sides(subject, progress), first, second, progress)
