"""The table that the claims are judged by: one row for each thing that was measured, in the same files as a sweep's.

A row is a table that was compressed in some way, trained or not, and what is left of the scores; or how long a layer takes.
"""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.files import read_json
from ..base.plain import from_plain, to_plain
from ..base.shown import Card, Shown
from ..codec.settings import CompressionSettings, settings_text
from ..sweep.table import SetScore, SweepRow, read_frame, write_frame

if TYPE_CHECKING:
    import pandas as pd

FILES = ("claims.parquet", "claims.csv", "claims.json")
SCORES, SPEED = "scores", "speed"  # kinds of rows
#: How a table was trained before it was scored.
UNTRAINED, CODEBOOKS, SEARCHED, TUNED = "untrained", "codebooks", "codes and codebooks", "fine-tuned"
TRAINING_WORDS = {
    UNTRAINED: "nothing trained",
    CODEBOOKS: "codebooks trained, codes stay",
    SEARCHED: "codes chosen anew, codebooks trained",
    TUNED: "fine-tuned, and the original alike",
}
#: What a row is scored on: labelled sentences; or masked words, which only some models guess, so that they are rows of their own.
SENTENCES, MASKED = "sentences", "masked"


@dataclass(frozen=True)
class Cell:
    """What one row measures."""

    settings: CompressionSettings  # resolved
    kind: str = SCORES  # or SPEED
    on: str = SENTENCES  # or MASKED
    training: str = UNTRAINED  # a key of TRAINING_WORDS
    task: str = ""  # that is learned, where it is fine-tuned: similarity, entailment or masked
    drawn: bool = False  # whether codebooks began at random
    steps: int | None = None  # of training
    seconds: float | None = None  # or so long

    @property
    def name(self) -> str:
        """In words."""
        words = settings_text(self.settings)
        if self.kind == SPEED:
            return f"speed of {words}"
        if self.training == UNTRAINED:
            return words + (" on masked words" if self.on == MASKED else "")
        how = f"fine-tuned on {self.task}" if self.task else TRAINING_WORDS[self.training]
        return f"{words}; {how}" + (", from random codebooks" if self.drawn else "")

    def content(self) -> dict[str, Any]:
        """JSON types, for its key."""
        return {**to_plain(asdict(self)), "settings": self.settings.to_dict()}


@dataclass(frozen=True)
class ClaimRow(SweepRow):
    """One row. Plain types only."""

    kind: str = SCORES
    on: str = SENTENCES
    training: str = UNTRAINED
    task: str = ""
    drawn: bool = False
    steps: int | None = None  # of training that were done
    budget_seconds: float | None = None  # that the training was given
    floats: float | None = None  # floats stored over V x D: the papers' measure
    code_bytes: int | None = None  # of total_bytes
    share_of_floats_in_32_bits: float | None = (
        None  # bytes over the table's, were each number of the codebooks a float of 32 bits
    )
    #: Key of another row -> by set, this row's score and its difference to that row's, with the interval of a paired bootstrap.
    versus: dict[str, dict[str, SetScore]] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)  # what else was measured, by name

    @property
    def cell(self) -> Cell:
        """What it measures."""
        steps = self.steps if self.budget_seconds is None else None
        return Cell(self.settings, self.kind, self.on, self.training, self.task, self.drawn, steps, self.budget_seconds)

    @property
    def name(self) -> str:
        """In words."""
        return self.cell.name

    def flat(self) -> dict[str, Any]:
        cells = super().flat()
        return cells | {name: json.dumps(to_plain(getattr(self, name))) for name in ("versus", "values")} | {"row": self.name}

    @classmethod
    def from_flat(cls, cells: dict[str, Any]) -> "ClaimRow":
        found = super().from_flat(cells)
        versus = {
            key: {name: SetScore(**{what: _number(value) for what, value in one.items()}) for name, one in sets.items()}
            for key, sets in json.loads(cells["versus"]).items()
        }
        values = {name: _number(value) for name, value in json.loads(cells["values"]).items()}
        texts = {name: getattr(found, name) or "" for name in ("problem", "task", "run_key", "where")}
        whole = {name: value for name in _FLOATS if (value := getattr(found, name)) is not None}  # a data frame makes 2 of 2.0
        return replace(found, versus=versus, values=values, **texts, **{name: float(value) for name, value in whole.items()})


_FLOATS = ("share", "seconds", "cpu_seconds", "budget_seconds", "floats", "share_of_floats_in_32_bits")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


@dataclass(frozen=True)
class Sizes:
    """How much is measured: what a budget of minutes chooses."""

    pairs: int  # of each labelled set, at most
    steps: int  # of training, where both sides are given equally many
    seconds: float  # of training, where codes are chosen anew
    seeds: int
    tokens: int  # that are masked for a pseudo-perplexity

    def __post_init__(self):
        for name, value in vars(self).items():
            if value < (2 if name == "pairs" else 1):
                raise InputError(f"{name} is {value}; it must be at least {2 if name == 'pairs' else 1}")


