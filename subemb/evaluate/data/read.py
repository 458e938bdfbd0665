"""Reading sets of labelled sentence pairs: STS, SICK, GLUE, PAWS, SNLI, MultiNLI, XNLI and plain tables.

:func:`read_pairs` takes the same steps for every file: it reads the rows (:mod:`.tables`), recognises what they are
(:mod:`.recognise`), chooses the columns for the task, and makes pairs of the rows that can be used. The others
are counted by reason.

>>> pairs = read_pairs(b"sentence1,sentence2,score\\nA cat.,A dog.,1.5\\nA car.,An auto.,5\\n", "mine.csv")
>>> len(pairs), pairs.task, pairs.gold.tolist()
(2, 'similarity', [1.5, 5.0])
"""

import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...base.errors import InputError
from ...base.paths import app_folder
from ...base.progress import ProgressCallback, report
from .pairs import TASKS, UNKNOWN_LANGUAGE, PairSet, SkipCounter, skipped_text
from .recognise import Columns, Recognised, body_of, plain_name, recognise
from .tables import Records, named, names_text, read_bytes, read_records
from .values import BINARY_OR_NONE, binary_reader, kind_of, label_reader, plain_word, score_of

LONGEST_SENTENCE = 20_000
PREVIEW_ROWS = 5
LONGEST_SHOWN = 300  # characters of a cell in the preview
#: The demonstration sets that come with subemb: material to try the pages with, not a benchmark.
DEMO_NAME = "Demonstration set"
DEMO_FILES = {"similarity": "demo_similarity.csv", "entailment": "demo_entailment.csv"}
_WHAT = {"similarity": "graded scores", "paraphrase": "0 and 1", "entailment": "labels of entailment"}


@dataclass(frozen=True)
class Preview:
    """What a file was recognised as, before its pairs are read."""

    format: str  # in words
    kind: str  # how it is written, e.g. ``tab-separated``
    task: str  # what it would be read for
    tasks: tuple[str, ...]  # all that it can serve
    header: tuple[str, ...]  # names of the columns; numbers from 1 if ``has_header`` is False
    has_header: bool
    rows: tuple[tuple[str, ...], ...]  # the first ones, as text
    columns: Columns | None  # those that would be read; None if they cannot be guessed
    row_count: int  # rows in all, without the header
    left_out: tuple[str, ...] = ()  # columns with neither text nor numbers


def preview(source: Path | bytes, name: str | None = None, task: str | None = None) -> Preview:
    """What a file holds, without judging its rows. Raises InputError if it cannot be read at all."""
    shown = named(source, name)
    records = read_records(read_bytes(source, name), shown)
    found = recognise(records, shown)
    columns = _columns_for(found, task)
    body = body_of(records, found.has_header)
    return Preview(
        format=found.format,
        kind=records.kind,
        task=next((key for key, value in found.columns.items() if value is columns), task or "similarity"),
        tasks=tuple(found.columns),
        header=found.header,
        has_header=found.has_header,
        rows=tuple(tuple(_shown(cell) for cell in row) for row in body[:PREVIEW_ROWS]),
        columns=columns,
        row_count=len(body),
        left_out=records.left_out,
    )


def _shown(cell: Any) -> str:
    text = "" if cell is None else str(cell)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


def read_pairs(
    source: Path | bytes,
    name: str | None = None,
    task: str | None = None,
    columns: Columns | None = None,
    language: str | None = None,
    progress: ProgressCallback | None = None,
) -> PairSet:
    """The labelled pairs of a file.

    source: a path, or the bytes of an upload; at most MOST_BYTES. name: what to call it; may tell the language
        (``xnli.dev.de.tsv``).
    task: ``similarity`` (also takes paraphrase sets, whose ``task`` is then ``paraphrase``), ``paraphrase`` or ``entailment``;
        None: the first task that the file serves.
    columns: which columns to read; None: as recognised. language: the code of all pairs, where no column
        gives one for each.

    Rows that cannot be used are left out and counted in ``skipped``. Raises InputError if the file cannot be read, a column
    is missing, or fewer than two pairs remain.
    """
    shown = named(source, name)
    return pairs_of(read_records(read_bytes(source, name), shown, progress), shown, task, columns, language, progress)


