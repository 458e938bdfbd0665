"""The page Adapt: one adaptation, from the form to its result, and those before it."""

import streamlit as st

from ....codec.settings import METHODS
from ....jobs.manager import Job, manager
from ....models.vocabulary import escape_markdown
from ....tasks import adaptation as tasks
from ...adapt_results import PARAMETER, curves, history_view, is_training, job_key, result_view
from ...shell.frame import Frame
from ...shell.text import errors_shown, show_error, write_parameter
from .form import adapt_form

_POLL = 1.0
_SAVING = 60.0  # seconds to wait for the worker to leave a job that was paused or stopped
_LATEST = "adapt_latest"  # in the session: the adaptation that this visitor began or took up last


def adapt_page(frame: Frame) -> None:
    """The form, the adaptation that the address names, and the history of this model's."""
    if not METHODS[frame.run.settings.method].uses_codebooks:
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
    job = None if key is None else manager().get(job_key(key))
    if job is not None and not job.is_over:
        live_view(frame, key)
    else:
        if key is not None:
            over_view(frame, key, job)
        adapt_form(frame, start)
    history_view(frame, key)


def current_key(frame: Frame) -> str | None:
    """The adaptation of this run that the address names; None, with a word about it, if there is none of that name here."""
    key = st.query_params.get(PARAMETER) or still_running(frame)
    if key is None:
        return None
    if not tasks.known_key(key) or tasks.run_key_of(key) is None:
        st.warning(
            "The adaptation in this link is not kept on this server any more; begin a new one below.",
            icon=":material/link_off:",
        )
        return None
    if tasks.run_key_of(key) != frame.run.key:  # another run has been chosen in the sidebar since
        write_parameter(PARAMETER, None)
        return None
    return key


def still_running(frame: Frame) -> str | None:
    """This visitor's latest adaptation, if it is under way and of this run: who comes back from another page sees it again."""
    key = st.session_state.get(_LATEST)
    if key is None or not is_training(key) or tasks.run_key_of(key) != frame.run.key:
        return None
    write_parameter(PARAMETER, key)
    return key


def start(frame: Frame, key: str) -> None:
    """Run an adaptation, or take it up again, and show it."""
    submit(frame, key, "run_adaptation")
    st.session_state[_LATEST] = key
    write_parameter(PARAMETER, key)
    st.rerun()


def submit(frame: Frame, key: str, function: str) -> Job:
    """The job of an adaptation. Raises InputError if too many are waiting."""
    manager().forget(job_key(key))
    return manager().submit(
        job_key(key), f"subemb.tasks.adaptation:{function}", {"key": key}, lane=tasks.LANE, watcher=frame.visit.token
    )


@st.fragment(run_every=_POLL)
def live_view(frame: Frame, key: str) -> None:
    """Curves that move, and Pause and Stop."""
    job = manager().get(job_key(key))
    if job is None or job.is_over:
        st.rerun(scope="app")
    job.watch(frame.visit.token)
    st.subheader("Training now", anchor=False)
    if job.state == "queued":
        st.progress(0.0, text=f"Number {job.position_in_queue} in the queue: others are being adapted on this server")
    else:
        stage = job.progress.stage if job.progress else "starting"
        st.progress(job.fraction, text=f"{escape_markdown(stage)} · {job.seconds:.0f} s")
    known = tasks.kept_adaptation(key)
    original = [
        {name.removeprefix("original_"): value for name, value in message.values.items()}
        for message in job.history
        if "original_step" in message.values
    ]
    points = [message.values for message in job.history if "step" in message.values]
    if known is not None:
        later = points[0]["step"] if points else None
        points = [point for point in known.history if later is None or point["step"] < later] + points
    if points:
        if known is not None and known.original_history:
            later = original[0]["step"] if original else None
            original = [point for point in known.original_history if later is None or point["step"] < later] + original
        curves(points, {} if known is None else known.scores, "adapt_live", original)
    with st.container(horizontal=True):
        if st.button(
            "Pause", icon=":material/pause_circle:", key="adapt_pause", help="What has been learned is saved; go on later."
        ):
            if job.cancel(by=frame.visit.token) or job.is_over:
                st.rerun(scope="app")
            st.toast(
                "Somebody else is watching this adaptation, so it goes on; Stop ends it for everybody.", icon=":material/group:"
            )
        if st.button(
            "Stop and keep the best",
            icon=":material/stop_circle:",
            key="adapt_stop",
            help="End here, with the best weights so far.",
        ):
            job.cancel()
            st.session_state["adapt_stop_at"] = key
            st.rerun(scope="app")


def over_view(frame: Frame, key: str, job: Job | None) -> None:
    """A result; or an adaptation that is paused, failed or was broken off, and how to go on."""
    if job is not None and job.state == "cancelled" and job.started is not None:
        with st.spinner("Saving what was learned"):
            job.left_worker.wait(_SAVING)
    if st.session_state.pop("adapt_stop_at", None) == key:
        submit(frame, key, "stop_adaptation")
        st.rerun()
    known = tasks.kept_adaptation(key)
    if job is not None and job.state == "failed":
        show_error(job.error)
    elif known is not None and known.state == "failed":
        show_error(known.message)
    if known is not None and known.is_over:
        result_view(frame, known)
        return
    st.subheader("Not over yet", anchor=False)
    if known is None:
        st.info("This adaptation has not saved anything yet.", icon=":material/pause_circle:")
    else:
        share = f"step {known.steps:,} of {known.planned_steps:,}" if known.planned_steps else f"step {known.steps:,}"
        if known.original_history:
            share = f"step {known.original_history[-1]['step']:,} of {known.steps:,} of the original, which is trained alike"
        st.info(f"Saved at {share}. It can go on from there.", icon=":material/pause_circle:")
        curves(known.history, known.scores, "adapt_paused", known.original_history)
    with st.container(horizontal=True), errors_shown():
        if st.button("Go on", icon=":material/play_arrow:", key="adapt_resume", type="primary"):
            start(frame, key)
        if known is not None and st.button("Stop here and keep the best", icon=":material/stop_circle:", key="adapt_stop_here"):
            submit(frame, key, "stop_adaptation")
            st.rerun()
