"""What public objects look like in an interpreter and in a notebook: one line, and a small card.

A class that holds arrays or long lists inherits :class:`Brief`, whose line names every field and tells large ones by their shape. One
that people look at inherits :class:`Shown` and says in :meth:`Shown.described` what matters. Both are dataclasses with ``repr=False``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from .text import escape_html, one_line

_FEW, _LONGEST = 6, 60  # items of a list, characters of a text that are written out
# A notebook's own colours are kept, so that it is read in light and dark ones; lines are grey on both.
_LINE = "1px solid rgba(128, 128, 128, 0.45)"
_CARD = (
    f"display: inline-block; border: {_LINE}; border-radius: 6px; padding: 0.6em 0.9em; color: inherit; background: transparent"
)
_CELL = "padding: 0.15em 1.2em 0.15em 0; text-align: left; color: inherit; background: transparent; border: none"


@dataclass(frozen=True)
class Card:
    """What is shown of an object. All texts may hold anything: they are escaped where they are drawn."""

    title: str  # what it is, such as the class
    line: str  # the rest of the line of an interpreter
    facts: Sequence[tuple[str, str]] = ()  # name and value, for the notebook
    header: Sequence[str] = ()  # of the table below the facts
    rows: Sequence[Sequence[str]] = ()  # of that table
    note: str = ""  # below it
    share: float | None = None  # drawn as a bar between 0 and 1
    share_text: str = ""  # what the bar says


class Shown:
    """An object that describes itself: ``repr`` is one line, and a notebook draws a card."""

    def described(self) -> Card:
        """What is shown."""
        raise NotImplementedError

    def __repr__(self) -> str:
        card = self.described()
        return f"<{card.title} {one_line(card.line)}>"

    def _repr_html_(self) -> str:
        return card_html(self.described())


def card_html(card: Card) -> str:
    """A card as HTML without style sheets or scripts; every text is escaped.

    >>> "<b>" in card_html(Card("Run", "<b>", [("<b>", "&")]))
    False
    """
    parts = [f'<div style="font-weight: 600; margin-bottom: 0.3em">{escape_html(card.title)}</div>']
    if card.facts:
        parts.append(_table((), card.facts))
    if card.share is not None:
        width = 100 * min(1.0, max(0.0, card.share))
        parts.append(
            f'<div role="img" aria-label="{escape_html(card.share_text)}" style="margin: 0.4em 0; width: 16em; height: 0.6em; '
            f'border: {_LINE}; border-radius: 3px"><div style="width: {width:.2f}%; min-width: 1px; height: 100%; '
            f'background: #0072B2"></div></div><div>{escape_html(card.share_text)}</div>'
        )
    if card.rows:
        parts.append(_table(card.header, card.rows))
    if card.note:
        parts.append(f'<div style="margin-top: 0.3em; opacity: 0.8">{escape_html(card.note)}</div>')
    return f'<div style="{_CARD}">{"".join(parts)}</div>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col" style="{_CELL}">{escape_html(name)}</th>' for name in header)
    body = "".join(
        "<tr>"
        + f'<th scope="row" style="{_CELL}; font-weight: normal; opacity: 0.8">{escape_html(first)}</th>'
        + "".join(f'<td style="{_CELL}">{escape_html(value)}</td>' for value in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return f'<table style="border-collapse: collapse">{f"<thead><tr>{head}</tr></thead>" if head else ""}<tbody>{body}</tbody></table>'


class Brief:
    """A dataclass whose ``repr`` names every field, and tells large ones by their shape or number."""

    def __repr__(self) -> str:
        parts = ", ".join(f"{field.name}={brief(getattr(self, field.name))}" for field in fields(self) if field.repr)
        return f"{type(self).__name__}({parts})"


def brief(value: Any) -> str:
    """A value in a few words.

    >>> brief([1, 2]), brief(list(range(100))), brief("a" * 80)[-4:], brief({1: 2})
    ('[1, 2]', '[100 items]', "...'", '{1: 2}')
    """
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "dtype"):
        return f"<{tuple(shape)} {value.dtype}>" if len(shape) else repr(value)
    if isinstance(value, str) and len(value) > _LONGEST:
        return repr(value[: _LONGEST - 3] + "...")
    if isinstance(value, list | tuple | dict) and len(value) > _FEW:
        ends = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
        return f"{ends[0]}{len(value):,} items{ends[1]}"
    if type(value) is dict:
        return "{" + ", ".join(f"{key!r}: {brief(entry)}" for key, entry in value.items()) + "}"
    if type(value) is list:
        return f"[{', '.join(map(brief, value))}]"
    if type(value) is tuple:
        return f"({', '.join(map(brief, value))}{',' if len(value) == 1 else ''})"
    return repr(value)
