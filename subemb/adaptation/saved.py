"""The compact folder of an adapted model: what its table is now, and every weight of the network that changed.

``config.json`` and ``subspace_embedding.safetensors`` are the saved form of the table (:mod:`subemb.codec.storage`), so that
``SubspaceEmbedding.from_pretrained`` reads the folder too. Beside them, if weights of the network were trained,
``changed_weights.safetensors``: name -> float32 tensor. ``config.json`` has the additional facts ``model`` (where the other weights
come from), ``changed_weights`` (``sha256``, and name -> shape) and ``adaptation``.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, ModelError

if TYPE_CHECKING:
    import torch

    from ..models.load import PretrainedModel
    from ..models.variants import AdaptedModel

WEIGHTS_FILE = "changed_weights.safetensors"


def save(model: "AdaptedModel", folder: str | os.PathLike, **facts: Any) -> Path:
    """Write an adapted model; :func:`load` reads it. facts: JSON values kept beside it. Raises InputError as storage.save does."""
    from safetensors.torch import save as to_bytes

    from ..codec import storage
    from ..runs import describe

    folder = Path(folder)
    weights = {name: tensor.detach().cpu().float().contiguous() for name, tensor in sorted(model.weights.items())}
    content = to_bytes(weights, {"format": "pt"}) if weights else b""
    changed = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "shapes": {name: list(tensor.shape) for name, tensor in weights.items()},
    }
    more = {WEIGHTS_FILE: content} if weights else {}
    storage.save(
        model.compressed,
        folder,
        model=describe(model.original),
        changed_weights=changed,
        adaptation=model.facts,
        more_files=more,
        **facts,
    )
    if not weights:
        (folder / WEIGHTS_FILE).unlink(missing_ok=True)  # of an older result
    return folder


def load(folder: str | os.PathLike, original: "PretrainedModel | None" = None) -> "AdaptedModel":
    """Read what :func:`save`, or ``save_pretrained`` of a compressed table, wrote.

    original: the model that it was made of, where it does not lie where it did.
    Raises InputError for a damaged folder or weights that the original does not have, ModelError if the original is not at hand
    or is another one now.
    """
    from ..codec import loading, storage
    from ..models.variants import AdaptedModel

    folder = Path(folder)
    compressed = loading.load(folder)
    config = storage.read_config(folder)
    model = _original(folder, config, original)
    weights = _weights(folder, config)
    _check_belong(folder, model, weights)
    facts = config.get("adaptation")
    return AdaptedModel(model, compressed, weights, facts if isinstance(facts, dict) else {})


def _original(folder: Path, config: dict[str, Any], original: "PretrainedModel | None") -> "PretrainedModel":
    from ..models.load import load as open_model

    described = config.get("model")
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        if original is None:
            raise ModelError(
                f"{folder.name} holds a compressed table but does not say of which model; open it with "
                "SubspaceEmbedding.from_pretrained, or give the model: subemb.adaptation.saved.load(folder, original=...)",
                "unsupported",
            )
        return original
    if original is None:
        revision = described.get("revision") if described.get("source") == "hub" else None
        try:
            original = open_model(described["name"], revision)
        except ModelError as error:
            raise ModelError(
                f"{folder.name} needs the other weights of {described['name']}, which cannot be opened: {error}", error.reason
            ) from error
    if not original.is_the_one(described):
        raise ModelError(
            f"{folder.name} was made of {described['name']} at {described.get('revision')}; what is there now is "
            f"{original.revision}: give the model that it was made of",
            "unknown",
        )
    return original


def _weights(folder: Path, config: dict[str, Any]) -> "dict[str, torch.Tensor]":
    """The changed weights, checked against config.json. Raises InputError."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    changed = config.get("changed_weights")
    if changed is None or (isinstance(changed, dict) and changed.get("shapes") == {}):
        return {}
    if not isinstance(changed, dict) or not isinstance(changed.get("shapes"), dict):
        raise InputError(f"changed_weights in config.json of {folder} is damaged; save the result again")
    try:
        content = (folder / WEIGHTS_FILE).read_bytes()
        weights = from_bytes(content)
    except OSError as error:
        raise InputError(f"{folder / WEIGHTS_FILE} cannot be read ({error.strerror}); save the result again") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{folder / WEIGHTS_FILE} is cut off or damaged ({error}); save the result again") from error
    shapes = {name: list(tensor.shape) for name, tensor in weights.items()}
    if shapes != changed["shapes"] or hashlib.sha256(content).hexdigest() != changed.get("sha256"):
        raise InputError(f"{folder} is inconsistent: {WEIGHTS_FILE} is not the file that config.json was written for")
    for name, tensor in weights.items():
        if tensor.dtype != torch.float32 or not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{folder / WEIGHTS_FILE}: {name} must hold finite float32 numbers; save the result again")
    return weights


def _check_belong(folder: Path, model: "PretrainedModel", weights: "dict[str, torch.Tensor]") -> None:
    """Raises InputError unless every changed weight is one of the original's, of its shape; only headers are read.

    A name that the checkpoint does not have is looked up in the architecture: transformers renames weights of some families, and
    makes up those that a checkpoint lacks, such as a pooler.
    """
    from ..models.checkpoint import shapes_by_network, spellings

    checkpoint = model._checkpoint
    if checkpoint is None or not weights:
        return
    shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    elsewhere = None
    for name, tensor in sorted(weights.items()):
        known, found = shapes, spellings(name, shapes)
        if not found:
            known = elsewhere = shapes_by_network(checkpoint) if elsewhere is None else elsewhere
            found = spellings(name, known)
        if not known:
            return  # nobody can tell before the network is loaded
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
