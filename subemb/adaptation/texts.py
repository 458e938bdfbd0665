"""The text that an adaptation reads: sentences that somebody gives, or token sequences drawn from the vocabulary itself."""

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..base.arguments import checked
from ..base.errors import InputError
from ..base.shown import Brief
from ..evaluate.data.pairs import Note, PairSet, Reading
from ..evaluate.data.read import read_pairs
from ..evaluate.data.sentences import read_sentences
from ..evaluate.data.tables import decoded, read_bytes
from ..models.drawn import sampled_rows
from ..models.model import PretrainedModel
from .mixing import Mixture

LONGEST = 400  # characters of a line beyond which it is cut into sentences
FEWEST = 8  # sentences, or pairs, to learn from
VOCABULARY = "vocabulary"
_TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_END = re.compile(r"(?<=[.!?…。！？])\s+")
_WIKITEXT = (" @-@ ", " @,@ ", " <unk> ")  # marks of the tokens of that corpus


class TooFew(InputError):
    """A text with fewer than FEWEST sentences."""

    def __init__(self, name: str, count: int):
        super().__init__(f"{name} has {count} different sentences; give at least {FEWEST}, one a line, or no text at all")
        self.count = count


@dataclass(frozen=True, repr=False)
class Text(Brief):
    """Sentences without labels, of one source or several. Raises TooFew, an InputError, if there are fewer than FEWEST."""

    name: str  # the file's, or what a page calls it
    sentences: tuple[str, ...]  # each once, in their order
    skipped: int = field(default=0, compare=False)  # how many were left out because they occurred before
    sizes: tuple[int, ...] = ()  # sentences of each source, which lie one after the other; (): there is one source
    notes: tuple[tuple[str, "Note"], ...] = field(default=(), compare=False)  # file and what was inferred about it

    def __post_init__(self):
        object.__setattr__(self, "sentences", tuple(self.sentences))
        object.__setattr__(self, "sizes", tuple(self.sizes) or (len(self.sentences),))
        object.__setattr__(self, "notes", tuple(map(tuple, self.notes)))
        if sum(self.sizes) != len(self.sentences):
            raise InputError(f"{self.name} has {len(self.sentences)} sentences, but its sources add up to {sum(self.sizes)}")
        if len(self.sentences) < FEWEST:
            raise TooFew(self.name, len(self.sentences))

    def __len__(self) -> int:
        return len(self.sentences)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the sentences."""
        sizes = f"\0\0{self.sizes}" if len(self.sizes) > 1 else ""
        return hashlib.sha256(("\0".join(self.sentences) + sizes).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def without(self, held_out: PairSet | None) -> "Text":
        """The same without any sentence of a labelled set, so that no model learns from what it is scored on."""
        if held_out is None:
            return self
        taken = {plain(sentence) for part in (held_out.first, held_out.second) for sentence in part}
        return self.select([plain(text) not in taken for text in self.sentences])

    def select(self, kept: Sequence[bool]) -> "Text":
        """The same with a part of its sentences; sources of which nothing is left are gone. kept: one for each sentence."""
        ends = [0, *itertools.accumulate(self.sizes)]
        sizes = tuple(sum(kept[start:end]) for start, end in itertools.pairwise(ends))
        sentences = tuple(itertools.compress(self.sentences, kept))
        return replace(self, sentences=sentences, sizes=tuple(size for size in sizes if size))


@checked
def text_of(sentences: Sequence, name: str = "the text") -> Text:
    """Sentences of a list, each once, blank ones left out. Raises InputError for anything but strings, or too few."""
    if isinstance(sentences, str):
        return read_text(sentences, name)
    kept: dict[str, None] = {}
    count = 0
    for place, sentence in enumerate(sentences):
        if not isinstance(sentence, str):
            raise InputError(f"sentence {place} of {name} is {sentence!r}, a {type(sentence).__name__} instead of a string")
        if sentence.strip():
            count += 1
            kept[" ".join(sentence.split())] = None
    return Text(name, tuple(kept), count - len(kept))


def one_text(parts: Sequence[Text]) -> Text:
    """Several texts as one, under all their names; each is a source, from which equally much is learned. A sentence that occurs in
    several is one of the first."""
    if len(parts) == 1:
        return parts[0]
    seen: set[str] = set()
    sizes = []
    for part in parts:
        before = len(seen)
        seen.update(part.sentences)
        sizes.append(len(seen) - before)
    sentences = tuple(dict.fromkeys(sentence for part in parts for sentence in part.sentences))
    skipped = sum(part.skipped + len(part) for part in parts) - len(sentences)
    notes = tuple(note for part in parts for note in part.notes)
    return Text(", ".join(part.name for part in parts), sentences, skipped, tuple(size for size in sizes if size), notes)


@checked
def read_text(content: str | bytes, name: str) -> Text:
    """One sentence a line; a line of over LONGEST characters is cut where sentences end.

    Raises InputError for bytes that are not UTF-8 or UTF-16 text, or for too few sentences.
    """
    text = decoded(content, name) if isinstance(content, bytes) else content
    lines = text.replace("\0", " ").splitlines()
    is_wikitext = any(mark in text for mark in _WIKITEXT)
    if is_wikitext:
        lines = [_rejoined(line) for line in lines if not line.strip().startswith("= ")]
    parts = [part for line in lines for part in (_END.split(line) if len(line) > LONGEST else [line])]
    found = text_of([part[i : i + 4 * LONGEST] for part in parts for i in range(0, max(1, len(part)), 4 * LONGEST)], name)
    if not is_wikitext:
        return found
    note = Note(
        "WikiText", "Read as WikiText: @-@, @,@ and @.@ are joined again, headings left out, and <unk> is an unknown word"
    )
    return replace(found, notes=((name, note),))


def _rejoined(line: str) -> str:
    """A line of WikiText as it was written before it was cut into tokens, with ``[UNK]`` for what it hides.

    >>> _rejoined("A part @-@ time job of 1 @,@ 000 <unk> .")
    'A part-time job of 1,000 [UNK] .'
    """
    return re.sub(r" @([-,.])@ ", r"\1", line).replace("<unk>", "[UNK]")


def read_texts(paths: Sequence[Path], columns: Sequence[str] = (), reading: Reading | None = None) -> Text:
    """Files and folders as one text; each is a source, from which equally much is learned. columns, reading: see
    :func:`read_text_bytes`. Raises InputError as the readers do."""
    return one_text(
        [read_folder(path, columns, reading) if path.is_dir() else read_text_file(path, columns, reading) for path in paths]
    )


def read_folder(folder: Path, columns: Sequence[str] = (), reading: Reading | None = None) -> Text:
    """All texts and tables of a folder as one source; those of fewer than FEWEST sentences are left out, and named in the notes.

    Raises InputError if there are none.
    """
    found, notes = [], []
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in (".txt", *_TABLES))
    for path in paths:
        try:
            found.append(read_text_file(path, columns, reading))
        except TooFew as error:
            notes.append((path.name, Note("short file", f"Left out: {error.count} different sentences are too few")))
    if not found:
        raise InputError(
            f"{folder.name} has no file of {FEWEST} sentences and more that ends in {', '.join(('.txt', *_TABLES))}"
        )
    text = one_text(found)
    return replace(text, name=folder.name, sizes=(len(text),), notes=(*text.notes, *notes))


def read_text_file(path: Path, columns: Sequence[str] = (), reading: Reading | None = None) -> Text:
    """A file of sentences, or a table; see :func:`read_text_bytes`. Raises InputError as the readers do."""
    return read_text_bytes(read_bytes(path), path.name, columns, reading)


def read_text_bytes(content: bytes, name: str, columns: Sequence[str] = (), reading: Reading | None = None) -> Text:
    """The content of a file of sentences, one a line, or of a table, whose labels are not looked at; the notes say which columns were read.

    columns: of a table, those to read; a file without them is read line by line, unless its name says that it is a table. reading: what
    is said about the header and the separator. Raises InputError.
    """
    is_table = name.lower().endswith(_TABLES)
    try:
        if not is_table and not columns:
            read_pairs(content, name, reading=reading)  # SICK and SNLI come as .txt too
        sentences, notes = read_sentences(content, name, columns, reading)
    except InputError:
        if is_table:
            raise
        return read_text(content, name)
    text = text_of(sentences, name)
    return replace(text, notes=tuple((name, note) for note in notes))


@checked
def text_of_pairs(pairs: PairSet) -> Text:
    """Both columns of a labelled set, without the labels."""
    return text_of([sentence for pair in zip(pairs.first, pairs.second, strict=True) for sentence in pair], pairs.name)


def rows_of(model: PretrainedModel, text: Text | None, sample: int, seed: int) -> tuple[list[list[int]], Mixture]:
    """What is learned from, as rows of token ids, and how its sources are mixed. Raises InputError if too few sentences have tokens."""
    if text is None:
        rows = sampled_rows(model, sample, seed)
        return rows, Mixture((len(rows),))
    found = model.token_ids(text.sentences)
    ends = [0, *itertools.accumulate(text.sizes)]
    sizes = [sum(map(bool, found[start:end])) for start, end in itertools.pairwise(ends)]
    rows = [row for row in found if row]
    if len(rows) < FEWEST:
        raise InputError(f"only {len(rows)} sentences of {text.name} have tokens; give at least {FEWEST}")
    return rows, Mixture(tuple(size for size in sizes if size))


def facts_of(text: Text | None, sample: int) -> dict[str, Any]:
    """What is kept of a text: JSON types."""
    if text is None:
        return {"name": VOCABULARY, "sentences": sample, "digest": None}
    return {"name": text.name, "sentences": len(text), "digest": text.digest, "sources": list(text.sizes)}


def plain(sentence: str) -> str:
    """A sentence as it is compared with others: case and blanks do not count."""
    return " ".join(sentence.casefold().split())
