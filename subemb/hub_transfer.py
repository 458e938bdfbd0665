"""How a download from the hub reports its bytes, stops midway, and says what went wrong."""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .base.errors import Cancelled, ModelError
from .base.progress import ProgressCallback, report

_plain_http_lock = threading.Lock()


def megabytes(count: int) -> str:
    """Bytes in words: 1,234,567 -> ``1.2 MB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


class Counter:
    """Adds up the bytes of all files and passes them on to the progress callback."""

    def __init__(self, name: str, files: dict[str, int], progress: ProgressCallback | None):
        self.name, self.files, self.progress = name, files, progress
        self.total = sum(files.values())
        self.done = self.current = 0
        self.path = ""

    def begin(self, path: str) -> None:
        self.path, self.current = path, 0
        self._report()

    def finish(self, path: str) -> None:
        self.done += self.files[path]
        self.current = 0
        self._report()

    def add(self, count: float) -> None:
        self.current += int(count)
        self._report()

    def _report(self) -> None:
        here = self.done + min(self.current, self.files[self.path])
        stage = f"downloading {self.name}: {megabytes(here)} of {megabytes(self.total)} ({self.path})"
        fraction = here / self.total if self.total else None
        report(self.progress, stage, fraction, bytes=here, total_bytes=self.total)

    def bar_class(self) -> type:
        """A stand-in for tqdm, which huggingface_hub tells how many bytes have come."""
        counter = self

        class Bar:
            def __init__(self, *args: Any, initial: float = 0, **kwargs: Any):
                self.n = initial
                if initial:
                    counter.add(initial)

            def __enter__(self):
                return self

            def __exit__(self, *args: Any):
                pass

            def update(self, n: float | None = 1) -> None:
                self.n += n or 0
                counter.add(n or 0)

            def close(self) -> None:
                pass

            refresh = set_description = set_postfix_str = reset = lambda self, *args, **kwargs: None

        return Bar


@contextmanager
def plain_http() -> Iterator[None]:
    """Fetch over plain HTTP, one download at a time in this process.

    The hub's Xet transfer runs in threads of its own, where a download cannot be stopped midway and bytes are not counted as
    they arrive. The switch is the one behind the environment variable HF_HUB_DISABLE_XET, read by the library at each file.
    """
    from huggingface_hub import constants

    with _plain_http_lock:
        before = constants.HF_HUB_DISABLE_XET
        constants.HF_HUB_DISABLE_XET = True
        try:
            yield
        finally:
            constants.HF_HUB_DISABLE_XET = before


@contextmanager
def errors_in_words(name: str, revision: str, started: bool, what: str = "model") -> Iterator[None]:
    """Turn what huggingface_hub, its HTTP library and the disk raise into ModelError. what: ``model`` or ``data set``."""
    try:
        yield
    except (ModelError, Cancelled):
        raise
    except Exception as error:
        reason, text = _explain(error, name, revision, started, what)
        raise ModelError(text, reason) from error


def _explain(error: BaseException, name: str, revision: str, started: bool, what: str) -> tuple[str, str]:
    from huggingface_hub import errors

    causes = list(_chain(error))
    again = "try again; files that are whole are kept"
    page = f"https://huggingface.co/{'' if what == 'model' else 'datasets/'}{name}"

    def has(*kinds: type) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    status = next((cause.response.status_code for cause in causes if isinstance(cause, errors.HfHubHTTPError)), None)
    if has(errors.OfflineModeIsEnabled):
        return "offline", f"{name} is not in the local cache, and HF_HUB_OFFLINE forbids downloads; unset it to download"
    if has(errors.GatedRepoError) or status == 403:
        return "gated", (
            f"{name} is gated: accept its terms at {page}, then log in on this computer with "
            "`hf auth login` (or set HF_TOKEN) and try again"
        )
    if has(errors.RevisionNotFoundError):
        return "unknown", f"{name} has no revision {revision!r}; leave it empty for main, or look at the list on its page"
    if has(errors.RepositoryNotFoundError) or status in (401, 404):
        return "unknown", (
            f"the hub has no public {what} {name}; check the spelling, and for a private one log in with `hf auth login`"
        )
    disk = next((cause for cause in causes if getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT)), None)
    if disk is not None:
        return "disk_full", f"the disk became full while {name} was downloaded; free some space, then {again}"
    denied = next((cause for cause in causes if isinstance(cause, PermissionError)), None)
    if denied is not None:
        return "broken", f"the cache cannot be written ({denied}); set HF_HOME to a folder you can write to"
    if status is not None and not started:
        return "offline" if status >= 500 else "broken", f"the hub answered {status} for {name}; try again later"
    if started:
        return "interrupted", f"the download of {name} broke off ({_short(error)}); {again}"
    return (
        "offline",
        f"the hub cannot be reached ({_short(error)}); check the connection, or choose a {what} that is here already",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
