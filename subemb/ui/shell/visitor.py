"""Who a visitor is: a browser, known by a cookie whose value cannot be guessed. A link that is shared hands nothing of it over.

The cookie is all that survives when a tab is loaded again. By it the new session finds what the tab before was waiting for and had
run, and adaptations find who began them. What a visitor has run, and how it is tagged, is also kept on disk, under a hash of the cookie's
value, and found again after the server was started anew. Where a browser keeps no cookies, every session is a visitor of its own.
"""

import hashlib
import logging
import re
import secrets
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ...base.errors import InputError
from ...base.store import Memory, Store
from .components import component

COOKIE = "subemb_visitor"
MOST_VISITORS = 1000  # whose runs are remembered
MOST_RUNS = 60  # of one visitor, and most labelled sets
MOST_TAGS, LONGEST_TAG = 8, 40  # of one run; characters
MOST_WAITING = 8  # runs of one visitor that a server started anew takes up again
WAITING_SECONDS = 3600.0  # after so long nobody waits for a run any more
log = logging.getLogger(__name__)
_YEAR = 365 * 24 * 3600
_TOKEN = re.compile(r"[0-9a-f]{32}")
#: Leaves a cookie alone that is there already: another tab may just have set it.
_SCRIPT = f"""
function component({{ data }}) {{
  if (document.cookie.split("; ").some((one) => one.startsWith("{COOKIE}="))) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `{COOKIE}=${{data.token}}; path=/; max-age={_YEAR}; SameSite=Lax${{secure}}`;
}}
"""


