"""What the colours and symbols of the token map mean: choosing them, and the key to both maps. No Streamlit here."""

import numpy as np

from ..base.errors import InputError
from ..models.vocabulary import KINDS, escape_html
from .map_facts import TokenFacts
from .pages.token_map.charts import (
    GRADIENT,
    KIND_MARKS,
    LABELS,
    Colouring,
    Drawn,
    by_code,
    by_kind,
    by_value,
    code_swatches,
    oklch,
)

#: What points can be coloured by.
KIND, CODE, ERROR, NORM, ID = "Token kind", "Code of a subspace", "Error", "Norm", "Token id"
SWATCHES = 64  # codes named one by one in the key


def colouring_of(
    colour: str,
    facts: TokenFacts,
    ids: np.ndarray,
    subspace: int = 0,
    code: int | None = None,
    codebook: np.ndarray | None = None,
) -> Colouring:
    """What the colours of the drawn tokens ``ids`` mean.

    colour: one of KIND, CODE, ERROR, NORM, ID. subspace, its codebook (Q, d), and the code to highlight: for CODE.
    Raises InputError for a code that the codebook does not have.
    """
    if colour == CODE and facts.codes is not None:
        if code is not None and code >= len(codebook):
            raise InputError(f"there is no code {code} in subspace {subspace}; choose one from 0 to {len(codebook) - 1}")
        return by_code(subspace, facts.codes[ids, subspace], codebook, code)
    if colour == ERROR:
        return by_value("error of the token, in units of the mean variance", facts.error[ids])
    if colour == NORM:
        return by_value("length of the vector", facts.norm[ids], facts.new_norm[ids])
    if colour == ID:
        return by_value("token id", ids.astype(np.float32), clip=0.0)
    return by_kind()


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


def found_text(query: str, found: int, ringed: int) -> str:
    """What a search found, and how the maps show it.

    >>> found_text("king", 1, 1)
    '1 token found for king: ringed and named on both maps, with a line from where it was.'
    >>> found_text("queen", 4, 0)
    '4 tokens found for queen, none on these maps.'
    """
    text = f"{found:,} token{'s' if found != 1 else ''} found for {query}"
    if not ringed:
        return text + ", none on these maps."
    some = f"{ringed:,} of them " if ringed < found else ""
    if ringed > LABELS:
        return f"{text}: {some}ringed on both maps, the best {LABELS} named, with a line from where they were."
    return f"{text}: {some}ringed and named on both maps, with a line from where {'it was' if ringed == 1 else 'they were'}."


def _bar(colours) -> str:
    return (
        '<span aria-hidden="true" style="display:inline-block;width:9rem;height:.7rem;border-radius:.2rem;'
        f'background:linear-gradient(90deg,{",".join(colours)})"></span>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
