"""``subemb sweep``: many settings of one model side by side; which is the smallest that is good enough."""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..base.errors import InputError
from ..base.progress import part_of
from ..base.text import change_text, columns_text, count_text, one_line, percent_text, score_text, seconds_text, size_text
from ..codec.methods import METHODS
from ..codec.settings import WEIGHTS, CompressionSettings, settings_text
from ..evaluate.report import METRIC_NAMES
from ..sweep.grid import GRID_SIZE, MOST_SETTINGS, default_grid, grid_of, read_grid
from ..sweep.run import sweep
from ..sweep.table import PARQUET, SweepRow, SweepTable, Within, signed_points, verdict_text
from .compress import read_text
from .evaluate_inputs import add_data, check_counts, demo_set, read_sets
from .outputs import check_table_folder
from .terminal import path_argument, print_json
from .text import ProgressLine

_LISTS = {"methods": "method", "subspaces": "subspaces", "codebook_size": "codebook_size", "rank": "rank", "weights": "weights"}
_SHOWN = 60  # rows of the table at most, unless --all


def add(commands) -> None:
    command = commands.add_parser(
        "sweep",
        help="try many settings of a model, and find the smallest that is good enough",
        description="Compress a model's table with many settings and measure each: bytes, errors, neighbours, scores. Without options of a "
        "grid, 40 settings over all methods. The table is kept as it grows; the same command goes on where it was stopped.",
    )
    command.add_argument(
        "model", metavar="MODEL", help="a name from `subemb models`, a checkpoint folder, or a Hugging Face id"
    )
    command.add_argument("--revision", help="of a Hugging Face model: branch, tag or commit")
    grid = command.add_argument_group("the grid (every combination of what is named; a method takes part in what it reads)")
    grid.add_argument("--grid", type=path_argument, metavar="FILE", help="JSON: a list of settings, or an object of lists")
    grid.add_argument("--methods", type=_words, metavar="NAMES", help=f"separated by commas: {', '.join(METHODS)}")
    grid.add_argument("--subspaces", "-f", type=_numbers, metavar="LIST", help="values of f, such as 3,8,24")
    grid.add_argument("--codebook-size", "-q", type=_numbers, metavar="LIST", help="values of Q, such as 32,61,256")
    grid.add_argument("--rank", type=_numbers, metavar="LIST", help="of low rank, such as 4,16")
    grid.add_argument("--weights", type=_words, metavar="NAMES", help=f"how tokens count: {', '.join(WEIGHTS)}")
    grid.add_argument("--text", type=path_argument, metavar="FILE", help="UTF-8 text whose tokens are counted for --weights")
    grid.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds of each setting (default 1)")
    grid.add_argument("--settings", type=int, default=None, metavar="N", help="of the default grid (default 40)")
    add_data(command, "STS benchmark, SICK, GLUE, PAWS-X, SNLI, XNLI")
    command.add_argument("--no-scores", action="store_true", help="no labelled pairs: errors only")
    command.add_argument(
        "--within", type=float, metavar="POINTS", help="name the smallest setting whose score is within so many points"
    )
    command.add_argument(
        "-o", "--output", type=path_argument, metavar="DIR", help="where the table lies (default: in the cache); it grows there"
    )
    command.add_argument("--retry", action="store_true", help="try settings again that failed")
    command.add_argument("--processes", type=int, metavar="N", help="here (default: as many as cores and memory allow)")
    command.add_argument(
        "--dask", metavar="ADDRESS", help="a Dask scheduler, such as tcp://10.0.0.5:8786, whose workers compute"
    )
    command.add_argument("--all", action="store_true", help="print every row, not only those that no smaller one beats")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.add_argument("--json", action="store_true", help="the table for programs")
    command.set_defaults(function=run, resamples=2000, seed=None)


def _words(text: str) -> list[str]:
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing; separate names by commas")
    return found


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in _words(text)]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers such as 3,8,24") from None


