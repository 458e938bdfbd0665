"""Values of columns: what kind they are, and how scores and labels are written."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .pairs import LABELS, TWO_WAY_LABELS

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
