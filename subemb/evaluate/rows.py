"""Rows of a table, judged one by one: what can be used becomes pairs, the rest is counted with its reason."""

from collections.abc import Callable, Sequence
from typing import Any

from .data.pairs import UNKNOWN_LANGUAGE, SkipCounter
from .data.recognise import Recognised

LONGEST_SENTENCE = 20_000


def whole_rows(
    body: Sequence[Sequence[Any]], lines: Sequence[int], places: Sequence[int | None], found: Recognised, skipped: SkipCounter
) -> tuple[list[Sequence[Any]], list[int]]:
    """Rows that reach to the last column needed and are not longer than the header, and their lines; the others are counted."""
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

    places: of first, second, gold and language (or None). gold_of: a value to a number, or to the reason why it is none.
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
