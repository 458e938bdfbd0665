"""Putting a compressed table into a model: layers for every method, and :func:`attach`.

The layers themselves are in subemb.codec.layers, and can be imported from here.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from ..base.arguments import checked
from ..base.errors import InputError, ModelError
from .compressed import Compressed, SubspaceCompressed
from .layers import (
    CompressedEmbedding,
    CompressedLinear,
    SubspaceEmbedding,
    SubspaceLinear,
    TableLayer,
    TiedLinear,
    TieredEmbedding,
    TieredLinear,
)
from .methods.tiered import TieredCompressed

__all__ = [
    "Attachment",
    "CompressedEmbedding",
    "CompressedLinear",
    "SubspaceEmbedding",
    "SubspaceLinear",
    "TieredEmbedding",
    "TieredLinear",
    "attach",
    "embedding_layer",
    "output_layer",
    "share_weights",
]


@dataclass(frozen=True)
class Attachment:
    """What :func:`attach` replaced; the new network carries it as ``network.attachment``."""

    inputs: tuple[str, ...]  # dotted names of the input layers that were replaced
    outputs: tuple[str, ...]  # and of the output heads
    #: What the output head is now: ``compressed``; ``dense`` (as it was, because it has a table of its own or ``output=False`` was
    #: given); ``none`` (the network has no output head).
    head: Literal["compressed", "dense", "none"]


def embedding_layer(compressed: Compressed, padding_idx: int | None = None, scale: float | None = None) -> TableLayer:
    """The input layer for a result of any method."""
    if isinstance(compressed, SubspaceCompressed):
        layer = SubspaceEmbedding.from_compressed(compressed, padding_idx)
        layer.scale = scale
        return layer
    if isinstance(compressed, TieredCompressed):
        return TieredEmbedding.from_compressed(compressed, padding_idx, scale)
    return CompressedEmbedding(compressed, padding_idx, scale)


def output_layer(embedding: TableLayer, bias: torch.Tensor | None = None) -> TiedLinear:
    """The output head that shares an input layer's table."""
    kinds = ((SubspaceEmbedding, SubspaceLinear), (TieredEmbedding, TieredLinear), (CompressedEmbedding, CompressedLinear))
    return next(head for layer, head in kinds if isinstance(embedding, layer))(embedding, bias)


@checked
def attach(model, compressed: Compressed, input: bool = True, output: bool = True):
    """The same model with a compressed table; the given model is not changed and shares every other weight with it.

    model: a PretrainedModel (its network has no output head), or a network with ``get_input_embeddings`` (any transformers
        model). ``subemb.attach`` also takes a model's name.
    input: replace the input table, wherever the network uses it (encoder and decoder of T5).
    output: replace an output head that is tied to the table. A head with a table of its own stays dense:
        ``attachment.head`` of the new network tells.

    Returns the same kind of object. A network so made runs, trains and generates; transformers' own ``save_pretrained``,
    ``tie_weights`` and ``resize_token_embeddings`` do not know its layers: save the result beside the original model instead.
    Raises InputError if the result does not fit the model's table.
    """
    if hasattr(model, "with_embeddings"):
        try:
            table = _input_table(model.network())
        except ModelError:
            if model.folder is None:
                raise
            # Its network is not whole or quantized: the table alone can be used, and whoever asks for the network is told.
            table = nn.Embedding(model.num_tokens, model.dim, device="meta")
            _check_fits(compressed, table)
            return model.with_embeddings(embedding_layer(compressed), compressed)
        _check_fits(compressed, table)
        return model.with_embeddings(_Layers(compressed, table).table, compressed)
    table = _input_table(model)
    _check_fits(compressed, table)
    network = share_weights(model)
    inputs, outputs = _uses_of(network, table)
    layers = _Layers(compressed, table)
    if input:
        for parent, name, _, old in inputs:
            setattr(parent, name, layers.input_for(old))
    if output:
        for parent, name, _, old in outputs:
            setattr(parent, name, layers.head_for(old))
    network.attachment = Attachment(
        tuple(path for _, _, path, _ in inputs) if input else (),
        tuple(path for _, _, path, _ in outputs) if output else (),
        "compressed" if output and outputs else "none" if _output_head(model) is None else "dense",
    )
    return network


