"""What safetensors files hold, read from their headers: names, types, shapes and places of tensors, no numbers.

A header is JSON of some kilobytes. A file that is cut off, or is no safetensors file, is told apart here.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

from ..base.errors import ModelError
from .folder import json_of, name_of, pointer_text
from .stored import plain_names

#: Types that a table or a parameter may have, in safetensors' words; anything else is a buffer or packed.
FLOAT_TYPES = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_LARGEST_HEADER = 100_000_000  # the limit of the safetensors format
_SAMPLED_BLOCKS = 64  # that stand for the rest of a weights file
_BLOCK = 4096  # bytes
_CONVERT = (
    "only safetensors files are read, since pickled files can run code; convert a checkpoint that you trust with "
    "AutoModel.from_pretrained(folder).save_pretrained(folder)"
)


@dataclass(frozen=True)
class Tensor:
    """One entry of a safetensors header."""

    name: str
    dtype: str  # in safetensors' words: F32, BF16, I64
    shape: tuple[int, ...]
    file: Path
    start: int  # of its first byte in the file
    nbytes: int
    in_file: str = ""  # its name in the file, if that is another: wrappers may stand in it

    @property
    def stored(self) -> str:
        """Its name in the file."""
        return self.in_file or self.name

    @property
    def numel(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)


def read_headers(folder: Path) -> dict[str, Tensor]:
    """Every tensor of ``model.safetensors``, or of the shards its index names, by its name without wrappers. Raises ModelError."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        files = [single]
    elif index.is_file():
        files = _shards(index)
    else:
        raise ModelError(_no_safetensors(folder), "no_safetensors")
    tensors: dict[str, Tensor] = {}
    for path in files:
        tensors.update(read_header(path))
    plain = plain_names(tensors)
    return {plain[name]: replace(one, name=plain[name], in_file=name) for name, one in tensors.items()} if plain else tensors


def _shards(index: Path) -> list[Path]:
    folder = index.parent
    try:
        names = set(json_of(folder, index.name)["weight_map"].values())
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise ModelError(f"{index.name} of {name_of(folder)} is damaged ({error}); download the model again") from error
    files = []
    for name in sorted(map(str, names)):
        if name != Path(name).name or not name.endswith(".safetensors"):
            raise ModelError(f"{index.name} of {name_of(folder)} names {name!r}, which is not a safetensors file beside it")
        if not (folder / name).is_file():
            raise ModelError(f"{name_of(folder)} lacks {name}, one of its {len(names)} weights files; download the model again")
        files.append(folder / name)
    if not files:
        raise ModelError(f"{index.name} of {name_of(folder)} names no weights file; download the model again")
    return files


def _no_safetensors(folder: Path) -> str:
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    pickled = [name for name in files if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl"))]
    others = [name for name in files if name.endswith(".safetensors")]
    if pickled:
        return f"{name_of(folder)} has its weights in {pickled[0]} only; {_CONVERT}"
    if others:
        return f"{name_of(folder)} has {others[0]} but no model.safetensors, the name under which transformers reads weights"
    return f"{name_of(folder)} has no model.safetensors; {_CONVERT}"


def read_header(path: Path) -> dict[str, Tensor]:
    """The header of one safetensors file. Raises ModelError (``broken``) if it is cut off or inconsistent."""
    from safetensors import SafetensorError, safe_open

    pointer = pointer_text(path)
    if pointer is not None:
        raise ModelError(pointer)
    try:
        with safe_open(path, "numpy"):  # checks lengths, types, and that the tensors fill the file without gap or overlap
            pass
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            header = json.loads(handle.read(min(length, _LARGEST_HEADER)))
        header.pop("__metadata__", None)
        return {
            name: Tensor(
                name,
                entry["dtype"],
                tuple(entry["shape"]),
                path,
                8 + length + entry["data_offsets"][0],
                entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for name, entry in header.items()
        }
    except (SafetensorError, OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{path.name} of {name_of(path.parent)} is not a whole safetensors file ({error}); copy or download it again"
        ) from error


def same_content(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors hold the same bytes, judged by evenly spaced blocks."""
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    step = max(_BLOCK, first.nbytes // _SAMPLED_BLOCKS)
    with first.file.open("rb") as one, second.file.open("rb") as other:
        for offset in range(0, first.nbytes, step):
            one.seek(first.start + offset)
            other.seek(second.start + offset)
            length = min(_BLOCK, first.nbytes - offset)
            if one.read(length) != other.read(length):
                return False
    return True


def hash_samples(path: Path, digest) -> None:
    """Add a weights file's size, header and evenly spaced blocks to a digest."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        digest.update(f"{path.name} {size} ".encode() + handle.read(length))
        step = max(_BLOCK, (size - length - 8) // _SAMPLED_BLOCKS)
        for start in range(8 + length, size, step):
            handle.seek(start)
            digest.update(handle.read(_BLOCK))
