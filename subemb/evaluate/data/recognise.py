"""Recognising sets of sentence pairs by the columns of their distributed files, and scores and labels by how they are written.

The layouts are those of the files themselves: STS benchmark, stsb-multi-mt, SICK, GLUE, PAWS, SNLI, MultiNLI, XNLI, e-SNLI and
counterfactually augmented SNLI; anything else is a plain table whose columns are guessed.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .pairs import LABELS, TWO_WAY_LABELS
from .tables import Records


@dataclass(frozen=True)
class Columns:
    """Which columns to read, by name, or by number from 1 (as text) where there is no header."""

    first: str  # the sentences; for entailment premise and hypothesis
    second: str
    gold: str  # score or label
    language: str | None = None  # a language code in each row


@dataclass(frozen=True)
class Recognised:
    """What a file was recognised as."""

    format: str  # in words
    header: tuple[str, ...]  # names of all columns; numbers from 1 if ``has_header`` is False
    has_header: bool
    columns: dict[str, Columns]  # task -> its columns, the default task first; empty if none could be guessed
    one_is_entailment: bool = False  # whether the label 1 means entailment, where labels are 0 and 1
    is_plain: bool = False  # whether the layout is unknown, so that the columns are guesses


def recognise(records: Records, name: str = "") -> Recognised:
    """What the rows are, by header and values. ``name`` tells XNLI and SNLI apart from other tables with the same columns."""
    header, has_header = header_of(records)
    body = body_of(records, has_header)
    plain = {plain_name(column): column for column in reversed(header)}
    if has_header:
        for known in _KNOWN:
            if all(column in plain for column in known.needs):
                columns = {task: Columns(*(plain[part] for part in parts)) for task, parts in known.columns.items()}
                return Recognised(known.format, header, True, columns)
    elif found := _headerless(records, header, body):
        return found
    return _guessed(records, name, header, has_header, body, plain)


def body_of(records: Records, has_header: bool) -> Sequence[Sequence[Any]]:
    """The rows, without the first one if it is the header."""
    return records.rows[1:] if has_header and records.names is None else records.rows


def plain_name(name: str) -> str:
    """A column's name for comparison: ``"Sentence A"`` -> ``"sentence_a"``."""
    return re.sub(r"[\s\-]+", "_", str(name).strip().lower())


# Headers

#: Characters of a column's name; a first row with a longer cell is a header only if it has two known names.
_LONGEST_NAME = 40


def header_of(records: Records) -> tuple[tuple[str, ...], bool]:
    """Names of all columns, no two alike, and whether the file gives them; if not, they are numbers from 1."""
    if records.names is not None:
        return records.names, True
    first = [str(cell) for cell in records.rows[0]]
    names = [plain_name(cell) for cell in first]
    if sum(cell in _NAMES for cell in names) >= 2 or _looks_like_header(first, records.rows[1:]):
        return _unlike(first), True
    # Rows may differ in length (STS benchmark has 7 fields or more); columns that only a few rows have cannot be chosen.
    return tuple(str(number) for number in range(1, len(first) + 1)), False


def _looks_like_header(first: list[str], rest: Sequence[Sequence[Any]]) -> bool:
    """Whether a column holds scores or labels in every row but the first, which names it."""
    if not rest or len(set(first)) < len(first):
        return False
    if any(len(cell) > _LONGEST_NAME or as_number(cell) is not None for cell in first):
        return False
    for place, cell in enumerate(first):
        if cell.strip() and kind_of([cell]) == "text":
            below = [row[place] for row in rest[:200] if len(row) > place]
            if kind_of(below) not in ("text", "nothing"):
                return True
    return False


def _unlike(names: list[str]) -> tuple[str, ...]:
    """The names, with a number where a name is blank or occurs again, so that each means one column."""
    found: list[str] = []
    for number, name in enumerate(names, 1):
        name = name.strip() or f"column {number}"
        found.append(name if name not in found else f"{name} ({number})")
    return tuple(found)


