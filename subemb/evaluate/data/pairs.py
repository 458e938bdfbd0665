"""Labelled sentence pairs and word pairs, as every evaluation takes them, whatever file they came from."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...base.arguments import checked
from ...base.errors import InputError
from ...base.plain import is_whole
from ...base.shown import Brief
from .kinds import KINDS

LABELS = ("entailment", "neutral", "contradiction")
TWO_WAY_LABELS = ("entailment", "not_entailment")
LINES_KEPT = 5  # line numbers that are kept as examples of one reason
UNKNOWN_LANGUAGE = "und"  # ISO 639 for "undetermined"


@dataclass(frozen=True)
class Columns:
    """Which columns to read, by name, or by number from 1 (as text) where there is no header."""

    first: str  # the sentences; for entailment premise and hypothesis
    second: str
    gold: str  # score or label
    language: str | None = None  # a language code in each row

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are read: first, second and gold, and perhaps the language.

        >>> Columns("a", "b", "score").names
        ('a', 'b', 'score')
        """
        return (self.first, self.second, self.gold, *([self.language] if self.language else []))


#: Name of a separator -> the character between two fields.
SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
ALL_LANGUAGES = "all"


@dataclass(frozen=True)
class Reading:
    """What is said about a file, so that it need not be inferred. Every part may stay open. Raises InputError for unknown words."""

    header: bool | None = None  # whether the first line names the columns
    separator: str | None = None  # one of SEPARATORS
    labels: tuple[tuple[str, str], ...] = ()  # (as the file writes it, what it means): ("0", "entailment")
    languages: tuple[str, ...] = ()  # codes to be read; ALL_LANGUAGES among them: all; () leaves the choice open

    def __post_init__(self):
        object.__setattr__(self, "labels", tuple(map(tuple, self.labels)))
        object.__setattr__(self, "languages", tuple(self.languages))
        if self.separator is not None and self.separator not in SEPARATORS:
            raise InputError(f"there is no separator {self.separator!r}; separators are {', '.join(SEPARATORS)}")


#: What may be inferred about labelled data -> how to say otherwise: on the command line, and on a page.
OTHERWISE = {
    "columns": ("--columns first=NAME,second=NAME,gold=NAME", "choose others under Columns"),
    "header": ("--header yes or --header no", "say so under How the file is written"),
    "separator": ("--separator tab, comma, semicolon or pipe", "say so under How the file is written"),
    "text": ("write the file as JSON lines or Parquet", "write the file as JSON lines or Parquet"),
    "labels": ("--labels 0=entailment,1=neutral,2=contradiction", "say so under How the file is written"),
    "paraphrases": ("--labels 1=paraphrase,0=not_paraphrase", "say so under How the file is written"),
    "language of columns": ("--languages de, or --columns first=NAME,second=NAME,gold=NAME", "choose others under Columns"),
    "scores": ("write them as plain numbers with a decimal point", "write them as plain numbers with a decimal point"),
    "language": ("--languages de,fr or --languages all", "choose under Languages"),
    "part of speech": ("--words-as-written", "choose Words as they are written"),
    "file name": ("another name of the file", "another name of the file"),
    "text columns": ("--text-columns NAME,NAME", "name them under Columns"),
    "short file": ("", ""),
    "left out": ("", ""),
    "measures": ("", ""),
}


@dataclass(frozen=True)
class Note:
    """Something about labelled data that was inferred, or that limits what can be measured on it."""

    about: str  # one of OTHERWISE
    text: str  # a sentence for the user, without its full stop

    def otherwise(self, on_page: bool = False) -> str:
        """How to say otherwise, on the command line or on a page; empty where there is nothing to choose."""
        return OTHERWISE.get(self.about, ("", ""))[on_page]

    def sentence(self, on_page: bool = False) -> str:
        """The note as a sentence, with how to say otherwise behind it."""
        otherwise = self.otherwise(on_page)
        return f"{self.text}. To say otherwise: {otherwise}." if otherwise else f"{self.text}."

    def to_dict(self) -> dict[str, str]:
        """JSON types, with how to say otherwise on the command line."""
        return {"about": self.about, "text": self.text, "otherwise": self.otherwise()}


@dataclass(frozen=True)
class Skipped:
    """Rows that were left out for one reason."""

    reason: str
    count: int
    lines: tuple[int, ...] = ()  # the first few of their line numbers, from 1


