"""Values of columns: what kind they are, and how scores and labels are written."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...base.errors import InputError
from .pairs import LABELS, TWO_WAY_LABELS, Note

NO_LABEL = "no gold label"
_SAMPLE = 2000


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: As data sets write them in English, and the words of other languages in which translated sets name the three labels.
_ENTAILMENT_WORDS = {
    "entailment": _words(
        "entailment entail entails entailed entailing e implication implikation folgerung implicación implicacion implicação "
        "implicazione следование implicare gerektirme 含意 蕴含 蘊含 蕴涵 함의 استلزام"
    ),
    "neutral": _words(
        "neutral n neutre neutro neutra neutrale neutraal neutralny нейтральность нейтрально nötr tarafsız 中立 中性 중립 محايد"
    ),
    "contradiction": _words(
        "contradiction contradictory contradict contradicts contradicted c widerspruch kontradiktion contradicción contradiccion "
        "contradição contraddizione tegenspraak motsägelse sprzeczność противоречие çelişki 矛盾 모순 تناقض"
    ),
    "not_entailment": _words(
        "not_entailment non_entailment nonentailment notentailment no_entailment not_entailed non_entailed not_entails not_entail"
    ),
}
_PARAPHRASE_WORDS = {
    1: ("1", "true", "yes", "paraphrase", "equivalent", "duplicate", "positive"),
    0: ("0", "false", "no", "not_paraphrase", "non_paraphrase", "not_equivalent", "not_duplicate", "negative"),
}
_SPELLINGS = {word: label for label, words in _ENTAILMENT_WORDS.items() for word in words}
_YES_NO = {word: value for value, words in _PARAPHRASE_WORDS.items() for word in words}
#: What SNLI writes where annotators did not agree, and Hugging Face where a label is kept secret.
WITHOUT = ("", "-", "-1", "hidden", "none", "nan", "null", "\\n", "n/a", "#n/a", "?")  # \\N: what databases write
BINARY_OR_NONE = frozenset((*_YES_NO, *WITHOUT))


def plain_word(value: Any) -> str:
    """A value as a lower-case word.

    >>> [plain_word(value) for value in ("Not Entailment ", True, None, 2.0, "1.0", "-1")]
    ['not_entailment', 'true', '', '2', '1', '-1']
    """
    word = "" if value is None else str(value).strip().lower()
    word = word[:-2] if word.endswith(".0") else word
    return word if word in WITHOUT else re.sub(r"[\s\-]+", "_", word)


def as_number(value: Any) -> float | None:
    """A number, or None. A comma for the decimal point is understood, as spreadsheets write it in much of Europe, and so is a sign of
    per cent. What a comma means where numbers have groups of thousands, only a whole column can say (:func:`score_reader`).

    >>> as_number(" 3.8 "), as_number("3,8"), as_number("1,000.5"), as_number("1_0"), as_number(""), as_number("nan"), as_number("95 %")
    (3.8, 3.8, None, None, None, nan, 95.0)
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if not isinstance(value, str) or "_" in value:
        return None
    value = value.replace("\N{MINUS SIGN}", "-").strip().removesuffix("%")
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return float(value.replace(",", ".")) if value.count(",") == 1 and "." not in value else None
    except ValueError:
        return None


def kind_of(values: Sequence[Any], share: float = 0.5) -> str:
    """What the values of a column are: ``labels`` of entailment, ``binary`` (0 and 1, yes and no, ...), ``classes`` (0, 1, 2, or 1, 2, 3),
    ``numbers``, ``text``, or ``nothing``.

    The first values that are filled decide; at least ``share`` of them must be of the kind.
    """
    filled = [value for value in values[:_SAMPLE] if plain_word(value) not in WITHOUT]
    if not filled:
        return "nothing"
    words = [plain_word(value) for value in filled]
    numbers = [number for value in filled if (number := _roughly(value)) is not None and math.isfinite(number)]
    enough = share * len(filled)
    if sum(word in _SPELLINGS for word in words) >= enough:
        return "labels"
    if all(word in _YES_NO for word in words):
        return "binary"
    if len(numbers) >= enough:
        is_few = set(numbers) <= {0.0, 1.0, 2.0} or set(numbers) == {1.0, 2.0, 3.0}
        return "classes" if is_few and len(numbers) == len(filled) else "numbers"
    return "binary" if sum(word in _YES_NO for word in words) >= enough else "text"


# Scores

