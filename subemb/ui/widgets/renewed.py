"""Choices that act, and whose value is set by the server afterwards.

What a browser sends may be older than what the server has set since: while a page is drawn for long, a press elsewhere still carries the
choice as it was. That would change the choice back and act a second time. So a choice that the server sets becomes another widget,
by its key, and what comes for the one before it is not listened to.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st


def renewed(key: str, take: Callable[[Any], None]) -> dict[str, Any]:
    """The arguments ``key`` and ``on_change`` of a widget. take: is called with what a visitor chose, if it is not None."""
    now = _now(key)

    def act() -> None:
        chosen = st.session_state.get(now)
        if chosen is not None and now == _now(key):
            take(chosen)

    return {"key": now, "on_change": act}


def renew(key: str) -> None:
    """Make it another widget, that nobody has touched."""
    st.session_state[f"{key}_turn"] = st.session_state.get(f"{key}_turn", 0) + 1


def show_choice(key: str, value: Any) -> None:
    """Have the widget show a value, before it is drawn. Where a visitor chose that very value it stays the same widget, with the focus."""
    if st.session_state.get(_now(key)) != value:
        renew(key)
    st.session_state[_now(key)] = value


def _now(key: str) -> str:
    return f"{key}_{st.session_state.get(f'{key}_turn', 0)}"
