"""What compressed input layers and output heads have in common, and those of the baselines.

TableLayer stands in for ``nn.Embedding`` and TiedLinear for the ``nn.Linear`` that shares its table. CompressedEmbedding and
CompressedLinear do so for low rank, int8 and int4, with fixed tensors; for codes and codebooks see subspace_layers.
"""

import torch
from torch import nn

from ..base.errors import InputError
from .baselines import BaselineCompressed


class TableLayer(nn.Module):
    """What the input layers share: the attributes of ``nn.Embedding``, padding, and an optional output scale.

    scale: factor on the output only, not on ``weight`` (some models multiply their embeddings by sqrt(D)).
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, scale: float | None):
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise InputError(f"padding_idx is {padding_idx}; it must be below the number of tokens, {num_embeddings}")
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.scale = padding_idx, scale

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        """Reconstructed rows of ids: (...) int64 -> (..., D), unscaled."""
        raise NotImplementedError

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(...) integers of any type -> (..., D). Raises IndexError outside 0..V-1, TypeError if not integers."""
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise TypeError(f"token ids must be integers, not {ids.dtype}")
        ids = ids.long()
        vectors = self.rows(ids)
        if self.padding_idx is not None and vectors.requires_grad:
            # Padding shares its sub-vectors with other tokens; its positions must not pull on them.
            vectors = torch.where((ids == self.padding_idx).unsqueeze(-1), vectors.detach(), vectors)
        return vectors if self.scale is None else vectors * torch.tensor(self.scale).to(vectors)

    @property
    def weight(self) -> torch.Tensor:
        """The reconstruction (V, D), differentiable like the layer. Built anew at every access: V x D numbers."""
        return self.rows(torch.arange(self.num_embeddings, device=self._device()))

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        """``hidden @ weight.T`` without the (V, D) matrix: (n, D) -> (n, V)."""
        raise NotImplementedError

    def _device(self) -> torch.device:
        raise NotImplementedError

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        parts += [f"{name}={value}" for name in ("padding_idx", "scale") if (value := getattr(self, name)) is not None]
        return ", ".join(parts)


class CompressedEmbedding(TableLayer):
    """A baseline's result (low rank, int8, int4) as an input layer; its tensors are buffers, nothing is trained.

    The output has the layer's type: ``.to(dtype)`` converts the float buffers and the output, integers stay.
    """

    def __init__(self, compressed: BaselineCompressed, padding_idx: int | None = None, scale: float | None = None):
        super().__init__(compressed.num_embeddings, compressed.embedding_dim, padding_idx, scale)
        if not isinstance(compressed, BaselineCompressed):
            raise InputError(f"{compressed.settings.method} has codebooks; use SubspaceEmbedding")
        for name, tensor in compressed.tensors().items():
            self.register_buffer(name, tensor.detach().clone())
        self.register_buffer("type_marker", torch.empty(0, dtype=torch.float32), persistent=False)
        self._template = compressed.with_tensors(dict.fromkeys(compressed.stored))

    @property
    def result(self) -> BaselineCompressed:
        """The stored tensors as a result."""
        return self._template.with_tensors({name: getattr(self, name) for name in self._template.stored})

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        return self.result.lookup(ids).to(self.type_marker.dtype)

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.result.project(hidden)

    def _device(self) -> torch.device:
        return self.type_marker.device

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, method={self._template.settings.method}"


class TiedLinear(nn.Module):
    """The output head that belongs to a compressed table: (..., D) -> (..., V) logits, never building (V, D).

    embedding: the table, shared with the input side, so that both train the same parameters. bias: (V,) or None.
    The logits are laid out token by token (a transposed view of a (V, n) matrix), which is how they are computed.
    """

    def __init__(self, embedding: TableLayer, bias: torch.Tensor | None = None):
        super().__init__()
        self.embedding = embedding
        self.in_features, self.out_features = embedding.embedding_dim, embedding.num_embeddings
        if bias is not None and bias.shape != (self.out_features,):
            raise InputError(f"a bias of shape {tuple(bias.shape)} does not fit {self.out_features} tokens")
        if bias is not None and not isinstance(bias, nn.Parameter):
            bias = nn.Parameter(bias.detach().clone())
        self.register_parameter("bias", bias)

    @property
    def weight(self) -> torch.Tensor:
        """The reconstruction (V, D), built anew at every access."""
        return self.embedding.weight

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if hidden.numel() == 0:  # embedding_bag cannot add up rows of no columns
            return hidden.new_zeros(*hidden.shape[:-1], self.out_features)
        logits = self.embedding.project(hidden.reshape(-1, self.in_features))
        if self.bias is not None:
            logits = logits + self.bias
        return logits.view(*hidden.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class CompressedLinear(TiedLinear):
    """Head of a :class:`CompressedEmbedding`; rebuilds the table in chunks of rows (low rank: not at all)."""