@dataclass(frozen=True, eq=False, repr=False)
class PairSet(Brief):
    """n labelled pairs of sentences. Sets with equal content and name are equal. Raises InputError if the parts do not fit together."""

    name: str  # the file's, or what a page calls it
    task: str  # a key of KINDS
    format: str  # what the file was recognised as, in words
    first: tuple[str, ...]  # n sentences; for entailment the premises
    second: tuple[str, ...]  # n sentences; for entailment the hypotheses
    gold: np.ndarray  # (n,) read-only: float64 scores (similarity), int64 0 or 1 (paraphrase), int64 indices into ``labels``
    labels: tuple[str, ...] = ()  # for entailment ``LABELS``, or ``TWO_WAY_LABELS`` for sets with two classes; else empty
    languages: tuple[str, ...] = ()  # one code for each pair, or empty
    skipped: tuple[Skipped, ...] = ()  # rows of the file that are not among the pairs
    notes: tuple[Note, ...] = ()  # everything that was inferred, and how
    columns: Columns | None = None  # those that were read; None where there are none, or other ones in each file

    def __post_init__(self):
        if self.task not in KINDS:
            raise InputError(f"there is no task {self.task!r}; tasks are {', '.join(KINDS)}")
        count = len(self.first)
        if not (len(self.second) == len(self.gold) == count and len(self.languages) in (0, count)):
            raise InputError(
                f"{count} first sentences, {len(self.second)} second ones, {len(self.gold)} gold values and "
                f"{len(self.languages)} languages do not make pairs; give one of each a pair"
            )
        gold = np.array(self.gold, dtype=np.float64 if self.task == "similarity" else np.int64)
        gold.flags.writeable = False
        object.__setattr__(self, "gold", gold)
        for part in ("first", "second", "labels", "languages", "skipped", "notes"):
            object.__setattr__(self, part, tuple(getattr(self, part)))

    def __setstate__(self, state: dict):
        # A pickled array comes back writeable.
        self.__dict__.update(state)
        self.gold.flags.writeable = False

    def __len__(self) -> int:
        return len(self.first)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PairSet) and (self.name, self.digest) == (other.name, other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the content: task, labels, pairs, gold and languages, but not the name."""
        return _digest(
            self.task, *(_packed(part) for part in (self.labels, self.first, self.second, self.languages)), self.gold.tobytes()
        )

    @property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest gold value that occurs."""
        return (float(self.gold.min()), float(self.gold.max())) if len(self) else (0.0, 0.0)

    @property
    def skipped_count(self) -> int:
        """Rows left out, for all reasons together."""
        return sum(entry.count for entry in self.skipped)

    def sample(self, limit: int, seed: int = 0) -> "PairSet":
        """At most ``limit`` pairs drawn without replacement, in their order here; the set itself if it is small enough.

        Raises InputError for a limit below 1.
        """
        if not is_whole(limit, 1):
            raise InputError(f"a sample of {limit!r} pairs is not possible; give a whole number of at least 1")
        if limit >= len(self):
            return self
        return self.select(np.sort(np.random.default_rng(seed).choice(len(self), limit, replace=False)))

    def select(self, chosen: Sequence[int] | Sequence[bool] | np.ndarray) -> "PairSet":
        """The pairs of a boolean mask (n,) or of indices, in the order of the indices."""
        chosen = np.asarray(chosen)
        if chosen.dtype == bool:
            if chosen.shape != (len(self),):
                raise InputError(f"a mask of shape {chosen.shape} does not fit {len(self):,} pairs")
            chosen = np.flatnonzero(chosen)
        places = chosen.astype(np.int64).tolist()
        return replace(
            self,
            first=tuple(self.first[place] for place in places),
            second=tuple(self.second[place] for place in places),
            gold=self.gold[places],
            languages=tuple(self.languages[place] for place in places) if self.languages else (),
        )

    def by_language(self) -> dict[str, "PairSet"]:
        """One set for each language, in the order in which they first occur; empty if no language is known."""
        places: dict[str, list[int]] = {}
        for place, language in enumerate(self.languages):
            places.setdefault(language, []).append(place)
        return {language: self.select(chosen) for language, chosen in places.items()}


@checked
def combine(sets: Iterable[PairSet]) -> PairSet:
    """All pairs of several sets of one task, for example one file for each language, in the order given.

    Where only some sets give their language, the pairs of the others get ``und``.
    Raises InputError if there is no set, or tasks or labels differ.
    """
    sets = tuple(sets)
    if not sets:
        raise InputError("there is no set to combine; give at least one")
    if len(sets) == 1:
        return sets[0]
    if len({(part.task, part.labels) for part in sets}) > 1:
        kinds = ", ".join(
            f"{part.name}: {part.task}" + (f" ({len(part.labels)} labels)" if part.labels else "") for part in sets
        )
        raise InputError(f"these sets cannot be put together: {kinds}; give sets of one kind")
    several = any(part.languages for part in sets)
    languages = [code for part in sets for code in (part.languages or (UNKNOWN_LANGUAGE,) * len(part))] if several else []
    return PairSet(
        name=_joined([part.name for part in sets]),
        task=sets[0].task,
        format=", ".join(dict.fromkeys(part.format for part in sets)),
        first=tuple(text for part in sets for text in part.first),
        second=tuple(text for part in sets for text in part.second),
        gold=np.concatenate([part.gold for part in sets]),
        labels=sets[0].labels,
        languages=tuple(languages),
        skipped=tuple(replace(entry, reason=f"{part.name}: {entry.reason}") for part in sets for entry in part.skipped),
        notes=_joint_notes(sets),
        columns=sets[0].columns if len({part.columns for part in sets}) == 1 else None,
    )


def _joint_notes(sets: Sequence[PairSet]) -> tuple[Note, ...]:
    """Every note once; one that is not true of all sets begins with the names of those that it is about."""
    found: dict[Note, list[str]] = {}
    for part in sets:
        for note in part.notes:
            found.setdefault(note, []).append(part.name)
    return tuple(
        note if len(names) == len(sets) else replace(note, text=f"{_joined(names)}: {note.text}")
        for note, names in found.items()
    )


def _joined(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more files"


@dataclass(frozen=True, eq=False, repr=False)
class WordSet(Brief):
    """n pairs of words with human scores."""

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    gold: np.ndarray  # (n,) float64, read-only
    skipped: tuple[Skipped, ...] = ()  # lines of the file that are not among the pairs
    format: str = ""  # what the list was recognised as, in words
    notes: tuple[Note, ...] = ()  # everything that was inferred, and how
    columns: Columns | None = None  # of words and scores; None where lines are read as word word score
    task = "words"

    __setstate__ = PairSet.__setstate__

    def __post_init__(self):
        gold = np.array(self.gold, dtype=np.float64)
        gold.flags.writeable = False
        object.__setattr__(self, "gold", gold)
        for part in ("first", "second", "skipped", "notes"):
            object.__setattr__(self, part, tuple(getattr(self, part)))

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the content."""
        return _digest("words", _packed(self.first), _packed(self.second), self.gold.tobytes())


def _packed(texts: Sequence[str]) -> bytes:
    """Texts with their lengths as bytes, so that different lists never give the same bytes."""
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    return b"".join((np.array([len(parts), *map(len, parts)], dtype="<i8").tobytes(), *parts))


def _digest(*parts: str | bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else part)
    return found.hexdigest()[:16]


class SkipCounter:
    """Counts rows that are left out, by reason, with the first few line numbers."""

    def __init__(self):
        self._found: dict[str, tuple[int, list[int]]] = {}

    def add(self, reason: str, line: int, count: int = 1) -> None:
        """Note ``count`` rows; ``line`` is the first one's number, from 1."""
        before, lines = self._found.get(reason, (0, []))
        if len(lines) < LINES_KEPT:
            lines.append(line)
        self._found[reason] = (before + count, lines)

    def result(self) -> tuple[Skipped, ...]:
        """By reason, the most frequent first."""
        entries = (Skipped(reason, count, tuple(lines)) for reason, (count, lines) in self._found.items())
        return tuple(sorted(entries, key=lambda entry: -entry.count))


@checked
def skipped_text(skipped: Sequence[Skipped]) -> str:
    """Reasons with counts and examples, in one line; empty if there are none.

    >>> skipped_text([Skipped("blank score", 3, (2, 5, 9)), Skipped("empty sentence", 1, (7,))])
    'blank score: 3 (lines 2, 5, 9); empty sentence: 1 (line 7)'
    """
    return "; ".join(f"{entry.reason}: {entry.count:,}{_lines_text(entry)}" for entry in skipped)


def _lines_text(entry: Skipped) -> str:
    if not entry.lines:
        return ""
    more = ", …" if entry.count > len(entry.lines) else ""
    return f" (line{'s' if len(entry.lines) > 1 or more else ''} {', '.join(f'{line:,}' for line in entry.lines)}{more})"
