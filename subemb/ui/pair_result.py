"""The page Similarity, what came of a pair: the cosine on every side, and which tokens and subspaces moved it."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ..evaluate.effects import Attribution, SentenceEffects
from ..evaluate.reading import ReadSentence
from ..format import count_text
from ..models.vocabulary import escape_markdown
from ..tasks.similarity import PairComparison
from .shell.text import counted
from .token_effects import LOWERS, RAISES, TokenEffect, bar_html, digits_for, legend_html, signed, strip_html
from .widgets.charts import download_csv, layout, show
from .widgets.scores import SIDE_COLOURS

WHICH = ("First sentence", "Second sentence")
MOST_DRAWN = 600  # tokens of a sentence
NAMED_BLOCKS = 4  # strongest blocks told with a token


def pair_result(result: PairComparison) -> None:
    """Everything about one pair."""
    scores_view(result)
    for place, (side, effects) in enumerate(result.attributions.items()):
        heading = "What moved the score"
        st.subheader(heading if len(result.attributions) == 1 else f"{heading}: {side}", anchor=False)
        effects_view(result, effects, place)
    st.caption(pooling_text(result))


def scores_view(result: PairComparison) -> None:
    """The cosine of every side as a number and a bar on the same scale, one column a side."""
    low = -1.0 if min(result.cosines.values()) < 0 else 0.0
    for place, (column, side) in enumerate(zip(st.columns(len(result.sides)), result.sides, strict=True)):
        value = result.cosines[side]
        with column:
            st.metric(
                f"Cosine, {side}",
                f"{value:.3f}".replace("-", "−"),
                delta=f"{result.change(side):+.3f}" if place else "the reference",
                delta_color="off",
                delta_arrow="auto" if place else "off",
                help="1: the same direction, 0: nothing in common.",
            )
            label = f"{side}: cosine {value:.3f} on a scale from {low:g} to 1"
            st.html(bar_html(value, low, 1.0, SIDE_COLOURS[place % len(SIDE_COLOURS)], label))


def effects_view(result: PairComparison, effects: Attribution, place: int) -> None:
    """Tokens of both sentences by effect, the blocks' effects, and all numbers as a table."""
    side = list(result.attributions)[place]
    st.markdown(summary_text(effects))
    elsewhere = result.cosines[side] - effects.after
    if abs(elsewhere) > 1e-4:
        st.caption(f"Another {signed(elsewhere)} comes from weights outside the token table.")
    scale = max((abs(float(value)) for sentence in effects.sentences for value in sentence.tokens), default=0.0)
    st.html(legend_html(scale))
    for which, sentence, part in zip(WHICH, result.sentences, effects.sentences, strict=True):
        if effects.tokens_exact:
            st.markdown(f"**{which}** · only this sentence replaced: {signed(part.whole)}")
        else:
            st.markdown(f"**{which}** · its tokens' share of the change: {signed(float(part.tokens.sum()))}")
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
    blocks_view(effects, place)


def summary_text(effects: Attribution) -> str:
    """The change of the whole, in a sentence."""
    change, digits = effects.change, digits_for(abs(effects.change))
    if abs(change) < 5e-7:
        return "Replacing every token of both sentences by its reconstruction leaves the cosine as it is."
    word = "raises" if change > 0 else "lowers"
    text = f"Replacing every token of both sentences by its reconstruction {word} the cosine by **{abs(change):.{digits}f}**. "
    if effects.tokens_exact:
        text += "Each token below is coloured by what replacing it alone moves."
        if any(part.whole * change < 0 or abs(part.whole) > 2 * abs(change) for part in effects.sentences):
            text += (
                " The sentences’ own effects are larger than that, or of the other sign: a sentence that is replaced alone moves away "
                "from the other one, which stays where it was. With both replaced, they move in much the same direction, and much of "
                "it cancels out."
            )
        return text
    return text + "Each token below is coloured by its share of that."


def method_text(effects: Attribution) -> str:
    """How the numbers were found."""
    if not effects.tokens_exact:
        integral = effects.integral
        return (
            "For long sentences the effects come from integrated gradients (Sundararajan et al., 2017) along the straight line from "
            f"the original embeddings to the reconstructed ones, at {integral.steps} points. They add up to the whole change: "
            f"{signed(integral.total, 5)}, {gap_text(integral.gap)} away from the true {signed(integral.change, 5)}."
        )
    text = (
        "Exact: for each token the sentence was encoded again with that token alone replaced by its reconstruction, and compared with "
        "the original other sentence. Tokens act together in the network, so their effects need not add up to the whole."
    )
    if not effects.blocks_exact:
        text += (
            f" The parts of each token by {effects.kind} are too many to encode one by one: they come from integrated gradients "
            f"(Sundararajan et al., 2017, {effects.integral.steps} points, {gap_text(effects.integral.gap)} away from the true "
            "change), which share out the whole change, so they do not add up to the token's own effect."
        )
    return text


def gap_text(gap: float) -> str:
    """How far an integral is off.

    >>> gap_text(-0.000123), gap_text(1e-9)
    ('0.00012', 'less than 0.00001')
    """
    return f"{abs(gap):.5f}" if abs(gap) >= 1e-5 else "less than 0.00001"


def pooling_text(result: PairComparison) -> str:
    """How a sentence vector is made."""
    return f"Sentence vector: {escape_markdown(result.pooling)}. Both sides share every weight but the token table."


# Tokens


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
        drawn.append(TokenEffect(token, value, details, sentence.kinds[place] == "special"))
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
            cliponaxis=False,
            customdata=part[["first axis", "last axis"]].to_numpy(),
            hovertemplate=f"{effects.kind} %{{x}}, axes %{{customdata[0]}} to %{{customdata[1]}}: %{{y:+.5f}}<extra></extra>",
        )
    axis = effects.kind + (" (after the rotation)" if effects.rotated else "")
    layout(
        figure, f"What each {effects.kind} alone moves", axis, "change of the cosine", height=300, bargap=0.6 if few else 0.2
    )
    figure.update_yaxes(zeroline=True, zerolinewidth=2, zerolinecolor="#8A93A3")
    reach = 1.25 * float(values.abs().max()) or 1e-3
    figure.update_yaxes(range=[-reach if values.min() < 0 else -0.15 * reach, reach if values.max() > 0 else 0.15 * reach])
    if len(table) <= 30:
        figure.update_xaxes(dtick=1)
    return figure


def blocks_view(effects: Attribution, place: int) -> None:
    """The chart of blocks, and how it was found."""
    table = block_table(effects)
    strongest = int(table["effect"].abs().idxmax())
    show(
        block_chart(effects, table),
        f"Effect of each of {len(table)} blocks on the cosine; the strongest is {effects.kind} {strongest} with "
        f"{signed(float(table['effect'][strongest]), 4)}.",
        table,
        key=f"pair_blocks_{place}",
        file_name="subemb-block-effects.csv",
    )
    st.caption(
        f"Exact: every token of both sentences with only that {effects.kind} replaced."
        if effects.together_exact
        else f"Sums of the integrated gradients over all tokens, by {effects.kind}."
    )
    if effects.kind != "subspace":
        st.caption("This method has no subspaces of its own, so equal runs of axes are shown.")
