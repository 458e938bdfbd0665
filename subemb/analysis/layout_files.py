"""Layouts kept on disk: one .npz in a folder of its own each, named by everything it depends on."""

import hashlib
import json
import logging
import os
import shutil
import zipfile
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.errors import InputError
from ..base.paths import cache_folder, keep_newest, publish

if TYPE_CHECKING:
    from .layout import UmapSettings

log = logging.getLogger(__name__)

FORMAT = 1
KEPT = 64  # of 16 bytes a token each: 31 MB for 30,522 tokens, 256 MB for 250,000
FOLDER, FILE = "layouts", "layout.npz"


def layout_key(original: torch.Tensor, reconstruction: torch.Tensor, ids: np.ndarray, settings: "UmapSettings") -> str:
    """sha256 of the rows, their ids, the settings, and the versions of what computes the layout."""
    digest = hashlib.sha256()
    facts = {"format": FORMAT, "umap": version("umap-learn"), "shape": list(original.shape), **asdict(settings)}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for array in (original.numpy(), reconstruction.numpy(), ids):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def kept_layout(key: str) -> dict[str, np.ndarray] | None:
    """The arrays kept under a key, or None if there are none, or only broken ones (which are deleted)."""
    try:
        folder = cache_folder(FOLDER) / key
        with np.load(folder / FILE, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("original", "reconstructed", "kept")}
        original, reconstructed = arrays["original"], arrays["reconstructed"]
        if original.ndim != 2 or original.shape[1] != 2 or original.shape != reconstructed.shape or arrays["kept"].ndim:
            raise ValueError("arrays of other shapes than expected")
        if not (np.isfinite(original).all() and np.isfinite(reconstructed).all()):
            raise ValueError("coordinates that are no numbers")
    except (FileNotFoundError, InputError):
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("the kept layout %s cannot be read (%s); it will be computed again", key, error)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    try:
        os.utime(folder)  # asked for just now: the last to be dropped
    except OSError:
        log.debug("the time of %s cannot be changed", folder)
    return arrays


def keep_layout(key: str, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays under a key and drop the oldest beyond KEPT. A cache that cannot be written costs time, not the result."""
    try:
        folder = cache_folder(FOLDER)
        publish(folder, key, lambda path: np.savez(path / FILE, **arrays))
        keep_newest(folder, KEPT)
    except (InputError, OSError) as error:
        log.warning("the layout was not kept: %s", error)
