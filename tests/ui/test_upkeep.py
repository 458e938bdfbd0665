"""What the server does beside its pages: sessions of visitors who left go, with their files."""

import asyncio
import threading
import time
import tomllib
from types import SimpleNamespace

import pytest
from streamlit import config
from streamlit.runtime import Runtime, RuntimeState
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

from subemb.base.paths import app_folder
from subemb.ui.shell import upkeep


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
