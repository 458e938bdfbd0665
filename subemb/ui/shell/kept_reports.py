"""Results of labelled sets that are kept on disk: read once for all visitors, computed by a job on a button."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from ...base.text import count_text, seconds_text
from ...evaluate.data.pairs import PairSet
from .frame import Frame
from .text import counted
from .work import Work, begin, forget, has_begun, outcome


class _NotKept(Exception):
    """There is no such result. Exceptions are not cached, so that it is looked for again."""


@st.cache_resource(max_entries=24, show_spinner=False)
def _read(reader: str, key: str, _read_kept: Callable[[str], Any]) -> Any:
    kept = _read_kept(key)
    if kept is None:
        raise _NotKept
    return kept


def kept_report(read: Callable[[str], Any], key: str) -> Any | None:
    """What ``read(key)`` finds on disk, or None. Shared by all visitors: not to be changed."""
    try:
        return _read(f"{read.__module__}.{read.__qualname__}", key, read)
    except _NotKept:
        return None


def kept_or_job(frame: Frame, read: Callable[[str], Any], key: str, work: Work, offer: Callable[[], None]) -> Any | None:
    """The kept result of a key. While there is none, ``work``, which makes it, is drawn if it has begun, or else ``offer()``."""
    report = kept_report(read, key)
    if report is None and has_begun(work):
        if outcome(frame, work) is None:
            return None
        report = kept_report(read, key)
        if report is None:  # computed once, but dropped from the cache since
            forget(work)
    if report is None:
        offer()
    return report


def offer_set(frame: Frame, work: Work, pairs: PairSet, most: int, done: str, what: str, seconds: float, key: str) -> None:
    """What working on a labelled set will cost, and the button.

    most: pairs of a job. done: what is done to them, such as ``evaluated``. what: the same in detail. key: of the button.
    """
    too_many = len(pairs) > most
    if too_many:
        st.warning(f"At most {count_text(most)} pairs are {done}: choose a sample of these {count_text(len(pairs))}.")
    if st.button("Evaluate", type="primary", icon=":material/play_arrow:", key=key, disabled=too_many):
        begin(frame, work)
        st.rerun()
    st.caption(
        f"{counted(len(pairs), 'pair')}, {what} with the original and with the compressed table: about "
        f"{seconds_text(max(1.0, seconds))} on two free cores, a rough estimate. It can be cancelled."
    )
