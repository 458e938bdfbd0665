"""The page Token map: two linked maps of all tokens, before and after compression, what is selected on them, and a token's inspector."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from ....analysis.clusters import Clusters
from ....analysis.layout import pca_layout, warm_umap
from ....analysis.maps import TokenMap, in_steps
from ....base.store import content_key
from ....base.text import count_text, escape_markdown, percent_text, sentence_case
from ....jobs.task import Call
from ....models.vocabulary import KINDS
from ....runs import NEIGHBOURS
from ....tasks.layouts import arrange, group, place
from ...shell.frame import Frame, page
from ...shell.jobs import outcome
from ...shell.sides import ADAPTED, COMPRESSED, Side
from ...shell.text import counted, errors_shown, is_led_by_address, write_parameters
from ...widgets.charts import download_csv
from ...widgets.leads import chosen_row, open_link, token_link
from ...widgets.other_side import compared_sides
from . import colours
from .component import draw_maps, heard_of, said, tell
from .controls import PCA, UMAP_TOKENS, View, controls, is_finite
from .facts import TokenFacts, kept_on_the_plane, token_facts, token_table
from .inspector import inspector
from .packing import name_of, pack, packed_texts
from .presets import Stop, stops_of, way
from .selection import (
    NOTHING,
    ORIGINAL,
    RECONSTRUCTED,
    Selection,
    after,
    from_address,
    in_address,
    sentence,
    valid_ids,
    valid_view,
    within,
)

ROWS_SHOWN = 500  # of a table; the download has all
TEXTS_SENT = (
    65_536  # tokens up to which the browser gets every text at once; of larger vocabularies it asks for those that it shows
)
NAMES_AT_ONCE = 200  # that a browser may ask for
SELECTED = "map_selection"  # session state: the Selection
HEARD = "map_heard"  # session state: sender and number of the browser's last message
LOOK = "map_look"  # session state: what the browser shows; ``led``: how often that was taken from an address, which then counts
#: URL parameter -> name in the look.
PARAMETERS = {
    "map_colour": "colour",
    "map_highlight": "highlight",
    "map_view": "view",
    "map_presets": "presets",
    "map_selected": "selected",
}


def draw() -> None:
    """The page."""
    frame = page("Token map")
    with frame.errors():
        if frame.run is not None:
            token_map(frame)


def token_map(frame: Frame) -> None:
    """Everything below the heading."""
    # UMAP takes long to compile: begin now, so that it may be ready when it is needed.
    warm_umap.warm()
    compared_sides(frame)
    with st.spinner("Reading the vocabulary and projecting the tokens …"):
        facts, _ = [_facts(side.key, frame.table, side) for side in frame.sides], _pca_of(frame)
    _take_up(frame)
    _explore(frame, facts)


@st.fragment
def _explore(frame: Frame, facts: list[TokenFacts]) -> None:
    """Controls, maps and tables. A fragment, so that a search or a selection draws nothing of the frame."""
    with errors_shown():
        look = st.session_state[LOOK]
        with st.container():
            verdict = st.container()
            view = controls(frame)
            with st.container(key="map_work"):
                found = [_wanted(frame, group.call(side.subject), "Finding clusters") for side in frame.sides]
                clusters = [each for each in found if each is not None] if None not in found else []
                arranged = None if view.method == PCA else _umap(frame, view, quiet=not clusters)
                stops = [] if arranged is None else stops_of(frame)
                through = _through(frame, view, arranged, stops) if stops and look["presets"] else None
        places = arranged or _pca_of(frame)
        on_plane = _on_plane(_name(frame, places, view), places) if frame.second is None else None
        full = [side.run.quality["neighbours_kept"] if side.name != ADAPTED else None for side in frame.sides]
        with verdict:
            say_verdict(frame, clusters, full)
        maps(frame, view, facts, places, clusters, kept_text(frame, full, on_plane), stops, through)
        notes(frame, view, places, through is not None)
        if clusters and look["colour"] in (None, colours.CLUSTER) and look["highlight"] is not None:
            for side, each in zip(frame.sides, clusters, strict=True):
                cluster_note(frame, each, look["highlight"], side)
        selection_view(frame, facts, places)
        _write(frame)


# What was chosen in the browser, and in the address


def _take_up(frame: Frame) -> None:
    """Begin with what the link asks for; another model's tokens are not those that were selected."""
    count, identity = frame.run.model["vocabulary"], frame.run.model["identity"]
    if st.session_state.get("map_model") != identity:
        look = {
            "colour": None,
            "highlight": None,
            "view": None,
            "presets": False,
            "wanted": (),
            "have": (),
            "theirs": False,
            "led": 0,
            "written": {},
        }
        st.session_state.update({"map_model": identity, SELECTED: NOTHING, HEARD: heard_of(None), LOOK: look})
    if within(st.session_state[SELECTED], count) != st.session_state[SELECTED]:
        _select(within(st.session_state[SELECTED], count).ids, None)
    look = st.session_state[LOOK]
    asked = {name: st.query_params.get(name) for name in PARAMETERS}
    is_led = is_led_by_address()
    if is_led or any(value is not None and value != look["written"].get(name) for name, value in asked.items()):
        look["colour"] = asked["map_colour"] or (None if is_led else look["colour"])
        highlight = asked["map_highlight"] or ""
        look["highlight"] = int(highlight) if highlight.isascii() and highlight.isdigit() and len(highlight) < 4 else None
        with_numbers = (asked["map_view"] or "").split(",")
        look["view"] = valid_view([float(part) for part in with_numbers]) if all(map(is_finite, with_numbers)) else None
        look["presets"] = asked["map_presets"] == "1"
        look["led"] += 1
        ids = from_address(asked["map_selected"] or "", count)
        if ids or (is_led and not asked["map_selected"] and look["written"].get("map_selected")):
            _select(ids, "link")
        st.session_state[HEARD] = heard_of(None)