def grid_of_line(given: argparse.Namespace) -> list[CompressionSettings] | None:
    """The grid that a line asks for; None for the default one. Raises InputError."""
    if not 1 <= given.seeds <= MOST_SETTINGS:
        raise InputError(f"--seeds is {given.seeds}; choose 1 to {MOST_SETTINGS:,}")
    named = {setting: values for option, setting in _LISTS.items() if (values := getattr(given, option)) is not None}
    if given.grid is not None:
        if named:
            first = next(option for option in _LISTS if getattr(given, option) is not None).replace("_", "-")
            raise InputError(f"--grid holds the whole grid; leave --{first} out")
        return _with_seeds(read_grid(given.grid), given.seeds)
    if not named:
        return None
    return grid_of({**named, "seed": list(range(given.seeds))})


def _with_seeds(grid: list[CompressionSettings], seeds: int) -> list[CompressionSettings]:
    return grid if seeds == 1 else [replace(settings, seed=seed) for settings in grid for seed in range(seeds)]


def run(given: argparse.Namespace) -> int:
    """Compute what is missing of the table, and report."""
    from .. import load

    if given.settings is not None and given.settings < 1:
        raise InputError(f"--settings is {given.settings}; it must be at least 1")
    if given.within is not None and not given.within >= 0:
        raise InputError(f"--within is {given.within:g}; give points of at least 0")
    if given.no_scores and (given.data or given.hub or given.within is not None):
        raise InputError("--no-scores leaves nothing for --data, --hub and --within; leave one of them out")
    check_counts(given)
    grid = grid_of_line(given)
    if grid is not None and given.settings is not None:
        raise InputError("--settings is of the default grid; leave it out, or the other options of the grid")
    if given.output is not None:
        check_table_folder(given.output, PARQUET)
    text = None if given.text is None else read_text(given.text)
    with ProgressLine(enabled=not given.quiet) as progress:
        sets = read_sets(given, None, 0, part_of(progress, 0.0, 0.01))
        data = () if given.no_scores else [one.pairs for one in sets] or None
        if data is None and (given.languages or given.limit):
            data = [demo_set("similarity", given, 0).pairs]
        model = load(given.model, revision=given.revision, progress=progress)
        if grid is None:
            grid = default_grid(model.num_tokens, model.dim, given.settings or GRID_SIZE, model.has_network)
            grid = _with_seeds(grid, given.seeds)
        table = sweep(
            model, grid, data, text=text, folder=given.output, dask=given.dask, processes=given.processes, retry=given.retry,
            progress=progress,
        )  # fmt: skip
    within = None if given.within is None else table.within(given.within)
    print_json(sweep_json(table, within)) if given.json else print(sweep_report(table, within, given.all))
    if not table.done:
        raise InputError(f"none of {_settings(len(table))} could be measured; the reason of each stands above")
    return 0


def _settings(count: int) -> str:
    return f"{count_text(count)} setting{'' if count == 1 else 's'}"


def sweep_json(table: SweepTable, within: Within | None) -> dict[str, Any]:
    """The report for programs."""
    found = table.to_dict()
    if within is not None:
        found["within"] = {
            "points": within.points,
            "keys": [row.key for row in within.rows],
            "settings": [row.settings.to_dict() for row in within.rows],
            "total_bytes": max((row.total_bytes for row in within.rows), default=None),
            "difference": within.difference,
            "low": within.low,
            "high": within.high,
            "whole_interval_within": within.is_sure,
        }
    return found


