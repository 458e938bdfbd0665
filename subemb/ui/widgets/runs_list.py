"""Runs as a table, the same wherever they are listed: size, quality, tags and time, a row each."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ...base.store import content_key
from ...base.text import shown_change
from ...codec.settings import told_apart
from ...runs import Run
from ..shell.visit import Visit
from .charts import download_csv

ERROR_HELP = (
    "Squared error of the reconstruction over the table's variance about its mean: 0 is perfect, 1 is no better than giving "
    "every token the mean vector."
)


def scores_of(run: Run) -> tuple[float | None, float | None]:
    """Task score x 100 of a run and of its original; None where it was not measured."""
    task = run.task
    if task is None or task.compressed is None or task.original is None:
        return None, None
    return 100 * task.compressed, 100 * task.original


def runs_list(visit: Visit, runs: Sequence[Run], key: str, mode: str = "single-row") -> list[Run]:
    """Draw runs as a table with a download; returns those that are selected in it, in its order.

    key: begins the keys of its widgets. mode: ``single-row`` or ``multi-row``.
    """
    table = pd.DataFrame([_row(run, visit) for run in runs]).dropna(axis=1, how="all")
    labels, same = told_apart([run.asked for run in runs])
    shown = table.assign(run=labels)
    if "lost" in shown:  # so that scores and what is lost add up as they are shown
        shown["lost"] = [None if None in (pair := scores_of(run)) else -shown_change(pair[1], pair[0]) + 0.0 for run in runs]
    if table["model"].nunique() == 1:
        shown = shown.drop(columns="model")
    event = st.dataframe(
        shown,
        hide_index=True,
        column_config=COLUMNS,
        key=f"{key}_{content_key([[run.key for run in runs], visit.shown_key])}",
        on_select="rerun",
        placeholder="",
        selection_mode=mode,
        height=min(560, 38 + 35 * max(1, len(table))),
        alt="Runs with their settings, size, quality, tags and time",
    )
    if same:
        st.caption(f"All with {same}.")
    if len(runs) > 1:
        download_csv(table.drop(columns="shown"), "subemb-runs.csv", key=f"{key}_download")
    return [runs[row] for row in event.selection.rows if row < len(runs)] if event and event.selection else []


def _row(run: Run, visit: Visit) -> dict:
    score, original = scores_of(run)
    seen = visit.visitor.seen.get(run.key)
    return {
        "shown": "✓" if run.key == visit.shown_key else "",
        "run": run.settings.in_words,
        "tags": ", ".join(visit.visitor.tags.get(run.key, ())),
        "bytes": run.size.total_bytes / 1000,
        "of table": 100 * run.size.total_share,
        "score": score,
        "lost": None if score is None else original - score,
        "error": run.quality["relative_error"],
        "neighbours": 100 * run.quality["neighbours_kept"],
        "floats": 100 * run.size.parameter_share,
        "cosine": run.quality["mean_cosine"],
        "distinct": run.quality["distinct_tuples"],
        "seconds": run.seconds.get("compress"),
        "when": None if seen is None else pd.Timestamp(seen, unit="s", tz="UTC"),
        "model": run.model["name"],
    }


def _number(title: str, form: str, help: str):
    return st.column_config.NumberColumn(title, width=62, format=form, help=help)


COLUMNS = {
    "shown": st.column_config.TextColumn("✓", width=28, help="The run on all pages"),
    "run": st.column_config.TextColumn("Method and settings", width=340),
    "tags": st.column_config.TextColumn("Tags"),
    "bytes": _number("kB", "%.1f", "Everything stored, in units of 1000 bytes"),
    "of table": _number("Bytes %", "%.3f", "Everything stored, % of the table's bytes"),
    "score": _number("Score", "%.1f", "On the demonstration pairs, x 100"),
    "lost": _number("Lost, pts", "%.1f", "Points of the score, against the original"),
    "error": _number("Error", "%.3f", ERROR_HELP),
    "neighbours": _number("10-NN %", "%.1f", "Of the 10 nearest tokens, those that stay"),
    "floats": _number("Floats %", "%.3f", "Floats stored, % of V × D: the paper's measure"),
    "cosine": _number("Cosine", "%.3f", "Mean over all tokens"),
    "distinct": _number("Distinct", "localized", "Distinct tuples"),
    "seconds": _number("Seconds", "%.1f", "To compute the codes, without measuring"),
    "when": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm"),
    "model": st.column_config.TextColumn("Model"),
}
