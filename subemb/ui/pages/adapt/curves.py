"""The page Adapt, loss and score over the time of training, and what an adaptation did in one sentence."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ....adaptation.result import ADAPTED, COMPRESSED, ORIGINAL, TUNED, Adaptation
from ....adaptation.settings import DRAWN
from ....base.text import change_text, number_text, shown_change
from ...shell.text import counted
from ...widgets.charts import NEUTRAL, PALETTE, layout, show

SMOOTHED_FROM = 8  # points of a loss, from which on a running mean is drawn
SMOOTHED = 0.25  # share of the points that the mean is of

#: Seconds, score, and what happened there in words.
Mark = tuple[float, float, str]


def verdict_text(known: Adaptation) -> str:
    """What the adaptation did to the score, in one sentence of markdown; "" without one.

    >>> from subemb.adaptation import AdaptationSettings
    >>> scores = {"original": 75.42, "compressed": 63.18, "adapted": 66.52}
    >>> verdict_text(Adaptation("k", {}, {}, AdaptationSettings(), {}, scores=scores))
    'Adaptation wins back **3.3 of the 12.2 points** that compression had lost.'
    """
    scores = known.scores
    if not {ORIGINAL, COMPRESSED, ADAPTED} <= set(scores):
        return ""
    if TUNED in scores:
        apart = shown_change(scores[TUNED], scores[ADAPTED])
        way = "as good as" if not apart else f"**{number_text(abs(apart))} points {'worse' if apart < 0 else 'better'}** than"
        return f"Trained in the same way, the compressed model is {way} the original."
    lost, won = (shown_change(scores[COMPRESSED], scores[side]) for side in (ORIGINAL, ADAPTED))
    if won < 0:
        return f"Adaptation made the score **{number_text(-won)} points worse**: more time, or more sentences, may help."
    if lost <= 0:
        return f"Compression had lost nothing here; adaptation changes the score by **{number_text(won, signed=True)} points**."
    if won == 0:
        return f"Adaptation wins back **none of the {number_text(lost)} points** that compression had lost: more time, or more sentences, may help."
    if won < lost:
        return f"Adaptation wins back **{number_text(won)} of the {number_text(lost)} points** that compression had lost."
    more = f", and {number_text(won - lost)} more" if won > lost else ""
    return f"Adaptation wins back **all of the {number_text(lost)} points** that compression had lost{more}."


def before_training(known: Adaptation) -> str:
    """What was done to the table before the first step, in words; "" if nothing was."""
    if known.settings.reassigns(known.compression["method"]):
        return "codes found anew"
    return "codebooks drawn at random" if known.settings.start == DRAWN else ""


def from_the_start(known: Adaptation, history: Sequence[dict]) -> list[dict]:
    """The points of a history with the compressed table's score in front, where something was done to it before the first step."""
    before, points = known.scores.get(COMPRESSED), list(history)
    if before is None or not before_training(known):
        return points
    return [{"step": 0, "seconds": 0.0, "score": before}, *points]


def marks_of(known: Adaptation, history: Sequence[dict]) -> list[Mark]:
    """What moved the score, each at its place: before the first step, and training up to the weights that were kept.

    Changes are those of the scores as they are shown, so that they add up.
    """
    first = next((point for point in history if point["step"] == 0 and "score" in point), None)
    before, after = known.scores.get(COMPRESSED), known.scores.get(ADAPTED)
    if first is None or before is None:
        return []
    what, found = before_training(known), []
    if what:
        found.append((first["seconds"], first["score"], f"{what}: {change_text(before, first['score'])}"))
    best = next((point for point in history if point["step"] == known.best_step and "score" in point), None)
    if after is not None and best is not None and best["step"]:
        trained = f"trained {counted(best['step'], 'step')}: {change_text(first['score'], after)}"
        found.append((best["seconds"], best["score"], trained))
    elif after is not None:
        last = history[-1]
        found.append((last["seconds"], last.get("score", after), f"trained {counted(known.steps, 'step')}: nothing more"))
    return found


