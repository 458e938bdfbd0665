"""The two maps in the browser: a component that draws them (map.js, map.css), and one that tells it things (messages.js).

Streamlit sends a component's data whole whenever any of it changes, but what it sent before only by name. So the points are the data of the
one that draws, every colour is data of another, and what changes with a click is a few hundred bytes of a third.
"""

from pathlib import Path
from typing import Any

import streamlit as st

from ...shell.components import component

KEY = "map_picture"
_FOLDER = Path(__file__).parent


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


_MAP, _LOOK, _MESSAGES = _text("map.js"), _text("map.css"), _text("messages.js")


def draw_maps(points: bytes, on_said) -> None:
    """Mount both maps. points: packed ``from`` and ``to``, (V, 2) uint16 each. on_said: called without arguments when :func:`said` has news."""
    component("subemb_token_map", _MAP, '<div class="map"></div>', _LOOK)(key=KEY, data=points, on_said_change=on_said)


def tell(key: str, what: bytes | dict[str, Any]) -> None:
    """Tell the maps something: packed arrays, which they keep, or what is to be shown now."""
    component("subemb_map_messages", _MESSAGES)(key=key, data=what, height=1)


def said() -> Any:
    """The last message of the browser, inside ``on_said``."""
    state = st.session_state.get(KEY)
    return state.get("said") if state is not None else None


def heard_of(message: object) -> dict[str, Any]:
    """Sender and number of a message of the browser, to be sent back with what it led to."""
    if not isinstance(message, dict):
        return {"from": "", "number": 0}
    number = message.get("number")
    return {"from": str(message.get("from"))[:40], "number": number if isinstance(number, int) else 0}
