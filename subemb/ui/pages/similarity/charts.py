"""Charts and tables of labelled pairs: cosines against each other, against gold, and by language. No Streamlit here."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ....base.text import plotly_text, score_text
from ....evaluate.report import METRIC_NAMES
from ....evaluate.similarity.pairs import SimilarityReport
from ....evaluate.statistics import descending_ranks
from ...widgets.charts import NEUTRAL, PALETTE, SEQUENTIAL, layout
from ...widgets.scores import SIDE_COLOURS, SIDE_SYMBOLS, language_name

MOST_POINTS = 3000  # of a scatter; more would hide each other, and their sentences would make the page slow
LONGEST_HOVER = 90  # characters of a sentence in a hover
#: Classes of paraphrase sets: name, symbol, colour.
CLASSES = ((0.0, "no paraphrase (0)", "x", PALETTE[4]), (1.0, "paraphrase (1)", "circle", PALETTE[2]))


def sample_of(count: int, seed: int = 0, most: int = MOST_POINTS) -> np.ndarray:
    """Places of the points that are drawn: all, or ``most`` of them drawn at random, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def cosine_scatter(
    before: np.ndarray,
    after: np.ndarray,
    gold: np.ndarray,
    hover: Sequence[str],
    sides: tuple[str, str],
    classes: bool = False,
    height: int = 460,
) -> go.Figure:
    """Cosine before (x) against after (y), (n,) each, coloured by gold; on the diagonal nothing has changed.

    hover: n texts, escaped for plotly. classes: gold is 0 or 1, drawn as two kinds of points.
    """
    figure = go.Figure()
    low = min(0.0, float(min(before.min(), after.min()))) - 0.03
    figure.add_scatter(
        x=[low, 1.03],
        y=[low, 1.03],
        mode="lines",
        name="no change",
        line={"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
    )
    template = (
        "%{text}<br>"
        + f"{plotly_text(sides[0])} %{{x:.3f}}, {plotly_text(sides[1])} %{{y:.3f}}, gold %{{customdata}}<extra></extra>"
    )
    hover = np.asarray(hover, dtype=object)
    if classes:
        for value, name, symbol, colour in CLASSES:
            chosen = gold == value
            figure.add_scattergl(
                x=before[chosen],
                y=after[chosen],
                mode="markers",
                name=name,
                text=hover[chosen],
                customdata=gold[chosen],
                hovertemplate=template,
                marker={"size": 6, "symbol": symbol, "color": colour, "opacity": 0.75},
            )
    else:
        figure.add_scattergl(
            x=before,
            y=after,
            mode="markers",
            name="a pair, coloured by gold",
            text=hover,
            customdata=np.round(gold, 3),
            hovertemplate=template,
            marker={
                "size": 6,
                "opacity": 0.8,
                "line": {
                    "color": NEUTRAL,
                    "width": 0.8,
                },  # the darkest and the brightest points would fade into a page of either theme
                "color": gold,
                "colorscale": SEQUENTIAL,
                "colorbar": {"title": {"text": "gold"}, "thickness": 12, "outlinewidth": 0},
            },
        )
    layout(
        figure,
        "Pairs below the line moved apart",
        f"cosine, {plotly_text(sides[0])}",
        f"cosine, {plotly_text(sides[1])}",
        height=height,
    )
    figure.update_xaxes(range=[low, 1.03])
    figure.update_yaxes(range=[low, 1.03])
    return figure


def gold_bins(gold: np.ndarray, most: int = 6) -> tuple[np.ndarray, list[str]]:
    """(n,) bin of each gold value, and the bins' names: the values themselves if there are few, else steps of equal width.

    >>> gold_bins(np.array([0.0, 1.0, 1.0]))[1], gold_bins(np.arange(51) / 10)[1]
    (['0', '1'], ['0 to 1', '1 to 2', '2 to 3', '3 to 4', '4 to 5'])
    """
    values = np.unique(gold)
    if len(values) <= most:
        return np.searchsorted(values, gold), [f"{value:g}" for value in values]
    low, high = math.floor(values[0] + 1e-9), math.ceil(values[-1] - 1e-9)
    steps = high - low if 2 <= high - low <= most else 5
    edges = np.linspace(low, high, steps + 1)
    names = [f"{start:g} to {end:g}" for start, end in zip(edges[:-1].round(3), edges[1:].round(3), strict=True)]
    return np.clip(np.searchsorted(edges, gold, side="right") - 1, 0, steps - 1), names


def gold_boxes(report: SimilarityReport) -> tuple[go.Figure, pd.DataFrame]:
    """Quartiles of the cosines by gold, side by side for all sides, and the table of them."""
    bins, names = gold_bins(report.pairs.gold)
    rows = []
    for side in report.sides:
        for number, name in enumerate(names):
            values = report.cosines[side][bins == number].astype(np.float64)
            if len(values):
                low, first, middle, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
                rows.append((name, side, len(values), low, first, middle, third, high))
    table = pd.DataFrame(rows, columns=["gold", "side", "pairs", "5 %", "25 %", "median", "75 %", "95 %"])
    figure = go.Figure()
    for place, side in enumerate(report.sides):
        part = table[table["side"] == side]
        figure.add_box(
            x=part["gold"],
            lowerfence=part["5 %"],
            q1=part["25 %"],
            median=part["median"],
            q3=part["75 %"],
            upperfence=part["95 %"],
            name=plotly_text(side),
            marker={"color": SIDE_COLOURS[place % len(SIDE_COLOURS)]},
            line={"width": 2},
        )
    layout(figure, "Cosines by gold: good vectors make a staircase", "gold", "cosine", height=460, boxmode="group")
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names)
    return figure, table


