"""``subemb train-head``: an entailment head for an encoder that has no NLI classifier, trained on labelled pairs."""

import argparse
import hashlib
import json

from ..base.plain import add_flags, declared, given_flags
from ..base.progress import part_of
from ..base.text import columns_text, count_text, one_line
from ..evaluate.entailment.head_files import check_folder, own_folder, save_head
from ..evaluate.entailment.head_settings import HeadSettings
from .evaluate_inputs import add_reading, read_file
from .outputs import add_force, line_of_card
from .terminal import path_argument, print_json
from .text import ProgressLine

#: Fields in the order of the help: what is changed first comes first.
FLAGS = dict.fromkeys(("validation_share", "seed", "epochs", *declared(HeadSettings)))


def add(commands) -> None:
    command = commands.add_parser(
        "train-head",
        help="train an entailment head on a model's sentence embeddings",
        description="Train an entailment head, which judges premise and hypothesis by their sentence embeddings, for a model without "
        "an NLI classifier. A part of every file is set aside; no sentence of it is seen in training.",
    )
    command.add_argument(
        "model", metavar="MODEL", help="a name from `subemb models`, a checkpoint folder, or a Hugging Face id"
    )
    command.add_argument("--revision", help="of a Hugging Face model: branch, tag or commit")
    command.add_argument(
        "--data",
        type=path_argument,
        nargs="+",
        required=True,
        metavar="FILE",
        help="labelled premises and hypotheses: SNLI, MNLI, XNLI, SICK, or CSV and TSV with a header",
    )
    add_reading(command)
    add_flags(command, HeadSettings, FLAGS)
    command.add_argument("--name", help="of the head (default: the model's and a hash of data and settings)")
    command.add_argument(
        "--licence", action="append", default=[], metavar="TEXT", help="of the data, for the card; may be repeated"
    )
    command.add_argument(
        "-o", "--output", type=path_argument, metavar="DIR", help="where to save it (default: where the pages look for heads)"
    )
    add_force(command)
    command.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Read, train, save, report."""
    from .. import load
    from ..evaluate.entailment.head_training import train_head

    settings = HeadSettings(**given_flags(given, HeadSettings))
    if given.output is not None or given.name is not None:  # a name of ours tells data and settings apart
        check_folder(own_folder(given.name) if given.output is None else given.output, given.force)
    with ProgressLine(enabled=not given.quiet) as progress:
        model = load(given.model, given.revision, progress=progress)
        sets = [read_file(path, given, "entailment", part_of(progress, 0.0, 0.02)) for path in given.data]
        facts = {
            "licences": list(given.licence),
            "command": line_of_card(given, "train-head", {"--data": given.data}, settings, FLAGS),
        }
        head, card = train_head(model, sets, settings, part_of(progress, 0.02, 1.0), given.name, facts)
        if given.name is None:
            head.name = default_name(head.name, card)
        folder = save_head(head, given.output)
    if given.json:
        print_json({**card, "saved": str(folder)})
    elif not given.quiet:
        print(head_text(card) + f"\n\nsaved in {folder}")
        for pairs in sets:
            for note in pairs.notes:
                print(one_line(f"{pairs.name}: {note.sentence()}"))
    return 0


def default_name(model: str, card: dict) -> str:
    """The model's name and a hash of data and settings, so that heads made from others are kept beside it."""
    made_of = json.dumps([card["model"]["identity"], [data["digest"] for data in card["data"]], card["settings"]])
    return f"{model}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"


def head_text(card: dict) -> str:
    """What was trained, and its accuracy on the pairs that were set aside."""
    rows = [["DATA", "PAIRS", "SKIPPED", "SET ASIDE", "ACCURACY"]]
    for data, found in zip(card["data"], card["accuracy"], strict=True):
        share = "-" if found["report_accuracy"] is None else f"{found['report_accuracy'] * 100:.1f} %"
        counts = [count_text(data["pairs"]), count_text(data["skipped"]), count_text(found["report_pairs"])]
        rows.append([one_line(data["file"]), *counts, share])
    about = (
        f"{one_line(card['model']['name'])} ({one_line(str(card['model']['revision']))}): {count_text(card['pairs'])} pairs, "
        f"{count_text(card['sentences'])} distinct sentences; epoch {card['epoch']} of {card['settings']['epochs']}"
    )
    trained = f"The saved head was trained on {card['trained_on']}."
    return "\n".join([about, "", columns_text(rows, right=(1, 2, 3, 4)), "", trained])
