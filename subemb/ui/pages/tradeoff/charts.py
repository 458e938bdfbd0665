"""The chart of the page Trade-off."""

from html import escape
from textwrap import wrap

import plotly.graph_objects as go

from ....base.text import change_text, number_text, percent_text, plotly_text, score_text, size_text
from ....codec.methods import METHODS
from ...widgets.charts import NEUTRAL, PALETTE, layout
from .points import CLAIMS, ERROR, FLOATS, MEASURES, NEIGHBOURS, SCORE, WEIGHTED, Claim, Point, Shape, front_of

#: So that methods can be told apart without colour.
SYMBOLS = {
    "circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲", "cross": "✚", "pentagon": "⬟", "triangle-down": "▼", "hexagon": "⬢",
    "x": "✖", "bowtie": "⧓",
}  # fmt: skip
_LOOK = {name: (PALETTE[number % len(PALETTE)], list(SYMBOLS)[number % len(SYMBOLS)]) for number, name in enumerate(METHODS)}
_SMALL, _ON_FRONT, _RING = 8, 12, 21  # pixels
_CLAIMED = (PALETTE[4], PALETTE[3])  # of the claims, in their order
_AXIS_NAMES = {SCORE: "Score x 100", WEIGHTED: "Weighted error", ERROR: "Relative error", NEIGHBOURS: "Of the 10 nearest, %"}
HEIGHT = 430
_HOVER_WIDTH = 44  # characters of a line beside a point, so that it fits on a phone
_TICKS = [factor * 10.0**power for power in range(-4, 3) for factor in (1, 2, 5)]  # per cent


def tradeoff_chart(shape: Shape, original_bytes: int) -> tuple[go.Figure, str]:
    """The figure, and its text alternative. original_bytes: of the whole table.

    ``customdata`` of a point that can be opened is the key of its run.
    """
    figure = go.Figure()
    drawn = [point for point in shape.points if shape.measure in point.values and shape.axis in point.shares]
    front = front_of(drawn, shape.measure, shape.axis)
    if shape.measure == SCORE and shape.original is not None:
        _original_line(figure, shape)
        low = min((100 * point.shares[shape.axis] for point in drawn), default=0.02)
        for number, claim in enumerate(CLAIMS):
            _claim(figure, claim, _CLAIMED[number], shape.original, low / 1.3)
    figure.add_scatter(
        x=[100 * point.shares[shape.axis] for point in front],
        y=[point.values[shape.measure] for point in front],
        mode="lines",
        line={"color": NEUTRAL, "width": 1.5, "shape": "hv"},
        name="not beaten",
        hoverinfo="skip",
    )
    on_front = {point.run_key for point in front}
    for name in dict.fromkeys(point.settings.method for point in drawn):
        _method(figure, name, [one for one in drawn if one.settings.method == name], shape, on_front)
    _rings(figure, [one for one in drawn if one.is_own], shape, "your runs", "circle-open", _RING, 1.5)
    _rings(figure, [one for one in drawn if one.run_key == shape.shown], shape, "on this page", "square-open", _RING + 3, 2)
    _rings(figure, [one for one in drawn if one.run_key in shape.chosen], shape, "near enough", "star-open", 30, 2)
    whole = "V × D, codes not counted" if shape.axis == FLOATS else f"the table's {size_text(original_bytes)}"
    what = f"{'Floats' if shape.axis == FLOATS else 'Bytes'} stored, % of {whole} (log scale)"
    better = "up" if MEASURES[shape.measure] else "down"
    layout(figure, f"Better is {better} and to the left", what, _AXIS_NAMES[shape.measure], HEIGHT, clickmode="event+select")
    figure.update_xaxes(
        type="log", tickvals=_TICKS, ticktext=[f"{tick:g} %" for tick in _TICKS], minallowed=-4.5, maxallowed=2.2
    )
    figure.update_layout(
        showlegend=False, dragmode="pan", uirevision=f"{shape.measure}{shape.axis}", selectionrevision=str(shape.shown)
    )
    return figure, _alt(shape, front, len(drawn))


