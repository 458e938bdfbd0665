"""What the chart of the page Trade-off shows, as plain values: rows of sweeps, the visitor's runs, and what papers claim."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....codec.estimates import predicted_size
from ....codec.settings import CompressionSettings
from ....runs import Run
from ....sweep.table import SweepRow, SweepTable, pareto_front

SCORE, WEIGHTED, ERROR, NEIGHBOURS = "Task score", "Weighted error", "Error", "Neighbours kept"
#: What can be drawn upwards -> whether more of it is better.
MEASURES = {SCORE: True, WEIGHTED: False, ERROR: False, NEIGHBOURS: True}
BYTES, FLOATS = "All bytes", "Floats only"
AXES = (BYTES, FLOATS)


@dataclass(frozen=True)
class Point:
    """One setting on the chart."""

    run_key: str  # of the run that it is, or would be
    settings: CompressionSettings  # that it is asked for with
    total_bytes: int
    shares: dict[str, float]  # axis -> share of the table's bytes, and of its floats where there are codebooks
    values: dict[str, float]  # measure -> value, scores and neighbours x 100; only those that are known
    interval: tuple[float, float] | None = None  # 95 % of the score's difference to the original, x 100
    difference: float | None = None  # of the score to the original's, x 100
    is_own: bool = False  # whether it is a run that the visitor has

    @property
    def label(self) -> str:
        """Method and settings."""
        return self.settings.in_words


def points_of(tables: Iterable[SweepTable | None], runs: Iterable[Run]) -> list[Point]:
    """The rows of tables, and the visitor's runs of the same model; what stands in several stands once.

    Of a setting in two tables the row of the first one; a run that is a row too is the visitor's own.
    """
    found: dict[str, Point] = {}
    weights = None
    for table in tables:
        if table is not None:
            weights = weights or table.weights
            for row in table.done:
                found.setdefault(row.run_key, _of_row(row, table))
    for run in runs:
        own = _of_run(run, weights or "vocabulary")
        row = found.get(run.key)
        found[run.key] = own if row is None else _joined(row, own)
    return list(found.values())


def _joined(row: Point, own: Point) -> Point:
    """A row of a sweep that the visitor has as a run: measured twice, and the sweep's numbers compare with its other rows."""
    return Point(
        row.run_key, row.settings, row.total_bytes, row.shares, own.values | row.values, row.interval or own.interval,
        own.difference if row.difference is None else row.difference, is_own=True,
    )  # fmt: skip


def _of_row(row: SweepRow, table: SweepTable) -> Point:
    known = {
        SCORE: row.score,
        WEIGHTED: row.weighted_error,
        ERROR: row.relative_error,
        NEIGHBOURS: None if row.neighbours_kept is None else 100 * row.neighbours_kept,
    }
    size = predicted_size(row.settings, table.model["vocabulary"], table.model["dim"])
    return Point(
        row.run_key,
        row.settings,
        row.total_bytes,
        _shares(row.settings, row.share, size.parameter_share),
        _known(known),
        row.interval,
        row.difference,
    )


def _of_run(run: Run, weights: str) -> Point:
    """weights: those of the sweep's weighted errors; a run that weighs otherwise has another kind of error."""
    task = run.task
    has_score = task is not None and task.compressed is not None and task.original is not None
    known = {
        SCORE: 100 * task.compressed if has_score else None,
        WEIGHTED: run.quality.get("weighted_error") if run.settings.weights == weights else None,
        ERROR: run.quality.get("relative_error"),
        NEIGHBOURS: 100 * run.quality["neighbours_kept"],
    }
    has_interval = has_score and task.low is not None and task.high is not None
    return Point(
        run.key,
        run.asked,
        run.size.total_bytes,
        _shares(run.settings, run.size.total_share, run.size.parameter_share),
        _known(known),
        (100 * task.low, 100 * task.high) if has_interval else None,
        100 * (task.compressed - task.original) if has_score else None,
        is_own=True,
    )


def _shares(settings: CompressionSettings, of_bytes: float, of_floats: float) -> dict[str, float]:
    """Axis -> share. What has no codebooks keeps rounded numbers in place of floats: counting only its few floats says nothing."""
    return {BYTES: of_bytes} | ({FLOATS: of_floats} if settings.about.can_be_adapted else {})


def _known(values: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value is not None and value == value}  # NaN is not


def front_of(points: Iterable[Point], measure: str, axis: str) -> list[Point]:
    """The points that no other beats, the smallest first: none is as small and better."""
    sign = -1 if MEASURES[measure] else 1
    usable = [point for point in points if measure in point.values and axis in point.shares]
    return pareto_front(usable, lambda point: point.shares[axis], lambda point: sign * point.values[measure])


# What papers claim


@dataclass(frozen=True)
class Claim:
    """What a paper says that its method keeps, in its own measure: on other models, so it is no point of this chart's curve."""

    name: str  # short, for the legend
    source: str  # authors, place and year
    link: str
    said: str  # in a sentence
    floats: tuple[float, float]  # share of the table's parameters, from and to
    lost_points: float | None = None  # of absolute accuracy, at most
    kept_share: float | None = None  # of the original's performance, at least

    def lowest(self, original: float) -> float:
        """The lowest score x 100 that the claim stands for, if it held for a model that scores ``original``."""
        return original - self.lost_points if self.lost_points is not None else original * self.kept_share


CLAIMS: Sequence[Claim] = (
    Claim(
        "Jaiswal & Liu",
        "CIKM 2023",
        "https://doi.org/10.1145/3583780.3615269",
        "over 99.8 % fewer floats in the table, at most 4 points of accuracy lost on GLUE and XNLI, after the model was adapted to its "
        "new table; codes are not counted",
        (0.0, 0.002),
        lost_points=4.0,
    ),
    Claim(
        "ASG",
        "arXiv 2509.17737",
        "https://arxiv.org/abs/2509.17737",
        "0.4 to 0.5 % of the table's parameters, over 95 % of the performance on tasks, on mBERT, XLM-R and mT5",
        (0.004, 0.005),
        kept_share=0.95,
    ),
)


@dataclass(frozen=True)
class Shape:
    """What the chart is to show."""

    measure: str
    axis: str
    points: list[Point]
    original: float | None = None  # the original's score x 100, where the measure is the score
    shown: str | None = None  # key of the run on the page
    chosen: frozenset[str] = field(default_factory=frozenset)  # keys of the smallest setting that is near enough
    within: float | None = None  # points of the score that may be lost
