"""Sweeps as jobs: a page begins one, watches its rows come, and reads the table."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..base.errors import InputError
from ..base.progress import Progress, ProgressCallback
from ..codec.settings import CompressionSettings
from ..codec.weights import text_digest
from ..evaluate.data.pairs import PairSet
from ..jobs.cluster import check_cluster, cluster_address
from ..jobs.task import task
from ..models.load import load_listed
from ..sweep.run import sweep
from ..sweep.table import SweepTable


def _key_of(name: str, revision: str | None, grid: Any, pairs: Any, text: str | None, retry: bool) -> dict[str, Any]:
    return {
        "identity": load_listed(name, revision).identity,
        "grid": grid,
        "pairs": None if pairs is None else [one.digest for one in pairs],
        "text": text_digest(text) if text else None,
        "retry": retry,
    }


@task(lane="sweep", key=_key_of)
def run_sweep(
    name: str,
    revision: str | None,
    grid: list[dict[str, Any]] | None = None,
    pairs: Sequence[PairSet] | None = None,
    text: str | None = None,
    retry: bool = False,
    progress: ProgressCallback | None = None,
) -> SweepTable:
    """:func:`subemb.sweep.run.sweep` by names. grid: settings in JSON types. Rows come through ``progress``, as ``row`` among its values.

    The rows are spread over the cluster that ``SUBEMB_DASK`` names; if that cannot be reached, they are computed here, and every
    message says so. Raises what ``sweep`` raises: what was finished is kept, so the same job goes on there.
    """
    dask, notice = cluster_address(), ""
    if dask is not None:
        try:
            check_cluster(dask)
        except InputError as error:
            dask, notice = None, f"on this computer, because {error}"

    def told(message: Progress) -> bool | None:
        return progress(replace(message, stage=f"{message.stage} ({notice})"))

    settings = None if grid is None else [CompressionSettings.from_dict(one) for one in grid]
    table = sweep(
        load_listed(name, revision), settings, pairs, text=text, dask=dask, retry=retry,
        progress=told if notice and progress else progress,
    )  # fmt: skip
    return replace(table, notes=(*table.notes, f"Computed {notice}.")) if notice else table
