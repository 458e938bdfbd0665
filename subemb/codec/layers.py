"""Compressed input layers and output heads.

TableLayer stands in for ``nn.Embedding`` and TiedLinear for the ``nn.Linear`` that shares its table. SubspaceEmbedding and
SubspaceLinear do so for codes and codebooks, which can be trained; CompressedEmbedding and CompressedLinear for the other
methods, with fixed tensors.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ..base.errors import InputError
from .compressed import MANY_ROWS, BaselineCompressed, Compressed, SubspaceCompressed
from .methods import plain_method
from .methods.tiered import TieredCompressed, has_codes_to_choose, places_in
from .settings import CompressionSettings

# Codes are taken from the table in pieces of about this many, to keep the widened copy of them near 16 MB.
CODES_AT_ONCE = 2**22


# What all layers share


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
        """The reconstruction (V, D), differentiable like the layer. Rebuilt at every access: V x D numbers."""
        return self.rows(torch.arange(self.num_embeddings, device=self._device()))

    @property
    def coded(self) -> "list[SubspaceEmbedding]":
        """The layers whose codebooks can be trained, as in :attr:`.Compressed.coded`: this one, or those of tiers."""
        return []

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        """``hidden @ weight.T`` without the (V, D) matrix: (n, D) -> (n, V)."""
        raise NotImplementedError

    def _device(self) -> torch.device:
        raise NotImplementedError

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        parts += [f"{name}={value}" for name in ("padding_idx", "scale") if (value := getattr(self, name)) is not None]
        return ", ".join(parts)


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
        """The reconstruction (V, D), rebuilt at every access."""
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


# Codes and codebooks


class SubspaceEmbedding(TableLayer):
    """Codes and codebooks in place of a (V, D) table.

    codes: buffer (V, f), the smallest integer type that fits (:func:`code_dtype`).
    codebooks: f parameters (Q, d_i); (Q, D) each when ``additive``.
    rotation: buffer (D, D) or None; rows are ``concat(...) @ rotation.T``.
    settings: where the codes came from; kept for :meth:`to_compressed`.

    Raises InputError if shapes or codes do not go together.
    """

    def __init__(
        self,
        codes: torch.Tensor,
        codebooks,
        *,
        rotation: torch.Tensor | None = None,
        additive: bool = False,
        padding_idx: int | None = None,
        scale: float | None = None,
        settings: CompressionSettings | None = None,
    ):
        books = list(codebooks)
        dim = _checked_dim(codes, books, rotation, additive)
        super().__init__(len(codes), dim, padding_idx, scale)
        self.additive, self.settings = additive, settings
        self.register_buffer("codes", codes.detach().to(code_dtype(max(len(book) for book in books))).contiguous())
        self.register_buffer("rotation", None if rotation is None else rotation.detach().clone())
        # Given Parameters are kept as they are, so that two layers can share them.
        keep = (book if isinstance(book, nn.Parameter) else nn.Parameter(book.detach().clone()) for book in books)
        self.codebooks = nn.ParameterList(keep)

    @classmethod
    def from_compressed(
        cls, compressed: SubspaceCompressed, padding_idx: int | None = None, dtype: torch.dtype | None = None
    ) -> "SubspaceEmbedding":
        """A layer with copies of a result's codebooks; raises InputError for a baseline's result."""
        if not isinstance(compressed, Compressed):
            raise InputError(f"compressed is a {type(compressed).__name__}; give what subemb.compress returned")
        if not isinstance(compressed, SubspaceCompressed):
            raise InputError(
                f"{compressed.settings.method} has no codebooks; use CompressedEmbedding on what subemb.codec.load reads"
            )
        layer = cls(
            compressed.codes,
            compressed.codebooks,
            rotation=compressed.rotation,
            additive=compressed.is_additive,
            padding_idx=padding_idx,
            settings=compressed.settings,
        )
        return layer if dtype is None else layer.to(dtype)

    @classmethod
    def from_pretrained(cls, folder, padding_idx: int | None = None, dtype: torch.dtype | None = None):
        """Read a folder written by ``save_pretrained``; see subemb.codec.storage. Raises InputError."""
        from .loading import load

        return cls.from_compressed(load(folder), padding_idx, dtype)

    @property
    def coded(self) -> "list[SubspaceEmbedding]":
        return [self]

    def to_compressed(self) -> SubspaceCompressed:
        """The result that this layer now stands for (after training, say): float32 copies on the CPU."""
        codes = self.codes.cpu()
        codes = codes if codes.dtype == torch.uint8 else codes.int()
        rotation = None if self.rotation is None else self.rotation.detach().float().cpu().clone()
        return SubspaceCompressed(
            self.settings or self._plain_settings(),
            self.num_embeddings,
            self.embedding_dim,
            codes.clone(),
            [book.detach().float().cpu().clone() for book in self.codebooks],
            rotation,
        )

    def save_pretrained(self, folder, **facts) -> None:
        """Write the layer as it is now; see subemb.codec.storage."""
        self.to_compressed().save_pretrained(folder, **facts)

    def _plain_settings(self) -> CompressionSettings:
        method = plain_method(self.additive, self.rotation is not None)
        size = max(len(book) for book in self.codebooks)
        settings = CompressionSettings(method, subspaces=len(self.codebooks), codebook_size=size, codebook_bits=32)
        return settings.resolve(self.num_embeddings, self.embedding_dim)

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        books = self._books()
        if not self.additive and ids.numel() >= MANY_ROWS and self._in_loops(*books):
            from .kernels import joined_rows

            vectors = joined_rows(ids.reshape(-1), self.codes, books).view(*ids.shape, self.embedding_dim)
            return vectors if self.rotation is None else vectors @ self.rotation.T
        codes = F.embedding(ids, self.codes).long()  # (..., f); F.embedding checks the range of the ids
        parts = (F.embedding(codes[..., i], book) for i, book in enumerate(books))
        vectors = sum(parts, next(parts)) if self.additive else torch.cat(list(parts), dim=-1)
        return vectors if self.rotation is None else vectors @ self.rotation.T

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        # h . (R x) = (R.T h) . x, so the hidden state is turned once instead of every row.
        if self.rotation is not None:
            hidden = hidden @ self.rotation
        books = self._books()
        starts = [0] * len(books) if self.additive else _starts(book.shape[1] for book in books)
        # products[offset_i + k, n] = codebook_i[k] . h_i[n]: what codeword k of subspace i adds to a logit.
        columns = hidden.T
        if not self.additive and len({book.shape for book in books}) == 1 and len(books) > 1:
            stacked = torch.stack(books)  # (f, Q, d)
            products = (stacked @ columns.reshape(len(books), stacked.shape[2], -1)).flatten(0, 1)
        else:
            products = torch.cat(
                [book @ columns[start : start + book.shape[1]] for book, start in zip(books, starts, strict=True)]
            )
        if self._in_loops(products):
            from .kernels import gathered_products

            return gathered_products(self.codes, products, _starts(len(book) for book in books)).T
        offsets = torch.tensor(_starts(len(book) for book in books), dtype=torch.int32, device=self.codes.device)
        # naive: logits[n, v] = sum over i of products[offset_i + codes[v, i], n]
        # Rows of `products` are contiguous and embedding_bag adds the f of them as it reads: far faster than f gathers.
        rows = max(1, CODES_AT_ONCE // self.codes.shape[1])
        pieces = [
            F.embedding_bag(self.codes[start : start + rows].int() + offsets, products, mode="sum")
            for start in range(0, self.num_embeddings, rows)
        ]
        return (pieces[0] if len(pieces) == 1 else torch.cat(pieces)).T

    def _books(self) -> list[torch.Tensor]:
        """The codebooks. A ParameterList takes microseconds to find each, which is longer than a lookup needs it."""
        return [book for _, book in self.codebooks.named_parameters(recurse=False, remove_duplicate=False)]

    def _in_loops(self, *numbers: torch.Tensor) -> bool:
        """Whether compiled loops take these: nothing is trained and nothing traces the layer (else torch's operations do the same)."""
        if self.codes.device.type != "cpu" or (torch.is_grad_enabled() and any(n.requires_grad for n in numbers)):
            return False
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return False
        from .kernels import usable

        return usable(*numbers)

    def _device(self) -> torch.device:
        return self.codes.device

    def extra_repr(self) -> str:
        books = sorted({len(book) for book in self.codebooks})
        kind = ", additive" if self.additive else ", rotated" if self.rotation is not None else ""
        return f"{super().extra_repr()}, subspaces={len(self.codebooks)}, codebook_size={books[-1]}{kind}"


class SubspaceLinear(TiedLinear):
    """Head of a :class:`SubspaceEmbedding`: products of the hidden state with every codebook, then gather and add.

    That is Q x D multiplications and V x f additions a position, instead of V x D of both.
    """


def code_dtype(codebook_size: int) -> torch.dtype:
    """The smallest integer type for codes below Q that torch can index with and move everywhere.

    uint8 up to 256, int16 up to 32,768, int32 above: torch's uint16 lacks most operations (maximum, comparisons).
    """
    return torch.uint8 if codebook_size <= 256 else torch.int16 if codebook_size <= 32768 else torch.int32


def _starts(lengths) -> list[int]:
    """Where each of several runs starts when they are laid end to end."""
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    return starts[:-1]


def _checked_dim(codes: torch.Tensor, books: list, rotation: torch.Tensor | None, additive: bool) -> int:
    """D, after checking that codes, codebooks and rotation go together."""
    if codes.ndim != 2 or codes.is_floating_point() or 0 in codes.shape:
        raise InputError(f"codes must be a (tokens, subspaces) table of integers, not {tuple(codes.shape)} {codes.dtype}")
    if len(books) != codes.shape[1]:
        raise InputError(f"{codes.shape[1]} code(s) a token do not fit {len(books)} codebook(s)")
    for i, book in enumerate(books):
        if book.ndim != 2 or 0 in book.shape:
            raise InputError(f"codebook {i} has shape {tuple(book.shape)}; it must be (codewords, width)")
        low, high = (int(value) for value in codes[:, i].long().aminmax())
        if low < 0 or high >= len(book):
            bad = high if high >= len(book) else low
            raise InputError(f"code {bad} in subspace {i} is outside its codebook of {len(book)} sub-vectors")
    widths = [book.shape[1] for book in books]
    if additive and len(set(widths)) > 1:
        raise InputError(f"codebooks that are added up must have one width, not {sorted(set(widths))}")
    dim = widths[0] if additive else sum(widths)
    if rotation is not None and rotation.shape != (dim, dim):
        raise InputError(f"a rotation of shape {tuple(rotation.shape)} does not fit {dim} dimensions")
    return dim


# Tiers


class TieredEmbedding(TableLayer):
    """Tiers of tokens, each a layer of its own: :class:`SubspaceEmbedding`, whose codebooks can be trained, or :class:`CompressedEmbedding`.

    tier: buffer (V,) uint8, the tier of every token. parts: the layers, whose rows are the tokens of a tier in the order of their ids.
    lenders: None, or of a last tier without a layer the (n,) ids of the tokens whose rows its own have.
    """

    def __init__(
        self,
        tier: torch.Tensor,
        parts: Sequence[TableLayer],
        settings: CompressionSettings,
        padding_idx: int | None = None,
        scale: float | None = None,
        lenders: torch.Tensor | None = None,
    ):
        super().__init__(len(tier), parts[0].embedding_dim, padding_idx, scale)
        counts = torch.bincount(tier.long(), minlength=len(parts)).tolist()
        kept = [part.num_embeddings for part in parts] + ([] if lenders is None else [len(lenders)])
        if counts != kept:
            raise InputError(f"tiers of {counts} tokens do not fit layers of {kept}")
        self.settings = settings
        self.register_buffer("tier", tier.clone())
        self.register_buffer("lenders", lenders)
        part, place = tier, places_in(tier, len(counts))
        if lenders is not None:
            stand_ins = torch.arange(len(tier), device=tier.device)
            stand_ins[tier == len(parts)] = lenders
            part, place = part[stand_ins], place[stand_ins]
        self.register_buffer("part", part.clone())  # the layer in which the row of a token stands
        self.register_buffer("place", place.int())  # and its place there
        # where in the rows of all parts, one after the other, a token's row stands
        starts = torch.tensor(_starts(counts), device=tier.device)
        self.register_buffer("column", starts[part.long()] + self.place)
        self.parts = nn.ModuleList(parts)

    @classmethod
    def from_compressed(
        cls, compressed: TieredCompressed, padding_idx: int | None = None, scale: float | None = None
    ) -> "TieredEmbedding":
        """A layer with copies of a result's codebooks."""
        parts = [
            SubspaceEmbedding.from_compressed(part) if isinstance(part, SubspaceCompressed) else CompressedEmbedding(part)
            for part in compressed.parts
        ]
        return cls(compressed.tier, parts, compressed.settings, padding_idx, scale, compressed.lenders)

    @property
    def coded(self) -> list[SubspaceEmbedding]:
        return [part for part in self.parts if isinstance(part, SubspaceEmbedding) and has_codes_to_choose(part.settings)]

    def to_compressed(self) -> TieredCompressed:
        """The result that this layer now stands for (after training, say): copies on the CPU, in the types of a result."""
        parts = [part.to_compressed() for part in self.parts]
        lenders = None if self.lenders is None else self.lenders.cpu().clone()
        return TieredCompressed(self.settings, self.num_embeddings, self.embedding_dim, self.tier.cpu().clone(), parts, lenders)

    def save_pretrained(self, folder, **facts) -> None:
        """Write the layer as it is now; see subemb.codec.storage."""
        self.to_compressed().save_pretrained(folder, **facts)

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        flat = ids.reshape(-1)
        tiers, places = F.embedding(flat, self.part[:, None])[:, 0], self.place[flat].long()
        parts, order = [], []
        for number, part in enumerate(self.parts):
            here = torch.nonzero(tiers == number).flatten()
            if len(here):
                parts.append(part.rows(places[here]))
                order.append(here)
        if not parts:
            return self.parts[0].rows(flat).view(*ids.shape, self.embedding_dim)
        rows = torch.cat(parts)
        if len(parts) > 1:
            rows = rows[torch.argsort(torch.cat(order))]
        return rows.view(*ids.shape, self.embedding_dim)

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        # Columns of token by token (see TiedLinear): rows of the transposed logits are contiguous, so this picks whole rows.
        logits = torch.cat([part.project(hidden).T for part in self.parts])
        return logits.index_select(0, self.column).T

    def _device(self) -> torch.device:
        return self.tier.device

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, tiers={self.settings.tiers}"


class TieredLinear(TiedLinear):
    """Head of a :class:`TieredEmbedding`: the logits of every tier, put into the order of the tokens."""


# Results without codebooks


class CompressedEmbedding(TableLayer):
    """A result without codebooks as an input layer; its tensors are buffers, nothing is trained.

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
        self._types = {name: tensor.dtype for name, tensor in compressed.tensors().items()}

    @property
    def result(self) -> BaselineCompressed:
        """The stored tensors as a result."""
        return self._template.with_tensors({name: getattr(self, name) for name in self._template.stored})

    def to_compressed(self) -> BaselineCompressed:
        """:attr:`result` as copies on the CPU, in the types that it came with."""
        tensors = self.result.tensors().items()
        return self._template.with_tensors({name: t.detach().to("cpu", self._types[name], copy=True) for name, t in tensors})

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        return self.result.lookup(ids).to(self.type_marker.dtype)

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.result.project(hidden)

    def _device(self) -> torch.device:
        return self.type_marker.device

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, method={self._template.settings.method}"


class CompressedLinear(TiedLinear):
    """Head of a :class:`CompressedEmbedding`; rebuilds the table in chunks of rows, where the result needs it at all."""
