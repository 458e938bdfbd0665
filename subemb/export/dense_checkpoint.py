"""A checkpoint for tools that do not know subemb: the original's files, with the reconstructed table written into them."""

import json
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback, report
from ..models.architectures import HEADS, spellings
from .compact_folder import CARD_FILE, model_card

if TYPE_CHECKING:
    import torch

    from ..models.checkpoint import Checkpoint
    from ..models.model import PretrainedModel

#: Files that hold weights in other forms, or code: none of them is copied.
_LEFT_OUT = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".ot", ".onnx", ".tflite", ".py", ".gguf")
_FOLDERS_LEFT_OUT = ("onnx", "openvino", "coreml", ".git", ".cache")
#: What the model card says about using it.
_USE = (
    "An ordinary checkpoint: the table in it is the reconstruction, as large as the original's, so that every tool opens it. "
    "The compact folder is what is small."
)


def dense(model: "PretrainedModel", folder: Path, progress: ProgressCallback | None = None) -> Path:
    """Write the model as an ordinary checkpoint: transformers and sentence-transformers open it. Returns the folder.

    model: compressed or adapted. Tensors keep the original's names; a checkpoint in another type than float32 becomes float32, so
    that nothing is rounded. Raises InputError if the folder is not empty, or cannot be written (then nothing is left there),
    ModelError if the original has no checkpoint or a changed weight is not in it.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something already; give a new or empty folder for the checkpoint")
    checkpoint = model.checkpoint
    if checkpoint.folder is None:
        raise ModelError(f"{model.name} is a table in memory; it has no checkpoint to write the table into", "unsupported")
    changed = _by_tensor(checkpoint, model)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        _copy_files(checkpoint, staging)
        for number, source in enumerate(checkpoint.weights_files):
            report(progress, f"writing {source.name}", number / len(checkpoint.weights_files))
            _rewrite(source, staging / source.relative_to(checkpoint.folder), changed, checkpoint.folded_names)
        _say_float32(staging / checkpoint.weights_folder.relative_to(checkpoint.folder) / "config.json")
        (staging / CARD_FILE).write_text(model_card(model, use=_USE), encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        staging.chmod(0o755)
        staging.rename(folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _cannot_write(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"the checkpoint could not be written to {folder} ({error.strerror}); free some space, or give a folder that can be written"
    )


def _by_tensor(checkpoint: "Checkpoint", model: "PretrainedModel") -> "dict[str, torch.Tensor]":
    """Name in the checkpoint -> its new content: the table with its tied copies, and changed weights."""
    table = model.table
    found = {checkpoint.table.name: table}
    found |= dict.fromkeys(checkpoint.tied_names, table)
    prefix = getattr(model.original.network(), "base_model_prefix", "")
    for name, value in (model.weights or {}).items():
        spelled = {
            own
            for tied in _tied_names(model, name)
            for own in spellings(tied, checkpoint.tensors, prefix)[:1]
            if tuple(checkpoint.tensors[own].shape) == tuple(value.shape)
        }
        if not spelled:
            raise ModelError(
                f"the changed weight {name} has no place of its shape in the checkpoint of {model.name}; export the compact folder",
                "unsupported",
            )
        found |= dict.fromkeys(spelled, value)
    return found


def _tied_names(model: "PretrainedModel", name: str) -> list[str]:
    """Every name that the network has for a weight: checkpoints may hold the bias of a masked-word head under two."""
    for head in (None, *filter(model.original.has_head, HEADS)):
        own = dict(model.original.network(head).named_parameters(remove_duplicate=False))
        if name in own:
            return [other for other, parameter in own.items() if parameter is own[name]]
    return [name]


def _copy_files(checkpoint: "Checkpoint", staging: Path) -> None:
    """Copy everything except weights, code and hidden folders; links become files."""
    weights = set(checkpoint.weights_files)
    for source in sorted(checkpoint.folder.rglob("*")):
        inside = source.relative_to(checkpoint.folder)
        if not source.is_file() or source in weights or source.suffix.lower() in _LEFT_OUT:
            continue
        if any(part in _FOLDERS_LEFT_OUT or part.startswith(".") for part in inside.parts):
            continue
        target = staging / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _rewrite(source: Path, target: Path, changed: "dict[str, torch.Tensor]", left_out: Collection[str] = ()) -> None:
    """A weights file with some of its tensors exchanged or left out, all floats in float32."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(source, framework="pt") as file:
        tensors = {}
        for name in set(file.keys()) - set(left_out):
            tensor = changed[name] if name in changed else file.get_tensor(name)
            tensors[name] = (
                tensor.detach().to(torch.float32 if tensor.is_floating_point() else tensor.dtype).contiguous().clone()
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target, {"format": "pt"})


def _say_float32(path: Path) -> None:
    if not path.is_file():  # a static table needs none
        return
    config = json.loads(path.read_text(encoding="utf-8"))
    for name in ("torch_dtype", "dtype", "embedding_dtype"):
        if name in config:
            config[name] = "float32"
    config.pop("vocabulary_quantization", None)  # of model2vec: every token has a row of its own now
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
