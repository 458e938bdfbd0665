"""``SUBEMB_PUBLIC=1``: a server that strangers may use. Everything that differs then is declared here.

| | usually | open to the public |
|---|---|---|
| Hugging Face ids | models and data sets can be downloaded | neither, and the cache of the server's owner is not listed |
| folders | messages name them | names of models only |
| texts | as long as each page says | at most ``longest_text()`` characters |
| uploads | ``upload_limits()`` | the same, smaller |
| errors | the page says of what kind | the page says a number, under which the log has the details |
"""

import os
import secrets
from typing import NamedTuple

from .errors import InputError

VARIABLE = "SUBEMB_PUBLIC"
_NO = ("", "0", "false", "no", "off")


class UploadLimits(NamedTuple):
    """Bytes of uploaded files that the server holds."""

    of_a_file: int
    of_a_visitor: int
    of_all: int


_USUAL = UploadLimits(20 << 20, 120_000_000, 400_000_000)
_PUBLIC = UploadLimits(5 << 20, 20_000_000, 100_000_000)


def is_public() -> bool:
    """Whether strangers may use this server.

    >>> is_public()
    False
    """
    return os.environ.get(VARIABLE, "").strip().lower() not in _NO


def upload_limits() -> UploadLimits:
    """How much visitors may upload."""
    return _PUBLIC if is_public() else _USUAL


def longest_text(usual: int) -> int:
    """Characters that a field takes. usual: where the server is not open."""
    return min(usual, 100_000) if is_public() else usual


def check_hub_allowed(name: str) -> None:
    """Raises InputError where nothing may be fetched from the Hugging Face hub. name: what was asked for."""
    if is_public():
        raise InputError(
            f"{name[:120]!r} cannot be fetched: this server is open to the public and downloads nothing; choose from its list"
        )


def reference() -> str:
    """A new number by which a visitor can name an error whose details are in the log only."""
    return secrets.token_hex(4)


def defect_text(number: str) -> str:
    """What a visitor of an open server is told of an error that is not theirs.

    >>> defect_text("1f2e3d4c")
    "Something went wrong on this server. Tell whoever runs it the number 1f2e3d4c: the details are in the server's log."
    """
    return (
        f"Something went wrong on this server. Tell whoever runs it the number {number}: the details are in the server's log."
    )
