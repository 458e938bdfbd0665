"""Reading a checkpoint folder: its config, what its safetensors files hold, and one tensor of them, the token table.

Opening reads JSON and headers only; see :mod:`subemb.models.opening` for what is remembered. No network is built here, except, without weights, for families whose table has an unusual name.
Pickled weights are never opened.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback, report
from .architectures import (
    HEADS,
    LANGUAGE_MODELS,
    STACK_COPIES,
    TABLE_SUFFIXES,
    TIED_HEADS,
    TOKENIZER_FILES,
    is_buffer,
)
from .authors import gives_sentence_vectors, module_folders
from .folder import check_fields, json_object, json_of, name_of, weights_folder
from .headers import FLOAT_TYPES, Tensor, hash_samples, read_headers, same_content
from .scaled import read_number_tensor, scale_of, scaled
from .stored import adapter_part, is_scale

if TYPE_CHECKING:
    import torch

_PIECE = 1 << 22  # bytes read, hashed or checked at a time
_OPTIONS = ("config_sentence_transformers.json", "sentence_bert_config.json")
#: Small files that decide what a model does with a text. Their order is part of every fingerprint.
_CONTENT_FILES = tuple(
    dict.fromkeys(
        (
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "modules.json",
            "1_Pooling/config.json",
            *TOKENIZER_FILES,
            *_OPTIONS,
        )
    )
)
_MODULE_FILES = ("config.json", "model.safetensors")


# Opening a folder


def read_checkpoint(folder: Path) -> "Checkpoint":
    """Read a checkpoint folder's config and headers and find its token table.

    Raises ModelError with a reason: ``unknown`` (no such folder), ``broken`` (config or weights missing or damaged),
    ``no_safetensors``, ``unsupported`` (needs code of its own, or no token table), ``bad_table`` (shape or type).
    """
    if not folder.is_dir():
        raise ModelError(f"there is no folder {folder}", "unknown")
    inner = weights_folder(folder)
    if (inner / "adapter_config.json").is_file() and not (inner / "config.json").is_file():
        raise ModelError(_adapter_text(inner), "unsupported")
    config = read_config(inner)
    tensors = read_headers(inner)
    _check_layers(config, len(tensors), f"config.json of {name_of(folder)}")
    table = tensors[find_table(inner, config, tensors)]
    name = name_of(folder)
    _check_whole(table, tensors, name)
    scale_of(table, tensors, name)
    check_table_shape(table.shape, table.dtype, f"{table.name} of {name}")
    return Checkpoint(folder, inner, config, tensors, table)


def _adapter_text(folder: Path) -> str:
    """What to say of an adapter without its base."""
    base = json_object(folder / "adapter_config.json").get("base_model_name_or_path")
    return (
        f"{name_of(folder)} is an adapter (LoRA or the like), which has no token table; merge it into its base model"
        f"{f' {base}' if isinstance(base, str) and base else ''} first"
    )


def _check_whole(table: Tensor, tensors: dict[str, Tensor], model: str) -> None:
    """Raises ModelError (``unsupported``) if the table in the file is not what the network looks its tokens up in."""
    beside = table.name.removesuffix("weight")
    part = adapter_part([name for name in tensors if name.startswith(beside)])
    if part is not None:
        raise ModelError(
            f"the token table of {model} is changed by an adapter that is not merged ({part}); merge it into the base model first",
            "unsupported",
        )
    for other in tensors.values():
        same_place = other.name.endswith(STACK_COPIES[0]) and other.name != table.name and other.shape == table.shape
        if same_place and not same_content(other, table):
            raise ModelError(
                f"{model} holds two input tables with different numbers, {table.name} and {other.name}, so that compressing one leaves "
                "the other as it is; use a copy of the model whose stacks share one table",
                "unsupported",
            )


@dataclass(frozen=True)
class Checkpoint:
    """An opened folder. Only JSON and headers were read; it is shared, so nobody may change it."""

    folder: Path  # the model's, with modules.json if it is a sentence-transformers model
    weights_folder: Path  # where config.json and the weights are: the same, or a sub-folder such as 0_Transformer
    config: dict[str, Any]  # config.json
    tensors: "dict[str, Tensor]" = field(repr=False)  # of all weights files, by name
    table: "Tensor"  # the input embedding's, (V, D)

    is_static = False  # whether it is a table without a network: see :mod:`subemb.models.static`

    @cached_property
    def is_sentence_model(self) -> bool:
        """Whether the authors say how to make sentence vectors (a sentence-transformers folder)."""
        return gives_sentence_vectors(self.folder)

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """Keys of :data:`~subemb.models.architectures.HEADS` that it seems to have, by its config and the names of its weights;
        :meth:`PretrainedModel.has_head` knows whether all of their weights are there."""
        return tuple(key for key, head in HEADS.items() if head.may_be_in(self._architecture, self.tensors))

    @property
    def unnamed_heads(self) -> tuple[str, ...]:
        """Those of ``heads`` that only the names of weights speak for."""
        return tuple(key for key in self.heads if not self._architecture.endswith(HEADS[key].suffixes))

    @property
    def _architecture(self) -> str:
        named = self.config.get("architectures")
        return str(named[0]) if isinstance(named, list) and named else ""

    @cached_property
    def has_tied_head(self) -> bool:
        """Whether the checkpoint is a language model whose output head shares the token table."""
        is_language_model = self._architecture.endswith(LANGUAGE_MODELS) or not {"masked", "causal"}.isdisjoint(self.heads)
        if not is_language_model or not self.config.get("tie_word_embeddings", True):
            return False
        # A head stored with other numbers is not tied, whatever the config says, as in T5 1.1 saved by transformers 5.
        ends = (*TIED_HEADS, *STACK_COPIES)
        heads = [one for one in self.tensors.values() if one.name.endswith(ends) and self._may_copy_table(one)]
        return all(same_content(tensor, self.table) for tensor in heads)

    @cached_property
    def tied_names(self) -> list[str]:
        """Names of tensors that hold the table a second time."""
        return [
            tensor.name for tensor in self.tensors.values() if self._may_copy_table(tensor) and same_content(tensor, self.table)
        ]

    @cached_property
    def folded_names(self) -> list[str]:
        """Names of tensors that the table is computed with, here scales, and that a table of its own makes superfluous."""
        return [name for name in self.tensors if is_scale(name, self.tensors)]

    @cached_property
    def parameters(self) -> int:
        """Floats of the whole model, by the headers; buffers and stored copies of the table are not counted."""
        left_out = {*self.tied_names, *self.folded_names}
        return sum(
            tensor.numel
            for tensor in self.tensors.values()
            if tensor.dtype in FLOAT_TYPES and not is_buffer(tensor.name, len(tensor.shape)) and tensor.name not in left_out
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how it was read, in sentences; empty for most."""
        notes = []
        wrapped = next((tensor for tensor in self.tensors.values() if tensor.stored != tensor.name), None)
        if wrapped is not None:
            notes.append(f"Wrappers were taken off the names of its weights: {wrapped.stored} is read as {wrapped.name}.")
        scale = scale_of(self.table, self.tensors, name_of(self.folder))
        if scale is not None:
            notes.append(f"The table is stored as {self.table.dtype} and read times {scale.name}, which lies beside it.")
        if (self.weights_folder / "adapter_config.json").is_file():
            notes.append("The adapter beside its weights is not read: this is the base model alone.")
        return tuple(notes)

    def _may_copy_table(self, tensor: "Tensor") -> bool:
        if tensor.name == self.table.name or tensor.shape != self.table.shape:
            return False
        # Whatever its name: tied is what has the same numbers, unless the config says that heads have a table of their own.
        return bool(self.config.get("tie_word_embeddings", True)) or tensor.name.endswith(STACK_COPIES)

    @property
    def weights_files(self) -> list[Path]:
        """The safetensors files, by name."""
        return sorted({tensor.file for tensor in self.tensors.values()})

    @property
    def content_files(self) -> list[Path]:
        """The small files that decide what the model does with a text."""
        folders = dict.fromkeys((self.folder, self.weights_folder))
        paths = [folder / name for folder in folders for name in _CONTENT_FILES]
        # And what comes after the network: the configs and weights of sentence-transformers' other modules.
        paths += [folder / name for folder in module_folders(self.folder) for name in _MODULE_FILES]
        return [path for path in dict.fromkeys(paths) if path.is_file()]

    @cached_property
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

    @cached_property
    def table_file_sha256(self) -> str:
        """sha256 of the whole weights file that holds the table."""
        with self.table.file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()

    def read_tensor(self, tensor: "Tensor") -> "torch.Tensor":
        """One of its tensors whole, times its scale if it has one."""
        scale = scale_of(tensor, self.tensors, name_of(self.folder))
        values = read_number_tensor(tensor)
        return values if scale is None else scaled(values, read_number_tensor(scale))

    def read_table(self, progress: ProgressCallback | None = None) -> "torch.Tensor":
        """The table as (V, D) float32, read in slices without the rest of the file, and checked.

        Raises ModelError (``bad_table``) naming the place of a NaN or infinity, (``broken``) if the file is cut off.
        """
        import torch
        from safetensors import SafetensorError, safe_open

        report(progress, "reading the token table", 0.0)
        name, (count, dim), path = self.table.name, self.table.shape, self.table.file
        table = torch.empty(count, dim)
        rows = max(1, _PIECE // (4 * dim))
        try:
            with safe_open(path, "pt") as file:
                stored = file.get_slice(self.table.stored)
                if tuple(stored.get_shape()) != self.table.shape:
                    raise ModelError(f"{path} has changed since it was opened; open the model again")
                for start in range(0, count, rows):
                    table[start : start + rows] = stored[start : min(count, start + rows)]
            scale = scale_of(self.table, self.tensors, name_of(self.folder))
            if scale is not None:
                table = scaled(table, read_number_tensor(scale))
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error.strerror or error})") from error
        except SafetensorError as error:
            raise ModelError(f"{path} ends inside {name}, or was exchanged ({error}); copy or download it again") from error
        check_finite(table, f"{name} of {name_of(self.folder)}", progress)
        return table


