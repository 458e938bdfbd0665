"""Weights into a network: every one that can reach the output comes from the files, or the network is refused by naming it.

transformers draws at random what a file lacks, and only warns. Here the files' tensors are handed to it by name, with wrappers taken
off and scales multiplied out, and what it then still lacks is tried: weights that are filled with NaN and leave the output as it is,
such as a pooler that nothing reads, may be missing. Whatever the reason (a missing shard, another prefix, more layers in config.json
than in the file, another shape, NaN in the file), the rest is named and refused.
"""

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from ..base.errors import ModelError
from .architectures import ENCODERS, HEADS, SIBLINGS, is_buffer
from .folder import json_object, name_of
from .headers import Tensor, read_headers
from .scaled import read_number_tensor, scale_of, scaled
from .stored import adapter_part, is_scale, quantized_as

log = logging.getLogger(__name__)
_transformers_lock = threading.Lock()  # transformers' verbosity and default dtype are global while it loads
_MOST_PREFIXES = 4  # that are tried
_MOST_LAYERS = 1000  # of a network that is built
_SPARE = 10_000_000  # numbers that a network may have beyond ...
_TIMES = 4  # ... so many times those of its files, before it is not built


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Load without progress bars and warnings on the terminal; one thread at a time."""
    from transformers.utils import logging as theirs

    with _transformers_lock:
        verbosity, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
        theirs.set_verbosity_error()
        theirs.disable_progress_bar()
        try:
            yield
        finally:
            theirs.set_verbosity(verbosity)
            if bars:
                theirs.enable_progress_bar()


# Architectures


def architecture(folder: Path, auto_class: str = "AutoModel") -> torch.nn.Module:
    """The network that a folder's config.json describes, on torch's meta device, without numbers.

    auto_class: of transformers. Raises ModelError (``unsupported``) that says what transformers has no network for.
    """
    import transformers

    name, place = name_of(folder), ""
    with quiet_transformers():
        try:
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            place = str(getattr(config, "model_type", ""))
            layers = getattr(config.get_text_config(), "num_hidden_layers", None)
            if isinstance(layers, int) and layers > _MOST_LAYERS:
                raise ModelError(f"config.json of {name} asks for {layers:,} layers; no network has so many", "unsupported")
            own_class = str((config.architectures or [""])[0])
            if auto_class == "AutoModel" and own_class.endswith(ENCODERS):
                auto_class = "AutoModelForTextEncoding"  # AutoModel would ask for a decoder too
            with torch.device("meta"):
                if auto_class == "AutoModel" and own_class in SIBLINGS:
                    return getattr(transformers, own_class)(config)
                return getattr(transformers, auto_class).from_config(config, trust_remote_code=False, dtype=torch.float32)
        except ModelError:
            raise
        except Exception as error:  # a stranger's config can make transformers raise anything
            log.info("transformers cannot build %s: %s", name, error)
            raise ModelError(
                f"the network of {name} cannot be built: {in_our_words(error, _misfit(place), place)}", "unsupported"
            ) from error


def _misfit(model_type: str) -> str:
    which = f"the architecture {model_type!r}" if model_type else "each other"
    return f"the values in its config.json do not fit {which}; compare them with those of the original model"


def in_our_words(error: Exception, otherwise: str, model_type: str = "") -> str:
    """What an error of transformers in building a network means. otherwise: what to say if that is not known."""
    from transformers import __version__

    text = str(error)
    if "trust_remote_code" in text:
        return "it needs code of its own, which subemb never runs; choose one whose architecture is part of transformers"
    if (found := re.search(r"model type `([\w.-]{1,60})`", text)) or "model identifier" in text:
        which = f"its architecture {found[1]!r}" if found else "its architecture"
        return f"{which} is not part of transformers {__version__}; another version may have it"
    if "Unrecognized model" in text or "model_type" in text:
        return "its config.json does not say which architecture it is (model_type)"
    if "Unrecognized configuration class" in text:
        return f"transformers has no such network for the architecture {model_type!r}"
    if isinstance(error, ImportError) or "pip install" in text:
        found = re.search(r"pip install [`'\"]?([\w\-\[\]>=<.]{1,40})", text)
        package = found[1] if found else getattr(error, "name", None) or "another one"
        return f"it needs a package that is not installed: {package}"
    return otherwise


# Weights


@dataclass(frozen=True)
class Loaded:
    """What came of an attempt to load."""

    network: torch.nn.Module  # float32, in eval mode; without numbers of its own if none were read
    wanting: dict[str, str]  # weights that can reach the output and are not in the files as they should: name -> what is wrong
    absent: tuple[str, ...]  # weights that are not in the files, and that the output does not depend on
    left: tuple[str, ...]  # what the files hold more of the same: layers and experts beyond those of the network
    unplaced: tuple[str, ...]  # what they hold inside of its layers that it has no place for


def load_network(folder: Path, head: str | None = None) -> torch.nn.Module:
    """The network of a checkpoint folder in float32 and eval mode: ``AutoModel``, or the one with a ``head`` of HEADS.

    Raises ModelError (``unsupported``) if it cannot be built, is quantized, or if the files lack a weight that it needs.
    """
    empty = architecture(folder, "AutoModel" if head is None else HEADS[head].auto_class)
    tensors = readable_headers(folder)
    _check_extent(empty, tensors, folder)
    return load_as(type(empty), empty.config, tensors, folder, lambda network: _output(network, head), head)


def _check_extent(empty: torch.nn.Module, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Raises ModelError for a network so much larger than its files that filling it up would only cost memory."""
    wanted = sum(weight.numel() for weight in empty.parameters())
    stored = sum(tensor.numel for tensor in tensors.values())
    if wanted > _SPARE + _TIMES * stored:
        raise ModelError(
            f"config.json of {name_of(folder)} describes a network of {wanted:,} numbers, but its files hold {stored:,}; use a whole copy "
            "of the model, whose files belong to its config.json",
            "unsupported",
        )


