"""Encoding sentences whose token embeddings are given as vectors, so that single positions and axes can be exchanged.

The network's input table is replaced by a module that returns the given vectors, while the token ids stay what they are. So
whatever a network derives from ids (RoBERTa's positions, places of padding or of an end token, pooling) is as it was, and
this is exact for any architecture.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from ..base.errors import ModelError
from ..base.progress import ProgressCallback, report

if TYPE_CHECKING:
    from ..models.model import PretrainedModel

TOKENS_AT_ONCE = 2048  # positions in one batch: a dozen layers then need a few hundred MB with gradients


class GivenEmbeddings(nn.Module):
    """Stands in for the input table and returns ``vectors`` (m, n, D) whatever ids it is asked for.

    Raises ModelError (``unsupported``) if the network asks for another number of rows or positions.
    """

    def __init__(self, table: nn.Module):
        super().__init__()
        self.table = table
        self.vectors: torch.Tensor | None = None

    @property
    def weight(self) -> torch.Tensor:
        """Of the table that it stands for; some networks ask its type."""
        return self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        if self.vectors is None or ids.shape != self.vectors.shape[:-1]:
            raise ModelError("this network does not look its tokens up one by one, so they cannot be swapped", "unsupported")
        return self.vectors


class GivenEncoder:
    """A model's sentence vectors from embeddings in place of ids. The model itself is not changed."""

    def __init__(self, model: "PretrainedModel"):
        self._given = GivenEmbeddings(model.network().get_input_embeddings())
        self._model = model.with_embeddings(self._given)

    def __call__(self, ids: Sequence[int], vectors: torch.Tensor) -> torch.Tensor:
        """(m, width) sentence vectors of one sentence with m different sets of embeddings (m, n, D), in one batch.

        ids: (n,) the sentence's tokens. Vectors are what the input table gives out, an output scale included.
        """
        self._given.vectors = vectors
        try:
            return self._model.encode_ids_tensor([list(ids)] * len(vectors))
        finally:
            self._given.vectors = None


def rows_at_once(length: int) -> int:
    """How many sentences of ``length`` tokens go into one batch."""
    return max(1, TOKENS_AT_ONCE // max(1, length))


def embed(model: "PretrainedModel", ids: Sequence[int]) -> torch.Tensor:
    """What a model's input table gives for (n,) ids: (n, D) float32."""
    with torch.no_grad():
        return model.network().get_input_embeddings()(torch.tensor([list(ids)]))[0].float()


def encode_variants(
    encoder: GivenEncoder, ids: Sequence[int], count: int, make, progress: ProgressCallback | None = None, what: str = ""
) -> np.ndarray:
    """Sentence vectors (count, width) float64 of ``count`` variants; ``make(start, end)`` gives their embeddings (m, n, D)."""
    parts = []
    step = rows_at_once(len(ids))
    for start in range(0, count, step):
        report(progress, what, start / count)
        with torch.inference_mode():
            parts.append(encoder(ids, make(start, min(count, start + step))).double().numpy())
    return np.concatenate(parts)
