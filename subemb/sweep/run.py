"""sweep(): many settings of one model, each measured once, in processes here or on a Dask cluster."""

import contextlib
import os
import queue
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.arguments import checked
from ..base.errors import InputError, ModelError
from ..base.plain import to_plain
from ..base.progress import ProgressCallback, part_of, report
from ..base.store import Store
from ..codec.settings import CompressionSettings, settings_text
from ..codec.sizes import FLOAT_BYTES
from ..evaluate.data.pairs import PairSet
from ..evaluate.data.read import DEMO_NAME
from ..evaluate.similarity.demonstration import own_demo_pairs
from ..jobs.cluster import ClusterFlag, connected, workers_text
from ..jobs.worker import exit_with_parent
from ..models.load import opened
from ..models.model import PretrainedModel, describe
from ..runs import estimate_run_seconds
from .grid import default_grid, resolved_grid
from .known_tables import default_folder, shipped_rows
from .measure import FORMAT, Shared, keep_open, measure_row, shared_of
from .table import FAILED, SweepRow, SweepTable, read_rows, write_table

if TYPE_CHECKING:
    from distributed import Client

#: Every row that was measured, of whichever sweep, so that none is computed twice.
ROWS: Store[SweepRow] = Store("sweep-rows", format=FORMAT, most=4000, kind=SweepRow)
_WRITING_SECONDS = 2.0  # between two writings of the table
_LISTENING_SECONDS = 0.2  # between two looks at whether to stop
_LEAVING_SECONDS = 30.0  # that rows may take to notice that they are to stop
_ROUNDS = 3  # in which rows are tried that were lost with their process
_BASE_BYTES, _TABLES = 500_000_000, 10  # of one process: libraries, and how many times the table a method holds in memory
_SHARED_SHARE = 0.1  # of the progress


@checked
def sweep(
    model: PretrainedModel | str | os.PathLike,
    grid: Sequence[CompressionSettings] | None = None,
    data: PairSet | Sequence[PairSet] | None = None,
    *,
    text: str | None = None,
    folder: str | os.PathLike | None = None,
    dask: str | None = None,
    processes: int | None = None,
    retry: bool = False,
    progress: ProgressCallback | None = None,
) -> SweepTable:
    """Compress a model's table with every setting of a grid and measure each result, once.

    model: as its authors made it, or a name as :func:`subemb.load` takes it; a table in memory has no scores.
    grid: settings; None takes :func:`~subemb.sweep.grid.default_grid`, 40 over all methods.
    data: labelled pairs on which each setting is scored and compared with the original; None takes the demonstration pairs in the
        model's own languages, () no pairs at all.
    text: for token weights that count it. folder: of the table (``sweep.parquet``, ``sweep.csv``); by default one in the cache. It
        grows as rows come, and a sweep that was stopped goes on from there: a row that is known is not computed again.
    dask: address of a Dask scheduler, whose workers then compute. processes: here; by default as many as there are cores and memory for.
    retry: compute rows again that failed.
    progress: hears of every new row (``row`` among its values).

    Raises InputError for a grid, data or a cluster that cannot be used, ModelError, Cancelled: what was finished is kept.
    """
    began = time.perf_counter()
    model = opened(model)
    pairs, notes, is_demo = _sets(model, data)
    if processes is not None and processes < 1:
        raise InputError(f"{processes} processes compute nothing; give at least 1")
    if grid is not None and not len(grid):
        raise InputError("the grid has no settings; give at least one, or None for the default grid")
    client = None if dask is None else connected(dask)  # a wrong address is told before any work
    try:
        if grid is None:
            grid = default_grid(model.num_tokens, model.dim, has_network=model.has_network and model.has_tokenizer)
        wanted = resolved_grid(grid, model, text)
        fitting = [settings for settings, problem in wanted.items() if not problem]
        report(progress, "preparing what all settings share", 0.0)
        part = part_of(progress, 0.0, _SHARED_SHARE)
        try:
            shared = shared_of(_checked_model(model, pairs), fitting, pairs, text, part)
        except ModelError as error:  # nobody asked for scores
            if not is_demo:
                raise
            pairs, is_demo, notes = (), False, (f"No scores: {error}",)
            shared = shared_of(model, fitting, (), text, part)
        place = default_folder(model, shared) if folder is None else Path(folder)
        work = _Work(model, shared, wanted, place, retry, progress)
        work.table = replace(
            work.table,
            sets=tuple(_set_facts(ready, one, is_demo) for ready, one in zip(shared.sets, pairs, strict=True)),
            notes=notes,
        )
        work.run(client, processes)
    finally:
        if client is not None:
            client.close()
    report(progress, "done", 1.0)
    return replace(work.table, seconds=time.perf_counter() - began)


