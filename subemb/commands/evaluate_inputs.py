"""What a ``subemb evaluate`` line is about: the sides of a model that are compared, and the labelled sets that they are compared on.

The sides are the original and a compressed or adapted table, saved or made now; ``subemb adapt`` and ``export`` open saved results
in the same way. The sets are files, hub data sets, or the demonstration set if neither is named.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..base.errors import InputError, ModelError
from ..base.files import given_path
from ..base.progress import ProgressCallback, part_of
from ..codec.compressed import Compressed
from ..evaluate.data.hub import read_hub_pairs
from ..evaluate.data.languages import in_languages
from ..evaluate.data.pairs import SEPARATORS, Columns, Note, PairSet, Reading, combine
from ..evaluate.data.read import demo_pairs, read_pairs
from ..evaluate.data.values import labels_of
from ..evaluate.similarity.sentences import checked_text
from ..evaluate.statistics import MOST_RESAMPLES
from ..models.load import load_compact
from ..models.model import PretrainedModel
from ..runs import describe, resolved, what_counts
from ..tasks.sides import ADAPTED, ORIGINAL, sides_of
from .compress import add_compression, given_options, settings_of
from .outputs import RESULT_FILE
from .terminal import path_argument

_NEXT_COLUMN = re.compile(r",\s*(?=(?:first|second|gold|language)=)")
COMPARED_HELP = (
    "what `subemb compress -o DIR` or `subemb adapt -o DIR` wrote: it is compared with its original; or a model as `subemb compress` "
    "takes it: compressed now and compared if there is an option of compression, such as --method, else the original alone"
)


# What is compared


@dataclass(frozen=True)
class ComparedSides:
    """A model on its tables."""

    model: PretrainedModel  # the original
    compressed: Compressed | None  # the table of the second side; None if there is only the original
    sides: dict[str, PretrainedModel]  # by name, the original first

    def to_dict(self) -> dict[str, Any]:
        """What was compared, JSON types."""
        found = {"model": describe(self.model), "compression": None, "sides": list(self.sides)}
        if self.compressed is not None:
            size = self.compressed.size(self.model.parameters)
            changed = max(side.changed_parameters for side in self.sides.values())
            found["compression"] = {
                "settings": self.compressed.settings.to_dict(),
                "total_bytes": size.total_bytes,
                "changed_bytes": 4 * changed,
                "original_bytes": size.original_bytes,
                "model_bytes": size.compressed_model_bytes,
                "original_model_bytes": size.model_bytes,
            }
        return found


def add_sides(command: argparse.ArgumentParser, what: str = COMPARED_HELP) -> None:
    """Declare the model and the options of compression. what: help of the model."""
    command.add_argument("model", metavar="MODEL_OR_DIR", help=what)
    command.add_argument("--model", dest="original", metavar="MODEL", help="of DIR: where its original model now lies")
    command.add_argument("--revision", help="of a Hugging Face model: branch, tag or commit")
    add_compression(command)


def seed_of(given: argparse.Namespace) -> int:
    """The seed of samples and resamples. Raises InputError for one below 0."""
    if given.seed is not None and given.seed < 0:
        raise InputError(f"--seed is {given.seed}; it must be 0 or more")
    return given.seed or 0


def open_compared(
    given: argparse.Namespace,
    progress: ProgressCallback | None = None,
    check: Callable[[PretrainedModel], object] | None = None,
) -> ComparedSides:
    """Load, and compress if that is asked for. check: raises if the model does not suit the task; called before the long work.

    Raises InputError for options that do not go together, ModelError, Cancelled.
    """
    options = given_options(given)
    folder = given_path(given.model, "the model")
    if (folder / RESULT_FILE).is_file():
        if options:
            raise InputError(f"{folder} holds a compressed table already; leave {options[0]} out, or give the model's name")
        model, compressed = open_result(folder, given.original, given.revision, progress)
        if check is not None:
            check(model)
        return ComparedSides(model, compressed, _sides_of_saved(folder, model, compressed))
    if given.original is not None:
        raise InputError(
            f"--model says where the original of a saved result is, but {given.model} is not a saved result; leave --model out, "
            "or give the folder that `subemb compress -o DIR` wrote"
        )
    from .. import load

    settings, text = settings_of(given) if options else (None, None)  # what cannot be used is said before a download
    model = load(given.model, revision=given.revision, progress=progress)
    if check is not None:
        check(model)
    compressed = None if settings is None else _compressed(model, settings, text, progress)
    return ComparedSides(model, compressed, sides_of(model, compressed))


def _sides_of_saved(folder: Path, model: PretrainedModel, compressed: Compressed) -> dict[str, PretrainedModel]:
    """Original and compressed; for what `subemb adapt` wrote, original and adapted: the table it began with is not kept."""
    adapted = load_compact(folder, model)
    return {ORIGINAL: model, ADAPTED: adapted} if adapted.facts else sides_of(model, compressed)


def _compressed(model: PretrainedModel, settings, text: str | None, progress: ProgressCallback | None) -> Compressed:
    """The table that `subemb compress` makes of the same options."""
    from ..codec import compress

    settings = resolved(settings, model, text)
    weights, sensitivity = what_counts(model, settings, text, part_of(progress, 0.0, 0.2))
    return compress(
        model.table, settings=settings, weights=weights, sensitivity=sensitivity, progress=part_of(progress, 0.2, 1.0)
    )


def open_saved(
    folder: Path, original: str | None = None, revision: str | None = None, progress: ProgressCallback | None = None
) -> PretrainedModel:
    """What `subemb compress` or `subemb adapt` saved, as a model. original: where its original is now, if it has moved.

    Raises InputError, ModelError.
    """
    model, _ = open_result(folder, original, revision, progress)
    return load_compact(folder, model)


def open_result(
    folder: Path, name: str | None, revision: str | None, progress: ProgressCallback | None
) -> tuple[PretrainedModel, Compressed]:
    """A saved result and its original model, checked to be the one that it was made of."""
    from .. import load
    from ..analysis.inspection import saved_model
    from ..codec.loading import load as load_result

    compressed = load_result(folder)
    described = saved_model(folder)
    if name is None:
        name = described.get("name")
        # The revision of a folder is a hash of what it holds: only compared, below.
        revision = revision or (described.get("revision") if described.get("source") == "hub" else None)
        if not isinstance(name, str) or described.get("source") == "memory":
            raise InputError(f"{folder} does not name the model that it was made of; say where that lies with --model")
    try:
        model = load(name, revision=revision, progress=progress)
    except ModelError as error:
        raise ModelError(
            f"the original model of {folder} cannot be opened: {error}; if it lies elsewhere now, say where with --model",
            error.reason,
        ) from error
    shape = (compressed.num_embeddings, compressed.embedding_dim)
    if (model.num_tokens, model.dim) != shape or not (described.get("identity") is None or model.has_content_of(described)):
        raise InputError(
            f"{name} (revision {model.revision}, {model.num_tokens:,} x {model.dim}) is not the model that {folder} was made of "
            f"(revision {described.get('revision')}, {shape[0]:,} x {shape[1]}): it has changed, or it is another one; compress it "
            "again, or say where the original lies with --model"
        )
    return model, compressed


def open_original(described: dict[str, Any], name: str | None = None) -> PretrainedModel:
    """The model of a kept run, as :func:`describe` once described it. name: where it lies now, if that is another place.

    Raises ModelError, and InputError if it has changed.
    """
    from .. import load

    revision = described.get("revision") if described.get("source") == "hub" and name is None else None
    model = load(name or described["name"], revision=revision)
    if described.get("identity") is not None and not model.has_content_of(described):
        raise InputError(
            f"{model.name} has changed since (now {model.revision}, then {described.get('revision')}); compress it again, or say where "
            "the original lies with --model"
        )
    return model


# On which sets


@dataclass(frozen=True)
class DataSet:
    """A labelled set to evaluate."""

    pairs: PairSet  # at most as many as ``--limit`` says
    read: int  # how many there were before that
    is_demo: bool = False  # the demonstration set

    def to_dict(self, remarks: Sequence[Note] = ()) -> dict[str, Any]:
        """What was read, what was inferred and what was left out, JSON types. remarks: further notes."""
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
            "columns": None if self.pairs.columns is None else asdict(self.pairs.columns),
            "notes": [note.to_dict() for note in (*self.pairs.notes, *remarks)],
        }


def add_data(command: argparse.ArgumentParser, formats: str) -> None:
    """Declare the options that name labelled sets. formats: what files may be, in words."""
    command.add_argument(
        "--data",
        type=path_argument,
        nargs="+",
        metavar="FILE",
        help=f"labelled pairs: {formats}, or CSV, TSV, JSON lines and Parquet; files of different languages become one set",
    )
    add_reading(command)
    command.add_argument("--hub", metavar="ID", help="a Hugging Face data set, such as nyu-mll/glue (needs --split)")
    command.add_argument("--split", metavar="NAME", help="of --hub: validation, test, ...")
    command.add_argument("--config", metavar="NAME", help="of --hub: the subset, such as stsb")
    command.add_argument(
        "--limit", type=int, metavar="N", help="at most N pairs of each file, drawn with --seed (default: all)"
    )


def add_reading(command: argparse.ArgumentParser) -> None:
    """Declare what can be said about labelled files, so that it need not be inferred."""
    command.add_argument(
        "--columns",
        type=columns_of,
        metavar="COLUMNS",
        help="of a file whose columns are not recognised: first=NAME,second=NAME,gold=NAME and perhaps language=NAME; numbers "
        "from 1 where there is no header",
    )
    command.add_argument(
        "--labels",
        type=_labels_of,
        metavar="LABELS",
        help="what the labels of a file mean, where it does not say it: 0=entailment,1=neutral,2=contradiction, or 1=paraphrase,"
        "0=not_paraphrase",
    )
    command.add_argument(
        "--languages",
        type=_languages_of,
        default=(),
        metavar="CODES",
        help="of a set in several languages: those to use, such as de,fr, or all (default: English, else the most frequent one)",
    )
    command.add_argument(
        "--header", choices=("yes", "no"), help="whether the first line names the columns (default: found out)"
    )
    command.add_argument("--separator", choices=tuple(SEPARATORS), help="between the fields of a table (default: found out)")


def columns_of(text: str) -> Columns:
    """The value of ``--columns``. Raises argparse's error for a part that is unknown, missing or given twice.

    >>> columns_of("first=Sentence A,second=b,gold=3")
    Columns(first='Sentence A', second='b', gold='3', language=None)
    """
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


def _labels_of(text: str) -> tuple[tuple[str, str], ...]:
    """The value of ``--labels``. Raises argparse's error for a part that does not say what a label means."""
    try:
        return labels_of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _languages_of(text: str) -> tuple[str, ...]:
    """The value of ``--languages``."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def reading_of(given: argparse.Namespace) -> Reading:
    """What a line says about how its files are written."""
    header = None if given.header is None else given.header == "yes"
    return Reading(header, given.separator, given.labels or (), given.languages)


def read_file(
    path: Path, given: argparse.Namespace, task: str | None = None, progress: ProgressCallback | None = None
) -> PairSet:
    """The pairs of a file, in the languages that a line asks for, else in one. Raises InputError as the readers do."""
    pairs = read_pairs(path, task=task, columns=given.columns, progress=progress, reading=reading_of(given))
    return in_languages(pairs, given.languages)


def read_sets(
    given: argparse.Namespace, task: str | None, seed: int, progress: ProgressCallback | None = None
) -> list[DataSet]:
    """All sets that a line names, sampled; empty if it names none. Raises InputError and ModelError as the readers do."""
    files = given.data or []
    found = []
    for number, path in enumerate(files):
        part = part_of(progress, number / (len(files) + 1), (number + 1) / (len(files) + 1))
        found.append(read_file(path, given, task, part))
    if given.hub is not None:
        part = part_of(progress, len(files) / (len(files) + 1), 1.0)
        fetched = read_hub_pairs(
            given.hub, given.split, given.config, task=task, columns=given.columns, progress=part, reading=reading_of(given)
        )
        found.append(in_languages(fetched, given.languages))
    return together([sampled(pairs, given.limit, seed) for pairs in found])


def demo_set(task: str, given: argparse.Namespace, seed: int) -> DataSet:
    """The demonstration set of a task, in the languages asked for, else in English."""
    found = sampled(in_languages(demo_pairs(task), given.languages), given.limit, seed)
    return DataSet(found.pairs, found.read, is_demo=True)


def sampled(pairs: PairSet, limit: int | None, seed: int) -> DataSet:
    """At most ``limit`` of the pairs."""
    return DataSet(pairs if limit is None else pairs.sample(limit, seed), len(pairs))


def together(sets: list[DataSet]) -> list[DataSet]:
    """Sets of one kind with no language in common become one set, which is reported by language; others stay as they are."""
    languages = [set(one.pairs.languages) for one in sets]
    kinds = {(one.pairs.task, one.pairs.labels) for one in sets}
    is_one_each = all(languages) and sum(map(len, languages)) == len(set().union(*languages))
    if len(sets) < 2 or len(kinds) > 1 or not is_one_each:
        return sets
    return [DataSet(combine(one.pairs for one in sets), sum(one.read for one in sets))]


# How, and what is checked before any work


def add_report(command: argparse.ArgumentParser) -> None:
    """Declare how sides are compared, and what is printed."""
    command.add_argument("--resamples", type=int, default=2000, metavar="N", help="of the bootstrap (default 2000)")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.add_argument("--json", action="store_true", help="the report for programs")


def check_counts(given: argparse.Namespace, *names: str) -> None:
    """Raise InputError for numbers that no evaluation can use, before any work. names: further options that are 0 or more."""
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
    for pair in given.pair:
        checked_text(pair[0], first)
        checked_text(pair[1], second)
