"""The saved form of a compressed table: a folder of two files. This is format 1.

``subspace_embedding.safetensors`` holds the tensors:

=============  ===================================================================================================
method         tensors
=============  ===================================================================================================
with codes     ``codes`` (V, f) uint8 for Q <= 256, else uint16; ``codebooks.0`` .. ``codebooks.{f-1}`` (Q, d_i)
               float32, for residual (Q, D) each; ``rotation`` (D, D) float32 for optimized_product only.
               ``arbitrary`` has no ``codes``: they are the digits of the token id in base Q.
low_rank       ``coefficients`` (V, r), ``components`` (r, D), ``mean`` (D,), all float32
int8           ``values`` (V, D) int8, ``row_scale`` (V,) float32
int4           ``values`` (V, ceil(D / 2)) uint8, two a byte; ``minimum``, ``step`` (V, ceil(D / 32)) bfloat16
=============  ===================================================================================================

``config.json`` holds ``subemb_format`` (the format number), ``subemb_version``, ``vocabulary`` (V), ``dim`` (D), ``widths``
(of the codebooks; empty for baselines), ``settings``, ``size`` (checked against them), ``tensors_sha256`` (of the other file), ``info``,
``history``, and the facts given to :func:`save`, such as ``model``.

Both files are written beside their place and then renamed. Loading refuses whatever does not fit together; nothing is ever
unpickled. A change that an older subemb would misread gets the next format number.
"""

import contextlib
import hashlib
import json
import math
import os
import uuid
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as bytes_from_tensors

from .. import __version__
from ..base.errors import InputError
from .baselines import BASELINES
from .blocks import arbitrary_codes
from .compressed import Compressed, SubspaceCompressed
from .methods import METHODS
from .saved_tensors import check_tensors, tensors_of, widths_of
from .settings import CompressionSettings
from .sizes import Size, predicted_size

FORMAT = 1
TENSORS_FILE = "subspace_embedding.safetensors"
CONFIG_FILE = "config.json"
PICKLES = (".bin", ".pkl", ".pickle", ".pt", ".pth", ".ckpt")
# More codes than any real table has; it bounds what a strange config.json can make `arbitrary` compute.
MOST_CODES = 2**28
_OWN_KEYS = (
    "subemb_format", "subemb_version", "vocabulary", "dim", "widths", "settings", "size", "tensors_sha256", "info", "history",
)  # fmt: skip


