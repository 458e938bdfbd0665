"""What to compute: the frozen settings of one compression. They key jobs, caches and URLs."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..base.arguments import Count, checked
from ..base.errors import InputError
from ..base.plain import Settings, declared, setting
from .grids import CODEBOOK_BITS
from .methods import DEFAULT_METHOD, METHODS
from .methods.base import Method
from .methods.budgets import budget_bytes, budget_text
from .methods.codebooks import CodebookMethod
from .methods.tiers import in_words, parsed
from .methods.trim import USED, kept_of

#: The ways to weigh tokens; see subemb.codec.weights. ``given``: by numbers that the caller passed.
WEIGHTS = ("vocabulary", "none", "zipf", "counts", "sqrt_counts", "list")
#: Those that read a text, or a frequency list.
OF_TEXT = ("counts", "sqrt_counts", "list")
GIVEN = "given"
WEIGHT_NAMES = {
    "vocabulary": "estimated from the vocabulary",
    "none": "every token alike",
    "zipf": "Zipf by token id",
    "counts": "token counts of a text",
    "sqrt_counts": "square root of token counts",
    "list": "a frequency list",
    "given": "given as numbers",
}
_SHORT_WEIGHT_NAMES = {
    "vocabulary": "vocabulary weights",
    "none": "equal weights",
    "zipf": "Zipf weights",
    "counts": "count weights",
    "sqrt_counts": "√count weights",
    "list": "frequency list weights",
    "given": "given weights",
}
_OF_AT_LEAST_1 = "{name} must be a whole number of at least 1, not {value!r}"


@dataclass(frozen=True)
class CompressionSettings(Settings):
    """Settings of one compression; checks what can be checked without the table, and the rest in :meth:`resolve`.

    Raises InputError naming the value, the limit and the remedy.
    """

    WRONG_KIND = "{name} must be {kind}, not {value!r}"
    OUTSIDE = "{name} is {value}; it must be {sides}"

    method: str = setting(DEFAULT_METHOD, choices=METHODS, title="Method", help="How to compress.")
    subspaces: int = setting(  # f, at most D; how many stages of codewords that are added up
        3,
        least=1,
        short="-f",
        url="f",
        metavar="F",
        title=CodebookMethod.subspaces_label,
        help=CodebookMethod.subspaces_help,
    )
    codebook_size: int | None = setting(  # Q
        None,
        least=1,
        short="-q",
        url="q",
        metavar="Q",
        title="Codebook Q",
        help="Codebook size: shared sub-vectors per subspace. Empty: the smallest Q that gives every token its own tuple, ceil(V ** (1/f)).",
        automatic="the smallest Q with Q ** f >= V",
        fault=_OF_AT_LEAST_1,
    )
    codebook_bits: int | None = setting(
        None,
        choices=CODEBOOK_BITS,
        url="bits",
        title="Codebook bits",
        help="Bits for each number of the codebooks: 8 and 16 with one scale a codebook, 32 as floats.",
        automatic="8, and more only where 8 would cost something on the output",
    )
    tiers: str | None = setting(
        None,
        metavar="TIERS",
        title="Tiers",
        help="Tokens by weight, the heaviest first, and how each tier is kept: TOKENS:FxQ, TOKENS:int8, TOKENS:exact (floats) or "
        "TOKENS:trim (dropped: one vector for all), * for the rest, such as 1500:48x32,5000:20x32,*:4x32; with *:nearest each of the "
        "rest has the row of the token most like it before.",
        automatic="chosen for the budget, if there is one",
    )
    budget: str | None = setting(
        None,
        metavar="BYTES",
        title="Budget",
        example="100 kB",
        help="At most so many bytes, such as 100 kB or 0.5% of the table: the tiers that lose least in them are chosen on a sample of it.",
    )
    keep: str | None = setting(
        None,
        metavar="TOKENS",
        later=True,
        title="Tokens kept",
        example="8000",
        help="How many tokens keep their rows, the heaviest first: a number, a share such as 25%, or `used`: all that the text uses. With a "
        "budget, its bytes are for them. Every other token borrows the row most like its own.",
        automatic="those that the text uses, without a text 25%; of a budget all",
    )
    unique: bool | None = setting(
        None,
        title="Distinct tuples",
        help="No two tokens may get the same codes. Needs Q ** f >= V.",
        automatic="the method's own",
        of_method=True,
        fault="{name} must be True, False or None (the method's own default), not {value!r}",
    )
    weights: str = setting(  # with counts, a text is needed, or the counts themselves
        "vocabulary",
        choices=WEIGHTS,
        also=(GIVEN,),
        title="Token weights",
        help="How much each token counts: codes and codebooks minimise the weighted error. Frequency is estimated from the "
        "vocabulary; a text like those that the model will read tells it better.",
    )
    sensitive: bool | None = setting(
        None,
        title="Tune codes to the output",
        help="Choose all codes together, by how much the model's output moves with their errors, which is measured once. Takes "
        "longer, and keeps more of what the model can do at the same size.",
        automatic="no",
        fault="{name} must be True, False or None (automatic), not {value!r}",
    )
    iterations: int = setting(
        25,
        least=1,
        most=1000,
        metavar="N",
        title="Iterations at most",
        help="K-means stops after so many.",
        in_line="at most {} iterations",
        effort=True,
    )
    tolerance: float = setting(
        1e-4,
        least=0,
        below=1,
        metavar="SHARE",
        widget=False,
        in_line="tolerance {}",
        effort=True,
        help="K-means stops when the error shrinks by less than this share.",
    )
    rank: int | None = setting(
        None,
        least=1,
        metavar="N",
        title="Rank",
        help="How many numbers stay of each token.",
        automatic="D / 8",
        fault=_OF_AT_LEAST_1,
    )
    seed: int = setting(0, least=0, most=2**32 - 1, title="Seed", help="Of everything random: equal seeds give equal results.")
    #: Short hash of the text behind count weights, so that equal settings mean equal results; made from the text, not given.
    text_digest: str | None = setting(None, flag="", url="text", widget=False)

    def check(self) -> None:
        """Whether distinct tuples and sensitive codes go with the method."""
        method = self.about
        for name, value in (("tiers", self.tiers), ("budget", self.budget), ("keep", self.keep)):
            if value is not None and name not in method.reads:
                able = ", ".join(key for key, other in METHODS.items() if name in other.reads)
                raise InputError(f"{self.method} has no {name}; choose {able}, or leave {name} unset")
        if self.tiers is not None and self.budget is not None:
            raise InputError("tiers are chosen for a budget; give a budget or tiers, not both")
        if self.tiers is not None:
            parsed(self.tiers)
        if self.budget is not None:
            budget_bytes(self.budget, 1000, 1000)
            object.__setattr__(self, "budget", budget_text(self.budget))  # one budget, one run, however it was typed
        if self.keep is not None and "budget" in method.reads and self.budget is None:
            raise InputError("keep says which tokens a budget is for; give a budget too, or end the tiers with *:nearest")
        if self.keep is not None and kept_of(self.keep) is None and self.weights not in (*OF_TEXT, GIVEN):
            raise InputError(
                f"keep {USED!r} needs a text that tells what is used; choose weights that count one, or give a number of tokens"
            )
        if self.sensitive and not method.can_be_sensitive:
            able = ", ".join(name for name, other in METHODS.items() if other.can_be_sensitive)
            raise InputError(f"{self.method} cannot choose codes by what the output notices; use one of {able}")
        if self.unique and not (method.can_be_unique or method.is_unique):
            able = ", ".join(name for name, other in METHODS.items() if other.can_be_unique)
            raise InputError(f"{self.method} cannot be asked for unique tuples; use one of {able}")
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

    @property
    def in_words(self) -> str:
        """Method and settings as a person reads them: :func:`settings_text`, with tiers spelled out."""
        return settings_text(self, spelled=True)

    @checked
    def resolve(self, vocabulary: Count, dim: Count) -> "CompressionSettings":
        """The same settings with every automatic value filled in for a (V, D) table; raises InputError if they do not fit."""
        return self.about.resolve(self, vocabulary, dim)


def settings_text(settings: CompressionSettings, spelled: bool = False) -> str:
    """Method and settings in one line. spelled: tiers in words, instead of in the form that is typed.

    >>> settings_text(CompressionSettings("cluster", codebook_size=32, weights="none"))
    'Cluster (unique), f = 3, Q = 32, equal weights, seed 0'
    >>> settings_text(CompressionSettings("product", codebook_size=32, iterations=5))
    'Product quantization, f = 3, Q = 32, vocabulary weights, at most 5 iterations, seed 0'
    """
    method = settings.about
    parts = [method.title]
    if method.uses_codebooks:
        parts.append(f"{method.subspaces_letter} = {settings.subspaces}")
        parts.append(f"Q = {settings.codebook_size if settings.codebook_size is not None else 'automatic'}")
        if settings.codebook_bits not in (None, 8):
            parts.append(f"{settings.codebook_bits}-bit codebooks")
        if method.can_be_unique and settings.wants_unique != method.is_unique:
            parts.append("unique tuples" if settings.wants_unique else "collisions allowed")
    if settings.tiers is not None:
        parts.append(f"{in_words(parsed(settings.tiers))};" if spelled else f"tiers {settings.tiers}")
    if settings.budget is not None:
        parts.append(f"budget {settings.budget}")
    if "tiers" in method.reads and settings.codebook_bits is not None:
        parts.append(f"{settings.codebook_bits}-bit codebooks")
    if "tiers" in method.reads and settings.wants_unique:
        parts.append("unique tuples")
    if settings.budget is not None and settings.keep is not None:
        parts.append(f"{_kept_text(settings.keep)}, the others borrow rows")
    if "keep" in method.reads and "tiers" not in method.reads:
        parts += [_kept_text(settings.keep), _SHORT_WEIGHT_NAMES[settings.weights]]
    if "rank" in method.reads:
        parts += [] if settings.rank is None else [f"rank {settings.rank}"]
        if settings.weights != "none":
            parts.append(_SHORT_WEIGHT_NAMES[settings.weights])
        if settings.sensitive:
            parts.append("sensitive")
    if method.uses_codebooks or "tiers" in method.reads:
        parts.append(_SHORT_WEIGHT_NAMES[settings.weights])
        if settings.sensitive:
            parts.append("sensitive")
    parts += _unusual(settings).values()
    if method.uses_codebooks or "tiers" in method.reads:
        parts.append(f"seed {settings.seed}")
    return ", ".join(parts).replace(";, ", "; ")


def _unusual(settings: CompressionSettings) -> dict[str, str]:
    """Setting -> how a line says it, of those that a line says only where they are not the default."""
    found = {}
    for name, item in declared(type(settings)).items():
        value = getattr(settings, name)
        if item.in_line and name in settings.about.reads and value != item.default:
            found[name] = item.in_line.format(item.written(value))
    return found


def told_apart(settings: Sequence[CompressionSettings]) -> tuple[list[str], str]:
    """Settings as people read them, without token weights, effort and seed where all have the same; and what was left out, in words.

    >>> told_apart([CompressionSettings("product", subspaces=f, codebook_size=32) for f in (3, 8)])
    (['Product quantization, f = 3, Q = 32', 'Product quantization, f = 8, Q = 32'], 'vocabulary weights, seed 0')
    """
    labels = [one.in_words for one in settings]
    same = []
    unusual = [_unusual(one) for one in settings]
    for words in (
        {_SHORT_WEIGHT_NAMES[one.weights] for one in settings if "weights" in one.about.reads},
        *({one.get(name) for one in unusual} for name in dict.fromkeys(name for one in unusual for name in one)),
        {f"seed {one.seed}" for one in settings},
    ):
        if len(settings) > 1 and len(words) == 1:
            (common,) = words
            if any(f", {common}" in label or f"; {common}" in label for label in labels):
                labels = [label.replace(f", {common}", "").replace(f"; {common}", "") for label in labels]
                same.append(common)
    return labels, ", ".join(same)


def _kept_text(keep: str | None) -> str:
    """The setting ``keep`` in words.

    >>> _kept_text("8000"), _kept_text("25%"), _kept_text("used")
    ('8,000 tokens kept', '25 % of the tokens kept', 'tokens of the text kept')
    """
    if keep is None:
        return "an automatic number of tokens kept"
    if "%" in keep:
        return f"{keep.strip().rstrip('%').strip()} % of the tokens kept"
    count = kept_of(keep)
    return "tokens of the text kept" if count is None else f"{count:,} {'token' if count == 1 else 'tokens'} kept"
