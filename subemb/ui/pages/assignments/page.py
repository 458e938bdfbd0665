"""Assignments: which codes each token got, and which tokens share them."""

import streamlit as st

from ....base.text import escape_markdown
from ....codec.methods import METHODS
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
    """What to do when the method of the run stores no codes."""
    method = METHODS[frame.run.settings.method]
    st.info(
        f"**{escape_markdown(method.title)}** keeps no codes: {escape_markdown(method.summary[0].lower() + method.summary[1:])} "
        "So no two tokens share anything that could be drawn here. To see assignments, choose **Cluster (unique)** or "
        "**Product quantization** in the sidebar and press **Run**.",
        icon=":material/view_column:",
    )
