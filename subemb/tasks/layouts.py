"""UMAP of the tokens on a page, as a job."""

import numpy as np

from ..analysis.layout import EXACT_POINTS, Layout, UmapSettings, umap_layout
from ..base.progress import ProgressCallback, part_of, report
from ..jobs.task import task
from ..runs import compressed_of
from .sides import Subject, open_model


@task(lane="layout", key=lambda subject, ids, settings: [subject.run_key, ids, settings])
def arrange(subject: Subject, ids: np.ndarray, settings: UmapSettings, progress: ProgressCallback | None = None) -> Layout:
    """UMAP of the tokens ``ids``, (n,) int64, of a finished run. Model and run are read in the
    worker, so that no table is sent between processes.

    Raises InputError if the model has changed since the run or the run is gone, Cancelled through ``progress``.
    """
    import torch

    report(progress, "reading the table", 0.0)
    table = open_model(subject).table
    rows = torch.from_numpy(np.asarray(ids, dtype=np.int64))
    part = part_of(progress, 0.05, 1.0)
    return umap_layout(table[rows], compressed_of(subject.run_key).lookup(rows), ids=ids, settings=settings, progress=part)


def estimated_seconds(tokens: int, warm: bool = True) -> float:
    """Rough duration of :func:`arrange`, measured on two cores with 384 dimensions.

    5,000 tokens took 5 s, 10,000 took 11 s and 20,000 took 24 s. A cold worker first compiles for about 16 s (imports for 4 s,
    where one before it has compiled), and for a minute more where there are too many points for exact neighbours.

    >>> [round(estimated_seconds(tokens)) for tokens in (1_000, 5_000, 20_000)]
    [2, 6, 24]
    """
    return 1.0 + 1e-3 * tokens + 8e-9 * tokens**2 + (0.0 if warm else 16.0) + (60.0 if 2 * tokens > EXACT_POINTS else 0.0)
