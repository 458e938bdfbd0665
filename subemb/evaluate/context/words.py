"""The gap in a sentence: a mask in the model's own spelling, a mask in the place of a word, or what stands before a word. Only the
tokenizer is needed here."""

import re
from dataclasses import dataclass

from ...base.arguments import checked
from ...base.errors import InputError, ModelError
from ...base.plain import is_whole

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


def before_gap(tokenizer, sentence: str) -> tuple[str, str]:
    """What stands before the first mask of a sentence, in any spelling, and the rest with it; the whole sentence if it has none.

    >>> before_gap(None, "The cat sits on the [MASK] all day."), before_gap(None, "The cat ")
    (('The cat sits on the', ' [MASK] all day.'), ('The cat', ''))
    """
    own = getattr(tokenizer, "mask_token", None)
    found = re.search(rf"{_SPELLING.pattern}{'|' + re.escape(str(own)) if own else ''}", sentence, re.IGNORECASE)
    before = (sentence if found is None else sentence[: found.start()]).rstrip()
    return before, "" if found is None else sentence[len(before) :]


@dataclass(frozen=True)
class Word:
    """A word of a sentence."""

    start: int  # place of its first character
    end: int  # place after its last character
    text: str  # its characters
    ids: tuple[int, ...]  # its tokens; empty if the tokenizer does not give them
    place: int | None = None  # of its first token among those of the sentence, special ones included; None if not known


def words_of(tokenizer, sentence: str) -> tuple[Word, ...]:
    """The words of a sentence as its tokenizer cuts it; masks are not words. Without a mask token all of it is read as written.

    A word is what the tokenizer's pre-tokeniser keeps together (``word_ids``), cut at blanks, without punctuation that is a token at
    its edge. In scripts without blanks between words every token counts as a word. If the tokenizer gives no offsets, words are
    runs of letters and digits, and single punctuation marks, without token ids.
    """
    own = getattr(tokenizer, "mask_token", None)
    if own is not None:
        sentence, _ = with_own_masks(tokenizer, sentence)
    if not getattr(tokenizer, "is_fast", False):
        blanked = sentence if own is None else sentence.replace(own, " " * len(own))
        return tuple(Word(match.start(), match.end(), match[0], ()) for match in _PLAIN_WORD.finditer(blanked))
    encoding = tokenizer(sentence, return_offsets_mapping=True, truncation=False, verbose=False)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    groups: dict[int, list[Word]] = {}
    tokens = zip(encoding["input_ids"], encoding.word_ids(), encoding["offset_mapping"], strict=True)
    for place, (token, word, (start, end)) in enumerate(tokens):
        if word is not None and token not in special:
            _add_piece(groups.setdefault(word, []), sentence, token, place, start, end)
    return tuple(part for pieces in groups.values() for run in _runs(pieces) for part in _parts(run, sentence))


def _add_piece(pieces: list[Word], sentence: str, token: int, place: int, start: int, end: int) -> None:
    """Add a token, without blanks at its edges, to its word's pieces; bytes of one character become one piece."""
    text = sentence[start:end]
    start, end = start + len(text) - len(text.lstrip()), end - (len(text) - len(text.rstrip()))
    if pieces and (start < pieces[-1].end or start >= end):
        last = pieces.pop()
        start, end, ids = last.start, max(last.end, end), (*last.ids, token)
        pieces.append(Word(start, end, sentence[start:end], ids, last.place))
    elif start < end or not pieces:
        pieces.append(Word(start, max(start, end), sentence[start : max(start, end)], (token,), place))


def _runs(pieces: list[Word]) -> list[list[Word]]:
    """Pieces that follow each other without a blank: tokenizers without a pre-tokeniser, as Llama's, keep whole sentences together."""
    runs: list[list[Word]] = []
    for piece in pieces:
        if runs and piece.start == runs[-1][-1].end:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _parts(pieces: list[Word], sentence: str) -> list[Word]:
    """The words that a reader sees in one run of pieces: one word, and the punctuation at its edges separately."""
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
    return Word(start, end, sentence[start:end], tuple(token for piece in pieces for token in piece.ids), pieces[0].place)


@checked
def mask_word(tokenizer, sentence: str, index: int) -> str:
    """The sentence with its word ``index`` of :func:`words_of` replaced by one mask, however many tokens the word has.

    Raises InputError if there is no such word.
    """
    sentence, _ = with_own_masks(tokenizer, sentence)
    word = chosen_word(words_of(tokenizer, sentence), index)
    return sentence[: word.start] + mask_token_of(tokenizer) + sentence[word.end :]


def chosen_word(words: tuple[Word, ...], index: int) -> Word:
    """The word with this index. Raises InputError if there is none."""
    if not is_whole(index, 0, len(words) - 1):
        raise InputError(f"there is no word {index!r}; the sentence has {len(words)} words, counted from 0")
    return words[index]
