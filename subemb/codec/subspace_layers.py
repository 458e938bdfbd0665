"""SubspaceEmbedding, which stands in for ``nn.Embedding``, and SubspaceLinear, the output head tied to it."""

import torch
import torch.nn.functional as F
from torch import nn

from ..base.errors import InputError
from .compressed import SubspaceCompressed
from .layers import TableLayer, TiedLinear
from .settings import CompressionSettings

# Codes are taken from the table in pieces of about this many, to keep the widened copy of them near 16 MB.
CODES_AT_ONCE = 2**22


def code_dtype(codebook_size: int) -> torch.dtype:
    """The smallest integer type for codes below Q that torch can index with and move everywhere.

    uint8 up to 256, int16 up to 32,768, int32 above: torch's uint16 lacks most operations (maximum, comparisons).
    """
    return torch.uint8 if codebook_size <= 256 else torch.int16 if codebook_size <= 32768 else torch.int32


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
        from .storage import load

        return cls.from_compressed(load(folder), padding_idx, dtype)

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
        method = "residual" if self.additive else "product" if self.rotation is None else "optimized_product"
        size = max(len(book) for book in self.codebooks)
        settings = CompressionSettings(method, subspaces=len(self.codebooks), codebook_size=size)
        return settings.resolve(self.num_embeddings, self.embedding_dim)

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        codes = F.embedding(ids, self.codes).long()  # (..., f); F.embedding checks the range of the ids
        parts = [F.embedding(codes[..., i], book) for i, book in enumerate(self.codebooks)]
        vectors = sum(parts[1:], parts[0]) if self.additive else torch.cat(parts, dim=-1)
        return vectors if self.rotation is None else vectors @ self.rotation.T

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        # h . (R x) = (R.T h) . x, so the hidden state is turned once instead of every row.
        if self.rotation is not None:
            hidden = hidden @ self.rotation
        starts = [0] * len(self.codebooks) if self.additive else _starts(book.shape[1] for book in self.codebooks)
        # products[offset_i + k, n] = codebook_i[k] . h_i[n]: what codeword k of subspace i adds to a logit.
        columns = hidden.T
        products = torch.cat(
            [book @ columns[start : start + book.shape[1]] for book, start in zip(self.codebooks, starts, strict=True)]
        )
        offsets = torch.tensor(_starts(len(book) for book in self.codebooks), dtype=torch.int32, device=self.codes.device)
        # naive: logits[n, v] = sum over i of products[offset_i + codes[v, i], n]
        # Rows of `products` are contiguous and embedding_bag adds the f of them as it reads: far faster than f gathers.
        rows = max(1, CODES_AT_ONCE // self.codes.shape[1])
        pieces = [
            F.embedding_bag(self.codes[start : start + rows].int() + offsets, products, mode="sum")
            for start in range(0, self.num_embeddings, rows)
        ]
        return (pieces[0] if len(pieces) == 1 else torch.cat(pieces)).T

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
