"""Reading lists of word pairs with human scores: WordSim-353, SimLex-999, MEN and others of their shape."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...base.arguments import checked
from ...base.errors import InputError
from ...base.paths import app_folder
from .names import named_gold, named_pairs, words_of
from .pairs import Columns, Note, SkipCounter, WordSet, skipped_text
from .tables import decoded, lines_of, named, names_text, read_bytes
from .values import score_of, score_reader

MOST_WORD_PAIRS = 100_000
LONGEST_WORD = 200
DEMO_WORDS = "demo_words.txt"
#: Plain names of columns of scores that no other data has: those of SimLex-999.txt and others.
_SCORES = ("simlex999", "mean", "gold")


def demo_words() -> WordSet:
    """The demonstration list: English word pairs with one person's scores from 0 to 10. Material to try a page with, not a benchmark."""
    return replace(read_words(app_folder() / "assets" / DEMO_WORDS), name="Demonstration list", format="not a benchmark")


@checked
def read_words(source: Path | bytes, name: str | None = None, as_written: bool = False) -> WordSet:
    """The word pairs of a file: a table with a header as WordSim-353 and SimLex-999 are distributed, or lines
    ``word word score`` separated by blanks, tabs, commas or semicolons.

    Where all words end in a mark of their part of speech (``moon-n``, ``run_V``), that is left away and said in ``notes``; as_written
    leaves it. Lines that cannot be used are counted in ``skipped``. Raises InputError if the file cannot be read or fewer than two
    pairs remain.
    """
    shown = named(source, name)
    text = decoded(read_bytes(source, name), shown)
    filled = [(number, line) for number, line in enumerate(lines_of(text), 1) if line.strip()]
    if not filled:
        raise InputError(f"{shown} is empty; give lines of the form: word word score")
    cut = _cutter(filled[0][1])
    layout = _layout([cut(line) for _, line in filled[: _SAMPLE + 1]], shown)
    skipped, found = SkipCounter(), []
    rows = [(number, cut(line)) for number, line in (filled[1:] if layout.has_header else filled)]
    read, notes = score_reader([row[layout.places[2]] for _, row in rows if len(row) > max(layout.places)])
    for number, cells in rows:
        if len(found) >= MOST_WORD_PAIRS:
            skipped.add(f"beyond the first {MOST_WORD_PAIRS:,} pairs", number)
            continue
        entry = _pair(cells, layout.places, read)
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
    first, second, gold = map(tuple, zip(*found, strict=True))
    if not as_written:
        first, second, marks = without_part_of_speech(first, second)
        notes += marks
    return WordSet(
        shown, first, second, gold, skipped.result(), layout.format, notes=(*layout.notes, *notes), columns=layout.columns
    )


