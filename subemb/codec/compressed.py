"""What every method gives back: one interface, so that pages, metrics and files treat all methods alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

from ..base.errors import InputError
from ..base.lazy import lazy_module
from ..base.shown import Card, Shown
from ..base.text import count_text, percent_text, size_text
from .grids import codebook_bytes, on_grid
from .sizes import Size, code_bits_each

torch = lazy_module("torch")

ROWS_AT_ONCE = 2**17  # numbers of rows that stay in a core's cache
MANY_ROWS = 256  # from which on rows are joined by compiled loops, which have to be read from a disk first


class Coded(NamedTuple):
    """A part of a result that is codes and codebooks: the whole of it, or a tier."""

    tokens: torch.Tensor  # (n,) int64, the ids that its rows stand for, ascending
    part: SubspaceCompressed  # of n tokens


@dataclass(repr=False)
class Compressed(Shown, ABC):
    """A compressed (V, D) table."""

    settings: Any  # the CompressionSettings, resolved (every automatic value filled in)
    num_embeddings: int  # V
    embedding_dim: int  # D
    #: One dict per iteration, as sent through the progress callback: ``iteration``, ``error``, ``per_subspace``.
    history: list[dict[str, Any]] = field(default_factory=list, kw_only=True)
    #: Measured facts: ``error``, ``seconds``; for weighted runs ``weighted_error``; methods may add their own. Plain types.
    info: dict[str, Any] = field(default_factory=dict, kw_only=True)

    @abstractmethod
    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        """Reconstructed rows of token ids of any shape: (...) ints -> (..., D) float32."""

    @abstractmethod
    def size(self, model_parameters: int | None = None) -> Size:
        """Everything stored; ``model_parameters`` (floats of the whole model) adds the share of the model."""

    def distances(self, table: torch.Tensor) -> torch.Tensor:
        """Squared distance of every row of the (V, D) float32 table to what stands for it, summed in float64: (V,)."""
        from .kernels import row_distances

        step = max(1, ROWS_AT_ONCE // table.shape[1])
        starts = range(0, len(table), step)
        return torch.cat(
            [
                row_distances(table[start : start + step], self.lookup(torch.arange(start, min(start + step, len(table)))))
                for start in starts
            ]
        )

    @property
    def coded(self) -> list[Coded]:
        """The parts of it whose codes can be chosen again and whose codebooks can be trained; [] where there are none."""
        return []

    def with_coded(self, parts: Sequence[SubspaceCompressed]) -> Compressed:
        """The same result with others in place of the parts :attr:`coded`, in their order; without a history, which was not theirs."""
        raise InputError(f"{self.settings.method} has no codebooks")

    def reconstruct(self) -> torch.Tensor:
        """The whole reconstruction, (V, D) float32."""
        return self.lookup(torch.arange(self.num_embeddings))

    def described(self) -> Card:
        """What is shown of it: its settings, its size, and the error that is left."""
        size = self.size()
        shape = f"{count_text(self.num_embeddings)} tokens x {self.embedding_dim}"
        share = (
            f"{size_text(size.total_bytes)}, {percent_text(size.total_share)} of the table's {size_text(size.original_bytes)}"
        )
        settings = self.settings.in_words
        error = self.info.get("error")
        left = [] if error is None else [("relative error", f"{error:.4f}")]
        return Card(
            type(self).__name__,
            ", ".join([settings, shape, share, *(f"{name} {value}" for name, value in left)]),
            [
                ("method", self.settings.about.title),
                ("settings", settings),
                ("table", shape),
                ("codebooks and other floats", f"{count_text(size.parameters)} ({size_text(size.float_bytes)})"),
                ("codes", size_text(size.code_bytes)),
                *left,
            ],
            share=size.total_share,
            share_text=share,
        )

    def save_pretrained(self, folder, **facts: Any) -> None:
        """Write ``subspace_embedding.safetensors`` and ``config.json`` into ``folder``; see subemb.codec.storage. ``entropy=True`` writes
        codes in as few bits as their frequencies allow, where that takes less."""
        from .storage import save

        save(self, folder, **facts)


@dataclass(repr=False)
class BaselineCompressed(Compressed):
    """What the results without codebooks have in common: a fixed list of stored tensors.

    They look rows up without rebuilding the whole table, and count everything they keep.
    """

    stored: ClassVar[tuple[str, ...]] = ()  # names of the tensor fields, in the order in which they are written to a file

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything stored, by name."""
        return {name: getattr(self, name) for name in self.stored}

    def with_tensors(self, tensors: Mapping[str, torch.Tensor | None]) -> BaselineCompressed:
        """The same result with other tensors (same names)."""
        return replace(self, **tensors)

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        """``hidden @ reconstruction.T`` in bounded memory, differentiable in hidden: (n, D) -> (n, V)."""
        from .chunks import ChunkedProduct

        return ChunkedProduct.apply(hidden, self)


