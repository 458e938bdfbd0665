"""The page Reconstruction error, its views of one run: overview, by group, by id, best and worst tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from ....analysis.parts import Part, parts_of, places_of
from ....base.text import count_text, percent_text
from ....codec.methods import METHODS
from ....codec.subspaces import subspace_widths
from ....evaluate.similarity.effects import RUNS_OF_AXES
from ....models.vocabulary import KINDS, Vocabulary
from ....runs import compressed_of
from ...shell.frame import Frame
from ...shell.text import counted
from ...widgets.charts import download_csv, show
from ...widgets.leads import lead_table, token_lead
from ...widgets.other_side import other_side
from . import charts

if TYPE_CHECKING:
    from ....analysis.error import ReconstructionError

MOST_SCRIPTS = 25  # drawn; the table behind the chart has all
WORDS, ALL_KINDS = "whole word", "all kinds"
COUNTS = (5, 10, 20, 50)  # of best and of worst tokens, to choose from
NEIGHBOURS_LISTED = 6


@dataclass
class Measured:
    """The run on the page with the error of every token, measured when first asked for."""

    frame: Frame  # of the page

    @property
    def key(self) -> str:
        return self.frame.run.key

    @cached_property
    def error(self) -> "ReconstructionError":
        return error_of(self.key, self.frame.table, self.frame.compressed)

    @cached_property
    def other(self) -> "ReconstructionError | None":
        """The error of run B, where one is compared with."""
        run = self.frame.other
        return None if run is None else error_of(run.key, self.frame.table, compressed_of(run.key))

    @property
    def content(self) -> tuple[str, ...]:
        """What charts of both runs follow from."""
        return (self.key, *([] if self.frame.other is None else [self.frame.other.key]))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return self.frame.vocabulary

    def __len__(self) -> int:
        return len(self.error.per_token)


@st.cache_resource(max_entries=4, show_spinner="Measuring the error of every token …")
def error_of(key: str, _table, _compressed) -> "ReconstructionError":
    """The error of a run; its arrays are read-only."""
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
    other_side(measured.frame)
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
    error, quality, other = measured.error, measured.frame.run.quality, measured.other

    def of_b(text: Callable[["ReconstructionError"], str]) -> dict[str, str]:
        """What stands below a number of run A."""
        return {} if other is None else {"delta": f"run B {text(other)}", "delta_color": "off", "delta_arrow": "off"}

    with st.container(horizontal=True):
        st.metric(
            "Relative error",
            small_text(error.relative),
            **of_b(lambda found: small_text(found.relative)),
            help="Squared error over the table's variance about its mean: 0 is perfect, 1 is what the mean vector gives.",
            width=150,
        )
        st.metric(
            "Mean cosine",
            f"{error.mean_cosine:.3f}",
            **of_b(lambda found: f"{found.mean_cosine:.3f}"),
            help="Of a token's vector and its reconstruction.",
            width=150,
        )
        st.metric(
            "Cosine, lowest 5 %",
            f"≤ {error.cosine_quantiles[0.05]:.3f}",
            **of_b(lambda found: f"≤ {found.cosine_quantiles[0.05]:.3f}"),
            help="5 % of the tokens have this cosine or less.",
            width=150,
        )
        st.metric(
            "Error above 1",
            percent_text(float((error.per_token > 1).mean())),
            **of_b(lambda found: percent_text(float((found.per_token > 1).mean()))),
            help="Tokens whose squared error is more than the mean squared distance of a token from the mean vector.",
            width=150,
        )
        if quality.get("weighted_error") is not None:
            st.metric(
                "Weighted error", small_text(quality["weighted_error"]), help="Every token counted by its weight.", width=150
            )


def small_text(value: float) -> str:
    """Three digits after the point, or two significant ones where those would show nothing.

    >>> small_text(0.9312), small_text(0.0000312), small_text(0.0)
    ('0.931', '3.1e-05', '0.000')
    """
    return f"{value:.3f}" if value == 0 or value >= 0.01 else f"{value:.2g}"


def error_distribution(measured: Measured) -> None:
    """Tokens by relative squared error."""
    values, other = measured.error.per_token, measured.other
    top = charts.upper_limit(values if other is None else np.concatenate([values, other.per_token]))
    beyond = int((values > top).sum())
    table = charts.histogram(values, "error", limits=(0.0, top if top > 0 else 1.0))
    if other is not None:
        table[charts.OTHER] = charts.histogram(other.per_token, "error", limits=(0.0, top if top > 0 else 1.0))["tokens"]
    median = float(np.median(values))
    marks = {"mean": measured.error.relative, "median": median}
    show(
        lambda: charts.distribution_chart(
            table, "Error of every token", "relative squared error of a token", of_a(marks, other)
        ),
        f"Distribution of the relative squared error over {count_text(len(values))} tokens: mean "
        f"{small_text(measured.error.relative)}, median {small_text(median)}, from {small_text(values.min())} to "
        f"{small_text(values.max())}.",
        table,
        key="error_distribution",
        file_name="subemb-error-distribution.csv",
        content=measured.content,
    )
    if beyond:
        st.caption(f"The last bar holds the {count_text(beyond)} tokens beyond {small_text(top)} as well.")


def of_a(marks: dict[str, float], other: object | None) -> dict[str, float]:
    """Names of marks that say whose they are where two runs are drawn."""
    return marks if other is None else {f"{name} of A": value for name, value in marks.items()}


def cosine_distribution(measured: Measured) -> None:
    """Tokens by cosine of original and reconstruction."""
    values, other = measured.error.cosine, measured.other
    lowest = min(0.0, float(values.min()), *([] if other is None else [float(other.cosine.min())]))
    table = charts.histogram(values, "cosine", limits=(lowest, 1.0))
    if other is not None:
        table[charts.OTHER] = charts.histogram(other.cosine, "cosine", limits=(lowest, 1.0))["tokens"]
    marks = {"mean": measured.error.mean_cosine, "lowest 5 %": measured.error.cosine_quantiles[0.05]}
    show(
        lambda: charts.distribution_chart(
            table, "Cosine of original and compressed", "cosine (1: same direction)", of_a(marks, other)
        ),
        f"Distribution of the cosine over {count_text(len(values))} tokens: mean {marks['mean']:.3f}, 5 % of the tokens at most "
        f"{marks['lowest 5 %']:.3f}, from {values.min():.3f} to {values.max():.3f}.",
        table,
        key="cosine_distribution",
        file_name="subemb-cosine-distribution.csv",
        content=measured.content,
    )


def norms_view(measured: Measured) -> None:
    """Lengths of the vectors, original and compressed."""
    table = norms_of(measured.key, measured.frame.table, measured.frame.reconstruction)
    middle = (table["norm from"] + table["norm to"]) / 2
    means = {name: float((middle * table[name]).sum() / table[name].sum()) for name in ("original", "compressed")}
    show(
        lambda: charts.norms_chart(table),
        f"Distribution of the Euclidean norm of the vectors: about {means['original']:.2f} on average in the original table and "
        f"{means['compressed']:.2f} after compression.",
        table,
        key="norms",
        file_name="subemb-norms.csv",
        content=measured.key,
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
        lambda: charts.subspace_chart(table, measured.error.relative, title, axis),
        f"Relative squared error of each of {len(table)} subspaces or runs of axes, from {table['error'].min():.3f} to "
        f"{table['error'].max():.3f}; the whole table has {measured.error.relative:.3f}.",
        table,
        key="subspace_errors",
        file_name="subemb-error-by-subspace.csv",
        content=measured.key,
    )
    if frame.run.settings.tiers:
        st.caption("Every tier has its own subspaces, so equal runs of axes are shown. By tier: view **Kinds and scripts**.")
    elif not len(measured.error.per_subspace):
        st.caption(f"{METHODS[frame.run.settings.method].title} has no subspaces, so equal runs of axes are shown.")


# Kinds and scripts


def kinds_view(measured: Measured) -> None:
    """Error by kind of token, or by script."""
    vocabulary = measured.vocabulary
    grouping = st.segmented_control(
        "Group tokens by",
        ["kind", "script", *(["tier"] if measured.frame.run.settings.tiers else [])],
        default="kind",
        required=True,
        key="group",
        bind="query-params",
        persist_state="session",
    )
    if grouping == "kind":
        labels, order = vocabulary.kinds, list(KINDS)
    elif grouping == "tier":
        labels, order = tier_labels(parts_of(measured.frame.compressed))
    else:
        labels, order = vocabulary.scripts, None
    table = groups_of(measured.key, grouping, labels, measured.error, order)
    shown = table.head(MOST_SCRIPTS)
    if len(shown) < len(table):
        st.caption(f"The {len(shown)} largest of {len(table)} {grouping}s are drawn; the table behind the chart has all.")
    worst = shown.loc[shown["mean"].idxmax()]
    best = shown.loc[shown["mean"].idxmin()]
    show(
        lambda: charts.group_chart(shown, f"Error by {grouping} of token, with the number of tokens", measured.error.relative),
        f"Relative squared error of {len(shown)} groups of tokens: lowest mean {best['mean']:.3f} for {best['group']}, highest "
        f"{worst['mean']:.3f} for {worst['group']}; all tokens have {measured.error.relative:.3f}.",
        table,
        key=f"groups_{grouping}",
        file_name=f"subemb-error-by-{grouping}.csv",
        content=measured.key,
    )
    st.caption(
        "Script: that of most letters of a token; tokens without letters are Common."
        if grouping == "script"
        else "Tiers of tokens by weight: tier 1 has the heaviest, which get the most numbers."
        if grouping == "tier"
        else "Unused: placeholders of the tokenizer. Padding row: a row beyond the tokenizer's last token. Whitespace and symbols "
        "count as punctuation."
    )


def tier_labels(parts: Sequence[Part]) -> tuple[np.ndarray, list[str]]:
    """(V,) the tier of every token in words, and the tiers in order."""
    names = [f"tier {part.number}: {part.form.words}" for part in parts]
    return np.array(names, dtype=object)[places_of(parts)[0]], names


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
    by_id = order_name == "token id"
    table = ordered(measured.key, by_id, logarithmic, measured.error, vocabulary)
    left_out = len(measured) - int(table["tokens"].sum())
    axis = "token id" if by_id else "rank, most frequent first"
    show(
        lambda: charts.order_chart(
            table, f"Error by {axis}", axis + (" + 1 (logarithmic)" if logarithmic else ""), logarithmic
        ),
        f"Relative squared error in {len(table)} runs of tokens ordered by {order_name}: median {table['median'].iloc[0]:.3f} in the "
        f"first run and {table['median'].iloc[-1]:.3f} in the last.",
        table,
        key="order_chart",
        file_name="subemb-error-by-id.csv",
        content=(measured.key, by_id, logarithmic),
    )
    st.caption(
        f"{count_text(int(table['tokens'].sum()))} tokens in {len(table)} runs of {count_text(int(table['tokens'].min()))} to "
        f"{count_text(int(table['tokens'].max()))}."
        + (f" {count_text(left_out)} tokens without a score are left out." if left_out else "")
        + (" Many vocabularies are in order of frequency, most frequent first, after the special tokens." if by_id else "")
    )


@st.cache_data(max_entries=32, show_spinner=False)
def ordered(key: str, by_id: bool, logarithmic: bool, _error, _vocabulary) -> pd.DataFrame:
    """Error along the vocabulary of a run; tokens without a score are left out of the order by score."""
    order = None
    if not by_id:
        known = np.flatnonzero(np.isfinite(_vocabulary.scores))
        order = known[np.argsort(-_vocabulary.scores[known], kind="stable")]
    return charts.order_table(_error.per_token, _error.cosine, order, logarithmic=logarithmic)


# Best and worst


@st.cache_data(max_entries=32, show_spinner="Finding their neighbours …")
def neighbours_of(key: str, ids: tuple[int, ...], k: int, _table, _reconstruction):
    """The NeighboursCompared of several tokens. key: of the run that ``_reconstruction`` belongs to."""
    from ....analysis import compare_neighbours

    return compare_neighbours(_table, _reconstruction, np.array(ids, dtype=np.int64), k)


def extremes(values: np.ndarray, count: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the ``count`` smallest and largest values, most extreme first. allowed: (V,) bool, the tokens that take part.

    >>> [ids.tolist() for ids in extremes(np.array([3.0, 1.0, 2.0, 0.0]), 2)]
    [[3, 1], [0, 2]]
    """
    ids = np.arange(len(values)) if allowed is None else np.flatnonzero(allowed)
    order = ids[np.argsort(values[ids], kind="stable")]
    return order[:count], order[::-1][:count]


