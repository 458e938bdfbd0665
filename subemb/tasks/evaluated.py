"""Which kept evaluations of labelled sets are about a subject: their scores, without their sentences."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.paths import cache_folder
from ..evaluate.entailment.pairs import EntailmentReport
from ..export.report import ScoredSet, scored_set
from . import evaluations as entailment
from . import similarity_sets
from .kept import FORMAT
from .sides import Subject

if TYPE_CHECKING:
    from ..evaluate.entailment.engines import EngineChoice

SIMILARITY, ENTAILMENT = "similarity-set", entailment.KIND


@dataclass(frozen=True)
class Evaluation:
    """A kept evaluation. kind, key: as it is kept. digest: of the pairs. scores: what was found."""

    kind: str
    key: str
    digest: str
    scores: ScoredSet

    def is_of(self, subject: Subject, judges: "Sequence[EngineChoice]") -> bool:
        """Whether it is about this subject. judges: who may have judged entailment."""
        if self.kind == SIMILARITY:
            return similarity_sets.set_key(subject, self.digest) == self.key
        return any(entailment.set_key(subject, self.digest, judge) == self.key for judge in judges)


def evaluations_of(
    subject: Subject, judges: "Sequence[EngineChoice]", read: "Callable[[Path, float], Evaluation | None] | None" = None
) -> list[ScoredSet]:
    """The scores of every kept evaluation of a subject, newest first.

    read: :func:`read_evaluation`, or the same with a memory; it gets a file and the time of its last change.
    """
    found = []
    for kind in (SIMILARITY, ENTAILMENT):
        for path in cache_folder("evaluations").glob(f"{kind}-*/result.json"):
            try:
                changed = path.stat().st_mtime
            except OSError:  # dropped meanwhile
                continue
            kept = (read or read_evaluation)(path, changed)
            if kept is not None and kept.is_of(subject, judges):
                found.append((changed, kept.scores))
    return [scores for _, scores in sorted(found, key=lambda pair: -pair[0])]


def read_evaluation(path: Path, changed: float) -> Evaluation | None:
    """One kept evaluation, or None if it cannot be read. Reading it this way does not count as using it."""
    kind = next(kind for kind in (SIMILARITY, ENTAILMENT) if path.parent.name.startswith(f"{kind}-"))
    key = path.parent.name.removeprefix(f"{kind}-")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            return None
        if kind == SIMILARITY:
            from ..evaluate.similarity.pairs import SimilarityReport

            report = SimilarityReport.from_dict(values["result"]["report"])
            return Evaluation(kind, key, report.pairs.digest, scored_set(report))
        report = EntailmentReport.from_dict(values["result"])
        return Evaluation(kind, key, report.pairs.digest, scored_set(report))
    except (OSError, ValueError, TypeError, KeyError, InputError):
        return None
