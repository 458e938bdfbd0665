"""The one cache: on disk for several processes at once, and in memory."""

import json
import logging
import multiprocessing
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from subemb.base.errors import InputError
from subemb.base.paths import write_files
from subemb.base.store import HELD_SECONDS, Memory, Store, content_key


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))
    return tmp_path / "results"


@dataclass(frozen=True)
class Settings:
    resamples: int = 2000


@dataclass(frozen=True)
class Report:
    scores: dict[str, float | None]
    sentences: tuple[str, ...] = ()
    settings: Settings = Settings()


# Keys


def test_keys_tell_everything_apart():
    store, other = Store("results"), Store("words")
    keys = {
        store.key(subject=("a", "b"), settings=Settings()),
        other.key(subject=("a", "b"), settings=Settings()),
        Store("results", format=2).key(subject=("a", "b"), settings=Settings()),
        store.key(subject=("a", None), settings=Settings()),
        store.key(subject=("a", "b"), settings=Settings(1000)),
        store.key(subject=("a", "b"), rows=np.arange(4)),
        store.key(subject=("a", "b"), rows=np.arange(4).reshape(2, 2)),
        store.key(subject=("a", "b"), rows=np.arange(4.0)),
    }
    assert len(keys) == 8
    assert all(len(key) == 24 for key in keys)
    with pytest.raises(TypeError, match="cannot be part of a key"):
        store.key(subject=object())


def test_a_thing_may_say_what_it_is():
    class Subject:
        content = ("model", "run")

    assert content_key(Subject()) == content_key(("model", "run"))


@pytest.mark.parametrize("key", ["", "..", "../x", "a/b", ".new-x", "a\0b"])
def test_a_key_is_never_a_path(key):
    store = Store("results")
    for use in (store.get, store.drop, store.path, lambda key: store.put(key, 1)):
        with pytest.raises(InputError, match="is no key"):
            use(key)


# Entries


def test_what_was_put_in_comes_out():
    store = Store("results", kind=Report)
    report = Report({"original": 0.1 + 0.2, "compressed": None}, ("naïve ⟨x⟩", "猫"), Settings(5))
    key = store.key(data="x")
    assert store.get(key) is None
    store.put(key, report)
    assert store.get(key) == report
    assert Store("words", kind=Report).get(key) is None
    assert list(store) == [key]


def test_a_new_result_takes_the_place_of_the_old():
    store = Store("results")
    store.put("key", {"old form": 1})
    store.put("key", {"new form": 2})
    assert store.get("key") == {"new form": 2}


def test_a_format_that_is_not_read_any_more_is_no_result(caplog):
    Store("results", format=1).put("key", 1)
    newer = Store("results", format=2)
    assert newer.get("key") is None
    assert "format 1 instead of 2" in caplog.text
    newer.put("key", 2)
    assert newer.get("key") == 2
    assert Store("results", format=1).key(of=1) != newer.key(of=1), "two versions on one folder leave each other alone"


@pytest.mark.parametrize("damage", ['{"format": 1, "val', "[]", '{"format": 1}', '{"format": 1, "value": {"scores": 3}}', ""])
def test_a_damaged_entry_is_reported_dropped_and_computed_again(cache, caplog, damage):
    store = Store("results", kind=Report, in_memory=4)
    store.put("key", Report({"a": 1.0}))
    assert store.get("key") is not None
    (cache / "key" / store.file).write_text(damage)
    with caplog.at_level(logging.WARNING):
        assert store.get("key") is None
    assert "key in the cache (results) cannot be read" in caplog.text
    assert not (cache / "key").exists()
    store.put("key", Report({"a": 2.0}))
    assert store.get("key").scores == {"a": 2.0}


def test_an_entry_without_its_file_is_none_and_can_be_put(cache):
    store = Store("results")
    (cache / "key").mkdir(parents=True)
    (cache / "key" / "something").write_text("left behind")
    assert store.get("key") is None
    store.put("key", 1)
    assert store.get("key") == 1
    assert os.listdir(cache / "key") == [store.file]


# Bounds


def aged(cache: Path, names: tuple[str, ...]) -> None:
    """The first is the oldest."""
    for age, name in enumerate(names):
        os.utime(cache / name, (1_000_000 + age, 1_000_000 + age))


def test_no_more_than_so_many_entries_stay(cache):
    store = Store("results", most=2)
    for number in range(5):
        store.put(f"key{number}", number)
    assert sorted(store) == ["key3", "key4"]


def test_only_the_newest_entries_stay(cache):
    store = Store("results", most=2)
    for name in ("old", "middle", "new"):
        (cache / name).mkdir(parents=True)
    aged(cache, ("old", "middle", "new"))
    store.trim()
    assert sorted(path.name for path in cache.iterdir()) == ["middle", "new"]


def test_those_asked_for_stay(cache):
    store = Store("results", most=2, in_memory=2)
    for name in ("key1", "key2"):
        store.put(name, name)
    aged(cache, ("key1", "key2"))
    assert store.get("key1", is_use=False) == "key1"
    assert list(store) == ["key2", "key1"]
    assert store.get("key1") == "key1"
    store.put("key3", 3)
    assert sorted(store) == ["key1", "key3"]


def test_no_more_than_so_many_bytes_stay_but_always_the_newest(cache):
    store = Store("results", most_bytes=2500)
    for number in range(4):
        store.put(f"key{number}", "x" * 1000)
        os.utime(cache / f"key{number}", (1_000_000 + number, 1_000_000 + number))
    assert sorted(store) == ["key2", "key3"]
    store.put("large", "x" * 5000)
    assert list(store) == ["large"]


