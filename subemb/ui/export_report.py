"""The page Export: the report as one HTML page."""

from pathlib import Path

import streamlit as st

from ..base.errors import InputError
from ..export.report import html_report
from ..format import count_text, size_text
from ..models.vocabulary import escape_markdown
from ..tasks.evaluated import Evaluation, evaluations_of, read_evaluation
from ..tasks.evaluations import engine_options
from ..tasks.exports import file_stem
from ..tasks.sides import Subject
from .pages.export.offers import WhatIsShown
from .shell.frame import Frame
from .shell.text import counted
from .shell.work import subject_of


@st.cache_resource(max_entries=128, show_spinner=False)
def _evaluation(path: Path, changed: float) -> Evaluation | None:
    return read_evaluation(path, changed)


def evaluations(frame: Frame, subject: Subject) -> list:
    """Scores of the labelled sets that were evaluated with this run, newest first."""
    try:
        judges = [option.choice for option in engine_options(frame.model)[0]]
    except InputError:  # a damaged entailment head; the page Entailment says so
        judges = []
    return evaluations_of(subject, judges, _evaluation)


def report_card(frame: Frame, shown: WhatIsShown) -> None:
    """What it is, what is in it, how large it is, its download."""
    st.subheader("HTML report", anchor=False)
    st.markdown(
        "One page to read, to print and to hand on: settings, size and quality, charts to point at, tables, versions, and the "
        "commands that do the same again. It is a single file that works offline in any browser."
    )
    subject = subject_of(frame)
    sets = evaluations(frame, subject)
    content = html_report(shown.run, shown.adaptation, sets).encode()
    name = f"{file_stem(subject, shown.adaptation)}-report.html"
    st.download_button(
        "Download",
        data=content,
        file_name=name,
        mime="text/html",
        icon=":material/download:",
        key="export_report_download",
        on_click="ignore",
        type="primary",
    )
    st.caption(
        f"{escape_markdown(name)}: {size_text(len(content))} ({count_text(len(content))} bytes), nearly all of it the library that "
        "draws the charts."
    )
    if sets:
        listed = ", ".join(f"{escape_markdown(found.data)} ({counted(found.pairs, 'pair')})" for found in sets)
        st.caption(f"With the scores of what was evaluated with this run: {listed}.")
    else:
        st.caption(
            "No labelled set was evaluated with this run yet. Do that on the pages Similarity and Entailment, and its scores are in "
            "the report too."
        )
    st.markdown("How to use it")
    st.code(f"Open {name} in a browser; to print it, or to save it as PDF: Ctrl+P.", language=None, wrap_lines=True)
