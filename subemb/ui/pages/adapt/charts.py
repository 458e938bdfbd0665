"""Charts of the page Adapt: loss and score over the time of training."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ....adaptation.result import TUNED
from ...widgets.charts import NEUTRAL, PALETTE, layout, show


def loss_curve(points: list[dict], original: Sequence[dict] = ()) -> tuple[go.Figure, pd.DataFrame]:
    """Loss against seconds. points: of ``Adaptation.history``; original: of ``original_history``."""
    figure, parts = go.Figure(), []
    for number, (name, history) in enumerate({"adapted": points, TUNED: original}.items()):
        rows = [point for point in history if point.get("loss") is not None]
        if number and not rows:
            continue
        figure.add_scatter(
            x=[row["seconds"] for row in rows],
            y=[row["loss"] for row in rows],
            mode="lines+markers",
            name=name,
            line={"color": PALETTE[number + 2], "width": 2.5},
            marker={"size": 4},
            hovertemplate="%{x:.0f} s: loss %{y:.4f}<extra></extra>",
        )
        parts += [{"run": name, "seconds": row["seconds"], "step": row["step"], "loss": row["loss"]} for row in rows]
    layout(figure, "Loss: lower is better", "seconds of training", "loss", height=300)
    figure.update_layout(showlegend=len(figure.data) > 1)
    return figure, pd.DataFrame(parts, columns=["run", "seconds", "step", "loss"])


def score_curve(runs: dict[str, list[dict]], references: dict[str, float]) -> tuple[go.Figure, pd.DataFrame]:
    """Score against seconds. runs: name -> history; references: side -> score, drawn as lines across."""
    figure, parts = go.Figure(), []
    for number, (name, points) in enumerate(runs.items()):
        rows = [point for point in points if point.get("score") is not None]
        figure.add_scatter(
            x=[row["seconds"] for row in rows],
            y=[row["score"] for row in rows],
            mode="lines+markers",
            name=name,
            line={"color": PALETTE[(number + 2) % len(PALETTE)], "width": 2.5},
            hovertemplate="%{x:.0f} s: %{y:.1f}<extra></extra>",
        )
        parts += [{"run": name, "seconds": row["seconds"], "step": row["step"], "score": row["score"]} for row in rows]
    for side, score in references.items():
        figure.add_hline(score, line={"color": NEUTRAL, "dash": "dash"}, annotation={"text": f"{side} {score:.1f}"})
    layout(figure, "Score of the labelled pairs: higher is better", "seconds of training", "score x 100", height=300)
    figure.update_layout(showlegend=len(runs) > 1)
    return figure, pd.DataFrame(parts, columns=["run", "seconds", "step", "score"])


def curves(points: list[dict], scores: dict[str, float], key: str, original: Sequence[dict] = ()) -> None:
    """Loss and score side by side. original: points of the original, where it is trained alike."""
    columns = st.columns(2 if scores else 1, gap="medium")
    losses, table = loss_curve(points, original)
    with columns[0]:
        said = f"Loss at {len(table)} points" + (f"; now {table['loss'].iloc[-1]:.4f}" if len(table) else "")
        show(losses, said, table, key=f"{key}_loss", file_name="subemb-adapt-loss.csv")
    if scores:
        references = {side: score for side, score in scores.items() if side in ("original", "compressed")}
        figure, table = score_curve({"adapted": points} | ({TUNED: list(original)} if original else {}), references)
        with columns[1]:
            last = f"; now {table['score'].iloc[-1]:.1f}" if len(table) else ""
            show(figure, f"Score at {len(table)} points{last}", table, key=f"{key}_score", file_name="subemb-adapt-score.csv")