def pairs_of(
    records: Records,
    name: str,
    task: str | None = None,
    columns: Columns | None = None,
    language: str | None = None,
    progress: ProgressCallback | None = None,
) -> PairSet:
    """The labelled pairs among rows that were read already; as :func:`read_pairs`."""
    if task is not None and task not in TASKS:
        raise InputError(f"there is no task {task!r}; tasks are {', '.join(TASKS)}")
    found = recognise(records, name)
    chosen = columns or _columns_for(found, task)
    if chosen is None:
        raise InputError(_no_columns(found, name, task))
    places = _places(found, chosen, name)
    body = body_of(records, found.has_header)
    lines = records.lines[len(records.rows) - len(body) :]
    skipped = deepcopy(records.skipped)
    rows, lines = whole_rows(body, lines, places, found, skipped)
    report(progress, f"reading {name}: {len(rows):,} rows", 0.5)
    values = [row[places[2]] for row in rows]
    meant = _task_of(values, records, found, chosen, task, name)
    gold_of, labels, note = _gold_reader(meant, values, records.classes.get(chosen.gold), found)
    read = read_rows(rows, lines, places, gold_of, skipped)
    if len(read) < 2:
        raise InputError(_too_few(name, read, body, skipped, chosen, meant))
    code = language or (language_of_name(name) if chosen.language is None else None)
    first, second, gold, codes = zip(*read, strict=True)
    return PairSet(
        name=name,
        task=meant,
        format=found.format if columns in (None, *found.columns.values()) else f"{found.format}, columns chosen",
        first=first,
        second=second,
        gold=gold,
        labels=labels,
        languages=codes if chosen.language else (code,) * len(first) if code else (),
        skipped=skipped.result(),
        notes=(note,) if note else (),
    )


def demo_pairs(task: str) -> PairSet:
    """The demonstration set of a task, ``similarity`` or ``entailment``, in all its languages.

    Raises InputError for another task.
    """
    if task not in DEMO_FILES:
        raise InputError(f"there is no demonstration set for {task!r}; there are {', '.join(DEMO_FILES)}")
    pairs = read_pairs(app_folder() / "assets" / DEMO_FILES[task], task=task)
    return replace(pairs, name=DEMO_NAME, format="not a benchmark")


# Columns, and the tasks that their values serve


def _columns_for(found: Recognised, task: str | None) -> Columns | None:
    """The columns to read for a task. Paraphrase sets also serve similarity, and the other way round. In a plain table any
    guess is taken, since numbers may be scores or labels: their values decide later."""
    wanted = {
        "similarity": ("similarity", "paraphrase"),
        "paraphrase": ("paraphrase", "similarity"),
        "entailment": ("entailment",),
    }
    order = (*wanted.get(task, ()), *(tuple(found.columns) if task is None or found.is_plain else ()))
    return next((found.columns[key] for key in order if key in found.columns), None)


def _places(found: Recognised, columns: Columns, name: str) -> tuple[int, int, int, int | None]:
    """Indices of first, second, gold and language (or None). Raises InputError for a column that is not there."""
    places = []
    for column in (columns.first, columns.second, columns.gold, columns.language):
        if column is None:
            places.append(None)
        elif column in found.header:
            places.append(found.header.index(column))
        elif not found.has_header and re.fullmatch(r"[1-9]\d{0,3}", column):
            places.append(int(column) - 1)  # rows may be longer than the first one
        else:
            have = names_text(found.header) if found.has_header else f"1 to {len(found.header)}, as the file has no header"
            raise InputError(f"{name} has no column {column!r}; its columns are {have}")
    if len({*places[:3]}) < 3:
        raise InputError(f"{name}: the two sentences and the gold value must be three different columns, not {columns}")
    return tuple(places)


def _task_of(values, records: Records, found: Recognised, columns: Columns, task: str | None, name: str) -> str:
    """The task that the gold values serve. Raises InputError if it is not the one asked for."""
    classes = records.classes.get(columns.gold)
    kind = kind_of(list(classes) if classes else values)
    if task is None:
        task = next((key for key, value in found.columns.items() if value == columns), None)
        if task is None:
            task = {"labels": "entailment", "binary": "paraphrase"}.get(kind, "similarity")
    fits = {
        "labels": ("entailment",),
        "binary": ("paraphrase", "similarity", "entailment"),
        "classes": ("entailment", "similarity"),
        "numbers": ("similarity",),
    }.get(kind, ())
    if kind == "nothing":
        return task  # every row will be counted as blank
    if task not in fits:
        have = {"labels": "labels of entailment", "text": "text", "numbers": "numbers"}.get(kind, "classes")
        raise InputError(
            f"{name}: {_WHAT[task]} are needed, but its column {columns.gold!r} holds {have} such as {_example(values)}; "
            f"choose another column ({names_text(found.header)}) or a set of another kind"
        )
    return "paraphrase" if task == "similarity" and kind == "binary" and _is_only_binary(values, classes) else task


def _is_only_binary(values, classes) -> bool:
    """Whether there is nothing but 0 and 1 in all rows; a graded set may begin with rows of only these."""
    return bool(classes) or all(plain_word(value) in BINARY_OR_NONE for value in set(values))


def _example(values) -> str:
    example = next((str(value) for value in values if value is not None and str(value).strip()), "")
    return repr(example if len(example) <= 60 else example[:60] + "…")


def _gold_reader(task: str, values, classes, found: Recognised):
    """(value -> number or reason, labels, note)"""
    if task == "entailment":
        labels, reader, note = label_reader(values, classes, found.one_is_entailment)
        return reader, labels, note
    return (binary_reader(classes) if task == "paraphrase" else score_of), (), ""