def curves(known: Adaptation | None, points: list[dict], key: str, original: Sequence[dict] = ()) -> None:
    """Score and loss side by side. points: as ``Adaptation.history``, so far; original: points of the original, where it is trained in
    the same way."""
    scores = {} if known is None else known.scores
    columns = st.columns(2 if scores else 1, gap="medium")
    if scores:
        references = {side: score for side, score in scores.items() if side in (ORIGINAL, COMPRESSED)}
        runs = {ADAPTED: from_the_start(known, points)} | ({TUNED: list(original)} if original else {})
        marks = [] if original else marks_of(known, points)
        figure, table = score_curve(runs, references, marks)
        with columns[0]:
            last = f"; now {number_text(table['score'].iloc[-1])}" if len(table) else ""
            said = "".join(f"; {words}" for _, _, words in marks)
            show(
                figure,
                f"Score at {len(table)} points{last}{said}",
                table,
                key=f"{key}_score",
                file_name="subemb-adapt-score.csv",
            )
    losses, table = loss_curve(points, original)
    with columns[-1]:
        said = f"Loss at {len(table)} points" + (f"; now {table['loss'].iloc[-1]:.4f}" if len(table) else "")
        show(losses, said, table, key=f"{key}_loss", file_name="subemb-adapt-loss.csv")
        if len(losses.data) > 1:
            st.caption("Every step reads other sentences, short or long ones, so its loss jumps.")


def loss_curve(points: list[dict], original: Sequence[dict] = ()) -> tuple[go.Figure, pd.DataFrame]:
    """Loss against seconds, with its running mean: every step reads other sentences, and the loss of short and long ones differs.

    points: of ``Adaptation.history``; original: of ``original_history``.
    """
    figure, parts, window = go.Figure(), [], 1
    for number, (name, history) in enumerate({"adapted": points, TUNED: original}.items()):
        rows = [point for point in history if point.get("loss") is not None]
        if number and not rows:
            continue
        losses = pd.Series([row["loss"] for row in rows], dtype=float)
        is_smoothed = len(rows) >= SMOOTHED_FROM
        colour, of = PALETTE[number + 2], f"{name}, " if original else ""
        figure.add_scatter(
            x=[row["seconds"] for row in rows],
            y=losses.tolist(),
            mode="markers" if is_smoothed else "lines+markers",
            name=f"{of}one step" if is_smoothed else name,
            opacity=0.45 if is_smoothed else 1.0,
            line={"color": colour, "width": 2.5},
            marker={"size": 5, "color": colour},
            hovertemplate="%{x:.0f} s: loss %{y:.4f}<extra></extra>",
        )
        if is_smoothed:
            window = max(window, round(SMOOTHED * len(rows)))
            figure.add_scatter(
                x=[row["seconds"] for row in rows][window - 1 :],
                y=losses.rolling(window).mean().tolist()[window - 1 :],
                mode="lines",
                name=f"{of}mean of {window} points",
                line={"color": colour, "width": 2.5},
                hovertemplate="%{x:.0f} s: mean loss %{y:.4f}<extra></extra>",
            )
        parts += [{"run": name, "seconds": row["seconds"], "step": row["step"], "loss": row["loss"]} for row in rows]
    layout(figure, "Loss: lower is better", "seconds of training", "loss", height=330)
    figure.update_layout(showlegend=len(figure.data) > 1)
    return figure, pd.DataFrame(parts, columns=["run", "seconds", "step", "loss"])


def score_curve(
    runs: Mapping[str, list[dict]], references: Mapping[str, float], marks: Sequence[Mark] = ()
) -> tuple[go.Figure, pd.DataFrame]:
    """Score against seconds. runs: name -> history; references: side -> score, drawn as lines across; marks: written beside the curve."""
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
        figure.add_hline(score, line={"color": NEUTRAL, "dash": "dash"}, annotation={"text": f"{side} {number_text(score)}"})
    end = max((part["seconds"] for part in parts), default=0.0)
    for level, (seconds, score, words) in enumerate(marks):
        figure.add_annotation(
            x=seconds,
            y=score,
            text=words,
            xanchor="left" if seconds < end / 3 else "right",
            ax=0,
            ay=-20 - 20 * level,  # pixels
            borderpad=3,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=NEUTRAL,
            font={"size": 13},
        )
    layout(figure, "Score of the labelled pairs: higher is better", "seconds", "score x 100", height=330)
    drawn = [part["score"] for part in parts] + list(references.values())
    if marks and drawn:
        room = max(1.0, np.ptp(drawn))
        figure.update_yaxes(range=[min(drawn) - 0.15 * room, max(drawn) + 0.3 * room])
    figure.update_layout(showlegend=len(runs) > 1)
    return figure, pd.DataFrame(parts, columns=["run", "seconds", "step", "score"])