def _write(frame: Frame) -> None:
    """Keep the address what is shown."""
    look, ids = st.session_state[LOOK], st.session_state[SELECTED].ids
    written = {
        "map_colour": look["colour"],
        "map_highlight": None if look["highlight"] is None else str(look["highlight"]),
        "map_view": None if look["view"] is None else ",".join(f"{value:.4g}" for value in look["view"]),
        "map_presets": "1" if look["presets"] else None,
        "map_selected": in_address(ids) if ids else None,
    }
    write_parameters(written)
    look["written"] = written
    if ids and written["map_selected"] is None:
        st.caption(f"A link to this page leaves the {counted(len(ids), 'selected token')} out: it would be too long.")


def _hear(frame: Frame, names: list[str]) -> None:
    """What the browser says: it always says everything that it keeps."""
    message, look = said(), st.session_state[LOOK]
    if not isinstance(message, dict):
        return
    count = frame.run.model["vocabulary"]
    st.session_state[HEARD] = heard_of(message)
    if message.get("vocabulary") != frame.run.model["identity"]:
        return  # it was on its way while another model was chosen
    if message.get("ids") is not None:
        st.session_state[SELECTED] = after(st.session_state[SELECTED], message, count)
        look["theirs"] = True
    have = message.get("have")
    look["have"] = tuple(name for name in have[:100] if isinstance(name, str)) if isinstance(have, list) else ()
    colour, highlight, wanted = message.get("colour"), message.get("highlight"), message.get("wanted")
    if colour in names:
        look["colour"] = colour
    look["highlight"] = highlight if isinstance(highlight, int) and 0 <= highlight < colours.MOST_GROUPS else None
    look["view"], look["presets"] = valid_view(message.get("view")), message.get("presets") is True
    look["wanted"] = valid_ids(wanted[:NAMES_AT_ONCE], count) if isinstance(wanted, list) else ()


# Measured once, for all visitors


@st.cache_resource(max_entries=6, show_spinner=False)
def _facts(key: str, _table, _side: Side) -> TokenFacts:
    return token_facts(_table, _side.compressed)


def _pca_of(frame: Frame) -> TokenMap:
    return _pca(tuple(side.key for side in frame.sides), frame.table, frame.sides)


@st.cache_resource(max_entries=6, show_spinner=False)
def _pca(keys: tuple[str, ...], _table, _sides: list[Side]) -> TokenMap:
    """The two tables that are shown on the main axes of the original."""
    found = [pca_layout(_table, side.compressed) for side in _sides]
    if len(found) == 2:
        first, second = found
        return in_steps(replace(first, original=first.reconstructed, reconstructed=second.reconstructed))
    return in_steps(found[0])


@st.cache_data(max_entries=32, show_spinner=False)
def _on_plane(name: str, _places: TokenMap) -> float | None:
    """Neighbours kept on the plane."""
    return kept_on_the_plane(_places.layout())


