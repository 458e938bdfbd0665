"""Models that are a token table and nothing else: model2vec, and the StaticEmbedding of sentence-transformers.

A sentence's vector is the mean of the rows of its tokens, and what ``modules.json`` or ``config.json`` puts after it. Row t of the
table is ``weights[t] * embeddings[mapping[t]]`` where the file has weights or a mapping (vocabulary-quantized model2vec); rows may
be stored as int8, whose numbers are taken as they are.

The two libraries read a text alike but for this: model2vec leaves unknown tokens out and reads 512 tokens at most, unless
``max_length`` says otherwise. A folder whose ``config.json`` is model2vec's is read as model2vec does.
"""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import ModelError
from ..base.progress import ProgressCallback, report
from ..base.text import size_text
from .authors import prompt_of, sentence_modules_of
from .checkpoint import Checkpoint, check_finite, check_table_shape, read_config
from .folder import json_object, name_of
from .headers import FLOAT_TYPES, Tensor, read_header, read_headers

if TYPE_CHECKING:
    import torch

#: What the two libraries call the table in its file.
TABLE_NAMES = ("embedding.weight", "embeddings")
#: The module of sentence-transformers that is a table, and those that may follow it.
_TABLE_MODULE = "StaticEmbedding"
_STEPS = ("Normalize", "Dense", "LayerNorm", "Dropout")
_MODEL2VEC_LONGEST = 512  # tokens, where its config says nothing


@dataclass(frozen=True)
class StaticCheckpoint(Checkpoint):
    """An opened folder of a static table. ``table`` names its tensor and has the shape (V, D) that it stands for."""

    is_static = True

    steps: tuple[tuple[str, Path], ...] = ()  # modules of sentence-transformers after the table: kind and folder
    options: dict[str, Any] = field(default_factory=dict)  # config_sentence_transformers.json

    @property
    def is_sentence_model(self) -> bool:
        """Sentence vectors are all that its authors made it for."""
        return True

    @property
    def is_model2vec(self) -> bool:
        """Whether it is read as model2vec does, rather than as sentence-transformers does."""
        return _is_model2vec(self.config)

    @property
    def heads(self) -> tuple[str, ...]:
        """None: there is no network that a head could sit on."""
        return ()

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that open it; sentence-transformers needs to be told its modules."""
        listed = ("sentence-transformers",) if (self.folder / "modules.json").is_file() else ()
        return ("model2vec", *listed) if self.is_model2vec else listed

    @property
    def normalizes(self) -> bool:
        """Whether vectors are put to length 1 at the end."""
        if self.is_model2vec and isinstance(self.config.get("normalize"), bool):
            return self.config["normalize"]
        return any(kind == "Normalize" for kind, _ in self.steps)

    @property
    def longest(self) -> int | None:
        """Tokens of a text that model2vec reads; None: all, or as many as the tokenizer's own file says."""
        found = self.config.get("max_length", _MODEL2VEC_LONGEST) if self.is_model2vec else None
        return found if isinstance(found, int) and found > 0 else None

    @property
    def prompt(self) -> str:
        """What is put in front of every text; "" for nothing."""
        return prompt_of(self.options)

    @property
    def truncated(self) -> int | None:
        """Axes of a sentence vector that are kept, the first; None for all."""
        found = self.options.get("truncate_dim")
        return found if isinstance(found, int) and found > 0 else None

    @property
    def folded_names(self) -> tuple[str, ...]:
        """Tensors that say which stored row a token has, and what it is multiplied by, where the file has them."""
        return tuple(name for name in ("weights", "mapping") if name in self.tensors)

    @cached_property
    def parameters(self) -> int:
        """Floats of the table that the file stands for, V * D, and of the modules after it."""
        files = [path for _, step in self.steps for path in sorted(step.glob("*.safetensors"))]
        more = sum(tensor.numel for path in files for tensor in read_header(path).values() if tensor.dtype in FLOAT_TYPES)
        return self.table.numel + more

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content, 16 hex digits: every small file, and the weights whole."""
        digest = hashlib.sha256()
        for path in [*self.content_files, *self.weights_files]:
            with path.open("rb") as handle:
                digest.update(path.name.encode() + hashlib.file_digest(handle, "sha256").digest())
        return digest.hexdigest()[:16]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know, in sentences."""
        notes = ("A static table: there is no network, a sentence's vector is the mean of its tokens' rows.",)
        stored = self.tensors[self.table.name]
        if stored.dtype != "I8" and not self.folded_names:
            return notes
        parts = [f"{stored.shape[0]:,} rows of {'8-bit whole numbers' if stored.dtype == 'I8' else stored.dtype}"]
        parts += ["a mapping that says which of them a token has"] if "mapping" in self.folded_names else []
        parts += ["a weight for each token"] if "weights" in self.folded_names else []
        size = size_text(stored.nbytes + sum(self.tensors[name].nbytes for name in self.folded_names))
        return (
            *notes,
            f"Its file holds {', '.join(parts)} ({size}). What is compressed, and compared with, is the table that this "
            f"stands for: {self.table.shape[0]:,} × {self.table.shape[1]} numbers of 32 bits.",
        )

    @property
    def pooling(self) -> str:
        """How a sentence vector is made, in words."""
        kinds = [kind for kind, _ in self.steps if kind != "Normalize"]
        parts = ["mean of the rows of its tokens"]
        parts += [f"after the prompt {self.prompt!r}"] if self.prompt else []
        parts += ["unknown tokens left out"] if self.is_model2vec else []
        parts += [f"then {', '.join(kinds)}"] if kinds else []
        parts += ["at length 1"] if self.normalizes else []
        parts += [f"cut to {self.truncated} axes"] if self.truncated else []
        library = "model2vec" if self.is_model2vec else "sentence-transformers"
        return f"{', '.join(parts)} (a static table, read as {library} does)"

    def read_table(self, progress: ProgressCallback | None = None) -> "torch.Tensor":
        """The (V, D) float32 table that the file stands for: mapped, and times its weights.

        Raises ModelError: ``bad_table`` for NaN or infinity, or a mapping to a row that is not there; ``broken``.
        """
        from safetensors import SafetensorError, safe_open

        report(progress, "reading the token table", 0.0)
        path = self.table.file
        what = f"{self.table.name} of {name_of(self.folder)}"
        try:
            with safe_open(path, "pt") as file:
                table = file.get_tensor(self.table.stored).float()
                folded = {name: file.get_tensor(self.tensors[name].stored) for name in self.folded_names}
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error.strerror or error})") from error
        except SafetensorError as error:
            raise ModelError(f"{path} was cut off or exchanged ({error}); copy or download it again") from error
        if "mapping" in folded:
            mapping = folded["mapping"].long()
            low, high = (int(number) for number in mapping.aminmax())
            if low < 0 or high >= len(table):
                raise ModelError(
                    f"mapping of {name_of(self.folder)} names row {low if low < 0 else high}, but {self.table.name} has "
                    f"{len(table)} rows; download the model again",
                    "bad_table",
                )
            table = table[mapping]
        if "weights" in folded:
            table = (table.double() * folded["weights"].double()[:, None]).float()
        if tuple(table.shape) != self.table.shape:
            raise ModelError(f"{path} has changed since it was opened; open the model again")
        check_finite(table, what, progress)
        return table.contiguous()