def _sets(
    model: PretrainedModel, data: PairSet | Sequence[PairSet] | None
) -> tuple[tuple[PairSet, ...], tuple[str, ...], bool]:
    """The labelled sets, what is to be said about them, and whether they are the demonstration set."""
    if data is not None:
        sets = (data,) if isinstance(data, PairSet) else tuple(data)
        names = [one.name for one in sets]
        return tuple(
            replace(one, name=f"{one.name} ({number})") if names.count(one.name) > 1 else one
            for number, one in enumerate(sets, 1)
        ), (), False  # fmt: skip
    if not model.has_network or not model.has_tokenizer:
        return (), ("There is no network to score sentences with: settings are compared by their errors.",), False
    found, languages = own_demo_pairs(model)
    note = (
        f"No data was given: scores are of the {len(found)} pairs of the {DEMO_NAME.lower()} in the model's own languages "
        f"({', '.join(languages)}), material to try things with; give a labelled set for numbers to rely on."
    )
    return (found,), (note,), True


def _checked_model(model: PretrainedModel, pairs: Sequence[PairSet]) -> PretrainedModel:
    if pairs and (model.original is not None or model.folder is None):
        what = "a table in memory" if model.folder is None else "made of another model"
        raise InputError(
            f"{model.name} is {what}, which other processes cannot open to score sentences; give the name of a model, or data=()"
        )
    return model


def _set_facts(ready: Any, pairs: PairSet, is_demo: bool) -> dict[str, Any]:
    return {
        "name": ready.name,
        "task": ready.task,
        "metric": ready.metric,
        "pairs": len(pairs),
        "digest": ready.digest,
        "original": ready.original,
        "is_demonstration": is_demo,
        "languages": list(dict.fromkeys(pairs.languages)),
        "format": pairs.format,
        "skipped": pairs.skipped_count,
        "notes": [note.to_dict() for note in pairs.notes],
    }


def estimate_row_seconds(settings: CompressionSettings, vocabulary: int, dim: int) -> float:
    """Rough seconds of one row on two cores: the run, and its scores on some hundred pairs. Raises InputError as resolve does."""
    return estimate_run_seconds(settings, vocabulary, dim) + 1.0


# The work