def load_as(
    kind: type, config, tensors: Mapping[str, Tensor], folder: Path, output: Callable, head: str | None = None
) -> torch.nn.Module:
    """A network of a class of transformers, with the weights of a folder. tensors: what :func:`readable_headers` found there.
    output: of a network, a tensor that is computed with it.

    The network gets attributes: ``prefix``, which stood before all names of the files and was taken off, ``absent``, weights that are
    not in the files and that the output does not depend on, ``left``, weights of more layers in the files, and ``unplaced``, weights in its
    layers' names that it has no place for. Raises ModelError (``unsupported``).
    """
    loaded = _fill(kind, config, tensors, output, folder)
    prefix = ""
    if loaded.wanting:
        prefix = _other_prefix(kind, config, tensors, output, folder, set(loaded.wanting))
        if not prefix:
            raise ModelError(_wanting_text(loaded, folder, head), "unsupported")
        loaded = _fill(kind, config, _without(prefix, tensors), output, folder)
        if loaded.wanting:
            raise ModelError(_wanting_text(loaded, folder, head), "unsupported")
    network = loaded.network.eval()
    network.prefix, network.absent, network.left, network.unplaced = prefix, loaded.absent, loaded.left, loaded.unplaced
    return network


def is_as_stored(network: torch.nn.Module, tensors: Mapping[str, Tensor], folder: Path, output: Callable) -> bool:
    """Whether a network that somebody else loaded from a folder has the folder's numbers wherever the output depends on them.

    Then it gets the attributes of :func:`load_as`. tensors: as for it. Raises ModelError (``unsupported``).
    """
    if any(tensor.in_file or is_scale(name, tensors) for name, tensor in tensors.items()):
        return False
    loaded = _fill(type(network), network.config, tensors, output, folder, read=False)
    if loaded.wanting or _reaching(network, _wrong(network, {"missing_keys": (), "mismatched_keys": ()}), output)[0]:
        return False
    network.prefix, network.absent, network.left, network.unplaced = "", loaded.absent, loaded.left, loaded.unplaced
    return True


