"""The lesson's pictures of its own table, as HTML for ``st.html``: cells that one can count, the same colour for the same thing throughout.

Pure functions. What a table of cells says can be read in order by a screen reader; drawings that are no tables have a text of their own.
"""

import re
from collections.abc import Sequence

import numpy as np

from ....base.text import escape_html, number_text
from ...widgets.coloured_blocks import block_colors
from ...widgets.colours import AXES, axis_colour
from .toy import CODEBOOK_SIZE, FOLLOWED, SUBSPACES, Toy

#: Numbers above and below zero; told apart by colour-blind readers, and their signs are written.
ABOVE, BELOW = "#D55E00", "#0072B2"
STRONGEST = 0.62  # how opaque the largest number is, so that it stays readable on its colour in both themes
_MARKED = re.compile(rf"\[([{''.join(AXES)}])\|([^\]]*)\]|\*\*(.+?)\*\*")
_DOCSTRING = re.compile(r'^ +""".*?"""\n', re.DOTALL | re.MULTILINE)

STYLE = f"""
.le {{ --V: {axis_colour("V")}; --D: {axis_colour("D")}; --f: {axis_colour("f")}; --Q: {axis_colour("Q")};
  font-size: clamp(0.8rem, 0.25rem + 1vw, 1.45rem); line-height: 1.2; }}
.le-V {{ color: var(--V); }} .le-D {{ color: var(--D); }} .le-f {{ color: var(--f); }} .le-Q {{ color: var(--Q); }}
.le-said {{ font-size: 1.12rem; line-height: 1.5; }} .le-said span {{ font-weight: 650; white-space: nowrap; }}
.le-row {{ display: flex; flex-wrap: wrap; gap: 1rem 2.2rem; align-items: flex-start; justify-content: center; }}
.le table {{ border-collapse: separate; border-spacing: 2px; margin: 0; width: auto; font-variant-numeric: tabular-nums; }}
.le th, .le td {{ border: 0 !important; padding: 0; font-weight: 400; text-align: center; vertical-align: middle; }}
.le caption {{ caption-side: top; text-align: center; font-weight: 650; padding: 0 0 0.35rem; color: inherit; }}
.le tbody th {{ text-align: right; padding-right: 0.6em; white-space: nowrap; }}
.le-c {{ display: block; min-width: 2.5em; padding: 0.28em 0.15em; border-radius: 3px;
  background: color-mix(in srgb, var(--c) var(--a), transparent); }}
.le-b {{ display: block; min-width: 2em; padding: 0.28em 0.3em; border-radius: 4px; background: var(--c); color: var(--t); font-weight: 650; }}
.le-brace {{ border-bottom: 2px solid currentColor; border-radius: 0 0 3px 3px; padding-bottom: 0.15em; font-weight: 650; display: block; }}
.le-up {{ border-left: 2px solid currentColor; writing-mode: vertical-rl; transform: rotate(180deg); font-weight: 650; padding: 0.15em;
  text-align: center; margin: 1.9em 0.2em 0.2em 0; }}
.le-side {{ display: flex; }}
.le-tight .le-c, .le-tight .le-b {{ padding-top: 0.12em; padding-bottom: 0.12em; }} .le-tight .le-c {{ min-width: 2.15em; }}
.le-rule td, .le-rule th {{ height: 0.5em; }}
.le-gap {{ width: 1.1em; }}
.le-me th, .le-me td {{ font-weight: 700; }}
.le-me .le-c, .le-me .le-b {{ box-shadow: 0 0 0 2px currentColor; }} .le-me .le-b {{ box-shadow: 0 0 0 2px var(--le-ink); }}
.le {{ --le-ink: light-dark(#111722, #E6EAF2); }}
.le-dim .le-b {{ background: transparent; color: inherit; box-shadow: inset 0 0 0 2px var(--c); font-weight: 400; }}
.le-new {{ box-shadow: 0 0 0 2px var(--le-ink); }}
.le-op {{ padding: 0 0.4em !important; opacity: 0.75; }}
.le-sum {{ font-weight: 700; font-size: 1.15em; padding-left: 0.6em !important; white-space: nowrap; }}
.le-bar {{ display: block; height: 1em; border-radius: 2px; background: {ABOVE}; min-width: 1px; }}
.le-price {{ text-align: center; font-size: 1.15em; }} .le-price b {{ font-size: 1.5em; }}
.le-bytes {{ display: grid; grid-template-columns: repeat(24, 1fr); gap: 2px; width: min(19rem, 78vw); }}
.le-bytes i {{ aspect-ratio: 1; border-radius: 1px; background: var(--k); }}
.le-bytes + p, .le-under {{ margin: 0.3rem 0 0.9rem; }}
.le-stack {{ display: flex; width: 100%; height: 2.2em; border-radius: 4px; overflow: hidden; background: color-mix(in srgb, currentColor 12%, transparent); }}
.le-stack span {{ display: block; min-width: 2px; }}
.le-key {{ display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; background: var(--k); margin-right: 0.35em; vertical-align: -0.05em; }}
.le-arrows {{ position: relative; width: min(18em, 100%); height: 13.3em; flex: 0 0 auto; }}
.le-arrow {{ position: absolute; left: calc(50% - 2px); bottom: 0.8em; width: 4px; background: var(--k); transform-origin: 50% 100%; border-radius: 2px; }}
.le-arrow i {{ position: absolute; left: -6px; top: -8px; width: 16px; height: 16px; background: var(--k); clip-path: polygon(50% 0, 100% 100%, 50% 75%, 0 100%); }}
.le-arrow b {{ position: absolute; left: 2px; top: -0.6em; white-space: pre; line-height: 1.15; transform-origin: 0 0.6em; font-weight: 650; }}
.le-fan {{ position: absolute; left: calc(50% - 3em); bottom: -2.2em; width: 6em; height: 6em; border-radius: 50%; color: color-mix(in srgb, var(--le-ink) 14%, transparent); }}
.le-arrows em {{ position: absolute; left: 0; right: 0; bottom: 4.1em; text-align: center; font-style: normal; font-weight: 700; }}
.le-x {{ position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }}
.le-code {{ overflow-x: auto; font-family: "Source Code Pro", monospace; font-size: 0.8rem; line-height: 1.5; margin: 0; padding: 0.5rem 0;
  border: 1px solid color-mix(in srgb, currentColor 18%, transparent); border-radius: 6px; }}
.le-code code {{ display: block; width: max-content; min-width: 100%; padding: 0 !important; background: none !important; color: inherit !important;
  font-size: inherit !important; }}
.le-code i {{ display: block; font-style: normal; padding: 0 0.9rem; border-left: 4px solid transparent; white-space: pre; opacity: 0.8; }}
.le-code i.le-on {{ opacity: 1; border-left-color: var(--f); background: color-mix(in srgb, var(--f) 16%, transparent); }}
"""


