"""``subemb adapt``: train a compressed table until the model answers as the original does, and save the model."""

import argparse

from ..adaptation.result import Adaptation
from ..adaptation.settings import OBJECTIVES, TRAINED, AdaptationSettings
from ..adaptation.texts import Text, read_texts
from ..base.errors import InputError
from ..base.plain import add_flags, declared, given_flags
from ..base.text import columns_text, one_line, size_text
from ..evaluate.data.pairs import combine
from .evaluate_inputs import add_reading, add_sides, open_compared, read_file, reading_of
from .outputs import add_force, check_output
from .terminal import path_argument, print_json
from .text import ProgressLine


def add(commands) -> None:
    command = commands.add_parser(
        "adapt",
        help="train a compressed table until the model answers as the original does",
        description="Train the codebooks of a compressed table, the original model being the teacher, and save the adapted model. "
        "It starts from what `subemb compress -o DIR` wrote; given a model, it compresses the table first. With --objective masked, similarity "
        "or entailment the model is fine-tuned instead, and the original in the same way, for comparison.",
    )
    add_sides(
        command,
        "what `subemb compress -o DIR` wrote; or a model as `subemb compress` takes it, with options of compression such as --method",
    )
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--train-text",
        type=path_argument,
        nargs="+",
        metavar="PATH",
        help="sentences, one a line; tables (labels unread); or folders of such files. Equally much is learned from each PATH",
    )
    source.add_argument(
        "--labelled",
        type=path_argument,
        nargs="+",
        metavar="FILE",
        help="labelled pairs, for --objective similarity and entailment",
    )
    source.add_argument(
        "--no-text", action="store_true", help="no text at all: token sequences are drawn from the vocabulary itself"
    )
    add_flags(command, AdaptationSettings, FLAGS)
    command.add_argument(
        "--scored", type=path_argument, metavar="FILE", help="labelled pairs whose score is followed; best weights are kept"
    )
    add_reading(command)
    add_text_columns(command)
    command.add_argument(
        "-o", "--output", type=path_argument, required=True, metavar="DIR", help="where to save the adapted model"
    )
    command.add_argument(
        "--resume",
        type=path_argument,
        metavar="DIR",
        help="a folder for checkpoints: the same command goes on where it was stopped",
    )
    add_force(command)
    command.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(function=run)


#: Settings with a flag of their own here; ``--seed`` is one of :func:`add_sides`.
FLAGS = tuple(name for name in declared(AdaptationSettings) if name != "seed")


def adaptation_of(given: argparse.Namespace) -> AdaptationSettings:
    """The settings of a line. Raises InputError."""
    if given.seconds is not None and given.steps is not None:
        raise InputError("--seconds and --steps exclude each other; give one of them")
    return AdaptationSettings(**given_flags(given, AdaptationSettings))


def run(given: argparse.Namespace) -> int:
    """Load, compress if need be, train, save, report."""
    from ..adaptation import adapt
    from ..adaptation.material import check_given
    from ..adaptation.session import check_adaptable

    settings = adaptation_of(given)
    check_output(given.output, given.force)
    text = text_of_line(given)
    labelled = None if given.labelled is None else combine([read_file(path, given) for path in given.labelled])
    scored = None if given.scored is None else read_file(given.scored, given)
    notes = [] if text is None else list(text.notes)
    notes += [(pairs.name, note) for pairs in (labelled, scored) if pairs is not None for note in pairs.notes]
    if given.resume is not None:
        given.resume.mkdir(parents=True, exist_ok=True)
    with ProgressLine(enabled=not given.quiet) as progress:
        found = open_compared(given, progress)
        if found.compressed is None:
            raise InputError(
                f"{given.model} is a model that is not compressed; say how to compress it, such as --method cluster, or give what "
                "`subemb compress -o DIR` wrote"
            )
        if any(side.facts for side in found.sides.values()):
            raise InputError(
                f"{given.model} holds a model that is adapted already; give what `subemb compress -o DIR` wrote, or the model's name with "
                "options such as --method cluster, and more --seconds"
            )
        check_adaptable(found.model, found.compressed)
        check_given(found.model, text, labelled, settings)
        adapted = adapt(
            found.model, found.compressed, text, labelled=labelled, settings=settings, scored=scored, folder=given.resume,
            progress=progress,
        )  # fmt: skip
        adapted.save_pretrained(given.output)
    facts = Adaptation.from_dict(adapted.facts)
    if given.json:
        said = [{"name": name, **note.to_dict()} for name, note in notes]
        print_json({**facts.to_dict(), "pooling": found.model.pooling, "notes": said, "saved": str(given.output)})
    elif not given.quiet:
        print(adaptation_text(facts))
        if settings.objective != "masked":
            print(one_line(f"sentence vector: {found.model.pooling}"))
        for said in filter(None, (facts.changed_weights, facts.hurry)):
            print(said)
        for name, note in notes:
            print(one_line(f"{name}: {note.sentence()}"))
        print(f"saved in {given.output}")
    return 0


def add_text_columns(command: argparse.ArgumentParser) -> None:
    """Declare which columns of tables are read as text."""
    command.add_argument(
        "--text-columns",
        type=lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
        default=(),
        metavar="NAMES",
        help="of --train-text, where it is a table: columns with sentences, such as title,body (default: found out); numbers from 1 "
        "where there is no header",
    )


def text_of_line(given: argparse.Namespace) -> Text | None:
    """The sentences that ``--train-text`` names; None for no text. Raises InputError as the readers do."""
    if not given.train_text:
        return None
    columns = given.text_columns
    if not columns and given.columns is not None and given.scored is None:
        columns = (given.columns.first, given.columns.second)
    return read_texts(given.train_text, columns, reading_of(given))


def adaptation_text(facts: Adaptation) -> str:
    """The report as text."""
    size = facts.size
    rows = [
        ["model", facts.model["name"]],
        ["objective", OBJECTIVES[facts.settings.objective].title],
        ["trained", TRAINED[facts.settings.train].title],
        ["learned from", f"{facts.text['name']}: {facts.learned_from}"],
        ["steps", f"{facts.steps:,} in {facts.seconds:.0f} s ({facts.cpu_seconds:.0f} CPU-seconds, {facts.threads} threads)"],
        ["codes changed", f"{facts.reassigned:,}"],
        *([name.lower(), f"{amount}, {share}"] for name, amount, share in facts.sizes),
        ["changed weights", f"{size_text(size['changed_bytes'])} ({size['changed_parameters']:,} numbers)"],
    ]
    losses = [point["loss"] for point in facts.history if "loss" in point]
    if losses:
        rows.insert(5, ["loss", f"{losses[0]:.4f} -> {losses[-1]:.4f}"])
    if facts.scores:
        scored = facts.scored
        scores = ", ".join(f"{side} {score:.1f}" for side, score in facts.scores.items())
        rows.append([f"{scored['metric']} x 100", f"{scores} ({scored['name']}: {facts.scored_count})"])
    return columns_text(rows)
