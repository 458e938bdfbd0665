"""The two maps as plotly figures, and the colours of their points. No Streamlit here.

Both maps are drawn by the same function with the same traces in the same order, so that the point ``(trace, index)`` is the
same token on both; the token's id is in ``customdata``. Every kind of token has its own symbol, whatever the colour says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from ....models.vocabulary import KINDS
from ...selection import ORIGINAL, positions
from ...widgets.charts import NEUTRAL, PALETTE

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
