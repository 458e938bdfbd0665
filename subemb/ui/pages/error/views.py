"""The page Reconstruction error, its views of one run: overview, by group, by id, best and worst tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import streamlit as st

from ....analysis.error import ReconstructionError
from ....analysis.parts import Part, identical, parts_of, places_of
from ....base.text import count_text, number_text, percent_text, sentence_case
from ....codec.methods import METHODS
from ....codec.subspaces import subspace_widths
from ....evaluate.similarity.effects import RUNS_OF_AXES
from ....models.vocabulary import KINDS, Vocabulary
from ...shell.frame import Frame
from ...shell.sides import ADAPTED, COMPRESSED, Side
from ...shell.text import counted, unbroken
from ...widgets.charts import download_csv, show
from ...widgets.leads import lead_table, token_lead
from . import charts

MOST_SCRIPTS = 25  # drawn; the table behind the chart has all
WORDS, ALL_KINDS = "whole word", "all kinds"
BETWEEN = "difference"  # a measure of best and worst tokens, where two tables are compared
COUNTS = (5, 10, 20, 50)  # of best and of worst tokens, to choose from
NEIGHBOURS_LISTED = 6


@dataclass
class Measured:
    """The table on the page, or A and B, with the error of every token, measured when first asked for."""

    frame: Frame  # of the page

    @property
    def side(self) -> Side:
        """The compressed table on the page; A where two are compared."""
        return self.frame.first

    @property
    def key(self) -> str:
        return self.side.key

    @cached_property
    def error(self) -> ReconstructionError:
        return error_of(self.key, self.frame.table, self.side.compressed)

    @cached_property
    def beside(self) -> "Measured | None":
        """The table that this one is compared with; None for the original."""
        return None if self.frame.second is None else MeasuredSecond(self.frame)

    @cached_property
    def other(self) -> ReconstructionError | None:
        """The error of the table that this one is compared with, where there is one."""
        return None if self.beside is None else self.beside.error

    @property
    def names(self) -> tuple[str, str]:
        """What the table and the other one are called; the second is empty for the original."""
        return self.side.name, "" if self.beside is None else self.beside.side.name

    @property
    def content(self) -> tuple[str, ...]:
        """What charts of both tables follow from."""
        return (self.key, *self.names, *([] if self.beside is None else [self.beside.key]))

    def of_it(self) -> str:
        """``, run A`` for titles, where there are two."""
        return "" if self.side.name == COMPRESSED else f", {self.side.name}"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return self.frame.vocabulary

    def __len__(self) -> int:
        return len(self.error.per_token)


class MeasuredSecond(Measured):
    """The second of two tables on the page."""

    @property
    def side(self) -> Side:
        return self.frame.second

    @property
    def beside(self) -> None:
        return None


@st.cache_resource(max_entries=4, show_spinner="Measuring the error of every token …")
def error_of(key: str, _table, _compressed) -> ReconstructionError:
    """The error of a run; its arrays are read-only."""
    from ....analysis import reconstruction_error

    return reconstruction_error(_table, _compressed)


@st.cache_data(max_entries=16, show_spinner=False)
def norms_of(content: tuple[str, ...], _table, _compressed) -> pd.DataFrame:
    """Histogram of the norms before and after. content: what the compressed tables, by name, follow from."""
    after = {name: compressed.reconstruct().norm(dim=1).numpy() for name, compressed in _compressed.items()}
    return charts.norms_table(_table.norm(dim=1).numpy(), after)


@st.cache_data(max_entries=16, show_spinner=False)
def axis_errors_of(key: str, widths: tuple[int, ...], _table, _reconstruction) -> np.ndarray:
    """Relative errors of runs of axes, for methods without subspaces."""
    from ....analysis import reconstruction_error

    return reconstruction_error(_table, _reconstruction, widths=list(widths)).per_subspace


# Overview


def overview(measured: Measured) -> None:
    """Distribution over tokens, lengths of the vectors, and the error of every subspace."""
    names = [measured.side.name, *([] if measured.beside is None else [measured.beside.side.name])]
    errors = [measured.error.relative, *([] if measured.other is None else [measured.other.relative])]
    is_weighed = measured.other is None and measured.side.name != ADAPTED
    st.markdown(unbroken(verdict(names, errors, measured.side.run.quality.get("weighted_error") if is_weighed else None)))
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
        if measured.beside is not None:
            subspaces_view(measured.beside, "_other")


def verdict(names: Sequence[str], errors: Sequence[float], weighted: float | None = None) -> str:
    """What the error of one table, or of two, means, in markdown. weighted: of the one, if it is known.

    >>> verdict(["compressed"], [0.892], 0.771)
    '**The compressed vectors keep 11 % of the differences between tokens**, or 23 % where each token counts by its weight.'
    >>> verdict(["run A", "run B"], [0.6, 1.2])
    '**Run A keeps 40 % of the differences between tokens, run B none.**'
    """
    kept = [percent_text(1 - error, 2) if error < 1 else "none" for error in errors]
    if len(names) > 1:
        first, second = names
        return f"**{sentence_case(first)} keeps {kept[0]} of the differences between tokens, {second} {kept[1]}.**"
    more = "" if weighted is None else f", or {percent_text(max(0.0, 1 - weighted), 2)} where each token counts by its weight"
    return f"**The {names[0]} vectors keep {kept[0]} of the differences between tokens**{more}."


def summary(measured: Measured) -> None:
    """The numbers of the whole table."""
    error, other = measured.error, measured.other
    quality = {} if measured.side.name == ADAPTED else measured.side.run.quality

    def of_b(text: Callable[[ReconstructionError], str]) -> dict[str, str]:
        """What stands below a number of run A."""
        return (
            {} if other is None else {"delta": f"{measured.names[1]} {text(other)}", "delta_color": "off", "delta_arrow": "off"}
        )

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
            number_text(error.mean_cosine, 3),
            **of_b(lambda found: number_text(found.mean_cosine, 3)),
            help="Of a token's vector and its reconstruction.",
            width=150,
        )
        st.metric(
            "Cosine, lowest 5 %",
            f"≤ {number_text(error.cosine_quantiles[0.05], 3)}",
            **of_b(lambda found: f"≤ {number_text(found.cosine_quantiles[0.05], 3)}"),
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
        table[measured.names[1]] = charts.histogram(other.per_token, "error", limits=(0.0, top if top > 0 else 1.0))["tokens"]
    median = float(np.median(values))
    marks = {"mean": measured.error.relative, "median": median}
    show(
        lambda: charts.distribution_chart(
            table, "Error of every token", "relative error of a token", of_first(marks, measured.names), measured.names
        ),
        f"Distribution of the relative error over {count_text(len(values))} tokens: mean "
        f"{small_text(measured.error.relative)}, median {small_text(median)}, from {small_text(values.min())} to "
        f"{small_text(values.max())}.",
        table,
        key="error_distribution",
        file_name="subemb-error-distribution.csv",
        content=measured.content,
    )
    if beyond:
        st.caption(f"The last bar holds the {count_text(beyond)} tokens beyond {small_text(top)} as well.")


def of_first(marks: dict[str, float], names: tuple[str, str]) -> dict[str, float]:
    """Names of marks that say whose they are where two tables are drawn.

    >>> of_first({"mean": 0.5}, ("run A", "run B")), of_first({"mean": 0.5}, ("compressed", ""))
    ({'mean, run A': 0.5}, {'mean': 0.5})
    """
    return marks if not names[1] else {f"{name}, {names[0]}": value for name, value in marks.items()}


def cosine_distribution(measured: Measured) -> None:
    """Tokens by cosine of original and reconstruction."""
    values, other = measured.error.cosine, measured.other
    lowest = min(0.0, float(values.min()), *([] if other is None else [float(other.cosine.min())]))
    table = charts.histogram(values, "cosine", limits=(lowest, 1.0))
    if other is not None:
        table[measured.names[1]] = charts.histogram(other.cosine, "cosine", limits=(lowest, 1.0))["tokens"]
    marks = {"mean": measured.error.mean_cosine, "lowest 5 %": measured.error.cosine_quantiles[0.05]}
    show(
        lambda: charts.distribution_chart(
            table,
            "Cosine of original and compressed",
            "cosine (1: same direction)",
            of_first(marks, measured.names),
            measured.names,
        ),
        f"Distribution of the cosine over {count_text(len(values))} tokens: mean {number_text(marks['mean'], 3)}, 5 % of the tokens at most "
        f"{number_text(marks['lowest 5 %'], 3)}, from {number_text(values.min(), 3)} to {number_text(values.max(), 3)}.",
        table,
        key="cosine_distribution",
        file_name="subemb-cosine-distribution.csv",
        content=measured.content,
    )


def norms_view(measured: Measured) -> None:
    """Lengths of the vectors, original and compressed."""
    table = norms_of(measured.content, measured.frame.table, {side.name: side.compressed for side in measured.frame.sides})
    middle = (table["norm from"] + table["norm to"]) / 2
    names = ["original", *(side.name for side in measured.frame.sides)]
    means = [f"{float((middle * table[name]).sum() / table[name].sum()):.2f} {name}" for name in names]
    show(
        lambda: charts.norms_chart(table),
        f"Distribution of the Euclidean norm of the vectors, on average: {', '.join(means)}.",
        table,
        key="norms",
        file_name="subemb-norms.csv",
        content=measured.content,
    )


def subspaces_view(measured: Measured, ending: str = "") -> None:
    """Error of every subspace; runs of axes for methods without. ending: of the keys of its widgets."""
    frame, errors, settings = measured.frame, measured.error.per_subspace, measured.side.run.settings
    rotated = getattr(measured.side.compressed, "rotation", None) is not None
    if len(errors):
        widths = list(measured.side.compressed.widths)
        title, axis = f"Error of every subspace{measured.of_it()}", "subspace" + (" (after the rotation)" if rotated else "")
    else:
        widths = subspace_widths(frame.model.dim, min(RUNS_OF_AXES, frame.model.dim))
        errors = axis_errors_of(measured.key, tuple(widths), frame.table, measured.side.reconstruction)
        title, axis = f"Error along the axes{measured.of_it()}", f"run of about {round(frame.model.dim / len(widths))} axes"
    table = charts.subspace_table(errors, widths)
    show(
        lambda: charts.subspace_chart(table, measured.error.relative, title, axis),
        f"Relative error of each of {len(table)} subspaces or runs of axes, from {table['error'].min():.3f} to "
        f"{table['error'].max():.3f}; the whole table has {measured.error.relative:.3f}.",
        table,
        key=f"subspace_errors{ending}",
        file_name="subemb-error-by-subspace.csv",
        content=(measured.key, measured.side.name),
    )
    if settings.tiers:
        st.caption("Every tier has its own subspaces, so equal runs of axes are shown. By tier: view **Kinds and scripts**.")
    elif not len(measured.error.per_subspace):
        st.caption(f"{METHODS[settings.method].title} has no subspaces, so equal runs of axes are shown.")


# Kinds and scripts


def kinds_view(measured: Measured) -> None:
    """Error by kind of token, or by script."""
    vocabulary = measured.vocabulary
    grouping = st.segmented_control(
        "Group tokens by",
        ["kind", "script", *(["tier"] if measured.side.run.settings.tiers else [])],
        default="kind",
        required=True,
        key="group",
        bind="query-params",
        persist_state="session",
    )
    if grouping == "kind":
        labels, order = vocabulary.kinds, list(KINDS)
    elif grouping == "tier":
        labels, order = tier_labels(parts_of(measured.side.compressed))
    else:
        labels, order = vocabulary.scripts, None
    table = groups_of(measured.key, grouping, labels, measured.error, order)
    if measured.beside is not None:
        beside = groups_of(f"{measured.key} {measured.beside.key}", grouping, labels, measured.other, order)
        table = table.merge(beside[["group", "mean", "median"]], on="group", suffixes=("", f" {measured.names[1]}"))
    shown = table.head(MOST_SCRIPTS)
    if len(shown) < len(table):
        st.caption(f"The {len(shown)} largest of {len(table)} {grouping}s are drawn; the table behind the chart has all.")
    worst = shown.loc[shown["mean"].idxmax()]
    best = shown.loc[shown["mean"].idxmin()]
    show(
        lambda: charts.group_chart(
            shown, f"Error by {grouping}, with the number of tokens", measured.error.relative, measured.names
        ),
        f"Relative error of {len(shown)} groups of tokens: lowest mean {best['mean']:.3f} for {best['group']}, highest "
        f"{worst['mean']:.3f} for {worst['group']}; all tokens have {measured.error.relative:.3f}.",
        table,
        key=f"groups_{grouping}",
        file_name=f"subemb-error-by-{grouping}.csv",
        content=measured.content,
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
    if measured.beside is not None:
        beside = ordered(measured.beside.key, by_id, logarithmic, measured.other, vocabulary)
        table = table.assign(**{f"{name} {measured.names[1]}": beside[name] for name in ("median", "mean", "cosine")})
    left_out = len(measured) - int(table["tokens"].sum())
    axis = "token id" if by_id else "rank, most frequent first"
    show(
        lambda: charts.order_chart(
            table, f"Error by {axis}", axis + (" + 1 (logarithmic)" if logarithmic else ""), logarithmic, measured.names
        ),
        f"Relative error in {len(table)} runs of tokens ordered by {order_name}: median {table['median'].iloc[0]:.3f} in the "
        f"first run and {table['median'].iloc[-1]:.3f} in the last.",
        table,
        key="order_chart",
        file_name="subemb-error-by-id.csv",
        content=(*measured.content, by_id, logarithmic),
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
    """(V,) how many other tokens are the same as each after compression."""
    return identical(parts_of(_compressed))


def extremes_view(measured: Measured) -> None:
    """Best and worst tokens with their neighbours before and after; of two tables also the tokens that differ most."""
    vocabulary, error, other = measured.vocabulary, measured.error, measured.other
    first, second, third = st.columns(3)
    measures = ["error", "cosine"] if other is None else ["error", "cosine", BETWEEN]
    if st.session_state.get("by") not in measures:
        st.session_state.pop("by", None)
    by = first.segmented_control(
        "Measure", measures, default="error", required=True, key="by", bind="query-params", persist_state="session"
    )
    # Words first: what is worst of all tokens are mostly placeholders and pieces that nobody has an idea of.
    present = sorted((kind for kind in KINDS if (vocabulary.kinds == kind).any()), key=lambda kind: kind != WORDS)
    options = [*present[:1], ALL_KINDS, *present[1:]] if WORDS in present else [ALL_KINDS, *present]
    kind = second.selectbox("Tokens", options, key="kind", bind="query-params", persist_state="session")
    count = third.selectbox("How many", COUNTS, index=1, key="count", bind="query-params", persist_state="session")
    what = "tokens" if kind == ALL_KINDS else "whole words" if kind == WORDS else f"tokens of the kind {kind}"
    if by == BETWEEN and other is not None:
        values = error.per_token - other.per_token
        titles = [f"{what.capitalize()} that {name} keeps better: smaller error" for name in reversed(measured.names)]
    else:
        values = error.per_token if by == "error" else -error.cosine
        high, low = ("highest error", "lowest error") if by == "error" else ("lowest cosine", "highest cosine")
        titles = [f"Worst {what}{measured.of_it()}: {high}", f"Best {what}{measured.of_it()}: {low}"]
    best, worst = extremes(values, count, None if kind == ALL_KINDS else vocabulary.kinds == kind)
    st.caption(
        f"Each with its {NEIGHBOURS_LISTED} nearest tokens by cosine, in the original table and after compression; "
        "✓ and bold: near on both sides, ties included. Any token leads to its inspector."
    )
    for ids, title, key in zip((worst, best), titles, ("worst", "best"), strict=True):
        table = extremes_table(measured, ids)
        beside = None if measured.beside is None else extremes_table(measured.beside, ids)
        st.html(extremes_html(table, title, beside, measured.names))
        with st.expander(f"Table behind this list ({counted(len(table), 'row')})"):
            table = table.drop(columns=["before_ids", "after_ids"])
            if beside is not None:
                more = beside[["error", "cosine", "kept", "identical", "after"]].add_suffix(f" {measured.names[1]}")
                table = pd.concat([table, more], axis=1)
            st.dataframe(table, hide_index=True, key=f"{key}_table", alt=title)
            download_csv(table, f"subemb-{key}-tokens.csv", key=f"{key}_download")


def extremes_table(measured: Measured, ids: np.ndarray) -> pd.DataFrame:
    """One row a token, with its neighbours in the original table and in the reconstruction."""
    side, vocabulary = measured.side, measured.vocabulary
    asked = tuple(ids.tolist())
    found = neighbours_of(measured.key, asked, NEIGHBOURS_LISTED, measured.frame.table, side.reconstruction)

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
            "identical": identical_of(measured.key, side.compressed)[ids],
            "before": named(found.before.ids, found.also_after),
            "after": named(found.after.ids, found.also_before),
            "before_ids": found.before.ids.tolist(),
            "after_ids": found.after.ids.tolist(),
        }
    )


def extremes_html(
    table: pd.DataFrame, title: str, beside: pd.DataFrame | None = None, names: tuple[str, str] = ("compressed", "")
) -> str:
    """The rows of :func:`extremes_table` as an HTML table, whose tokens lead to their inspectors.

    beside: the same tokens in a second table. names: of the two.
    """

    def chips(ids: list[int], texts: list[str]) -> str:
        marked = [
            (number, text, "chip kept" if text.startswith("✓ ") else "chip") for number, text in zip(ids, texts, strict=True)
        ]
        return f'<span class="chips">{"".join(token_lead(*one) for one in marked)}</span>'

    def after(row) -> str:
        same = f"<small>{counted(row.identical, 'token')} {'is' if row.identical == 1 else 'are'} identical to it now</small>"
        return chips(row.after_ids, row.after) + (same if row.identical else "")

    two = beside is not None
    ends = [f", {name}" for name in names] if two else [""]
    columns = {"Token": False} | {
        f"{what}{end}": True for what in ("Error", "Cosine", "Kept")[:: 2 if two else 1] for end in ends
    }
    columns |= {"Neighbours before": False} | {(f"After{end}" if two else "Neighbours after"): False for end in ends}
    rows = []
    for row, other in zip(table.itertuples(), (beside if two else table).itertuples(), strict=True):
        of_both = [row, other] if two else [row]
        rows.append(
            [
                f"{token_lead(row.id, row.token)}<small>#{row.id} · {row.kind}</small>",
                *(f"{each.error:.3f}" for each in of_both),
                *([] if two else [number_text(row.cosine, 3)]),
                *(f"{each.kept} of {len(row.before)}" for each in of_both),
                chips(row.before_ids, row.before),
                *(after(each) for each in of_both),
            ]
        )
    return lead_table(title, columns, rows)
