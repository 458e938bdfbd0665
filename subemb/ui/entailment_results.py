"""The page Entailment, what was found on a labelled set: accuracy, agreement, confusion, languages, flipped pairs."""

import math

import pandas as pd
import streamlit as st

from ..evaluate.entailment_report import EntailmentReport
from ..format import count_text
from ..models.vocabulary import escape_markdown
from ..tasks.evaluations import SetResult
from . import entailment_languages as by_language
from .entailment_answers import answers_view
from .pages.entailment import charts
from .pages.entailment.charts import FLIP_NAMES, label_name
from .shell.text import counted
from .widgets.charts import download_csv, show
from .widgets.scores import interval_sentence, mcnemar_sentence, metric_cards, per_cent, side_columns, signed, skipped_rows

ALL = "all flipped"
MOST_FLIPS = 1000  # rows of the table on the page; the download has all pairs
KAPPA_HELP = (
    "Cohen's kappa: agreement beyond what two judges with the same habits would reach by chance; 1 is perfect, 0 is chance."
)


def results(result: SetResult, described: bool) -> None:
    """Everything about one evaluated set. described: the choice above says what was read and left out."""
    report = result.report
    st.subheader(f"{escape_markdown(result.pairs.name)}: {counted(len(report), 'pair')}", anchor=False)
    st.caption(
        f"{escape_markdown(report.format)} · labels {escape_markdown(', '.join(map(label_name, report.labels)))} · judged by the "
        f"{escape_markdown(report.engine)} · this address shows these pairs and results to whoever has it"
    )
    if len(report.engine_labels) > len(report.labels):
        st.caption(
            "The set has two labels: a pair counts as entailment if entailment is more probable than neutral and contradiction together."
        )
    if not described:
        for note in result.pairs.notes:
            st.caption(f"{escape_markdown(note)}.")
        skipped_rows(result.pairs.skipped, len(result.pairs))
    accuracy_cards(report)
    answers_view(result)
    confusion_view(report)
    if report.by_language:
        languages_view(result)
    flips_view(result)
    download_csv(
        charts.pairs_table(result), "subemb-entailment-pairs.csv", "entailment_pairs_download", "Download all pairs as CSV"
    )


def accuracy_cards(report: EntailmentReport) -> None:
    """Accuracy of every side, the difference with its interval and test in sentences, agreement with the first side."""
    reference, *others = report.sides
    metric_cards(
        "Accuracy",
        {side: score.accuracy for side, score in report.scores.items()},
        {side: score.difference for side, score in report.scores.items()},
    )
    st.caption(
        f"Giving every pair the commonest label of this set would reach {per_cent(charts.commonest_share(report.gold))}."
    )
    for side in others:
        score = report.scores[side]
        st.markdown(interval_sentence(side, score.difference, "accuracy", reference))
        st.markdown(mcnemar_sentence(side, score.mcnemar, reference))
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


def confusion_view(report: EntailmentReport) -> None:
    """Confusion matrices of all sides, on one colour scale."""
    st.subheader("What was taken for what", anchor=False)
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


def languages_view(result: SetResult) -> None:
    """Accuracy and its change by language."""
    report = result.report
    st.subheader("By language", anchor=False)
    order = by_language.HIGHEST_BEFORE
    if len(report.sides) > 1:
        order = st.segmented_control(
            "Order of the languages",
            by_language.ORDERS,
            default=by_language.LARGEST_LOSS,
            required=True,
            key="language_order",
            bind="query-params",
        )
    table = by_language.language_table(result, order)
    if len(report.sides) > 1:
        st.markdown(languages_sentence(table, report))
    guess = charts.commonest_share(report.gold)
    unknown = unknown_sentence(table, report, guess)
    if unknown:
        st.markdown(unknown)
    columns = st.columns(2) if len(report.sides) > 1 else [st.container()]
    with columns[0]:
        figure = by_language.accuracy_chart(table, report.sides, order, guess)
        show(figure, languages_alt(table, report), table.round(2), "entailment_languages", "subemb-entailment-languages.csv")
    if len(report.sides) > 1:
        changes = table[[name for name in table if "change" in name or name in ("language", "script", "pairs")]]
        with columns[1]:
            figure = by_language.change_chart(table, report.sides, order)
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

    def told(row: pd.Series) -> str:
        script = (
            f" ({escape_markdown(str(row['script']))} script, {counted(int(row['tokens of the script']), 'token')} of the vocabulary)"
            if row["script"]
            else ""
        )
        return f"**{signed(row[column] / 100)} points** in {escape_markdown(str(row['language']))}{script}"

    return f"On the {escape_markdown(side)} side accuracy changes from {told(worst)}, the lowest, to {told(best)}, the highest."


def unknown_sentence(table: pd.DataFrame, report: EntailmentReport, guess: float) -> str:
    """Languages in which the first side itself may be guessing, in markdown; empty if there is none.

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
        f"{row['language']} " + ", ".join(signed(row[f"{side}, change"] / 100) for side in report.sides[1:])
        for _, row in table.iterrows()
    ]
    return "Change of accuracy in points by language: " + "; ".join(parts)


def flips_view(result: SetResult) -> None:
    """Pairs that a side judges differently from the first, with a filter by what became of them."""
    report = result.report
    if len(report.sides) < 2:
        return
    reference, *others = report.sides
    st.subheader("Flipped pairs", anchor=False)
    side = others[0]
    if len(others) > 1:
        side = st.segmented_control(
            f"Compared with {reference}", others, default=side, required=True, key="flips_side", bind="query-params"
        )
    table = charts.flips_table(result, side)
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
        height=min(460, 38 + 35 * len(shown)),
        column_config={
            **numbers,
            "premise": st.column_config.TextColumn(width="medium"),
            "hypothesis": st.column_config.TextColumn(width="medium"),
        },
        alt=f"{counted(len(shown), 'pair')} that {side} judges differently from {reference}, with all probabilities",
    )
