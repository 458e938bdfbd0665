"""The one cache of subemb: results on disk, found by what they were computed from, and values in memory.

A :class:`Store` is a folder with one folder for each entry. It is bounded by entries and bytes, and several processes, such as
two servers, may use it at once: an entry appears in one step, and what cannot be read is reported, dropped and computed again.

>>> import os, tempfile
>>> os.environ["SUBEMB_CACHE"] = tempfile.mkdtemp()
>>> squares = Store("squares", most=10)
>>> key = squares.key(of=7)
>>> squares.get(key), squares.put(key, {"square": 49}).name == key, squares.get(key)
(None, True, {'square': 49})
"""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from .errors import InputError
from .files import read_json
from .paths import assets_folder, cache_folder, cache_root, cannot_write, write_files
from .plain import from_plain, to_plain

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

T = TypeVar("T")
log = logging.getLogger(__name__)

_STAGING = ".new-"  # folders that are being written begin with it
_HELD = ".held-"  # files that say how lately an entry was held begin with it
HELD_SECONDS = 180.0  # after so long without a word, nobody holds an entry any more
_ABANDONED_SECONDS = 24 * 3600  # after so long, whoever wrote it is gone, where locks do not tell
_UNFINISHED_FILE_SECONDS = 3600  # the same of a file, which takes seconds to write
_LARGEST_ENTRY = 500_000_000  # bytes of JSON; a report of 500,000 pairs has 150 MB
_A_DAY = 24 * 3600  # a date that lies further in the future was written by a clock that was wrong
_LEFT_OVER = re.compile(r"\..+\.[0-9a-f]{32}")  # what write_files writes beside its place
_SPARE_BYTES = 5_000_000  # without so much free space nothing is begun

#: Called with the name of a store when one of its entries turned out to be damaged: pages tell whoever asked for it.
DAMAGE_LISTENERS: list[Callable[[str], None]] = []


def content_key(*what: Any) -> str:
    """24 hexadecimal digits, equal for equal ``what``: JSON types, tuples, arrays, dataclasses, and objects whose attribute
    ``content`` says what they are.

    Raises TypeError for anything else.

    >>> content_key("words", {"data": "ab12", "seed": 0}) == content_key("words", {"seed": 0, "data": "ab12"})
    True
    """
    text = json.dumps(what, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _plain(value: Any) -> Any:
    if hasattr(value, "content"):
        return value.content
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "__array__") and hasattr(value, "dtype"):
        import numpy as np

        array = np.ascontiguousarray(value)
        return [str(array.dtype), array.shape, hashlib.sha256(array.data).hexdigest()]
    raise TypeError(f"{value!r} cannot be part of a key")


class Stamp(NamedTuple):
    """What differs once a file has changed."""

    changed: int  # nanoseconds
    size: int
    inode: int


