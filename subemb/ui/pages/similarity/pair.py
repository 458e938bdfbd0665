"""The page Similarity, a pair of sentences: their cosine on every side, and which tokens and subspaces moved it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ....base.store import content_key
from ....base.text import change_text, count_text, escape_html, escape_markdown, number_text
from ....evaluate.data.read import demo_pairs
from ....evaluate.similarity.effects import NOTHING, Attribution, SentenceEffects
from ....evaluate.similarity.sentences import LONGEST_SENTENCE, PairComparison, ReadSentence
from ....jobs.task import Call
from ....tasks.evaluations import compare_pair
from ...shell.frame import Frame
from ...shell.jobs import begin, outcome
from ...shell.text import counted
from ...widgets.charts import download_csv, layout, show
from ...widgets.leads import lead, token_link
from ...widgets.scores import SIDE_COLOURS
from ...widgets.sentence_inputs import example_text, pair_form
from .account import ELSEWHERE, blocks_sum_text, digits_for, digits_of, method_text, signed, summary_text

WHICH = ("First sentence", "Second sentence")
FIRST, SECOND = "pair_first", "pair_second"
AUTOMATIC = 300  # characters of the longer sentence up to which the page compares by itself; that takes about a second
MOST_DRAWN = 600  # tokens of a sentence
NAMED_BLOCKS = 4  # strongest blocks named in the details of a token
#: Green and purple are told apart by colour-blind readers too, and neither looks like the original's or the compressed colour.
RAISES, LOWERS = "#009E73", "#B05AA8"
STRONGEST = 0.6  # how opaque the colour of the largest effect is, so that text stays readable on it in both themes
FAINTEST = 0.01  # share of colour below which a token gets no edge either
FLAT = 4  # bars beside which their numbers have room without being turned


def pair_view(frame: Frame) -> None:
    """Two sentences and their similarity on every side."""
    if not frame.model.has_tokenizer:
        explain_no_sentences(frame)
        return
    first, second, pressed = read_pair()
    for text, which in ((first, "first"), (second, "second")):
        if not text.strip():
            st.info(f"Write a {which} sentence, or choose an example pair, to compare the two.", icon=":material/edit:")
            return
    call = compare_pair.call(frame.compared, first, second)
    short = max(len(first), len(second)) <= AUTOMATIC
    if pressed and call.job is None:
        begin(frame.visit, call)
    if not short and call.job is None:
        st.info("Long sentences take up to a minute: press **Compare** to start.", icon=":material/hourglass:")
        return
    result = outcome_or_reason(frame, call, "Comparing the two sentences", auto=short)
    if result is not None:
        pair_result(result)


def read_pair() -> tuple[str, str, bool]:
    """Both sentences, and whether Compare was pressed. They are taken from the link, and written to it."""
    examples = example_pairs()
    return pair_form(
        "pair",
        {FIRST: "first", SECOND: "second"},
        WHICH,
        examples,
        LONGEST_SENTENCE,
        {"label": "Compare", "icon": ":material/compare_arrows:"},
        lambda number: example_text(*examples[number]),
    )


@st.cache_data(max_entries=1, show_spinner=False)
def example_pairs() -> list[tuple[str, str, str]]:
    """The demonstration set: (language, first, second)."""
    pairs = demo_pairs("similarity")
    languages = pairs.languages or ("",) * len(pairs)
    return list(zip(languages, pairs.first, pairs.second, strict=True))


def outcome_or_reason(frame: Frame, call: Call, what: str, auto: bool = False):
    """Like :func:`outcome`; where the model turns out to have no network to encode with, it says what to do instead."""
    place = st.empty()
    with place.container():
        result = outcome(frame.visit, call, what, auto)
    job = call.job
    if job is not None and job.error_reason in ("unsupported", "no_tokenizer"):
        place.info(
            f"**{escape_markdown(frame.model.name)}** cannot encode sentences: {escape_markdown(job.error)}. Choose a whole model in "
            "the sidebar, such as **all-MiniLM-L6-v2**, and press **Run**.",
            icon=":material/short_text:",
        )
    return result


def explain_no_sentences(frame: Frame) -> None:
    """Why a table without a tokenizer has no sentences, and what to do."""
    st.info(
        f"**{escape_markdown(frame.model.name)}** comes without a tokenizer, so it cannot read sentences. Choose a model with a "
        "tokenizer and a network in the sidebar, such as **all-MiniLM-L6-v2**, and press **Run**.",
        icon=":material/short_text:",
    )


# Results


def pair_result(result: PairComparison) -> None:
    """Everything about one pair."""
    scores_view(result)
    for place, (side, effects) in enumerate(result.attributions.items()):
        heading = "What moved the score"
        st.header(heading if len(result.attributions) == 1 else f"{heading}: {side}", anchor=False)
        effects_view(result, effects, place)
    st.caption(pooling_text(result))


def scores_view(result: PairComparison) -> None:
    """The cosine of every side as a number and a bar on the same scale, one column a side."""
    low = -1.0 if min(result.cosines.values()) < 0 else 0.0
    digits, first = digits_of(result), result.cosines[result.sides[0]]
    for place, (column, side) in enumerate(zip(st.columns(len(result.sides)), result.sides, strict=True)):
        value = result.cosines[side]
        with column:
            st.metric(
                f"Cosine, {side}",
                number_text(value, digits),
                delta=change_text(first, value, digits) if place else "the reference",
                delta_color="off",
                delta_arrow=arrow_of(result.change(side)) if place else "off",
                help="1: the same direction, 0: nothing in common.",
            )
            label = f"{side}: cosine {value:.{digits}f} on a scale from {low:g} to 1"
            st.html(bar_html(value, low, 1.0, SIDE_COLOURS[place % len(SIDE_COLOURS)], label))


def effects_view(result: PairComparison, effects: Attribution, place: int) -> None:
    """Tokens of both sentences by effect, the blocks' effects, and all numbers as a table."""
    side = list(result.attributions)[place]
    st.markdown(summary_text(result, side))
    digits = digits_of(result)
    elsewhere = result.cosines[side] - effects.after
    if abs(elsewhere) > ELSEWHERE:
        st.caption(f"Another {signed(elsewhere)} comes from weights outside the token table.")
    scale = max((abs(float(value)) for sentence in effects.sentences for value in sentence.tokens), default=0.0)
    st.html(legend_html(scale))
    for which, sentence, part in zip(WHICH, result.sentences, effects.sentences, strict=True):
        if effects.tokens_exact:
            st.markdown(f"**{which}** · only this sentence replaced: {signed(part.whole, digits)}")
        else:
            st.markdown(f"**{which}** · its tokens' share of the change: {signed(float(part.tokens.sum()), digits)}")
        tokens = token_effects(sentence, part, effects, scale)
        st.html(strip_html(tokens[:MOST_DRAWN], scale, f"{which}: tokens and their effects"))
        if len(tokens) > MOST_DRAWN:
            st.caption(f"The first {MOST_DRAWN} of {count_text(len(tokens))} tokens are drawn; the table below has all.")
        if sentence.is_cut:
            st.warning(
                f"The model reads the first {count_text(len(sentence.ids))} tokens of this sentence, special tokens included; it "
                f"would have {count_text(sentence.full_length)}. The rest has no effect on any score.",
                icon=":material/content_cut:",
            )
    st.caption(method_text(effects))
    table = token_table(result.sentences, effects)
    with st.expander(f"Table of the tokens ({counted(len(table), 'row')})"):
        st.dataframe(table, hide_index=True, key=f"pair_tokens_{place}", alt="Tokens of both sentences with their effects")
        download_csv(table, "subemb-token-effects.csv", key=f"pair_tokens_download_{place}")
    blocks_view(effects, place, digits)


