"""Reading a checkpoint folder: its config, what its safetensors files hold, and one tensor of them, the token table.

Nothing here builds a network, except :func:`table_name_by_network` for architectures whose tensor names are not known, and
that one has no weights (torch's meta device). Pickled weights are never opened.
"""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import ModelError
from ..base.progress import ProgressCallback, report

if TYPE_CHECKING:
    import torch

_LARGEST_HEADER = 100_000_000  # the limit of the safetensors format
_SAMPLED_BLOCKS = 64  # that stand for the rest of a weights file
_BLOCK = 4096  # bytes
_CONVERT = (
    "only safetensors files are read, since pickled files can run code; convert a checkpoint that you trust with "
    "AutoModel.from_pretrained(folder).save_pretrained(folder)"
)


def name_of(folder: Path) -> str:
    """What to call a folder in messages: its name, or the hub's id for one in the Hugging Face cache."""
    repo = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repo.startswith("models--"):
        return repo.removeprefix("models--").replace("--", "/")
    return folder.name


@dataclass(frozen=True)
class Tensor:
    """One entry of a safetensors header: ``start`` and ``nbytes`` are its place in ``file``."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    start: int
    nbytes: int

    @property
    def numel(self) -> int:
        """How many numbers."""
        count = 1
        for length in self.shape:
            count *= length
        return count


def read_headers(folder: Path) -> dict[str, Tensor]:
    """Every tensor of ``model.safetensors``, or of the shards its index names. Raises ModelError."""
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
    return tensors


def _shards(index: Path) -> list[Path]:
    folder = index.parent
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
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


#: Types that a table or a parameter may have, as safetensors and torch name them; anything else is a buffer or packed.
FLOAT_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
#: Where architectures keep their token table, the surest first (``shared`` before T5's copies of it).
TABLE_SUFFIXES = (
    "embeddings.word_embeddings.weight",
    "shared.weight",
    "wte.weight",
    "embeddings.tok_embeddings.weight",
    "embed_tokens.weight",
    "word_embedding.weight",
    "word_embeddings.weight",
    "embed_in.weight",
)
#: Output heads that hold the table a second time when the model ties them.
_TIED_HEADS = ("lm_head.weight", "decoder.weight", "embed_out.weight", "vocab_projector.weight", "generator_lm_head.weight")
_STACK_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")  # of the table that both stacks share
_CONTENT_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "modules.json", "1_Pooling/config.json")
_VOCABULARY_FILES = (
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_LANGUAGE_MODEL_HEADS = ("ForMaskedLM", "LMHeadModel", "ForCausalLM", "ForConditionalGeneration", "ForPreTraining")
_OLD_NAMES = ((".LayerNorm.weight", ".LayerNorm.gamma"), (".LayerNorm.bias", ".LayerNorm.beta"))
_BUFFERS = re.compile(r"(position_ids|masked_bias|inv_freq)$")
_PIECE = 1 << 22  # bytes hashed or checked at a time


@dataclass
class Checkpoint:
    """An opened folder. Only JSON and headers were read.

    folder: the model's folder, with ``modules.json`` if it is a sentence-transformers model.
    weights_folder: where ``config.json`` and the weights are; the same, or a sub-folder such as ``0_Transformer``.
    config: ``config.json``.
    tensors: every tensor of every weights file, by name.
    table: the input embedding's tensor, (V, D).
    """

    folder: Path
    weights_folder: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor] = field(repr=False)
    table: Tensor

    @property
    def is_sentence_model(self) -> bool:
        """Whether the authors say how to make sentence vectors (a sentence-transformers folder)."""
        return (self.folder / "modules.json").is_file()

    @property
    def has_tied_head(self) -> bool:
        """Whether the checkpoint is a language model whose output head shares the token table."""
        architectures = self.config.get("architectures") or [""]
        if not str(architectures[0]).endswith(_LANGUAGE_MODEL_HEADS) or not self.config.get("tie_word_embeddings", True):
            return False
        # A head stored with other numbers is not tied, whatever the config says: T5 1.1 as transformers 5 saves it.
        return all(same_content(tensor, self.table) for tensor in self.tensors.values() if self._may_copy_table(tensor))

    @property
    def heads(self) -> tuple[str, ...]:
        """Keys of :data:`subemb.models.network.HEADS` that ``config.json`` names; whether their weights are there shows when loaded."""
        from .network import HEADS

        architecture = str((self.config.get("architectures") or [""])[0])
        return tuple(name for name, head in HEADS.items() if architecture.endswith(head.suffixes))

    @property
    def tied_names(self) -> list[str]:
        """Names of tensors that hold the table a second time."""
        return [
            tensor.name for tensor in self.tensors.values() if self._may_copy_table(tensor) and same_content(tensor, self.table)
        ]

    @property
    def parameters(self) -> int:
        """Floats of the whole model, by the headers; buffers and stored copies of the table are not counted."""
        return sum(tensor.numel for tensor in self.tensors.values() if self._is_parameter(tensor))

    def _may_copy_table(self, tensor: Tensor) -> bool:
        names = _STACK_COPIES
        if self.config.get("tie_word_embeddings", True):
            names += _TIED_HEADS
        return tensor.name != self.table.name and tensor.shape == self.table.shape and tensor.name.endswith(names)

    def _is_parameter(self, tensor: Tensor) -> bool:
        if tensor.dtype not in FLOAT_TYPES or _BUFFERS.search(tensor.name):
            return False
        if tensor.name.endswith(".attn.bias") and len(tensor.shape) == 4:  # GPT-2 used to store its causal mask
            return False
        return not (self._may_copy_table(tensor) and same_content(tensor, self.table))

    @property
    def weights_files(self) -> list[Path]:
        """The safetensors files, by name."""
        return sorted({tensor.file for tensor in self.tensors.values()})

    @property
    def content_files(self) -> list[Path]:
        """The small files that decide what the model does with a text."""
        folders = dict.fromkeys((self.folder, self.weights_folder))
        paths = [folder / name for folder in folders for name in (*_CONTENT_FILES, *_VOCABULARY_FILES)]
        return [path for path in paths if path.is_file()]

    def fingerprint(self) -> str:
        """Hash of the content, 16 hex digits: every header, config and tokenizer file and the whole table, and sampled
        blocks of the other weights, so that it takes about a second for a gigabyte. Paths and times do not count."""
        digest = hashlib.sha256()
        for path in self.content_files:
            with path.open("rb") as handle:
                digest.update(path.name.encode() + hashlib.file_digest(handle, "sha256").digest())
        for path in self.weights_files:
            hash_samples(path, digest)
        with self.table.file.open("rb") as handle:
            handle.seek(self.table.start)
            left = self.table.nbytes
            while left and (piece := handle.read(min(left, _PIECE))):
                digest.update(piece)
                left -= len(piece)
        return digest.hexdigest()[:16]

    def read_table(self, progress: ProgressCallback | None = None) -> "torch.Tensor":
        """The table as (V, D) float32, read without the rest of the file and checked.

        Raises ModelError (``bad_table``) naming the place of a NaN or infinity, (``broken``) if the file is cut off.
        """
        import numpy as np
        import torch

        report(progress, "reading the token table", 0.0)
        raw = np.empty(self.table.nbytes, dtype=np.uint8)
        try:
            with self.table.file.open("rb") as handle:
                handle.seek(self.table.start)
                count = handle.readinto(raw)
        except OSError as error:
            raise ModelError(f"{self.table.file} cannot be read ({error.strerror})") from error
        if count != len(raw):
            raise ModelError(f"{self.table.file} ends inside {self.table.name}; copy or download it again")
        numbers = torch.from_numpy(raw).view(getattr(torch, FLOAT_TYPES[self.table.dtype]))
        table = numbers.view(self.table.shape).to(torch.float32)
        check_finite(table, f"{self.table.name} of {name_of(self.folder)}", progress)
        return table


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder's config and headers and find its token table.

    Raises ModelError with a reason: ``unknown`` (no such folder), ``broken`` (config or weights missing or damaged),
    ``no_safetensors``, ``unsupported`` (needs code of its own, or no token table), ``bad_table`` (shape or type).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelError(f"there is no folder {folder}", "unknown")
    weights_folder = _weights_folder(folder)
    if (weights_folder / "adapter_config.json").is_file() and not (weights_folder / "config.json").is_file():
        raise ModelError(
            f"{name_of(folder)} is an adapter (LoRA), which has no token table; merge it into its base model first",
            "unsupported",
        )
    config = read_config(weights_folder)
    tensors = read_headers(weights_folder)
    table = tensors[find_table(weights_folder, config, tensors)]
    check_table_shape(table.shape, table.dtype, f"{table.name} of {name_of(folder)}")
    return Checkpoint(folder, weights_folder, config, tensors, table)


def _weights_folder(folder: Path) -> Path:
    """Where a sentence-transformers folder keeps its transformer: itself, or the first module's sub-folder."""
    try:
        first = json.loads((folder / "modules.json").read_text(encoding="utf-8"))[0]["path"]
    except (OSError, ValueError, LookupError, TypeError):
        return folder
    inner = folder / str(first)
    # A path that climbs out of the folder is not followed.
    inside = inner.resolve().is_relative_to(folder.resolve())
    return inner if first and inside and inner.is_dir() else folder


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` as a dict. Raises ModelError if it is missing, not JSON, or asks for code of its own."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{name_of(folder)} has no config.json, so it is not a checkpoint that transformers can read"
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"config.json of {name_of(folder)} is not valid JSON ({error}); download the model again") from error
    if not isinstance(config, dict):
        raise ModelError(f"config.json of {name_of(folder)} holds a {type(config).__name__} instead of an object")
    if config.get("auto_map") and not _is_known_type(config.get("model_type")):
        raise ModelError(
            f"{name_of(folder)} needs code of its own (auto_map in config.json), which subemb never runs; "
            "choose a model whose architecture is part of transformers",
            "unsupported",
        )
    return config


def _is_known_type(model_type: Any) -> bool:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return model_type in CONFIG_MAPPING_NAMES


def find_table(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """Name of the input embedding's tensor: by known names where that is beyond doubt, else by asking the architecture."""
    text_config = config.get("text_config") if isinstance(config.get("text_config"), dict) else {}
    vocabulary = config.get("vocab_size", text_config.get("vocab_size"))
    for suffix in TABLE_SUFFIXES:
        names = [name for name in tensors if name == suffix or name.endswith("." + suffix)]
        if len(names) > 1:  # T5 without "shared": the encoder's is the input
            names = [name for name in names if "encoder.embed_tokens" in name] or names
        if len(names) == 1 and len(tensors[names[0]].shape) == 2 and tensors[names[0]].shape[0] == vocabulary:
            return names[0]
        if names:
            break
    return table_name_by_network(folder, tensors)


def table_name_by_network(folder: Path, tensors: dict[str, Tensor]) -> str:
    """Build the architecture without weights and look which parameter its input embedding is; then find its stored name.

    Raises ModelError (``unsupported``) if the architecture is not known, or has no token table.
    """
    from .network import first_line

    try:
        network = _network_without_weights(folder)
        weight = network.get_input_embeddings().weight
    except Exception as error:  # whatever a stranger's config makes transformers raise, it is that config's fault
        raise ModelError(f"the token table of {name_of(folder)} cannot be found: {first_line(error)}", "unsupported") from error
    names = [name for name, parameter in network.named_parameters(remove_duplicate=False) if parameter is weight]
    prefix = getattr(network, "base_model_prefix", "")
    for name in names:
        for wanted in (name, f"{prefix}.{name}"):
            if wanted in tensors:
                return wanted
    for name in names:
        # A head around the model adds a prefix, and a checkpoint of the bare model lacks one.
        found = [stored for stored in tensors if stored.endswith("." + name) or name.endswith("." + stored)]
        if len(found) == 1:
            return found[0]
    raise ModelError(
        f"{name_of(folder)} has no tensor {names[0] if names else 'for tokens'!r} in its weights files", "unsupported"
    )


def shapes_by_network(checkpoint: Checkpoint) -> dict[str, tuple[int, ...]]:
    """Shape of every weight by its name in the architecture, without a head and with those that ``config.json`` names.

    {} if the architecture cannot be built.
    """
    from .network import HEADS

    found: dict[str, tuple[int, ...]] = {}
    try:
        for auto_class in ("AutoModel", *(HEADS[head].auto_class for head in checkpoint.heads)):
            network = _network_without_weights(checkpoint.weights_folder, auto_class)
            found |= {name: tuple(value.shape) for name, value in network.named_parameters(remove_duplicate=False)}
    except Exception:  # a stranger's config can make transformers raise anything; loading the network will say what it is
        return {}
    return found


def _network_without_weights(folder: Path, auto_class: str = "AutoModel") -> "torch.nn.Module":
    """The architecture of a folder on torch's meta device. auto_class: of transformers. Raises whatever transformers does."""
    import torch
    import transformers

    from .network import quiet_transformers

    with quiet_transformers():
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            return getattr(transformers, auto_class).from_config(config, trust_remote_code=False, dtype=torch.float32)


def spellings(name: str, known: Collection[str], prefix: str | None = None) -> list[str]:
    """Under which of the ``known`` names a weight may be that a network calls ``name``, the likeliest first; [] if under none.

    A network with a head puts a prefix before the names of its base, and old checkpoints call the weights of a LayerNorm gamma
    and beta. prefix: the network's ``base_model_prefix``; without it, any single name may stand before.

    >>> spellings("layer.0.LayerNorm.bias", ["bert.layer.0.LayerNorm.beta", "layer.1.LayerNorm.beta"])
    ['bert.layer.0.LayerNorm.beta']
    >>> spellings("bert.pooler.bias", ["pooler.bias"], "bert"), spellings("bert.pooler.bias", ["pooler.bias"], "roberta")
    (['pooler.bias'], [])
    """
    prefixes = [prefix] if prefix is not None else dict.fromkeys(other.partition(".")[0] for other in (name, *known))
    spelled = [name, *(f"{one}.{name}" for one in prefixes), *(name.removeprefix(f"{one}.") for one in prefixes)]
    spelled += [other.replace(new, old) for other in spelled for new, old in _OLD_NAMES]
    return [other for other in dict.fromkeys(spelled) if other in known]


def check_table_shape(shape: tuple[int, ...], dtype: str, what: str) -> None:
    """Raises ModelError (``bad_table``) unless it is a (V, D) table of floats with V >= 2 and D >= 1."""
    size = " x ".join(map(str, shape)) or "a single number"
    if len(shape) != 2:
        raise ModelError(f"{what} is {size}; a token table has two axes, tokens and dimensions", "bad_table")
    if shape[0] < 2:
        raise ModelError(f"{what} is {size}; a table needs at least 2 tokens", "bad_table")
    if shape[1] < 1:
        raise ModelError(f"{what} is {size}; its vectors have no dimensions", "bad_table")
    if dtype not in FLOAT_TYPES:
        raise ModelError(
            f"{what} is stored as {dtype}; only floats are read, so use a checkpoint that is not quantized", "bad_table"
        )


def check_finite(table: "torch.Tensor", what: str, progress: ProgressCallback | None = None) -> None:
    """Raises ModelError (``bad_table``) naming the first NaN or infinity of a (V, D) table and how many rows have one."""
    import torch

    rows = max(1, _PIECE // (4 * max(1, table.shape[1])))
    bad_rows, first = 0, None
    for start in range(0, len(table), rows):
        piece = table[start : start + rows]
        low, high = torch.aminmax(piece)  # both carry NaN on, and no mask is built for a sound table
        if torch.isfinite(low) and torch.isfinite(high):
            continue
        bad = ~torch.isfinite(piece)
        bad_rows += int(bad.any(1).sum())
        if first is None:
            row, column = (int(number) for number in bad.nonzero()[0])
            first = (start + row, column, float(piece[row, column]))
    report(progress, "reading the token table", 1.0)
    if first is not None:
        row, column, value = first
        raise ModelError(
            f"{what} holds {value} at token {row}, dimension {column} ({bad_rows} of {len(table)} tokens have such values); "
            "it cannot be compressed, so use a sound copy of the model",
            "bad_table",
        )
