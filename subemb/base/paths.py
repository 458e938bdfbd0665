"""Where things lie: the pages and their assets, and what has been computed (``SUBEMB_CACHE``, or the platform's cache folder).

And how files are written so that nobody reads half of them.
"""

import contextlib
import errno
import os
import re
import uuid
from pathlib import Path

from platformdirs import user_cache_dir

from .errors import InputError
from .files import given_path


def app_folder() -> Path:
    """The folder of ``app.py``: inside the package when installed from a wheel, above it in a checkout.

    Raises InputError if it is in neither.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_app", package.parent):
        if (folder / "app.py").is_file() and (folder / "pages").is_dir():
            return folder
    raise InputError(f"the pages are missing from this installation ({package}); install subemb again")


def assets_folder(part: str) -> Path | None:
    """The folder ``assets/<part>`` of what comes with subemb ready-made; None where there is none, as in an installation without pages."""
    try:
        folder = app_folder() / "assets" / part
    except InputError:
        return None
    return folder if folder.is_dir() else None


def cache_folder(part: str) -> Path:
    """The folder ``part`` of the cache, created if need be. Raises InputError if it cannot be written."""
    folder = cache_root() / part
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the cache folder {folder} cannot be created ({error.strerror}); set SUBEMB_CACHE to a folder you can write to"
        ) from error
    return folder


def cache_folder_of(part: str, name: str, key: str) -> Path:
    """A folder in :func:`cache_folder` for what is called ``name``, a model's name or folder; by ``key`` it has no other's name.

    It need not be there.
    """
    readable = re.sub(r"[^\w.-]+", "-", Path(name).name)[:40]
    return cache_folder(part) / f"{readable}-{key[:10]}"


def cache_root() -> Path:
    """The whole cache, whether it is there or not. Raises InputError if SUBEMB_CACHE can be no path."""
    root = os.environ.get("SUBEMB_CACHE")
    if not root:
        root = user_cache_dir("subemb", appauthor=False)
    return given_path(root, "SUBEMB_CACHE")


def cannot_write(folder: Path, error: OSError) -> InputError:
    """What is said when something cannot be written into the cache: the cause, and the remedy for this cause."""
    if error.errno == errno.EROFS:
        remedy = "this disk can only be read: set SUBEMB_CACHE to a folder on one that can be written"
    elif error.errno in (errno.EACCES, errno.EPERM):
        remedy = "give the folder to the user who runs subemb (chown -R), or set SUBEMB_CACHE to a folder of that user"
    else:
        remedy = "free some space, or set SUBEMB_CACHE to a folder on another disk"
    return InputError(f"the result could not be written to {folder} ({error.strerror or error}); {remedy}")


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder that is there, and rename them into place together: a reader sees whole files only.

    Raises OSError; then no file is changed, unless the disk fails while they are renamed.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for name, content in files.items():
            staging = folder / f".{name}.{uuid.uuid4().hex}"
            staged.append((staging, folder / name))
            with staging.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for staging, target in staged:
            os.replace(staging, target)
    finally:
        for staging, _ in staged:
            with contextlib.suppress(OSError):
                staging.unlink(missing_ok=True)


def give_usual_modes(folder: Path) -> None:
    """Give all that is in a folder the modes that the umask says: what safetensors writes is for its owner alone.

    Raises OSError.
    """
    probe = folder / f".{uuid.uuid4().hex}"
    probe.mkdir()
    mode = probe.stat().st_mode & 0o777
    probe.rmdir()
    for path in folder.rglob("*"):
        path.chmod(mode if path.is_dir() else mode & 0o666)


def check_can_save(folder: Path, marker: str, what: str = "", force: bool = True) -> None:
    """Raise InputError if a result cannot be saved in a folder: better before the work than after.

    marker: a file that an older result has; with ``force`` such a folder may be written over. what: is saved, for the message,
    such as ``the head``.
    """
    saved = f"save {what} in".replace("  ", " ")
    if folder.exists():
        if not folder.is_dir():
            raise InputError(f"{folder} is a file; give the name of a folder to {saved}")
        if any(folder.iterdir()) and not (folder / marker).exists():
            raise InputError(f"the folder {folder} holds something else; give a new or empty folder to {saved}")
        if not force and (folder / marker).exists():
            raise InputError(f"{folder} holds an older result; add --force to replace it, or give another folder to {saved}")
    check_can_write(folder)


def check_can_write(folder: Path) -> None:
    """Raise InputError if nothing can be written in a folder, which may still have to be made."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written ({existing} is not a folder that you can write to); give another folder")