def share_weights(module: nn.Module, *also_shared: Any, instead: Mapping[int, nn.Parameter] | None = None) -> nn.Module:
    """A copy of a module tree that uses the same parameter and buffer tensors, so that parts of it can be exchanged.

    instead: ``id`` of a tensor -> what the copy has in its place, wherever the module holds it.
    """
    memo: dict[int, Any] = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
    memo.update({id(thing): thing for thing in also_shared if thing is not None})
    memo.update(instead or {})
    return copy.deepcopy(module, memo)


class _Layers:
    """Makes the layers for one network, all sharing one set of tensors and following the old layers' type and device."""

    def __init__(self, compressed: Compressed, table: nn.Module):
        self.table = embedding_layer(compressed, getattr(table, "padding_idx", None), _output_scale(table))
        weight = table.weight
        self.table.to(device=weight.device, dtype=weight.dtype).train(table.training)
        self.table.requires_grad_(weight.requires_grad)

    def input_for(self, old: nn.Module) -> TableLayer:
        """The table as this layer uses it: same tensors, its own padding and scale."""
        padding_idx, scale = getattr(old, "padding_idx", None), _output_scale(old)
        if (padding_idx, scale) == (self.table.padding_idx, self.table.scale):
            return self.table
        layer = share_weights(self.table)
        layer.padding_idx, layer.scale = padding_idx, scale
        return layer

    def head_for(self, old: nn.Module) -> TiedLinear:
        return output_layer(self.table, old.bias).train(old.training)


def _input_table(model) -> nn.Module:
    """The model's input embedding layer, checked to be one that can be replaced."""
    if not hasattr(model, "get_input_embeddings"):
        raise InputError(f"{type(model).__name__} has no get_input_embeddings; give a PretrainedModel or a transformers model")
    try:
        table = model.get_input_embeddings()
    except NotImplementedError:
        table = None
    if not isinstance(table, nn.Embedding | TableLayer):
        raise InputError(f"the input table of {type(model).__name__} is a {type(table).__name__}, not an embedding layer")
    return table


def _check_fits(compressed: Compressed, table: nn.Module) -> None:
    """Raises InputError unless the result has the table's shape."""
    if (compressed.num_embeddings, compressed.embedding_dim) != (table.num_embeddings, table.embedding_dim):
        raise InputError(
            f"the compressed table has {compressed.num_embeddings} tokens x {compressed.embedding_dim} dimensions, the model's "
            f"{table.num_embeddings} x {table.embedding_dim}; compress this model's own table"
        )


def _output_head(model) -> nn.Module | None:
    """The model's output head, if it has one."""
    return model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None


def _output_scale(old: nn.Module) -> float | None:
    """The factor that a layer puts on its output. Raises InputError for a layer that does something else to it."""
    if isinstance(old, TableLayer):
        return old.scale
    if type(old).forward is nn.Embedding.forward:
        return None
    scale = getattr(old, "embed_scale", None)
    if scale is None:
        raise InputError(f"{type(old).__name__} does more than look rows up; subemb cannot stand in for it")
    return float(scale)


def _uses_of(network: nn.Module, table: nn.Module):
    """Where a network uses the table: two lists of (parent, name, path, layer), input layers and tied output heads."""
    inputs, outputs = [], []
    mark = _identity(table)
    for prefix, parent in network.named_modules():
        for name, child in parent._modules.items():
            if isinstance(parent, TiedLinear) or child is None:
                continue
            path = f"{prefix}.{name}" if prefix else name
            if isinstance(child, nn.Embedding | TableLayer) and _identity(child) == mark:
                inputs.append((parent, name, path, child))
            elif isinstance(child, nn.Linear | TiedLinear) and _identity(child) == mark:
                outputs.append((parent, name, path, child))
    return inputs, outputs


def _identity(layer: nn.Module) -> tuple:
    """Equal for two layers that hold the same table."""
    if isinstance(layer, TiedLinear):
        return _identity(layer.embedding)
    if isinstance(layer, TableLayer):
        return tuple(id(tensor) for tensors in (layer.parameters(), layer.buffers()) for tensor in tensors)
    return (id(layer.weight),)
