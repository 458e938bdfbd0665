"""The page Entailment, a labelled set: accuracy of every side, answers given, confusions, languages, and flipped pairs."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ....base.text import count_text, escape_markdown, plotly_text, score_change, score_text
from ....evaluate.data.pairs import PairSet
from ....evaluate.entailment.engines import EngineOption
from ....evaluate.entailment.pairs import EntailmentReport
from ....evaluate.similarity.pairs import encoding_seconds
from ....tasks.evaluations import evaluate_entailment_set
from ...shell.frame import Frame
from ...shell.text import counted
from ...widgets.charts import PALETTE, download_csv, layout, show
from ...widgets.labelled_set import heading, labelled_set_view, score_cards, verdict
from ...widgets.scores import (
    bar_marker,
    mcnemar_sentence,
    per_cent,
    side_columns,
)
from . import charts
from .charts import FLIP_NAMES, label_name

_PAIR_COST = 1.25  # a classifier reads pairs, whose lengths differ more than those of sentences
ALL = "all flipped"
MOST_FLIPS = 1000  # rows of the table on the page; the download has all pairs
KAPPA_HELP = (
    "Cohen's kappa: agreement beyond what two judges with the same habits would reach by chance; 1 is perfect, 0 is chance."
)
LABELLED = "as labelled"
#: Colours of answers; not those of sides, which mean something else on this page.
ANSWER_COLOURS = (PALETTE[2], PALETTE[7], PALETTE[4])
#: A side leans to an answer that it gives for this share of all pairs or more, and for so much larger a share than people did.
LEANS_FROM, LEANS_MORE = 0.6, 0.2
SHORTEST_NUMBERED = 7  # per cent from which on a segment of a bar has room for its number


def entailment_set_view(frame: Frame, engine: EngineOption) -> None:
    """The whole tab."""
    labelled_set_view(
        frame,
        "entailment",
        "How many pairs are judged as people labelled them, before and after compression?",
        evaluate_entailment_set,
        results,
        cost=reading_cost if engine.choice.head is None else None,
        choices=(engine.choice,),
        verbs=("Judging", "judged"),
        of="run and judge",
    )


def reading_cost(frame: Frame, pairs: PairSet, sides: int) -> tuple[float, str]:
    """Rough seconds of a classifier, and what it does, in words."""
    joined = [f"{first} {second}" for first, second in zip(pairs.first, pairs.second, strict=True)]
    return _PAIR_COST * encoding_seconds(frame.model, joined, sides), "each read as one text"


def results(report: EntailmentReport, described: bool) -> None:
    """Everything about one evaluated set. described: the choice above says what was read and left out."""
    labels = escape_markdown(", ".join(map(label_name, report.labels)))
    note = ""
    if len(report.engine_labels) > len(report.labels):
        note = "The set has two labels: a pair counts as entailment if entailment is more probable than neutral and contradiction together."
    heading(report, f"labels {labels} · judged by the {escape_markdown(report.engine)}", described, note)
    verdict(report)
    accuracy_cards(report)
    views = {"Answers": answers_view, "Confusion": confusion_view}
    if report.by_language:
        views["By language"] = languages_view
    if len(report.sides) > 1:
        views["Flipped pairs"] = flips_view
    for tab, draw in zip(st.tabs(list(views), key="entailment_view", bind="query-params"), views.values(), strict=True):
        if tab.open:
            with tab:
                draw(report)
    download_csv(
        charts.pairs_table(report), "subemb-entailment-pairs.csv", "entailment_pairs_download", "Download all pairs as CSV"
    )


# Accuracy


def accuracy_cards(report: EntailmentReport) -> None:
    """Accuracy of every side, with its difference to the first."""
    score_cards(report)
    st.caption(
        f"Giving every pair the commonest label of this set would reach {per_cent(charts.commonest_share(report.gold))}."
    )


def differences_view(report: EntailmentReport) -> None:
    """Every side against the first, in sentences: answers given too often, the test of the difference, and agreement."""
    reference, *others = report.sides
    for sentence in answers_sentences(report, is_head=report.engine.startswith("entailment head")):
        st.markdown(sentence)
    for side in others:
        score = report.scores[side]
        st.markdown(mcnemar_sentence(side, score.mcnemar, reference, score.difference))
        st.markdown(agreement_sentence(report, side), help=KAPPA_HELP)


def agreement_sentence(report: EntailmentReport, side: str) -> str:
    """How often a side and the first say the same, in markdown."""
    score, reference = report.scores[side], report.sides[0]
    different = round((1 - score.agreement) * len(report))
    kappa = "kappa is undefined: both give one label only" if math.isnan(score.kappa) else f"kappa {score.kappa:.2f}"
    return (
        f"**{escape_markdown(side)}** and {escape_markdown(reference)} judge **{per_cent(score.agreement)}** of the pairs alike "
        f"({kappa}); {counted(different, 'pair')} flipped."
    )


# Answers


def answers_view(report: EntailmentReport) -> None:
    """How often every answer is given by people and by every side, and how the sides differ."""
    left, right = st.columns(2, gap="medium")
    with left:
        if len(report):
            show(
                answers_chart(report),
                answers_alt(report),
                answers_table(report).round(2),
                "entailment_answers",
                "subemb-entailment-answers.csv",
            )
    with right:
        differences_view(report)


def answer_shares(report: EntailmentReport) -> dict[str, np.ndarray]:
    """``as labelled`` and every side -> share (0..1) of the pairs with each label; empty for a set without pairs."""
    given = {LABELLED: report.gold, **report.predicted}
    classes = len(report.labels)
    return {name: np.bincount(found, minlength=classes) / len(found) for name, found in given.items() if len(found)}


def leaning(report: EntailmentReport) -> dict[str, int]:
    """Sides that mostly give one answer, though people did not: side -> index into ``labels``."""
    shares = answer_shares(report)
    found = {}
    for side in report.sides:
        if side in shares:
            most = int(shares[side].argmax())
            if shares[side][most] >= LEANS_FROM and shares[side][most] - shares[LABELLED][most] >= LEANS_MORE:
                found[side] = most
    return found


def answers_sentences(report: EntailmentReport, is_head: bool) -> list[str]:
    """Which sides lean to one answer, a few sentences of markdown each. is_head: judged by an entailment head."""
    shares, reference = answer_shares(report), report.sides[0]
    sentences = []
    for side, label in leaning(report).items():
        name = escape_markdown(label_name(report.labels[label]))
        text = f"**{escape_markdown(side)}** answers **{name}** for {per_cent(shares[side][label])} of the pairs"
        if side == reference:
            sentences.append(f"{text}; people did for {per_cent(shares[LABELLED][label])}.")
            continue
        text += f"; {escape_markdown(reference)} does for {per_cent(shares[reference][label])}, people did for "
        text += (
            f"{per_cent(shares[LABELLED][label])}. Such a side is right on the pairs of this label out of habit more than by "
        )
        text += "reading: compare its accuracy with that of the commonest label."
        if is_head and report.labels[label] == "entailment":
            text += (
                " The head compares two sentence embeddings. Where compression gives many words nearly the same vector, "
                "different sentences move closer together, and that looks to the head as if one followed from the other."
            )
        sentences.append(text)
    return sentences


def answers_table(report: EntailmentReport) -> pd.DataFrame:
    """One row a side and answer, the labels that people gave first: pairs, and their share in per cent."""
    rows = [
        (name, label_name(label), round(share * len(report)), 100 * share)
        for name, shares in answer_shares(report).items()
        for label, share in zip(report.labels, shares, strict=True)
    ]
    return pd.DataFrame(rows, columns=["who", "answer", "pairs", "share, %"])


def answers_chart(report: EntailmentReport) -> go.Figure:
    """One full bar a side and one for the labels that people gave, cut by answer."""
    shares = answer_shares(report)
    names = [plotly_text(name[:1].upper() + name[1:]) for name in shares]
    figure = go.Figure()
    for place, label in enumerate(report.labels):
        values = [100 * float(found[place]) for found in shares.values()]
        figure.add_bar(
            y=names,
            x=values,
            orientation="h",
            name=plotly_text(label_name(label)),
            marker=bar_marker(ANSWER_COLOURS[place % len(ANSWER_COLOURS)], place, 0.35),
            text=[f"<b>{value:.1f}</b>" if value >= SHORTEST_NUMBERED else "" for value in values],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "#000000"},
            hovertemplate=f"%{{y}}: {plotly_text(label_name(label))} for %{{x:.1f}} % of the pairs<extra></extra>",
        )
    layout(figure, "Answers given, right or wrong", "share of the pairs, %", "", height=150 + 44 * len(names))
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(title=None, autorange="reversed", categoryorder="array", categoryarray=names)
    figure.update_layout(barmode="stack", bargap=0.3, legend={"traceorder": "normal"})
    return figure


def answers_alt(report: EntailmentReport) -> str:
    """The chart in words, with every side's difference from the first."""
    all_shares, parts = answer_shares(report), []
    first = all_shares.get(report.sides[0])
    for name, shares in all_shares.items():
        found = ", ".join(
            f"{label_name(label)} {per_cent(share)}"
            + (f" ({score_change(before, share)} points)" if name in report.sides[1:] else "")
            for label, share, before in zip(report.labels, shares, first, strict=True)
        )
        parts.append(f"{name}: {found}")
    return "Share of each answer. " + "; ".join(parts) + "."


