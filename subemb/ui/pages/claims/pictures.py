"""Verdicts and numbers of the claims as pictures. Pure functions that give HTML; nothing is told by colour alone."""

import math
from collections.abc import Sequence

from ....base.text import escape_html
from ....reproduce.claim import FAILS, HOLDS, OPEN, Claim, Judged, Part, points_text
from ...shell.style import TEXT

SIGNS = {HOLDS: "✓", FAILS: "✗", OPEN: "?"}
#: Each can be read as text on the page of its theme.
COLOURS = {
    HOLDS: "light-dark(#00792F, #83D494)",
    FAILS: "light-dark(#A63D02, #FFA37F)",
    OPEN: "light-dark(#5A5F66, #B4BAC2)",
}
_FAINT = f"color-mix(in srgb, {TEXT} 16%, transparent)"
_SOFT = f"color-mix(in srgb, {TEXT} 72%, transparent)"
MOST_ROWS = 9  # of one chart
_MARGIN = 0.06  # of the scale, on both sides


def strip_html(found: Sequence[Judged]) -> str:
    """Twelve marks, one a claim, each a link to its card: what holds, what fails, what cannot be told."""
    marks = "".join(
        f'<a href="#claim-{one.claim.number}" target="_self" title="{escape_html(one.claim.title)}: {one.verdict}" '
        f'aria-label="Claim {one.claim.number}, {escape_html(one.claim.title)}: {one.verdict}" style="text-decoration:none;'
        f"display:flex;flex-direction:column;align-items:center;justify-content:center;height:3.9rem;"
        f"border-radius:6px;color:{COLOURS[one.verdict]};border:2px solid {COLOURS[one.verdict]};"
        f'background:color-mix(in srgb, {COLOURS[one.verdict]} 12%, transparent)">'
        f'<span aria-hidden="true" style="font-size:1.35rem;font-weight:700;line-height:1.1">{SIGNS[one.verdict]}</span>'
        f'<span aria-hidden="true" style="font-size:0.875rem">{one.claim.number}</span></a>'
        for one in found
    )
    legend = "".join(
        f'<span style="white-space:nowrap"><b style="color:{COLOURS[verdict]}">{sign}</b> {verdict}</span>'
        for verdict, sign in SIGNS.items()
    )
    return (
        f'<nav aria-label="Verdicts" style="display:grid;gap:0.4rem;max-width:60rem;'
        f'grid-template-columns:repeat(auto-fill,minmax(3.75rem,1fr))">{marks}</nav>'
        f'<div style="display:flex;flex-wrap:wrap;gap:0.2rem 1.2rem;margin-top:0.5rem;font-size:0.875rem;color:{_SOFT}">{legend}</div>'
    )


def verdict_html(one: Judged) -> str:
    """The verdict of a card, as a mark with a word."""
    colour = COLOURS[one.verdict]
    return (
        f'<span style="display:inline-block;padding:0.1rem 0.6rem;border-radius:999px;border:1.5px solid {colour};color:{colour};'
        f'font-weight:600;font-size:0.9rem;white-space:nowrap">{SIGNS[one.verdict]} {one.verdict}</span>'
    )


def whose_html(claim: Claim) -> str:
    """Whose claim it is, beside the verdict."""
    return f'<span style="font-size:0.875rem;color:{_SOFT};white-space:nowrap">{escape_html(claim.whose)}</span>'


def drawn_parts(one: Judged) -> list[Part]:
    """The parts that a chart shows: all, if they are few. Else, of those that the verdict follows from, the worst of each setting, and as
    many more of the setting whose worst is best as there is room for."""
    if len(one.parts) <= MOST_ROWS:
        return list(one.parts)
    parts = [part for part in one.parts if part.counts] or list(one.parts)
    if len(parts) <= MOST_ROWS:
        return parts
    worse = -1 if one.claim.unit in _LESS_IS_BETTER else 1
    groups: dict[str, list[Part]] = {}
    for part in sorted(parts, key=lambda part: worse * part.value):
        groups.setdefault(", ".join(part.what.split(", ")[:2]), []).append(part)
    chosen = [group[0] for group in groups.values()][:MOST_ROWS]
    best = max(groups.values(), key=lambda group: worse * group[0].value)
    chosen += best[1 : 1 + MOST_ROWS - len(chosen)]
    return [part for part in parts if part in chosen]


_LESS_IS_BETTER = ("times as long as nn.Embedding", "tokens that share a tuple")


