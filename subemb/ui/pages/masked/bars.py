"""The best fillings of a mask as bars, with what changed against the other side, in HTML. No Streamlit here."""

from ....base.text import escape_html, percent_text
from ....evaluate.masked.fill import FilledMask, Filling
from ...widgets.charts import PALETTE

_STYLE = """
.mw { width: 100%; border-collapse: collapse; font-size: .9rem; line-height: 1.25; margin: 0 0 .4rem; table-layout: fixed; }
.mw caption { caption-side: top; text-align: left; font-weight: 600; padding: 0 0 .35rem; }
.mw caption i { display: inline-block; width: .8em; height: .8em; border-radius: .15em; background: var(--mw-c); margin-right: .4em; }
.mw th, .mw td { border: 0; border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent); padding: .28rem .3rem;
  font-weight: 400; text-align: left; vertical-align: middle; }
.mw thead th { font-size: .75rem; opacity: .8; }
.mw .mw-r { width: 1.9rem; text-align: right; opacity: .8; font-variant-numeric: tabular-nums; }
.mw .mw-t { width: 31%; overflow-wrap: anywhere; font-weight: 600; }
.mw .mw-t small { display: block; font-weight: 400; font-size: .72rem; opacity: .8; }
.mw .mw-t span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.mw .mw-n { font-size: .75rem; width: 6.4rem; }
.mw .mw-b { display: block; height: .8rem; border-radius: .2rem; background: var(--mw-c); width: var(--mw-w); min-width: 2px; }
.mw .mw-p { font-size: .78rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.mw tr.mw-new .mw-b, .mw tr.mw-lost .mw-b { background: repeating-linear-gradient(45deg, var(--mw-c) 0 3px,
  color-mix(in srgb, var(--mw-c) 35%, transparent) 3px 6px); outline: 1px solid var(--mw-c); outline-offset: -1px; }
.mw tr.mw-new .mw-n, .mw tr.mw-lost .mw-n { font-weight: 700; }
"""


def bars_html(mask: FilledMask, side: int, names: tuple[str, ...], largest: float) -> str:
    """The k best of one side. largest: the probability that fills the width, the same for all sides."""
    rows = []
    for filling in mask.top(side):
        text, kind = change_of(filling, mask, side, names)
        note = "<small>the masked word</small>" if filling.token_id == mask.masked_id else ""
        width = 100 * filling.probabilities[side] / largest if largest else 0
        token = escape_html(filling.token)
        rows.append(
            f'<tr class="mw-{kind}"><td class="mw-r">{filling.ranks[side]}</td>'
            f'<th scope="row" class="mw-t"><span title="{token}"><bdi>{token}</bdi></span>{note}</th>'
            f'<td><span class="mw-b" style="--mw-w:{width:.2f}%"></span>'
            f'<span class="mw-p">{percent_text(filling.probabilities[side])}</span></td>'
            f'<td class="mw-n">{text}</td></tr>'
        )
    return (
        f'<style>{_STYLE}</style><table class="mw" style="--mw-c:{color_of(side)}">'
        f"<caption><i></i>{escape_html(names[side])}: {len(rows)} best fillings</caption>"
        '<thead><tr><th class="mw-r" scope="col">#</th><th class="mw-t" scope="col">token</th>'
        '<th scope="col">probability</th><th class="mw-n" scope="col">change</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def color_of(side: int) -> str:
    """Blue for the first side, orange for the second, as on all pages."""
    return PALETTE[side % len(PALETTE)]


def change_of(filling: Filling, mask: FilledMask, side: int, names: tuple[str, ...]) -> tuple[str, str]:
    """How a filling's rank differs, in words with a sign, and its kind: ``same``, ``up``, ``down``, ``new`` or ``lost``.

    A side after the first is compared with the first; the first says what is lost on others.
    """
    if side == 0:
        lost = [place for place in range(1, len(names)) if filling.ranks[place] > mask.k]
        if not lost:
            return "", "same"
        where = ", ".join(f"{filling.ranks[place]:,}" + (f" {names[place]}" if len(names) > 2 else "") for place in lost)
        return f"− lost, now {where}", "lost"
    before, now = filling.ranks[0], filling.ranks[side]
    if before > mask.k:
        return f"+ new, was {before:,}", "new"
    if before == now:
        return "= same", "same"
    return (f"▲ up from {before}", "up") if before > now else (f"▼ down from {before}", "down")