def sweep_report(table: SweepTable, within: Within | None = None, is_whole: bool = False) -> str:
    """The report as text: a verdict, the rows that no smaller one beats (or all), and how they came about."""
    parts = [verdict_text(table, within)]
    rows = list(table.done) if is_whole else table.front[:_SHOWN]
    if rows:
        what = "ALL SETTINGS" if is_whole else "NOT BEATEN BY A SMALLER ONE"
        parts.append(f"{what} ({len(rows)} of {len(table.done)})\n{rows_text(table, rows)}")
    if table.failed:
        lines = [f"{settings_text(row.settings)}: {one_line(row.problem)}" for row in table.failed]
        parts.append(f"FAILED ({len(lines)}; --retry tries them again)\n" + "\n".join(lines))
    parts.append("\n".join(_about(table)))
    return "\n\n".join(parts)


def rows_text(table: SweepTable, rows: list[SweepRow]) -> str:
    """Rows as a table, the smallest first."""
    weighted = table.weights != "none"
    front = {row.key for row in table.front}
    rare = _rarest(rows)
    head = ["", "SETTINGS", "BYTES", "OF TABLE", "ERROR", *(["WEIGHTED"] if weighted else []), "NEIGHBOURS"]
    head += [*(["OF RARE"] if rare else []), "DISTINCT"]
    head += [*(["SCORE", "DIFFERENCE", "95 % INTERVAL"] if table.sets else []), "SECONDS", "KEY"]
    lines = [head]
    for row in sorted(rows, key=lambda row: (row.total_bytes, row.loss or 0)):
        line = [
            "*" if row.key in front else "",
            settings_text(row.settings),
            size_text(row.total_bytes),
            percent_text(row.share),
        ]
        line += [f"{row.relative_error:.3f}", *([f"{row.weighted_error:.3f}"] if weighted else [])]
        line.append(percent_text(row.neighbours_kept))
        if rare:
            line.append(percent_text(row.kept_by_frequency[rare]) if rare in row.kept_by_frequency else "")
        line.append("" if row.distinct_tuples is None else count_text(row.distinct_tuples))
        if table.sets:
            low, high = row.interval
            line += [
                score_text(row.score / 100),
                change_text(row.score - row.difference, row.score, minus="-"),
                f"{signed_points(low)} to {signed_points(high)}",
            ]
        lines.append([*line, f"{row.seconds:.1f}", row.key[:8]])
    return columns_text(lines, right=range(2, len(head) - 1))


def _rarest(rows: Iterable[SweepRow]) -> str:
    """The ranks of the rarest tokens whose neighbours are told apart; "" where no row tells them."""
    return next((list(row.kept_by_frequency)[-1] for row in rows if row.kept_by_frequency), "")


def _about(table: SweepTable) -> list[str]:
    """How the numbers came about, a line each."""
    lines = ["*: no setting that is as small is better." if table.front else ""]
    if rare := _rarest(table.done):
        lines.append(f"OF RARE: the neighbours kept of tokens of the ranks {rare} by frequency; all ranks are in the files.")
    for one in table.sets:
        metric = METRIC_NAMES[one["metric"]]
        demo = ", demonstration material that comes with subemb, not a benchmark" if one["is_demonstration"] else ""
        lines.append(
            f"{one_line(one['name'])}: {metric} x 100 of {count_text(one['pairs'])} pairs, original {score_text(one['original'] / 100)}{demo}"
        )
        lines += [one_line(f"{one['name']}: {note['text']}") for note in one["notes"]]
    if len(table.sets) > 1:
        lines.append("Scores are means over the sets; so are the ends of their intervals, which makes these rather too wide.")
    lines += [one_line(note) for note in table.notes]
    if table.weights != "none":
        lines.append(f"Weighted errors count tokens as --weights {table.weights} does, in every row.")
    known, failed = len(table.done) - table.computed, len(table.failed)
    how = f" ({table.how})" if table.computed or not failed else ""
    lines.append(
        f"{_settings(table.computed)} computed in {seconds_text(table.seconds)}{how}, {count_text(known)} known before"
        + (f", {count_text(failed)} failed." if failed else ".")
    )
    lines.append(f"The table: {table.folder}")
    return [line for line in lines if line]
