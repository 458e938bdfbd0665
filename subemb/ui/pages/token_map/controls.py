"""The controls above the token map, all of them in the URL, and what a visitor asked for with them."""

import math
from dataclasses import dataclass

import streamlit as st

from ....analysis.layout import UmapSettings
from ....base.plain import declared
from ...shell.frame import Frame
from ...widgets.settings import setting_input

SIZES = (2_000, 5_000, 10_000, 20_000, 40_000)
UMAP_TOKENS = 5_000  # that UMAP arranges by default, if the vocabulary has more
FOUND_TOKENS = 200  # highlighted at most
UMAP, PCA = "UMAP", "PCA"


@dataclass(frozen=True)
class View:
    """What a visitor asked for."""

    method: str  # UMAP or PCA
    tokens: int | None  # how many UMAP is to arrange; None for what is there, or UMAP_TOKENS
    umap: UmapSettings
    query: str  # what is searched for; empty for no search
    found: list[int]  # ids that the query finds, best first, at most FOUND_TOKENS
    found_in_all: int  # how many tokens the query finds
    inside: int  # how many more have it somewhere inside


def controls(frame: Frame) -> View:
    """Layout, search and the settings of UMAP; every one is in the URL.

    Defaults are always the first option or an empty field: with any other, Streamlit logs a warning when a link sets the value.
    """
    vocabulary = frame.run.model["vocabulary"]
    with st.container(horizontal=True, vertical_alignment="center", key="map_controls"):
        query = st.text_input(
            "Find tokens",
            key="map_find",
            bind="query-params",
            placeholder="Find tokens: a word, or #id",
            max_chars=100,
            icon=":material/search:",
            width=270,
            label_visibility="collapsed",
        )
        method = st.radio(
            "Layout",
            [UMAP, PCA],
            horizontal=True,
            width="content",
            key="map",
            bind="query-params",
            label_visibility="collapsed",
        )
        with st.popover("More", icon=":material/tune:"):
            st.caption(
                "UMAP: who is near whom, from all dimensions. PCA: the two main axes of the original table, a plain shadow of all "
                "dimensions."
            )
            inside = st.toggle(
                "Find also inside of words",
                key="map_inside",
                bind="query-params",
                help="Without it a search finds the whole token, or else tokens that begin with it.",
            )
            tokens, umap = _umap_controls(vocabulary)
    return View(method, tokens, umap, query or "", *found_tokens(frame.vocabulary, query or "", inside))


def is_finite(text: str) -> bool:
    """Whether a text of an address is a finite number.

    >>> is_finite("0.5"), is_finite("1e999"), is_finite("x")
    (True, False, False)
    """
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def found_tokens(vocabulary, query: str, inside: bool = False) -> tuple[list[int], int, int]:
    """What a search finds: (ids, best first, at most FOUND_TOKENS; how many in all; how many more have it somewhere inside).

    A whole token comes before all others; where there is one, and where some begin with the query, those are all, unless ``inside`` asks for
    every token that has it anywhere.
    """
    if not query.strip():
        return [], 0, 0
    everywhere = vocabulary.search(query, None)
    found = (
        everywhere if inside else vocabulary.search(query, None, mode="exact") or vocabulary.search(query, None, mode="prefix")
    )
    return found[:FOUND_TOKENS], len(found), len(everywhere) - len(found)


def _umap_controls(vocabulary: int) -> tuple[int | None, UmapSettings]:
    tokens = st.selectbox(
        "Tokens that UMAP arranges",
        [None, *(size for size in SIZES if size < vocabulary), vocabulary],
        format_func=lambda size: "automatic" if size is None else f"all {size:,}" if size == vocabulary else f"{size:,}",
        key="map_tokens",
        bind="query-params",
        help="UMAP arranges these; all others are placed among them. All tokens are drawn in any case.",
    )
    seed = _umap_input("seed", "map_seed", label="Seed", help=None)
    neighbours = _umap_input("n_neighbors", "map_neighbours", **_empty("n_neighbors"))
    distance = _umap_input("min_dist", "map_distance", step=0.05, **_empty("min_dist"))
    return tokens, UmapSettings(n_neighbors=neighbours, min_dist=distance, seed=seed)


def _umap_input(name: str, key: str, **instead):
    bind = "query-params" if is_finite(st.query_params.get(key, "0")) else None  # Streamlit's own field fails on infinity
    return setting_input(UmapSettings, name, key, bind=bind, **instead)


def _empty(name: str) -> dict:
    """Arguments of a field that is left empty for the default value."""
    item = declared(UmapSettings)[name]
    return {"value": None, "placeholder": str(item.default), "help": f"{item.help} Empty: {item.default}."}
