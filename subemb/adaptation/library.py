"""The adaptations on this server, in whatever state. Each is a folder in the cache that holds all that is needed to go on.

``inputs.json`` is what is to be computed, ``facts.json`` an :class:`Adaptation` as it is now; beside them lies the last checkpoint, and
at the end ``model/``, the compact folder.
"""

import contextlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.paths import write_files
from ..base.store import Memory, Store, stamp_of
from .result import Adaptation

if TYPE_CHECKING:
    from ..models.model import PretrainedModel

FACTS_FILE, MODEL_FOLDER = "facts.json", "model"
log = logging.getLogger(__name__)


def _write_inputs(folder: Path, inputs: dict[str, Any]) -> None:
    values = {"format": ADAPTATIONS.format, **inputs}
    (folder / ADAPTATIONS.file).write_text(json.dumps(values), encoding="utf-8")


#: ``put`` takes the inputs, in JSON types. :func:`inputs_of` reads them: it never drops hours of training for a damaged file.
ADAPTATIONS: Store[dict[str, Any]] = Store("adaptations", most=30, file="inputs.json", write=_write_inputs)
_facts, _run_keys = Memory(60), Memory(60)


def is_key(key: str) -> bool:
    """Whether it has the form of a key; keys come from links."""
    return len(key) == 24 and all(character in "0123456789abcdef" for character in key)


def folder_of(key: str) -> Path:
    """The folder of an adaptation. Raises InputError if there is none."""
    if not is_key(key) or not ADAPTATIONS.path(key).is_dir():
        raise InputError(f"there is no adaptation {key[:40]!r} on this server; begin it again")
    return ADAPTATIONS.path(key)


def inputs_of(key: str) -> dict[str, Any]:
    """What an adaptation is to compute, in JSON types. Raises InputError."""
    try:
        inputs = json.loads((folder_of(key) / ADAPTATIONS.file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the inputs of the adaptation {key} cannot be read ({error}); begin it again") from error
    if inputs.get("format") != ADAPTATIONS.format:
        raise InputError("this adaptation was begun by another version of subemb; begin it again")
    return inputs


def run_key_of(key: str) -> str | None:
    """The finished run that an adaptation began with, or None if the adaptation is gone."""
    try:
        return _run_keys.take(folder_of(key), lambda: inputs_of(key)["subject"][3], ADAPTATIONS.stamp(key))
    except InputError:
        return None


def known_adaptation(key: str) -> Adaptation | None:
    """What is known of an adaptation, in whatever state; None if nothing is, or it cannot be read."""
    if not is_key(key):
        return None
    path = ADAPTATIONS.path(key) / FACTS_FILE
    try:
        return _facts.take(path, lambda: Adaptation.from_dict(json.loads(path.read_text(encoding="utf-8"))), stamp_of(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("what is known of the adaptation %s cannot be read (%s)", key, error)
        return None


def known_adaptations(identity: str | None = None) -> list[Adaptation]:
    """Every adaptation that has trained at all, the one begun last first. identity: only those of this model."""
    found: list[tuple[float, Adaptation]] = []
    for key in ADAPTATIONS:
        known = known_adaptation(key)
        if known is not None and identity in (None, known.model.get("identity")):
            with contextlib.suppress(OSError):
                found.append(((ADAPTATIONS.path(key) / ADAPTATIONS.file).stat().st_mtime, known))
    return [known for _, known in sorted(found, key=lambda pair: -pair[0])]


def write_facts(key: str, facts: Adaptation) -> None:
    """Write down what is known of an adaptation now. Raises InputError if it is gone, or the disk is full."""
    folder = folder_of(key)
    try:
        write_files(folder, {FACTS_FILE: json.dumps(facts.to_dict()).encode()})
    except OSError as error:
        raise InputError(
            f"what is known of this adaptation could not be written to {folder} ({error.strerror}); free some space"
        ) from error


def open_adapted(key: str, original: "PretrainedModel | None" = None) -> "PretrainedModel":
    """The model of an adaptation that is over. original: the original model, if it is loaded already. Raises InputError, ModelError."""
    from ..models.load import load_compact

    known = known_adaptation(key)
    if known is None or not known.is_over:
        raise InputError("this adaptation is not kept on this server, or is not over; let it go on to its end")
    folder = folder_of(key)
    ADAPTATIONS.touch(key)
    return load_compact(folder / MODEL_FOLDER, original)


def forget_adaptation(key: str) -> None:
    """Delete an adaptation with its checkpoints and its model."""
    if is_key(key):
        ADAPTATIONS.drop(key)