@st.cache_resource(max_entries=16, show_spinner=False)
def _points(name: str, _places: TokenMap) -> bytes:
    return pack(name, {"from": _places.original.ravel(), "to": _places.reconstructed.ravel()}, count=len(_places.original))


@st.cache_resource(max_entries=64, show_spinner=False)
def _column(name: str, of: str, _frame: Frame, _facts: list[TokenFacts], _clusters: list[Clusters]) -> bytes:
    found = colouring(of, _frame, _facts, _clusters)
    texts = {}
    if of == colours.KIND and len(_frame.vocabulary) <= TEXTS_SENT:
        texts["texts"] = packed_texts(_frame.vocabulary.display)
    return pack(name, found.arrays | texts, legend=found.legend)


def _name(frame: Frame, places: TokenMap, view: View) -> str:
    keys = [frame.run.key, *(side.key for side in frame.sides)]
    return content_key(keys, places.method, places.fitted, str(view.umap) if places.method == "umap" else "")


# Clusters and UMAP: jobs that begin by themselves; until they are done the page shows what there is


def _umap(frame: Frame, view: View, quiet: bool) -> TokenMap | None:
    """UMAP of all tokens if it has been computed; otherwise it is begun. Two compressed tables are shown in the coordinates of the run's."""
    count, subject = frame.run.model["vocabulary"], replace(frame.subject, adapted_key=None)
    tokens = min(count, view.tokens or UMAP_TOKENS)
    if view.tokens is None and arrange.kept(subject, count, view.umap) is not None:  # the finest that there is, or the default
        tokens = count
    base = _wanted(frame, arrange.call(subject, tokens, view.umap), "UMAP of all tokens", quiet)
    if base is None:
        return None
    shown = [base.original] if frame.second is None else []
    for side in frame.sides:
        placed = base
        if side.subject != subject:
            placed = _wanted(
                frame, place.call(subject, side.subject, tokens, view.umap), f"Placing {side.name} on the map", quiet
            )
        if placed is None:
            return None
        shown.append(placed.reconstructed)
    return replace(base, original=shown[0], reconstructed=shown[1])


def _through(frame: Frame, view: View, places: TokenMap, stops: list[Stop]) -> bytes | None:
    """Where the presets' tables lie on the map, once that is known."""
    count = frame.run.model["vocabulary"]
    tokens = count if places.fitted == count else min(count, view.tokens or UMAP_TOKENS)
    return way(frame, stops, _name(frame, places, view), view.umap, tokens, lambda call, what: _wanted(frame, call, what))


def _wanted(frame: Frame, call: Call, what: str, quiet: bool = False) -> Any | None:
    """The kept result of a job; or None, and the job is begun."""
    return outcome(frame.visit, call, what, auto=True, patience=0.0, quiet=quiet, is_one_of_several=True)


# The maps and what is said about them


def say_verdict(frame: Frame, found: list[Clusters], full: list[float | None]) -> None:
    """What compression did to the map, in one sentence. full: neighbours kept by each table; None where that was not measured."""
    if frame.second is not None:
        st.markdown(f"**{verdict_of_two([side.name for side in frame.sides], [each.share for each in found], full)}**")
        return
    near = (
        "" if full[0] is None else f"of a token's {NEIGHBOURS} nearest tokens **{NEIGHBOURS * full[0]:.1f}** stay its nearest"
    )
    if not found:
        st.markdown(f"After compression, {near or 'tokens move'}.")
        return
    clusters = found[0]
    best, worst = int(np.nanargmax(clusters.kept)), int(np.nanargmin(clusters.kept))
    names = [escape_markdown(colours.cluster_name(clusters, number, frame.vocabulary, 2)) for number in (best, worst)]
    st.markdown(
        f"**{percent_text(clusters.share)} of the tokens stay in their cluster** after compression: most in *{names[0]}* "
        f"({percent_text(float(clusters.kept[best]))}), fewest in *{names[1]}* ({percent_text(float(clusters.kept[worst]))})"
        + (f"; {near}." if near else ".")
    )


