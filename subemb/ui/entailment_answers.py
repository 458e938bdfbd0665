"""The page Entailment, a labelled set: which answers every side gives, whatever is right, beside those that people gave."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ..evaluate.entailment_report import EntailmentReport
from ..models.vocabulary import escape_markdown, plotly_text
from ..tasks.evaluations import SetResult
from .pages.entailment.charts import label_name
from .widgets.charts import PALETTE, layout, show
from .widgets.scores import bar_marker, per_cent, signed

LABELLED = "as labelled"
#: Colours of answers; not those of sides, which mean something else on this page.
ANSWER_COLOURS = (PALETTE[2], PALETTE[7], PALETTE[4])
#: A side leans to an answer from this share of all pairs, and if it gives it so much more often than people did.
LEANS_FROM, LEANS_MORE = 0.6, 0.2
#: From this share on, a segment of a bar is long enough for its number.
SHORTEST_NUMBERED = 7


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
    """What is striking about the answers, in markdown; nothing if no side leans to one. is_head: judged by an entailment head."""
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
            f"{per_cent(shares[LABELLED][label])}. Such a side is right by its habit, on the pairs of this label, more than by "
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
            + (f" ({signed(share - before)} points)" if name in report.sides[1:] else "")
            for label, share, before in zip(report.labels, shares, first, strict=True)
        )
        parts.append(f"{name}: {found}")
    return "Share of each answer. " + "; ".join(parts) + "."


def answers_view(result: SetResult) -> None:
    """How often every answer is given by people and by every side."""
    report = result.report
    if not len(report):
        return
    st.subheader("Which answers are given", anchor=False)
    for sentence in answers_sentences(report, is_head=report.engine.startswith("entailment head")):
        st.markdown(sentence)
    show(
        answers_chart(report),
        answers_alt(report),
        answers_table(report).round(2),
        "entailment_answers",
        "subemb-entailment-answers.csv",
    )
