"""``subemb reproduce``: the paper's twelve claims, measured on a model."""

import argparse
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..base.plain import to_plain
from ..base.text import columns_text, count_text, one_line, percent_text, score_text, seconds_text
from .outputs import check_table_folder
from .terminal import WIDTH, path_argument, print_json
from .text import ProgressLine

if TYPE_CHECKING:
    from ..reproduce.claim import Judged
    from ..reproduce.rows import ClaimsTable

_SIGNS = {"holds": "✓ holds", "fails": "✗ fails", "cannot be told here": "? cannot be told here"}
BUNDLED = "all-MiniLM-L6-v2"


def add(commands) -> None:
    command = commands.add_parser(
        "reproduce",
        help="check the paper's twelve claims on a model",
        description="Measure the paper's twelve claims on a model, with seeds and intervals and every byte counted, and say of each whether "
        "it holds, fails, or cannot be told here. The table of rows is kept as it grows; the same command goes on where it was stopped.",
    )
    command.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default=BUNDLED,
        help=f"a name from `subemb models`, a folder, or a Hugging Face id (default: {BUNDLED})",
    )
    command.add_argument("--revision", help="of a Hugging Face model: branch, tag or commit")
    command.add_argument(
        "--data",
        type=path_argument,
        metavar="FOLDER",
        help="labelled sets, known by their names: sts-dev.csv, stsb-de-dev.csv, SICK_trial.txt, xnli.dev.en.tsv, and to learn from "
        "sts-train.csv, SICK_train.txt, snli.dev.tsv (default: the demonstration sets)",
    )
    command.add_argument("--only", type=_numbers, default=(), metavar="LIST", help="some of the claims, such as 3,6")
    command.add_argument(
        "--minutes", type=float, default=None, metavar="N", help="budget, which chooses pairs, steps and seeds (default 60)"
    )
    command.add_argument("--seeds", type=int, metavar="N", help="seeds of each row, in place of what the budget chooses")
    command.add_argument(
        "-o",
        "--output",
        type=path_argument,
        metavar="FOLDER",
        help="where the table lies (default: in the cache); it grows there",
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.add_argument("--json", action="store_true", help="claims and rows for programs")
    command.set_defaults(function=run)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(word) for word in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of claims such as 3,6") from None


def run(given: argparse.Namespace) -> int:
    """Measure what is missing, and report."""
    from .. import load
    from ..reproduce.claims import judge
    from ..reproduce.rows import FILES
    from ..reproduce.run import MINUTES, check_asked, reproduce

    minutes = MINUTES if given.minutes is None else given.minutes
    check_asked(given.only, minutes, given.seeds)
    if given.output is not None:
        check_table_folder(given.output, FILES[0])
    with ProgressLine(enabled=not given.quiet) as progress:
        model = load(given.model, revision=given.revision, progress=progress)
        table = reproduce(
            model, given.data, only=given.only, minutes=minutes, seeds=given.seeds, folder=given.output, progress=progress
        )
    found = judge(table, given.only)
    print_json(claims_json(table, found)) if given.json else print(claims_report(table, found))
    return 0


def claims_json(table: "ClaimsTable", found: "list[Judged]") -> dict[str, Any]:
    """The report for programs."""
    return to_plain(
        {
            "claims": [one.to_dict() for one in found],
            "facts": asdict(table.facts),
            "rows": [row.flat() for row in table.rows],
            "planned": table.planned,
            "computed": table.computed,
            "folder": None if table.folder is None else str(table.folder),
        }
    )


def claims_report(table: "ClaimsTable", found: "list[Judged]") -> str:
    """The report as text: how many hold, then claim by claim its verdict, what the paper says, and the numbers."""
    from ..reproduce.claims import tally, tally_of_abstract

    name = one_line(str(table.facts.model["name"]))
    parts = ["\n".join(filter(None, [f"{name}: {tally(found)}.", textwrap.fill(tally_of_abstract(found), WIDTH)]))]
    parts += [_claim_text(one) for one in found]
    if table.failed:
        lines = [f"{one_line(row.name)}: {one_line(row.problem)}" for row in table.failed]
        parts.append("ROWS THAT FAILED (the same command tries them again)\n" + "\n".join(lines))
    parts.append("\n".join(_about(table, found)))
    return "\n\n".join(parts)


def _claim_text(one: "Judged") -> str:
    claim = one.claim
    head = f"{claim.number}. {claim.title}: {_SIGNS[one.verdict]} ({claim.whose})"
    texts = [("Paper", claim.paper), ("Found", one.sentence), ("Rule", claim.rule)]
    lines = [
        head,
        *(textwrap.fill(f"{label}: {text}", WIDTH, initial_indent="   ", subsequent_indent="   ") for label, text in texts),
    ]
    if one.parts:
        rows = [["", claim.unit.upper(), "INTERVAL", "SEEDS", "OF BYTES", ""]]
        for part in one.parts:
            interval = "" if part.low is None else f"{part.low:.2f} to {part.high:.2f}"
            share = "" if part.share is None else percent_text(part.share)
            sign = _SIGNS[part.verdict] if part.counts else "for comparison"
            rows.append([f"{part.what}, {part.on}", f"{part.value:.2f}", interval, str(part.seeds or ""), share, sign])
        lines.append(textwrap.indent(columns_text(rows, right=(1, 2, 3, 4)), "   "))
    return "\n".join(lines)


def _about(table: "ClaimsTable", found: "list[Judged]") -> list[str]:
    """How the numbers came about, a line each; of some of the claims only what these were judged by."""
    from ..reproduce.claims import CLAIMS
    from ..reproduce.rows import SENTENCES, UNTRAINED

    facts, sizes = table.facts, table.facts.sizes
    keys = {key for one in found for key in one.rows}
    rows = [row for row in table.rows if row.key in keys]
    is_whole = len(found) == len(CLAIMS)
    sets = [one for one in facts.sets if is_whole or any(one["name"] in row.scores for row in rows)]
    lines = [
        f"{one_line(one['name'])}: {one['metric']} x 100 of {count_text(one['pairs'])} pairs, original {score_text(one['original'] / 100)}"
        for one in sets
    ]
    lines += [one_line(note) for one in sets for note in one["notes"]]
    if is_whole:
        lines += [f"{task}: {one_line(why)}" for task, why in facts.missing.items()]
    in_context = is_whole or any(row.on != SENTENCES for row in rows)
    lines += [one_line(note) for note in (*facts.notes, facts.head_note if in_context else "") if note]
    if is_whole or any(row.training != UNTRAINED for row in rows):
        lines.append(
            f"Learned from {one_line(facts.text)}: {sizes.steps} steps, or {sizes.seconds:g} s where codes are chosen anew; {sizes.seeds} seeds. "
            "A search that is given seconds finds other codes each time; the intervals do not hold that."
        )
    lines.append(
        "Intervals: paired bootstrap over the pairs, ends averaged over the seeds. A verdict needs the whole interval and every seed."
    )
    spent = sum(row.seconds or 0 for row in table.done)
    lines.append(
        f"{len(table.done)} of {table.planned} rows measured, {seconds_text(spent)} in all, {table.computed} of them now."
    )
    lines.append(f"The table: {table.folder}")
    return lines
