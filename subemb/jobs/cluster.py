"""A Dask cluster that works for subemb: finding its scheduler, looking at its workers, and flags that all of them see.

Where it is: ``--dask tcp://host:port``, or ``SUBEMB_DASK`` for the app. Needs ``pip install "subemb[cluster]"``.
"""

import os
import uuid
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..base.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 5.0  # for an answer of the scheduler
WORKERS_SECONDS = 10.0  # for the first worker
START = "start one with `dask scheduler`, and `dask worker tcp://HOST:8786 --nthreads 1 --nworkers auto` on every machine"


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


def _check_workers(client: "Client", address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    except (TimeoutError, OSError):
        raise InputError(
            f"the Dask scheduler at {address} has no worker; start some: dask worker {address} --nthreads 1 --nworkers auto"
        ) from None
    found = client.run(subemb_version, on_error="return")
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
