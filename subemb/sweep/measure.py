"""One row of a sweep, and what all its rows share: the table, weights, neighbours in it, token ids and the original's answers.

What is shared is computed once. Here its arrays lie in files that all processes map into memory (joblib does that), on a cluster it is
sent to every machine once.
"""

import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import Cancelled, InputError, ModelError
from ..base.progress import ProgressCallback, part_of, report
from ..base.store import Memory, content_key
from ..codec.settings import OF_TEXT, CompressionSettings
from ..codec.weights import model_weights, text_digest
from ..evaluate.data.pairs import PairSet
from ..evaluate.entailment.engines import engine_for, engine_options
from ..evaluate.entailment.pairs import gold_of, judged, labels_of
from ..evaluate.report import METRICS, score_sides
from ..evaluate.similarity.pairs import cosines_of, distinct_sentences
from ..jobs.worker import describe
from ..models.load import load
from ..models.model import PretrainedModel
from ..runs import NEIGHBOURS, frequencies_of, measure, neighbour_queries, run_key, what_is_noticed
from .table import FAILED, SetScore, SweepRow

if TYPE_CHECKING:
    from ..analysis.neighbours import NearBefore

FORMAT = 1  # of rows: a number that changes with what they say
NEIGHBOUR_SEED = 0  # the same tokens are asked for all rows
_ASKING_SECONDS = 0.5  # between two looks at whether to stop


def row_key(identity: str, settings: CompressionSettings, data: Sequence[str], weights: str) -> str:
    """Key of a row. data: digests of the labelled sets. weights: key of those that its weighted error is measured with."""
    return content_key("sweep row", FORMAT, run_key(identity, settings), list(data), weights)


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """A labelled set as rows need it."""

    name: str
    task: str
    digest: str  # of the pairs, and of the head that judges them
    gold: np.ndarray  # (n,)
    before: np.ndarray  # (n,) what the original found: cosines, or labels
    #: Of similarity and paraphrases: (m,) all token ids of the distinct sentences, the (s + 1,) places where each begins, and (n, 2) which
    #: sentences make each pair. Of entailment: None, and the texts of premises and hypotheses in their place.
    ids: np.ndarray | None = None
    starts: np.ndarray | None = None
    places: np.ndarray | None = None
    premises: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()
    labels: int = 0  # of entailment: how many there are

    @property
    def metric(self) -> str:
        """What is measured, a name of :data:`METRICS`."""
        return METRICS[self.task][0]

    def found(self, side: PretrainedModel, progress: ProgressCallback | None = None) -> np.ndarray:
        """(n,) what a model finds for the pairs, as ``before``."""
        if self.task == "entailment":
            return judged(engine_for(side).probabilities(self.premises, self.hypotheses, progress), self.labels)
        ids = self.ids.tolist()
        rows = [ids[start:end] for start, end in zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)]
        return cosines_of(side.encode_ids(rows, progress=progress), self.places)

    def score(self, found: np.ndarray) -> SetScore:
        """The score x 100 of what a side found, with the interval of its difference to the original's."""
        side = score_sides(self.gold, {"original": self.before, "compressed": found}, (self.metric,))["compressed"]
        interval = side.differences[self.metric]
        return SetScore(100 * side.values[self.metric], 100 * interval.difference, 100 * interval.low, 100 * interval.high)

    @property
    def original(self) -> float:
        """The original's score x 100."""
        return 100 * score_sides(self.gold, {"original": self.before}, (self.metric,))["original"].values[self.metric]


