"""Jobs on a page: start one, watch it with progress and Cancel, show its error, read its result.

The pages that evaluate a model all do this::

    call = compare_pair.call(frame.subject, first, second)
    if st.button("Compare"):
        begin(frame.visit, call)
    result = outcome(frame.visit, call, "Comparing the sentences")
"""

import hashlib
import time
from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

from ...base.text import escape_markdown, seconds_text
from ...jobs.manager import Job, manager
from ...jobs.task import Call
from .text import show_error
from .visit import ABANDONED, Visit

QUICK_SECONDS = 1.5  # a result that comes within this time is shown without a progress bar in between
POLL_SECONDS = 0.5


def begin(visit: Visit, call: Call) -> Job:
    """Start the job, or join it. Raises InputError if too many are waiting, of this visitor or in all."""
    visit.left.discard(call.key)
    visit.automatic.discard(call.key)
    job = call.submit(visit.token)
    visit.hold(job)
    return job


def outcome(
    visit: Visit,
    call: Call,
    what: str,
    auto: bool = False,
    patience: float = QUICK_SECONDS,
    quiet: bool = False,
    is_one_of_several: bool = False,
) -> Any | None:
    """The result, if it is kept or its job is done; otherwise None, with the job's progress or error drawn.

    what: what the job does, in words. auto: start it if nobody has; for jobs of about a second, and where the page shows something
    else until then. patience: seconds that the page waits for it. quiet: whether nothing tells how far it is. is_one_of_several: in
    its place, so that an error has to say whose it is. Results are shared by all visitors: do not change them.
    """
    found = call.kept()
    if found is not None:
        visit.keep(call.store, call.key)
        return found
    job = call.job
    if job is None:
        if not auto:
            return None
        job = begin(visit, call)
        visit.automatic.add(call.key)
    if not job.is_over and call.key in visit.left:
        st.info("This is being computed for other visitors.", icon=":material/group:")
        _again(visit, call, "Wait for it too", ":material/group_add:")
        return None
    if not job.is_over:
        job.wait(patience)
    if job.state == "done":
        if call.store is None:
            visit.hold(job)
            return job.result
        found = call.kept()
        if found is None:  # computed once, but dropped from the cache since
            call.forget()
        return found
    if job.state == "failed":
        show_error(f"{what}: {job.error}" if is_one_of_several else job.error)
        _again(visit, call, "Try again", ":material/refresh:")
    elif job.state == "cancelled":
        st.info(ABANDONED if job.is_abandoned else "Stopped.", icon=":material/stop_circle:")
        _again(visit, call, "Start again", ":material/play_arrow:")
    elif not quiet:
        watch(visit, call.key, progress_of(what), f"cancel_{_mark(call)}")
    return None


def outcome_or_offer(visit: Visit, call: Call, what: str, offer: Callable[[], None]) -> Any | None:
    """Like :func:`outcome`; where nobody has started the job, ``offer()`` is drawn."""
    found = outcome(visit, call, what)
    if found is None and call.job is None:
        offer()
    return found


def _again(visit: Visit, call: Call, label: str, icon: str) -> None:
    if st.button(label, icon=icon, key=f"again_{_mark(call)}"):
        call.forget()
        begin(visit, call)
        st.rerun()


def _mark(call: Call) -> str:
    """Short text for widget keys."""
    return hashlib.sha256(repr(call.key).encode()).hexdigest()[:12]


# While a job runs


def watch(
    visit: Visit,
    key: Hashable,
    draw: Callable[[Job], None],
    button: str | None = None,
    label: str = "Cancel",
    width: str = "content",
    stop: Callable[[], None] | None = None,
    over: Callable[[Job], None] | None = None,
    every: float = POLL_SECONDS,
) -> None:
    """Draw how far a job is, again and again while it waits or runs; when it is over, draw the whole page again.

    key: of the job. draw: draws how far it is. button: widget key of a button that cancels, None for no button; label, width: of that
    button. stop: what the button does, by default stop waiting for the job. over: called when the job is over. every: seconds between
    two drawings.
    """
    st.fragment(_watch, run_every=every)(visit, key, draw, button, label, width, stop, over)


def _watch(visit: Visit, key: Hashable, draw, button, label, width, stop, over) -> None:
    job = manager().get(key)
    if job is None or job.is_over:
        if job is not None and over is not None:
            over(job)
        st.rerun(scope="app")
    job.watch(visit.token)
    visit.drawn[key] = time.monotonic()
    draw(job)
    if button is not None and st.button(label, icon=":material/stop_circle:", key=button, width=width):
        if stop is None:
            visit.leave(job)
        else:
            stop()
        st.rerun(scope="app")


def stage_of(job: Job, before: str = "starting") -> str:
    """What a job does now. before: what to say until it tells its first stage."""
    if job.state == "queued":
        return f"waiting: number {job.position_in_queue} in the queue"
    return job.progress.stage if job.progress else before


def taken_text(job: Job) -> str:
    """How long a job has run, and how long it will still take, once that can be told."""
    left = job.seconds_left
    return seconds_text(job.seconds) + (
        "" if left is None else f", about {seconds_text(max(1.0, round(left)), whole=True)} left"
    )


def progress_of(what: str) -> Callable[[Job], None]:
    """A function that draws how far a job is. what: what the job does, in words."""

    def draw(job: Job) -> None:
        if job.state == "queued":
            st.progress(0.0, text=f"{what}: number {job.position_in_queue} in the queue")
        else:
            st.progress(job.fraction, text=f"{what}: {escape_markdown(stage_of(job))} · {taken_text(job)}")

    return draw


# Jobs of other pages

_ELSEWHERE_SECONDS = 2.0  # between two looks at jobs that no part of the page draws
_WHAT = {
    "compress": "A run or comparison",
    "layout": "A map",
    "evaluate": "An evaluation or export",
    "adapt": "An adaptation",
    "sweep": "A sweep or the claims",
    "download": "A download",
}


def jobs_elsewhere(visit: Visit) -> None:
    """Name the jobs that this visitor began on another page, and keep them from being given up: they are watched from here."""
    if _began_elsewhere(visit):
        st.fragment(_elsewhere, run_every=_ELSEWHERE_SECONDS)(visit)


def _began_elsewhere(visit: Visit) -> list[Job]:
    running = visit.running[0] if visit.running else None
    return [job for job in visit.began() if job.key != running]


def _elsewhere(visit: Visit) -> None:
    now = time.monotonic()
    for job in _began_elsewhere(visit):
        job.watch(visit.token)
        if now - visit.drawn.get(job.key, 0.0) > 2 * _ELSEWHERE_SECONDS:
            what = _WHAT.get(job.lane, "Work")
            place = job.position_in_queue
            how = f"number {place} in the queue" if place else f"{100 * job.fraction:.0f} %, {taken_text(job)}"
            st.caption(f":material/hourglass: {what} of yours is under way: {how}")
