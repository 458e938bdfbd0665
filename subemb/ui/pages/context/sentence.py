"""The page Words in context, a sentence: every side fills its gap, with the ten best side by side."""

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ....base.text import count_text, escape_html, escape_markdown, percent_text, visible
from ....evaluate.context.fill import Filled, FilledMask, Filling
from ....evaluate.context.network import CAUSAL
from ....evaluate.context.verdicts import fill_verdict, word_verdict
from ....evaluate.context.words import LONGEST_SENTENCE, Word, before_gap, mask_token_of, with_own_masks, words_of
from ....tasks.evaluations import fill_sentence
from ...shell.jobs import outcome
from ...shell.text import counted, is_led_by_address, write_parameter, write_parameters
from ...widgets.charts import download_csv
from ...widgets.renewed import renew, renewed
from ...widgets.scores import SIDE_COLOURS
from ...widgets.sentence_inputs import cut, say_cut, take_up
from .asked import ContextPage, bold
from .examples import SENTENCES

MOST_WORDS = 150  # of a sentence that can be clicked
DEFAULT = SENTENCES["English"][0]
_EXAMPLES = [sentence for sentences in SENTENCES.values() for sentence in sentences]
_LANGUAGE = {sentence: language for language, sentences in SENTENCES.items() for sentence in sentences}


def sentence_view(page: ContextPage) -> None:
    """What became of the answer, the sentence and its words to click, and what each side puts into its gaps."""
    verdict = st.container(key="verdict")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        arguments = page.choose_tables()
        text = read_sentence()
    say_cut("masked_text", LONGEST_SENTENCE)
    if not text.strip():
        st.info("Type a sentence, or choose an example.", icon=":material/edit:")
        return
    with st.spinner("Reading the tokens …", show_time=False):
        words, has_gap = read_words(page, text)
    word = choose_word(words, page.is_decoder)
    if word is None and not has_gap:
        own = escape_markdown(mask_token_of(page.model.tokenizer))
        st.info(f"Click a word above to mask it, or write {own} into the sentence.", icon=":material/touch_app:")
        return
    call = fill_sentence.call(**arguments, sentence=text, word=word)
    filled = outcome(page.frame.visit, call, "Filling the gap", auto=True)
    if filled is not None:
        verdict.markdown(fill_verdict(filled, bold))
        results(page, filled)


# Input


def take_up_sentence() -> None:
    """Sentence and word of a first visit, and where the address leads: from the link, else the example."""
    is_first = "masked_text" not in st.session_state
    take_up({"masked_text": ("masked", DEFAULT)}, LONGEST_SENTENCE)
    if is_first or is_led_by_address():
        number = st.query_params.get("word", "")
        st.session_state["masked_word"] = int(number) if number.isascii() and number.isdecimal() and len(number) < 5 else None


def read_sentence() -> str:
    """The sentence as typed, cut to LONGEST_SENTENCE characters, and written to the URL."""

    def changed() -> None:
        cut("masked_text", LONGEST_SENTENCE)
        st.session_state["masked_word"] = None  # the words have other numbers now

    def take_example(chosen: str) -> None:
        st.session_state["masked_text"] = chosen
        renew("masked_example")  # so that the same one can be taken again
        changed()

    take_up_sentence()
    # Not bound to the URL by Streamlit: a pasted book would go there before anybody could cut it.
    text = st.text_input(
        "Sentence, with [MASK] for a hidden word",
        key="masked_text",
        on_change=changed,
        persist_state="session",
        label_visibility="collapsed",
        placeholder="A sentence, with [MASK] for a hidden word",
    )
    with st.popover("Examples", icon=":material/format_quote:"):
        st.selectbox(
            "Examples",
            _EXAMPLES,
            index=None,
            format_func=lambda sentence: f"{_LANGUAGE[sentence]}: {sentence}",
            placeholder="Choose an example",
            help="A model guesses well only in the languages that it was trained on.",
            **renewed("masked_example", take_example),
        )
        st.caption(
            f"Up to {count_text(LONGEST_SENTENCE)} characters. [MASK] and \\<mask> both work, whatever the model's own mask is. A decoder "
            "reads what stands before the mask; without one it says what comes next."
        )
    _write(text if text != DEFAULT else None)
    return text


