"""The link between the two maps in the browser: selecting, zooming and pointing at a token in one shows in the other at once.

Streamlit builds a chart again whenever its figure changes, and zoom and selection would be lost with the old one. So a selection
does not change the figures. This component (link.js) draws nothing: it listens to both charts, carries zoom, drag mode, hover and
selection from one to the other, restores them when a chart was built again, and sends the server the selected ids and nothing
else. (Streamlit's own selection would send every attribute of every selected point with every later click.)
"""

from pathlib import Path

import streamlit as st

NAME = "subemb_map_link"
KEY = "map_link"


@st.cache_resource(max_entries=1, show_spinner=False)
def _component():
    return st.components.v2.component(NAME, js=(Path(__file__).parent / "link.js").read_text(encoding="utf-8"))


def link_maps(charts: dict[str, str], ids: list[int], heard: dict, view: str, on_selected) -> None:
    """Mount the link.

    charts: name of a map -> key of the container that holds its chart. ids: what is selected. heard: the last message that
    ``ids`` takes into account (:func:`heard_of`). view: a name for the coordinates; when it changes, the zoom is reset.
    on_selected: called without arguments when ``message()`` has a selection.
    """
    _component()(
        key=KEY,
        data={"charts": charts, "ids": ids, "heard": heard, "view": view},
        height=1,
        on_selected_change=on_selected,
    )


def message():
    """The last message of the browser, inside ``on_selected``."""
    state = st.session_state.get(KEY)
    return state.get("selected") if state is not None else None


def heard_of(text: object) -> dict:
    """Sender and number of a message of the browser, to be sent back with what it led to."""
    if not isinstance(text, dict):
        return {"from": "", "number": 0}
    number = text.get("number")
    return {"from": str(text.get("from"))[:40], "number": number if isinstance(number, int) else 0}
