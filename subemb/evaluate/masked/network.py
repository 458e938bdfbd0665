"""Masks in a sentence: in the model's own spelling, and in the place of a word. Only the tokenizer is needed here."""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...base.errors import InputError, ModelError
from ...base.plain import is_whole
from ...models.sentences import check_ids, longest_input, padded, padding_id

if TYPE_CHECKING:
    import torch

#: Spellings of a mask that a sentence may use, whatever the model's own is.
SPELLINGS = ("[MASK]", "<mask>")
LONGEST_SENTENCE = 2000  # characters
_SPELLING = re.compile(r"\[mask\]|<mask>", re.IGNORECASE)
# Scripts that leave no blank between words: there every token is a word of its own.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_PLAIN_WORD = re.compile(r"\w+|[^\w\s]")


def mask_token_of(tokenizer) -> str:
    """The model's own spelling of a mask. Raises ModelError (``unsupported``) if its tokenizer has none."""
    if getattr(tokenizer, "mask_token", None) is None:
        raise ModelError(
            "this model's tokenizer has no mask token, so no word can be masked; choose another model", "unsupported"
        )
    return str(tokenizer.mask_token)


def checked_sentence(sentence: str) -> str:
    """Raises InputError unless it is a string of 1 to LONGEST_SENTENCE characters."""
    if not isinstance(sentence, str) or not sentence.strip():
        raise InputError("there is no sentence; type one")
    if len(sentence) > LONGEST_SENTENCE:
        raise InputError(
            f"the sentence has {len(sentence):,} characters; at most {LONGEST_SENTENCE:,} are read: shorten it, or paste it as a text"
        )
    return sentence


def with_own_masks(tokenizer, sentence: str) -> tuple[str, tuple[str, ...]]:
    """The sentence with every mask in the model's spelling, and the other spellings that were replaced.

    ``[MASK]`` and ``<mask>`` are read in any case, whatever the model's own token is.
    """
    own = mask_token_of(tokenizer)
    replaced = tuple(dict.fromkeys(match[0] for match in _SPELLING.finditer(sentence) if match[0] != own))
    return _SPELLING.sub(lambda _: own, sentence), replaced


@dataclass(frozen=True)
class Word:
    """A word of a sentence."""

    start: int  # of its characters
    end: int
    text: str  # what stands there
    ids: tuple[int, ...]  # its tokens there


