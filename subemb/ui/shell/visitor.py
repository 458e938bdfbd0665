"""Who a visitor is: a browser, known by a cookie whose value cannot be guessed. A link that is shared hands nothing of it over.

The cookie is all that survives when a tab is loaded again. By it the new session finds what the tab before was waiting for and had
run, and adaptations find who began them. Where a browser keeps no cookies, every session is a visitor of its own.
"""

import re
import secrets
import weakref
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ...base.store import Memory

COOKIE = "subemb_visitor"
MOST_VISITORS = 1000  # whose runs are remembered
MOST_RUNS = 60  # of one visitor, and most labelled sets
_YEAR = 365 * 24 * 3600
_TOKEN = re.compile(r"[0-9a-f]{32}")
#: Leaves a cookie alone that is there already: another tab may just have set it.
_SCRIPT = f"""
export default function ({{ data }}) {{
  if (document.cookie.split("; ").some((one) => one.startsWith("{COOKIE}="))) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `{COOKIE}=${{data.token}}; path=/; max-age={_YEAR}; SameSite=Lax${{secure}}`;
}}
"""


def new_token() -> str:
    """32 hexadecimal digits that nobody can guess."""
    return secrets.token_hex(16)


@dataclass
class Visitor:
    """What all tabs of one browser share."""

    token: str
    runs: list[str] = field(default_factory=list)  # keys of every run seen, in order
    sets: dict[str, str] = field(
        default_factory=dict
    )  # digest of labelled pairs that were evaluated -> what this visitor calls them
    #: Session -> the Visit of its tab. Streamlit keeps a session for two minutes after its tab was closed or loaded again.
    tabs: "weakref.WeakValueDictionary[str, Any]" = field(default_factory=weakref.WeakValueDictionary)

    def remember(self, key: str) -> None:
        """Add a run, once; the oldest is forgotten where there are too many."""
        if key not in self.runs:
            self.runs.append(key)
            del self.runs[:-MOST_RUNS]

    def name_set(self, digest: str, name: str) -> None:
        """Note what this visitor calls labelled pairs that were evaluated."""
        self.sets.pop(digest, None)
        self.sets[digest] = name
        for old in list(self.sets)[:-MOST_RUNS]:
            del self.sets[old]


_visitors = Memory(MOST_VISITORS)


def visitor_of(token: str) -> Visitor:
    """The visitor with this token."""
    return _visitors.take(token, lambda: Visitor(token))


def token_in_browser() -> str | None:
    """The token that the browser brought along, or None."""
    cookies = st.context.cookies if runtime.exists() and get_script_run_ctx() is not None else {}
    found = cookies.get(COOKIE)
    return found if isinstance(found, str) and _TOKEN.fullmatch(found) else None


def keep_in_browser(token: str) -> None:
    """Have a browser that brought none keep the token. Draws nothing."""
    if token_in_browser() is None and runtime.exists():
        _cookie_writer()(key=COOKIE, data={"token": token}, height=1)


@st.cache_resource(max_entries=1, show_spinner=False)
def _cookie_writer():
    return st.components.v2.component(COOKIE, js=_SCRIPT)


def session_id() -> str:
    """The session whose script runs."""
    context = get_script_run_ctx()
    return "" if context is None else context.session_id


def is_open(session: str) -> bool:
    """Whether the tab of a session is open now."""
    return runtime.exists() and runtime.get_instance().is_active_session(session)


def stay_with_open_tabs() -> None:
    """Say for every open tab that what it shows and waits for is still wanted; the upkeep of the server does this now and then.

    A browser sends next to nothing from a tab in the background: once a minute at most.
    """
    for visitor in _visitors.values():
        for session, visit in list(visitor.tabs.items()):
            if is_open(session):
                visit.stay()
