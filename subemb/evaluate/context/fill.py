"""Masked words: what each side puts in the place of a mask, and how much their answers differ.

filled = fill({"original": model, "compressed": small}, "The cat [MASK] on the mat.")
filled.masks[0].kl[1], [filling.token for filling in filled.masks[0].top(0)]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...base.arguments import checked
from ...base.errors import InputError
from ...base.plain import is_whole
from ...base.progress import ProgressCallback, report
from ...models.catalogue import ModelEntry
from .network import ContextSides, SideTables
from .words import checked_sentence, chosen_word, mask_word, with_own_masks, words_of

if TYPE_CHECKING:
    import torch

MOST_MASKS = 20
MOST_FILLINGS = 100
_TIE = 1e-6  # probabilities closer than this share of them are equal


@dataclass(frozen=True)
class Filling:
    """One token for a mask."""

    token_id: int
    token: str  # as it is displayed
    probabilities: tuple[float, ...]  # one for each side
    ranks: tuple[int, ...]  # one for each side; the most probable token has rank 1


def entropy(answer: "torch.Tensor") -> float:
    """Entropy in nats, of log probabilities (V,)."""
    return max(0.0, float(-(answer.exp() * answer).sum()))


@dataclass(frozen=True)
class FilledMask:
    """The answers of all sides for one mask."""

    position: int  # index of the mask among the sentence's tokens
    fillings: tuple[Filling, ...]  # the k best of every side, and the word that was masked, best first
    k: int
    kl: tuple[float, ...]  # KL(first side || side) in nats over the whole vocabulary, for each side; the first is 0
    entropy: tuple[float, ...]  # of each side's answer, in nats
    masked: str = ""  # the word that was masked, "" if the mask was typed
    masked_pieces: int = 0  # number of tokens of that word
    masked_id: int | None = None  # id of its token, None if it has none or several

    def top(self, side: int) -> tuple[Filling, ...]:
        """The k best of one side, the most probable first."""
        best = (filling for filling in self.fillings if filling.ranks[side] <= self.k)
        return tuple(sorted(best, key=lambda filling: filling.ranks[side]))

    def rank(self, filling: Filling, side: int) -> int:
        """The rank of a filling on one side; those that are equally probable share the best of their ranks.

        Tokens that compression makes alike are equally probable: none of them falls behind another, whatever their ids are.
        """
        own = filling.probabilities[side]
        alike = [other for other in self.fillings if abs(other.probabilities[side] - own) <= _TIE * own]
        return min(other.ranks[side] for other in (filling, *alike))

    def kept(self, side: int) -> int:
        """How many of the first side's k best are among the k best of another, or as probable as the last of those."""
        return sum(self.rank(filling, side) <= self.k for filling in self.top(0))

    @property
    def masked_filling(self) -> Filling | None:
        """The word that was masked, if it is one token."""
        return next((filling for filling in self.fillings if filling.token_id == self.masked_id), None)


