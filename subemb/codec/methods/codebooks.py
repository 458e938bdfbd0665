"""What the methods with codes and codebooks have in common: all but how they find the codes.

They find codes on the centred table; the codebooks that are kept come from the table itself.

Which f and Q to take at a given size: many pairs store equally much, and they differ in quality, so one rule picks for every
method. Measured on all-MiniLM-L6-v2 at 0.23, 0.59, 1.36 and 3 % of the table, product quantization loses least with Q = 32
(relative error .902, .815, .649, .377): Q = 16 and 64 come within 1.1 % of that, Q = 256 is up to 17 % worse, because wide
codebooks crowd out subspaces.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ...base.progress import ProgressCallback, part_of
from ..compressed import SubspaceCompressed
from ..sizes import FLOAT_BYTES, Size, code_bits_each
from ..subspaces import LARGEST_CODEBOOK, checked_codebook_size, require_enough_tuples, subspace_widths
from .base import Method, MethodSettings, TensorForm

torch = lazy_module("torch")

TOLERANCE = 0.02  # pairs of f and Q within this share of a target size count as equal; among them quality decides
LARGEST_CODE_BITS = 16


@dataclass
class Problem:
    """What a method is given to find codes."""

    centred: torch.Tensor  # (V, D) float32, about its (weighted) mean, in units of its root mean square
    weights: torch.Tensor | None  # (V,) of mean 1
    settings: MethodSettings  # resolved
    generator: torch.Generator  # the source of everything random
    progress: ProgressCallback | None = None


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

    reads = ("subspaces", "codebook_size", "unique", "weights")
    uses_codebooks = True
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
        sensitive = self.can_be_sensitive and bool(settings.sensitive)
        return replace(settings, codebook_size=size, unique=settings.wants_unique, sensitive=sensitive, rank=None)

    def check_subspaces(self, subspaces: int, dim: int) -> None:
        """Raises InputError if a vector cannot be cut into so many subspaces."""
        subspace_widths(dim, subspaces)

    def widths(self, settings: MethodSettings, dim: int) -> list[int]:
        return [dim] * settings.subspaces if self.is_additive else subspace_widths(dim, settings.subspaces)

    def size(self, settings: MethodSettings, vocabulary: int, dim: int) -> Size:
        bits = code_bits_each(settings.codebook_size) if self.stores_codes else 0
        return Size(
            vocabulary,
            dim,
            codebook_parameters=settings.codebook_size * dim * (settings.subspaces if self.is_additive else 1),
            other_parameters=dim * dim if self.is_rotated else 0,
            code_bits=vocabulary * settings.subspaces * bits,
        )

    # Fitting

    def fit(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None = None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ) -> SubspaceCompressed:
        from ..blocks import centred_and_scaled, column_means, exact_codebooks
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
        centred, scale = centred_and_scaled(seen, mean)
        generator = torch.Generator().manual_seed(settings.seed)
        told = progress if sensitivity is None else without_numbers(part_of(progress, 0.0, 0.5))
        found = self.find(Problem(centred, weights, settings, generator, told))
        codes, history = found.codes, found.monitor.history
        if found.codebooks is not None:  # additive: the first stage carries the mean
            books = list(found.codebooks * scale)
            books[0] = (books[0].double() + mean).float()
        else:
            turned = table if found.rotation is None else table @ found.rotation
            books = exact_codebooks(turned, codes, self.widths(settings, dim), settings.codebook_size, weights)
        if sensitivity is not None:
            codes, books, history = chosen_together(
                table.cpu(), codes.cpu(), [book.cpu() for book in books], None if weights is None else weights.cpu(), sensitivity,
                unique=settings.unique, sweeps=settings.iterations, seed=settings.seed, progress=part_of(progress, 0.5, 1.0),
            )  # fmt: skip
        compressed = SubspaceCompressed(
            settings,
            vocabulary,
            dim,
            codes=codes.to(_held_dtype(settings)).cpu(),
            codebooks=[book.cpu() for book in books],
            rotation=None if found.rotation is None else found.rotation.cpu(),
            history=history,
        )
        compressed.info = {
            "iterations": len(compressed.history),
            "stop": found.stop,
            "distinct": compressed.distinct_tuples,
            "colliding_tokens": compressed.colliding_tokens,
        }
        return compressed

    # The saved form: ``codes`` (V, f) uint8 for Q <= 256, else uint16; ``codebooks.0`` .. ``codebooks.{f-1}`` (Q, d_i) float32, or
    # (Q, D) where they are added up; ``rotation`` (D, D) float32

    def expected(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        widths = self.widths(settings, dim)
        expected = {
            f"codebooks.{i}": TensorForm((settings.codebook_size, width), torch.float32) for i, width in enumerate(widths)
        }
        if self.stores_codes:
            expected["codes"] = TensorForm((vocabulary, settings.subspaces), _file_dtype(settings))
        if self.is_rotated:
            expected["rotation"] = TensorForm((dim, dim), torch.float32)
        return expected

    def tensors(self, compressed: SubspaceCompressed) -> dict[str, torch.Tensor]:
        settings, codes = compressed.settings, compressed.codes
        tensors = {f"codebooks.{i}": book for i, book in enumerate(compressed.codebooks)}
        if compressed.rotation is not None:
            tensors["rotation"] = compressed.rotation
        if codes.shape != (compressed.num_embeddings, settings.subspaces):
            raise InputError(
                f"codes have shape {tuple(codes.shape)}; {compressed.num_embeddings} tokens with {settings.subspaces} codes each "
                f"need ({compressed.num_embeddings}, {settings.subspaces})"
            )
        if self.stores_codes:
            low, high = (int(code) for code in codes.long().aminmax())
            if low < 0 or high >= settings.codebook_size:
                _refuse_code(low if low < 0 else high, settings)
            tensors["codes"] = codes.to(_file_dtype(settings))
        return tensors

    def check_tensors(self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor]) -> None:
        super().check_tensors(settings, vocabulary, dim, tensors)
        if self.stores_codes and (highest := int(tensors["codes"].int().max())) >= settings.codebook_size:
            _refuse_code(highest, settings)

    def built(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor], **notes: Any
    ) -> SubspaceCompressed:
        codes = tensors["codes"].to(_held_dtype(settings))
        books = [tensors[f"codebooks.{i}"] for i in range(settings.subspaces)]
        return SubspaceCompressed(settings, vocabulary, dim, codes, books, tensors.get("rotation"), **notes)

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

        Bytes are counted here by the formula of :meth:`size`, because calling it for thousands of pairs would take seconds.
        """
        limit = min(vocabulary, LARGEST_CODEBOOK)
        rotation = FLOAT_BYTES * dim * dim if self.is_rotated else 0
        for subspaces in range(1, self.most_subspaces(dim) + 1):
            per_codeword = FLOAT_BYTES * dim * (subspaces if self.is_additive else 1)
            for bits in range(1, LARGEST_CODE_BITS + 1):
                fixed = rotation + (-(-vocabulary * subspaces * bits // 8) if self.stores_codes else 0)
                low, high = 2 ** (bits - 1) + 1, min(2**bits, limit)
                exact = max(low, min(round((target - fixed) / per_codeword), high))
                for size in {exact, high} if low <= high else ():
                    # Methods with distinct tuples need Q ** f >= V, which 64 codes always give.
                    if not (settings.wants_unique and subspaces < 64 and size**subspaces < vocabulary):
                        yield Pair(subspaces, size, abs(fixed + size * per_codeword - target) / target)


def _held_dtype(settings: MethodSettings) -> torch.dtype:
    """The smallest type that torch can index with after widening."""
    return torch.uint8 if settings.codebook_size <= 256 else torch.int32


def _file_dtype(settings: MethodSettings) -> torch.dtype:
    return torch.uint8 if settings.codebook_size <= 256 else torch.uint16


def _refuse_code(code: int, settings: MethodSettings) -> None:
    raise InputError(f"code {code} is outside codebooks of {settings.codebook_size} sub-vectors")
