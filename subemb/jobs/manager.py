"""Long work: one job per key, in worker processes; progress, cancel, queue, bounded.

>>> job = manager().submit(("compress", identity, settings), "module:function", {...}, lane="compress")   # doctest: +SKIP
>>> job.state, job.progress.stage, job.position_in_queue                                                  # doctest: +SKIP
('running', 'k-means', 0)

A lane is a first-in first-out queue with persistent worker processes of its own: one, so that two jobs of a lane never run at once,
or as many as ``WORKERS`` says. Workers that have nothing to do stay, warm for the next job, as long as they hold no more than
``MOST_IDLE_BYTES`` together. The function named is called as ``function(**arguments, progress=callback)``. Equal keys share one job
and one result, whoever asked first; therefore **results are shared and must not be changed**.

Jobs belong to visitors. Each who shows a job calls ``job.watch(token)`` now and then (a page's polling fragment does).
``job.cancel(by=token)`` stops the job only if nobody else has watched it lately; otherwise it only forgets this visitor.
``job.cancel()`` without a token stops it for everybody. A job that nobody has watched for ``WATCHING_SECONDS`` leaves the queue, or
stops; one that was submitted without a watcher goes on to its end. In each lane a visitor may have ``RUNNING_EACH`` jobs that run and
``QUEUED_EACH`` that wait.
"""

import atexit
import itertools
import logging
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from ..base.errors import Cancelled, InputError, ModelError
from ..base.progress import Progress, seconds_left
from ..base.text import seconds_text
from .cluster import LANES_THERE, ClusterWorker, cluster_address
from .worker import WorkerGone, WorkerProcess, describe

logger = logging.getLogger("subemb.jobs.manager")
LANES = ("compress", "layout", "evaluate", "adapt", "sweep", "download")
GRACE_SECONDS = 2.0  # how long a function may take to notice a cancel before its process is killed
LONG_GRACE_SECONDS = {
    "adapt": 60.0,
    "sweep": 40.0,
}  # lane -> longer: a step or a score is finished first, and what was learned is saved
WORKERS = {"download": 3}  # lane -> worker processes, where one slow job must not hold up the others; elsewhere one
LIMIT_SECONDS = {"download": 1800.0}  # lane -> how long a job may run in all
GOES_ON_UNTIL_VALUES = (
    "adapt",
)  # lanes whose jobs save what there is when stopped: unwatched, they go on until there is something
WATCHING_SECONDS = 60.0  # after so long without a word from a visitor, nobody watches for them
LEFT_SECONDS = 5.0  # of two jobs that wait for one visitor, the one not watched for so long gives way to a new one
CLUSTER_SECONDS = 60.0  # after which a cluster is asked for again that could not be reached
SWEEP_SECONDS = 5.0  # between two looks for jobs that nobody watches, or that take too long
MOST_IDLE_BYTES = 3 * 2**29  # of memory that workers without a job may hold together; beyond, those idle longest end
_BESIDE_OTHERS = 2 / 3  # of that while a job runs, which wants memory too
_REST_SECONDS = 2.0  # after a job, in which a worker gives memory back
RUNNING_EACH, QUEUED_EACH = 1, 2  # jobs of one visitor in one lane
HISTORY_LIMIT = 1000  # messages with values that a job keeps
_numbers = itertools.count(1)


class JobFailed(RuntimeError):
    """A job failed through no fault of its input; the text is for a person, the full report is in the log."""


