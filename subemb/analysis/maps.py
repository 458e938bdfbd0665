"""All tokens of a run on one plane, original and reconstructed, kept with 16 bits a coordinate.

UMAP is fitted on a sample, both sides together; every other vector, of either side, is placed among the fitted vectors that are nearest
to it. So equal vectors lie at equal places, whichever side they are of.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..base.arguments import checked
from ..base.progress import ProgressCallback, part_of, report
from ..base.shown import Brief
from ..base.store import Store
from ..codec.compressed import Compressed
from .layout import Layout, UmapSettings, fit, principal_axes, sample_tokens
from .neighbours import nearest
from .rows import Rows, as_table, pieces

STEPS = 65_535  # of a coordinate
PLACED_BY = 4  # fitted vectors that say where another one lies
LARGEST_GUIDE = 12_000  # tokens among which those of a third table are placed
_SHARPNESS = 6  # of their weights: the nearest says most, so that few lie in the void between two groups
_SCATTER = 0.004  # of the map's width: those that one fitted vector places must not hide each other


@dataclass(frozen=True, repr=False)
class TokenMap(Brief):
    """Places of all V tokens, as 16-bit steps between two corners. Do not change the arrays: they are shared."""

    method: str  # ``pca`` or ``umap``
    original: np.ndarray  # (V, 2) uint16
    reconstructed: np.ndarray  # (V, 2) uint16
    low: np.ndarray  # (2,) float64, the coordinates of step 0
    high: np.ndarray  # (2,) float64, of step STEPS
    fitted: int  # tokens that UMAP arranged; the others were placed among them. V for PCA
    explained: np.ndarray | None = None  # (2,) share of the original's variance along each axis (PCA)

    def layout(self) -> Layout:
        """The same with coordinates as numbers."""
        ids = np.arange(len(self.original), dtype=np.int64)
        sides = (self.coordinates(self.original), self.coordinates(self.reconstructed))
        return Layout(self.method, ids, *sides, explained=self.explained)

    def coordinates(self, steps: np.ndarray) -> np.ndarray:
        """(n, 2) steps -> (n, 2) float32."""
        return (self.low + steps / STEPS * (self.high - self.low)).astype(np.float32)


def in_steps(layout: Layout, fitted: int | None = None) -> TokenMap:
    """A layout of all tokens with 16 bits a coordinate: each is off by at most half a step, 1 / 131,070 of the map's width.

    Raises ValueError for coordinates that are no numbers.
    """
    both = np.concatenate([layout.original, layout.reconstructed]).astype(np.float64)
    if not np.isfinite(both).all():
        raise ValueError("coordinates that are no numbers")
    low, high = both.min(0), both.max(0)
    span = np.where(high > low, high - low, 1.0)
    steps = np.rint((both - low) / span * STEPS).astype(np.uint16)
    count = len(layout.original)
    fitted = count if fitted is None else fitted
    return TokenMap(layout.method, steps[:count], steps[count:], low, low + span, fitted, layout.explained)


@torch.no_grad()
@checked
def umap_of_all(
    table: torch.Tensor | np.ndarray,
    reconstruction: Compressed | torch.Tensor | np.ndarray,
    count: int | None = None,
    settings: UmapSettings | None = None,
    progress: ProgressCallback | None = None,
) -> TokenMap:
    """All V tokens of a (V, D) table and of its reconstruction in one UMAP layout.

    count: tokens of the sample that UMAP arranges, None for all. Takes seconds to minutes, and numba's threads allow one fit at a time
    in a process: run it as a job in the ``layout`` lane.
    Raises InputError for shapes that do not fit, Cancelled through ``progress``.
    """
    settings = settings or UmapSettings()
    table = as_table(table)
    rows = Rows(reconstruction, tuple(table.shape))
    ids = sample_tokens(len(table), count, settings.seed)
    report(progress, "finding principal axes", 0.0)
    mean, axes, _ = principal_axes(table, max(2, min(settings.axes, table.shape[1])))
    sides = [np.empty((len(table), axes.shape[1]), dtype=np.float32) for _ in range(2)]
    for start, end in pieces(*table.shape):
        report(progress, "projecting", 0.05)
        sides[0][start:end] = ((table[start:end] - mean) @ axes).numpy()
        sides[1][start:end] = ((rows.take(start, end) - mean) @ axes).numpy()
    fitted = torch.from_numpy(np.concatenate([side[ids] for side in sides]))
    plane = fit(fitted, settings, part_of(progress, 0.1, 0.85))
    rest = np.setdiff1d(np.arange(len(table)), ids)
    planes = []
    for number, side in enumerate(sides):
        places = np.empty((len(table), 2), dtype=np.float32)
        places[ids] = plane[number * len(ids) : (number + 1) * len(ids)]
        if len(rest):
            part = part_of(progress, 0.85 + 0.07 * number, 0.92 + 0.07 * number)
            places[rest] = placed(torch.from_numpy(side[rest]), fitted, plane, settings, part)
        planes.append(places)
    return in_steps(Layout("umap", np.arange(len(table)), *planes), len(ids))


@torch.no_grad()
@checked
def placed_on(
    base: TokenMap,
    table: torch.Tensor | np.ndarray,
    reconstruction: Compressed | torch.Tensor | np.ndarray,
    other: Compressed | torch.Tensor | np.ndarray,
    settings: UmapSettings | None = None,
    progress: ProgressCallback | None = None,
) -> TokenMap:
    """A third table (V, D) on the UMAP of two: its rows lie among those of the map that are nearest to them, at most LARGEST_GUIDE tokens'.

    base: of ``table`` and ``reconstruction``, by :func:`umap_of_all` with the same settings. Returns the original beside the third table,
    in the coordinates of ``base``. Raises InputError for shapes that do not fit, Cancelled through ``progress``.
    """
    settings = settings or UmapSettings()
    table = as_table(table)
    rows, third = (Rows(each, tuple(table.shape)) for each in (reconstruction, other))
    ids = sample_tokens(len(table), base.fitted if base.fitted < len(table) else None, settings.seed)
    if len(ids) > LARGEST_GUIDE:
        ids = np.sort(np.random.default_rng(settings.seed).choice(ids, LARGEST_GUIDE, replace=False))
    mean, axes, _ = principal_axes(table, max(2, min(settings.axes, table.shape[1])))
    sides = [np.empty((len(table), axes.shape[1]), dtype=np.float32) for _ in range(3)]
    for start, end in pieces(*table.shape):
        report(progress, "projecting", 0.2 * start / len(table))
        for side, part in zip(sides, (table[start:end], rows.take(start, end), third.take(start, end)), strict=True):
            side[start:end] = ((part - mean) @ axes).numpy()
    guides = torch.from_numpy(np.concatenate([side[ids] for side in sides[:2]]))
    plane = np.concatenate([base.coordinates(side[ids]) for side in (base.original, base.reconstructed)])
    places = placed(torch.from_numpy(sides[2]), guides, plane, settings, part_of(progress, 0.2, 1.0))
    steps = np.rint((places - base.low) / (base.high - base.low) * STEPS).clip(0, STEPS).astype(np.uint16)
    return TokenMap(base.method, base.original, steps, base.low, base.high, base.fitted)


def placed(
    vectors: torch.Tensor,
    fitted: torch.Tensor,
    plane: np.ndarray,
    settings: UmapSettings,
    progress: ProgressCallback | None = None,
) -> np.ndarray:
    """(n, a) vectors -> (n, 2), where they lie among the N fitted ones (N, a) with places (N, 2): the mean of the places of the
    nearest, weighted by nearness, and a little beside it; equal vectors at equal places."""
    found = nearest(fitted, vectors, min(PLACED_BY, len(fitted)), settings.metric, progress=progress)
    away = found.scores if settings.metric == "euclidean" else np.maximum(1.0 - found.scores, 0.0)
    away = away.astype(np.float64) + 1e-6
    weights = (away[:, :1] / away) ** _SHARPNESS
    weights /= weights.sum(1, keepdims=True)
    places = (plane[found.ids] * weights[:, :, None]).sum(1)
    # Aside by the vector's own direction, so that equal vectors stay together, and those that are a fitted vector stay on it.
    aside = torch.nn.functional.normalize(vectors[:, :2] - fitted[found.ids[:, 0], :2]).numpy()
    width = _SCATTER * float(np.ptp(plane, axis=0).max())
    reach = np.minimum(1.0, away[:, :1] / max(float(np.median(away[:, 0])), 1e-12))
    return (places + width * reach * aside).astype(np.float32)


def _read(folder: Path) -> TokenMap:
    with np.load(folder / MAPS.file, allow_pickle=False) as file:
        original, reconstructed, corners, fitted = (file[name] for name in ("original", "reconstructed", "corners", "fitted"))
    whole = original.shape == reconstructed.shape and original.ndim == 2 and original.shape[1] == 2 and corners.shape == (2, 2)
    if not whole or original.dtype != np.uint16 or reconstructed.dtype != np.uint16:
        raise ValueError("arrays of other shapes than expected")
    if not np.isfinite(corners).all() or not 0 < int(fitted) <= len(original):
        raise ValueError("corners or a sample that cannot be")
    return TokenMap("umap", original, reconstructed, corners[0], corners[1], int(fitted))


def _write(folder: Path, found: TokenMap) -> None:
    corners = np.stack([found.low, found.high])
    np.savez_compressed(
        folder / MAPS.file,
        original=found.original,
        reconstructed=found.reconstructed,
        corners=corners,
        fitted=np.int64(found.fitted),
    )


#: UMAP layouts of all tokens: 8 bytes a token each, which is 2 MB for 250,000.
MAPS: Store[TokenMap] = Store("maps", most=100, in_memory=8, file="map.npz", read=_read, write=_write, shipped="layouts/maps")