def pooling_text(result: PairComparison) -> str:
    """How a sentence vector is made."""
    return f"Sentence vector: {escape_markdown(result.pooling)}. Both sides share every weight but the token table."


# Tokens


@dataclass(frozen=True)
class TokenEffect:
    """One token as drawn."""

    text: str  # not escaped
    effect: float  # on the cosine
    details: str  # shown while it is pointed at; not escaped
    special: bool = False  # whether it is a special token, not part of the text
    token: int | None = None  # its id, if its name is to lead to it


def token_effects(sentence: ReadSentence, part: SentenceEffects, effects: Attribution, scale: float) -> list[TokenEffect]:
    """Tokens of one sentence as the strip draws them."""
    digits = digits_for(scale)
    drawn = []
    for place, token in enumerate(sentence.tokens):
        value = float(part.tokens[place])
        strongest = sorted(range(len(effects.widths)), key=lambda block: -abs(part.blocks[place, block]))[:NAMED_BLOCKS]
        pieces = ", ".join(f"{block}: {signed(float(part.blocks[place, block]), digits)}" for block in sorted(strongest))
        few = len(effects.widths) <= NAMED_BLOCKS
        details = (
            f"{token} · id {sentence.ids[place]} · effect {signed(value, digits + 1)} · moved by {part.moved[place]:.0%} of its "
            f"length · by {effects.kind}{'' if few else f', the {NAMED_BLOCKS} strongest'}: {pieces}"
        )
        drawn.append(TokenEffect(token, value, details, sentence.kinds[place] == "special", int(sentence.ids[place])))
    return drawn


