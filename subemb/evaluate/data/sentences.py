"""Sentences without labels from a table: of the columns that are asked for, or that hold sentences."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from ...base.errors import InputError
from ...base.text import is_whole_text
from .names import is_identifier
from .pairs import Note, Reading
from .read import LONGEST_SENTENCE
from .recognise import Recognised, body_of, recognise
from .tables import Records, named, names_text, read_bytes, read_records

FEWEST_WORDS = 3  # on average, of a column that is taken for sentences
MOST_LONG = 0.05  # share of the rows that may have more fields than the header
_SEEN_ROWS = 500
_NUMBER = re.compile(r"[1-9]\d{0,3}")


def read_sentences(
    source: Path | bytes, name: str | None = None, columns: Sequence[str] = (), reading: Reading | None = None
) -> tuple[list[str], tuple[Note, ...]]:
    """The sentences of a table (CSV, TSV, JSON lines, Parquet), row by row, and what was inferred.

    columns: names of those to read, or numbers from 1 where there is no header. Without, the two sentences of a labelled set that is
    recognised, else every column with sentences of FEWEST_WORDS words and more on average. Raises InputError if there are none.

    >>> read_sentences(b"id,title,body\\n1,News,A cat sat down.\\n2,More,The dog saw it run.\\n", "a.csv")[0]
    ['A cat sat down.', 'The dog saw it run.']
    """
    shown, reading = named(source, name), reading or Reading()
    records = _records(read_bytes(source, name), shown, reading)
    header = True if reading.header is None and not all(map(_NUMBER.fullmatch, columns)) else reading.header
    found = recognise(records, shown, header, reading.languages)
    body, long = _whole(body_of(records, found.has_header), found, shown)
    chosen = tuple(columns) or _guessed(found, body)
    if not chosen:
        raise InputError(
            f"{shown}: no column holds sentences of {FEWEST_WORDS} words and more; its columns are {names_text(found.header)}. Say which "
            "to read: --text-columns NAME,NAME, or under Columns on a page"
        )
    places = [_place(found, column, shown) for column in chosen]
    cells = [row[place] for row in body for place in places if len(row) > place]
    sentences = [cell for cell in map(_text, cells) if cell.strip() and len(cell) <= LONGEST_SENTENCE and is_whole_text(cell)]
    about_file = [note for note in (*records.notes, *found.notes) if note.about in ("header", "separator", "text")]
    guess = [] if columns else [Note("text columns", f"Sentences are read from {_columns_text(chosen)}, and no labels")]
    return sentences, (*about_file, *long, *guess)


def _records(content: bytes, name: str, reading: Reading) -> Records:
    """Rows of a table that may have one or two columns, if its name says how they are separated."""
    try:
        return read_records(content, name, reading=reading)
    except InputError:
        separator = {".csv": "comma", ".tsv": "tab"}.get(Path(name).suffix.lower())
        if separator is None or reading.separator is not None:
            raise
        return read_records(content, name, reading=replace(reading, separator=separator))


def _whole(body: Sequence[Sequence[Any]], found: Recognised, name: str) -> tuple[list[Sequence[Any]], list[Note]]:
    """Rows that are not longer than the header. Raises InputError if more than a few are."""
    if not found.has_header:
        return list(body), []
    width = len(found.header)
    rows = [row for row in body if len(row) <= width or not any(str(cell).strip() for cell in row[width:])]
    missing = len(body) - len(rows)
    if missing > MOST_LONG * len(body):
        raise InputError(
            f"{name}: {missing:,} of {len(body):,} rows have more fields than the header; put sentences with a separator in them between "
            "quotation marks, or give a text file with one sentence a line"
        )
    return rows, [Note("left out", f"{missing:,} rows with more fields than the header are left out")] if missing else []


def _columns_text(columns: Sequence[str]) -> str:
    return f"the column{'' if len(columns) == 1 else 's'} {names_text(columns)}"


def _text(cell: Any) -> str:
    return "" if cell is None or cell == "\\N" else str(cell)


def _guessed(found: Recognised, body: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    if found.columns:
        pair = next(iter(found.columns.values()))
        return (pair.first, pair.second)
    columns = []
    for place, column in enumerate(found.header):
        cells = [_text(row[place]) for row in body[:_SEEN_ROWS] if len(row) > place]
        cells = [cell for cell in cells if cell.strip()]
        if cells and not is_identifier(column) and fmean(len(cell.split()) for cell in cells) >= FEWEST_WORDS:
            columns.append(column)
    return tuple(columns)


def _place(found: Recognised, column: str, name: str) -> int:
    """Index of a column. Raises InputError if it is not there."""
    if column in found.header:
        return found.header.index(column)
    if not found.has_header and _NUMBER.fullmatch(column):
        return int(column) - 1  # rows may be longer than the first one
    have = names_text(found.header) if found.has_header else f"1 to {len(found.header)}, as the file has no header"
    raise InputError(f"{name} has no column {column!r}; its columns are {have}")