class _Work:
    """The rows of one sweep: those that are known, and those that are being computed."""

    def __init__(
        self,
        model: PretrainedModel,
        shared: Shared,
        wanted: dict[CompressionSettings, str],
        folder: Path,
        retry: bool,
        progress: ProgressCallback | None,
    ):
        self.model, self.shared, self.progress = model, shared, progress
        digests = tuple(one.digest for one in shared.sets)

        def belongs(row: SweepRow) -> bool:
            return shared.key(row.settings) == row.key

        self.rows = read_rows(folder, belongs)
        shipped = {} if set(map(shared.key, wanted)) <= set(self.rows) else shipped_rows(model)
        self.todo: dict[str, CompressionSettings] = {}
        for settings, problem in wanted.items():
            key = shared.key(settings)
            if problem:
                self.rows[key] = SweepRow(key, settings, model.name, digests, FAILED, problem)
                continue
            known = self.rows.get(key)
            if known is None or (retry and not known.is_done):
                known = ROWS.get(key) or shipped.get(key)
            if known is None:
                self.rows.pop(key, None)
                self.todo[key] = settings
            else:
                self.rows[key] = known
        self.order = [*(shared.key(settings) for settings in wanted), *self.rows]
        self.costs = {key: estimate_row_seconds(one, model.num_tokens, model.dim) for key, one in self.todo.items()}
        self.written = 0.0
        self.table = SweepTable(
            describe(model),
            self._ordered(),
            weights=shared.measured_with,
            neighbours_sample=len(shared.near.ids),
            original_bytes=FLOAT_BYTES * model.num_tokens * model.dim,
            folder=folder,
            how="nothing had to be computed",
        )

    def _ordered(self) -> tuple[SweepRow, ...]:
        return tuple(self.rows[key] for key in dict.fromkeys(self.order) if key in self.rows)

    def take(self, row: SweepRow) -> None:
        """Keep a row that has come, and tell of it."""
        self.rows[row.key] = row
        if row.is_done:
            ROWS.put(row.key, row)
        self.table = replace(self.table, rows=self._ordered(), computed=self.table.computed + row.is_done)
        if time.monotonic() - self.written > _WRITING_SECONDS:
            self.write()
        self.say(settings_text(row.settings), row=to_plain(row.flat()))

    def say(self, what: str = "", **values: Any) -> None:
        """How far it is. Raises Cancelled."""
        total = sum(self.costs.values()) or 1.0
        share = sum(cost for key, cost in self.costs.items() if key in self.rows) / total
        stage = f"{sum(key in self.rows for key in self.costs)} of {len(self.costs)} settings" + (f": {what}" if what else "")
        report(self.progress, stage, _SHARED_SHARE + (1 - _SHARED_SHARE) * share, **values)

    def write(self) -> None:
        """Write the table as it is."""
        write_table(self.table.folder, self.table)
        self.written = time.monotonic()

    def run(self, client: "Client | None", processes: int | None) -> None:
        """Compute what is missing. Raises Cancelled, and InputError if the cluster is lost; what was finished is kept."""
        try:
            if self.todo:
                pool = (
                    _Here(self.shared, self.model, processes, len(self.todo)) if client is None else _There(self.shared, client)
                )
                self.table = replace(self.table, how=pool.how)
                with contextlib.closing(pool):
                    self._rounds(pool)
        finally:
            self.write()

    def _rounds(self, pool: "_Pool") -> None:
        """Compute all rows; those that were lost with their process once more, at last each by itself."""
        self.say()
        for number in range(_ROUNDS):
            missing = self._missing()
            if not missing:
                return
            is_last = number == _ROUNDS - 1
            for part in [[one] for one in missing] if is_last else [missing]:
                lost = pool.compute(part, self, is_last)
                if lost and len(part) == 1:
                    self.take(SweepRow(part[0][1], part[0][0], self.model.name, (), FAILED, lost))

    def _missing(self) -> list[tuple[CompressionSettings, str]]:
        """Longest first, so that no core is left with a long one at the end."""
        return sorted(
            ((settings, key) for key, settings in self.todo.items() if key not in self.rows),
            key=lambda pair: -self.costs[pair[1]],
        )


class _Pool:
    """Where rows are computed."""

    how: str  # in words
    stop: Callable[[], bool]  # given to every row
    client: "Client | None" = None

    def __init__(self, shared: Shared):
        self.shared = shared

    def results(self, wanted: list[tuple[CompressionSettings, str]], apart: bool) -> Iterator[SweepRow | None]:
        """Rows as they come; None for those that were stopped. apart: never in this process, which must not be lost with them."""
        raise NotImplementedError

    def raise_stop(self) -> None:
        """Have all rows that are being computed stop."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises InputError if nothing more can come."""

    def close(self) -> None:
        """Nothing more is wanted."""

    def compute(self, wanted: list[tuple[CompressionSettings, str]], work: _Work, apart: bool) -> str:
        """Give every row that comes to ``work``, in this thread. apart: see :meth:`results`.

        Returns why some did not come, or "". Raises what ``work`` raises.
        """
        found: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def listen() -> None:  # a thread of its own, since waiting for a row must not keep anybody from stopping
            try:
                for row in self.results(wanted, apart):
                    found.put(row)
                found.put("")
            except BaseException as error:
                found.put(_why(error))

        listener = threading.Thread(target=listen, name="subemb-sweep-rows", daemon=True)
        listener.start()
        try:
            while True:
                try:
                    item = found.get(timeout=_LISTENING_SECONDS)
                except queue.Empty:
                    self.check()
                    work.say()
                    continue
                if isinstance(item, SweepRow):
                    work.take(item)
                elif isinstance(item, str):
                    return item
        except BaseException:
            self.raise_stop()
            work.progress = None
            end = time.monotonic() + _LEAVING_SECONDS
            while listener.is_alive() and time.monotonic() < end:  # what is finished by now is kept
                with contextlib.suppress(queue.Empty):
                    item = found.get(timeout=_LISTENING_SECONDS)
                    if isinstance(item, SweepRow):
                        work.take(item)
            raise