def save(compressed: Compressed, folder: str | os.PathLike, more_files: dict[str, bytes] | None = None, **facts: Any) -> Path:
    """Write a result into a folder, made if need be; an older result there is replaced, other files are left alone.

    more_files: name -> content of files that are to be renamed into place together with it.
    facts: JSON values kept beside the result, such as ``model={"name": ..., "revision": ...}``.
    Returns the folder. Raises InputError if the result is inconsistent, the facts are not JSON, the folder belongs to
    something else, or the disk is full or cannot be written.
    """
    folder = Path(folder)
    taken = sorted(set(facts) & set(_OWN_KEYS))
    if taken:
        raise InputError(f"the name(s) {', '.join(taken)} are subemb's own in {CONFIG_FILE}; call the facts something else")
    tensors = tensors_of(compressed)
    check_tensors(compressed.settings, compressed.num_embeddings, compressed.embedding_dim, tensors)
    content = bytes_from_tensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, {"format": "pt"})
    _check_computable(compressed.settings, compressed.num_embeddings)
    config = {
        "subemb_format": FORMAT,
        "subemb_version": __version__,
        "vocabulary": compressed.num_embeddings,
        "dim": compressed.embedding_dim,
        "widths": compressed.widths if isinstance(compressed, SubspaceCompressed) else [],
        "settings": compressed.settings.to_dict(),
        "size": _size_facts(compressed.size()),
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


def load(folder: str | os.PathLike) -> Compressed:
    """Read what :func:`save` wrote, equal bit for bit. Raises InputError saying what is wrong, with the value."""
    folder = Path(folder)
    config = read_config(folder)
    vocabulary, dim, settings = _checked_header(folder, config)
    try:
        content = (folder / TENSORS_FILE).read_bytes()
    except OSError as error:
        raise InputError(f"{folder / TENSORS_FILE} cannot be read ({error.strerror}){_about_pickles(folder)}") from error
    try:
        tensors = tensors_from_bytes(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{folder / TENSORS_FILE} is cut off or damaged ({error}); save the result again") from error
    try:
        check_tensors(settings, vocabulary, dim, tensors)
        size = _size_facts(predicted_size(settings, vocabulary, dim))
        if config.get("size") != size:
            raise InputError(f"size is {config.get('size')} in {CONFIG_FILE}; such a result has {size}")
    except InputError as error:
        raise InputError(f"{folder} is inconsistent: {error}") from error
    if hashlib.sha256(content).hexdigest() != config.get("tensors_sha256"):
        raise InputError(
            f"{folder} is inconsistent: {TENSORS_FILE} is not the file that {CONFIG_FILE} was written for; save the result again"
        )
    notes = {"history": config["history"], "info": config["info"]}
    if METHODS[settings.method].is_baseline:
        return BASELINES[settings.method](settings, vocabulary, dim, **tensors, **notes)
    if settings.method == "arbitrary":
        tensors["codes"] = arbitrary_codes(vocabulary, settings.subspaces, settings.codebook_size)
    codes = tensors["codes"].to(torch.uint8 if settings.codebook_size <= 256 else torch.int32)
    books = [tensors[f"codebooks.{i}"] for i in range(settings.subspaces)]
    return SubspaceCompressed(settings, vocabulary, dim, codes, books, tensors.get("rotation"), **notes)


def read_config(folder: str | os.PathLike) -> dict[str, Any]:
    """``config.json`` of a saved result, checked to be of this format. Raises InputError."""
    path = Path(folder) / CONFIG_FILE
    if not path.parent.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that the result was saved to")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no {CONFIG_FILE}, so it is no saved result{_about_pickles(Path(folder))}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); save the result again") from error
    if not isinstance(config, dict) or "subemb_format" not in config:
        raise InputError(f"{path} was not written by subemb{_about_pickles(Path(folder))}")
    number = config["subemb_format"]
    if number != FORMAT or isinstance(number, bool):
        raise InputError(
            f"{folder} has format {number!r}; this subemb ({__version__}) reads format {FORMAT}: update subemb, or save again"
        )
    return config


def _checked_header(folder: Path, config: dict[str, Any]) -> tuple[int, int, CompressionSettings]:
    """V, D and settings, after checking that they go together."""
    try:
        vocabulary, dim = config["vocabulary"], config["dim"]
        for name, value in (("vocabulary", vocabulary), ("dim", dim)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}; it must be a whole number of at least 1")
        if not isinstance(config["settings"], dict):
            raise InputError(f"settings are {config['settings']!r} instead of a table of names and values")
        settings = CompressionSettings.from_dict(config["settings"])
        if settings != settings.resolve(vocabulary, dim):
            raise InputError(f"the settings {config['settings']} are not complete for a {vocabulary} x {dim} table")
        _check_computable(settings, vocabulary)
        widths = [] if METHODS[settings.method].is_baseline else widths_of(settings, dim)
        if config["widths"] != widths:
            raise InputError(f"widths are {config['widths']}; {settings.method} of {dim} dimensions has {widths}")
        if not isinstance(config["info"], dict) or not isinstance(config["history"], list):
            raise InputError("info must be a table of names and values, and history a list")
    except KeyError as error:
        raise InputError(f"{folder / CONFIG_FILE} is inconsistent: {error} is missing") from error
    except (TypeError, InputError) as error:
        raise InputError(f"{folder / CONFIG_FILE} is inconsistent: {error}") from error
    return vocabulary, dim, settings


def _size_facts(size: Size) -> dict[str, int]:
    return {name: getattr(size, name) for name in ("codebook_parameters", "other_parameters", "code_bits", "total_bytes")}


def _check_computable(settings: CompressionSettings, vocabulary: int) -> None:
    """Raises InputError if codes that no file holds would be too many; those in a file are bounded by its size."""
    if settings.method == "arbitrary" and vocabulary * settings.subspaces > MOST_CODES:
        raise InputError(
            f"{vocabulary} tokens with {settings.subspaces} codes each are more than the {MOST_CODES} that subemb computes; "
            "use fewer subspaces"
        )


def _about_pickles(folder: Path) -> str:
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
    """Write all files beside their places, then rename them: a reader sees whole files only."""
    check_may_write(folder)
    staged: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            staging = folder / f".{name}.{uuid.uuid4().hex}"
            staged.append((staging, folder / name))
            with staging.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for staging, target in staged:
            os.replace(staging, target)
    except OSError as error:
        raise InputError(
            f"the result ({sum(map(len, files.values())):,} bytes) could not be written to {folder} ({error.strerror}); "
            "free some space, or give a folder that can be written"
        ) from error
    finally:
        for staging, _ in staged:
            with contextlib.suppress(OSError):
                staging.unlink(missing_ok=True)


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
