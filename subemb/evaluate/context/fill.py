"""Filling a gap: what each side puts in the place of a word, and how much their answers differ.

A masked model fills every mask of a sentence; a decoder says what comes next, after the sentence so far or in the place of a word.

filled = fill({"original": model, "compressed": small}, "The cat [MASK] on the mat.")
filled.masks[0].kl[1], [filling.token for filling in filled.masks[0].top(0)]
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...base.arguments import checked
from ...base.errors import InputError
from ...base.plain import is_whole
from ...base.progress import ProgressCallback, report
from ...models.catalogue import ModelEntry
from .network import CAUSAL, MASKED, ContextSides, SideTables
from .words import Word, before_gap, checked_sentence, chosen_word, mask_word, with_own_masks, words_of

if TYPE_CHECKING:
    import torch

MOST_MASKS = 20
MOST_FILLINGS = 100
_TIE = 1e-6  # probabilities closer than this share of them are equal


@dataclass(frozen=True)
class Filling:
    """One token for a mask.

    Tokens that compression makes alike are equally probable: by ``best_ranks`` none of them falls behind another, whatever their ids are.
    """

    token_id: int
    token: str  # as it is displayed
    probabilities: tuple[float, ...]  # one for each side
    ranks: tuple[int, ...]  # one for each side: places in its order; the most probable token has rank 1
    best_ranks: tuple[int, ...] = ()  # the best rank of all tokens that are as probable; as ``ranks`` if not given

    def __post_init__(self):
        object.__setattr__(self, "best_ranks", self.best_ranks or self.ranks)


def entropy(answer: "torch.Tensor") -> float:
    """Entropy in nats, of log probabilities (V,)."""
    return max(0.0, float(-(answer.exp() * answer).sum()))


@dataclass(frozen=True)
class FilledMask:
    """The answers of all sides for one mask, or for what comes next."""

    position: int  # index of the mask among the sentence's tokens, or of the token that comes next
    fillings: tuple[Filling, ...]  # the k best of every side, and the word that stood there, best first
    k: int
    kl: tuple[float, ...]  # KL(first side || side) in nats over the whole vocabulary, for each side; the first is 0
    entropy: tuple[float, ...]  # of each side's answer, in nats
    masked: str = ""  # the word that stood there, "" if the mask was typed or nothing stood there
    masked_pieces: int = 0  # number of tokens of that word
    masked_id: int | None = (
        None  # id of its token, or of its first one for a decoder; None if it has none, or several for one mask
    )

    def top(self, side: int) -> tuple[Filling, ...]:
        """The k best of one side, the most probable first."""
        best = (filling for filling in self.fillings if filling.ranks[side] <= self.k)
        return tuple(sorted(best, key=lambda filling: filling.ranks[side]))

    def kept(self, side: int) -> int:
        """How many of the first side's k best are among the k best of another, or as probable as the last of those."""
        return sum(filling.best_ranks[side] <= self.k for filling in self.top(0))

    @property
    def masked_filling(self) -> Filling | None:
        """The word that stood there, if it is one token; for a decoder its first token."""
        return next((filling for filling in self.fillings if filling.token_id == self.masked_id), None)

    @property
    def wanted(self) -> Filling:
        """What sides are measured by: the word that stood there, else the first side's best filling."""
        return self.masked_filling or self.top(0)[0]


@dataclass(frozen=True)
class Filled:
    """A sentence whose gaps were filled by every side."""

    sides: tuple[str, ...]  # names; the first is the reference
    sentence: str  # as the model read it: with its own mask token, or what stands before the gap
    mask_token: str  # that token; "" for a decoder
    spellings: tuple[str, ...]  # other spellings of a mask that were replaced
    masks: tuple[FilledMask, ...]  # one for a decoder
    tables: tuple[SideTables, ...]  # what was compressed on each side
    vocabulary: int  # tokens to choose from
    tokens: int  # that were read, special ones included
    unread: str = ""  # what stands behind the gap, which a decoder does not read
    kind: str = MASKED  # how the model was asked: MASKED or CAUSAL