# Layouts that are known


@dataclass(frozen=True)
class _Known:
    """A layout by the columns it must have (plain names), and its columns for each task."""

    format: str
    needs: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]


_NLI = {"entailment": ("sentence1", "sentence2", "gold_label")}
_KNOWN = (
    _Known(
        "SICK",
        ("sentence_a", "sentence_b", "relatedness_score", "entailment_judgment"),
        {
            "similarity": ("sentence_a", "sentence_b", "relatedness_score"),
            "entailment": ("sentence_a", "sentence_b", "entailment_judgment"),
        },
    ),
    _Known(
        "SICK",
        ("sentence_a", "sentence_b", "relatedness_score", "entailment_label"),
        {
            "similarity": ("sentence_a", "sentence_b", "relatedness_score"),
            "entailment": ("sentence_a", "sentence_b", "entailment_label"),
        },
    ),
    _Known(
        "GLUE STS-B",
        ("genre", "old_index", "source1", "source2", "sentence1", "sentence2", "score"),
        {"similarity": ("sentence1", "sentence2", "score")},
    ),
    _Known("MRPC", ("quality", "#1_string", "#2_string"), {"paraphrase": ("#1_string", "#2_string", "quality")}),
    _Known("QQP", ("question1", "question2", "is_duplicate"), {"paraphrase": ("question1", "question2", "is_duplicate")}),
    _Known(
        "XNLI",
        ("language", "gold_label", "sentence1", "sentence2"),
        {"entailment": ("sentence1", "sentence2", "gold_label", "language")},
    ),
    _Known("MultiNLI", ("gold_label", "sentence1", "sentence2", "promptid"), _NLI),
    _Known("e-SNLI", ("gold_label", "sentence1", "sentence2", "explanation_1"), _NLI),
    _Known("SNLI", ("gold_label", "sentence1", "sentence2", "captionid"), _NLI),
    _Known("SNLI", ("gold_label", "sentence1", "sentence2", "sentence1_parse"), _NLI),
    _Known("SNLI columns", ("gold_label", "sentence1", "sentence2"), _NLI),
)


def _headerless(records: Records, header: tuple[str, ...], body: Sequence[Sequence[Any]]) -> Recognised | None:
    """STS benchmark (score in field 5, sentences in 6 and 7) and stsb-multi-mt (two sentences and a score)."""
    if len(header) >= 7 and records.kind.startswith("tab") and _is_numeric(body, 4) and not _is_numeric(body, 5):
        return Recognised("STS benchmark", header, False, {"similarity": Columns("6", "7", "5")})
    if len(header) == 3 and records.kind.startswith("comma") and kind_of(_cells(body, 2)) == "numbers":
        return Recognised("stsb-multi-mt", header, False, {"similarity": Columns("1", "2", "3")})
    return None


def _is_numeric(body: Sequence[Sequence[Any]], place: int) -> bool:
    return kind_of(_cells(body, place)) in ("numbers", "binary", "classes") and all(
        as_number(cell) is not None for cell in _cells(body, place)[:3] if str(cell).strip()
    )


def _cells(body: Sequence[Sequence[Any]], place: int) -> list[Any]:
    return [row[place] for row in body[:2000] if len(row) > place]


# Plain tables, whose columns are guessed

