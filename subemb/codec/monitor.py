"""Keeps the history of a computation and tells the progress callback the same numbers."""

import time
from typing import Any

import torch

from ..base.progress import ProgressCallback, report
from .blocks import Blocks


class Monitor:
    """Numbers the iterations of all stages of one compression through, and remembers them.

    history: one dict an iteration: ``iteration``, ``stage``, ``seconds``, ``error``, ``per_subspace``, and for weighted
    runs ``weighted_error`` (the one that is minimised).
    """

    def __init__(self, blocks: Blocks, progress: ProgressCallback | None = None):
        self.progress = progress
        self.history: list[dict[str, Any]] = []
        self.weighted = blocks.weights is not None
        self.plain_variance, self.weighted_variance = blocks.variances()
        self.started = time.perf_counter()

    def measure(self, plain: torch.Tensor, weighted: torch.Tensor) -> dict[str, Any]:
        """Squared errors per subspace, (f,) each, as relative errors."""
        values: dict[str, Any] = {
            "error": share(plain.sum(), self.plain_variance.sum()),
            "per_subspace": [share(a, b) for a, b in zip(plain.tolist(), self.plain_variance.tolist(), strict=True)],
        }
        if self.weighted:
            values["weighted_error"] = share(weighted.sum(), self.weighted_variance.sum())
        return values

    def record(self, stage: str, fraction: float, plain: torch.Tensor, weighted: torch.Tensor) -> float:
        """Note and report one iteration; gives back the error that is minimised. Raises Cancelled."""
        values = {"iteration": len(self.history) + 1, **self.measure(plain, weighted)}
        self.history.append({**values, "stage": stage, "seconds": time.perf_counter() - self.started})
        report(self.progress, stage, fraction, **values)
        return values["weighted_error" if self.weighted else "error"]

    def note(self, stage: str, fraction: float) -> None:
        """A sign of life between iterations. Raises Cancelled."""
        report(self.progress, stage, fraction)


def share(part: float | torch.Tensor, whole: float | torch.Tensor) -> float:
    """part / whole, and 0 for a table without variance, which every codebook of its mean rebuilds."""
    part, whole = float(part), float(whole)
    return part / whole if whole > 0 else 0.0


def settled(previous: float, error: float, tolerance: float) -> bool:
    """Whether the error shrank by no more than ``tolerance`` of itself; ``previous`` is infinite at the first iteration."""
    return previous < float("inf") and previous - error <= tolerance * previous