def new_token() -> str:
    """32 hexadecimal digits that nobody can guess."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Waiting:
    """A run that a visitor waits for."""

    query: dict[str, str]  # its request, as a link has it
    since: float  # seconds since 1970


@dataclass(frozen=True)
class KeptVisitor:
    """What is kept of a visitor on disk."""

    runs: list[str] = field(default_factory=list)
    sets: dict[str, str] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)


#: By a hash of the token: who can read the cache of the server cannot become its visitors.
VISITORS: Store[KeptVisitor] = Store("visitors", most=MOST_VISITORS, kind=KeptVisitor)


@dataclass
class Visitor:
    """What all tabs of one browser share."""

    token: str
    runs: list[str] = field(default_factory=list)  # keys of every run seen, in order
    sets: dict[str, str] = field(
        default_factory=dict
    )  # digest of labelled pairs that were evaluated -> what this visitor calls them
    seen: dict[str, float] = field(default_factory=dict)  # key of a run -> when it came, in seconds since 1970
    tags: dict[str, list[str]] = field(default_factory=dict)  # key of a run -> words that the visitor gave it
    waiting: dict[str, Waiting] = field(default_factory=dict)  # key of a run -> what was asked for and is not over yet
    #: Session -> the Visit of its tab. Streamlit keeps a session for two minutes after its tab was closed or loaded again.
    tabs: "weakref.WeakValueDictionary[str, Any]" = field(default_factory=weakref.WeakValueDictionary)

    def remember(self, key: str, is_own: bool = True) -> None:
        """Add a run, once; the oldest is forgotten where there are too many. is_own: it was run, or opened by its link."""
        if key in self.runs:
            return
        self.runs.append(key)
        self.seen[key] = time.time()
        for old in self.runs[:-MOST_RUNS]:
            self._forget(old)
        if is_own:
            self.keep()

    def forget(self, keys: Iterable[str]) -> None:
        """Take runs out of the list, with their tags."""
        for key in keys:
            self._forget(key)
        self.keep()

    def _forget(self, key: str) -> None:
        if key in self.runs:
            self.runs.remove(key)
        self.seen.pop(key, None)
        self.tags.pop(key, None)

    def tag(self, key: str, words: Iterable[str]) -> None:
        """Give a run these tags in place of what it had. Raises InputError for too many, or too long ones."""
        found = list(dict.fromkeys(" ".join(word.split()) for word in words if word.strip()))
        long = next((word for word in found if len(word) > LONGEST_TAG), None)
        if long is not None:
            raise InputError(f"the tag {long[:LONGEST_TAG]!r}... has {len(long)} characters; at most {LONGEST_TAG} are kept")
        if len(found) > MOST_TAGS:
            raise InputError(f"{len(found)} tags are too many for a run; give at most {MOST_TAGS}")
        if found != self.tags.get(key, []):
            self.tags[key] = found
            self.keep()

    def name_set(self, digest: str, name: str) -> None:
        """Note what this visitor calls labelled pairs that were evaluated."""
        is_known = self.sets.get(digest) == name
        self.sets.pop(digest, None)
        self.sets[digest] = name
        for old in list(self.sets)[:-MOST_RUNS]:
            del self.sets[old]
        if not is_known:
            self.keep()

    def wait_for(self, key: str, query: dict[str, str]) -> None:
        """Note that a run was asked for."""
        self.waiting[key] = Waiting(dict(query), time.time())
        for old in list(self.waiting)[:-MOST_WAITING]:
            del self.waiting[old]
        self.keep()

    def wait_no_more(self, key: str) -> None:
        """Note that a run is over, or not wanted any more."""
        if self.waiting.pop(key, None) is not None:
            self.keep()

    def keep(self) -> None:
        """Write what a restart of the server is to leave. Where nothing can be written the visit goes on without."""
        with _keeping:
            kept = KeptVisitor(
                list(self.runs),
                dict(self.sets),
                dict(self.seen),
                {key: list(words) for key, words in self.tags.items()},
                dict(self.waiting),
            )
            try:
                VISITORS.put(key_of_token(self.token), kept)
            except InputError as error:
                log.warning("what a visitor has cannot be kept: %s", error)


_visitors = Memory(MOST_VISITORS)
_keeping = threading.Lock()


def key_of_token(token: str) -> str:
    """Under which a visitor is kept on disk."""
    return hashlib.sha256(f"subemb visitor {token}".encode()).hexdigest()[:32]


def visitor_of(token: str) -> Visitor:
    """The visitor with this token."""
    return _visitors.take(token, lambda: _kept(token))


def _kept(token: str) -> Visitor:
    try:
        kept = VISITORS.get(key_of_token(token))
    except InputError:  # no cache folder: what is wrong with it is said where something is computed
        kept = None
    if kept is None:
        return Visitor(token)
    runs = kept.runs[-MOST_RUNS:]
    return Visitor(
        token,
        list(runs),
        dict(list(kept.sets.items())[-MOST_RUNS:]),
        {key: kept.seen[key] for key in runs if key in kept.seen},
        {key: list(kept.tags[key])[:MOST_TAGS] for key in runs if key in kept.tags},
        {key: one for key, one in kept.waiting.items() if 0 <= time.time() - one.since < WAITING_SECONDS},
    )


def is_anybodys(key: str, besides: Visitor) -> bool:
    """Whether another visitor has a run in their list, as far as this server knows."""
    if any(key in other.runs for other in _visitors.values() if other is not besides):
        return True
    own = key_of_token(besides.token)
    kept = (VISITORS.get(name, is_use=False) for name in VISITORS if name != own)
    return any(key in other.runs for other in kept if other is not None)


def token_in_browser() -> str | None:
    """The token that the browser brought along, or None."""
    cookies = st.context.cookies if runtime.exists() and get_script_run_ctx() is not None else {}
    found = cookies.get(COOKIE)
    return found if isinstance(found, str) and _TOKEN.fullmatch(found) else None


def keep_in_browser(token: str) -> None:
    """Have a browser that brought none keep the token. Draws nothing."""
    if token_in_browser() is None and runtime.exists():
        component(COOKIE, _SCRIPT)(key=COOKIE, data={"token": token}, height=1)


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
