"""Codes as coloured blocks: one row a token, one block a subspace; same number and colour, same shared sub-vector.

Everything here returns HTML for ``st.html``; token text is escaped here and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ...base.text import escape_html
from .colours import oklch, readable_on
from .leads import codeword_link, lead, token_lead, token_link

HUES = 24
LIGHTNESSES = (0.74, 0.62, 0.50)  # of OKLCH: far enough from white and from black to show on both themes
COLORS = HUES * len(LIGHTNESSES)
CHROMA = 0.115
_STEP = 31  # has no divisor in common with COLORS: codes 0, 1, 2 ... of a subspace go through all colours, far apart in hue
_STEP_OF_SUBSPACE = 19
LARGEST_DRAWING = 12_000  # blocks in one drawing; about 1 MB of HTML
MANY = 8  # blocks that are drawn of a token even where the one beside it has fewer
LARGEST_TITLED = 1_500  # blocks up to which each says its subspace and code in a tooltip


@dataclass(frozen=True)
class Row:
    """One token as drawn."""

    text: str  # not escaped
    codes: Sequence[int]  # f numbers
    note: str = ""  # one short remark, such as a similarity
    shared: Sequence[bool] | None = None  # for each block, whether the chosen token has it too; None where none was chosen
    token: int | None = None  # its id, if its name is to lead to it
    tier: int | None = None  # whose codebooks the codes are of, where there are several
    is_current: bool = False  # whether the page is about this token, so that its name leads nowhere


@cache
def palette() -> tuple[tuple[str, str], ...]:
    """COLORS pairs of (background, text), each readable by itself, so that the page's theme does not matter."""
    colors = []
    for number in range(COLORS):
        lightness = LIGHTNESSES[number % len(LIGHTNESSES)]
        background = oklch(lightness, CHROMA, number / COLORS)
        colors.append((background, readable_on(background)))
    return tuple(colors)


def color_number(subspace: int, code: int) -> int:
    """Which colour a code gets. Up to COLORS codes of one subspace all differ; with more, only the printed number does.

    >>> len({color_number(5, code) for code in range(COLORS)}) == COLORS
    True
    """
    return (code * _STEP + subspace * _STEP_OF_SUBSPACE) % COLORS


def block_colors(subspace: int, code: int) -> tuple[str, str]:
    """Background and text colour of a block: a function of subspace and code alone."""
    return palette()[color_number(subspace, code)]