def _write(text: str | None) -> None:
    """Keep the address what is asked. text: None if it is what the page begins with."""
    word = st.session_state.get("masked_word")
    write_parameters({"masked": text, "word": None if word is None else str(word)})


def read_words(page: ContextPage, text: str) -> tuple[tuple[Word, ...], bool]:
    """The words of a sentence that can be clicked, and whether it can be asked without one."""
    with page.model.tokenizer_lock:
        tokenizer = page.model.tokenizer
        if page.is_decoder:
            return words_of(tokenizer, before_gap(tokenizer, text)[0]), True
        return words_of(tokenizer, text), mask_token_of(tokenizer) in with_own_masks(tokenizer, text)[0]


def choose_word(words: Sequence[Word], is_decoder: bool) -> int | None:
    """The words as buttons; the index of the one to ask for, or None."""
    # Before the first token of all there is nothing that a decoder could read.
    offered = [place for place in range(min(len(words), MOST_WORDS)) if not (is_decoder and words[place].place == 0)]
    chosen = st.session_state.get("masked_word")
    if chosen is not None and chosen not in offered:
        st.session_state["masked_word"] = None
        write_parameter("word", None)
    if not offered:
        return None
    chosen = st.pills(
        "Click a word to ask for it" if is_decoder else "Click a word to mask it",
        offered,
        format_func=lambda place: escape_markdown(visible(words[place].text)),
        key="masked_word",
        persist_state="session",
        help="Words as the model's tokenizer cuts them. "
        + (
            "The model reads what stands before the word, and its answers are first tokens of a word. Click it again to ask what comes "
            "after the sentence."
            if is_decoder
            else "One mask takes the place of a word, however many tokens it has, so the fillings are single tokens. Click it again to "
            "unmask it."
        ),
    )
    if len(words) > MOST_WORDS:
        st.caption(f"The first {MOST_WORDS} of {count_text(len(words))} words can be clicked.")
    return chosen


# Results


def results(page: ContextPage, filled: Filled) -> None:
    """Every gap of the sentence, one after the other."""
    st.markdown(read_text(filled))
    if len(filled.masks) > 1:
        st.caption(
            f"There are {len(filled.masks)} masks. Each is filled on its own, with the others left masked: the fillings need not fit "
            "together."
        )
    for number, mask in enumerate(filled.masks):
        if len(filled.masks) > 1:
            st.header(f"Mask {number + 1} of {len(filled.masks)}", anchor=False, divider="gray")
        if number:
            st.markdown(fill_verdict(filled, bold, number))
        mask_view(page, filled, mask, number)


def read_text(filled: Filled) -> str:
    """The sentence as it was read, in markdown."""
    shown = escape_markdown(filled.sentence)
    if filled.kind == CAUSAL:
        unread = f" :gray[{escape_markdown(filled.unread)} (not read)]" if filled.unread else ""
        return f"Read: {shown} **▁▁▁**{unread}"
    own = escape_markdown(filled.mask_token)
    spelled = (
        f" :gray[({escape_markdown(', '.join(filled.spellings))} was read as this model's own mask)]"
        if filled.spellings
        else ""
    )
    return f"Read as: {shown.replace(own, f'**{own}**')}{spelled}"


