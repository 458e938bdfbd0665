"""The text that an adaptation reads: sentences that somebody gives, or token sequences drawn from the vocabulary itself."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..base.arguments import checked
from ..base.errors import InputError
from ..base.shown import Brief
from ..evaluate.data.tables import decoded, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from ..evaluate.data.pairs import PairSet
    from ..models.model import PretrainedModel

LONGEST = 400  # characters of a line beyond which it is cut into sentences
FEWEST = 8  # sentences, or pairs, to learn from
VOCABULARY = "vocabulary"
_END = re.compile(r"(?<=[.!?…。！？])\s+")


@dataclass(frozen=True, repr=False)
class Text(Brief):
    """Sentences without labels. Raises InputError if there are fewer than FEWEST."""

    name: str  # the file's, or what a page calls it
    sentences: tuple[str, ...]  # each once, in their order
    skipped: int = field(default=0, compare=False)  # how many were left out because they occurred before

    def __post_init__(self):
        object.__setattr__(self, "sentences", tuple(self.sentences))
        if len(self.sentences) < FEWEST:
            raise InputError(
                f"{self.name} has {len(self.sentences)} different sentences; give at least {FEWEST}, one a line, or no text at all"
            )

    def __len__(self) -> int:
        return len(self.sentences)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the sentences."""
        return hashlib.sha256("\0".join(self.sentences).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def without(self, held_out: "PairSet | None") -> "Text":
        """The same without any sentence of a labelled set, so that no model learns from what it is scored on."""
        if held_out is None:
            return self
        taken = {plain(sentence) for part in (held_out.first, held_out.second) for sentence in part}
        return Text(self.name, tuple(text for text in self.sentences if plain(text) not in taken), self.skipped)


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
    """Several texts as one, under all their names."""
    if len(parts) == 1:
        return parts[0]
    return text_of([sentence for part in parts for sentence in part.sentences], ", ".join(part.name for part in parts))


@checked
def read_text(content: str | bytes, name: str) -> Text:
    """One sentence a line; a line of over LONGEST characters is cut where sentences end.

    Raises InputError for bytes that are not UTF-8 or UTF-16 text, or for too few sentences.
    """
    text = decoded(content, name) if isinstance(content, bytes) else content
    lines = text.replace("\0", " ").splitlines()
    parts = [part for line in lines for part in (_END.split(line) if len(line) > LONGEST else [line])]
    return text_of([part[i : i + 4 * LONGEST] for part in parts for i in range(0, max(1, len(part)), 4 * LONGEST)], name)


def read_text_file(path: "Path") -> Text:
    """A file of sentences, or of labelled pairs; see :func:`read_text_bytes`. Raises InputError as the readers do."""
    return read_text_bytes(read_bytes(path), path.name)


def read_text_bytes(content: bytes, name: str) -> Text:
    """The content of a file of sentences, or of labelled pairs, whose labels are not looked at. Raises InputError."""
    from ..evaluate.data.read import read_pairs

    if name.lower().endswith((".csv", ".tsv", ".jsonl", ".parquet")):
        return text_of_pairs(read_pairs(content, name))
    try:
        return text_of_pairs(read_pairs(content, name))  # SICK and SNLI come as .txt too
    except InputError:
        return read_text(content, name)


@checked
def text_of_pairs(pairs: "PairSet") -> Text:
    """Both columns of a labelled set, without the labels."""
    return text_of([sentence for pair in zip(pairs.first, pairs.second, strict=True) for sentence in pair], pairs.name)


def rows_of(model: "PretrainedModel", text: Text | None, sample: int, seed: int) -> list[list[int]]:
    """What is learned from, as rows of token ids. Raises InputError if too few sentences have tokens."""
    if text is None:
        from ..models.drawn import sampled_rows

        return sampled_rows(model, sample, seed)
    rows = [row for row in model.token_ids(text.sentences) if row]
    if len(rows) < FEWEST:
        raise InputError(f"only {len(rows)} sentences of {text.name} have tokens; give at least {FEWEST}")
    return rows


def facts_of(text: Text | None, sample: int) -> dict[str, Any]:
    """What is kept of a text: JSON types."""
    if text is None:
        return {"name": VOCABULARY, "sentences": sample, "digest": None}
    return {"name": text.name, "sentences": len(text), "digest": text.digest}


def plain(sentence: str) -> str:
    """A sentence as it is compared with others: case and blanks do not count."""
    return " ".join(sentence.casefold().split())