def _why(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return (
        "the process that computed this ended unexpectedly, often for want of memory: choose smaller settings, or fewer processes "
        f"({type(error).__name__}: {text})"
    )


class _Here(_Pool):
    """Processes of this machine."""

    def __init__(self, shared: Shared, model: PretrainedModel, processes: int | None, rows: int):
        super().__init__(shared)
        import joblib

        cores = joblib.cpu_count()
        table = FLOAT_BYTES * model.num_tokens * model.dim
        each = _BASE_BYTES + _TABLES * table + FLOAT_BYTES * (model.parameters or 0)
        room = max(1, int(0.8 * _available_memory() // each))
        self.model = model
        self.processes = min(rows, processes or min(cores, room))
        self.threads = max(1, cores // self.processes) if self.processes > 1 else _own_threads()
        self._folder = Path(tempfile.mkdtemp(prefix="subemb-sweep-"))
        self.stop = FileFlag(str(self._folder / "stop"))
        kept = " (there is memory for no more)" if processes is None and room < min(cores, rows) else ""
        self.how = f"{self.processes} process{'' if self.processes == 1 else 'es'} with {self.threads} thread{'' if self.threads == 1 else 's'} each here{kept}"

    def results(self, wanted: list[tuple[CompressionSettings, str]], apart: bool) -> Iterator[SweepRow | None]:
        from joblib import Parallel, delayed, parallel_config

        count = max(2, self.processes)  # joblib computes in this process where only one is wanted
        if self.processes == 1 and not apart:
            if self.shared.sets:
                keep_open(self.model)
            for settings, key in wanted:
                yield measure_row(settings, key, self.shared, self.stop)
            return
        # Arrays over 1 MB are written to files once, which all processes map; "c": what is written to them stays their own.
        how = {"inner_max_num_threads": self.threads, "mmap_mode": "c", "max_nbytes": "1M", "idle_worker_timeout": 20}
        with parallel_config(backend="loky", n_jobs=count, **how):
            yield from Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=2 * count)(
                delayed(_in_a_process)(settings, key, self.shared, self.stop) for settings, key in wanted
            )

    def raise_stop(self) -> None:
        self.stop.raise_it()

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class _There(_Pool):
    """Workers of a Dask cluster."""

    def __init__(self, shared: Shared, client: "Client"):
        super().__init__(shared)
        self.client, self.stop = client, ClusterFlag(client)
        self.how = workers_text(client)
        self._lost: float | None = None  # since when the scheduler is not to be reached

    def results(self, wanted: list[tuple[CompressionSettings, str]], apart: bool) -> Iterator[SweepRow | None]:
        from joblib import Parallel, delayed, parallel_config

        with parallel_config(backend="dask", client=self.client, scatter=[self.shared]):
            yield from Parallel(return_as="generator_unordered", batch_size=1, n_jobs=-1)(
                delayed(measure_row)(settings, key, self.shared, self.stop) for settings, key in wanted
            )

    def check(self) -> None:
        if self.client.status == "running":
            self._lost = None
            return
        self._lost = self._lost or time.monotonic()
        if time.monotonic() - self._lost > _LEAVING_SECONDS:
            raise InputError(
                "the Dask scheduler has not answered for half a minute; the rows so far are kept: start it again, and give the same "
                "command once more"
            )

    def raise_stop(self) -> None:
        if self.client.status == "running":
            self.stop.raise_it()

    def close(self) -> None:
        if self.client.status == "running":
            self.stop.clear()


@dataclass(frozen=True)
class FileFlag:
    """A flag that all processes of a machine see: a file that is there or not."""

    path: str

    def raise_it(self) -> None:
        """To be seen by all."""
        with contextlib.suppress(OSError):  # its folder is gone when nobody looks any more
            Path(self.path).touch()

    def __call__(self) -> bool:
        """Whether it is raised; also when its folder is gone with whoever made it."""
        return os.path.exists(self.path) or not os.path.isdir(os.path.dirname(self.path))


def _in_a_process(*row: Any) -> SweepRow | None:
    """:func:`measure_row` in a process of its own, which ends with the one that began it, and leaves Ctrl-C to that."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _watch_parent()
    return measure_row(*row)


_watching = threading.Event()


def _watch_parent() -> None:
    if not _watching.is_set():
        _watching.set()
        threading.Thread(target=exit_with_parent, args=(os.getppid(),), daemon=True).start()


def _own_threads() -> int:
    import torch

    return torch.get_num_threads()


def _available_memory() -> float:
    """Bytes that programs may still take, as Linux tells; infinity where it is not known."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return 1024.0 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return float("inf")
