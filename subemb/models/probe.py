"""Asking an architecture about itself, in a process of its own: a stranger's config may ask for a network without end.

``config.json`` can say three million layers, and building them, even without weights, takes all the time and memory there is. So the
network is built in a process that ends after so many seconds of computing or so much memory; what it found, or that it was ended, is
kept on disk by the content of the config, and not asked again. What only says that the computer was busy is not kept.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..base.errors import InputError, ModelError
from ..base.files import json_value, read_file
from ..base.plain import from_plain
from ..base.store import Memory, Store
from .architectures import ENCODERS, SIBLINGS
from .folder import name_of

CPU_SECONDS = 10  # of building, imports aside; an ordinary network takes under one
MEMORY_BYTES = 2_000_000_000  # more than the process has before it builds
_WALL_SECONDS = 240  # for a machine that is busy; then it is ended whatever it does
_MOST_CONFIG_BYTES = 10_000_000
# -P keeps the current directory off the path until the parent's own path replaces it.
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from subemb.models.probed import main; main()"
_one_at_a_time = threading.Lock()
_until: ContextVar[float | None] = ContextVar("until", default=None)  # by the monotonic clock


@dataclass(frozen=True)
class Architecture:
    """What building a network without weights tells."""

    inputs: list[str] | None = None  # names of the parameter that is the input embedding; None if it has none
    prefix: str = ""  # the network's ``base_model_prefix``
    model_type: str = ""  # as its config calls the architecture
    shapes: dict[str, list[int]] = field(default_factory=dict)  # of every parameter of the networks that were asked for
    error: str | None = None  # why it could not be built, in one line


#: What was found, by the content of the config and what decides which network is built.
ARCHITECTURES: Store[Architecture] = Store("architectures", most=300, kind=Architecture)
_known = Memory(300)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """For whoever looks at many folders: after so many seconds, no further process is started, and ModelError says so."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def architecture_of(folder: Path, classes: Collection[str] = ("AutoModel",)) -> Architecture:
    """What the networks of a folder's config are made of. classes: of transformers.

    Raises ModelError (``unsupported``) if one cannot be built: what stands in its config, or too much of everything.
    """
    try:
        config = read_file(folder / "config.json", _MOST_CONFIG_BYTES, f"config.json of {name_of(folder)}")
        key = ARCHITECTURES.key(
            config=hashlib.sha256(config).hexdigest(),
            classes=sorted(classes),
            version=version("transformers"),
            named=[ENCODERS, SIBLINGS],
        )
        found = _known.take(key, lambda: _asked(folder, key, sorted(classes)))
    except ModelError:
        raise
    except InputError as error:
        raise ModelError(str(error), "unsupported") from error
    if found.error is not None:
        raise ModelError(f"the network of {name_of(folder)} cannot be built: {found.error}", "unsupported")
    return found


def _asked(folder: Path, key: str, classes: list[str]) -> Architecture:
    found = ARCHITECTURES.get(key)
    if found is not None:
        return found
    if _until.get() is not None and time.monotonic() > _until.get():
        raise ModelError(
            f"{name_of(folder)} has to be built to be looked at, as others before it had; it is looked at when the list is made again",
            "unsupported",
        )
    with _one_at_a_time:
        found = from_plain(Architecture, ask(str(folder), classes))
    with contextlib.suppress(InputError):  # a cache that cannot be written costs another process next time
        ARCHITECTURES.put(key, found)
    return found


def ask(folder: str, classes: list[str]) -> dict[str, Any]:
    """Build in a process of its own; what it answers, as :func:`subemb.models.probed.answer` gives it."""
    path = [os.getcwd() if entry == "" else entry for entry in sys.path if isinstance(entry, str)]
    request = json.dumps({"folder": folder, "classes": classes, "seconds": CPU_SECONDS, "bytes": MEMORY_BYTES})
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _BOOT, json.dumps(path)],
            input=request.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"the network of {Path(folder).name} was not built within {_WALL_SECONDS} seconds; is this computer busy? Try again",
            "unsupported",
        ) from error
    except OSError as error:
        raise ModelError(f"no process can be started to look at {Path(folder).name} ({error.strerror}); try again") from error
    if done.returncode != 0:
        return {
            "error": f"building it takes more than {CPU_SECONDS} seconds or {MEMORY_BYTES / 1e9:.0f} GB; check the numbers in its "
            "config.json, such as those of layers and of positions"
        }
    return json_value(done.stdout, "the answer of the process that builds networks")