def read_static(folder: Path, inner: Path) -> StaticCheckpoint | None:
    """The checkpoint of a folder that is a static table; None if it is something else, which the caller has to find out.

    inner: where its weights are. Reads JSON and headers. Raises ModelError as read_checkpoint does, and (``unsupported``) for a
    sentence-transformers model that begins with neither a network nor a static table, or goes on with what no static table has.
    """
    modules = sentence_modules_of(folder)
    first = modules[0][0] if modules else None
    config = _config(inner)
    if first is None and not _is_model2vec(config):
        return None
    if first not in (None, _TABLE_MODULE):
        _refuse_others(folder, first)
        return None
    unknown = next((kind for kind, _ in modules[1:] if kind not in _STEPS), None)
    if unknown is not None:
        raise ModelError(
            f"{name_of(folder)} puts {unknown} after its static table; subemb reads tables followed by {', '.join(_STEPS[:2])} only",
            "unsupported",
        )
    tensors = read_headers(inner)
    name = next((name for name in TABLE_NAMES if name in tensors), None)
    if name is None:
        have = ", ".join(sorted(tensors)[:5]) or "nothing"
        raise ModelError(
            f"{name_of(folder)} is a static table, but its weights file has no {' or '.join(TABLE_NAMES)}; it has {have}",
            "unsupported",
        )
    table = _shaped(tensors, name, name_of(folder))
    steps = tuple((kind, folder / path) for kind, path in modules[1:])
    return StaticCheckpoint(
        folder, inner, config, tensors, table, steps, json_object(folder / "config_sentence_transformers.json")
    )


def _shaped(tensors: dict[str, Tensor], name: str, model: str) -> Tensor:
    """The table's tensor with the shape that it stands for. Raises ModelError (``bad_table``) if parts do not fit."""
    stored, mapping, weights = tensors[name], tensors.get("mapping"), tensors.get("weights")
    check_table_shape(stored.shape, "F32" if stored.dtype == "I8" else stored.dtype, f"{name} of {model}")
    if mapping is not None and (len(mapping.shape) != 1 or not mapping.dtype.startswith(("I", "U"))):
        raise ModelError(
            f"mapping of {model} is {mapping.dtype} of shape {mapping.shape}; it must be one whole number a token", "bad_table"
        )
    count = stored.shape[0] if mapping is None else mapping.shape[0]
    if weights is not None and (weights.shape != (count,) or weights.dtype not in FLOAT_TYPES):
        raise ModelError(
            f"weights of {model} are {weights.dtype} of shape {weights.shape}; {count} tokens need one float each", "bad_table"
        )
    shape = (count, stored.shape[1])
    check_table_shape(shape, "F32", f"{name} of {model}")
    return replace(stored, shape=shape)


def _refuse_others(folder: Path, first: str) -> None:
    """Raises ModelError (``unsupported``) for a sentence-transformers model that begins with no network."""
    name = name_of(folder)
    if first in ("Router", "Asym"):
        raise ModelError(
            f"{name} reads queries and documents by different models (a {first} in modules.json); subemb compresses one table, "
            "so open the folder of one of them",
            "unsupported",
        )
    if first in ("WordEmbeddings", "BoW", "SparseStaticEmbedding"):
        raise ModelError(
            f"{name} begins with {first}, a list of words and their vectors, which subemb does not open; give the vectors as an "
            "array: subemb.PretrainedModel.from_table(vectors, words)",
            "unsupported",
        )


def _is_model2vec(config: dict[str, Any]) -> bool:
    return config.get("model_type") == "model2vec" or config.get("architectures") == ["StaticModel"]


def _config(folder: Path) -> dict[str, Any]:
    """config.json, {} without one: a StaticEmbedding has none. Raises ModelError for a damaged one."""
    return read_config(folder) if (folder / "config.json").is_file() else {}