class Job:
    """One piece of work. Attributes are for reading, from any thread at any time.

    ``key``, ``function`` and ``lane`` are as submitted.
    """

    def __init__(
        self,
        manager: "JobManager",
        key: Hashable,
        function: str,
        arguments: dict[str, Any],
        lane: "Lane",
        watcher: Hashable | None = None,
    ):
        self.key = key
        self.function = function
        self.lane = lane.name
        self.state = "queued"  # then running, done, failed or cancelled (at once when asked, even if the worker needs longer)
        self.progress: Progress | None = None  # the last message
        self.result: Any = None  # what the function returned; shared: do not change it
        self.result_bytes = 0  # size of the message that brought the result
        self.error: str | None = None  # what went wrong, for a person
        self.is_input_error = False  # whether the user can put it right
        self.error_reason: str | None = None  # the ``reason`` of a ModelError
        self.is_abandoned = False  # whether it was cancelled because nobody watched it any more
        self.notice = ""  # why it runs here and not on the cluster that was asked for; part of every stage
        self.started: float | None = None  # ``time.time()`` when it began to run
        # For the lane:
        self.number = next(_numbers)
        self.arguments: dict[str, Any] | None = arguments
        self.left_worker = threading.Event()
        self.began: float | None = None  # when it began to run, by the manager's clock
        self._manager = manager
        self._in_lane = lane
        self._ended: float | None = None
        self._history: list[Progress] = []
        self._watchers: dict[Hashable, float] = {}  # token -> when it was seen last, by the manager's clock
        self._askers: set[Hashable] = set()  # tokens of those who asked for it and have not left
        self._last_watched = None if watcher is None else manager.clock()  # None: it needs no watcher
        self._over = threading.Event()

    def __repr__(self) -> str:
        return f"Job({self.key!r}, {self.state})"

    @property
    def is_over(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self._over.is_set()

    @property
    def history(self) -> list[Progress]:
        """Every Progress with values, in order, so that a late visitor draws the whole curve.

        At most HISTORY_LIMIT of them: beyond that every second one is dropped, but never the last.
        """
        with self._manager.lock:
            return list(self._history)

    @property
    def fraction(self) -> float:
        """Share of the work done, from 0 to 1, as a progress bar wants it: 0.0 while it is not known."""
        known = self.progress.fraction if self.progress else None
        return min(1.0, max(0.0, known or 0.0))

    @property
    def seconds(self) -> float:
        """How long it has run, or ran; 0.0 before it starts."""
        return 0.0 if self.started is None else (self._ended or time.time()) - self.started

    @property
    def seconds_left(self) -> float | None:
        """How long it will still take by the pace that it had; None as long as that cannot be told."""
        return seconds_left(self.seconds, self.progress.fraction if self.progress else None)

    @property
    def position_in_queue(self) -> int | None:
        """0 while running, 1 for the next of its lane and so on; None when over."""
        with self._manager.lock:
            return None if self.is_over else self._in_lane.position(self)

    @property
    def watchers(self) -> set[Hashable]:
        """Tokens of those who watched it lately; see WATCHING_SECONDS."""
        oldest = self._manager.clock() - self._manager.watching_seconds
        with self._manager.lock:
            self._watchers = {token: seen for token, seen in self._watchers.items() if seen >= oldest}
            return set(self._watchers)

    @property
    def askers(self) -> set[Hashable]:
        """Tokens of those who asked for it, and have not left it since."""
        with self._manager.lock:
            return set(self._askers)

    @property
    def is_unwatched(self) -> bool:
        """Whether it needs somebody who watches it, and nobody has lately."""
        with self._manager.lock:
            watched = self._last_watched
            return watched is not None and self._manager.clock() - watched > self._manager.watching_seconds

    def seconds_since_watched(self, token: Hashable) -> float:
        """How long ago this visitor watched it; infinity if they never did."""
        with self._manager.lock:
            return self._manager.clock() - self._watchers[token] if token in self._watchers else float("inf")

    def watch(self, token: Hashable) -> None:
        """Say that a visitor looks at this job; to be repeated while they do."""
        with self._manager.lock:
            self._watchers[token] = self._manager.clock()
            if self._last_watched is not None:
                self._last_watched = self._watchers[token]

    def ask(self, token: Hashable | None) -> None:
        """Say that a visitor wants this job; None for somebody who does not watch, so that it goes on to its end."""
        with self._manager.lock:
            if token is None:
                self._last_watched = None
            else:
                self._askers.add(token)
                self.watch(token)

    def unwatch(self, token: Hashable) -> None:
        """Say that a visitor no longer looks; the job goes on, for a while."""
        with self._manager.lock:
            self._watchers.pop(token, None)

    def cancel(self, by: Hashable | None = None, onlookers_count: bool = True) -> bool:
        """Ask to stop; True if the job is now cancelled, False if others still watch it or it was over already.

        onlookers_count: whether those count who watch it without having asked for it.
        """
        with self._manager.lock:
            if by is not None:
                self.unwatch(by)
                self._askers.discard(by)
                if self.watchers if onlookers_count else self.watchers & self._askers:
                    return False
            return self._manager.cancel(self)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over; False if ``timeout`` seconds passed first."""
        return self._over.wait(timeout)

    def outcome(self, timeout: float | None = None) -> Any:
        """Wait and return the result; raises InputError or ModelError, JobFailed, Cancelled, or TimeoutError."""
        if not self.wait(timeout):
            raise TimeoutError(f"{self!r} is not over after {timeout} s")
        if self.state == "cancelled":
            raise Cancelled("cancelled")
        if self.state == "failed":
            if self.error_reason is not None:
                raise ModelError(self.error, self.error_reason)
            raise (InputError if self.is_input_error else JobFailed)(self.error)
        return self.result

    def note(self, message: Progress) -> None:
        """Record a message of the worker."""
        if self.notice:
            message = replace(message, stage=f"{message.stage} ({self.notice})")
        with self._manager.lock:
            self.progress = message
            if message.values:
                self._history.append(message)
                if len(self._history) > HISTORY_LIMIT:
                    self._history = self._history[:-1:2] + self._history[-1:]

    def end(self, state: str, **values: Any) -> None:
        """Record the outcome."""
        for name, value in values.items():
            setattr(self, name, value)
        self.state, self._ended, self.arguments = state, time.time(), None
        self._over.set()


class JobManager:
    """Named lanes, and the results of what they ran.

    lanes: names; each gets a worker process at its first job.
    max_queued: jobs that may wait in one lane; one more is refused with InputError.
    max_entries, max_bytes: finished jobs kept, least recently asked for dropped first; bytes are ``Job.result_bytes``. The
        newest is always kept, and so is one that somebody holds: a page finds what it shows as long as it holds the Job.
    watching_seconds: see WATCHING_SECONDS. workers, limit_seconds: see WORKERS, LIMIT_SECONDS. most_idle_bytes: see
        MOST_IDLE_BYTES. clock: seconds that only grow.
    """

    def __init__(
        self,
        lanes: tuple[str, ...] = LANES,
        max_queued: int = 64,
        max_entries: int = 32,
        max_bytes: int = 2**30,
        watching_seconds: float = WATCHING_SECONDS,
        workers: dict[str, int] = WORKERS,
        limit_seconds: dict[str, float] = LIMIT_SECONDS,
        most_idle_bytes: int = MOST_IDLE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.lock = threading.RLock()
        self.is_closed = False
        self.watching_seconds, self.clock = watching_seconds, clock
        self._workers, self._limit_seconds, self._most_idle_bytes = workers, limit_seconds, most_idle_bytes
        self._lanes = {name: Lane(self, name, workers.get(name, 1)) for name in lanes}
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._held: weakref.WeakValueDictionary[Hashable, Job] = weakref.WeakValueDictionary()  # also those dropped from _jobs
        self._sweeper: threading.Thread | None = None
        self._closing = threading.Event()
        self._max_queued, self._max_entries, self._max_bytes = max_queued, max_entries, max_bytes
        atexit.register(self.close)

    def submit(
        self,
        key: Hashable,
        function: str,
        arguments: dict[str, Any] | None = None,
        lane: str = LANES[0],
        watcher: Hashable | None = None,
    ) -> Job:
        """The job of this key: the one that is waiting, running or done, or else (none, failed, cancelled) a new one.

        function: ``"module:function"``, importable in a fresh process. arguments: picklable, without ``progress``.
        watcher: token of the visitor who asks, as for ``Job.watch``; None for somebody who does not watch.
        Raises InputError as :meth:`check_room`.
        """
        with self.lock:
            job = self._known(key)
            if job is None or job.state in ("failed", "cancelled"):
                in_lane = self._open_lane(lane)
                self.check_room(lane, watcher)
                job = Job(self, key, function, plain_arguments(arguments), in_lane, watcher)
                job.ask(watcher)
                in_lane.add(job)
            else:
                job.ask(watcher)
            self._jobs[key] = self._held[key] = job
            self._jobs.move_to_end(key)
            self._watch_over()
            return job

    def check_room(self, lane: str, watcher: Hashable | None = None) -> None:
        """Raises InputError if one more job of this visitor would be refused, because they or all together have too many waiting.

        To be asked before anything is written for a job. Jobs that wait for this visitor alone, but on none of their pages any more,
        give way.
        """
        with self.lock:
            in_lane = self._open_lane(lane)
            if in_lane.waiting_of(watcher) >= QUEUED_EACH:
                for job in [*in_lane.queue]:
                    if job.askers == {watcher} and job.seconds_since_watched(watcher) > LEFT_SECONDS:
                        job.is_abandoned = True
                        self.cancel(job)
            if in_lane.waiting_of(watcher) >= QUEUED_EACH:
                raise InputError(
                    f"{QUEUED_EACH} jobs of yours are waiting for their turn already; wait until one of them begins, or cancel one"
                )
            waiting = len(in_lane.queue)
            if waiting >= self._max_queued:
                raise InputError(f"busy: {waiting} jobs are waiting already; try again when some of them are done")

    def get(self, key: Hashable) -> Job | None:
        """The job of this key if there is one, in whatever state; starts nothing."""
        with self.lock:
            if key in self._jobs:
                self._jobs.move_to_end(key)
            return self._known(key)

    def _known(self, key: Hashable) -> Job | None:
        return self._jobs.get(key) or self._held.get(key)

    def jobs_of(self, token: Hashable) -> list[Job]:
        """The jobs that wait or run, and for which this visitor asked, the oldest first."""
        with self.lock:
            open_jobs = [job for lane in self._lanes.values() for job in lane.open_jobs()]
            return sorted((job for job in open_jobs if token in job.askers), key=lambda job: job.number)

    def forget(self, key: Hashable) -> None:
        """Drop what is known of a finished job."""
        with self.lock:
            job = self._known(key)
            if job is not None and job.is_over:
                self._jobs.pop(key, None)
                self._held.pop(key, None)

    def sweep(self) -> None:
        """Cancel jobs that nobody watches any more, and end those that have run longer than their lane allows.

        A thread does this every SWEEP_SECONDS.
        """
        with self.lock:
            for lane in self._lanes.values():
                limit = self._limit_seconds.get(lane.name)
                for job in lane.open_jobs():
                    has_begun = lane.name not in GOES_ON_UNTIL_VALUES or job.state == "queued" or job.history
                    if job.is_unwatched and has_begun:
                        job.is_abandoned = True
                        self.cancel(job)
                    elif limit is not None and job.began is not None and self.clock() - job.began > limit:
                        self._end(
                            job,
                            "failed",
                            error=f"This took longer than {seconds_text(limit)}, the most that one {lane.name} may take, and was "
                            "stopped; try again later. Files that are whole are kept.",
                            is_input_error=True,
                        )

    def make_room(self) -> None:
        """End workers that have no job, the one idle longest first, while all that have none hold more than MOST_IDLE_BYTES together.

        While another works they may hold less; while none does, the last of them stays. Done with every sweep, and before a job runs.
        """
        with self.lock:
            if self.is_closed:
                return
            now, seats = self.clock(), [seat for lane in self._lanes.values() for seat in lane.seats]
            # What a worker held during its job says nothing: it is about to give that back.
            idle = [
                seat for seat in seats if seat.current is None and seat.worker is not None and now - seat.rests > _REST_SECONDS
            ]
            idle.sort(key=lambda seat: seat.rests)
            held = {seat: seat.worker.own_bytes or 0 for seat in idle}
            is_quiet, left = all(seat.current is None for seat in seats), []
            most = self._most_idle_bytes * (1 if is_quiet else _BESIDE_OTHERS)
            for seat in idle[:-1] if is_quiet else idle:
                if sum(held.values()) <= most:
                    break
                left.append(seat.leave())
                del held[seat]
        for worker in left:
            worker.close()

    def _watch_over(self) -> None:
        """Have a thread sweep now and then, from the first job on."""
        if self._sweeper is None:
            self._sweeper = threading.Thread(target=self._sweep_now_and_then, name="subemb-sweep", daemon=True)
            self._sweeper.start()

    def _sweep_now_and_then(self) -> None:
        while not self._closing.wait(min(SWEEP_SECONDS, self.watching_seconds)):
            for look in (self.sweep, self.make_room):
                try:
                    look()
                except Exception:  # a defect here must not leave later jobs unwatched
                    logger.exception("looking for jobs that nobody watches, and workers without one")

    def warm(self, lane: str, function: str, arguments: dict[str, Any] | None = None) -> Job:
        """Run a function whenever the lane has nothing else to do, to have its worker ready.

        A second call returns the same job. A worker that replaces a dead one is warmed again.
        """
        with self.lock:
            in_lane = self._open_lane(lane)
            job, _ = in_lane.warmed.get(function, (None, None))
            if job is None or job.state in ("failed", "cancelled"):
                job = Job(self, ("warm", function), function, plain_arguments(arguments), in_lane)
                in_lane.warmed[function] = job, job.arguments
                in_lane.add(job, background=True)
            return job

    def worker_pid(self, lane: str) -> int | None:
        """Process id of a lane's (first) worker, or None while it has none."""
        seats = self._open_lane(lane).seats
        worker = seats[0].worker if seats else None
        return worker.pid if worker is not None and worker.is_alive() else None

    def close(self) -> None:
        """Cancel everything and end the workers; called at exit."""
        with self.lock:
            self.is_closed = True
        self._closing.set()
        for lane in self._lanes.values():
            lane.close()
        atexit.unregister(self.close)

    def cancel(self, job: Job) -> bool:
        """What ``Job.cancel`` does once nobody else watches."""
        with self.lock:
            return self._end(job, "cancelled")

    def _end(self, job: Job, state: str, **values: Any) -> bool:
        """End a job from outside, whether it waits or runs; False if it was over."""
        if job.is_over:
            return False
        was_running = job.state == "running"
        self.finish(job, state, **values)
        lane = self._lanes[job.lane]
        if was_running:
            threading.Thread(target=lane.stop, args=(job,), daemon=True).start()
        else:
            lane.remove(job)
        return True

    def finish(self, job: Job, state: str, **values: Any) -> None:
        """For lanes: record an outcome, unless the job was cancelled meanwhile, and drop results that are too many."""
        with self.lock:
            if job.is_over:
                return
            job.end(state, **values)
            over = [other for other in self._jobs.values() if other.is_over and other is not job]
            count, size = len(over) + 1, sum(other.result_bytes for other in over) + job.result_bytes
            for other in over:
                if count <= self._max_entries and size <= self._max_bytes:
                    break
                del self._jobs[other.key]
                count, size = count - 1, size - other.result_bytes

    def _open_lane(self, name: str) -> "Lane":
        if self.is_closed:
            raise RuntimeError("this job manager is closed")
        if name not in self._lanes:
            raise ValueError(f"there is no lane {name!r}; lanes are {', '.join(self._lanes)}")
        return self._lanes[name]


_shared: JobManager | None = None
_shared_lock = threading.Lock()


def manager() -> JobManager:
    """The one manager of this process: Streamlit runs pages again and again, but imports this module once."""
    global _shared
    with _shared_lock:
        if _shared is None or _shared.is_closed:
            _shared = JobManager()
        return _shared


def close_manager() -> None:
    """End the workers of :func:`manager`, if it was used; the next call makes new ones."""
    with _shared_lock:
        used = _shared
    if used is not None:
        used.close()


def plain_arguments(arguments: dict[str, Any] | None) -> dict[str, Any]:
    """A copy that the submitter cannot change; raises ValueError for the reserved name ``progress``."""
    if arguments and "progress" in arguments:
        raise ValueError("a job's arguments cannot contain 'progress'; the worker passes its own callback by that name")
    return dict(arguments or {})


class Lane:
    """A queue and its worker processes. Fields are guarded by the manager's lock.

    most: worker processes at once; one more is started where a job would wait and there are fewer.
    """

    def __init__(self, manager: JobManager, name: str, most: int = 1):
        self.name = name
        self.grace = LONG_GRACE_SECONDS.get(name, GRACE_SECONDS)  # seconds that a function has to notice a cancel
        self.queue: deque[Job] = deque()  # jobs waiting
        self.background: deque[Job] = deque()  # warming jobs, run when the queue is empty
        self.warmed: dict[str, tuple[Job, dict[str, Any]]] = {}  # function -> its latest warming job, and the arguments
        self.seats: list[Seat] = []
        self.changed = threading.Condition(manager.lock)
        self._manager, self._most = manager, most

    def add(self, job: Job, background: bool = False) -> None:
        """Put a job last in line."""
        with self.changed:
            (self.background if background else self.queue).append(job)
            idle = sum(seat.current is None for seat in self.seats)
            if len(self.seats) < self._most and idle < len(self.queue) + len(self.background):
                self.seats.append(Seat(self._manager, self))
            self.changed.notify_all()

    def remove(self, job: Job) -> None:
        """Take a waiting job out of the line."""
        for jobs in (self.queue, self.background):
            if job in jobs:
                jobs.remove(job)

    def position(self, job: Job) -> int:
        """1 for the next in line."""
        waiting = [*self.queue, *self.background]
        return waiting.index(job) + 1 if job in waiting else 0

    def open_jobs(self) -> list[Job]:
        """Those that run or wait; of warming jobs only one that runs."""
        return [*self._running(), *self.queue]

    def take(self) -> Job | None:
        """The next job that may run, taken out of the line: nobody has more than RUNNING_EACH of a lane, if others wait or not."""
        for job in self.queue:
            if not job.askers or any(self._running_of(token) < RUNNING_EACH for token in job.askers):
                self.queue.remove(job)
                return job
        return self.background.popleft() if self.background else None

    def waiting_of(self, token: Hashable | None) -> int:
        """How many jobs of a visitor wait, one that is about to begin aside; 0 for None."""
        waiting = sum(token in job.askers for job in self.queue)
        free = self._most - sum(seat.current is not None for seat in self.seats)
        return max(0, waiting - max(0, min(free, RUNNING_EACH - self._running_of(token))))

    def _running(self) -> list[Job]:
        return [seat.current for seat in self.seats if seat.current is not None and not seat.current.is_over]

    def _running_of(self, token: Hashable | None) -> int:
        return sum(token in job.askers for job in self._running())

    def stop(self, job: Job) -> None:
        """Make the worker of a job give it up."""
        with self.changed:
            seat = next((seat for seat in self.seats if seat.current is job), None)
        if seat is not None:
            seat.stop(job)

    def close(self) -> None:
        """End the workers and their threads; the manager has marked itself closed."""
        with self.changed:
            for job in [*self.open_jobs(), *self.background]:
                self._manager.finish(job, "cancelled")
            self.queue.clear()
            self.background.clear()
            for seat in self.seats:
                if seat.worker is not None:
                    seat.worker.kill()
            self.changed.notify_all()
        for seat in self.seats:
            seat.thread.join(timeout=5.0)


class Seat:
    """One worker process of a lane, and the thread that feeds it. The worker is read by that thread alone."""

    def __init__(self, manager: JobManager, lane: Lane):
        self.current: Job | None = None  # the job that the worker runs, or is being made to give up
        self.worker: WorkerProcess | ClusterWorker | None = None
        self.rests = 0.0  # since when it has no job, by the manager's clock
        self._notice, self._tried = "", 0.0  # why it works here though a cluster is asked for, and when that was found out
        self._manager, self._lane, self._changed = manager, lane, lane.changed
        self.thread = threading.Thread(target=self._feed, name=f"subemb-{lane.name}-{len(lane.seats)}", daemon=True)
        self.thread.start()

    def stop(self, job: Job) -> None:
        """Make the worker give up a cancelled job; this takes up to twice the lane's ``grace`` seconds.

        The function is asked through its progress callback. If it does not answer (compiled code, a blocked read), its process is
        ended and replaced.
        """
        worker = self.worker
        if worker is None:
            return
        try:
            if worker.cancel(job.number, self._lane.grace) and job.left_worker.wait(self._lane.grace):
                return
        except WorkerGone:
            return
        with self._changed:
            if self.current is job:
                worker.kill()

    def leave(self) -> "WorkerProcess | ClusterWorker":
        """Let the worker go, which has no job; the next job gets a new one, as the first did. For whoever holds the manager's lock."""
        worker, self.worker = self.worker, None
        # The next one is not warm: whoever wants it warm finds that out by asking again.
        self._lane.warmed = {name: known for name, known in self._lane.warmed.items() if known[0].state != "done"}
        return worker

    def _feed(self) -> None:
        while self._serve():
            pass
        if self.worker is not None:
            self.worker.close()

    def _serve(self) -> bool:
        """Run the next job; False when the manager is closed. No job is held while waiting for the next one."""
        job = self._next()
        if job is None:
            return False
        try:
            self._manager.make_room()
            self._run(job)
        except Exception as error:  # a defect here must not leave every later job of the lane waiting
            logger.exception("a job of the lane %s", job.lane)
            self._manager.finish(job, "failed", error=describe(error).text)
        with self._changed:
            self.current, self.rests = None, self._manager.clock()
            self._changed.notify_all()  # another job of the same visitor may begin
        job.left_worker.set()
        self._drop_dead_worker()
        return True

    def _next(self) -> Job | None:
        with self._changed:
            while not self._manager.is_closed:
                job = self._lane.take()
                if job is not None:
                    self.current, job.state, job.started, job.began = job, "running", time.time(), self._manager.clock()
                    return job
                self._changed.wait()
        return None

    def _run(self, job: Job) -> None:
        """Run a job to its end. If the worker turns out to have died before it began, run it once more on a new one."""
        for last_attempt in (False, True):
            began = False
            try:
                worker = self._live_worker()
                with self._changed:
                    arguments, job.notice = job.arguments, self._notice
                if arguments is None:
                    return  # cancelled just before it was sent
                worker.run(job.number, job.function, arguments)
                del arguments
                while True:
                    message, size = worker.read()
                    began = True
                    if message[1] == job.number and self._take(job, message, size):
                        return
            except WorkerGone:
                code = self.worker.exit_code()
                if began or last_attempt or job.is_over:
                    self._report_crash(job, code)
                    return

    def _take(self, job: Job, message: tuple, size: int) -> bool:
        """Record one message; True if it was the last of its job."""
        kind, _, *content = message
        if kind == "progress":
            job.note(*content)
        elif kind == "done":
            self._manager.finish(job, "done", result=content[0], result_bytes=size)
        elif kind == "cancelled":
            self._manager.finish(job, "cancelled")
        elif kind == "failed":
            failure = content[0]
            if failure.details and not job.is_over:
                logger.error("job %r failed\n%s", job.key, failure.details)
            self._manager.finish(
                job, "failed", error=failure.text, is_input_error=failure.is_input, error_reason=failure.reason
            )
        return kind not in ("started", "progress")

    def _live_worker(self) -> "WorkerProcess | ClusterWorker":
        self._drop_dead_worker()
        before = self.worker
        if before is None or (self._notice and time.monotonic() - self._tried > CLUSTER_SECONDS):
            worker = self._cluster_worker() or before or WorkerProcess()
            with self._changed:
                self.worker = worker
                if self._manager.is_closed:
                    worker.kill()
            if before not in (None, worker):
                before.close()
        return self.worker

    def _cluster_worker(self) -> ClusterWorker | None:
        """A worker on the cluster of ``SUBEMB_DASK`` for the lanes that go there; None otherwise, and why not is in ``_notice``."""
        address, self._notice = cluster_address(), ""
        if address is not None and self._lane.name in LANES_THERE:
            try:
                return ClusterWorker(address)
            except InputError as error:
                logger.warning("the lane %s works here: %s", self._lane.name, error)
                self._notice, self._tried = f"on this computer, because {error}", time.monotonic()
        return None

    def _report_crash(self, job: Job, code: int) -> None:
        if job.is_over:
            return  # killed to cancel it
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        logger.error("the %s worker ended with %s during job %r\n%s", self._lane.name, how, job.key, self.worker.last_lines())
        hint = " This often means too little memory: choose a smaller model or smaller settings." if code == -9 else ""
        self._manager.finish(job, "failed", error=f"The process doing this work ended unexpectedly ({how}).{hint} Try again.")

    def _drop_dead_worker(self) -> None:
        """Drop a worker that has ended, and warm the next one as this one was."""
        worker = self.worker
        if worker is None or worker.is_alive():
            return
        worker.close()
        with self._changed:
            self.worker = None
            lost = [(function, arguments) for function, (job, arguments) in self._lane.warmed.items() if job.state == "done"]
            for function, arguments in lost:  # only what succeeded: a warming that crashes is not tried again
                del self._lane.warmed[function]
                if not self._manager.is_closed:
                    self._manager.warm(self._lane.name, function, arguments)