def token_table(sentences: tuple[ReadSentence, ...], effects: Attribution) -> pd.DataFrame:
    """One row a token of both sentences, with its effect and that of each of its blocks."""
    rows = []
    for number, (sentence, part) in enumerate(zip(sentences, effects.sentences, strict=True), 1):
        for place, token in enumerate(sentence.tokens):
            rows.append(
                {
                    "sentence": number,
                    "position": place,
                    "token": token,
                    "id": sentence.ids[place],
                    "kind": sentence.kinds[place],
                    "effect": float(part.tokens[place]),
                    "moved, share of length": float(part.moved[place]),
                    **{f"{effects.kind} {i}": float(value) for i, value in enumerate(part.blocks[place])},
                }
            )
    return pd.DataFrame(rows)


# Blocks


def blocks_view(effects: Attribution, place: int, digits: int) -> None:
    """The chart of blocks, and how it was found."""
    table = block_table(effects)
    strongest = int(table["effect"].abs().idxmax())
    show(
        lambda: block_chart(effects, table),
        f"Effect of each of {len(table)} blocks on the cosine; the strongest is {effects.kind} {strongest} with "
        f"{signed(float(table['effect'][strongest]), 4)}.",
        table,
        key=f"pair_blocks_{place}",
        file_name="subemb-block-effects.csv",
        content=content_key(effects.kind, effects.rotated, table.to_numpy(float)),
    )
    st.caption(
        f"Exact: every token of both sentences with only that {effects.kind} replaced. {blocks_sum_text(effects, digits)}"
        if effects.together_exact
        else f"Sums of the integrated gradients over all tokens, by {effects.kind}."
    )
    if effects.kind != "subspace":
        st.caption("The tokens of this run are not all cut into the same subspaces, so equal runs of axes are shown.")


def block_table(effects: Attribution) -> pd.DataFrame:
    """One row a block: its axes, and its effect on the pair and through each sentence."""
    ends = pd.Series(effects.widths).cumsum()
    return pd.DataFrame(
        {
            effects.kind: range(len(effects.widths)),
            "first axis": ends - list(effects.widths),
            "last axis": ends - 1,
            "effect": effects.per_block,
            "in the first sentence alone": effects.first.per_block,
            "in the second sentence alone": effects.second.per_block,
        }
    )


def block_chart(effects: Attribution, table: pd.DataFrame) -> go.Figure:
    """Effect of every block on the cosine."""
    values = table["effect"]
    digits = digits_for(float(values.abs().max()))
    figure = go.Figure()
    few = len(table) <= 16
    for name, colour, chosen in (("raises", RAISES, values >= 0), ("lowers", LOWERS, values < 0)):
        part = table[chosen]
        figure.add_bar(
            x=part[effects.kind],
            y=part["effect"],
            name=f"{name} the cosine",
            marker={"color": colour, "pattern": {"shape": "" if name == "raises" else "/", "size": 6}},
            text=[signed(value, digits) for value in part["effect"]] if few else None,
            textposition="outside",
            textangle=-90 if len(table) > FLAT else 0,
            textfont={"size": 12},
            constraintext="none",  # else plotly makes them as narrow as their bars, too small to read on a phone
            cliponaxis=False,
            customdata=part[["first axis", "last axis"]].to_numpy(),
            hovertemplate=f"{effects.kind} %{{x}}, axes %{{customdata[0]}} to %{{customdata[1]}}: %{{y:+.5f}}<extra></extra>",
        )
    axis = effects.kind + (" (after the rotation)" if effects.rotated else "")
    layout(
        figure, f"What each {effects.kind} alone moves", axis, "change of the cosine", height=300, bargap=0.6 if few else 0.2
    )
    figure.update_yaxes(zeroline=True, zerolinewidth=2, zerolinecolor="#8A93A3")
    both = values.min() < 0 < values.max()  # then an end of the plot is half as far from 0, and its numbers need as many pixels
    reach = (1.25 if len(table) <= FLAT else 2.2 if both else 1.5) * float(values.abs().max()) or 1e-3
    figure.update_yaxes(range=[-reach if values.min() < 0 else -0.15 * reach, reach if values.max() > 0 else 0.15 * reach])
    if len(table) <= 30:
        figure.update_xaxes(dtick=1)
    return figure


