"""``subemb compare``: two compressed tables side by side, and with labelled pairs the difference of their scores."""

import argparse
import textwrap
from typing import Any

from ..base.errors import InputError
from ..base.files import given_path
from ..base.progress import ProgressCallback, part_of
from ..base.text import columns_text, count_text, one_line, score_change, score_text
from ..codec.compressed import Compressed
from ..codec.settings import settings_text
from ..evaluate.entailment.pairs import evaluate_entailment
from ..evaluate.report import METRIC_NAMES, METRICS
from ..evaluate.similarity.pairs import evaluate_pairs
from ..models.model import PretrainedModel
from ..runs import RUNS, compressed_of, kept_keys, measured_run, run_key, what_counts
from ..sweep.run import ROWS
from ..tasks.side_by_side import QUALITY, Side, error_verdict, facts_of, size_verdict
from .evaluate_inputs import DataSet, add_data, check_counts, open_original, open_result, read_sets, seed_of
from .outputs import RESULT_FILE
from .terminal import WIDTH, print_json
from .text import ProgressLine, data_text, scores_table


def add(commands) -> None:
    command = commands.add_parser(
        "compare",
        help="put two compressed tables side by side",
        description="Settings, bytes, errors and neighbours of two compressed tables; with --data their scores, and the difference with "
        "its 95 %% interval.",
    )
    what = "a kept run (`subemb runs`) or a row of a sweep by the beginning of its key, or what `subemb compress -o DIR` wrote"
    command.add_argument("first", metavar="A", help=what)
    command.add_argument("second", metavar="B", help="the same")
    command.add_argument("--model", dest="original", metavar="MODEL", help="where the original model now lies")
    add_data(command, "STS benchmark, SICK, GLUE, PAWS-X, SNLI, XNLI")
    command.add_argument("--seed", type=int, help="of samples and resamples (default 0)")
    command.add_argument("--resamples", type=int, default=2000, metavar="N", help="of the bootstrap (default 2000)")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Find both, score them if asked, report."""
    check_counts(given)
    seed = seed_of(given)
    with ProgressLine(enabled=not given.quiet) as progress:
        sets = read_sets(given, None, seed, part_of(progress, 0.0, 0.05))
        sides = [
            _found(label, name, given.original, part_of(progress, 0.05, 0.3))
            for label, name in (("A", given.first), ("B", given.second))
        ]
        scored = _scored(sides, sets, given, seed, part_of(progress, 0.3, 1.0)) if sets else []
    report = {"sides": [side.to_dict() for side in sides], "sets": scored, "resamples": given.resamples, "seed": seed}
    print_json(report) if given.json else print(compare_text(report, *sides))
    return 0


def _found(label: str, name: str, original: str | None, progress: ProgressCallback | None) -> Side:
    """What a name stands for. Raises InputError if it is nothing, or several things."""
    folder = given_path(name)
    if (folder / RESULT_FILE).is_file():
        model, compressed = open_result(folder, original, None, progress)
        found = measured_run(model, compressed, progress)
        return Side(
            label, f"folder {name}", found.model, found.settings, found.size.total_bytes, found.size.total_share, found.quality,
            compressed,
        )  # fmt: skip
    runs, rows = kept_keys(name), [key for key in ROWS if key.startswith(name)] if name.isalnum() else []
    if len(runs) + len(rows) > 1:
        listed = ", ".join([f"run {key[:12]}" for key in runs[:3]] + [f"row {key[:12]}" for key in rows[:3]])
        raise InputError(f"{name!r} is the beginning of several keys ({listed}, ...); write more of it")
    if runs and (one := RUNS.get(runs[0])) is not None:
        return Side.of_run(label, one)
    if rows and (row := ROWS.get(rows[0])) is not None:
        quality = {name: getattr(row, name, None) for name in (*QUALITY, "kept_by_frequency")}
        return Side(
            label, f"row {row.key[:8]} of a sweep", {"name": row.model}, row.settings, row.total_bytes, row.share, quality
        )
    raise InputError(
        f"{name!r} is no kept run, no row of a sweep and no folder with a result; `subemb runs` lists runs, and a sweep prints the keys "
        "of its rows"
    )


# Scores


def _scored(
    sides: list[Side], sets: list[DataSet], given: argparse.Namespace, seed: int, progress: ProgressCallback | None
) -> list[dict[str, Any]]:
    """Both on every set, B against A."""
    from ..codec import attach

    models = [open_original(side.model, given.original) for side in sides]
    tables = [
        _table_of(side, model, part_of(progress, number / 4, (number + 1) / 4))
        for number, (side, model) in enumerate(zip(sides, models, strict=True))
    ]
    attached = {side.label: attach(model, table) for side, model, table in zip(sides, models, tables, strict=True)}
    if models[0].identity == models[1].identity:
        attached["original"] = models[0]
    found = []
    for number, one in enumerate(sets):
        part = part_of(progress, 0.5 + number / (2 * len(sets)), 0.5 + (number + 1) / (2 * len(sets)))
        if one.pairs.task == "entailment":
            report = evaluate_entailment(attached, one.pairs, None, given.resamples, seed, part)
        else:
            report = evaluate_pairs(attached, one.pairs, given.resamples, seed, part)
        scores = {side: scores.to_dict() for side, scores in report.scores.items()}
        found.append({**one.to_dict(report.remarks), "metrics": list(METRICS[one.pairs.task]), "scores": scores})
    return found


def _table_of(side: Side, model: PretrainedModel, progress: ProgressCallback | None) -> Compressed:
    """The compressed table: read already, kept with its run, or, of a sweep's row, computed again."""
    from ..codec import compress

    if side.compressed is not None:
        return side.compressed
    key = run_key(model.identity, side.settings)
    if RUNS.stamp(key) is not None:
        return compressed_of(key)
    if side.settings.text_digest is not None:
        raise InputError(
            f"{side.what} was made with a text, which is not kept; compress it again with --text and -o DIR, and give that folder"
        )
    weights, sensitivity = what_counts(model, side.settings, None, part_of(progress, 0.0, 0.3))
    return compress(
        model.table, settings=side.settings, weights=weights, sensitivity=sensitivity, progress=part_of(progress, 0.3, 1.0)
    )


