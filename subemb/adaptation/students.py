"""The model under training: the original's network with a trainable compact table, and which of its weights are trained."""

import re
from collections.abc import Iterable
from dataclasses import replace

import torch

from ..base.errors import InputError
from ..codec.compressed import Compressed
from ..codec.layers import TableLayer
from ..models.model import PretrainedModel
from ..models.network import freeze
from ..models.static_network import StaticNetwork
from .settings import AdaptationSettings

LAYER = re.compile(r"(?:^|\.)(?:layers?|h|block)\.(\d+)\.")
_NORM = re.compile(r"norm|ln_", re.IGNORECASE)


class _Student:
    """What both students have: a model, and the parameters of it that are trained."""

    model: PretrainedModel  # encodes and predicts with the parameters as they are now
    head: str | None  # of its network
    codebooks: list[torch.nn.Parameter]  # of the table, or the table itself
    weights: dict[str, torch.nn.Parameter]  # the others, by their names in ``model.network(head)``

    def _train(self, codebooks: Iterable[torch.nn.Parameter], names: Iterable[str]) -> None:
        """Freeze the network except these. The original shares most of the weights, and keeps them as they are."""
        network = self.model.network(self.head)
        own = dict(network.named_parameters(remove_duplicate=False))
        self.codebooks, self.weights = list(codebooks), {name: own[name] for name in names}
        trained = [*self.codebooks, *self.weights.values()]
        # What makes a sentence vector of the network's output can have weights as well, which are never trained.
        sentence_model = self.model.sentence_model() if self.head is None else None
        freeze(network if sentence_model is None else sentence_model, but=trained)
        for parameter in trained:
            parameter.requires_grad_(True)

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Go on from what ``tensors`` gave, in place."""
        own = self.tensors()
        with torch.no_grad():
            for name, value in tensors.items():
                own[name].copy_(value)


class Student(_Student):
    """The compressed model under training.

    parts: the layers that hold codes and codebooks, the whole table or a tier each; where the network looks tokens up in several places,
    these are of the first one, and the others share their tensors.
    """

    def __init__(self, original: PretrainedModel, compressed: Compressed, head: str | None, settings: AdaptationSettings):
        network = original.network(head)
        names = trained_names(network, settings)
        own = dict(network.named_parameters())
        self.original, self.head, self.compressed = original, head, compressed
        self.model = original.adapted(compressed, {name: own[name].detach().clone() for name in names})
        network = self.model.network(head)
        self.parts = next((module.coded for module in network.modules() if isinstance(module, TableLayer)), [])
        if not self.parts:
            raise InputError(f"{original.name} does not look its tokens up in the compressed table; it cannot be adapted")
        # In tensors(), the names of a tier's codes and codebooks begin with its number.
        self._prefixes = [""] if len(self.parts) == 1 else [f"{number}." for number in range(len(self.parts))]
        self._train([book for part in self.parts for book in part.codebooks], names)

    @property
    def codes(self) -> list[torch.Tensor]:
        """(n, f) of every part, as they are now."""
        return [part.codes for part in self.parts]

    def tensors(self) -> dict[str, torch.Tensor]:
        """What is trained, as it is now, by name."""
        found = {}
        for prefix, part in zip(self._prefixes, self.parts, strict=True):
            found |= {f"{prefix}codebooks.{i}": book.detach() for i, book in enumerate(part.codebooks)}
            found[f"{prefix}codes"] = part.codes
        return found | {f"weights.{name}": value.detach() for name, value in self.weights.items()}

    def as_model(self) -> PretrainedModel:
        """As it is now, for scoring."""
        return self.adapted(self.original)

    def adapted(self, original: PretrainedModel, tensors: dict[str, torch.Tensor] | None = None) -> PretrainedModel:
        """A model of its own with what is trained now, or with the ``tensors`` of another moment.

        original: the one that was given, or that model on another device, where the result then computes."""
        found = {name: value.to("cpu", copy=True) for name, value in (tensors or self.tensors()).items()}
        parts = []
        for prefix, (_, part) in zip(self._prefixes, self.compressed.coded, strict=True):
            codes = found.pop(f"{prefix}codes")
            books = [found.pop(f"{prefix}codebooks.{i}").float() for i in range(len(part.codebooks))]
            parts.append(replace(part, codes=codes if codes.dtype == torch.uint8 else codes.int(), codebooks=books))
        compressed = self.compressed.with_coded(parts)
        weights = {name.removeprefix("weights."): value for name, value in found.items()}
        # A pooler that nothing reads has no gradient: it need not be stored.
        before = dict(self.original.network(self.head).named_parameters())
        weights = {name: value for name, value in weights.items() if not torch.equal(value, before[name].cpu())}
        return original.adapted(compressed, weights)


class OriginalStudent(_Student):
    """The original under training, for comparison: its whole table in place of codebooks, and the same other weights."""

    def __init__(self, original: PretrainedModel, head: str | None, settings: AdaptationSettings):
        self.head = head
        self.model = original.trainable_copy(head)
        self._train([self.model.embedding.weight], trained_names(self.model.network(head), settings))

    def tensors(self) -> dict[str, torch.Tensor]:
        """What is trained, as it is now, by name."""
        table = {"table": self.codebooks[0].detach()}
        return table | {f"weights.{name}": value.detach() for name, value in self.weights.items()}

    def as_model(self) -> PretrainedModel:
        """As it is now; not a copy."""
        return self.model


def trained_names(network: "torch.nn.Module", settings: AdaptationSettings) -> list[str]:
    """Which weights of a network are trained besides the table: those that its files hold. Raises InputError for more last layers than there are.

    >>> norm, linear = torch.nn.LayerNorm(2), torch.nn.Linear(2, 2)
    >>> network = torch.nn.Sequential(norm, linear)
    >>> network.get_input_embeddings = lambda: None
    >>> trained_names(network, AdaptationSettings(train="norms"))
    ['0.weight', '0.bias', '1.bias']
    """
    if settings.train == "codebooks" or isinstance(network, StaticNetwork):  # which is its table
        return []
    table = network.get_input_embeddings()
    shared = {id(parameter) for parameter in table.parameters()} if table is not None else set()
    # Fixed weights, such as the sinusoids of Marian, are computed; no file has a place for those or for what its file lacks.
    absent = getattr(network, "absent", ())
    names = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and id(parameter) not in shared and name not in absent
    ]
    if settings.train == "everything":
        return names
    if settings.train == "norms":
        norms = {path for path, module in network.named_modules() if _NORM.search(type(module).__name__)}
        return [name for name in names if name.endswith(".bias") or name.rpartition(".")[0] in norms]
    numbers = {name: int(match[1]) for name in names if (match := LAYER.search(name))}
    count = max(numbers.values(), default=-1) + 1
    if not 1 <= settings.last_layers <= count:
        raise InputError(f"last_layers is {settings.last_layers}; this network has {count} layers")
    return [name for name, number in numbers.items() if number >= count - settings.last_layers]
