"""Where things lie: the pages and their assets, and what has been computed (``SUBEMB_CACHE``, or the platform's cache folder)."""

import os
import shutil
import tempfile
from pathlib import Path

from .errors import InputError


def app_folder() -> Path:
    """The folder of ``app.py``: inside the package when installed from a wheel, above it in a checkout.

    Raises InputError if it is in neither.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_app", package.parent):
        if (folder / "app.py").is_file() and (folder / "pages").is_dir():
            return folder
    raise InputError(f"the pages are missing from this installation ({package}); install subemb again")


def cache_folder(part: str) -> Path:
    """The folder ``part`` of the cache, created if need be. Raises InputError if it cannot be written."""
    root = os.environ.get("SUBEMB_CACHE")
    if not root:
        from platformdirs import user_cache_dir

        root = user_cache_dir("subemb", appauthor=False)
    folder = Path(root).expanduser() / part
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the cache folder {folder} cannot be created ({error.strerror}); set SUBEMB_CACHE to a folder you can write to"
        ) from error
    return folder


def keep_newest(folder: Path, entries: int) -> None:
    """Delete the oldest entries (files or folders, by time of change) so that at most ``entries`` remain."""

    def changed(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:  # another process deleted it meanwhile
            return 0.0

    visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
    for path in sorted(visible, key=changed, reverse=True)[entries:]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def publish(folder: Path, name: str, write) -> Path:
    """Let ``write(path)`` fill a new folder, then give it its name in one step, so that no reader sees half of it.

    Raises InputError if the disk is full or cannot be written. If somebody else published the same name first, theirs stays.
    """
    staging = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    target = folder / name
    try:
        write(staging)
        try:
            staging.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    except OSError as error:
        raise InputError(
            f"the result could not be written to {folder} ({error.strerror}); free some space, or set SUBEMB_CACHE to a "
            "folder on another disk"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target
