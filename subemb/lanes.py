"""A lane of :mod:`subemb.jobs.manager`: one queue, one worker process, and the thread that feeds one to the other."""

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from .jobs.worker import describe
from .worker_process import WorkerGone, WorkerProcess

if TYPE_CHECKING:
    from .jobs.manager import Job, JobManager

logger = logging.getLogger("subemb.jobs.manager")

GRACE_SECONDS = 2.0  # how long a function may take to notice a cancel before its process is killed
LONG_GRACE_SECONDS = {"adapt": 60.0}  # a step or a score is finished, and what was learned is saved


class Lane:
    """Fields are guarded by the manager's lock; the worker is read by the lane's thread alone.

    grace: seconds that a function has to notice a cancel.
    queue: jobs waiting. background: warming jobs, run when the queue is empty. warmed: function -> its
    latest warming job, and the arguments.
    current: the job that the worker has, or is still being made to leave.
    """

    def __init__(self, manager: "JobManager", name: str):
        self.name, self.grace = name, LONG_GRACE_SECONDS.get(name, GRACE_SECONDS)
        self.queue: deque[Job] = deque()
        self.background: deque[Job] = deque()
        self.warmed: dict[str, tuple[Job, dict[str, Any]]] = {}
        self.current: Job | None = None
        self.worker: WorkerProcess | None = None
        self._manager = manager
        self._changed = threading.Condition(manager.lock)
        self._thread: threading.Thread | None = None

    def add(self, job: "Job", background: bool = False) -> None:
        """Put a job last in line."""
        with self._changed:
            (self.background if background else self.queue).append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._feed, name=f"subemb-{self.name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def remove(self, job: "Job") -> None:
        """Take a waiting job out of the line."""
        for jobs in (self.queue, self.background):
            if job in jobs:
                jobs.remove(job)

    def position(self, job: "Job") -> int:
        """1 for the next in line."""
        waiting = [*self.queue, *self.background]
        return waiting.index(job) + 1 if job in waiting else 0

    def stop(self, job: "Job") -> None:
        """Make the worker leave a cancelled job; blocks up to twice ``grace`` seconds.

        The function is asked through its progress callback. One that does not answer (compiled code, a blocked read) is
        ended with its process, which is replaced.
        """
        worker = self.worker
        if worker is None:
            return
        try:
            if worker.cancel(job.number, self.grace) and job.left_worker.wait(self.grace):
                return
        except WorkerGone:
            return
        with self._changed:
            if self.current is job:
                worker.kill()

    def close(self) -> None:
        """End the worker and the thread; the manager has marked itself closed."""
        with self._changed:
            for job in [*self.queue, *self.background, *([self.current] if self.current else [])]:
                self._manager.finish(job, "cancelled")
            self.queue.clear()
            self.background.clear()
            if self.worker is not None:
                self.worker.kill()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _feed(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._run(job)
            except Exception as error:  # a defect here must not leave every later job of the lane waiting
                logger.exception("job %r", job.key)
                self._manager.finish(job, "failed", error=describe(error).text)
            with self._changed:
                self.current = None
            job.left_worker.set()
            self._drop_dead_worker()
        if self.worker is not None:
            self.worker.close()

    def _next(self) -> "Job | None":
        with self._changed:
            while not self._manager.is_closed:
                if self.queue or self.background:
                    job = self.queue.popleft() if self.queue else self.background.popleft()
                    self.current, job.state, job.started = job, "running", time.time()
                    return job
                self._changed.wait()
        return None

    def _run(self, job: "Job") -> None:
        """Run a job to its end; once more on a new worker if the old one turns out to have died before it began."""
        for last_attempt in (False, True):
            began = False
            try:
                worker = self._live_worker()
                with self._changed:
                    arguments = job.arguments
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

    def _take(self, job: "Job", message: tuple, size: int) -> bool:
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

    def _live_worker(self) -> WorkerProcess:
        self._drop_dead_worker()
        if self.worker is None:
            worker = WorkerProcess()
            with self._changed:
                self.worker = worker
                if self._manager.is_closed:
                    worker.kill()
        return self.worker

    def _report_crash(self, job: "Job", code: int) -> None:
        if job.is_over:
            return  # killed to cancel it
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        logger.error("the %s worker ended with %s during job %r\n%s", self.name, how, job.key, self.worker.last_lines())
        hint = " This often means too little memory: choose a smaller model or smaller settings." if code == -9 else ""
        self._manager.finish(job, "failed", error=f"The process doing this work ended unexpectedly ({how}).{hint} Try again.")

    def _drop_dead_worker(self) -> None:
        """Let go of a worker that ended, and warm the next one as this one was."""
        worker = self.worker
        if worker is None or worker.is_alive():
            return
        worker.close()
        with self._changed:
            self.worker = None
            lost = [(function, arguments) for function, (job, arguments) in self.warmed.items() if job.state == "done"]
            for function, arguments in lost:  # only what succeeded, lest a warming that crashes does so for ever
                del self.warmed[function]
                if not self._manager.is_closed:
                    self._manager.warm(self.name, function, arguments)


def plain_arguments(arguments: dict[str, Any] | None) -> dict[str, Any]:
    """A copy that the submitter cannot change; raises ValueError for the reserved name ``progress``."""
    if arguments and "progress" in arguments:
        raise ValueError("a job's arguments cannot contain 'progress'; the worker passes its own callback by that name")
    return dict(arguments or {})
