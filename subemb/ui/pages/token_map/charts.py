"""The two maps as plotly figures, and the colours of their points. No Streamlit here.

Both maps are drawn by the same function with the same traces in the same order, so that the point ``(trace, index)`` is the
same token on both; the token's id is in ``customdata``. Every kind of token has its own symbol, whatever the colour says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ....analysis.error import reconstruction_error
from ....analysis.layout import Layout
from ....base.errors import InputError
from ....codec.compressed import Compressed, SubspaceCompressed
from ....models.vocabulary import KINDS, Vocabulary, escape_html, plotly_text
from ...shell.text import shortened
from ...widgets.charts import NEUTRAL, PALETTE
from .selection import ORIGINAL, positions

if TYPE_CHECKING:
    import torch

#: kind -> (plotly symbol, the same as a character, colour)
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
CHOSEN = "#D6336C"  # tokens of the highlighted code
INK, HALO = "#14161C", "#FFFFFF"  # rings, lines and names: dark on light, to be seen over any colour and in both themes
FAINT = 0.12  # opacity of what is not selected
LABELS = 12  # found tokens that get their name and their line on the map; more would cover each other
_CODE_LIGHTNESS = (0.63, 0.53)
_DISTINCT_COLOURS = 256  # a codebook larger than this is coloured by a continuous wheel


@dataclass(frozen=True)
class Colouring:
    """What the colours mean. values: per drawn token, on the original and on the reconstructed map; None for kinds.

    scale: plotly colour scale over low..high. chosen: (n,) bool, the tokens of one highlighted code, or None.
    """

    title: str
    values: tuple[np.ndarray, np.ndarray] | None = None
    scale: list = field(default_factory=list)
    low: float = 0.0
    high: float = 1.0
    chosen: np.ndarray | None = None


@dataclass(frozen=True)
class Drawn:
    """The n tokens on the maps, parallel arrays. names, details: for hover, escaped for plotly; label: what stands before details."""

    ids: np.ndarray
    kinds: np.ndarray
    names: Sequence[str]
    details: Sequence[str]
    label: str = ""


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """A colour of the OKLCh space (lightness and chroma 0..1, hue 0..1 of a turn) as #RRGGBB.

    Matrices: Björn Ottosson, "A perceptual color space for image processing", 2020.

    >>> oklch(1.0, 0.0, 0.0), oklch(0.0, 0.0, 0.0), oklch(0.628, 0.2577, 29.23 / 360)
    ('#FFFFFF', '#000000', '#FF0000')
    """
    a, b = chroma * np.cos(2 * np.pi * hue), chroma * np.sin(2 * np.pi * hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.array(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ]
    ).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * float(value)):02X}" for value in encoded)


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


def by_kind() -> Colouring:
    """Colour and symbol both say the kind of token."""
    return Colouring("token kind")


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


def code_swatches(codebook: np.ndarray) -> list[tuple[int, str]]:
    """(code, colour) around the wheel, for the key beside the maps."""
    ranks = hue_ranks(codebook)
    colours = wheel(len(codebook))
    return [(int(code), colours[place]) for place, code in enumerate(np.argsort(ranks))]


def marker_size(count: int) -> float:
    """Pixels: smaller points for fuller maps."""
    return 8 if count <= 1_000 else 6 if count <= 6_000 else 5 if count <= 20_000 else 4


def map_figure(
    side: str,
    drawn: Drawn,
    points: np.ndarray,
    other: np.ndarray,
    colouring: Colouring,
    axes: tuple[str, str],
    found: Sequence[int] = (),
    mouse: str = "lasso",
    height: int = 460,
) -> go.Figure:
    """One of the two maps.

    side: ``original`` or ``reconstructed``. points: (n, 2) here; other: (n, 2) the same tokens on the other map, which sets the
    common extent and, on the reconstructed map, where the lines of found tokens begin. axes: names with units.
    found: ids that get a ring, the first of them also a name. Selections are drawn in the browser, see map_link.
    """
    figure = go.Figure()
    for name, mask, style in _layers(side, drawn, colouring):
        at = np.flatnonzero(mask)
        ids = drawn.ids[at].tolist()
        figure.add_scattergl(
            x=_rounded(points[at, 0]),
            y=_rounded(points[at, 1]),
            mode="markers",
            name=name,
            customdata=ids,
            text=[drawn.names[i] for i in at],
            hovertext=[drawn.details[i] for i in at],
            hovertemplate=f"<b>%{{text}}</b><br>{name}, id %{{customdata}}<br>{drawn.label}%{{hovertext}}<extra></extra>",
            marker={**style, "color": style["color"][at] if isinstance(style["color"], np.ndarray) else style["color"]},
            selected={"marker": {"opacity": 1.0, "size": style["size"] + 3}},
            unselected={"marker": {"opacity": FAINT}},
        )
    _add_found(figure, side, drawn, points, other, found)
    low, high = _extent(points, other)
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        showlegend=False,
        hovermode="closest",
        dragmode=mouse,
        clickmode="event+select",
        hoverlabel={"align": "left", "namelength": -1},
        modebar={"orientation": "h"},
    )
    for update, name, i in ((figure.update_xaxes, axes[0], 0), (figure.update_yaxes, axes[1], 1)):
        update(
            title={"text": name, "standoff": 6},
            zeroline=False,
            showgrid=True,
            nticks=6,
            automargin=True,
            # The same extent on both maps, also after a double click.
            autorangeoptions={"include": [low[i], high[i]], "clipmin": low[i], "clipmax": high[i]},
        )
    return figure


def _layers(side: str, drawn: Drawn, colouring: Colouring):
    """(name, mask, marker) of every trace, the fullest first, so that rare kinds lie on top."""
    size = marker_size(len(drawn.ids))
    counts = {kind: int((drawn.kinds == kind).sum()) for kind in KINDS}
    order = sorted((kind for kind in KINDS if counts[kind]), key=lambda kind: -counts[kind])
    for highlighted in (False, True) if colouring.chosen is not None else (None,):
        for kind in order:
            mask = drawn.kinds == kind
            marker = {"symbol": KIND_MARKS[kind][0], "size": size, "opacity": 0.8, "color": KIND_MARKS[kind][2]}
            if highlighted is not None:
                mask = mask & (colouring.chosen == highlighted)
                marker |= {"color": CHOSEN, "size": size + 3} if highlighted else {"color": NEUTRAL, "opacity": 0.3}
            elif colouring.values is not None:
                marker["color"] = colouring.values[0 if side == ORIGINAL else 1].astype(np.float32)
                marker |= {"colorscale": colouring.scale, "cmin": colouring.low, "cmax": colouring.high, "showscale": False}
            if mask.any():
                yield kind, mask, marker


def _add_found(figure: go.Figure, side: str, drawn: Drawn, points: np.ndarray, other: np.ndarray, found: Sequence[int]) -> None:
    """Rings and names for the tokens searched for; on the reconstructed map also a line from where each came."""
    rank = {token: place for place, token in enumerate(found)}
    at = np.array(positions(drawn.ids.tolist(), found), dtype=np.int64)
    if not len(at):
        return
    best = sorted(at.tolist(), key=lambda i: rank[int(drawn.ids[i])])[:LABELS]
    # plotly paints WebGL traces over plain ones, whatever their order, so these are WebGL as well; names are annotations.
    if side != ORIGINAL:
        lines = np.full((len(best), 3, 2), np.nan, dtype=np.float32)  # from, to, gap
        lines[:, 0], lines[:, 1] = other[best], points[best]
        for name, colour, width in (("halo", HALO, 4), ("moved from", INK, 1.5)):
            figure.add_scattergl(
                x=lines[:, :, 0].ravel(),
                y=lines[:, :, 1].ravel(),
                mode="lines",
                line={"color": colour, "width": width},
                hoverinfo="skip",
                name=name,
            )
    for name, colour, width in (("halo", HALO, 5), ("found", INK, 2)):
        figure.add_scattergl(
            x=_rounded(points[at, 0]),
            y=_rounded(points[at, 1]),
            mode="markers",
            marker={"symbol": "circle-open", "size": 13, "color": colour, "line": {"width": width}},
            hoverinfo="skip",
            name=name,
        )
    low, high = _extent(points, other)
    shifts = label_shifts((points[best] - low) / np.subtract(high, low).clip(1e-12), [drawn.names[i] for i in best])
    for i, (right, up) in zip(best, shifts, strict=True):
        figure.add_annotation(
            x=float(points[i, 0]),
            y=float(points[i, 1]),
            text=drawn.names[i],
            showarrow=False,
            xshift=right,
            yshift=up,
            font={"size": 12, "color": INK},
            bgcolor="rgba(255,255,255,0.88)",
            borderpad=1,
        )


def label_shifts(places: np.ndarray, names: Sequence[str], plot: tuple[int, int] = (330, 330)) -> list[tuple[int, int]]:
    """Where to put names beside their points, in pixels right and up, so that they cover each other as little as possible.

    places: (n, 2) points as shares of the plot, of about ``plot`` pixels. Each name in turn takes the first of a few places
    around its point that is free.
    """
    taken: list[tuple[float, float, float, float]] = []
    shifts = []
    for (x, y), name in zip(places * plot, names, strict=True):
        half = 4 + 3.5 * len(name)
        side = round(half + 10)
        around = [(0, 17), (0, -17), (side, 0), (-side, 0), *((0, sign * 17 * n) for n in range(2, 8) for sign in (1, -1))]

        def free(shift, x=x, y=y, half=half) -> bool:
            right, up = x + shift[0], y + shift[1]
            return all(abs(right - a) >= half + b or abs(up - c) >= d for a, b, c, d in taken)

        chosen = next(filter(free, around), around[0])
        taken.append((x + chosen[0], half, y + chosen[1], 16))
        shifts.append(chosen)
    return shifts


def _rounded(values: np.ndarray) -> np.ndarray:
    """float32: 7 digits are far below a pixel, in a third of the bytes."""
    return np.ascontiguousarray(values, dtype=np.float32)


def _extent(points: np.ndarray, other: np.ndarray) -> tuple[list[float], list[float]]:
    """Corners of the box that holds the tokens of both maps, with a rim so wide that no marker widens it on one map only."""
    both = np.concatenate([points, other]).astype(np.float64)
    low, high = both.min(0), both.max(0)
    rim = 0.05 * (high - low)
    return (low - rim).tolist(), (high + rim).tolist()


#: What points can be coloured by.
KIND, CODE, ERROR, NORM, ID = "Token kind", "Code of a subspace", "Error", "Norm", "Token id"
SWATCHES = 64  # codes named one by one in the key


@dataclass(frozen=True)
class TokenFacts:
    """Facts of all V tokens of one run; shared, not to be changed.

    error: relative squared error, its mean over the tokens is that of the table. cosine of a vector and its reconstruction.
    norm, new_norm: lengths before and after. codes: (V, f) ints, or None. names: escaped for plotly.
    """

    error: np.ndarray
    cosine: np.ndarray
    norm: np.ndarray
    new_norm: np.ndarray
    codes: np.ndarray | None
    names: list[str]

    def details(self, ids: np.ndarray) -> list[str]:
        """Hover text of some tokens: codes and error. Short, because every drawn token has one."""
        errors = [f"error {error:.3f}" for error in self.error[ids].tolist()]
        if self.codes is None:
            return errors
        more = " …" if self.codes.shape[1] > CODES_IN_HOVER else ""
        rows = self.codes[ids, :CODES_IN_HOVER].tolist()
        return [f"{' '.join(map(str, row))}{more}<br>{text}" for row, text in zip(rows, errors, strict=True)]

    def drawn(self, ids: np.ndarray, kinds: np.ndarray) -> Drawn:
        """Some tokens, for the maps."""
        label = "" if self.codes is None else "codes "
        return Drawn(ids, kinds[ids], [self.names[i] for i in ids.tolist()], self.details(ids), label)


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


LONGEST_NAME = 40  # characters of a token in hover text and labels
CODES_IN_HOVER = 8
CODE_COLUMNS = 8  # with more subspaces the table has all codes in one column
NEIGHBOURS = 10


def token_facts(table: "torch.Tensor", compressed: Compressed, vocabulary: Vocabulary) -> TokenFacts:
    """Measure every token; takes under a second for 30,000 x 384."""
    errors = reconstruction_error(table, compressed)
    has_codes = isinstance(compressed, SubspaceCompressed)
    norm = table.norm(dim=1).numpy()
    # From what is there already: ||w^||^2 = ||w||^2 + ||w - w^||^2 - 2 w.(w - w^) needs the product; rebuilding is as cheap.
    new_norm = compressed.reconstruct().norm(dim=1).numpy()
    return TokenFacts(
        error=errors.per_token,
        cosine=errors.cosine,
        norm=norm,
        new_norm=new_norm,
        codes=compressed.codes.numpy() if has_codes else None,
        names=[plotly_text(shortened(text, LONGEST_NAME)) for text in vocabulary.display],
    )


def token_table(
    ids: Sequence[int] | np.ndarray, facts: TokenFacts, vocabulary: Vocabulary, layout: Layout | None = None
) -> pd.DataFrame:
    """One row a token: id, token, kind, codes, errors, norms and, for tokens in ``layout``, where they are on both maps."""
    ids = np.asarray(ids, dtype=np.int64)
    columns: dict = {
        "id": ids,
        "token": [vocabulary.display[i] for i in ids.tolist()],
        "kind": vocabulary.kinds[ids],
    }
    if facts.codes is not None:
        codes = facts.codes[ids]
        if codes.shape[1] <= CODE_COLUMNS:
            columns |= {f"code {i}": codes[:, i] for i in range(codes.shape[1])}
        else:
            columns["codes"] = [" ".join(map(str, row)) for row in codes.tolist()]
    columns |= {
        "error": facts.error[ids],
        "cosine": facts.cosine[ids],
        "norm before": facts.norm[ids],
        "norm after": facts.new_norm[ids],
    }
    if layout is not None and len(layout.ids):
        place = np.searchsorted(layout.ids, ids).clip(max=len(layout.ids) - 1)
        there = layout.ids[place] == ids
        for side, points in (("before", layout.original), ("after", layout.reconstructed)):
            for axis, name in enumerate("xy"):
                columns[f"{name} {side}"] = np.where(there, points[place, axis], np.nan)
    return pd.DataFrame(columns)


def only(layout: Layout, ids: np.ndarray) -> Layout:
    """The part of a layout for some of its tokens (ascending ids)."""
    if len(ids) == len(layout.ids):
        return layout
    at = np.searchsorted(layout.ids, ids)
    return Layout(layout.method, ids, layout.original[at], layout.reconstructed[at], layout.explained, layout.neighbours_kept)


def kept_on_the_plane(layout: Layout, k: int = NEIGHBOURS, sample: int = 2000, seed: int = 0) -> float | None:
    """Share of the k nearest tokens on the original map that are among the k nearest on the reconstructed one.

    Mean over ``sample`` of the layout's tokens, dealt by ``seed``; of several tokens at one place any may count as near.
    None for fewer than 3 tokens. The same for the full space is :func:`subemb.analysis.neighbours_kept`.
    """
    from scipy.spatial import cKDTree

    count = len(layout.ids)
    k = min(k, count - 2)
    if k < 1:
        return None
    asked = np.arange(count)
    if count > sample:
        asked = np.sort(np.random.default_rng(seed).choice(count, sample, replace=False))
    before, after = (_others(cKDTree(points), points, asked, k) for points in (layout.original, layout.reconstructed))
    return float(np.mean([len(a & b) / k for a, b in zip(before, after, strict=True)]))


def _others(tree, points: np.ndarray, asked: np.ndarray, k: int) -> list[set[int]]:
    """The k nearest of each asked point, itself left out."""
    _, found = tree.query(points[asked], k=k + 1)
    return [set([int(j) for j in row if j != i][:k]) for i, row in zip(asked.tolist(), found, strict=True)]
