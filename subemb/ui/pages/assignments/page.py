"""Assignments: which codes each token got, and which tokens share them."""

import streamlit as st

from ....codec.methods import METHODS
from ...shell.frame import page
from .tables import codewords_view, collisions_view, table_view, usage_view
from .views import Assignment, explain_no_codes, sentence_view, token_view

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
        if not METHODS[frame.run.settings.method].uses_codebooks:
            explain_no_codes(frame)
            return
        with st.spinner("Reading the tokens …"):
            assignment = Assignment(frame).prepared()
        frame.tabs(VIEWS, "view", assignment)