def words_of(tokenizer, sentence: str) -> tuple[Word, ...]:
    """The words of a sentence as its tokenizer cuts it; masks are none.

    A word is what the tokenizer's pre-tokeniser keeps together (``word_ids``), without punctuation that is a token at its
    edge. In scripts without blanks between words every token counts as a word. A tokenizer that gives no offsets: runs of letters
    and digits, and punctuation marks, without their tokens.
    """
    sentence, _ = with_own_masks(tokenizer, sentence)
    if not getattr(tokenizer, "is_fast", False):
        own = mask_token_of(tokenizer)
        blanked = sentence.replace(own, " " * len(own))
        return tuple(Word(match.start(), match.end(), match[0], ()) for match in _PLAIN_WORD.finditer(blanked))
    encoding = tokenizer(sentence, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    groups: dict[int, list[Word]] = {}
    for token, word, (start, end) in zip(encoding["input_ids"], encoding.word_ids(), encoding["offset_mapping"], strict=True):
        if word is not None and token not in special:
            _add_piece(groups.setdefault(word, []), sentence, token, start, end)
    return tuple(part for pieces in groups.values() for part in _parts(pieces, sentence))


def _add_piece(pieces: list[Word], sentence: str, token: int, start: int, end: int) -> None:
    """Add a token to its word's pieces; the blank at its edge is no part of it, and bytes of one character are one piece."""
    text = sentence[start:end]
    start, end = start + len(text) - len(text.lstrip()), end - (len(text) - len(text.rstrip()))
    if pieces and (start < pieces[-1].end or start >= end):
        last = pieces.pop()
        start, end, ids = last.start, max(last.end, end), (*last.ids, token)
        pieces.append(Word(start, end, sentence[start:end], ids))
    elif start < end or not pieces:
        pieces.append(Word(start, max(start, end), sentence[start : max(start, end)], (token,)))


def _parts(pieces: list[Word], sentence: str) -> list[Word]:
    """What one group of pieces is to a person: one word, with the punctuation at its edges apart."""
    first, last = 0, len(pieces)
    if any(map(_is_word, pieces)):
        while not _is_word(pieces[first]):
            first += 1
        while not _is_word(pieces[last - 1]):
            last -= 1
    inner = pieces[first:last]
    if not any(_UNSPACED.search(piece.text) for piece in inner):
        inner = [_joined(inner, sentence)]
    return [part for part in [*pieces[:first], *inner, *pieces[last:]] if part.text]


def _is_word(piece: Word) -> bool:
    return any(character.isalnum() for character in piece.text)


def _joined(pieces: list[Word], sentence: str) -> Word:
    start, end = pieces[0].start, pieces[-1].end
    return Word(start, end, sentence[start:end], tuple(token for piece in pieces for token in piece.ids))


def mask_word(tokenizer, sentence: str, index: int) -> str:
    """The sentence with its word ``index`` of :func:`words_of` replaced by one mask, however many tokens the word has.

    Raises InputError if there is no such word.
    """
    sentence, _ = with_own_masks(tokenizer, sentence)
    word = chosen_word(words_of(tokenizer, sentence), index)
    return sentence[: word.start] + mask_token_of(tokenizer) + sentence[word.end :]


def chosen_word(words: tuple[Word, ...], index: int) -> Word:
    """Raises InputError unless ``index`` counts one of the words."""
    if not is_whole(index, 0, len(words) - 1):
        raise InputError(f"there is no word {index!r}; the sentence has {len(words)} words, counted from 0")
    return words[index]


#: What became of a side's output head.
HEAD_TEXTS = {
    "original": "original",
    "compressed": "compressed: it shares the input table",
    "kept": "kept as it was",
    "own table": "has a table of its own, which is not the one that was compressed",
    "input table": "multiplies by the input table itself, so it goes with the input",
}


@dataclass(frozen=True)
class SideTables:
    """What is compressed on a side."""

    input: bool  # its input table
    head: str  # a key of HEAD_TEXTS

    @property
    def output(self) -> bool:
        """Whether the output is computed with the compressed table."""
        return self.head == "compressed" or (self.head == "input table" and self.input)


class MaskedSides:
    """Sides of one model (name -> PretrainedModel, the first is the reference) with their masked-word heads.

    input, output: what is compressed on the sides after the first: the input table, the output head that shares it, or both.
    Every side shares all weights but those tables with its own model.
    Raises InputError if there is nothing to compress (``output`` alone, and the head has a table of its own), ModelError
    (``unsupported``) if a model has no masked-word head or its tokenizer no mask.
    """

    def __init__(self, sides: Mapping[str, Any], input: bool = True, output: bool = True):
        if not sides:
            raise InputError("there is no model to ask; give at least one side")
        self.names = tuple(sides)
        self.model = next(iter(sides.values()))
        self.tokenizer = self.model.tokenizer
        self.mask_token = mask_token_of(self.tokenizer)
        self.input, self.output = input, output
        self._networks: list[_Pointed] = []
        tables = []
        for place, side in enumerate(sides.values()):
            network, what = _network_of(side, input, output, is_first=place == 0)
            self._networks.append(_Pointed(network, padding_id(self.tokenizer, network.config)))
            tables.append(what)
        self.tables = tuple(tables)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def longest(self) -> int:
        """Tokens that the model reads, special tokens included."""
        return longest_input(self.model.config, self.tokenizer)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts with special tokens, uncut. Raises ModelError (``broken``) for a token without a row in the table."""
        with self.model.tokenizer_lock:
            rows = self.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
            check_ids(self.tokenizer, rows, self.model.num_tokens)
        return [list(row) for row in rows]

    def logits(self, side: int, rows: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> "torch.Tensor":
        """(n, P, V) float64: what a side answers at P positions of each of n rows of ids."""
        return self._networks[side].logits(rows, positions)


def _network_of(side, input: bool, output: bool, is_first: bool) -> "tuple[torch.nn.Module, SideTables]":
    """The network of one side with the wished tables compressed."""
    from ...codec.modules import attach
    from ...models.network import exchange_weights

    compressed = None if is_first else side.compressed
    if compressed is None:
        return side.network("masked"), SideTables(False, "original")
    original = side.original.network("masked")
    network = attach(original, compressed, input=input, output=output)
    if side.weights:
        network = exchange_weights(network, side.weights)
    head = network.attachment.head
    if head == "dense":
        head = "input table" if not _has_table_outside(original) else "own table" if output else "kept"
    if output and not input and head != "compressed":
        raise InputError(
            f"the output head of {side.name} {HEAD_TEXTS[head]}, so the output alone cannot be compressed; compress the input"
        )
    return network, SideTables(input, head)


def _has_table_outside(network: "torch.nn.Module") -> bool:
    """Whether a head has a matrix with a row for every token, apart from the input's or tied to it."""
    rows = network.get_input_embeddings().num_embeddings
    inside = {id(part) for part in network.base_model.modules()}
    outside = (part for part in network.modules() if id(part) not in inside)
    return any(weight.ndim == 2 and rows in weight.shape for part in outside for weight in part.parameters(recurse=False))


class _Pointed:
    """A network that runs its head at some positions only: what the body hands on is cut down to them."""

    def __init__(self, network: "torch.nn.Module", padding: int):
        from ...codec.modules import share_weights

        self._network = share_weights(network).eval()  # a copy, since the cut must not be seen by others who use the network
        self._padding = padding
        self._lock = threading.Lock()
        self._positions = None
        if self._network.base_model is self._network:
            raise ModelError(
                f"{type(network).__name__} cannot be split into body and head; choose another model", "unsupported"
            )
        self._network.base_model.register_forward_hook(self._cut)

    def _cut(self, _module, _inputs, output):
        import torch

        states = output[0]
        picked = states[torch.arange(len(states)).unsqueeze(1), self._positions]
        if isinstance(output, tuple):
            return (picked, *output[1:])
        output[next(iter(output.keys()))] = picked
        return output

    def logits(self, rows: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> "torch.Tensor":
        import torch

        ids, mask = padded([list(row) for row in rows], self._padding)
        with self._lock, torch.inference_mode():
            self._positions = torch.tensor(positions)
            return self._network(input_ids=ids, attention_mask=mask).logits.double()