def verdict_of_two(names: Sequence[str], stay: Sequence[float], near: Sequence[float | None]) -> str:
    """Two compressed tables against each other. stay: shares of tokens that stay in their cluster. near: of neighbours kept, None if unknown.

    >>> verdict_of_two(["run A", "run B"], [0.75, 0.9], [0.3, 0.512])
    'Run A keeps 75 % of the tokens in their cluster and 3.0 of a token’s 10 nearest, run B 90 % and 5.1.'
    >>> verdict_of_two(["run A", "adapted"], [], [0.3, None])
    'Run A keeps 3.0 of a token’s 10 nearest.'
    """
    parts = []
    for number, name in enumerate(names):
        whole = not parts
        said = [f"{percent_text(stay[number])}{' of the tokens in their cluster' if whole else ''}"] if stay else []
        if near[number] is not None:
            said.append(f"{NEIGHBOURS * near[number]:.1f}{f' of a token’s {NEIGHBOURS} nearest' if whole else ''}")
        if said:
            parts.append(f"{name}{' keeps' if whole else ''} {' and '.join(said)}")
    text = ", ".join(parts) or "both tables on one map"
    return f"{sentence_case(text)}."


def kept_text(frame: Frame, full: list[float | None], on_plane: float | None) -> str:
    """How far two dimensions flatter, for the picture."""
    here = "" if on_plane is None else f"{NEIGHBOURS * on_plane:.1f} on this map, "
    ends = [f" by {side.name}" for side in frame.sides] if frame.second is not None else [""]
    parts = [f"{NEIGHBOURS * each:.1f}{end}" for each, end in zip(full, ends, strict=True) if each is not None]
    return f"of {NEIGHBOURS} neighbours stay: {here}{', '.join(parts)} in all {frame.run.model['dim']} axes" if parts else ""


def colouring(of: str, frame: Frame, both: list[TokenFacts], clusters: list[Clusters]) -> colours.Colouring:
    """What a colour shows. both: facts of the one table or the two; codes and tiers are those of the first."""
    facts, two = both[0], len(both) == 2
    unit = _unit(frame)
    if of == colours.CLUSTER and clusters:
        return colours.by_cluster(clusters, frame.vocabulary)
    if of == colours.TIER and facts.tier is not None:
        return colours.by_tier(facts.tier, facts.tiers)
    if of == colours.ERROR:
        return colours.by_value(
            of, "Error of the token, in units of the mean variance", facts.error, both[1].error if two else None
        )
    if of == colours.NORM:
        sides = (facts.new_norm, both[1].new_norm) if two else (facts.norm, facts.new_norm)
        return colours.by_value(of, "Length of the vector", *sides)
    if of == colours.ID:
        return colours.by_value(of, "Token id", np.arange(len(facts.norm), dtype=np.float64), clip=0.0)
    if facts.codes is not None:
        for i in range(facts.codes.shape[1]):
            if of == colours.code_name(i, unit):
                return colours.by_code(i, facts.codes[:, i], frame.first.compressed.codebooks[i].numpy(), unit)
    return colours.by_kind(frame.vocabulary.kinds)


def _unit(frame: Frame) -> str:
    return "stage" if frame.first.run.settings.about.is_additive else "subspace"


def maps(
    frame: Frame,
    view: View,
    facts: list[TokenFacts],
    places: TokenMap,
    clusters: list[Clusters],
    kept: str,
    stops: list[Stop],
    through: bytes | None,
) -> None:
    """Both maps. The browser gets every array once; what is told each time is small. through: packed places of the stops."""
    run, look, selection = frame.run, st.session_state[LOOK], st.session_state[SELECTED]
    of_tables = "/".join(side.key for side in frame.sides)
    offered = colours.choices(facts[0], _unit(frame))
    if not clusters:
        offered.remove(colours.CLUSTER)
    colour = look["colour"] if look["colour"] in offered else offered[0]
    if look["colour"] is not None and colour != look["colour"] and look["colour"] != colours.CLUSTER:
        st.warning(
            f"The link says map_colour={escape_markdown(look['colour'][:60])}, which cannot be used here.",
            icon=":material/link_off:",
        )
        look["colour"] = None
    many = len(frame.vocabulary) > TEXTS_SENT
    at_once = (
        () if many else (of for of in offered if not of.startswith("Code "))
    )  # so that a change of colour waits for nothing
    columns = {of: f"{of_tables}/{of}" for of in dict.fromkeys((colours.KIND, colour, *at_once))}
    named = () if not many else dict.fromkeys((*look["wanted"], *view.found[:20], *selection.ids[:20]))
    pca = places.method == "pca"
    names = names_of_maps(frame)
    titles = (
        (sentence_case(names[0]), "each point is a token, " + ("on two main axes" if pca else "near those like it")),
        (sentence_case(names[1]), "the same tokens, " + ("same axes" if pca else "same coordinates")),
    )
    with st.container(key="unseen_map", gap=None):
        for of, name in columns.items():
            if name not in look["have"]:
                tell(f"map_column_{of}", _column(name, of, frame, facts, clusters))
        if through is not None and name_of(through) not in look["have"]:
            tell("map_through", through)
        tell(
            "map_told",
            {
                "run": of_tables,
                "ends": names,
                "vocabulary": run.model["identity"],
                "colours": offered,
                "colour": colour,
                "highlight": look["highlight"],
                "view": look["view"],
                "led": f"{run.model['identity']} {look['led']}",
                "texts": None if many else columns[colours.KIND],
                "names": [[i, frame.vocabulary.display[i]] for i in named],
                "kinds": columns[colours.KIND],
                "words": KINDS.index("whole word"),
                "ids": None if look["theirs"] else selection.ids,
                "heard": st.session_state[HEARD],
                "query": view.query,
                "found": view.found,
                "heads": titles,
                "kept": kept,
                "stops": [[stop.name, stop.kept, stop.is_shown] for stop in stops],
                "presets": look["presets"],
                "through": None if through is None else name_of(through),
                "alt": f"Two maps of {len(frame.vocabulary):,} tokens, {names[0]} and {names[1]}, coloured by {colour.lower()}. "
                "Selected tokens are listed in the table below.",
            },
        )
    draw_maps(_points(_name(frame, places, view), places), lambda: _hear(frame, offered))


