"""The lesson's last steps, on the model and the run that are shown: one token with its real numbers, and a sentence's vector."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import acos, degrees

import numpy as np
import torch

from ....analysis.parts import parts_of, places_of
from ....base.text import count_text, escape_html, number_text, percent_text, size_text
from ....codec.sizes import FLOAT_BYTES, Size
from ....evaluate.similarity.effects import cosines
from ....evaluate.similarity.moved import MovedSentence
from ...shell.frame import Frame
from ...widgets.coloured_blocks import block_colors
from ...widgets.scores import SIDE_COLOURS
from .pictures import ABOVE, BELOW, cell, framed

CELL = 8  # pixels of a cell, its gap included
MOST_DRAWN = 512  # numbers of a row
MOST_PIECES = 30  # of a row, so that all of the picture is seen at once
LINE = 64  # cells in a line
DIGITS = 6  # numbers that are written out, as many as the lesson's own table has
MOST_BARS = 14  # tokens of a sentence, or subspaces
CODES_SAID = 4  # codes that a text names
UNMOVED = 0.05  # degrees below which nothing is said to turn
ORDINALS = ("first", "second", "third", "fourth", "fifth")
NOTABLY = 1.05  # two measures that differ by less are called nearly equal


@dataclass(frozen=True)
class TokenRow:
    """One token before and after."""

    text: str  # not escaped
    original: np.ndarray  # (D,) in the axes that were cut, which some methods turn first
    rebuilt: np.ndarray  # (D,)
    widths: list[int]  # of the pieces; one piece where codewords are added up, or there are no codes
    codes: list[int]  # f numbers; none where there are no codes
    codebook_size: int | None  # Q of its codebooks
    is_additive: bool  # whether codewords are added up instead of joined
    is_turned: bool  # whether axes were turned before they were cut

    @property
    def cosine(self) -> float:
        """Of the row before and after."""
        return float(cosines(self.original, self.rebuilt))

    @property
    def moved(self) -> float:
        """Length of the difference over that of the original row; 0 where that is zero."""
        length = float(np.linalg.norm(self.original))
        return float(np.linalg.norm(self.rebuilt - self.original)) / length if length else 0.0

    @property
    def pieces(self) -> list[slice]:
        """The axes of every piece."""
        ends = np.cumsum(self.widths).tolist()
        return [slice(end - width, end) for end, width in zip(ends, self.widths, strict=True)]


def token_row(frame: Frame, token: int) -> TokenRow:
    """A token of the run on the page, whatever its method."""
    compressed, ids = frame.compressed, torch.tensor([token])
    parts = parts_of(compressed)
    place, row = (int(found[token]) for found in places_of(parts))
    part = parts[place]
    original, rebuilt = frame.table[ids][0].float(), compressed.lookup(ids)[0].float()
    is_additive = part.codes is not None and frame.run.settings.about.is_additive
    rotation = getattr(part.compressed, "rotation", None)
    if rotation is not None:
        original, rebuilt = original @ rotation, rebuilt @ rotation
    has_pieces = part.codes is not None and not is_additive
    return TokenRow(
        frame.vocabulary.display[token],
        original.double().numpy(),
        rebuilt.double().numpy(),
        list(part.compressed.widths) if has_pieces else [len(original)],
        [] if part.codes is None else part.codes[row].tolist(),
        None if part.codes is None else len(part.compressed.codebooks[0]),
        is_additive,
        rotation is not None,
    )


def token_text(frame: Frame, row: TokenRow) -> str:
    """What the picture of a token shows, in at most 60 words."""
    dim, about = len(row.original), frame.run.settings.about
    name = f"**{_named(row.text)}**"
    end = f" The new row is **{number_text(row.cosine, 2)}** like the old one (cosine; 1 is the same)."
    if not row.codes:
        return (
            f"The same with real numbers: [D|D = {dim}] for {name}. {about.title} keeps no codes: {_lower(about.summary)}" + end
        )
    codes = " ".join(map(str, row.codes[:CODES_SAID])) + (" …" if len(row.codes) > CODES_SAID else "")
    count = len(row.codes)
    if row.is_additive:
        return (
            f"The same with real numbers: [D|D = {dim}] for {name}. Here [f|{count} codewords] of all numbers, each one of "
            f"[Q|Q = {row.codebook_size}], are added up: codes {codes}." + end
        )
    turned = ", turned first" if row.is_turned else ""
    return (
        f"The same with real numbers: [D|D = {dim}] for {name}{turned}, cut into [f|f = {count}] pieces. Each gives way to one of "
        f"[Q|Q = {row.codebook_size}] codewords that others share: codes {codes}." + end
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _named(text: str, most: int = 30) -> str:
    """A token or a name to stand between the asterisks of a step's text."""
    return text.replace("*", "∗")[:most]


