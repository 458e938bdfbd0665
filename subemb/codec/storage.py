"""The saved form of a compressed table: a folder of two files, together at most 2 kB larger than what is stored. This is format 2.

``subspace_embedding.safetensors`` holds the tensors that the method names in ``Method.expected``; see codec/methods/. Codes are packed in
bits, codebooks are whole numbers with a scale where they have 8 bits.

``config.json`` holds ``subemb_format`` (the format number), ``subemb_version``, ``vocabulary`` (V), ``dim`` (D), ``settings``, ``size``
(checked against them), ``tensors_sha256`` (of the other file), ``info``, ``history`` (in brief, see :func:`brief_history`), and the facts
given to :func:`save`, such as ``model``.

Both files are written beside their place and then renamed. Reading them (subemb.codec.loading) refuses whatever does not fit
together; nothing is ever unpickled. A change that an older subemb would misread gets the next format number. Format 1 had whole bytes for
every code, float32 codebooks one by one, ``widths`` of the codebooks and the whole history; it is still read.

Format 3 is format 2 with codes in as few bits as their frequencies allow (:func:`subemb.codec.packing.coded`), where that was asked for and
takes less: ``entropy_coded`` lists for every part of :meth:`.Method.codes_in` how many bytes it takes so, null where it is packed as ever.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as bytes_from_tensors

from .. import __version__
from ..base.arguments import checked
from ..base.errors import InputError
from ..base.paths import write_files
from ..base.plain import is_whole
from .packing import CodesIn, coded, decoded
from .sizes import Size

FORMAT = 2
ENTROPY_CODED = 3  # the format of a folder with entropy-coded codes
FORMATS = (1, FORMAT, ENTROPY_CODED)  # that are read
TENSORS_FILE = "subspace_embedding.safetensors"
CONFIG_FILE = "config.json"
PICKLES = (".bin", ".pkl", ".pickle", ".pt", ".pth", ".ckpt")
_OWN_KEYS = (
    "subemb_format", "subemb_version", "vocabulary", "dim", "widths", "settings", "size", "tensors_sha256", "info", "history",
    "entropy_coded",
)  # fmt: skip
_LONGEST_HISTORY = 30  # steps that are kept of a compression
_DIGITS = 6  # of their errors


@checked
def save(
    compressed, folder: str | os.PathLike, more_files: dict[str, bytes] | None = None, entropy: bool = False, **facts: Any
) -> Path:
    """Write a result (a Compressed) into a folder, made if need be; an older result there is replaced, other files are left alone.

    more_files: name -> content of files that are to be renamed into place together with it.
    entropy: write codes in as few bits as their frequencies allow, wherever that takes less than packing them.
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
    lengths: list[int | None] = []
    if entropy:
        tensors, lengths = entropy_coded(tensors, method.codes_in(settings, vocabulary, dim))
    content = bytes_from_tensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, {"format": "pt"})
    config = {
        "subemb_format": ENTROPY_CODED if any(lengths) else FORMAT,
        **({"entropy_coded": lengths} if any(lengths) else {}),
        "subemb_version": __version__,
        "vocabulary": vocabulary,
        "dim": dim,
        "settings": settings.to_dict(),
        "size": size_facts(compressed.size()),
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
        "info": compressed.info,
        "history": brief_history(compressed.history),
        **facts,
    }
    try:
        described = _one_line_each(_finite(config))
    except (TypeError, ValueError) as error:
        raise InputError(f"what is to be kept beside the result must be plain JSON values: {error}") from error
    _write(folder, {TENSORS_FILE: content, **(more_files or {}), CONFIG_FILE: described.encode()})
    return folder


def entropy_coded(
    tensors: Mapping[str, "torch.Tensor"], places: Sequence[CodesIn]
) -> tuple[dict[str, "torch.Tensor"], list[int | None]]:
    """The tensors with codes in as few bits as their frequencies allow, and how many bytes those of each place take so; None where they
    are packed as before, because that takes no more."""
    found, pieces = dict(tensors), {}
    for one in places:
        packed = tensors[one.tensor][one.start : one.end].cpu().numpy()
        short = coded(packed, one)
        pieces[one] = np.frombuffer(short, np.uint8) if len(short) < len(packed) else None
    for name in dict.fromkeys(one.tensor for one in places):
        own = [(one.start, one.end, pieces[one]) for one in places if one.tensor == name]
        found[name] = torch.from_numpy(_exchanged(tensors[name].cpu().numpy(), own))
    return found, [None if pieces[one] is None else len(pieces[one]) for one in places]


