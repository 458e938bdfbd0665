"""Pieces of an HTML page. Whatever is passed as text is escaped here, once; :class:`Markup` is what has been already."""

from collections.abc import Iterable, Sequence

from ..base.text import escape_html


class Markup(str):
    """HTML that was made by this module, to be put into a page as it is."""


def text(value: object) -> Markup:
    """A value as HTML.

    >>> text("<b>"), text(Markup("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    return value if isinstance(value, Markup) else Markup(escape_html(str(value)))


def element(tag: str, content: object = "", **attributes: str) -> Markup:
    """One element. Attribute names may end in ``_`` (``class_``); ``_`` inside stands for ``-``.

    >>> element("p", "a < b", class_="note", aria_label='"x"')
    '<p class="note" aria-label="&quot;x&quot;">a &lt; b</p>'
    """
    names = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    given = "".join(f' {name}="{escape_html(value)}"' for name, value in names.items())
    return Markup(f"<{tag}{given}>{text(content)}</{tag}>")


def joined(parts: Iterable[object], between: str = "\n") -> Markup:
    """Several pieces, one after the other."""
    return Markup(between.join(text(part) for part in parts))


def section(title: str, *parts: object) -> Markup:
    """A part of the page under its heading."""
    return element("section", joined([element("h2", title), *parts]))


def cards(items: Sequence[tuple[str, str, str]]) -> Markup:
    """Numbers as cards: name, value, and a remark below."""
    drawn = [
        element(
            "div",
            joined([element("dt", name), element("dd", value, class_="value"), element("dd", remark, class_="remark")], ""),
            class_="card",
        )
        for name, value, remark in items
    ]
    return element("dl", joined(drawn), class_="cards")


def facts(items: Sequence[tuple[str, object]]) -> Markup:
    """Names and what they are, in two columns."""
    drawn = [element("div", joined([element("dt", name), element("dd", value)], "")) for name, value in items]
    return element("dl", joined(drawn), class_="facts")


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table whose first column names the rows and whose others are numbers. It scrolls sideways where there is no room."""
    top = element("tr", joined([element("th", cell, scope="col") for cell in head], ""))
    body = [
        element("tr", joined([element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])], ""))
        for row in rows
    ]
    drawn = joined([element("caption", caption), element("thead", top), element("tbody", joined(body))])
    return element("div", element("table", drawn), class_="scroll", tabindex="0", role="region", aria_label=caption)


def folded(title: str, content: object) -> Markup:
    """What is shown on a click."""
    return element("details", joined([element("summary", title), content]))


def command(line: str) -> Markup:
    """A command line to copy."""
    return element("pre", element("code", line), tabindex="0")
