"""Recognising sets of sentence pairs by the columns of their distributed files.

The layouts are those of the files themselves: STS benchmark, stsb-multi-mt, SICK, GLUE, PAWS, SNLI, MultiNLI, XNLI, e-SNLI and
counterfactually augmented SNLI; anything else is a plain table whose columns are guessed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .tables import Records
from .values import as_number, kind_of


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
