"""One UMAP fit: exact neighbours of our own, then umap-learn for the graph and the arrangement."""

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.progress import ProgressCallback, part_of, report
from .neighbours import nearest

if TYPE_CHECKING:
    from .layout import UmapSettings

# Up to here exact neighbours take a few seconds, and spare umap-learn's search, which numba compiles for a minute first.
EXACT_POINTS = 100_000


def fit(points: torch.Tensor, settings: "UmapSettings", progress: ProgressCallback | None = None) -> np.ndarray:
    """(N, a) points, the first two axes the most important -> (N, 2) float32. The same for equal arguments.

    Raises Cancelled through ``progress``; not during compilation, which an ended process alone can stop.
    """
    count = len(points)
    neighbours = min(settings.n_neighbors, count - 1)
    found = (None, None, None)
    if count <= EXACT_POINTS:
        found = (*_with_self(points, neighbours, settings.metric, part_of(progress, 0.0, 0.3)), None)
    report(progress, "building the graph", 0.3)
    import umap

    model = umap.UMAP(
        n_neighbors=neighbours,
        min_dist=settings.min_dist,
        metric=settings.metric,
        n_epochs=settings.epochs,
        init=_start(points, settings.seed),
        random_state=settings.seed,
        n_jobs=1,  # what a fixed random_state allows; anything else is warned about
        precomputed_knn=found,
        tqdm_kwds=_Epochs.arguments(settings.epochs, part_of(progress, 0.4, 1.0)),
    )
    with warnings.catch_warnings():
        # Without a search index new points cannot be added later; nobody will.
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]")
        plane = model.fit_transform(points.numpy())
    return np.ascontiguousarray(plane, dtype=np.float32)


def _with_self(points: torch.Tensor, count: int, metric: str, progress: ProgressCallback | None):
    """(N, count) ids and distances as umap-learn wants them: every point is its own first neighbour."""
    found = nearest(points, np.arange(len(points)), max(1, count - 1), metric, progress=progress)
    distances = found.scores if metric == "euclidean" else np.maximum(1.0 - found.scores, 0.0)
    ids = np.column_stack([np.arange(len(points)), found.ids]).astype(np.int32)
    return ids, np.column_stack([np.zeros(len(points)), distances]).astype(np.float32)


def _start(points: torch.Tensor, seed: int) -> np.ndarray:
    """(N, 2) first two axes scaled to 10, with a little noise: equal points must be able to part, and a flat axis have width."""
    plane = points[:, :2].numpy().astype(np.float64)
    plane = 10.0 * plane / max(np.abs(plane).max(), 1e-12)
    return (plane + np.random.default_rng(seed).normal(scale=1e-4, size=plane.shape)).astype(np.float32)


class _Epochs:
    """A file for tqdm to write its count of epochs to, which hands it on as progress; umap-learn offers no callback."""

    def __init__(self, total: int, progress: ProgressCallback | None):
        self._total = total
        self._progress = progress

    @classmethod
    def arguments(cls, total: int, progress: ProgressCallback | None) -> dict:
        """Keyword arguments for tqdm."""
        if progress is None:
            return {"disable": True}
        return {"disable": False, "file": cls(total, progress), "bar_format": "{n_fmt}", "mininterval": 0.1, "miniters": 1}

    def write(self, text: str) -> None:
        digits = re.search(r"\d+", text)
        if digits is None or self._progress is None:
            return
        progress, self._progress = self._progress, None  # once cancelled, tqdm's own clean-up must not raise again
        report(progress, "arranging points", min(1.0, int(digits.group()) / self._total))
        self._progress = progress

    def flush(self) -> None:
        """tqdm asks for it."""
