"""The page Masked words, a text: pseudo-perplexity of every side, sentence by sentence."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ....base.pace import rough
from ....base.text import count_text, plotly_text
from ....evaluate.context.perplexity import (
    DEFAULT_TOKENS,
    FEWEST_SENTENCES,
    LONGEST_TEXT,
    MOST_TOKENS,
    Plan,
    PseudoPerplexity,
    estimated_seconds,
    plan,
)
from ....jobs.task import Call
from ....models.sentences import longest_input
from ....tasks.evaluations import pseudo_perplexity
from ...shell.jobs import begin, outcome
from ...shell.text import counted, shortened, write_parameter
from ...widgets.charts import NEUTRAL, layout, show
from ...widgets.scores import SIDE_COLOURS
from ...widgets.sentence_inputs import cut, put, say_cut, take_up
from .examples import TEXTS
from .tables import MaskedPage, capitalized

LONGEST_IN_URL = 2_000  # characters
_MARKS = ("circle", "diamond", "square", "cross")

#: A text with a larger share of unknown tokens cannot be judged.
MOST_UNKNOWN = 0.25


def text_view(page: MaskedPage) -> None:
    """A text, what scoring it will cost, and its pseudo-perplexity."""
    text = read_text()
    if not text.strip():
        st.info("Paste a text, or choose an example.", icon=":material/edit:")
        return
    with st.spinner("Reading the tokens …", show_time=False), page.model.tokenizer_lock:
        tokenizer = page.model.tokenizer
        what = plan(tokenizer, text, longest_input(page.model.config, tokenizer))
    most, seed = read_limit()
    call = pseudo_perplexity.call(**page.settings, text=text, most_tokens=most, seed=seed)
    if call.job is None:
        offer(page, what, call, most)
        return
    result = outcome(page.frame.visit, call, "Guessing every token")
    if result is not None:
        results(result)


# Input


def read_text() -> str:
    """The text as pasted, cut to LONGEST_TEXT characters; a short one is written to the URL."""

    def take_example() -> None:
        if st.session_state["scored_example"]:
            put("scored_text", TEXTS[st.session_state["scored_example"]], LONGEST_TEXT)
            st.session_state["scored_example"] = None  # so that the same one can be taken again

    default = TEXTS["English"]
    take_up({"scored_text": ("scored", default)}, LONGEST_TEXT)
    st.selectbox(
        "Examples",
        list(TEXTS),
        index=None,
        placeholder="Choose a language",
        key="scored_example",
        on_change=take_example,
        width=260,
    )
    text = st.text_area(
        "Text",
        key="scored_text",
        height=160,
        on_change=cut,
        args=("scored_text", LONGEST_TEXT),
        persist_state="session",
        help=f"Up to {count_text(LONGEST_TEXT)} characters. It is cut into sentences at line ends and after . ! ? …; each is scored "
        "by itself. Ctrl+Enter takes it.",
    )
    in_url = len(text) <= LONGEST_IN_URL
    write_parameter("scored", text if in_url and text != default else None)
    say_cut("scored_text", LONGEST_TEXT)
    if not in_url:
        st.caption(f"A text over {count_text(LONGEST_IN_URL)} characters is not part of the link to this page.")
    return text


def read_limit() -> tuple[int, int]:
    """How many tokens are masked at most, and the seed that draws them."""
    left, right, _ = st.columns([2, 1, 3])
    most = left.number_input(
        "Tokens to mask at most",
        min_value=1,
        max_value=MOST_TOKENS,
        value=DEFAULT_TOKENS,
        step=100,
        key="most_tokens",
        bind="query-params",
        persist_state="session",
        help="From a longer text, that many tokens are drawn at random, the same on every side.",
    )
    seed = right.number_input(
        "Seed",
        min_value=0,
        max_value=2**32 - 1,
        value=0,
        step=1,
        key="masked_seed",
        bind="query-params",
        persist_state="session",
    )
    return int(most or DEFAULT_TOKENS), int(seed or 0)


def offer(page: MaskedPage, what: Plan, call: Call, most: int) -> None:
    """What the job will do, how long it may take, and the button."""
    model = page.model
    seconds = estimated_seconds(what, most, 2, model.parameters, model.num_tokens, model.dim)
    scored = min(most, what.tokens)
    part = "every one is" if scored == what.tokens else f"{count_text(scored)} of them, drawn at random, are"
    st.caption(
        f"{counted(len(what.texts), 'sentence')}, {counted(what.tokens, 'token')}; {part} masked once on each side. Takes about "
        f"{rough(seconds)}, a rough estimate." + _left_out_text(what.cut, what.left_out)
    )
    if st.button(
        "Compute pseudo-perplexity", type="primary", icon=":material/play_arrow:", key="score_button", disabled=not what.tokens
    ):
        begin(page.frame.visit, call)
        st.rerun()


def _left_out_text(cut: int, sentences: int) -> str:
    text = f" Left out: {counted(cut, 'token')} of sentences longer than the model reads at once." if cut else ""
    return text + (f" Left out: the last {counted(sentences, 'sentence')}." if sentences else "")


# Results


def results(result: PseudoPerplexity) -> None:
    """The text's numbers, sentences before against after, and the table of them."""
    summary(result)
    table = sentence_table(result)
    for side in range(1, len(result.sides)):
        show(
            sentence_chart(result, table, side),
            f"Mean log probability of a token in {len(table)} sentences, {result.sides[0]} against {result.sides[side]}: "
            f"{int((table[f'difference {result.sides[side]}'] < 0).sum())} became harder to guess.",
            table,
            key=f"sentence_scores_{side}",
            file_name="subemb-pseudo-perplexity.csv",
        )
    if len(result.sides) == 1:
        st.dataframe(table, hide_index=True, alt="Every sentence with its mean log probability")


