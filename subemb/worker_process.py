"""The parent's handle on one worker process; see :mod:`subemb.jobs.worker` for the other end and the messages.

Why not ``multiprocessing``: its spawned children first import the parent's ``__main__`` again, and Streamlit puts the page's
script there while it runs, so a child would run the page. ``fork`` would copy a process full of threads. A plain subprocess
with two pipes needs neither, and no port or socket file either.
"""

import contextlib
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from typing import Any

from .jobs.worker import packed, read_bytes, write_message

logger = logging.getLogger("subemb.jobs.manager")

# -P keeps the current directory off the path until the parent's own path replaces it.
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from subemb.jobs.worker import main; main()"
_LINES_KEPT = 60


def available_cpus() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _environment() -> dict[str, str]:
    """The parent's environment, with thread counts for OpenMP, MKL and numba where none is set."""
    threads = str(available_cpus())
    return {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads} | os.environ


class WorkerGone(Exception):
    """The process has ended, or its pipe is broken."""


class WorkerProcess:
    """One running worker. Reading is for one thread; sending and killing for any."""

    def __init__(self) -> None:
        path = [os.getcwd() if entry == "" else entry for entry in sys.path if isinstance(entry, str)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
        )
        self._sending = threading.Lock()
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._drain = threading.Thread(target=self._keep_lines, daemon=True)
        self._drain.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """False once the process has ended."""
        return self._process.poll() is None

    def run(self, number: int, function: str, arguments: dict[str, Any]) -> None:
        """Ask for one function; raises WorkerGone, or whatever pickling the arguments raises."""
        self._write(b"r", number, packed((function, arguments)))

    def cancel(self, number: int, timeout: float) -> bool:
        """Ask a run to stop; False if the worker does not even read within ``timeout`` seconds. Raises WorkerGone."""
        if not self._sending.acquire(timeout=timeout):
            return False
        try:
            self._write_locked(b"c", number, b"")
        finally:
            self._sending.release()
        return True

    def read(self) -> tuple[tuple, int]:
        """The next message and its size in bytes; raises WorkerGone, or whatever unpickling raises."""
        try:
            data = read_bytes(self._process.stdout)
        except (EOFError, OSError, ValueError) as error:
            raise WorkerGone from error
        return pickle.loads(data), len(data)

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def close(self) -> None:
        """End it if it still runs, and let go of its pipes."""
        self._process.kill()
        self._process.wait()
        self._drain.join(timeout=1.0)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):  # unsent bytes for a process that is gone
                stream.close()

    def exit_code(self) -> int:
        """Wait for the end of a process whose pipe has closed; negative signal number if a signal ended it."""
        try:
            return self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def last_lines(self) -> str:
        """What it wrote to standard output and error last: for the log, when something went wrong."""
        if not self.is_alive():
            self._drain.join(timeout=1.0)
        return "\n".join(self._lines)

    def _write(self, kind: bytes, number: int, data: bytes) -> None:
        with self._sending:
            self._write_locked(kind, number, data)

    def _write_locked(self, kind: bytes, number: int, data: bytes) -> None:
        try:
            write_message(self._process.stdin, kind, number.to_bytes(8, "big"), data)
        except (OSError, ValueError) as error:
            raise WorkerGone from error

    def _keep_lines(self) -> None:
        try:
            for line in self._process.stderr:
                text = line.decode(errors="replace").rstrip()
                self._lines.append(text)
                logger.debug("worker %d: %s", self.pid, text)
        except (OSError, ValueError):
            pass  # closed under our hands at the end
