"""Kept files of any content are recomputed and said so; a cache that is full, read-only, foreign or dated wrongly loses nothing."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subemb.base.errors import InputError
from subemb.base.paths import cannot_write
from subemb.base.store import Store, sweep_cache
from subemb.runs import RUNS
from subemb.tasks.evaluations import SIMILARITY_SETS
from subemb.ui.shell.text import without_folders

DEEP = "[" * 200_000
BAD = [
    "",
    "[",
    "5",
    "null",
    "[]",
    "{}",
    DEEP,
    '{"format": 2}',
    '{"format": 2, "value": 5}',
    b"\xff\xfe\0",
    b"\0" * 20,
    '{"a":' * 400 + "1" + "}" * 400,
]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("store", [RUNS, SIMILARITY_SETS], ids=lambda store: store.name)
def test_a_kept_file_of_any_content_is_dropped_and_said(store, content, cache, caplog):
    place = store.path("0" * 24)
    place.mkdir(parents=True)
    (place / store.file).write_bytes(content.encode() if isinstance(content, str) else content)
    assert store.get("0" * 24) is None
    assert "will be computed again" in caplog.text
    assert not place.exists()


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["format", "value", "key", "model", "size"]), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_json_of_any_kind_is_a_value_or_nothing(value, cache):
    place = RUNS.path("1" * 24)
    place.mkdir(parents=True, exist_ok=True)
    (place / RUNS.file).write_text(json.dumps({"format": RUNS.format, "value": value}))
    assert RUNS.get("1" * 24) is None


def test_a_date_in_the_future_keeps_nothing_alive(cache):
    store = Store("results", most=3)
    for name in "abc":
        store.put(name, name)
    future = time.time() + 10 * 365 * 86_400
    os.utime(cache / "results" / "a", (future, future))
    for name in "bc":
        store.get(name)
    Store("results", most=3).put("d", "d")  # by another process, which knows of no use
    assert sorted(store) == ["b", "c", "d"]


def test_what_a_killed_process_left_is_swept_away_and_what_is_written_stays(cache):
    code = (
        "import sys, time\nfrom subemb.base.store import Store\n"
        "def write(folder, value):\n    (folder / 'entry.json').write_text('x' * 1000); print('writing', flush=True); time.sleep(60)\n"
        "Store('results', write=write).put('key', 1)\n"
    )
    killed, alive = (subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2))
    try:
        for process in (killed, alive):
            assert process.stdout.readline() == b"writing\n"
        killed.send_signal(signal.SIGKILL)
        killed.wait(20)
        assert len(list((cache / "results").iterdir())) == 2
        sweep_cache.__wrapped__()
        left = [path.name for path in (cache / "results").iterdir()]
        assert len(left) == 1
        assert f"{alive.pid}-" in left[0]
    finally:
        alive.kill()
        alive.wait(20)
        for process in (killed, alive):
            process.stdout.close()


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "can only be read"),
        (errno.EACCES, "chown"),
        (errno.EPERM, "chown"),
        (errno.EIO, "SUBEMB_CACHE"),
    ],
)
def test_a_disk_that_cannot_be_written_has_its_remedy(number, remedy, cache):
    def write(folder, value):
        raise OSError(number, os.strerror(number))

    with pytest.raises(InputError, match=remedy) as caught:
        Store("results", write=write).put("key", 1)
    assert os.strerror(number) in str(caught.value)
    assert str(cannot_write(cache / "results", OSError(number, os.strerror(number)))) == str(caught.value)
    assert str(cache) not in without_folders(str(caught.value))
    assert os.listdir(cache / "results") == []


def test_nothing_is_begun_that_could_not_be_kept(cache, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(InputError, match="free some space"):
        Store("results").check()


@pytest.mark.parametrize("value", ["~nouser/x", "x" * 5000])
def test_a_cache_that_can_be_no_folder(value, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", value)
    with pytest.raises(InputError, match="SUBEMB_CACHE"):
        Store("results").put("key", 1)