def rows_that_fit(subspaces: int) -> int:
    """How many rows of f blocks one drawing may have."""
    return max(1, LARGEST_DRAWING // max(1, subspaces))


_STYLE = """
.sb { font-size: 0.875rem; line-height: 1.3; }
.sb-scroll { overflow-x: auto; width: 100%; contain: inline-size; padding: 2px; }
.sb table { border-collapse: separate; border-spacing: 3px; margin: 0; width: auto; }
.sb caption { caption-side: top; text-align: left; padding: 0 0 .3rem .2rem; font-weight: 600; }
.sb th, .sb td { border: 0; padding: 0; font-weight: 400; }
.sb thead th { font-size: .75rem; opacity: .8; text-align: center; }
.sb thead th.sb-t, .sb tbody th { text-align: left; }
.sb-t { position: sticky; left: 0; z-index: 1; background: var(--sb-page); padding-right: .5rem !important; }
.sb-t span.sb-w { display: block; max-width: 11rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.sb-t small { display: block; font-size: .72rem; opacity: .8; white-space: nowrap; }
.sb-m { white-space: nowrap; font-size: .75rem; padding: 0 .3rem !important; }
.sb-b { display: block; position: relative; min-width: 2.4rem; padding: .25rem .3rem; border-radius: .3rem; text-align: center;
  font-variant-numeric: tabular-nums; border: 2px solid transparent; background: var(--c); border-color: var(--c);
  color: var(--t); box-sizing: border-box; }
.sb-own { background: transparent; color: inherit; }
.sb-same { font-weight: 700; }
.sb-wrap { display: flex; flex-wrap: wrap; gap: .35rem; padding: 0 !important; margin: 0 !important; list-style: none; }
.sb-wrap li { position: relative; margin: 0 !important; padding: 0; text-align: center; }
.sb-wrap small { display: block; font-size: .7rem; opacity: .8; }
.sb-v { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 640px) {
  .sb-t { min-width: 6.5rem; } .sb-t span.sb-w { max-width: 7rem; } .sb-t small { white-space: normal; max-width: 7rem; line-height: 1.15; }
}
"""


def _block(row: Row, subspace: int, unit: str, titled: bool, is_stop: bool) -> str:
    """A block, which leads to its codeword; in a drawing of very many it says and leads nowhere, to keep the page small."""
    code, shared = int(row.codes[subspace]), None if row.shared is None else row.shared[subspace]
    background, text = block_colors(subspace, code)
    kind = "sb-b" + ("" if shared is None else " sb-same" if shared else " sb-own")
    heard = '<span class="sb-v"> shared</span>' if shared else ""
    inside, style = f"{code}{heard}", f"--c:{background};--t:{text}"
    if not titled:
        return f'<span class="{kind}" style="{style}">{inside}</span>'
    title = f"{unit} {subspace}, code {code}: who uses it"
    return lead(codeword_link(subspace, code, row.tier), inside, title, kind, style, is_stop)


def _name(row: Row) -> str:
    text = escape_html(row.text)
    note = f"<small>{escape_html(row.note)}</small>" if row.note else ""
    name = f"<bdi>{text}</bdi>" if row.token is None or row.is_current else token_lead(row.token, row.text)
    return f'<span class="sb-w" title="{text}">{name}</span>{note}'


def columns_of(rows: Sequence[Row]) -> int:
    """How many columns of blocks are drawn: beside the token that the page is about, no more than it has or MANY.

    Tokens of another tier may have many times as many blocks, and share none with it.
    """
    most = max((len(row.codes) for row in rows), default=0)
    own = next((len(row.codes) for row in rows if row.is_current), most)
    return min(most, max(own, MANY))


def _more(row: Row, count: int, unit: str) -> str:
    """That a token has more blocks than are drawn; leads to all of them."""
    text = f"+ {count}"
    return text if row.token is None else lead(token_link(row.token), text, f"{count} more blocks, by {unit}: all of them")


def table_html(rows: Sequence[Row], caption: str, unit: str = "subspace", page: str = "transparent") -> str:
    """Rows of blocks under each other, subspace under subspace; scrolls sideways where the page is too narrow.

    unit: what a column is: ``subspace`` or ``stage``. page: the page's background, put behind the tokens while scrolling.
    """
    subspaces = columns_of(rows)
    titled = len(rows) * subspaces <= LARGEST_TITLED
    head = "".join(f'<th scope="col">{i}</th>' for i in range(subspaces))
    body = []
    for number, row in enumerate(rows):
        # Tab stops at the names, and at the blocks of the first row: it would take hundreds of presses to get past all others.
        drawn, more = min(len(row.codes), subspaces), len(row.codes) - subspaces
        blocks = "".join(f"<td>{_block(row, i, unit, titled, number == 0)}</td>" for i in range(drawn))
        blocks += "<td></td>" * (subspaces - drawn)  # a token of a tier with fewer codes
        blocks += f'<td class="sb-m">{_more(row, more, unit)}</td>' if more > 0 else ""
        body.append(f'<tr><th scope="row" class="sb-t">{_name(row)}</th>{blocks}</tr>')
    label = escape_html(caption)
    return (
        f'<style>{_STYLE}</style><div class="sb sb-scroll" style="--sb-page:{page}" tabindex="0" role="region" aria-label="{label}">'
        f'<table><caption>{label}</caption><thead><tr><th scope="col" class="sb-t">token \\ {unit}</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def wrapped_html(row: Row, caption: str, unit: str = "subspace") -> str:
    """All blocks of one token, each with its subspace above it, in as many lines as needed."""
    titled = len(row.codes) <= LARGEST_TITLED
    blocks = "".join(
        f'<li><small aria-hidden="true">{i}</small><span class="sb-v">{unit} {i}: code </span>{_block(row, i, unit, titled, True)}</li>'
        for i in range(len(row.codes))
    )
    return f'<style>{_STYLE}</style><div class="sb"><ul class="sb-wrap" aria-label="{escape_html(caption)}">{blocks}</ul></div>'
