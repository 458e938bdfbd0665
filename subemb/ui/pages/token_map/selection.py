"""Which tokens are selected on the token map. Pure functions: a browser's message -> ids. No Streamlit here."""

import base64
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....base.plain import is_whole

LONGEST_IN_ADDRESS = 1500  # characters; longer links are cut by many programs
ORIGINAL, RECONSTRUCTED = "original", "reconstructed"
#: The two maps, left and right, as the browser names them. What they show may be two compressed tables.
MAPS = (ORIGINAL, RECONSTRUCTED)
#: How tokens were selected, as the browser names it, and in words.
WAYS = {
    "click": "by clicking",
    "box": "with a box",
    "lasso": "with a lasso",
    "search": "by searching",
    "errors": "by error",
    "link": "by the link",
}


@dataclass(frozen=True)
class Selection:
    """Tokens selected by a visitor."""

    ids: tuple[int, ...] = ()  # ascending, each once
    by: str | None = None  # the map they were selected on, a key of MAPS; None if on neither
    how: str | None = None  # a key of WAYS

    def __len__(self) -> int:
        return len(self.ids)

    def __bool__(self) -> bool:
        return bool(self.ids)


NOTHING = Selection()


def valid_ids(values: Iterable[Any], num_tokens: int) -> tuple[int, ...]:
    """Token ids among whatever a browser sent: ascending, each once. Anything that is not an id of this table is left out.

    >>> valid_ids([3, 1, 3, "x", None, -1, 99, True, 2.0, [1]], 10)
    (1, 2, 3)
    """
    found = set()
    for value in values:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if is_whole(value, 0, num_tokens - 1):
            found.add(value)
    return tuple(sorted(found))


def after(current: Selection, message: Any, num_tokens: int) -> Selection:
    """The selection after a message of the browser: the last one wins, on whichever map; one of another form changes nothing.

    message: ``{"by": key of MAPS, "how": "click" | "box" | "lasso", "ids": [...]}``. Without ids it clears the selection.

    >>> after(NOTHING, {"by": "original", "how": "box", "ids": [5, 2]}, 10).ids
    (2, 5)
    >>> after(Selection((1,), "original", "click"), {"by": "reconstructed", "how": "lasso", "ids": []}, 10)
    Selection(ids=(), by=None, how=None)
    """
    if not isinstance(message, Mapping):
        return current
    by, how, values = message.get("by"), message.get("how"), message.get("ids")
    if values == []:
        return NOTHING
    if not isinstance(by, str) or by not in MAPS or not isinstance(values, list):
        return current
    ids = valid_ids(values, num_tokens)
    if values and not ids:
        return current
    return Selection(ids, by, how if isinstance(how, str) and how in WAYS else "click") if ids else NOTHING


def within(selection: Selection, num_tokens: int) -> Selection:
    """The part of a selection that a table of ``num_tokens`` has: a visitor may have changed to another model."""
    if not selection or selection.ids[-1] < num_tokens:
        return selection
    ids = tuple(i for i in selection.ids if i < num_tokens)
    return Selection(ids, selection.by, selection.how) if ids else NOTHING


def sentence(selection: Selection, names: Sequence[str] = MAPS) -> str:
    """What is selected, in words. names: of what both maps show.

    >>> sentence(Selection((1, 2), "original", "lasso"))
    '2 tokens selected with a lasso on the original map'
    >>> sentence(Selection((1, 2), "original", "lasso"), ("run A", "run B"))
    '2 tokens selected with a lasso on the map of run A'
    """
    if not selection:
        return "No token selected"
    text = f"{len(selection):,} token{'s' if len(selection) != 1 else ''} selected"
    if selection.how in WAYS:
        text += f" {WAYS[selection.how]}"
    if selection.by in MAPS:
        name = names[MAPS.index(selection.by)]
        text += f" on the {name} map" if name in MAPS else f" on the map of {name}"
    return text


# In the address


def in_address(ids: Sequence[int]) -> str | None:
    """A selection as text for a link: ids with commas, or packed where there are many; None where it would be too long for a link.

    >>> in_address((3, 7)), from_address("3,7", 10)
    ('3,7', (3, 7))
    >>> from_address(in_address(range(0, 3000, 3)), 3000) == tuple(range(0, 3000, 3))
    True
    """
    plain = ",".join(map(str, ids))
    if len(plain) <= 120:
        return plain
    steps = (
        np.diff(np.asarray(ids, np.int64), prepend=0).astype("<u4").view(np.uint8).reshape(-1, 4).T
    )  # the bytes of one place together
    packed = "z" + base64.urlsafe_b64encode(zlib.compress(steps.tobytes(), 9)).decode().rstrip("=")
    return packed if len(packed) <= LONGEST_IN_ADDRESS else None


def from_address(text: str, num_tokens: int) -> tuple[int, ...]:
    """The ids of a link; nothing of a text that no link has."""
    if not text.startswith("z"):
        return valid_ids(
            (int(part) for part in text.split(",") if part.isascii() and part.isdigit() and len(part) < 10), num_tokens
        )
    try:
        data = zlib.decompressobj()
        raw = data.decompress(base64.urlsafe_b64decode(text[1:] + "=" * (-len(text[1:]) % 4)), 4 * num_tokens)
        steps = np.frombuffer(raw, np.uint8).reshape(4, -1).T.copy().view("<u4").ravel()
    except (ValueError, zlib.error):
        return ()
    return valid_ids(np.cumsum(steps.astype(np.int64)).tolist(), num_tokens)


def valid_view(values: Any) -> tuple[float, float, float] | None:
    """Middle (shares of the map) and zoom, of a browser or a link; None for the whole map, or what can be neither.

    >>> valid_view([0.5, 0.25, 3]), valid_view(["a", 1, 2]), valid_view([0.5, 0.5, 1e9])
    ((0.5, 0.25, 3.0), None, None)
    """
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 3:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) for value in values):
        return None
    x, y, zoom = (float(value) for value in values)
    return (x, y, zoom) if -1 <= x <= 2 and -1 <= y <= 2 and 0.1 <= zoom <= 1000 else None
