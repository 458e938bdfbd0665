"""``subemb export``: take away what ``subemb compress`` or ``subemb adapt`` saved, in a form that others can use."""

import argparse
from pathlib import Path

from .. import export
from ..adaptation.result import Adaptation
from ..base.errors import InputError
from ..base.text import columns_text, size_text
from ..export.compact_folder import check_folder, write_file
from ..runs import measured_run, task_of
from .evaluate_inputs import open_saved
from .outputs import add_force, check_file, check_replaces_nothing
from .terminal import path_argument, print_json
from .text import ProgressLine

FORMS = ("compact", "dense", "masked", "onnx", "report")


def add(commands) -> None:
    command = commands.add_parser(
        "export",
        help="take a saved result away: compact folder, dense checkpoint, ONNX, report",
        description="Write what `subemb compress -o DIR` or `subemb adapt -o DIR` saved in other forms; any number of them at once.",
    )
    command.add_argument(
        "folder", type=path_argument, metavar="DIR", help="what `subemb compress -o DIR` or `subemb adapt -o DIR` wrote"
    )
    command.add_argument("--model", dest="original", metavar="MODEL", help="where its original model now lies")
    command.add_argument("--revision", help="of a Hugging Face model: branch, tag or commit")
    command.add_argument(
        "--compact", type=path_argument, metavar="OUT", help="a folder with codes, codebooks, changed weights and a model card"
    )
    command.add_argument(
        "--entropy",
        action="store_true",
        help="with --compact: codes in as few bits as their frequencies allow, where that takes less",
    )
    command.add_argument(
        "--dense",
        type=path_argument,
        metavar="OUT",
        help="an ordinary checkpoint folder, for tools that know nothing of subemb",
    )
    command.add_argument(
        "--masked",
        type=path_argument,
        metavar="OUT",
        help="an ordinary checkpoint folder with the masked-word head that was trained with subemb, for AutoModelForMaskedLM",
    )
    command.add_argument(
        "--onnx", type=path_argument, metavar="FILE", help="the compact table as ONNX, checked with onnxruntime"
    )
    command.add_argument(
        "--report", type=path_argument, metavar="FILE", help="one self-contained HTML page: settings, sizes, charts, scores"
    )
    add_force(command)
    command.add_argument("--json", action="store_true", help="what was written, for programs")
    command.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Write every form that was asked for."""
    if not any(getattr(given, form) for form in FORMS):
        raise InputError(f"say what to write: {', '.join(f'--{form}' for form in FORMS)}")
    if given.entropy and given.compact is None:
        raise InputError("--entropy says how the compact folder is written; add --compact OUT")
    if given.compact is not None:
        if given.compact.exists() and given.compact.resolve() == given.folder.resolve():
            raise InputError(f"{given.compact} is the folder itself; give another one for the compact folder")
        check_folder(given.compact)
        check_replaces_nothing(given.compact, given.force)
    for path in filter(None, (given.onnx, given.report)):
        check_file(path, given.force)
    written: dict[str, dict] = {}
    with ProgressLine(enabled=not given.quiet) as progress:
        model = open_saved(given.folder, given.original, given.revision, progress)
        run, task = None, None
        if given.report is not None:
            run = measured_run(model.original, model.compressed, scored=model)
            task = run.task
        elif (
            given.compact is not None or given.dense is not None
        ) and not model.facts:  # else the card has those of the adaptation
            task = task_of(model.original, model)[0]
        if given.compact is not None:
            export.compact(model, given.compact, entropy=given.entropy, task=task)
            written["compact"] = {"path": str(given.compact), "bytes": _bytes(given.compact)}
        if given.dense is not None:
            export.dense(model, given.dense, progress, task=task)
            written["dense"] = {"path": str(given.dense), "bytes": _bytes(given.dense)}
        if given.masked is not None:
            export.masked(model, given.masked)
            written["masked"] = {"path": str(given.masked), "bytes": _bytes(given.masked)}
        if given.onnx is not None:
            check = export.onnx_table(model.compressed, given.onnx)
            written["onnx"] = {
                "path": str(given.onnx),
                "bytes": check.bytes,
                "largest_difference": check.largest_difference,
                "tokens_compared": check.tokens,
            }
        if given.report is not None:
            written["report"] = _report(model, run, given.report)
    if given.json:
        print_json(written)
    elif not given.quiet:
        print(written_text(written))
    return 0


def _report(model, run, path: Path) -> dict:
    """The HTML report of a saved result. run: measured again, since the folder does not hold its quality."""
    from ..export import html_report

    facts = model.facts
    adaptation = Adaptation.from_dict(facts) if facts else None
    measured = "compressed" if adaptation is None else "adapted"  # the folder holds one table
    page = html_report(run, adaptation, measured=measured)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, page)
    return {"path": str(path), "bytes": path.stat().st_size}


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def written_text(written: dict[str, dict]) -> str:
    """What was written, as text."""
    rows = [[form, size_text(facts["bytes"]), facts["path"]] for form, facts in written.items()]
    text = columns_text(rows, right=(1,))
    if "onnx" in written:
        check = written["onnx"]
        text += f"\nonnxruntime and torch agree to {check['largest_difference']:.1g} on {check['tokens_compared']:,} tokens"
    return text