def said(text: str) -> str:
    """A step's text: ``[V|12 words]`` in the colour of an axis letter, ``**bold**``; everything else is escaped."""

    def mark(found: re.Match) -> str:
        letter, words, bold = found.groups()
        return f"<b>{bold}</b>" if bold else f'<span class="le-{letter}">{words}</span>'

    return _MARKED.sub(mark, escape_html(text))


def words_of(text: str) -> list[str]:
    """The words of a step's text, as a reader counts them.

    >>> words_of("[V|V = 12 words] down, **dog**")
    ['V', '=', '12', 'words', 'down,', 'dog']
    """
    return _MARKED.sub(lambda found: found[2] or found[3], text).split()


def framed(picture: str) -> str:
    """A picture with the style that all of them share."""
    return f'<style>{STYLE}</style><div class="le">{picture}</div>'


def short_number(value: float) -> str:
    """A number of the lesson's table: no more decimals than it has, at most two.

    >>> short_number(3.0), short_number(-2.2), short_number(2.25), short_number(-0.0)
    ('3', '−2.2', '2.25', '0')
    """
    return number_text(value, 2).rstrip("0").rstrip(".")


def cell(value: float, largest: float, text: str | None = None) -> str:
    """One number on its colour; ``largest`` gets the strongest. text: how it is written, by default :func:`short_number`."""
    share = STRONGEST * min(1.0, abs(value) / largest) if largest else 0.0
    colour = ABOVE if value > 0 else BELOW
    return (
        f'<span class="le-c" style="--c:{colour};--a:{100 * share:.0f}%">{short_number(value) if text is None else text}</span>'
    )


def block(subspace: int, code: int, extra: str = "") -> str:
    """One code on its colour."""
    background, text = block_colors(subspace, code)
    return f'<span class="le-b {extra}" style="--c:{background};--t:{text}">{code}</span>'


def _cells(values: Sequence[float], largest: float) -> str:
    return "".join(f"<td>{cell(value, largest)}</td>" for value in values)


def _row(word: str, cells: str, extra: str = "") -> str:
    mark = " ".join(filter(None, ["le-me" if word == FOLLOWED else "", extra]))
    return f'<tr class="{mark}"><th scope="row">{escape_html(word)}</th>{cells}</tr>'


# 1, 2: the table, whole and cut


