"""A Dask cluster that works for subemb: finding its scheduler, looking at its workers, and flags that all of them see.

Where it is: ``--dask tcp://host:port``, or ``SUBEMB_DASK`` for the app. Needs ``pip install "subemb[cluster]"``.
"""

import contextlib
import hashlib
import logging
import os
import pickle
import time
import uuid
import warnings
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..base.errors import InputError
from ..base.paths import cache_root
from .worker import Failure, WorkerGone, describe, outcome, packed, resolve

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger("subemb.jobs.manager")
LANES_THERE = (
    "evaluate",
    "adapt",
)  # whose jobs run on a worker of the cluster; a sweep spreads its rows over all of them by itself
CONNECT_SECONDS = 5.0  # for an answer of the scheduler
WORKERS_SECONDS = 10.0  # for the first worker
START = "start one with `dask scheduler`, and `dask worker tcp://HOST:8786 --nthreads 1 --nworkers=-1` on every machine"


def cluster_address() -> str | None:
    """What ``SUBEMB_DASK`` says; None where it is not set, or empty."""
    return os.environ.get("SUBEMB_DASK", "").strip() or None


def connected(address: str, needs_workers: bool = True) -> "Client":
    """A client of the scheduler at an address such as ``tcp://10.0.0.5:8786``, whose workers have this version of subemb.

    Raises InputError, within some seconds, if Dask is not installed, nobody answers there, there is no worker, or one is of another
    version.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError('a cluster needs Dask, which is not installed here; run: pip install "subemb[cluster]"') from None
    try:
        _check_address(address)
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # TimeoutError is an OSError
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"no Dask scheduler answers at {address!r} ({why}); check the address, or {START}") from None
    try:
        if needs_workers:
            _check_workers(client, address)
    except BaseException:
        client.close()
        raise
    return client


def _check_address(address: str) -> None:
    """Raises ValueError for what is no address: a client that is made for one waits for nothing when it is thrown away."""
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme != "inproc":
        parse_host_port(place)


def check_cluster(address: str) -> None:
    """Raises InputError as :func:`connected`."""
    connected(address).close()


def _check_workers(client: "Client", address: str) -> None:
    deadline, found = time.monotonic() + WORKERS_SECONDS, {}
    while not found:
        try:
            client.wait_for_workers(1, timeout=max(0.1, deadline - time.monotonic()))
        except (TimeoutError, OSError):
            raise InputError(
                f"the Dask scheduler at {address} has no worker; start some: dask worker {address} --nthreads 1 --nworkers=-1"
            ) from None
        answers = client.run(subemb_version, on_error="return")
        # A worker that ended a moment ago is still on the scheduler's list; the others do without it.
        found = {worker: answer for worker, answer in answers.items() if not isinstance(answer, OSError)}
        if time.monotonic() > deadline:
            found = answers
    for worker, version in found.items():
        if version != __version__:
            what = f"subemb {version}" if isinstance(version, str) else f"no subemb that can be imported ({version})"
            raise InputError(f"the Dask worker {worker} has {what}; install subemb {__version__} there, as here")


def subemb_version() -> str:
    """The version of subemb on a worker."""
    from subemb import __version__

    return __version__


def workers_text(client: "Client") -> str:
    """How many workers on how many machines, in words."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    hosts = {worker["host"] for worker in workers.values()}
    threads = sum(worker["nthreads"] for worker in workers.values())
    return f"{len(workers)} Dask workers ({threads} threads) on {len(hosts)} machine{'' if len(hosts) == 1 else 's'}"


class ClusterFlag:
    """A flag that is raised here and seen by all workers; it can be pickled.

    On this side it is made with a client; on a worker it finds the worker's own.
    """

    def __init__(self, client: "Client | None" = None):
        self.name = f"subemb-{uuid.uuid4().hex}"
        self._client = client

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "_client": None}

    def raise_it(self) -> None:
        """To be called on the side that made it."""
        self._event().set()

    def clear(self) -> None:
        """Lower it, so that the scheduler forgets it."""
        self._event().clear()

    def __call__(self) -> bool:
        """Whether it is raised."""
        return self._event().is_set()

    def _event(self):
        from distributed import Event, get_client

        return Event(self.name, client=self._client or get_client())


