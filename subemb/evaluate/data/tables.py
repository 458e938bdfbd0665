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
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...base.errors import InputError
from ...base.files import read_file
from ...base.progress import ProgressCallback, report
from ...base.text import size_text
from .pairs import SEPARATORS, Note, Reading, SkipCounter

MOST_BYTES = 100_000_000
MOST_UNPACKED_BYTES = 1_000_000_000
MOST_ROWS = 500_000
MOST_COLUMNS = 1_000
_NAMES_SHOWN, _LONGEST_SHOWN = 40, 60  # in a message
_TOO_LARGE = "split it, or keep only the rows you need"


@dataclass
class Records:
    """Rows of a file."""

    kind: str  # ``tab-separated``, ``comma-separated``, ``JSON lines``, ``Parquet``, ...
    rows: list[Sequence[Any]]  # cells are text; from JSON and Parquet also numbers, truth values and None
    lines: Sequence[int]  # line number of each row, from 1
    names: tuple[str, ...] | None = None  # of columns, if the file says so (JSON, Parquet); None: row 1 may be a header
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # column -> what its integers mean (Hugging Face)
    left_out: dict[str, str] = field(default_factory=dict)  # column with neither text nor numbers -> what it holds instead
    skipped: SkipCounter = field(default_factory=SkipCounter)  # rows that could not be read
    notes: list[Note] = field(default_factory=list)  # what was inferred about how the file is written


def read_records(
    content: bytes, name: str, progress: ProgressCallback | None = None, reading: Reading | None = None
) -> Records:
    """All rows of a file's content, at most MOST_ROWS. Raises InputError if it is neither text nor Parquet.

    reading: what is said about the file; of it only the separator matters here.
    """
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
    return _separated_records(text, name, SEPARATORS[reading.separator] if reading and reading.separator else None)


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
    return read_file(source, MOST_BYTES, shown, too_large=_TOO_LARGE)


def _check_size(shown: str, size: int) -> None:
    if size > MOST_BYTES:
        raise InputError(f"{shown} has {size_text(size)}, but at most {size_text(MOST_BYTES)} are read; {_TOO_LARGE}")


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


class _TwoValues(ValueError):
    """A key that an object has twice, with different values."""


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises _TwoValues for a key with two values, of which Python would take the last without a word."""
    found: dict[str, Any] = {}
    for key, value in members:
        if key in found and found[key] != value:
            raise _TwoValues(key)
        found[key] = value
    return found


def _json_records(text: str, name: str, progress: ProgressCallback | None) -> Records:
    skipped = SkipCounter()
    objects: list[dict] = []
    lines: list[int] = []
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        if len(objects) >= MOST_ROWS:
            skipped.add(_too_many(), number)
            continue
        try:
            value = json.loads(line, object_pairs_hook=_object)
        except _TwoValues as error:
            skipped.add(f"the key {str(error)[:_LONGEST_SHOWN]!r} has two values", number)
            continue
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
    notes = []
    if len(objects) == 1 and (found := _rows_of_lists(objects[0])):
        if len(found) > MOST_ROWS:
            skipped.add(_too_many(), lines[0], len(found) - MOST_ROWS)
        objects, lines = found[:MOST_ROWS], lines * len(found[:MOST_ROWS])
        notes.append(
            Note("left out", f"The file is one object with lists of {len(found):,} values, which were read as its rows")
        )
    names, rows, left_out = unfolded(objects, name)
    return Records("JSON lines", rows, lines, names, left_out=left_out, skipped=skipped, notes=notes)


def _rows_of_lists(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object whose values are the columns, as some sets for classification of pairs come; empty if it is none."""
    lists = {key: value for key, value in entry.items() if isinstance(value, list)}
    lengths = {len(value) for value in lists.values()}
    if len(lists) < 3 or len(lengths) != 1 or lengths <= set(range(_MOST_PARTS + 1)):
        return []
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False


# Values inside values

_MOST_PARTS = 8  # of a list: as many become columns; a longer one is a vector or a text of tokens
_DEEPEST = 4  # levels of objects and lists that are unfolded


