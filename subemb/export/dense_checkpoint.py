"""A checkpoint for tools that do not know subemb: the original's files, with the reconstructed table written into them."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.arguments import checked
from ..base.errors import InputError, ModelError
from ..base.paths import give_usual_modes
from ..base.progress import ProgressCallback, report
from ..evaluate.similarity.demonstration import TaskScore
from ..models.architectures import HEADS, spellings
from ..models.checkpoint import Checkpoint
from ..models.headers import read_header
from ..models.model import PretrainedModel
from .compact_folder import CARD_FILE, model_card

if TYPE_CHECKING:
    import torch

#: Files that hold weights in other forms, or code: none of them is copied.
_LEFT_OUT = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".ot", ".onnx", ".tflite", ".py", ".gguf")
_FOLDERS_LEFT_OUT = ("onnx", "openvino", "coreml", ".git", ".cache")
#: What the model card says about using it.
_USE = (
    "An ordinary checkpoint: the table in it is the reconstruction, as large as the original's, so that every tool opens it. "
    "The compact folder is what is small."
)
_USE_MASKED = (
    "An ordinary checkpoint with a masked-word head, for AutoModelForMaskedLM: the table in it is the reconstruction. Take sentence vectors "
    "from the model itself, not from this checkpoint."
)


@checked
def dense(
    model: PretrainedModel, folder: Path, progress: ProgressCallback | None = None, task: TaskScore | None = None
) -> Path:
    """Write the model as an ordinary checkpoint: transformers and sentence-transformers open it. Returns the folder.

    model: compressed or adapted. task: its score for the card. Tensors keep the original's names; a checkpoint in another type than float32 becomes float32, so
    that nothing is rounded. Raises InputError if the folder is not empty, or cannot be written (then nothing is left there),
    ModelError if the original has no checkpoint or a changed weight is not in it.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something already; give a new or empty folder for the checkpoint")
    checkpoint = model.checkpoint
    if checkpoint.folder is None:
        raise ModelError(f"{model.name} is a table in memory; it has no checkpoint to write the table into", "unsupported")
    if model.original is None:
        raise InputError(
            f"{model.name} is as its authors made it, and its folder is its checkpoint; attach a compressed table first"
        )
    changed = _by_tensor(checkpoint, model)
    prefix = getattr(model.original.network(), "prefix", "")  # that only subemb knows how to take off
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise _cannot_write(folder, error) from error
    staging = place / folder.name
    try:
        staging.mkdir()
        _copy_files(checkpoint, staging)
        for number, source in enumerate(checkpoint.weights_files):
            report(progress, f"writing {source.name}", number / len(checkpoint.weights_files))
            _rewrite(source, staging / source.relative_to(checkpoint.folder), changed, checkpoint, prefix)
        _write_index(staging / checkpoint.weights_folder.relative_to(checkpoint.folder))
        _say_float32(staging / checkpoint.weights_folder.relative_to(checkpoint.folder) / "config.json")
        (staging / CARD_FILE).write_text(model_card(model, use=_USE, task=task), encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        give_usual_modes(staging)
        staging.rename(folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return folder


@checked
def masked(model: PretrainedModel, folder: Path) -> Path:
    """Write the model with its masked-word head as an ordinary checkpoint that ``AutoModelForMaskedLM`` opens. Returns the folder.

    For heads that were trained with subemb, which the model's own checkpoint has no place for: the head's changes are merged into the
    weights, so sentence vectors of this checkpoint are others. Raises InputError if the folder is not empty or cannot be written, or for a
    model whose checkpoint has the head itself, ModelError for one without a head.
    """
    import torch

    from ..models.masked_network import merged_state

    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something already; give a new or empty folder for the checkpoint")
    if model.has_head("masked") and not model.head_note("masked"):
        raise InputError(f"the checkpoint of {model.name} has its masked-word head itself; --dense writes it")
    network = model.network("masked")
    with torch.device("meta"):
        plain = type(network)(network.config)
    state = merged_state(network)
    state |= dict.fromkeys(_table_names(plain), model.table)
    plain.load_state_dict({name: state[name].detach().float().clone() for name in plain.state_dict()}, assign=True)
    plain.tie_weights()
    try:
        plain.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        about = f"{_USE_MASKED} {model.head_note('masked')}"
        (folder / CARD_FILE).write_text(model_card(model, use=about), encoding="utf-8")
        give_usual_modes(folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return folder


def _table_names(network: "torch.nn.Module") -> list[str]:
    """Every name under which a network holds its token table."""
    tables = {id(network.get_input_embeddings().weight), id(network.get_output_embeddings().weight)}
    return [name for name, parameter in network.named_parameters(remove_duplicate=False) if id(parameter) in tables]


def _cannot_write(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"the checkpoint could not be written to {folder} ({error.strerror}); free some space, or give a folder that can be written"
    )


def _by_tensor(checkpoint: Checkpoint, model: PretrainedModel) -> "dict[str, torch.Tensor]":
    """Name in the checkpoint -> its new content: the table with its tied copies, and changed weights."""
    table = model.table
    found = {checkpoint.table.name: table}
    found |= dict.fromkeys(checkpoint.tied_names, table)
    if not model.weights:
        return found
    network = model.original.network()
    prefixes = getattr(network, "base_model_prefix", ""), getattr(network, "prefix", "")
    lost = set()
    for name, value in model.weights.items():
        spelled = {
            own
            for tied in _tied_names(model, name)
            for own in _places(tied, checkpoint, prefixes)
            if checkpoint.tensors[own].shape == tuple(value.shape)
        }
        found |= dict.fromkeys(spelled, value)
        lost |= set() if spelled else {name}
    # What is renamed holds the original's table too, which is not the one to write.
    return _renamed(checkpoint, model, lost, prefixes) | found if lost else found


def _places(name: str, checkpoint: Checkpoint, prefixes: tuple[str, str]) -> list[str]:
    """The tensor of a checkpoint that a network's weight comes from, if it is there. prefixes: of the base network, and of a wrapper."""
    base, before = prefixes
    return spellings(f"{before}{name}", checkpoint.tensors, base)[:1] or [
        before + own for own in spellings(name, {one.removeprefix(before) for one in checkpoint.tensors}, base)[:1]
    ]


def _renamed(
    checkpoint: Checkpoint, model: PretrainedModel, lost: set[str], prefixes: tuple[str, str]
) -> "dict[str, torch.Tensor]":
    """Name in the checkpoint -> new content, of families whose weights transformers renames, splits or fuses in loading.

    In saving, transformers itself undoes that. Raises ModelError (``unsupported``) for a changed weight that is in no tensor.
    """
    from safetensors import safe_open

    from ..models.network import exchange_weights

    found: dict[str, torch.Tensor] = {}
    for head in (None, *filter(model.original.has_head, HEADS)):
        original = model.original.network(head)
        own = {name for name, _ in original.named_parameters(remove_duplicate=False)}
        if own.issuperset(model.weights):
            break
    else:
        raise _no_place(min(lost), model)
    with tempfile.TemporaryDirectory() as place:
        exchange_weights(original, model.weights).save_pretrained(place)
        for path in sorted(Path(place).glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a dict
                    if name in own and name not in lost:
                        continue  # it has the name that it has in the network, so its place is known or nothing changed
                    value = file.get_tensor(name)
                    spelled = _places(name, checkpoint, prefixes)
                    if name in own or not spelled or checkpoint.tensors[spelled[0]].shape != tuple(value.shape):
                        raise _no_place(name, model)
                    found[spelled[0]] = value
    return found


def _no_place(name: str, model: PretrainedModel) -> ModelError:
    return ModelError(
        f"the changed weight {name} has no place of its shape in the checkpoint of {model.name}; export the compact folder",
        "unsupported",
    )


def _tied_names(model: PretrainedModel, name: str) -> list[str]:
    """Every name that the network has for a weight: checkpoints may hold the bias of a masked-word head under two."""
    for head in (None, *filter(model.original.has_head, HEADS)):
        own = dict(model.original.network(head).named_parameters(remove_duplicate=False))
        if name in own:
            return [other for other, parameter in own.items() if parameter is own[name]]
    return [name]


def _copy_files(checkpoint: Checkpoint, staging: Path) -> None:
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


def _rewrite(source: Path, target: Path, changed: "dict[str, torch.Tensor]", checkpoint: Checkpoint, prefix: str) -> None:
    """A weights file with some of its tensors exchanged, all floats in float32, under the names that transformers looks for.

    Scales are multiplied out and left out, as is what the table was computed with. prefix: before all names, to be taken off.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {}
    for name, tensor in checkpoint.tensors.items():
        if tensor.file != source or name in checkpoint.folded_names:
            continue
        value = changed[name] if name in changed else checkpoint.read_tensor(tensor)
        value = value.detach().to(torch.float32 if value.is_floating_point() else value.dtype)
        tensors[name.removeprefix(prefix)] = value.contiguous().clone()
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target, {"format": "pt"})


def _write_index(folder: Path) -> None:
    """The index of a checkpoint in shards, of what the shards hold now."""
    path = folder / "model.safetensors.index.json"
    if not path.is_file() or (folder / "model.safetensors").is_file():
        return
    found = {name: tensor for shard in sorted(folder.glob("*.safetensors")) for name, tensor in read_header(shard).items()}
    metadata = {
        "total_parameters": sum(tensor.numel for tensor in found.values()),
        "total_size": sum(tensor.nbytes for tensor in found.values()),
    }
    index = {"metadata": metadata, "weight_map": {name: tensor.file.name for name, tensor in sorted(found.items())}}
    path.write_text(json.dumps(index, indent=2), encoding="utf-8")


def _say_float32(path: Path) -> None:
    if not path.is_file():  # a static table needs none
        return
    config = json.loads(path.read_text(encoding="utf-8"))
    for name in ("torch_dtype", "dtype", "embedding_dtype"):
        if name in config:
            config[name] = "float32"
    config.pop("vocabulary_quantization", None)  # of model2vec: every token has a row of its own now
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
