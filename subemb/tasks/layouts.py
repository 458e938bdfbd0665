"""What the token map needs of a run, as jobs: UMAP of all tokens, and their clusters."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..analysis.clusters import CLUSTERINGS, Clusters, cluster_tokens
from ..analysis.layout import EXACT_POINTS, UmapSettings
from ..analysis.maps import MAPS, TokenMap, placed_on, umap_of_all
from ..base.progress import ProgressCallback, part_of, report
from ..jobs.task import task
from ..runs import compressed_of, run_and_keep
from .sides import Subject, compressed_side, open_model


@task(lane="layout", key=lambda subject, count, settings: [subject.run_key, count, settings], keep=MAPS)
def arrange(subject: Subject, count: int, settings: UmapSettings, progress: ProgressCallback | None = None) -> TokenMap:
    """UMAP of all tokens of a finished run, fitted on ``count`` of them. Model and run are read in the worker, so that no table is sent
    between processes.

    Raises InputError if the model has changed since the run or the run is gone, Cancelled through ``progress``.
    """
    report(progress, "reading the table", 0.0)
    table = open_model(subject).table
    return umap_of_all(table, compressed_of(subject.run_key), count, settings, part_of(progress, 0.05, 1.0))


@task(
    lane="layout",
    key=lambda subject, other, count, settings: [
        subject.run_key,
        other.adapted_key or other.run_key,
        count,
        settings,
        "placed",
    ],
    keep=MAPS,
)
def place(
    subject: Subject, other: Subject, count: int, settings: UmapSettings, progress: ProgressCallback | None = None
) -> TokenMap:
    """Another compressed table of the same model on the map of a run: every row lies among the rows of that map that are nearest to it.

    subject, count, settings: of the map, as for :func:`arrange`, which is done first if it is not kept. ``original`` of the result is that
    of the map, ``reconstructed`` the other table. Raises as :func:`arrange`.
    """
    base = arrange(subject, count, settings, progress=part_of(progress, 0.0, 0.5))
    table = open_model(subject).table
    return placed_on(base, table, compressed_of(subject.run_key), compressed_side(other), settings, part_of(progress, 0.5, 1.0))


@task(lane="layout", key=lambda subject: [subject.adapted_key or subject.run_key], keep=CLUSTERINGS)
def group(subject: Subject, progress: ProgressCallback | None = None) -> Clusters:
    """Clusters of all tokens of a finished run, or of the adaptation of the subject; raises as :func:`arrange`. Whole words of three letters and more stand for them."""
    report(progress, "reading the table", 0.0)
    model = open_model(subject)
    words = model.vocabulary.kinds == "whole word"
    speaking = words & np.array([len(text.strip()) > 2 for text in model.vocabulary.text])
    return cluster_tokens(model.table, compressed_side(subject), eligible=speaking, progress=part_of(progress, 0.05, 1.0))


def ship(
    folder: Path, model: str, settings: dict, others: Sequence[dict] = (), progress: ProgressCallback | None = None
) -> list[Path]:
    """Write what the token map needs of a run into ``folder``, in the form of the stores: its UMAP fitted on all tokens, its clusters, and
    where the tables of other runs lie on that map. ``assets/layouts/README.md`` has the command that makes what comes along.

    settings, others: of the runs, as ``CompressionSettings.to_dict`` gives them; they are computed if they are not kept. Returns the files.
    """
    subject, *placed = (_subject(model, each) for each in (settings, *others))
    count = open_model(subject).num_tokens
    calls = [(arrange, arrange.call(subject, count, UmapSettings())), (group, group.call(subject))]
    calls += [(place, place.call(subject, other, count, UmapSettings())) for other in placed]
    made = []
    for job, call in calls:
        found = job(**call.arguments, progress=progress)
        made.append(call.store.write_in(Path(folder) / call.store.name / call.key, found))
    return made


def _subject(model: str, settings: dict) -> Subject:
    run = run_and_keep(model, None, settings)
    return Subject(model, None, run.model["identity"], run.key)


def estimated_seconds(tokens: int, warm: bool = True) -> float:
    """Rough duration of :func:`arrange` fitted on ``tokens``, measured on two cores with 384 dimensions.

    5,000 tokens took 5 s, 10,000 took 11 s and 20,000 took 24 s. A cold worker first compiles for about 16 s (imports for 4 s,
    where one before it has compiled), and for a minute more where there are too many points for exact neighbours.

    >>> [round(estimated_seconds(tokens)) for tokens in (1_000, 5_000, 20_000)]
    [2, 6, 24]
    """
    return 1.0 + 1e-3 * tokens + 8e-9 * tokens**2 + (0.0 if warm else 16.0) + (60.0 if 2 * tokens > EXACT_POINTS else 0.0)
