"""Reconstruction error: which tokens and subspaces lost how much, and how other methods do at the same size."""

import streamlit as st

from subemb.ui.extremes import extremes_view
from subemb.ui.pages.error.equal_bytes import equal_bytes_view
from subemb.ui.pages.error.page import Measured, ids_view, kinds_view, overview
from subemb.ui.shell.frame import page

VIEWS = {
    "Overview": overview,
    "Kinds and scripts": kinds_view,
    "By id": ids_view,
    "Best and worst": extremes_view,
    "Equal bytes": equal_bytes_view,
}

frame = page(
    "Reconstruction error",
    "How far the compressed vectors are from the original ones: over all tokens, by group, and against other methods of the same size.",
)
with frame.errors():
    if frame.run is not None:
        measured = Measured(frame)
        for tab, draw in zip(st.tabs(list(VIEWS), key="part", bind="query-params"), VIEWS.values(), strict=True):
            if tab.open:
                with tab, frame.errors():
                    draw(measured)
