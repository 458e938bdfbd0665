"""The labelled sets of a ``subemb evaluate`` line: files, hub data sets, or the demonstration set if neither is named."""

import argparse
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of

if TYPE_CHECKING:
    from ..evaluate.data.pairs import PairSet
    from ..evaluate.data.read import Columns

_NEXT_COLUMN = re.compile(r",\s*(?=(?:first|second|gold|language)=)")


@dataclass(frozen=True)
class DataSet:
    """Pairs to evaluate. read: how many there were before the sample of ``--limit``. is_demo: the demonstration set."""

    pairs: "PairSet"
    read: int
    is_demo: bool = False

    def to_dict(self) -> dict[str, Any]:
        """What was read and what was left out, JSON types."""
        return {
            "name": self.pairs.name,
            "task": self.pairs.task,
            "format": self.pairs.format,
            "is_demonstration": self.is_demo,
            "pairs_read": self.read,
            "pairs": len(self.pairs),
            "languages": {code: self.pairs.languages.count(code) for code in dict.fromkeys(self.pairs.languages)},
            "rows_skipped": self.pairs.skipped_count,
            "skipped": [asdict(entry) for entry in self.pairs.skipped],
            "notes": list(self.pairs.notes),
        }


def add_data(command: argparse.ArgumentParser, formats: str) -> None:
    """Declare the options that name labelled sets. formats: what files may be, in words."""
    command.add_argument(
        "--data",
        type=Path,
        nargs="+",
        metavar="FILE",
        help=f"labelled pairs: {formats}, or CSV, TSV, JSON lines and Parquet; files of different languages become one set",
    )
    command.add_argument(
        "--columns",
        type=columns_of,
        metavar="COLUMNS",
        help="of a file whose columns are not recognised: first=NAME,second=NAME,gold=NAME and perhaps language=NAME; numbers "
        "from 1 where there is no header",
    )
    command.add_argument("--hub", metavar="ID", help="a Hugging Face data set, such as nyu-mll/glue (needs --split)")
    command.add_argument("--split", metavar="NAME", help="of --hub: validation, test, ...")
    command.add_argument("--config", metavar="NAME", help="of --hub: the subset, such as stsb")
    command.add_argument(
        "--limit", type=int, metavar="N", help="at most N pairs of each file, drawn with --seed (default: all)"
    )


def add_report(command: argparse.ArgumentParser) -> None:
    """Declare how sides are compared, and what is printed."""
    command.add_argument("--resamples", type=int, default=2000, metavar="N", help="of the bootstrap (default 2000)")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.add_argument("--json", action="store_true", help="the report for programs")


def columns_of(text: str) -> "Columns":
    """The value of ``--columns``. Raises argparse's error for a part that is unknown, missing or given twice.

    >>> columns_of("first=Sentence A,second=b,gold=3")
    Columns(first='Sentence A', second='b', gold='3', language=None)
    """
    from ..evaluate.data.read import Columns

    found: dict[str, str] = {}
    for part in _NEXT_COLUMN.split(text):
        name, _, column = part.strip().partition("=")
        if name not in ("first", "second", "gold", "language") or not column.strip() or name in found:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not a column; write first=NAME,second=NAME,gold=NAME[,language=NAME]"
            )
        found[name] = column.strip()
    missing = [name for name in ("first", "second", "gold") if name not in found]
    if missing:
        raise argparse.ArgumentTypeError(f"{text!r} does not say which column is {' and '.join(missing)}")
    return Columns(**found)


def check_counts(given: argparse.Namespace, *names: str) -> None:
    """Raise InputError for numbers that no evaluation can use, before any work. names: further options that are 0 or more."""
    from ..evaluate.statistics import MOST_RESAMPLES

    if given.limit is not None and given.limit < 2:
        raise InputError(f"--limit is {given.limit}; at least 2 pairs are needed to compare")
    if not 1 <= given.resamples <= MOST_RESAMPLES:
        raise InputError(f"--resamples is {given.resamples}; choose 1 to {MOST_RESAMPLES:,}, 2,000 are usual")
    for name in names:
        if getattr(given, name) < 0:
            raise InputError(f"--{name} is {getattr(given, name)}; it must be 0 or more")
    if given.hub is None and (given.split or given.config):
        raise InputError("--split and --config belong to a hub data set; name it with --hub ID")
    if given.hub is not None and given.split is None:
        raise InputError(f"--hub {given.hub} needs --split, such as --split validation")


def check_pairs(given: argparse.Namespace, first: str, second: str) -> None:
    """Raise InputError for a ``--pair`` that is empty or too long. first, second: what a message calls its sentences."""
    from ..evaluate.reading import checked_text

    for pair in given.pair:
        checked_text(pair[0], first)
        checked_text(pair[1], second)


def read_sets(
    given: argparse.Namespace, task: str | None, seed: int, progress: ProgressCallback | None = None
) -> list[DataSet]:
    """All sets that a line names, sampled; empty if it names none. Raises InputError and ModelError as the readers do."""
    from ..evaluate.data.read import read_pairs

    files = given.data or []
    found = []
    for number, path in enumerate(files):
        part = part_of(progress, number / (len(files) + 1), (number + 1) / (len(files) + 1))
        found.append(read_pairs(path, task=task, columns=given.columns, progress=part))
    if given.hub is not None:
        from ..evaluate.data.hub import read_hub_pairs

        part = part_of(progress, len(files) / (len(files) + 1), 1.0)
        found.append(read_hub_pairs(given.hub, given.split, given.config, task=task, columns=given.columns, progress=part))
    return together([sampled(pairs, given.limit, seed) for pairs in found])


def demo_set(task: str, limit: int | None, seed: int) -> DataSet:
    """The demonstration set of a task."""
    from ..evaluate.data.read import demo_pairs

    found = sampled(demo_pairs(task), limit, seed)
    return DataSet(found.pairs, found.read, is_demo=True)


def sampled(pairs: "PairSet", limit: int | None, seed: int) -> DataSet:
    """At most ``limit`` of the pairs."""
    return DataSet(pairs if limit is None else pairs.sample(limit, seed), len(pairs))


def together(sets: list[DataSet]) -> list[DataSet]:
    """Sets of one kind that are each of other languages as one set, to be told apart by language; else as they are."""
    from ..evaluate.data.pairs import combine

    languages = [set(one.pairs.languages) for one in sets]
    kinds = {(one.pairs.task, one.pairs.labels) for one in sets}
    is_one_each = all(languages) and sum(map(len, languages)) == len(set().union(*languages))
    if len(sets) < 2 or len(kinds) > 1 or not is_one_each:
        return sets
    return [DataSet(combine(one.pairs for one in sets), sum(one.read for one in sets))]
