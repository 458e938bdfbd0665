"""The page Words in context, a text: perplexity of every side, sentence by sentence."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ....base.pace import rough
from ....base.text import count_text, number_text, plotly_text
from ....evaluate.context.network import CAUSAL, MASKED
from ....evaluate.context.perplexity import (
    DEFAULT_TOKENS,
    FEWEST_SENTENCES,
    LONGEST_TEXT,
    MOST_TOKENS,
    NAMES,
    Plan,
    TextPerplexity,
    estimated_seconds,
    plan,
)
from ....evaluate.context.verdicts import capitalized, perplexity_text, text_verdict
from ....jobs.task import Call
from ....models.sentences import longest_input
from ....tasks.evaluations import known_as, perplexity_of_text
from ...shell.jobs import begin, outcome
from ...shell.text import counted, shortened, write_parameter
from ...widgets.charts import NEUTRAL, layout, show
from ...widgets.renewed import renew, renewed
from ...widgets.scores import SIDE_COLOURS
from ...widgets.sentence_inputs import cut, put, say_cut, take_up
from ...widgets.settings import linked_number
from .asked import ContextPage
from .examples import TEXTS

DEFAULT = TEXTS["English"]
LONGEST_IN_URL = 2_000  # characters
_MARKS = ("circle", "diamond", "square", "cross")
_ABOUT = {
    MASKED: "exp of minus the mean log probability of every token given all others of its sentence (Salazar et al. 2020).",
    CAUSAL: "exp of minus the mean log probability of every token given those before it in the text.",
}
#: A text with a larger share of unknown tokens cannot be judged.
MOST_UNKNOWN = 0.25


def text_view(page: ContextPage) -> None:
    """A text, what scoring it will cost, and its perplexity."""
    verdict = st.container(key="verdict")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        arguments = page.choose_tables()
        choose_text()
        most, seed = read_limit(page)
    text = read_text()
    if not text.strip():
        st.info("Paste a text, or choose an example.", icon=":material/edit:")
        return
    with st.spinner("Reading the tokens …", show_time=False):
        what = planned(page, text)
    call = perplexity_of_text.call(**arguments, text=text, most_tokens=most, seed=seed)
    if call.kept() is None and call.job is None:
        offer(page, what, call, most)
        return
    result = outcome(page.frame.visit, call, "Guessing every token")
    if result is not None:
        page.frame.visit.visitor.name_set(known_as("", result), shortened(" ".join(text.split()), 60))
        verdict.markdown(text_verdict(result))
        results(page, result)


def planned(page: ContextPage, text: str) -> Plan:
    """What of a text would be scored."""
    with page.model.tokenizer_lock:
        tokenizer = page.model.tokenizer
        return plan(tokenizer, text, longest_input(page.model.config, tokenizer), page.kind)


# Input


def take_up_text() -> None:
    """The text of a first visit: from the link, else the example."""
    take_up({"scored_text": ("scored", DEFAULT)}, LONGEST_TEXT)


def choose_text() -> None:
    """A list of texts to try."""

    def take_example(chosen: str) -> None:
        put("scored_text", TEXTS[chosen], LONGEST_TEXT)
        renew("scored_example")  # so that the same one can be taken again

    take_up_text()
    st.selectbox(
        "Examples",
        list(TEXTS),
        index=None,
        placeholder="Examples by language",
        label_visibility="collapsed",
        width=220,
        **renewed("scored_example", take_example),
    )


def read_text() -> str:
    """The text as pasted, cut to LONGEST_TEXT characters; a short one is written to the URL."""
    text = st.text_area(
        "Text",
        key="scored_text",
        height=110,
        on_change=cut,
        args=("scored_text", LONGEST_TEXT),
        persist_state="session",
        label_visibility="collapsed",
        placeholder=f"A text of up to {count_text(LONGEST_TEXT)} characters; Ctrl+Enter takes it",
    )
    in_url = len(text) <= LONGEST_IN_URL
    write_parameter("scored", text if in_url and text != DEFAULT else None)
    say_cut("scored_text", LONGEST_TEXT)
    if not in_url:
        st.caption(f"A text over {count_text(LONGEST_IN_URL)} characters is not part of the link to this page.")
    return text


def read_limit(page: ContextPage) -> tuple[int, int]:
    """How many tokens are scored at most, and the seed that draws them."""
    with st.popover("Tokens", icon=":material/tune:"):
        most = linked_number(
            "Tokens to score at most",
            min_value=1,
            max_value=MOST_TOKENS,
            value=DEFAULT_TOKENS[page.kind],
            step=100,
            key="most_tokens",
            persist_state="session",
            help="Of a longer text the first ones are scored, the same on every side."
            if page.is_decoder
            else "From a longer text, that many tokens are drawn at random, the same on every side.",
        )
        seed = linked_number(
            "Seed",
            min_value=0,
            max_value=2**32 - 1,
            value=0,
            step=1,
            key="masked_seed",
            persist_state="session",
        )
        st.caption(
            "The text is read as a whole, in windows of which half has been read before."
            if page.is_decoder
            else "The text is cut into sentences at line ends and after . ! ? …; each is scored by itself."
        )
    return int(most or DEFAULT_TOKENS[page.kind]), int(seed or 0)


def offer(page: ContextPage, what: Plan, call: Call, most: int) -> None:
    """What the job will do, how long it may take, and the button."""
    model = page.model
    sides = 3 if page.frame.adaptation is not None else 2
    seconds = estimated_seconds(what, most, sides, model.parameters, model.num_tokens, model.dim)
    scored = min(most, what.tokens)
    which = "the first ones, are" if page.is_decoder else "drawn at random, are"
    part = "every one is" if scored == what.tokens else f"{count_text(scored)} of them, {which}"
    how = "guessed from what stands before it" if page.is_decoder else "masked once"
    st.caption(
        f"{counted(len(what.texts), 'sentence')}, {counted(what.tokens, 'token')}; {part} {how} on each side. Takes about "
        f"{rough(seconds)}, a rough estimate." + _left_out_text(what.cut, what.left_out)
    )
    label = f"Compute {NAMES[page.kind]}"
    if st.button(label, type="primary", icon=":material/play_arrow:", key="score_button", disabled=not what.tokens):
        begin(page.frame.visit, call)
        st.rerun()


def _left_out_text(cut: int, sentences: int) -> str:
    text = f" Left out: {counted(cut, 'token')} of sentences longer than the model reads at once." if cut else ""
    return text + (f" Left out: the last {counted(sentences, 'sentence')}." if sentences else "")


# Results


def results(page: ContextPage, result: TextPerplexity) -> None:
    """The text's numbers, sentences before against after, and the table of them."""
    summary(page, result)
    table = sentence_table(result)
    for side in range(1, len(result.sides)):
        show(
            sentence_chart(result, table, side),
            f"Mean log probability of a token in {len(table)} sentences, {result.sides[0]} against {result.sides[side]}: "
            f"{int((table[f'difference {result.sides[side]}'] < 0).sum())} became harder to guess.",
            table,
            key=f"sentence_scores_{side}",
            file_name="subemb-perplexity.csv",
        )
    if len(result.sides) == 1:
        st.dataframe(table, hide_index=True, alt="Every sentence with its mean log probability")