def unfolded(objects: Sequence[dict[str, Any]], name: str) -> tuple[tuple[str, ...], list[list[Any]], dict[str, str]]:
    """Objects as a table: what lies inside objects and lists gets columns of its own, ``labels.score`` and ``texts[0]``.

    Returns the names of the columns, in order of appearance over all objects; the rows; and what was left out: name -> what it holds.
    """
    left_out: dict[str, str] = {}
    flat = [_flat(entry, left_out) for entry in objects]
    names = tuple(dict.fromkeys(key for entry in flat for key in entry))
    check_width(len(names), name)
    kept = [[entry.get(key) for key in names] for entry in flat]
    return names, kept, {key: what for key, what in left_out.items() if key not in names}


def _flat(entry: dict[str, Any], left_out: dict[str, str]) -> dict[str, Any]:
    if not any(isinstance(value, (dict, list)) for value in entry.values()):
        return entry
    found: dict[str, Any] = {}
    for key, value in entry.items():
        _unfold(str(key), value, found, left_out)
    return found


def _unfold(path: str, value: Any, found: dict[str, Any], left_out: dict[str, str], depth: int = 0) -> None:
    if not isinstance(value, (dict, list)):
        found[path] = value
    elif depth == _DEEPEST:
        left_out[path] = "values nested more deeply than is read"
    elif isinstance(value, dict):
        for key, part in _translations(value).items():
            _unfold(f"{path}.{key}", part, found, left_out, depth + 1)
        if not value:
            left_out.setdefault(path, "an empty object")
    elif not value:
        left_out.setdefault(path, "an empty list")
    elif len(value) > _MOST_PARTS or all(isinstance(part, float) for part in value):
        left_out[path] = f"a list of {len(value):,} {'numbers' if isinstance(value[0], (int, float)) else 'values'}"
    else:
        for number, part in enumerate(value):
            _unfold(f"{path}[{number}]", part, found, left_out, depth + 1)


def _translations(value: dict[str, Any]) -> dict[str, Any]:
    """``{"language": ["en", "de"], "translation": [a, b]}``, as Hugging Face writes a text in several languages, as {"en": a, "de": b}."""
    if set(value) == {"language", "translation"}:
        codes, texts = value["language"], value["translation"]
        if isinstance(codes, list) and isinstance(texts, list) and len(codes) == len(texts):
            return dict(zip(map(str, codes), texts, strict=True))
    return value


# Delimited text

_DELIMITERS = {"\t": "tab-separated", ",": "comma-separated", ";": "semicolon-separated", "|": "pipe-separated"}
_FOUND = ("\t", ",", ";")  # those that are found out
#: How quotation marks are meant: as part of the text; around fields, with those inside doubled; or with a backslash before those inside.
PLAIN, DOUBLED, ESCAPED = "plain", "doubled", "escaped"
_SAMPLE = 200  # records looked at to find the delimiter


def _separated_records(text: str, name: str, separator: str | None = None) -> Records:
    """separator: between two fields; None finds it out."""
    said = _SAID_BY_EXCEL.match(text)
    before = 0  # lines before the table
    if said:
        text, before, separator = text[said.end() :], 1, separator or said[1]
    lines = lines_of(text)
    notes: list[Note] = []
    delimiter = separator or _delimiter(text, lines, notes)
    if delimiter is None:
        shown = lines[0] if len(lines[0]) <= 80 else lines[0][:80] + "…"
        raise InputError(
            f"{name} is not a table with at least three columns, two sentences and a score or label: its first line is {shown!r}. "
            "Give a file separated by tabs, commas or semicolons (on the command line, --separator says another), JSON lines, or Parquet"
        )
    quoting = _quoting(text, lines, delimiter)
    skipped = SkipCounter()
    rows: list[Sequence[str]] = []
    numbers: list[int] = []
    records = _plain_rows(lines, delimiter) if quoting == PLAIN else _quoted_rows(text, delimiter, name, quoting)
    width = 0
    for number, row, span in records:
        width = width or len(row)
        if len(rows) >= MOST_ROWS:
            skipped.add(_too_many(), number + before)
        elif span > 1 and len(row) != width:  # the lines inside it are rows that were swallowed
            skipped.add("inside quotation marks that are not closed", number + before, span)
        else:
            rows.append(row)
            numbers.append(number + before)
    if not rows:
        raise InputError(f"{name} has no rows; give a file with sentence pairs")
    check_width(len(rows[0]), name)
    if quoting == ESCAPED:
        notes.append(Note("text", 'Quotation marks are written with a backslash before them: \\" was read as "'))
    if quoting == PLAIN and delimiter == "\t" and any(_NULL in row for row in rows):
        rows = [[_unescaped(cell) for cell in row] for row in rows]
        notes.append(
            Note(
                "text",
                "The file is written as databases export tables: \\N was read as an empty field, \\t, \\n and \\\\ as the characters they stand for",
            )
        )
    kind = _DELIMITERS.get(delimiter, "separated by " + repr(delimiter)) + ("" if quoting == PLAIN else ", quoted")
    return Records(kind, rows, numbers, skipped=skipped, notes=notes)