#: In the order tried: names of the two sentence columns. All names here are as plain_name gives them.
_SENTENCES = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("sent1", "sent2"),
    ("s1", "s2"),
    ("string1", "string2"),
    ("#1_string", "#2_string"),
    ("first", "second"),
    ("a", "b"),
)
_SCORES = ("score", "similarity_score", "similarity", "relatedness_score", "relatedness", "gold_score", "rating", "sim")
_LABELS = (
    "gold_label",
    "label",
    "labels",
    "entailment_judgment",
    "entailment_judgement",
    "entailment_label",
    "judgment",
    "relation",
    "is_duplicate",
    "is_paraphrase",
    "paraphrase",
    "quality",
    "class",
)
_EITHER = ("gold", "target", "y")
_LANGUAGES = ("language", "lang", "locale", "language_code")
_NAMES = {name for names in (*_SENTENCES, _SCORES, _LABELS, _EITHER, _LANGUAGES) for name in names}
#: Names of columns whose numbers only tell rows apart.
_IDS = re.compile(r"(.*_)?((pair|prompt|caption|worker|row|line|item|q)?id\d*|index|idx|year|number|nr|no|line|row|time|date)")


def _guessed(records, name, header, has_header, body, plain) -> Recognised:
    """A plain table: columns by name, else by what they hold."""
    kinds = _Kinds(records, body, header)
    language = next((plain[word] for word in _LANGUAGES if word in plain), None)
    sentences = next(((plain[a], plain[b]) for a, b in _SENTENCES if a in plain and b in plain), None)
    if sentences is None:
        sentences = _longest_two(body, [column for column in header if kinds[column] == "text" and column != language], header)
    taken = {*(sentences or ()), language}
    gold = next((plain[word] for word in (*_SCORES, *_LABELS, *_EITHER) if word in plain and plain[word] not in taken), None)
    if gold is None:
        gold = _gold_by_values(kinds, body, header, taken)
    if sentences is None or gold is None:
        return Recognised(_plain_format(records), header, has_header, {}, is_plain=True)
    columns = Columns(*sentences, gold, language)
    format, task, one = _meaning(records, name, plain, columns, kinds[gold])
    return Recognised(format, header, has_header, {task: columns}, one, format == _plain_format(records))


def _plain_format(records: Records) -> str:
    kind = records.kind.removesuffix(", quoted")
    return f"{kind if kind.isupper() else kind[0].upper() + kind[1:]} table" if "separated" in kind else kind


def _gold_by_values(kinds: "_Kinds", body: Sequence[Sequence[Any]], header: tuple[str, ...], taken: set) -> str | None:
    """A column of labels, else of 0 and 1, else of numbers; else one that is mostly numbers."""
    order = ("labels", "binary", "classes", "numbers")
    free = [column for column in header if column not in taken and not _IDS.fullmatch(plain_name(column))]
    usable = [column for column in free if kinds[column] in order and not _is_index(body, header, column)]
    if usable:
        return min(usable, key=lambda column: order.index(kinds[column]))
    return next((column for column in free if kind_of(_cells(body, header.index(column))) == "numbers"), None)


class _Kinds(dict):
    """Column -> what its values are; found out when first asked for."""

    def __init__(self, records: Records, body: Sequence[Sequence[Any]], header: tuple[str, ...]):
        super().__init__()
        self._records, self._body, self._header = records, body, header

    def __missing__(self, column: str) -> str:
        classes = self._records.classes.get(column)
        cells = list(classes) if classes else _cells(self._body, self._header.index(column))
        self[column] = kind_of(cells, 0.9)  # the column is a guess, so nearly all values must fit
        return self[column]


def _longest_two(body, candidates: list[str], header: tuple[str, ...]) -> tuple[str, str] | None:
    """The two text columns with the longest texts, in the file's order."""
    if len(candidates) < 2:
        return None

    def length(column: str) -> float:
        cells = _cells(body, header.index(column))[:200]
        return sum(len(str(cell)) for cell in cells) / max(1, len(cells))

    longest = sorted(candidates, key=length, reverse=True)[:2]
    return tuple(sorted(longest, key=header.index))


def _is_index(body, header: tuple[str, ...], column: str) -> bool:
    """Whether a column merely numbers the rows."""
    cells = [as_number(cell) for cell in _cells(body, header.index(column))]
    return len(cells) > 2 and None not in cells and all(b - a == 1 for a, b in pairwise(cells))