def lacks_head(folder: Path, head: str) -> bool:
    """Whether the files of a folder lack weights of a head (or the architecture has none); only headers are read."""
    try:
        empty = architecture(folder, HEADS[head].auto_class)
        tensors = readable_headers(folder)
        _check_extent(empty, tensors, folder)
        arguments = type(empty), empty.config, tensors, lambda network: _output(network, head), folder
        found = _fill(*arguments, read=False)
        return bool(found.wanting) and not _other_prefix(*arguments, set(found.wanting))
    except ModelError:
        return True


def readable_headers(folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder's network. Raises ModelError (``unsupported``) if they are quantized or part of an adapter."""
    tensors = read_headers(folder)
    part = adapter_part(tensors)
    if part is not None:
        raise ModelError(
            f"the weights of {name_of(folder)} hold an adapter that is not merged ({part}); merge it into the base model first",
            "unsupported",
        )
    how = quantized_as(json_object(folder / "config.json"), {name: one.dtype for name, one in tensors.items()})
    if how is not None:
        raise ModelError(
            f"the network of {name_of(folder)} is quantized ({how}), which subemb does not read: its table can be compressed, but "
            "nothing can be encoded; use a copy of the model that is not quantized",
            "unsupported",
        )
    return tensors


def _without(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _fill(kind, config, tensors: Mapping[str, Tensor], output: Callable, folder: Path, read: bool = True) -> Loaded:
    """Hand tensors to transformers by name. read: their numbers too; without them every tensor is a single zero, seen many times."""
    network, found = _from_tensors(kind, config, tensors, folder, read)
    wrong = _wrong(network, found)
    needed, absent = _reaching(network, wrong, output)
    missing = [name for name, what in needed.items() if what == _MISSING]
    if missing:
        again, _ = _from_tensors(kind, config, tensors, folder, read=False)
        for name in _computed(network, again, missing):
            del needed[name]
            absent.append(name)
    absent = tuple(name for name in absent if wrong[name] == _MISSING)
    more = [
        name for name in sorted(found["unexpected_keys"]) if name in tensors and not is_buffer(name, len(tensors[name].shape))
    ]
    left, unplaced = (tuple(name for name in more if _place(network, name) is wanted) for wanted in (_BEYOND, _INSIDE))
    return Loaded(network, needed, absent, left, unplaced)


_BEYOND, _INSIDE = "beyond", "inside"


def _place(network: torch.nn.Module, name: str) -> str | None:
    """Where a name leads that a network does not have: to a layer behind the last of a list, inside of a layer, or elsewhere (None)."""
    base = getattr(network, "base_model_prefix", "")
    module, is_in_layer = network, False
    for part in name.removeprefix(f"{base}.").split("."):
        if isinstance(module, torch.nn.ModuleList) and not is_in_layer:
            if not part.isdigit() or int(part) >= len(module):
                return _BEYOND if part.isdigit() else None
            is_in_layer = True
        module = getattr(module, part, None)
        if module is None:
            return _INSIDE if is_in_layer else None
    return None


def _from_tensors(kind, config, tensors: Mapping[str, Tensor], folder: Path, read: bool) -> tuple[torch.nn.Module, dict]:
    """A network that transformers makes of tensors, and what it says of their names. Raises ModelError (``unsupported``)."""
    files = {}
    try:
        if read:
            # Slices, which transformers reads one after the other.
            files = {path: safe_open(path, "pt") for path in {tensor.file for tensor in tensors.values()}}
        given = {
            name: _numbers(tensor, tensors, files, folder) if read else torch.zeros(()).expand(tensor.shape)
            for name, tensor in tensors.items()
            if not is_scale(name, tensors)
        }
        with quiet_transformers():
            network, found = kind.from_pretrained(
                None,
                config=config,
                state_dict=given,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except ModelError:
        raise
    except Exception as error:  # whatever a stranger's files make transformers raise
        log.info("transformers cannot load %s: %s", name_of(folder), error)
        raise ModelError(
            f"the network of {name_of(folder)} cannot be built: {in_our_words(error, _misfit(config.model_type), config.model_type)}",
            "unsupported",
        ) from error
    return network.eval(), found


def _computed(one: torch.nn.Module, other: torch.nn.Module, names: list[str]) -> list[str]:
    """Which weights are computed by the architecture, as the sinusoids of Marian: equal in two networks, but not of one number.

    What is drawn differs; what is all ones or zeros would have been learned, as the weights of a norm.
    """
    first, second = (dict(each.named_parameters(remove_duplicate=False)) for each in (one, other))
    return [
        name
        for name in names
        if name in first and torch.equal(first[name], second[name]) and bool((first[name] != first[name].flatten()[0]).any())
    ]


def _numbers(tensor: Tensor, tensors: Mapping[str, Tensor], files: Mapping, folder: Path):
    scale = scale_of(tensor, tensors, name_of(folder))
    if scale is None:
        return files[tensor.file].get_slice(tensor.stored)
    return scaled(read_number_tensor(tensor), read_number_tensor(scale))


_MISSING = "is not among its weights"


def _wrong(network: torch.nn.Module, found: Mapping) -> dict[str, str]:
    """Weights of a network that are not those of the files, and what is wrong with each."""
    own = dict(network.named_parameters(remove_duplicate=False)) | dict(network.named_buffers(remove_duplicate=False))
    wrong = {
        name: f"is {_size(stored)} in its files, but {_size(wanted)} by its config.json"
        for name, stored, wanted in sorted(found["mismatched_keys"])
    }
    for name in sorted(found["missing_keys"]):
        if name in own and own[name].is_floating_point():  # whole numbers are positions and the like, which nothing learns
            wrong[name] = _MISSING
    for name, weight in network.named_parameters():
        if name not in wrong and not torch.isfinite(weight.sum()) and not torch.isfinite(weight).all():
            wrong[name] = "holds NaN or infinity"
    return wrong


def _size(shape) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _wanting_text(loaded: Loaded, folder: Path, head: str | None) -> str:
    """The sentence that refuses, naming one weight and how many more there are."""
    base = getattr(loaded.network, "base_model_prefix", "")
    name, wrong = min(loaded.wanting.items(), key=lambda entry: (entry[0].startswith(f"{base}."), _by_number(entry[0])))
    more = len(loaded.wanting) - 1
    also = f" (and {more} more weights are wanting)" if more else ""
    if head is not None and wrong == _MISSING and not name.startswith(f"{base}."):
        title = HEADS[head].title
        return f"{name_of(folder)} has no {title}: {name} {_MISSING}{also}; choose a model that was saved with one"
    return (
        f"the network of {name_of(folder)} is not whole: {name} {wrong}{also}; use a whole copy of the model, whose files belong to its "
        "config.json"
    )


def _by_number(name: str) -> list:
    """A key that sorts layer 2 before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


# Which weights reach the output


def _output(network: torch.nn.Module, head: str | None) -> torch.Tensor:
    """What is read of a network: its logits, or its hidden states (an encoder-decoder's are its encoder's)."""
    ids = torch.arange(4).unsqueeze(0).clamp(max=network.get_input_embeddings().weight.shape[0] - 1)
    is_whole = head is not None or not getattr(network.config, "is_encoder_decoder", False)
    found = (network if is_whole else network.get_encoder())(input_ids=ids, attention_mask=torch.ones_like(ids))
    for name in ("logits",) if head is not None else ("last_hidden_state", "pooler_output", "text_embeds"):
        if isinstance(found.get(name), torch.Tensor):
            return found[name]
    return next(value for value in found.to_tuple() if isinstance(value, torch.Tensor))


def _reaching(network, wrong: Mapping[str, str], output: Callable) -> tuple[dict[str, str], list[str]]:
    """Those of the ``wrong`` weights that can reach the output, and the others.

    A weight cannot if a whole module around it, such as a pooler or a decoder, can be filled with NaN without a trace in the output.
    Layers and experts, of which a trial may read some only, are never such a module. If there can be no trial, all of them can.
    """
    if not wrong:
        return {}, []
    can: dict[str, bool] = {}

    def reaches(module: str) -> bool:
        if module not in can:
            try:
                with torch.no_grad(), _filled_with_nan(network, module) as count:
                    # Where every tensor is another module's too, nothing was tried.
                    can[module] = count == 0 or not bool(torch.isfinite(output(network)).all())
            except Exception:  # networks of every kind, which may ask for other inputs, or trip over NaN
                can[module] = True
        return can[module]

    try:
        with torch.no_grad(), _filled(network, wrong, 0.0):
            is_tried = bool(torch.isfinite(output(network)).all())
    except Exception:
        is_tried = False
    needed, others = {}, []
    for name, what in wrong.items():
        is_needed = not is_tried or all(reaches(module) for module in _around(network, name))
        if is_needed:
            needed[name] = what
        else:
            others.append(name)
    return needed, others


def _around(network: torch.nn.Module, name: str) -> list[str]:
    """Modules around a weight, the widest first, down to the first list of modules; and the weight itself if there is no list.

    >>> network = torch.nn.ModuleDict({"pooler": torch.nn.Linear(1, 1), "layers": torch.nn.ModuleList([torch.nn.Linear(1, 1)])})
    >>> _around(network, "pooler.weight"), _around(network, "layers.0.weight")
    (['pooler', 'pooler.weight'], [])
    """
    parts, found, module = name.split("."), [], network
    for place, part in enumerate(parts):
        module = getattr(module, part, None) if not isinstance(module, torch.nn.ModuleDict) else module[part]
        if isinstance(module, torch.nn.ModuleList):
            return found
        found.append(".".join(parts[: place + 1]))
    return found


@contextmanager
def _filled(network: torch.nn.Module, names, value: float) -> Iterator[int]:
    """The network with these tensors of one number each; gives how many they are."""
    own = dict(network.named_parameters(remove_duplicate=False)) | dict(network.named_buffers(remove_duplicate=False))
    tensors = [own[name] for name in names if own[name].is_floating_point()]
    kept = [tensor.data for tensor in tensors]
    try:
        for tensor in tensors:
            tensor.data = torch.full((), value).expand(tensor.shape)
        yield len(tensors)
    finally:
        for tensor, data in zip(tensors, kept, strict=True):
            tensor.data = data


def _filled_with_nan(network: torch.nn.Module, module: str) -> AbstractContextManager[int]:
    """The network with all tensors of a module NaN, except those that other modules have too; gives how many they are."""
    own = [*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False)]
    inside = {name for name, _ in own if name == module or name.startswith(f"{module}.")}
    outside = {id(tensor) for name, tensor in own if name not in inside}
    names = [name for name, tensor in own if name in inside and id(tensor) not in outside]
    return _filled(network, names, float("nan"))


# Names behind a prefix that is not known


def _other_prefix(kind, config, tensors, output, folder: Path, wanting: set[str]) -> str:
    """What stands before the names of all weights, such as ``net.`` of a wrapper around the network; '' if that is not the reason.

    A prefix is the right one if nothing is wanting without it, and there is no second such prefix.
    """
    before = Counter(name.removesuffix(want) for want in wanting for name in tensors if name.endswith(f".{want}"))
    prefixes = []
    for prefix, _ in before.most_common(_MOST_PREFIXES):
        parts = prefix.split(".")[:-1]
        prefixes += [".".join(parts[:count]) + "." for count in range(1, len(parts) + 1)]
    whole = []
    for prefix in dict.fromkeys(sorted(prefixes, key=len)):
        if any(prefix.startswith(shorter) for shorter in whole):
            continue
        short = _without(prefix, tensors)
        if len(short) == len(tensors) and not _fill(kind, config, short, output, folder, read=False).wanting:
            whole.append(prefix)
    return whole[0] if len(whole) == 1 else ""