def mask_view(page: ContextPage, filled: Filled, mask: FilledMask, number: int) -> None:
    """One gap: the ten best side by side, what changed in numbers, and the table of all sides."""
    largest = max((filling.probabilities[side] for side in range(len(filled.sides)) for filling in mask.top(side)), default=1.0)
    for side, column in enumerate(st.columns(len(filled.sides), gap="medium")):
        with column:
            st.html(bars_html(mask, side, filled.sides, largest))
    if said := word_verdict(filled, bold, number):
        st.markdown(said)
    numbers(filled, mask)
    if number == 0:
        page.notes()
    st.caption(
        f"Bars have one scale on every side: the longest is {percent_text(largest)}. Striped bars: only in this side's best "
        f"{mask.k}, with the rank elsewhere. Choice of {count_text(filled.vocabulary)} tokens."
    )
    table = fillings_table(filled, mask)
    with st.expander(f"Table of all sides ({counted(len(table), 'token')})"):
        st.dataframe(
            table, hide_index=True, key=f"fillings_{number}", alt="Fillings of the gap with every side's probability and rank"
        )
        download_csv(table, f"subemb-fillings-{number + 1}.csv", key=f"fillings_download_{number}")


def numbers(filled: Filled, mask: FilledMask) -> None:
    """KL divergence, how many of the best are kept, entropies, and the masked word; first what they mean."""
    st.markdown(plain_words(filled.sides, mask.kl, mask.entropy))
    many = len(filled.sides) > 2
    with st.container(horizontal=True):
        for side in range(1, len(filled.sides)):
            of = f" {filled.sides[side]}" if many else ""
            st.metric(
                f"KL divergence{of}",
                f"{nats_text(mask.kl[side])} nats",
                help=f"KL({filled.sides[0]} || {filled.sides[side]}) over all {count_text(filled.vocabulary)} tokens: 0 means the same "
                "probabilities; 0.69 nats (1 bit) means that the side gives half the probability on average.",
                width=170,
            )
            st.metric(f"Best {mask.k} kept{of}", f"{mask.kept(side)} of {len(mask.top(0))}", width=130)
        for side, name in enumerate(filled.sides):
            st.metric(
                f"Entropy, {name}",
                f"{nats_text(mask.entropy[side])} nats",
                help="How undecided this side is: 0 means sure of one token; a blind guess has the logarithm of the number of tokens.",
                width=170,
            )


def plain_words(sides: Sequence[str], kl: Sequence[float], entropy: Sequence[float]) -> str:
    """What divergences and entropies in nats say, without either word: as shares of a probability, and as equally likely tokens.

    >>> plain_words(["original", "compressed"], [0.0, math.log(2)], [math.log(3), math.log(40)])
    'What the original expects here gets 50 % of its probability from compressed, on average (geometric mean). Undecided as if between equally likely tokens: original 3.0, compressed 40.'
    """
    shares = [
        f"{percent_text(math.exp(-value), 2)} of its probability from {side}"
        for side, value in zip(sides[1:], kl[1:], strict=True)
    ]
    as_many = [math.exp(value) for value in entropy]
    among = [
        f"{side} {count:.1f}" if count < 9.95 else f"{side} {count_text(round(count))}"
        for side, count in zip(sides, as_many, strict=True)
    ]
    return f"What the {sides[0]} expects here gets {' and '.join(shares)}, on average (geometric mean). Undecided as if between equally likely tokens: {', '.join(among)}."


def nats_text(value: float) -> str:
    """Three significant digits.

    >>> nats_text(0.0), nats_text(1.23456), nats_text(0.0000123)
    ('0', '1.23', '1.2e-05')
    """
    return "0" if value == 0 else f"{value:.3g}" if value >= 0.001 else f"{value:.1e}"


def fillings_table(filled: Filled, mask: FilledMask) -> pd.DataFrame:
    """One row a token: probability in per cent and rank on every side, and how its rank changed."""
    rows = []
    for filling in mask.fillings:
        row: dict = {"token": filling.token, "id": filling.token_id}
        for side, name in enumerate(filled.sides):
            row[f"{name}, %"] = 100 * filling.probabilities[side]
            row[f"{name}, rank"] = filling.best_ranks[side]
        for side in range(1, len(filled.sides)):
            kept = filling.best_ranks[side] <= mask.k
            text = change_of(filling, mask, side if kept else 0, filled.sides)[0]
            row[f"change, {filled.sides[side]}"] = text
        rows.append(row)
    return pd.DataFrame(rows)


