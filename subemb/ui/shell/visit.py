"""What one tab of a visitor looks at, in Streamlit's session: what is shown, what is running, what was run."""

import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from threading import Thread, current_thread

import streamlit as st

from ...base.errors import InputError, ModelError
from ...base.store import Store
from ...jobs.manager import Job, manager
from ...runs import RUNS, Run, run_and_keep
from .models import key_of
from .request import EXAMPLE, RUN_PARAMETERS, Request, from_query, to_query
from .text import write_parameters
from .uploads import Content
from .visitor import Visitor, is_open, new_token, session_id, token_in_browser, visitor_of

_KEY = "subemb_visit"
ADAPTED = "adapted"  # URL parameter: key of the adaptation that is shown as a third side
ADAPTATION = "adaptation"  # URL parameter of the page Adapt: key of the adaptation that it shows
OTHER = "b"  # URL parameter: settings of the run that is compared with the one shown, in the form of a link; or ADAPTED
FIRST = "a"  # URL parameter: ADAPTED, where the adaptation takes the place of the run, on pages that show one compressed table or two
ADDRESS = (*RUN_PARAMETERS, ADAPTED, FIRST, OTHER)  # parameters of the URL that name what is shown
_STOPPED = "Stopped. What was computed before is still here."
LEFT = "Others wait for the same, so it goes on for them; you no longer wait for it."
AGAIN = "The server was started anew while your run was waiting or running; it is in line again."
LOST = "The server was started anew while your run was waiting or running. Press Run to begin again."
ABANDONED = "Nobody had watched this for a minute, so it was stopped."
STARTED = time.time()  # of this server
_MOST_HELD = 8  # results in memory, and on disk, that a tab holds, so that they are not dropped while it shows them
_IN_FLIGHT_SECONDS = 3.0  # for which a browser may still send the address that it had before