def language_table(report: SimilarityReport) -> pd.DataFrame:
    """One row a language and side: pairs, metrics x 100, and the main metric's difference with its interval."""
    main = report.metrics[0]
    rows = []
    counts = {code: report.pairs.languages.count(code) for code in report.by_language}
    for code, found in report.by_language.items():
        for side in report.sides:
            scores = found[side]
            interval = scores.differences.get(main)
            rows.append(
                {
                    "language": language_name(code),
                    "side": side,
                    "pairs": counts[code],
                    **{METRIC_NAMES[metric]: scores.values[metric] * 100 for metric in report.metrics},
                    "difference": None if interval is None else interval.difference * 100,
                    "low": None if interval is None else interval.low * 100,
                    "high": None if interval is None else interval.high * 100,
                }
            )
    return pd.DataFrame(rows)


def language_chart(report: SimilarityReport) -> tuple[go.Figure, pd.DataFrame]:
    """The main metric of each language on every side, the best language on top; a line joins the sides of one."""
    table = language_table(report)
    metric = METRIC_NAMES[report.metrics[0]]
    first = table[table["side"] == report.sides[0]]
    order = first.sort_values(metric, na_position="first")["language"].tolist()
    figure = go.Figure()
    for language in order:
        values = table[table["language"] == language][metric].dropna()
        figure.add_scatter(
            x=values,
            y=[plotly_text(language)] * len(values),
            mode="lines",
            line={"color": NEUTRAL, "width": 3},
            showlegend=False,
            hoverinfo="skip",
        )
    for place, side in enumerate(report.sides):
        part = table[table["side"] == side]
        figure.add_scatter(
            x=part[metric],
            y=[plotly_text(language) for language in part["language"]],
            mode="markers",
            name=plotly_text(side),
            customdata=part["pairs"],
            marker={
                "size": 12,
                "color": SIDE_COLOURS[place % len(SIDE_COLOURS)],
                "symbol": SIDE_SYMBOLS[place % len(SIDE_SYMBOLS)],
            },
            hovertemplate=f"%{{y}}, {plotly_text(side)}: %{{x:.1f}} (%{{customdata:,}} pairs)<extra></extra>",
        )
    layout(figure, "Languages with a long line lost most", f"{metric} x 100", "", height=130 + 34 * len(order))
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=[plotly_text(one) for one in order])
    return figure, table


def pairs_table(report: SimilarityReport, places: np.ndarray | None = None) -> pd.DataFrame:
    """Pairs with gold, and cosine and rank of every side; ``places`` None: all, in their order.

    ``moved`` is the rank on the last side minus that on the first: above 0, the pair now counts as less similar.
    """
    places = np.arange(len(report)) if places is None else places
    pairs = report.pairs
    columns = {
        "sentence 1": [pairs.first[place] for place in places],
        "sentence 2": [pairs.second[place] for place in places],
        "gold": pairs.gold[places],
    }
    if pairs.languages:
        columns["language"] = [pairs.languages[place] for place in places]
    columns |= {f"cosine {side}": report.cosines[side][places] for side in report.sides}
    ranks = {side: descending_ranks(report.cosines[side]) for side in report.sides}
    columns |= {f"rank {side}": ranks[side][places] for side in report.sides}
    reference = report.sides[0]
    for side in report.sides[1:]:
        name = "moved" if len(report.sides) == 2 else f"moved {side}"
        columns[name] = (ranks[side] - ranks[reference])[places]
    return pd.DataFrame(columns)


def change_summary(report: SimilarityReport, side: str) -> str:
    """The text alternative of the scatter: how many pairs rose and fell, and the median change."""
    change = report.cosines[side].astype(np.float64) - report.cosines[report.sides[0]]
    rose, fell = int((change > 0.0005).sum()), int((change < -0.0005).sum())
    return (
        f"Cosines of {len(report):,} pairs, {report.sides[0]} across and {side} up: {rose:,} rose, {fell:,} fell; "
        f"median change {score_text(float(np.median(change)) / 100, signed=True, digits=3)}"
    )
