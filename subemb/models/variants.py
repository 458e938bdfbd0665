"""Models that do not come from a checkpoint as it is: a table in memory, another input embedding, and an adapted model."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, ModelError
from .checkpoint import check_finite, check_table_shape
from .model import PretrainedModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from .vocabulary import Vocabulary


class TableModel(PretrainedModel):
    """A table without a checkpoint."""

    def __init__(self, table, tokens: Sequence[str] | None, name: str):
        import torch

        table = torch.as_tensor(table)
        check_table_shape(tuple(table.shape), "F32" if table.is_floating_point() else str(table.dtype), name)
        table = table.detach().to("cpu", torch.float32, copy=True).contiguous()
        check_finite(table, name)
        if tokens is not None and len(tokens) != len(table):
            raise InputError(f"{len(tokens)} tokens were given for a table of {len(table)} rows; give one for each row")
        super().__init__(name, "memory", None, lambda: hashlib.sha256(table.numpy()).hexdigest()[:16])
        self._tokens = None if tokens is None else list(tokens)
        self._kept["table"] = table

    folder = None
    dtype = "F32"
    table_name = "table"
    parameters = None
    has_tied_head = False
    has_tokenizer = False
    _tokenizer_ids = property(lambda self: self.num_tokens)
    pooling = "none: a table without a network"
    notes = ()

    @property
    def config(self) -> dict[str, Any]:
        return {}

    @property
    def num_tokens(self) -> int:
        return self.table.shape[0]

    @property
    def dim(self) -> int:
        return self.table.shape[1]

    @property
    def table(self) -> "torch.Tensor":
        return self._kept["table"]

    @property
    def tokenizer(self):
        raise ModelError(f"{self.name} is a table in memory; it has no tokenizer", "no_tokenizer")

    @property
    def vocabulary(self) -> "Vocabulary":
        from .vocabulary import Vocabulary

        tokens = self._tokens or [f"id{number}" for number in range(self.num_tokens)]
        return self._once("vocabulary", lambda: Vocabulary.from_tokens(tokens))

    def has_head(self, head: str) -> bool:
        return False

    def network(self, head: str | None = None):
        raise ModelError(f"{self.name} is a table in memory; it has no network", "unsupported")

    def _sentence_model(self):
        return None


def _originals(name: str) -> property:
    return property(lambda self: getattr(self.original, name))


class _OfAnother(PretrainedModel):
    """A model that is another one but for its network; the tokenizer is shared."""

    folder = _originals("folder")
    num_tokens = _originals("num_tokens")
    dim = _originals("dim")
    dtype = _originals("dtype")
    table_name = _originals("table_name")
    config = _originals("config")
    has_tied_head = _originals("has_tied_head")
    has_tokenizer = _originals("has_tokenizer")
    tokenizer = _originals("tokenizer")
    _tokenizer_ids = _originals("_tokenizer_ids")
    notes = _originals("notes")
    vocabulary = _originals("vocabulary")
    pooling = _originals("pooling")
    device = _originals("device")

    def __init__(self, original: PretrainedModel):
        super().__init__(original.name, original.source, original._checkpoint, lambda: original.revision)
        self.original = original
        self.tokenizer_lock = original.tokenizer_lock


class AttachedModel(_OfAnother):
    """Another model's network with an input embedding of its own."""

    def __init__(self, original: PretrainedModel, module: "torch.nn.Module", compressed):
        super().__init__(original)
        self.compressed = compressed
        self.embedding = module

    @property
    def identity(self) -> str:
        """The original's, and a hash of the embedding module's tensors as they are now."""
        digest = hashlib.sha256()
        for key, tensor in self.embedding.state_dict().items():
            digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(_content(tensor))
        return f"{self.original.identity}+{digest.hexdigest()[:16]}"

    @property
    def table(self) -> "torch.Tensor":
        """The reconstruction, (V, D) float32, built anew at each call, since the module may be trained meanwhile."""
        return self.embedding.weight.detach().float()

    @property
    def parameters(self) -> int | None:
        """Floats of the whole model with the new embedding in place of the table."""
        if self.original.parameters is None:
            return None
        new = sum(tensor.numel() for tensor in self.embedding.parameters())
        return self.original.parameters - self.original.num_tokens * self.original.dim + new

    def network(self, head: str | None = None) -> "torch.nn.Module":
        """The original's network on this table; with a ``head``, an output head that shares the table has it too.

        Raises ModelError as the original does, InputError for a ``head`` if the module was given without its ``compressed``.
        """
        if head is not None:
            return self._once(f"network with {head}", lambda: self._network_with(head))

        def make():
            from .network import share_weights

            network = share_weights(self.original.network())
            network.set_input_embeddings(self.embedding)
            return network

        return self._once("network", make)

    def _network_with(self, head: str) -> "torch.nn.Module":
        from ..codec.modules import attach

        if self.compressed is None:
            raise InputError(
                f"this model's table is a {type(self.embedding).__name__} alone; attach a compressed table instead"
            )
        return attach(self.original.network(head), self.compressed)

    def _sentence_model(self):
        def make():
            from .network import exchange_network, share_weights

            source = self.original._sentence_model()
            if source is None:
                return None
            copied = share_weights(source, source.tokenizer, source[0].processor, source[0].auto_model)
            exchange_network(copied, self.network())
            return copied

        return self._once("sentence_model", make)


