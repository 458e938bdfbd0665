"""What a claim is: what the paper says, which rows are to be measured, and what rules are made of. The twelve are in :mod:`.claims`.

Jaiswal & Liu, "Lightweight Adaptation of Neural Language Models via Subspace Embedding", CIKM 2023, doi 10.1145/3583780.3615269; only
its abstract is known here. The rules are pure: of a table of rows, and of arithmetic.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..analysis.equal_bytes import settings_at_bytes
from ..base.text import number_text, one_line
from ..codec.estimates import estimate_seconds, predicted_size
from ..codec.settings import CompressionSettings, settings_text
from ..codec.sizes import FLOAT_BYTES, code_bits_each
from ..codec.subspaces import automatic_codebook_size
from ..sweep.table import SetScore
from .rows import (
    CODEBOOKS,
    MASKED,
    SCORES,
    SEARCHED,
    SENTENCES,
    SPEED,
    TUNED,
    UNTRAINED,
    Cell,
    ClaimRow,
    ClaimsTable,
    Facts,
    Measured,
    Sizes,
    over_seeds,
)  # fmt: skip

HOLDS, FAILS, OPEN = "holds", "fails", "cannot be told here"
SHARE = 0.998  # of the floats that are saved: "beyond 99.8 %"
POINTS = 4.0  # that are lost at most: "up to 4 % absolute accuracy"
SAME = 1.0  # points within which two tables count as equally good
SLOWER = 1.1  # times a dense table's seconds that a step may take
LONGEST_SECONDS = 60.0  # of compressing at int4's bytes, on two free cores; where it takes longer there is no such row
FEW, SEVERAL, MANY = 3, 8, 24  # subspaces that are tried, beside the 2 of claim 6
NOT_SAID = "Its abstract does not speak of this."
#: Whose a claim is: of the paper's abstract, of its algorithms and its authors' code, or a question that a reader has.
ABSTRACT, METHOD, ASKED = "from its abstract", "from its algorithms and code", "a reader's question"
BASE_LANGUAGE = "en"


@dataclass(frozen=True)
class KnownTable:
    """A well known model's token table."""

    name: str
    vocabulary: int  # V
    dim: int  # D
    parameters: int  # of the whole encoder with its pooler, as transformers builds it from the published configuration
    is_multilingual: bool

    @property
    def share(self) -> float:
        """Of the whole model that its table is."""
        return self.vocabulary * self.dim / self.parameters


#: bert-base-multilingual-cased, xlm-roberta-base, roberta-base, all-MiniLM-L6-v2. A test counts the parameters with transformers.
KNOWN_TABLES = (
    KnownTable("mBERT", 119_547, 768, 177_853_440, True),
    KnownTable("XLM-R", 250_002, 768, 278_043_648, True),
    KnownTable("RoBERTa", 50_265, 768, 124_645_632, False),
    KnownTable("MiniLM", 30_522, 384, 22_713_216, False),
)


