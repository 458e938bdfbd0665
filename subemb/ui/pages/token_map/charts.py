"""The two maps as plotly figures. No Streamlit here.

Both maps are drawn by the same function with the same traces in the same order, so that the point ``(trace, index)`` is the
same token on both; the token's id is in ``customdata``.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ....models.vocabulary import KINDS
from ...widgets.charts import NEUTRAL, LongFigure
from .colours import KIND_MARKS, Colouring
from .facts import Drawn
from .selection import ORIGINAL, positions

CHOSEN = "#D6336C"  # tokens of the highlighted code
INK, HALO = "#14161C", "#FFFFFF"  # rings, lines and names: dark on light, to be seen over any colour and in both themes
FAINT = 0.12  # opacity of what is not selected
LABELS = 12  # found tokens that get their name and their line on the map; more would cover each other


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
) -> LongFigure:
    """One of the two maps.

    side: ``original`` or ``reconstructed``. points: (n, 2) here; other: (n, 2) the same tokens on the other map, which sets the
    common extent and, on the reconstructed map, where the lines of found tokens begin. axes: names with units.
    found: ids that get a ring, the first LABELS of them also a name. Selections are drawn in the browser, see link.py.
    """
    figure = LongFigure()
    for name, mask, style in _layers(side, drawn, colouring):
        at = np.flatnonzero(mask)
        places = at.tolist()
        figure.add_scattergl(
            x=_rounded(points[at, 0]),
            y=_rounded(points[at, 1]),
            mode="markers",
            name=name,
            hovertemplate=f"<b>%{{text}}</b><br>{name}, id %{{customdata}}<br>{drawn.label}%{{hovertext}}<extra></extra>",
            marker={**style, "color": style["color"][at] if isinstance(style["color"], np.ndarray) else style["color"]},
            selected={"marker": {"opacity": 1.0, "size": style["size"] + 3}},
            unselected={"marker": {"opacity": FAINT}},
        )
        figure.put_in(
            customdata=drawn.ids[at].tolist(),
            text=[drawn.names[i] for i in places],
            hovertext=[drawn.details[i] for i in places],
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


def marker_size(count: int) -> float:
    """Pixels: smaller points for fuller maps."""
    return 8 if count <= 1_000 else 6 if count <= 6_000 else 5 if count <= 20_000 else 4


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