def test_what_was_never_finished_is_swept_away_in_time(cache):
    store = Store("results")
    store.put("key", 1)
    for name, when in ((".new-old", 1_000_000), (".new-young", None)):
        (cache / name).mkdir()
        os.utime(cache / name, None if when is None else (when, when))
    assert list(store) == ["key"], "they are no entries"
    store.trim()
    assert sorted(path.name for path in cache.iterdir()) == [".new-young", "key"]


# Whole or not at all


def test_a_failure_while_writing_leaves_nothing(cache):
    def write(folder: Path, value) -> None:
        (folder / "entry.json").write_text("half")
        raise value

    store = Store("results", write=write)
    with pytest.raises(InputError, match=r"could not be written .* set SUBEMB_CACHE"):
        store.put("key", OSError(28, "No space left on device"))
    with pytest.raises(ZeroDivisionError):
        store.put("key", ZeroDivisionError())
    assert os.listdir(cache) == []


def test_a_file_in_the_way_is_told(cache):
    store = Store("results")
    store.folder.joinpath("key").write_text("a file where a folder is to be written")
    with pytest.raises(InputError, match="could not be written"):
        store.put("key", 1)
    assert os.listdir(cache) == ["key"]


def test_a_cache_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="SUBEMB_CACHE"):
        Store("results").get("key")


def _put_and_get(number: int, start, seen) -> None:
    store = Store("results", most=3)
    start.wait()
    for turn in range(30):
        store.put("key", [number] * 2000)
        found = store.get("key")
        seen.put(found is None or (len(found) == 2000 and len(set(found)) == 1))
        store.put(f"key{number}{turn}", number)


@pytest.mark.slow
def test_two_processes_may_put_the_same_key(cache, caplog):
    """Two servers on one folder: a reader sees a whole entry of one of the two, and nothing is left behind."""
    context = multiprocessing.get_context("fork")
    start, seen = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_put_and_get, args=(number, start, seen)) for number in range(2)]
    for process in processes:
        process.start()
    assert all(seen.get(timeout=60) for _ in range(60))
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert not [path.name for path in cache.iterdir() if path.name.startswith(".")]
    assert len(list(Store("results"))) <= 4


def test_files_are_written_together_or_not_at_all(tmp_path):
    (tmp_path / "new").mkdir()
    write_files(tmp_path / "new", {"a": b"1", "b": b"2"})
    write_files(tmp_path / "new", {"a": b"3"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {"a": b"3", "b": b"2"}
    with pytest.raises(OSError, match=r"Not a directory|No such file"):
        write_files(tmp_path / "new", {"a": b"4", "missing/b": b"5"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {"a": b"3", "b": b"2"}


# In memory


def test_memory_gives_the_same_object_until_the_entry_changes(cache):
    store, plain = Store("results", in_memory=2), Store("results")
    store.put("key", {"a": [1]})
    first = store.get("key")
    assert store.get("key") is first
    assert plain.get("key") is not plain.get("key")
    (cache / "key" / store.file).write_text(json.dumps({"format": 1, "value": {"a": [1, 2]}}))  # by another process
    assert store.get("key") == {"a": [1, 2]}
    store.drop("key")
    assert store.get("key") is None


def test_memory_is_bounded():
    memory = Memory(2)
    for key in "abac":
        memory.take(key, key.upper)
    assert memory.keys() == ["a", "c"]
    assert memory.values() == ["A", "C"]
    memory.forget(lambda key, value: value == "A")
    assert memory.keys() == ["c"]
    memory.clear()
    assert memory.keys() == []


def test_what_failed_is_tried_again():
    memory = Memory(2)
    with pytest.raises(ZeroDivisionError):
        memory.take("key", lambda: 1 / 0)
    assert memory.take("key", lambda: 1) == 1


def test_threads_that_ask_at_once_get_one_object():
    memory, made, found = Memory(2), [], []
    begin = threading.Barrier(8)

    def make() -> object:
        made.append(threading.get_ident())
        threading.Event().wait(0.05)
        return object()

    def ask() -> None:
        begin.wait()
        found.append(memory.take("key", make))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(map(id, found))) == 1


def test_what_is_held_is_not_dropped_for_new_entries(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))
    store = Store("held", most=2)
    keys = [store.key(of=number) for number in range(5)]
    store.put(keys[0], 0)
    store.hold(keys[0])
    for number, key in enumerate(keys[1:], 1):
        store.put(key, number)
    assert store.get(keys[0]) == 0, "it is shown or worked on"
    assert len(list(store)) == 3
    left = store.folder / f".held-{keys[0]}"
    long_ago = time.time() - HELD_SECONDS - 1
    os.utime(left, (long_ago, long_ago))
    store.trim()
    assert len(list(store)) == 2
    assert not left.exists()


def test_an_entrys_files_make_the_same_entry_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "here"))
    store = Store("things", write=lambda folder, value: [(folder / "entry.json").write_text(value), (folder / "sub").mkdir()])
    key = store.key(of=1)
    assert store.files(key) is None
    store.put(key, "one")
    (store.path(key) / "sub" / "more.bin").write_bytes(b"\0")
    files = store.files(key)
    assert files == {"entry.json": b"one", "sub/more.bin": b"\0"}
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "there"))
    store.put_files(key, files)
    assert store.files(key) == files
    store.change_files(key, {"entry.json": b"two"}, ["sub/more.bin"])
    assert store.files(key) == {"entry.json": b"two"}
    with pytest.raises(InputError, match="leads out of the entry"):
        store.change_files(key, {"../outside": b""})
    assert not (tmp_path / "there" / "things" / "outside").exists()