@dataclass(frozen=True)
class Part:
    """One number that a claim is judged by."""

    what: str  # the setting, or the model
    on: str  # the set, or the measure
    verdict: str  # HOLDS, FAILS or OPEN
    value: float
    low: float | None = None  # its interval
    high: float | None = None
    seeds: int = 0  # that it is the mean of; 0 where nothing is drawn
    share: float | None = None  # of the table's bytes that the setting stores
    least: float | None = None  # of the seeds
    most: float | None = None
    counts: bool = True  # whether the verdict follows from it; else it is shown for comparison

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return dict(vars(self))


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict."""

    claim: "Claim"
    verdict: str  # HOLDS, FAILS or OPEN
    sentence: str  # what was found, and why
    parts: tuple[Part, ...] = ()
    rows: tuple[str, ...] = ()  # keys of the rows that it is judged by

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        claim = self.claim
        return {
            "number": claim.number, "claim": claim.title, "whose": claim.whose, "paper": claim.paper, "verdict": self.verdict, "sentence": self.sentence,
            "limit": claim.limit, "unit": claim.unit, "parts": [part.to_dict() for part in self.parts], "rows": list(self.rows),
        }  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """What decides which rows are wanted."""

    vocabulary: int
    dim: int
    sizes: Sizes
    has_network: bool  # and a tokenizer: sentences can be scored
    has_masked: bool
    labelled: tuple[str, ...] = ()  # tasks that can be fine-tuned on

    def settings(self, method: str, subspaces: int, wide: bool = False, seed: int = 0) -> CompressionSettings:
        """With the paper's own Q, the smallest that gives distinct tuples; wide: the largest beyond 99.8 % fewer floats, up to 256."""
        subspaces = min(subspaces, self.dim)
        size = None
        if wide:
            size = max(automatic_codebook_size(self.vocabulary, subspaces), min(256, self.widest))
        settings = CompressionSettings(method, subspaces=subspaces, codebook_size=size, seed=seed)
        return settings.resolve(self.vocabulary, self.dim)

    @property
    def widest(self) -> int:
        """The largest Q that stores less than 0.2 % of V x D floats, at least 2."""
        return max(2, -(-round((1 - SHARE) * 1e6) * self.vocabulary // 1_000_000) - 1)

    @property
    def seeds(self) -> range:
        """Of the rows."""
        return range(self.sizes.seeds)


@dataclass(frozen=True)
class Claim:
    """One claim. Its rule is pure."""

    number: int
    title: str  # as a sentence that can hold or fail
    whose: str  # ABSTRACT, METHOD or ASKED
    paper: str  # what the paper says
    rule: str  # when it holds and when it fails, in words
    judge: Callable[["Claim", ClaimsTable], Judged]
    cells: Callable[[Ask], Iterable[Cell]] = lambda ask: ()
    needs: str = ""  # what is measured, in words
    limit: float | None = None  # the line in its chart
    unit: str = "points"  # of its numbers
    bars: str = "95 % intervals over the pairs"  # what the bars of its chart are


# Rows


def untrained(ask: Ask) -> Iterable[Cell]:
    """The paper's two assignments, and the settings that are trained too."""
    for seed in ask.seeds:
        yield Cell(ask.settings(ARBITRARY, FEW, seed=seed))
        yield Cell(ask.settings(CLUSTER, 2, seed=seed))
        yield Cell(ask.settings(CLUSTER, FEW, seed=seed))
        yield Cell(ask.settings(CLUSTER, SEVERAL, True, seed))


def codebooks_trained(ask: Ask) -> Iterable[Cell]:
    """Arbitrary and cluster, codes as they are, equally many steps; and masked words learned alike."""
    if not ask.has_network:
        return
    for seed in ask.seeds:
        for method in (ARBITRARY, CLUSTER):
            yield Cell(ask.settings(method, FEW, seed=seed), training=CODEBOOKS, steps=ask.sizes.steps)
    yield from masked_tuned(ask, (ARBITRARY, FEW), (CLUSTER, FEW))


def drawn(ask: Ask) -> Iterable[Cell]:
    """Cluster codes with fitted and with random codebooks, equally many steps."""
    if ask.has_network:
        for seed in ask.seeds:
            for is_drawn in (False, True):
                yield Cell(ask.settings(CLUSTER, FEW, seed=seed), training=CODEBOOKS, drawn=is_drawn, steps=ask.sizes.steps)


def searched(ask: Ask) -> Iterable[Cell]:
    """Codes and codebooks learned for equally many seconds."""
    if ask.has_network:
        for seed in ask.seeds:
            for subspaces in (2, FEW, SEVERAL, MANY):
                settings = ask.settings(CLUSTER, subspaces, subspaces > FEW, seed)
                yield Cell(settings, training=SEARCHED, seconds=ask.sizes.seconds)


def tuned(ask: Ask) -> Iterable[Cell]:
    """Fine-tuned, and the original alike."""
    yield from pairs_tuned(ask)
    yield from masked_tuned(ask, (CLUSTER, FEW), (CLUSTER, MANY))


def pairs_tuned(ask: Ask) -> Iterable[Cell]:
    """Fine-tuned on labelled pairs, and the original alike."""
    yield from searched(ask)
    for task in ask.labelled if ask.has_network else ():
        for subspaces in (FEW, MANY):
            settings = ask.settings(CLUSTER, subspaces, subspaces > FEW)
            yield Cell(settings, training=TUNED, task=task, steps=max(1, ask.sizes.steps // 2))


def masked_tuned(ask: Ask, *which: tuple[str, int]) -> Iterable[Cell]:
    """Fine-tuned on masked words, and the original alike."""
    for method, subspaces in which if ask.has_masked else ():
        settings = ask.settings(method, subspaces, subspaces > FEW)
        yield Cell(settings, on=MASKED, training=TUNED, task=MASKED, steps=max(1, ask.sizes.steps // 2))


def masked_words(ask: Ask) -> Iterable[Cell]:
    """Masked words without training, and fine-tuned."""
    for subspaces in (FEW, MANY) if ask.has_masked else ():
        yield Cell(ask.settings(CLUSTER, subspaces, subspaces > FEW), on=MASKED)
    yield from masked_tuned(ask, (CLUSTER, FEW), (CLUSTER, MANY))


def speeds(ask: Ask) -> Iterable[Cell]:
    """Lookup, step and logits."""
    for subspaces in (FEW, MANY):
        yield Cell(ask.settings(CLUSTER, subspaces, subspaces > FEW), kind=SPEED)


def equal_bytes(ask: Ask) -> Iterable[Cell]:
    """Rivals that store as much as subspace embedding at f = 8. At int4's bytes subspaces are single axes, and the search for distinct
    tuples takes minutes for nothing: product codes, which are distinct there anyway, stand for it."""
    for seed in ask.seeds:
        settings = ask.settings(CLUSTER, SEVERAL, True, seed)
        target = predicted_size(settings, ask.vocabulary, ask.dim).total_bytes
        for found in _rivals(ask, target, settings, RIVALS, seed):
            yield Cell(found)
    whole = CompressionSettings(INT4).resolve(ask.vocabulary, ask.dim)
    target = predicted_size(whole, ask.vocabulary, ask.dim).total_bytes
    as_large = list(_rivals(ask, target, None, (PRODUCT,), 0))
    if as_large:
        yield Cell(whole)
        yield from map(Cell, as_large)


def _rivals(
    ask: Ask, target: int, keep: CompressionSettings | None, methods: Sequence[str], seed: int
) -> Iterable[CompressionSettings]:
    found = settings_at_bytes(target, ask.vocabulary, ask.dim, methods, seed=seed, weights="vocabulary", keep=keep)
    for one in found.values():
        if one.is_near and estimate_seconds(one.settings, ask.vocabulary, ask.dim) <= LONGEST_SECONDS:
            yield one.settings


CLUSTER, ARBITRARY, PRODUCT, INT4 = "cluster", "arbitrary", "product", "int4"
RIVALS = (CLUSTER, PRODUCT, "optimized_product", "residual", "tiered", "low_rank")


# Rules


def at_least(found: Measured | None, limit: float) -> str:
    """Whether a difference is surely at or above a limit, surely below it, or neither: the whole interval and every seed has to agree.

    A limit of 0 asks for better: no difference at all does not reach it.

    >>> at_least(Measured(-3, -3.9, -2, -3.5, -2.5, 2), -4), at_least(Measured(-6, -7, -5, -6, -6, 1), -4)
    ('holds', 'fails')
    >>> at_least(Measured(-3, -3.9, -2, -4.5, -1.5, 2), -4), at_least(None, -4)
    ('cannot be told here', 'cannot be told here')
    >>> at_least(Measured(0, 0, 0, 0, 0, 1), 0), at_least(Measured(0, 0, 0, 0, 0, 1), -1)
    ('cannot be told here', 'holds')
    """
    if found is None or not found.is_defined:
        return OPEN
    low = min(found.low, found.least)
    if low > limit or (low == limit and limit):
        return HOLDS
    return FAILS if found.high < limit and found.most < limit else OPEN


def all_hold(verdicts: Iterable[str]) -> str:
    """A claim about all of several numbers: one that fails is enough.

    >>> all_hold([HOLDS, OPEN]), all_hold([HOLDS, FAILS, OPEN]), all_hold([HOLDS]), all_hold([])
    ('cannot be told here', 'fails', 'holds', 'cannot be told here')
    """
    found = list(verdicts)
    if FAILS in found:
        return FAILS
    return HOLDS if found and OPEN not in found else OPEN


def any_holds(verdicts: Iterable[str]) -> str:
    """A claim that there is one of several: it fails where none can be it.

    >>> any_holds([FAILS, HOLDS]), any_holds([FAILS, OPEN]), any_holds([FAILS]), any_holds([])
    ('holds', 'cannot be told here', 'fails', 'cannot be told here')
    """
    found = list(verdicts)
    if HOLDS in found:
        return HOLDS
    return FAILS if found and OPEN not in found else OPEN


def float_share(vocabulary: int, subspaces: int) -> float:
    """Q / V: floats of the codebooks over those of the table, with the smallest Q that gives distinct tuples."""
    return automatic_codebook_size(vocabulary, subspaces) / vocabulary


def honest_share(vocabulary: int, dim: int, subspaces: int) -> float:
    """Bytes over the table's: codebooks as floats of 32 bits, as papers keep them, and every code packed."""
    size = automatic_codebook_size(vocabulary, subspaces)
    codes = -(-vocabulary * subspaces * code_bits_each(size) // 8)
    return (FLOAT_BYTES * size * dim + codes) / (FLOAT_BYTES * vocabulary * dim)


def tables_of(facts: Facts) -> list[KnownTable]:
    """The well known tables, and the model's own where it is none of them."""
    model = facts.model
    whole = model.get("parameters") or model["vocabulary"] * model["dim"]
    own = KnownTable(one_line(str(model["name"])), model["vocabulary"], model["dim"], whole, len(facts.languages) > 1)
    known = [one for one in KNOWN_TABLES if (one.vocabulary, one.dim) != (own.vocabulary, own.dim)]
    twin = next((one for one in KNOWN_TABLES if one not in known), None)
    return [*known, own if twin is None else replace(own, name=twin.name)]


def rows_of(table: ClaimsTable, method: str = CLUSTER, subspaces: int | None = None, **more: Any) -> list[ClaimRow]:
    """The rows that were measured of some kind, one a seed. more: fields of the row, with the defaults of a cell."""
    wanted = {"kind": SCORES, "on": SENTENCES, "training": UNTRAINED, "task": "", "drawn": False} | more
    return [
        row
        for row in table.done
        if row.settings.method == method
        and (subspaces is None or row.settings.subspaces == min(subspaces, table.facts.model["dim"]))
        and all(getattr(row, name) == value for name, value in wanted.items())
    ]


def settings_of(rows: Sequence[ClaimRow]) -> dict[str, list[ClaimRow]]:
    """Rows by their settings in words, the seed left out; in the order of their bytes."""
    found: dict[str, list[ClaimRow]] = {}
    for row in sorted(rows, key=lambda row: row.total_bytes or 0):
        found.setdefault(words_of(row.settings), []).append(row)
    return found


def words_of(settings: CompressionSettings) -> str:
    """f and Q, or the method's name, without the seed."""
    words = settings_text(replace(settings, seed=0)).removesuffix(", seed 0")
    return words if settings.method != CLUSTER else f"f = {settings.subspaces}, Q = {settings.codebook_size}"


def main_sets(table: ClaimsTable, *tasks: str) -> list[str]:
    """Names of the sets in one language: English, or the first that the model reads."""
    languages = [one["language"] for one in table.facts.sets if one["language"]]
    main = BASE_LANGUAGE if BASE_LANGUAGE in languages else next(iter(languages), "")
    wanted = tasks or ("similarity", "paraphrase", "entailment", MASKED)
    return [one["name"] for one in table.facts.sets if one["task"] in wanted and one["language"] in ("", main)]


def against_original(rows: Sequence[ClaimRow], name: str, limit: float, what: str, counts: bool = True) -> Part | None:
    """A part about the difference to the original on one set; None where no row has it."""
    return _part(what, name, over_seeds([row.scores[name] for row in rows if name in row.scores]), limit, rows, counts)


def against_others(rows: Sequence[ClaimRow], others: Sequence[ClaimRow], name: str, limit: float, what: str) -> Part | None:
    """A part about the difference of some rows to others of the same seeds on one set; None where no pair of rows has it."""
    found = []
    for row in rows:
        other = next((one for one in others if one.settings.seed == row.settings.seed and name in one.scores), None)
        if other is not None and name in row.scores:
            found.append(difference_of(row, other, name))
    return _part(what, name, over_seeds(found), limit, rows)


def difference_of(row: ClaimRow, other: ClaimRow, name: str) -> SetScore:
    """A row's score less another's on a set. The interval is that of the paired bootstrap where it was made; else the ends of both rows'
    intervals against the original make a wider one."""
    known = row.versus.get(other.key, {}).get(name)
    if known is not None:
        return known
    back = other.versus.get(row.key, {}).get(name)
    mine, theirs = row.scores[name], other.scores[name]
    difference = mine.score - theirs.score
    if back is not None:
        return SetScore(mine.score, difference, -back.high, -back.low)
    return SetScore(mine.score, difference, mine.low - theirs.high, mine.high - theirs.low)


def _part(
    what: str, name: str, found: Measured | None, limit: float, rows: Sequence[ClaimRow], counts: bool = True
) -> Part | None:
    if found is None:
        return None
    shares = [row.share for row in rows if row.share is not None]
    return Part(
        what, name, at_least(found, limit), found.value, found.low, found.high, found.seeds, max(shares, default=None), found.least,
        found.most, counts,
    )  # fmt: skip


def judged(claim: Claim, verdict: str, sentence: str, parts: Iterable[Part | None], rows: Iterable[ClaimRow] = ()) -> Judged:
    """A claim with its verdict; parts that nothing is known of are left out."""
    keys = tuple(dict.fromkeys(row.key for row in rows))
    return Judged(claim, verdict, sentence, tuple(part for part in parts if part is not None), keys)


def nothing(claim: Claim, table: ClaimsTable, *tasks: str) -> Judged:
    """Nothing is known: why."""
    reasons = list(dict.fromkeys(table.facts.missing[task] for task in tasks if task in table.facts.missing))
    is_all = len([task for task in tasks if task in table.facts.missing]) == len(tasks) and tasks
    failed = [one_line(row.problem) for row in table.failed][:1]
    why = "; ".join(map(one_line, reasons)) if is_all else f"Its rows failed: {failed[0]}" if failed else "Not measured yet"
    return judged(claim, OPEN, f"{why.rstrip('.')}.", ())


def decided(parts: Iterable[Part | None], table: ClaimsTable) -> list[Part]:
    """The parts that are known; those on sets that the judge of them was trained on are for comparison only."""
    learned = {one["name"] for one in table.facts.sets if one.get("learned")}
    return [replace(part, counts=False) if part.on in learned else part for part in parts if part is not None]


def counted(parts: Iterable[Part | None]) -> list[Part]:
    """The parts that a verdict follows from."""
    return [part for part in parts if part is not None and part.counts]


def listed(names: Iterable[str], most: int = 4) -> str:
    """Names, each once: ``a, b and c``."""
    found = list(dict.fromkeys(names))
    if len(found) > most:
        found = [*found[:most], f"{len(found) - most} more"]
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else "none"


def points_text(value: float) -> str:
    """A difference of points, with its sign."""
    return number_text(value, signed=True)