def names_of_maps(frame: Frame) -> list[str]:
    """What the left map shows, and the right one."""
    names = [ORIGINAL, frame.first.name] if frame.second is None else [side.name for side in frame.sides]
    return [RECONSTRUCTED if name == COMPRESSED else name for name in names]


def notes(frame: Frame, view: View, places: TokenMap, is_through: bool) -> None:
    """What the search found, and what is drawn. is_through: whether the map goes through the presets."""
    if view.query:
        search_note(view)
    total = len(places.original)
    text = f"All {count_text(total)} tokens are drawn."
    if places.method == "umap" and places.fitted < total:
        text += f" UMAP arranged {count_text(places.fitted)} of them (seed {view.umap.seed}), both sides together; the others lie where their nearest do."
    elif places.explained is not None:
        text += f" Two axes show {percent_text(float(places.explained.sum()))} of the variance."
    if is_through:
        text += " The presets lie where the vectors most like theirs lie on this run's map; colours stay those of this run."
    st.caption(text)


def search_note(view: View) -> None:
    """What the search found."""
    quoted = escape_markdown(view.query)
    more = f" {count_text(view.inside)} more {'has' if view.inside == 1 else 'have'} it inside." if view.inside else ""
    if not view.found:
        st.warning(
            f"No token {'begins with' if view.inside else 'contains'} {quoted}.{more or ' Try a shorter part of it, or #123 for the token with id 123.'}"
        )
        _inside_too(view)
        return
    with st.container(horizontal=True, vertical_alignment="center", key="map_found"):
        ringed = "ringed" if view.found_in_all == len(view.found) else f"the best {len(view.found)} ringed"
        st.markdown(f"{counted(view.found_in_all, 'token')} found for {quoted}, {ringed} on both maps.{more}", width="content")
        st.button(
            f"Select {'it' if len(view.found) == 1 else f'these {count_text(len(view.found))}'}",
            icon=":material/checklist:",
            key="map_select_found",
            on_click=_select,
            args=(view.found, "search"),
        )
        _inside_too(view)


def _inside_too(view: View) -> None:
    """A button for the tokens that have what was searched for somewhere inside."""
    if view.inside:
        st.button("Find these too", icon=":material/search:", key="map_find_inside", on_click=_find_inside)


def _find_inside() -> None:
    st.session_state["map_inside"] = True


def cluster_note(frame: Frame, clusters: Clusters, number: int, side: Side) -> None:
    """Of one cluster: how many stay in a table, and where the others go."""
    if number >= len(clusters):
        return
    name = escape_markdown(colours.cluster_name(clusters, number, frame.vocabulary))
    gone = [
        f"{count_text(count)} to *{escape_markdown(colours.cluster_name(clusters, other, frame.vocabulary, 2))}*"
        for other, count in clusters.away(number)[:3]
    ]
    is_first = side is frame.first
    with st.container(horizontal=True, vertical_alignment="center", key="map_cluster" if is_first else "map_cluster_other"):
        st.markdown(
            f"**{name}**{'' if frame.second is None else f', {side.name}'}: {percent_text(float(clusters.kept[number]))} of {count_text(int(clusters.sizes[number]))} tokens stay"
            + (f"; most others go {', '.join(gone)}." if gone else "."),
            width="content",
        )
        if is_first:
            st.button(
                "Select its tokens",
                icon=":material/checklist:",
                key="map_select_cluster",
                on_click=_select,
                args=(np.flatnonzero(clusters.before == number).tolist(), None),
            )