def table_picture(toy: Toy) -> str:
    """V words down, D numbers across."""
    table, (count, dim) = toy.table, toy.table.shape
    largest = np.abs(table).max()
    body = [_row(word, _cells(row, largest)) for word, row in zip(toy.words, table, strict=True)]
    side = f'<div class="le-up le-V" aria-hidden="true">V = {count} words</div>'
    head = f'<tr><td></td><th colspan="{dim}" class="le-D"><span class="le-brace">D = {dim} numbers each</span></th></tr>'
    label = f"A table of {count} words with {dim} numbers each"
    return framed(
        f'<div class="le-row"><div class="le-side">{side}<table aria-label="{label}"><thead>{head}</thead><tbody>{"".join(body)}</tbody>'
        "</table></div></div>"
    )


def cut_picture(toy: Toy) -> str:
    """The same table in f pieces."""
    largest = np.abs(toy.table).max()
    gap = '<td class="le-gap"></td>'
    body = [
        _row(word, gap.join(_cells(row[axes], largest) for axes in toy.axes))
        for word, row in zip(toy.words, toy.table, strict=True)
    ]
    columns = toy.table.shape[1] + len(toy.axes) - 1
    head = (
        f'<tr><td></td><th colspan="{columns}" class="le-f"><span class="le-brace">f = {SUBSPACES} subspaces</span></th></tr>'
    )
    names = gap.join(
        f'<th colspan="{axes.stop - axes.start}" scope="colgroup" class="le-f"><span class="le-brace">{i}</span></th>'
        for i, axes in enumerate(toy.axes)
    )
    return framed(
        f'<div class="le-row"><table aria-label="The same table, cut into {SUBSPACES} subspaces"><thead>{head}<tr><td></td>{names}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


# 4, 5: codes


def codes_picture(toy: Toy) -> str:
    """The codebooks, and below them every piece beside the number of its codeword."""
    codes, codebooks = toy.grouped
    largest = np.abs(toy.table).max()
    gap = '<td class="le-gap"></td>'
    books = []
    for code in range(CODEBOOK_SIZE):
        pieces = [f"{_cells(book[code], largest)}<td>{block(i, code)}</td>" for i, book in enumerate(codebooks)]
        name = f"Q = {CODEBOOK_SIZE} codewords" if code == 1 else f'<span class="le-x">codeword {code}</span>'
        books.append(f'<tr><th scope="row" class="le-Q">{name}</th>{gap.join(pieces)}</tr>')
    body = []
    for word, row, numbers in zip(toy.words, toy.table, codes.tolist(), strict=True):
        pieces = [f"{_cells(row[axes], largest)}<td>{block(i, numbers[i])}</td>" for i, axes in enumerate(toy.axes)]
        body.append(_row(word, gap.join(pieces)))
    head = gap.join(
        f'<th colspan="3" scope="colgroup"><span class="le-brace le-f">codebook {i}</span></th>' for i in range(SUBSPACES)
    )
    rule = '<tbody><tr class="le-rule"><td></td></tr></tbody>'
    return framed(
        f'<div class="le-row le-tight"><table aria-label="Codebooks, and every piece with the code of its codeword"><thead><tr><td></td>{head}'
        f"</tr></thead><tbody>{''.join(books)}</tbody>{rule}<tbody>{''.join(body)}</tbody></table></div>"
    )


def collision_picture(toy: Toy) -> str:
    """Codes before and after uniqueness, what moved, and what it costs."""
    before, after = toy.grouped[0], toy.unique[0]
    body = []
    for word, old, new in zip(toy.words, before.tolist(), after.tolist(), strict=True):
        left = "".join(f"<td>{block(i, code)}</td>" for i, code in enumerate(old))
        right = "".join(f"<td>{block(i, code, 'le-new' if code != old[i] else '')}</td>" for i, code in enumerate(new))
        arrow = "→" if old != new else ""
        body.append(_row(word, f'{left}<td class="le-op">{arrow}</td>{right}', "" if word in toy.collision else "le-dim"))
    distinct = [len(set(map(tuple, codes.tolist()))) for codes in (before, after)]
    head = (
        f'<tr><td></td><th colspan="3"><span class="le-brace">{distinct[0]} different</span></th><td></td>'
        f'<th colspan="3"><span class="le-brace">{distinct[1]} different</span></th></tr>'
    )
    table = f'<table aria-label="Codes before and after the repair"><thead>{head}</thead><tbody>{"".join(body)}</tbody></table>'
    price = (
        f'<p class="le-price">squared error of all words<br><b>{short_number(toy.error(toy.grouped))}</b> → '
        f"<b>{short_number(toy.error(toy.unique))}</b></p>"
    )
    return framed(
        f'<div class="le-row le-tight" style="align-items:center">{table}<div>{_moved_codewords(toy)}{price}</div></div>'
    )


def _moved_codewords(toy: Toy) -> str:
    """The codewords that are not where they were, before and after."""
    largest, rows = np.abs(toy.table).max(), []
    for i, (old, new) in enumerate(zip(toy.grouped[1], toy.unique[1], strict=True)):
        for code in range(CODEBOOK_SIZE):
            if not np.allclose(old[code], new[code]):
                name = f'<th scope="row"><span class="le-f">piece {i}</span></th><td>{block(i, code)}</td>'
                rows.append(f'<tr>{name}{_cells(old[code], largest)}<td class="le-op">→</td>{_cells(new[code], largest)}</tr>')
    return f'<table aria-label="Codewords that moved"><caption>codewords that moved</caption><tbody>{"".join(rows)}</tbody></table>'


# 6, 7: the error, the bytes


def rebuilt_picture(toy: Toy) -> str:
    """One word rebuilt, its difference and squares; and the error of every word."""
    found, word = toy.unique, toy.followed
    rebuilt = toy.rebuilt(found)
    largest, row, back = np.abs(toy.table).max(), toy.table[word], rebuilt[word]
    away = row - back
    gap = '<td class="le-gap"></td>'

    def line(name: str, values: np.ndarray, after: str = "") -> str:
        cells = gap.join(_cells(values[axes], largest) for axes in toy.axes)
        return f'<tr><th scope="row">{name}</th>{cells}<td class="le-sum">{after}</td></tr>'

    blocks = gap.join(f'<td colspan="2">{block(i, code)}</td>' for i, code in enumerate(found[0][word].tolist()))
    squares = (away**2).sum()
    one = (
        f'<table aria-label="{FOLLOWED} rebuilt"><tbody>{line(FOLLOWED, row)}<tr><th scope="row">codes</th>{blocks}<td></td></tr>'
        f"{line('rebuilt', back)}{line('difference', away)}{line('squared', away**2, f'= {short_number(squares)}')}</tbody></table>"
    )
    errors = ((toy.table - rebuilt) ** 2).sum(axis=1)
    bars = "".join(
        _row(name, f'<td style="width:9em"><span class="le-bar" style="width:{100 * error / errors.max():.1f}%"></span></td>'
             f'<td style="text-align:right">{short_number(error)}</td>')
        for name, error in zip(toy.words, errors, strict=True)
    )  # fmt: skip
    total = f'<tr><th scope="row">all</th><td></td><td class="le-sum">{short_number(errors.sum())}</td></tr>'
    every = (
        f'<table aria-label="Squared error of every word"><caption>squared error</caption><tbody>{bars}{total}</tbody></table>'
    )
    return framed(f'<div class="le-row le-tight" style="align-items:center">{one}{every}</div>')


def bytes_picture(toy: Toy, real: str = "") -> str:
    """One square a byte: the table, the codebooks, the codes. real: what stands beside it, HTML."""
    table, codebooks, codes = toy.counted
    neutral = "color-mix(in srgb, currentColor 45%, transparent)"

    def squares(parts: Sequence[tuple[float, str]], name: str) -> str:
        cells = "".join(f'<i style="--k:{colour}"></i>' * round(count) for count, colour in parts)
        return f'<div class="le-bytes" role="img" aria-label="{name}">{cells}</div>'

    total = codebooks + codes
    small = (
        f'<div style="max-width:min(19rem, 78vw)">'
        f"{squares([(table, neutral)], f'{table:g} squares, one a byte')}"
        f'<p class="le-under">the table: <span class="le-V">12</span> × <span class="le-D">6</span> × 4 = <b>{table:g} bytes</b></p>'
        f"{squares([(codebooks, 'var(--Q)'), (codes, 'var(--f)')], f'{codebooks:g} squares for codebooks and {codes:g} for codes')}"
        f'<p class="le-under"><i class="le-key" style="--k:var(--Q)"></i>codebooks: <span class="le-Q">{CODEBOOK_SIZE}</span> × '
        f'<span class="le-D">6</span> × 4 = <b>{codebooks:g}</b> &emsp;<i class="le-key" style="--k:var(--f)"></i>codes: '
        f'<span class="le-V">12</span> × <span class="le-f">{SUBSPACES}</span> × 2 bits = <b>{codes:g}</b><br>'
        f"together <b>{total:g} bytes</b>, {100 * total / table:.0f} %</p></div>"
    )
    return framed(f'<div class="le-row">{small}{real}</div>')


# Code


def code_picture(source: str, marked: Sequence[str]) -> str:
    """Lines of Python, those that contain one of ``marked`` brought out; without docstrings."""
    lines = []
    for line in _DOCSTRING.sub("", source).rstrip().splitlines():
        on = any(part in line for part in marked)
        lines.append(
            f'<i class="le-on"><span class="le-x">this step: </span>{escape_html(line)}</i>'
            if on
            else f"<i>{escape_html(line) or ' '}</i>"
        )
    return framed(
        f'<pre class="le-code" tabindex="0" role="region" aria-label="Code of this step"><code>{"".join(lines)}</code></pre>'
    )