class MovedModel(_OfAnother):
    """A copy of a model whose networks lie on another device; its table and tokenizer are the original's, on the CPU."""

    table = _originals("table")
    parameters = _originals("parameters")
    identity = _originals("identity")
    device = property(lambda self: self._device)

    def __init__(self, original: PretrainedModel, device: "torch.device | str"):
        import torch

        super().__init__(original)
        self._device = torch.device(device)

    def network(self, head: str | None = None) -> "torch.nn.Module":
        """A copy of the original's, on the device."""
        import copy

        return self._once(f"network with {head}", lambda: copy.deepcopy(self.original.network(head)).to(self._device))

    def _sentence_model(self):
        def make():
            import copy

            from .network import exchange_network

            source = self.original._sentence_model()
            if source is None:
                return None
            network = source[0].auto_model
            shared = (source.tokenizer, source[0].processor, network)
            copied = copy.deepcopy(source, {id(part): part for part in shared})
            exchange_network(copied, self.network())
            return copied.to(self._device)

        return self._once("sentence_model", make)


class AdaptedModel(AttachedModel):
    """A model on a compressed table after training: codebooks, codes, and the weights of the network that were changed.

    weights: name in the network -> tensor, as trained; empty if only the table was. facts: how it was adapted, JSON types (as
    :class:`subemb.adaptation.result.Adaptation`), {} if nothing is known.
    """

    def __init__(self, original: PretrainedModel, compressed, weights: "Mapping[str, torch.Tensor]", facts: dict[str, Any]):
        from ..codec.modules import attach

        super().__init__(original, attach(original, compressed).embedding, compressed)
        self.weights = dict(weights)
        self.facts = dict(facts)

    @property
    def identity(self) -> str:
        """The original's, and a hash of the table and of every changed weight."""
        digest = hashlib.sha256(super().identity.encode())
        for name in sorted(self.weights):
            digest.update(name.encode())
            digest.update(_content(self.weights[name]))
        return f"{self.original.identity}+{digest.hexdigest()[:16]}"

    @property
    def changed_parameters(self) -> int:
        """Floats of the network that were trained besides the table."""
        return sum(tensor.numel() for tensor in self.weights.values())

    def network(self, head: str | None = None) -> "torch.nn.Module":
        """The original's network on this table and with the changed weights; see :meth:`AttachedModel.network`."""
        from .network import HEADS, exchange_weights

        def make():
            plain = AttachedModel.network(self, head)
            return exchange_weights(plain, self.weights, partly=head is None and any(map(self.original.has_head, HEADS)))

        return self._once(f"changed network with {head}", make)

    def save_pretrained(self, folder, **facts: Any):
        """Write the compact folder that :func:`subemb.load` opens again; see subemb.adaptation.saved."""
        from ..adaptation.saved import save

        return save(self, folder, **facts)


class TunedModel(AttachedModel):
    """The original with a network of its own, dense table included, to be trained without touching the original.

    head: the network is the one with that head; without it, it is that network's base.
    """

    def __init__(self, original: PretrainedModel, head: str | None = None):
        import copy

        network = copy.deepcopy(original.network(head))
        super().__init__(original, network.get_input_embeddings(), None)
        self._own, self._head = network, head

    def network(self, head: str | None = None) -> "torch.nn.Module":
        """Its own. Raises InputError for another head than the one it was made with."""
        if head == self._head:
            return self._own
        if head is None:
            return self._own.base_model
        raise InputError(f"this copy of {self.name} was made with {self._head or 'no head'}, not with {head}")


def _content(tensor: "torch.Tensor"):
    """The bytes of a tensor, for hashing."""
    import torch

    return tensor.detach().cpu().contiguous().flatten().view(dtype=torch.uint8).numpy()