@dataclass
class Visit:
    """What one tab is looking at and waiting for."""

    visitor: Visitor = field(default_factory=lambda: Visitor(new_token()))  # whose tab it is
    shown: Request | None = None  # the run on the page, or None for the example
    shown_key: str | None = None  # key of that run, once it is known
    running: tuple[str, Request] | None = None  # key and request of the job this visitor waits for
    asked: dict[str, str] = field(default_factory=dict)  # what the link said of the page's own widgets
    dropped: dict[str, object] = field(default_factory=dict)  # of those: what a widget has that could not have it
    link_problem: str | None = None  # what was wrong with the link
    notice: str | None = None  # one message to show once
    failure: str | None = None  # why the last run failed
    text: Content | None = None  # given last to count tokens in; runs do not keep it
    model_to_choose: str | None = None  # the model that the sidebar is to choose next
    pending: tuple[Request, Content | None] | None = (
        None  # what the form asks for, and its text, where that is not what is shown
    )
    is_whole_page: bool = False  # whether the form is drawn as part of the whole page, not alone
    reset_form: bool = False  # whether the form is to start again from the run shown
    revisions: dict[str, str | None] = field(default_factory=dict)  # downloaded model -> the revision that was asked for
    adapted: str | None = None  # key of the adaptation shown as a third side
    other: str | None = None  # settings of run B, as the link has them, or ADAPTED; None where the original is compared with
    first: str | None = None  # ADAPTED, where the adaptation takes the place of the run
    leads_to: str | None = None  # a link that the browser is to follow once, see ``ui/widgets/leads.py``
    led: int = 0  # how many of these there were
    left: set[Hashable] = field(
        default_factory=set
    )  # keys of jobs that go on for others, and for which this tab no longer waits
    automatic: set[Hashable] = field(default_factory=set)  # keys of jobs that began without a press of a button
    drawn: dict[Hashable, float] = field(default_factory=dict)  # key of a job on this page -> when how far it is was last drawn
    written: dict[str, str] = field(default_factory=dict)  # what was last written to the URL of run and adaptation
    #: Those before them, when they were replaced, and by which thread.
    written_before: tuple[dict[str, str], float, Thread | None] = ({}, 0.0, None)
    form_is_usable: bool = True  # whether Run can be pressed
    held: OrderedDict[Hashable, Job] = field(default_factory=OrderedDict)  # jobs whose results were shown last
    entries: OrderedDict[tuple[str, str], Store] = field(default_factory=OrderedDict)  # kept results that were shown last

    @property
    def token(self) -> str:
        """Who this is, for shared jobs."""
        return self.visitor.token

    @property
    def runs(self) -> list[str]:
        """Keys of every run that this visitor has seen, in order."""
        return self.visitor.runs

    @property
    def request(self) -> Request:
        """What is shown: the visitor's own, or the example."""
        return self.shown or EXAMPLE

    @property
    def address(self) -> dict[str, str]:
        """The URL parameters that name the run and the adaptation on the page."""
        query = to_query(self.shown) if self.shown else {}
        more = {ADAPTED: self.adapted, FIRST: self.first, OTHER: self.other}
        return query | {name: value for name, value in more.items() if value}

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
            self.visitor.remember(run.key, is_own=not self.is_example)
            self.keep(RUNS, run.key)
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

    def open(self, request: Request, key: str | None = None) -> None:
        """Put a run on the page that was chosen anywhere but in the form, and have the form begin again from it."""
        self.link_problem = None
        self.show(request, key)
        self.reset_form = True

    def remember(self, key: str) -> None:
        """Add a run to the visit's table, once."""
        self.visitor.remember(key)

    def hold(self, job: Job) -> None:
        """Keep a job's result from being dropped as long as it is among the last that were shown."""
        _put_last(self.held, job.key, job)

    def keep(self, store: Store, key: str) -> None:
        """Keep a result on disk from being dropped as long as the tab is open, and it is among the last that were shown."""
        _put_last(self.entries, (store.name, key), store)
        store.hold(key)

    def stay(self) -> None:
        """Say that the tab is open: what it shows is not to be dropped, and the jobs that it draws or began are watched."""
        for (_, key), store in list(self.entries.items()):
            store.hold(key)
        waiting = [manager().get(key) for key in list(self.drawn)]
        for job in [*waiting, *self.began()]:
            if self.waits_for(job):
                job.watch(self.token)

    def began(self) -> list[Job]:
        """The jobs under way that this visitor began by pressing a button, and has not left."""
        return [job for job in manager().jobs_of(self.token) if job.key not in self.automatic and job.key not in self.left]

    def waits_for(self, job: Job | None) -> bool:
        """Whether a job is under way, and this tab has not left it."""
        return job is not None and not job.is_over and job.key not in self.left

    def leave(self, job: Job, onlookers_count: bool = True) -> bool:
        """Wait no longer for a job; it ends if nobody else waits for it. True if it is over now. onlookers_count: as for ``Job.cancel``."""
        self.left.discard(job.key)
        if job.cancel(by=self.token, onlookers_count=onlookers_count) or job.is_over:
            return True
        self.left.add(job.key)
        self.notice = LEFT
        return False

    def start(self, request: Request, text: Content | None = None) -> None:
        """Start the job of a request, or join it, or show its result if it is there. Raises InputError if it cannot start."""
        key, settings = key_of(request)
        self.failure = self.link_problem = None
        self.text = text or self.text
        if RUNS.get(key) is not None:
            self.show(request, key)
            self.remember(key)
            self.notice = "Computed before on this server, so the result is here at once."
            return
        submit_run(request, settings.to_dict(), text.text if text else None, self.token)
        self.running = (key, request)
        self.visitor.wait_for(key, to_query(request))

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
        self.visitor.wait_no_more(key)
        if job is not None and job.state == "failed":
            self.failure = job.error
        elif job is not None and job.state == "cancelled":
            self.notice = f"{ABANDONED} Press Run to begin again." if job.is_abandoned else _STOPPED
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
        if self.running is not None:
            self.visitor.wait_no_more(self.running[0])
        self.running = None
        self.notice = _STOPPED
        if job is not None and not job.cancel(by=self.token) and not job.is_over:
            self.notice = LEFT


def _put_last(held: OrderedDict, key: Hashable, value: Job | Store) -> None:
    held[key] = value
    held.move_to_end(key)
    while len(held) > _MOST_HELD:
        held.popitem(last=False)


def submit_run(request: Request, settings: dict, text: str | None, watcher: str) -> Job:
    """The job that computes and keeps one run."""
    return run_and_keep.call(request.model, request.revision, settings, text).submit(watcher)


