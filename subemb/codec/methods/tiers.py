"""Tiers of tokens as a setting: ``1500:48x32,5000:20x32,*:4x32``.

Tokens stand in the order of their weights, the heaviest first. Each tier says how many tokens it takes (a number, a share such as ``5%``, or
``*`` for all that are left, always the last) and how they are kept: ``fxQ`` codes, ``int8`` rows, ``exact`` float32 rows, or ``trim``: they
are dropped, and share one vector, their mean.

:func:`tiers_for` chooses tiers for a number of bytes.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...base.errors import InputError
from ..sizes import code_bits_each
from ..subspaces import has_enough_tuples

INT8, EXACT, TRIM = "int8", "exact", "trim"
MOST_TIERS = 16
_FORM = re.compile(r"(\*|\d{1,12}|\d{1,3}(?:\.\d{1,6})?%):(int8|exact|trim|\d{1,6}x\d{1,6})")
EXAMPLE = "1500:48x32,5000:20x32,*:4x32"


@dataclass(frozen=True)
class Tier:
    """One tier: how many tokens, and how they are kept."""

    count: int | float | None  # tokens; a share of all of them as a float from 0 to 1; None for all that are left
    kind: str  # ``int8``, ``exact``, ``trim``, or ``codes``
    subspaces: int = 1  # f
    codebook_size: int = 1  # Q

    @property
    def text(self) -> str:
        """As it is written."""
        count = "*" if self.count is None else f"{100 * self.count:g}%" if isinstance(self.count, float) else str(self.count)
        return f"{count}:" + (f"{self.subspaces}x{self.codebook_size}" if self.kind == "codes" else self.kind)

    @property
    def words(self) -> str:
        """How its tokens are kept, as a person reads it."""
        names = {INT8: "whole rows in 8 bits", EXACT: "whole rows, exactly", TRIM: "dropped: one vector for all"}
        return names.get(self.kind) or f"f = {self.subspaces}, Q = {self.codebook_size:,}"


def parsed(text: str) -> list[Tier]:
    """Tiers of a text. Raises InputError naming the part that cannot be read.

    >>> [tier.text for tier in parsed("64:int8, 5%:20x32, *:4x32")]
    ['64:int8', '5%:20x32', '*:4x32']
    """
    parts = [part.strip() for part in text.lower().split(",")]
    if len(parts) > MOST_TIERS:
        raise InputError(f"tiers {text[:80]!r} are {len(parts)}; at most {MOST_TIERS} can be kept apart")
    found = []
    for place, part in enumerate(parts):
        match = _FORM.fullmatch(part.replace(" ", ""))
        if match is None:
            raise InputError(
                f"tier {part[:80]!r} cannot be read; a tier is TOKENS:FxQ, TOKENS:int8, TOKENS:exact or TOKENS:trim, such as in {EXAMPLE}"
            )
        count = None if match[1] == "*" else float(match[1][:-1]) / 100 if match[1].endswith("%") else int(match[1])
        if (count is None) != (place == len(parts) - 1):
            raise InputError(f"tiers {text[:80]!r} must end with one for all other tokens, *:FxQ, and only the last may have *")
        if (count is not None and not count > 0) or (isinstance(count, float) and count >= 1):
            raise InputError(f"tier {part[:80]!r} takes no tokens, or all; give 1 or more, or a share below 100%")
        if "x" in match[2] and match[2] != EXACT:
            subspaces, size = map(int, match[2].split("x"))
            if not subspaces or not size:
                raise InputError(f"tier {part[:80]!r} has f or Q of 0; both must be at least 1")
            found.append(Tier(count, "codes", subspaces, size))
        else:
            found.append(Tier(count, match[2]))
    return found


def written(tiers: Sequence[Tier]) -> str:
    """The inverse of :func:`parsed`."""
    return ",".join(tier.text for tier in tiers)


def in_words(tiers: Sequence[Tier]) -> str:
    """Tiers as a person reads them; :func:`written` is the short form that is typed.

    >>> in_words(parsed("5477:12x32,*:2x32"))
    '5,477 tokens with f = 12, Q = 32; all others with f = 2, Q = 32'
    >>> in_words(parsed("5%:int8,*:trim"))
    '5 % of the tokens as whole rows in 8 bits; all others dropped: one vector for all'
    """
    found = []
    for tier in tiers:
        if tier.count is None:
            who = "all others" if len(tiers) > 1 else "all tokens"
        elif isinstance(tier.count, float):
            who = f"{100 * tier.count:g} % of the tokens"
        else:
            who = f"{tier.count:,} {'token' if tier.count == 1 else 'tokens'}"
        how = {"codes": "with ", TRIM: ""}.get(tier.kind, "as ")
        found.append(f"{who} {how}{tier.words}")
    return "; ".join(found)


def counted(tiers: Sequence[Tier], vocabulary: int) -> list[Tier]:
    """The same tiers with whole numbers of tokens. Raises InputError if there are not enough tokens."""
    found, left = [], vocabulary
    for tier in tiers[:-1]:
        count = max(1, round(tier.count * vocabulary)) if isinstance(tier.count, float) else tier.count
        left -= count
        found.append(replace(tier, count=count))
    if left < 1:
        raise InputError(
            f"tiers {written(tiers)} take {vocabulary - left:,} tokens before the last tier; the table has {vocabulary:,} in all"
        )
    return [*found, tiers[-1]]


def default_tiers(vocabulary: int, dim: int) -> list[Tier]:
    """A twentieth of the tokens in eighths of the axes, a sixth in twentieths, the others in hundredths; measured, see the module tiered."""
    first, second = max(1, vocabulary // 20), max(1, vocabulary // 6)
    if (left := vocabulary - first - second) < 1:
        return [Tier(None, "codes", 1, min(32, vocabulary))]
    tiers = [
        Tier(count, "codes", max(1, dim // share), min(32, count)) for count, share in ((first, 8), (second, 19), (left, 96))
    ]
    return [*tiers[:-1], replace(tiers[-1], count=None)]


# A budget

_UNIT = {"": 1, "b": 1, "bytes": 1, "kb": 1000, "mb": 10**6, "gb": 10**9, "kib": 1024, "mib": 2**20, "gib": 2**30}
_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*(%|[a-z]*)", re.IGNORECASE)
CLOSE = 0.02  # a budget is used to within this share
RANK_OFFSET, RANK_POWER = 30.0, 0.25  # how the choice counts tokens: see :func:`tiers_for`
# What product codes with Q = 32 leave of the variance at R bits a number, -ln: STEADY * R + EARLY * (1 - exp(-R / EARLY_RATE)).
# Fitted to all-MiniLM-L6-v2: .941 at f=3, .864 at f=8, .718 at f=24, .269 at f=96.
STEADY, EARLY, EARLY_RATE = 0.95, 0.06, 0.08
_INT8_LEFT = 5e-5
_TRIED = 24  # choices whose first tier is filled up


def budget_bytes(text: str, vocabulary: int, dim: int) -> int:
    """Bytes of ``100 kB``, ``1.5MB``, ``70000`` or ``0.5%`` (of the table in float32). Raises InputError.

    >>> budget_bytes("100 kB", 30522, 384), budget_bytes("0.5%", 30522, 384)
    (100000, 234408)
    """
    match = _BUDGET.fullmatch(text.strip())
    unit = None if match is None else match[2].lower()
    if match is None or (unit != "%" and unit not in _UNIT):
        raise InputError(
            f"budget {text[:80]!r} cannot be read; give bytes, kB, MB or a share of the table, such as 100 kB or 0.5%"
        )
    found = float(match[1]) * (vocabulary * dim * 4 / 100 if unit == "%" else _UNIT[unit])
    if found < 1:
        raise InputError(f"budget {text[:80]!r} is less than one byte; give more, such as 100 kB")
    return int(found)


def tiers_for(
    budget: int, vocabulary: int, dim: int, size: Callable[[Sequence[Tier]], int], unique: bool = False
) -> list[Tier]:
    """The tiers that lose least in at most ``budget`` bytes, and use it to within CLOSE.

    size: bytes that tiers store. Chosen by what is estimated to be lost: a token of rank r counts (r + 30) ** -0.25, and codes leave
    as much of the variance as they do of the bundled model's. That power is smaller than the 0.6 of the default weights: by these alone, rare
    tokens would get nothing at all. Tokens share one vector only where the budget allows nothing else. The forms of all tiers together are searched (one to three tiers, borders at powers of two), then the largest
    first tier is taken for which the budget suffices.

    Raises InputError if nothing fits, or if the budget is more than the whole table takes.
    """
    whole = vocabulary * dim * 4
    if budget >= whole:
        raise InputError(f"a budget of {budget:,} bytes is no less than the table itself takes, {whole:,}; give less")
    for shared in (False, True):
        forms = [form for counts in _counts(vocabulary) for form in _forms(budget, counts, dim, unique, shared)]
        forms.sort(key=lambda form: form[0])
        filled = (_filled(tiers, budget, vocabulary, size) for _, tiers in forms)
        best = list(itertools.islice(filter(None, filled), _TRIED))
        if best:
            return min(best, key=lambda tiers: _lost(tiers, vocabulary, dim))
    raise InputError(
        f"no tiers of a table of {vocabulary:,} x {dim} use a budget of {budget:,} bytes to within {CLOSE:.0%}"
        + (" with distinct tuples" if unique else "")
        + "; give more, or set --tiers yourself"
    )


def _counts(vocabulary: int) -> Iterator[list[int]]:
    """Sizes of one to three tiers: borders where ranks have grown by about three."""
    borders, rank = [], vocabulary / 2.5
    while rank >= 16 and len(borders) < 8:
        borders.append(int(rank))
        rank /= 2.5
    yield [vocabulary]
    for first in borders:
        yield [first, vocabulary - first]
        for second in borders:
            if second > first:
                yield [first, second - first, vocabulary - second]


def _forms(budget: int, counts: Sequence[int], dim: int, unique: bool, shared: bool) -> list[tuple[float, list[Tier]]]:
    """Ways to keep tiers of these sizes in roughly the budget, what is lost and the tiers, the best ones first."""
    last, found = len(counts) - 1, []
    ladders = [_ladder(count, dim, unique, shared and place == last) for place, count in enumerate(counts)]
    starts = itertools.accumulate(counts[:-1], initial=0)
    known = [
        [(_bytes_of(form, count, dim), _weight_between(start, start + count) * _left(form, dim), form) for form in ladder]
        for ladder, count, start in zip(ladders, counts, starts, strict=True)
    ]
    for chosen in itertools.product(*known):
        size = sum(part[0] for part in chosen)
        if 0.5 * budget <= size <= budget and all(a[1] != b[1] and a[0] for a, b in itertools.pairwise(chosen)):
            found.append((sum(part[1] for part in chosen), [part[2] for part in chosen]))
    best = sorted(found, key=lambda entry: entry[0])[:4]
    return [
        (lost, [Tier(count, *form) for count, form in zip([*counts[:-1], None], forms, strict=True)]) for lost, forms in best
    ]


def _ladder(count: int, dim: int, unique: bool, shared: bool) -> list[tuple]:
    """The forms that are tried for a tier of so many tokens."""
    size = min(32, count)
    steps = sorted({f for k in range(10) for f in (2**k, 3 * 2**k) if f <= dim} | {dim})
    forms = [("codes", f, size) for f in steps if not unique or has_enough_tuples(count, f, size)]
    forms += [("codes", dim, min(256, count)), (INT8, 1, 1)]
    if count <= 65536:
        forms.append((EXACT, 1, 1))
    return [(TRIM, 1, 1), *forms] if shared and not unique else forms


def _bytes_of(form: tuple, count: int, dim: int) -> float:
    kind, subspaces, size = form
    if kind == "codes":
        return count * subspaces * code_bits_each(size) / 8 + size * dim
    return {INT8: count * (dim + 4), EXACT: count * dim * 4, TRIM: dim}[kind]


def _left(form: tuple, dim: int) -> float:
    """The share of the variance that is left as an error, estimated."""
    kind, subspaces, size = form
    if kind == "codes":
        rate = subspaces * math.log2(size) / dim
        return math.exp(-STEADY * rate - EARLY * (1 - math.exp(-rate / EARLY_RATE)))
    return {INT8: _INT8_LEFT, EXACT: 0.0, TRIM: 1.0}[kind]


def _weight_between(first: int, end: int) -> float:
    """The sum of (r + 30) ** -0.25 over ranks, as an integral."""
    power = 1 - RANK_POWER
    return ((end + RANK_OFFSET) ** power - (first + RANK_OFFSET) ** power) / power


def _lost(tiers: Sequence[Tier], vocabulary: int, dim: int) -> float:
    """The weighted error that tiers are estimated to leave."""
    total, start = 0.0, 0
    for tier in tiers:
        end = vocabulary if tier.count is None else start + tier.count
        total += _weight_between(start, end) * _left((tier.kind, tier.subspaces, tier.codebook_size), dim)
        start = end
    return total


def _filled(tiers: list[Tier], budget: int, vocabulary: int, size: Callable[[Sequence[Tier]], int]) -> list[Tier] | None:
    """The same forms with the largest first tier (of one tier: the largest Q) that the budget allows; None if much would be left."""
    alone = len(tiers) == 1
    if alone and tiers[0].kind != "codes":
        return None
    rest = sum(tier.count for tier in tiers[1:-1])

    def with_first(number: int) -> list[Tier]:
        if alone:
            return [replace(tiers[0], codebook_size=number)]
        return [replace(tiers[0], count=number), *tiers[1:]]

    low = 2 if alone else max(1, tiers[0].codebook_size)
    high = min(vocabulary, 65536) if alone else vocabulary - rest - max(1, tiers[-1].codebook_size)
    if not alone and tiers[0].kind == EXACT:
        high = min(high, 65536)
    if high < low or size(with_first(low)) > budget:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if size(with_first(middle)) <= budget:
            low = middle
        else:
            high = middle - 1
    found = with_first(low)
    return found if size(found) >= (1 - CLOSE) * budget else None
