"""What the run on the page is compared with: the original, another run of the same model, or its adaptation; the link carries it."""

from collections.abc import Mapping

import streamlit as st

from ...adaptation.library import known_adaptation, known_adaptations, run_key_of
from ...adaptation.result import Adaptation
from ...base.errors import InputError
from ...base.pace import rough
from ...base.text import escape_markdown
from ...runs import RUNS, Run, estimate_run_seconds, run_and_keep
from ..shell.frame import Frame
from ..shell.jobs import begin, outcome
from ..shell.models import key_of
from ..shell.request import Request, other_query, other_request
from ..shell.text import show_error
from ..shell.visit import ADAPTED, write_url
from .adapted_side import adaptation_label

_ORIGINAL, _RUN = "the original", "this run"


def other_side(frame: Frame) -> None:
    """A list of what the run can be compared with, if the visitor has another run of this model, or the link names one. For pages on which
    an adaptation stands as a third side."""
    _choose_other(frame, {})
    if frame.other is not None:
        st.caption(
            f"**A** {escape_markdown(frame.run.settings.in_words)} · **B** {escape_markdown(frame.other.settings.in_words)}. "
            "Differences are B against A."
        )


def compared_sides(frame: Frame) -> None:
    """Which two tables a page shows: any two of the original, this run, another run and an adaptation. Nothing where there is no choice."""
    adapted = _adaptations(frame)
    if frame.visit.adapted is None and ADAPTED in (frame.visit.first, frame.visit.other):
        st.caption("The adaptation of this link is no longer on this server: the run itself is shown.")
        frame.visit.first = None
        _choose(frame, None if frame.visit.other == ADAPTED else frame.visit.other)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="compared_sides"):
        if adapted:
            _choose_first(frame, adapted)
        _choose_other(frame, adapted, label_visibility="collapsed")


def _adaptations(frame: Frame) -> dict[str, Adaptation]:
    """The visitor's adaptations of this run that are over, and the one of the link."""
    found = known_adaptations(frame.run.model["identity"], frame.visit.token)
    linked = None if frame.visit.adapted is None else known_adaptation(frame.visit.adapted)
    if linked is not None and linked.key not in {known.key for known in found}:
        found.append(linked)
    return {known.key: known for known in found if known.is_over and run_key_of(known.key) == frame.run.key}


def _choose_first(frame: Frame, adapted: Mapping[str, Adaptation]) -> None:
    visit = frame.visit
    here = visit.adapted if visit.first == ADAPTED and visit.adapted in adapted else _RUN
    options = [_RUN, *adapted]
    st.markdown("Shown:", width="content")
    chosen = st.selectbox(
        "Table",
        options,
        label_visibility="collapsed",
        index=options.index(here),
        format_func=lambda key: _RUN if key == _RUN else f"adapted: {adaptation_label(adapted[key])}",
        key=f"first_side_{frame.run.key}_{here}_{len(options)}",
        width=260,
    )
    if chosen != here:
        if chosen != _RUN:
            visit.adapted = chosen
        visit.first = None if chosen == _RUN else ADAPTED
        if visit.first == ADAPTED == visit.other:  # it cannot be compared with itself
            visit.other = None
        write_url(visit)
        st.rerun()


def _choose_other(frame: Frame, adapted: Mapping[str, Adaptation], **look: str) -> None:
    visit = frame.visit
    try:
        wanted = None if visit.other in (None, ADAPTED) else _named(frame)
    except InputError as error:
        show_error(f"{error}. The original is compared with instead.")
        _choose(frame, None)
        wanted = None
    options = {other_query(run.asked): run for run in _others(frame)}
    if wanted is not None and frame.other is None:
        _offer(frame, *wanted)
    if frame.other is not None:
        options.setdefault(visit.other, frame.other)
    others = {} if visit.first == ADAPTED else {f"{ADAPTED} {key}": known for key, known in adapted.items()}
    if not options and not others:
        return
    here = next((name for name, run in options.items() if frame.other is not None and run.key == frame.other.key), None)
    if visit.other == ADAPTED and f"{ADAPTED} {visit.adapted}" in others:
        here = f"{ADAPTED} {visit.adapted}"
    names = [_ORIGINAL, *options, *others]

    if look:  # in one line
        st.markdown("**Run A**, above, with" if here in options else "Compared with", width="content")

    def label(name: str) -> str:
        if name == _ORIGINAL:
            return name
        return f"run B: {options[name].settings.in_words}" if name in options else f"adapted: {adaptation_label(others[name])}"

    chosen = st.selectbox(
        "Compare with",
        names,
        index=0 if here is None else names.index(here),
        format_func=label,
        key=f"other_side_{frame.run.key}_{visit.other}_{len(names)}",
        help=None if look else "The table of this page is then A, and the other one B. A link to this page carries both.",
        **look,
    )
    wanted_name = None if chosen == _ORIGINAL else chosen
    if wanted_name != here:
        if wanted_name in others:
            visit.adapted = wanted_name.removeprefix(f"{ADAPTED} ")
            wanted_name = ADAPTED
        _choose(frame, wanted_name)
        st.rerun()


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
    write_url(frame.visit)


def _offer(frame: Frame, key: str, request: Request) -> None:
    """Run B is not kept here: one press computes it. It is not A under another name."""
    if key == frame.run.key:
        return
    call = run_and_keep.call(request.model, request.revision, request.settings.to_dict())
    if call.job is not None and outcome(frame.visit, call, "Computing run B") is not None:
        st.rerun()
    if call.job is None:
        model = frame.model
        seconds = estimate_run_seconds(key_of(request)[1], model.num_tokens, model.dim, model)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Run B of this link is not kept here: **{escape_markdown(request.settings.in_words)}**.")
            if st.button(f"Compute run B, about {rough(seconds)}", icon=":material/play_arrow:", key="compute_other"):
                begin(frame.visit, call)
                st.rerun()
