"""The controls of the token map, all of them in the URL, and what a visitor asked for with them."""

from dataclasses import dataclass

import streamlit as st

from ....analysis.layout import UmapSettings
from ....base.plain import declared
from ...shell.frame import Frame
from ...widgets.settings import setting_input
from .colours import CODE, ERROR, ID, KIND, NORM, TIER
from .facts import TokenFacts

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 120_000)
PCA_TOKENS, UMAP_TOKENS = 60_000, 5_000  # drawn by default, if the vocabulary has more
FOUND_TOKENS = 200  # highlighted at most


@dataclass(frozen=True)
class View:
    """What a visitor asked for."""

    method: str  # PCA or UMAP
    colour: str  # by what points are coloured, see colours.py
    subspace: int  # whose codes colour them
    code: int | None  # the one to highlight
    tokens: int  # how many to draw, besides those found
    seed: int  # of the sample
    umap: UmapSettings  # of the layout, if the method is UMAP
    query: str  # what is searched for; empty for no search
    found: list[int]  # ids that the query finds, best first, at most FOUND_TOKENS
    found_in_all: int  # how many tokens the query finds


def controls(frame: Frame, facts: TokenFacts) -> View:
    """The settings of the page; every one is in the URL.

    Defaults are always the first option or an empty field: with any other, Streamlit logs a warning when a link sets the value.
    """
    vocabulary = frame.run.model["vocabulary"]
    with st.container(horizontal=True, vertical_alignment="bottom", key="map_controls"):
        method = st.radio(
            "Layout",
            ["PCA", "UMAP"],
            horizontal=True,
            width="content",
            key="map",
            bind="query-params",
            help="PCA: two main axes of the original table, a plain shadow of all dimensions. UMAP: who is near whom, from all "
            "dimensions; computed on request.",
        )
        colours = [
            KIND,
            *([CODE] if facts.codes is not None else []),
            *([TIER] if facts.tier is not None else []),
            ERROR,
            NORM,
            ID,
        ]
        colour = st.selectbox("Colour by", colours, key="map_colour", bind="query-params", width=165)
        subspace, code = _code_controls(frame, facts) if colour == CODE else (0, None)
        tokens = st.selectbox(
            "Tokens drawn",
            _sizes(vocabulary, UMAP_TOKENS if method == "UMAP" else PCA_TOKENS),
            format_func=lambda size: f"all {size:,}" if size == vocabulary else f"{size:,}",
            key="map_umap_tokens" if method == "UMAP" else "map_tokens",
            bind="query-params",
            width=130,
            help="All of them, or a sample drawn with the seed. Tokens you search for are always among them.",
        )
        with st.popover("More", icon=":material/tune:"):
            seed, umap = _more_controls(method)
        query = st.text_input(
            "Find tokens",
            key="map_find",
            bind="query-params",
            placeholder="part of a token, or #id",
            max_chars=100,
            icon=":material/search:",
            width=200,
        )
    found = frame.vocabulary.search(query or "", None)
    return View(method, colour, subspace, code, tokens, seed, umap, query or "", found[:FOUND_TOKENS], len(found))


def _sizes(vocabulary: int, default: int) -> list[int]:
    """How many tokens can be drawn; the default comes first."""
    default = min(default, vocabulary)
    return [default, *(size for size in (*SIZES, vocabulary) if size <= vocabulary and size != default)]


def _code_controls(frame: Frame, facts: TokenFacts) -> tuple[int, int | None]:
    books = frame.compressed.codebooks
    name = "Stage" if frame.compressed.is_additive else "Subspace"
    last = facts.codes.shape[1] - 1
    # Another run may have had more subspaces.
    if (st.session_state.get("map_subspace") or 0) > last:
        st.session_state["map_subspace"] = last
    subspace = st.number_input(
        name, min_value=0, max_value=last, step=1, key="map_subspace", bind="query-params", width=110, help=f"0 to {last}"
    )
    code = st.number_input(
        "Highlight code",
        min_value=0,
        value=None,
        step=1,
        key="map_code",
        bind="query-params",
        width=150,
        placeholder="all codes",
        help=f"One of 0 to {len(books[subspace]) - 1}: its tokens in one colour and larger, all others grey. Empty: all codes.",
    )
    return int(subspace), None if code is None else int(code)


def _more_controls(method: str) -> tuple[int, UmapSettings]:
    seed = _umap_input("seed", "map_seed", label="Seed of the sample", help=None)
    if method != "UMAP":
        return seed, UmapSettings(seed=seed)
    neighbours = _umap_input("n_neighbors", "map_neighbours", **_empty("n_neighbors"))
    distance = _umap_input("min_dist", "map_distance", step=0.05, **_empty("min_dist"))
    return seed, UmapSettings(n_neighbors=neighbours, min_dist=distance, seed=seed)


def _umap_input(name: str, key: str, **instead):
    return setting_input(UmapSettings, name, key, bind="query-params", **instead)


def _empty(name: str) -> dict:
    """Arguments of a field that is left empty for the default value."""
    item = declared(UmapSettings)[name]
    return {"value": None, "placeholder": str(item.default), "help": f"{item.help} Empty: {item.default}."}
