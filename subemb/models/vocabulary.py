"""Reading a vocabulary: what every token says, what kind it is, and finding tokens.

>>> words = Vocabulary.from_tokens(["[PAD]", "[unused0]", "the", "##ing", "1990", "##!"], special=[0], num_rows=7)
>>> words.kinds.tolist()
['special', 'unused', 'whole word', 'word piece', 'number', 'punctuation', 'padding row']
>>> words.search("THE"), words.display[3], words.text[3]
([2], '##ing', 'ing')
"""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Annotated

import numpy as np

from ..base.arguments import Limits, checked
from ..base.errors import InputError
from ..base.text import visible
from .characters import TextFacts, text_facts
from .spelling import TokenizerFacts, checked_scheme, decode_token, guess_scheme, read_tokenizer

#: Kinds of token, in the order pages list them. Whitespace and symbols count as punctuation; a byte that is only part of a
#: character is a word piece; T5's <extra_id_0> is special, because the model was trained with it.
KINDS = ("special", "whole word", "word piece", "number", "punctuation", "unused", "padding row")

_UNUSED = re.compile(r"[\[<]?\|?(unused|reserved|madeupword|placeholder)[\w-]*\|?[\]>]?", re.IGNORECASE)
_UNUSED_BARE = re.compile(r"madeupword\d+")
_LONE_BYTE = re.compile(r"⟨0x[0-9A-F]{2}⟩")
# Written without spaces between words: where only a word's beginning is marked, a token without a mark may be a word too.
_UNSPACED = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Javanese")


