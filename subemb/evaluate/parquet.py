"""Parquet files as rows, bounded in what they unpack to."""

import json
from typing import Any

from ..base.errors import InputError
from ..base.progress import ProgressCallback, report
from ..format import size_text
from .data.pairs import SkipCounter
from .data.tables import MOST_ROWS, Records, check_width

MOST_UNPACKED_BYTES = 1_000_000_000
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
    """Values of a column; a text that occurs often is one object."""
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
