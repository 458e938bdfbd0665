"""The network of an encoder with a masked-word head that was trained for it; see :mod:`subemb.models.masked_head`."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..base.errors import ModelError
from ..codec.modules import share_weights
from .loading import architecture
from .masked_head import MaskedHead


class ChangedLinear(nn.Linear):
    """A linear layer whose weight (o, i) is changed by ``change_out @ change_in``, of shapes (o, r) and (r, i), or by a whole
    ``change_out`` of its own shape.

    ``weight`` and ``bias`` are the Parameters of the layer that it stands for, so that both stay one.

    >>> plain = nn.Linear(3, 2)
    >>> changed = ChangedLinear(plain, torch.ones(2, 1), torch.zeros(1, 3))
    >>> changed.weight is plain.weight, torch.equal(changed(torch.ones(1, 3)), plain(torch.ones(1, 3)))
    (True, True)
    """

    def __init__(self, plain: nn.Linear, out: torch.Tensor, within: torch.Tensor | None = None):
        super().__init__(plain.in_features, plain.out_features, plain.bias is not None, device="meta")
        self.weight, self.bias = plain.weight, plain.bias
        self.change_out, self.change_in = out, within  # a Parameter is trained, a plain tensor is a buffer
        self.training = plain.training

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("change_") and not isinstance(value, nn.Parameter) and name not in self._buffers:
            # Not in the state of the network, whose own weights are those of the encoder.
            self.register_buffer(name, value, persistent=False)
        else:
            super().__setattr__(name, value)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(..., i) to (..., o)."""
        return F.linear(inputs, self.merged, self.bias)

    @property
    def merged(self) -> torch.Tensor:
        """(o, i): the weight as it acts."""
        return self.weight + (self.change_out if self.change_in is None else self.change_out @ self.change_in)


def network_around(model: Any, body: nn.Module) -> nn.Module:
    """The architecture's network for masked words around a body, which is not changed, and whose weights it shares; on the CPU.

    The weights outside the body are zeros, ones in a norm, and the identity in a square matrix; decoder and table are one.
    Raises ModelError (``unsupported``) if the architecture has none, or one whose output is not the table.
    """
    network = architecture(model.checkpoint.weights_folder, "AutoModelForMaskedLM")
    prefix = network.base_model_prefix
    empty = getattr(network, prefix, None)
    if empty is None or empty is network:
        raise _unlike(model)
    body = share_weights(body)
    for name, _ in list(body.named_children()):
        if getattr(empty, name, None) is None:  # a pooler, which masked words do not need
            setattr(body, name, None)
    setattr(network, prefix, body)
    table, decoder = body.get_input_embeddings(), network.get_output_embeddings()
    if not isinstance(decoder, nn.Linear) or decoder.weight.shape != table.weight.shape:
        raise _unlike(model)
    decoder.weight = table.weight
    inside = {id(parameter) for parameter in body.parameters()}
    norms = {path for path, module in network.named_modules() if "norm" in type(module).__name__.lower()}
    made: dict[int, nn.Parameter] = {}
    for name, parameter in list(network.named_parameters(remove_duplicate=False)):
        if id(parameter) in inside:
            continue
        path, _, last = name.rpartition(".")
        value = torch.zeros(parameter.shape)
        if last == "weight" and path in norms:
            value += 1
        elif value.ndim == 2 and value.shape[0] == value.shape[1]:
            value = torch.eye(len(value))
        new = made.setdefault(id(parameter), nn.Parameter(value, requires_grad=False))
        setattr(network.get_submodule(path), last, new)
    if any(buffer.is_meta for buffer in network.buffers()):
        raise _unlike(model)
    return network.eval()


def _unlike(model: Any) -> ModelError:
    return ModelError(
        f"the architecture of {model.name} ({model.config.get('model_type', 'unknown')}) has no masked-word head that multiplies by "
        "the token table, so none can be put on it; choose an encoder like BERT, RoBERTa or MPNet",
        "unsupported",
    )


def outside_names(network: nn.Module) -> list[str]:
    """Names of the weights of a network with a head that are not the body's, each once."""
    inside = {id(parameter) for parameter in network.base_model.parameters()}
    return [name for name, parameter in network.named_parameters() if id(parameter) not in inside]


def changeable(body: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers of a body, by name: those that low-rank changes go to."""
    return {name: module for name, module in body.named_modules() if isinstance(module, nn.Linear)}


def set_change(body: nn.Module, name: str, out: torch.Tensor, within: torch.Tensor | None = None) -> ChangedLinear:
    """Have the linear layer ``name`` of a body changed by ``out @ within``, or by ``out`` alone."""
    path, _, last = name.rpartition(".")
    layer = ChangedLinear(body.get_submodule(name), out, within)
    setattr(body.get_submodule(path), last, layer)
    return layer


def network_with(model: Any, found: MaskedHead) -> nn.Module:
    """The model's network with a masked-word head, float32, eval mode. Raises ModelError (``broken``) if the head does not fit."""
    network = network_around(model, model.network())
    body = network.base_model
    with torch.no_grad():
        own = {name: network.get_parameter(name) for name in outside_names(network)}
        if {name: tuple(tensor.shape) for name, tensor in found.head.items()} != {n: tuple(p.shape) for n, p in own.items()}:
            raise _misfit(model)
        for name, parameter in own.items():
            parameter.copy_(found.head[name])
    layers = changeable(body)
    for name, change in found.changes.items():
        layer = layers.get(name.removesuffix(".weight"))
        if layer is None or tuple(layer.weight.shape) != (change[0].shape[0], change[-1].shape[1]):
            raise _misfit(model)
        set_change(body, name.removesuffix(".weight"), *change)
    network.absent = tuple(own)  # no file of the model's has a place for them
    return network.eval()


def own_body(network: nn.Module) -> nn.Module:
    """The body of a network with such a head as it is without the head's changes; it shares all its weights."""
    body = share_weights(network.base_model)
    for name, changed in list(changeable(body).items()):
        if isinstance(changed, ChangedLinear):
            layer = nn.Linear(changed.in_features, changed.out_features, changed.bias is not None, device="meta")
            layer.weight, layer.bias = changed.weight, changed.bias
            path, _, last = name.rpartition(".")
            setattr(body.get_submodule(path), last, layer.train(changed.training))
    return body


def _misfit(model: Any) -> ModelError:
    return ModelError(
        f"the masked-word head of {model.name} does not fit its network; train it again with subemb train-masked-head", "broken"
    )


def merged_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a network with such a head, with the head's changes added to the body's own."""
    changed = {f"{name}.weight": layer.merged for name, layer in network.named_modules() if isinstance(layer, ChangedLinear)}
    return {**network.state_dict(), **changed}
