"""What every method of compression is: one object that says everything about it, as people and as the rest of subemb see it.

A method is a file of this folder and a line in its ``__init__``. The file says what the method is called, which settings it
reads, how it fits a table, what it stores, how large that is, how long it takes, and what to ask of it at a given size. Pages,
command line, files and estimates read it from here; nothing else names a method.

Nothing slow is imported before a method runs: the command line's ``--help`` lists the methods too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Protocol

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ...base.plain import declared
from ...base.progress import ProgressCallback
from ..compressed import Compressed
from ..packing import CodesIn
from ..sizes import Size

torch = lazy_module("torch")

SHORTEST = 0.1  # seconds: starting, checking the table
TWO_THREADS = 0.65  # of the time of one
NOTICED = 0.22  # nanoseconds of one thread, for each of V x D x D: what the output notices of the errors of a whole table


class MethodSettings(Protocol):
    """What methods may read of :class:`subemb.codec.settings.CompressionSettings`, which says what each means."""

    method: str
    subspaces: int
    codebook_size: int | None
    codebook_bits: int | None
    unique: bool | None
    sensitive: bool | None
    iterations: int
    tolerance: float
    rank: int | None
    tiers: str | None
    budget: str | None
    keep: str | None
    weights: str
    text_digest: str | None
    seed: int

    @property
    def wants_unique(self) -> bool: ...


class TensorForm(NamedTuple):
    """Shape and type of one tensor in a file."""

    shape: tuple[int, ...]
    dtype: torch.dtype


class Suggested(NamedTuple):
    """Settings that a method is offered with; None is the automatic value, or a setting that it does not read."""

    subspaces: int | None = None
    codebook_size: int | None = None
    rank: int | None = None


class Method(ABC):
    """One method. Everything is said by the class; an instance has no state.

    V, D: of the table. MethodSettings are resolved (every automatic value filled in) wherever nothing else is said.
    """

    key: ClassVar[str]  # in settings, files and on the command line
    title: ClassVar[str]  # on pages
    summary: ClassVar[str]  # one plain sentence
    reads: ClassVar[tuple[str, ...]] = ()  # names of the settings that change its result; the seed goes without saying
    suggested: ClassVar[Suggested] = Suggested()  # offered first

    packed: ClassVar[str] = "rounded numbers"  # what the packed bits of a result without codebooks are
    uses_codebooks: ClassVar[bool] = False  # its result is a SubspaceCompressed
    stores_codes: ClassVar[bool] = False  # False too where they can be computed from the token's id
    is_additive: ClassVar[bool] = False  # codewords have all D axes and are added up instead of joined
    is_rotated: ClassVar[bool] = False  # codes live in axes that the method turned
    can_be_unique: ClassVar[bool] = False  # tuples can be asked to be distinct, or not to be
    is_unique: ClassVar[bool] = False  # distinct tuples by default
    can_be_sensitive: ClassVar[bool] = False  # codes can be chosen together, by what the output notices
    can_be_adapted: ClassVar[bool] = False  # it has codebooks that can be trained, its own or those of parts
    can_be_reassigned: ClassVar[bool] = False  # codes are the nearest codewords, so that adapting can choose them again
    keeps_rows: ClassVar[bool] = False  # rows of the heaviest tokens stay as they are, so special tokens have to be among them

    @property
    def is_baseline(self) -> bool:
        """A yardstick without codebooks: it answers "compared with what?"."""
        return not self.uses_codebooks

    @property
    def is_iterative(self) -> bool:
        """Whether it stops after a number of iterations."""
        return "iterations" in self.reads

    def resolve(self, settings: MethodSettings, vocabulary: int, dim: int) -> MethodSettings:
        """The settings with every automatic value filled in, and those that are not read set aside: equal results have equal settings,
        and one key. Methods with automatic values fill them in after this.

        Raises InputError if they do not fit a (V, D) table.
        """
        unread = {name: item.default for name, item in declared(type(settings)).items()}
        unread |= {"unique": False, "weights": "none", "sensitive": False}
        read = {*self.reads, "method", "seed", *(["text_digest"] if "weights" in self.reads else [])}
        return replace(settings, **{name: value for name, value in unread.items() if name not in read})

    def is_guess(self, settings: MethodSettings) -> bool:
        """Whether what :meth:`size` says of resolved settings is only about right, because the table or a text decides."""
        return False

    @abstractmethod
    def fit(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None = None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ) -> Compressed:
        """Compress a (V, D) float table, which is left alone. weights: (V,) of mean 1, or None for equal ones.
        sensitivity: (D, D), symmetric, positive definite, its diagonal of mean 1: an error r of a token costs r^T S r; None for |r|^2.

        Raises InputError for settings that do not fit the table, Cancelled if the callback says so.
        """

    @abstractmethod
    def size(self, settings: MethodSettings, vocabulary: int, dim: int) -> Size:
        """What ``fit(...).size()`` will be."""

    @abstractmethod
    def expected(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        """Every tensor of a saved result, by its name in the file."""

    @abstractmethod
    def built(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor], **notes: Any
    ) -> Compressed:
        """The result that these tensors make. notes: ``history`` and ``info``."""

    def tensors(self, compressed: Compressed) -> dict[str, torch.Tensor]:
        """The inverse of :meth:`built`: what is to be written. Raises InputError for a result that is not of this method."""
        return compressed.tensors()

    def widths(self, settings: MethodSettings, dim: int) -> list[int]:
        """Widths of the codebooks, in order; none without codebooks."""
        return []

    def check_computable(self, settings: MethodSettings, vocabulary: int) -> None:  # noqa: B027 - most methods compute nothing
        """Raises InputError if what is computed rather than read from a file would be too much."""

    def check_tensors(self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor]) -> None:
        """Raises InputError unless the tensors are those of such a result: names, shapes, types, finite floats."""
        check_forms(self.key, self.expected(settings, vocabulary, dim), tensors)

    def codes_in(self, settings: MethodSettings, vocabulary: int, dim: int) -> list[CodesIn]:
        """Where in the tensors of :meth:`expected` packed codes lie, in order; [] without any."""
        return []

    def from_format_1(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """The tensors of a folder of format 1 in today's form, where that is another. Raises InputError unless they are as they were then."""
        return tensors

    @abstractmethod
    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
        """What fitting takes on one thread, roughly.

        The terms are what the algorithm does; the numbers in front of them were fitted to runs on all-MiniLM-L6-v2 (30,522 x
        384) and parts of it with f from 1 to 192 and Q from 2 to 512, in processor time of one thread over :attr:`.pace.Pace.speed` at
        that moment. On a busy machine 40 runs of over a tenth of a second, of all methods but random and arbitrary codes, took 0.66 to 1.46
        times that and :data:`SHORTEST`.

        alike: of distinct tuples, how many tokens are alike: 1 for as many as the bundled model has, 0 for none.
        """

    def seconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
        """What fitting takes on two cores, roughly: it tells seconds from minutes.

        Most of the runs that the numbers were fitted to come within 40 % of it. A faster or a busy machine, and k-means that
        stops early, make it wrong by a factor of two or three.
        """
        return SHORTEST + TWO_THREADS * self.nanoseconds(settings, vocabulary, dim, alike) * 1e-9

    def at_bytes(self, settings: MethodSettings, target: int, vocabulary: int, dim: int) -> MethodSettings | None:
        """The settings whose ``size().total_bytes`` comes nearest to a target, resolved; None if there are none for this table."""
        return self.resolve(settings, vocabulary, dim)


def check_forms(method: str, expected: dict[str, TensorForm], tensors: dict[str, torch.Tensor]) -> None:
    """Raises InputError unless there are these tensors and no others, of these forms."""
    missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or extra:
        parts = [f"tensor {', '.join(names)} {what}" for names, what in ((missing, "missing"), (extra, "unknown")) if names]
        raise InputError(f"{'; '.join(parts)} (method {method})")
    for name, form in expected.items():
        check_form(name, tensors[name], form)


def check_form(name: str, tensor: torch.Tensor, form: TensorForm) -> None:
    """Raises InputError unless a tensor has this shape and type, and holds finite numbers."""
    if (tuple(tensor.shape), tensor.dtype) != form:
        raise InputError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}; it must be {form.shape} {form.dtype}")
    if form.dtype.is_floating_point and not torch.isfinite(tensor).all():
        raise InputError(f"{name} holds NaN or infinity")
