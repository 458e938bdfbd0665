"""The versions of a model that are compared: the original first, then the same model on a compressed table, then adapted.

A side is a :class:`~subemb.models.model.PretrainedModel`; all of them share every weight but the table, and those that an adaptation
changed.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.progress import ProgressCallback, report
from .recent import Recent

if TYPE_CHECKING:
    from ..codec.compressed import Compressed
    from ..models.model import PretrainedModel

ORIGINAL, COMPRESSED, ADAPTED = "original", "compressed", "adapted"
KEPT_MODELS = 2  # networks that a worker keeps in memory
KEPT_RUNS = 4  # tables, and adaptations

_models = Recent(KEPT_MODELS)
_attached = Recent(KEPT_RUNS)


@dataclass(frozen=True)
class Subject:
    """What is compared, as jobs are told: a model by name, its content's key, a kept run of it (None: the original only), and an
    adaptation that began with that run (None: none)."""

    name: str
    revision: str | None
    identity: str
    run_key: str | None
    adapted_key: str | None = None

    @property
    def content(self) -> tuple[str | None, ...]:
        """What decides the result, for keys of jobs and of kept results: the same model may have several names."""
        return (self.identity, self.run_key, *([self.adapted_key] if self.adapted_key else []))


def sides_of(model: "PretrainedModel", compressed: "Compressed | None" = None) -> "dict[str, PretrainedModel]":
    """The sides of a model in memory. Raises InputError if the compressed table is not of its shape."""
    from ..codec import attach

    return {ORIGINAL: model} if compressed is None else {ORIGINAL: model, COMPRESSED: attach(model, compressed)}


def open_sides(subject: Subject, progress: ProgressCallback | None = None) -> "dict[str, PretrainedModel]":
    """The sides of a subject, by name; kept in the process, so that the next job finds them loaded.

    Raises ModelError if the model cannot be read, InputError if it has changed since the run, or the run is gone.
    """
    from ..runs import kept_compressed

    report(progress, "reading the model", 0.0)
    model = _models.take((subject.name, subject.revision, subject.identity), lambda: _open(subject))
    opened = set(map(id, _models.values()))
    for key in [key for key in _attached if key[0] not in opened]:  # would keep the network of a dropped model in memory
        del _attached[key]
    if subject.run_key is None:
        return {ORIGINAL: model}

    def attached() -> "PretrainedModel":
        return sides_of(model, kept_compressed(subject.run_key))[COMPRESSED]

    sides = {ORIGINAL: model, COMPRESSED: _attached.take((id(model), subject.run_key), attached)}
    if subject.adapted_key is not None:
        from .adaptation import open_adapted

        key = subject.adapted_key
        sides[ADAPTED] = _attached.take((id(model), key), lambda: open_adapted(key, model))
    return sides


def _open(subject: Subject) -> "PretrainedModel":
    from ..models.load import load_listed

    model = load_listed(subject.name, subject.revision)
    if model.identity != subject.identity:
        raise InputError(f"the files of {subject.name} have changed since this run; press Run again")
    return model