class TableInMemory:
    """Stands in for a :class:`Checkpoint` where there are no files: a (V, D) table, and perhaps the texts of its tokens."""

    folder = weights_folder = None
    parameters = None
    notes = ()
    is_sentence_model = has_tied_head = is_static = False
    heads = unnamed_heads = ()

    def __init__(self, numbers, tokens: Sequence[str] | None, name: str):
        """numbers: (V, D) of any float type, copied. Raises ModelError (``bad_table``), InputError if there are not V tokens."""
        import torch

        try:
            numbers = torch.as_tensor(numbers)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{name} is {numbers!r:.60}; a table is a matrix of numbers, tokens x dimensions", "bad_table"
            ) from error
        check_table_shape(tuple(numbers.shape), "F32" if numbers.is_floating_point() else str(numbers.dtype), name)
        numbers = numbers.detach().to("cpu", torch.float32, copy=True).contiguous()
        check_finite(numbers, name)
        if any(not isinstance(token, str) for token in tokens or ()):
            raise InputError("tokens must be texts, one for each row of the table")
        if tokens is not None and len(tokens) != len(numbers):
            raise InputError(f"{len(tokens)} tokens were given for a table of {len(numbers)} rows; give one for each row")
        self.config: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        self.table = Tensor("table", "F32", tuple(numbers.shape), Path(), 0, 4 * numbers.numel())
        self.tokens = list(tokens or [])
        self._numbers = numbers

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the numbers, 16 hex digits."""
        return hashlib.sha256(self._numbers.numpy()).hexdigest()[:16]

    def read_table(self, progress: ProgressCallback | None = None) -> "torch.Tensor":
        """The table, (V, D) float32, as it was given."""
        return self._numbers


# config.json

#: What we read of it, and what it must be where it is there; other fields are transformers' to judge.
_CONFIG_KINDS = {
    "architectures": list[str] | None,
    "model_type": str | None,
    "vocab_size": int | None,
    "hidden_size": int | None,
    "pad_token_id": int | None,
    "max_position_embeddings": int | None,
    "n_positions": int | None,
    "tie_word_embeddings": bool | None,
    "text_config": dict | None,
    "auto_map": dict | None,
}
_LAYERS = re.compile(r"(num_(\w+_)?layers|n_layers?)")
_MANY_LAYERS = 1000  # so many are a mistake, unless the file has as many tensors


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` as a dict. Raises ModelError if it is missing, not JSON, or asks for code of its own."""
    if not os.path.lexists(folder / "config.json"):
        raise ModelError(f"{name_of(folder)} has no config.json, so it is not a checkpoint that transformers can read")
    config = json_of(folder, "config.json")
    what = f"config.json of {name_of(folder)}"
    check_fields(config, _CONFIG_KINDS, what)
    if config.get("text_config"):
        check_fields(config["text_config"], _CONFIG_KINDS, f"text_config in {what}")
    if config.get("auto_map") and not _is_known_type(config.get("model_type")):
        raise ModelError(
            f"{name_of(folder)} needs code of its own (auto_map in config.json), which subemb never runs; "
            "choose a model whose architecture is part of transformers",
            "unsupported",
        )
    return config


