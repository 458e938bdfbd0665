"""The network around a token table: loading it quietly, copying it with other weights, and asking an architecture without any.

The network of a sentence-transformers model and the tokenizer are loaded here too. Which parts a model's own network is made of is
decided in :mod:`subemb.models.model`.
"""

import copy
import logging
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..base.errors import ModelError
from ..codec.modules import share_weights
from .architectures import HEADS, TOKENIZER_FILES, TOKENIZER_PACKAGES, spellings
from .folder import check_not_pickled, checked_modules, has_tokenizer, name_of, pointer_text, vocabulary_files, weights_folder
from .headers import Tensor
from .loading import in_our_words, is_as_stored, load_as, quiet_transformers, readable_headers
from .probe import architecture_of
from .stored import partner_name

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)


# Loading


def load_sentence_model(folder: Path):
    """The sentence-transformers model of a folder with ``modules.json``, on the CPU. Raises ModelError (``unsupported``)."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ModelError(
            f"{name_of(folder)} is a sentence-transformers model; run: pip install sentence-transformers", "unsupported"
        ) from error
    check_sentence_modules(folder)
    inner = weights_folder(folder)
    tensors = readable_headers(inner)
    if (inner / "adapter_config.json").is_file():  # its base could be anywhere
        raise ModelError(
            f"{name_of(folder)} has an adapter beside its weights (adapter_config.json); merge it into the base model first",
            "unsupported",
        )
    with quiet_transformers():
        try:
            model = SentenceTransformer(
                str(folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32, "ignore_mismatched_sizes": True},
            )
        except Exception as error:
            log.info("sentence-transformers cannot load %s: %s", name_of(folder), error)
            why = in_our_words(
                error, "one of the modules that modules.json names does not fit its files; download the model again"
            )
            raise ModelError(f"{name_of(folder)} cannot be loaded for sentences: {why}", "unsupported") from error
    _with_stored_weights(model.eval(), tensors, inner)
    return model


def _with_stored_weights(model, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """See to it that the network in a sentence-transformers model has the numbers of its folder. Raises ModelError."""
    network = getattr(model[0], "auto_model", None)
    if network is None:
        return

    def vectors(one: torch.nn.Module) -> torch.Tensor:
        exchange_network(model, one)
        ids = torch.arange(4).unsqueeze(0).clamp(max=one.get_input_embeddings().weight.shape[0] - 1)
        return model({"input_ids": ids, "attention_mask": torch.ones_like(ids)})["sentence_embedding"]

    if not is_as_stored(network, tensors, folder, vectors):
        network = load_as(type(network), network.config, tensors, folder, vectors)
    exchange_network(model, network)


def check_sentence_modules(folder: Path) -> None:
    """Raises ModelError if ``modules.json`` names code from elsewhere or a module with pickled weights only.

    sentence-transformers before version 6 runs code that lies in a local folder without being asked to trust it, and every
    version unpickles a module that has no safetensors.
    """
    for step in checked_modules(folder):
        kind = step["type"]
        if not kind.startswith("sentence_transformers."):
            raise ModelError(
                f"{name_of(folder)} needs code of its own ({kind} in modules.json), which subemb never runs", "unsupported"
            )
        check_not_pickled(folder, folder / step["path"])


def load_tokenizer(folder: Path):
    """``AutoTokenizer`` of a folder.

    Raises ModelError: ``no_tokenizer`` if files are missing, ``unsupported`` if a package is, ``broken`` if they cannot be read.
    """
    name, files = name_of(folder), vocabulary_files(folder)
    if not has_tokenizer(folder):
        raise ModelError(
            f"{name} has no tokenizer files ({', '.join(TOKENIZER_FILES[:3])}, ...); copy them from where the model comes from",
            "no_tokenizer",
        )
    check_not_pointers(folder, [*files, "tokenizer_config.json"] if (folder / "tokenizer_config.json").is_file() else files)
    from transformers import AutoTokenizer

    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:
            raise _unreadable(folder, files, error) from error
    wanted = getattr(tokenizer, "vocab_files_names", None) or {}
    if files and wanted and not (folder / "tokenizer.json").is_file():
        # transformers makes up a vocabulary of special tokens, or one without merges, where it finds no file.
        missing = [file for file in wanted.values() if not (folder / file).is_file()]
        no_vocabulary = not any(file in files for file in wanted.values())
        if no_vocabulary or wanted.get("merges_file") in missing:
            raise ModelError(
                f"the tokenizer of {name} ({type(tokenizer).__name__}) cannot be read from {', '.join(files)} alone: "
                f"{missing[0]} is missing; copy it from where the model comes from",
                "no_tokenizer",
            )
    return tokenizer


def share_vocabulary(first, second) -> None:
    """Have the second of two transformers tokenizers read with the vocabulary of the first, if they read alike: 250,000 tokens take 0.3 GB.

    How texts are cut and padded lies in what they share too, and is set anew by every call; limits and sides stay each one's own.
    The first may be in use in another thread: nothing is changed in it. The second is new.
    """
    own, other = (getattr(one, "_tokenizer", None) for one in (first, second))
    if own is other or type(own) is not type(other) or not type(own).__module__.startswith("tokenizers"):
        return
    cut, padding = own.truncation, own.padding
    other.no_truncation() if cut is None else other.enable_truncation(**cut)
    other.no_padding() if padding is None else other.enable_padding(**padding)
    if own.__getstate__() == other.__getstate__():
        second._tokenizer = own


def read_fast_tokenizer(path: Path, model: str) -> "Tokenizer":
    """What a ``tokenizer.json`` holds, by the tokenizers library: much quicker than building the whole tokenizer of transformers.

    model: its name, for messages. Raises ModelError (``broken``).
    """
    from tokenizers import Tokenizer

    check_not_pointers(path.parent, [path.name])
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # a Rust library raises plain exceptions
        raise ModelError(f"tokenizer.json of {model} cannot be read ({error}); download the model again") from error


def check_not_pointers(folder: Path, files: Iterable[str]) -> None:
    """Raises ModelError for files in place of which there are pointers of Git LFS."""
    for file in files:
        if (text := pointer_text(folder / file)) is not None:
            raise ModelError(text)


def _unreadable(folder: Path, files: list[str], error: Exception) -> ModelError:
    """Why a tokenizer cannot be read: a package that is missing, or something in its files."""
    said, name = str(error).lower(), name_of(folder)
    # transformers names sentencepiece and tiktoken whatever is wrong; they are for these files only.
    packages = [package for package in TOKENIZER_PACKAGES if package in said]
    if any(file.endswith((".model", ".spm")) for file in files):
        packages = ["sentencepiece", "protobuf"]
    elif any(file.endswith(".tiktoken") for file in files):
        packages = ["tiktoken"]
    modules = {"protobuf": "google.protobuf"}
    missing = [package for package in packages if not _is_installed(modules.get(package, package))]
    if missing:
        return ModelError(
            f"the tokenizer of {name} ({', '.join(files)}) cannot be read without another package; run: pip install "
            f"{' '.join(missing)}; or use a copy of the model with a tokenizer.json",
            "unsupported",
        )
    if "vocab.json" in files and "tokenizer.json" not in files and not (folder / "merges.txt").is_file():
        return ModelError(
            f"the tokenizer of {name} cannot be read from {', '.join(files)} alone, and merges.txt is missing; copy it from where "
            "the model comes from",
            "no_tokenizer",
        )
    return ModelError(
        f"the tokenizer of {name} cannot be read from {', '.join(files) or 'tokenizer_config.json'}: damaged, or of a kind that the "
        "installed transformers does not know; download it again, or use a copy of the model with a sound tokenizer.json"
    )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is part of
        return False


# The same network with other weights


def exchange_weights(network: torch.nn.Module, weights: Mapping[str, torch.Tensor], partly: bool = False) -> torch.nn.Module:
    """A copy of a network in which some weights have other values; it shares all the others.

    weights: name -> tensor. A name may be that of the network without its head: it is found in a network with one, and the
    other way round. A weight with several names, such as the bias of BERT's masked-word head, is exchanged under all of them.
    partly: leave out weights of a head that this network does not have.
    Raises ModelError (``broken``) for a name that belongs to no part of the network, or another shape.
    """
    prefix = getattr(network, "base_model_prefix", "")
    own = dict(network.named_parameters(remove_duplicate=False))
    instead = {}
    for name, value in weights.items():
        found = next(iter(spellings(name, own, prefix)), None)
        if found is None:
            if partly and not hasattr(network, name.partition(".")[0]) and not name.startswith(f"{prefix}."):
                continue  # of the head it was trained with
            raise ModelError(f"the network has no weight {name!r}; it belongs to another model", "broken")
        old = own[found]
        if old.shape != value.shape:
            raise ModelError(
                f"the weight {name!r} has shape {tuple(value.shape)}; the network's has {tuple(old.shape)}", "broken"
            )
        instead[id(old)] = torch.nn.Parameter(value.detach().clone().to(old), requires_grad=old.requires_grad)
    return share_weights(network, instead=instead).eval()


def freeze(module: torch.nn.Module, but: Iterable[torch.nn.Parameter] = ()) -> None:
    """Freeze the weights of a module tree, except those in ``but``, which stay the Parameters that they are.

    The frozen ones become new Parameters in the same memory, since other networks may hold the old ones and train them.
    """
    # Found by the ids of the old ones, so that tied weights stay tied; ``old`` keeps those alive, or an id could be used twice.
    old = list(module.named_parameters(remove_duplicate=False))
    own = {id(parameter): parameter for parameter in but}
    for name, parameter in old:
        if id(parameter) not in own:
            own[id(parameter)] = torch.nn.Parameter(parameter.detach(), requires_grad=False)
        path, _, last = name.rpartition(".")
        setattr(module.get_submodule(path), last, own[id(parameter)])


def exchange_network(sentence_model, network: torch.nn.Module) -> None:
    """Make a sentence-transformers model run on another transformers network."""
    holder = sentence_model[0]
    # Its versions differ in the attribute that holds the network; ``auto_model`` reads it in all of them.
    name = next(name for name, child in holder.named_children() if child is holder.auto_model)
    setattr(holder, name, network)


def sentence_model_with(source, network: torch.nn.Module, device: torch.device | str | None = None):
    """A sentence-transformers model like ``source`` around another network.

    Weights of its other modules are shared; with a device they are copied there, where the network lies already.
    """
    kept = (source.tokenizer, source[0].processor, source[0].auto_model)
    if device is None:
        model = share_weights(source, *kept)
    else:
        model = copy.deepcopy(source, {id(part): part for part in kept if part is not None})
    exchange_network(model, network)
    return model if device is None else model.to(device)


def copy_of_table(network: torch.nn.Module, table: torch.Tensor) -> torch.nn.Parameter | None:
    """The weight in which a network looks its tokens up, if it has the numbers of the model's table and could have its memory too."""
    try:
        weight = getattr(network.get_input_embeddings(), "weight", None)
    except NotImplementedError:  # it has several tables, or none
        return None
    if not isinstance(weight, torch.nn.Parameter) or weight.is_inference() or table.is_inference():  # which autograd refuses
        return None
    is_alike = (weight.dtype, weight.device, weight.shape) == (table.dtype, table.device, table.shape)
    return weight if is_alike and weight.is_contiguous() and torch.equal(weight, table) else None