@dataclass(frozen=True)
class Facts:
    """What all rows of a table share, and what the arithmetic of some claims needs. Plain types."""

    model: dict[str, Any]  # as describe
    sizes: Sizes
    minutes: float  # of the budget
    #: The labelled sets: name, task, language, pairs, digest, original (score x 100), notes, and ``of`` of a set that is another one's
    #: pairs with other labels.
    sets: tuple[dict[str, Any], ...] = ()
    languages: tuple[str, ...] = ()  # that the model reads
    text: str = ""  # what is learned from, in words
    is_demonstration: bool = False  # whether there was nothing but the sets that come with subemb
    has_network: bool = True
    has_tied_head: bool = False
    has_masked: bool = False
    head_note: str = ""  # whose masked-word head it is, where it is not the checkpoint's own
    heads: tuple[str, ...] = ()  # what judges entailment
    missing: dict[str, str] = field(default_factory=dict)  # task -> why it cannot be measured
    notes: tuple[str, ...] = ()  # sentences
    machine: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class ClaimsTable(Shown):
    """All rows of a model, and what they were measured on."""

    facts: Facts
    rows: tuple[ClaimRow, ...] = ()
    planned: int = 0  # rows that the claims want, those that are there included
    seconds_left: float = 0.0  # that the missing ones will take here, roughly
    folder: Path | None = None
    computed: int = 0  # rows that were computed now

    def __len__(self) -> int:
        return len(self.rows)

    def described(self) -> Card:
        """What is shown of it: how many rows there are, and on what they were measured."""
        name = str(self.facts.model.get("name"))
        sets = [(one["name"], f"{one['pairs']:,}") for one in self.facts.sets]
        return Card(
            type(self).__name__, f"of {name}: {len(self.done)} of {self.planned} rows", header=["set", "pairs"], rows=sets
        )

    @property
    def done(self) -> list[ClaimRow]:
        """The rows that were measured."""
        return [row for row in self.rows if row.is_done]

    @property
    def failed(self) -> list[ClaimRow]:
        """Those that were not, each with its ``problem``."""
        return [row for row in self.rows if not row.is_done]

    def sets_of(self, *tasks: str) -> list[dict[str, Any]]:
        """The sets of some tasks."""
        return [one for one in self.facts.sets if one["task"] in tasks]

    def frame(self) -> "pd.DataFrame":
        """One row each."""
        return frame_of(self.rows)

    def write(self, folder: Path) -> None:
        """``claims.parquet``, ``claims.csv`` and ``claims.json``. Raises InputError."""
        facts = {"facts": to_plain(asdict(self.facts)), "planned": self.planned, "seconds_left": self.seconds_left}
        write_frame(folder, FILES, self.frame(), facts)

    @classmethod
    def read(cls, folder: Path) -> "ClaimsTable | None":
        """What :meth:`write` wrote; None if there is none. Raises InputError if it cannot be read."""
        parquet, _, facts = (folder / name for name in FILES)
        if not facts.is_file():
            return None
        found = read_json(facts)
        try:
            known = from_plain(Facts, found["facts"])
            planned, left = int(found["planned"]), float(found["seconds_left"])
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{facts} does not say what was measured ({error}); delete it, or give another folder") from error
        rows = read_frame(parquet, ClaimRow, "the table of the claims")
        return cls(known, tuple(rows), planned, left, folder)


def frame_of(rows: Iterable[ClaimRow]) -> "pd.DataFrame":
    """One row each, the most telling columns first."""
    import pandas as pd

    cells = [row.flat() for row in rows]
    return pd.DataFrame(cells).convert_dtypes() if cells else pd.DataFrame()


# Over seeds


@dataclass(frozen=True)
class Measured:
    """A difference over some seeds, in points."""

    value: float  # mean over the seeds
    low: float  # 95 % interval over the pairs: ends of the seeds' intervals, averaged
    high: float
    least: float  # of the seeds
    most: float
    seeds: int

    @property
    def is_defined(self) -> bool:
        """Whether it can be compared with anything."""
        return not (math.isnan(self.low) or math.isnan(self.high))


def over_seeds(found: Sequence[SetScore]) -> Measured | None:
    """The differences of several seeds as one; None without any.

    >>> over_seeds([SetScore(70, -4, -6, -2), SetScore(72, -2, -4, 0)])
    Measured(value=-3, low=-5, high=-1, least=-4, most=-2, seeds=2)
    """
    if not found:
        return None
    value, low, high = (statistics.mean(getattr(one, name) for one in found) for name in ("difference", "low", "high"))
    differences = [one.difference for one in found]
    return Measured(value, low, high, min(differences), max(differences), len(found))
