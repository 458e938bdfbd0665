"""Tokens as points of a plane, original and reconstructed in the same coordinates.

PCA projects both on the axes of the original. UMAP is fitted once on both together: two separate fits, or ``transform`` of one
by the other, would not line up. UMAP's small displacements flatter, so a layout carries the share of neighbours kept in the
full space, to be shown beside it.

A UMAP layout takes seconds, so it is kept on disk under a key of everything it depends on. The fit takes exact neighbours of our
own, where they are quick, and leaves the graph and the arrangement to umap-learn.
"""

import contextlib
import logging
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..base.arguments import Count, Seed, checked
from ..base.errors import Cancelled, InputError
from ..base.plain import Settings, setting
from ..base.progress import ProgressCallback, part_of, report
from ..base.shown import Brief
from ..base.store import Store
from ..codec.compressed import Compressed
from ..jobs.task import task
from .neighbours import METRICS, nearest, neighbours_kept
from .rows import Rows, as_table, pieces
from .umap_learn import umap_learn

log = logging.getLogger(__name__)
NEIGHBOURS = 10  # of a token, compared in the full space
NEIGHBOUR_SAMPLE = 2000  # tokens that are asked for theirs
# Up to here exact neighbours take a few seconds, and save umap-learn's search, which numba first compiles for a minute.
EXACT_POINTS = 100_000


@dataclass(frozen=True, repr=False)
class Layout(Brief):
    """Points of n tokens. Do not change the arrays: they are shared."""

    method: str  # ``pca`` or ``umap``
    ids: np.ndarray  # (n,) int64, the tokens
    original: np.ndarray  # (n, 2) float32
    reconstructed: np.ndarray  # (n, 2) float32
    explained: np.ndarray | None = None  # (2,) share of the original's variance along each axis (PCA)
    neighbours_kept: float | None = (
        None  # share of the 10 nearest neighbours in the full space kept, among these n tokens (UMAP)
    )


@dataclass(frozen=True)
class UmapSettings(Settings):
    """How UMAP lays points out. Raises InputError for values out of range."""

    n_neighbors: int = setting(
        15,
        least=2,
        most=200,
        title="UMAP neighbours",
        help="Few: small groups. Many: the broad picture.",
    )
    min_dist: float = setting(
        0.1, least=0, most=1, title="UMAP least distance", help="How close the points of a group may lie."
    )
    metric: str = setting("cosine", choices=METRICS)  # cosine: of rows about the mean, so a shrunk reconstruction stays near
    epochs: int = setting(200, least=1, most=2000, help="of optimisation")
    axes: int = setting(50, least=2, most=10_000, help="principal axes kept before")
    seed: int = setting(0, least=0, most=2**32 - 1)


@checked
def sample_tokens(num_tokens: Count, count: int | None, seed: Seed = 0, include: Sequence[int] = ()) -> np.ndarray:
    """Ids to draw, ascending int64: ``count`` of all (None: all) chosen by ``seed``, and every id in ``include``.

    Which others are chosen does not depend on ``include``. Raises InputError for ids outside the table.

    >>> sample_tokens(5, 9).tolist()
    [0, 1, 2, 3, 4]
    """
    if count is not None and count < 1:
        raise InputError(f"a sample of {count} tokens is too small; ask for at least 1")
    wanted = np.unique(np.asarray(list(include), dtype=np.int64))
    outside = wanted[(wanted < 0) | (wanted >= num_tokens)]
    if len(outside):
        raise InputError(f"token id {outside[0]} is not in this table; ids go from 0 to {num_tokens - 1}")
    if count is None or count >= num_tokens:
        return np.arange(num_tokens, dtype=np.int64)
    dealt = np.random.default_rng(seed).choice(num_tokens, count, replace=False)
    return np.union1d(dealt, wanted).astype(np.int64)


@checked
def layout_displacement(layout: Layout) -> np.ndarray:
    """(n,) how far each token moved, in units of the original layout's root mean square distance from its centre."""
    moved = np.linalg.norm(layout.reconstructed - layout.original, axis=1)
    spread = np.sqrt(np.square(layout.original - layout.original.mean(0)).sum(1).mean())
    return moved / spread if spread > 0 else moved


# PCA


