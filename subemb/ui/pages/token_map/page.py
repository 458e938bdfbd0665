"""The page Token map: two linked maps of the tokens, before and after compression, and the table of what is selected."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import streamlit as st

from ....analysis.layout import (
    Layout,
    UmapSettings,
    kept_umap_layout,
    layout_displacement,
    pca_layout,
    sample_tokens,
    warm_umap,
)
from ....base.pace import rough
from ....base.store import content_key
from ....base.text import count_text, escape_markdown, percent_text, seconds_text
from ....jobs.manager import Job
from ....jobs.task import Call
from ....runs import NEIGHBOURS
from ....tasks.layouts import arrange, estimated_seconds
from ...shell.frame import Frame, page
from ...shell.jobs import begin, stage_of, watch
from ...shell.text import errors_shown, show_error
from ...widgets.charts import LongFigure, download_csv
from .charts import found_text, map_figure
from .colours import CODE, Colouring, colouring_of, key_html
from .controls import View, controls
from .facts import Drawn, TokenFacts, kept_on_the_plane, layout_of, token_facts, token_table
from .link import heard_of, link_maps, message
from .selection import NOTHING, ORIGINAL, RECONSTRUCTED, Selection, after, sentence, within

MAPS_KEPT = 16  # for all visitors; one of 120,000 tokens has 8 MB
ROWS_SHOWN = 2_000  # of a table; the download has all
SELECTED = "map_selection"  # session state: the Selection
#: Map -> key of the container that holds its chart.
BOXES = {ORIGINAL: "map_original", RECONSTRUCTED: "map_reconstructed"}
#: The browser shows these buttons above each map.
TOOLS = [["lasso2d", "select2d", "pan2d", "zoom2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]]


def draw() -> None:
    """The page."""
    frame = page(
        "Token map",
        "Every token is a point: its original vector on the left, its reconstruction on the right, in the same coordinates. "
        "Select tokens on one map to see them on the other and in the table below.",
    )
    with frame.errors():
        if frame.run is not None:
            token_map(frame)


def token_map(frame: Frame) -> None:
    """Everything below the heading."""
    # UMAP takes long to compile: begin now, so that it may be ready when somebody asks for UMAP.
    warm_umap.warm()
    with st.spinner("Reading the vocabulary and projecting the tokens …"):
        facts, _ = _facts(frame.run.key, frame), _pca(frame.run.key, frame)
    identity = frame.run.model["identity"]
    if st.session_state.get("map_model") != identity:
        st.session_state["map_model"], st.session_state[SELECTED] = identity, NOTHING
    st.session_state[SELECTED] = within(st.session_state[SELECTED], frame.run.model["vocabulary"])
    _explore(frame, facts)


@st.fragment
def _explore(frame: Frame, facts: TokenFacts) -> None:
    """Controls, maps and tables. A fragment, so that choosing a colour redraws this and nothing of the frame."""
    with errors_shown():
        # The fragment at the end is known by its place: whatever comes and goes before it does so in one container.
        with st.container():
            view = controls(frame, facts)
            if view.method == "UMAP":
                layout = umap_view(frame, view)
                if layout is None:
                    return
            else:
                ids = sample_tokens(frame.run.model["vocabulary"], view.tokens, view.seed, view.found)
                layout = layout_of(_pca(frame.run.key, frame), ids)
            numbers(frame, view, layout)
            search_note(view, layout)
            maps(frame, view, facts, layout)
            sample_note(frame, view, layout)
        selection_view(frame, view, facts, layout)


# Measured once, for all visitors


@st.cache_resource(max_entries=4, show_spinner=False)
def _facts(key: str, _frame: Frame) -> TokenFacts:
    return token_facts(_frame.table, _frame.compressed, _frame.vocabulary)


@st.cache_resource(max_entries=4, show_spinner=False)
def _pca(key: str, _frame: Frame) -> Layout:
    return pca_layout(_frame.table, _frame.compressed)


@st.cache_data(max_entries=32, show_spinner=False)
def _numbers(key: str, what: tuple, seed: int, _layout: Layout) -> tuple[float | None, float]:
    """Neighbours kept on the plane, and the median move."""
    return kept_on_the_plane(_layout, seed=seed), float(np.median(layout_displacement(_layout)))


# UMAP: a job, started with a button


def umap_view(frame: Frame, view: View) -> Layout | None:
    """The UMAP layout if it has been computed; otherwise None, with its cost and a button, or its progress, drawn.

    Where only tokens searched for are missing from a computed layout, that one is returned, and the offer is drawn too.
    """
    total = frame.run.model["vocabulary"]
    base = sample_tokens(total, view.tokens, view.seed)
    ids = sample_tokens(total, view.tokens, view.seed, view.found)
    layout = _computed(frame, ids, view.umap)
    if layout is not None:
        return layout
    call = arrange.call(frame.subject, ids, view.umap)
    job = call.job
    stale = _computed(frame, base, view.umap) if len(ids) > len(base) else None
    if frame.visit.waits_for(job):
        with st.container(border=True, key="map_progress"):
            watch(frame.visit, call.key, _progress, "map_umap_cancel")
    else:
        _offer(frame, view, call, ids, len(ids) - len(base) if stale is not None else None)
    return stale


def _computed(frame: Frame, ids: np.ndarray, settings: UmapSettings) -> Layout | None:
    """A layout that was computed before: by a job of this server, or kept on disk."""
    job = arrange.call(frame.subject, ids, settings).job
    if job is not None and job.state == "done":
        return job.result
    if job is not None and not job.is_over:
        return None
    import torch

    rows = torch.from_numpy(ids)
    return kept_umap_layout(frame.table[rows], frame.compressed.lookup(rows), ids, settings)


def _offer(frame: Frame, view: View, call: Call, ids: np.ndarray, missing: int | None) -> None:
    """Say what UMAP costs, and start it on a button."""
    total, job = frame.run.model["vocabulary"], call.job
    seconds = estimated_seconds(len(ids), warm=warm_umap.warm().is_over)
    what = f"{count_text(len(ids))} of {count_text(total)} tokens" if len(ids) < total else f"all {count_text(total)} tokens"
    with st.container(border=True, key="map_offer"):
        if missing is not None:
            st.markdown(
                f"**{count_text(missing)} of the tokens you searched for are not on this map**, which was arranged before."
            )
        else:
            st.markdown(f"**UMAP of {what} has not been computed yet.** PCA is there at once.")
        st.caption(
            f"It arranges {what} (seed {view.seed}), original and reconstructed together, in a process of its own: about "
            f"{rough(5 * -(-seconds // 5))}, a rough estimate. The result is kept: the same settings show it at once next time."
        )
        if job is not None and job.state == "failed":
            show_error(f"UMAP failed: {job.error}")
        again = "Arrange again with them" if missing is not None else "Try again" if job is not None else "Compute UMAP"
        if st.button(again, type="primary", icon=":material/play_arrow:", key="map_umap_start"):
            with errors_shown():
                begin(frame.visit, call)
                st.rerun(scope="app")


def _progress(job: Job) -> None:
    """How far the layout is."""
    if job.state == "queued":
        waiting = job.position_in_queue
        text = f"Waiting: number {waiting} in the queue" if waiting and waiting > 1 else "Waiting for the worker to be ready"
        st.progress(0.0, text=text)
    else:
        st.progress(job.fraction, text=f"UMAP: {stage_of(job)} · {seconds_text(job.seconds)}")


# The maps, their numbers and notes


def numbers(frame: Frame, view: View, layout: Layout) -> None:
    """Neighbours kept in the full space, always beside those kept on the maps; how far tokens moved; variance shown."""
    run = frame.run
    what = (layout.method, len(layout.ids), int(layout.ids.sum()), str(view.umap))
    on_plane, moved = _numbers(run.key, what, view.seed, layout)
    here = layout.neighbours_kept
    full = here if here is not None else run.quality["neighbours_kept"]
    among = f"among the {count_text(len(layout.ids))} tokens of this map" if here is not None else "among all tokens"
    with st.container(horizontal=True, key="map_numbers"):
        st.metric(
            f"Neighbours kept, all {run.model['dim']} axes",
            percent_text(full),
            width="content",
            help=f"Of a token's {NEIGHBOURS} nearest tokens by cosine in the original table, the share that are still its "
            f"nearest after compression, {among}. This is what counts; the maps show two dimensions of it.",
        )
        if on_plane is not None:
            st.metric(
                "Kept on these maps",
                percent_text(on_plane),
                width="content",
                help="The same question asked of the two maps below, among the tokens drawn. Two dimensions cannot hold the neighbours of many, so it "
                "may be far from the number beside it: do not read quality off a map.",
            )
        st.metric(
            "Median move",
            f"{moved:.2f}",
            width="content",
            help="How far a token's point moved from the original to the reconstructed map; 1 is the root mean square distance "
            "of the original points from their centre.",
        )
        if layout.explained is not None:
            st.metric(
                "Variance shown",
                percent_text(float(layout.explained.sum())),
                width="content",
                help="Share of the original table's variance along the two axes drawn; the rest is not visible here.",
            )


def search_note(view: View, layout: Layout) -> None:
    """What the search found."""
    if not view.query:
        return
    quoted = escape_markdown(view.query)
    if not view.found:
        st.warning(f"No token contains {quoted}. Try a shorter part of it, or #123 for the token with id 123.")
        return
    ringed = int(np.isin(view.found, layout.ids).sum())
    with st.container(horizontal=True, vertical_alignment="center", key="map_found"):
        st.markdown(found_text(quoted, view.found_in_all, ringed), width="content")
        st.button(
            f"Select {'it' if len(view.found) == 1 else f'these {count_text(len(view.found))}'}",
            icon=":material/checklist:",
            key="map_select_found",
            on_click=_select,
            args=(view.found, "search"),
        )


def maps(frame: Frame, view: View, facts: TokenFacts, layout: Layout) -> None:
    """The key to the colours, and both maps side by side: thousands of tokens each, so they are made once for all visitors."""
    content = content_key(
        frame.run.key, layout.method, str(view.umap), layout.ids, view.colour, view.subspace, view.code, view.found
    )
    drawing = Drawing(frame, view, facts, layout)
    _kept_key(content, drawing)
    pca = layout.method == "pca"
    titles = {
        ORIGINAL: ("Original", "where tokens lie on its two main axes" if pca else "who is near whom, by UMAP"),
        RECONSTRUCTED: ("Reconstructed", "the same tokens, " + ("same axes" if pca else "same coordinates")),
    }
    for column, side in zip(st.columns(2, gap="small"), BOXES, strict=True):
        with column, st.container(key=BOXES[side], gap="xsmall"):
            st.markdown(f"**{titles[side][0]}**: {titles[side][1]}")
            _kept_map(content, side, f"{titles[side][0]} map: {len(layout.ids):,} tokens, {titles[side][1]}", drawing)


@dataclass
class Drawing:
    """What the maps and their key are made of; nothing is computed before it is asked for."""

    frame: Frame
    view: View
    facts: TokenFacts
    layout: Layout

    @cached_property
    def book(self) -> np.ndarray | None:
        """The codebook (Q, d) whose codes are coloured."""
        return self.frame.compressed.codebooks[self.view.subspace].numpy() if self.view.colour == CODE else None

    @cached_property
    def drawn(self) -> Drawn:
        return self.facts.drawn(self.layout.ids, self.frame.vocabulary.kinds)

    @cached_property
    def colouring(self) -> Colouring:
        """Raises InputError for a code that does not exist."""
        view = self.view
        return colouring_of(view.colour, self.facts, self.layout.ids, view.subspace, view.code, self.book)

    def figure(self, side: str) -> LongFigure:
        """One of the two maps."""
        points = {ORIGINAL: self.layout.original, RECONSTRUCTED: self.layout.reconstructed}
        opposite = RECONSTRUCTED if side == ORIGINAL else ORIGINAL
        axes = axis_names(self.layout)
        return map_figure(side, self.drawn, points[side], points[opposite], self.colouring, axes, self.view.found)


@st.cache_resource(max_entries=64, show_spinner=False)
def _kept_key(content: str, _drawing: Drawing) -> None:
    st.html(key_html(_drawing.view.colour, _drawing.colouring, _drawing.drawn, _drawing.book))


@st.cache_resource(max_entries=MAPS_KEPT, show_spinner=False)
def _kept_map(content: str, side: str, what: str, _drawing: Drawing) -> None:
    st.plotly_chart(
        _drawing.figure(side),
        key=f"{BOXES[side]}_chart",
        alt=f"{what}, coloured by {_drawing.colouring.title}. Selected tokens are listed in the table below.",
        config={
            "displaylogo": False,
            "displayModeBar": True,
            "doubleClick": "reset+autosize",
            "modeBarButtons": TOOLS,
        },
    )


def axis_names(layout: Layout) -> tuple[str, str]:
    """Names of both axes with their units."""
    if layout.explained is not None:
        return tuple(f"axis {i + 1} ({percent_text(float(share))} of variance)" for i, share in enumerate(layout.explained))
    return "UMAP axis 1 (no unit)", "UMAP axis 2 (no unit)"


def sample_note(frame: Frame, view: View, layout: Layout) -> None:
    """How much of the vocabulary is drawn."""
    total, shown = frame.run.model["vocabulary"], len(layout.ids)
    if shown >= total:
        st.caption(f"All {count_text(total)} tokens are drawn.")
        return
    extra = len(np.setdiff1d(layout.ids, sample_tokens(total, view.tokens, view.seed))) if view.found else 0
    st.caption(
        f"**{count_text(shown)} of {count_text(total)} tokens** are drawn, seed {view.seed}"
        + (f", {count_text(extra)} of them because you searched for them" if extra else "")
        + ". Raise it under **Tokens drawn**."
    )


# What is selected, and the tables


@st.fragment
def selection_view(frame: Frame, view: View, facts: TokenFacts, layout: Layout) -> None:
    """The link between the maps, and the selected tokens in a table. A fragment, so that selecting does not draw the charts again."""
    with errors_shown():
        _link(frame, view, layout)
        _selected_tokens(frame, facts, layout)
        _everything_drawn(frame, facts, layout)


def _link(frame: Frame, view: View, layout: Layout) -> None:
    vocabulary = frame.run.model["vocabulary"]

    def selected() -> None:
        st.session_state[SELECTED] = after(st.session_state[SELECTED], message(), vocabulary)
        st.session_state["map_heard"] = heard_of(message())

    heard = st.session_state.get("map_heard") or heard_of(None)
    coordinates = f"{frame.run.key}/pca" if layout.method == "pca" else f"{frame.run.key}/{view.umap}/{len(layout.ids)}"
    link_maps(BOXES, list(st.session_state[SELECTED].ids), heard, coordinates, selected)


def _selected_tokens(frame: Frame, facts: TokenFacts, layout: Layout) -> None:
    selection: Selection = st.session_state[SELECTED]
    st.subheader("Selected tokens", anchor=False)
    if not selection:
        st.markdown(
            "Nothing is selected. Drag a **lasso** around points on either map, or click one; the buttons above each map "
            "change to a box, to moving and to zooming. Shift adds to the selection; a double click clears it. On a touch screen a finger "
            "scrolls the page until you tap one of these buttons."
        )
        worst = layout.ids[np.argsort(-facts.error[layout.ids], kind="stable")[:20]]
        st.button(
            f"Select the {len(worst)} drawn tokens with the largest error",
            icon=":material/checklist:",
            key="map_select_worst",
            on_click=_select,
            args=(worst.tolist(), "errors"),
        )
        return
    table = token_table(selection.ids, facts, frame.vocabulary, layout)
    with st.container(horizontal=True, vertical_alignment="center", key="map_selection_bar"):
        st.markdown(f"**{sentence(selection, layout.ids.tolist())}**", width="content")
        st.button("Clear selection", icon=":material/deselect:", key="map_clear", on_click=_clear)
        download_csv(table, "subemb-selected-tokens.csv", key="map_selected_download")
    st.caption(f"Their mean error is {table['error'].mean():.3f}; that of all tokens is {facts.error.mean():.3f}.")
    _dataframe(table, "map_selected_table", "The selected tokens with their kind, codes, errors and places on both maps")


def _select(ids, how: str) -> None:
    st.session_state[SELECTED] = Selection(tuple(sorted(int(i) for i in ids)), None, how)


def _clear() -> None:
    st.session_state[SELECTED] = NOTHING


def _everything_drawn(frame: Frame, facts: TokenFacts, layout: Layout) -> None:
    """The table behind both maps; built only when opened."""
    panel = st.expander(f"Table behind both maps ({len(layout.ids):,} rows)", key="map_table_open", on_change="rerun")
    if panel.open:
        with panel:
            table = token_table(layout.ids, facts, frame.vocabulary, layout)
            _dataframe(table, "map_all_table", "All tokens drawn, with kind, codes, errors and places on both maps")
            download_csv(table, "subemb-token-map.csv", key="map_all_download")


def _dataframe(table, key: str, alt: str) -> None:
    three = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        table.head(ROWS_SHOWN),
        hide_index=True,
        height=min(420, 38 + 35 * max(1, len(table))),
        key=key,
        alt=alt,
        column_config={
            "id": st.column_config.NumberColumn("id", format="%d", pinned=True),
            "token": st.column_config.TextColumn("token", pinned=True, width=130),
            "error": st.column_config.NumberColumn(
                "error",
                format="%.3f",
                help="Squared error in units of the mean variance of a token; the mean is the table's error",
            ),
            **{name: three for name in table.columns if name.startswith(("cosine", "norm", "x ", "y "))},
        },
    )
    if len(table) > ROWS_SHOWN:
        st.caption(f"The first {ROWS_SHOWN:,} of {len(table):,} rows; the download has all of them.")