# What is selected, and the tables


def selection_view(frame: Frame, both: list[TokenFacts], places: TokenMap) -> None:
    """One selected token in its inspector; several in a table."""
    facts = both[0]
    selection: Selection = st.session_state[SELECTED]
    if not selection:
        words = np.flatnonzero(frame.vocabulary.kinds == "whole word")  # the worst of all are mostly placeholders and pieces
        words = words if len(words) else np.arange(len(facts.error))
        worst = words[np.argsort(-facts.error[words], kind="stable")[:20]]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                "Click a token to inspect it, or select many with the lasso. Shift adds, a double click clears.",
                width="content",
            )
            st.button(
                f"Select the {len(worst)} words with the largest error",
                icon=":material/checklist:",
                key="map_select_worst",
                on_click=_select,
                args=(worst.tolist(), "errors"),
            )
        _everything(frame, both, places)
        return
    layout = places.layout()
    table = _table(selection.ids, frame, both, layout)
    with st.container(horizontal=True, vertical_alignment="center", key="map_selection_bar"):
        st.markdown(f"**{sentence(selection, names_of_maps(frame))}**", width="content")
        st.button("Clear selection", icon=":material/deselect:", key="map_clear", on_click=_clear)
        download_csv(table, "subemb-selected-tokens.csv", key="map_selected_download")
    if len(selection) == 1:
        with frame.errors():
            inspector(frame, selection.ids[0], both)
    else:
        says = f"Their mean error is {table['error'].mean():.3f}; that of all tokens is {facts.error.mean():.3f}."
        if frame.second is not None:
            name = frame.second.name
            says += f" In {name}: {table[f'error {name}'].mean():.3f} and {both[1].error.mean():.3f}."
        st.caption(says)
        _dataframe(
            table, "map_selected_table", "The selected tokens with their kind, codes, errors and places on both maps", frame
        )
    _everything(frame, both, places)


def _table(ids, frame: Frame, both: list[TokenFacts], layout) -> pd.DataFrame:
    """Rows of tokens; of a second table the columns that differ."""
    table = token_table(ids, both[0], frame.vocabulary, layout)
    if frame.second is not None:
        ids, name = np.asarray(ids, np.int64), frame.second.name
        table.insert(list(table).index("error") + 1, f"error {name}", both[1].error[ids])
        table.insert(list(table).index("cosine") + 1, f"cosine {name}", both[1].cosine[ids])
    return table


def _select(ids, how: str | None) -> None:
    st.session_state[SELECTED] = Selection(tuple(sorted(int(i) for i in ids)), None, how)
    st.session_state[LOOK]["theirs"] = False


def _clear() -> None:
    _select((), None)


def _everything(frame: Frame, both: list[TokenFacts], places: TokenMap) -> None:
    """The table behind both maps; built only when opened."""
    panel = st.expander(f"Table behind both maps ({len(places.original):,} rows)", key="map_table_open", on_change="rerun")
    if panel.open:
        with panel:
            layout = places.layout()
            table = _table(layout.ids, frame, both, layout)
            _dataframe(table, "map_all_table", "All tokens, with kind, codes, errors and places on both maps", frame)
            download_csv(table, "subemb-token-map.csv", key="map_all_download")


def _dataframe(table, key: str, alt: str, frame: Frame) -> None:
    """The first rows; one that is selected opens its token's inspector."""
    three = st.column_config.NumberColumn(format="%.3f")
    event = st.dataframe(
        table.head(ROWS_SHOWN),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
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
            **{name: three for name in table.columns if name.startswith(("cosine", "norm", "x ", "y ", "error "))},
        },
    )
    row = chosen_row(event, min(ROWS_SHOWN, len(table)))
    if row is not None:
        open_link(frame.visit, token_link(int(table["id"].iloc[row])))
    if len(table) > ROWS_SHOWN:
        st.caption(f"The first {ROWS_SHOWN:,} of {len(table):,} rows; the download has all of them.")
