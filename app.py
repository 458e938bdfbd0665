"""Home: pick a model, set the compression, run it, read the size and quality cards."""

import streamlit as st

from subemb.ui.pages.home.cards import quality_card, size_card
from subemb.ui.pages.home.page import example_note, finished_curve, reproduce, runs_of_this_visit
from subemb.ui.shell.frame import explain_empty, live_view, page

frame = page(
    "Home",
    "A language model starts with a table: one vector for every token it knows, often most of the model. Subspace embedding "
    "cuts every vector into **f** pieces and lets tokens share pieces from small codebooks, so that a token is no more than "
    "**f** small integers, its codes. Pick a model and a method in the sidebar, press **Run**, watch the codes being found, and "
    "see on the other pages what it did to the tokens.",
)
with frame.errors():
    if frame.run is None:
        explain_empty(frame)
    else:
        if frame.visit.running is not None:
            live_view(frame.visit)
        example_note(frame)  # right above the cards that it is about
        left, right = st.columns(2, gap="medium")
        with left:
            size_card(frame.run)
        with right:
            quality_card(frame.run)
        finished_curve(frame.run)
        runs_of_this_visit(frame)
        reproduce(frame)