def _degrees(cosine: float) -> float:
    """The angle of a cosine, which rounding may have put past 1."""
    return degrees(acos(max(-1.0, min(1.0, cosine))))


def token_picture(row: TokenRow) -> str:
    """Every number of a token before and after, piece by piece, and the first of them written out."""
    largest = float(np.abs(row.original).max()) or 1.0
    first = slice(0, DIGITS)
    lines = (("original", row.original), ("rebuilt", row.rebuilt), ("difference", row.original - row.rebuilt))
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{_fine(value, largest)}</td>" for value in values[first])}</tr>'
        for name, values in lines
    )
    dim = len(row.original)
    note = f"the first {min(DIGITS, dim)} of {count_text(dim)} numbers"
    digits = f'<table aria-label="{note}"><caption>{note}</caption><tbody>{body}</tbody></table>'
    drawn = min(dim, MOST_DRAWN, row.pieces[:MOST_PIECES][-1].stop)
    panels = []
    for i, axes in enumerate(row.pieces):
        if axes.start >= drawn:
            break
        axes = slice(axes.start, min(axes.stop, drawn))
        codes = row.codes if len(row.pieces) == 1 else row.codes[i : i + 1]
        head = "".join(_chip(i if len(row.pieces) > 1 else stage, code) for stage, code in enumerate(codes[:MOST_BARS]))
        panels.append(
            f'<figure style="margin:0"><figcaption>{head}</figcaption>{cells_image([values[axes] for _, values in lines], largest)}</figure>'
        )
    label = f"{count_text(drawn)} numbers as coloured cells: original, rebuilt, and the difference under each other"
    pieces = f", in {len(panels)} of {len(row.pieces)} pieces" if len(row.pieces) > len(panels) else ""
    cut = "" if drawn == dim else f'<p class="le-under">Drawn: the first {drawn} of {count_text(dim)} numbers{pieces}.</p>'
    lines = _lines(min(row.widths[0], drawn))
    each = f", each in {lines} lines" if lines > 1 else ""
    legend = (
        f'<p class="le-under">From above: original, rebuilt, difference{each}. <i class="le-key" style="--k:{ABOVE}"></i>above 0 '
        f'<i class="le-key" style="--k:{BELOW};margin-left:.7em"></i>below 0</p>'
    )
    drawing = f'<div class="le-row" style="gap:.7rem .8rem" role="img" aria-label="{label}">{"".join(panels)}</div>'
    return framed(f'<div class="le-row">{digits}</div><div style="margin-top:1rem">{legend}{drawing}{cut}</div>')


def _fine(value: float, largest: float) -> str:
    """A number with as many digits as its table needs."""
    digits = 3 if largest < 1 else 2 if largest < 100 else 0
    return cell(value, largest, number_text(value, digits))