class Vocabulary:
    """The V rows of a token table in words.

    raw: the tokenizer's own spelling, "" for rows without a token.
    text: what a person reads, spaces included; lone bytes as ``⟨0xE2⟩``.
    display: like text, but safe to look at and never empty: whitespace and invisible characters are drawn, WordPiece keeps
        its ``##``. It may still contain markup: escape it for where it is shown.
    kinds: (V,) str, one of KINDS. scripts: (V,) str, the script of most letters, ``Common`` without letters.
    is_initial: (V,) bool, the token begins a word (as far as the scheme tells).
    scores: (V,) float64 or None, higher is more frequent; NaN for tokens without one. ``score_kind`` says what they are:
        ``log probability`` (natural, unigram models) or ``merge rank`` (minus the rank of the BPE merge that makes it).
    tokenizer_size: rows from there on are padding rows.
    """

    def __init__(self, facts: TokenizerFacts, num_rows: int):
        if num_rows < 1:
            raise InputError(f"a table of {num_rows} rows has no vocabulary; it needs at least 1")
        self.scheme = facts.scheme
        self.tokenizer_size = min(num_rows, max(facts.ids.values(), default=-1) + 1)
        self.raw = [""] * num_rows
        filled = np.zeros(num_rows, dtype=bool)
        for token, i in facts.ids.items():
            if 0 <= i < num_rows:
                self.raw[i], filled[i] = token, True
        decoded = [
            (raw, True) if i in facts.literal else decode_token(raw, self.scheme) if raw else ("", True)
            for i, raw in enumerate(self.raw)
        ]
        self.text: list[str] = [text for text, _ in decoded]
        self.is_initial = np.array([initial for _, initial in decoded], dtype=bool)
        lone = np.array(["⟨0x" in text and _LONE_BYTE.search(text) is not None for text in self.text], dtype=bool)
        # A lone byte is drawn with digits and letters of its own, which must not count.
        about = text_facts([_LONE_BYTE.sub("", text) if lone[i] else text for i, text in enumerate(self.text)])
        self.scripts = about.script
        self.kinds = self._kinds(facts, filled, about, lone)
        self.display = self._displays(about.unsafe, filled)
        self.scores, self.score_kind = _dense(facts.scores, num_rows), facts.score_kind
        if self.scores is not None:
            self.scores[[i for i in facts.special if i < num_rows]] = np.nan  # files write 0 there: no frequency
        for array in (self.kinds, self.scripts, self.is_initial, self.scores):
            if array is not None:
                array.setflags(write=False)

    @classmethod
    def from_tokenizer(cls, tokenizer, num_rows: int | None = None) -> "Vocabulary":
        """The vocabulary of a transformers tokenizer for a table of ``num_rows`` rows (default: as many as it has tokens).

        250,000 tokens take about a second, mostly reading the tokenizer.
        """
        facts = read_tokenizer(tokenizer)
        return cls(facts, max(facts.ids.values(), default=0) + 1 if num_rows is None else num_rows)

    @classmethod
    def from_tokens(
        cls,
        tokens: Sequence[str],
        scheme: str | None = None,
        *,
        num_rows: int | None = None,
        special: Iterable[int] = (),
        scores: Sequence[float] | None = None,
        score_kind: str = "log probability",
    ) -> "Vocabulary":
        """A vocabulary from tokens in id order ("" leaves an id out); ``scheme`` None guesses it from their marks."""
        scheme = guess_scheme(tokens) if scheme is None else checked_scheme(scheme)
        ids: dict[str, int] = {}
        for i, token in enumerate(tokens):
            if token and ids.setdefault(token, i) != i:
                raise InputError(f"the token {token!r} is given twice, as {ids[token]} and {i}; every token has one id")
        special = frozenset(special)
        score_of = None if scores is None else dict(enumerate(scores))
        facts = TokenizerFacts(ids, scheme, special, special, score_of, None if scores is None else score_kind)
        return cls(facts, len(tokens) if num_rows is None else num_rows)

    def __len__(self) -> int:
        return len(self.raw)

    def _kinds(self, facts: TokenizerFacts, filled: np.ndarray, about: TextFacts, lone: np.ndarray) -> np.ndarray:
        whole = self.is_initial
        if self.scheme != "wordpiece":  # there "##" says that a piece continues a word, in any script
            whole = whole | np.isin(self.scripts, _UNSPACED)
        of_letters = np.where(whole, "whole word", "word piece")
        kinds = np.where(about.has_letter, of_letters, np.where(about.has_number, "number", "punctuation")).astype("U11")
        kinds[lone] = "word piece"
        kinds[[i for i in facts.special if i < len(kinds)]] = "special"
        kinds[[i for i, raw in enumerate(self.raw) if _names_unused(raw, i in facts.literal)]] = "unused"
        kinds[~filled] = "unused"
        kinds[self.tokenizer_size :] = "padding row"
        return kinds

    def _displays(self, unsafe: np.ndarray, filled: np.ndarray) -> list[str]:
        shown = self.raw if self.scheme == "wordpiece" else self.text
        display = [text.replace(" ", "␣") for text in shown]
        for i in np.flatnonzero(unsafe):
            if not filled[i]:
                display[i] = f"⟨row {i}⟩"
            elif self.scheme == "wordpiece" and not self.is_initial[i]:
                display[i] = "##" + visible(self.text[i])
            else:
                display[i] = visible(self.text[i])
        return display

    @cached_property
    def _haystack(self) -> tuple[list[str], list[str], np.ndarray]:
        """What is searched: the words themselves, and words, display and raw spelling together; lengths of the words."""
        words = [text.strip().casefold() for text in self.text]
        rows = zip(words, self.display, self.raw, strict=True)
        everything = [f"{word}\0{display.casefold()}\0{raw.casefold()}" for word, display, raw in rows]
        return words, everything, np.fromiter(map(len, words), np.int64, len(words))

    @checked
    def search(self, query: str, limit: Annotated[int, Limits(0)] | None = 50, mode: str = "contains") -> list[int]:
        """Ids of the tokens that match, best first: equal, then beginning with the query, then containing it; short ones
        and small ids first. Case does not matter. The drawn form (``␣the``), the raw one (``▁the``) and lone bytes are found
        too; ``#123`` finds the row 123, and plain digits find that row after the tokens equal to them.

        limit: at most so many, None for all. mode: ``contains``, ``prefix`` or ``exact``. An empty query finds nothing.
        250,000 tokens are searched in some 30 ms, once the first search has prepared them (0.2 s).

        Raises InputError for another mode.
        """
        if mode not in ("contains", "prefix", "exact"):
            raise InputError(f"unknown search mode {mode!r}; choose contains, prefix or exact")
        query = query.replace("\u2060", "").strip()  # the joint that escape_markdown may have left in a copied token
        number = re.fullmatch(r"#?(\d{1,12})", query, re.ASCII)
        row = [int(number[1])] if number and int(number[1]) < len(self) else []
        if number and query.startswith("#"):
            marked = [i for i in self._matches(query, mode) if i not in row]
            return (row + marked)[:limit]
        if not query:
            return []
        found = self._matches(query, mode)
        if row:
            equal = [i for i in found if self._haystack[0][i] == query]
            seen = {*equal, *row}
            found = equal + [i for i in row if i not in equal] + [i for i in found if i not in seen]
        return found[:limit]

    def _matches(self, query: str, mode: str) -> list[int]:
        words, everything, lengths = self._haystack
        wanted = query.casefold()
        hits = [i for i, entry in enumerate(everything) if wanted in entry]
        # A hit may span two of the joined forms only if the query holds a NUL, which no drawn form does.
        rank = np.fromiter((self._rank(words[i], everything[i], wanted) for i in hits), np.int64, len(hits))
        ids = np.array(hits, dtype=np.int64)
        keep = rank <= {"exact": 0, "prefix": 1, "contains": 2}[mode]
        ids, rank = ids[keep], rank[keep]
        return ids[np.lexsort((ids, lengths[ids], rank))].tolist()

    @staticmethod
    def _rank(word: str, entry: str, wanted: str) -> int:
        if word == wanted:
            return 0
        forms = entry.split("\0")[-2:]
        if wanted in forms:
            return 0
        return 1 if word.startswith(wanted) or any(form.startswith(wanted) for form in forms) else 2


def _names_unused(raw: str, literal: bool) -> bool:
    """Whether a spelling says "never used": [unused0], <unused12>, <|reserved_special_token_3|>, madeupword0001."""
    if "unused" not in raw and "eserved" not in raw and "madeupword" not in raw and "placeholder" not in raw:
        return False
    marked = raw[:1] in "[<" and raw[-1:] in "]>"
    return bool(_UNUSED.fullmatch(raw) if marked else _UNUSED_BARE.fullmatch(raw))


def _dense(values: dict[int, float] | None, rows: int) -> np.ndarray | None:
    """(rows,) float64 with NaN where an id has no value, or None."""
    if values is None:
        return None
    out = np.full(rows, np.nan)
    for i, value in values.items():
        if i < rows:
            out[i] = value
    return out
