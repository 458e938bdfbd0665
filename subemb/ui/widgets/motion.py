"""Codes being found, drawn: tokens and codewords of one subspace in two dimensions, and the codes of familiar words, picture by picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ...base.text import plotly_text
from ...codec.film import UNIT
from .charts import NEUTRAL, ORIGINAL

EDGE = 1.25  # of the square that is drawn, beyond which few tokens lie
SECONDS = 0.7  # a picture, while it plays
_MOVED = "rgba(213,94,0,0.85)"
_CHANGED, _STAYED = "#B84A00", "#5B6270"  # white can be read on both, in either theme


def motion_figure(pictures: Sequence[dict[str, Any]], names: Sequence[str], plays: bool = True) -> go.Figure:
    """Pictures of :class:`subemb.codec.film.Film` as one chart. names: of the familiar words, in their order.

    plays: whether it has buttons and a slider that go through the pictures in the browser; else the last picture stands alone.
    """
    names = [plotly_text(name) for name in names]
    drawn = [_traces(pictures, at, names) for at in (range(len(pictures)) if plays else [len(pictures) - 1])]
    figure = make_subplots(
        cols=2,
        column_widths=[0.62, 0.38],
        horizontal_spacing=0.12,
        subplot_titles=["One subspace", "Codes of words"],
    )
    for trace, column in zip(drawn[0], (1, 1, 1, 1, 2), strict=True):
        figure.add_trace(trace, row=1, col=column)
    hidden = {"showticklabels": False, "zeroline": False, "showgrid": False, "fixedrange": True}
    figure.update_xaxes(range=[-EDGE, EDGE], row=1, col=1, **hidden)
    figure.update_yaxes(range=[-EDGE, EDGE], row=1, col=1, **hidden)
    figure.update_xaxes(title="subspace", dtick=1, showgrid=False, fixedrange=True, row=1, col=2)
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True, fixedrange=True, row=1, col=2)
    figure.update_layout(
        height=470,
        margin={"l": 10, "r": 10, "t": 34, "b": 10},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        uirevision="motion",
    )
    if not plays:
        figure.update_layout(transition={"duration": 400, "easing": "cubic-in-out"})
        return figure
    figure.frames = [go.Frame(data=traces, name=str(at), traces=list(range(5))) for at, traces in enumerate(drawn)]
    still = {"frame": {"duration": 0, "redraw": True}, "mode": "immediate", "transition": {"duration": 0}}
    going = {"frame": {"duration": 1000 * SECONDS, "redraw": True}, "fromcurrent": True, "transition": {"duration": 0}}
    steps = [{"method": "animate", "label": str(at + 1), "args": [[str(at)], still]} for at, _ in enumerate(pictures)]
    figure.update_layout(
        height=560,
        margin={"b": 130},
        sliders=[{
            "steps": steps, "active": 0, "x": 0.37, "len": 0.63, "y": 0, "yanchor": "top", "pad": {"t": 36},
            "currentvalue": {"prefix": "Step "}, "ticklen": 0, "minorticklen": 0, "font": {"size": 11},
        }],
        updatemenus=[{
            "type": "buttons", "direction": "left", "x": 0, "xanchor": "left", "y": 0, "yanchor": "top", "pad": {"t": 44}, "showactive": False,
            "buttons": [
                {"label": "Play", "method": "animate", "args": [None, going]},
                {"label": "Pause", "method": "animate", "args": [[None], still]},
            ],
        }],
    )  # fmt: skip
    return figure


def familiar_names(vocabulary, pictures: Sequence[dict[str, Any]]) -> list[str]:
    """How the familiar words of a film are written."""
    return [vocabulary.display[token] for token in pictures[0]["tokens"][: len(pictures[0]["familiar"])]]


def motion_words(pictures: Sequence[dict[str, Any]], at: int) -> str:
    """What one picture shows, in one line of plain text."""
    stage, moved, count = pictures[at]["stage"], int(_moved(pictures, at).sum()), len(pictures[at]["codes"])
    return f"{stage}: {moved} of {count} tokens drawn have another code than a step before"


def _moved(pictures: Sequence[dict[str, Any]], at: int) -> np.ndarray:
    """Which of the tokens have another code than a picture before, (n,) bool."""
    now = np.array(pictures[at]["codes"])
    return np.zeros(len(now), bool) if at == 0 else now != np.array(pictures[at - 1]["codes"])


def _traces(pictures: Sequence[dict[str, Any]], at: int, names: Sequence[str]) -> list:
    """Threads from tokens to their codewords, tokens that stayed and that moved, codewords, and the codes of the familiar words."""
    picture = pictures[at]
    points = np.array(next(each["points"] for each in reversed(pictures[: at + 1]) if each["points"]), np.float32) / UNIT
    books = np.array(picture["books"], np.float32) / UNIT
    codes, moved = np.array(picture["codes"]), _moved(pictures, at)
    own = books[codes if picture["shown"] is None else np.searchsorted(picture["shown"], codes)]
    threads = np.stack([points, own, np.full_like(own, np.nan)], axis=1).reshape(-1, 2)
    labels = np.array([*names, *[""] * (len(points) - len(names))], object)
    if not names:  # the vocabulary has none
        picture = {**picture, "familiar": np.zeros((0, 1), int)}
    heat, changed = np.array(picture["familiar"]), np.zeros((len(names), 1))
    if at and np.shape(pictures[at - 1]["familiar"]) == heat.shape:
        changed = (heat != np.array(pictures[at - 1]["familiar"])).astype(float)
    changed = np.broadcast_to(changed, heat.shape)
    return [
        go.Scatter(
            x=threads[:, 0], y=threads[:, 1], mode="lines", line={"color": NEUTRAL, "width": 0.6}, opacity=0.5,
            hoverinfo="skip", showlegend=False,
        ),
        go.Scatter(
            x=points[:, 0], y=points[:, 1], mode="markers+text", text=labels, textposition="top center", name="token",
            marker={"color": ORIGINAL, "size": 6}, hoverinfo="skip",
        ),
        go.Scatter(
            x=points[moved, 0], y=points[moved, 1], mode="markers", name="changed code in this step", hoverinfo="skip",
            marker={"color": _MOVED, "size": 10, "symbol": "circle-open", "line": {"width": 2}},
        ),
        go.Scatter(
            x=books[:, 0], y=books[:, 1], mode="markers", name="codeword", hoverinfo="skip",
            marker={"color": NEUTRAL, "size": 9, "symbol": "diamond"},
        ),
        go.Heatmap(
            z=changed, x=np.arange(heat.shape[1]), y=list(names), text=heat, texttemplate="%{text}", zmin=0, zmax=1,
            textfont={"color": "white"}, colorscale=[[0, _STAYED], [1, _CHANGED]], showscale=False, xgap=2, ygap=2,
            hovertemplate="%{y}, subspace %{x}: code %{text}<extra></extra>",
        ),
    ]  # fmt: skip