def principal_axes(table: torch.Tensor | np.ndarray, count: int = 2) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Mean (D,), the first ``count`` principal axes (D, count), and the share of the variance along each (count,).

    Exact, from the covariance matrix. The largest component of an axis is positive, which settles its sign. Where D is less
    than ``count``, the missing axes are zero.
    """
    from scipy.linalg import eigh

    table = as_table(table)
    vocabulary, dim = table.shape
    total = torch.zeros(dim, dtype=torch.float64)
    for start, end in pieces(vocabulary, dim):
        total += table[start:end].double().sum(0)
    mean = (total / vocabulary).float()
    covariance = torch.zeros(dim, dim, dtype=torch.float64)
    for start, end in pieces(vocabulary, dim):
        centred = table[start:end] - mean
        covariance += (centred.T @ centred).double()
    found = min(count, dim)
    values, vectors = eigh(covariance.numpy(), subset_by_index=(dim - found, dim - 1))
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    largest = vectors[np.abs(vectors).argmax(0), np.arange(found)]
    axes = np.zeros((dim, count), dtype=np.float32)
    axes[:, :found] = vectors * np.where(largest < 0, -1.0, 1.0)
    explained = np.zeros(count)
    variance = float(covariance.trace())
    explained[:found] = values / variance if variance > 0 else 0.0
    return mean, torch.from_numpy(axes), explained


@checked
def pca_layout(
    table: torch.Tensor | np.ndarray,
    reconstruction: Compressed | torch.Tensor | np.ndarray,
    progress: ProgressCallback | None = None,
) -> Layout:
    """All V tokens on the first two principal axes of the table; the reconstruction on the same axes, about the same mean.

    Raises InputError for shapes that do not fit, Cancelled through ``progress``.
    """
    table = as_table(table)
    rows = Rows(reconstruction, tuple(table.shape))
    report(progress, "finding principal axes", 0.0)
    mean, axes, explained = principal_axes(table, 2)
    original = np.empty((len(table), 2), dtype=np.float32)
    reconstructed = np.empty_like(original)
    for start, end in pieces(*table.shape):
        report(progress, "projecting", 0.5 + 0.5 * start / len(table))
        original[start:end] = ((table[start:end] - mean) @ axes).numpy()
        reconstructed[start:end] = ((rows.take(start, end) - mean) @ axes).numpy()
    return Layout("pca", np.arange(len(table)), original, reconstructed, explained=explained)


# UMAP


@checked
def umap_layout(
    original: torch.Tensor | np.ndarray,
    reconstruction: torch.Tensor | np.ndarray,
    ids: np.ndarray | None = None,
    settings: UmapSettings | None = None,
    use_cache: bool = True,
    progress: ProgressCallback | None = None,
) -> Layout:
    """One UMAP fit of n rows of the table and the same n rows of its reconstruction, (n, D) each.

    ids: (n,) which tokens these are (default 0..n-1). The result is kept on disk by everything it depends on.
    Takes seconds, and numba's threads allow one fit at a time in a process: run it as a job in the ``layout`` lane, with the
    rows of :func:`sample_tokens` only.

    Raises InputError for shapes that do not fit or fewer than 2 tokens, Cancelled through ``progress``.
    """
    original, reconstruction, ids, settings = _checked(original, reconstruction, ids, settings)
    key = layout_key(original, reconstruction, ids, settings) if use_cache else None
    found = None if key is None else _found(key, ids)
    if found is not None:
        return found
    report(progress, "finding principal axes", 0.0)
    mean, axes, _ = principal_axes(original, max(2, min(settings.axes, original.shape[1])))
    points = torch.cat([(original - mean) @ axes, (reconstruction - mean) @ axes])
    report(progress, "comparing neighbours", 0.05)
    share = neighbours_kept(original, reconstruction, NEIGHBOURS, NEIGHBOUR_SAMPLE, settings.seed, part_of(progress, 0.05, 0.1))
    plane = fit(points, settings, part_of(progress, 0.1, 1.0))
    arrays = {"original": plane[: len(original)], "reconstructed": plane[len(original) :], "kept": np.float64(share.mean)}
    if key is not None:
        keep_layout(key, arrays)
    return _from_arrays(arrays, ids)


@checked
def kept_umap_layout(original, reconstruction, ids=None, settings: UmapSettings | None = None) -> Layout | None:
    """What :func:`umap_layout` would return, if it is on disk already; takes as long as hashing its arguments."""
    original, reconstruction, ids, settings = _checked(original, reconstruction, ids, settings)
    return _found(layout_key(original, reconstruction, ids, settings), ids)


@task(lane="layout")
def warm_umap(progress: ProgressCallback | None = None) -> None:
    """Make numba compile what a fit needs, with a small fit: ``warm_umap.warm()`` does it in the worker process of the lane."""
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 50)).astype(np.float32))
    for metric in METRICS:
        fit(points, UmapSettings(metric=metric, epochs=2), progress)


def _checked(original, reconstruction, ids, settings) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, UmapSettings]:
    original = as_table(original)
    reconstruction = Rows(reconstruction, tuple(original.shape)).all()
    ids = np.arange(len(original), dtype=np.int64) if ids is None else np.asarray(ids, dtype=np.int64)
    if len(ids) != len(original):
        raise InputError(f"{len(ids)} ids do not fit {len(original)} rows")
    if len(original) < 2:
        raise InputError("a layout of 1 token says nothing; choose at least 2")
    return original.contiguous(), reconstruction.contiguous(), ids, settings or UmapSettings()


# Layouts on disk, one .npz each


def _read_arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / LAYOUTS.file, allow_pickle=False) as file:
        arrays = {name: file[name] for name in ("original", "reconstructed", "kept")}
    original, reconstructed = arrays["original"], arrays["reconstructed"]
    if original.ndim != 2 or original.shape[1] != 2 or original.shape != reconstructed.shape or arrays["kept"].ndim:
        raise ValueError("arrays of other shapes than expected")
    if not (np.isfinite(original).all() and np.isfinite(reconstructed).all()):
        raise ValueError("coordinates that are no numbers")
    return arrays


def _write_arrays(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(folder / LAYOUTS.file, **arrays)


#: Arrays of layouts: 16 bytes a token each, which is 31 MB for 64 of 30,522 tokens and 256 MB for 64 of 250,000.
LAYOUTS: Store[dict[str, np.ndarray]] = Store(
    "layouts", most=64, in_memory=4, file="layout.npz", read=_read_arrays, write=_write_arrays
)


def layout_key(original: torch.Tensor, reconstruction: torch.Tensor, ids: np.ndarray, settings: UmapSettings) -> str:
    """Key of a layout in LAYOUTS: the rows, their ids, the settings, and the version of what computes it."""
    rows = original.numpy(), reconstruction.numpy(), np.asarray(ids)
    return LAYOUTS.key(rows=rows, settings=settings, umap=version("umap-learn"))


def keep_layout(key: str, arrays: dict[str, np.ndarray]) -> None:
    """Put arrays into LAYOUTS. A cache that cannot be written costs time, not the result."""
    try:
        LAYOUTS.put(key, arrays)
    except (InputError, OSError) as error:
        log.warning("the layout was not kept: %s", error)


def _found(key: str, ids: np.ndarray) -> Layout | None:
    try:
        arrays = LAYOUTS.get(key)
    except InputError:  # the folder cannot even be made
        return None
    return None if arrays is None else _from_arrays(arrays, ids)


def _from_arrays(arrays: dict[str, np.ndarray], ids: np.ndarray) -> Layout:
    return Layout("umap", ids, arrays["original"], arrays["reconstructed"], neighbours_kept=float(arrays["kept"]))


# One UMAP fit: exact neighbours of our own, then umap-learn for the graph and the arrangement


def fit(points: torch.Tensor, settings: UmapSettings, progress: ProgressCallback | None = None) -> np.ndarray:
    """(N, a) points, the first two axes the most important -> (N, 2) float32. The same for equal arguments.

    Raises Cancelled through ``progress``, but not during compilation, which stops only with the process.
    """
    count = len(points)
    neighbours = min(settings.n_neighbors, count - 1)
    found = (None, None, None)
    if count <= EXACT_POINTS:
        found = (*_with_self(points, neighbours, settings.metric, part_of(progress, 0.0, 0.3)), None)
    report(progress, "building the graph", 0.3)
    model = umap_learn().UMAP(
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
        try:
            plane = model.fit_transform(points.numpy())
        except Cancelled:
            _free_bars()
            raise
    return np.ascontiguousarray(plane, dtype=np.float32)


def _free_bars() -> None:
    """Release the lock of tqdm's bars: an exception out of a bar leaves it taken, and the bars of other threads would wait for it."""
    with contextlib.suppress(RuntimeError, AssertionError):  # it is not taken
        tqdm.get_lock().release()


def _with_self(points: torch.Tensor, count: int, metric: str, progress: ProgressCallback | None):
    """(N, count) ids and distances as umap-learn wants them: every point is its own first neighbour."""
    found = nearest(points, np.arange(len(points)), max(1, count - 1), metric, progress=progress)
    distances = found.scores if metric == "euclidean" else np.maximum(1.0 - found.scores, 0.0)
    ids = np.column_stack([np.arange(len(points)), found.ids]).astype(np.int32)
    return ids, np.column_stack([np.zeros(len(points)), distances]).astype(np.float32)


def _start(points: torch.Tensor, seed: int) -> np.ndarray:
    """(N, 2) first two axes scaled to 10, with a little noise: so that equal points can part, and a flat axis has width."""
    plane = points[:, :2].numpy().astype(np.float64)
    plane = 10.0 * plane / max(np.abs(plane).max(), 1e-12)
    return (plane + np.random.default_rng(seed).normal(scale=1e-4, size=plane.shape)).astype(np.float32)


class _Epochs:
    """A file that tqdm writes its count of epochs to, and that reports it as progress; umap-learn offers no callback."""

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