def labelled_set(model: PretrainedModel, pairs: PairSet, progress: ProgressCallback | None = None) -> LabelledSet:
    """A set made ready, and the original's answers to it. Raises InputError for a set that cannot be used, ModelError, Cancelled."""
    if len(pairs) < 2:
        raise InputError(f"{pairs.name} has {len(pairs)} usable pairs; at least 2 are needed")
    if pairs.task == "entailment":
        labels = labels_of(pairs, engine_for(model).labels)
        head = next((option.choice.digest for option in engine_options(model)[0]), "")
        ready = LabelledSet(
            pairs.name, pairs.task, f"{pairs.digest}-{head[:16]}".rstrip("-"), gold_of(pairs, labels), np.zeros(0),
            premises=tuple(pairs.first), hypotheses=tuple(pairs.second), labels=len(labels),
        )  # fmt: skip
    else:
        sentences, places = distinct_sentences(pairs.first, pairs.second)
        rows = model.token_ids(sentences)
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        ids = np.fromiter((number for row in rows for number in row), np.int64, int(starts[-1]))
        ready = LabelledSet(pairs.name, pairs.task, pairs.digest, pairs.gold, np.zeros(0), ids, starts, places)
    return replace(ready, before=ready.found(model, progress))


@dataclass(frozen=True, eq=False)
class Shared:
    """What all rows of a sweep share."""

    name: str  # of the model
    revision: str | None  # to open it again
    folder: str | None  # where it lies on the machine that began
    identity: str
    table: np.ndarray  # (V, D) float32
    weights: dict[str, np.ndarray | None]  # :func:`weights_name` -> (V,) of mean 1, or None for equal ones
    sensitivity: (
        np.ndarray | str | None
    )  # (D, D) what the output notices; why that cannot be measured; None if nobody asks for it
    measured_with: str  # the kind that weighted_error is measured with
    measured_text: str | None  # digest of the text, or list, that this kind counts
    near: "NearBefore"
    frequencies: np.ndarray  # (V,) how frequent tokens are thought to be
    sets: tuple[LabelledSet, ...] = ()

    def key(self, settings: CompressionSettings) -> str:
        """:func:`row_key` of a setting."""
        weights = f"{self.measured_with} {self.measured_text or ''}".rstrip()
        return row_key(self.identity, settings, [one.digest for one in self.sets], weights)


def shared_of(
    model: PretrainedModel,
    wanted: Sequence[CompressionSettings],
    pairs: Sequence[PairSet] = (),
    text: str | None = None,
    progress: ProgressCallback | None = None,
) -> Shared:
    """Compute what the rows of a sweep share. wanted: its settings, resolved; the first weights among them that are not ``none`` measure.

    text: for those that count it. Raises InputError, ModelError, Cancelled.
    """
    from ..analysis.neighbours import near_before

    report(progress, "reading the table", 0.0)
    table, kinds = model.table, list(dict.fromkeys(one.weights for one in wanted))
    asked = [(kind, kind, False) for kind in ("none", *kinds)]
    asked += [(weights_name(one), one.weights, True) for one in wanted if one.about.keeps_rows]
    sensitive = next((one for one in wanted if one.sensitive), None)
    sensitivity: np.ndarray | str | None = None
    if sensitive is not None:
        try:
            sensitivity = what_is_noticed(model, sensitive, text, part_of(progress, 0.0, 0.3)).numpy()
        except ModelError as error:  # rows that need it will say so, and the others go on
            sensitivity = str(error)
        progress = part_of(progress, 0.3, 1.0)
    weights = {
        name: None if found is None else found.numpy()
        for name, kind, keeps in dict.fromkeys(asked)
        for found in (model_weights(model, kind, text=text, keeps_rows=keeps),)
    }
    measuring, sets = next((kind for kind in kinds if kind != "none"), "none"), []
    for number, one in enumerate(pairs):
        sets.append(labelled_set(model, one, part_of(progress, number / (len(pairs) + 1), (number + 1) / (len(pairs) + 1))))
    queries = neighbour_queries(len(table))
    near = near_before(table, NEIGHBOURS, queries, NEIGHBOUR_SEED, part_of(progress, len(pairs) / (len(pairs) + 1), 1.0))
    return Shared(
        model.name,
        model.revision if model.source == "hub" else None,
        None if model.folder is None else str(model.folder.absolute()),
        model.identity,
        table.numpy(),
        weights,
        sensitivity,
        measuring,
        text_digest(text) if measuring in OF_TEXT else None,
        near,
        frequencies_of(model),
        tuple(sets),
    )