def _check_layers(config: dict[str, Any], tensors: int, what: str) -> None:
    """Raise ModelError (``broken``) for more layers than the weights files can hold: building them would never end."""
    for values in (config, config.get("text_config") or {}):
        for name, value in values.items():
            if isinstance(value, int) and value > max(_MANY_LAYERS, tensors) and _LAYERS.fullmatch(name):
                raise ModelError(
                    f"{what} says {name}: {value:,}, but the weights files hold {tensors:,} tensors; download the model again",
                    "broken",
                )


def _is_known_type(model_type: Any) -> bool:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return model_type in CONFIG_MAPPING_NAMES


# Finding and checking the table


def find_table(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """Name of the input embedding's tensor: by known names where there is no doubt, else by asking the architecture."""
    text_config = config.get("text_config") if isinstance(config.get("text_config"), dict) else {}
    sizes = (config.get("vocab_size"), text_config.get("vocab_size"))
    for suffix in TABLE_SUFFIXES:
        names = [name for name in tensors if name == suffix or name.endswith("." + suffix)]
        if len(names) > 1:  # T5 without "shared": the encoder's is the input
            names = [name for name in names if "encoder.embed_tokens" in name] or names
        if len(names) == 1 and len(tensors[names[0]].shape) == 2 and tensors[names[0]].shape[0] in sizes:
            return names[0]
        if names:
            break
    from .network import table_name_by_network

    return table_name_by_network(folder, tensors)


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