# The report as text


def compare_text(report: dict[str, Any], first: Side, second: Side) -> str:
    """A verdict, both side by side, and the scores. report: as JSON."""
    parts = [_verdict(report, first, second), _sides_text(first, second)]
    if report["sets"]:
        rows = []
        for data in report["sets"]:
            for step, metric in enumerate(data["metrics"]):
                values = {side: found["values"][metric] for side, found in data["scores"].items()}
                differences = {side: found["differences"][metric] for side, found in list(data["scores"].items())[1:]}
                labels = ["" if step else data["name"], "" if step else count_text(data["pairs"]), METRIC_NAMES[metric]]
                rows.append((labels, values, differences))
        about = f"Differences are to A.\nIntervals: paired bootstrap over pairs, {count_text(report['resamples'])} resamples, seed {report['seed']}."
        notes = [data_text(data) for data in report["sets"]]
        parts.append(
            "\n".join(["SCORES (x 100)", scores_table(["SET", "PAIRS", "METRIC"], rows, numbers=[1]), "", about, *notes])
        )
    return "\n\n".join(parts)


def _verdict(report: dict[str, Any], first: Side, second: Side) -> str:
    if not report["sets"]:
        return error_verdict(first, second)
    text = size_verdict(first, second)
    data = report["sets"][0]
    metric = data["metrics"][0]
    found = data["scores"]["B"]["differences"][metric]
    low, high = found["low"], found["high"]
    scores = (data["scores"][side]["values"][metric] for side in "AB")
    if low is None or high is None:
        return f"{text}; how their scores differ on {one_line(data['name'])} cannot be measured."
    told = "better" if low > 0 else "worse" if high < 0 else "not told apart from A by these pairs"
    return (
        f"{text}, and {told} on {one_line(data['name'])}: {METRIC_NAMES[metric]} {score_change(*scores, minus='-', known=found['difference'])} points "
        f"(95 % interval {score_text(low, signed=True, minus='-')} to {score_text(high, signed=True, minus='-')})."
    )


def _sides_text(first: Side, second: Side) -> str:
    """All facts as a table; the settings, which are long, below it."""
    facts = facts_of(first, second)
    rows = [[fact.title, one_line(fact.first), one_line(fact.second)] for fact in facts if fact.title != "settings"]
    settings = [
        textwrap.fill(f"{side.label}: {settings_text(side.settings)}", WIDTH, subsequent_indent="   ")
        for side in (first, second)
    ]
    return "\n".join([columns_text([["", "A", "B"], *rows]), "", *settings])
