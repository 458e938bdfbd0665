"""Choosing a labelled set on a page: the demonstration set, a visitor's own files, or a data set of the Hugging Face hub.

What is chosen stands in the URL. Files cannot: the URL then has the set's name and digest, by which a page finds results that
are kept (:func:`linked_digest`), and a visitor without the file is told which one to give.
"""

import re

import streamlit as st

from ...evaluate.data.pairs import UNKNOWN_LANGUAGE, PairSet, skipped_text
from ...evaluate.data.read import demo_pairs
from ...models.vocabulary import escape_markdown
from ..data_hub import hub_pairs
from ..data_upload import uploaded_pairs
from ..shell.frame import Frame
from ..shell.text import counted, write_parameter

DEMO, FILES, HUB = "Demonstration set", "Your files", "Hugging Face hub"
DEFAULT_LIMIT = 2_000
LIMITS = (DEFAULT_LIMIT, 200, 500, 1_000, 5_000, 10_000, 50_000)
ALL = 0
_KINDS = {
    "similarity": "similarity, graded scores",
    "paraphrase": "paraphrase or not",
    "entailment": "textual entailment",
}


def choose_pairs(frame: Frame, task: str, key: str) -> PairSet | None:
    """Draw the choice and return the pairs to use, or None while there are none (then the page has said what to do).

    task: ``similarity`` (also offers paraphrase sets; look at the result's ``task``) or ``entailment``.
    key: starts the names of the URL's parameters; one for each place where pairs are chosen.
    """
    pairs = None
    with frame.errors(), st.container(border=True, key=f"{key}_box"):
        source = st.segmented_control(
            "Sentence pairs from",
            [DEMO, FILES, HUB],
            default=DEMO,
            required=True,
            key=f"{key}_source",
            bind="query-params",
            persist_state="session",
        )
        if source == FILES:
            pairs = uploaded_pairs(task, key, _linked_name(key))
        elif source == HUB:
            pairs = hub_pairs(frame, task, key)
        else:
            pairs = _demo(task)
            st.caption(
                "Demonstration material, written for this project: small, to try the page with. It is not a benchmark, and scores "
                "on it cannot be compared with published ones."
            )
        if pairs is not None:
            describe(pairs)
            pairs = _part(pairs, key)
    if source == FILES:
        _link(key, pairs)
    else:
        _forget_link(key)
    return pairs


@st.cache_data(max_entries=2, show_spinner=False)
def _demo(task: str) -> PairSet:
    return demo_pairs(task)


def describe(pairs: PairSet) -> None:
    """What was read: name, format, how many pairs in which languages, what was left out and why."""
    languages = list(dict.fromkeys(pairs.languages))
    parts = [pairs.format, _KINDS[pairs.task], counted(len(pairs), "pair")]
    if pairs.labels:
        parts.append(f"{len(pairs.labels)} labels")
    if languages:
        parts.append(f"language{'s' if len(languages) > 1 else ''} {', '.join(map(_language_text, languages[:30]))}")
    st.markdown(f"**{escape_markdown(pairs.name)}** · {escape_markdown(' · '.join(parts))}")
    for note in pairs.notes:
        st.caption(f"{escape_markdown(note)}.")
    if pairs.skipped:
        st.warning(
            f"{counted(pairs.skipped_count, 'row')} left out. {escape_markdown(skipped_text(pairs.skipped))}",
            icon=":material/filter_alt:",
        )


def _part(pairs: PairSet, key: str) -> PairSet:
    """The pairs of the chosen languages, and of those at most as many as wanted."""
    languages = list(dict.fromkeys(pairs.languages))
    whole = pairs
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(languages) > 1:
            chosen = _languages(languages, f"{key}_languages")
            if chosen:
                pairs = pairs.select([language in chosen for language in pairs.languages])
        limit = st.selectbox(
            "Pairs to use at most",
            [*LIMITS, ALL],
            format_func=lambda number: f"{number:,}" if number else "all",
            key=f"{key}_limit",
            bind="query-params",
            persist_state="session",
            width=170,
            help="More pairs take longer and make the intervals narrower.",
        )
        seed = st.number_input(
            "Seed of the sample",
            min_value=0,
            max_value=2**32 - 1,
            step=1,
            key=f"{key}_seed",
            bind="query-params",
            persist_state="session",
            width=150,
        )
    used = pairs.sample(limit, int(seed or 0)) if limit else pairs
    if len(used) < len(pairs):
        st.caption(f"{len(used):,} of {counted(len(pairs), 'pair')}, seed {int(seed or 0)}.")
    elif len(used) < len(whole):
        st.caption(f"{len(used):,} of {counted(len(whole), 'pair')}, the languages chosen.")
    else:
        st.caption(f"All {counted(len(used), 'pair')} are used.")
    return used


def _languages(languages: list[str], key: str) -> list[str]:
    """The languages chosen; none means all."""
    if key in st.session_state:  # another set may not have them all
        st.session_state[key] = [language for language in st.session_state[key] or [] if language in languages]
    return st.multiselect(
        "Languages",
        languages,
        format_func=_language_text,
        key=key,
        bind="query-params",
        persist_state="session",
        placeholder=f"all {len(languages)}",
        width=300,
    )


def _language_text(code: str) -> str:
    return "not told" if code == UNKNOWN_LANGUAGE else code


# What a link says about a file


def linked_digest(key: str) -> tuple[str, str] | None:
    """(name, digest) of the pairs that the URL is about, where they came from a file; None if it is about none.

    The digest is that of the PairSet that :func:`choose_pairs` returned: languages and sample chosen.
    """
    name, digest = st.query_params.get(f"{key}_file"), st.query_params.get(f"{key}_digest", "")
    return (name[:200], digest) if name and re.fullmatch(r"[0-9a-f]{16}", digest) else None


def _linked_name(key: str) -> str | None:
    linked = linked_digest(key)
    return linked[0] if linked else None


def _link(key: str, pairs: PairSet | None) -> None:
    """Make the URL say which file the page is about; without one it keeps what it said. Tell if it is not the link's."""
    state = f"{key}_arrived_with"
    arrived = st.session_state.setdefault(state, linked_digest(key))
    if pairs is None:
        return
    if arrived and arrived[1] == pairs.digest:
        st.session_state[state] = None  # given; from now on the visitor changes what is shown
    elif arrived:
        st.info(
            f"These pairs are not those of the link that you followed, which is about {escape_markdown(arrived[0])} (digest "
            f"{arrived[1]}; these have {pairs.digest}).",
            icon=":material/link_off:",
        )
    for name, value in ((f"{key}_file", pairs.name[:200]), (f"{key}_digest", pairs.digest)):
        write_parameter(name, value)


def _forget_link(key: str) -> None:
    for name in (f"{key}_file", f"{key}_digest"):
        write_parameter(name, None)
