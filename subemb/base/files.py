"""Files and folders that a person names, or that came from somewhere else: names that can be no path, files that never end,
damaged JSON.

Whoever opens such a file opens it through here, so that each of these is one sentence and never a traceback, wherever it is met.
"""

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .errors import InputError
from .text import size_text

if TYPE_CHECKING:
    import torch

MOST_JSON_BYTES = 20_000_000  # of a file that describes something: configs are kilobytes, the longest index of weights is 3 MB
DEEPEST_JSON = 100  # levels; no file that we read has ten
_LONGEST_SHOWN = 120  # characters of a path in a message


def shown_path(path: str | os.PathLike) -> str:
    """A path as a message says it: a long one is cut in its middle.

    >>> shown_path("a/b.txt"), len(shown_path("x" * 5000))
    ('a/b.txt', 121)
    """
    text = os.fspath(path)
    text = os.fsdecode(text) if isinstance(text, bytes) else text
    half = _LONGEST_SHOWN // 2
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:half]}…{text[-half:]}"


def given_path(path: str | os.PathLike, what: str = "the path") -> Path:
    """A path that somebody named, its ``~`` written out; whether anything is there is not asked.

    what: it is, for the message. Raises InputError if nothing can ever have such a path: it is no text, holds a zero byte, is too long,
    or begins with a user whom this computer does not know.

    >>> given_path("~nobody-of-this-name/x")
    Traceback (most recent call last):
    subemb.base.errors.InputError: the path ~nobody-of-this-name/x begins with a user whom this computer does not know; write the whole path
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"{what} is {path!r:.80}, a {type(path).__name__}; it must be text or a path")
    text = os.fspath(path)
    text = os.fsdecode(text) if isinstance(text, bytes) else text
    if "\0" in text:
        raise InputError(
            f"{what} {shown_path(text)} holds a zero byte, which no file's name can; check how it was put together"
        )
    try:
        found = Path(text).expanduser()
    except RuntimeError:
        raise InputError(
            f"{what} {shown_path(text)} begins with a user whom this computer does not know; write the whole path"
        ) from None
    try:
        os.lstat(found)
    except ValueError as error:  # half a character, which no name of a file can hold either
        raise InputError(f"{what} {shown_path(text)} cannot be the name of a file ({error}); check its spelling") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(
                f"{what} {shown_path(text)} has {len(text):,} characters, too many for a path; shorten it"
            ) from None
    return found


def read_file(path: str | os.PathLike, most: int, what: str | None = None, too_large: str = "give a smaller file") -> bytes:
    """All bytes of a regular file, links followed; its size is looked at before it is read.

    most: bytes. what: the file, for the message; by default its path. too_large: what to do about a larger one, for the message.
    Raises InputError: nothing there, a folder, a device or pipe (which might never end), over ``most`` bytes, or may not be read.
    """
    path = given_path(path)
    shown = what or shown_path(path)
    try:
        with _opened(path) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise InputError(
                    f"{shown} is no ordinary file but a device or a pipe, which might never end; give the path of a file"
                )
            size = found.st_size
            content = file.read(most + 1) if size <= most else b""  # some files of the system say that they are empty
    except FileNotFoundError:
        raise InputError(f"{shown} is not there (No such file or directory); give the path of a file") from None
    except IsADirectoryError:
        raise InputError(f"{shown} is a folder, which cannot be read as a file; give the path of a file") from None
    except OSError as error:
        raise InputError(
            f"{shown} cannot be read ({error.strerror or error}); give the path of a file that you may read"
        ) from error
    if max(size, len(content)) > most:
        raise InputError(
            f"{shown} has {size_text(max(size, len(content)))}, but at most {size_text(most)} are read; {too_large}"
        )
    return content


def first_bytes(path: str | os.PathLike, count: int) -> bytes:
    """The first bytes of a regular file; none of anything else, and of one that may not be read."""
    try:
        with _opened(path) as file:
            return file.read(count) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except (OSError, ValueError):
        return b""


def _opened(path: str | os.PathLike) -> BinaryIO:
    # Opening a pipe waits for its other end unless told not to.
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))


def read_json(path: str | os.PathLike, what: str | None = None, most: int = MOST_JSON_BYTES) -> Any:
    """What a JSON file holds. Raises InputError as :func:`read_file` does, and for what is not JSON, or nested over DEEPEST_JSON levels.

    what: the file, for the message.
    """
    shown = what or shown_path(path)
    return json_value(read_file(path, most, shown), shown)


def read_tensors(path: Path, again: str, what: str = "", most: int | None = None) -> "tuple[dict[str, torch.Tensor], str]":
    """The tensors of a safetensors file by name, and the sha256 of the file in hexadecimal.

    again: what to do about a damaged file, such as ``save the head again``. what: the file should be, if it has more than ``most`` bytes.
    Raises InputError.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        is_too_large = most is not None and path.stat().st_size > most
        content = b"" if is_too_large else path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {again}") from error
    if is_too_large:
        raise InputError(f"{path} has more than {most:,} bytes; that is {what}")
    try:
        return load(content), hashlib.sha256(content).hexdigest()
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{path} is cut off or damaged ({error}); {again}") from error


def json_value(content: str | bytes, what: str) -> Any:
    """The value that a JSON text holds. Raises InputError for anything else; see :func:`read_json`.

    >>> json_value("[" * 200_000, "entry.json")
    Traceback (most recent call last):
    subemb.base.errors.InputError: entry.json is not valid JSON (nested over 100 levels deep)
    """
    try:
        value = json.loads(content)
    except RecursionError:
        reason = f"nested over {DEEPEST_JSON} levels deep"
    except MemoryError:
        reason = "too large for the memory"
    except ValueError as error:  # also bytes that are no text, and numbers of thousands of digits
        reason = str(error)
    else:
        if not _is_deeper(value, DEEPEST_JSON):
            return value
        reason = f"nested over {DEEPEST_JSON} levels deep"
    raise InputError(f"{what} is not valid JSON ({reason})")


def _is_deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            part
            for item in layer
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
            if isinstance(part, dict | list)
        ]
        if not layer:
            return False
    return True