# Confusion


def confusion_view(report: EntailmentReport) -> None:
    """Confusion matrices of all sides, on one colour scale."""
    figures = {side: charts.confusion_chart(report.labels, score, side) for side, score in report.scores.items()}
    alts = {side: confusion_alt(report, side) for side in report.sides}
    side_columns(figures, alts, charts.confusion_table(report), "entailment_confusion", "subemb-entailment-confusion.csv")
    st.caption("Rows: the label people gave. Columns: what the side says. Colour: share of the row, 0 to 100 % on every side.")


def confusion_alt(report: EntailmentReport, side: str) -> str:
    """A confusion matrix in words: how much of each label was judged as labelled."""
    parts = []
    for place, row in enumerate(report.scores[side].confusion):
        total = sum(row)
        share = per_cent(row[place] / total) if total else "no pair"
        parts.append(f"{label_name(report.labels[place])}: {row[place]:,} of {total:,} judged as labelled ({share})")
    return f"Confusion matrix, {side}. " + "; ".join(parts)


# Languages


def languages_view(report: EntailmentReport) -> None:
    """Accuracy and its change by language."""
    order = charts.HIGHEST_BEFORE
    if len(report.sides) > 1:
        order = st.segmented_control(
            "Order of the languages",
            charts.ORDERS,
            default=charts.LARGEST_LOSS,
            required=True,
            key="language_order",
            bind="query-params",
        )
    table = charts.language_table(report, order)
    if len(report.sides) > 1:
        st.markdown(languages_sentence(table, report))
    guess = charts.commonest_share(report.gold)
    unknown = unknown_sentence(table, report, guess)
    if unknown:
        st.markdown(unknown)
    columns = st.columns(2) if len(report.sides) > 1 else [st.container()]
    with columns[0]:
        figure = charts.accuracy_chart(table, report.sides, order, guess)
        show(figure, languages_alt(table, report), table.round(2), "entailment_languages", "subemb-entailment-languages.csv")
    if len(report.sides) > 1:
        changes = table[[name for name in table if "change" in name or name in ("language", "script", "pairs")]]
        with columns[1]:
            figure = charts.change_chart(table, report.sides, order)
            show(figure, changes_alt(table, report), changes.round(2), "entailment_changes", "subemb-entailment-changes.csv")
    st.caption(
        "Under each language: the script of most of its sentences. Intervals of accuracies are Wilson's, of changes the paired "
        f"bootstrap's ({count_text(report.resamples)} draws)."
    )


