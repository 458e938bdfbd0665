"""The job behind the UMAP button: runs in a worker process, and imports nothing of Streamlit."""

import hashlib
from typing import Any

import numpy as np

from ..analysis.layout import EXACT_POINTS, Layout, UmapSettings, umap_layout
from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report

FUNCTION = "subemb.tasks.layouts:arrange"
WARM = "subemb.analysis.layout:warm_umap"
LANE = "layout"


def arrange(
    name: str,
    revision: str | None,
    identity: str,
    run_key: str,
    ids: np.ndarray,
    settings: dict[str, Any],
    progress: ProgressCallback | None = None,
) -> Layout:
    """UMAP of the tokens ``ids`` of a kept run. Model and run are read here, by name, so that no table crosses processes.

    Raises InputError if the model has changed since the run or the run is gone, Cancelled through ``progress``.
    """
    from ..models.load import load_listed
    from ..runs import kept_compressed

    report(progress, "reading the table", 0.0)
    model = load_listed(name, revision)
    if model.identity != identity:
        raise InputError(f"the files of {name} have changed since this run; press Run again")
    compressed = kept_compressed(run_key)
    import torch

    rows = torch.from_numpy(np.asarray(ids, dtype=np.int64))
    return umap_layout(
        model.table[rows],
        compressed.lookup(rows),
        ids=ids,
        settings=UmapSettings(**settings),
        progress=part_of(progress, 0.05, 1.0),
    )


def job_key(run_key: str, ids: np.ndarray, settings: UmapSettings) -> tuple:
    """Equal keys mean equal layouts: visitors who ask for the same share one job."""
    digest = hashlib.sha256(np.ascontiguousarray(ids, dtype=np.int64).tobytes()).hexdigest()[:24]
    return ("umap", run_key, digest, settings)


def estimated_seconds(tokens: int, warm: bool = True) -> float:
    """Rough duration of :func:`arrange`, measured on two cores with 384 dimensions.

    5,000 tokens took 5 s, 10,000 took 11 s and 20,000 took 24 s. A cold worker first compiles for about 16 s, and for a minute
    more where there are too many points for exact neighbours.

    >>> [round(estimated_seconds(tokens)) for tokens in (1_000, 5_000, 20_000)]
    [2, 6, 24]
    """
    return 1.0 + 1e-3 * tokens + 8e-9 * tokens**2 + (0.0 if warm else 16.0) + (60.0 if 2 * tokens > EXACT_POINTS else 0.0)