def _meaning(records: Records, name: str, plain: dict[str, str], columns: Columns, kind: str) -> tuple[str, str, bool]:
    """(format, task, whether 1 is entailment) of a table whose columns are known, by its values and its other columns."""
    sentence_names = (plain_name(columns.first), plain_name(columns.second))
    table = _plain_format(records)
    if kind == "labels":
        if "index" in plain and sentence_names == ("question", "sentence"):
            return "QNLI", "entailment", False
        if "index" in plain and sentence_names == ("sentence1", "sentence2"):
            return "RTE", "entailment", False
        of_name = re.match(r"(xnli|snli|mnli)\b", name.lower().replace("_", " "))
        return (
            {"xnli": "XNLI", "snli": "SNLI", "mnli": "MultiNLI"}.get(of_name[1] if of_name else "", table),
            "entailment",
            False,
        )
    if kind == "binary" and "index" in plain and sentence_names == ("sentence1", "sentence2"):
        return "WNLI", "entailment", True
    if kind in ("binary", "classes") and sentence_names == ("premise", "hypothesis"):
        return table, "entailment", False
    if kind == "classes" and plain_name(columns.gold) in _LABELS:
        return table, "entailment", False
    if kind == "binary":
        is_paws = {"id", "sentence1", "sentence2", "label"} <= set(plain) and len(plain) == 4
        return "PAWS" if is_paws else table, "paraphrase", False
    return table, "similarity", False


# Values

NO_LABEL = "no gold label"
_SAMPLE = 2000
_ENTAILMENT_WORDS = {
    "entailment": ("entailment", "entail", "entails", "entailed", "e"),
    "neutral": ("neutral", "n"),
    "contradiction": ("contradiction", "contradictory", "contradict", "contradicts", "c"),
    "not_entailment": ("not_entailment", "non_entailment", "nonentailment", "no_entailment", "not_entailed"),
}
_PARAPHRASE_WORDS = {
    1: ("1", "true", "yes", "paraphrase", "equivalent", "duplicate", "positive"),
    0: ("0", "false", "no", "not_paraphrase", "non_paraphrase", "not_equivalent", "not_duplicate", "negative"),
}
_SPELLINGS = {word: label for label, words in _ENTAILMENT_WORDS.items() for word in words}
_YES_NO = {word: value for value, words in _PARAPHRASE_WORDS.items() for word in words}
#: What SNLI writes where annotators did not agree, and Hugging Face where a label is kept secret.
_WITHOUT = ("", "-", "-1", "hidden", "none", "nan", "null")
BINARY_OR_NONE = frozenset((*_YES_NO, *_WITHOUT))


def plain_word(value: Any) -> str:
    """A value as a lower-case word.

    >>> [plain_word(value) for value in ("Not Entailment ", True, None, 2.0, "1.0", "-1")]
    ['not_entailment', 'true', '', '2', '1', '-1']
    """
    word = "" if value is None else str(value).strip().lower()
    word = word[:-2] if word.endswith(".0") else word
    return word if word in _WITHOUT else re.sub(r"[\s\-]+", "_", word)


