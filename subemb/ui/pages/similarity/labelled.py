"""The page Similarity, tab Labelled set: choose pairs, evaluate every side on them, read the differences."""

import math

import pandas as pd
import streamlit as st

from ....base.text import count_text, escape_markdown, number_text, plotly_text
from ....evaluate.report import METRIC_NAMES
from ....evaluate.similarity.pairs import SimilarityReport
from ....tasks.evaluations import evaluate_similarity_set
from ...shell.frame import Frame
from ...shell.text import counted, shortened
from ...widgets.charts import download_csv, show
from ...widgets.labelled_set import heading, labelled_set_view, metrics_table, score_cards, verdict
from . import charts

MOST_MOVED = 100  # rows of the table


def similarity_set_view(frame: Frame) -> None:
    """The whole tab."""
    labelled_set_view(
        frame,
        "similarity",
        "Pairs of sentences with human scores: how well does the cosine of their vectors agree with people, before and after "
        "compression?",
        evaluate_similarity_set,
        results,
    )


# Results


def results(report: SimilarityReport, described: bool) -> None:
    """Cards, charts and tables of one evaluated set. described: the choice above says what was read and left out."""
    low, high = report.pairs.scale
    gold = f"gold {low:g} to {high:g}" if report.pairs.task == "similarity" else "gold 0 or 1"
    heading(report, f"{gold} · sentence vectors: {escape_markdown(report.pooling)} · scores x 100", described)
    verdict(report)
    score_cards(report)
    metrics_table(report, "labelled_set_metrics")
    remarks(report)
    others = report.sides[1:]
    for place, side in enumerate(others):
        left, right = st.columns(2, gap="medium")
        with left:
            scatter(report, side, f"labelled_set_scatter_{place}")
        with right:
            if place == 0:
                boxes(report)
    if not others:
        boxes(report)
    if report.by_language:
        figure, table = charts.language_chart(report)
        alt = f"{METRIC_NAMES[report.metrics[0]]} of {counted(len(report.by_language), 'language')} on every side"
        show(figure, alt, table, "labelled_set_languages")
        st.caption(
            "Each language by itself, with its interval in the table; the numbers above are over the pairs of all languages together."
        )
    if others:
        moved(report)
    download_csv(charts.pairs_table(report), "pairs.csv", "labelled_set_pairs", "Download all pairs as CSV")


def remarks(report: SimilarityReport) -> None:
    """Notes on thresholds, and on scores that are undefined."""
    if report.pairs.task == "paraphrase":
        st.caption(
            "Accuracy and F1 are at the best threshold of each side, chosen on these same pairs as sentence-transformers' "
            "BinaryClassificationEvaluator does, and so a little too good for both; every bootstrap draw chooses its own."
        )
    if any(math.isnan(value) for scores in report.scores.values() for value in scores.values.values()):
        st.caption(
            "Undefined: a correlation needs at least two different gold values and two different cosines; F1 and average precision "
            "need at least one paraphrase."
        )


def scatter(report: SimilarityReport, side: str, key: str) -> None:
    """Cosine before against after."""
    reference, pairs = report.sides[0], report.pairs
    places = charts.sample_of(len(report))
    texts = [
        f"{plotly_text(shortened(pairs.first[place], charts.LONGEST_HOVER))}<br>{plotly_text(shortened(pairs.second[place], charts.LONGEST_HOVER))}"
        for place in places
    ]
    before, after = (report.cosines[one][places] for one in (reference, side))
    figure = charts.cosine_scatter(before, after, pairs.gold[places], texts, (reference, side), pairs.task == "paraphrase")
    show(figure, charts.change_summary(report, side), charts.pairs_table(report, places), key, "cosines.csv")
    if len(places) < len(report):
        st.caption(
            f"{count_text(len(places))} of {count_text(len(report))} pairs, drawn at random (seed 0); scores and downloads have all."
        )


def boxes(report: SimilarityReport) -> None:
    """Cosines by gold."""
    figure, table = charts.gold_boxes(report)
    medians = "; ".join(
        f"{side}: "
        + ", ".join(f"{row.gold}: {number_text(row.median, 2)}" for row in table[table["side"] == side].itertuples())
        for side in report.sides
    )
    show(figure, f"Median cosine by gold. {medians}", table, "labelled_set_gold", "cosines_by_gold.csv")
    st.caption("Box: the middle half of the pairs, line: the median; whiskers: from 5 % to 95 % of them.")


def moved(report: SimilarityReport) -> None:
    """The pairs that changed rank most."""
    st.header("Pairs that moved most", anchor=False)
    side = report.sides[-1]
    if len(report.sides) > 2:
        side = st.segmented_control(
            "Compared with the original", report.sides[1:], default=side, key="labelled_set_moved_side", required=True
        )
    table = charts.pairs_table(report, report.moved(side, MOST_MOVED))
    st.caption(
        f"All {count_text(len(report))} pairs ordered by cosine on each side, rank 1 the most similar: by how many places a pair "
        f"moved. Above 0 it now counts as less similar. The first {count_text(len(table))} are shown."
    )
    first = [name for start in ("moved", "gold", "cosine ") for name in table if name.startswith(start)]
    sentences = [name for name in table if name.startswith("sentence ")]
    config = number_columns(table) | {name: st.column_config.TextColumn(width=235) for name in sentences}
    st.dataframe(
        table,
        hide_index=True,
        key="labelled_set_moved",
        height=min(420, 38 + 35 * len(table)),
        column_config=config,
        column_order=[*first, *sentences, *(name for name in table if name not in first and name not in sentences)],
        alt="Pairs whose cosine changed rank most, with gold, cosines and ranks of every side",
    )


def number_columns(table: pd.DataFrame) -> dict:
    """How gold, cosines, ranks and moves of a table of pairs are written."""
    config = {}
    for name in table:
        if name == "gold":
            config[name] = st.column_config.NumberColumn(format="%.4g", width=60)
        elif name.startswith("cosine "):
            config[name] = st.column_config.NumberColumn(format="%.3f", width=125)
        elif name.startswith(("rank ", "moved")):
            halves = bool((table[name].to_numpy() % 1).any())  # ranks shared by equal cosines
            sign = "+" if name.startswith("moved") else ""
            config[name] = st.column_config.NumberColumn(format=f"%{sign}.{int(halves)}f")
    return config
