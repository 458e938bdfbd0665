"""Checkpoints of an adaptation under way: one safetensors file, whose header holds the facts. Nothing is ever pickled."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import torch

from ..base.errors import InputError

STATE_FILE = "state.safetensors"
FORMAT = 2


def write_state(folder: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Replace the checkpoint in one step: a reader, or a crash, finds the old one or the new one whole.

    Raises InputError if the disk is full or cannot be written; the old checkpoint is still there then.
    """
    from safetensors.torch import save

    content = save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()},
        {"facts": json.dumps({"format": FORMAT, **facts})},
    )
    staging = folder / f".{STATE_FILE}.{uuid.uuid4().hex}"
    try:
        with staging.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staging, folder / STATE_FILE)
    except OSError as error:
        raise InputError(
            f"the checkpoint ({len(content):,} bytes) could not be written to {folder} ({error.strerror}): free some space, or set "
            "SUBEMB_CACHE to a folder on another disk; what was saved before is still there"
        ) from error
    finally:
        staging.unlink(missing_ok=True)


def read_state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """The checkpoint, or None if there is none. Raises InputError if it is damaged."""
    from safetensors import SafetensorError, safe_open

    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if facts.pop("format") != FORMAT:
            raise InputError(f"the checkpoint in {folder} was written by another version of subemb; start again")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"the checkpoint in {folder} is damaged ({error}); start again") from error
    return tensors, facts
