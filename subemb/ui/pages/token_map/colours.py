"""What the colours and symbols of the token map mean, and the key that says so. No Streamlit here."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ....base.errors import InputError
from ....base.text import escape_html
from ....models.vocabulary import KINDS
from ...widgets.charts import NEUTRAL, PALETTE
from ...widgets.colours import oklch
from .facts import Drawn, TokenFacts

#: What points can be coloured by.
KIND, CODE, TIER, ERROR, NORM, ID = "Token kind", "Code of a subspace", "Tier", "Error", "Norm", "Token id"
#: kind -> (plotly symbol, the same as a character, colour). Every kind has its own symbol, whatever the colour says.
KIND_MARKS = {
    "special": ("star", "★", PALETTE[7]),
    "whole word": ("circle", "●", PALETTE[0]),
    "word piece": ("diamond", "◆", PALETTE[1]),
    "number": ("square", "■", PALETTE[2]),
    "punctuation": ("triangle-up", "▲", PALETTE[3]),
    "unused": ("x", "✖", NEUTRAL),
    "padding row": ("cross", "✚", PALETTE[5]),
}
#: From low to high; every colour stands out by about 3:1 from a white and from a near-black background.
GRADIENT = ("#3D5BD9", "#7B4FC9", "#B1459F", "#D2476C", "#D5622F", "#B98500")
SWATCHES = 64  # codes named one by one in the key
_CODE_LIGHTNESS = (0.63, 0.53)
_DISTINCT_COLOURS = 256  # a codebook larger than this is coloured by a continuous wheel


@dataclass(frozen=True)
class Colouring:
    """What the colours of the n drawn tokens mean."""

    title: str  # what the colour shows
    values: tuple[np.ndarray, np.ndarray] | None = None  # (n,) on the original and on the reconstructed map; None for kinds
    scale: list = field(default_factory=list)  # plotly colour scale over low..high
    low: float = 0.0  # the value that gets the first colour of the scale
    high: float = 1.0  # the value that gets the last
    names: Sequence[str] = ()  # of the steps of the scale, one a value from 1
    chosen: np.ndarray | None = None  # (n,) bool, the tokens of the one highlighted code


def colouring_of(
    colour: str,
    facts: TokenFacts,
    ids: np.ndarray,
    subspace: int = 0,
    code: int | None = None,
    codebook: np.ndarray | None = None,
) -> Colouring:
    """What the colours of the drawn tokens ``ids`` mean.

    colour: one of KIND, CODE, TIER, ERROR, NORM, ID. subspace, its codebook (Q, d), and the code to highlight: for CODE.
    Raises InputError for a code that the codebook does not have.
    """
    if colour == CODE and facts.codes is not None:
        if code is not None and code >= len(codebook):
            raise InputError(f"there is no code {code} in subspace {subspace}; choose one from 0 to {len(codebook) - 1}")
        return by_code(subspace, facts.codes[ids, subspace], codebook, code)
    if colour == TIER and facts.tier is not None:
        return by_tier(facts.tier[ids], facts.tiers)
    if colour == ERROR:
        return by_value("error of the token, in units of the mean variance", facts.error[ids])
    if colour == NORM:
        return by_value("length of the vector", facts.norm[ids], facts.new_norm[ids])
    if colour == ID:
        return by_value("token id", ids.astype(np.float32), clip=0.0)
    return by_kind()


def by_kind() -> Colouring:
    """Colour and symbol both say the kind of token."""
    return Colouring("token kind")


def by_tier(tiers: np.ndarray, words: Sequence[str]) -> Colouring:
    """One colour a tier. tiers: (n,) ints from 1. words: how each tier is kept."""
    count, values = len(words), tiers.astype(np.float32)
    scale = [[edge, tier_colour(i)] for i in range(count) for edge in (i / count, (i + 1) / count)]
    return Colouring("tier of the token, 1 has the heaviest", (values, values), scale, 0.5, count + 0.5, names=words)


def tier_colour(place: int) -> str:
    """The colour of the tier at this place, counted from 0."""
    return PALETTE[place % len(PALETTE)]


def by_value(title: str, original: np.ndarray, reconstructed: np.ndarray | None = None, clip: float = 0.01) -> Colouring:
    """One scale for both maps, from the ``clip`` quantile to the 1 - ``clip`` quantile of all values on either."""
    reconstructed = original if reconstructed is None else reconstructed
    both = np.concatenate([original, reconstructed])
    both = both[np.isfinite(both)]
    low, high = np.quantile(both, [clip, 1 - clip]) if len(both) else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    scale = [[i / (len(GRADIENT) - 1), colour] for i, colour in enumerate(GRADIENT)]
    return Colouring(title, (original, reconstructed), scale, float(low), float(high))


def by_code(subspace: int, codes: np.ndarray, codebook: np.ndarray, chosen: int | None = None) -> Colouring:
    """Colour by the code in one subspace. codes: (n,) ints. chosen: the one code to highlight, all others grey."""
    title = f"code of subspace {subspace}"
    if chosen is not None:
        return Colouring(f"code {chosen} of subspace {subspace}", chosen=codes == chosen)
    size = len(codebook)
    places = hue_ranks(codebook)[codes].astype(np.float32)
    if size <= _DISTINCT_COLOURS:
        # Steps, not a slope: a colour between two codes would mean nothing.
        scale = [[edge, colour] for i, colour in enumerate(wheel(size)) for edge in (i / size, (i + 1) / size)]
    else:
        scale = [[i / 48, oklch(0.58, 0.14, i / 48)] for i in range(49)]
    return Colouring(title, (places, places), scale, -0.5, size - 0.5)


def hue_ranks(codebook: np.ndarray) -> np.ndarray:
    """(Q, d) sub-vectors -> (Q,) places 0..Q-1 around a colour wheel: sub-vectors that point the same way are neighbours.

    The place is the order of the angle on the codebook's first two principal axes.
    """
    centred = codebook - codebook.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ axes[:2].T
    if plane.shape[1] < 2:
        order = np.argsort(plane[:, 0] if plane.size else np.zeros(len(codebook)), kind="stable")
    else:
        order = np.argsort(np.arctan2(plane[:, 1], plane[:, 0]), kind="stable")
    ranks = np.empty(len(codebook), dtype=np.int64)
    ranks[order] = np.arange(len(codebook))
    return ranks


def wheel(count: int) -> list[str]:
    """Colours around the wheel, neighbours also told apart by lightness."""
    return [oklch(_CODE_LIGHTNESS[i % len(_CODE_LIGHTNESS)], 0.14, i / max(1, count)) for i in range(count)]


# The key


def key_html(colour: str, colouring: Colouring, drawn: Drawn, codebook: np.ndarray | None = None) -> str:
    """The key to both maps, as HTML: what colours and symbols mean."""
    by_colour = colouring.values is None and colouring.chosen is None
    kinds, counts = np.unique(drawn.kinds, return_counts=True)
    number = dict(zip(kinds.tolist(), counts.tolist(), strict=True))
    marks = "".join(
        f'<span style="white-space:nowrap"><span aria-hidden="true" '
        f'style="color:{KIND_MARKS[kind][2] if by_colour else "inherit"}">{KIND_MARKS[kind][1]}</span> '
        f"{kind} <span style='opacity:.75'>{number[kind]:,}</span></span>"
        for kind in KINDS
        if kind in number
    )
    meaning = _colour_key(colour, colouring, drawn, codebook)
    style = "display:flex;flex-wrap:wrap;gap:.15rem 1rem;align-items:center;font-size:.875rem"
    return f'<div style="{style}"><strong>{"Kind" if by_colour else "Symbol"}</strong>{marks}</div>{meaning}'


def _colour_key(colour: str, colouring: Colouring, drawn: Drawn, codebook: np.ndarray | None) -> str:
    style = "display:flex;flex-wrap:wrap;gap:.15rem .6rem;align-items:center;font-size:.875rem;margin-top:.25rem"
    title = f"<strong>Colour</strong><span>{escape_html(colouring.title)}</span>"
    if colouring.chosen is not None:
        return (
            f'<div style="{style}">{title}<span>{int(colouring.chosen.sum()):,} of {len(drawn.ids):,} tokens drawn have it: '
            "large and red; all others grey</span></div>"
        )
    if colouring.values is None:
        return ""
    if colouring.names:
        numbers = [int((colouring.values[0] == place).sum()) for place in range(1, len(colouring.names) + 1)]
        chips = "".join(
            f'<span style="white-space:nowrap"><span aria-hidden="true" style="color:{tier_colour(place)}">⬤</span>&nbsp;'
            f"{place + 1} ({escape_html(words)}) <span style='opacity:.75'>{numbers[place]:,}</span></span>"
            for place, words in enumerate(colouring.names)
        )
        return f'<div style="{style}">{title}{chips}</div>'
    if colour == CODE:
        note = f"<span>{len(codebook):,} codes; like colours are like sub-vectors</span>"
        if len(codebook) <= SWATCHES:
            chips = "".join(
                f'<span style="white-space:nowrap"><span aria-hidden="true" style="color:{shade}">⬤</span>&nbsp;{code}</span>'
                for code, shade in code_swatches(codebook)
            )
            return f'<div style="{style}">{title}{note}</div><div style="{style}">{chips}</div>'
        colours = [oklch(0.58, 0.14, i / 24) for i in range(25)]
        return f'<div style="{style}">{title}{note}{_bar(colours)}</div>'
    low, high = _number(colouring.low), _number(colouring.high)
    clipped = "" if colour == ID else "<span style='opacity:.75'>(the outer 1 % at each end share the end colours)</span>"
    return f'<div style="{style}">{title}<span>{low}</span>{_bar(GRADIENT)}<span>{high}</span>{clipped}</div>'


def code_swatches(codebook: np.ndarray) -> list[tuple[int, str]]:
    """(code, colour) around the wheel, for the key beside the maps."""
    ranks = hue_ranks(codebook)
    colours = wheel(len(codebook))
    return [(int(code), colours[place]) for place, code in enumerate(np.argsort(ranks))]


def _bar(colours) -> str:
    return (
        '<span aria-hidden="true" style="display:inline-block;width:9rem;height:.7rem;border-radius:.2rem;'
        f'background:linear-gradient(90deg,{",".join(colours)})"></span>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