def summary(result: PseudoPerplexity) -> None:
    """Pseudo-perplexity of every side, the difference with its interval, and what was scored."""
    with st.container(horizontal=True):
        for side, name in enumerate(result.sides):
            change = result.perplexity(name) / result.perplexity(result.sides[0]) - 1
            st.metric(
                f"Pseudo-perplexity, {name}",
                number_text(result.perplexity(name)),
                delta=None if side == 0 else f"{change:+.1%}".replace("%", " %"),
                delta_color="inverse",
                help="exp of minus the mean log probability of every token given all others of its sentence (Salazar et al. 2020). "
                "Lower is better: as if the model chose among so many equally probable tokens.",
                width=210,
            )
    for side in result.sides[1:]:
        st.markdown(difference_text(result, side))
    part = (
        f"All {counted(result.tokens, 'token')}"
        if result.masked == result.tokens
        else f"{count_text(result.masked)} of {counted(result.tokens, 'token')}, drawn at random (seed {result.seed}),"
    )
    st.caption(
        f"{part} of {counted(len(result.sentences), 'sentence')} were masked one at a time."
        + (f" {counted(result.unknown, 'token')} unknown to the tokenizer." if result.unknown else "")
        + _left_out_text(result.cut, result.sentences_left_out)
    )
    if result.tokens and result.unknown > MOST_UNKNOWN * result.tokens:
        st.warning(
            f"{counted(result.unknown, 'token')} of {count_text(result.tokens)} are unknown to this model’s tokenizer and all read as "
            "one same token, so these numbers say little. Paste a text in a language and script that the model knows.",
            icon=":material/translate:",
        )


def difference_text(result: PseudoPerplexity, side: str) -> str:
    """The difference in mean log probability, with its interval if there is one."""
    difference = result.mean(side) - result.mean(result.sides[0])
    text = (
        f"{capitalized(side)} against {result.sides[0]}: the mean log probability of a token changes by "
        f"**{difference:+.3f} nats** (× {number_text(float(np.exp(difference)))} in probability)"
    )
    interval = result.interval(side)
    if interval is None:
        return f"{text}. There is no interval: it takes at least {FEWEST_SENTENCES} sentences."
    verdict = (
        "The interval excludes 0."
        if interval.excludes_zero
        else "The interval includes 0: this may be chance in the choice of text."
    )
    return (
        f"{text}, 95 % interval **{interval.low:+.3f} to {interval.high:+.3f}** (paired bootstrap over sentences, "
        f"{count_text(interval.resamples)} resamples, seed {interval.seed}). {verdict}"
    )


def number_text(value: float) -> str:
    """Three digits, with commas between thousands.

    >>> number_text(1.2345), number_text(31415.9), number_text(0.00123)
    ('1.23', '31,416', '0.00123')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def sentence_table(result: PseudoPerplexity) -> pd.DataFrame:
    """One row a sentence that has a masked token, the most harmed first; mean log probabilities in nats."""
    rows = []
    for sentence in result.sentences:
        if not sentence.masked:
            continue
        row = {"sentence": sentence.text, "tokens": sentence.tokens, "masked": sentence.masked}
        row |= {name: sentence.mean(side) for side, name in enumerate(result.sides)}
        row |= {f"difference {name}": sentence.mean(side) - sentence.mean(0) for side, name in enumerate(result.sides) if side}
        rows.append(row)
    table = pd.DataFrame(rows)
    return table if len(result.sides) == 1 else table.sort_values(f"difference {result.sides[1]}", kind="stable")


def sentence_chart(result: PseudoPerplexity, table: pd.DataFrame, side: int) -> go.Figure:
    """Every sentence as a point: mean log probability before against after."""
    before, after = result.sides[0], result.sides[side]
    low = 1.05 * float(min(table[before].min(), table[after].min(), -0.1))
    figure = go.Figure()
    figure.add_scatter(
        x=[low, 0],
        y=[low, 0],
        mode="lines",
        name="no change",
        line={"color": NEUTRAL, "dash": "dash", "width": 1.5},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=table[before],
        y=table[after],
        mode="markers",
        name="a sentence",
        marker={
            "size": np.clip(5 + 1.5 * np.sqrt(table["masked"]), 6, 22),
            "color": SIDE_COLOURS[side % len(SIDE_COLOURS)],
            "symbol": _MARKS[(side - 1) % len(_MARKS)],
            "opacity": 0.8,
        },
        text=[plotly_text(shortened(text, 81)) for text in table["sentence"]],
        hovertemplate=f"%{{text}}<br>{before} %{{x:.2f}}, {after} %{{y:.2f}} nats<extra></extra>",
    )
    layout(
        figure,
        "Sentences below the line became harder to guess",
        f"{before}: mean log probability, nats",
        f"{after}: mean log probability, nats",
        height=420,
    )
    figure.update_xaxes(range=[low, 0])
    figure.update_yaxes(range=[low, -0.03 * low])
    return figure