def summary(page: ContextPage, result: TextPerplexity) -> None:
    """Perplexity of every side, what was scored, and the differences with their intervals."""
    name = capitalized(NAMES[result.kind])
    with st.container(horizontal=True):
        for side, title in enumerate(result.sides):
            change = result.perplexity(title) / result.perplexity(result.sides[0]) - 1
            st.metric(
                f"{name}, {title}",
                perplexity_text(result.perplexity(title)),
                delta=None if side == 0 else f"{number_text(100 * change, signed=True)} %",
                delta_arrow="auto" if side == 0 else "up" if change > 0 else "down",
                delta_color="red" if change > 0 else "green",
                help=f"{_ABOUT[result.kind]} Lower is better: as if the model chose among so many equally probable tokens.",
                width=210,
            )
    st.caption(scored_text(result))
    page.notes()
    for side in result.sides[1:]:
        st.markdown(difference_text(result, side))
    if result.tokens and result.unknown > MOST_UNKNOWN * result.tokens:
        st.warning(
            f"{counted(result.unknown, 'token')} of {count_text(result.tokens)} are unknown to this model’s tokenizer and all read as "
            "one same token, so these numbers say little. Paste a text in a language and script that the model knows.",
            icon=":material/translate:",
        )


def scored_text(result: TextPerplexity) -> str:
    """Which tokens were scored, and how."""
    is_decoder = result.kind == CAUSAL
    every = result.scored == result.tokens
    which = "the first" if is_decoder else f"drawn at random (seed {result.seed})"
    part = (
        f"All {counted(result.tokens, 'token')}"
        if every
        else f"{count_text(result.scored)} of {counted(result.tokens, 'token')}, {which},"
    )
    how = (
        f"were guessed from what stands before each in the text, in windows of {result.window} tokens that overlap by half."
        if is_decoder
        else "were masked one at a time and guessed from the rest of their sentence."
    )
    return (
        f"{part} of {counted(len(result.sentences), 'sentence')} {how}"
        + (f" {counted(result.unknown, 'token')} unknown to the tokenizer." if result.unknown else "")
        + _left_out_text(result.cut, result.sentences_left_out)
    )


