"""A worker process, seen from both ends: :class:`WorkerProcess` is what the manager holds, :class:`Worker` is what runs inside.

It runs one function at a time and reports over its own pipes.

Messages are pickles with a length in front (and, towards the worker, a kind and a number, see ``Worker._listen``). Pickle is
safe here: both ends are this program, and the pipe is private to them. Files and what a visitor sends are never unpickled.

Manager to worker: run job NUMBER, with ("module:function", arguments); cancel job NUMBER.
Worker to manager: ``("started", number)``, ``("progress", number, Progress)``, then one of ``("done", number, result)``,
``("cancelled", number)``, ``("failed", number, Failure)``.
"""

import contextlib
import faulthandler
import io
import json
import logging
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO

from ..base.errors import Cancelled, InputError, ModelError
from ..base.memory import own_bytes, release_memory
from ..base.open_server import defect_text, is_public, reference
from ..base.pace import SLEEPING_THREADS
from ..base.progress import Progress

logger = logging.getLogger("subemb.jobs.manager")
_LENGTH = struct.Struct(">Q")
_SECONDS_BETWEEN_MESSAGES = 0.05  # for messages without values; those with values are never dropped
_SECONDS_BETWEEN_PARENT_CHECKS = 2.0
_SECONDS_BEFORE_REST = 0.5  # without work, after which memory is given back: one job may follow another at once
# -P keeps the current directory off the path until the parent's own path replaces it.
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from subemb.jobs.worker import main; main()"
_LINES_KEPT = 60  # of what a worker writes to standard output and error, for the log


# The manager's side


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

    @property
    def own_bytes(self) -> int | None:
        """Memory that it holds; None where that is not known."""
        return own_bytes(self.pid)

    def is_alive(self) -> bool:
        """False once the process has ended."""
        return self._process.poll() is None

    def run(self, number: int, function: str, arguments: dict[str, Any]) -> None:
        """Ask for one function; raises WorkerGone, or whatever pickling the arguments raises."""
        self._write(b"r", number, packed((function, arguments)))

    def cancel(self, number: int, timeout: float) -> bool:
        """Ask a run to stop; False if the worker has not read the message within ``timeout`` seconds. Raises WorkerGone."""
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
        """End it if it still runs, and close its pipes."""
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
            pass  # the pipe is closed when the process ends


def available_cpus() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _environment() -> dict[str, str]:
    """The parent's environment, with thread counts for OpenMP, MKL and numba, and how threads wait, where that is not set."""
    threads = str(available_cpus())
    counts = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    return counts | SLEEPING_THREADS | os.environ


# The worker's side


def main() -> None:
    """Use standard input and output for messages, and keep libraries that print away from both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end this process notices
    faulthandler.enable()
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    Worker(incoming, outgoing).serve()


class Worker:
    """Runs jobs in the main thread (numba's thread pool wants one caller) while another thread reads the parent's messages."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO):
        self._incoming = incoming
        self._outgoing = outgoing
        self._runs: queue.SimpleQueue = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._sending = threading.Lock()  # a function may report from several threads of its own, as downloads do

    def serve(self) -> None:
        """Run each job that comes; the process ends when the parent's end of the pipe closes."""
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=exit_with_parent, args=(os.getppid(),), daemon=True).start()
        number, data = self._runs.get()
        while True:
            self._send(("started", number))
            self._send_last(number, self._outcome(number, data))
            del data
            number, data = self._next_run()

    def _next_run(self) -> tuple[int, memoryview]:
        """What is to be done next; while there is nothing, what the last job leaves in memory is given back."""
        try:
            return self._runs.get(timeout=_SECONDS_BEFORE_REST)
        except queue.Empty:
            release_memory()
            return self._runs.get()

    def _listen(self) -> None:
        while True:
            try:
                data = read_bytes(self._incoming)
            except (EOFError, OSError):
                os._exit(0)  # the parent is gone, and nobody waits for the result
            # One byte in front tells the kinds apart, so that unpickling arguments, which may import torch, happens in the
            # main thread and a cancel is heard meanwhile.
            number = int.from_bytes(data[1:9], "big")
            if data[:1] == b"c":
                self._cancelled.add(number)
            else:
                self._runs.put((number, memoryview(data)[9:]))

    def _outcome(self, number: int, data: bytes) -> tuple:
        return outcome(number, data, self._send, lambda: number in self._cancelled)

    def _send(self, message: tuple) -> None:
        try:
            with self._sending:
                write_message(self._outgoing, packed(message))
        except (OSError, ValueError):
            os._exit(0)

    def _send_last(self, number: int, message: tuple) -> None:
        try:
            data = packed(message)
        except Exception as error:
            data = packed(("failed", number, describe(error)))
        del message
        try:
            with self._sending:
                write_message(self._outgoing, data)
        except (OSError, ValueError):
            os._exit(0)
        self._cancelled.discard(number)


