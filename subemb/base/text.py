"""Text from strangers, shown as itself: in HTML, in Streamlit's markdown, in plotly's labels, and to the eye.

Token text, model names and sentences are data. Each function here writes a text down so that one kind of renderer shows
exactly its characters, never markup; escape a text once, whole, for the place it goes to.
"""

import math
import re
import unicodedata
from collections.abc import Sequence

#: What a person sees in place of characters that leave no mark, or move the marks of others.
VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}

# Letters and signs that are drawn as nothing although their category says otherwise: Hangul fillers, Braille blank.
_BLANK = frozenset("ᅟᅠㅤﾠ⠀")
# An invisible joint without a width. Streamlit looks for :shortcodes:, bare links and typographic arrows in text that has
# already been unescaped, so no escape reaches them; only a character in between does.
_JOINT = "\u2060"

_ASCII_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_SHORTCODE = re.compile(r":(?=[\w+-]+:|material/)", re.ASCII)
_LINK = re.compile(r"(https?:|www(?=\.)|ftp:|mailto:|xmpp:|@)(?=\S)", re.IGNORECASE)
_ARROW = re.compile(r"(?<!\S)(<-|-|<|>|~)([->=])(?!\S)")
_VANISHING = re.compile(r"^\s|\s$| (?= )")
# Control characters except tab and line ends, and everything that changes the direction of the text around it.
_DISTURBING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def code_point(character: str) -> str:
    """A character by its number.

    >>> code_point("\u200f")
    '⟨U+200F⟩'
    """
    return f"⟨U+{ord(character):04X}⟩"


def is_whole_text(text: str) -> bool:
    """Whether a text has no halves of characters (lone surrogates), as bytes that are not UTF-8 leave them in names and arguments.

    >>> is_whole_text("é"), is_whole_text("\\udcff")
    (True, False)
    """
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return False
    return True


def visible_character(character: str, first: bool = False) -> str:
    """The character itself if it can be seen, else a visible stand-in; ``first``: nothing stands before it.

    >>> visible_character("a"), visible_character(" "), visible_character("\u00a0"), visible_character("\u0301", first=True)
    ('a', '␣', '⟨U+00A0⟩', '⟨U+0301⟩')
    """
    if character in VISIBLE:
        return VISIBLE[character]
    category = unicodedata.category(character)
    if category[0] in "CZ" or character in _BLANK or (first and category[0] == "M"):
        return code_point(character)
    return character


def visible(text: str) -> str:
    """The text with every whitespace, control and zero-width character visible; never empty.

    >>> visible(" the"), visible("\\n"), visible("")
    ('␣the', '⏎', '⟨empty⟩')
    """
    return "".join(visible_character(c, i == 0) for i, c in enumerate(text)) or "⟨empty⟩"


def without_control(text: str) -> str:
    """Control characters and direction marks by number: they would garble or reorder the text around them."""
    return _DISTURBING.sub(lambda match: code_point(match[0]), text)


