"""Charts and tables of two lists of sentences, from a comparison. No Streamlit here."""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import get_colorscale, hex_to_rgb

from ..evaluate.similarity.sentences import ListComparison
from ..models.vocabulary import plotly_text
from .token_effects import LOWERS, RAISES
from .widgets.charts import SEQUENTIAL, layout
from .widgets.sentence_inputs import on_one_line

MOST_LABELLED = 30  # sentences up to which an axis names each
LABEL_LENGTH = 11  # characters: more leaves no room for the cells on a narrow screen
MOST_NUMBERED = 20  # numbers along an axis
MOST_NUMBERED_CELLS = 8  # sentences up to which every cell shows its number; more do not fit a narrow screen
HOVER_WIDTH, HOVER_LENGTH = 60, 240  # characters of a line and of a sentence shown over a cell
MOST_MOVED = 30  # pairs listed whose rank changed
#: Centred on white-grey: purple lowers, green raises, as in the strips of tokens.
DIVERGING = ((0.0, LOWERS), (0.5, "#F4F4F4"), (1.0, RAISES))


def _hover_names(sentences: Sequence[str]) -> list[str]:
    """Sentences as categories of an axis: distinct by their number, in lines that fit over a chart."""
    return [
        f"{number} · " + "<br>".join(map(plotly_text, wrap(on_one_line(text, HOVER_LENGTH), HOVER_WIDTH) or [""]))
        for number, text in enumerate(sentences, 1)
    ]