@dataclass(repr=False)
class SubspaceCompressed(Compressed):
    """Codes and codebooks."""

    codes: torch.Tensor  # (V, f) ints in the smallest type that torch indexes after widening: uint8 for Q <= 256, else int32
    #: f tensors (Q, d_i) float32; (Q, D) each where they are added up. With ``settings.codebook_bits`` below 32, numbers that such
    #: codebooks can hold: others are rounded to them here, so that whatever is measured is what is stored.
    codebooks: Sequence[torch.Tensor]
    rotation: torch.Tensor | None = None  # (D, D) orthogonal R: rows are ``concat(...) @ R.T`` (codes live in ``table @ R``)

    def __post_init__(self):
        if self.codebook_bits < 32:
            self.codebooks = [on_grid(book, self.codebook_bits) for book in self.codebooks]

    @property
    def coded(self) -> list[Coded]:
        return [Coded(torch.arange(self.num_embeddings), self)]

    def with_coded(self, parts: Sequence[SubspaceCompressed]) -> SubspaceCompressed:
        (part,) = parts
        return replace(part, history=[], info={})

    @property
    def codebook_bits(self) -> int:
        """Bits that each number of the codebooks is stored in."""
        return self.settings.codebook_bits or 32

    @property
    def is_additive(self) -> bool:
        """True where codewords have all D axes and are added up instead of joined."""
        return self.settings.about.is_additive

    @property
    def widths(self) -> list[int]:
        """Width d_i of every subspace."""
        return [book.shape[1] for book in self.codebooks]

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        if ids.ndim == 1 and len(ids) >= MANY_ROWS:
            from .kernels import added_rows, joined_rows, usable

            if usable(*self.codebooks) and not any(book.requires_grad for book in self.codebooks) and int(ids.min()) >= 0:
                vectors = (added_rows if self.is_additive else joined_rows)(ids.long(), self.codes, self.codebooks)
                return vectors if self.rotation is None else vectors @ self.rotation.T
        rows = self.codes[ids.long()].long()  # torch takes uint8 ids for a mask
        # naive: for i in range(f): out[..., start_i:end_i] = codebooks[i][codes[ids, i]]
        parts = (book[rows[..., i]] for i, book in enumerate(self.codebooks))
        if not self.is_additive:
            vectors = torch.cat(list(parts), dim=-1)
        else:  # one by one: all parts of a large table together are gigabytes
            vectors = next(parts)
            for part in parts:
                vectors = vectors + part
        return vectors if self.rotation is None else vectors @ self.rotation.T

    def distances(self, table: torch.Tensor) -> torch.Tensor:
        from .kernels import coded_distances, usable

        if self.is_additive or self.rotation is not None or not usable(table, *self.codebooks):
            return super().distances(table)
        return coded_distances(table, self.codes, self.codebooks)

    def size(self, model_parameters: int | None = None) -> Size:
        bits = sum(code_bits_each(len(book)) for book in self.codebooks) if self.settings.about.stores_codes else 0
        numbers = sum(book.numel() for book in self.codebooks)
        return Size(
            vocabulary=self.num_embeddings,
            dim=self.embedding_dim,
            codebook_parameters=numbers,
            codebook_bytes=codebook_bytes(numbers, len(self.codebooks), self.codebook_bits),
            other_parameters=0 if self.rotation is None else self.rotation.numel(),
            code_bits=self.num_embeddings * bits,
            model_parameters=model_parameters,
        )

    def tuple_groups(self) -> torch.Tensor:
        """(V,) ints: tokens with the same tuple get the same number, 0 .. number of distinct tuples - 1."""
        # Codes are digits of a number in base Q. A number of 62 bits takes several; where there are more, the groups so far are one digit.
        base = max(2, *(len(book) for book in self.codebooks))
        groups, count = torch.zeros(self.num_embeddings, dtype=torch.int64), 1
        for i in range(self.codes.shape[1]):
            if count * base >= 2**62:
                groups = torch.unique(groups, return_inverse=True)[1]
                count = int(groups.max()) + 1
            groups, count = groups * base + self.codes[:, i], count * base
        return torch.unique(groups, return_inverse=True)[1]

    def tuple_counts(self) -> tuple[int, int]:
        """:attr:`distinct_tuples` and :attr:`colliding_tokens`."""
        tokens = torch.bincount(self.tuple_groups())
        return len(tokens), int(tokens[tokens > 1].sum())

    @property
    def distinct_tuples(self) -> int:
        """How many different tuples there are; V when all are unique."""
        return self.tuple_counts()[0]

    @property
    def colliding_tokens(self) -> int:
        """Tokens that share their tuple with at least one other token."""
        return self.tuple_counts()[1]
