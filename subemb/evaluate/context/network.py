"""Networks with a masked-word head, one for each side: which of their tables are compressed, and their answers at the masks.

A head computes V numbers for every token. With a vocabulary of 250,000 that takes most of the time and memory, so the head is
only run at the masks.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...base.errors import InputError, ModelError
from ...models.reading import Habits, in_company
from ...models.sentences import check_ids, padded, padding_id
from .words import mask_token_of

if TYPE_CHECKING:
    import torch

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


class ContextSides:
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
            padding = padding_id(self.tokenizer, network.config)
            self._networks.append(_Pointed(network, padding, self.model.habits("masked")))
            tables.append(what)
        self.tables = tuple(tables)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def longest(self) -> int:
        """Tokens that the model reads, special tokens included."""
        return self.model.longest_input("masked")

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
    """The network of one side with the chosen tables compressed."""
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
    """Whether a head has a matrix with a row for every token, be it tied to the input table or not."""
    rows = network.get_input_embeddings().num_embeddings
    inside = {id(part) for part in network.base_model.modules()}
    outside = (part for part in network.modules() if id(part) not in inside)
    return any(weight.ndim == 2 and rows in weight.shape for part in outside for weight in part.parameters(recurse=False))


class _Pointed:
    """A network that runs its head only at some positions: only the body's outputs at these are passed on to it."""

    def __init__(self, network: "torch.nn.Module", padding: int, habits: Habits):
        from ...codec.modules import share_weights

        self._network = share_weights(network).eval()  # a copy, since others use the network without the cut
        self._padding, self._habits = padding, habits
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

        def read(part: list[int]) -> torch.Tensor:
            ids, mask = padded([list(rows[place]) for place in part], self._padding)
            self._positions = torch.tensor([list(positions[place]) for place in part])
            return self._network(input_ids=ids, attention_mask=mask).logits.double()

        with self._lock, torch.inference_mode():
            return in_company(self._habits, self._network, [len(row) for row in rows], read)
