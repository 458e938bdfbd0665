"""What the server does beside its pages: limits on what visitors upload, a word for tabs in the background, and memory given back
when visitors have left.

Streamlit keeps the session of a visitor who left for two minutes, in case they come back, but drops it only when the next one leaves;
and it holds uploads without any limit on all of them together. The parts of it that are used here and are not documented are named in
``tests/ui/test_upkeep.py``.
"""

import ctypes
import gc
import hashlib
import logging
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from ...base.errors import InputError
from ...base.open_server import upload_limits
from ...base.text import size_text
from .visitor import stay_with_open_tabs

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0  # much less than jobs and kept results wait for a word
_begun = threading.Lock()
_watched: "weakref.WeakSet[Any]" = weakref.WeakSet()  # servers whose upkeep has begun; more than one in tests only


def begin() -> None:
    """Begin the upkeep of this process's server, once. Without a server, as in tests of pages, nothing is done."""
    from streamlit import runtime
    from streamlit.runtime import Runtime

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
    known = 0
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
                release_memory()
            known = count
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


def release_memory() -> None:
    """Give memory that is no longer used back to the system; glibc keeps it otherwise."""
    gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):  # another C library
            return


# Uploads


def limit_uploads(manager: Any) -> None:
    """Let Streamlit's uploads hold so many bytes and no more. manager: its UploadedFileManager.

    Of one visitor the oldest files go first; where all visitors together have too many, another upload is refused, and the browser
    says so beside the file. Equal files, as in a class, are held once.
    """
    from starlette.exceptions import HTTPException

    add, lock = manager.add_file, threading.Lock()

    def add_file(session_id: str, file: Any) -> None:
        limits = upload_limits()
        if len(file.data) > limits.of_a_file:
            raise HTTPException(413, detail=f"At most {size_text(limits.of_a_file)} a file.")
        with lock:
            held = [one for files in list(manager.file_storage.values()) for one in list(files.values())]
            same = next((one.data for one in held if one.data == file.data), None)
            own = list(manager.file_storage.get(session_id, {}).values())
            while own and sum(len(one.data) for one in own) + len(file.data) > limits.of_a_visitor:
                manager.remove_file(session_id, own.pop(0).file_id)
            total = sum({id(one.data): len(one.data) for one in held}.values())
            if same is None and total + len(file.data) > limits.of_all:
                log.warning("an upload of %s was refused: %s are held already", size_text(len(file.data)), size_text(total))
                raise HTTPException(507, detail="The server holds as many uploads as it may; try again in a few minutes.")
            add(session_id=session_id, file=file if same is None else file._replace(data=same))

    manager.add_file = add_file


class Content:
    """The content of a file that a visitor gave; it is held for as long as somebody's session names it."""

    def __init__(self, data: bytes, digest: str):
        self.data, self.digest = data, digest

    def __len__(self) -> int:
        return len(self.data)


_contents: "weakref.WeakValueDictionary[str, Content]" = weakref.WeakValueDictionary()
_holding = threading.Lock()


def hold(data: bytes) -> Content:
    """Keep what a visitor gave beyond the page it was given on; equal contents are held once.

    Raises InputError where all visitors together have given too much.
    """
    digest = hashlib.sha256(data).hexdigest()
    most = upload_limits().of_all
    with _holding:
        found = _contents.get(digest)
        if found is None:
            total = sum(len(one) for one in _contents.values())
            if total + len(data) > most:
                raise InputError(
                    f"the server holds {size_text(total)} of files that visitors gave, and may hold {size_text(most)}; give a "
                    "smaller file, or try again in a few minutes"
                )
            found = _contents[digest] = Content(data, digest)
    return found