# The best fillings as bars, in HTML


def change_of(filling: Filling, mask: FilledMask, side: int, names: tuple[str, ...]) -> tuple[str, str]:
    """How a filling's rank differs, in words with a sign, and its kind: ``same``, ``up``, ``down``, ``new`` or ``lost``.

    A side after the first is compared with the first; the first says what is lost on others.
    """
    if side == 0:
        ranks = {place: filling.best_ranks[place] for place in range(1, len(names))}
        lost = [f"{rank:,}" + (f" {names[place]}" if len(names) > 2 else "") for place, rank in ranks.items() if rank > mask.k]
        return (f"− lost, now {', '.join(lost)}", "lost") if lost else ("", "same")
    before, now = filling.best_ranks[0], filling.best_ranks[side]
    if before > mask.k:
        return f"+ new, was {before:,}", "new"
    if before == now:
        return "= same", "same"
    return (f"▲ up from {before}", "up") if before > now else (f"▼ down from {before}", "down")


_STYLE = """
.mw { width: 100%; border-collapse: collapse; font-size: .875rem; line-height: 1.2; margin: 0; table-layout: fixed; }
.mw caption { caption-side: top; text-align: left; font-weight: 600; padding: 0 0 .2rem; }
.mw caption i { display: inline-block; width: .8em; height: .8em; border-radius: .15em; background: var(--mw-c); margin-right: .4em; }
.mw th, .mw td { border: 0; border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent); padding: .14rem .3rem;
  font-weight: 400; text-align: left; vertical-align: middle; }
.mw thead { position: absolute; clip-path: inset(50%); }
.mw .mw-r { width: 1.9rem; text-align: right; opacity: .8; font-variant-numeric: tabular-nums; }
.mw .mw-t { width: 30%; overflow-wrap: anywhere; font-weight: 600; }
.mw .mw-t small { font-weight: 400; font-size: .72rem; opacity: .8; }
.mw .mw-t span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
.mw .mw-n { font-size: .75rem; width: 6.6rem; }
.mw .mw-v { display: flex; align-items: center; gap: .3rem; }
.mw .mw-b { flex: none; height: .8rem; border-radius: .2rem; background: var(--mw-c); width: calc(var(--mw-w) * (100% - 3.6rem)); min-width: 2px; }
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
        note = "<small>the hidden word</small>" if filling.token_id == mask.masked_id else ""
        width = filling.probabilities[side] / largest if largest else 0
        token = escape_html(filling.token)
        rows.append(
            f'<tr class="mw-{kind}"><td class="mw-r">{filling.best_ranks[side]}</td>'
            f'<th scope="row" class="mw-t"><span title="{token}"><bdi>{token}</bdi></span>{note}</th>'
            f'<td><div class="mw-v"><span class="mw-b" style="--mw-w:{width:.4f}"></span>'
            f'<span class="mw-p">{percent_text(filling.probabilities[side])}</span></div></td>'
            f'<td class="mw-n">{text}</td></tr>'
        )
    return (
        f'<style>{_STYLE}</style><table class="mw" style="--mw-c:{SIDE_COLOURS[side % len(SIDE_COLOURS)]}">'
        f"<caption><i></i>{escape_html(names[side])}: {len(rows)} best fillings</caption>"
        '<colgroup><col class="mw-r"><col class="mw-t"><col><col class="mw-n"></colgroup>'
        '<thead><tr><th class="mw-r" scope="col">#</th><th class="mw-t" scope="col">token</th>'
        '<th scope="col">probability</th><th class="mw-n" scope="col">change</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
