"""``subemb compress``: load, compress, measure, save, report."""

import argparse
import json
import os
from pathlib import Path

from ..base.errors import InputError
from .compression import add_compression, settings_of


def add(commands) -> None:
    command = commands.add_parser(
        "compress", help="compress a model's token table", description="Compress a model's token table and measure the result."
    )
    command.add_argument(
        "model", metavar="MODEL", help="a name from `subemb models`, a checkpoint folder, or a Hugging Face id"
    )
    command.add_argument("--revision", help="of a Hugging Face model: branch, tag or commit")
    add_compression(command)
    command.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="where to save it; without it only the report is made"
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Load, compress, measure, save, report."""
    from .text import ProgressLine, run_text

    settings, text = settings_of(given)
    if given.output is not None:
        check_output(given.output)
    from .. import load
    from ..runs import run as run_whole

    with ProgressLine(enabled=not given.quiet) as progress:
        model = load(given.model, revision=given.revision, progress=progress)
        summary, compressed = run_whole(model, settings, text=text, progress=progress)
        if given.output is not None:
            compressed.save_pretrained(given.output, model=summary.model)
    if given.json:
        print(json.dumps({**summary.to_dict(), "saved": None if given.output is None else str(given.output)}, indent=2))
    elif not given.quiet:
        print(run_text(summary))
        print("not saved; give -o DIR to keep it" if given.output is None else f"saved in {given.output}")
    return 0


def check_output(folder: Path) -> None:
    """Raise InputError if nothing can be saved in ``folder``: better before the work than after."""
    if folder.exists():
        if not folder.is_dir():
            raise InputError(f"{folder} is a file; give the name of a folder to save in")
        if any(folder.iterdir()) and not (folder / "subspace_embedding.safetensors").exists():
            raise InputError(f"the folder {folder} holds something else; give a new or empty folder to save in")
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written ({existing} is not a folder that you can write to); give another folder")
