"""What the run on the page is compared with: the original, or another run of the same model; the link carries it."""

import streamlit as st

from ...base.errors import InputError
from ...base.pace import rough
from ...base.text import escape_markdown
from ...runs import RUNS, Run, estimate_run_seconds, run_and_keep
from ..shell.frame import Frame
from ..shell.jobs import begin, outcome
from ..shell.models import key_of
from ..shell.request import Request, other_query, other_request
from ..shell.text import show_error, write_parameter
from ..shell.visit import OTHER

_ORIGINAL = "the original"


def other_side(frame: Frame) -> None:
    """A list of what the run can be compared with, if the visitor has another run of this model, or the link names one."""
    visit = frame.visit
    try:
        wanted = None if visit.other is None else _named(frame)
    except InputError as error:
        show_error(f"{error}. The original is compared with instead.")
        _choose(frame, None)
        wanted = None
    options = {other_query(run.asked): run for run in _others(frame)}
    if wanted is not None and frame.other is None:
        _offer(frame, *wanted)
    if not options and frame.other is None:
        return
    if frame.other is not None:
        options.setdefault(visit.other, frame.other)
    here = next((name for name, run in options.items() if frame.other is not None and run.key == frame.other.key), None)
    names = [_ORIGINAL, *options]
    chosen = st.selectbox(
        "Compare with",
        names,
        index=0 if here is None else names.index(here),
        format_func=lambda name: name if name == _ORIGINAL else f"run B: {options[name].settings.in_words}",
        key=f"other_side_{frame.run.key}_{visit.other}_{len(options)}",
        help="The run on this page is then A, and the other one B. A link to this page carries both.",
    )
    wanted_name = None if chosen == _ORIGINAL else chosen
    if wanted_name != here:
        _choose(frame, wanted_name)
        st.rerun()
    if frame.other is not None:
        st.caption(
            f"**A** {escape_markdown(frame.run.settings.in_words)} · **B** {escape_markdown(frame.other.settings.in_words)}. "
            "Differences are B against A."
        )


def _others(frame: Frame) -> list[Run]:
    """The visitor's other runs of the model, the newest first."""
    found = (RUNS.get(key, is_use=False) for key in reversed(frame.visit.runs) if key != frame.run.key)
    return [run for run in found if run is not None and run.model["identity"] == frame.run.model["identity"]]


def _named(frame: Frame) -> tuple[str, Request]:
    """Key and request of the run that the link names. Raises InputError."""
    request = other_request(frame.visit.other, frame.visit.request)
    key, _ = key_of(request)
    return key, request


def _choose(frame: Frame, query: str | None) -> None:
    frame.visit.other = query
    write_parameter(OTHER, query)


def _offer(frame: Frame, key: str, request: Request) -> None:
    """Run B is not kept here: one press computes it. It is not A under another name."""
    if key == frame.run.key:
        return
    call = run_and_keep.call(request.model, request.revision, request.settings.to_dict())
    if call.job is not None and outcome(frame.visit, call, "Computing run B") is not None:
        st.rerun()
    if call.job is None:
        seconds = estimate_run_seconds(key_of(request)[1], frame.run.model["vocabulary"], frame.run.model["dim"])
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Run B of this link is not kept here: **{escape_markdown(request.settings.in_words)}**.")
            if st.button(f"Compute run B, about {rough(seconds)}", icon=":material/play_arrow:", key="compute_other"):
                begin(frame.visit, call)
                st.rerun()
