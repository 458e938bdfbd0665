"""Recognising sets of sentence pairs by the columns of their distributed files.

The layouts are those of the files themselves: STS benchmark, stsb-multi-mt, SICK, GLUE, PAWS, SNLI, MultiNLI, XNLI, e-SNLI and
counterfactually augmented SNLI. In any other table the names of the columns decide (:mod:`.names`), then what they hold; where neither
leaves one answer, there is none, and whoever gave the file is asked. What was inferred is said in ``notes``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import Any

from .names import (
    ENDS_SENTENCE,
    LANGUAGES,
    LONGEST_NAME,
    MOST_WORDS,
    NamedPair,
    is_identifier,
    is_known_name,
    may_be_gold,
    may_be_sentences,
    named_gold,
    named_pairs,
    plain_name,
    two_roles,
)
from .pairs import Columns, Note
from .tables import Records, names_text
from .values import as_number, kind_of


@dataclass(frozen=True)
class Recognised:
    """What a file was recognised as."""

    format: str  # in words
    header: tuple[str, ...]  # names of all columns; numbers from 1 if ``has_header`` is False
    has_header: bool
    columns: dict[str, Columns]  # task -> its columns, the default task first; empty if they are not clear
    one_is_entailment: bool = False  # whether the label 1 means entailment, where labels are 0 and 1
    is_plain: bool = False  # whether the layout is unknown, so that columns are inferred
    notes: tuple[Note, ...] = ()  # what was inferred
    unclear: str = ""  # why columns are not clear, in words
    language: str | None = None  # the code of the columns' language, where their names say it
    gold_notes: dict[str, Note] = field(default_factory=dict)  # column of scores or labels -> how it was chosen


def recognise(records: Records, name: str = "", header: bool | None = None, languages: Sequence[str] = ()) -> Recognised:
    """What the rows are, by names of columns and values.

    name: tells XNLI and SNLI apart from other tables with the same columns. header: whether the first line names the columns, if somebody
    says so. languages: codes, the columns of the first of which are preferred to those of other languages.
    """
    names, has_header, notes = header_of(records, header)
    body = body_of(records, has_header)
    plain = {plain_name(column): column for column in reversed(names)}
    if has_header:
        for known in _KNOWN:
            if all(column in plain for column in known.needs):
                columns = {task: Columns(*(plain[part] for part in parts)) for task, parts in known.columns.items()}
                return Recognised(known.format, names, True, columns)
    elif found := _headerless(records, names, body):
        return found
    return _Table(records, name, names, has_header, body, list(notes), tuple(languages)).recognised()


def body_of(records: Records, has_header: bool) -> Sequence[Sequence[Any]]:
    """The rows, without the first one if it is the header."""
    return records.rows[1:] if has_header and records.names is None else records.rows


# Headers


def header_of(records: Records, said: bool | None = None) -> tuple[tuple[str, ...], bool, list[Note]]:
    """Names of all columns, no two alike, and whether the file gives them (else they are numbers from 1); what of that was inferred.

    said: whether the first line is the header, if somebody says so.
    """
    if records.names is not None:
        return records.names, True, []
    first = [str(cell) for cell in records.rows[0]]
    is_sure = sum(map(is_known_name, first)) >= 2
    if said or (said is None and (is_sure or _looks_like_header(first, records.rows[1:]))):
        inferred = Note("header", f"The first line is read as the names of the columns: {names_text(first)}")
        return _unlike(first), True, [] if said or is_sure else [inferred]
    # Rows may differ in length (STS benchmark has 7 fields or more); columns that only a few rows have cannot be chosen.
    inferred = Note("header", "The first line is read as a pair, not as names of columns, so the columns are numbered from 1")
    return tuple(str(number) for number in range(1, len(first) + 1)), False, [] if said is False else [inferred]


def _looks_like_header(first: list[str], rest: Sequence[Sequence[Any]]) -> bool:
    """Whether a column holds scores or labels in every row but the first, which names it."""
    if not rest or any(not _may_be_name(cell) for cell in first if cell.strip()):
        return False
    for place, cell in enumerate(first):
        if cell.strip() and kind_of([cell]) == "text":
            below = [row[place] for row in rest[:200] if len(row) > place]
            if kind_of(below) not in ("text", "nothing"):
                return True
    return False


def _may_be_name(cell: str) -> bool:
    is_short = len(cell) <= LONGEST_NAME and len(cell.split()) <= MOST_WORDS
    return is_short and as_number(cell) is None and any(map(str.isalpha, cell)) and not ENDS_SENTENCE.search(cell)


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
    """STS benchmark (genre, file, year, number, score of 0 to 5, two sentences) and stsb-multi-mt (two sentences and a score of 0 to 5)."""
    if len(header) >= 7 and records.kind.startswith("tab") and _is_benchmark(body):
        return Recognised("STS benchmark", header, False, {"similarity": Columns("6", "7", "5")})
    if len(header) == 3 and records.kind.startswith("comma") and _are_scores(_cells(body, 2)) and not _is_id(_cells(body, 2)):
        return Recognised("stsb-multi-mt", header, False, {"similarity": Columns("1", "2", "3")})
    return None


def _is_benchmark(body: Sequence[Sequence[Any]]) -> bool:
    """Whether fields 1, 3 and 5 hold a genre, a year and a score, and 6 and 7 sentences, which 2 and 4 do not."""
    years, genres = _cells(body, 2), {str(cell).strip() for cell in _cells(body, 0)}
    return (
        _share(years, lambda cell: re.fullmatch(r"(19|20)\d\d([a-zA-Z_-].*)?", str(cell).strip())) >= _NEARLY_ALL
        and all(genre and as_number(genre) is None for genre in genres)
        and len(genres) <= _MOST_GENRES
        and _are_scores(_cells(body, 4))
        and all(_reads_like_sentences(_cells(body, place)) for place in (5, 6))
        and all(_share(_cells(body, place), lambda cell: len(str(cell).split()) > 2) < 1 / 2 for place in (1, 3))
    )


_NEARLY_ALL, _MOST_GENRES = 0.9, 20


def _are_scores(cells: list[Any]) -> bool:
    """Whether nearly all cells are numbers of 0 to 5, as in the sets of STS."""
    return _share(cells, lambda cell: (number := as_number(cell)) is not None and 0 <= number <= 5) >= _NEARLY_ALL


def _reads_like_sentences(cells: list[Any]) -> bool:
    """Whether texts have several words, or are long, as in scripts without blanks."""
    texts = [text for cell in cells[:200] if (text := str(cell or "").strip()) and as_number(text) is None]
    return 2 * len(texts) > len(cells[:200]) and (
        fmean(len(text.split()) for text in texts) >= 2 or fmean(map(len, texts)) >= 12
    )


def _share(cells: list[Any], holds) -> float:
    return sum(bool(holds(cell)) for cell in cells) / len(cells) if cells else 0.0


def _cells(body: Sequence[Sequence[Any]], place: int) -> list[Any]:
    return [row[place] for row in body[:2000] if len(row) > place]


# Plain tables, whose columns are inferred


class _Unclear(Exception):
    """Names and values leave no answer, or more than one; the words say so."""


@dataclass
class _Table:
    """A table of an unknown layout, on the way to being recognised."""

    records: Records
    name: str
    header: tuple[str, ...]
    has_header: bool
    body: Sequence[Sequence[Any]]
    notes: list[Note]
    languages: tuple[str, ...]  # wanted
    kinds: dict[str, str] = field(default_factory=dict)  # column -> what its values are, found out when first asked for
    gold_notes: dict[str, Note] = field(default_factory=dict)  # column of scores or labels -> how it was chosen

    def recognised(self) -> Recognised:
        plain = {plain_name(column): column for column in reversed(self.header)}
        table = _plain_format(self.records)
        language_column = next((plain[word] for word in LANGUAGES if word in plain), None) if self.has_header else None
        try:
            first, second, language = self._sentences(language_column)
            golds = self._golds({first, second, language_column}, language)
        except _Unclear as unclear:
            return Recognised(table, self.header, self.has_header, {}, False, True, tuple(self.notes), str(unclear))
        found: dict[str, Columns] = {}
        format, one_is_entailment = table, False
        for gold in golds:
            columns = Columns(first, second, gold, language_column)
            of_this, task, one = _meaning(self.records, self.name, plain, columns, self.kind(gold))
            if task not in found:
                found[task] = columns
            if gold == golds[0]:
                format, one_is_entailment = of_this, one
        is_plain = format == table
        return Recognised(
            format,
            self.header,
            self.has_header,
            found,
            one_is_entailment,
            is_plain,
            tuple(self.notes),
            "",
            language,
            self.gold_notes,
        )

    def cells(self, column: str) -> list[Any]:
        """Values of the first rows."""
        return _cells(self.body, self.header.index(column))

    def kind(self, column: str) -> str:
        if column not in self.kinds:
            classes = self.records.classes.get(column)
            self.kinds[column] = kind_of(list(classes) if classes else self.cells(column), _NEARLY_ALL)
        return self.kinds[column]

    # Sentences

    def _sentences(self, language_column: str | None) -> tuple[str, str, str | None]:
        """The two columns of sentences, and the code of their language if their names say it. Raises _Unclear."""
        by_name = [pair for pair in named_pairs(self.header) if self._may_be_pair(pair)] if self.has_header else []
        if by_name:
            return self._best(by_name)
        texts = [column for column in self.header if column != language_column and self.kind(column) == "text"]
        fitting = [column for column in texts if may_be_sentences(column) and not self._is_category(column)]
        sentences = [column for column in fitting if _reads_like_sentences(self.cells(column))]
        chosen = sentences if len(sentences) >= 2 else fitting
        if len(chosen) != 2:
            raise _Unclear(self._which_texts(chosen if len(chosen) > 2 else texts))
        first, second = two_roles(chosen) if self.has_header else chosen
        why = "the only two columns that hold sentences"
        self.notes.append(Note("columns", f"The sentences are read from {first!r} and {second!r}, {why}"))
        return first, second, None

    def _may_be_pair(self, pair: NamedPair) -> bool:
        """Whether what the columns hold does not speak against their names."""
        if pair.is_sure:
            return True
        return all(
            self.kind(column) in ("text", "labels") and not self._is_category(column) for column in (pair.first, pair.second)
        )

    def _best(self, pairs: list[NamedPair]) -> tuple[str, str, str | None]:
        """The pair of the best rank; of several languages the one wanted, else English, else the first. Raises _Unclear."""
        best = [pair for pair in pairs if pair.rank == pairs[0].rank]
        holding = [
            pair for pair in best if all(self.kind(column) in ("text", "labels") for column in (pair.first, pair.second))
        ]
        best = holding or best
        wanted = [pair for code in self.languages for pair in pairs if pair.language == code]
        plain = [pair for pair in best if pair.language is None]
        codes = list(dict.fromkeys(pair.language for pair in best))
        if wanted:
            chosen = wanted[0]
        elif len(plain) == 1:
            chosen = plain[0]
        elif not plain and len(codes) == len(best):
            chosen = next((pair for pair in best if pair.language == "en"), best[0])
        else:
            raise _Unclear(
                "several pairs of columns may be the sentences: "
                + "; ".join(f"{pair.first!r} and {pair.second!r}" for pair in (plain or best)[:6])
            )
        more = [column for column in chosen.siblings if self.kind(column) == "text"]
        if more:
            raise _Unclear(f"more than two columns are numbered alike: {names_text([chosen.first, chosen.second, *more])}")
        others = sorted({pair.language for pair in pairs if pair.language and pair.language != chosen.language})
        if others and (chosen.language or not plain):
            self.notes.append(
                Note(
                    "language of columns",
                    f"The sentences in {chosen.language} are read ({chosen.first!r}, {chosen.second!r}); the file also has "
                    f"{', '.join(others)}",
                )
            )
        of_languages = {column for pair in pairs if pair.language for column in (pair.first, pair.second)}
        rest = [
            column
            for column in self.header
            if column not in (chosen.first, chosen.second)
            and not (chosen.language and column in of_languages)
            and may_be_sentences(column)
            and self.kind(column) == "text"
            and _reads_like_sentences(self.cells(column))
        ]
        if rest or not chosen.is_sure:
            left = f"; other columns that hold text: {names_text(rest)}" if rest else ""
            self.notes.append(
                Note(
                    "columns",
                    f"The sentences are read from {chosen.first!r} and {chosen.second!r}, by their names{left}",
                )
            )
        return chosen.first, chosen.second, chosen.language

    def _which_texts(self, texts: list[str]) -> str:
        if len(texts) < 2:
            return f"{len(texts) or 'no'} column{'' if len(texts) == 1 else 's'} of it hold{'s' if len(texts) == 1 else ''} sentences"
        return f"{len(texts)} columns hold text, and their names do not say which two are the sentences: {names_text(texts)}"

    def _is_category(self, column: str) -> bool:
        """Whether a few texts come again and again, as names of topics do."""
        texts = [str(cell) for cell in self.cells(column)]
        return len(texts) >= 20 and len(set(texts)) <= max(2, len(texts) // 20)

    # Scores and labels

    def _golds(self, taken: set[str | None], language: str | None) -> list[str]:
        """Columns of scores or labels: the one of the default task first, perhaps one of another task behind it. Raises _Unclear."""
        free = [column for column in self.header if column not in taken]
        found, unclear = [], []
        for wanted in ("score", "label"):
            try:
                if (gold := self._gold_by_name(free, wanted, language)) and gold not in found:
                    found.append(gold)
            except _Unclear as error:
                unclear.append(error)
        if found:
            return found
        if unclear:
            raise unclear[0]
        return [self._gold_by_values(free)]

    def _gold_by_name(self, free: list[str], wanted: str, language: str | None) -> str | None:
        """The column that its name calls a score or label; None if there is none. Raises _Unclear."""
        if not self.has_header:
            return None
        named = named_gold(free, wanted)
        fitting = [gold for gold in named if self._kind_for_gold(gold.column) not in ("text", "nothing")]
        if not fitting:
            return named[0].column if named and named[0].rank <= 1 else None  # what it holds instead is said when it is read
        same = [gold for gold in fitting if gold.language == language] if language else []
        fitting = same or [gold for gold in fitting if gold.language is None] or fitting
        best = [gold.column for gold in fitting if gold.rank == fitting[0].rank]
        if len(best) > 1 and not self._say_the_same(best, wanted):
            raise _Unclear(f"several columns may be the {wanted}: {names_text(best)}")
        others = [
            column
            for column in free
            if column not in best
            and not is_identifier(column)
            and self._kind_for_gold(column) in _GOLD_KINDS
            and not _is_id(self.cells(column))
        ]
        if others or fitting[0].rank > 1:
            left = f"; the file also has {names_text(others)}" if others else ""
            self.gold_notes[best[0]] = Note("columns", f"The score or label is read from {best[0]!r}, by its name{left}")
        return best[0]

    def _kind_for_gold(self, column: str) -> str:
        """As :meth:`kind`, but half of the values are enough where the name says what the column is."""
        kind = self.kind(column)
        return kind if kind != "text" or self.records.classes.get(column) else kind_of(self.cells(column))

    def _say_the_same(self, columns: list[str], wanted: str) -> bool:
        """Whether the columns hold the same scores in all rows, or labels that go with each other one to one."""
        rows = [
            tuple(str(row[self.header.index(column)]) for column in columns)
            for row in self.body
            if len(row) == len(self.header)
        ]
        if wanted == "score":
            return all(len(set(row)) == 1 for row in rows)
        together = set(rows)
        return all(len(together) == len({row[place] for row in together}) for place in range(len(columns)))

    def _gold_by_values(self, free: list[str]) -> str:
        """The only column of labels, else of 0 and 1, else of numbers, that does not tell rows apart. Raises _Unclear."""
        of_other_names = [column for column in free if not may_be_gold(column) and not is_identifier(column)]
        free = [column for column in free if may_be_gold(column)]
        kinds = {column: self.kind(column) for column in free}
        usable = [column for column in free if kinds[column] in _GOLD_KINDS and not _is_id(self.cells(column))]
        if not usable:
            usable = [column for column in free if kind_of(self.cells(column)) == "numbers" and not _is_id(self.cells(column))]
            kinds |= dict.fromkeys(usable, "numbers")
        of_labels = [column for column in usable if kinds[column] == "labels"]
        usable = of_labels or usable
        if len(usable) != 1:
            raise _Unclear(
                f"{len(usable)} columns may be the score or label: {names_text(usable)}"
                if usable
                else "no column holds a score or label" + self._passed_over(of_other_names)
            )
        text = f"The score or label is read from {usable[0]!r}, the only column that may hold one"
        self.gold_notes[usable[0]] = Note("columns", text)
        return usable[0]

    def _passed_over(self, columns: list[str]) -> str:
        """Which columns hold numbers or labels, but are called after something else, as a part of a sentence."""
        held = [column for column in columns if self.kind(column) in _GOLD_KINDS]
        return f", as far as names say: {names_text(held)} would be taken for one only if you say so" if held else ""


_GOLD_KINDS = ("labels", "binary", "classes", "numbers")
_WIDEST_SCALE = 1000


def _is_id(cells: list[Any]) -> bool:
    """Whether numbers tell rows apart or are all the same: whole, and rising, constant or over a wide range."""
    numbers = [as_number(cell) for cell in cells]
    if len(numbers) < 3 or None in numbers or any(number != number // 1 for number in numbers):
        return False
    is_rising = all(a < b for a, b in pairwise(numbers)) or all(a > b for a, b in pairwise(numbers))
    return is_rising or len(set(numbers)) == 1 or max(numbers) - min(numbers) > _WIDEST_SCALE


def _plain_format(records: Records) -> str:
    kind = records.kind.removesuffix(", quoted")
    return f"{kind if kind.isupper() else kind[0].upper() + kind[1:]} table" if "separated" in kind else kind


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
    is_label = any(gold.column == columns.gold for gold in named_gold([columns.gold], "label"))
    is_score = not is_label and bool(named_gold([columns.gold], "score"))
    if kind == "classes" and is_score:
        return table, "similarity", False
    if kind in ("binary", "classes") and sentence_names == ("premise", "hypothesis"):
        return table, "entailment", False
    if kind == "classes" and is_label:
        return table, "entailment", False
    if kind == "binary":
        is_paws = {"id", "sentence1", "sentence2", "label"} <= set(plain) and len(plain) == 4
        return "PAWS" if is_paws else table, "paraphrase", False
    return table, "similarity", False
