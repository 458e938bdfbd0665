"""What the methods with codes and codebooks have in common: all but how they find the codes.

They find codes on the centred table; the codebooks that are kept come from the table itself.

Which f and Q to take at a given size: many pairs store equally much, and they differ in quality, so one rule picks for every
method. Measured on all-MiniLM-L6-v2 at 0.23, 0.59, 1.36 and 3 % of the table, product quantization loses least with Q = 32
(relative error .902, .815, .649, .377): Q = 16 and 64 come within 1.1 % of that, Q = 256 is up to 17 % worse, because wide
codebooks crowd out subspaces.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ...base.progress import ProgressCallback, part_of
from ..compressed import SubspaceCompressed
from ..grids import (
    CODEBOOK_BITS,
    HARDLY_ANY,
    SCALE_BYTES,
    automatic_codebook_bits,
    bits_that_serve,
    codebook_bytes,
    from_stored,
    stored_dtype,
    to_stored,
)
from ..packing import CodesIn, pack, packed_bytes, unpack
from ..sizes import FLOAT_BYTES, Size, code_bits_each
from ..subspaces import LARGEST_CODEBOOK, checked_codebook_size, has_enough_tuples, require_enough_tuples, subspace_widths
from .base import Method, MethodSettings, TensorForm, check_form, check_forms

torch = lazy_module("torch")

TOLERANCE = 0.02  # pairs of f and Q within this share of a target size count as equal; among them quality decides
LARGEST_CODE_BITS = 16
# More codes than any real table has; it bounds what a strange config.json can make us compute.
MOST_CODES = 2**28


@dataclass
class Problem:
    """What a method is given to find codes."""

    table: torch.Tensor  # (V, D) float32
    mean: torch.Tensor  # (D,) float64, weighted
    unit: float  # root mean square about that mean
    weights: torch.Tensor | None  # (V,) of mean 1
    settings: MethodSettings  # resolved
    generator: torch.Generator  # the source of everything random
    progress: ProgressCallback | None = None

    def centred(self) -> torch.Tensor:
        """(V, D) float32: the table about its mean, in units of its root mean square."""
        from ..blocks import centred_in_units

        return centred_in_units(self.table, self.mean, self.unit)

    def cut(self) -> Any:
        """The same, cut into its subspaces: Blocks."""
        from ..blocks import Blocks

        return Blocks.of_table(self.table, self.mean, self.unit, self.settings.subspaces, self.weights)


@dataclass
class Found:
    """What a method found."""

    codes: torch.Tensor  # (V, f) int64
    monitor: Any  # the Monitor, which holds the history
    stop: str = "done"  # why it ended, in a word
    rotation: torch.Tensor | None = None  # (D, D) orthogonal
    codebooks: torch.Tensor | None = None  # (f, Q, D) of the centred table, where they are not simply means of members


class Pair(NamedTuple):
    """f and Q, and how far the bytes that they store are from a target, as a share of it."""

    subspaces: int
    codebook_size: int
    gap: float


class CodebookMethod(Method):
    """A method whose result is codes (V, f) and f codebooks (Q, d_i)."""

    reads = ("subspaces", "codebook_size", "unique", "weights", "codebook_bits")
    uses_codebooks = True
    can_be_adapted = True
    stores_codes = True

    subspaces_label: ClassVar[str] = "Subspaces f"  # what the setting ``subspaces`` is called on pages
    subspaces_letter: ClassVar[str] = "f"  # and in a line of settings
    subspaces_help: ClassVar[str] = "Into how many pieces every vector is cut."
    best_codebook_size: ClassVar[int] = 32  # at a given size; see the module's text

    @abstractmethod
    def find(self, problem: Problem) -> Found:
        """The codes. Raises InputError (too few tuples) and Cancelled."""

    # Settings and size

    def resolve(self, settings: MethodSettings, vocabulary: int, dim: int) -> MethodSettings:
        self.check_subspaces(settings.subspaces, dim)
        size = checked_codebook_size(settings.codebook_size, vocabulary, settings.subspaces)
        bits = _codebook_bits(settings, vocabulary, dim, settings.subspaces, size)
        sensitive = self.can_be_sensitive and bool(settings.sensitive)
        filled = {"codebook_size": size, "codebook_bits": bits, "unique": settings.wants_unique, "sensitive": sensitive}
        return replace(super().resolve(settings, vocabulary, dim), **filled)

    def check_subspaces(self, subspaces: int, dim: int) -> None:
        """Raises InputError if a vector cannot be cut into so many subspaces."""
        subspace_widths(dim, subspaces)

    def widths(self, settings: MethodSettings, dim: int) -> list[int]:
        return [dim] * settings.subspaces if self.is_additive else subspace_widths(dim, settings.subspaces)

    def size(self, settings: MethodSettings, vocabulary: int, dim: int) -> Size:
        bits = code_bits_each(settings.codebook_size) if self.stores_codes else 0
        numbers = self._codebook_numbers(settings, dim)
        return Size(
            vocabulary,
            dim,
            codebook_parameters=numbers,
            codebook_bytes=codebook_bytes(numbers, settings.subspaces, settings.codebook_bits),
            other_parameters=dim * dim if self.is_rotated else 0,
            code_bits=vocabulary * settings.subspaces * bits,
        )

    def _codebook_numbers(self, settings: MethodSettings, dim: int) -> int:
        return settings.codebook_size * dim * (settings.subspaces if self.is_additive else 1)

    # Fitting

    def fit(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None = None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ) -> SubspaceCompressed:
        from ..blocks import column_means, exact_codebooks, unit_about
        from ..sensitive import chosen_together, stretch_of, without_numbers

        vocabulary, dim = table.shape
        settings = self.resolve(settings, vocabulary, dim)
        if settings.unique:
            require_enough_tuples(vocabulary, settings.subspaces, settings.codebook_size, f"{self.key} with unique tuples")
        weights = None if weights is None else weights.to(table.device)
        if not settings.sensitive:
            sensitivity = None
        seen = table if sensitivity is None else table * stretch_of(sensitivity).to(table.device)
        mean = column_means(seen, weights)
        unit = unit_about(seen, mean)
        generator = torch.Generator().manual_seed(settings.seed)
        told = progress if sensitivity is None else without_numbers(part_of(progress, 0.0, 0.5))
        found = self.find(Problem(seen, mean, unit, weights, settings, generator, told))
        codes, history = found.codes, found.monitor.history
        if found.codebooks is not None:  # additive: the first stage carries the mean
            books = list(found.codebooks * unit)
            books[0] = (books[0].double() + mean).float()
        else:
            turned = table if found.rotation is None else table @ found.rotation
            books = exact_codebooks(turned, codes, self.widths(settings, dim), settings.codebook_size, weights)
        if sensitivity is not None:
            codes, books, history = chosen_together(
                table.cpu(), codes.cpu(), [book.cpu() for book in books], None if weights is None else weights.cpu(), sensitivity,
                unique=settings.unique, sweeps=settings.iterations, seed=settings.seed, progress=part_of(progress, 0.5, 1.0),
            )  # fmt: skip
        exact = SubspaceCompressed(
            replace(settings, codebook_bits=32),
            vocabulary,
            dim,
            codes=codes.to(_held_dtype(settings)).cpu(),
            codebooks=[book.cpu() for book in books],
            rotation=None if found.rotation is None else found.rotation.cpu(),
            history=history,
        )
        bits, errors = self._bits_that_serve(settings, table, exact, weights)
        compressed = replace(exact, settings=replace(settings, codebook_bits=bits))
        distinct, colliding = compressed.tuple_counts()
        compressed.info = {
            "iterations": len(compressed.history),
            "stop": found.stop,
            "distinct": distinct,
            "colliding_tokens": colliding,
        } | (
            {}
            if errors is None
            else {"rounding": {"asked": settings.codebook_bits, "in": settings.codebook_bits, "errors": errors}}
        )
        return compressed

    def _bits_that_serve(
        self, settings: MethodSettings, table: torch.Tensor, exact: SubspaceCompressed, weights: torch.Tensor | None
    ) -> tuple[int, list[float] | None]:
        """:func:`bits_that_serve`. Bits that differ from what the shape asks for were wished for, and stay."""
        from ..blocks import variance_of

        vocabulary, dim = table.shape
        usual = automatic_codebook_bits(vocabulary, dim, settings.subspaces, settings.codebook_size)
        if settings.codebook_bits != usual:
            return settings.codebook_bits, None

        def left() -> float:
            distances = exact.distances(table.cpu())
            return float(distances.sum() if weights is None else weights.cpu().double() @ distances)

        return bits_that_serve(usual, exact.codebooks, exact.codes, weights, variance_of(table, weights), left)

    # The saved form: ``codes`` packed in bits, row by row (see subemb.codec.packing); ``codebooks``, all numbers of all codebooks one after
    # the other in their own type; ``codebook_scales`` (f,) bfloat16 where that is not float32; ``rotation`` (D, D) float32

    def expected(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        bits = settings.codebook_bits
        expected = {"codebooks": TensorForm((self._codebook_numbers(settings, dim),), stored_dtype(bits))}
        if bits < 32:
            expected["codebook_scales"] = TensorForm((settings.subspaces,), torch.bfloat16)
        if self.stores_codes:
            count = packed_bytes(vocabulary * settings.subspaces, code_bits_each(settings.codebook_size))
            expected["codes"] = TensorForm((count,), torch.uint8)
        if self.is_rotated:
            expected["rotation"] = TensorForm((dim, dim), torch.float32)
        return expected

    def codes_in(self, settings: MethodSettings, vocabulary: int, dim: int) -> list[CodesIn]:
        bits = code_bits_each(settings.codebook_size)
        if not self.stores_codes or not bits:
            return []
        return [CodesIn("codes", 0, vocabulary * settings.subspaces, settings.subspaces, bits)]

    def tensors(self, compressed: SubspaceCompressed) -> dict[str, torch.Tensor]:
        settings = compressed.settings
        self._check_result(compressed)
        books, bits = [book.detach().cpu() for book in compressed.codebooks], settings.codebook_bits
        if bits < 32:
            stored = [to_stored(book, bits) for book in books]
            books = [numbers for numbers, _ in stored]
            tensors = {"codebook_scales": torch.stack([scale for _, scale in stored])}
        else:
            tensors = {}
        tensors["codebooks"] = torch.cat([book.flatten() for book in books])
        if compressed.rotation is not None:
            tensors["rotation"] = compressed.rotation
        if self.stores_codes:
            codes = compressed.codes.cpu().numpy()
            tensors["codes"] = torch.from_numpy(pack(codes, code_bits_each(settings.codebook_size)))
        return tensors

    def _check_result(self, compressed: SubspaceCompressed) -> None:
        """Raises InputError unless codes and codebooks are what such settings give."""
        settings, codes, dim = compressed.settings, compressed.codes, compressed.embedding_dim
        if codes.shape != (compressed.num_embeddings, settings.subspaces):
            raise InputError(
                f"codes have shape {tuple(codes.shape)}; {compressed.num_embeddings} tokens with {settings.subspaces} codes each "
                f"need ({compressed.num_embeddings}, {settings.subspaces})"
            )
        low, high = (int(code) for code in codes.long().aminmax())
        if low < 0 or high >= settings.codebook_size:
            _refuse_code(low if low < 0 else high, settings)
        widths = self.widths(settings, dim)
        if len(compressed.codebooks) != len(widths):
            raise InputError(
                f"there are {len(compressed.codebooks)} codebooks; {self.key} with these settings has {len(widths)}"
            )
        for i, (book, width) in enumerate(zip(compressed.codebooks, widths, strict=True)):
            check_form(f"codebook {i}", book, TensorForm((settings.codebook_size, width), torch.float32))

    def built(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor], **notes: Any
    ) -> SubspaceCompressed:
        widths, size, scales = self.widths(settings, dim), settings.codebook_size, tensors.get("codebook_scales")
        books = [part.view(size, -1) for part in tensors["codebooks"].split([size * width for width in widths])]
        if scales is not None:
            books = [from_stored(book, scale) for book, scale in zip(books, scales, strict=True)]
        codes = self.built_codes(settings, vocabulary, tensors).to(_held_dtype(settings))
        return SubspaceCompressed(settings, vocabulary, dim, codes, books, tensors.get("rotation"), **notes)

    def built_codes(self, settings: MethodSettings, vocabulary: int, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        """(V, f) codes. Raises InputError for one that has no codeword."""
        packed, count = tensors["codes"].numpy(), vocabulary * settings.subspaces
        codes = unpack(packed, count, code_bits_each(settings.codebook_size))
        if (highest := int(codes.max())) >= settings.codebook_size:
            _refuse_code(highest, settings)
        return torch.from_numpy(codes).view(vocabulary, -1)

    def check_computable(self, settings: MethodSettings, vocabulary: int) -> None:
        """Codes of no bits take no room in a file, which bounds the others."""
        unbounded = settings.codebook_size == 1 or not self.stores_codes
        if unbounded and vocabulary * settings.subspaces > MOST_CODES:
            raise InputError(
                f"{vocabulary} tokens with {settings.subspaces} codes each are more than the {MOST_CODES} that subemb computes; "
                "use fewer subspaces"
            )

    def from_format_1(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Format 1 had every code in 8 or 16 bits, and every codebook, ``codebooks.0`` and so on, (Q, d_i) float32."""
        widths, size = self.widths(settings, dim), settings.codebook_size
        forms = {f"codebooks.{i}": TensorForm((size, width), torch.float32) for i, width in enumerate(widths)}
        books = list(forms)
        if self.stores_codes:
            forms["codes"] = TensorForm((vocabulary, settings.subspaces), torch.uint8 if size <= 256 else torch.uint16)
        if self.is_rotated:
            forms["rotation"] = TensorForm((dim, dim), torch.float32)
        check_forms(self.key, forms, tensors)
        tensors = dict(tensors)
        tensors["codebooks"] = torch.cat([tensors.pop(name).flatten() for name in books])
        if self.stores_codes:
            codes = tensors["codes"].numpy()
            if (highest := int(codes.max())) >= size:
                _refuse_code(highest, settings)
            tensors["codes"] = torch.from_numpy(pack(codes, code_bits_each(size)))
        return tensors

    # Settings at a size

    def at_bytes(self, settings: MethodSettings, target: int, vocabulary: int, dim: int) -> MethodSettings | None:
        pairs = list(self._pairs(settings, target, vocabulary, dim))
        if not pairs:
            return None
        equal = [pair for pair in pairs if pair.gap <= TOLERANCE]
        best = min(equal, key=self.preference) if equal else min(pairs, key=lambda pair: (pair.gap, self.preference(pair)))
        return self.resolve(replace(settings, subspaces=best.subspaces, codebook_size=best.codebook_size), vocabulary, dim)

    def preference(self, pair: Pair) -> tuple[float, ...]:
        """Lower is better: see the module's text. Among codebooks whose codes have equally many bits, the largest wastes least."""
        bits = code_bits_each(pair.codebook_size)
        return (abs(bits - code_bits_each(self.best_codebook_size)), -pair.codebook_size / 2**bits, pair.gap)

    def most_subspaces(self, dim: int) -> int:
        """The largest f worth trying at a given size."""
        return dim

    def _pairs(self, settings: MethodSettings, target: int, vocabulary: int, dim: int) -> Iterator[Pair]:
        """Pairs (f, Q) worth looking at: for every f and every number of bits a code can have, the Q nearest to the target, and
        the largest Q with codes of so many bits.

        Automatic bits of codebooks change with Q, so that bytes do not always grow with it: the Q nearest to the target is one for each
        of them, or one of those where they change.

        Bytes are counted here by the formula of :meth:`size`, because calling it for thousands of pairs would take seconds. Left out is
        what is neither as near as TOLERANCE nor nearer than a pair before it, whatever its Q.
        """
        nearest_yet = math.inf
        limit = min(vocabulary, LARGEST_CODEBOOK)
        rotation = FLOAT_BYTES * dim * dim if self.is_rotated else 0
        for subspaces in range(1, self.most_subspaces(dim) + 1):
            in_codeword = dim * (subspaces if self.is_additive else 1)
            for bits in range(1, LARGEST_CODE_BITS + 1):
                fixed = rotation + (packed_bytes(vocabulary * subspaces, bits) if self.stores_codes else 0)
                low, high = 2 ** (bits - 1) + 1, min(2**bits, limit)
                if low > high:
                    continue
                most = fixed + high * in_codeword * FLOAT_BYTES + SCALE_BYTES * subspaces
                if max(fixed - target, target - most) > max(TOLERANCE, nearest_yet) * target:
                    continue
                # Automatic bits fall and rise with Q: for each that there are, the Q that would be nearest; and where they change.
                numbers = {settings.codebook_bits} if settings.codebook_bits else CODEBOOK_BITS
                nearest = [round((target - fixed) / (in_codeword * number / 8)) for number in numbers]
                exact = HARDLY_ANY // dim
                for size in {max(low, min(size, high)) for size in (*nearest, exact, exact + 1, high - 1, high)}:
                    number = _codebook_bits(settings, vocabulary, dim, subspaces, size)
                    stored = fixed + codebook_bytes(size * in_codeword, subspaces, number)
                    if not settings.wants_unique or has_enough_tuples(vocabulary, subspaces, size):
                        gap = abs(stored - target) / target
                        nearest_yet = min(nearest_yet, gap)
                        yield Pair(subspaces, size, gap)


def _codebook_bits(settings: MethodSettings, vocabulary: int, dim: int, subspaces: int, size: int) -> int:
    return settings.codebook_bits or automatic_codebook_bits(vocabulary, dim, subspaces, size)


def _held_dtype(settings: MethodSettings) -> torch.dtype:
    """The smallest type that torch can index with after widening."""
    return torch.uint8 if settings.codebook_size <= 256 else torch.int32


def _refuse_code(code: int, settings: MethodSettings) -> None:
    raise InputError(f"code {code} is outside codebooks of {settings.codebook_size} sub-vectors")
