"""The table of a sweep: one row a setting, on disk as Parquet and CSV, with the rows that nothing smaller beats."""

import io
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.errors import InputError
from ..base.files import read_json
from ..base.paths import cannot_write, write_files
from ..base.plain import declared, from_plain, to_plain
from ..base.shown import Card, Shown
from ..base.text import one_line, percent_text, score_text, size_text
from ..codec.settings import CompressionSettings, settings_text

if TYPE_CHECKING:
    import pandas as pd

PARQUET, CSV = "sweep.parquet", "sweep.csv"
FACTS = "sweep.json"  # what all rows share
DONE, FAILED = "done", "failed"
_NESTED = ("settings", "scores", "data", "kept_by_frequency")  # of a row: more than one cell each
_KEPT = "neighbours kept, ranks "  # the column of a band of frequency begins so
_SCORE = ("score", "difference", "low", "high")


@dataclass(frozen=True)
class SetScore:
    """The score of one setting on one labelled set, x 100."""

    score: float
    difference: float  # to the original
    low: float  # 95 % interval of the difference, by a paired bootstrap
    high: float


@dataclass(frozen=True)
class SweepRow:
    """What one setting costs and keeps. Plain types only."""

    key: str  # of model, settings, data, and this form of the row
    settings: CompressionSettings  # resolved
    model: str  # name of the model
    data: tuple[str, ...]  # digests of the labelled sets
    state: str = DONE  # or failed
    problem: str = ""  # why it failed
    run_key: str = ""  # of the same run on the pages
    total_bytes: int | None = None  # that the table stores
    share: float | None = None  # of the original table's bytes
    relative_error: float | None = None  # every token alike
    weighted_error: float | None = None  # with the weights of the sweep, the same for all rows
    mean_cosine: float | None = None
    neighbours_kept: float | None = None  # share of the nearest, the same tokens asked for all rows
    kept_by_frequency: dict[str, float] = field(
        default_factory=dict
    )  # the same of the asked tokens of some ranks; {} of older rows
    distinct_tuples: int | None = None  # None without codes
    colliding_tokens: int | None = None
    scores: dict[str, SetScore] = field(default_factory=dict)  # by name of the set
    seconds: float | None = None  # of this row, whole
    compress_seconds: float | None = None
    cpu_seconds: float | None = None  # of its thread or process
    threads: int | None = None  # that it computed with
    where: str = ""  # the machine

    @property
    def is_done(self) -> bool:
        """Whether it was measured."""
        return self.state == DONE

    @property
    def score(self) -> float | None:
        """Mean over the sets, x 100; None without."""
        return _mean([one.score for one in self.scores.values()])

    @property
    def difference(self) -> float | None:
        """To the original: mean over the sets; None without."""
        return _mean([one.difference for one in self.scores.values()])

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of :attr:`difference`; of several sets the mean of their ends, which is rather too wide than too narrow."""
        ends = [_mean([getattr(one, end) for one in self.scores.values()]) for end in ("low", "high")]
        return None if None in ends else (ends[0], ends[1])

    @property
    def error(self) -> float | None:
        """What it is ranked by without a score: the weighted error, else that of all tokens alike."""
        return self.relative_error if self.weighted_error is None else self.weighted_error

    @property
    def loss(self) -> float | None:
        """Lower is better: the score with the sign turned, or the error; None where neither is known."""
        if not self.is_done:
            return None
        found = self.error if self.score is None else -self.score
        return None if found is None or math.isnan(found) else found

    def flat(self) -> dict[str, Any]:
        """One cell a column, for a data frame."""
        cells = {name: value for name, value in vars(self).items() if name not in _NESTED}
        cells["data"] = " ".join(self.data)
        chosen = self.settings.to_dict()
        cells |= {"settings": json.dumps(chosen), **{name: chosen.get(name) for name in declared(CompressionSettings)}}
        cells |= {"score": self.score, "difference": self.difference}
        cells["low"], cells["high"] = self.interval or (None, None)
        for name, one in self.scores.items():
            cells |= {f"{what}: {name}": getattr(one, what) for what in _SCORE}
        return cells | {f"{_KEPT}{ranks}": share for ranks, share in self.kept_by_frequency.items()}

    @classmethod
    def from_flat(cls, cells: dict[str, Any]) -> "SweepRow":
        """The inverse of :meth:`flat`. Raises what reading damaged cells raises."""
        own = {name for name in cls.__dataclass_fields__ if name not in _NESTED}
        kept = {
            name.removeprefix(_KEPT): share for name, share in cells.items() if name.startswith(_KEPT) and share is not None
        }
        sets = [name.partition(": ")[2] for name in cells if name.startswith("score: ")]
        scores = {
            name: SetScore(
                *(float(math.nan if cells[f"{what}: {name}"] is None else cells[f"{what}: {name}"]) for what in _SCORE)
            )
            for name in sets
            if cells[f"score: {name}"] is not None
        }
        settings = CompressionSettings.from_dict(json.loads(cells["settings"]))
        data = tuple(str(cells["data"] or "").split())
        return cls(settings=settings, scores=scores, data=data, kept_by_frequency=kept, **{name: cells[name] for name in own})


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


T = TypeVar("T")


def pareto_front(
    rows: Iterable[T],
    size: Callable[[T], float] = lambda row: row.total_bytes,
    loss: Callable[[T], float | None] = lambda row: row.loss,
) -> list[T]:
    """The rows that no other beats: none has at most as many bytes and a better score (or, without scores, a smaller error).

    In the order of their bytes. Of rows that are equal in both, all stay. Failed rows are left out. size, loss: of a row, less is
    better; a loss of None leaves it out.
    """
    known = sorted(((size(row), loss(row), row) for row in rows if loss(row) is not None), key=lambda one: one[:2])
    front: list[tuple[float, float, T]] = []
    for one in known:
        best = front[-1] if front else None
        if best is None or one[1] < best[1] or one[:2] == best[:2]:
            front.append(one)
    return [row for _, _, row in front]


@dataclass(frozen=True)
class Within:
    """The smallest setting that stays within some points of the original."""

    points: float
    rows: tuple[SweepRow, ...]  # of one setting, a row a seed; empty if no setting does
    difference: float | None = None  # mean over the seeds
    low: float | None = None  # 95 % interval: the ends of the seeds' intervals, averaged
    high: float | None = None

    @property
    def is_sure(self) -> bool:
        """Whether the whole interval lies within the points."""
        return self.low is not None and self.low >= -self.points


@dataclass(frozen=True, repr=False)
class SweepTable(Shown):
    """The rows of a sweep, and what they were measured on."""

    model: dict[str, Any]  # as describe
    rows: tuple[SweepRow, ...]  # in the order of the grid
    sets: tuple[
        dict[str, Any], ...
    ] = ()  # the labelled sets: name, task, metric, pairs, original (score x 100), notes, is_demonstration
    weights: str = "none"  # with which weighted_error is measured
    neighbours_sample: int = 0  # tokens asked for their neighbours
    original_bytes: int = 0  # of the table
    folder: Path | None = None  # where it lies on disk
    computed: int = 0  # rows that were computed now; the others were there
    seconds: float = 0.0  # that this took
    how: str = ""  # where it was computed, in words
    notes: tuple[str, ...] = ()  # what a user should know, in sentences

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def done(self) -> list[SweepRow]:
        """The rows that were measured."""
        return [row for row in self.rows if row.is_done]

    @property
    def failed(self) -> list[SweepRow]:
        """Those that were not, each with its ``problem``."""
        return [row for row in self.rows if not row.is_done]

    @property
    def front(self) -> list[SweepRow]:
        """:func:`pareto_front`: bytes against the score, or the error where there is no score."""
        return pareto_front(self.rows)

    def within(self, points: float) -> Within:
        """The smallest setting whose score is at most ``points`` below the original's, mean over sets and seeds.

        Raises InputError without scores, and for points below 0.
        """
        if not points >= 0:
            raise InputError(f"within {points!r} points is not possible; give a number of at least 0")
        if not self.sets:
            raise InputError("no row has a score, so none can be within some points of the original; give labelled pairs")
        groups: dict[CompressionSettings, list[SweepRow]] = {}
        for row in self.done:
            if row.scores:
                groups.setdefault(replace(row.settings, seed=0), []).append(row)
        near = [
            (max(row.total_bytes for row in rows), -difference, rows)
            for rows in groups.values()
            if (difference := _mean([row.difference for row in rows])) >= -points  # NaN is not
        ]
        if not near:
            return Within(points, ())
        _, less, rows = min(near, key=lambda entry: entry[:2])
        low, high = (_mean([row.interval[end] for row in rows]) for end in (0, 1))
        return Within(points, tuple(rows), -less, low, high)

    def frame(self) -> "pd.DataFrame":
        """One row a setting, with ``pareto``: whether it is in the front."""
        import pandas as pd

        front = {row.key for row in self.front}
        cells = [{**row.flat(), "pareto": row.key in front} for row in self.rows]
        return pd.DataFrame(cells).convert_dtypes() if cells else pd.DataFrame()

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        front = {row.key for row in self.front}
        rows = [{**to_plain(asdict(row)), "score": row.score, "pareto": row.key in front} for row in self.rows]
        return to_plain(
            {
                "model": self.model,
                "sets": list(self.sets),
                "weights_of_error": self.weights,
                "neighbours_sample": self.neighbours_sample,
                "original_bytes": self.original_bytes,
                "folder": None if self.folder is None else str(self.folder),
                "computed": self.computed,
                "seconds": self.seconds,
                "how": self.how,
                "notes": list(self.notes),
                "rows": rows,
            }
        )

    def described(self) -> Card:
        """What is shown of it: the rows that no other beats."""
        rows = [
            [
                settings_text(row.settings),
                size_text(row.total_bytes),
                percent_text(row.share),
                f"{row.error:.3f}",
                "" if row.score is None else f"{row.score:.1f}",
            ]
            for row in self.front
        ]
        line = f"{len(self.done)} settings of {self.model.get('name')}, {len(self.front)} of them not beaten by a smaller one"
        return Card(type(self).__name__, line, header=["settings", "bytes", "of the table", "error", "score"], rows=rows)


# In words


def verdict_text(table: SweepTable, within: Within | None = None) -> str:
    """One or two sentences that say what the table means."""
    name = one_line(str(table.model["name"]))
    if within is not None:
        if not within.rows:
            best = max((row for row in table.done if row.difference is not None), key=lambda row: row.difference, default=None)
            nearest = (
                ""
                if best is None
                else f" The nearest is {settings_text(best.settings)}: {signed_points(best.difference)} points."
            )
            return f"None of the {len(table.done)} settings is within {within.points:g} points of {name}.{nearest}"
        row, seeds = within.rows[0], len(within.rows)
        over = "" if seeds == 1 else f", mean of {seeds} seeds"
        sure = "all of it within" if within.is_sure else "so it may be further away"
        return (
            f"The smallest setting within {within.points:g} points of {name}: {_unseeded(row.settings)}, "
            f"{size_text(row.total_bytes)}, {percent_text(row.share)} of the table.\n"
            f"Its score is {signed_points(within.difference)} points from the original's{over} (95 % interval {signed_points(within.low)} to {signed_points(within.high)}, {sure}). "
            "It was chosen on these pairs: try it on others."
        )
    front = table.front
    if not front:
        return f"No setting of {name} could be measured."
    best = front[-1]
    what = (
        f"error {best.error:.3f}"
        if best.difference is None
        else f"{signed_points(best.difference)} points against the original"
    )
    return (
        f"{len(table.done)} settings of {name}; {len(front)} of them are beaten by no smaller one. "
        f"Best: {settings_text(best.settings)}, {size_text(best.total_bytes)} ({percent_text(best.share)} of the table), {what}."
    )


def signed_points(points: float) -> str:
    """A difference of scores x 100, with its sign."""
    return score_text(points / 100, signed=True, minus="-")


def _unseeded(settings: CompressionSettings) -> str:
    return settings_text(settings).removesuffix(f", seed {settings.seed}")


# On disk


@dataclass(frozen=True)
class _Facts:
    """What all rows of a table share, as in SweepTable."""

    model: dict[str, Any]
    sets: tuple[dict[str, Any], ...]
    weights: str
    neighbours_sample: int
    original_bytes: int
    how: str
    notes: tuple[str, ...]


def write_table(folder: Path, table: SweepTable) -> None:
    """Write ``sweep.parquet``, ``sweep.csv`` and ``sweep.json`` into a folder, which is made; readers see whole files only.

    Raises InputError.
    """
    facts = {name: to_plain(getattr(table, name)) for name in _Facts.__dataclass_fields__}
    write_frame(folder, (PARQUET, CSV, FACTS), table.frame(), facts)


def write_frame(folder: Path, names: tuple[str, str, str], frame: "pd.DataFrame", facts: dict[str, Any]) -> None:
    """Write a data frame as Parquet and CSV, and what its rows share as JSON, into a folder, which is made; readers see whole files only.

    names: of the three files. Raises InputError.
    """
    parquet = io.BytesIO()
    frame.to_parquet(parquet, index=False)
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        contents = (parquet.getvalue(), frame.to_csv(index=False).encode(), text.encode())
        write_files(folder, dict(zip(names, contents, strict=True)))
    except OSError as error:
        raise cannot_write(folder, error) from error


def read_rows(folder: Path, belongs: Callable[[SweepRow], bool] = lambda row: True) -> dict[str, SweepRow]:
    """The rows of the table in a folder by key; {} if there is none.

    Raises InputError if it cannot be read, and for a row of another model or other data.
    """
    rows = read_frame(folder / PARQUET, SweepRow, "the table of a sweep")
    for row in rows:
        if not belongs(row):
            raise InputError(
                f"{folder} holds a sweep of another model, on other data, or measured with other token weights ({row.model}); give "
                "another folder"
            )
    return {row.key: row for row in rows}


Row = TypeVar("Row", bound=SweepRow)


def read_frame(path: Path, kind: type[Row], what: str) -> list[Row]:
    """The rows of a Parquet file that :func:`write_frame` wrote of their flat cells; [] if there is none. what: the table, in words.

    Raises InputError if it cannot be read.
    """
    import pandas as pd

    if not path.exists():
        return []
    try:
        frame = pd.read_parquet(path)
        cells = frame.astype(object).where(frame.notna(), None).to_dict("records")
        return [kind.from_flat({name: _plain(value) for name, value in row.items()}) for row in cells]
    except Exception as error:  # whatever the file holds
        raise InputError(f"{path} cannot be read as {what} ({error}); delete it, or give another folder") from error


def read_table(folder: Path) -> SweepTable | None:
    """The whole table that :func:`write_table` wrote into a folder; None if there is none. Raises InputError if it cannot be read."""
    if not (folder / PARQUET).is_file() or not (folder / FACTS).is_file():
        return None
    found = read_json(folder / FACTS)
    try:
        facts = from_plain(_Facts, {name: found[name] for name in _Facts.__dataclass_fields__})
    except (InputError, KeyError, TypeError) as error:
        raise InputError(f"{folder / FACTS} does not say what a sweep was measured on ({error}); delete it") from error
    return SweepTable(rows=tuple(read_rows(folder).values()), folder=folder, **vars(facts))


def _plain(value: Any) -> Any:
    """Python's own numbers for NumPy's."""
    return value.item() if hasattr(value, "item") else value
