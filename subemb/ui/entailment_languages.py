"""Charts of the page Entailment by language: accuracy of every side and its change, with intervals. Nothing is drawn here."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..models.vocabulary import plotly_text
from ..tasks.evaluations import SetResult
from .widgets.charts import NEUTRAL, layout
from .widgets.scores import SIDE_COLOURS, SIDE_SYMBOLS, language_name, signed

#: Orders of the languages: by the change against the first side, or by the first side's accuracy.
LARGEST_LOSS, HIGHEST_BEFORE = "largest loss first", "highest before first"
ORDERS = (LARGEST_LOSS, HIGHEST_BEFORE)
WILSON_Z = 1.959964  # 97.5 % quantile of the normal distribution


def wilson(accuracy: float, pairs: int) -> tuple[float, float]:
    """95 % interval of a share that was seen on so many pairs (Wilson 1927); NaN without pairs.

    >>> [round(end, 3) for end in wilson(0.5, 100)], [round(end, 3) for end in wilson(1.0, 10)]
    ([0.404, 0.596], [0.722, 1.0])
    """
    if not pairs or math.isnan(accuracy):
        return math.nan, math.nan
    z = WILSON_Z
    middle = accuracy + z * z / (2 * pairs)
    half = z * math.sqrt(accuracy * (1 - accuracy) / pairs + z * z / (4 * pairs * pairs))
    return max(0.0, (middle - half) / (1 + z * z / pairs)), min(1.0, (middle + half) / (1 + z * z / pairs))


def language_table(result: SetResult, order: str = LARGEST_LOSS) -> pd.DataFrame:
    """One row a language, in an order of ORDERS: its script, the vocabulary's tokens in it, pairs, and for every side accuracy
    with its 95 % Wilson interval, and the difference with its bootstrap interval, all in per cent or points.

    With several sides beside the first, the loss is that of the second. Empty without languages.
    """
    report, counts = result.report, result.report.language_counts
    rows = []
    for code, scores in report.by_language.items():
        writing = result.writing.get(code)
        row = {
            "language": language_name(code),
            "code": code,
            "script": writing.script if writing else "",
            "tokens of the script": writing.tokens if writing else 0,
            "pairs": counts[code],
        }
        for side, score in scores.items():
            low, high = wilson(score.accuracy, counts[code])
            row |= {f"{side}, %": 100 * score.accuracy, f"{side} from": 100 * low, f"{side} to": 100 * high}
            if score.difference is not None:
                values = score.difference.difference, score.difference.low, score.difference.high
                row |= dict(
                    zip(
                        (f"{side}, change", f"{side}, change from", f"{side}, change to"),
                        (100 * v for v in values),
                        strict=True,
                    )
                )
        rows.append(row)
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    first, *others = report.sides
    by_loss = order == LARGEST_LOSS and others
    column = f"{others[0]}, change" if by_loss else f"{first}, %"
    return table.sort_values(column, ascending=bool(by_loss), kind="stable", ignore_index=True)


def _language_labels(table: pd.DataFrame) -> list[str]:
    return [
        plotly_text(str(row["language"]))
        + (f"<br><span style='font-size:11px'>{plotly_text(str(row['script']))}</span>" if row["script"] else "")
        for _, row in table.iterrows()
    ]


def accuracy_chart(table: pd.DataFrame, sides: Sequence[str], order: str, guess: float) -> go.Figure:
    """Accuracy of every language on every side, with its interval. guess: accuracy of always giving the commonest label."""
    names = _language_labels(table)
    figure = go.Figure()
    for place, side in enumerate(sides):
        row = place - (len(sides) - 1) / 2
        _side_points(figure, table, side, place, row, (f"{side}, %", f"{side} from", f"{side} to"), "%", name=plotly_text(side))
    figure.add_vline(
        x=100 * guess,
        line={"color": NEUTRAL, "dash": "dot"},
        annotation={"text": "commonest label for all", "font": {"size": 12}, "xanchor": "left"},
        annotation_position="top",
    )
    return _by_language(figure, names, f"Accuracy by language, {order}", "accuracy, % (95 % interval)")


def change_chart(table: pd.DataFrame, sides: Sequence[str], order: str) -> go.Figure:
    """How much accuracy every side but the first gains or loses in every language, with its paired bootstrap interval."""
    names = _language_labels(table)
    figure = go.Figure()
    for place, side in enumerate(sides[1:], 1):
        column = f"{side}, change"
        _side_points(
            figure,
            table,
            side,
            place,
            place - len(sides) / 2,
            (column, f"{column} from", f"{column} to"),
            "points",
            name=plotly_text(f"{side} − {sides[0]}"),
            mode="markers+text",
            text=[signed(value / 100) for value in table[column]],
            textposition="top center",
            cliponaxis=False,
            showlegend=True,
        )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1.5})
    return _by_language(figure, names, f"Change by language, {order}", "change of accuracy, points (95 % interval)")


def _side_points(
    figure: go.Figure,
    table: pd.DataFrame,
    side: str,
    place: int,
    row: float,
    columns: tuple[str, str, str],
    unit: str,
    **how,
) -> None:
    """One point a language with its interval. place: of the side. row: sides of a language lie one below the other, so that
    intervals stay apart. columns: value, and the ends of its interval."""
    value, low, high = columns
    figure.add_scatter(
        **{"mode": "markers", **how},
        x=table[value],
        y=np.arange(len(table)) + 0.26 * row,
        marker={"color": SIDE_COLOURS[place % len(SIDE_COLOURS)], "symbol": SIDE_SYMBOLS[place % 4], "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": table[high] - table[value],
            "arrayminus": table[value] - table[low],
            "thickness": 1.5,
            "width": 3,
        },
        customdata=_hover_data(table, (low, high)),
        hovertemplate=f"{plotly_text(side)}, %{{customdata[0]}}, %{{customdata[1]}} script: %{{x:.1f}} {unit}<br>"
        "95 % interval %{customdata[2]:.1f} to %{customdata[3]:.1f}, %{customdata[4]:,} pairs<extra></extra>",
    )


def _hover_data(table: pd.DataFrame, columns: tuple[str, str]) -> list[list]:
    """Language, script, two ends of an interval, and pairs of every row; texts escaped."""
    return [
        [
            plotly_text(str(row["language"])),
            plotly_text(str(row["script"]) or "unknown"),
            *(row[c] for c in columns),
            row["pairs"],
        ]
        for _, row in table.iterrows()
    ]


def _by_language(figure: go.Figure, names: list[str], title: str, axis: str) -> go.Figure:
    layout(figure, title, axis, "", height=170 + 48 * len(names))
    figure.update_yaxes(
        title=None,
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )
    figure.update_layout(margin={"t": 70})
    return figure
