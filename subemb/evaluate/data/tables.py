"""Files as rows of values, whether JSON lines, Parquet, or text with tabs, commas or semicolons: :func:`read_records`.

:mod:`.recognise` finds out what the columns mean, and :mod:`.read` which rows can be used.

The content decides what a file is, never its name: an STS benchmark file is called ``.csv`` and is tab-separated.
"""

import codecs
import csv
import io
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...base.errors import InputError
from ...base.progress import ProgressCallback, report
from ...base.text import size_text
from .pairs import SkipCounter

MOST_BYTES = 100_000_000
MOST_UNPACKED_BYTES = 1_000_000_000
MOST_ROWS = 500_000
MOST_COLUMNS = 1_000
_NAMES_SHOWN, _LONGEST_SHOWN = 40, 60  # in a message


@dataclass
class Records:
    """Rows of a file."""

    kind: str  # ``tab-separated``, ``comma-separated``, ``JSON lines``, ``Parquet``, ...
    rows: list[Sequence[Any]]  # cells are text; from JSON and Parquet also numbers, truth values and None
    lines: Sequence[int]  # line number of each row, from 1
    names: tuple[str, ...] | None = None  # of columns, if the file says so (JSON, Parquet); None: row 1 may be a header
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # column -> what its integers mean (Hugging Face)
    left_out: tuple[str, ...] = ()  # columns that hold neither text nor numbers
    skipped: SkipCounter = field(default_factory=SkipCounter)  # rows that could not be read


def read_records(content: bytes, name: str, progress: ProgressCallback | None = None) -> Records:
    """All rows of a file's content, at most MOST_ROWS. Raises InputError if it is neither text nor Parquet."""
    if not content.strip():
        raise InputError(f"{name} is empty; give a file with sentence pairs")
    if content.startswith(b"PAR1"):
        return read_parquet(content, name, progress)
    report(progress, f"reading {name}", 0.0)
    text = decoded(content, name)
    start = text.lstrip()[:1]
    if start == "{":
        return _json_records(text, name, progress)
    if start == "[" and _is_json(text):
        raise InputError(f"{name} is one JSON array; write one object a line instead (JSON lines)")
    return _separated_records(text, name)


def check_width(columns: int, name: str) -> None:
    """Raises InputError for more than MOST_COLUMNS columns."""
    if columns > MOST_COLUMNS:
        raise InputError(f"{name} has {columns:,} columns, but at most {MOST_COLUMNS:,} are read; keep those with the pairs")


def names_text(names: Sequence[str]) -> str:
    """Names of columns for a message, long ones and long lists cut."""
    shown = [name if len(name) <= _LONGEST_SHOWN else name[:_LONGEST_SHOWN] + "…" for name in names[:_NAMES_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")


# Bytes and text

_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive (an .xlsx workbook is one too): unpack it, or save the sheet as CSV",
    b"\x1f\x8b": "compressed with gzip: unpack it first",
    b"BZh": "compressed with bzip2: unpack it first",
    b"\xfd7zXZ": "compressed with xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: unpack it first",
    b"%PDF": "a PDF: copy its table into a CSV file",
    b"\xd0\xcf\x11\xe0": "an old Office file: save the sheet as CSV",
    b"ARROW1": "an Arrow file: save it as Parquet or CSV",
}
_BYTE_ORDER_MARKS = (  # the longer ones first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def named(source: Path | str | bytes, name: str | None) -> str:
    """What a message calls the source."""
    return name or ("the data" if isinstance(source, bytes) else Path(source).name)


def read_bytes(source: Path | str | bytes, name: str | None = None) -> bytes:
    """All bytes of a file; given bytes are returned as they are. Raises InputError for no file, or over MOST_BYTES bytes."""
    shown = named(source, name)
    if isinstance(source, bytes):
        _check_size(shown, len(source))
        return source
    path = Path(source)
    try:
        if not path.is_file():
            raise InputError(f"{shown} is {'a folder' if path.is_dir() else 'not there'}; give the path of a file")
        _check_size(shown, path.stat().st_size)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown} cannot be read ({reason}); give the path of a file that you may read") from error


def _check_size(shown: str, size: int) -> None:
    if size > MOST_BYTES:
        raise InputError(
            f"{shown} has {size_text(size)}, but at most {size_text(MOST_BYTES)} are read; split it, or keep only the rows you need"
        )


def decoded(content: bytes, name: str) -> str:
    """The text of a file: UTF-8, or UTF-16 and UTF-32 with a byte order mark.

    Raises InputError with the position of the first byte that does not fit, and what to do.
    """
    for signature, what in _SIGNATURES.items():
        if content.startswith(signature):
            raise InputError(f"{name} is {what}")
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    nul = content.find(b"\0") if encoding.startswith("utf-8") else -1
    if nul >= 0:
        raise InputError(
            f"{name} is not a text file: byte {nul + 1:,} is zero. If it is UTF-16 without a byte order mark, save it as UTF-8; "
            "otherwise give a CSV, TSV, JSON lines or Parquet file"
        )
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{name} is not {encoding.removesuffix('-sig').upper()} text: byte {error.start + 1:,} (line {line:,}) is "
            f"0x{content[error.start]:02X}; save it as UTF-8 (in a spreadsheet: CSV UTF-8) and try again"
        ) from None
    return text