def this_visit() -> Visit:
    """The state of the tab whose script runs. On first use it is read from the URL, or taken over from the tab that was loaded again."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = _first_visit()
    visit = st.session_state[_KEY]
    visit.visitor.tabs[session_id()] = visit
    visit.drawn = {}
    follow_url(visit)
    return visit


def take_adaptation() -> None:
    """Have what the page Adapt calls its adaptation in a link be the third side, on any other page."""
    key = st.query_params.get(ADAPTATION)
    if key is not None:
        write_parameters({ADAPTATION: None, ADAPTED: st.query_params.get(ADAPTED, key)})


def _first_visit() -> Visit:
    visitor = visitor_of(token_in_browser() or new_token())
    visit = Visit(visitor, written=_parameters(), adapted=st.query_params.get(ADAPTED))
    visit.other, visit.first = visit.written.get(OTHER), _first_in(visit.written)
    visit.asked = {name: value for name, value in st.query_params.items() if name not in visit.written}
    try:
        visit.shown = _request_in(visit.written)
    except InputError as error:
        visit.link_problem = str(error)
        return visit
    before = closed_tab(visitor, visit.shown)
    if before is None:
        take_up(visit)
        return visit
    before.written, before.adapted, before.other, before.first = visit.written, visit.adapted, visit.other, visit.first
    before.reset_form = False
    before.asked, before.dropped = visit.asked, {}
    return before


def take_up(visit: Visit) -> None:
    """Put the run in line again that this visitor waited for when the server was started anew. One that needs a text cannot be."""
    for key, waiting in reversed(list(visit.visitor.waiting.items())):
        if waiting.since >= STARTED:
            continue  # asked of this server: another tab waits for it, or it is over
        visit.visitor.wait_no_more(key)
        try:
            request = from_query(waiting.query)
            if request is None or RUNS.get(key) is not None:
                continue
            if request.settings.text_digest is not None:
                visit.notice = LOST
                return
            visit.start(request)
        except InputError as error:
            visit.notice = f"{LOST} {error}"
            return
        visit.notice = AGAIN
        return


def closed_tab(visitor: Visitor, address: Request | None) -> Visit | None:
    """What a tab of this visitor looked at that has been closed or loaded again, and showed the same run."""
    here = session_id()
    for session, visit in reversed(list(visitor.tabs.items())):
        if visit.shown == address and (session == here or not is_open(session)):
            visitor.tabs.pop(session, None)
            return visit
    return None


def _parameters() -> dict[str, str]:
    return {name: st.query_params[name] for name in ADDRESS if name in st.query_params}


def _first_in(parameters: dict[str, str]) -> str | None:
    return ADAPTED if parameters.get(FIRST) == ADAPTED else None


def _request_in(parameters: dict[str, str]) -> Request | None:
    return from_query({name: value for name, value in parameters.items() if name in RUN_PARAMETERS})


def follow_url(visit: Visit) -> None:
    """Show what the URL names, if it is not what was written there: a link was followed, or the browser has gone back or forward."""
    found = _parameters()
    if found == visit.written or _is_on_its_way(visit, found):
        return
    visit.failure = problem = None
    try:
        request = _request_in(found)
    except InputError as error:
        problem, request = str(error), None
    if request != visit.shown:
        visit.open(request)
    visit.link_problem = problem
    visit.adapted, visit.other, visit.first = found.get(ADAPTED), found.get(OTHER), _first_in(found)
    visit.written = found


def _is_on_its_way(visit: Visit, found: dict[str, str]) -> bool:
    """Whether the browser can have sent this address before it was told the one that is written now.

    It waits while the script runs, however long that takes: Streamlit then runs the script again in the same thread, and lets the thread
    end where nothing waits."""
    before, replaced, writer = visit.written_before
    return found == before and (time.monotonic() - replaced < _IN_FLIGHT_SECONDS or writer is current_thread())


def write_url(visit: Visit, of_page: Mapping[str, str | None] | None = None) -> None:
    """Make the URL say what the page shows, in one step. of_page: parameters of the page itself that change along; others are left alone."""
    wanted = visit.address
    write_parameters({name: wanted.get(name) for name in ADDRESS} | dict(of_page or {}))
    if wanted != visit.written:
        visit.written_before = visit.written, time.monotonic(), current_thread()
        visit.written = wanted