def languages_sentence(table: pd.DataFrame, report: EntailmentReport) -> str:
    """Which language lost most and least, with its script and how many tokens the vocabulary has for it; in markdown."""
    side = report.sides[1]
    column = f"{side}, change"
    ordered = table.sort_values(column, kind="stable")
    worst, best = ordered.iloc[0], ordered.iloc[-1]

    def in_words(row: pd.Series) -> str:
        script = (
            f" ({escape_markdown(str(row['script']))} script, {counted(int(row['tokens of the script']), 'token')} of the vocabulary)"
            if row["script"]
            else ""
        )
        return f"**{score_text(row[column] / 100, signed=True)} points** in {escape_markdown(str(row['language']))}{script}"

    return f"On the {escape_markdown(side)} side accuracy changes from {in_words(worst)}, the lowest, to {in_words(best)}, the highest."


def unknown_sentence(table: pd.DataFrame, report: EntailmentReport, guess: float) -> str:
    """Languages in which even the first side may only be guessing, in markdown; empty if there is none.

    guess: accuracy of always giving the commonest label, 0..1.
    """
    reference = report.sides[0]
    found = [str(row["language"]) for _, row in table.iterrows() if row[f"{reference} from"] <= 100 * guess]
    if not found:
        return ""
    return (
        f"In {escape_markdown(', '.join(found))} already **{escape_markdown(reference)}** is not clearly better than giving the "
        "commonest label to every pair (its interval reaches down to the dotted line): where nothing is known, little can be lost."
    )