@checked
def fill(
    sides: Mapping[str, Any] | ContextSides,
    sentence: str,
    k: int = 10,
    word: int | None = None,
    input: bool = True,
    output: bool = True,
    progress: ProgressCallback | None = None,
) -> Filled:
    """What each side puts into the gaps of a sentence.

    sides: name -> PretrainedModel (then ``input`` and ``output`` say what is compressed), or ContextSides.
    word: of a masked model, also mask this word of :func:`words_of`: one mask in its place, so its fillings are single tokens. Of a
    decoder, ask what comes in its place: it reads what stands before, and its answers are first tokens of a word.
    Without ``word`` a decoder is asked at the first mask, or else after the last word.
    Several masks are filled independently: the answer for one does not depend on what is put in the others, as in the
    masked-language-model objective (Devlin et al. 2019).

    Raises InputError for no mask, more than MOST_MASKS, nothing to read before the gap, a bad ``k`` or a sentence that is too long for
    the model.
    """
    if not is_whole(k, 1, MOST_FILLINGS):
        raise InputError(f"k is {k!r}; it must be a whole number from 1 to {MOST_FILLINGS}")
    report(progress, "reading the model", 0.0)
    sides = sides if isinstance(sides, ContextSides) else ContextSides(sides, input, output)
    asked = (_next_word if sides.kind == CAUSAL else _masks)(sides, checked_sentence(sentence), word)
    if len(asked.row) > sides.longest:
        raise InputError(f"the sentence has {len(asked.row):,} tokens, and this model reads {sides.longest:,}; shorten it")
    answers = []
    for side in range(len(sides)):
        report(progress, f"filling the gap: {sides.names[side]}", 0.2 + 0.8 * side / len(sides))
        answers.append(sides.logits(side, [asked.row], [asked.positions])[0].log_softmax(-1))
    after = 1 if sides.kind == CAUSAL else 0
    masks = tuple(
        _filled_mask(sides, position + after, [answer[number] for answer in answers], k, asked.words[number])
        for number, position in enumerate(asked.positions)
    )
    return Filled(
        sides.names,
        asked.text,
        sides.mask_token,
        asked.spellings,
        masks,
        sides.tables,
        answers[0].shape[-1],
        len(asked.row),
        asked.unread,
        sides.kind,
    )


@dataclass(frozen=True)
class _Asked:
    """What the networks are given."""

    text: str  # what is read
    row: list[int]  # its tokens
    positions: list[int]  # of the answers among them
    words: list[Word | None]  # what stood there, if that is known
    spellings: tuple[str, ...] = ()  # other spellings of a mask that were replaced
    unread: str = ""  # what stands behind the gap of a decoder


def _masks(sides: ContextSides, sentence: str, word: int | None) -> _Asked:
    """A sentence for a masked model."""
    text, spellings = with_own_masks(sides.tokenizer, sentence)
    chosen, place = None, None
    if word is not None:
        with sides.model.tokenizer_lock:
            chosen = chosen_word(words_of(sides.tokenizer, text), word)
            place = text[: chosen.start].count(sides.mask_token)
            text = mask_word(sides.tokenizer, text, word)
    row = sides.tokenize([text])[0]
    positions = [position for position, token in enumerate(row) if token == sides.tokenizer.mask_token_id]
    if not positions:
        raise InputError(f"the sentence has no mask; write {sides.mask_token} in it, or choose a word to mask")
    if len(positions) > MOST_MASKS:
        raise InputError(f"the sentence has {len(positions)} masks; at most {MOST_MASKS} are filled: take some out")
    return _Asked(text, row, positions, [chosen if number == place else None for number in range(len(positions))], spellings)


