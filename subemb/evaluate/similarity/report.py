"""What the comparison of sides on labelled pairs by cosine finds, in plain numbers that can be kept as JSON."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from ...base.errors import InputError
from ..data.pairs import PairSet, Skipped, WordSet
from ..statistics import Interval, nan_for_none, none_for_nan, read_only

#: What is measured, by task; the first is the one that pages name first.
METRICS = {"similarity": ("spearman", "pearson"), "paraphrase": ("best_accuracy", "best_f1", "average_precision")}
METRIC_NAMES = {
    "spearman": "Spearman",
    "pearson": "Pearson",
    "best_accuracy": "Accuracy",
    "best_f1": "F1",
    "average_precision": "Average precision",
}


@dataclass(frozen=True)
class SideScores:
    """One side on some pairs.

    values: metric -> value in natural units, NaN where undefined. thresholds: of cosine, for metrics that need one.
    differences: metric -> against the first side; empty for the first side itself.
    """

    values: dict[str, float]
    thresholds: dict[str, float] = field(default_factory=dict)
    differences: dict[str, Interval] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON types; NaN becomes None."""
        return {
            "values": {metric: none_for_nan(value) for metric, value in self.values.items()},
            "thresholds": {metric: none_for_nan(value) for metric, value in self.thresholds.items()},
            "differences": {metric: interval.to_dict() for metric, interval in self.differences.items()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SideScores":
        """The reverse of :meth:`to_dict`."""
        return cls(
            {metric: nan_for_none(value) for metric, value in values["values"].items()},
            {metric: nan_for_none(value) for metric, value in values["thresholds"].items()},
            {metric: Interval.from_dict(interval) for metric, interval in values["differences"].items()},
        )


@dataclass(frozen=True)
class SimilarityReport:
    """The sides of a model on one labelled set. Made by :func:`subemb.evaluate.similarity.pairs.evaluate_pairs`.

    pairs: the set. pooling: how sentences were made vectors, in words. sides: names, the first is the reference.
    cosines: side -> (n,) float32, read-only. scores: side -> over all pairs. by_language: language -> side -> scores; empty
    unless there are several languages.
    """

    pairs: PairSet
    pooling: str
    sides: tuple[str, ...]
    cosines: dict[str, np.ndarray]
    scores: dict[str, SideScores]
    by_language: dict[str, dict[str, SideScores]] = field(default_factory=dict)
    resamples: int = 2000
    seed: int = 0

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured; the first is the main one."""
        return METRICS[self.pairs.task]

    def ranks(self, side: str) -> np.ndarray:
        """(n,) float64: 1 for the highest cosine; equal cosines share the mean of their ranks."""
        return descending_ranks(self.cosines[side])

    def moved(self, side: str, limit: int | None = None) -> np.ndarray:
        """Places of pairs by how far they moved among all pairs: by change of rank of the cosine, then of the cosine itself."""
        reference = self.sides[0]
        ranks = np.abs(self.ranks(side) - self.ranks(reference))
        change = np.abs(self.cosines[side].astype(np.float64) - self.cosines[reference])
        return np.lexsort((np.arange(len(self)), -change, -ranks))[:limit]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "pairs": pairs_to_dict(self.pairs),
            "pooling": self.pooling,
            "sides": list(self.sides),
            # The shortest text that reads back as the same float32.
            "cosines": {side: [float(str(value)) for value in found] for side, found in self.cosines.items()},
            "scores": {side: scores.to_dict() for side, scores in self.scores.items()},
            "by_language": {
                language: {side: scores.to_dict() for side, scores in found.items()}
                for language, found in self.by_language.items()
            },
            "resamples": self.resamples,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SimilarityReport":
        """The reverse of :meth:`to_dict`. Raises InputError for what is none."""
        try:
            return cls(
                pairs=pairs_from_dict(values["pairs"]),
                pooling=values["pooling"],
                sides=tuple(values["sides"]),
                cosines={side: read_only(np.array(found, np.float32)) for side, found in values["cosines"].items()},
                scores={side: SideScores.from_dict(found) for side, found in values["scores"].items()},
                by_language={
                    language: {side: SideScores.from_dict(scores) for side, scores in found.items()}
                    for language, found in values["by_language"].items()
                },
                resamples=values["resamples"],
                seed=values["seed"],
            )
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"this is no saved similarity report ({error}); compute it again") from error


def descending_ranks(values: np.ndarray) -> np.ndarray:
    """(n,) ranks from 1 for the highest; equal values share the mean of their ranks.

    >>> descending_ranks(np.array([0.1, 0.9, 0.1])).tolist()
    [2.5, 1.0, 2.5]
    """
    from scipy.stats import rankdata

    return rankdata(-np.asarray(values, np.float64))


def pairs_to_dict(pairs: PairSet | WordSet) -> dict[str, Any]:
    """A set as JSON types."""
    values = {one.name: getattr(pairs, one.name) for one in fields(pairs)}
    return {
        **{name: list(value) if isinstance(value, tuple) else value for name, value in values.items()},
        "gold": pairs.gold.tolist(),
        "skipped": [asdict(entry) for entry in pairs.skipped],
    }


def pairs_from_dict(values: dict[str, Any]) -> PairSet:
    """The reverse of :func:`pairs_to_dict`."""
    return PairSet(**{**values, "skipped": tuple(map(Skipped.from_dict, values["skipped"]))})
