"""Text shown as itself: against an independent markdown renderer, and by properties."""

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from subemb.base.text import escape_html, escape_markdown, plotly_text, visible

JOINT = "\u2060"
PLAIN = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\u200e\u200f\u061c" + JOINT))
# Streamlit's own replacements, made in finished text (frontend of 1.67).
REPLACED = [
    re.compile(r":\+1:|:-1:|:[\w-]+:"),
    re.compile(r":material[/_]\w+:"),
    re.compile(r"(https?://|www\.)\S", re.IGNORECASE),
    re.compile(r"(?:^|\s)(<->|->|<-|--|>=|<=|~=)(?:\s|$)"),
    re.compile(r"[-.\w+]+@[-\w]+(?:\.[-\w]+)+"),
]
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script>",
    "**x**",
    "_a_",
    "`c`",
    "$x$",
    "$$",
    "# h",
    "- li",
    "+ li",
    "1. li",
    "1) li",
    "> q",
    "[x](y)",
    "![x](y)",
    "| a | b |",
    "~~s~~",
    ":smile:",
    ":+1:",
    ":material/home:",
    ":red[x]",
    "a:red",
    "https://a.org/x",
    "www.example.org",
    "a@b.org",
    "->",
    "a -- b",
    "<->",
    "&amp;",
    "&#42;",
    "\\",
    "\\*",
    "===",
    "---",
    "    code",
    " a  b ",
    "```x",
    "[^1]",
    ":a:b:smile:",
]


def undirected(text: str) -> bool:
    return not re.search("[\u202a-\u202e\u2066-\u2069]", text)


def rendered(markdown: str) -> str:
    """The text that CommonMark with tables and strikethrough makes of it; fails if there is any markup."""
    markdown_it = pytest.importorskip("markdown_it", reason="needs markdown-it-py as the independent renderer")
    out = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    inner = re.fullmatch(r"<p>(.*)</p>\n", out, re.DOTALL) if out else re.match("()", "")
    assert inner, out
    assert "<" not in inner[1], out
    return html.unescape(inner[1]).replace(JOINT, "").replace("\u00a0", " ")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_shows_as_itself(text):
    assert rendered(escape_markdown(text)) == text


@given(PLAIN.filter(undirected))
@example("a\u00a0b")
def test_any_text_survives_markdown(text):
    assert rendered(escape_markdown(text)) == text.replace("\u00a0", " ")


@given(st.lists(st.sampled_from([*HOSTILE, " ", ":", "smile", "x", "w", "ww."]), min_size=1, max_size=5).map("".join))
def test_nothing_is_left_for_streamlit_to_replace(text):
    shown = html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escape_markdown(text)).replace("&nbsp;", " "))
    for pattern in REPLACED:
        assert not pattern.search(shown), (pattern.pattern, shown)


@given(st.text())
def test_markdown_stays_on_one_line(text):
    assert not re.search(r"[\r\n\t]", escape_markdown(text))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_html_round_trip(text):
    escaped = escape_html(text)
    assert not re.search("[<>\"']", escaped)
    calmed = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", "", text)
    assert re.sub(r"⟨U\+[0-9A-F]+⟩", "", html.unescape(escaped)) == re.sub(r"⟨U\+[0-9A-F]+⟩", "", calmed)


def test_direction_and_control_characters_are_numbered():
    for escape in (escape_html, plotly_text):
        assert escape("a\u202eb\x00") == "a⟨U+202E⟩b⟨U+0000⟩"
    assert escape_markdown("a\u202eb") == "a⟨U\\+202E⟩b"


def plotly_shows(text: str) -> str:
    """What plotly.js makes of a template: %{...} filled in, split at tags, then entities turned into characters."""
    text = re.sub(r"%{([^\s%{}:]*)([:|][^}]*)?}", "FILLED", text)
    assert not re.search(r"\$+[^$]*\$+", text), "would be handed to MathJax"
    text = re.sub(r"<[^<>]*>", "TAG", text)
    names = {"mu": "μ", "amp": "&", "lt": "<", "gt": ">", "nbsp": "\xa0", "times": "×", "plusmn": "±", "deg": "°"}

    def entity(match):
        name = match[1]
        return chr(int(name[1:])) if name[0] == "#" else names.get(name, match[0])

    return re.sub(r"&(#\d+|[a-z]+);", entity, text)


@pytest.mark.parametrize(
    "text", ["<b>x</b>", "a<br>b", "&amp;", "&#60;", "%{x}", "%{customdata[0]:.2f}", "$x$", "100 %", "<extra></extra>"]
)
def test_plotly_shows_text_as_itself(text):
    assert plotly_shows(plotly_text(text)) == text


@given(PLAIN.filter(undirected))
def test_plotly_shows_any_text_as_itself(text):
    assert plotly_shows(plotly_text(text)) == text


@given(st.text())
def test_visible_text_is_printable_and_not_empty(text):
    shown = visible(text)
    assert shown.isprintable()
    assert shown.strip()
    assert " " not in shown
