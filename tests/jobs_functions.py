"""Functions that tests of jobs run in worker processes, and a job that keeps a lane busy."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from subemb.base.errors import InputError, ModelError
from subemb.base.progress import report
from subemb.base.store import Store
from subemb.jobs.manager import GRACE_SECONDS, manager
from subemb.jobs.task import task


def double(value, progress):
    report(progress, "doubling", 0.5, iteration=1, error=0.25)
    return 2 * value


def count_call(path, seconds, progress):
    """Leaves one byte in a file for every time it runs."""
    with Path(path).open("a") as file:
        file.write("x")
    time.sleep(seconds)
    return len(Path(path).read_text())


def pid(progress):
    return os.getpid()


HELD = []  # what this process keeps in memory


def hold(megabytes, progress):
    HELD.append(b"x" * (megabytes * 10**6))
    return os.getpid()


def leave_garbage(megabytes, progress):
    garbage = [b"x" * 1000 + bytes([number % 256]) for number in range(megabytes * 1000)]
    garbage.append(garbage)
    return os.getpid()


def wait_for_file(path, progress):
    """Runs, reporting, until the file appears."""
    step = 0
    while not Path(path).exists():
        step += 1
        report(progress, "waiting", None, iteration=step)
        time.sleep(0.01)
    return step


@contextmanager
def busy(lane: str, folder: Path) -> Iterator[Path]:
    """A lane is busy with something else, so that what is started waits, until the file given is there or the block is left."""
    go = folder / "go"
    job = manager().submit(f"busy {folder}", "jobs_functions:wait_for_file", {"path": str(go)}, lane=lane)
    yield go
    go.touch()
    job.wait(60)


def stuck(path, progress):
    """Makes a file after its last report, when nothing but the end of its process can stop it, and hangs."""
    report(progress, "about to hang")
    Path(path).touch()
    time.sleep(600)


def save_late(begun, saved, progress):
    """Takes longer to notice a cancel than a function of another lane may, and saves then."""
    Path(begun).touch()
    time.sleep(GRACE_SECONDS + 1)
    try:
        report(progress, "a step")
    finally:
        Path(saved).touch()


def fail_input(progress):
    raise InputError("rank 9 is more than 8; choose 1 to 8")


def fail_model(progress):
    raise ModelError("no such model: x", "unknown")


def fail_defect(progress):
    return {}["missing"]


def fail_memory(progress):
    raise MemoryError


def exit_now(progress):
    print("last words", file=sys.stderr, flush=True)
    os._exit(3)


def system_exit(progress):
    sys.exit("careless library")


def kill_self(progress):
    os.kill(os.getpid(), signal.SIGKILL)


def noisy(progress):
    print("to standard output")
    os.write(1, b"raw bytes to descriptor 1\n")
    return sys.stdin.read()


def unpicklable(progress):
    return lambda: None


def big_tensor(megabytes, progress):
    import torch

    return torch.arange(megabytes * 2**18, dtype=torch.int32).view(torch.float32)


def view_of_big_tensor(progress):
    import torch

    return torch.arange(2**22)[:10]


def echo(value, progress):
    return value


def many_messages(count, progress):
    for step in range(count):
        report(progress, "iterating", step / count, iteration=step)


def many_empty_messages(count, progress):
    for step in range(count):
        report(progress, "iterating", step / count)


def threads(progress):
    return {name: os.environ[name] for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}


SQUARED = []  # what this process has computed


@task(lane="evaluate")
def declared_double(value, progress=None):
    """Twice the value."""
    report(progress, "doubling", 0.5)
    return 2 * value


@task(lane="evaluate", keep=Store("squares", in_memory=4))
def declared_square(number, power=2, progress=None):
    report(progress, "squaring", 0.5)
    if number > 100:
        raise InputError(f"{number} is too large")
    SQUARED.append(number)
    return {"square": number**power}