@st.cache_data(max_entries=8, show_spinner=False)
def identical_of(key: str, _compressed) -> np.ndarray:
    """(V,) how many other tokens have the same codes as each: they cannot be told apart any more. 0 where nothing is shared."""
    found = np.zeros(_compressed.num_embeddings, dtype=np.int64)
    for part in parts_of(_compressed):
        if part.codes is not None:
            _, group, size = np.unique(part.codes, axis=0, return_inverse=True, return_counts=True)
            found[part.ids] = size[group.ravel()] - 1
    return found


def extremes_view(measured: Measured) -> None:
    """Best and worst tokens with their neighbours before and after."""
    vocabulary, error = measured.vocabulary, measured.error
    first, second, third = st.columns(3)
    by = first.segmented_control(
        "Measure", ["error", "cosine"], default="error", required=True, key="by", bind="query-params", persist_state="session"
    )
    # Words first: what is worst of all tokens are mostly placeholders and pieces that nobody has an idea of.
    present = sorted((kind for kind in KINDS if (vocabulary.kinds == kind).any()), key=lambda kind: kind != WORDS)
    options = [*present[:1], ALL_KINDS, *present[1:]] if WORDS in present else [ALL_KINDS, *present]
    kind = second.selectbox("Tokens", options, key="kind", bind="query-params", persist_state="session")
    count = third.selectbox("How many", COUNTS, index=1, key="count", bind="query-params", persist_state="session")
    values = error.per_token if by == "error" else -error.cosine
    best, worst = extremes(values, count, None if kind == ALL_KINDS else vocabulary.kinds == kind)
    what = "tokens" if kind == ALL_KINDS else "whole words" if kind == WORDS else f"tokens of the kind {kind}"
    high, low = ("highest error", "lowest error") if by == "error" else ("lowest cosine", "highest cosine")
    st.caption(
        f"Each with its {NEIGHBOURS_LISTED} nearest tokens by cosine, in the original table and after compression; "
        "✓ and bold: near on both sides; of tokens that are equally near none is lost. Any token leads to its inspector."
    )
    for ids, title, key in ((worst, f"Worst {what}: {high}", "worst"), (best, f"Best {what}: {low}", "best")):
        table = extremes_table(measured, ids)
        st.html(extremes_html(table, title))
        with st.expander(f"Table behind this list ({counted(len(table), 'row')})"):
            table = table.drop(columns=["before_ids", "after_ids"])
            st.dataframe(table, hide_index=True, key=f"{key}_table", alt=title)
            download_csv(table, f"subemb-{key}-tokens.csv", key=f"{key}_download")


