"""A sentence as a model reads it: its tokens, and what was cut off."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError

if TYPE_CHECKING:
    from ..models.model import PretrainedModel

LONGEST_SENTENCE = 2000  # characters


@dataclass(frozen=True)
class ReadSentence:
    """ids, tokens, kinds: what the model reads, special tokens included (tokens as ``Vocabulary.display``; not escaped).

    full_length: tokens that the whole sentence would have. is_cut: whether the model reads less than all of it.
    """

    text: str
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    kinds: tuple[str, ...]
    full_length: int

    @property
    def is_cut(self) -> bool:
        return self.full_length > len(self.ids)


def checked_text(text: str, what: str, longest: int = LONGEST_SENTENCE) -> str:
    """Raises InputError for an empty sentence or one over ``longest`` characters. what: how a message calls it."""
    if not isinstance(text, str):
        raise InputError(f"{what} is {text!r}, a {type(text).__name__} instead of a string")
    if not text.strip():
        raise InputError(f"{what} is empty; write a sentence")
    if len(text) > longest:
        raise InputError(f"{what} has {len(text):,} characters; at most {longest:,} are compared: shorten it")
    return text


def read_sentences(model: "PretrainedModel", texts: list[str]) -> list[ReadSentence]:
    """How a model reads sentences. Raises ModelError if it has no tokenizer."""
    rows = model.token_ids(texts)
    vocabulary = model.vocabulary
    whole = model.token_ids(texts, whole=True)
    return [
        ReadSentence(
            text,
            tuple(ids),
            tuple(vocabulary.display[i] for i in ids),
            tuple(str(vocabulary.kinds[i]) for i in ids),
            max(len(ids), len(full)),
        )
        for text, ids, full in zip(texts, rows, whole, strict=True)
    ]
