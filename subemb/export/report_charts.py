"""The charts of a report: what plotly.js draws, the text alternative, and the table behind each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..adaptation.result import TUNED
from ..base.text import plotly_text, seconds_text
from .report_scores import score_text

#: The palette of the pages (.streamlit/config.toml): stands out from light and dark backgrounds, safe for colour-blind readers.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#BB8100", "#C870A1", "#1C93D7", "#978E0C", "#8C8C8C")
SIDE_COLOURS = {"original": PALETTE[0], "compressed": PALETTE[1], "adapted": PALETTE[2], TUNED: PALETTE[3]}
_LEVELS = {"original": "dash", TUNED: "longdash", "compressed": "dot"}  # side -> how its score is drawn across
NEUTRAL = "#8A93A3"
FEW = 8  # subspaces that get a colour and a place in the legend each
_DIGITS = 6  # of numbers in tables behind charts


@dataclass(frozen=True)
class Chart:
    """figure: ``data`` and ``layout`` of plotly.js, JSON types. alt: what it shows, in a sentence. head, rows: its numbers."""

    name: str
    figure: dict[str, Any]
    alt: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


def error_chart(history: Sequence[dict[str, Any]]) -> Chart | None:
    """Relative squared error after every step of a compression, of the whole table and of each subspace; None without steps."""
    rows = [entry for entry in history if entry.get("error") is not None]
    if not rows:
        return None
    steps = list(range(1, len(rows) + 1))
    totals = [entry["error"] for entry in rows]
    count = len(rows[-1].get("per_subspace") or [])
    lines = []
    for i in range(count):
        values = [parts[i] if len(parts := entry.get("per_subspace") or []) == count else None for entry in rows]
        lines.append((f"subspace {i}", values))
    figure = _figure("Error left after each step: lower is better", "step", "relative squared error")
    for i, (name, values) in enumerate(lines):
        few = count <= FEW
        colour = PALETTE[(i + 1) % len(PALETTE)] if few else NEUTRAL
        _line(figure, steps, values, name, colour, width=1.5, dash="dot", showlegend=few, opacity=1 if few else 0.35)
    _line(figure, steps, totals, "whole table", PALETTE[0], mode="lines+markers", marker={"size": 6})
    _mark_stages(figure, rows)
    figure["layout"]["xaxis"] |= {"tick0": 0, "dtick": max(1, len(steps) // 10)}
    stages = [entry.get("stage") or "" for entry in rows]
    return Chart(
        "error",
        figure,
        f"Relative squared error after each of {len(steps)} steps, from {totals[0]:.3f} to {totals[-1]:.3f}.",
        ["step", "stage", "whole table", *(name for name, _ in lines)],
        _rows(steps, stages, totals, *(values for _, values in lines)),
    )


def loss_chart(history: Sequence[dict[str, Any]]) -> Chart | None:
    """Training loss against seconds; None where none was measured."""
    rows = [entry for entry in history if entry.get("loss") is not None and entry.get("seconds") is not None]
    if not rows:
        return None
    seconds, losses = [row["seconds"] for row in rows], [row["loss"] for row in rows]
    figure = _figure("Loss while it was trained: lower is better", "seconds of training", "loss")
    _line(figure, seconds, losses, "loss", PALETTE[0], mode=_mode(rows), showlegend=False)
    return Chart(
        "loss",
        figure,
        f"Training loss over {seconds_text(seconds[-1])}, from {losses[0]:.4g} to {losses[-1]:.4g}.",
        ["seconds", "step", "loss"],
        _rows(seconds, [row.get("step") for row in rows], losses),
    )


def score_chart(
    history: Sequence[dict[str, Any]], scores: dict[str, float], what: str, best_step: int | None = None
) -> Chart | None:
    """Score x 100 against seconds, between those of the originals and of the untrained table; None where none was measured.

    what: metric and labelled set, for the title. best_step: whose weights were kept; it is marked.
    """
    rows = [entry for entry in history if entry.get("score") is not None and entry.get("seconds") is not None]
    if not rows:
        return None
    seconds, found = [row["seconds"] for row in rows], [row["score"] for row in rows]
    figure = _figure(f"{what}: higher is better", "seconds of training", "score × 100")
    ends = [min(0.0, seconds[0]), seconds[-1]]
    for side, dash in _LEVELS.items():
        if scores.get(side) is not None:
            _line(
                figure, ends, [scores[side]] * 2, f"{side}: {score_text(scores[side])}", SIDE_COLOURS[side], width=2, dash=dash
            )
    _line(figure, seconds, found, "while adapted", SIDE_COLOURS["adapted"], mode=_mode(rows))
    kept = next((row for row in rows if row.get("step") == best_step and best_step), None)
    if kept is not None:
        marker = {"size": 13, "symbol": "star", "color": SIDE_COLOURS["adapted"]}
        _line(figure, [kept["seconds"]], [kept["score"]], "kept", SIDE_COLOURS["adapted"], mode="markers", marker=marker)
    levels = ", ".join(f"{side} {score_text(scores[side])}" for side in _LEVELS if scores.get(side) is not None)
    return Chart(
        "score",
        figure,
        f"{what} over {seconds_text(seconds[-1])} of training, from {score_text(found[0])} to {score_text(found[-1])}."
        + (f" For comparison: {levels}." if levels else ""),
        ["seconds", "step", "score × 100"],
        _rows(seconds, [row.get("step") for row in rows], found),
    )


def _mode(rows: Sequence) -> str:
    """Points are marked where they can be told apart."""
    return "lines+markers" if len(rows) <= 80 else "lines"


def _rows(*columns: Sequence[Any]) -> list[list[Any]]:
    return [[_number(value) for value in row] for row in zip(*columns, strict=True)]


def _number(value: Any) -> Any:
    return "" if value is None else f"{value:.{_DIGITS}g}" if isinstance(value, float) else value


def _line(
    figure: dict[str, Any], x: list, y: list, name: str, colour: str, width: float = 3, dash: str = "solid", **more
) -> None:
    figure["data"].append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": y,
            "name": plotly_text(name),
            "line": {"width": width, "dash": dash, "color": colour},
            "hovertemplate": f"{plotly_text(name)}, %{{x:.4~g}}: %{{y:.4~f}}<extra></extra>",
        }
        | more
    )


def _figure(title: str, x: str, y: str) -> dict[str, Any]:
    """An empty figure in the look of the pages' charts. Colours of text and lines come from the reader's theme."""
    return {
        "data": [],
        "layout": {
            "title": {"text": plotly_text(title), "font": {"size": 15}, "x": 0, "xanchor": "left", "y": 0.98, "yanchor": "top"},
            "margin": {"l": 10, "r": 10, "t": 56, "b": 10},
            "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
            "hoverlabel": {"namelength": -1},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": 'system-ui, "Segoe UI", Roboto, sans-serif'},
            "xaxis": {"title": {"text": x}, "automargin": True},
            "yaxis": {"title": {"text": y}, "automargin": True},
            "shapes": [],
            "annotations": [],
        },
    }


def _mark_stages(figure: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """A line where a new stage begins, with its name: the error may jump there, as when tuples are made distinct."""
    previous, layout = None, figure["layout"]
    for step, entry in enumerate(rows, 1):
        stage = entry.get("stage")
        if stage and stage != previous:
            begins = step if previous is None else step - 0.5
            if previous is not None:
                line = {"width": 1, "dash": "dash", "color": NEUTRAL}
                layout["shapes"].append(
                    {"type": "line", "x0": begins, "x1": begins, "y0": 0, "y1": 1, "yref": "paper", "line": line}
                )
            layout["annotations"].append(
                {
                    "x": begins,
                    "y": 1,
                    "yref": "paper",
                    "text": plotly_text(stage),
                    "showarrow": False,
                    "xanchor": "left",
                    "yanchor": "bottom",
                    "font": {"size": 12, "color": NEUTRAL},
                }
            )
        previous = stage or previous
