"""Results of evaluations on disk, so that a link shows them to others on the server, and after a restart."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import shutil
from typing import Any

from ..base.paths import cache_folder, keep_newest, publish

FORMAT = 1
KEPT_RESULTS = 100
log = logging.getLogger(__name__)


def result_key(kind: str, **what: Any) -> str:
    """Key of a result: equal for equal ``what``, which holds JSON types, tuples and dataclasses of them.

    >>> result_key("words", data="ab12", seed=0) == result_key("words", seed=0, data="ab12")
    True
    """
    text = json.dumps([FORMAT, kind, what], sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def kept_result(kind: str, key: str) -> dict[str, Any] | None:
    """A result from the cache, or None if it is not there, or cannot be read (then it can be computed again)."""
    folder = cache_folder("evaluations") / f"{kind}-{key}"
    try:
        values = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            return None
        result = values["result"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("the kept result %s cannot be read (%s); it can be computed again", folder.name, error)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    with contextlib.suppress(OSError):  # another process may just have dropped it
        os.utime(folder)  # used now: the last to be dropped
    return result


def keep_result(kind: str, key: str, values: dict[str, Any]) -> None:
    """Write a result of JSON types into the cache, in place of one of the same key; drop the oldest beyond KEPT_RESULTS."""
    folder = cache_folder("evaluations")
    text = json.dumps({"format": FORMAT, "result": values})
    shutil.rmtree(folder / f"{kind}-{key}", ignore_errors=True)  # it may be of a form that is not read any more
    publish(folder, f"{kind}-{key}", lambda path: (path / "result.json").write_text(text, encoding="utf-8"))
    keep_newest(folder, KEPT_RESULTS)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    raise TypeError(f"{value!r} cannot be part of a key")
