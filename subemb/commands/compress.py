"""``subemb compress``: load, compress, measure, save, report."""

import argparse
from pathlib import Path

from ..base.errors import InputError
from ..base.files import read_file
from ..base.plain import add_flags, flag_text, given_flags
from ..codec.methods import DEFAULT_METHOD, METHODS, with_budget
from ..codec.settings import CompressionSettings
from ..codec.weights import frequency_list, text_digest
from ..runs import run as run_whole
from .outputs import add_force, check_output
from .terminal import path_argument, print_json
from .text import ProgressLine, run_text

LARGEST_TEXT = 1 << 30  # bytes


def add_compression(command: argparse.ArgumentParser) -> None:
    """Declare the options; :func:`settings_of` reads them. All default to None, so that a command can tell which were given."""
    add_flags(command, CompressionSettings)
    command.add_argument(
        "--text",
        type=path_argument,
        metavar="FILE",
        help="UTF-8 text whose tokens are counted for --weights, and on which --sensitive measures what the output notices",
    )

    command.add_argument(
        "--frequency-list",
        type=path_argument,
        metavar="FILE",
        help="UTF-8, a word and its count a line: gives the token weights in place of a guess, as --weights list",
    )


def given_options(given: argparse.Namespace) -> list[str]:
    """The options of compression on a line, as they are spelled; ``--seed`` alone does not ask for compression."""
    found = given_flags(given, CompressionSettings)
    words = [flag_text(CompressionSettings, name, value) for name, value in found.items() if name != "seed"]
    files = (("--text", given.text), ("--frequency-list", given.frequency_list))
    return [*words, *(name for name, value in files if value is not None)]


def settings_of(given: argparse.Namespace) -> tuple[CompressionSettings, str | None]:
    """Settings and text of a line. Raises InputError, also for an option that the method would not read."""
    values = given_flags(given, CompressionSettings)
    name = values.setdefault("method", with_budget() if {"budget", "tiers"} & set(values) else DEFAULT_METHOD)
    if given.frequency_list is not None:
        if given.weights not in (None, "list") or given.text is not None:
            other = "--text" if given.text is not None else f"--weights {given.weights}"
            raise InputError(f"--frequency-list gives the token weights; leave {other} out, or the list")
        values["weights"] = "list"
    elif given.weights == "list":
        raise InputError("weights 'list' need a frequency list; add --frequency-list FILE")
    for option in sorted(set(values) - {"method", "seed", *METHODS[name].reads}):
        flag = flag_text(CompressionSettings, option)
        raise InputError(f"{name} does not use {flag}; leave it out, or choose another method")
    if given.text is not None and METHODS[name].keeps_rows:  # what the text uses is kept
        values.setdefault("weights", "counts")
    text = None
    if given.frequency_list is not None:
        text = read_text(given.frequency_list)

        frequency_list(text)  # what cannot be read is said before the model is loaded
        values["text_digest"] = text_digest(text)
    elif given.text is not None:
        if values.get("weights") not in ("counts", "sqrt_counts") and not given.sensitive:
            raise InputError("a text is read only with --weights counts, --weights sqrt_counts or --sensitive; add one of them")
        text = read_text(given.text)

        values["text_digest"] = text_digest(text)
    elif given.weights in ("counts", "sqrt_counts"):
        raise InputError(f"weights {given.weights!r} need a text; add --text FILE")
    return CompressionSettings(**values), text


def read_text(path: Path) -> str:
    """A whole UTF-8 text file. Raises InputError if it is not there, not UTF-8, empty or over 1 GiB."""
    try:
        text = read_file(path, LARGEST_TEXT, too_large="a sample of it counts tokens as well").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text (byte 0x{error.object[error.start]:02x} at position {error.start}); convert it first"
        ) from error
    if not text.strip():
        raise InputError(f"the text {path} is empty; give a text whose tokens can be counted")
    return text


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
        "-o", "--output", type=path_argument, metavar="DIR", help="where to save it; without it only the report is made"
    )
    add_force(command)
    command.add_argument(
        "--entropy", action="store_true", help="save codes in as few bits as their frequencies allow, where that takes less"
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Load, compress, measure, save, report."""
    settings, text = settings_of(given)
    if given.entropy and given.output is None:
        raise InputError("--entropy says how the result is saved; add -o DIR")
    if given.output is not None:
        check_output(given.output, given.force)
    from .. import load

    with ProgressLine(enabled=not given.quiet) as progress:
        model = load(given.model, revision=given.revision, progress=progress)
        summary, compressed = run_whole(model, settings, text=text, progress=progress)
        if given.output is not None:
            compressed.save_pretrained(given.output, model=summary.model, entropy=given.entropy)
    if given.json:
        print_json({**summary.to_dict(), "saved": None if given.output is None else str(given.output)})
    elif not given.quiet:
        print(run_text(summary))
        print("not saved; give -o DIR to keep it" if given.output is None else f"saved in {given.output}")
    return 0
