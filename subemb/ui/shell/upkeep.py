"""What the server does beside its pages: a word for tabs in the background, and memory given back that pages and visitors no longer need.

Streamlit keeps the session of a visitor who left for two minutes, in case they come back, but drops it only when the next one leaves.
The parts of it that are used here and are not documented are named in ``tests/ui/test_upkeep.py``.
"""

import gc
import logging
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from streamlit import runtime
from streamlit.runtime import Runtime

from ...base.memory import own_bytes, release_memory, trim
from .uploads import forget_what_left, limit_uploads
from .visitor import stay_with_open_tabs

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0  # much less than jobs and kept results wait for a word
MOST_MORE = 2**27  # bytes by which the process may grow before it gives back what is free
_begun = threading.Lock()
_watched: "weakref.WeakSet[Any]" = weakref.WeakSet()  # servers whose upkeep has begun; more than one in tests only


def begin() -> None:
    """Begin the upkeep of this process's server, once. Without a server, as in tests of pages, nothing is done."""
    server = runtime.get_instance() if runtime.exists() else None
    if not issubclass(type(server), Runtime):  # AppTest has a stand-in that says it is an instance of one
        return
    with _begun:
        if server in _watched:
            return
        _watched.add(server)
    limit_uploads(server.uploaded_file_mgr)
    threading.Thread(target=_keep_up, args=(weakref.ref(server),), name="subemb-upkeep", daemon=True).start()


def _keep_up(reference: "weakref.ref[Any]") -> None:
    known, held, trims = 0, 0, 0
    while True:
        time.sleep(EVERY_SECONDS)
        server = reference()
        if server is None or _has_ended(server):
            return
        with _logged(server):
            stay_with_open_tabs()
        with _logged(server):
            count = expire_sessions(server)
            if count < known:  # somebody has left
                gc.collect()
                forget_what_left()
                release_memory()
            known = count
        with _logged(server):
            if (own_bytes() or 0) > held + MOST_MORE:
                trims = 2  # once more when next looked: what a page was at work on is free then
            if trims:
                trim()
                trims -= 1
            held = own_bytes() or 0
        del server


def _has_ended(server: Any) -> bool:
    """Whether the server has stopped, or is about to: its event loop takes nothing more."""
    return server.state.name in ("STOPPING", "STOPPED") or server._get_async_objs().eventloop.is_closed()


@contextmanager
def _logged(server: Any) -> Iterator[None]:
    """A defect must not end the thread; what fails because the server ends meanwhile is none."""
    try:
        yield
    except Exception:
        if not _has_ended(server):
            log.exception("the upkeep of the server failed")


def expire_sessions(server: Any) -> int:
    """Drop the sessions of visitors who left more than two minutes ago, with their uploads; returns how many sessions are left.

    server: Streamlit's Runtime, whose sessions may be touched on its event loop only.
    """
    left: Future[int] = Future()

    def on_the_loop() -> None:
        server._session_mgr._session_storage._cache.expire()
        left.set_result(len(server._session_mgr.list_sessions()))

    server._get_async_objs().eventloop.call_soon_threadsafe(on_the_loop)
    return left.result(timeout=60)
