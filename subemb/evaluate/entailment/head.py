"""An entailment head: a small network that judges a pair by the sentence embeddings of premise and hypothesis.

For encoders that have no NLI classifier. The features are those of InferSent (Conneau et al. 2017): u, v, |u - v|, u * v, here
of linearly mapped sentence vectors; the map is learned with the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...base.errors import InputError
from ...base.plain import Settings, setting
from ..data.pairs import LABELS

Drop = Callable[[torch.Tensor, str], torch.Tensor]
_ROWS = 4096  # pairs judged at once


def features(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(..., k) and (..., k) -> (..., 4 k): u, v, |u - v|, u * v.

    >>> features(torch.tensor([1.0, 2.0]), torch.tensor([3.0, -1.0])).tolist()
    [1.0, 2.0, 3.0, -1.0, 2.0, 3.0, 3.0, -2.0]
    """
    return torch.cat([first, second, (first - second).abs(), first * second], dim=-1)


def unit_length(vectors: torch.Tensor) -> torch.Tensor:
    """(n, D) rows divided by their lengths; a zero row stays zero."""
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)


@dataclass(frozen=True)
class HeadShape(Settings):
    """Sizes of an entailment head. Raises InputError for sizes out of range."""

    WRONG_KIND = OUTSIDE = "{name} of an entailment head is {value!r}; it must be {needed}"

    dim: int = setting(least=1, most=65_536)  # D, of sentence vectors
    members: int = setting(1, least=1, most=64)  # M networks, averaged
    projected: int = setting(1, least=1, most=8192)  # k axes that each member compares by
    hidden: int = setting(1, least=1, most=8192)  # H units of each member

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of each stored tensor."""
        members, axes, hidden = self.members, self.projected, self.hidden
        return {
            "mean": (self.dim,),
            "scale": (1,),
            "projection": (members, axes, self.dim),
            "hidden_weight": (members, hidden, 4 * axes),
            "hidden_bias": (members, 1, hidden),
            "output_weight": (members, len(LABELS), hidden),
            "output_bias": (members, 1, len(LABELS)),
        }


class EntailmentHead(torch.nn.Module):
    """Sentence vectors of premises and hypotheses, (n, D) each -> logits (n, 3) in the order of ``LABELS``.

    Vectors are brought to unit length, the mean of the training sentences is taken off, and the rest is scaled. Then each of
    M members maps them to k axes with a separate matrix, forms the features u, v, |u - v|, u * v of the mapped vectors, and
    feeds them to one hidden layer with ReLU. The head's logits are the mean of the members' logits.

    name: of the head, for people and settings. card: what is known about its training (see
    :mod:`subemb.evaluate.entailment.head_files`); ``card["model"]`` says which model's vectors it reads. A new head has zero
    weights.
    """

    labels = LABELS

    def __init__(self, shape: HeadShape, name: str = "entailment head", card: dict[str, Any] | None = None):
        super().__init__()
        self.shape, self.name, self.card = shape, name, card or {}
        for tensor, size in shape.tensors.items():
            if tensor in ("mean", "scale"):
                self.register_buffer(tensor, torch.zeros(size) if tensor == "mean" else torch.ones(size))
            else:
                self.register_parameter(tensor, torch.nn.Parameter(torch.zeros(size)))

    @property
    def dim(self) -> int:
        return self.shape.dim

    def inputs(self, vectors: torch.Tensor) -> torch.Tensor:
        """(n, D) sentence vectors -> the same as the members take them: at unit length, minus the mean, scaled."""
        return (unit_length(vectors) - self.mean) * self.scale

    def member_logits(self, first: torch.Tensor, second: torch.Tensor, drop: Drop | None = None) -> torch.Tensor:
        """(n, D) and (n, D) of :meth:`inputs` -> (M, n, 3). drop: sets features and hidden units to zero in training."""
        drop = drop or (lambda values, of: values)
        axes = self.projection.transpose(1, 2)  # (M, D, k)
        compared = drop(features(first @ axes, second @ axes), "features")  # (M, n, 4 k)
        units = torch.relu(torch.baddbmm(self.hidden_bias, compared, self.hidden_weight.transpose(1, 2)))  # (M, n, H)
        return torch.baddbmm(self.output_bias, drop(units, "hidden"), self.output_weight.transpose(1, 2))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return self.member_logits(self.inputs(first), self.inputs(second)).mean(0)

    def judge(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """(n, D) vectors of premises and of hypotheses -> (n, 3) float32 probabilities. Raises InputError for other shapes."""
        for vectors in (first, second):
            if vectors.ndim != 2 or vectors.shape[1] != self.dim or len(vectors) != len(first):
                raise InputError(
                    f"sentence vectors have the shapes {first.shape} and {second.shape}; the head {self.name} takes two (n, {self.dim})"
                )
        parts = [np.zeros((0, len(LABELS)), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(first), _ROWS):
                rows = (
                    torch.from_numpy(np.ascontiguousarray(part[start : start + _ROWS], np.float32)) for part in (first, second)
                )
                parts.append(self(*rows).softmax(1).numpy())
        return np.concatenate(parts)
