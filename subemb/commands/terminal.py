"""What every command has in common with a terminal: text of strangers that cannot steer it, JSON, and paths as arguments."""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ..base.errors import InputError
from ..base.files import given_path
from ..base.text import without_control

WIDTH = 110  # characters of a line of text that is broken


class SafeStream:
    """A stream on which control characters and direction marks are written by their numbers; line ends and tabs stay.

    Names, sentences and tokens come from strangers, and a terminal obeys what is hidden in them. ``plain`` is the stream itself.

    >>> SafeStream(sys.stdout).write("\x1b[31mred\\n") and None
    ⟨U+001B⟩[31mred
    """

    def __init__(self, plain: TextIO):
        self.plain = plain

    def write(self, text: str) -> int:
        """Write a text."""
        self.plain.write(without_control(text).replace("\r", "⟨U+000D⟩"))
        return len(text)

    def writelines(self, lines) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        """False, so that libraries write no colours; see :func:`is_terminal`."""
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


@contextmanager
def safe_streams() -> Iterator[None]:
    """While it lasts, everything that is printed goes through :class:`SafeStream`."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):  # a character that the terminal cannot show must not end the command
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = map(SafeStream, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def plain_stream(stream: TextIO | SafeStream) -> TextIO:
    """The stream itself, for what steers the terminal on purpose."""
    return stream.plain if isinstance(stream, SafeStream) else stream


_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def print_json(value: Any) -> None:
    """Print a report for programs; what would steer a terminal is escaped as JSON escapes it, so the value stays what it is."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    print(_UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def path_argument(text: str) -> Path:
    """The ``type`` of an argument that is a path."""
    try:
        return given_path(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