#: The line that tells Excel which separator follows.
_SAID_BY_EXCEL = re.compile(r"""[ ]*"?sep=([,;|\t])"?[ ]*(?:\r\n|\n|\r)""", re.IGNORECASE)
_NULL = "\\N"  # what MySQL and PostgreSQL write for a field without a value
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


def _unescaped(cell: str) -> str:
    if "\\" not in cell:
        return cell
    return "" if cell == _NULL else re.sub(r"\\([tnr\\])", lambda match: _ESCAPES[match[1]], cell)


def _too_many() -> str:
    return f"beyond the first {MOST_ROWS:,} rows"


def lines_of(text: str) -> list[str]:
    """Lines without their ends: LF, CRLF, or CR where there is no LF. (str.splitlines would also split inside sentences.)"""
    if "\n" not in text:
        return text.split("\r")
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in lines] if "\r" in text else lines


def _plain_rows(lines: list[str], delimiter: str):
    """(number, fields, 1) of every line that is not empty."""
    return ((number, line.split(delimiter), 1) for number, line in enumerate(lines, 1) if line)


def _quoted_rows(text: str, delimiter: str, name: str = "", quoting: str = DOUBLED):
    """(number of the first line, fields, number of lines) of every record that is not empty."""
    escape = None
    if quoting == ESCAPED:
        # csv would take the backslash away from whatever follows it; only quotation marks, backslashes and line ends are escaped.
        text, escape = re.sub(r'\\(["\\\n])|\\', lambda match: match[0] if match[1] else "\\\\", text), "\\"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, escapechar=escape)
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


def _delimiter(text: str, lines: list[str], notes: list[Note]) -> str | None:
    """The first of tab, comma, semicolon that cuts most records into equally many parts, at least three."""
    best, best_share, shares = None, 0.0, {}
    for delimiter in _FOUND:
        widths = _sample_widths(text, lines, delimiter)
        # A tab inside sentences is rare, a comma is not: rows of a tab-separated file need not be equally long.
        share = sum(width >= 3 for width in widths) / len(widths) if delimiter == "\t" else _evenness(widths)
        shares[delimiter] = share if widths[0] >= 3 else 0.0
        if widths[0] >= 3 and share > max(best_share, 0.5):
            best, best_share = delimiter, share if delimiter != "\t" else 1.0
    others = [_DELIMITERS[other] for other, share in shares.items() if other != best and share > _DOUBTFUL]
    if best is not None and others:
        notes.append(Note("separator", f"Read as {_DELIMITERS[best]}; it could also be {' or '.join(others)}"))
    return best


_DOUBTFUL = 0.95  # share of the records that another separator also cuts into equally many fields


def _sample_widths(text: str, lines: list[str], delimiter: str) -> list[int]:
    """How many fields the first records have, quotes understood; as plain lines if that does not work."""
    plain = _widths(text, lines, delimiter, PLAIN, _SAMPLE) or [0]
    best = _widths(text, lines, delimiter, DOUBLED, _SAMPLE)
    if '\\"' in text:
        escaped = _widths(text, lines, delimiter, ESCAPED, _SAMPLE)
        best = escaped if escaped and (not best or _evenness(escaped) > _evenness(best)) else best
    return best if best and _evenness(best) >= _evenness(plain) else plain


def _widths(text: str, lines: list[str], delimiter: str, quoting: str, most: int | None = None) -> list[int]:
    """Fields of each record, of the first ``most`` if given; empty if quotation marks are not closed."""
    records = _plain_rows(lines, delimiter) if quoting == PLAIN else _quoted_rows(text, delimiter, quoting=quoting)
    try:
        return [len(row) for _, row, _ in itertools.islice(records, most)]
    except InputError:
        return []


