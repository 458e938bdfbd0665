"""One token of the map: its codes, its error by subspace, its neighbours before and after, and who shares its codes."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch

from ....base.text import escape_markdown, number_text
from ...shell.frame import Frame
from ...widgets.charts import layout
from ..assignments.assignment import Assignment
from ..assignments.tokens import inspect
from .facts import TokenFacts


def inspector(frame: Frame, token: int, both: list[TokenFacts]) -> None:
    """Everything about one token; its numbers first. both: facts of the one compressed table or the two."""
    vocabulary, facts = frame.vocabulary, both[0]

    def number(label: str, name: str, **more) -> None:
        values = [number_text(getattr(each, name)[token], 3) for each in both]
        other = (
            {}
            if len(values) == 1
            else {"delta": f"{frame.second.name} {values[1]}", "delta_color": "off", "delta_arrow": "off"}
        )
        st.metric(label, values[0], width="content", **other, **more)

    st.header(escape_markdown(vocabulary.display[token]), anchor=False)
    with st.container(horizontal=True, key="map_inspector_numbers"):
        number("Error", "error", help="Squared error in units of the mean variance of a token.")
        number("Cosine to its original", "cosine")
        st.metric("Length before", f"{facts.norm[token]:.3f}", width="content")
        number("Length after", "new_norm")
    errors = error_by_subspace(frame, token)
    if 1 < len(errors) <= 64 and not frame.first.run.settings.about.is_additive:
        figure = _bars(errors)
        st.plotly_chart(
            figure,
            key="map_inspector_errors",
            alt=f"Share of the token's squared error in each of {len(errors)} subspaces",
            config={"displayModeBar": False},
        )
    assignments = [Assignment(frame, side).prepared() for side in frame.sides]
    if len(assignments) == 2:
        assignments[0].other = assignments[1]
    inspect(assignments[0], token, is_page=False)


def error_by_subspace(frame: Frame, token: int) -> pd.DataFrame:
    """One row a subspace: its number, and the share of its own squared length that the error is; empty without subspaces."""
    compressed = frame.first.compressed
    books = getattr(compressed, "codebooks", None) or []
    widths = [book.shape[1] for book in books]
    before = frame.table[token]
    if sum(widths) != len(before):
        return pd.DataFrame({"subspace": [], "error": []})
    with torch.no_grad():
        away = (before - compressed.lookup(torch.tensor([token]))[0]).square()
        errors = [
            float(part.sum() / whole.square().sum().clamp(min=1e-30))
            for part, whole in zip(away.split(widths), before.split(widths), strict=True)
        ]
    return pd.DataFrame({"subspace": range(len(widths)), "error": errors})


def _bars(errors: pd.DataFrame):
    figure = go.Figure(go.Bar(x=errors["subspace"], y=errors["error"], hovertemplate="subspace %{x}: %{y:.2f}<extra></extra>"))
    return layout(figure, "Where this token loses most", "subspace", "squared error / squared length", height=240)
