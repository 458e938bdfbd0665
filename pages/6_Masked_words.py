"""Masked words: what a language model puts in the place of a mask, with the original and with the compressed table."""

import streamlit as st

from subemb.ui.masked_offer import explain_no_head
from subemb.ui.pages.masked.page import choose_tables
from subemb.ui.pages.masked.sentence import sentence_view
from subemb.ui.pages.masked.text import text_view
from subemb.ui.shell.frame import page
from subemb.ui.widgets.adapted_side import adapted_side

VIEWS = {"A sentence": sentence_view, "Text": text_view}

frame = page(
    "Masked words",
    "Hide a word, and a masked language model guesses it from the words around. See its best guesses with the original table and "
    "with the compressed one, and how well it guesses every token of a text.",
)
with frame.errors():
    if frame.run is not None and not frame.model.has_head("masked"):
        explain_no_head(frame)
    elif frame.run is not None:
        adapted_side(frame)
        masked = choose_tables(frame)
        for tab, draw in zip(st.tabs(list(VIEWS), key="masked_view", bind="query-params"), VIEWS.values(), strict=True):
            if tab.open:
                with tab, frame.errors():
                    draw(masked)