def _next_word(sides: ContextSides, sentence: str, word: int | None) -> _Asked:
    """A sentence for a decoder, which reads what stands before the word or the first mask, else all of it."""
    text, rest = before_gap(sides.tokenizer, sentence)
    chosen = None
    if word is not None:
        with sides.model.tokenizer_lock:
            chosen = chosen_word(words_of(sides.tokenizer, text), word)
        text, rest = text[: chosen.start].rstrip(), sentence[chosen.end :]
    if chosen is not None and chosen.place is not None:
        # The tokens as they are in the whole sentence: a word may be cut otherwise at the end of one.
        row = sides.tokenize([before_gap(sides.tokenizer, sentence)[0]])[0][: chosen.place]
    else:
        special = set(sides.tokenizer.all_special_ids) - {sides.tokenizer.unk_token_id}
        row = sides.tokenize([text])[0]
        while (
            row and row[-1] in special and (text or len(row) > 1)
        ):  # an end that the tokenizer adds; without text a start stays
            row.pop()
    if not row:
        where = f"before {chosen.text!r}" if chosen is not None else "before the mask" if rest else "there"
        raise InputError(f"nothing stands {where}, and a decoder reads only what stands before; write or choose a later word")
    return _Asked(text, row, [len(row) - 1], [chosen], unread=rest.strip())


def _filled_mask(sides: ContextSides, position: int, answers: "list[torch.Tensor]", k: int, word: Word | None) -> FilledMask:
    """One gap as every side fills it. answers: log probabilities (V,) float64 of every side there. word: what stood there."""
    can_be_filling = word is not None and bool(word.ids) and (len(word.ids) == 1 or sides.kind == CAUSAL)
    masked_id = word.ids[0] if can_be_filling else None
    wanted = {int(token) for answer in answers for token in _best(answer, k)} | ({masked_id} - {None})
    display = sides.model.vocabulary.display
    fillings = [
        Filling(
            token,
            display[token] if token < len(display) else f"⟨row {token}⟩",
            tuple(float(answer[token].exp()) for answer in answers),
            tuple(rank_of(answer, token) for answer in answers),
            tuple(best_rank_of(answer, token) for answer in answers),
        )
        for token in wanted
    ]
    return FilledMask(
        position,
        tuple(sorted(fillings, key=lambda filling: filling.ranks)),
        k,
        tuple(kl_divergence(answers[0], answer) for answer in answers),
        tuple(entropy(answer) for answer in answers),
        word.text if word is not None else "",
        len(word.ids) if word is not None else 0,
        masked_id,
    )


def _best(answer: "torch.Tensor", k: int) -> "torch.Tensor":
    """Ids of the k most probable tokens; equally probable ones in the order of their ids."""
    return answer.argsort(descending=True, stable=True)[:k]


def rank_of(answer: "torch.Tensor", token: int) -> int:
    """1 for the most probable token; equally probable ones in the order of their ids."""
    return 1 + int((answer > answer[token]).sum()) + int((answer[:token] == answer[token]).sum())


def best_rank_of(answer: "torch.Tensor", token: int) -> int:
    """The best rank of the tokens that are as probable as one. answer: (V,) log probabilities."""
    return 1 + int((answer > answer[token] + math.log1p(_TIE)).sum())


def kl_divergence(first: "torch.Tensor", second: "torch.Tensor") -> float:
    """KL(first || second) in nats, both log probabilities (V,): sum p (log p - log q)."""
    return max(0.0, float((first.exp() * (first - second)).sum()))  # rounding may leave a negative zero


@dataclass(frozen=True)
class HubModel:
    """A model on the hub."""

    name: str  # its id
    languages: str  # in words
    kind: str = MASKED  # how it is asked


#: All of them are on the hub as safetensors with their head. ELECTRA's generators and MPNet work too, once they are saved as
#: safetensors.
HUB_MODELS = (
    HubModel("distilbert/distilbert-base-uncased", "English"),
    HubModel("google-bert/bert-base-uncased", "English"),
    HubModel("FacebookAI/roberta-base", "English"),
    HubModel("google-bert/bert-base-multilingual-cased", "104 languages"),
    HubModel("FacebookAI/xlm-roberta-base", "100 languages"),
    HubModel("distilbert/distilgpt2", "English", CAUSAL),
    HubModel("openai-community/gpt2", "English", CAUSAL),
    HubModel("Qwen/Qwen2.5-0.5B", "29 languages", CAUSAL),
)


def models_with_words(entries: Sequence[ModelEntry]) -> list[ModelEntry]:
    """Those listed models that can be used and whose ``config.json`` names a head that says words; no weights are read."""
    return [entry for entry in entries if not entry.error and not {MASKED, CAUSAL}.isdisjoint(entry.heads)]
