"""What visitors give: uploads are bounded, of one visitor and of all together, and who meets a bound reads which.

Streamlit holds uploads without any limit on all of them together, and of a refused one the browser says "status code 507". So a file
that there is no room for is taken without its content, and :func:`content_of` says why to whoever reads it. The parts of Streamlit that
are used here and are not documented are named in ``tests/ui/test_uploads.py``.
"""

import hashlib
import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import streamlit as st

from ...base.errors import InputError
from ...base.open_server import upload_limits
from ...base.store import Memory
from ...base.text import size_text

T = TypeVar("T")
log = logging.getLogger(__name__)
_MOST_REFUSED = 1000  # files of which it is known why they have no content
_refused: "OrderedDict[str, str]" = OrderedDict()  # id of a file -> why there is no room for it
_managers: "weakref.WeakSet[Any]" = weakref.WeakSet()  # those that are bounded; more than one in tests only


def file_uploader(label: str, *, key: str, place: Any = st, max_upload_size: int | None = None, **others: Any) -> Any:
    """``st.file_uploader``, which refuses what the server would. max_upload_size: in MB, at most what ``upload_limits`` says."""
    most = upload_limits().of_a_file >> 20
    return place.file_uploader(label, key=key, max_upload_size=min(most, max_upload_size or most), **others)


def content_of(file: Any) -> bytes:
    """The content of an uploaded file. Raises InputError if the server had no room for it."""
    reason = _refused.get(file.file_id)
    if reason is not None:
        raise InputError(f"{file.name} was not taken: {reason}")
    return file.getvalue()


def limit_uploads(manager: Any) -> None:
    """Let Streamlit's uploads hold so many bytes and no more. manager: its UploadedFileManager.

    Of one visitor the oldest files go first; where all visitors together have too many, another file is taken without its content.
    Equal files, as in a class, are held once.
    """
    add, lock = manager.add_file, threading.Lock()
    _managers.add(manager)

    def add_file(session_id: str, file: Any) -> None:
        limits = upload_limits()
        with lock:
            own = list(manager.file_storage.get(session_id, {}).values())
            while own and sum(len(one.data) for one in own) + len(file.data) > limits.of_a_visitor:
                manager.remove_file(session_id, own.pop(0).file_id)
            same = next((data for data in _held() if data == file.data), None)
            reason = _too_large(len(file.data)) or (_no_room(len(file.data)) if same is None else None)
            if reason is not None:
                log.warning("an upload of %s was not taken: %s", size_text(len(file.data)), reason)
                _refused[file.file_id] = reason
                while len(_refused) > _MOST_REFUSED:
                    _refused.popitem(last=False)
                file, same = file._replace(data=b""), None
            add(session_id=session_id, file=file if same is None else file._replace(data=same))

    manager.add_file = add_file


def _held() -> list[bytes]:
    """The contents that are held, of uploads and beyond them; one that is held as both is there twice."""
    uploads = [files for manager in list(_managers) for files in list(manager.file_storage.values())]
    return [one.data for one in [*(file for files in uploads for file in list(files.values())), *list(_contents.values())]]


def _too_large(size: int) -> str | None:
    most = upload_limits().of_a_file
    return (
        None
        if size <= most
        else f"it has {size_text(size)}, and at most {size_text(most)} a file are taken; give a smaller one"
    )


def _no_room(size: int) -> str | None:
    """Why nothing of this size can be held beside what visitors have given; None if it can."""
    held = {id(data): len(data) for data in _held()}
    total, most = sum(held.values()), upload_limits().of_all
    if total + size <= most:
        return None
    return (
        f"the server holds {size_text(total)} of files that visitors gave, and may hold {size_text(most)}; give a smaller file, or "
        "try again in a few minutes"
    )


class Content:
    """The content of a file that a visitor gave; it is held for as long as somebody's session names it."""

    def __init__(self, data: bytes, digest: str):
        self.data, self.digest = data, digest

    def __len__(self) -> int:
        return len(self.data)

    @property
    def text(self) -> str:
        """The content as text. Raises UnicodeDecodeError."""
        return self.data.decode("utf-8-sig")


_contents: "weakref.WeakValueDictionary[str, Content]" = weakref.WeakValueDictionary()
_holding = threading.Lock()


def hold(data: bytes) -> Content:
    """Keep what a visitor gave beyond the page it was given on; equal contents are held once.

    Raises InputError where all visitors together have given too much.
    """
    digest = hashlib.sha256(data).hexdigest()
    with _holding:
        found = _contents.get(digest)
        if found is None:
            is_there = any(one is data for one in _held())  # the upload itself
            reason = None if is_there else _no_room(len(data))
            if reason is not None:
                raise InputError(reason)
            found = _contents[digest] = Content(data, digest)
    return found


# What was read from contents

_read = Memory(64, 200_000_000, lambda entry: entry[1])  # (what was read, its bytes), for all visitors


def read_once(content: Content, how: Hashable, read: Callable[[], T], bytes_of: Callable[[T], int]) -> T:
    """What ``read`` makes of a content, kept for as long as there is room and the content is held. Shared: not to be changed.

    how: whatever else decides the outcome. bytes_of: what it takes in memory. Raises what ``read`` raises.
    """

    def both() -> tuple[T, int]:
        found = read()
        return found, bytes_of(found)

    return _read.take((content.digest, how), both)[0]


def forget_what_left() -> None:
    """Drop what was read from contents that nobody holds any more."""
    _read.forget(lambda key, _: key[0] not in _contents)