def languages_alt(table: pd.DataFrame, report: EntailmentReport) -> str:
    """Accuracies by language in words."""
    parts = [
        f"{row['language']} " + " to ".join(f"{row[f'{side}, %']:.1f} %" for side in report.sides)
        for _, row in table.iterrows()
    ]
    return f"Accuracy by language, {' and '.join(report.sides)}: " + "; ".join(parts)


def changes_alt(table: pd.DataFrame, report: EntailmentReport) -> str:
    """Changes by language in words."""
    parts = [
        f"{row['language']} " + ", ".join(score_text(row[f"{side}, change"] / 100, signed=True) for side in report.sides[1:])
        for _, row in table.iterrows()
    ]
    return "Change of accuracy in points by language: " + "; ".join(parts)


# Flipped pairs


def flips_view(report: EntailmentReport) -> None:
    """Pairs that a side judges differently from the first, with a filter by how the verdict changed."""
    reference, *others = report.sides
    side = others[0]
    if len(others) > 1:
        side = st.segmented_control(
            f"Compared with {reference}", others, default=side, required=True, key="flips_side", bind="query-params"
        )
    table = charts.flips_table(report, side)
    if table.empty:
        st.caption(f"Both sides judge all {counted(len(report), 'pair')} alike.")
        return
    counts = table["what became of it"].value_counts()
    names = {ALL: f"{ALL} ({count_text(len(table))})"}
    names |= {name: f"{name} ({count_text(int(counts.get(name, 0)))})" for name in FLIP_NAMES.values()}
    kind = st.segmented_control(
        "Which pairs", list(names), default=ALL, required=True, key="flips", format_func=names.get, persist_state="session"
    )
    shown = table if kind == ALL else table[table["what became of it"] == kind]
    if shown.empty:
        st.caption(f"No pair: {kind}.")
        return
    note = "" if len(shown) <= MOST_FLIPS else f" The first {count_text(MOST_FLIPS)} of {count_text(len(shown))} are listed."
    st.caption(
        f"The largest change of probabilities first; probabilities in %, {escape_markdown(reference)} beside "
        f"{escape_markdown(side)}.{note}"
    )
    shown = shown.head(MOST_FLIPS)
    numbers = {name: st.column_config.NumberColumn(format="%.1f") for name in shown.select_dtypes("float")}
    st.dataframe(
        shown,
        hide_index=True,
        key="entailment_flips",
        height=min(320, 38 + 35 * len(shown)),
        column_config={
            **numbers,
            "premise": st.column_config.TextColumn(width="medium"),
            "hypothesis": st.column_config.TextColumn(width="medium"),
        },
        alt=f"{counted(len(shown), 'pair')} that {side} judges differently from {reference}, with all probabilities",
    )
