"""``subemb train-masked-head``: a masked-word head for an encoder that has none, trained on sentences without labels."""

import argparse

from ..adaptation.settings import MaskedHeadSettings
from ..adaptation.texts import read_texts
from ..base.errors import InputError
from ..base.paths import check_can_save
from ..base.plain import add_flags, declared, given_flags
from ..base.progress import part_of
from ..base.text import columns_text, count_text, one_line
from ..models.masked_head import CARD_FILE, MASKED_HEADS, MaskedHead, key_of, save
from .adapt import add_text_columns, text_of_line
from .evaluate_inputs import add_reading, reading_of
from .outputs import add_force, line_of_card
from .terminal import path_argument, print_json
from .text import ProgressLine


def add(commands) -> None:
    command = commands.add_parser(
        "train-masked-head",
        help="train a masked-word head for an encoder that has none",
        description="Train a masked-word head for an encoder whose checkpoint has none, such as one for sentence vectors, so that fillings, "
        "pseudo-perplexity and --objective masked can be seen with it. Its sentence vectors stay as they are. The head is small: it "
        "shows what compression changes, and is no language model to be used for its own sake.",
    )
    command.add_argument(
        "model", metavar="MODEL", help="a name from `subemb models`, a checkpoint folder, or a Hugging Face id"
    )
    command.add_argument("--revision", help="of a Hugging Face model: branch, tag or commit")
    command.add_argument(
        "--train-text",
        type=path_argument,
        nargs="+",
        required=True,
        metavar="PATH",
        help="sentences, one a line; tables (labels unread); or folders of such files. Every sentence counts once",
    )
    command.add_argument(
        "--scored",
        type=path_argument,
        nargs="+",
        default=[],
        metavar="PATH",
        help="texts that the head is scored on; their sentences are left out of what is learned from",
    )
    add_text_columns(command)
    add_reading(command)
    add_flags(command, MaskedHeadSettings, declared(MaskedHeadSettings))
    command.add_argument(
        "--licence", action="append", default=[], metavar="TEXT", help="of the texts, for the card; may be repeated"
    )
    command.add_argument(
        "-o",
        "--output",
        type=path_argument,
        metavar="DIR",
        help="where to save it (default: where the model finds it by itself)",
    )
    add_force(command)
    command.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Read, train, save, report."""
    from .. import load
    from ..adaptation.masked_head_training import check_trainable, train_masked_head

    settings = MaskedHeadSettings(**given_flags(given, MaskedHeadSettings))
    if given.output is not None:
        check_can_save(given.output, CARD_FILE, "the head", given.force)
    text = text_of_line(given)
    scored = [read_texts([path], given.text_columns, reading_of(given)) for path in given.scored]
    with ProgressLine(enabled=not given.quiet) as progress:
        model = load(given.model, given.revision, progress=progress)
        check_trainable(model)
        if given.output is None and not given.force and MASKED_HEADS.get(key_of(model)) is not None:
            raise InputError(f"there is a masked-word head for {model.name} already; add --force to replace it, or give -o DIR")
        facts = {
            "licences": list(given.licence),
            "command": line_of_card(
                given,
                "train-masked-head",
                {"--train-text": given.train_text, "--scored": given.scored},
                settings,
                declared(MaskedHeadSettings),
            ),
        }
        head = train_masked_head(model, text, settings, scored, part_of(progress, 0.01, 1.0), facts)
        if given.output is None:
            MASKED_HEADS.put(key_of(model), head)
        else:
            save(head, given.output)
    place = "where this model finds it" if given.output is None else str(given.output)
    notes = [(name, note) for each in (text, *scored) for name, note in each.notes]
    if given.json:
        said = [{"name": name, **note.to_dict()} for name, note in notes]
        print_json({**head.card, "notes": said, "saved": place})
    elif not given.quiet:
        print(head_text(head) + f"\n\nsaved {place if given.output is None else f'in {place}'}")
        for name, note in notes:
            print(one_line(f"{name}: {note.sentence()}"))
    return 0


def head_text(head: MaskedHead) -> str:
    """What was trained, and how well it guesses."""
    card = head.card
    rows = [["SCORED ON", "SENTENCES", "MASKED TOKENS", "FIRST GUESS", "AMONG TEN", "NATS"]]
    for score in card["scores"]:
        rows.append(
            [
                one_line(score["name"]),
                count_text(score["sentences"]),
                count_text(score["masked"]),
                f"{score['top1'] * 100:.1f} %",
                f"{score['top10'] * 100:.1f} %",
                f"{score['nats']:.2f}",
            ]
        )
    text, loss = card["text"], card["loss"]
    about = (
        f"{one_line(card['model']['name'])} ({one_line(str(card['model']['revision']))}): {count_text(card['parameters'])} numbers, learned "
        f"from {count_text(text['sentences'])} sentences in {count_text(card['settings']['steps'])} steps; loss {loss[0]['loss']:.2f} -> "
        f"{loss[-1]['loss']:.2f} nats"
    )
    return about if len(rows) == 1 else "\n".join([about, "", columns_text(rows, right=(1, 2, 3, 4, 5))])
