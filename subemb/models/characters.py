"""What characters tokens are made of, for whole vocabularies at once: letters, numbers, scripts, the invisible.

Every distinct character is looked up once (a vocabulary of 250,000 tokens has some 15,000) and numpy does the rest.
"""

import unicodedata
from typing import NamedTuple

import numpy as np

from ..base.text import visible_character

#: Names of characters begin with their script, except these: word -> script (None: the next word decides).
_SCRIPT_WORDS = {
    "CJK": "Han",
    "KANGXI": "Han",
    "IDEOGRAPHIC": "Han",
    "FULLWIDTH": None,
    "HALFWIDTH": None,
    "MODIFIER": "Latin",
    "MATHEMATICAL": "Common",
    "KATAKANA-HIRAGANA": "Common",
    "MICRO": "Greek",
    "OHM": "Greek",
    "KELVIN": "Latin",
    "ANGSTROM": "Latin",
    "FEMININE": "Latin",
    "MASCULINE": "Latin",
    "OLD": None,
    "NEW": None,
    "SUPERSCRIPT": None,
    "SUBSCRIPT": None,
    "SCRIPT": "Latin",
    "DOUBLE-STRUCK": "Latin",
    "BLACK-LETTER": "Latin",
    "CARON": "Common",
    "VEDIC": "Common",
}


def script_of(character: str) -> str:
    """The script of a letter or mark by the first word of its Unicode name; ``Common`` for everything else.

    Python's unicodedata does not know scripts. The names of letters tell them, with a few exceptions.

    >>> [script_of(c) for c in "aя的ب한の1!"]
    ['Latin', 'Cyrillic', 'Han', 'Arabic', 'Hangul', 'Hiragana', 'Common', 'Common']
    """
    if unicodedata.category(character)[0] not in "LM":
        return "Common"
    for word in unicodedata.name(character, "Common").split():
        script = _SCRIPT_WORDS.get(word, word.capitalize())
        if script is not None:
            return "Common" if script in ("Combining", "Variation") else script
    return "Common"


class TextFacts(NamedTuple):
    """Arrays about n texts, (n,) each."""

    has_letter: np.ndarray  # bool
    has_number: np.ndarray  # bool
    unsafe: np.ndarray  # bool: empty, or with characters other than the plain space that need a visible stand-in
    script: np.ndarray  # str: that of most letters


def text_facts(texts: list[str]) -> TextFacts:
    """Facts of every text; marks count as letters, and for the script only letters count."""
    count = len(texts)
    lengths = np.fromiter(map(len, texts), np.int64, count)
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    distinct, which = np.unique(points, return_inverse=True)
    characters = [chr(point) for point in distinct]
    category = np.array([unicodedata.category(c)[0] for c in characters], dtype="U1")
    letter, number = np.isin(category, ("L", "M")), category == "N"
    unsafe = np.array([c != " " and visible_character(c) != c for c in characters], dtype=bool)
    scripts, script = np.unique([script_of(c) for c in characters] + ["Common"], return_inverse=True)
    owner = np.repeat(np.arange(count), lengths)  # the text that every character belongs to
    starts_with_mark = np.zeros(count, dtype=bool)
    filled = lengths > 0
    firsts = (np.cumsum(lengths) - lengths)[filled]
    starts_with_mark[filled] = (category == "M")[which[firsts]]

    def any_of(flags: np.ndarray) -> np.ndarray:
        found = np.zeros(count, dtype=bool)
        found[owner[flags[which]]] = True
        return found

    of_letters = letter[which] & (scripts[script[which]] != "Common")
    majority = _majority(owner[of_letters], script[which][of_letters], count, len(scripts))
    common = int(np.flatnonzero(scripts == "Common")[0])
    return TextFacts(
        any_of(letter),
        any_of(number),
        any_of(unsafe) | starts_with_mark | ~filled,
        scripts[np.where(majority < 0, common, majority)],
    )


def _majority(owner: np.ndarray, label: np.ndarray, owners: int, labels: int) -> np.ndarray:
    """The most frequent label of every owner (the smaller label on a tie), -1 for owners without any."""
    pairs, counts = np.unique(owner * labels + label, return_counts=True)
    order = np.lexsort((-pairs, counts))  # written last, and so kept: the most frequent, on a tie the smaller
    winner = np.full(owners, -1)
    winner[pairs[order] // labels] = pairs[order] % labels
    return winner