def as_number(value: Any) -> float | None:
    """A number, or None. A comma for the decimal point is understood, as spreadsheets write it in much of Europe.

    >>> as_number(" 3.8 "), as_number("3,8"), as_number("1,000.5"), as_number("1_0"), as_number(""), as_number("nan")
    (3.8, 3.8, None, None, None, nan)
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if not isinstance(value, str) or "_" in value:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return float(value.replace(",", ".")) if value.count(",") == 1 and "." not in value else None
    except ValueError:
        return None


def kind_of(values: Sequence[Any], share: float = 0.5) -> str:
    """What the values of a column are: ``labels`` of entailment, ``binary`` (0 and 1, yes and no, ...), ``classes`` (0, 1, 2),
    ``numbers``, ``text``, or ``nothing``.

    The first values that are filled decide; at least ``share`` of them must be of the kind.
    """
    filled = [value for value in values[:_SAMPLE] if plain_word(value) not in _WITHOUT]
    if not filled:
        return "nothing"
    words = [plain_word(value) for value in filled]
    numbers = [number for value in filled if (number := as_number(value)) is not None and math.isfinite(number)]
    enough = share * len(filled)
    if sum(word in _SPELLINGS for word in words) >= enough:
        return "labels"
    if all(word in _YES_NO for word in words):
        return "binary"
    if len(numbers) >= enough:
        return "classes" if set(numbers) <= {0.0, 1.0, 2.0} and len(numbers) == len(filled) else "numbers"
    return "binary" if sum(word in _YES_NO for word in words) >= enough else "text"


def score_of(value: Any) -> float | str:
    """A finite score, or the reason why there is none."""
    number = as_number(value)
    if number is None:
        return "blank score" if value is None or not str(value).strip() else "score is not a number"
    if math.isnan(number) and not isinstance(value, str):
        return "blank score"  # how numeric columns write a gap
    return number if math.isfinite(number) else "score is not finite"


def binary_reader(classes: tuple[str, ...] | None):
    """A function from a value to 0, 1 or the reason why it is neither."""

    def read(value: Any) -> int | str:
        word = _class_word(value, classes)
        if word in _WITHOUT:
            return NO_LABEL if word else "blank label"
        return _YES_NO.get(word, "label is not understood")

    return _remembering(read)


def label_reader(values: Sequence[Any], classes: tuple[str, ...] | None, one_is_entailment: bool = False):
    """How to read the labels of entailment in these values: (labels, function from a value to an index or a reason, note).

    classes: what integers stand for, if the file says so. one_is_entailment: of the labels 0 and 1, 1 means entailment (WNLI).
    Otherwise numbers are read in the order of the hub: 0 entailment, 1 neutral, 2 contradiction; if there are only 0 and 1,
    0 is entailment and 1 is not.
    """
    words = Counter()
    for value, count in Counter(values).items():
        words[_class_word(value, classes)] += count
    known = {label: sum(words[word] for word in spellings) for label, spellings in _ENTAILMENT_WORDS.items()}
    note = ""
    table: dict[str, str]
    if sum(known.values()):
        two_way = known["not_entailment"] > known["neutral"] + known["contradiction"]
        table = _SPELLINGS
        if classes:
            note = "Labels are numbers; the file says what they stand for: " + ", ".join(
                f"{number} {name}" for number, name in enumerate(classes)
            )
    else:
        two_way = "2" not in words
        order = TWO_WAY_LABELS[::-1] if one_is_entailment else TWO_WAY_LABELS if two_way else LABELS
        table = {str(number): label for number, label in enumerate(order)}
        note = "Labels are numbers, read as " + ", ".join(f"{number} {label}" for number, label in enumerate(order))
    labels = TWO_WAY_LABELS if two_way else LABELS
    places = {word: labels.index(label) for word, label in table.items() if label in labels}

    def read(value: Any) -> int | str:
        word = _class_word(value, classes)
        if word in _WITHOUT:
            return NO_LABEL if word else "blank label"
        return places.get(word, "label is not understood")

    return labels, _remembering(read), note


def _class_word(value: Any, classes: tuple[str, ...] | None) -> str:
    if classes and isinstance(value, int) and not isinstance(value, bool):
        return plain_word(classes[value]) if 0 <= value < len(classes) else "-1" if value == -1 else "?"
    return plain_word(value)


def _remembering(read):
    """The same function, asked once for each spelling: there are few labels and many rows."""
    known: dict[Any, int | str] = {}

    def remembered(value: Any) -> int | str:
        key = (type(value), value)
        if key not in known:
            if len(known) > 10_000:  # these are no labels; do not keep a second copy of a whole file
                known.clear()
            known[key] = read(value)
        return known[key]

    return remembered