def difference_text(result: TextPerplexity, side: str) -> str:
    """The difference in mean log probability, with its interval if there is one."""
    difference = result.mean(side) - result.mean(result.sides[0])
    text = (
        f"{capitalized(side)} against {result.sides[0]}: the mean log probability of a token changes by "
        f"**{number_text(difference, 3, signed=True)} nats** (× {perplexity_text(float(np.exp(difference)))} in probability)"
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
        f"{text}, 95 % interval **{number_text(interval.low, 3, signed=True)} to {number_text(interval.high, 3, signed=True)}** (paired bootstrap over sentences, "
        f"{count_text(interval.resamples)} resamples, seed {interval.seed}). {verdict}"
    )


def sentence_table(result: TextPerplexity) -> pd.DataFrame:
    """One row a sentence that has a scored token, the most harmed first; mean log probabilities in nats."""
    rows = []
    for sentence in result.sentences:
        if not sentence.scored:
            continue
        row = {"sentence": sentence.text, "tokens": sentence.tokens, "scored": sentence.scored}
        row |= {name: sentence.mean(side) for side, name in enumerate(result.sides)}
        row |= {f"difference {name}": sentence.mean(side) - sentence.mean(0) for side, name in enumerate(result.sides) if side}
        rows.append(row)
    table = pd.DataFrame(rows)
    return table if len(result.sides) == 1 else table.sort_values(f"difference {result.sides[1]}", kind="stable")


def sentence_chart(result: TextPerplexity, table: pd.DataFrame, side: int) -> go.Figure:
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
            "size": np.clip(5 + 1.5 * np.sqrt(table["scored"]), 6, 22),
            "color": SIDE_COLOURS[side % len(SIDE_COLOURS)],
            "symbol": _MARKS[(side - 1) % len(_MARKS)],
            "opacity": 0.8,
        },
        text=[plotly_text(shortened(text, 81)) for text in table["sentence"]],
        hovertemplate=f"%{{text}}<br>{before} %{{x:.2f}}, {after} %{{y:.2f}} nats<extra></extra>",
    )
    layout(
        figure,
        "Sentences below the line got harder to guess",
        f"{before}: mean log probability, nats",
        f"{after}: mean log probability, nats",
        height=420,
    )
    figure.update_xaxes(range=[low, 0])
    figure.update_yaxes(range=[low, -0.03 * low])
    return figure
