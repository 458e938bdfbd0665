"""One visitor's state in Streamlit's session: what is shown, what is running, what was run."""

import uuid
from dataclasses import dataclass, field

import streamlit as st

from ...base.errors import InputError, ModelError
from ...jobs.manager import Job, manager
from ...runs import RUNS, Run, run_and_keep
from .models import key_of
from .request import EXAMPLE, RUN_PARAMETERS, Request, from_query, to_query
from .text import write_parameter

_KEY = "subemb_visit"
ADAPTED = "adapted"  # URL parameter: key of the adaptation that is shown as a third side
_STOPPED = "Stopped. What was computed before is still here."


@dataclass
class Visit:
    """What one visitor is looking at and waiting for."""

    token: str = field(default_factory=lambda: uuid.uuid4().hex)  # who this is, for shared jobs
    shown: Request | None = None  # the run on the page, or None for the example
    shown_key: str | None = None  # key of that run, once it is known
    running: tuple[str, Request] | None = None  # key and request of the job this visitor waits for
    runs: list[str] = field(default_factory=list)  # keys of every run seen in this visit, in order
    link_problem: str | None = None  # what was wrong with the link
    notice: str | None = None  # one message to show once
    failure: str | None = None  # why the last run failed
    text: str | None = None  # given last to count tokens in; runs do not keep it
    model_to_choose: str | None = None  # the model that the sidebar is to choose next
    reset_form: bool = False  # whether the form is to start again from the run shown
    revisions: dict[str, str | None] = field(default_factory=dict)  # downloaded model -> the revision that was asked for
    adapted: str | None = None  # key of the adaptation shown as a third side

    @property
    def request(self) -> Request:
        """What is shown: the visitor's own, or the example."""
        return self.shown or EXAMPLE

    @property
    def is_example(self) -> bool:
        """Whether the page shows the example, because the visitor has not run anything yet."""
        return self.shown is None

    def check_link(self) -> None:
        """Where a link asks for settings that its model cannot have, say which; the example is shown, and the form keeps the model."""
        if self.shown is None or self.shown_key is not None:
            return
        try:
            self.shown_key, _ = key_of(self.shown)
        except ModelError:
            return  # the model is not here, or cannot be read: the page says so, and can offer to download it
        except InputError as error:
            self.link_problem = f"the link cannot be followed: {error}"
            self.model_to_choose = self.shown.model
            self.show(None)

    def current_run(self) -> Run | None:
        """The finished run on the page, or None if it has not been computed. Raises InputError for an unusable request."""
        if self.shown_key is None:
            self.shown_key, _ = key_of(self.request)
        run = RUNS.get(self.shown_key)
        if run is not None:  # the example too, to compare others with it
            self.remember(run.key)
        return run

    def shows(self, request: Request) -> bool:
        """Whether the page shows the run of a request, also where one of them gives Q and the other leaves the same Q automatic."""
        try:
            return key_of(request)[0] == (self.shown_key or key_of(self.request)[0])
        except InputError:  # the model of the run shown is gone, or was never here
            return request == self.request

    def show(self, request: Request | None, key: str | None = None) -> None:
        """Put another run on the page, and in the URL; None for the example."""
        self.shown, self.shown_key = request, key

    def remember(self, key: str) -> None:
        """Add a run to the visit's table, once."""
        if key not in self.runs:
            self.runs.append(key)

    def start(self, request: Request, text: str | None = None) -> None:
        """Start the job of a request, or join it, or show its result if it is there. Raises InputError if it cannot start."""
        key, settings = key_of(request)
        self.failure = None
        self.text = text or self.text
        if RUNS.get(key) is not None:
            self.show(request, key)
            self.remember(key)
            self.notice = "Computed before on this server, so the result is here at once."
            return
        submit_run(request, settings.to_dict(), text, self.token)
        self.running = (key, request)

    def job(self) -> Job | None:
        """The job this visitor waits for."""
        return manager().get(self.running[0]) if self.running else None

    def settle(self) -> bool:
        """If the job that the visitor waits for is over, take its outcome; True if something changed."""
        job = self.job()
        if self.running is None or (job is not None and not job.is_over):
            return False
        key, request = self.running
        self.running = None
        if job is not None and job.state == "failed":
            self.failure = job.error
        elif job is not None and job.state == "cancelled":
            self.notice = _STOPPED
        elif RUNS.get(key) is not None:
            if request != EXAMPLE or self.shown is not None:
                self.show(request, key)
                self.remember(key)
        else:
            self.failure = "the result of this run is gone; press Run again"
        return True

    def cancel(self) -> None:
        """Stop waiting; the job ends if nobody else waits for it."""
        job = self.job()
        if job is not None:
            job.cancel(by=self.token)
        self.running = None
        self.notice = _STOPPED


def submit_run(request: Request, settings: dict, text: str | None, watcher: str) -> Job:
    """The job that computes and keeps one run."""
    return run_and_keep.call(request.model, request.revision, settings, text).submit(watcher)


def this_visit() -> Visit:
    """The state of the visitor whose script runs; on first use it is read from the URL."""
    if _KEY not in st.session_state:
        visit = Visit()
        try:
            visit.shown = from_query({name: st.query_params[name] for name in RUN_PARAMETERS if name in st.query_params})
        except InputError as error:
            visit.link_problem = str(error)
        st.session_state[_KEY] = visit
    visit = st.session_state[_KEY]
    visit.adapted = st.query_params.get(ADAPTED) or visit.adapted  # a link on the page Adapt may name it during a visit
    return visit


def write_url(visit: Visit) -> None:
    """Make the URL say what the page shows. Parameters of the page itself are left alone."""
    wanted = to_query(visit.shown) if visit.shown else {}
    for name in RUN_PARAMETERS:
        write_parameter(name, wanted.get(name))
    write_parameter(ADAPTED, visit.adapted)