def stamp_of(file: Path) -> Stamp | None:
    """The stamp of a file; None if it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return Stamp(found.st_mtime_ns, found.st_size, found.st_ino)


class Memory:
    """Values in memory by key; beyond ``most``, the one that nobody has asked for the longest is dropped.

    most_bytes, bytes_of: also beyond so many bytes together, where a value has as many as ``bytes_of`` says; the newest stays.
    Everybody gets the same object, so nobody may change it. If several threads ask for the same key at once, one makes the value and the others wait.
    """

    def __init__(self, most: int, most_bytes: float = float("inf"), bytes_of: Callable[[Any], int] = lambda value: 0):
        self.most, self.most_bytes, self._bytes_of = most, most_bytes, bytes_of
        self._entries: OrderedDict[Hashable, tuple[Any, Any]] = OrderedDict()
        self._bytes: dict[Hashable, int] = {}
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def take(self, key: Hashable, make: Callable[[], T], stamp: Any = None) -> T:
        """The value of this key, made if it is not there, or was made for another ``stamp``.

        >>> memory = Memory(2)
        >>> [memory.take(key, key.upper) for key in ("a", "b", "a", "c")], memory.keys()
        (['A', 'B', 'A', 'C'], ['a', 'c'])
        """
        with self._lock:
            if self._has(key, stamp):
                return self._entries[key][1]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if self._has(key, stamp):  # another thread has just made it
                    return self._entries[key][1]
            try:
                value = make()
                size = self._bytes_of(value)
                with self._lock:
                    self._entries[key], self._bytes[key] = (stamp, value), size
                    self._entries.move_to_end(key)
                    while len(self._entries) > self.most or (
                        len(self._entries) > 1 and sum(self._bytes.values()) > self.most_bytes
                    ):
                        self._drop(next(iter(self._entries)))
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return value

    def _has(self, key: Hashable, stamp: Any) -> bool:
        if key not in self._entries or self._entries[key][0] != stamp:
            return False
        self._entries.move_to_end(key)
        return True

    def keys(self) -> list[Hashable]:
        """Keys of what is there, the least recently asked for first."""
        with self._lock:
            return list(self._entries)

    def values(self) -> list[Any]:
        """What is there, in the order of :meth:`keys`."""
        with self._lock:
            return [value for _, value in self._entries.values()]

    def forget(self, which: Callable[[Hashable, Any], bool]) -> None:
        """Drop everything for whose key and value ``which`` says True."""
        with self._lock:
            for key in [key for key, (_, value) in self._entries.items() if which(key, value)]:
                self._drop(key)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._entries.clear()
            self._bytes.clear()

    def _drop(self, key: Hashable) -> None:
        del self._entries[key], self._bytes[key]


class Store(Generic[T]):
    """One folder of the cache, with a folder for each entry.

    name: the name of the folder, and the first part of every key.
    format: a number that changes with the form of the entries; it is part of every key, so old ones are never asked for.
    most: how many entries are kept; those that nobody has asked for the longest are dropped.
    most_bytes: the limit for all entries together, None for none; the newest entry is kept in any case.
    in_memory: how many values that were read are kept in memory too.
    file: the file that every entry has.
    kind: type of the values, as :func:`~subemb.base.plain.from_plain` takes it: they are written as JSON.
    shipped: a folder of the app's assets with entries of the same form, by key, that are there from the beginning; nobody changes them.
    read, write: for values that are more than JSON. read takes an entry's folder and returns the value; write puts a value into a
        new folder.
    """

    def __init__(
        self,
        name: str,
        *,
        format: int = 1,
        most: int = 100,
        most_bytes: int | None = None,
        in_memory: int = 0,
        file: str = "entry.json",
        kind: Any = Any,
        shipped: str | None = None,
        read: Callable[[Path], T] | None = None,
        write: Callable[[Path, Any], None] | None = None,
    ):
        self.name, self.format, self.file = name, format, file
        self.most, self.most_bytes = most, most_bytes
        self.kind, self.memory, self._shipped = kind, Memory(in_memory), shipped
        self._uses: dict[str, float] = {}  # key -> when this process used it last, by the monotonic clock
        self._read = read or self.read_json
        self._write = write or self.write_json

    @property
    def folder(self) -> Path:
        """Where the entries are. Raises InputError if it cannot be created."""
        return cache_folder(self.name)

    def key(self, **what: Any) -> str:
        """Key of the entry that was computed from ``what``; see :func:`content_key`."""
        return content_key(self.name, self.format, what)

    def path(self, key: str) -> Path:
        """Folder of an entry, to be read, whether it is there or not. Raises InputError for anything that is not a key."""
        own = self._place(key)
        return own if own.is_dir() else self._shipped_folder(key) or own

    def is_shipped(self, key: str) -> bool:
        """Whether an entry comes with the app."""
        return self._shipped_folder(key) is not None

    def _shipped_folder(self, key: str) -> Path | None:
        folder = assets_folder(self._shipped) if self._shipped is not None else None
        return folder / key if folder is not None and (folder / key).is_dir() else None

    def _place(self, key: str) -> Path:
        """Folder of an entry in the cache, where it may be written."""
        if not key or not all(character.isalnum() or character in "-_" for character in key):
            raise InputError(f"{key[:40]!r} is no key of the cache; keys are letters and digits")
        return self.folder / key

    def get(self, key: str, is_use: bool = True) -> T | None:
        """The value of a key, or None if it is not there or cannot be read; then it can be computed again.

        is_use: whether this counts as a use, so that the entry is dropped later. The value is shared: do not change it.
        """
        path, stamp = self.path(key), self.stamp(key)
        if stamp is None:
            return None
        try:
            value = self.memory.take(path, lambda: self._read(path), stamp)
        except Exception as error:  # whatever is in its files, it breaks nothing but itself
            if path.is_dir():  # else another process has just dropped it
                reason = f"{type(error).__name__}: {str(error)[:300]}"
                log.warning("%s in the cache (%s) cannot be read (%s); it will be computed again", key, self.name, reason)
                self.drop(key)
                for listener in DAMAGE_LISTENERS:
                    listener(self.name)
            return None
        if is_use:
            self.touch(key)
        return value

    def check(self) -> None:
        """Raise InputError if nothing can be written: better before the work than after it."""
        folder = self.folder
        try:
            with _staging_in(folder):
                free = shutil.disk_usage(folder).free
        except OSError as error:
            raise cannot_write(folder, error) from error
        if free < _SPARE_BYTES:
            raise cannot_write(folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def stamp(self, key: str) -> "Stamp | None":
        """Stays equal until the entry is replaced; None if there is none."""
        return stamp_of(self.path(key) / self.file)

    def put(self, key: str, value: Any) -> Path:
        """Write an entry, in place of an older one of this key, and drop what goes over the limits. Returns its folder.

        Readers see all of it or nothing. Raises InputError if the disk is full or cannot be written.
        """
        target = self._place(key)
        try:
            with _staging_in(target.parent) as staging:
                self._write(staging, value)
                _rename_over(staging, target)
        except OSError as error:
            raise cannot_write(target.parent, error) from error
        self.touch(key)
        self.trim(key)
        return target

    def write_in(self, folder: Path, value: Any) -> Path:
        """Write the files of an entry into a folder outside the cache, in place of what is there; returns the one that every entry has."""
        _delete(folder)
        folder.mkdir(parents=True)
        self._write(folder, value)
        return folder / self.file

    def files(self, key: str) -> dict[str, bytes] | None:
        """What all files of an entry hold, by their path in it, for the same store on another machine; None if there is none."""
        path = self.path(key)
        if self.stamp(key) is None:
            return None
        found = (file for file in sorted(path.rglob("*")) if file.is_file() and not _LEFT_OVER.fullmatch(file.name))
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in found}

    def put_files(self, key: str, files: dict[str, bytes]) -> None:
        """An entry of what :meth:`files` told, in place of an older one. Raises InputError as :meth:`put`."""
        target = self._place(key)
        try:
            with _staging_in(target.parent) as staging:
                for name, content in files.items():
                    _write_in(staging, name, content)
                _rename_over(staging, target)
        except OSError as error:
            raise cannot_write(target.parent, error) from error
        self.touch(key)
        self.trim(key)

    def change_files(self, key: str, files: dict[str, bytes], gone: Iterable[str] = ()) -> None:
        """Write some files of an entry and delete others; the rest stays. Raises InputError if it cannot be written."""
        path = self._place(key)
        if stamp_of(path / self.file) is None:
            self.put_files(key, files)
            return
        try:
            for name, content in files.items():
                _write_in(path, name, content)
            for name in gone:
                (path / name).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error
        self.touch(key)

    def touch(self, key: str) -> None:
        """Make an entry the last to be dropped."""
        self._uses[key] = time.monotonic()
        while len(self._uses) > 4 * self.most:
            self._uses.pop(next(iter(self._uses)))
        with contextlib.suppress(OSError):  # another process may just have dropped it
            os.utime(self._place(key))

    def hold(self, key: str) -> None:
        """Keep an entry from being dropped for the next HELD_SECONDS, over the limits if need be: it is shown, or being worked on.

        To be said again while that lasts, by whichever process.
        """
        with contextlib.suppress(OSError):
            (self.folder / f"{_HELD}{self._place(key).name}").touch()

    def _held(self) -> set[str]:
        """Keys of entries that are held; files that say so of others are deleted."""
        held = set()
        for path in self.folder.glob(f"{_HELD}*"):
            if abs(time.time() - _changed(path)) <= HELD_SECONDS:
                held.add(path.name.removeprefix(_HELD))
            else:
                _delete(path)
        return held

    def drop(self, key: str) -> None:
        """Delete an entry of the cache."""
        _delete(self._place(key))

    def __iter__(self) -> Iterator[str]:
        """Keys of the entries, the last one used or written first."""
        return (path.name for path in self._entries())

    def trim(self, newest: str | None = None) -> None:
        """Drop entries over the limits, the least recently used first, and what was never finished.

        newest: a key that is kept in any case, as those are that are held.
        """
        total, held = 0, self._held() | {newest}
        for place, path in enumerate(sorted(self._entries(), key=lambda path: path.name != newest)):
            total += 0 if self.most_bytes is None else _bytes_of(path)
            too_much = place >= self.most or (self.most_bytes is not None and total > self.most_bytes)
            if too_much and path.name not in held:
                _delete(path)
        _sweep(self.folder)

    def _entries(self) -> list[Path]:
        visible = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        return sorted(visible, key=self._last_used, reverse=True)

    def _last_used(self, path: Path) -> float:
        """When an entry was used last. A date in the future says nothing; then only the uses of this process count."""
        date, now = _changed(path), time.time()
        if date <= now + _A_DAY:
            return date
        used = self._uses.get(path.name)
        return 0.0 if used is None else now - (time.monotonic() - used)

    def read_json(self, folder: Path) -> T:
        """The value in the JSON file of an entry. Raises what reading damaged files raises."""
        values = read_json(folder / self.file, self.file, _LARGEST_ENTRY)
        if values["format"] != self.format:
            raise ValueError(f"format {values['format']!r} instead of {self.format}")
        return from_plain(self.kind, values["value"])

    def write_json(self, folder: Path, value: Any) -> None:
        """The inverse of :meth:`read_json`."""
        text = json.dumps({"format": self.format, "value": to_plain(value)})
        (folder / self.file).write_text(text, encoding="utf-8")


def _write_in(folder: Path, name: str, content: bytes) -> None:
    """Write a file of an entry, in one step. Raises OSError, also for a name that leads out of the entry."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise OSError(errno.EPERM, f"{name!r} leads out of the entry")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_files(path.parent, {path.name: content})


