"""One way to declare long work: ``@task`` on the function that does it.

The declaration says in which lane it runs, what makes two calls the same work, and in which store its result is kept::

    @task(lane="evaluate", key=lambda subject, pairs, seed: (subject, pairs.digest, seed), keep=REPORTS)
    def evaluate_set(subject, pairs, seed=0, progress=None): ...

    evaluate_set(subject, pairs)                        # here and now: the kept result, or a new one, which is then kept
    call = evaluate_set.call(subject, pairs)            # the same as a job; equal calls share one job and one result
    call.kept() or call.submit(watcher).outcome()
"""

import functools
import inspect
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from ..base.errors import InputError
from ..base.progress import ProgressCallback
from ..base.store import Store, content_key
from .manager import Job, manager

Entry = tuple[Store, str]  # a store, and a key of it
Entries = Iterable[Entry]


@dataclass(frozen=True)
class Call:
    """A task with its arguments."""

    key: Hashable  # equal keys share one job and one result
    function: str  # "module:function", as a worker process finds it
    arguments: dict[str, Any]  # picklable, without ``progress``
    lane: str  # which worker process runs it
    store: Store | None = None  # where the result is kept

    def kept(self) -> Any | None:
        """The result that is kept in the store, or None. Shared: not to be changed."""
        return None if self.store is None else self.store.get(self.key)

    @property
    def job(self) -> Job | None:
        """The job, in whatever state, or None if nobody has begun it."""
        return manager().get(self.key)

    def submit(self, watcher: Hashable | None = None) -> Job:
        """Begin the job, or join it. watcher: token of the visitor who asks. Raises InputError if too many are waiting.

        A job that is done, but whose kept result has been dropped since, runs again.
        """
        job = self.job
        if job is not None and job.state == "done" and self.store is not None and self.kept() is None:
            self.forget()
        return manager().submit(self.key, self.function, self.arguments, lane=self.lane, watcher=watcher)

    def check_room(self, watcher: Hashable) -> None:
        """Raises InputError if :meth:`submit` would, so that nothing is written for a job that cannot begin."""
        job = self.job
        if job is None or job.is_over:
            manager().check_room(self.lane, watcher)

    def forget(self) -> None:
        """Drop a job that is over, so that it can run again."""
        manager().forget(self.key)


class Task:
    """A function that can be called, and submitted as a job. Made by :func:`task`."""

    def __init__(
        self,
        function: Callable[..., Any],
        lane: str,
        key: Callable[..., Any] | None,
        keep: Store | None,
        reads: "Callable[..., Entries] | None" = None,
        changes: "Callable[..., Entries] | None" = None,
    ):
        functools.update_wrapper(self, function)
        self.name = f"{function.__module__}:{function.__qualname__}"
        self.lane, self.store = lane, keep
        self._function, self._key, self._reads, self._changes = function, key, reads, changes
        self._signature = inspect.signature(function)

    def __repr__(self) -> str:
        return f"Task({self.name})"

    def __call__(self, *args: Any, **arguments: Any) -> Any:
        """The result: what is kept of an equal call, or computed here and now (and then kept, if there is a store)."""
        if self.store is None:
            return self._function(*args, **arguments)
        return self._kept_or_new(self.key(*args, **arguments), lambda: self._function(*args, **arguments))

    def as_job(self, progress: ProgressCallback | None = None, **arguments: Any) -> Any:
        """What a worker process runs. Returns the result, or only its key where the result is kept: whoever asks reads it from the store."""
        if self.store is None:
            return self._function(**arguments, progress=progress)
        key = self.key(**arguments)
        self._kept_or_new(key, lambda: self._function(**arguments, progress=progress))
        return key

    def call(self, *args: Any, **arguments: Any) -> Call:
        """This task with arguments."""
        given = self._signature.bind(*args, **arguments).arguments
        return Call(self.key(*args, **arguments), self.name, dict(given), self.lane, self.store)

    def key(self, *args: Any, **arguments: Any) -> str:
        """Key of a call: that of its job, and of the kept result."""
        bound = self._signature.bind(*args, **arguments)
        bound.apply_defaults()
        values = {name: value for name, value in bound.arguments.items() if name != "progress"}
        what = values if self._key is None else self._key(**values)
        if isinstance(what, str):
            return what
        return content_key(self.name, what) if self.store is None else self.store.key(of=what)

    def kept(self, *args: Any, **arguments: Any) -> Any | None:
        """The kept result of such a call, or None. Shared: not to be changed."""
        return self.call(*args, **arguments).kept()

    def entries(self, **arguments: Any) -> "tuple[list[Entry], list[Entry]]":
        """Entries of stores that such a call reads, and those that it makes or changes: what goes along to another machine, and comes back.

        What it changes is among what it reads, too.
        """
        reads = [] if self._reads is None else list(self._reads(**arguments))
        changes = [] if self._changes is None else list(self._changes(**arguments))
        kept = [] if self.store is None else [(self.store, self.key(**arguments))]
        return [*reads, *changes], [*changes, *kept]

    def warm(self) -> Job:
        """Have a worker process run it, without arguments, whenever its lane has nothing else to do."""
        return manager().warm(self.lane, self.name)

    def _kept_or_new(self, key: str, compute: Callable[[], Any]) -> Any:
        found = self.store.get(key)
        if found is None:
            self.store.check()
            self.store.put(key, compute())
            found = self.store.get(key)
        if found is None:
            raise InputError("the result was dropped from the cache as soon as it was there; try again")
        return found


def task(
    lane: str,
    key: Callable[..., Any] | None = None,
    keep: Store | None = None,
    reads: Callable[..., Entries] | None = None,
    changes: Callable[..., Entries] | None = None,
) -> Callable[[Callable[..., Any]], Task]:
    """Declare the function below as a task. It takes ``progress`` by name, and arguments that can be pickled.

    lane: which worker process runs it; see :mod:`subemb.jobs.manager`.
    key: takes the arguments by name, and returns what the result depends on, for :func:`~subemb.base.store.content_key`; a string is
        the key itself. Without it the result depends on all arguments.
    keep: the store that keeps the result.
    reads, changes: take the arguments by name, and return the entries (store, key) that it reads, or changes, for a lane that may run on
        another machine (:mod:`subemb.jobs.cluster`).
    """
    return lambda function: Task(function, lane, key, keep, reads, changes)
