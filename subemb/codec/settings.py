"""What to compute: the frozen settings of one compression. They key jobs, caches and URLs."""

from dataclasses import asdict, dataclass
from typing import Any

from ..base.errors import InputError
from .methods import DEFAULT_METHOD, METHODS
from .methods.base import Method

#: How tokens can be asked to be weighted; see subemb.codec.weights. ``given``: by numbers that the caller passed.
WEIGHTS = ("vocabulary", "none", "zipf", "counts", "sqrt_counts")
GIVEN = "given"


@dataclass(frozen=True)
class CompressionSettings:
    """Settings of one compression; checks what can be checked without the table, and the rest in :meth:`resolve`.

    method: a key of METHODS.
    subspaces: f, from 1 to D (for ``residual``: the number of stages).
    codebook_size: Q, or None for the automatic ceil(V ** (1/f)).
    unique: distinct tuples; None takes the method's own default.
    weights: one of WEIGHTS (or ``given``, on the result of a call that passed numbers); ``counts`` and ``sqrt_counts`` need a text (or the counts themselves).
    iterations, tolerance: k-means stops after so many iterations, or when the error shrinks by less than this share.
    rank: of ``low_rank`` only.
    seed: of everything random.
    text_digest: short hash of the text behind count weights, so that equal settings mean equal results.

    Raises InputError naming the value, the limit and the remedy.
    """

    method: str = DEFAULT_METHOD
    subspaces: int = 3
    codebook_size: int | None = None
    unique: bool | None = None
    weights: str = "vocabulary"
    iterations: int = 25
    tolerance: float = 1e-4
    rank: int | None = None
    seed: int = 0
    text_digest: str | None = None

    def __post_init__(self):
        method = METHODS.get(self.method)
        if method is None:
            raise InputError(f"unknown method {self.method!r}; choose one of {', '.join(METHODS)}")
        for name, low, high in (("subspaces", 1, None), ("iterations", 1, 1000), ("seed", 0, 2**32 - 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"{name} must be a whole number, not {value!r}")
            if value < low or (high is not None and value > high):
                raise InputError(f"{name} is {value}; it must be at least {low}" + (f" and at most {high}" if high else ""))
        for name in ("codebook_size", "rank"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.unique is not None and not isinstance(self.unique, bool):
            raise InputError(f"unique must be True, False or None (the method's own default), not {self.unique!r}")
        if isinstance(self.tolerance, bool) or not isinstance(self.tolerance, int | float):
            raise InputError(f"tolerance must be a number, not {self.tolerance!r}")
        if not 0 <= self.tolerance < 1:
            raise InputError(f"tolerance is {self.tolerance}; it must be at least 0 and below 1")
        if self.weights not in (*WEIGHTS, GIVEN):
            raise InputError(f"unknown weights {self.weights!r}; choose one of {', '.join(WEIGHTS)}")
        if self.unique and not (method.can_be_unique or method.is_unique):
            raise InputError(f"{self.method} cannot be asked for unique tuples; use cluster or product")
        if self.unique is False and method.is_unique and not method.can_be_unique:
            raise InputError(f"{self.method} has unique tuples by construction; leave unique unset")

    @property
    def about(self) -> Method:
        """The method, which knows everything about itself."""
        return METHODS[self.method]

    @property
    def wants_unique(self) -> bool:
        """Whether distinct tuples are asked for, by the user or by the method."""
        return self.about.is_unique if self.unique is None else self.unique

    def resolve(self, vocabulary: int, dim: int) -> "CompressionSettings":
        """The same settings with every automatic value filled in for a (V, D) table; raises InputError if they do not fit."""
        return self.about.resolve(self, vocabulary, dim)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "CompressionSettings":
        """The inverse of :meth:`to_dict`; raises InputError for names it does not know."""
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise InputError(f"unknown setting(s) {', '.join(unknown)}; written by a newer version of subemb?")
        return cls(**values)


def settings_text(settings: CompressionSettings) -> str:
    """Method and settings in one line.

    >>> settings_text(CompressionSettings("cluster", codebook_size=32, weights="none"))
    'Cluster (unique), f = 3, Q = 32, equal weights, seed 0'
    """
    method = settings.about
    parts = [method.title]
    if method.uses_codebooks:
        parts.append(f"{method.subspaces_letter} = {settings.subspaces}")
        parts.append(f"Q = {settings.codebook_size if settings.codebook_size is not None else 'automatic'}")
        if method.can_be_unique and settings.wants_unique != method.is_unique:
            parts.append("unique tuples" if settings.wants_unique else "collisions allowed")
    if "rank" in method.reads and settings.rank is not None:
        parts.append(f"rank {settings.rank}")
    if method.uses_codebooks:
        parts.append(_SHORT_WEIGHT_NAMES[settings.weights])
        parts.append(f"seed {settings.seed}")
    return ", ".join(parts)


WEIGHT_NAMES = {
    "vocabulary": "estimated from the vocabulary",
    "none": "every token alike",
    "zipf": "Zipf by token id",
    "counts": "token counts of a text",
    "sqrt_counts": "square root of token counts",
    "given": "given as numbers",
}


_SHORT_WEIGHT_NAMES = {
    "vocabulary": "vocabulary weights",
    "none": "equal weights",
    "zipf": "Zipf weights",
    "counts": "count weights",
    "sqrt_counts": "√count weights",
    "given": "given weights",
}
