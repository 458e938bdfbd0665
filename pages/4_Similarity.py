"""Similarity: what compression does to the similarity of sentences and words."""

import streamlit as st

from subemb.ui.pages.similarity.labelled import labelled_set_view
from subemb.ui.pages.similarity.lists import lists_view
from subemb.ui.pages.similarity.pair import pair_view
from subemb.ui.pages.similarity.words import words_view
from subemb.ui.shell.frame import page
from subemb.ui.widgets.adapted_side import adapted_side

VIEWS = {"A pair": pair_view, "Lists": lists_view, "Labelled set": labelled_set_view, "Words": words_view}

frame = page(
    "Similarity",
    "How alike two sentences are, by the original model and on the compressed table: for a pair of your own, for lists, for sets "
    "with human scores, and for single words.",
)
with frame.errors():
    if frame.run is not None:
        adapted_side(frame)
        for tab, draw in zip(st.tabs(list(VIEWS), key="similarity", bind="query-params"), VIEWS.values(), strict=True):
            if tab.open:
                with tab, frame.errors():
                    draw(frame)
