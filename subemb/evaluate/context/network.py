"""Networks that say which word stands at a place, one for each side: which of their tables are compressed, and their answers.

A masked language model is asked with a mask in the word's place, and reads what stands before and after; a decoder is asked for what
comes next, and reads what stands before. :meth:`ContextSides.asked` is all that differs: with it everything else serves both.

A head computes V numbers for every token. With a vocabulary of 250,000 that takes most of the time and memory, so the head is
only run at the places that are asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ...base.errors import InputError, ModelError
from ...models.architectures import HEADS
from ...models.model import PretrainedModel
from ...models.reading import Habits, in_company
from ...models.sentences import check_ids, padded, padding_id
from .words import mask_token_of

if TYPE_CHECKING:
    import torch

MASKED, CAUSAL = "masked", "causal"  # how a model is asked; both are keys of HEADS
#: What became of a side's output head.
HEAD_TEXTS = {
    "original": "original",
    "compressed": "compressed: it shares the input table",
    "kept": "kept as it was",
    "own table": "has a table of its own, which is not the one that was compressed",
    "input table": "multiplies by the input table itself, so it goes with the input",
}
_TOLERANCE = 1e-4  # of the largest logit: more than float32 differs between two readings


def kind_of(model: PretrainedModel) -> str | None:
    """How a model can be asked for words: MASKED or CAUSAL, by the weights of its heads; None if it has neither head.

    Of a model with both the one that its config.json names counts.
    """
    found = [kind for kind in (MASKED, CAUSAL) if model.has_head(kind)]
    unnamed = model.checkpoint.unnamed_heads
    return next((kind for kind in found if kind not in unnamed), found[0] if found else None)


@dataclass(frozen=True)
class SideTables:
    """What is compressed on a side."""

    input: bool  # its input table
    head: str  # a key of HEAD_TEXTS

    @property
    def output(self) -> bool:
        """Whether the output is computed with the compressed table."""
        return self.head == "compressed" or (self.head == "input table" and self.input)


@dataclass(frozen=True)
class Use:
    """A side on which only some uses of the table are compressed."""

    model: PretrainedModel  # the side
    input: bool = True  # whether it reads tokens with the compressed table
    output: bool = True  # whether it gives scores to tokens with it


class ContextSides:
    """Sides of one model (name -> PretrainedModel or Use, the first is the reference) with the heads that say words.

    input, output: what is compressed on the sides that are no Use: the input table, the output head that shares it, or both.
    Every side shares all weights but those tables with its own model.
    Raises InputError if there is nothing to compress (``output`` alone, and the head has a table of its own), ModelError
    (``unsupported``) if a model has neither a masked-word nor a next-word head, its tokenizer has no mask, or a decoder reads what
    stands after a word too.
    """

    def __init__(self, sides: Mapping[str, Any], input: bool = True, output: bool = True):
        if not sides:
            raise InputError("there is no model to ask; give at least one side")
        uses = {name: side if isinstance(side, Use) else Use(side, input, output) for name, side in sides.items()}
        self.names = tuple(uses)
        self.model = next(iter(uses.values())).model
        self.kind = kind_of(self.model) or _refuse(self.model)
        self.tokenizer = self.model.tokenizer
        self.mask_token = mask_token_of(self.tokenizer) if self.kind == MASKED else ""
        self._networks: list[_Pointed] = []
        tables = []
        for use in uses.values():
            network, what = _network_of(use, self.kind)
            padding = padding_id(self.tokenizer, network.config)
            self._networks.append(_Pointed(network, padding, partial(self.model.habits, self.kind)))
            tables.append(what)
        self.tables = tuple(tables)
        if self.kind == CAUSAL:
            self._check_reads_back()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def longest(self) -> int:
        """Tokens that the model reads, special tokens included."""
        return self.model.longest_input(self.kind)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts with special tokens, uncut. Raises ModelError (``broken``) for a token without a row in the table."""
        with self.model.tokenizer_lock:
            rows = self.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
            check_ids(self.tokenizer, rows, self.model.num_tokens)
        return [list(row) for row in rows]

    def asked(self, row: Sequence[int], place: int) -> tuple[list[int], int]:
        """How the token at a place of a row is asked for: the ids that are read, and the position among them of the answer.

        A masked model reads the whole row with a mask in that place, and answers there; a decoder reads what stands before, and answers
        at its last token, so that nothing can be asked for at place 0.
        """
        if self.kind == CAUSAL:
            return list(row[:place]), place - 1
        return [*row[:place], self.tokenizer.mask_token_id, *row[place + 1 :]], place

    def logits(self, side: int, rows: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> "torch.Tensor":
        """(n, P, V) float64: what a side answers at P positions of each of n rows of ids."""
        return self._networks[side].logits(rows, positions)

    def _check_reads_back(self) -> None:
        """Raises ModelError (``unsupported``) for a decoder whose answer at a token depends on what comes after it."""
        last = self.model.num_tokens - 1
        one, other = (self.logits(0, [[0, after]], [[0]]) for after in (0, last))
        if float((one - other).abs().max()) > _TOLERANCE * float(one.abs().max()):
            raise ModelError(
                f"the network of {self.model.name} also reads what stands after a word, so it cannot be asked for the next word; choose "
                "another model",
                "unsupported",
            )


def _refuse(model: PretrainedModel):
    """Raises ModelError (``unsupported``) for a model without a head that says words."""
    if not model.has_network:
        raise ModelError(f"{model.name} is a table without a network, so it cannot be asked for words", "unsupported")
    titles = " and no ".join(HEADS[kind].title for kind in (MASKED, CAUSAL))
    raise ModelError(f"{model.name} has no {titles}; choose a model that was saved with one", "unsupported")


def _network_of(use: Use, kind: str) -> "tuple[torch.nn.Module, SideTables]":
    """The network of one side with the chosen tables compressed."""
    from ...codec.modules import attach
    from ...models.network import exchange_weights

    side = use.model
    if side.compressed is None:
        return side.network(kind), SideTables(False, "original")
    original = side.original.network(kind)
    network = attach(original, side.compressed, input=use.input, output=use.output)
    if side.weights:
        network = exchange_weights(network, side.weights)
    head = network.attachment.head
    if head == "dense":
        head = "input table" if not _has_table_outside(original) else "own table" if use.output else "kept"
    if use.output and not use.input and head != "compressed":
        raise InputError(
            f"the output head of {side.name} {HEAD_TEXTS[head]}, so the output alone cannot be compressed; compress the input"
        )
    return network, SideTables(use.input, head)


def _has_table_outside(network: "torch.nn.Module") -> bool:
    """Whether a head has a matrix with a row for every token, be it tied to the input table or not."""
    rows = network.get_input_embeddings().num_embeddings
    inside = {id(part) for part in network.base_model.modules()}
    outside = (part for part in network.modules() if id(part) not in inside)
    return any(weight.ndim == 2 and rows in weight.shape for part in outside for weight in part.parameters(recurse=False))


class _Pointed:
    """A network that runs its head only at some positions: only the body's outputs at these are passed on to it."""

    def __init__(self, network: "torch.nn.Module", padding: int, habits: Callable[[list[int]], Habits]):
        from ...models.places import AtPlaces, is_split

        if not is_split(network):
            raise ModelError(
                f"{type(network).__name__} cannot be split into body and head; choose another model", "unsupported"
            )
        self._pointed = AtPlaces(network)
        self._pointed.network.eval()
        self._padding, self._habits = padding, habits

    def logits(self, rows: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> "torch.Tensor":
        import torch

        def read(part: list[int]) -> torch.Tensor:
            ids, mask = padded([list(rows[place]) for place in part], self._padding)
            columns = torch.tensor([list(positions[place]) for place in part])
            return self._pointed.logits(ids, mask, torch.arange(len(part)).unsqueeze(1), columns).double()

        with torch.inference_mode():
            lengths = [len(row) for row in rows]
            return in_company(self._habits(lengths), self._pointed.network, lengths, read)
