"""Reading sets of labelled sentence pairs: STS, SICK, GLUE, PAWS, SNLI, MultiNLI, XNLI and plain tables.

:func:`read_pairs` takes the same steps for every file: it reads the rows (:mod:`.tables`), recognises what they are
(:mod:`.recognise`), chooses the columns for the task, and makes pairs of the rows that can be used. The others
are counted by reason.

>>> pairs = read_pairs(b"sentence1,sentence2,score\\nA cat.,A dog.,1.5\\nA car.,An auto.,5\\n", "mine.csv")
>>> len(pairs), pairs.task, pairs.gold.tolist()
(2, 'similarity', [1.5, 5.0])
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...base.arguments import checked
from ...base.errors import InputError
from ...base.paths import app_folder
from ...base.progress import ProgressCallback, report
from ...base.store import Memory
from ...base.text import is_whole_text
from .kinds import KINDS
from .languages import in_languages, language_of_name
from .meanings import Meanings, meanings_of
from .names import language_of_columns, plain_name, words_of
from .pairs import UNKNOWN_LANGUAGE, Columns, Note, PairSet, Reading, SkipCounter, skipped_text
from .recognise import Recognised, body_of, recognise
from .tables import Records, named, names_text, read_bytes, read_records
from .values import BINARY_OR_NONE, binary_reader, kind_of, label_reader, plain_word, score_reader

LONGEST_SENTENCE = 20_000
PREVIEW_ROWS = 5
LONGEST_SHOWN = 300  # characters of a cell in the preview
#: The demonstration sets that come with subemb: material to try the pages with, not a benchmark.
DEMO_NAME = "Demonstration set"
DEMO_FILES = {key: kind.demonstration for key, kind in KINDS.items() if kind.demonstration}
_DEMO_SETS = Memory(len(DEMO_FILES))  # as they were read, by task: every run is scored on one of them


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
    notes: tuple[Note, ...] = ()  # what was inferred about header, separator and columns
    unclear: str = ""  # why ``columns`` is None, in words


@checked
def preview(source: Path | bytes, name: str | None = None, task: str | None = None, reading: Reading | None = None) -> Preview:
    """What a file holds, without judging its rows. reading: what is said about it. Raises InputError if it cannot be read at all."""
    shown, reading = named(source, name), reading or Reading()
    records = read_records(read_bytes(source, name), shown, reading=reading)
    found = recognise(records, shown, reading.header, reading.languages)
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
        left_out=tuple(records.left_out),
        notes=(*records.notes, *found.notes),
        unclear=found.unclear,
    )


def _shown(cell: Any) -> str:
    text = "" if cell is None else str(cell)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


@checked
def read_pairs(
    source: Path | bytes,
    name: str | None = None,
    task: str | None = None,
    columns: Columns | None = None,
    language: str | None = None,
    progress: ProgressCallback | None = None,
    reading: Reading | None = None,
    classes: Mapping[str, Sequence[str]] | None = None,
) -> PairSet:
    """The labelled pairs of a file.

    source: a path, or the bytes of an upload; at most MOST_BYTES. name: what to call it; may tell the language
        (``xnli.dev.de.tsv``).
    task: ``similarity`` (also takes paraphrase sets, whose ``task`` is then ``paraphrase``), ``paraphrase`` or ``entailment``;
        None: the first task that the file serves.
    columns: which columns to read; None: as recognised. language: the code of all pairs, where no column
        gives one for each.
    reading: what else is said about the file: its header, its separator, what its labels mean, which languages to read (all, if open).
    classes: column -> what its integers 0, 1, ... stand for, where the file itself does not say it but what came with it does.

    Whatever was inferred is in ``notes``. Rows that cannot be used are left out and counted in ``skipped``. Raises InputError if the
    file cannot be read, a column is missing or not clear, labels are not understood, or fewer than two pairs remain.
    """
    shown, reading = named(source, name), reading or Reading()
    records = read_records(read_bytes(source, name), shown, progress, reading)
    if classes:
        records = replace(records, classes={**{column: tuple(names) for column, names in classes.items()}, **records.classes})
    return pairs_of(records, shown, task, columns, language, progress, reading)


def pairs_of(
    records: Records,
    name: str,
    task: str | None = None,
    columns: Columns | None = None,
    language: str | None = None,
    progress: ProgressCallback | None = None,
    reading: Reading | None = None,
) -> PairSet:
    """The labelled pairs among rows that were read already; as :func:`read_pairs`."""
    if task is not None and task not in KINDS:
        raise InputError(f"there is no task {task!r}; tasks are {', '.join(KINDS)}")
    reading = reading or Reading()
    found = recognise(records, name, reading.header, reading.languages)
    chosen = columns or _columns_for(found, task)
    if chosen is None:
        raise InputError(_no_columns(found, records, name, task))
    places = _places(found, chosen, name)
    body = body_of(records, found.has_header)
    if columns is None:
        _check_twins(records, found, chosen, body, name)
    lines = records.lines[len(records.rows) - len(body) :]
    skipped = deepcopy(records.skipped)
    rows, lines = whole_rows(body, lines, places, found, skipped)
    report(progress, f"reading {name}: {len(rows):,} rows", 0.5)
    values = [row[places[2]] for row in rows]
    meanings = meanings_of(rows, values, records, found, chosen, reading, name)
    meant = _task_of(values, meanings, found, chosen, task, name)
    gold_of, labels, gold_notes = _gold_reader(meant, values, meanings, found, chosen, name)
    read = read_rows(rows, lines, places, gold_of, skipped)
    if len(read) < 2:
        raise InputError(_too_few(name, read, body, skipped, chosen, meant))
    of_columns = language_of_columns(chosen.first, chosen.second) if columns and found.has_header else found.language
    of_name = None if language or chosen.language or of_columns else language_of_name(name)
    code = language or (None if chosen.language else of_columns or of_name)
    first, second, gold, codes = zip(*read, strict=True)
    is_chosen = columns not in (None, *found.columns.values())
    gold_note = [] if columns or chosen.gold not in found.gold_notes else [found.gold_notes[chosen.gold]]
    about_file = [
        *records.notes,
        *(note for note in found.notes if not (columns and note.about in ("columns", "language of columns"))),
    ]
    pairs = PairSet(
        name=name,
        task=meant,
        format=f"{found.format}, columns chosen" if is_chosen else found.format,
        first=first,
        second=second,
        gold=gold,
        labels=labels,
        languages=codes if chosen.language else (code,) * len(first) if code else (),
        skipped=skipped.result(),
        notes=(
            *about_file,
            *gold_note,
            *_left_out(records),
            *gold_notes,
            *([Note("file name", f"The language of all pairs, {of_name}, is taken from the file's name")] if of_name else []),
        ),
        columns=chosen,
    )
    return in_languages(pairs, reading.languages) if reading.languages and chosen.language else pairs


def _left_out(records: Records) -> list[Note]:
    """What is said of columns that hold neither text nor numbers."""
    if not records.left_out:
        return []
    shown = [f"{column} ({what})" for column, what in records.left_out.items()]
    return [Note("left out", f"Columns left out, as they hold neither text nor numbers: {names_text(shown)}")]


def _check_twins(records: Records, found: Recognised, columns: Columns, body: Sequence[Sequence[Any]], name: str) -> None:
    """Raises InputError if a column to be read has the name of another one, and other values."""
    if not found.has_header:
        return
    raw = [plain_name(str(cell)) for cell in (records.names or records.rows[0])]
    for column in columns.names:
        place = found.header.index(column)
        twins = [other for other, cell in enumerate(raw) if cell and cell == raw[place] and other != place]
        if any(row[place] != row[other] for row in body for other in twins if len(row) > max(place, other)):
            names = ", ".join(repr(found.header[other]) for other in sorted((place, *twins)))
            raise InputError(
                f"{name} has {len(twins) + 1} columns called {raw[place]!r} that hold different values; say which one to read, with "
                f"--columns or under Columns on a page: here they are called {names}"
            )


@checked
def demo_pairs(task: str) -> PairSet:
    """The demonstration set of a task, ``similarity`` or ``entailment``, in all its languages.

    Raises InputError for another task.
    """
    if task not in DEMO_FILES:
        raise InputError(f"there is no demonstration set for {task!r}; there are {', '.join(DEMO_FILES)}")
    file = app_folder() / "assets" / DEMO_FILES[task]
    read = _DEMO_SETS.take(task, lambda: read_pairs(file, task=task), file.stat().st_mtime_ns)
    return replace(read, name=DEMO_NAME, format="not a benchmark")


# Columns, and the tasks that their values serve


def _columns_for(found: Recognised, task: str | None) -> Columns | None:
    """The columns to read for a task. Paraphrase sets also serve similarity, and the other way round. In a plain table any
    guess is taken, since numbers may be scores or labels: their values decide later."""
    wanted = (task, *KINDS[task].columns_of) if task in KINDS else ()
    order = (*wanted, *(tuple(found.columns) if task is None or found.is_plain else ()))
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


def _task_of(values, meanings: Meanings | None, found: Recognised, columns: Columns, task: str | None, name: str) -> str:
    """The task that the gold values serve. Raises InputError if it is not the one asked for."""
    kind = kind_of(list(meanings.names.values())) if meanings else kind_of(values)
    of_values = {"labels": "entailment", "binary": "paraphrase"}.get(kind)
    if task is None:
        task = None if meanings else next((key for key, value in found.columns.items() if value == columns), None)
        task = task or of_values or "similarity"
    fits = {
        "labels": ("entailment",),
        "binary": ("paraphrase", "similarity", "entailment"),
        "classes": ("entailment", "similarity"),
        "numbers": ("similarity",),
        "text": ("entailment",)
        if len(set(values)) <= _MOST_LABELS
        else (),  # that they are not understood is said when they are read
    }.get(kind, ())
    if kind == "nothing":
        return task  # every row will be counted as blank
    if task not in fits or (task != "entailment" and kind in ("binary", "classes") and _is_about_entailment(columns)):
        have = {"labels": "labels of entailment", "text": "text", "numbers": "numbers"}.get(kind, "classes")
        raise InputError(
            f"{name}: {KINDS[task].gold} are needed, but its column {columns.gold!r} holds {have} such as {_example(values)}; "
            f"choose another column ({names_text(found.header)}) or a set of another kind"
        )
    return "paraphrase" if task == "similarity" and kind == "binary" and _is_only_binary(values, meanings) else task


_MOST_LABELS = 10


def _is_about_entailment(columns: Columns) -> bool:
    """Whether the names say premise and hypothesis, so that 0, 1 and 2 are labels and no scores."""
    return "hypothesis" in words_of(columns.second) and "score" not in words_of(columns.gold)


def _is_only_binary(values, meanings: Meanings | None) -> bool:
    """Whether there is nothing but 0 and 1 in all rows; a graded set may begin with rows of only these."""
    return bool(meanings) or all(plain_word(value) in BINARY_OR_NONE for value in set(values))


def _example(values) -> str:
    example = next((str(value) for value in values if value is not None and str(value).strip()), "")
    return repr(example if len(example) <= 60 else example[:60] + "…")


def _gold_reader(task: str, values, meanings: Meanings | None, found: Recognised, columns: Columns, name: str):
    """(value -> number or reason, labels, notes). Raises InputError if many labels are not understood."""
    names = meanings.names if meanings else None
    notes = [Note("labels", meanings.note)] if meanings else []
    if task == "entailment":
        try:
            reader = label_reader(values, names, found.one_is_entailment)
        except InputError as error:
            raise InputError(f"{name}, column {columns.gold!r}: {error}") from None
        _check_unknown(reader.unknown, values, columns, name)
        return reader.read, reader.labels, [*notes, *([Note("labels", reader.note)] if reader.note else [])]
    if task == "paraphrase":
        read = binary_reader(names)
        if not meanings and found.is_plain and any(plain_word(value) in ("0", "1") for value in values):
            notes.append(Note("paraphrases", "Labels are numbers, read as 1 paraphrase, 0 no paraphrase"))
        return read, (), notes
    read, score_notes = score_reader(values)
    if found.is_plain and kind_of(values) == "classes":
        few = ", ".join(sorted({plain_word(value) for value in values} - {""})[:3])
        score_notes.append(Note("columns", f"The numbers {few} of {columns.gold!r} are read as graded scores, not as labels"))
    return read, (), score_notes


_UNKNOWN_SHARE = 0.05  # of the labelled rows, from which on labels that are not understood are no mere slips


def _check_unknown(unknown: dict[str, int], values, columns: Columns, name: str) -> None:
    """Raises InputError if labels that are not understood would take a good part of the rows away."""
    missing = sum(unknown.values())
    if missing <= max(1, _UNKNOWN_SHARE * len(values)) and missing < len(values):
        return
    spelled = {plain_word(value): str(value) for value in values}
    shown = ", ".join(
        f"{spelled.get(word, word)[:40]!r} in {count:,} row{'' if count == 1 else 's'}"
        for word, count in Counter(unknown).most_common(5)
    )
    raise InputError(
        f"{name}: labels of column {columns.gold!r} are not understood: {shown}{', …' if len(unknown) > 5 else ''}; say what they mean with "
        "--labels, such as --labels yes=entailment,maybe=neutral,no=contradiction (on a page: What the labels mean), or choose another column"
    )


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
        elif not (is_whole_text(a) and is_whole_text(b)):
            skipped.add("half a character (a lone surrogate)", line)
        else:
            found.append((a, b, value, None if language is None else str(row[language] or "").strip()[:20] or UNKNOWN_LANGUAGE))
    return found


def _sentence(value: Any) -> str:
    if type(value) is not str:
        return "" if value is None else str(value)
    return "" if value == "\\N" else value  # what databases write for no value


# What is wrong


def _no_columns(found: Recognised, records: Records, name: str, task: str | None) -> str:
    if found.columns:
        can = " or ".join(found.columns)
        return f"{name} was recognised as {found.format}, a set for {can}, not for {task}; give a set with {KINDS[task].gold}"
    plain = {plain_name(column) for column in found.header}
    is_pair = ({"sentence1", "sentence2"}, {"#1_string", "#2_string"}, {"question1", "question2"})
    hint = "Say which columns hold the two sentences and the score or label: --columns first=NAME,second=NAME,gold=NAME, or under Columns on a page"
    if any(names <= plain for names in is_pair) and found.unclear == "no column holds a score or label":
        hint = f"The test files of GLUE have no score or label: give a file that has one. {hint}"
    have = names_text(found.header) if found.has_header else f"1 to {len(found.header)} (no header)"
    left = names_text([f"{column} ({what})" for column, what in records.left_out.items()])
    also = f"; left out, as they hold neither text nor numbers: {left}" if left else ""
    return (
        f"{name}: the columns with two sentences and a score or label could not be found. Its columns are {have}{also}. "
        f"{found.unclear[:1].upper()}{found.unclear[1:]}. {hint}"
    )


def _too_few(name: str, read, body, skipped: SkipCounter, columns: Columns, task: str) -> str:
    reasons = skipped_text(skipped.result())
    why = f" Rows left out: {reasons}." if reasons else ""
    return (
        f"{name} has {len(read)} usable pair{'' if len(read) == 1 else 's'} in {len(body):,} rows; at least 2 are needed.{why} "
        f"The columns read were {columns.first!r}, {columns.second!r} and {columns.gold!r} for {KINDS[task].gold}"
    )
