"""``subemb runs``: the kept runs, those that pages and ``subemb compare`` find again; list, filter, delete."""

import argparse
import datetime
import sys
from typing import Any

from ..base.errors import InputError
from ..base.text import columns_text, one_line, percent_text, size_text
from ..codec.methods import METHODS
from ..codec.settings import settings_text
from ..runs import RUNS, Run, kept_keys
from .terminal import print_json

_KEY = 8  # characters of a key that are shown


def add(commands) -> None:
    command = commands.add_parser(
        "runs",
        help="list, filter and delete kept runs",
        description="List the runs that were kept (those of the pages), the last used first. With --delete those that are listed are "
        "deleted, after a question.",
    )
    command.add_argument("keys", nargs="*", metavar="KEY", help="only these: keys, or how they begin")
    command.add_argument("--model", metavar="NAME", help="only of models whose name contains this")
    command.add_argument("--method", choices=tuple(METHODS), help="only of this method")
    command.add_argument("--delete", action="store_true", help="delete what is listed")
    command.add_argument("--yes", action="store_true", help="with --delete: do not ask")
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """List, and delete if that is asked for."""
    if given.yes and not given.delete:
        raise InputError("--yes answers the question of --delete; give both")
    wanted = None if not given.keys else [key for begin in given.keys for key in _known(begin, kept_keys(begin))]
    found = []
    for key in list(RUNS) if wanted is None else dict.fromkeys(wanted):
        one = RUNS.get(key, is_use=False)
        if one is None or (given.model and given.model.lower() not in str(one.model.get("name")).lower()):
            continue
        if given.method in (None, one.settings.method):
            found.append(one)
    deleted = given.delete and bool(found) and _is_sure(given, found)
    for one in found if deleted else ():
        RUNS.drop(one.key)
    if given.json:
        print_json({"runs": [_facts(one) for one in found], "deleted": deleted})
        return 0
    if found and not (given.delete and not deleted):
        print(runs_text(found))
    if given.delete:
        print(f"{_count(found)} deleted." if deleted else "Nothing was deleted.")
    elif not found:
        print("No run is kept." if not (given.keys or given.model or given.method) else "No kept run is like that.")
    return 0


def _known(begin: str, keys: list[str]) -> list[str]:
    if not keys:
        raise InputError(f"no kept run has a key that begins with {begin!r}; `subemb runs` lists them")
    return keys


def _is_sure(given: argparse.Namespace, found: list[Run]) -> bool:
    """Ask, unless ``--yes``. Raises InputError where nobody can answer."""
    if given.yes:
        return True
    if not sys.stdin.isatty():
        raise InputError(f"{_count(found)} would be deleted, and there is no terminal to ask on; add --yes")
    print(runs_text(found), file=sys.stderr)
    print(f"Delete {_count(found)}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _count(found: list[Run]) -> str:
    return f"{len(found)} run{'' if len(found) == 1 else 's'}"


def _facts(one: Run) -> dict[str, Any]:
    return {
        "key": one.key,
        "model": one.model,
        "settings": one.settings.to_dict(),
        "total_bytes": one.size.total_bytes,
        "share": one.size.total_share,
        "quality": one.quality,
        "used": None if (used := _used(one)) is None else used.isoformat(timespec="seconds"),
    }


def _used(one: Run) -> datetime.datetime | None:
    """When it was made or shown last."""
    try:
        return datetime.datetime.fromtimestamp(RUNS.path(one.key).stat().st_mtime).astimezone()
    except OSError:
        return None


def runs_text(found: list[Run]) -> str:
    """One line a run."""
    rows = [["KEY", "MODEL", "SETTINGS", "BYTES", "OF TABLE", "ERROR", "NEIGHBOURS", "USED"]]
    for one in found:
        used = _used(one)
        rows.append(
            [
                one.key[:_KEY],
                one_line(str(one.model.get("name"))),
                settings_text(one.settings),
                size_text(one.size.total_bytes),
                percent_text(one.size.total_share),
                f"{one.quality['relative_error']:.3f}",
                percent_text(one.quality["neighbours_kept"]),
                "" if used is None else used.strftime("%Y-%m-%d %H:%M"),
            ]
        )
    return columns_text(rows, right=(3, 4, 5, 6))
