"""The saved form of a compressed table: a folder of two files. This is format 1.

``subspace_embedding.safetensors`` holds the tensors that the method names in ``Method.expected``; see codec/methods/.

``config.json`` holds ``subemb_format`` (the format number), ``subemb_version``, ``vocabulary`` (V), ``dim`` (D), ``widths``
(of the codebooks; empty for baselines), ``settings``, ``size`` (checked against them), ``tensors_sha256`` (of the other file), ``info``,
``history``, and the facts given to :func:`save`, such as ``model``.

Both files are written beside their place and then renamed. Reading them (subemb.codec.loading) refuses whatever does not fit
together; nothing is ever unpickled. A change that an older subemb would misread gets the next format number.
"""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

from safetensors.torch import save as bytes_from_tensors

from .. import __version__
from ..base.arguments import checked
from ..base.errors import InputError
from ..base.paths import write_files
from .sizes import Size

FORMAT = 1
TENSORS_FILE = "subspace_embedding.safetensors"
CONFIG_FILE = "config.json"
PICKLES = (".bin", ".pkl", ".pickle", ".pt", ".pth", ".ckpt")
_OWN_KEYS = (
    "subemb_format", "subemb_version", "vocabulary", "dim", "widths", "settings", "size", "tensors_sha256", "info", "history",
)  # fmt: skip


@checked
def save(compressed, folder: str | os.PathLike, more_files: dict[str, bytes] | None = None, **facts: Any) -> Path:
    """Write a result (a Compressed) into a folder, made if need be; an older result there is replaced, other files are left alone.

    more_files: name -> content of files that are to be renamed into place together with it.
    facts: JSON values kept beside the result, such as ``model={"name": ..., "revision": ...}``.
    Returns the folder. Raises InputError if the result is inconsistent, the facts are not JSON, the folder belongs to
    something else, or the disk is full or cannot be written.
    """
    folder = Path(folder)
    taken = sorted(set(facts) & set(_OWN_KEYS))
    if taken:
        raise InputError(f"the name(s) {', '.join(taken)} are subemb's own in {CONFIG_FILE}; call the facts something else")
    method, settings = compressed.settings.about, compressed.settings
    vocabulary, dim = compressed.num_embeddings, compressed.embedding_dim
    tensors = method.tensors(compressed)
    method.check_tensors(settings, vocabulary, dim, tensors)
    method.check_computable(settings, vocabulary)
    content = bytes_from_tensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, {"format": "pt"})
    config = {
        "subemb_format": FORMAT,
        "subemb_version": __version__,
        "vocabulary": vocabulary,
        "dim": dim,
        "widths": method.widths(settings, dim),
        "settings": settings.to_dict(),
        "size": size_facts(compressed.size()),
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
        "info": compressed.info,
        "history": compressed.history,
        **facts,
    }
    try:
        described = json.dumps(_finite(config), indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"what is to be kept beside the result must be plain JSON values: {error}") from error
    _write(folder, {TENSORS_FILE: content, **(more_files or {}), CONFIG_FILE: described.encode()})
    return folder


def read_config(folder: str | os.PathLike) -> dict[str, Any]:
    """``config.json`` of a saved result, checked to be of this format. Raises InputError."""
    path = Path(folder) / CONFIG_FILE
    if not path.parent.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that the result was saved to")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no {CONFIG_FILE}, so it is no saved result{about_pickles(Path(folder))}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); save the result again") from error
    if not isinstance(config, dict) or "subemb_format" not in config:
        raise InputError(f"{path} was not written by subemb{about_pickles(Path(folder))}")
    number = config["subemb_format"]
    if number != FORMAT or isinstance(number, bool):
        raise InputError(
            f"{folder} has format {number!r}; this subemb ({__version__}) reads format {FORMAT}: update subemb, or save again"
        )
    return config


def size_facts(size: Size) -> dict[str, int]:
    """What is kept of a size, and checked when the result is read."""
    return {name: getattr(size, name) for name in ("codebook_parameters", "other_parameters", "code_bits", "total_bytes")}


def about_pickles(folder: Path) -> str:
    """A hint for folders that hold pickled weights, which are never opened."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES) if folder.is_dir() else []
    return f"; {names[0]} is a pickle, which subemb never opens" if names else ""


def _finite(value: Any) -> Any:
    """The same JSON value with NaN and infinity, which JSON does not have, as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list | tuple) else value


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write all files in one step. Raises InputError if the folder holds something else, or cannot be written."""
    check_may_write(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, files)
    except OSError as error:
        raise InputError(
            f"the result ({sum(map(len, files.values())):,} bytes) could not be written to {folder} ({error.strerror}); "
            "free some space, or give a folder that can be written"
        ) from error


def check_may_write(folder: Path) -> None:
    """Refuse a folder whose files of the same names are not an older result: a model folder has a config.json too."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder to save to")
    if (folder / CONFIG_FILE).exists():
        try:
            config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            config = None
        if not isinstance(config, dict) or "subemb_format" not in config:
            raise InputError(f"{folder} holds a {CONFIG_FILE} of something else; give an empty or a new folder")
    elif (folder / TENSORS_FILE).exists():
        raise InputError(f"{folder} holds a {TENSORS_FILE} without {CONFIG_FILE}; give an empty or a new folder")
