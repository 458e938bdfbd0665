"""The page Adapt: train the compact table, watch the training, pause and continue it, and read its result."""

import streamlit as st

from ....adaptation.library import ADAPTATIONS, belongs_to, is_key, known_adaptation, own, run_key_of
from ....base.text import escape_markdown
from ....codec.methods import METHODS
from ....jobs.manager import Job, manager
from ....jobs.task import Call
from ....tasks.adaptation import run_adaptation, stop_adaptation
from ...shell.frame import Frame, page
from ...shell.jobs import begin, stage_of, watch
from ...shell.text import errors_shown, show_error, write_parameter
from ...shell.visit import ABANDONED
from .curves import curves
from .form import adapt_form
from .results import PARAMETER, history_view, result_view

_POLL = 1.0  # seconds between two drawings of the training
_SAVING = 60.0  # seconds to wait for the worker to leave a job that was paused or stopped


def draw() -> None:
    """The page."""
    frame = page(
        "Adapt",
        "Codes and codebooks were found by looking at the table alone. Here the original model becomes a teacher: the codebooks are trained "
        "until the compressed model answers like the original. That takes sentences without labels, or no text at all. "
        "Or fine-tune it on masked words or labelled pairs; the original is then trained in the same way, to compare.",
    )
    with frame.errors():
        if frame.run is not None:
            adapt_page(frame)


def adapt_page(frame: Frame) -> None:
    """The adaptation that the URL names, the form for a new one, and all adaptations of this model."""
    if not METHODS[frame.run.settings.method].can_be_adapted:
        st.info(
            f"**{escape_markdown(METHODS[frame.run.settings.method].title)}** has no codebooks to train. Choose a method with codebooks in "
            "the sidebar, such as **Cluster**, and press **Run**.",
            icon=":material/model_training:",
        )
        return
    if not frame.model.has_tokenizer:
        st.info(
            f"**{escape_markdown(frame.model.name)}** comes without a tokenizer, so it reads no sentences to learn from. Choose a whole "
            "model in the sidebar, such as **all-MiniLM-L6-v2**, and press **Run**.",
            icon=":material/model_training:",
        )
        return
    key = current_key(frame)
    if key is not None:
        frame.visit.keep(ADAPTATIONS, key)
    job = None if key is None else run_adaptation.call(key).job
    if frame.visit.waits_for(job):
        watch(frame.visit, job.key, lambda job: live_view(job, frame, key), every=_POLL)
    else:
        if key is not None:
            over_view(frame, key, job)
        adapt_form(frame, start)
    history_view(frame, key)


def current_key(frame: Frame) -> str | None:
    """Key of the adaptation of this run that the URL names; None, with a message, if this server does not have it."""
    adapted = frame.visit.adapted  # the third side of other pages, by whose link this one can be opened too
    key = st.query_params.get(PARAMETER) or still_running(frame) or (adapted if adapted and run_key_of(adapted) else None)
    if key is None:
        return None
    if not is_key(key) or run_key_of(key) is None:
        st.warning(
            "The adaptation in this link is not kept on this server any more; start a new one below.",
            icon=":material/link_off:",
        )
        return None
    if run_key_of(key) != frame.run.key:  # another run has been chosen in the sidebar since
        write_parameter(PARAMETER, None)
        return None
    return key


def still_running(frame: Frame) -> str | None:
    """This visitor's latest adaptation of this run that is under way, to be shown after a visit to another page, or in a new tab."""
    for job in reversed(manager().jobs_of(frame.visit.token)):
        key = (job.arguments or {}).get("key") if job.lane == run_adaptation.lane else None
        if key is not None and run_key_of(key) == frame.run.key:
            write_parameter(PARAMETER, key)
            return key
    return None


def start(frame: Frame, key: str) -> None:
    """Start an adaptation, or continue it, and show it."""
    submit_again(frame, run_adaptation.call(key))
    write_parameter(PARAMETER, key)
    st.rerun()


def submit_again(frame: Frame, call: Call) -> None:
    """Submit the job of an adaptation, however the job before it ended; it is this visitor's then too.

    Raises InputError if too many are waiting.
    """
    call.check_room(frame.visit.token)
    call.forget()
    begin(frame.visit, call)
    own(call.arguments["key"], frame.visit.token)


