"""Jobs on a page: start one, watch it with progress and Cancel, show its error, read its result.

The pages that evaluate a model all do this::

    work = Work(("pair", subject.content, first, second), "subemb.tasks.similarity:compare_pair", {...}, "Comparing the sentences")
    if st.button("Compare"):
        begin(frame, work)
    result = outcome(frame, work)
"""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ...base.text import escape_markdown, seconds_text
from ...jobs.manager import Job, manager
from ...tasks.sides import Subject
from .frame import Frame
from .text import show_error
from .visit import Visit

LANE = "evaluate"
QUICK_SECONDS = 1.5  # a result that comes within this time is shown without a progress bar in between


@dataclass(frozen=True)
class Work:
    """One job of a page.

    key: what is computed; equal keys share one job. function: ``"module:function"``. arguments: picklable, without
    ``progress``. what: what is going on, for a person. lane: which worker process runs it.
    """

    key: Hashable
    function: str
    arguments: dict[str, Any]
    what: str
    lane: str = LANE

    @property
    def mark(self) -> str:
        """Short text for widget keys."""
        return hashlib.sha256(repr(self.key).encode()).hexdigest()[:12]


def subject_of(frame: Frame) -> Subject:
    """The model, the run and the adaptation on the page, as jobs are told."""
    adapted = None if frame.adaptation is None else frame.adaptation.key
    return Subject(frame.run.model["name"], frame.visit.request.revision, frame.run.model["identity"], frame.run.key, adapted)


def begin(frame: Frame, work: Work) -> Job:
    """Start the job, or join it. Raises InputError if too many are waiting."""
    return manager().submit(work.key, work.function, work.arguments, lane=work.lane, watcher=frame.visit.token)


def has_begun(work: Work) -> bool:
    """Whether the job is waiting, running or over."""
    return manager().get(work.key) is not None


def forget(work: Work) -> None:
    """Drop a finished job, so that it can be computed again."""
    manager().forget(work.key)


def outcome(frame: Frame, work: Work, auto: bool = False) -> Any | None:
    """The result of a job that is done. Else what there is to say is drawn, and the result is None.

    auto: start it if nobody has; for work of about a second. Results are shared by all visitors: do not change them.
    """
    job = manager().get(work.key)
    if job is None:
        if not auto:
            return None
        job = begin(frame, work)
    if not job.is_over:
        job.wait(QUICK_SECONDS)
    if job.state == "done":
        return job.result
    if job.state == "failed":
        show_error(job.error)
        _again(frame, work, "Try again", ":material/refresh:")
    elif job.state == "cancelled":
        st.info("Stopped.", icon=":material/stop_circle:")
        _again(frame, work, "Start again", ":material/play_arrow:")
    else:
        watch(frame.visit, work)
    return None


def _again(frame: Frame, work: Work, label: str, icon: str) -> None:
    if st.button(label, icon=icon, key=f"again_{work.mark}"):
        forget(work)
        begin(frame, work)
        st.rerun()


@st.fragment(run_every=0.5)
def watch(visit: Visit, work: Work) -> None:
    """Progress of a job that is waiting or running, and Cancel; the page is drawn anew when it is over."""
    job = manager().get(work.key)
    if job is None or job.is_over:
        st.rerun(scope="app")
    job.watch(visit.token)
    if job.state == "queued":
        st.progress(0.0, text=f"{work.what}: number {job.position_in_queue} in the queue")
    else:
        stage = job.progress.stage if job.progress else "starting"
        st.progress(job.fraction, text=f"{work.what}: {escape_markdown(stage)} · {seconds_text(job.seconds)}")
    if st.button("Cancel", icon=":material/stop_circle:", key=f"cancel_{work.mark}"):
        job.cancel(by=visit.token)
        st.rerun(scope="app")
