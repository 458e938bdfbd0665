"""Scores on labelled sets in one form, whichever evaluation they come from."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..adaptation.result import ADAPTED, TUNED
from ..base.errors import InputError
from ..evaluate.statistics import Interval

if TYPE_CHECKING:
    from ..evaluate.entailment.report import EntailmentReport
    from ..evaluate.similarity.report import SimilarityReport


@dataclass(frozen=True)
class ScoredSet:
    """Sides on one labelled set.

    data: its name. pairs: how many. metric: the main one, for a person. values: side -> score x 100, the first side is the
    reference, see :meth:`reference_of`. differences: side -> against the first, natural units. judged_by: by what, in words, or "".
    """

    data: str
    pairs: int
    metric: str
    values: dict[str, float]
    differences: dict[str, Interval] = field(default_factory=dict)
    judged_by: str = ""

    def reference_of(self, side: str) -> str:
        """The side that another is compared with: of the adapted one the fine-tuned original, where both were trained alike."""
        if side == ADAPTED and TUNED in self.values and side not in self.differences:
            return TUNED
        return next(iter(self.values))


def scored_set(report: "ScoredSet | SimilarityReport | EntailmentReport") -> ScoredSet:
    """A report in that form, by its main metric. Raises InputError for what is none."""
    from ..evaluate.entailment.report import EntailmentReport
    from ..evaluate.similarity.report import METRIC_NAMES, SimilarityReport

    if isinstance(report, ScoredSet):
        return report
    if isinstance(report, SimilarityReport):
        metric = report.metrics[0]
        return ScoredSet(
            report.pairs.name,
            len(report),
            METRIC_NAMES[metric],
            {side: 100 * found.values[metric] for side, found in report.scores.items()},
            {side: found.differences[metric] for side, found in report.scores.items() if metric in found.differences},
        )
    if isinstance(report, EntailmentReport):
        return ScoredSet(
            report.data,
            len(report),
            "Accuracy, %",
            {side: 100 * found.accuracy for side, found in report.scores.items()},
            {side: found.difference for side, found in report.scores.items() if found.difference is not None},
            report.engine,
        )
    raise InputError(f"a {type(report).__name__} holds no scores; give reports of evaluate_pairs or evaluate_entailment")


def score_text(value: float | None) -> str:
    """A score x 100.

    >>> score_text(86.66), score_text(-2.0), score_text(float("nan"))
    ('86.7', '−2.0', 'undefined')
    """
    if value is None or math.isnan(value):
        return "undefined"
    rounded = f"{abs(value):.1f}"
    return f"−{rounded}" if value < 0 and float(rounded) else rounded


def points_text(difference: float | None) -> str:
    """A difference of scores x 100.

    >>> points_text(-1.24), points_text(0.5), points_text(0.01)
    ('−1.2', '+0.5', '0.0')
    """
    text = score_text(difference)
    return text if text[0] in "−u" or float(text) == 0 else f"+{text}"
