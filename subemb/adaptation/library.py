"""The adaptations on this server, in whatever state. Each is a folder in the cache that holds all that is needed to go on.

``inputs.json`` is what is to be computed, ``facts.json`` an :class:`Adaptation` as it is now, ``owners.json`` says whose it is; beside
them lies the last checkpoint, and at the end ``model/``, the compact folder.
"""

import contextlib
import hashlib
import json
import logging
import secrets
import threading
from pathlib import Path
from typing import Any

from ..base.errors import InputError
from ..base.files import read_json
from ..base.paths import write_files
from ..base.store import Memory, Store, stamp_of
from ..models.load import load_compact
from ..models.model import PretrainedModel
from .result import Adaptation

FACTS_FILE, OWNERS_FILE, MODEL_FOLDER = "facts.json", "owners.json", "model"
_SECRET_FILE = ".secret"
log = logging.getLogger(__name__)


def _write_inputs(folder: Path, inputs: dict[str, Any]) -> None:
    values = {"format": ADAPTATIONS.format, **inputs}
    (folder / ADAPTATIONS.file).write_text(json.dumps(values), encoding="utf-8")


#: ``put`` takes the inputs, in JSON types. :func:`inputs_of` reads them: it never drops hours of training for a damaged file.
ADAPTATIONS: Store[dict[str, Any]] = Store("adaptations", most=30, file="inputs.json", write=_write_inputs)
_facts, _run_keys, _owners = Memory(60), Memory(60), Memory(60)
_owning = threading.Lock()


def secret() -> str:
    """Part of every key, so that nobody can work out the key of what others have begun. Raises InputError."""
    path = ADAPTATIONS.folder / _SECRET_FILE
    try:
        with _owning:  # two visitors who begin at once get the same one
            if not path.exists():
                write_files(path.parent, {path.name: secrets.token_hex(32).encode()})
                path.chmod(0o600)
        return path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise InputError(
            f"the adaptations cannot be kept in {path.parent} ({error}); set SUBEMB_CACHE to a folder you can write to"
        ) from error


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
    path = folder_of(key) / ADAPTATIONS.file
    try:
        inputs = read_json(path, path.name)
    except InputError as error:
        raise InputError(f"the inputs of the adaptation {key} cannot be read ({error}); begin it again") from error
    if not isinstance(inputs, dict) or inputs.get("format") != ADAPTATIONS.format:
        raise InputError("this adaptation was begun by another version of subemb; begin it again")
    return inputs


def run_key_of(key: str) -> str | None:
    """The finished run that an adaptation began with, or None if the adaptation is gone."""
    try:
        return _run_keys.take(folder_of(key), lambda: inputs_of(key)["subject"][3], ADAPTATIONS.stamp(key))
    except (InputError, LookupError, TypeError):  # gone, or damaged
        return None


def known_adaptation(key: str) -> Adaptation | None:
    """What is known of an adaptation, in whatever state; None if nothing is, or it cannot be read."""
    if not is_key(key):
        return None
    path = ADAPTATIONS.path(key) / FACTS_FILE
    try:
        return _facts.take(path, lambda: Adaptation.from_dict(read_json(path, path.name)), stamp_of(path))
    except InputError as error:
        if not path.exists():
            return None
        log.warning("what is known of the adaptation %s cannot be read (%s)", key, error)
        return None


def known_adaptations(identity: str | None = None, visitor: str | None = None) -> list[Adaptation]:
    """Every adaptation that has trained at all, the one begun last first.

    identity: only those of this model. visitor: only those that this visitor may change, see :func:`belongs_to`.
    """
    found: list[tuple[float, Adaptation]] = []
    for key in ADAPTATIONS:
        known = known_adaptation(key)
        if (
            known is not None
            and identity in (None, known.model.get("identity"))
            and (visitor is None or belongs_to(key, visitor))
        ):
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


def open_adapted(key: str, original: PretrainedModel | None = None) -> PretrainedModel:
    """The model of an adaptation that is over. original: the original model, if it is loaded already. Raises InputError, ModelError."""
    known = known_adaptation(key)
    if known is None or not known.is_over:
        raise InputError("this adaptation is not kept on this server, or is not over; let it go on to its end")
    folder = folder_of(key)
    ADAPTATIONS.touch(key)
    return load_compact(folder / MODEL_FOLDER, original)


def waiting_adaptations(visitor: str, run_key: str) -> list[str]:
    """Keys of this visitor's adaptations of a run that have not trained at all yet."""
    mine = [key for key in ADAPTATIONS if _digest(visitor) in owners_of(key)]
    return [key for key in mine if known_adaptation(key) is None and run_key_of(key) == run_key]


# Whose an adaptation is


def owners_of(key: str) -> dict[str, dict[str, str]]:
    """Who began it: for each visitor, under a digest of the token, what they call the files that they gave (``text``, ``labelled``,
    ``scored``). {} for one that was begun without a page, or by an earlier version.
    """
    if not is_key(key):
        return {}
    path = ADAPTATIONS.path(key) / OWNERS_FILE
    try:
        found = _owners.take(path, lambda: read_json(path, path.name), stamp_of(path))
    except InputError:
        return {}
    return {name: value for name, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}


def belongs_to(key: str, visitor: str) -> bool:
    """Whether this visitor may pause, end and delete it: who began it, or anybody where that is not known."""
    owners = owners_of(key)
    return not owners or _digest(visitor) in owners


def given_names(key: str, visitor: str) -> dict[str, str]:
    """What this visitor calls the files that they gave; nobody else is told."""
    return owners_of(key).get(_digest(visitor), {})


def own(key: str, visitor: str, names: dict[str, str] | None = None) -> None:
    """Make it this visitor's too. names: see :func:`owners_of`. Raises InputError if it cannot be written down."""
    folder, who = folder_of(key), _digest(visitor)
    with _owning:
        owners = owners_of(key)
        if who in owners and not names:
            return
        _write_owners(folder, {**owners, who: names or {}})


def disown(key: str, visitor: str) -> bool:
    """Take it from this visitor; True if nobody has it now. Raises InputError if that cannot be written down."""
    with _owning:
        owners = dict(owners_of(key))
        owners.pop(_digest(visitor), None)
        if owners:
            _write_owners(folder_of(key), owners)
        return not owners


def _write_owners(folder: Path, owners: dict[str, dict[str, str]]) -> None:
    try:
        write_files(folder, {OWNERS_FILE: json.dumps(owners).encode()})
    except OSError as error:
        raise InputError(
            f"whose adaptation this is could not be written to {folder.name} ({error.strerror}); free some space"
        ) from error


def _digest(visitor: str) -> str:
    """What is written down of a visitor's token: who reads it cannot pass for them."""
    return hashlib.sha256(f"owner {visitor}".encode()).hexdigest()[:32]


def forget_adaptation(key: str) -> None:
    """Delete an adaptation with its checkpoints and its model."""
    if is_key(key):
        ADAPTATIONS.drop(key)
