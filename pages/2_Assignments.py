"""Assignments: which codes each token got, and which tokens share them."""

import streamlit as st

from subemb.codec.settings import METHODS
from subemb.ui.codewords import codewords_view, usage_view
from subemb.ui.pages.assignments.tables import collisions_view, table_view
from subemb.ui.pages.assignments.views import Assignment, explain_no_codes
from subemb.ui.sentence_view import sentence_view
from subemb.ui.shell.frame import page
from subemb.ui.token_view import token_view

VIEWS = {
    "Token": token_view,
    "Sentence": sentence_view,
    "Codewords": codewords_view,
    "Usage": usage_view,
    "Collisions": collisions_view,
    "All tokens": table_view,
}

frame = page(
    "Assignments",
    "Every token is a row of codes. Here they are drawn as blocks: tokens with the same block share a sub-vector.",
)
with frame.errors():
    if frame.run is not None and not METHODS[frame.run.settings.method].uses_codebooks:
        explain_no_codes(frame)
    elif frame.run is not None:
        with st.spinner("Reading the tokens …"):
            assignment = Assignment(frame).prepared()
        for tab, draw in zip(st.tabs(list(VIEWS), key="view", bind="query-params"), VIEWS.values(), strict=True):
            if tab.open:
                with tab, frame.errors():
                    draw(assignment)
