"""Entailment: does the hypothesis follow from the premise, before and after compression; for a pair and for labelled sets."""

import streamlit as st

from subemb.ui.pages.entailment.engine import choose_engine
from subemb.ui.pages.entailment.labelled import set_view
from subemb.ui.pages.entailment.pair import pair_view
from subemb.ui.shell.frame import page
from subemb.ui.widgets.adapted_side import adapted_side

VIEWS = {"A pair": pair_view, "Labelled set": set_view}

frame = page(
    "Entailment",
    "Does a hypothesis follow from a premise? What the model says with its original table and with the compressed one, for a pair "
    "of sentences and for labelled sets.",
)
with frame.errors():
    if frame.run is not None:
        adapted_side(frame)
        engine = choose_engine(frame)
        if engine is not None:
            for tab, draw in zip(st.tabs(list(VIEWS), key="part", bind="query-params"), VIEWS.values(), strict=True):
                if tab.open:
                    with tab, frame.errors():
                        draw(frame, engine)
