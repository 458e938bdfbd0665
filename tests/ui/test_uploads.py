"""What visitors upload is bounded, of one and of all, and who meets a bound is told which."""

import gc
import weakref
from types import SimpleNamespace

import pytest
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from subemb.base.errors import InputError
from subemb.base.open_server import VARIABLE, UploadLimits
from subemb.base.store import Memory
from subemb.ui.shell import uploads as bounded


@pytest.fixture(autouse=True)
def limits(monkeypatch) -> None:
    """100 bytes a file, 150 a visitor, 300 in all; what other tests hold does not count."""
    monkeypatch.setattr(bounded, "_contents", weakref.WeakValueDictionary())
    monkeypatch.setattr(bounded, "_managers", weakref.WeakSet())
    monkeypatch.setattr(bounded, "upload_limits", lambda: UploadLimits(100, 150, 300))


@pytest.fixture
def uploads() -> MemoryUploadedFileManager:
    manager = MemoryUploadedFileManager("/upload")
    bounded.limit_uploads(manager)
    return manager


def give(manager, visitor: str, name: str, data: bytes) -> UploadedFile:
    """The file as a page gets it."""
    manager.add_file(session_id=visitor, file=UploadedFileRec(f"{visitor}/{name}", name, "text/plain", data))
    return UploadedFile(manager.get_files(visitor, [f"{visitor}/{name}"])[0], FileURLs())


def names(manager, visitor: str) -> list[str]:
    return [file.name for file in manager.file_storage.get(visitor, {}).values()]


def test_of_one_visitor_the_oldest_files_go_first(uploads):
    for name in "abc":
        give(uploads, "one", name, name.encode() * 70)
    assert names(uploads, "one") == ["b", "c"]


def test_all_visitors_together_are_bounded_until_somebody_leaves(uploads):
    for visitor in "abc":
        give(uploads, visitor, "file", visitor.encode() * 100)
    refused = give(uploads, "d", "file.csv", b"d" * 50)
    assert refused.getvalue() == b""
    with pytest.raises(
        InputError, match=r"file.csv was not taken: the server holds 300 B .* may hold 300 B; give a smaller file"
    ):
        bounded.content_of(refused)
    uploads.remove_session_files("a")
    assert bounded.content_of(give(uploads, "d", "again.csv", b"d" * 50)) == b"d" * 50


def test_a_class_that_gives_one_file_holds_it_once(uploads):
    for visitor in map(str, range(40)):
        give(uploads, visitor, "file", bytes(bytearray(b"x" * 100)))
    assert len({id(file.data) for files in uploads.file_storage.values() for file in files.values()}) == 1


def test_a_file_that_is_too_large_is_not_taken(uploads):
    with pytest.raises(InputError, match="it has 101 B, and at most 100 B a file are taken"):
        bounded.content_of(give(uploads, "one", "file", b"x" * 101))


def test_an_uploader_takes_no_more_than_the_server(monkeypatch):
    monkeypatch.undo()
    place = SimpleNamespace(file_uploader=lambda label, **options: options["max_upload_size"])
    assert bounded.file_uploader("Files", key="a", place=place) == 20
    assert bounded.file_uploader("Files", key="a", place=place, max_upload_size=5) == 5
    monkeypatch.setenv(VARIABLE, "1")
    assert bounded.file_uploader("Files", key="a", place=place, max_upload_size=20) == 5


@pytest.mark.slow
def test_contents_are_held_once_bounded_and_only_while_somebody_names_them():
    first = bounded.hold(b"a" * 200)
    assert bounded.hold(b"a" * 200) is first
    with pytest.raises(InputError, match="may hold 300 B"):
        bounded.hold(b"b" * 200)
    del first
    gc.collect()
    assert len(bounded.hold(b"b" * 200)) == 200


def test_uploads_and_contents_have_one_bound_and_what_is_both_counts_once(uploads):
    file = give(uploads, "a", "file", b"a" * 100)
    held = [bounded.hold(bounded.content_of(file)), bounded.hold(b"b" * 100), bounded.hold(b"c" * 100)]
    assert held[0].data is file.getvalue()
    with pytest.raises(InputError, match="holds 300 B"):
        bounded.content_of(give(uploads, "d", "file", b"d" * 50))


@pytest.mark.slow
def test_what_was_read_is_read_once_bounded_and_dropped_when_the_content_has_gone(monkeypatch):
    monkeypatch.setattr(bounded, "_read", Memory(9, 100, lambda entry: entry[1]))
    content, values = bounded.hold(b"one two"), iter(range(9))
    for _ in range(2):
        assert bounded.read_once(content, "a", lambda: next(values), lambda value: 60) == 0
    assert bounded.read_once(content, "b", lambda: next(values), lambda value: 60) == 1
    assert bounded._read.values() == [(1, 60)], "both together are too large"
    bounded.forget_what_left()
    assert bounded._read.values() == [(1, 60)]
    del content
    gc.collect()
    bounded.forget_what_left()
    assert bounded._read.values() == []


def test_streamlit_has_what_bounds_its_uploads(uploads):
    give(uploads, "one", "file", b"x")
    assert list(uploads.file_storage) == ["one"]
    assert UploadedFileRec._fields == ("file_id", "name", "type", "data")
