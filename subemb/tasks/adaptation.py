"""Adaptations as jobs: begun by a page, run and taken up again in the lane ``adapt``, kept on disk with their checkpoints.

An adaptation is a folder in the cache: ``inputs.json`` (what it is to compute), ``facts.json`` (an Adaptation, as it is now), the last
checkpoint, and at the end ``model/``, the compact folder. Whatever happens to the process, the folder says how to go on.
"""

import contextlib
import dataclasses
import json
import logging
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..adaptation.result import Adaptation
from ..adaptation.settings import AdaptationSettings
from ..base.errors import Cancelled, InputError
from ..base.paths import cache_folder, keep_newest, publish
from ..base.progress import Progress, ProgressCallback, part_of
from .kept import result_key
from .sides import Subject

if TYPE_CHECKING:
    from ..adaptation.session import Session
    from ..adaptation.texts import Text
    from ..evaluate.data.pairs import PairSet
    from ..models.model import PretrainedModel

LANE = "adapt"
KEPT = 30
_FORMAT = 1
_INPUTS, _FACTS, _MODEL = "inputs.json", "facts.json", "model"
log = logging.getLogger(__name__)


def begin_adaptation(
    subject: Subject,
    settings: AdaptationSettings,
    text: "Text | None" = None,
    scored: "PairSet | None" = None,
    labelled: "PairSet | None" = None,
) -> str:
    """Write down what is to be computed, and return its key; equal inputs have an equal key, and what is kept of it stays.

    text: None draws from the vocabulary. scored: a labelled set whose score is followed; its sentences are taken out of the text.
    labelled: pairs to learn from.
    Raises InputError for what does not go together, or if the cache cannot be written.
    """
    from ..base.plain import to_plain

    if subject.run_key is None:
        raise InputError("there is no compressed table to adapt; press Run first")
    text = text if text is None else text.without(scored)
    key = result_key(
        "adaptation",
        format=_FORMAT,
        subject=[subject.identity, subject.run_key],
        settings=settings.to_dict(),
        text=None if text is None else text.digest,
        scored=None if scored is None else scored.digest,
        **({} if labelled is None else {"labelled": labelled.digest}),
    )
    folder = cache_folder("adaptations")
    if (folder / key / _INPUTS).is_file():
        return key
    inputs = {
        "format": _FORMAT,
        "subject": [subject.name, subject.revision, subject.identity, subject.run_key],
        "settings": settings.to_dict(),
        "text": None if text is None else {"name": text.name, "sentences": list(text.sentences), "skipped": text.skipped},
        "scored": None if scored is None else to_plain(scored),
        "labelled": None if labelled is None else to_plain(labelled),
    }
    publish(folder, key, lambda path: (path / _INPUTS).write_text(json.dumps(inputs), encoding="utf-8"))
    keep_newest(folder, KEPT)
    return key


def run_adaptation(key: str, progress: ProgressCallback | None = None) -> str:
    """The job: train to the end, from the last checkpoint if there is one. Returns the key.

    Cancelling pauses it: the state is saved, and the same job goes on from there. Raises InputError (also for a loss that is no
    number, or a full disk: the last good checkpoint stays), ModelError, Cancelled.
    """
    known = kept_adaptation(key)
    if known is not None and known.is_over:
        return key
    session = _session(key)
    watched = _Watched(session, key, progress)
    try:
        session.open(watched)
        _note(key, session.summary("running"))
        session.train(watched.save, part_of(watched, 0.1, 0.98))
        _finish(key, session, "done")
    except Cancelled:
        if session.trainer is not None:
            _note(key, session.summary("paused"))
        raise
    except InputError as error:
        _note(key, _failed(key, session, str(error)))
        raise
    return key


def stop_adaptation(key: str, progress: ProgressCallback | None = None) -> str:
    """The job that ends a paused, failed or broken-off adaptation with the best weights of its last checkpoint. Returns the key.

    Raises InputError if there is no checkpoint yet.
    """
    from ..adaptation.trainer import STATE_FILE

    known = kept_adaptation(key)
    if known is not None and known.is_over:
        return key
    if not (_folder(key) / STATE_FILE).is_file():
        raise InputError("this adaptation has not trained long enough for a checkpoint; let it go on, or delete it")
    session = _session(key)
    session.open(progress)
    _finish(key, session, "stopped", known.message if known else "")
    return key


def kept_adaptation(key: str) -> Adaptation | None:
    """What is known of an adaptation, in whatever state; None if nothing is, or it cannot be read."""
    if not known_key(key):
        return None
    path = cache_folder("adaptations") / key / _FACTS
    try:
        return Adaptation.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, InputError) as error:
        log.warning("the kept adaptation %s cannot be read (%s)", key, error)
        return None


