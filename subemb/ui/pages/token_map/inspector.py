"""One token of the map: its codes, its error by subspace, its neighbours before and after, and who shares its codes."""

import pandas as pd
import streamlit as st

from ....base.text import escape_markdown
from ...shell.frame import Frame
from ...widgets.charts import layout
from ..assignments.assignment import Assignment
from ..assignments.tokens import inspect
from .facts import TokenFacts


def inspector(frame: Frame, token: int, facts: TokenFacts) -> None:
    """Everything about one token; its numbers first."""
    vocabulary = frame.vocabulary
    st.header(escape_markdown(vocabulary.display[token]), anchor=False)
    with st.container(horizontal=True, key="map_inspector_numbers"):
        st.metric(
            "Error",
            f"{facts.error[token]:.3f}",
            width="content",
            help="Squared error in units of the mean variance of a token.",
        )
        st.metric("Cosine to its original", f"{facts.cosine[token]:.3f}", width="content")
        st.metric("Length before", f"{facts.norm[token]:.3f}", width="content")
        st.metric("Length after", f"{facts.new_norm[token]:.3f}", width="content")
    errors = error_by_subspace(frame, token)
    if 1 < len(errors) <= 64 and not frame.run.settings.about.is_additive:
        figure = _bars(errors)
        st.plotly_chart(
            figure,
            key="map_inspector_errors",
            alt=f"Share of the token's squared error in each of {len(errors)} subspaces",
            config={"displayModeBar": False},
        )
    inspect(Assignment(frame).prepared(), token, is_page=False)


def error_by_subspace(frame: Frame, token: int) -> pd.DataFrame:
    """One row a subspace: its number, and the share of its own squared length that the error is; empty without subspaces."""
    import torch

    books = getattr(frame.compressed, "codebooks", None) or []
    widths = [book.shape[1] for book in books]
    before = frame.table[token]
    if sum(widths) != len(before):
        return pd.DataFrame({"subspace": [], "error": []})
    with torch.no_grad():
        away = (before - frame.compressed.lookup(torch.tensor([token]))[0]).square()
        errors = [
            float(part.sum() / whole.square().sum().clamp(min=1e-30))
            for part, whole in zip(away.split(widths), before.split(widths), strict=True)
        ]
    return pd.DataFrame({"subspace": range(len(widths)), "error": errors})


def _bars(errors: pd.DataFrame):
    import plotly.graph_objects as go

    figure = go.Figure(go.Bar(x=errors["subspace"], y=errors["error"], hovertemplate="subspace %{x}: %{y:.2f}<extra></extra>"))
    return layout(figure, "Where this token loses most", "subspace", "squared error / squared length", height=240)