def _cutter(line: str):
    """A function that cuts a line into cells, chosen by the first line. Entries of several words need a delimiter."""
    for delimiter in "\t;,":
        if line.count(delimiter) >= 2:
            return lambda text: _cells(text, delimiter)
    return str.split


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line; none if one is longer than any word."""
    try:
        return next(csv.reader(io.StringIO(line), delimiter=delimiter), [])
    except csv.Error:
        return []


# Which cells


_SAMPLE = 200


@dataclass(frozen=True)
class _Layout:
    """Where words and scores stand."""

    places: tuple[int, int, int]  # of word, word and score
    has_header: bool
    format: str  # in words
    columns: Columns  # the same places by name, or by number from 1
    notes: tuple[Note, ...] = ()


def _layout(rows: Sequence[Sequence[str]], name: str) -> _Layout:
    """The layout of a list, by its first rows. Raises InputError if the header does not say which column holds the scores."""
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    words = _words_by_name(first)
    score = _score_by_name([cell for cell in first if words is None or cell not in words], name) if words else None
    if words and score:
        places = (first.index(words[0]), first.index(words[1]), first.index(score))
        return _Layout(places, True, _format([cell.lower() for cell in first]), Columns(*words, score))
    has_header = bool(rest) and not _is_row(first) and _is_row(rest[0])
    sample = rest if has_header else rows
    places, note = _places_by_values(sample)
    columns = Columns(*((first[place] if has_header and len(first) > place else str(place + 1)) for place in places))
    notes = [note] if note else []
    if has_header:
        notes.append(Note("left out", f"The first line is read as the names of the columns: {names_text(first)}"))
    return _Layout(places, has_header, "Word list", columns, tuple(notes))


def _is_row(cells: Sequence[str]) -> bool:
    """Whether a line has a score and words before it."""
    return any(not isinstance(score_of(cell), str) for cell in cells[2:]) and all(
        isinstance(score_of(cell), str) for cell in cells[:2]
    )


def _words_by_name(header: Sequence[str]) -> tuple[str, str] | None:
    """The columns of words: those that are called so, or else two whose names belong together."""
    pairs = named_pairs(header)
    of_words = [pair for pair in pairs if {"word", "words", "w", "term", "noun", "verb", "lemma"} & set(words_of(pair.first))]
    best = (of_words or pairs)[:1]
    return (best[0].first, best[0].second) if best else None


def _score_by_name(header: Sequence[str], name: str) -> str | None:
    special = next((cell for cell in header if cell.lower() in _SCORES), None)
    if special:
        return special
    scores = [gold for gold in named_gold(header, "score") if gold.rank <= 4]
    best = [gold.column for gold in scores if gold.rank == scores[0].rank]
    if len(best) > 1:
        raise InputError(
            f"{name}: several columns may be the score: {names_text(best)}; keep one of them, or write lines of the form: word word score"
        )
    return best[0] if best else None


def _places_by_values(rows: Sequence[Sequence[str]]) -> tuple[tuple[int, int, int], Note | None]:
    """Places of word, word and score: the first three cells, or else the first two columns that hold neither numbers nor parts of speech,
    and the only column of numbers behind them."""
    width = min((len(row) for row in rows), default=0)
    numeric = [
        place for place in range(width) if 2 * sum(not isinstance(score_of(row[place]), str) for row in rows) > len(rows)
    ]
    if 2 in numeric and not {0, 1}.intersection(numeric):
        extra = f"; the other columns are not read ({width} in all)" if width > 3 else ""
        return (0, 1, 2), Note("left out", f"Read as word, word, score from the first three fields{extra}") if extra else None
    tags = [place for place in range(width) if all(_TAG.fullmatch(row[place].strip()) for row in rows)]
    words = [place for place in range(width) if place not in (*numeric, *tags)][:2]
    scores = [place for place in numeric if place > max(words, default=0)]
    if len(words) < 2 or len(scores) != 1:
        return (0, 1, 2), None
    places = (*words, scores[0])
    text = f"The words are read from fields {words[0] + 1} and {words[1] + 1}, the score from field {scores[0] + 1}"
    return places, Note("left out", f"{text}, the only one behind them that holds numbers")


def _pair(
    cells: list[str], places: tuple[int, int, int], read: Callable[[str], float | str] = score_of
) -> tuple[str, str, float] | str:
    """(word, word, score), or why the line cannot be used."""
    if len(cells) <= max(places):
        return "too few fields"
    first, second, value = (cells[place].strip() for place in places)
    score = read(value)
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


# Parts of speech

_TAGS = r"(?:n|v|j|a|r|s|nn|nns|nnp|vb|vbd|vbg|vbn|vbp|vbz|jj|jjr|jjs|rb|rbr|noun|verb|adj|adv|propn)"
_TAG = re.compile(_TAGS, re.IGNORECASE)
#: A word and the mark of its part of speech: moon-n, run_VB, cold#a, dog.n.01, sail/V, moon (n).
_MARKED = re.compile(rf"(?P<word>.*[^\W_].*?)(?P<mark>[-_#./:|]{_TAGS}(?:[.#]\d+)?| ?[(\[]{_TAGS}\.?[)\]])", re.IGNORECASE)
_NEARLY_ALL, _FEWEST_MARKED = 0.9, 3


def without_part_of_speech(first: Sequence[str], second: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], list[Note]]:
    """Words without the mark of their part of speech, if all of them have one of the same kind, and a note that says so.

    >>> without_part_of_speech(["moon-n", "sail-v"], ["night-n", "boat-n"])[:2]
    (('moon', 'sail'), ('night', 'boat'))
    >>> without_part_of_speech(["x-ray", "moon"], ["night", "hand-a"])[:2]
    (('x-ray', 'moon'), ('night', 'hand-a'))
    """
    words = dict.fromkeys((*first, *second))
    matches = {word: match for word in words if (match := _MARKED.fullmatch(word))}
    kinds = {match["mark"].strip()[0] for match in matches.values()}
    unmarked = [word for word in words if word not in matches]
    if len(kinds) != 1 or len(matches) < _NEARLY_ALL * len(words):
        alone = [number for number, column in enumerate((first, second)) if all(word in matches for word in column)]
        if len(alone) != 1 or len(kinds) != 1 or len(first) < _FEWEST_MARKED:
            return tuple(first), tuple(second), []
        place = "first" if alone == [0] else "second"
        text = f"All {place} words end in what may be their part of speech, such as {(first, second)[alone[0]][0]}; nothing was left away"
        return tuple(first), tuple(second), [Note("left out", text)]
    marks = ", ".join(list(dict.fromkeys(match["mark"] for match in matches.values()))[:6])
    if unmarked:
        text = f"Nearly all words end in what may be their part of speech ({marks}), but not {', '.join(unmarked[:3])}; nothing was left away"
        return tuple(first), tuple(second), [Note("left out", text)]
    example = next(iter(matches.values()))
    text = f"All words end in a mark of their part of speech ({marks}), which was left away: {example[0]} is looked up as {example['word']}"
    bare = {word: match["word"] for word, match in matches.items()}
    return tuple(bare[word] for word in first), tuple(bare[word] for word in second), [Note("part of speech", text)]
