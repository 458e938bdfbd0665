"""Work of jobs in a thread of the test's own process, where a test is about something else than processes.

A worker process imports torch again, for seconds. Tests of pages, of the command line and of tasks, and the server of the browser
tests, run the same functions through the same manager, lanes and pickled messages in a thread; tests/jobs and the browser test of a
first visit have real processes.
"""

import pickle
import queue
import threading
import time
from typing import Any

from subemb.base.errors import Cancelled
from subemb.base.progress import Progress
from subemb.jobs.worker import WorkerGone, describe, packed, resolve


class WorkerThread:
    """What a lane asks of a :class:`subemb.jobs.worker.WorkerProcess`, without a process.

    A thread cannot be ended from outside: killed, it is no longer listened to, and its function stops at its next report.
    """

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._is_alive = True

    @property
    def pid(self) -> int:
        """There is none: a test that sends signals asks for ``worker_processes``."""
        raise AssertionError("this job runs in a thread; a test about processes takes the fixture worker_processes")

    own_bytes = None  # the memory of the test's process

    def is_alive(self) -> bool:
        """False once it was killed."""
        return self._is_alive

    def run(self, number: int, function: str, arguments: dict[str, Any]) -> None:
        """Begin with one function; raises WorkerGone, or whatever pickling the arguments raises."""
        data = packed((function, arguments))
        if not self._is_alive:
            raise WorkerGone
        threading.Thread(target=self._run, args=(number, data), name=f"job-{number}", daemon=True).start()

    def cancel(self, number: int, timeout: float) -> bool:
        """Ask a run to stop; raises WorkerGone."""
        if not self._is_alive:
            raise WorkerGone
        self._cancelled.add(number)
        return True

    def read(self) -> tuple[tuple, int]:
        """The next message and its size in bytes; raises WorkerGone."""
        data = self._messages.get()
        if data is None:
            self._messages.put(None)  # whoever reads once more hears it too
            raise WorkerGone
        return pickle.loads(data), len(data)

    def kill(self) -> None:
        """Hear no more of it."""
        self._is_alive = False
        self._messages.put(None)

    close = kill

    def exit_code(self) -> int:
        """As of a process that was killed."""
        return -9

    def last_lines(self) -> str:
        """Nothing: what a thread prints, the tests print."""
        return ""

    def _run(self, number: int, data: bytes) -> None:
        last_sent, last_stage = 0.0, None

        def progress(message: Progress) -> bool:
            nonlocal last_sent, last_stage
            now = time.monotonic()
            if message.values or message.stage != last_stage or now - last_sent >= 0.05:  # as a process sends them
                last_sent, last_stage = now, message.stage
                self._messages.put(packed(("progress", number, message)))
            return number in self._cancelled or not self._is_alive

        self._messages.put(packed(("started", number)))
        try:
            function, arguments = pickle.loads(data)
            work = resolve(function)
            last = packed(("done", number, getattr(work, "as_job", work)(**arguments, progress=progress)))
        except Cancelled:
            last = packed(("cancelled", number))
        except BaseException as error:
            last = packed(("failed", number, describe(error)))
        self._messages.put(last)