# A job on a worker of the cluster, seen from both ends

_LISTENING_SECONDS = 0.2  # between two looks at whether a job is over
_ASKING_SECONDS = 0.3  # between two looks of a job at whether to stop
_SILENT_SECONDS = 30.0  # that the scheduler may be away
_TOKEN = ".cluster-"  # a file in the cache, by which a worker sees whether it has the same cache
_LOST = "The machine of the cluster that did this was lost, or ran out of memory, three times. Try again."


class ClusterWorker:
    """What a lane asks of a :class:`~subemb.jobs.worker.WorkerProcess`, done by whichever worker of a Dask cluster is free.

    If that worker is lost, the scheduler has another one begin anew. Progress comes through a queue on the scheduler, a cancel goes
    through a flag. What the job reads of the cache goes along, and what it keeps comes back, unless both sides have the same cache.
    Raises InputError, within seconds, if the cluster cannot be reached.
    """

    pid = own_bytes = None  # it may be on another machine

    def __init__(self, address: str):
        self.address = address
        self._client = connected(address)
        self._is_killed = False
        self._future = self._queue = self._flag = None
        self._number = 0
        self._waiting: list[tuple[tuple, int]] = []  # messages that were read and not asked for yet
        self._silent: float | None = None

    def is_alive(self) -> bool:
        """False once it was killed, or the scheduler is gone."""
        return not self._is_killed and self._client.status == "running"

    def run(self, number: int, function: str, arguments: dict[str, Any]) -> None:
        """Ask for one function; raises WorkerGone, or whatever pickling the arguments raises."""
        from distributed import Queue

        if not self.is_alive():
            raise WorkerGone
        data = bytes(packed((function, arguments)))
        work = resolve(function)
        reads, writes = work.entries(**arguments) if hasattr(work, "entries") else ([], [])
        token = f"{_TOKEN}{uuid.uuid4().hex}"
        cache_root().mkdir(parents=True, exist_ok=True)
        (cache_root() / token).touch()
        self._token = cache_root() / token
        self._writes = {(store.name, key): (store, key) for store, key in writes}
        files = {
            (store.name, key): found for store, key in reads if key is not None and (found := store.files(key)) is not None
        }
        self._number, self._flag = number, ClusterFlag(self._client)
        self._queue = Queue(f"subemb-{uuid.uuid4().hex}", client=self._client)
        with warnings.catch_warnings():  # what goes along may be some megabytes
            warnings.simplefilter("ignore")
            self._future = self._client.submit(
                run_there, number, data, files, token, self._queue.name, self._flag, pure=False, retries=0
            )

    def cancel(self, number: int, timeout: float) -> bool:
        """Ask a run to stop; raises WorkerGone."""
        if not self.is_alive():
            raise WorkerGone
        if number == self._number:
            self._flag.raise_it()
        return True

    def read(self) -> tuple[tuple, int]:
        """The next message and its size in bytes; raises WorkerGone."""
        while True:
            if self._is_killed:
                raise WorkerGone
            if self._waiting:
                return self._waiting.pop(0)
            if self._is_silent():
                self._is_killed = True
                return (
                    "failed",
                    self._number,
                    Failure(f"The Dask scheduler at {self.address} does not answer any more. Try again."),
                ), 0
            is_over = self._future.done()  # asked before the queue: what was sent before the end is read before it
            self._listen()
            if is_over and not self._waiting:
                self._waiting.append(self._last())

    def _is_silent(self) -> bool:
        if self._client.status == "running":
            self._silent = None
            return False
        self._silent = self._silent or time.monotonic()
        if time.monotonic() - self._silent < _SILENT_SECONDS:
            time.sleep(_LISTENING_SECONDS)
            return False
        return True

    def _listen(self) -> None:
        """Wait a moment for messages."""
        try:
            first = self._queue.get(timeout=_LISTENING_SECONDS)
            rest = self._queue.get(batch=True)
        except (TimeoutError, OSError, RuntimeError):  # nothing there; or the scheduler is away, which is noticed above
            return
        self._waiting += [(pickle.loads(data), len(data)) for data in (first, *rest)]

    def _last(self) -> tuple[tuple, int]:
        """The last message of a run that is over."""
        self._token.unlink(missing_ok=True)
        try:
            data, changed = self._future.result()
        except BaseException as error:  # KilledWorker, CancelledError, or a defect of what carries it
            logger.error("a job on the cluster ended with %s: %s", type(error).__name__, error)
            is_lost = type(error).__name__ in ("KilledWorker", "CancelledError", "FutureCancelledError")
            return ("failed", self._number, Failure(_LOST if is_lost else f"The cluster could not do this ({error}).")), 0
        finally:
            self._future = None
            with contextlib.suppress(Exception):
                self._queue.close()
        for name, (files, gone) in changed.items():
            store, key = self._writes[name]
            store.change_files(key, files, gone)
        return pickle.loads(data), len(data)

    def kill(self) -> None:
        """Hear no more of it; what runs stops at its next report."""
        self._is_killed = True
        with contextlib.suppress(Exception):
            if self._flag is not None:
                self._flag.raise_it()

    def close(self) -> None:
        """Leave the cluster."""
        self.kill()
        with contextlib.suppress(Exception):
            self._token.unlink(missing_ok=True)
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)

    def exit_code(self) -> int:
        """As of a process that was killed."""
        return -9

    def last_lines(self) -> str:
        """Nothing: what a worker prints, its own log has."""
        return ""