def _ticks(sentences: Sequence[str], named: bool = True) -> dict:
    """Labels of an axis: numbers, as many as fit; if ``named``, with the beginnings of not too many sentences."""
    count = len(sentences)
    if named and count <= MOST_LABELLED:
        names = [plotly_text(f"{number}  {on_one_line(text, LABEL_LENGTH)}") for number, text in enumerate(sentences, 1)]
        return {"tickvals": list(range(count)), "ticktext": names}
    places = list(range(0, count, max(1, -(-count // MOST_NUMBERED))))
    return {"tickvals": places, "ticktext": [str(place + 1) for place in places], "tickangle": 0}


def cell_text(value: float) -> str:
    """Two digits after the point, no 0 before it and no plus, so that it fits a cell on a narrow screen.

    >>> cell_text(0.523), cell_text(-0.523), cell_text(1.0), cell_text(-0.001)
    ('.52', '−.52', '1', '0')
    """
    text = f"{abs(value):.2f}"
    if text == "0.00":
        return "0"
    return ("−" if value < 0 else "") + (text.lstrip("0") if float(text) < 1 else f"{abs(value):.1f}".removesuffix(".0"))


def _cell_numbers(values: np.ndarray, x: list[str], y: list[str], scale: tuple[float, float], colours) -> go.Scatter:
    """The numbers in the cells of a heat map, dark or white, whichever is read better on its cell."""
    shares = np.clip((values - scale[0]) / (scale[1] - scale[0]), 0, 1).ravel()
    places, names = zip(*(get_colorscale(colours) if isinstance(colours, str) else colours), strict=True)
    stops = np.array([hex_to_rgb(name) for name in names]) / 255
    backgrounds = np.stack([np.interp(shares, places, channel) for channel in stops.T], axis=1)
    return go.Scatter(
        x=x * len(y),
        y=[name for name in y for _ in x],
        mode="text",
        text=[cell_text(float(value)) for value in values.ravel()],
        textfont={"size": 10, "color": [_ink(background) for background in backgrounds]},
        hoverinfo="skip",
        showlegend=False,
    )


def _ink(background: Sequence[float]) -> str:
    """Black or white on a colour (red, green, blue from 0 to 1), by WCAG 2's relative luminance: at 0.179 both contrast alike."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in background]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#FFFFFF"


def common_scale(found: ListComparison) -> tuple[float, float]:
    """Lowest and highest cosine of any side: the scale that all their heat maps share."""
    low = min(float(matrix.min()) for matrix in found.matrices.values())
    high = max(float(matrix.max()) for matrix in found.matrices.values())
    return (low, high) if high > low else (low - 0.01, high + 0.01)


def heat_map(
    found: ListComparison, values: np.ndarray, title: str, scale: tuple[float, float], diverging: bool = False
) -> go.Figure:
    """(n, m) numbers as colours; sentences in full over each cell."""
    rows, columns = found.first, found.columns
    numbered_cells = max(values.shape) <= MOST_NUMBERED_CELLS
    across_names, down_names = _hover_names(columns), _hover_names(rows)
    colours = DIVERGING if diverging else SEQUENTIAL
    number = "%{z:+.3f}" if diverging else "%{z:.3f}"
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=across_names,
            y=down_names,
            zmin=scale[0],
            zmax=scale[1],
            colorscale=colours,
            colorbar={"thickness": 10, "outlinewidth": 0, "tickformat": ".2~f"},
            xgap=1 if numbered_cells else 0,
            ygap=1 if numbered_cells else 0,
            hovertemplate=f"%{{y}}<br>— {number} —<br>%{{x}}<extra></extra>",
        )
    )
    if numbered_cells:
        figure.add_trace(_cell_numbers(values, across_names, down_names, scale, colours))
    across = "sentence of the first list" if found.second is None else "sentence of the second list"
    down = "" if len(rows) <= MOST_LABELLED else "sentence of the first list"
    layout(figure, title, across, down, height=int(np.clip(150 + 26 * len(rows), 300, 720)))
    figure.update_xaxes(type="category", showgrid=False, **_ticks(columns, named=False))
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, tickfont={"size": 11}, **_ticks(rows))
    figure.update_layout(hoverlabel={"align": "left"})
    return figure


def matrix_table(found: ListComparison, values: np.ndarray) -> pd.DataFrame:
    """The numbers of a heat map: one row a sentence of the first list, one column a sentence of the second, by number."""
    table = pd.DataFrame(values, columns=[str(number) for number in range(1, values.shape[1] + 1)])
    table.insert(0, "sentence", list(found.first))
    return table


def difference_table(found: ListComparison, side: str) -> pd.DataFrame:
    """One row a pair (each once for a list against itself): cosines and change, the largest change first."""
    n, m = found.matrices[side].shape
    rows, columns = np.triu_indices(n, 1) if found.second is None else np.divmod(np.arange(n * m), m)
    reference = found.sides[0]
    table = pd.DataFrame(
        {
            "first": [found.first[i] for i in rows],
            "second": [found.columns[i] for i in columns],
            reference: found.matrices[reference][rows, columns],
            side: found.matrices[side][rows, columns],
            "change": found.difference(side)[rows, columns],
        }
    )
    return table.sort_values("change", key=np.abs, ascending=False, kind="stable", ignore_index=True)


def numbered(sentences: Sequence[str]) -> list[str]:
    """Sentences with their place in the list, as the charts number them."""
    return [f"{number} · {text}" for number, text in enumerate(sentences, 1)]


def nearest_table(found: ListComparison, side: str) -> pd.DataFrame:
    """One row a sentence of the first list: its nearest before and after, and whether another one is nearest now."""
    reference = found.sides[0]
    before, after = found.nearest(reference), found.nearest(side)
    changed = found.changed(side)
    after = np.where(changed, after, before)  # of equally near ones the earlier is kept
    rows, names = np.arange(len(before)), numbered(found.columns)
    return pd.DataFrame(
        {
            "sentence": numbered(found.first),
            f"nearest, {reference}": [names[i] for i in before],
            f"nearest, {side}": [names[i] for i in after],
            "nearest changed": np.where(changed, "changed", "same"),
            f"cosine, {reference}": found.matrices[reference][rows, before],
            f"cosine, {side}": found.matrices[side][rows, after],
            f"rank now of the nearest, {reference}": found.ranks[side][rows, before],
        }
    )


def moved_table(found: ListComparison, side: str) -> pd.DataFrame:
    """Pairs whose rank changed, the largest change first, MOST_MOVED at most."""
    changes = found.rank_changes(side)
    order = np.argsort(-np.abs(changes), axis=None, kind="stable")[:MOST_MOVED]
    rows, columns = np.unravel_index(order, changes.shape)
    keep = changes[rows, columns] != 0
    rows, columns = rows[keep], columns[keep]
    reference = found.sides[0]
    first, second = numbered(found.first), numbered(found.columns)
    return pd.DataFrame(
        {
            "sentence": [first[i] for i in rows],
            "compared with": [second[i] for i in columns],
            "rank moved": [f"{'down' if change > 0 else 'up'} {abs(change)}" for change in changes[rows, columns]],
            f"rank, {reference}": found.ranks[reference][rows, columns],
            f"rank, {side}": found.ranks[side][rows, columns],
            f"cosine, {reference}": found.matrices[reference][rows, columns],
            f"cosine, {side}": found.matrices[side][rows, columns],
        }
    )