def entropy_decoded(
    tensors: Mapping[str, "torch.Tensor"], places: Sequence[CodesIn], lengths: Any
) -> dict[str, "torch.Tensor"]:
    """The inverse of :func:`entropy_coded`. Raises InputError for what it did not write."""
    if not isinstance(lengths, list) or len(lengths) != len(places) or not all(n is None or is_whole(n, 1) for n in lengths):
        raise InputError(f"entropy_coded is {lengths!r:.80}; it must say how many bytes each of {len(places)} parts takes")
    found, shift = dict(tensors), dict.fromkeys((one.tensor for one in places), 0)
    pieces: dict[str, list] = {name: [] for name in shift}
    for one, length in zip(places, lengths, strict=True):
        tensor = tensors.get(one.tensor)
        if tensor is None or tensor.ndim != 1 or tensor.dtype != torch.uint8:
            raise InputError(f"{one.tensor} is missing, or no row of bytes")
        start, whole = one.start + shift[one.tensor], one.end - one.start
        if length is not None:
            content = tensor[start : start + length].numpy()
            if len(content) != length:
                raise InputError(f"{one.tensor} has {len(tensor)} bytes, which is too few for its codes")
            pieces[one.tensor].append((start, start + length, decoded(content.tobytes(), one)))
            shift[one.tensor] += length - whole
    for name, own in pieces.items():
        found[name] = torch.from_numpy(_exchanged(tensors[name].numpy(), own))
    return found


def _exchanged(content: np.ndarray, pieces: Sequence[tuple[int, int, np.ndarray | None]]) -> np.ndarray:
    """Bytes with some runs of them, (start, end, what stands there then), exchanged; None leaves a run as it is."""
    found, at = [], 0
    for start, end, instead in pieces:
        if instead is not None:
            found += [content[at:start], instead]
            at = end
    return np.concatenate([*found, content[at:]])


def entropy_coded_bytes(compressed) -> int:
    """``size().total_bytes`` with codes in as few bits as their frequencies allow, as ``entropy=True`` writes them."""
    settings = compressed.settings
    places = settings.about.codes_in(settings, compressed.num_embeddings, compressed.embedding_dim)
    if not places:
        return compressed.size().total_bytes
    _, lengths = entropy_coded(settings.about.tensors(compressed), places)
    saved = sum(one.end - one.start - length for one, length in zip(places, lengths, strict=True) if length is not None)
    return compressed.size().total_bytes - saved


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
    if number not in FORMATS or isinstance(number, bool):
        raise InputError(
            f"{folder} has format {number!r}; this subemb ({__version__}) reads formats {', '.join(map(str, FORMATS))}: update "
            "subemb, or save again"
        )
    return config


def brief_history(history: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    """What is kept of the steps of a compression, so that a folder is hardly larger than what it stores: their errors, by columns.

    At most 30 steps, evenly, the last among them; errors to six digits; neither seconds nor errors of single subspaces.

    >>> brief_history([{"iteration": 1, "stage": "k-means", "error": 1 / 3, "per_subspace": [0.3]}])
    {'iteration': [1], 'stage': ['k-means'], 'error': [0.333333]}
    """
    if (count := len(history)) > _LONGEST_HISTORY:
        last = _LONGEST_HISTORY - 1
        history = [history[count - 1 - round(k * (count - 1) / last)] for k in range(last, -1, -1)]
    columns: dict[str, list] = {}
    for name in ("iteration", "stage", "error", "weighted_error"):
        values = [step.get(name) for step in history]
        if any(value is not None for value in values):
            columns[name] = [float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value for value in values]
    if "stage" in columns:  # the same word many times: only where it changes
        stages = columns["stage"]
        columns["stage"] = [None if at and stage == stages[at - 1] else stage for at, stage in enumerate(stages)]
    return columns


def history_of(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The inverse of :func:`brief_history`, as far as there is one. Raises InputError for columns of unequal length."""
    if not all(isinstance(column, list) for column in columns.values()) or len({*map(len, columns.values())}) > 1:
        raise InputError("history must be columns of equal length")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for before, row in pairwise(rows):
        if "stage" in row and row["stage"] is None:
            row["stage"] = before["stage"]
    return rows


def _one_line_each(config: dict[str, Any]) -> str:
    """JSON with one line for each name: as short as it can be and still be looked at."""
    return "{\n" + ",\n".join(f"{json.dumps(name)}:{_short(value)}" for name, value in config.items()) + "\n}\n"


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


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
