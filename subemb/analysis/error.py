"""How far a reconstruction is from its table.

With rows w_t of the table, w^_t of the reconstruction and the mean row m:

- squared error of a token: ``||w_t - w^_t||^2``
- relative squared error: ``sum_t ||w_t - w^_t||^2 / sum_t ||w_t - m||^2``. 0 is perfect; 1 is what replacing every token by
  the mean gives; with uniform variance over the axes it is 1 - R^2. (It can exceed 1.)
- weighted, with token weights p_t: ``sum_t p_t ||w_t - w^_t||^2 / sum_t p_t ||w_t - m_p||^2``, where m_p is the weighted mean
- relative error of a token: its squared error over the mean of ``||w_t - m||^2``, so that the mean over tokens is the
  relative squared error of the table
- cosine of a token: of w_t and w^_t; if both are zero it is 1, if one is, 0.
- relative error of a subspace: the same sums over its axes alone (after the rotation, for a method that has one).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.arguments import checked
from ..base.errors import InputError
from ..base.shown import Card, Shown
from ..base.text import count_text
from ..codec.compressed import Compressed, SubspaceCompressed
from ..models.model import PretrainedModel
from .rows import Rows, as_table, pieces

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ROUNDING = 1e-12  # of the sum of squares: less variance than this is rounding, not variance


@dataclass(frozen=True, repr=False)
class ReconstructionError(Shown):
    """Errors of one reconstruction; definitions in :mod:`subemb.analysis.error`. Arrays are read-only."""

    relative: float  # relative squared error
    weighted: float | None  # the same with token weights, or None without
    squared: np.ndarray  # (V,) float64 squared error of every token
    per_token: np.ndarray  # (V,) float32 relative error of every token; its mean is ``relative``
    cosine: np.ndarray  # (V,) float32
    mean_cosine: float  # its mean
    cosine_quantiles: dict[float, float]  # by QUANTILES
    per_subspace: np.ndarray  # (f,) float64 relative errors; empty if the method does not cut into subspaces

    def described(self) -> Card:
        """What is shown of it: errors and cosines; 0 is perfect, 1 what the mean of all rows gives."""
        weighted = [] if self.weighted is None else [("with token weights", f"{self.weighted:.4f}")]
        facts = [
            ("relative error", f"{self.relative:.4f}"),
            *weighted,
            ("mean cosine", f"{self.mean_cosine:.4f}"),
            *(
                (f"{100 * share:.0f} % of tokens have at most", f"{value:.4f}")
                for share, value in self.cosine_quantiles.items()
            ),
        ]
        if len(self.per_subspace):
            worst = int(self.per_subspace.argmax())
            facts.append(("worst subspace", f"{worst} of {len(self.per_subspace)}: {self.per_subspace[worst]:.4f}"))
        line = f"{self.relative:.4f} of {count_text(len(self.squared))} tokens, mean cosine {self.mean_cosine:.4f}"
        return Card(type(self).__name__, line, facts, note="0 is perfect, 1 is what the mean of all rows gives.")

    def by_group(self, labels: Sequence) -> "pd.DataFrame":
        """One row per group of tokens, indexed by label: in the order of a pandas Categorical, else the largest first.

        labels: (V,) token kinds, scripts, :func:`id_bins`, ...
        Columns: ``tokens`` (count), ``share_of_tokens``, ``relative_error`` (mean of per_token), ``cosine`` (mean),
        ``share_of_error`` (the group's part of the total squared error). Raises InputError if there are not V labels.
        """
        import pandas as pd

        if len(labels) != len(self.squared):
            raise InputError(f"{len(labels)} labels do not fit {len(self.squared)} tokens; give one label a token")
        ordered = isinstance(getattr(labels, "dtype", None), pd.CategoricalDtype)
        columns = {"squared": self.squared, "relative_error": self.per_token, "cosine": self.cosine}
        frame = pd.DataFrame({name: values.astype(np.float64) for name, values in columns.items()})
        groups = frame.groupby(labels if ordered else np.asarray(labels), observed=True, sort=True)
        out = groups[["relative_error", "cosine"]].mean()
        out.insert(0, "tokens", groups.size())
        out.insert(1, "share_of_tokens", out["tokens"] / len(frame))
        total = frame["squared"].sum()
        out["share_of_error"] = groups["squared"].sum() / total if total > 0 else 0.0
        out.index.name = "group"
        return out if ordered else out.sort_values("tokens", ascending=False, kind="stable")


@checked
def reconstruction_error(
    table: torch.Tensor | np.ndarray | PretrainedModel | str | os.PathLike,
    reconstruction: Compressed | torch.Tensor | np.ndarray,
    weights: torch.Tensor | np.ndarray | None = None,
    widths: Sequence[int] | None = None,
) -> ReconstructionError:
    """Errors of a reconstruction of a (V, D) table.

    table: a matrix, a PretrainedModel, or a model's name as :func:`subemb.load` takes it.
    reconstruction: a Compressed (rebuilt in pieces: memory stays bounded; it also tells its subspaces and rotation), or (V, D).
    weights: (V,) non-negative token weights, for the weighted error.
    widths: d_1..d_f, for a plain matrix; ignored if they do not add up to D.

    Raises InputError for shapes that do not fit.
    """
    table = as_table(table)
    vocabulary, dim = table.shape
    rows = Rows(reconstruction, (vocabulary, dim))
    weight = _checked_weights(weights, vocabulary)
    sums = _Sums(table, rows, weight)
    variance = float(sums.axis_variance.sum())
    mean_variance = variance / vocabulary
    per_token = sums.squared / mean_variance if variance > sums.rounding else np.where(sums.squared > 0, np.inf, 0.0)
    return ReconstructionError(
        relative=_ratio(sums.squared.sum(), variance, sums.rounding),
        weighted=None if weight is None else _ratio(sums.weighted_squared, sums.weighted_variance, sums.rounding),
        squared=_frozen(sums.squared, np.float64),
        per_token=_frozen(per_token),
        cosine=_frozen(sums.cosine),
        mean_cosine=float(sums.cosine.mean()),
        cosine_quantiles=dict(zip(QUANTILES, np.quantile(sums.cosine, QUANTILES).tolist(), strict=True)),
        per_subspace=_per_subspace(sums, _widths(rows.compressed, widths, dim)),
    )


@checked
def id_bins(num_tokens: int, bins: int = 10) -> "pd.Categorical":
    """(V,) labels that cut the ids into ``bins`` runs of (nearly) equal length, in order: "0 to 3,051", ...

    Many vocabularies are ordered by frequency, so the first bin then holds the most frequent tokens.
    """
    import pandas as pd

    edges = np.unique(np.linspace(0, num_tokens, max(1, bins) + 1).round().astype(int))
    names = [f"{start:,} to {end - 1:,}" for start, end in pairwise(edges)]
    return pd.Categorical.from_codes(np.searchsorted(edges, np.arange(num_tokens), side="right") - 1, names, ordered=True)


class _Sums:
    """Everything that takes a pass over the rows: two passes, in pieces; sums in float64.

    squared, cosine: (V,) float64. axis_error, axis_variance: (D,) float64 sums per axis, rotated if the method rotates.
    """

    def __init__(self, table: torch.Tensor, rows: Rows, weight: torch.Tensor | None):
        vocabulary, dim = table.shape
        spans = list(pieces(vocabulary, dim))
        rotation = getattr(rows.compressed, "rotation", None)
        total = torch.zeros(dim, dtype=torch.float64)
        weighted_total = torch.zeros(dim, dtype=torch.float64)
        for start, end in spans:
            part = table[start:end].double()
            total += part.sum(0)
            if weight is not None:
                weighted_total += weight[start:end] @ part
        mean = total / vocabulary
        weighted_mean = weighted_total / weight.sum() if weight is not None else None

        self.squared = np.empty(vocabulary)
        self.cosine = np.empty(vocabulary)
        self.axis_error = torch.zeros(dim, dtype=torch.float64)
        self.axis_variance = torch.zeros(dim, dtype=torch.float64)
        self.weighted_squared = self.weighted_variance = 0.0
        norms = 0.0
        for start, end in spans:
            original, rebuilt = table[start:end].double(), rows.take(start, end).double()
            # naive: for t in range(start, end): squared[t] = ((table[t] - rebuilt[t]) ** 2).sum()
            squared = (original - rebuilt).square().sum(1)
            self.squared[start:end] = squared.numpy()
            self.cosine[start:end] = _cosine(original, rebuilt).numpy()
            centred, difference = original - mean, original - rebuilt
            if rotation is not None:
                centred, difference = centred @ rotation.double(), difference @ rotation.double()
            self.axis_error += difference.square().sum(0)
            self.axis_variance += centred.square().sum(0)
            norms += float(original.square().sum())
            if weight is not None:
                self.weighted_squared += float(weight[start:end] @ squared)
                self.weighted_variance += float(weight[start:end] @ (original - weighted_mean).square().sum(1))
        self.rounding = _ROUNDING * norms


def _cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(n,) cosines of rows; both zero: 1, one zero: 0."""
    norms_a, norms_b = a.norm(dim=1), b.norm(dim=1)
    product = norms_a * norms_b
    cosine = ((a * b).sum(1) / product.clamp(min=torch.finfo(product.dtype).tiny)).clamp(-1, 1)
    return torch.where(product > 0, cosine, ((norms_a == 0) & (norms_b == 0)).to(cosine.dtype))


def _ratio(error: float, variance: float, rounding: float) -> float:
    """error / variance. A table of equal rows has none: 0 if they are rebuilt (up to rounding), else infinity."""
    if variance > rounding:
        return float(error / variance)
    return 0.0 if error <= rounding else float("inf")


def _widths(compressed: Compressed | None, widths: Sequence[int] | None, dim: int) -> list[int]:
    if isinstance(compressed, SubspaceCompressed):
        widths = compressed.widths
    return list(widths) if widths and sum(widths) == dim else []


def _per_subspace(sums: _Sums, widths: list[int]) -> np.ndarray:
    if not widths:
        return _frozen(np.empty(0))
    errors, variances = sums.axis_error.split(widths), sums.axis_variance.split(widths)
    ratios = [_ratio(float(a.sum()), float(b.sum()), sums.rounding) for a, b in zip(errors, variances, strict=True)]
    return _frozen(np.array(ratios), np.float64)


_LARGEST_WEIGHT = 1e150


def _checked_weights(weights, vocabulary: int) -> torch.Tensor | None:
    if weights is None:
        return None
    if not isinstance(weights, torch.Tensor):
        try:
            weights = torch.from_numpy(np.array(weights, np.float64))
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"weights are {weights!r:.80}; they must be numbers, one a token") from None
    weight = weights.detach().to("cpu", torch.float64)
    if weight.shape != (vocabulary,):
        raise InputError(f"weights of shape {tuple(weight.shape)} do not fit {vocabulary} tokens; give one weight a token")
    if not bool(torch.isfinite(weight).all()) or bool((weight < 0).any()) or float(weight.sum()) <= 0:
        raise InputError("weights must be finite, none below 0 and not all 0")
    if float(weight.max()) > _LARGEST_WEIGHT:
        raise InputError(
            f"a weight is {float(weight.max()):.3g}, and sums of such would be infinite; divide all weights by their mean"
        )
    return weight


def _frozen(values: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    out = np.array(values, dtype=dtype)
    out.setflags(write=False)
    return out