def exit_with_parent(parent: int) -> None:
    """End this process with its parent, even if another child of the parent has inherited the pipe and keeps it open."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_PARENT_CHECKS)
    os._exit(0)


def outcome(
    number: int,
    data: bytes | memoryview,
    send: Callable[[tuple], None],
    is_cancelled: Callable[[], bool],
    least_seconds: float = _SECONDS_BETWEEN_MESSAGES,
) -> tuple:
    """Run a packed (function, arguments). Returns the job's last message; those before it go through ``send``.

    least_seconds: between two messages that have no values and the same stage; others are never dropped.
    """
    last_sent, last_stage = 0.0, None

    def progress(message: Progress) -> bool:
        nonlocal last_sent, last_stage
        now = time.monotonic()
        if message.values or message.stage != last_stage or now - last_sent >= least_seconds:
            last_sent, last_stage = now, message.stage
            send(("progress", number, message))
        return is_cancelled()

    try:
        function, arguments = pickle.loads(data)
        work = resolve(function)
        return ("done", number, getattr(work, "as_job", work)(**arguments, progress=progress))
    except Cancelled:
        return ("cancelled", number)
    except BaseException as error:  # SystemExit of a careless library must not end the worker either
        return ("failed", number, describe(error))


def resolve(name: str):
    """The function called ``"module:function"``; raises ValueError, ImportError or AttributeError."""
    module, _, function = name.partition(":")
    if not function:
        raise ValueError(f"a job's function is named 'module:function', not {name!r}")
    return getattr(import_module(module), function)


@dataclass(frozen=True)
class Failure:
    """Why a function failed."""

    text: str  # for a person
    is_input: bool = False  # whether the user can put it right
    reason: str | None = None  # of a ModelError
    details: str = ""  # a traceback for the log; empty for a user's error


def describe(error: BaseException) -> Failure:
    """What to tell a person about an exception, and what to log."""
    if isinstance(error, InputError):
        return Failure(str(error), is_input=True, reason=error.reason if isinstance(error, ModelError) else None)
    details = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError) or "not enough memory" in str(error) or "out of memory" in str(error):
        return Failure("There is not enough memory for this. Choose a smaller model or smaller settings.", details=details)
    if is_public():
        number = reference()
        return Failure(defect_text(number), details=f"{number}\n{details}")
    text = " ".join(str(error).split())[:200]
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return Failure(f"This failed unexpectedly ({what}). The full report is in the log.", details=details)


# Messages


def packed(message: Any) -> memoryview:
    """A message as bytes, without its length."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump(message)
    return buffer.getbuffer()


def write_message(stream: BinaryIO, *parts: bytes | memoryview) -> None:
    """Send packed bytes, length first; raises OSError or ValueError if the other end is gone."""
    stream.write(_LENGTH.pack(sum(len(part) for part in parts)))
    for part in parts:
        stream.write(part)
    stream.flush()


def read_bytes(stream: BinaryIO) -> bytes:
    """The next packed message; raises EOFError when the other end is gone."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(header)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


class _Pickler(pickle.Pickler):
    """Sends a torch tensor as the numbers it shows.

    Left alone, torch sends the whole storage behind a view, and its own multiprocessing queues pass file descriptors of
    shared memory, which end with the worker that made them.
    """

    def reducer_override(self, value: Any):
        if type(value).__module__ == "torch" and type(value).__name__ == "Tensor":
            plain = value.device.type == "cpu" and not value.requires_grad and value.layout == sys.modules["torch"].strided
            if plain and str(value.dtype) != "torch.bfloat16":
                return _tensor_from, (value.contiguous().resolve_conj().resolve_neg().numpy(),)
        return NotImplemented


def _tensor_from(array):
    import torch

    return torch.from_numpy(array)