def legend_html(shape: Shape) -> str:
    """What stands for what, in lines that fit any width, which plotly's own legend does not on a phone."""
    drawn = [point for point in shape.points if shape.measure in point.values and shape.axis in point.shares]
    entries = []
    for name in dict.fromkeys(point.settings.method for point in drawn):
        colour, symbol = _LOOK[name]
        entries.append((SYMBOLS[symbol], colour, METHODS[name].title))
    entries.append(("━", NEUTRAL, "no smaller one is better"))
    entries += [("◯", NEUTRAL, "yours")] if any(point.is_own for point in drawn) else []
    entries += [("□", NEUTRAL, "on this page")] if any(point.run_key == shape.shown for point in drawn) else []
    entries += [("☆", NEUTRAL, "smallest near enough")] if shape.chosen else []
    if shape.measure == SCORE and shape.original is not None:
        entries += [("▒", colour, f"claim of {claim.name}") for claim, colour in zip(CLAIMS, _CLAIMED, strict=True)]
    spans = (
        f'<span style="white-space:nowrap"><span aria-hidden="true" style="color:{colour}">{symbol}</span> {escape(name)}</span>'
        for symbol, colour, name in entries
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:0.15rem 0.9rem;font-size:0.875rem">{"".join(spans)}</div>'


def _method(figure: go.Figure, name: str, points: list[Point], shape: Shape, on_front: set[str]) -> None:
    colour, symbol = _LOOK[name]
    best = [point.run_key in on_front for point in points]
    figure.add_scatter(
        x=[100 * point.shares[shape.axis] for point in points],
        y=[point.values[shape.measure] for point in points],
        mode="markers",
        name=plotly_text(METHODS[name].title),
        marker={
            "color": colour,
            "symbol": symbol,
            "size": [_ON_FRONT if is_best else _SMALL for is_best in best],
            "opacity": [1.0 if is_best else 0.6 for is_best in best],
        },
        selected={"marker": {"opacity": 1.0}},
        unselected={"marker": {"opacity": 0.8}},
        customdata=[[point.run_key] for point in points],
        text=[hover(point, shape.measure) for point in points],
        hovertemplate="%{text}<extra></extra>",
    )


def hover(point: Point, measure: str) -> str:
    """What stands beside the pointer, as plotly reads it."""
    lines = [
        *(f"<b>{plotly_text(line)}</b>" for line in wrap(point.label, _HOVER_WIDTH)),
        f"{size_text(point.total_bytes)}, {percent_text(point.shares['All bytes'])} of the table",
        f"{measure} {value_text(point, measure)}",
    ]
    if measure == SCORE and point.interval is not None:
        low, high = (score_text(end / 100, signed=True) for end in point.interval)
        score = point.values[SCORE]
        lines.append(f"{change_text(score - point.difference, score)} against the original, 95 % interval {low} to {high}")
    return "<br>".join([*lines, "Click to open this run" if not point.is_own else "Your run: click to open it"])


def value_text(point: Point, measure: str) -> str:
    """A measure of a point as people read it.

    Raises KeyError where it is not known.
    """
    value = point.values[measure]
    return number_text(value) if measure == SCORE else f"{value:.1f} %" if measure == NEIGHBOURS else f"{value:.3f}"


def _original_line(figure: go.Figure, shape: Shape) -> None:
    if shape.within:
        figure.add_hrect(y0=shape.original - shape.within, y1=shape.original, fillcolor=PALETTE[2], opacity=0.12, line_width=0)
    figure.add_hline(y=shape.original, line={"color": PALETTE[0], "dash": "dash", "width": 1.5})
    figure.add_annotation(
        text=f"original {number_text(shape.original)}",
        y=shape.original,
        xref="paper",
        x=0,
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
    )


def _claim(figure: go.Figure, claim: Claim, colour: str, original: float, left: float) -> None:
    """A box of what would hold here if the claim did: other models, floats only."""
    start, end = (100 * share for share in claim.floats)
    start, low = max(start, left), claim.lowest(original)
    figure.add_scatter(
        x=[start, end, end, start, start],
        y=[low, low, original, original, low],
        mode="lines",
        fill="toself",
        line={"color": colour, "dash": "dot", "width": 1.5},
        opacity=0.75,
        name=f"claim: {plotly_text(claim.name)}",
        hoveron="fills",
        hoverinfo="name",
    )


def _rings(figure: go.Figure, points: list[Point], shape: Shape, name: str, symbol: str, size: int, width: float) -> None:
    """Marks around points, over which the points themselves can still be clicked."""
    if not points:
        return
    figure.add_scatter(
        x=[100 * point.shares[shape.axis] for point in points],
        y=[point.values[shape.measure] for point in points],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": size, "color": NEUTRAL, "line": {"width": width}},
        customdata=[[point.run_key] for point in points],
        hoverinfo="skip",
    )


def _alt(shape: Shape, front: list[Point], count: int) -> str:
    if not front:
        return "No setting has been measured yet."
    ends = [f"{percent_text(one.shares[shape.axis])} with {value_text(one, shape.measure)}" for one in (front[0], front[-1])]
    original = "" if shape.original is None or shape.measure != SCORE else f"; the original has {number_text(shape.original)}"
    return (
        f"{shape.measure} of {count} settings over the share of the table that they store. {len(front)} are beaten by no smaller one, from "
        f"{ends[0]} to {ends[1]}{original}. The table below has all numbers."
    )
