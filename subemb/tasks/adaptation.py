"""Adaptations as jobs: a page begins them, the lane ``adapt`` runs and resumes them; see :mod:`subemb.adaptation.library`."""

import dataclasses
import time
from typing import TYPE_CHECKING

from ..adaptation.library import (
    ADAPTATIONS,
    MODEL_FOLDER,
    folder_of,
    inputs_of,
    known_adaptation,
    own,
    run_key_of,
    secret,
    write_facts,
)
from ..adaptation.result import Adaptation
from ..adaptation.settings import AdaptationSettings
from ..adaptation.texts import Text
from ..base.errors import Cancelled, InputError
from ..base.plain import from_plain, to_plain
from ..base.progress import Progress, ProgressCallback, part_of
from ..base.store import Store
from ..evaluate.data.pairs import PairSet
from ..jobs.task import task
from ..runs import RUNS, compressed_of
from .sides import Subject, open_sides

if TYPE_CHECKING:
    from ..adaptation.session import Session

_HOLDING_SECONDS = 30.0  # between two words that an adaptation under way is not to be dropped


def begin_adaptation(
    subject: Subject,
    settings: AdaptationSettings,
    text: Text | None = None,
    scored: PairSet | None = None,
    labelled: PairSet | None = None,
    visitor: str | None = None,
    names: dict[str, str] | None = None,
) -> str:
    """Save the inputs of an adaptation and return its key. Equal inputs have an equal key; what is kept under it stays.

    text: None draws from the vocabulary. scored: a labelled set whose score is followed; its sentences are taken out of the text.
    labelled: pairs to learn from. visitor: token of who begins it, and will own it. names: see
    :func:`subemb.adaptation.library.owners_of`.
    Raises InputError without a run, for inputs that do not fit together, if the job of this visitor would be refused, or if the cache
    cannot be written. Adaptations that wait or run are never dropped for a new one.
    """
    if subject.run_key is None:
        raise InputError("there is no compressed table to adapt; press Run first")
    text = text if text is None else text.without(scored)
    key = ADAPTATIONS.key(
        subject=[subject.identity, subject.run_key],
        settings=settings.to_dict(),
        text=None if text is None else text.digest,
        scored=None if scored is None else scored.digest,
        labelled=None if labelled is None else labelled.digest,
        secret=secret(),
    )
    if visitor is not None:
        run_adaptation.call(key).check_room(visitor)
    for other in ADAPTATIONS:
        job = run_adaptation.call(other).job
        if job is not None and not job.is_over:
            ADAPTATIONS.hold(other)
    if ADAPTATIONS.stamp(key) is None:
        inputs = {
            "subject": [subject.name, subject.revision, subject.identity, subject.run_key],
            "settings": settings.to_dict(),
            "text": None
            if text is None
            else {"name": text.name, "sentences": list(text.sentences), "skipped": text.skipped, "sizes": text.sizes},
            "scored": None if scored is None else to_plain(scored),
            "labelled": None if labelled is None else to_plain(labelled),
        }
        ADAPTATIONS.put(key, inputs)
    ADAPTATIONS.hold(key)
    if visitor is not None:
        own(key, visitor, names)
    return key


def _job_key(key: str) -> str:
    """The same key for running and for stopping an adaptation, so that it has one job at a time."""
    return f"adaptation-{key}"


def _runs_of(key: str) -> list[tuple[Store, str]]:
    """The run that an adaptation begins with, as an entry of its store."""
    run_key = run_key_of(key)
    return [] if run_key is None else [(RUNS, run_key)]


def _changed_by(key: str) -> list[tuple[Store, str]]:
    return [(ADAPTATIONS, key)]


@task(lane="adapt", key=_job_key, reads=_runs_of, changes=_changed_by)
def run_adaptation(key: str, progress: ProgressCallback | None = None) -> str:
    """The job: train to the end, from the last checkpoint if there is one. Returns the key.

    Cancelling pauses it: the state is saved, and the same job goes on from there. Raises InputError (also if the loss
    is not finite or the disk is full: the last good checkpoint stays), ModelError, Cancelled.
    """
    known = known_adaptation(key)
    if known is not None and known.is_over:
        return key
    session = _session(key)
    watched = _Watched(session, key, progress)
    try:
        opening = session.opening
        session.open(part_of(watched, 0.0, opening))
        write_facts(key, session.summary("running"))
        session.train(watched.save, part_of(watched, opening, 0.98))
        _finish(key, session, "done")
    except Cancelled:
        if session.trainer is not None:
            write_facts(key, session.summary("paused"))
        raise
    except InputError as error:
        failed = _failed(key, session, str(error))
        if failed is not None:
            write_facts(key, failed)
        raise
    return key


@task(lane="adapt", key=_job_key, reads=_runs_of, changes=_changed_by)
def stop_adaptation(key: str, progress: ProgressCallback | None = None) -> str:
    """The job that ends a paused, failed or interrupted adaptation with its last checkpoint's best weights. Returns the key.

    Raises InputError if there is no checkpoint yet.
    """
    from ..adaptation.trainer import STATE_FILE

    known = known_adaptation(key)
    if known is not None and known.is_over:
        return key
    if not (folder_of(key) / STATE_FILE).is_file():
        raise InputError("this adaptation has not trained long enough for a checkpoint; let it go on, or delete it")
    session = _session(key)
    session.open(progress)
    _finish(key, session, "stopped", known.message if known else "")
    return key


class _Watched:
    """The job's progress callback; it also holds what the adaptation needs, and records how far it is at every checkpoint."""

    def __init__(self, session: "Session", key: str, progress: ProgressCallback | None):
        self.session, self.key, self.progress = session, key, progress
        self.run_key, self.held = run_key_of(key), 0.0

    def __call__(self, message: Progress) -> bool | None:
        if time.monotonic() - self.held > _HOLDING_SECONDS:
            self.held = time.monotonic()
            ADAPTATIONS.hold(self.key)
            RUNS.hold(self.run_key)
        return None if self.progress is None else self.progress(message)

    def save(self) -> None:
        self.session.save()
        write_facts(self.key, self.session.summary("running"))


def _session(key: str) -> "Session":
    from ..adaptation.session import Session, check_adaptable

    inputs = inputs_of(key)
    name, revision, identity, run_key = inputs["subject"]
    model = open_sides(Subject(name, revision, identity, None))["original"]
    compressed = compressed_of(run_key)
    check_adaptable(model, compressed)
    text, scored, labelled = inputs["text"], inputs["scored"], inputs.get("labelled")
    return Session(
        model,
        compressed,
        None if text is None else Text(text["name"], tuple(text["sentences"]), text["skipped"], tuple(text.get("sizes", ()))),
        AdaptationSettings.from_dict(inputs["settings"]),
        None if scored is None else from_plain(PairSet, scored),
        folder_of(key),
        key,
        None if labelled is None else from_plain(PairSet, labelled),
    )


def _finish(key: str, session: "Session", state: str, message: str = "") -> None:
    from ..adaptation.trainer import STATE_FILE

    adapted = session.result(state, message)
    folder = folder_of(key)
    adapted.save_pretrained(folder / MODEL_FOLDER)
    write_facts(key, Adaptation.from_dict(adapted.facts))
    (folder / STATE_FILE).unlink(missing_ok=True)


def _failed(key: str, session: "Session", message: str) -> Adaptation | None:
    """The facts of the last checkpoint, with what went wrong since."""
    known = known_adaptation(key)
    if known is not None:
        return dataclasses.replace(known, state="failed", message=message)
    return None if session.trainer is None else session.summary("failed", message)
