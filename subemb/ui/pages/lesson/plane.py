"""A plane whose points move from moment to moment: k-means at work, and adapting. It steps in the browser (plane.js), without the server."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...shell.components import component
from ...widgets.coloured_blocks import block_colors
from .toy import DRAWN, DRAWN_ADAPTATION, ROUNDS, SUBSPACES, Toy

_SCRIPT = (Path(__file__).parent / "plane.js").read_text(encoding="utf-8")
_HTML = """<div class="plane"><p class="title"></p><svg role="img"></svg><p class="said" aria-live="polite"></p>
<div class="controls"><button data-do="back" aria-label="One step back">‹</button><button data-do="play"></button>
<button data-do="on" aria-label="One step on">›</button><input type="range" min="0" value="0" aria-label="Moment"><span class="count"></span></div></div>"""
_CSS = """
.plane { font: 1rem/1.4 var(--st-font, sans-serif); color: inherit; }
svg { display: block; width: 100%; }
svg text { font-size: 0.9rem; fill: currentColor; }
.dot text { paint-order: stroke; stroke: light-dark(#FFFFFF, #12161E); stroke-width: 3.5px; stroke-linejoin: round; }
.book text { font-weight: 700; fill: unset; }
.grid line { stroke: color-mix(in srgb, currentColor 10%, transparent); } .grid .axis { stroke: color-mix(in srgb, currentColor 35%, transparent); }
.lines line { stroke: currentColor; stroke-width: 1.5; }
.dot circle { fill: light-dark(#596273, #A8B0BE); stroke: light-dark(#FFFFFF, #12161E); stroke-width: 1; }
.me circle { stroke: currentColor; stroke-width: 2.5; } .me text { font-weight: 700; }
.ring { fill: none; stroke: currentColor; stroke-width: 2; }
.book rect { stroke: light-dark(#111722, #E6EAF2); stroke-width: 1.5; }
.book, .dot { transition: transform 0.7s ease; } .dot circle { transition: fill 0.3s; } .still * { transition: none !important; }
.title { text-align: center; font-weight: 650; margin: 0 0 0.2rem; }
.said { text-align: center; font-weight: 600; margin: 0.35rem 0; min-height: 1.4em; }
.controls { display: flex; gap: 0.5rem; justify-content: center; align-items: center; }
button { font: inherit; white-space: nowrap; color: inherit; min-width: 2.5rem; min-height: 2.2rem; padding: 0 0.7rem; border-radius: 6px; cursor: pointer;
  border: 1px solid color-mix(in srgb, currentColor 35%, transparent); background: transparent; }
button:hover:enabled { background: color-mix(in srgb, currentColor 8%, transparent); } button:disabled { color: color-mix(in srgb, currentColor 45%, transparent); cursor: default; }
button:focus-visible, input:focus-visible { outline: 2px solid var(--st-primary-color, currentColor); outline-offset: 2px; }
input { flex: 0 1 14rem; min-width: 4rem; accent-color: var(--st-primary-color, auto); }
.count { font-variant-numeric: tabular-nums; white-space: nowrap; }
"""


def draw_plane(drawing: dict) -> None:
    """Show a drawing of :func:`k_means_drawing` or :func:`adaptation_drawing`."""
    component("subemb_plane", _SCRIPT, _HTML, _CSS)(key=f"plane_{drawing['name']}", data=drawing)


def k_means_drawing(toy: Toy) -> dict:
    """Words that join codewords, and codewords that move, in one subspace."""
    points = toy.table[:, toy.axes[DRAWN]]
    frames = [
        {"dots": points.tolist(), "codes": moment.codes.tolist(), "books": moment.codebook.tolist(), "said": moment.said}
        for moment in toy.moments
    ]
    everything = np.concatenate([points, *(moment.codebook for moment in toy.moments)])
    label = f"The {len(points)} words by the two numbers of subspace {DRAWN}, and the codewords, which are squares"
    return _drawing("k_means", label, toy.words, frames, everything, DRAWN, marked=toy.followed)


def adaptation_drawing(toy: Toy) -> dict:
    """Sentences that come back to where they were (the rings), because codewords move, in one subspace."""
    axes = toy.axes[DRAWN_ADAPTATION]
    rings = toy.sentence_vectors(toy.table)[:, axes]
    frames, everything = [], [rings]
    for rounds in ROUNDS:
        found = toy.adapted(rounds)
        dots, books = toy.sentence_vectors(toy.rebuilt(found))[:, axes], found[1][DRAWN_ADAPTATION]
        said = f"After {rounds} rounds, in all {SUBSPACES} pieces: sentences off by {toy.sentence_error(found):.2f}, single words by {toy.error(found):.1f}."
        frames.append({"dots": dots.tolist(), "codes": [-1] * len(dots), "books": books.tolist(), "said": said})
        everything += [dots, books]
    names = [" ".join(toy.words[token] for token in sentence) for sentence in toy.sentences]
    label = f"{len(names)} sentences in subspace {DRAWN_ADAPTATION}: rings where they were, dots where they are; codewords are squares"
    return _drawing("adapting", label, names, frames, np.concatenate(everything), DRAWN_ADAPTATION, rings=rings.tolist())


def _drawing(
    name: str, label: str, names: Sequence[str], frames: list[dict], everything: np.ndarray, subspace: int, **more
) -> dict:
    """What plane.js reads. everything: (n, 2) all points, that the plane has to hold."""
    count = len(frames[0]["books"])
    title = f"Piece {subspace} alone, by its two numbers"
    low, high = everything.min(axis=0) - 0.6, everything.max(axis=0) + 0.9  # names stand above their points
    return {
        "name": name, "title": title, "label": label, "names": list(names), "frames": frames, "low": low.tolist(), "high": high.tolist(),
        "colours": [block_colors(subspace, code) for code in range(count)], **more,
    }  # fmt: skip
