"""Tiers of tokens as a setting: ``1500:48x32,5000:20x32,*:4x32``.

Tokens stand in the order of their weights, the heaviest first. Each tier says how many tokens it takes (a number, a share such as ``5%``, or
``*`` for all that are left, always the last) and how they are kept: ``fxQ`` codes, ``int8`` rows, ``exact`` float32 rows, or ``trim``: they
are dropped, and share one vector, their mean. The last may be ``nearest``: every token has the row of the one most like it before.

:mod:`.budgets` chooses tiers for a number of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...base.errors import InputError

INT8, EXACT, TRIM, NEAREST = "int8", "exact", "trim", "nearest"
MOST_TIERS = 16
_FORM = re.compile(r"(\*|\d{1,12}|\d{1,3}(?:\.\d{1,6})?%):(int8|exact|trim|nearest|\d{1,6}x\d{1,6})")
EXAMPLE = "1500:48x32,5000:20x32,*:4x32"


@dataclass(frozen=True)
class Tier:
    """One tier: how many tokens, and how they are kept."""

    count: int | float | None  # tokens; a share of all of them as a float from 0 to 1; None for all that are left
    kind: str  # ``int8``, ``exact``, ``trim``, ``nearest``, or ``codes``
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
        names |= {NEAREST: "the row of the token most like it in the tiers before"}
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
                f"tier {part[:80]!r} cannot be read; a tier is TOKENS:FxQ, TOKENS:int8, TOKENS:exact, TOKENS:trim or *:nearest, such as in {EXAMPLE}"
            )
        count = None if match[1] == "*" else float(match[1][:-1]) / 100 if match[1].endswith("%") else int(match[1])
        if (count is None) != (place == len(parts) - 1):
            raise InputError(f"tiers {text[:80]!r} must end with one for all other tokens, *:FxQ, and only the last may have *")
        if (count is not None and not count > 0) or (isinstance(count, float) and count >= 1):
            raise InputError(f"tier {part[:80]!r} takes no tokens, or all; give 1 or more, or a share below 100%")
        if match[2] == NEAREST and (count is not None or not found):
            raise InputError(
                f"tier {part[:80]!r} takes the rows of the tiers before it, so only the last can be {NEAREST}: *:{NEAREST}, after others"
            )
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
    >>> in_words(parsed("900:exact,*:nearest"))
    '900 tokens as whole rows, exactly; all others with the row of the token most like it in the tiers before'
    """
    found = []
    for tier in tiers:
        if tier.count is None:
            who = "all others" if len(tiers) > 1 else "all tokens"
        elif isinstance(tier.count, float):
            who = f"{100 * tier.count:g} % of the tokens"
        else:
            who = f"{tier.count:,} {'token' if tier.count == 1 else 'tokens'}"
        how = {"codes": "with ", NEAREST: "with ", TRIM: ""}.get(tier.kind, "as ")
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