def _evenness(widths: Sequence[int]) -> float:
    """Share of records that have the most common number of fields, 0.0 if that is below three or there are none."""
    if not widths:
        return 0.0
    common, count = Counter(widths).most_common(1)[0]
    return count / len(widths) if common >= 3 else 0.0


def _quoting(text: str, lines: list[str], delimiter: str) -> str:
    """PLAIN (quotation marks are part of the sentences, as in the files of GLUE and STS benchmark), DOUBLED or ESCAPED."""
    if '"' not in text:
        return PLAIN
    # A whole field in quotation marks, those inside doubled. The possessive + keeps this linear.
    before, after = rf"(?<![^{delimiter}\r\n])", rf"(?=[{delimiter}\r\n]|\Z)"
    enclosed = re.compile(rf'{before}"([^"]*+(?:""[^"]*+)*+)"{after}')
    strays = '"' in enclosed.sub("", text)
    as_plain = _evenness(_widths(text, lines, delimiter, PLAIN))
    quoted_widths = _widths(text, lines, delimiter, DOUBLED)
    if '\\"' in text and (strays or _evenness(quoted_widths) < 1):
        escaped = re.compile(rf'{before}"[^"\\]*+(?:(?:\\.|"")[^"\\]*+)*+"{after}', re.DOTALL)
        left = re.sub(r"\\.", "", escaped.sub("", text), flags=re.DOTALL)
        even = _evenness(_widths(text, lines, delimiter, ESCAPED))
        if '"' not in left and even >= max(as_plain, _evenness(quoted_widths)):
            return ESCAPED
    if not quoted_widths:
        return PLAIN if as_plain >= 0.99 else DOUBLED  # reading it so will say what is wrong
    as_quoted = _evenness(quoted_widths)
    if as_quoted != as_plain:
        return DOUBLED if as_quoted > as_plain else PLAIN
    # Both read equally well. In tab-separated files nobody needs quotes, so they count only if they do something.
    needed = any(mark in match[1] for match in enclosed.finditer(text) for mark in (delimiter, "\n", "\r", '"'))
    first_row = [field for _, row, _ in itertools.islice(_plain_rows(lines, delimiter), 1) for field in row]
    all_of_header = all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in first_row)
    return DOUBLED if (needed or all_of_header or delimiter != "\t") and not strays else PLAIN


# Parquet

_BATCH_ROWS = 10_000


def read_parquet(content: bytes, name: str, progress: ProgressCallback | None = None) -> Records:
    """Rows of the columns that hold text, numbers or truth values, also inside structs and lists, which are unfolded.

    Raises InputError if it is damaged or unpacks to too much.
    """
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
        skipped.add(_too_many(), MOST_ROWS + 1, file.metadata.num_rows - MOST_ROWS)
    if not rows:
        raise InputError(f"{name} has no rows; give a file with sentence pairs")
    rows = rows[:MOST_ROWS]
    left_out = {column.name: str(column.type)[:_LONGEST_SHOWN] for column in schema if column.name not in names}
    if any(_is_nested(schema.field(column).type) for column in names):
        names, rows, more = unfolded([dict(zip(names, row, strict=True)) for row in rows], name)
        left_out |= more
    return Records("Parquet", rows, range(1, len(rows) + 1), names, _class_names(schema), left_out, skipped)


def _is_text(kind) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _is_plain(kind) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    return (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
        or _is_nested(kind)
    )


def _is_nested(kind) -> bool:
    """Whether a column holds structs, or lists that are not vectors of floats."""
    import pyarrow.types as types

    if types.is_struct(kind):
        return True
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_list and not types.is_floating(kind.value_type) and (_is_text(kind.value_type) or _is_plain(kind.value_type))


def _values(column) -> list[Any]:
    """Values of a column; equal texts share one object."""
    import pyarrow.types as types

    if types.is_decimal(column.type):
        return [None if value is None else float(value) for value in column.to_pylist()]
    if not types.is_dictionary(column.type):
        return column.to_pylist()
    texts = column.dictionary.to_pylist()
    return [None if place is None else texts[place] for place in column.indices.to_pylist()]


def _check_unpacked(metadata, wanted: set[str], name: str) -> None:
    size = sum(
        chunk.total_uncompressed_size
        for group in range(metadata.num_row_groups)
        for place in range(metadata.num_columns)
        if (path := (chunk := metadata.row_group(group).column(place)).path_in_schema) in wanted or path.split(".")[0] in wanted
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