def kept_adaptations(identity: str | None = None) -> list[Adaptation]:
    """Every adaptation that has trained at all, newest first. identity: only those of this model."""
    folder = cache_folder("adaptations")
    found: list[tuple[float, Adaptation]] = []
    for path in folder.iterdir():
        known = None if path.name.startswith(".") else kept_adaptation(path.name)
        if known is not None and identity in (None, known.model.get("identity")):
            with contextlib.suppress(OSError):
                found.append(((path / _INPUTS).stat().st_mtime, known))
    return [known for _, known in sorted(found, key=lambda pair: -pair[0])]


def open_adapted(key: str, original: "PretrainedModel | None" = None) -> "PretrainedModel":
    """The model of an adaptation that is over. original: where it is loaded already. Raises InputError, ModelError."""
    from ..models.load import load_compact

    known = kept_adaptation(key)
    if known is None or not known.is_over:
        raise InputError("this adaptation is not kept on this server, or is not over; let it go on to its end")
    folder = _folder(key)
    with contextlib.suppress(OSError):
        os.utime(folder)  # used now: the last to be dropped
    return load_compact(folder / _MODEL, original)


def run_key_of(key: str) -> str | None:
    """The kept run that an adaptation began with, or None if the adaptation is gone."""
    try:
        return _inputs(key)["subject"][3]
    except InputError:
        return None


def forget_adaptation(key: str) -> None:
    """Delete an adaptation with its checkpoints and its model."""
    if known_key(key):
        shutil.rmtree(cache_folder("adaptations") / key, ignore_errors=True)


def known_key(key: str) -> bool:
    """Whether it has the form of a key; keys come from links."""
    return len(key) == 24 and all(character in "0123456789abcdef" for character in key)


class _Watched:
    """The job's progress callback; it also writes down how far an adaptation is whenever a checkpoint is saved."""

    def __init__(self, session: "Session", key: str, progress: ProgressCallback | None):
        self.session, self.key, self.progress = session, key, progress

    def __call__(self, message: Progress) -> bool | None:
        return None if self.progress is None else self.progress(message)

    def save(self) -> None:
        self.session.save()
        _note(self.key, self.session.summary("running"))


_lock = threading.Lock()


def _session(key: str) -> "Session":
    from ..adaptation.session import Session, check_adaptable
    from ..adaptation.texts import Text
    from ..base.plain import from_plain
    from ..evaluate.data.pairs import PairSet
    from ..runs import kept_compressed
    from .sides import open_sides

    inputs = _inputs(key)
    name, revision, identity, run_key = inputs["subject"]
    model = open_sides(Subject(name, revision, identity, None))["original"]
    compressed = kept_compressed(run_key)
    check_adaptable(model, compressed)
    text, scored, labelled = inputs["text"], inputs["scored"], inputs.get("labelled")
    return Session(
        model,
        compressed,
        None if text is None else Text(text["name"], tuple(text["sentences"]), text["skipped"]),
        AdaptationSettings.from_dict(inputs["settings"]),
        None if scored is None else from_plain(PairSet, scored),
        _folder(key),
        key,
        None if labelled is None else from_plain(PairSet, labelled),
    )


def _finish(key: str, session: "Session", state: str, message: str = "") -> None:
    from ..adaptation.trainer import STATE_FILE

    adapted = session.result(state, message)
    folder = _folder(key)
    adapted.save_pretrained(folder / _MODEL)
    _note(key, Adaptation.from_dict(adapted.facts))
    (folder / STATE_FILE).unlink(missing_ok=True)


def _failed(key: str, session: "Session", message: str) -> Adaptation | None:
    """The facts of the last checkpoint, with what went wrong since."""
    known = kept_adaptation(key)
    if known is not None:
        return dataclasses.replace(known, state="failed", message=message)
    return None if session.trainer is None else session.summary("failed", message)


def _folder(key: str) -> Path:
    folder = cache_folder("adaptations") / key
    if not known_key(key) or not folder.is_dir():
        raise InputError(f"there is no adaptation {key[:40]!r} on this server; begin it again")
    return folder


def _inputs(key: str) -> dict[str, Any]:
    try:
        inputs = json.loads((_folder(key) / _INPUTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"the inputs of the adaptation {key} cannot be read ({error}); begin it again") from error
    if inputs.get("format") != _FORMAT:
        raise InputError("this adaptation was begun by another version of subemb; begin it again")
    return inputs


def _note(key: str, facts: Adaptation | None) -> None:
    """Write the facts in one step."""
    if facts is None:
        return
    folder = _folder(key)
    staging = folder / f".{_FACTS}"
    try:
        with _lock:
            staging.write_text(json.dumps(facts.to_dict()), encoding="utf-8")
            os.replace(staging, folder / _FACTS)
    except OSError as error:
        raise InputError(
            f"what is known of this adaptation could not be written to {folder} ({error.strerror}); free some space"
        ) from error