#: Digits in groups of three, and perhaps a part behind the decimal mark.
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([,.' \u00a0\u202f’])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_COULD_BE_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")


def _roughly(value: Any) -> float | None:
    """A number, however its digits are grouped, or None: enough to see that a value is one."""
    number = as_number(value)
    if number is None and isinstance(value, str) and _GROUPED.fullmatch(_bare(value)):
        number = as_number(re.sub(r"[^\d+-]", "", value))
    return number


def _bare(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-").strip().removesuffix("%").strip()


def score_of(value: Any) -> float | str:
    """A finite score, or the reason why there is none."""
    return _score(value, as_number)


def _score(value: Any, number_of: Callable[[Any], float | None]) -> float | str:
    number = number_of(value)
    if number is None:
        return "blank score" if value is None or plain_word(value) in WITHOUT else "score is not a number"
    if math.isnan(number) and not isinstance(value, str):
        return "blank score"  # how numeric columns write a gap
    return number if math.isfinite(number) else "score is not finite"


def score_reader(values: Sequence[Any]) -> tuple[Callable[[Any], float | str], list[Note]]:
    """How to read the scores of a column: a function from a value to a finite score or the reason why there is none, and notes on what was
    inferred: which of comma and point is the decimal mark, and what signs of per cent mean.

    >>> read, notes = score_reader(["1,250.5", "980"])
    >>> read("1,250.5"), notes[0].text
    (1250.5, 'Scores have groups of thousands: 1,250.5 is read as 1250.5')
    """
    texts = [value.strip() for value in set(values) if isinstance(value, str) and plain_word(value) not in WITHOUT]
    if not texts:
        return score_of, []
    notes: list[Note] = []
    number_of, example = _decimal_marks({_bare(text) for text in texts})
    if example:
        notes.append(Note("scores", example))
    signs = sum(text.endswith("%") for text in texts)
    if not signs:
        return lambda value: _score(value, number_of), notes
    has_sign = 2 * signs >= len(texts)
    notes.append(
        Note(
            "scores",
            "Scores are written with a sign of per cent: 95% is read as 95"
            if has_sign
            else "Scores are numbers without a sign of per cent",
        )
    )

    def read(value: Any) -> float | str:
        score = _score(value, number_of)
        if isinstance(score, str) or (isinstance(value, str) and value.strip().endswith("%")) == has_sign:
            return score
        return (
            "score without a sign of per cent, unlike the others"
            if has_sign
            else "score with a sign of per cent, unlike the others"
        )

    return read, notes


def _decimal_marks(texts: set[str]) -> tuple[Callable[[Any], float | None], str]:
    """(how to read the numbers, what was inferred about them or ""), by all that a column writes."""
    commas = {text for text in texts if "," in text}
    grouped = {text for text in texts if as_number(text) is None and _GROUPED.fullmatch(text)}
    if not commas and not grouped:
        return as_number, ""
    point = _decimal_mark(texts, commas, grouped)
    points = {text for text in texts if "." in text and "," not in text}
    # Nothing shows groups of thousands: then 3.800 beside 3,8 is written with another decimal mark, as 2.5 is.
    has_both_marks = point == "," and not grouped and not _are_groups(points, texts)

    def number_of(value: Any) -> float | None:
        if not isinstance(value, str):
            return as_number(value)
        text = _bare(value)
        if not _GROUPED.fullmatch(text) or (has_both_marks and "," not in text):
            return as_number(text) if point == "," or "," not in text else None
        whole, mark, part = text.rpartition(point)
        if point in whole:
            return None
        digits = re.sub(r"[^\d+-]", "", whole if mark else part)
        return float(f"{digits}.{part}" if mark else digits)

    if point == "," and not grouped:
        example = min(commas)
        text = f"Scores have decimal commas: {example} is read as {number_of(example) or 0:g}"
        if points:
            example, others = min(points), "decimal points" if has_both_marks else "groups of thousands"
            text += f". Others have {others}: {example} is read as {number_of(example) or 0:g}"
        return number_of, text
    example = min(grouped or commas)
    number = number_of(example)
    return number_of, "" if number is None else f"Scores have groups of thousands: {example} is read as {number:.10g}"


def _are_groups(points: set[str], texts: set[str]) -> bool:
    """Whether numbers with a point are thousands, where commas are decimal marks: all could be, and others are as large."""
    return bool(points) and all(map(_COULD_BE_GROUPED.fullmatch, points)) and _reach_a_hundred(texts - points)


def _reach_a_hundred(texts: set[str]) -> bool:
    """Whether numbers, with either decimal mark, are nearly as large as those that are written in groups of thousands."""
    numbers = (as_number(text.replace(",", ".")) for text in texts)
    return any(number is not None and math.isfinite(number) and abs(number) >= 100 for number in numbers)


def _decimal_mark(texts: set[str], commas: set[str], grouped: set[str]) -> str:
    """Comma or point, whichever stands before the part of a number that is below one."""
    both = [text for text in grouped if "," in text and "." in text]
    if both:
        return max(",.", key=both[0].rfind)
    if any(text.count(",") > 1 for text in grouped):
        return "."
    if any(text.count(".") > 1 for text in grouped):
        return ","
    if not commas or not all(map(_COULD_BE_GROUPED.fullmatch, commas)):
        return "," if commas else "."
    has_points = any("." in text for text in texts - commas)
    return "." if has_points or _reach_a_hundred(texts - commas) else ","


# Labels


def binary_reader(meanings: Mapping[str, str] | None):
    """A function from a value to 0, 1 or the reason why it is neither. meanings: what its words stand for, if that is known."""

    def read(value: Any) -> int | str:
        word = _meaning(value, meanings)
        if word in WITHOUT:
            return NO_LABEL if word else "blank label"
        return _YES_NO.get(word, "label is not understood")

    return _remembering(read)


@dataclass(frozen=True)
class LabelReader:
    """How to read the labels of entailment of a column."""

    labels: tuple[str, ...]  # LABELS or TWO_WAY_LABELS
    read: Callable[[Any], int | str]  # from a value to an index into ``labels``, or the reason why it has none
    note: str  # what numbers were taken for; empty if there are none
    unknown: dict[str, int]  # plain words of the file that are not understood -> rows that have them


_SLIPS = 0.1  # share of the rows from which on -1 beside 0 and 1 need not stand for a missing label
USUAL_ORDER = ", ".join(f"{number} {label}" for number, label in enumerate(LABELS))


def label_reader(
    values: Sequence[Any], meanings: Mapping[str, str] | None = None, one_is_entailment: bool = False
) -> LabelReader:
    """How to read the labels of entailment in these values.

    meanings: what words or numbers stand for, if that is known. one_is_entailment: of the labels 0 and 1, 1 means entailment (WNLI).
    Otherwise numbers are read in the order of the hub: 0 entailment, 1 neutral, 2 contradiction; if there are only 0 and 1,
    0 is entailment and 1 is not. Raises InputError for numbers that have no usual order, such as 1, 2, 3.
    """
    written = Counter()
    for value, count in Counter(values).items():
        written[plain_word(value)] += count
    words = Counter()
    for word, count in written.items():
        words[_named(word, meanings)] += count
    known = {label: sum(words[word] for word in spellings) for label, spellings in _ENTAILMENT_WORDS.items()}
    note = ""
    table: dict[str, str]
    if sum(known.values()) or meanings:
        two_way = known["not_entailment"] > known["neutral"] + known["contradiction"]
        table = _SPELLINGS
    else:
        numbers = sorted(word for word in words if word.isdigit())
        if len(numbers) > 1 and "0" not in numbers:
            raise InputError(
                f"labels are the numbers {', '.join(numbers[:9])}, and nothing says what they mean; say it with --labels, such as "
                "--labels 1=entailment,2=neutral,3=contradiction (on a page: What the labels mean)"
            )
        if "2" not in words and len(numbers) > 1 and words["-1"] > _SLIPS * words.total():
            raise InputError(
                "labels are the numbers -1, 0, 1, and nothing says whether -1 is a label or means that there is none; say what they mean with "
                "--labels, such as --labels 0=neutral,1=entailment,-1=contradiction (on a page: What the labels mean)"
            )
        two_way = "2" not in words
        order = TWO_WAY_LABELS[::-1] if one_is_entailment else TWO_WAY_LABELS if two_way else LABELS
        table = {str(number): label for number, label in enumerate(order)}
        if numbers:
            note = "Labels are numbers, read as " + ", ".join(f"{number} {label}" for number, label in enumerate(order))
    labels = TWO_WAY_LABELS if two_way else LABELS
    places = {word: labels.index(label) for word, label in table.items() if label in labels}

    def read(value: Any) -> int | str:
        word = _meaning(value, meanings)
        if word in WITHOUT:
            return NO_LABEL if word else "blank label"
        return places.get(word, "label is not understood")

    unknown = {word: count for word, count in written.items() if _named(word, meanings) not in (*WITHOUT, *places)}
    return LabelReader(labels, _remembering(read), note, unknown)


def meaning_of_label(text: str) -> str | None:
    """The label or "paraphrase", "not_paraphrase" that a word stands for, or None.

    >>> [meaning_of_label(text) for text in ("Not entailment", "c", "duplicate", "0", "green")]
    ['not_entailment', 'contradiction', 'paraphrase', None, None]
    """
    word = plain_word(text)
    if word in _SPELLINGS:
        return _SPELLINGS[word]
    return None if word not in _YES_NO or word.isdigit() else "paraphrase" if _YES_NO[word] else "not_paraphrase"


def labels_of(text: str) -> tuple[tuple[str, str], ...]:
    """What somebody says that labels mean. Raises InputError for a part that does not say it.

    >>> labels_of("0=contradiction, 1=entailment")
    (('0', 'contradiction'), ('1', 'entailment'))
    """
    found = [part.partition("=")[::2] for part in text.split(",") if part.strip()]
    for word, meaning in found:
        if not word.strip() or meaning_of_label(meaning) is None:
            raise InputError(
                f"{f'{word.strip()}={meaning.strip()}'!r:.80} does not say what a label means; write 0=entailment,1=neutral,2=contradiction "
                "(also not_entailment, paraphrase, not_paraphrase)"
            )
    return tuple((word.strip(), meaning.strip()) for word, meaning in found)


def _meaning(value: Any, meanings: Mapping[str, str] | None) -> str:
    return _named(plain_word(value), meanings)


def _named(word: str, meanings: Mapping[str, str] | None) -> str:
    if meanings and word in meanings:
        return plain_word(meanings[word])
    return f"number_{word}" if meanings and word.isdigit() else word


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
