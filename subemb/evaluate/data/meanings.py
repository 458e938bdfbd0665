"""What the integers of a column of labels stand for: said by somebody, by the file's metadata, or by a column of words beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...base.errors import InputError
from .names import may_be_gold, words_of
from .pairs import LABELS, TWO_WAY_LABELS, Columns, Reading
from .recognise import Recognised
from .tables import Records
from .values import USUAL_ORDER, WITHOUT, as_number, kind_of, meaning_of_label, plain_word

_MOST_CLASSES = 10
_SAMPLE = 200  # rows after which a column with many values is no companion
#: What stands for no label. -1 may be one, if something says so.
_NO_VALUE = tuple(word for word in WITHOUT if word != "-1")
_WORDS = {"paraphrase": "paraphrase", "not_paraphrase": "not paraphrase"}


@dataclass(frozen=True)
class Meanings:
    """What labels stand for."""

    names: dict[str, str]  # label as a plain word -> its name
    note: str  # where that was found, in a sentence


def meanings_of(
    rows: Sequence[Sequence[Any]],
    values: Sequence[Any],
    records: Records,
    found: Recognised,
    columns: Columns,
    reading: Reading,
    name: str,
) -> Meanings | None:
    """What the labels in ``values`` stand for, or None where nothing says it (or they are words already).

    Raises InputError if the words that somebody gave are no labels, or a column beside the labels contradicts itself.
    """
    if reading.labels:
        return _said(reading)
    if names := records.classes.get(columns.gold):
        pairs = {str(number): word for number, word in enumerate(names)}
        if any(as_number(word) is None for word in names):
            return Meanings(pairs, f"Labels are numbers; the file says what they stand for: {_listed(pairs)}{_unusual(pairs)}")
    written = {plain_word(value) for value in set(values)} - set(_NO_VALUE)
    if not written or len(written) > _MOST_CLASSES:
        return None
    numbers = written - {"-1"}
    said = None
    if numbers and all(word.isdigit() for word in numbers):
        said = _companion(rows, values, found, columns, len(written), name)
    return said or (_of_name(columns.gold, written, name) if found.has_header else None)


def _said(reading: Reading) -> Meanings:
    names = {}
    for word, label in reading.labels:
        meant = meaning_of_label(label)
        if meant is None:
            raise InputError(
                f"{label!r} is not a label; say {', '.join((*LABELS, TWO_WAY_LABELS[1], *_WORDS))}, such as 0=entailment,1=neutral"
            )
        names[plain_word(word)] = _WORDS.get(meant, meant)
    return Meanings(names, f"Labels are read as you said: {_listed(names)}")


def _of_name(column: str, written: set[str], name: str) -> Meanings | None:
    """What 0 and 1, no and yes say in a column that is called after one of the labels. Raises InputError if they do not tell the others apart."""
    words = words_of(column)
    label = meaning_of_label("_".join(word for word in words if word not in _ASKING))
    yes, no = ({word for word in written if word in _ANSWERS[answer]} for answer in (True, False))
    if label is None or not written <= yes | no | {"-1"}:
        return None
    other = _OPPOSITE.get(label)
    if other is None:
        raise InputError(
            f"{name}: the column {column!r} only says which pairs are labelled {label}, not which of the others are entailment; choose a column "
            "with all labels, with --columns or under Columns on a page"
        )
    if label == "paraphrase":
        return None  # as such columns always are
    meanings = dict.fromkeys(sorted(yes), label) | dict.fromkeys(sorted(no), other)
    return Meanings(
        {word: _WORDS.get(meant, meant) for word, meant in meanings.items()},
        f"The column {column!r} is read as its name says: {_listed(meanings)}",
    )


#: Words of names that ask whether something holds.
_ASKING = ("is", "has", "are", "does", "the", "of", "gold", "label")
_ANSWERS = {True: ("1", "true", "yes"), False: ("0", "false", "no")}
_OPPOSITE = {"entailment": "not_entailment", "paraphrase": "not_paraphrase"}
_OPPOSITE |= {other: label for label, other in _OPPOSITE.items()}


def _companion(rows, values, found: Recognised, columns: Columns, classes: int, name: str) -> Meanings | None:
    """What a column of words that goes with the labels one to one says. Raises InputError if it does not go with them, although its name does."""
    gold_words, answers = set(words_of(columns.gold)), {}
    for place, column in enumerate(found.header):
        if column in columns.names or not may_be_gold(column):
            continue
        cells = [row[place] if len(row) > place else None for row in rows]
        if len(set(map(str, cells[:_SAMPLE]))) > _MOST_CLASSES:
            continue
        both = {
            (number, word)
            for number, word in set(zip(map(plain_word, values), map(plain_word, cells), strict=True))
            if number not in _NO_VALUE and word not in WITHOUT and (number != "-1" or meaning_of_label(word))
        }
        words = {word for _, word in both}
        if not words or any(as_number(word) is not None for word in words):
            continue
        belongs = found.has_header and bool(gold_words & set(words_of(column)))
        understood = all(meaning_of_label(word) for word in words)
        if not understood and not (belongs and len(both) == len(words) == classes and _is_for_labels(values, found)):
            continue
        if len(both) == len(words) == len({number for number, _ in both}):
            answers[column] = dict(sorted(both))
        elif belongs and understood:
            number, said = next(
                (number, said)
                for number in sorted({n for n, _ in both})
                if len(said := sorted(w for n, w in both if n == number)) > 1 or _is_twice(both, said)
            )
            raise InputError(
                f"{name}: the columns {columns.gold!r} and {column!r} do not agree: {number} stands beside {' and '.join(map(repr, said))}; "
                f"say which one to read, with --columns or under Columns on a page (gold={column}), or what the numbers mean with --labels"
            )
    meant = {tuple((number, meaning_of_label(word)) for number, word in pairs.items()) for pairs in answers.values()}
    if not answers:
        return None
    if len(meant) > 1:
        raise InputError(
            f"{name}: the columns {', '.join(map(repr, answers))} say different things of what the numbers of {columns.gold!r} mean; say it "
            "with --labels 0=entailment,1=neutral,2=contradiction"
        )
    column, pairs = next(iter(answers.items()))
    return Meanings(
        pairs, f"Labels are numbers; the column {column!r} says what they stand for: {_listed(pairs)}{_unusual(pairs)}"
    )


def _is_twice(both: set[tuple[str, str]], said: list[str]) -> bool:
    """Whether a word stands beside another number too."""
    return any(sum(word == other for _, other in both) > 1 for word in said)


def _is_for_labels(values: Sequence[Any], found: Recognised) -> bool:
    return "entailment" in found.columns and kind_of(values) in ("classes", "binary")


def _listed(names: dict[str, str]) -> str:
    return ", ".join(f"{word} {label}" for word, label in names.items())


def _unusual(names: dict[str, str]) -> str:
    """What is added if the names contradict the usual order of numbers."""
    usual = {str(number): label for number, label in enumerate(LABELS)} | ({"1": TWO_WAY_LABELS[1]} if len(names) == 2 else {})
    differs = any(
        meaning_of_label(label) in (*LABELS, TWO_WAY_LABELS[1]) and meaning_of_label(label) != usual.get(word)
        for word, label in names.items()
    )
    return f", which is not the usual order ({USUAL_ORDER})" if differs else ""
