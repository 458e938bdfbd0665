"""The versions of a model that are compared: the original first, then the same model on a compressed table, then adapted.

A side is a :class:`~subemb.models.model.PretrainedModel`; all of them share every weight but the table, and those that an adaptation
changed.
"""

from dataclasses import dataclass
from typing import Any

from ..adaptation.library import ADAPTATIONS, MODEL_FOLDER, folder_of, open_adapted
from ..base.errors import InputError
from ..base.progress import ProgressCallback, report
from ..base.store import Memory, Store
from ..codec.compressed import Compressed
from ..models.load import load_listed
from ..models.model import PretrainedModel
from ..runs import RUNS, compressed_of

ORIGINAL, COMPRESSED, ADAPTED = "original", "compressed", "adapted"
RUN_A, RUN_B = "run A", "run B"  # where two runs are compared, in place of original and compressed
#: What a worker process keeps in memory: models with their networks; and their compressed and adapted sides.
MODELS, TABLES = Memory(2), Memory(4)
_ADAPTED = Memory(4)  # compressed tables of adaptations


@dataclass(frozen=True)
class Subject:
    """What is compared: a model, with its run and adaptation, in the form that jobs are given."""

    name: str  # of the model
    revision: str | None  # of the model
    identity: str  # key of the model's content
    run_key: str | None  # a finished run of it, or None for the original only
    adapted_key: str | None = None  # an adaptation that began with that run, or None
    other_key: str | None = (
        None  # another finished run of the model: then the run is A, this one B, and the original stands aside
    )

    @property
    def content(self) -> tuple[str | None, ...]:
        """What decides the result, for keys of jobs and of kept results: the same model may have several names."""
        adapted = [self.adapted_key] if self.adapted_key else []
        return (self.identity, self.run_key, *adapted, *([f"B {self.other_key}"] if self.other_key else []))


def entries_of(subject: Subject, **_: Any) -> list[tuple[Store, str]]:
    """What a job on a subject reads of the cache: its run or runs, and its adaptation."""
    found = [(RUNS, subject.run_key), (RUNS, subject.other_key), (ADAPTATIONS, subject.adapted_key)]
    return [(store, key) for store, key in found if key is not None]


def sides_of(model: PretrainedModel, compressed: Compressed | None = None) -> dict[str, PretrainedModel]:
    """The sides of a model in memory. Raises InputError if the compressed table is not of its shape."""
    from ..codec import attach

    return {ORIGINAL: model} if compressed is None else {ORIGINAL: model, COMPRESSED: attach(model, compressed)}


def open_sides(subject: Subject, progress: ProgressCallback | None = None) -> dict[str, PretrainedModel]:
    """The sides of a subject, by name, the one that others are compared with first; kept in the process, so that the next job finds them
    loaded.

    Raises ModelError if the model cannot be read, InputError if it has changed since the run, or the run is gone.
    """
    report(progress, "reading the model", 0.0)
    model = open_model(subject)
    opened = set(map(id, MODELS.values()))
    TABLES.forget(lambda key, _: key[0] not in opened)  # it would keep the network of a dropped model in memory
    if subject.run_key is None:
        return {ORIGINAL: model}

    def attached(key: str) -> PretrainedModel:
        return TABLES.take((id(model), key), lambda: sides_of(model, compressed_of(key))[COMPRESSED])

    if subject.other_key is None:
        sides = {ORIGINAL: model, COMPRESSED: attached(subject.run_key)}
    else:
        sides = {RUN_A: attached(subject.run_key), RUN_B: attached(subject.other_key)}
    if subject.adapted_key is not None:
        key = subject.adapted_key
        sides[ADAPTED] = TABLES.take((id(model), key), lambda: open_adapted(key, model))
    return sides


def compressed_side(subject: Subject) -> Compressed:
    """The compressed table that a subject is about: of its adaptation where it has one, else of its run; shared, not to be changed.

    Raises InputError if it is gone.
    """
    if subject.adapted_key is None:
        return compressed_of(subject.run_key)
    from ..models import compact

    folder = folder_of(subject.adapted_key) / MODEL_FOLDER
    return _ADAPTED.take(folder, lambda: compact.read(folder).compressed)


def open_model(subject: Subject) -> PretrainedModel:
    """The model of a subject with its own table; kept in the process. Raises ModelError, and InputError if its files have changed."""

    def opened() -> PretrainedModel:
        model = load_listed(subject.name, subject.revision)
        if model.identity != subject.identity:
            raise InputError(f"the files of {subject.name} have changed since this run; press Run again")
        return model

    return MODELS.take((subject.name, subject.revision, subject.identity), opened)
