"""Evaluating the sides on a labelled set: choose pairs, see what it costs, evaluate, read cards, intervals and what was left out.

The view is the same for every evaluation; a page gives :func:`labelled_set_view` its words, its task and a function that draws its
report. A link to results on somebody's file shows them for as long as the results are kept, even though the file is not.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from ...base.pace import rough
from ...base.text import count_text, escape_markdown, score_text
from ...evaluate.data.pairs import PairSet
from ...evaluate.report import METRIC_HELP, METRIC_NAMES, Report, SideScores, shown_difference
from ...evaluate.similarity.pairs import encoding_seconds
from ...jobs.task import Call, Task
from ...tasks.evaluations import MOST_PAIRS
from ..shell.frame import Frame
from ..shell.jobs import begin, outcome_or_offer
from ..shell.text import counted, errors_shown, public_name
from .pairs_source import choose_pairs, linked_digest
from .scores import interval_sentence, interval_text, per_cent, skipped_rows


def labelled_set_view(
    frame: Frame,
    data: str,
    about: str,
    evaluate: Task,
    results: Callable[[Report, bool], None],
    cost: Callable[[Frame, PairSet, int], tuple[float, str]] | None = None,
    choices: Sequence[Any] = (),
    verbs: tuple[str, str] = ("Evaluating", "evaluated"),
    of: str = "run",
) -> None:
    """The whole tab.

    data: what the pairs are labelled for, such as ``entailment``. about: what is measured, in markdown. evaluate: the task, of a subject,
    pairs and ``choices``; its report is kept. results: draws a report; its second argument is whether the choice of data has said already what was read.
    cost: gives rough seconds for a number of sides, and what is done to the pairs, in words; by default those of encoding them.
    verbs: of the progress bar, and of the pairs. of: what a kept result belongs to, in words.
    """
    key = f"{data}_set"  # of widgets and of the URL's parameters
    st.markdown(about)
    pairs = choose_pairs(frame, data, key=key)
    linked = linked_digest(key) if pairs is None else None
    with errors_shown():
        report = None
        if pairs is not None:
            call = evaluate.call(frame.compared, pairs, *choices)
            report = outcome_or_offer(
                frame.visit,
                call,
                f"{verbs[0]} {counted(len(pairs), 'pair')}",
                lambda: _offer(frame, call, pairs, cost or encoding_cost, verbs[1], f"{key}_run"),
            )
        elif linked:  # results on somebody's file, which are kept here even though the file is not
            report = evaluate.kept(frame.compared, linked[1], *choices)
        if report is not None:
            results(as_given(frame, report, pairs, linked[0] if linked else None), pairs is not None)
        elif linked:
            st.caption(f"Results on that file are not kept on this server for the {of} above: give the file to compute them.")


def as_given(frame: Frame, report: Any, given: Any, in_link: str | None = None) -> Any:
    """The same report with the pairs as this visitor knows them: others may have given a file of the same content before.

    given: the pairs that they gave, with how their file was read; None if the report was found by its link. in_link: the name there.
    """
    known, pairs = frame.visit.visitor, report.pairs if given is None else given
    name = (in_link or known.sets.get(pairs.digest) or public_name(pairs.name)) if given is None else given.name
    known.name_set(pairs.digest, name)
    return replace(report, pairs=pairs if name == pairs.name else replace(pairs, name=name))


def _offer(frame: Frame, call: Call, pairs: PairSet, cost: Callable, done: str, key: str) -> None:
    """What it will cost, and the button. done: what is done to the pairs, such as ``evaluated``. key: of the button."""
    seconds, what = cost(frame, pairs, 2 if frame.adaptation is None else 3)
    too_many = len(pairs) > MOST_PAIRS
    if too_many:
        st.warning(f"At most {count_text(MOST_PAIRS)} pairs are {done}: choose a sample of these {count_text(len(pairs))}.")
    if st.button("Evaluate", type="primary", icon=":material/play_arrow:", key=key, disabled=too_many):
        begin(frame.visit, call)
        st.rerun()
    st.caption(
        f"{counted(len(pairs), 'pair')}, {what} {_with(frame)}: about "
        f"{rough(max(1.0, seconds))}, a rough estimate. It can be cancelled."
    )


def _with(frame: Frame) -> str:
    """By what pairs are read, in words."""
    return "with the original and with the compressed table" if frame.other is None else "with run A and with run B"


def encoding_cost(frame: Frame, pairs: PairSet, sides: int) -> tuple[float, str]:
    """The cost where every side encodes every distinct sentence once."""
    sentences = [*pairs.first, *pairs.second]
    what = f"{counted(len(set(sentences)), 'distinct sentence')}, encoded"
    return encoding_seconds(frame.model, sentences, sides), what


# Parts of the results


def heading(report: Report, facts: str, described: bool, note: str = "") -> None:
    """Name and number of the pairs, and what is known of them. facts: in markdown. note: one more sentence.

    described: whether the choice above says already how the data was read and what was left out.
    """
    pairs = report.pairs
    st.header(f"{escape_markdown(pairs.name)}: {counted(len(report), 'pair')}", anchor=False)
    st.caption(f"{escape_markdown(pairs.format)} · {facts} · this address shows these pairs and results to whoever has it")
    if note:
        st.caption(note)
    if not described:
        if pairs.columns is not None:
            st.caption(f"Columns read: {escape_markdown(', '.join(pairs.columns.names))}.")
        for inferred in pairs.notes:
            st.caption(escape_markdown(inferred.sentence(on_page=True)))
        skipped_rows(pairs.skipped, len(pairs))
    for remark in report.remarks:
        st.warning(escape_markdown(remark.sentence(on_page=True)), icon=":material/rule:")


def score_cards(report: Report, what: str = "{}") -> None:
    """One row of cards a metric: every side, and its difference to the first with the interval. what: a side in words."""
    for metric in report.metrics:
        for column, side in zip(st.columns(len(report.sides)), report.sides, strict=True):
            with column.container(border=True, height="stretch"):
                reference = report.scores[report.sides[0]] if len(report.sides) > 1 else None
                score_card(reference, report.scores[side], metric, what.format(side))


def score_card(reference: SideScores | None, scores: SideScores, metric: str, name: str) -> None:
    """Draw it into the current container. reference: of the first side, None if there is no other. name: of what was measured, such as
    ``original``."""
    interval, is_share = scores.differences.get(metric), metric == "accuracy"
    change = "" if interval is None else shown_difference(reference, scores, metric)
    way = change[:1] if change[:1] in ("−", "+") else ""
    unit = " points" if is_share else ""
    value = scores.values[metric]
    st.metric(
        f"{METRIC_NAMES[metric]}, {name}",
        per_cent(value) if is_share else score_text(value),
        f"{change}{unit}" if change else None,
        delta_color=("green" if way == "+" else "red") if way and interval.excludes_zero else "off",
        delta_arrow={"−": "down", "+": "up"}.get(way, "off"),
        help=METRIC_HELP[metric],
    )
    about = []
    if reference is None:
        about.append("Nothing to compare with.")
    elif interval is not None and math.isnan(interval.difference):
        about.append("No interval: it is undefined on these pairs.")
    elif interval is not None and math.isnan(interval.low):
        about.append("Too few pairs for an interval.")
    if metric in scores.thresholds:
        about.append(f"Paraphrase from cosine {scores.thresholds[metric]:.3f} on.")
    if about:
        st.caption(" ".join(about))


def verdict(report: Report) -> None:
    """Every side against the first: by how much the main score differs, and what its interval says."""
    reference, main = report.sides[0], report.metrics[0]
    name = METRIC_NAMES[main] if main in ("spearman", "pearson") else METRIC_NAMES[main].lower()  # those are people
    for side in report.sides[1:]:
        scores = report.scores[side]
        change = shown_difference(report.scores[reference], scores, main)
        st.markdown(interval_sentence(side, scores.differences[main], change, name, reference))


def metrics_table(report: Report, key: str) -> None:
    """All metrics of all sides with their differences and intervals, where there are several; what the verdict does not say.

    key: of the table.
    """
    if len(report.metrics) < 2 or len(report.sides) < 2:
        return
    reference, rows = report.sides[0], []
    for metric in report.metrics:
        row = {"score x 100": METRIC_NAMES[metric]}
        row |= {side: score_text(report.scores[side].values[metric]) for side in report.sides}
        for side in report.sides[1:]:
            change = shown_difference(report.scores[reference], report.scores[side], metric)
            row["difference" if len(report.sides) == 2 else f"difference, {side}"] = interval_text(
                report.scores[side].differences[metric], change
            )
        rows.append(row)
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=key, alt="All scores of every side, their differences and intervals")
