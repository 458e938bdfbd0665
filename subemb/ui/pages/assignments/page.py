"""Assignments: which codes each token got, and which tokens share them."""

import streamlit as st

from ....base.text import escape_markdown
from ....codec.methods.tiers import in_words, parsed
from ...shell.frame import Frame, page
from .assignment import Assignment
from .codes import codewords_view, collisions_view, usage_view
from .tokens import sentence_view, table_view, token_view

VIEWS = {
    "Token": token_view,
    "Sentence": sentence_view,
    "Codewords": codewords_view,
    "Usage": usage_view,
    "Collisions": collisions_view,
    "All tokens": table_view,
}


def draw() -> None:
    """The page."""
    frame = page(
        "Assignments",
        "Every token is a row of codes. Here they are drawn as blocks: tokens with the same block share a sub-vector.",
    )
    with frame.errors():
        if frame.run is None:
            return
        with st.spinner("Reading the tokens …"):
            assignment = Assignment(frame).prepared()
        if not assignment.subspaces:
            explain_no_codes(frame)
            return
        frame.tabs(VIEWS, "view", assignment)


def explain_no_codes(frame: Frame) -> None:
    """What to do when the run stores no codes: its method has none, or none of its tiers."""
    settings = frame.run.settings
    title, summary = escape_markdown(settings.about.title), settings.about.summary
    why = f"keeps no codes: {escape_markdown(summary[0].lower() + summary[1:])}"
    if settings.tiers is not None:
        why = f"keeps no codes here: {escape_markdown(in_words(parsed(settings.tiers)))}."
    st.info(
        f"**{title}** {why} So no two tokens share anything that could be drawn here. To see assignments, choose **Cluster (unique)** or "
        "**Product quantization** in the sidebar and press **Run**.",
        icon=":material/view_column:",
    )
