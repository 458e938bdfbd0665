"""What a compression will store and how long it will take, told before it is run."""

from __future__ import annotations

from dataclasses import replace

from ..base.lazy import lazy_module
from .methods import METHODS
from .methods.base import MethodSettings
from .sizes import Size

torch = lazy_module("torch")

ASKED = 256  # rows whose nearest other row is looked for
ALIKE = 0.1  # of the mean squared distance of rows from their mean: what is nearer is alike
OFTEN = 0.06  # share of alike rows of the bundled model, most of them tokens that it never saw
_ROWS_AT_ONCE = 16_384


def predicted_size(settings: MethodSettings, vocabulary: int, dim: int, model_parameters: int | None = None) -> Size:
    """The size that :meth:`Compressed.size` will report, known before anything is computed.

    Raises InputError if the settings do not fit a (V, D) table.

    >>> from subemb.codec.settings import CompressionSettings
    >>> predicted_size(CompressionSettings("cluster", subspaces=3), 30522, 384).total_bytes
    69523
    """
    method = METHODS[settings.method]
    size = method.size(method.resolve(settings, vocabulary, dim), vocabulary, dim)
    return replace(size, model_parameters=model_parameters)


def estimate_seconds(settings: MethodSettings, vocabulary: int, dim: int, alike: float | None = None) -> float:
    """Seconds that compressing a (V, D) table will take on two cores, roughly; see :meth:`Method.seconds`.

    alike: what :func:`alike_share` says of the table, on which distinct tuples depend; None for as many as the bundled model has.

    Raises InputError if the settings do not fit the table.
    """
    method, often = METHODS[settings.method], 1.0 if alike is None else min(1.0, alike / OFTEN)
    return method.seconds(method.resolve(settings, vocabulary, dim), vocabulary, dim, often)


def alike_share(table: torch.Tensor) -> float:
    """The share of rows that nearly equal another one, 0 to 1, of ASKED rows of a (V, D) table: tokens that a model never saw do.

    >>> import torch
    >>> apart = 5 * torch.eye(6)
    >>> alike_share(apart), alike_share(torch.cat([apart, apart[:2] + 0.1]))
    (0.0, 0.5)
    """
    rows = torch.randperm(len(table), generator=torch.Generator().manual_seed(0))[:ASKED]
    middle = table.mean(0)
    asked = table[rows] - middle
    nearest, spread = torch.full((len(rows),), float("inf")), 0.0
    for start in range(0, len(table), _ROWS_AT_ONCE):
        part = table[start : start + _ROWS_AT_ONCE] - middle
        lengths = part.square().sum(1)
        spread += float(lengths.sum())
        apart = torch.addmm(lengths, asked, part.T, alpha=-2)
        inside = torch.nonzero((rows >= start) & (rows < start + len(part)))[:, 0]
        apart[inside, rows[inside] - start] = float("inf")  # no row is another one than itself
        nearest = torch.minimum(nearest, apart.amin(1))
    near = nearest + asked.square().sum(1) < ALIKE * spread / len(table)
    return float(near.float().mean())
