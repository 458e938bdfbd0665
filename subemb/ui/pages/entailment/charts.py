"""Charts of the page Entailment, of a pair, of a labelled set and by language: figures and the tables behind them. No Streamlit here."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ....base.text import plotly_text, score_change, score_text, sentence_case
from ....evaluate.entailment.pairs import EntailmentReport, JudgedScores, PairJudgement
from ...widgets.charts import NEUTRAL, SEQUENTIAL, layout
from ...widgets.scores import SIDE_COLOURS, SIDE_SYMBOLS, bar_marker, language_name

LABEL_NAMES = {"not_entailment": "not entailment"}
#: Kinds of flipped pairs (``Flip.kind``), in words.
FLIP_NAMES = {"lost": "right → wrong", "won": "wrong → right", "changed": "wrong both times"}
#: Orders of the languages: by the change against the first side, or by the first side's accuracy.
LARGEST_LOSS, HIGHEST_BEFORE = "largest loss first", "highest before first"
ORDERS = (LARGEST_LOSS, HIGHEST_BEFORE)
WILSON_Z = 1.959964  # 97.5 % quantile of the normal distribution


def label_name(label: str) -> str:
    """A label for people.

    >>> label_name("not_entailment")
    'not entailment'
    """
    return LABEL_NAMES.get(label, label)


# A pair


def pair_table(judgement: PairJudgement) -> pd.DataFrame:
    """One row a label: its probability on every side in per cent, and each side's change against the first in points."""
    table = pd.DataFrame({"label": [label_name(label) for label in judgement.labels]})
    first = np.array(judgement.probabilities[judgement.sides[0]])
    for place, side in enumerate(judgement.sides):
        found = np.array(judgement.probabilities[side])
        table[f"{side}, %"] = 100 * found
        if place:
            table[f"{side}, change in points"] = 100 * (found - first)
    return table


def pair_chart(judgement: PairJudgement) -> go.Figure:
    """Probabilities of the labels: one bar a side, those of a label together, with numbers and the change in points."""
    names = [label_name(label).capitalize() for label in judgement.labels]
    first = judgement.probabilities[judgement.sides[0]]
    figure = go.Figure()
    for place, side in enumerate(judgement.sides):
        found = judgement.probabilities[side]
        changes = [f" ({score_change(before, value)})" if place else "" for value, before in zip(found, first, strict=True)]
        figure.add_bar(
            y=names,
            x=[100 * value for value in found],
            orientation="h",
            name=plotly_text(side),
            marker=bar_marker(SIDE_COLOURS[place % len(SIDE_COLOURS)], place, 0.55),
            text=[f"{100 * value:.1f}{change}" for value, change in zip(found, changes, strict=True)],
            textposition="outside",
            cliponaxis=False,
            customdata=[change.strip(" ()") or "the reference" for change in changes],
            hovertemplate=f"{plotly_text(side)}, %{{y}}: %{{x:.2f}} % (%{{customdata}})<extra></extra>",
        )
    rows = len(names) * len(judgement.sides)
    layout(
        figure, "Does the hypothesis follow from the premise?", "probability, % (change in points)", "", height=130 + 34 * rows
    )
    figure.update_xaxes(range=[0, 135], tickvals=[0, 25, 50, 75, 100])  # room for the numbers beside a full bar
    # Bars and labels from the top down, in the order of the legend.
    figure.update_yaxes(title=None, autorange="reversed", categoryorder="array", categoryarray=names)
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.08, legend={"traceorder": "normal"})
    return figure


# A labelled set


def confusion_table(report: EntailmentReport) -> pd.DataFrame:
    """One row a cell: side, gold, judged, pairs, and the share of the pairs with this gold label in per cent."""
    rows = []
    for side, score in report.scores.items():
        for gold, counts in zip(report.labels, score.confusion, strict=True):
            total = sum(counts)
            for judged, count in zip(report.labels, counts, strict=True):
                share = 100 * count / total if total else math.nan
                rows.append((side, label_name(gold), label_name(judged), count, share))
    return pd.DataFrame(rows, columns=["side", "labelled", "judged", "pairs", "share of the row, %"])


