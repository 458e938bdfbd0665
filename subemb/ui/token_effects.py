"""A sentence as a strip of tokens, each coloured by its effect on a score; and plain bars for scores. HTML for ``st.html``.

Token text is escaped here and nowhere else. Colour is never alone: each token carries its number with its sign.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..models.vocabulary import escape_html

#: Green and purple are told apart by colour-blind readers too, and neither looks like the original's or the compressed colour.
RAISES, LOWERS = "#009E73", "#B05AA8"
STRONGEST = 0.6  # how opaque the colour of the largest effect is, so that text stays readable on it in both themes
FAINTEST = 0.01  # share of colour below which a token gets no edge either
NOTHING = 1e-6  # a smaller effect is rounding

_STYLE = """
.te { position: relative; font-size: .95rem; line-height: 1.3; }
.te ul { display: flex; flex-wrap: wrap; gap: .3rem .25rem; list-style: none; margin: 0 !important; padding: 0 0 2.6rem !important; }
.te li { margin: 0 !important; padding: .15rem .35rem .2rem; border-radius: .3rem; text-align: center; max-width: 100%;
  background: color-mix(in srgb, var(--c) var(--a), transparent); box-shadow: inset 0 -3px 0 var(--e); cursor: default; }
.te li:hover, .te li:focus { outline: 2px solid currentColor; outline-offset: 1px; }
.te bdi { display: block; max-width: 14rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.te .te-x { font-style: italic; }
.te small { display: block; font-size: .72rem; opacity: .85; font-variant-numeric: tabular-nums; }
.te .te-d, .te .te-h { position: absolute; left: 0; right: 0; bottom: 0; min-height: 2.3rem; font-size: .8rem; text-align: left;
  padding: .2rem .1rem; box-sizing: border-box; }
.te .te-h { opacity: .75; }
.te .te-d { visibility: hidden; background: var(--st-background-color, Canvas); font-variant-numeric: tabular-nums; z-index: 1; }
.te li:hover .te-d, .te li:focus .te-d { visibility: visible; }
.te ul:hover li:focus:not(:hover) .te-d { visibility: hidden; }
.te-l { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .6rem; font-size: .8rem; }
.te-l i { display: inline-block; width: 9rem; height: .8rem; border-radius: .2rem; }
.te-v { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 640px) {
  .te ul { padding-bottom: 4.4rem !important; } .te .te-d, .te .te-h { min-height: 4.1rem; } .te-l i { width: 6rem; }
}
"""


@dataclass(frozen=True)
class TokenEffect:
    """One token as drawn. text, details: as they are, not escaped. effect: on the score. special: not part of the text."""

    text: str
    effect: float
    details: str
    special: bool = False


def digits_for(scale: float) -> int:
    """Digits after the point so that an effect as large as ``scale`` shows two that count, 3 to 6.

    >>> digits_for(0.4), digits_for(0.004), digits_for(0.0), digits_for(0.00002)
    (3, 4, 3, 6)
    """
    digits = 3
    while 0 < scale < 10 ** (1 - digits) and digits < 6:
        digits += 1
    return digits


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign; nothing is 0.

    >>> signed(0.01234), signed(-0.5), signed(1e-9), signed(-0.0002)
    ('+0.012', '−0.500', '0', '−0.000')
    """
    if abs(value) < NOTHING:
        return "0"
    return f"{value:+.{digits}f}".replace("-", "−")


def _colours(effect: float, scale: float) -> tuple[str, float]:
    """Hue, and share of it from 0 to STRONGEST."""
    share = 0.0 if scale <= NOTHING else min(1.0, abs(effect) / scale)
    return (RAISES if effect > 0 else LOWERS), (0.0 if abs(effect) < NOTHING else STRONGEST * share)


def strip_html(tokens: Sequence[TokenEffect], scale: float, caption: str) -> str:
    """Tokens in order, each with its effect under it and its details below the strip while it is pointed at or focused.

    scale: the effect that gets the strongest colour; the same for all strips that are to be compared.
    """
    digits = digits_for(scale)
    items = []
    for token in tokens:
        colour, share = _colours(token.effect, scale)
        edge = colour if share >= FAINTEST else "transparent"
        text = escape_html(token.text)
        name = f'<bdi{" class=te-x" if token.special else ""} title="{text}">{text}</bdi>'
        items.append(
            f'<li tabindex="0" style="--c:{colour};--a:{100 * share:.0f}%;--e:{edge}">{name}'
            f'<small>{signed(token.effect, digits)}</small><span class="te-d">{escape_html(token.details)}</span></li>'
        )
    hint = '<div class="te-h" aria-hidden="true">Point at a token, or tap it, to read its numbers here.</div>'
    return f'<style>{_STYLE}</style><div class="te">{hint}<ul aria-label="{escape_html(caption)}">{"".join(items)}</ul></div>'


def legend_html(scale: float) -> str:
    """What the colours of :func:`strip_html` mean, with the numbers at both ends."""
    digits = digits_for(scale)

    def shade(colour: str) -> str:
        return f"color-mix(in srgb, {colour} {100 * STRONGEST:.0f}%, transparent)"

    gradient = f"linear-gradient(to right, {shade(LOWERS)}, transparent, {shade(RAISES)})"
    end = f"{scale:.{digits}f}"
    return (
        f'<style>{_STYLE}</style><div class="te-l"><span>lowers the cosine <b>−{end}</b></span>'
        f'<i style="background:{gradient}" aria-hidden="true"></i><span><b>+{end}</b> raises it</span></div>'
    )


def bar_html(value: float, low: float, high: float, colour: str, label: str) -> str:
    """One bar on a track from ``low`` to ``high``, starting at 0. label: said to who cannot see it."""
    start, end = sorted((max(low, min(high, 0.0)), max(low, min(high, value))))
    left, width = (100 * (part - low) / (high - low) for part in (start, low + end - start))
    return (
        f'<div role="img" aria-label="{escape_html(label)}" class="te-bar" style="position:relative;height:1.1rem;'
        'border-radius:.25rem;background:color-mix(in srgb, currentColor 12%, transparent);overflow:hidden">'
        f'<div style="position:absolute;top:0;bottom:0;left:{left:.2f}%;width:{width:.2f}%;background:{colour}"></div></div>'
        '<div aria-hidden="true" style="display:flex;justify-content:space-between;font-size:.72rem;opacity:.75">'
        f"<span>{low:g}</span>{'<span>0</span>' if low < 0 else ''}<span>{high:g}</span></div>"
    ).replace("<span>-1</span>", "<span>−1</span>")
