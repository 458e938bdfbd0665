"""Tokens in groups of like vectors, and how many of each group stay together after compression.

The groups are found by k-means (scikit-learn) among the directions of the original vectors about their mean. After compression a token
has stayed in its group if the nearest of the same centres is still that of its group.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..base.arguments import Seed, checked
from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..base.shown import Brief
from ..base.store import Store
from ..codec.compressed import Compressed
from .layout import principal_axes
from .rows import Rows, as_table, pieces

CLUSTERS = 20  # as many colours can be told apart
TYPICAL = 8  # tokens that tell what a cluster is about
AXES = 50  # principal axes in which directions are compared, as UMAP does
_TOKENS_EACH = 10  # a cluster of fewer says nothing
_ELIGIBLE = 0.25  # share of a cluster's tokens that must be eligible for these alone to stand for it
_BATCH = 4096


@dataclass(frozen=True, repr=False)
class Clusters(Brief):
    """Groups of the V tokens of a table, and where their reconstructions belong. Do not change the arrays: they are shared."""

    before: np.ndarray  # (V,) uint8, the cluster of each token; the largest is 0
    after: np.ndarray  # (V,) uint8, the cluster whose centre is nearest to its reconstruction
    typical: np.ndarray  # (k, TYPICAL) int32, tokens nearest to each centre, the nearest first; -1 where there are no more

    def __len__(self) -> int:
        return len(self.typical)

    @property
    def sizes(self) -> np.ndarray:
        """(k,) tokens of each cluster."""
        return np.bincount(self.before, minlength=len(self))

    @property
    def kept(self) -> np.ndarray:
        """(k,) share of each cluster's tokens that are still nearest to its centre; NaN for an empty one."""
        stayed = np.bincount(self.before[self.before == self.after], minlength=len(self))
        with np.errstate(invalid="ignore"):
            return stayed / self.sizes

    @property
    def share(self) -> float:
        """Share of all tokens that stay in their cluster."""
        return float((self.before == self.after).mean())

    def away(self, cluster: int) -> list[tuple[int, int]]:
        """Where the tokens go that leave a cluster: (other cluster, how many), the most first."""
        counts = np.bincount(self.after[self.before == cluster], minlength=len(self))
        counts[cluster] = 0
        return [(int(other), int(counts[other])) for other in np.argsort(-counts, kind="stable") if counts[other]]


@torch.no_grad()
@checked
def cluster_tokens(
    table: torch.Tensor | np.ndarray,
    reconstruction: Compressed | torch.Tensor | np.ndarray,
    count: int = CLUSTERS,
    seed: Seed = 0,
    eligible: np.ndarray | None = None,
    progress: ProgressCallback | None = None,
) -> Clusters:
    """Cluster the rows of a (V, D) table, and find where the reconstructed rows belong. The same for equal arguments.

    count: clusters; fewer for a table of few tokens. eligible: (V,) bool, tokens that can be typical of a cluster, such as whole words; a
    cluster of which fewer than a quarter are takes whatever is nearest.
    Raises InputError for shapes that do not fit or more than 255 clusters, Cancelled through ``progress``.
    """
    from sklearn.cluster import MiniBatchKMeans

    if not 1 <= count <= 255:
        raise InputError(f"{count} clusters cannot be made; ask for 1 to 255")
    table = as_table(table)
    rows = Rows(reconstruction, tuple(table.shape))
    count = max(1, min(count, len(table) // _TOKENS_EACH))
    report(progress, "finding principal axes", 0.0)
    mean, axes, _ = principal_axes(table, min(AXES, table.shape[1]))
    original = _directions(Rows(table, tuple(table.shape)), len(table), mean, axes)
    report(progress, "finding clusters", 0.3)
    fitted = MiniBatchKMeans(count, batch_size=_BATCH, n_init=3, max_iter=60, random_state=seed).fit(original)
    centres = fitted.cluster_centers_
    found = _nearest_centre(original, centres)
    order = np.argsort(-np.bincount(found, minlength=count), kind="stable")  # the largest first
    centres = centres[order]
    before = _nearest_centre(original, centres)
    after = _nearest_centre(_directions(rows, len(table), mean, axes, part_of(progress, 0.7, 1.0)), centres)
    return Clusters(before, after, _typical(original, centres, before, eligible))


def _directions(rows: Rows, count: int, mean: torch.Tensor, axes: torch.Tensor, progress=None) -> np.ndarray:
    """The ``count`` rows -> (V, a) float32 of length 1 about the mean, in the principal axes; the mean itself stays zero."""
    found = np.empty((count, axes.shape[1]), dtype=np.float32)
    for start, end in pieces(count, len(mean)):
        report(progress, "comparing clusters", start / count)
        found[start:end] = torch.nn.functional.normalize((rows.take(start, end) - mean) @ axes).numpy()
    return found


def _nearest_centre(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(V, a), (k, a) -> (V,) uint8, the centre nearest to each point, the first of equal ones."""
    half = np.square(centres).sum(1) / 2
    found = np.empty(len(points), dtype=np.uint8)
    for start in range(0, len(points), 65_536):
        # ||p - c||^2 = ||p||^2 - 2 (p.c - ||c||^2 / 2)
        found[start : start + 65_536] = (points[start : start + 65_536] @ centres.T - half).argmax(1)
    return found


def _typical(points: np.ndarray, centres: np.ndarray, before: np.ndarray, eligible: np.ndarray | None) -> np.ndarray:
    found = np.full((len(centres), TYPICAL), -1, dtype=np.int32)
    for cluster, centre in enumerate(centres):
        own = np.flatnonzero(before == cluster)
        if eligible is not None and eligible[own].sum() >= _ELIGIBLE * max(1, len(own)):
            own = own[eligible[own]]
        nearness = points[own] @ centre
        best = own[np.argsort(-nearness, kind="stable")][:TYPICAL]
        found[cluster, : len(best)] = best
    return found


def _read(folder: Path) -> Clusters:
    with np.load(folder / CLUSTERINGS.file, allow_pickle=False) as file:
        found = Clusters(*(file[name] for name in ("before", "after", "typical")))
    whole = found.before.shape == found.after.shape and found.before.ndim == 1 and found.typical.ndim == 2
    if not whole or found.before.dtype != np.uint8 or found.after.dtype != np.uint8 or len(found) == 0:
        raise ValueError("arrays of other shapes than expected")
    if max(found.before.max(initial=0), found.after.max(initial=0)) >= len(found) or found.typical.max() >= len(found.before):
        raise ValueError("clusters or tokens that are not there")
    return found


def _write(folder: Path, found: Clusters) -> None:
    np.savez_compressed(folder / CLUSTERINGS.file, before=found.before, after=found.after, typical=found.typical)


CLUSTERINGS: Store[Clusters] = Store(
    "clusters", most=200, in_memory=8, file="clusters.npz", read=_read, write=_write, shipped="layouts/clusters"
)
