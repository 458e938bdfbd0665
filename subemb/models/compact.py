"""The compact folder of a model: what its table is now, and every weight of the network that changed.

``config.json`` and ``subspace_embedding.safetensors`` are the saved form of the table (:mod:`subemb.codec.storage`), so that
``SubspaceEmbedding.from_pretrained`` reads the folder too. Beside them, if weights of the network were trained,
``changed_weights.safetensors``: name -> float32 tensor. ``config.json`` has the additional facts ``model`` (where the other weights
come from), ``changed_weights`` (``sha256``, and name -> shape) and ``adaptation``.

This module knows the form alone; :func:`subemb.models.load.load_compact` makes a model of it.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as bytes_from_tensors

from ..base.errors import InputError
from ..base.files import read_tensors
from ..codec import loading, storage
from ..codec.compressed import Compressed

WEIGHTS_FILE = "changed_weights.safetensors"


@dataclass(frozen=True)
class CompactFolder:
    """What was read from a compact folder, checked to be consistent."""

    compressed: Compressed  # the table
    weights: dict[str, torch.Tensor]  # changed ones, float32, by name in the network
    model: dict[str, Any] | None  # what it was made of, as models.model.describe; None if that is not said
    facts: dict[str, Any]  # how it was trained, JSON types; {} if nothing is known


def save(
    folder: str | os.PathLike,
    compressed: Compressed,
    model: dict[str, Any],
    weights: Mapping[str, torch.Tensor] | None = None,
    adaptation: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Path:
    """Write a compressed table and the other weights that were trained; :func:`read` reads it. Returns the folder.

    model: what it was made of, as models.model.describe. weights: the changed weights of the network by name, None if nothing was
    trained. adaptation: how it was trained. facts: JSON values kept beside it. Raises InputError as storage.save does.
    """
    folder = Path(folder)
    if weights is None:
        return storage.save(compressed, folder, model=model, **facts)
    weights = {name: tensor.detach().cpu().float().contiguous() for name, tensor in sorted(weights.items())}
    content = bytes_from_tensors(weights, {"format": "pt"}) if weights else b""
    changed = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "shapes": {name: list(tensor.shape) for name, tensor in weights.items()},
    }
    storage.save(
        compressed,
        folder,
        model=model,
        changed_weights=changed,
        adaptation=dict(adaptation or {}),
        more_files={WEIGHTS_FILE: content} if weights else {},
        **facts,
    )
    if not weights:
        (folder / WEIGHTS_FILE).unlink(missing_ok=True)  # of an older result
    return folder


def read(folder: str | os.PathLike) -> CompactFolder:
    """Read what :func:`save`, or ``save_pretrained`` of a compressed table, wrote. Raises InputError for a damaged folder."""
    folder = Path(folder)
    compressed = loading.load(folder)
    config = storage.read_config(folder)
    model, facts = config.get("model"), config.get("adaptation")
    is_described = isinstance(model, dict) and isinstance(model.get("name"), str)
    return CompactFolder(
        compressed,
        _changed_weights(folder, config),
        model if is_described else None,
        facts if isinstance(facts, dict) else {},
    )


def _changed_weights(folder: Path, config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The changed weights, checked against config.json. Raises InputError."""
    changed = config.get("changed_weights")
    if changed is None or (isinstance(changed, dict) and changed.get("shapes") == {}):
        return {}
    if not isinstance(changed, dict) or not isinstance(changed.get("shapes"), dict):
        raise InputError(f"changed_weights in config.json of {folder} is damaged; save the result again")
    weights, digest = read_tensors(folder / WEIGHTS_FILE, "save the result again")
    shapes = {name: list(tensor.shape) for name, tensor in weights.items()}
    if shapes != changed["shapes"] or digest != changed.get("sha256"):
        raise InputError(f"{folder} is inconsistent: {WEIGHTS_FILE} is not the file that config.json was written for")
    for name, tensor in weights.items():
        if tensor.dtype != torch.float32 or not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{folder / WEIGHTS_FILE}: {name} must hold finite float32 numbers; save the result again")
    return weights
