"""Reading lists of word pairs with human scores: WordSim-353, SimLex-999 and others of their shape."""

import csv
import io
import re
from pathlib import Path

from ...base.errors import InputError
from .pairs import SkipCounter, WordSet, skipped_text
from .tables import decoded, named, read_bytes
from .values import score_of

MOST_WORD_PAIRS = 100_000
LONGEST_WORD = 200
#: Plain names of columns: word, word, score. Those of WordSim-353's combined.csv, SimLex-999.txt and SimVerb.
_WORDS = (("word 1", "word 2"), ("word1", "word2"), ("first", "second"))
_SCORES = ("human (mean)", "simlex999", "score", "similarity", "mean", "rating", "gold")


def read_words(source: Path | bytes, name: str | None = None) -> WordSet:
    """The word pairs of a file: a table with a header as WordSim-353 and SimLex-999 are distributed, or lines
    ``word word score`` separated by blanks, tabs, commas or semicolons.

    Lines that cannot be used are counted in ``skipped``. Raises InputError if the file cannot be read or fewer than two
    pairs remain.
    """
    shown = named(source, name)
    text = decoded(read_bytes(source, name), shown)
    lines = [line.removesuffix("\r") for line in text.split("\n" if "\n" in text else "\r")]
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not filled:
        raise InputError(f"{shown} is empty; give lines of the form: word word score")
    cut = _cutter(filled[0][1])
    header = [cell.strip().lower() for cell in cut(filled[0][1])]
    places = _header_places(header)
    skipped, found = SkipCounter(), []
    for number, line in filled[1:] if places else filled:
        if len(found) >= MOST_WORD_PAIRS:
            skipped.add(f"beyond the first {MOST_WORD_PAIRS:,} pairs", number)
            continue
        entry = _pair(cut(line), places or (0, 1, 2))
        if isinstance(entry, str):
            skipped.add(entry, number)
        else:
            found.append(entry)
    if len(found) < 2:
        reasons = skipped_text(skipped.result())
        raise InputError(
            f"{shown} has {len(found)} usable word pair{'' if len(found) == 1 else 's'}; at least 2 lines of the form "
            f"'word word score' are needed{'. Lines left out: ' + reasons if reasons else ''}"
        )
    first, second, gold = zip(*found, strict=True)
    return WordSet(shown, first, second, gold, skipped.result(), _format(header) if places else "Word list")


def _cutter(line: str):
    """A function that cuts a line into cells, chosen by the first line. Entries of several words need a delimiter."""
    for delimiter in "\t;,":
        if line.count(delimiter) >= 2:
            return lambda text: next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    return str.split


def _header_places(header: list[str]) -> tuple[int, int, int] | None:
    """Where word, word and score stand, if the first line is a header."""
    words = next(((header.index(a), header.index(b)) for a, b in _WORDS if a in header and b in header), None)
    score = next((header.index(name) for name in _SCORES if name in header), None)
    return None if words is None or score is None else (*words, score)


def _pair(cells: list[str], places: tuple[int, int, int]) -> tuple[str, str, float] | str:
    """(word, word, score), or why the line cannot be used."""
    if len(cells) <= max(places):
        return "too few fields"
    first, second, value = (cells[place].strip() for place in places)
    score = score_of(value)
    if isinstance(score, str):
        return score
    if not first or not second:
        return "empty word"
    if max(len(first), len(second)) > LONGEST_WORD:
        return f"word longer than {LONGEST_WORD} characters"
    return first, second, score


def _format(header: list[str]) -> str:
    if "human (mean)" in header:
        return "WordSim-353"
    return "SimLex-999" if "simlex999" in header else re.sub(r"\s+", " ", f"Word list with columns {', '.join(header[:6])}")