# Architectures without weights


def table_name_by_network(folder: Path, tensors: Mapping[str, Tensor]) -> str:
    """Have the architecture built without weights and look which parameter its input embedding is; then find its stored name.

    Raises ModelError (``unsupported``) if the architecture is not known, or has no token table.
    """
    try:
        found = architecture_of(folder)
    except ModelError as error:
        raise ModelError(f"the token table of {name_of(folder)} cannot be found: {error}", "unsupported") from error
    if found.inputs is None:
        raise ModelError(
            f"{name_of(folder)} has no token table: the architecture {found.model_type!r} does not look its tokens up in one",
            "unsupported",
        )
    names, prefix, shapes = found.inputs, found.prefix, found.shapes
    for name in names:
        for wanted in (name, f"{prefix}.{name}"):
            if wanted in tensors:
                return wanted
    for name in names:
        # A head around the model adds a prefix, and a checkpoint of the bare model lacks one.
        found = [stored for stored in tensors if stored.endswith("." + name) or name.endswith("." + stored)]
        if len(found) == 1:
            return found[0]
    for name in names:
        # Older releases kept a network inside another under a longer name.
        end = ".".join(name.split(".")[-2:])
        same = [stored for stored in tensors if stored.endswith(f".{end}") and [*tensors[stored].shape] == shapes.get(name)]
        if len(same) == 1:
            return same[0]
    wanted = names[0] if names else "weight"
    ends = tuple(f".{name}" for name in names)
    several = sorted(stored for stored in tensors if stored.endswith(ends) and len(tensors[stored].shape) == 2) if ends else []
    if len(several) > 1:
        raise ModelError(
            f"{name_of(folder)} holds more than one network: its token table may be {' or '.join(several[:3])}; save the one that you mean "
            "by itself",
            "unsupported",
        )
    packed = partner_name(wanted, tensors) or next((partner_name(f"{prefix}.{wanted}", tensors) for _ in names), None)
    if packed is not None:
        raise ModelError(
            f"the token table of {name_of(folder)} is packed ({packed}); use a copy of the model that is not quantized",
            "unsupported",
        )
    raise ModelError(
        f"{name_of(folder)} has no tensor {names[0] if names else 'for tokens'!r} in its weights files", "unsupported"
    )


def shapes_by_network(folder: Path, heads: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Shape of every weight by its name in the architecture of a folder, without a head and with each of ``heads`` that it has.

    {} if the architecture cannot be built.
    """
    try:
        shapes = architecture_of(folder, ("AutoModel", *(HEADS[head].auto_class for head in heads))).shapes
    except ModelError:  # loading the network will say what it is
        return {}
    return {name: tuple(shape) for name, shape in shapes.items()}