# Numbers and HTML


def arrow_of(change: float) -> str:
    """Which way the arrow beside a change points."""
    return "off" if abs(change) < NOTHING else "up" if change > 0 else "down"


_STYLE = """
.te { position: relative; font-size: .95rem; line-height: 1.3; }
.te ul { display: flex; flex-wrap: wrap; gap: .3rem .25rem; list-style: none; margin: 0 !important; padding: 0 0 2.6rem !important; }
.te li { margin: 0 !important; padding: .15rem .35rem .2rem; border-radius: .3rem; text-align: center; max-width: 100%;
  background: color-mix(in srgb, var(--c) var(--a), transparent); box-shadow: inset 0 -3px 0 var(--e); cursor: default; }
.te li:hover, .te li:focus, .te li:focus-within { outline: 2px solid currentColor; outline-offset: 1px; }
.te bdi { display: block; max-width: 14rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.te .te-x { font-style: italic; }
.te small { display: block; font-size: .72rem; opacity: .85; font-variant-numeric: tabular-nums; }
.te .te-d, .te .te-h { position: absolute; left: 0; right: 0; bottom: 0; min-height: 2.3rem; font-size: .8rem; text-align: left;
  padding: .2rem .1rem; box-sizing: border-box; }
.te .te-h { opacity: .75; } .te .te-f { display: none; }
@media (hover: none) { .te .te-p { display: none; } .te .te-f { display: inline; } }
.te .te-d { visibility: hidden; background: var(--st-background-color, Canvas); font-variant-numeric: tabular-nums; z-index: 1; }
.te li:hover .te-d, .te li:is(:focus, :focus-within) .te-d { visibility: visible; }
.te ul:hover li:is(:focus, :focus-within):not(:hover) .te-d { visibility: hidden; }
.te a.lead { display: block; text-decoration: none !important; }
.te-l { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .6rem; font-size: .8rem; }
.te-l i { display: inline-block; width: 9rem; height: .8rem; border-radius: .2rem; }
.te-v { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 640px) {
  .te ul { padding-bottom: 4.4rem !important; } .te .te-d, .te .te-h { min-height: 4.1rem; } .te-l i { width: 6rem; }
}
"""


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
        if token.token is not None:
            name = lead(token_link(token.token), name, is_stop=True)
        stop = ' tabindex="0"' if token.token is None else ""
        items.append(
            f'<li{stop} style="--c:{colour};--a:{100 * share:.0f}%;--e:{edge}">{name}'
            f'<small>{signed(token.effect, digits)}</small><span class="te-d">{escape_html(token.details)}</span></li>'
        )
    hint = (
        '<div class="te-h" aria-hidden="true"><span class="te-p">Point at a token to read its numbers here; a click opens its inspector.'
        '</span><span class="te-f">Tap a token to read its numbers here; tap it again to open its inspector.</span></div>'
    )
    return f'<style>{_STYLE}</style><div class="te" data-tells>{hint}<ul aria-label="{escape_html(caption)}">{"".join(items)}</ul></div>'


def _colours(effect: float, scale: float) -> tuple[str, float]:
    """Hue, and share of it from 0 to STRONGEST."""
    share = 0.0 if scale <= NOTHING else min(1.0, abs(effect) / scale)
    return (RAISES if effect > 0 else LOWERS), (0.0 if abs(effect) < NOTHING else STRONGEST * share)


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
    """One bar on a track from ``low`` to ``high``, starting at 0. label: for screen readers."""
    start, end = sorted((max(low, min(high, 0.0)), max(low, min(high, value))))
    left, width = (100 * (part - low) / (high - low) for part in (start, low + end - start))
    return (
        f'<div role="img" aria-label="{escape_html(label)}" class="te-bar" style="position:relative;height:1.1rem;'
        'border-radius:.25rem;background:color-mix(in srgb, currentColor 12%, transparent);overflow:hidden">'
        f'<div style="position:absolute;top:0;bottom:0;left:{left:.2f}%;width:{width:.2f}%;background:{colour}"></div></div>'
        '<div aria-hidden="true" style="display:flex;justify-content:space-between;font-size:.72rem;opacity:.75">'
        f"<span>{low:g}</span>{'<span>0</span>' if low < 0 else ''}<span>{high:g}</span></div>"
    ).replace("<span>-1</span>", "<span>−1</span>")