# Rows


def whole_rows(
    body: Sequence[Sequence[Any]], lines: Sequence[int], places: Sequence[int | None], found: Recognised, skipped: SkipCounter
) -> tuple[list[Sequence[Any]], list[int]]:
    """Rows that have all needed columns and are not longer than the header, and their line numbers; the others are counted."""
    last, width = max(place for place in places if place is not None), len(found.header)
    rows, numbers = [], []
    for line, row in zip(lines, body, strict=True):
        if len(row) <= last:
            skipped.add("too few fields", line)
        elif found.has_header and len(row) > width and any(str(cell).strip() for cell in row[width:]):
            skipped.add("more fields than the header has", line)
        else:
            rows.append(row)
            numbers.append(line)
    return rows, numbers


def read_rows(
    rows: Sequence[Sequence[Any]],
    lines: Sequence[int],
    places: Sequence[int | None],
    gold_of: Callable[[Any], float | str],
    skipped: SkipCounter,
) -> list[tuple]:
    """(first, second, gold, language) of every usable row; the others are counted with their reason.

    places: of first, second, gold and language (or None). gold_of: turns a value into a number or the reason why it is none.
    """
    first, second, gold, language = places
    found = []
    for line, row in zip(lines, rows, strict=True):
        a, b = _sentence(row[first]), _sentence(row[second])
        value = gold_of(row[gold])
        if type(value) is str:
            skipped.add(value, line)
        elif not a.strip() or not b.strip():
            skipped.add("empty sentence", line)
        elif len(a) > LONGEST_SENTENCE or len(b) > LONGEST_SENTENCE:
            skipped.add(f"sentence longer than {LONGEST_SENTENCE:,} characters", line)
        elif not (_is_whole(a) and _is_whole(b)):
            skipped.add("half a character (a lone surrogate)", line)
        else:
            found.append((a, b, value, None if language is None else str(row[language] or "").strip()[:20] or UNKNOWN_LANGUAGE))
    return found


def _sentence(value: Any) -> str:
    return value if type(value) is str else "" if value is None else str(value)


def _is_whole(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# Languages by the names of files

#: Codes of ISO 639-1 for which labelled pairs are commonly distributed (XNLI, PAWS-X, stsb-multi-mt and similar sets).
_CODES_TEXT = """
af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu ha he hi hr hu hy id ig is it ja ka kk km kn ko ky la lo
lt lv mk ml mn mr ms mt my ne nl no pa pl ps pt ro ru sd si sk sl so sq sr sv sw ta te th tl tr uk ur uz vi wo xh yo zh zu
"""
CODES = frozenset(_CODES_TEXT.split())
_PARTS = frozenset(("dev", "test", "train", "valid", "validation", "trial", "eval", "devset", "testset", "2k"))
_SETS = re.compile(r"x?nli|stsb?|pawsx?|mnli|multinli|snli|sick|sts\d*")


def language_of_name(name: str) -> str | None:
    """The language code in the name of a distributed file, or None.

    Only where the name also has a split or a data set in it, since many codes are also ordinary words.

    >>> [language_of_name(name) for name in ("xnli.dev.de.tsv", "stsb-zh-dev.csv", "dev_2k.tsv", "is-it-my.csv", "SICK_trial.txt")]
    ['de', 'zh', None, None, None]
    """
    words = re.split(r"[^a-z0-9]+", name.lower().rsplit("/", 1)[-1])[:-1]  # the last is the file's ending
    codes = [word for word in words if word in CODES]
    known = any(word in _PARTS or _SETS.fullmatch(word) for word in words)
    return codes[0] if known and len(codes) == 1 else None


# What is wrong


def _no_columns(found: Recognised, name: str, task: str | None) -> str:
    if found.columns:
        can = " or ".join(found.columns)
        return f"{name} was recognised as {found.format}, a set for {can}, not for {task}; give a set with {_WHAT[task]}"
    plain = {plain_name(column) for column in found.header}
    if {"sentence1", "sentence2"} <= plain or {"#1_string", "#2_string"} <= plain or {"question1", "question2"} <= plain:
        hint = "It has no score or label (the test files of GLUE have none): give a file that has one"
    else:
        hint = "Say which columns hold the two sentences and the score or label"
    have = names_text(found.header) if found.has_header else f"1 to {len(found.header)} (no header)"
    return f"{name}: the columns with two sentences and a score or label could not be found. Its columns are {have}. {hint}"


def _too_few(name: str, read, body, skipped: SkipCounter, columns: Columns, task: str) -> str:
    reasons = skipped_text(skipped.result())
    why = f" Rows left out: {reasons}." if reasons else ""
    return (
        f"{name} has {len(read)} usable pair{'' if len(read) == 1 else 's'} in {len(body):,} rows; at least 2 are needed.{why} "
        f"The columns read were {columns.first!r}, {columns.second!r} and {columns.gold!r} for {_WHAT[task]}"
    )