# Folders that are being written


@contextlib.contextmanager
def _staging_in(folder: Path) -> Iterator[Path]:
    """A new folder in another, deleted at the end unless it was renamed. While it is written it is locked, so that everybody can tell it
    from one whose process was killed."""
    with _locked(folder, shared=True):
        staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=folder))
        held = _lock(staging)
    try:
        yield staging
    finally:
        if held is not None:
            os.close(held)
        shutil.rmtree(staging, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Delete folders that nobody writes any more."""
    for path in folder.glob(f"{_STAGING}*"):
        is_ours = path.name.removeprefix(_STAGING).partition("-")[0].isdigit()
        if is_ours and fcntl is not None:
            with _locked(folder, shared=False) as has_lock:
                held = _lock(path) if has_lock else None
                if held is not None:
                    os.close(held)
                    _delete(path)
        elif abs(time.time() - _changed(path)) > _ABANDONED_SECONDS:  # also one from the future
            _delete(path)


@functools.cache
def sweep_cache() -> None:
    """Delete what processes that were killed left half written, in the whole cache; for the start of a server: once in a process. Raises
    nothing."""
    with contextlib.suppress(OSError, InputError):
        for folder in cache_root().iterdir():
            if not folder.is_dir():
                continue
            with contextlib.suppress(OSError):
                _sweep(folder)
                for path in folder.glob("*/.*"):
                    if _LEFT_OVER.fullmatch(path.name) and abs(time.time() - _changed(path)) > _UNFINISHED_FILE_SECONDS:
                        _delete(path)


@contextlib.contextmanager
def _locked(folder: Path, shared: bool) -> Iterator[bool]:
    """Hold a folder's lock: shared ones at once with others; an exclusive one only if nobody else has it now. Whether it is held."""
    held = _lock(folder, shared)
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)


def _lock(folder: Path, shared: bool = False) -> int | None:
    """A descriptor that holds the lock of a folder until it is closed, or its process ends; None if it is not to be had."""
    if fcntl is None:
        return None
    try:
        held = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
        return held
    except OSError:
        os.close(held)
        return None


def _rename_over(staging: Path, target: Path) -> None:
    """Give a new folder its name, whatever has that name. If another process does the same meanwhile, one of the two stays."""
    for last_attempt in (False, False, False, True):
        try:
            staging.rename(target)
            return
        except OSError:
            if target.is_file() or (last_attempt and not target.is_dir()):
                raise
        with _staging_in(target.parent) as aside, contextlib.suppress(OSError):
            target.rename(aside / "old")  # fails if nothing was in the way, or another process was faster


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process deleted it meanwhile
        return 0.0


def _bytes_of(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        with contextlib.suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total