Files = dict[str, bytes]


def run_there(
    number: int, data: bytes, given: dict[tuple[str, str], Files], token: str, queue: str, flag: ClusterFlag
) -> tuple[bytes, dict[tuple[str, str], tuple[Files, list[str]]]]:
    """What a worker runs: one job. given: entries of the cache, (store, key) -> files, that it reads.

    Returns its last message, packed, and what changed of the entries that it writes: files, and names of those that are gone.
    """
    from distributed import Queue, get_client

    messages = Queue(queue, client=get_client())
    function, arguments = pickle.loads(data)
    work = resolve(function)
    reads, writes = work.entries(**arguments) if hasattr(work, "entries") else ([], [])
    has_same_cache = (cache_root() / token).exists()
    came: set[tuple[str, str]] = set()
    while not has_same_cache:
        new = [(store, key) for store, key in reads if (store.name, key) in given.keys() - came]
        if not new:
            break
        for store, key in new:
            came.add((store.name, key))
            if store.stamp(key) is None or (store, key) in writes:
                store.put_files(key, given[store.name, key])
        reads, writes = work.entries(**arguments)  # what came may name more: an adaptation names its run
    before = {} if has_same_cache else {(store.name, key): _digests(store.files(key)) for store, key in writes}
    asked, said = 0.0, False

    def is_cancelled() -> bool:
        nonlocal asked, said
        if time.monotonic() - asked >= _ASKING_SECONDS:
            asked, said = time.monotonic(), flag()
        return said

    last = outcome(number, data, lambda message: messages.put(bytes(packed(message))), is_cancelled, _ASKING_SECONDS)
    changed = {}
    for store, key in [] if has_same_cache else writes:
        files, old = store.files(key) or {}, before[store.name, key]
        new = _digests(files)
        changed[store.name, key] = (
            {name: files[name] for name in files if new[name] != old.get(name)},
            [name for name in old if name not in new],
        )
    try:
        return bytes(packed(last)), changed
    except Exception as error:
        return bytes(packed(("failed", number, describe(error)))), changed


def _digests(files: Files | None) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in (files or {}).items()}
