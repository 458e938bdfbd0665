"""What the server does beside its pages: uploads are bounded, and sessions of visitors who left go, with their files."""

import asyncio
import gc
import threading
import time
import tomllib
import weakref
from types import SimpleNamespace

import pytest
from starlette.exceptions import HTTPException
from streamlit import config
from streamlit.runtime import Runtime, RuntimeState
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

from subemb.base.errors import InputError
from subemb.base.open_server import UploadLimits
from subemb.base.paths import app_folder
from subemb.ui.shell import upkeep


@pytest.fixture
def limits(monkeypatch) -> None:
    """100 bytes a file, 150 a visitor, 300 in all; what other tests hold does not count."""
    monkeypatch.setattr(upkeep, "_contents", weakref.WeakValueDictionary())
    monkeypatch.setattr(upkeep, "upload_limits", lambda: UploadLimits(100, 150, 300))


@pytest.fixture
def uploads(limits) -> MemoryUploadedFileManager:
    manager = MemoryUploadedFileManager("/upload")
    upkeep.limit_uploads(manager)
    return manager


def give(manager, visitor: str, name: str, data: bytes) -> None:
    manager.add_file(session_id=visitor, file=UploadedFileRec(file_id=name, name=name, type="text/plain", data=data))


def names(manager, visitor: str) -> list[str]:
    return [file.name for file in manager.file_storage.get(visitor, {}).values()]


def test_of_one_visitor_the_oldest_files_go_first(uploads):
    for name in "abc":
        give(uploads, "one", name, name.encode() * 70)
    assert names(uploads, "one") == ["b", "c"]


def test_all_visitors_together_are_bounded_until_somebody_leaves(uploads):
    for visitor in "abc":
        give(uploads, visitor, "file", visitor.encode() * 100)
    with pytest.raises(HTTPException) as refused:
        give(uploads, "d", "file", b"d" * 50)
    assert refused.value.status_code == 507
    assert names(uploads, "d") == []
    uploads.remove_session_files("a")
    give(uploads, "d", "file", b"d" * 50)
    assert names(uploads, "d") == ["file"]


def test_a_class_that_gives_one_file_holds_it_once(uploads):
    for visitor in map(str, range(40)):
        give(uploads, visitor, "file", bytes(bytearray(b"x" * 100)))
    assert len({id(file.data) for files in uploads.file_storage.values() for file in files.values()}) == 1


def test_a_file_that_is_too_large_is_refused(uploads):
    with pytest.raises(HTTPException) as refused:
        give(uploads, "one", "file", b"x" * 101)
    assert refused.value.status_code == 413


def test_contents_are_held_once_bounded_and_only_while_somebody_names_them(limits):
    first = upkeep.hold(b"a" * 200)
    assert upkeep.hold(b"a" * 200) is first
    with pytest.raises(InputError, match="may hold 300 B"):
        upkeep.hold(b"b" * 200)
    del first
    gc.collect()
    assert len(upkeep.hold(b"b" * 200)) == 200


def test_streamlit_has_what_the_upkeep_uses():
    for owner, attribute in (
        (Runtime, "_get_async_objs"),
        (Runtime, "uploaded_file_mgr"),
        (WebsocketSessionManager, "list_sessions"),
    ):
        assert hasattr(owner, attribute)
    storage = MemorySessionStorage(ttl_seconds=0.01)
    storage._cache["gone"] = object()
    time.sleep(0.02)
    storage._cache.expire()
    assert not len(storage._cache)


def test_memory_can_be_released():
    upkeep.release_memory()


def test_sessions_of_visitors_who_left_are_dropped_on_the_servers_own_thread():
    storage, threads = MemorySessionStorage(ttl_seconds=0.01), []
    storage._cache["gone"] = object()
    time.sleep(0.02)
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()

    def list_sessions() -> list:
        threads.append(threading.current_thread())
        return storage.list()

    server = SimpleNamespace(
        _session_mgr=SimpleNamespace(_session_storage=storage, list_sessions=list_sessions),
        _get_async_objs=lambda: SimpleNamespace(eventloop=loop),
    )
    try:
        assert upkeep.expire_sessions(server) == 0
    finally:
        loop.call_soon_threadsafe(loop.stop)
        running.join()
        loop.close()
    assert threads == [running]


@pytest.mark.parametrize(
    ("state", "is_closed", "told"),
    [
        (RuntimeState.NO_SESSIONS_CONNECTED, False, ["the upkeep of the server failed"]),
        (RuntimeState.STOPPING, False, []),
        (RuntimeState.NO_SESSIONS_CONNECTED, True, []),
    ],
)
def test_only_what_fails_while_the_server_runs_is_told_as_a_defect(caplog, state, is_closed, told):
    loop = SimpleNamespace(is_closed=lambda: is_closed)
    server = SimpleNamespace(state=state, _get_async_objs=lambda: SimpleNamespace(eventloop=loop))
    with upkeep._logged(server):
        raise RuntimeError("Event loop is closed")
    assert [record.message for record in caplog.records] == told


def test_the_server_does_not_collect_all_garbage_after_every_run():
    """With the libraries of models loaded that takes a quarter of a second, in which no other visitor is served."""
    given = tomllib.loads((app_folder() / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert given["runner"]["postScriptGC"] is False
    assert config.get_option("runner.postScriptGC") in (True, False)  # Streamlit has such an option
