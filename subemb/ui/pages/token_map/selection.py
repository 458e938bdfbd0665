"""Which tokens are selected on the token map. Pure functions: a browser's message -> ids. No Streamlit here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....base.plain import is_whole

ORIGINAL, RECONSTRUCTED = "original", "reconstructed"
#: The two maps, as the browser names them, and what a person calls them.
MAPS = {ORIGINAL: "original map", RECONSTRUCTED: "reconstructed map"}
#: How tokens were selected, as the browser names it, and in words.
WAYS = {"click": "by clicking", "box": "with a box", "lasso": "with a lasso", "search": "by searching", "errors": "by error"}


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


def ids_of_points(points: Iterable[Any], num_tokens: int) -> tuple[int, ...]:
    """Token ids of the points of a plotly selection. A point's index is not its token: the id is in ``customdata``.

    Points without an id (rings, labels, lines) are left out.

    >>> ids_of_points([{"point_index": 0, "customdata": 7}, {"point_index": 1, "customdata": [4]}, {"point_index": 2}], 10)
    (4, 7)
    """
    values = []
    for point in points:
        value = point.get("customdata") if isinstance(point, Mapping) else None
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0:
            value = value[0]
        values.append(value)
    return valid_ids(values, num_tokens)


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


def sentence(selection: Selection, drawn: Iterable[int] | None = None) -> str:
    """What is selected, in words.

    drawn: ids on the maps; selected ones that are not among them are counted.

    >>> sentence(Selection((1, 2), "original", "lasso"))
    '2 tokens selected with a lasso on the original map'
    """
    if not selection:
        return "No token selected"
    text = f"{len(selection):,} token{'s' if len(selection) != 1 else ''} selected"
    if selection.how in WAYS:
        text += f" {WAYS[selection.how]}"
    if selection.by in MAPS:
        text += f" on the {MAPS[selection.by]}"
    if drawn is not None:
        missing = len(set(selection.ids).difference(drawn))
        if missing:
            text += f"; {missing:,} of them not drawn with this sample"
    return text


def positions(ids: Sequence[int], wanted: Iterable[int]) -> list[int]:
    """Where the wanted tokens are in the ids of a trace: plotly's ``selectedpoints``.

    >>> positions([10, 20, 30], [30, 10, 99])
    [0, 2]
    """
    wanted = set(wanted)
    return [index for index, token in enumerate(ids) if token in wanted]
