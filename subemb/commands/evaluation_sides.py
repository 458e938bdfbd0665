"""What ``subemb evaluate`` compares: a saved result with its original, a model with a table compressed now, or a model alone."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback, part_of
from .compression import add_compression, given_options, settings_of

if TYPE_CHECKING:
    from ..codec.compressed import Compressed
    from ..models.load import PretrainedModel
    from ..models.variants import AdaptedModel

_RESULT_FILE = "subspace_embedding.safetensors"


@dataclass(frozen=True)
class Compared:
    """The sides of a model, the original first, and the compressed table of the second, None if there is but one side."""

    model: "PretrainedModel"
    compressed: "Compressed | None"
    sides: "dict[str, PretrainedModel]"

    def to_dict(self) -> dict[str, Any]:
        """What was compared, JSON types."""
        from ..runs import describe

        found = {"model": describe(self.model), "compression": None, "sides": list(self.sides)}
        if self.compressed is not None:
            size = self.compressed.size(self.model.parameters)
            changed = max(getattr(side, "changed_parameters", 0) for side in self.sides.values())
            found["compression"] = {
                "settings": self.compressed.settings.to_dict(),
                "total_bytes": size.total_bytes,
                "changed_bytes": 4 * changed,
                "original_bytes": size.original_bytes,
            }
        return found


COMPARED_HELP = (
    "what `subemb compress -o DIR` or `subemb adapt -o DIR` wrote: it is compared with its original; or a model as `subemb compress` "
    "takes it: compressed now and compared if there is an option of compression, such as --method, else the original alone"
)


def add_sides(command: argparse.ArgumentParser, what: str = COMPARED_HELP) -> None:
    """Declare the model and the options of compression. what: help of the model."""
    command.add_argument("model", metavar="MODEL_OR_DIR", help=what)
    command.add_argument("--model", dest="original", metavar="MODEL", help="of DIR: where its original model now lies")
    command.add_argument("--revision", help="of a Hugging Face model: branch, tag or commit")
    add_compression(command)


def seed_of(given: argparse.Namespace) -> int:
    """The seed of samples and resamples. Raises InputError for one below 0."""
    if given.seed is not None and given.seed < 0:
        raise InputError(f"--seed is {given.seed}; it must be 0 or more")
    return given.seed or 0


def open_compared(
    given: argparse.Namespace,
    progress: ProgressCallback | None = None,
    check: Callable[["PretrainedModel"], object] | None = None,
) -> Compared:
    """Load, and compress if that is asked for. check: raises if the model is not fit for the task, before the long work.

    Raises InputError for options that do not go together, ModelError, Cancelled.
    """
    from ..tasks.sides import sides_of

    options = given_options(given)
    folder = Path(given.model)
    if (folder / _RESULT_FILE).is_file():
        if options:
            raise InputError(f"{folder} holds a compressed table already; leave {options[0]} out, or give the model's name")
        model, compressed = _saved(folder, given.original, given.revision, progress)
        if check is not None:
            check(model)
        return Compared(model, compressed, _sides_of_saved(folder, model, compressed))
    if given.original is not None:
        raise InputError(
            f"--model says where the original of a saved result lies, and {given.model} is none; leave --model out, "
            "or give the folder that `subemb compress -o DIR` wrote"
        )
    from .. import load

    settings, text = settings_of(given) if options else (None, None)  # what cannot be used is said before a download
    model = load(given.model, revision=given.revision, progress=progress)
    if check is not None:
        check(model)
    compressed = None if settings is None else _compressed(model, settings, text, progress)
    return Compared(model, compressed, sides_of(model, compressed))


def _sides_of_saved(folder: Path, model: "PretrainedModel", compressed: "Compressed") -> "dict[str, PretrainedModel]":
    """Original and compressed; of what `subemb adapt` wrote, original and adapted: the table it began with is not kept."""
    from ..adaptation.saved import load as load_adapted
    from ..tasks.sides import ADAPTED, ORIGINAL, sides_of

    adapted = load_adapted(folder, model)
    return {ORIGINAL: model, ADAPTED: adapted} if adapted.facts else sides_of(model, compressed)


def _compressed(model: "PretrainedModel", settings, text: str | None, progress: ProgressCallback | None) -> "Compressed":
    """The table that `subemb compress` makes of the same options."""
    from ..codec import compress
    from ..codec.weights import model_weights
    from ..runs import resolved

    settings = resolved(settings, model, text)
    weights = model_weights(model, settings.weights, text=text, progress=part_of(progress, 0.0, 0.05))
    return compress(model.table, settings=settings, weights=weights, progress=part_of(progress, 0.05, 1.0))


def open_saved(
    folder: Path, original: str | None = None, revision: str | None = None, progress: ProgressCallback | None = None
) -> "AdaptedModel":
    """What `subemb compress` or `subemb adapt` saved, as a model. original: where its original lies now, if not where it did.

    Raises InputError, ModelError.
    """
    from ..adaptation.saved import load as load_adapted

    model, _ = _saved(folder, original, revision, progress)
    return load_adapted(folder, model)


def _saved(
    folder: Path, name: str | None, revision: str | None, progress: ProgressCallback | None
) -> "tuple[PretrainedModel, Compressed]":
    """A saved result and its original model, checked to be the one that it was made of."""
    from .. import load
    from ..analysis.inspection import saved_model
    from ..codec.storage import load as load_result

    compressed = load_result(folder)
    described = saved_model(folder)
    if name is None:
        name = described.get("name")
        # The revision of a folder is a hash of what it holds: only compared, below.
        revision = revision or (described.get("revision") if described.get("source") == "hub" else None)
        if not isinstance(name, str) or described.get("source") == "memory":
            raise InputError(f"{folder} does not name the model that it was made of; say where that lies with --model")
    try:
        model = load(name, revision=revision, progress=progress)
    except ModelError as error:
        raise ModelError(
            f"the original model of {folder} cannot be opened: {error}; if it lies elsewhere now, say where with --model",
            error.reason,
        ) from error
    shape = (compressed.num_embeddings, compressed.embedding_dim)
    if (model.num_tokens, model.dim) != shape or not (described.get("identity") is None or model.is_the_one(described)):
        raise InputError(
            f"{name} (revision {model.revision}, {model.num_tokens:,} x {model.dim}) is not the model that {folder} was made of "
            f"(revision {described.get('revision')}, {shape[0]:,} x {shape[1]}): it has changed, or it is another one; compress it "
            "again, or say where the original lies with --model"
        )
    return model, compressed