def extremes_table(measured: Measured, ids: np.ndarray) -> pd.DataFrame:
    """One row a token, with its neighbours in the original table and in the reconstruction."""
    frame, vocabulary = measured.frame, measured.vocabulary
    asked = tuple(ids.tolist())
    found = neighbours_of(measured.key, asked, NEIGHBOURS_LISTED, frame.table, frame.reconstruction)

    def named(lists: np.ndarray, kept: np.ndarray) -> list[list[str]]:
        return [
            [("✓ " if also else "") + vocabulary.display[i] for i, also in zip(row, marks, strict=True)]
            for row, marks in zip(lists.tolist(), kept.tolist(), strict=True)
        ]

    return pd.DataFrame(
        {
            "token": [vocabulary.display[i] for i in asked],
            "id": ids,
            "kind": vocabulary.kinds[ids],
            "error": measured.error.per_token[ids],
            "cosine": measured.error.cosine[ids],
            "kept": found.kept,
            "identical": identical_of(measured.key, frame.compressed)[ids],
            "before": named(found.before.ids, found.also_after),
            "after": named(found.after.ids, found.also_before),
            "before_ids": found.before.ids.tolist(),
            "after_ids": found.after.ids.tolist(),
        }
    )


EXTREMES = {
    "Token": False, "Error": True, "Cosine": True, "Kept": True, "Neighbours before": False, "Neighbours after": False
}  # fmt: skip


def extremes_html(table: pd.DataFrame, title: str) -> str:
    """The rows of :func:`extremes_table` as an HTML table, whose tokens lead to their inspectors."""

    def chips(ids: list[int], names: list[str]) -> str:
        marked = [
            (number, name, "chip kept" if name.startswith("✓ ") else "chip") for number, name in zip(ids, names, strict=True)
        ]
        return f'<span class="chips">{"".join(token_lead(*one) for one in marked)}</span>'

    rows = []
    for row in table.itertuples():
        same = f"<small>{counted(row.identical, 'token')} {'is' if row.identical == 1 else 'are'} identical to it now</small>"
        rows.append(
            (
                f"{token_lead(row.id, row.token)}<small>#{row.id} · {row.kind}</small>",
                f"{row.error:.3f}",
                f"{row.cosine:.3f}",
                f"{row.kept} of {len(row.before)}",
                chips(row.before_ids, row.before),
                chips(row.after_ids, row.after) + (same if row.identical else ""),
            )
        )
    return lead_table(title, EXTREMES, rows)