# JSON lines


def _json_records(text: str, name: str, progress: ProgressCallback | None) -> Records:
    skipped = SkipCounter()
    objects: list[dict] = []
    lines: list[int] = []
    for number, line in enumerate(_lines(text), 1):
        if not line.strip():
            continue
        if len(objects) >= MOST_ROWS:
            skipped.add(_too_many(), number)
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            objects.append(value)
            lines.append(number)
        else:
            skipped.add("not a JSON object", number)
        if number % 50_000 == 0:
            report(progress, f"reading {name}: line {number:,}", None)
    if not objects:
        raise InputError(f"{name} has no line with a whole JSON object; write one object a line (JSON lines)")
    found = dict.fromkeys(key for entry in objects[:1000] for key in entry)
    check_width(len(found), name)
    nested = {key for key in found if any(isinstance(entry.get(key), (dict, list)) for entry in objects[:1000])}
    names = tuple(key for key in found if key not in nested)
    rows = [[None if isinstance(value := entry.get(key), (dict, list)) else value for key in names] for entry in objects]
    return Records("JSON lines", rows, lines, names, left_out=tuple(sorted(nested)), skipped=skipped)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False


# Delimited text

_DELIMITERS = {"\t": "tab-separated", ",": "comma-separated", ";": "semicolon-separated"}
_SAMPLE = 200  # records looked at to find the delimiter


def _separated_records(text: str, name: str) -> Records:
    lines = _lines(text)
    delimiter = _delimiter(text, lines)
    if delimiter is None:
        shown = lines[0] if len(lines[0]) <= 80 else lines[0][:80] + "…"
        raise InputError(
            f"{name} is not a table with at least three columns, two sentences and a score or label: its first line is {shown!r}. "
            "Give a file separated by tabs, commas or semicolons, JSON lines, or Parquet"
        )
    skipped = SkipCounter()
    rows: list[Sequence[str]] = []
    numbers: list[int] = []
    quoted = _is_quoted(text, lines, delimiter)
    records = _quoted_rows(text, delimiter, name) if quoted else _plain_rows(lines, delimiter)
    width = 0
    for number, row, span in records:
        width = width or len(row)
        if len(rows) >= MOST_ROWS:
            skipped.add(_too_many(), number)
        elif span > 1 and len(row) != width:  # the lines inside it are rows that were swallowed
            skipped.add("inside quotation marks that are not closed", number, span)
        else:
            rows.append(row)
            numbers.append(number)
    check_width(len(rows[0]), name)
    return Records(_DELIMITERS[delimiter] + (", quoted" if quoted else ""), rows, numbers, skipped=skipped)


def _too_many() -> str:
    return f"beyond the first {MOST_ROWS:,} rows"


def _lines(text: str) -> list[str]:
    """Lines without their ends: LF, CRLF, or CR where there is no LF. (str.splitlines would also split inside sentences.)"""
    if "\n" not in text:
        return text.split("\r")
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in lines] if "\r" in text else lines


def _plain_rows(lines: list[str], delimiter: str):
    """(number, fields, 1) of every line that is not empty."""
    return ((number, line.split(delimiter), 1) for number, line in enumerate(lines, 1) if line)


