"""The page Similarity, a pair of sentences: choosing and typing them, and the job that compares them."""

import streamlit as st

from ....evaluate.reading import LONGEST_SENTENCE
from ....jobs.manager import manager
from ....models.vocabulary import escape_markdown
from ...pair_result import WHICH, pair_result
from ...shell.frame import Frame
from ...shell.work import Work, begin, outcome, subject_of
from ...widgets.sentence_inputs import example_text, pair_form

FIRST, SECOND = "pair_first", "pair_second"
AUTOMATIC = 300  # characters of the longer sentence up to which the page compares by itself; that takes about a second


@st.cache_data(max_entries=1, show_spinner=False)
def example_pairs() -> list[tuple[str, str, str]]:
    """The demonstration set: (language, first, second)."""
    from ....evaluate.data.read import demo_pairs

    pairs = demo_pairs("similarity")
    languages = pairs.languages or ("",) * len(pairs)
    return list(zip(languages, pairs.first, pairs.second, strict=True))


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
    subject = subject_of(frame)
    arguments = {"subject": subject, "first": first, "second": second}
    work = Work(
        ("similarity pair", subject.content, first, second),
        "subemb.tasks.similarity:compare_pair",
        arguments,
        "Comparing the two sentences",
    )
    short = max(len(first), len(second)) <= AUTOMATIC
    if pressed and manager().get(work.key) is None:
        begin(frame, work)
    if not short and manager().get(work.key) is None:
        st.info("Long sentences take up to a minute: press **Compare** to start.", icon=":material/hourglass:")
        return
    result = outcome_or_reason(frame, work, auto=short)
    if result is not None:
        pair_result(result)


def explain_no_sentences(frame: Frame) -> None:
    """For a table that comes without tokenizer."""
    st.info(
        f"**{escape_markdown(frame.model.name)}** comes without a tokenizer, so it cannot read sentences. Choose a model with a "
        "tokenizer and a network in the sidebar, such as **all-MiniLM-L6-v2**, and press **Run**.",
        icon=":material/short_text:",
    )


def outcome_or_reason(frame: Frame, work: Work, auto: bool = False):
    """Like :func:`outcome`; where the model turns out to have no network to encode with, it says what to do instead."""
    place = st.empty()
    with place.container():
        result = outcome(frame, work, auto)
    job = manager().get(work.key)
    if job is not None and job.error_reason in ("unsupported", "no_tokenizer"):
        place.info(
            f"**{escape_markdown(frame.model.name)}** cannot encode sentences: {escape_markdown(job.error)}. Choose a whole model in "
            "the sidebar, such as **all-MiniLM-L6-v2**, and press **Run**.",
            icon=":material/short_text:",
        )
    return result


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