def _lines(count: int) -> int:
    """In how many lines so many cells are drawn."""
    return -(-count // LINE)


def _chip(subspace: int, code: int) -> str:
    background, text = block_colors(subspace, code)
    return f'<span class="le-b" style="--c:{background};--t:{text};display:inline-block;font-size:.8em;padding:.1em .35em;margin:1px">{code}</span>'


def cells_image(rows: Sequence[np.ndarray], largest: float) -> str:
    """The same cells several times under each other, in equal lines of at most LINE, as an image: st.html draws no SVG.

    Colours are transparent where a number is small, so that the image suits both themes.
    """
    from PIL import Image

    count = len(rows[0])
    lines = _lines(count)
    columns = -(-count // lines)
    gap = CELL // 2 if lines == 1 else CELL
    image = np.zeros(((lines * len(rows)) * CELL + (len(rows) - 1) * gap, columns * CELL, 4), np.uint8)
    colours = [[int(colour[start : start + 2], 16) for start in (1, 3, 5)] for colour in (BELOW, ABOVE)]
    for number, values in enumerate(rows):
        for n, value in enumerate(values.tolist()):
            top = (number * lines + n // columns) * CELL + number * gap
            left = n % columns * CELL
            opaque = round(255 * min(1.0, 0.06 + 0.94 * abs(value) / largest))
            image[top : top + CELL - 1, left : left + CELL - 1] = [*colours[value > 0], opaque]
    stream = io.BytesIO()
    Image.fromarray(image, "RGBA").save(stream, "PNG", optimize=True)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img alt="" src="data:image/png;base64,{data}" style="width:{columns * 0.55:.2f}rem;max-width:100%;display:block;image-rendering:pixelated">'


# Bytes


def stored_picture(size: Size, name: str) -> str:
    """What the run on the page stores, to scale: codes beside everything else; and both measures."""
    codes, rest = size.code_bytes, size.total_bytes - size.code_bytes
    share = codes / size.total_bytes if size.total_bytes else 0.0
    fewer_floats, fewer_bytes = size.fewer_texts
    what = "codebooks" if size.codebook_parameters else "other numbers"
    label = f"{size_text(rest)} of {what} and {size_text(codes)} of codes"
    if not size.codebook_parameters:
        label = f"{size_text(size.total_bytes)}, none of it in codebooks"
    return (
        f'<div style="flex:1 1 15rem;max-width:26rem"><p class="le-price" style="text-align:left;margin:0 0 .4rem">{escape_html(name)}: '
        f"{size_text(size.original_bytes)} → <b>{size_text(size.total_bytes)}</b></p>"
        f'<div class="le-stack" role="img" aria-label="{label}"><span style="width:{100 * (1 - share):.2f}%;background:var(--Q)"></span>'
        f'<span style="width:{100 * share:.2f}%;background:var(--f)"></span></div>'
        f'<p class="le-under">{label}</p>'
        f"<p>fewer floats (the paper): <b>{fewer_floats}</b><br>fewer bytes (everything): "
        f"<b>{fewer_bytes}</b></p></div>"
    )


def stored_text(size: Size) -> str:
    """What the paper's measure, which leaves the codes out, makes of a run: it flatters only where a float is not stored smaller as well."""
    if not size.codebook_parameters:
        return "The run shown has no codebooks: the bar is all that it stores."
    if not size.code_bits:
        return "The run shown computes its codes from the token's number and stores none."
    text = f"In the run shown they are **{percent_text(size.code_bytes / size.total_bytes)}** of what is stored"
    times = size.total_share / size.parameter_share
    if times > NOTABLY:
        return text + f": {times:.{1 if times < 10 else 0}f} times what the paper's number says is left. There it flatters."
    if size.codebook_bytes >= size.codebook_parameters * FLOAT_BYTES:
        return text + ", so little that both numbers nearly agree."
    bits = f"{8 * size.codebook_bytes / size.codebook_parameters:.2g}"
    more = "more than " if times * NOTABLY < 1 else ""
    agree = "" if more else ", so both numbers nearly agree"
    return text + f". Codebooks in {bits} bits a number instead of {8 * FLOAT_BYTES} {more}make up for them{agree}."


# Sentences


def sentence_text(found: MovedSentence, sides: Sequence[str]) -> str:
    """What happened to a sentence's vector, in at most 60 words. sides: the one before, the one after."""
    angle = _degrees(found.cosines[sides[1]])
    text = f"The model turns a sentence into one vector. On the compressed table the same sentence points **{angle:.0f}°** elsewhere."
    if found.tokens is None:
        return text + " It is too long to replace its tokens one by one."
    turns = _turns(found)
    if not max(turns) >= UNMOVED:
        return text + " None of its tokens moves it."
    strongest = int(np.argmax(turns))
    return text + (
        f" Replace one token at a time, and see who turns it: {_which(found.sentence.tokens, strongest)} does most, **{turns[strongest]:.0f}°**. "
        "Such turns have different directions: they can cancel, or add up."
    )


def _turns(found: MovedSentence) -> list[float]:
    """Degrees by which each token alone turns the sentence's vector."""
    return [_degrees(value) for value in found.tokens.tolist()]


def _which(tokens: Sequence[str], place: int) -> str:
    """A token by its name, for a step's text; where the sentence has it more than once, which one.

    >>> _which(["a", "b", "a"], 2), _which(["a", "b", "a"], 1)
    ('the second **a**', '**b**')
    """
    name, before = f"**{_named(tokens[place])}**", tokens[:place].count(tokens[place])
    if tokens.count(tokens[place]) == 1:
        return name
    return f"the {ORDINALS[before]} {name}" if before < len(ORDINALS) else f"{name} at place {place + 1}"


def sentence_picture(found: MovedSentence, sides: Sequence[str]) -> str:
    """Vectors of a sentence as arrows, at their true angles; and how far each token alone moves it."""
    arrows = arrows_html({side: found.cosines[side] for side in sides})
    if found.tokens is None:
        return framed(f'<div class="le-row">{arrows}</div>')
    tokens = found.sentence.tokens
    turns = _turns(found)
    shown = sorted(np.argsort(np.negative(turns), kind="stable")[:MOST_BARS].tolist())
    title = "turned by one token alone"
    if len(shown) < len(tokens):
        title += f" (the strongest {len(shown)} of {len(tokens)})"
    bars = bars_html([tokens[i] for i in shown], [turns[i] for i in shown], title, lambda turn: f"{turn:.0f}°")
    return framed(f'<div class="le-row" style="align-items:center">{arrows}{bars}</div>')


def row_text(row: TokenRow, name: str) -> str:
    """In place of a sentence, for a model that cannot encode any; in at most 60 words."""
    angle = _degrees(row.cosine)
    token = _named(row.text)
    return (
        f"**{_named(name, 40)}** cannot encode sentences, so here is one token instead: **{token}** points **{angle:.0f}°** elsewhere "
        f"after compression. The bars say which [f|pieces] of it moved most."
    )


def row_picture(row: TokenRow) -> str:
    """A token's row before and after as arrows, and how far each piece of it moved."""
    away = [float(np.linalg.norm((row.original - row.rebuilt)[axes])) for axes in row.pieces]
    length = float(np.linalg.norm(row.original)) or 1.0
    shown = sorted(np.argsort(np.negative(away), kind="stable")[:MOST_BARS].tolist())
    title = "how far each piece moved, in % of the row's length"
    if len(shown) < len(away):
        title += f" (the farthest {len(shown)} of {len(away)})"
    bars = bars_html(
        [f"piece {i}" for i in shown], [away[i] / length for i in shown], title, lambda part: f"{100 * part:.0f} %"
    )
    arrows = arrows_html({"original": 1.0, "compressed": row.cosine})
    return framed(f'<div class="le-row" style="align-items:center">{arrows}{bars}</div>')


def bars_html(names: Sequence[str], values: Sequence[float], title: str, written: Callable[[float], str]) -> str:
    """Names with bars from 0 to the largest value, which is brought out. written: a value with its unit."""
    most = max(values, default=0.0)
    largest = most or 1.0
    rows = "".join(
        f'<tr style="font-weight:{700 if value == most else 400}"><th scope="row" style="font-weight:inherit"><bdi>{escape_html(name)}</bdi></th><td style="width:8em"><span class="le-bar" '
        f'style="width:{100 * value / largest:.1f}%"></span></td><td style="text-align:right;padding-left:.5em">{written(value)}</td></tr>'
        for name, value in zip(names, values, strict=True)
    )
    return f'<table aria-label="{escape_html(title)}"><caption style="max-width:24em;white-space:normal">{escape_html(title)}</caption><tbody>{rows}</tbody></table>'


def arrows_html(found: Mapping[str, float]) -> str:
    """One arrow a side, each at its true angle from the first. found: side -> cosine with the first side."""
    turns = [_degrees(value) for value in found.values()]
    widest = max(turns)
    parts = [
        f'<span class="le-fan" style="background:conic-gradient(from {-widest / 2:.1f}deg, currentColor {widest:.1f}deg, transparent 0)"></span>'
    ]
    for n, ((side, value), turn) in enumerate(zip(found.items(), turns, strict=True)):
        angle = turn - widest / 2  # of the clock: 0 is up
        words = side if not n else f"{side}\ncosine {number_text(value, 2)}"
        colour = SIDE_COLOURS[n % len(SIDE_COLOURS)]
        parts.append(
            f'<span class="le-arrow" style="--k:{colour};height:{8.5 - 1.2 * max(0, n - 1):.1f}em;transform:rotate({angle:.1f}deg)"><i></i>'
            f'<b style="transform:rotate({-angle:.1f}deg) translate({_aside(angle, words)})">{escape_html(words)}</b></span>'
        )
    label = "Directions: " + ", ".join(
        f"{side} has cosine {number_text(value, 2)} with {next(iter(found))}" for side, value in found.items()
    )
    return f'<div class="le-arrows" role="img" aria-label="{escape_html(label)}">{"".join(parts)}<em>{widest:.0f}°</em></div>'


def _aside(angle: float, words: str) -> str:
    """Where a name stands beside the tip of an arrow, as CSS: away from the middle, and all of its lines above the tip."""
    return f"{-50 + 50 * max(-1.0, min(1.0, angle / 30)):.0f}%, {-1.6 - 1.15 * words.count(chr(10)):.2f}em"