def _quoted_rows(text: str, delimiter: str, name: str = ""):
    """(number of the first line, fields, number of lines) of every record that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    start = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{name}, line {start:,}: {error}; most likely a quotation mark that is never closed, so double it or take it out"
            ) from None
        if row is None:
            return
        if row:
            yield start, row, reader.line_num + 1 - start
        start = reader.line_num + 1


def _delimiter(text: str, lines: list[str]) -> str | None:
    """The first of tab, comma, semicolon that cuts most records into equally many parts, at least three."""
    best, best_share = None, 0.0
    for delimiter in _DELIMITERS:
        widths = _sample_widths(text, lines, delimiter)
        # A tab inside sentences is rare, a comma is not: rows of a tab-separated file need not be equally long.
        share = sum(width >= 3 for width in widths) / len(widths) if delimiter == "\t" else _evenness(widths)
        if widths[0] >= 3 and share > max(best_share, 0.5):
            best, best_share = delimiter, share if delimiter != "\t" else 1.0
    return best


def _sample_widths(text: str, lines: list[str], delimiter: str) -> list[int]:
    """How many fields the first records have, quotes understood; as plain lines if that does not work."""
    try:
        found = [len(row) for _, row, _ in itertools.islice(_quoted_rows(text, delimiter), _SAMPLE)]
    except InputError:
        found = []
    plain = [len(row) for _, row, _ in itertools.islice(_plain_rows(lines, delimiter), _SAMPLE)] or [0]
    return found if found and _evenness(found) >= _evenness(plain) else plain


def _evenness(widths: Sequence[int]) -> float:
    """Share of records that have the most common number of fields, 0.0 if that is below three."""
    common = max(set(widths), key=widths.count)
    return widths.count(common) / len(widths) if common >= 3 else 0.0


def _is_quoted(text: str, lines: list[str], delimiter: str) -> bool:
    """Whether quotation marks enclose fields, or are part of the sentences as in the files of GLUE and STS benchmark."""
    if '"' not in text:
        return False
    # A whole field in quotation marks, those inside doubled. The possessive + keeps this linear.
    before, after = rf"(?<![^{delimiter}\r\n])", rf"(?=[{delimiter}\r\n]|\Z)"
    enclosed = re.compile(rf'{before}"([^"]*+(?:""[^"]*+)*+)"{after}')
    needed = any(mark in match[1] for match in enclosed.finditer(text) for mark in (delimiter, "\n", "\r", '"'))
    strays = '"' in enclosed.sub("", text)
    as_plain = _evenness([len(row) for _, row, _ in _plain_rows(lines, delimiter)])
    try:
        as_quoted = _evenness([len(row) for _, row, _ in _quoted_rows(text, delimiter)])
    except InputError:
        return as_plain < 0.99  # reading it so will say what is wrong
    if as_quoted != as_plain:
        return as_quoted > as_plain
    # Both read equally well. In tab-separated files nobody needs quotes, so they count only if they do something.
    first_row = [field for _, row, _ in itertools.islice(_plain_rows(lines, delimiter), 1) for field in row]
    all_of_header = all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in first_row)
    return (needed or all_of_header or delimiter != "\t") and not strays


# Parquet

_BATCH_ROWS = 10_000


def read_parquet(content: bytes, name: str, progress: ProgressCallback | None = None) -> Records:
    """Rows of the columns that hold text, numbers or truth values. Raises InputError if it is damaged or unpacks to too much."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(pa.BufferReader(content))
        texts = [column.name for column in schema if _is_text(column.type)]
        # Dictionaries keep a text that many rows share only once in memory.
        file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts)
        names = tuple(column.name for column in schema if column.name in texts or _is_plain(column.type))
        check_width(len(schema.names), name)
        if doubled := next((column for column in names if names.count(column) > 1), None):
            raise InputError(f"{name} has two columns called {doubled!r}; rename one")
        _check_unpacked(file.metadata, set(names), name)
        rows: list[tuple] = []
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(names)):
            report(progress, f"reading {name}: {len(rows):,} of {file.metadata.num_rows:,} rows", None)
            rows += zip(*(_values(column) for column in batch.columns), strict=True)
            if len(rows) >= MOST_ROWS:
                break
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} is a damaged Parquet file ({_first_line(error)}); fetch or write it again") from error
    skipped = SkipCounter()
    if file.metadata.num_rows > MOST_ROWS:
        skipped.add(f"beyond the first {MOST_ROWS:,} rows", MOST_ROWS + 1, file.metadata.num_rows - MOST_ROWS)
    if not rows:
        raise InputError(f"{name} has no rows; give a file with sentence pairs")
    rows = rows[:MOST_ROWS]
    left_out = tuple(column for column in schema.names if column not in names)
    return Records("Parquet", rows, range(1, len(rows) + 1), names, _class_names(schema), left_out, skipped)


def _is_text(kind) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _is_plain(kind) -> bool:
    import pyarrow.types as types

    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)


def _values(column) -> list[Any]:
    """Values of a column; equal texts share one object."""
    import pyarrow.types as types

    if not types.is_dictionary(column.type):
        return column.to_pylist()
    texts = column.dictionary.to_pylist()
    return [None if place is None else texts[place] for place in column.indices.to_pylist()]


def _check_unpacked(metadata, wanted: set[str], name: str) -> None:
    size = sum(
        chunk.total_uncompressed_size
        for group in range(metadata.num_row_groups)
        for place in range(metadata.num_columns)
        if (chunk := metadata.row_group(group).column(place)).path_in_schema in wanted
    )
    if size > MOST_UNPACKED_BYTES:
        raise InputError(
            f"{name} unpacks to {size_text(size)}, but at most {size_text(MOST_UNPACKED_BYTES)} are read; "
            "write a smaller file with the rows you need"
        )


def _class_names(schema) -> dict[str, tuple[str, ...]]:
    """What the integers of a column stand for, as Hugging Face ``datasets`` notes it beside the schema."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: tuple(map(str, feature["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)
        }
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