def confusion_chart(labels: Sequence[str], score: JudgedScores, side: str) -> go.Figure:
    """The confusion matrix of one side: rows labelled, columns judged; colour by the share of the row, on 0 to 100 % always."""
    counts = np.array(score.confusion, dtype=float)
    totals = counts.sum(1, keepdims=True)
    shares = 100 * np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    names = [label_name(label) for label in labels]
    broken = [name.replace(" ", "<br>") for name in names]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=broken,
            y=broken,
            zmin=0,
            zmax=100,
            colorscale=SEQUENTIAL,
            xgap=2,
            ygap=2,
            text=[
                [
                    f"{count:,.0f}" + ("" if math.isnan(share) else f"<br>{share:.1f} %")
                    for count, share in zip(*row, strict=True)
                ]
                for row in zip(counts, shares, strict=True)
            ],
            colorbar={"title": {"text": "% of<br>row"}, "thickness": 12, "tickvals": [0, 50, 100], "len": 0.9},
            hovertemplate="labelled %{y}, judged %{x}: %{text}<extra></extra>",
        )
    )
    for y, row in enumerate(figure.data[0].text):
        for x, text in enumerate(row):
            figure.add_annotation(x=broken[x], y=broken[y], text=text, showarrow=False, font={"color": _readable(shares[y, x])})
    layout(figure, f"{plotly_text(sentence_case(side))}: labelled against judged", "judged", "labelled", height=310)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, tickfont={"size": 11})
    return figure


def _readable(share: float) -> str:
    """A colour of text that stands out from a cell of this share in per cent; an empty cell has the page's background."""
    return NEUTRAL if math.isnan(share) else "#FFFFFF" if share < 50 else "#000000"


def commonest_share(gold: np.ndarray) -> float:
    """Accuracy of giving the most frequent label to every pair.

    >>> commonest_share(np.array([0, 0, 1, 2]))
    0.5
    """
    return float(np.bincount(gold).max() / len(gold)) if len(gold) else math.nan


# Pairs one by one


def flips_table(report: EntailmentReport, side: str) -> pd.DataFrame:
    """One row a pair that ``side`` judges differently from the first side, the largest change of probabilities first.

    Columns: premise, hypothesis, language (where known), labelled, the label of both sides, what became of it, every
    probability of both sides in per cent, change (total variation, in per cent), and the pair's number from 1.
    """
    first = report.sides[0]
    rows = []
    for flip in report.flips(side):
        row = {"premise": report.pairs.first[flip.place], "hypothesis": report.pairs.second[flip.place]}
        if report.languages:
            row["language"] = report.languages[flip.place]
        row |= {
            "labelled": label_name(report.labels[flip.gold]),
            first: label_name(report.labels[flip.before]),
            side: label_name(report.labels[flip.after]),
            "what became of it": FLIP_NAMES[flip.kind],
        }
        for place, label in enumerate(report.engine_labels):
            row[f"{label_name(label)}, {first}"] = 100 * flip.probabilities_before[place]
            row[f"{label_name(label)}, {side}"] = 100 * flip.probabilities_after[place]
        rows.append(row | {"change": 100 * flip.change, "pair": flip.place + 1})
    return pd.DataFrame(rows)


def pairs_table(report: EntailmentReport) -> pd.DataFrame:
    """Every pair with the label and the probabilities (0..1) of every side, for a download."""
    columns: dict[str, Sequence] = {"pair": np.arange(1, len(report) + 1)}
    if report.languages:
        columns["language"] = report.languages
    columns |= {
        "premise": report.pairs.first,
        "hypothesis": report.pairs.second,
        "labelled": [report.labels[place] for place in report.gold],
    }
    for side, predicted in report.predicted.items():
        columns[side] = [report.labels[place] for place in predicted]
        for place, label in enumerate(report.engine_labels):
            columns[f"{label}, {side}"] = report.probabilities[side][:, place]
    return pd.DataFrame(columns)


# By language


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


def language_table(report: EntailmentReport, order: str = LARGEST_LOSS) -> pd.DataFrame:
    """One row a language, in an order of ORDERS: its script, the vocabulary's tokens in it, pairs, and for every side accuracy
    with its 95 % Wilson interval, and the difference with its bootstrap interval, all in per cent or points.

    With several sides beside the first, the loss is that of the second. Empty without languages.
    """
    counts = report.language_counts
    rows = []
    for code, scores in report.by_language.items():
        writing = report.writing.get(code)
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
            text=[score_text(value / 100, signed=True) for value in table[column]],
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
