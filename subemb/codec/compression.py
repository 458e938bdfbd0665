"""compress(): one call from a (V, D) table to a compressed one, whatever the method."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..base.arguments import checked
from ..base.errors import InputError
from ..base.plain import declared
from ..base.progress import ProgressCallback, part_of, report
from .blocks import WEIGHT_FLOOR, column_means
from .compressed import ROWS_AT_ONCE, Compressed
from .kmeans import share
from .methods import DEFAULT_METHOD, with_budget
from .sensitive import definite, noticed
from .settings import GIVEN, CompressionSettings
from .weights import model_weights, token_weights

ROUNDING = 1e-3  # share of a sensitivity's norm that is put down to rounding: half precision has 5e-4


@checked
def compress(
    table: Any,
    method: str = DEFAULT_METHOD,
    subspaces: int = 3,
    codebook_size: int | None = None,
    *,
    weights: Any = None,
    sensitivity: Any = None,
    unique: bool | None = None,
    sensitive: bool | None = None,
    iterations: int = 25,
    tolerance: float = 1e-4,
    rank: int | None = None,
    codebook_bits: int | None = None,
    tiers: str | None = None,
    budget: str | None = None,
    keep: str | None = None,
    seed: int = 0,
    settings: CompressionSettings | None = None,
    progress: ProgressCallback | None = None,
    device: str | torch.device | None = None,
) -> Compressed:
    """Compress a token table.

    table: (V, D) torch tensor or numpy array of any float type, finite, at least 2 tokens; or a PretrainedModel, whose table
        is taken and whose vocabulary then says how tokens count. ``subemb.compress`` also takes a model's name.
    weights: None, (V,) non-negative numbers, or a name; the weighted error is then what is minimised. A table alone allows
        ``none`` (its default) and ``zipf``; a model also ``vocabulary`` (its default). Weights below 1e-9 of their mean are
        raised to that.
    sensitivity: None, or the (D, D) matrix S that says how much the output notices: an error r of a token's vector costs
        r^T S r instead of |r|^2. Symmetric and positive semi-definite; only its proportions count. A model measures its own
        where ``sensitive`` asks for it.
    tiers, budget: such as ``budget="100 kB"``; with one of them the method is ``tiered`` unless another is given.
    settings: takes the place of all arguments before it, except ``weights`` given as numbers and ``sensitivity``.
    progress: called with every iteration's error; answers True to stop.
    device: where to compute, such as ``cuda``; None is where the table lies.
    seed: equal seeds give equal results; with another number of threads or on another device, sums are rounded differently,
        and a learned rotation magnifies that.
    The other arguments are those of :class:`CompressionSettings`.

    Raises InputError for settings that do not fit the table, and for a table, weights or a sensitivity that cannot be
    used; Cancelled if the callback asked to stop.
    """
    given = {name: value for name, value in locals().items() if name in declared(CompressionSettings)}
    started = time.perf_counter()
    model = table if hasattr(table, "vocabulary") and hasattr(table, "table") else None
    table = checked_table(table if model is None else model.table, device)
    if settings is None:
        if (tiers or budget) is not None and method == DEFAULT_METHOD:
            given["method"] = with_budget()
        if weights is None:
            given["weights"] = "none" if model is None else "vocabulary"
        elif not isinstance(weights, str):
            given["weights"] = GIVEN
        settings = CompressionSettings(**given)
    if settings.sensitive is None and settings.about.can_be_sensitive:
        settings = replace(settings, sensitive=sensitivity is not None)
    settings = settings.resolve(*table.shape)
    if settings.sensitive and sensitivity is None:
        if model is None:
            raise InputError(
                "codes by what the output notices need to know what it notices; give the model instead of its table, or sensitivity=S"
            )
        sensitivity, progress = model.sensitivity(progress=part_of(progress, 0.0, 0.3)), part_of(progress, 0.3, 1.0)
    if weights is None or isinstance(weights, str):
        keeps = settings.about.keeps_rows
        weights = settings.weights if model is None else model_weights(model, settings.weights, keeps_rows=keeps)
    weights = checked_weights(weights, len(table))
    sensitivity = checked_sensitivity(sensitivity, table.shape[1])
    report(progress, "preparing the table", 0.0)
    method = settings.about
    if "weights" not in method.reads:
        weights = None
    if not settings.sensitive:
        sensitivity = None
    compressed = method.fit(table, settings, progress, weights, sensitivity)
    found = measured(table.cpu(), compressed, weights, sensitivity)
    compressed.info = {**found, **compressed.info, "seconds": time.perf_counter() - started}
    return compressed


def measured(
    table: torch.Tensor,
    compressed: Compressed,
    weights: torch.Tensor | None = None,
    sensitivity: torch.Tensor | None = None,
) -> dict[str, float]:
    """``error`` of the result as it is kept; with weights ``weighted_error``, with a sensitivity ``sensitive_error``: in float64, by chunks.

    error = sum_t |x_t - y_t|^2 / sum_t |x_t - mean|^2; weighted: every term times w_t, about the weighted mean; sensitive:
    weighted, with r^T M r in place of |r|^2, M as in :mod:`subemb.codec.sensitive`.
    """
    each = torch.ones(len(table), dtype=torch.float64) if weights is None else weights.double()
    from .kernels import table_moments

    measures = {"error": torch.ones(len(table), dtype=torch.float64)}
    if weights is not None:
        measures["weighted_error"] = each
    distances = compressed.distances(table)
    spreads = {name: table_moments(table, None if name == "error" else weights)[1] for name in measures}
    sums = {name: [float(w @ distances), float(spreads[name].sum())] for name, w in measures.items()}
    if sensitivity is not None:
        matrix = definite(sensitivity).double()
        sums["sensitive_error"] = [0.0, 0.0]
        mean = column_means(table, weights)
        for start in range(0, len(table), step := max(1, ROWS_AT_ONCE // table.shape[1])):
            rows = table[start : start + step]
            rebuilt = compressed.lookup(torch.arange(start, start + len(rows)))
            for place, vectors in enumerate((rows.double() - rebuilt, rows.double() - mean)):
                sums["sensitive_error"][place] += float(each[start : start + step] @ noticed(vectors, matrix))
    return {name: share(*pair) for name, pair in sums.items()}


def checked_table(table: Any, device: str | torch.device | None = None) -> torch.Tensor:
    """A (V, D) float32 tensor without gradient. Raises InputError for anything else, saying where."""
    rows = _as_tensor(table, "the table must be a 2-D array of numbers")
    if rows.ndim != 2:
        raise InputError(f"the table must have 2 axes, tokens and dimensions; this one has shape {tuple(rows.shape)}")
    if not rows.is_floating_point():
        raise InputError(f"the table must hold floating-point numbers, not {rows.dtype}; convert it first")
    if rows.shape[0] < 2 or rows.shape[1] < 1:
        raise InputError(
            f"a table of shape {tuple(rows.shape)} cannot be compressed; it needs at least 2 tokens and 1 dimension"
        )
    try:
        rows = rows.to(device=device, dtype=torch.float32)
    except (RuntimeError, TypeError, AssertionError) as error:  # torch's own words name the device and what is missing
        raise InputError(
            f"the table cannot be computed with on the device {device!r}: {str(error).splitlines()[0][:200]}"
        ) from error
    # what is not finite makes the sum not finite either, which is quicker to see
    if not torch.isfinite(rows.sum()) and (bad := ~torch.isfinite(rows)).any():
        row, column = torch.nonzero(bad)[0].tolist()
        raise InputError(
            f"the table holds {rows[row, column].item()} at row {row}, column {column} "
            f"({int(bad.any(1).sum())} row(s) affected, in float32); repair or drop such rows first"
        )
    return rows


def _as_tensor(values: Any, wanted: str) -> torch.Tensor:
    """Numbers of any kind as a tensor without gradient; torch by itself takes no reversed or byte-swapped numpy array."""
    try:
        if isinstance(values, np.ndarray):
            values = np.require(values, values.dtype.newbyteorder("="), ["C", "W"])
        return torch.as_tensor(values).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{wanted}: {error}") from error


def checked_weights(weights: Any, vocabulary: int) -> torch.Tensor | None:
    """(V,) float32 of mean 1, or None. Raises InputError for a wrong shape, a negative or NaN weight, or nothing but zeros."""
    if isinstance(weights, str):
        if weights not in ("none", "zipf"):
            raise InputError(
                f"weights {weights!r} need more than the table; compute them with subemb.codec.weights.token_weights, or let "
                "subemb.runs do it, and give the numbers"
            )
        weights = token_weights(weights, vocabulary)
    if weights is None:
        return None
    weights = _as_tensor(weights, "weights must be an array of numbers, one a token").double().cpu()
    if weights.shape != (vocabulary,):
        raise InputError(f"weights have shape {tuple(weights.shape)}; a table of {vocabulary} tokens needs ({vocabulary},)")
    bad = torch.nonzero(~torch.isfinite(weights) | (weights < 0)).flatten()
    if len(bad):
        raise InputError(f"weight {weights[bad[0]].item()} of token {bad[0].item()} is not a number from 0 up")
    if not (weights > 0).any():
        raise InputError("all weights are 0; at least one token must count")
    weights = weights / weights.max()  # the sum of the largest floats would be infinite
    weights = weights / weights.mean()
    return weights.clamp(min=WEIGHT_FLOOR).float()


def checked_sensitivity(sensitivity: Any, dim: int) -> torch.Tensor | None:
    """(D, D) float32 with a diagonal of mean 1, exactly symmetric and positive definite, or None.

    Eigenvalues below 0 by no more than ROUNDING of the matrix's norm are taken for rounded zeros, and raised by that.
    Raises InputError for a wrong shape, for NaN or infinity, and for a matrix that is not symmetric or has a negative eigenvalue.
    """
    if sensitivity is None:
        return None
    matrix = _as_tensor(sensitivity, "sensitivity must be a matrix of numbers, one row an axis").double().cpu()
    if matrix.shape != (dim, dim):
        raise InputError(f"sensitivity has shape {tuple(matrix.shape)}; a table of {dim} dimensions needs ({dim}, {dim})")
    bad = torch.nonzero(~torch.isfinite(matrix))
    if len(bad):
        row, column = bad[0].tolist()
        raise InputError(f"sensitivity holds {matrix[row, column].item()} at row {row}, column {column}; it must be finite")
    if not matrix.any():
        raise InputError("sensitivity is 0 everywhere; at least one axis must count")
    largest = matrix.abs().max()
    matrix = matrix / largest
    norm = float(torch.linalg.matrix_norm(matrix))
    row, column = divmod(int((matrix - matrix.T).abs().argmax()), dim)
    if abs(matrix[row, column] - matrix[column, row]) > ROUNDING * norm:
        raise InputError(
            f"sensitivity is not symmetric: row {row}, column {column} differs from row {column}, column {row}; give (S + S.T) / 2"
        )
    matrix = (matrix + matrix.T) / 2
    for lift in (0.0, 1e-7, 1e-5, ROUNDING):
        lifted = matrix + lift * norm * torch.eye(dim, dtype=matrix.dtype)
        if torch.linalg.cholesky_ex(lifted.float()).info == 0:
            return (lifted / lifted.diagonal().mean()).float()
    raise InputError(
        f"sensitivity has the eigenvalue {float(torch.linalg.eigvalsh(matrix)[0] * largest):.4g}; an error would then cost less than "
        "nothing: give a positive semi-definite matrix, such as a mean of g g^T"
    )
