"""The page Reconstruction error: what the views draw, and the cached measurements behind them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import streamlit as st

from ....codec.settings import METHODS
from ....codec.subspaces import subspace_widths
from ....evaluate.blocks import RUNS_OF_AXES
from ....format import count_text, percent_text
from ....models.vocabulary import KINDS
from ...shell.frame import Frame
from ...widgets.charts import show
from . import charts

MOST_SCRIPTS = 25


@dataclass
class Measured:
    """What the views of this page share."""

    frame: Frame

    @property
    def key(self) -> str:
        return self.frame.run.key

    @cached_property
    def error(self):
        """ReconstructionError of the run."""
        return error_of(self.key, self.frame.table, self.frame.compressed)

    @cached_property
    def vocabulary(self):
        return self.frame.vocabulary

    def __len__(self) -> int:
        return len(self.error.per_token)


@st.cache_resource(max_entries=4, show_spinner="Measuring the error of every token …")
def error_of(key: str, _table, _compressed):
    """ReconstructionError of a run; its arrays are read-only."""
    from ....analysis import reconstruction_error

    return reconstruction_error(_table, _compressed)


@st.cache_data(max_entries=16, show_spinner=False)
def norms_of(key: str, _table, _reconstruction) -> pd.DataFrame:
    """Histogram of the norms before and after."""
    return charts.norms_table(_table.norm(dim=1).numpy(), _reconstruction.norm(dim=1).numpy())


@st.cache_data(max_entries=16, show_spinner=False)
def axis_errors_of(key: str, widths: tuple[int, ...], _table, _reconstruction) -> np.ndarray:
    """Relative errors of runs of axes, for methods without subspaces."""
    from ....analysis import reconstruction_error

    return reconstruction_error(_table, _reconstruction, widths=list(widths)).per_subspace


# Overview


def overview(measured: Measured) -> None:
    """Distribution over tokens, lengths of the vectors, and the error of every subspace."""
    summary(measured)
    left, right = st.columns(2, gap="medium")
    with left:
        error_distribution(measured)
    with right:
        cosine_distribution(measured)
    with left:
        norms_view(measured)
    with right:
        subspaces_view(measured)


def summary(measured: Measured) -> None:
    """The numbers of the whole table."""
    error, quality = measured.error, measured.frame.run.quality
    with st.container(horizontal=True):
        st.metric(
            "Relative error",
            small_text(error.relative),
            help="Squared error over the table's variance about its mean: 0 is perfect, 1 is what the mean vector gives.",
            width=150,
        )
        st.metric("Mean cosine", f"{error.mean_cosine:.3f}", help="Of a token's vector and its reconstruction.", width=150)
        st.metric(
            "Cosine, lowest 5 %",
            f"≤ {error.cosine_quantiles[0.05]:.3f}",
            help="5 % of the tokens have this cosine or less.",
            width=150,
        )
        st.metric(
            "Error above 1",
            percent_text(float((error.per_token > 1).mean())),
            help="Tokens whose squared error is more than the mean squared distance of a token from the mean vector.",
            width=150,
        )
        if quality.get("weighted_error") is not None:
            st.metric(
                "Weighted error", small_text(quality["weighted_error"]), help="Every token counted by its weight.", width=150
            )


def small_text(value: float) -> str:
    """Three digits after the point, or two that count where that would show nothing.

    >>> small_text(0.9312), small_text(0.0000312), small_text(0.0)
    ('0.931', '3.1e-05', '0.000')
    """
    return f"{value:.3f}" if value == 0 or value >= 0.01 else f"{value:.2g}"


def error_distribution(measured: Measured) -> None:
    """Tokens by relative squared error."""
    values = measured.error.per_token
    top = charts.upper_limit(values)
    beyond = int((values > top).sum())
    table = charts.histogram(values, "error", limits=(0.0, top if top > 0 else 1.0))
    median = float(np.median(values))
    figure = charts.distribution_chart(
        table,
        "Error of every token",
        "relative squared error of a token",
        {"mean": measured.error.relative, "median": median},
    )
    show(
        figure,
        f"Distribution of the relative squared error over {count_text(len(values))} tokens: mean "
        f"{small_text(measured.error.relative)}, median {small_text(median)}, from {small_text(values.min())} to "
        f"{small_text(values.max())}.",
        table,
        key="error_distribution",
        file_name="subemb-error-distribution.csv",
    )
    if beyond:
        st.caption(f"The last bar holds the {count_text(beyond)} tokens beyond {small_text(top)} as well.")


def cosine_distribution(measured: Measured) -> None:
    """Tokens by cosine of original and reconstruction."""
    values = measured.error.cosine
    table = charts.histogram(values, "cosine", limits=(min(0.0, float(values.min())), 1.0))
    marks = {"mean": measured.error.mean_cosine, "lowest 5 %": measured.error.cosine_quantiles[0.05]}
    show(
        charts.distribution_chart(table, "Cosine of original and compressed", "cosine (1: same direction)", marks),
        f"Distribution of the cosine over {count_text(len(values))} tokens: mean {marks['mean']:.3f}, 5 % of the tokens at most "
        f"{marks['lowest 5 %']:.3f}, from {values.min():.3f} to {values.max():.3f}.",
        table,
        key="cosine_distribution",
        file_name="subemb-cosine-distribution.csv",
    )


def norms_view(measured: Measured) -> None:
    """Lengths of the vectors, original and compressed."""
    table = norms_of(measured.key, measured.frame.table, measured.frame.reconstruction)
    middle = (table["norm from"] + table["norm to"]) / 2
    means = {name: float((middle * table[name]).sum() / table[name].sum()) for name in ("original", "compressed")}
    show(
        charts.norms_chart(table),
        f"Distribution of the Euclidean norm of the vectors: about {means['original']:.2f} on average in the original table and "
        f"{means['compressed']:.2f} after compression.",
        table,
        key="norms",
        file_name="subemb-norms.csv",
    )


def subspaces_view(measured: Measured) -> None:
    """Error of every subspace; runs of axes for methods without."""
    frame, errors = measured.frame, measured.error.per_subspace
    rotated = getattr(frame.compressed, "rotation", None) is not None
    if len(errors):
        widths = list(frame.compressed.widths)
        title, axis = "Error of every subspace", "subspace" + (" (after the rotation)" if rotated else "")
    else:
        widths = subspace_widths(frame.model.dim, min(RUNS_OF_AXES, frame.model.dim))
        errors = axis_errors_of(measured.key, tuple(widths), frame.table, frame.reconstruction)
        title, axis = "Error along the axes", f"run of about {round(frame.model.dim / len(widths))} axes"
    table = charts.subspace_table(errors, widths)
    show(
        charts.subspace_chart(table, measured.error.relative, title, axis),
        f"Relative squared error of each of {len(table)} subspaces or runs of axes, from {table['error'].min():.3f} to "
        f"{table['error'].max():.3f}; the whole table has {measured.error.relative:.3f}.",
        table,
        key="subspace_errors",
        file_name="subemb-error-by-subspace.csv",
    )
    if not len(measured.error.per_subspace):
        st.caption(f"{METHODS[frame.run.settings.method].title} has no subspaces, so equal runs of axes are shown.")


# Kinds and scripts


def kinds_view(measured: Measured) -> None:
    """Error by kind of token, or by script."""
    vocabulary = measured.vocabulary
    grouping = st.segmented_control(
        "Group tokens by",
        ["kind", "script"],
        default="kind",
        required=True,
        key="group",
        bind="query-params",
        persist_state="session",
    )
    if grouping == "kind":
        labels, order = vocabulary.kinds, list(KINDS)
    else:
        labels, order = vocabulary.scripts, None
    table = groups_of(measured.key, grouping, labels, measured.error, order)
    shown = table.head(MOST_SCRIPTS)
    if len(shown) < len(table):
        st.caption(f"The {len(shown)} largest of {len(table)} {grouping}s are drawn; the table behind the chart has all.")
    worst = shown.loc[shown["mean"].idxmax()]
    best = shown.loc[shown["mean"].idxmin()]
    show(
        charts.group_chart(shown, f"Error by {grouping} of token, with the number of tokens", measured.error.relative),
        f"Relative squared error of {len(shown)} groups of tokens: lowest mean {best['mean']:.3f} for {best['group']}, highest "
        f"{worst['mean']:.3f} for {worst['group']}; all tokens have {measured.error.relative:.3f}.",
        table,
        key=f"groups_{grouping}",
        file_name=f"subemb-error-by-{grouping}.csv",
    )
    st.caption(
        "Script: that of most letters of a token; tokens without letters are Common."
        if grouping == "script"
        else "Unused: placeholders of the tokenizer. Padding row: a row beyond the tokenizer's last token. Whitespace and symbols "
        "count as punctuation."
    )


@st.cache_data(max_entries=16, show_spinner=False)
def groups_of(key: str, grouping: str, _labels, _error, _order) -> pd.DataFrame:
    """Error by group of a run."""
    return charts.group_table(_error.per_token, _error.cosine, _labels, _order)


# By id


def ids_view(measured: Measured) -> None:
    """Error along the vocabulary, by id or by the tokenizer's own measure of frequency."""
    vocabulary = measured.vocabulary
    by_score = {"log probability": "the tokenizer's probability", "merge rank": "the tokenizer's merge rank"}.get(
        vocabulary.score_kind
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    choices = ["token id", by_score] if by_score else ["token id"]
    order_name = left.segmented_control(
        "Order tokens by", choices, default="token id", required=True, key="order", bind="query-params", persist_state="session"
    )
    logarithmic = right.toggle("Logarithmic axis", key="log", bind="query-params", persist_state="session")
    order, left_out = None, 0
    if order_name != "token id":
        known = np.flatnonzero(np.isfinite(vocabulary.scores))
        order = known[np.argsort(-vocabulary.scores[known], kind="stable")]
        left_out = len(measured) - len(order)
    table = charts.order_table(measured.error.per_token, measured.error.cosine, order, logarithmic=logarithmic)
    axis = "token id" if order is None else "rank, most frequent first"
    show(
        charts.order_chart(table, f"Error by {axis}", axis + (" + 1 (logarithmic)" if logarithmic else ""), logarithmic),
        f"Relative squared error in {len(table)} runs of tokens ordered by {order_name}: median {table['median'].iloc[0]:.3f} in the "
        f"first run and {table['median'].iloc[-1]:.3f} in the last.",
        table,
        key="order_chart",
        file_name="subemb-error-by-id.csv",
    )
    st.caption(
        f"{count_text(int(table['tokens'].sum()))} tokens in {len(table)} runs of {count_text(int(table['tokens'].min()))} to "
        f"{count_text(int(table['tokens'].max()))}."
        + (f" {count_text(left_out)} tokens without a score are left out." if left_out else "")
        + (
            " Many vocabularies are in order of frequency, most frequent first, after the special tokens."
            if order is None
            else ""
        )
    )