@dataclass(frozen=True)
class Filled:
    """A sentence whose masks were filled by every side."""

    sides: tuple[str, ...]  # names; the first is the reference
    sentence: str  # as the model read it, with its own mask token
    mask_token: str  # that token
    spellings: tuple[str, ...]  # other spellings of a mask that were replaced
    masks: tuple[FilledMask, ...]
    tables: tuple[SideTables, ...]  # what was compressed on each side
    vocabulary: int  # tokens to choose from
    tokens: int  # of the sentence, special ones included


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
    """What each side puts in the place of every mask of a sentence.

    sides: name -> PretrainedModel (then ``input`` and ``output`` say what is compressed), or ContextSides.
    word: also mask this word of :func:`words_of`: one mask in its place, so its fillings are single tokens.
    Several masks are filled independently: the answer for one does not depend on what is put in the others, as in the
    masked-language-model objective (Devlin et al. 2019).

    Raises InputError for no mask, more than MOST_MASKS, a bad ``k`` or a sentence that is too long for the model.
    """
    if not is_whole(k, 1, MOST_FILLINGS):
        raise InputError(f"k is {k!r}; it must be a whole number from 1 to {MOST_FILLINGS}")
    report(progress, "reading the model", 0.0)
    sides = sides if isinstance(sides, ContextSides) else ContextSides(sides, input, output)
    text, spellings = with_own_masks(sides.tokenizer, checked_sentence(sentence))
    chosen, place = None, None
    if word is not None:
        with sides.model.tokenizer_lock:
            chosen = chosen_word(words_of(sides.tokenizer, text), word)
            place = text[: chosen.start].count(sides.mask_token)
            text = mask_word(sides.tokenizer, text, word)
    row = sides.tokenize([text])[0]
    positions = _mask_positions(sides, row)
    answers = []
    for side in range(len(sides)):
        report(progress, f"filling the mask: {sides.names[side]}", 0.2 + 0.8 * side / len(sides))
        answers.append(sides.logits(side, [row], [positions])[0].log_softmax(-1))
    masks = []
    for number, position in enumerate(positions):
        own = chosen if number == place else None
        masks.append(_filled_mask(sides, position, [answer[number] for answer in answers], k, own))
    vocabulary = answers[0].shape[-1]
    return Filled(sides.names, text, sides.mask_token, spellings, tuple(masks), sides.tables, vocabulary, len(row))


def _mask_positions(sides: ContextSides, row: list[int]) -> list[int]:
    """Where the masks of a row are. Raises InputError for none, too many, or a row longer than the model reads."""
    positions = [place for place, token in enumerate(row) if token == sides.tokenizer.mask_token_id]
    if len(row) > sides.longest:
        raise InputError(f"the sentence has {len(row):,} tokens, and this model reads {sides.longest:,}; shorten it")
    if not positions:
        raise InputError(f"the sentence has no mask; write {sides.mask_token} in it, or choose a word to mask")
    if len(positions) > MOST_MASKS:
        raise InputError(f"the sentence has {len(positions)} masks; at most {MOST_MASKS} are filled: take some out")
    return positions


def _filled_mask(sides: ContextSides, position: int, answers: "list[torch.Tensor]", k: int, word) -> FilledMask:
    """One mask as every side fills it. answers: log probabilities (V,) float64 of every side at this mask."""
    masked_id = word.ids[0] if word is not None and len(word.ids) == 1 else None
    wanted = {int(token) for answer in answers for token in _best(answer, k)} | ({masked_id} - {None})
    display = sides.model.vocabulary.display
    fillings = [
        Filling(
            token,
            display[token] if token < len(display) else f"⟨row {token}⟩",
            tuple(float(answer[token].exp()) for answer in answers),
            tuple(rank_of(answer, token) for answer in answers),
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


def kl_divergence(first: "torch.Tensor", second: "torch.Tensor") -> float:
    """KL(first || second) in nats, both log probabilities (V,): sum p (log p - log q)."""
    return max(0.0, float((first.exp() * (first - second)).sum()))  # rounding may leave a negative zero


@dataclass(frozen=True)
class HubModel:
    """A model on the hub."""

    name: str  # its id
    languages: str  # in words


#: All of them are on the hub as safetensors with a masked-word head. ELECTRA's generators and MPNet work too, once they are
#: saved as safetensors.
HUB_MODELS = (
    HubModel("distilbert/distilbert-base-uncased", "English"),
    HubModel("google-bert/bert-base-uncased", "English"),
    HubModel("FacebookAI/roberta-base", "English"),
    HubModel("google-bert/bert-base-multilingual-cased", "104 languages"),
    HubModel("FacebookAI/xlm-roberta-base", "100 languages"),
)


def models_with_masked_head(entries: Sequence[ModelEntry]) -> list[ModelEntry]:
    """Those listed models that can be used and whose ``config.json`` names a masked-word head; no weights are read."""
    return [entry for entry in entries if not entry.error and "masked" in entry.heads]