def scale_of(parts: Sequence[Part], limit: float | None) -> tuple[float, float]:
    """The least and the greatest number that a chart has room for.

    >>> part = Part("f = 3", "a set", HOLDS, 1.0, 0.0, 2.0)
    >>> [round(end, 2) for end in scale_of([part], -2.0)]
    [-2.24, 2.24]
    """
    values = [
        value for part in parts for value in (part.value, part.low, part.high) if value is not None and not math.isnan(value)
    ]
    values += [] if limit is None else [limit]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low == high:  # all numbers at one place: at the left
        return low - _MARGIN, high + 1.0
    wide = high - low
    return low - _MARGIN * wide, high + _MARGIN * wide


def chart_html(one: Judged) -> str:
    """One row a number: what it is about, where it lies beside the claim's limit, and the number. "" without numbers."""
    parts, claim = drawn_parts(one), one.claim
    if not parts:
        return ""
    scale = scale_of(parts, claim.limit)
    rows = "".join(_row_html(part, claim, scale) for part in parts)
    left = len(one.parts) - len(parts)
    more = f" {left} more behind the click." if left else ""
    limit = "" if claim.limit is None else f" The line: {number_text(claim.limit, claim.unit)}."
    if any(part.low is not None for part in parts):
        limit += f" Bars: {claim.bars}."
    if not all(part.counts for part in parts):
        limit += " Hollow: for comparison."
    alt = "; ".join(f"{part.what}, {part.on}: {number_text(part.value, claim.unit)}, {part.verdict}" for part in parts)
    return (
        f'<div role="img" aria-label="{escape_html(alt)}" style="display:grid;grid-template-columns:minmax(6.5rem,max-content) 1fr '
        f'max-content;gap:0.15rem 0.6rem;align-items:center;font-size:0.875rem">{rows}</div>'
        f'<div style="font-size:0.8125rem;color:{_SOFT};margin-top:0.35rem">{escape_html(claim.unit)}.{limit}{more}</div>'
    )


def _row_html(part: Part, claim: Claim, scale: tuple[float, float]) -> str:
    low, high = scale

    def place(value: float) -> float:
        return 100 * (value - low) / (high - low)

    colour = COLOURS[part.verdict] if part.counts else _SOFT
    line = ""
    if claim.limit is not None:
        line = (
            f'<i style="position:absolute;left:{place(claim.limit):.2f}%;top:0;bottom:0;border-left:1.5px dashed {_SOFT}"></i>'
        )
    whisker = ""
    if part.low is not None and part.high is not None and not math.isnan(part.low + part.high):
        start, end = place(part.low), place(part.high)
        whisker = (
            f'<i style="position:absolute;left:{start:.2f}%;width:{end - start:.2f}%;top:calc(50% - 1.5px);height:3px;'
            f'border-radius:2px;background:{colour};opacity:0.6"></i>'
        )
    mark = ""
    if not math.isnan(part.value):
        # What is there for comparison is hollow, and has no sign.
        look = (
            f"background:{colour};color:light-dark(#fff,#111)"
            if part.counts
            else f"border:2.5px solid {_SOFT};box-sizing:border-box"
        )
        mark = (
            f'<b style="position:absolute;left:{place(part.value):.2f}%;top:50%;transform:translate(-50%,-50%);width:1.05rem;height:1.05rem;'
            f'border-radius:50%;{look};font-size:0.72rem;line-height:1.05rem;text-align:center">{SIGNS[part.verdict] if part.counts else ""}</b>'
        )
    label = f"{escape_html(part.what)}<br><span style='color:{_SOFT};font-size:0.8125rem'>{escape_html(part.on)}</span>"
    return (
        f'<div style="line-height:1.2;max-width:12rem;overflow-wrap:anywhere">{label}</div>'
        f'<div style="position:relative;height:1.7rem;background:{_FAINT};border-radius:3px;overflow:hidden">{line}{whisker}{mark}</div>'
        f'<div style="font-variant-numeric:tabular-nums;text-align:right">{number_text(part.value, claim.unit)}</div>'
    )


def number_text(value: float, unit: str) -> str:
    """A number of a claim in its unit.

    >>> [number_text(*one) for one in ((-4.0, "points"), (99.7996, "% of floats saved"), (1.2345, "times as long as x"), (0.0, "tokens"))]
    ['−4.0', '99.80 %', '1.23 ×', '0']
    """
    if math.isnan(value):
        return "not defined"
    if unit.startswith("%"):
        return f"{value:.1f} %" if value < 99 else f"{value:.2f} %"
    if unit.startswith("times"):
        return f"{value:.2f} ×"
    return f"{value:.0f}" if unit.startswith("tokens") else points_text(value)