def live_view(job: Job, frame: Frame, key: str) -> None:
    """Curves that grow while the model is trained, and the buttons Pause and Stop."""
    st.header("Training now", anchor=False)
    if job.state == "queued":
        st.progress(0.0, text=f"Number {job.position_in_queue} in the queue: others are being adapted on this server")
    else:
        st.progress(job.fraction, text=f"{escape_markdown(stage_of(job))} · {job.seconds:.0f} s")
    known = known_adaptation(key)
    original = [
        {name.removeprefix("original_"): value for name, value in message.values.items()}
        for message in job.history
        if "original_step" in message.values
    ]
    points = [message.values for message in job.history if "step" in message.values]
    if known is not None:
        points = continued(known.history, points)
    if points:
        if known is not None and known.original_history:
            original = continued(known.original_history, original)
        curves(known, points, "adapt_live", original)
    if not belongs_to(key, frame.visit.token):
        st.caption(":material/group: Another visitor began this adaptation; only they can pause or stop it.")
        return
    with st.container(horizontal=True):
        paused = st.button(
            "Pause", icon=":material/pause_circle:", key="adapt_pause", help="What has been learned is saved; go on later."
        )
        stopped = st.button(
            "Stop and keep the best",
            icon=":material/stop_circle:",
            key="adapt_stop",
            help="End here, with the best weights so far.",
        )
    if paused or stopped:
        if frame.visit.leave(job, onlookers_count=False) and stopped:
            st.session_state["adapt_stop_at"] = key
        st.rerun(scope="app")
    st.caption(
        "It goes on while this page, or another one of subemb, is open. Without you it stops after a minute at what it has saved, and "
        "waits until you take it up again."
    )


def continued(saved: list[dict], new: list[dict]) -> list[dict]:
    """Points that an adaptation has saved, followed by the newer ones of the running job."""
    first = new[0]["step"] if new else None
    return [point for point in saved if first is None or point["step"] < first] + new


def over_view(frame: Frame, key: str, job: Job | None) -> None:
    """A finished adaptation's result; or one that is paused, failed or was interrupted, with buttons to go on or to stop.

    Also one that goes on for others, and that this visitor has left.
    """
    if job is not None and not job.is_over:
        st.header("Under way for others", anchor=False)
        st.info("Another visitor began the same adaptation, and it goes on for them.", icon=":material/group:")
        with errors_shown():
            if st.button("Wait for it too", icon=":material/group_add:", key="adapt_join"):
                start(frame, key)
        return
    if job is not None and job.state == "cancelled" and job.started is not None:
        with st.spinner("Saving what was learned"):
            job.left_worker.wait(_SAVING)
    if st.session_state.pop("adapt_stop_at", None) == key:
        submit_again(frame, stop_adaptation.call(key))
        st.rerun()
    known = known_adaptation(key)
    if job is not None and job.state == "failed":
        show_error(job.error)
    elif known is not None and known.state == "failed":
        show_error(known.message)
    if known is not None and known.is_over:
        result_view(frame, known)
        return
    st.header("Not over yet", anchor=False)
    if job is not None and job.is_abandoned:
        st.caption(f":material/visibility_off: {ABANDONED}")
    if known is None:
        st.info("This adaptation has not saved anything yet.", icon=":material/pause_circle:")
    else:
        share = f"step {known.steps:,} of {known.planned_steps:,}" if known.planned_steps else f"step {known.steps:,}"
        if known.original_history:
            share = f"step {known.original_history[-1]['step']:,} of {known.steps:,} of the original, which is trained in the same way"
        st.info(f"Saved at {share}. It can go on from there.", icon=":material/pause_circle:")
        curves(known, known.history, "adapt_paused", known.original_history)
    if not belongs_to(key, frame.visit.token):
        st.caption(":material/group: It belongs to another visitor, who can let it go on.")
        return
    with st.container(horizontal=True), errors_shown():
        if st.button("Go on", icon=":material/play_arrow:", key="adapt_resume", type="primary"):
            start(frame, key)
        if known is not None and st.button("Stop here and keep the best", icon=":material/stop_circle:", key="adapt_stop_here"):
            submit_again(frame, stop_adaptation.call(key))
            st.rerun()