def escape_html(text: str) -> str:
    """Text for an HTML element or a quoted attribute (``st.html``); not enough inside markdown that allows HTML.

    >>> escape_html("<b>'&")
    '&lt;b&gt;&#x27;&amp;'
    """
    escaped = without_control(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace('"', "&quot;").replace("'", "&#x27;")


def escape_markdown(text: str) -> str:
    """Text for Streamlit's markdown (also labels, captions, help), shown literally on one line.

    Every ASCII punctuation mark gets a backslash, which settles CommonMark, tables, LaTeX, HTML and ``:red[...]``.
    Streamlit then replaces ``:smile:``, ``:material/home:``, bare links and ``->`` in the finished text; there an invisible
    U+2060 is put in between (searching a vocabulary ignores it). Line ends and tabs become spaces, and spaces
    that would vanish (first, last, repeated) become ``&nbsp;``. Escape a text whole: two harmless halves may
    make one shortcode.

    >>> escape_markdown("**x** $1")
    '\\\\*\\\\*x\\\\*\\\\* \\\\$1'
    """
    line = re.sub(r"[\t\r\n]+", " ", without_control(text))
    for pattern, spelling in ((_SHORTCODE, rf":{_JOINT}"), (_LINK, rf"\1{_JOINT}"), (_ARROW, rf"\1{_JOINT}\2")):
        line = pattern.sub(spelling, line)
    escaped = _ASCII_PUNCTUATION.sub(r"\\\1", line)
    return _VANISHING.sub(lambda match: "&nbsp;" if match[0] == " " else f"&#{ord(match[0])};", escaped)


def plotly_text(text: str) -> str:
    """Text for plotly: labels, titles, hover text, values put into a template, and templates themselves.

    plotly reads tags, entities, ``%{...}`` in templates and, where MathJax is loaded, ``$...$``; it turns numeric
    entities back into characters last, so all of these are written as such.

    >>> plotly_text("<b>$x$")
    '&#60;b&#62;&#36;x&#36;'
    """
    return re.sub(r"[&<>%$]", lambda match: f"&#{ord(match[0])};", without_control(text))


def size_text(size: float) -> str:
    """Bytes in decimal units, three digits.

    >>> size_text(46_881_792), size_text(106_387), size_text(12), size_text(1_000_000)
    ('46.9 MB', '106 kB', '12 B', '1.00 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5 or unit == "GB":
            break
        size /= 1000
    if unit == "B":
        return f"{size:.0f} B"
    return f"{size:.2f} {unit}" if size < 9.995 else f"{size:.1f} {unit}" if size < 99.95 else f"{size:.0f} {unit}"


def sentence_case(text: str) -> str:
    """A text that begins with a capital letter, and is otherwise as it was.

    >>> sentence_case("run A"), sentence_case("")
    ('Run A', '')
    """
    return text[:1].upper() + text[1:]


def percent_text(share: float, digits: int = 3) -> str:
    """A share as per cent with so many significant digits, and never a false 0 or 100.

    >>> percent_text(0.00104836), percent_text(0.99895, 5), percent_text(0.5), percent_text(0.0), percent_text(0.9999996)
    ('0.105 %', '99.895 %', '50 %', '0 %', '> 99.9 %')
    """
    value = share * 100
    text = f"{value:.{digits}g}"
    if 99.9 < value < 100 and float(text) >= 100:
        return "> 99.9 %"
    if 0 < value < 1e-4:
        return "< 0.0001 %"
    return f"{float(text):.10f}".rstrip("0").rstrip(".") + " %"


def percents_text(*shares: float) -> list[str]:
    """Shares to be compared as per cent, all with the same decimals: three or as many as it takes to say no false 100, fewer where
    all would end in 0.

    >>> percents_text(0.99502, 0.995), percents_text(0.75, 0.5), percents_text(0.9999996, 0.5)
    (['99.502 %', '99.500 %'], ['75 %', '50 %'], ['99.99996 %', '50.00000 %'])
    """
    decimals = 3
    while decimals < 8 and any(share < 1 and float(f"{100 * share:.{decimals}f}") >= 100 for share in shares):
        decimals += 1
    while decimals and all(f"{100 * share:.{decimals}f}".endswith("0") for share in shares):
        decimals -= 1
    return [f"{100 * share:.{decimals}f} %" for share in shares]


def count_text(number: int) -> str:
    """Thousands set apart.

    >>> count_text(30522)
    '30,522'
    """
    return f"{number:,}"


def seconds_text(seconds: float, whole: bool = False) -> str:
    """A duration. whole: without tenths of seconds.

    >>> seconds_text(0.04), seconds_text(4.26), seconds_text(75), seconds_text(4.26, whole=True)
    ('under 0.1 s', '4.3 s', '1 min 15 s', '4 s')
    """
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 60:
        return f"{seconds:.{0 if whole else 1}f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def number_text(value: float, digits: int = 1, signed: bool = False, minus: str = "−") -> str:
    """A number with so many digits after the point; one that they show as 0 has no sign. minus: "-" on a terminal.

    >>> number_text(-12.04), number_text(0.0312, 3, signed=True), number_text(-0.04, signed=True), number_text(float("nan"))
    ('−12.0', '+0.031', '0.0', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    rounded = round(value, digits) + 0.0  # no minus before a zero
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}".replace("-", minus)


def shown_change(before: float, after: float, digits: int = 1) -> float:
    """``after - before`` as a reader finds it who subtracts the two as they are shown, with so many digits after the point.

    >>> shown_change(22.14, 25.86), shown_change(75.44, 70.76), shown_change(0.8271, 0.8446, digits=2)
    (3.8, -4.6, 0.01)
    """
    return round(round(after, digits) - round(before, digits), digits)


def change_text(before: float, after: float, digits: int = 1, minus: str = "−") -> str:
    """How far two numbers that are shown with so many digits are apart, so that the three of them add up.

    >>> change_text(22.14, 25.86), change_text(75.44, 70.76, minus="-"), change_text(1.0, 1.04)
    ('+3.8', '-4.6', '0.0')
    """
    return number_text(shown_change(before, after, digits), digits, signed=True, minus=minus)


def score_text(value: float | None, signed: bool = False, minus: str = "−", digits: int = 1) -> str:
    """A score, or with ``signed`` a difference of scores, in natural units (0..1): x 100. None stands for NaN.

    A difference that stands beside both of its scores is :func:`score_change`.

    >>> score_text(0.8671), score_text(-0.0001), score_text(-0.12), score_text(float("nan"))
    ('86.7', '0.0', '−12.0', 'undefined')
    >>> score_text(0.005, signed=True), score_text(-0.0124, signed=True, minus="-"), score_text(0.0001, signed=True)
    ('+0.5', '-1.2', '0.0')
    """
    return "undefined" if value is None else number_text(100 * value, digits, signed, minus)


def score_change(
    before: float | None, after: float | None, minus: str = "−", digits: int = 1, known: float | None = None
) -> str:
    """The difference of two scores in natural units, x 100, so that it and both of them as :func:`score_text` shows them add up.

    known: the difference, which may be known where a score is not: accuracies of answers that never change are undefined.

    >>> score_change(0.22144, 0.25861), score_change(0.5, None), score_change(0.5, float("nan"), known=-0.5)
    ('+3.8', 'undefined', '−50.0')
    """
    if before is None or after is None or math.isnan(before) or math.isnan(after):
        return score_text(known, signed=True, minus=minus, digits=digits)
    return change_text(100 * before, 100 * after, digits, minus)


def p_text(value: float) -> str:
    """A p value with two digits, never a false 0.

    >>> p_text(0.03142), p_text(1.0), p_text(3e-9)
    ('0.031', '1.0', '3.0e-09')
    """
    return f"{value:.1e}" if value < 1e-4 else f"{value:.2g}" if value < 0.995 else "1.0"


def columns_text(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows as columns two spaces apart; the columns numbered in ``right`` are flush right.

    >>> print(columns_text([["a", "1"], ["bcd", "20"]], right=[1]))
    a     1
    bcd  20
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def one_line(text: str) -> str:
    """Text of a stranger on one line of a terminal: spaces stay, whatever else moves the cursor or the text is written out.

    >>> one_line("a b\\x1b[31m")
    'a b⟨U+001B⟩[31m'
    """
    return "".join(c if c == " " else visible_character(c) for c in text)