def weights_name(settings: CompressionSettings) -> str:
    """What the weights of a setting are shared by: their kind, and whether they say which rows are kept."""
    return settings.weights + (" for rows that are kept" if settings.about.keeps_rows else "")


# One row

_MODELS = Memory(1)  # of this process: the network, for scores


def keep_open(model: PretrainedModel) -> None:
    """Have the rows that are measured in this process use a model that is open here already."""
    _MODELS.take(model.identity, lambda: model)


def measure_row(
    settings: CompressionSettings, key: str, shared: Shared, should_stop: Callable[[], bool] | None = None
) -> SweepRow | None:
    """Compress with one setting and measure the result; None if it was asked to stop. What goes wrong is told in the row."""
    # Here a row has its process to itself; on a cluster's worker other rows may run in other threads.
    cpu = time.process_time if threading.current_thread() is threading.main_thread() else time.thread_time
    began = time.perf_counter()
    used = cpu()
    base = SweepRow(
        key, settings, shared.name, tuple(one.digest for one in shared.sets), run_key=run_key(shared.identity, settings),
        where=platform.node(),
    )  # fmt: skip
    try:
        found = _measured(settings, shared, _asking(should_stop))
    except Cancelled:
        return None
    except Exception as error:  # this row has failed, and the others have not
        found = {"state": FAILED, "problem": describe(error).text}
    return replace(base, **found, seconds=time.perf_counter() - began, cpu_seconds=cpu() - used)


def _measured(settings: CompressionSettings, shared: Shared, progress: ProgressCallback | None) -> dict[str, Any]:
    import torch

    from ..codec import attach, compress

    report(progress, "reading the table")
    table = torch.from_numpy(shared.table)
    weights, measuring = (
        None if found is None else torch.from_numpy(found)
        for found in (shared.weights[weights_name(settings)], shared.weights[shared.measured_with])
    )
    began = time.perf_counter()
    if settings.sensitive and isinstance(shared.sensitivity, str):
        raise InputError(shared.sensitivity)
    sensitivity = torch.from_numpy(shared.sensitivity) if settings.sensitive else None
    compressed = compress(table, settings=settings, weights=weights, sensitivity=sensitivity, progress=progress)
    compressing = time.perf_counter() - began
    quality = measure(table, compressed, measuring, progress, before=shared.near, frequencies=shared.frequencies)
    scores = {}
    if shared.sets:
        side = attach(_opened(shared), compressed)
        for one in shared.sets:
            scores[one.name] = one.score(one.found(side, progress))
    size = compressed.size()
    names = ("relative_error", "weighted_error", "mean_cosine", "neighbours_kept", "distinct_tuples", "colliding_tokens")
    return {
        "total_bytes": size.total_bytes,
        "share": size.total_share,
        **{name: quality[name] for name in names},
        "kept_by_frequency": quality["kept_by_frequency"],
        "scores": scores,
        "compress_seconds": compressing,
        "threads": torch.get_num_threads(),
    }


def _opened(shared: Shared) -> PretrainedModel:
    """The model on this machine, with its network. Raises InputError if it is not what the sweep began with, ModelError."""

    def opened() -> PretrainedModel:
        try:
            model = load(shared.name, revision=shared.revision, local_only=True)
        except ModelError:
            if shared.folder is None or not Path(shared.folder).is_dir():
                raise
            model = load(
                Path(shared.folder)
            )  # its name was one of SUBEMB_MODELS, or of another folder that was the current one
        if model.identity != shared.identity:
            raise InputError(
                f"{shared.name} on {platform.node()} is {model.identity}, but the sweep began with {shared.identity}; put the same "
                "model there"
            )
        return model

    return _MODELS.take(shared.identity, opened)


def _asking(should_stop: Callable[[], bool] | None) -> ProgressCallback | None:
    """A callback that asks now and then whether to stop."""
    if should_stop is None:
        return None
    asked = 0.0

    def progress(message) -> bool:
        nonlocal asked
        if time.monotonic() - asked < _ASKING_SECONDS:
            return False
        asked = time.monotonic()
        return should_stop()

    return progress
