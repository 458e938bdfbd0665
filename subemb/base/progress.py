"""One way to tell how far long work is, and to stop it.

Every long function takes ``progress: ProgressCallback | None``. It is called with :class:`Progress` and may return
``True`` to ask for a stop; the function then raises :class:`subemb.base.errors.Cancelled`.

>>> seen = []
>>> report(seen.append, "k-means", 0.5, error=0.9)
>>> seen[0].stage, seen[0].fraction, seen[0].values
('k-means', 0.5, {'error': 0.9})
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """One message about work under way. Plain Python types only, so that it can cross processes."""

    stage: str  # what is being done, in words a visitor understands
    fraction: float | None = None  # share of the whole work done, 0..1, or None if it cannot be known
    #: Measured numbers. Iterative methods send ``iteration`` (int), ``error`` (float, relative squared error of the whole table) and
    #: ``per_subspace`` (list of f floats).
    values: dict[str, Any] = field(default_factory=dict)


ProgressCallback = Callable[[Progress], bool | None]


def report(callback: ProgressCallback | None, stage: str, fraction: float | None = None, **values: Any) -> None:
    """Send one message; raise :class:`~subemb.base.errors.Cancelled` if the callback answers True."""
    if callback is not None and callback(Progress(stage, fraction, values)) is True:
        raise Cancelled(f"stopped during: {stage}")


#: Until one of these pairs of seconds and share is over, what was done says little about what is left: beginning takes its own time.
_EARLY = ((2.0, 0.2), (20.0, 0.05))


def seconds_left(seconds: float, fraction: float | None) -> float | None:
    """How long work will still take by the pace that it had; None as long as that cannot be told.

    seconds: that it has taken so far. fraction: share of it that is done.

    >>> seconds_left(30.0, 0.75), seconds_left(1.0, 0.75), seconds_left(30.0, None)
    (10.0, None, None)
    >>> seconds_left(12.0, 0.05), seconds_left(30.0, 0.05)
    (None, 570.0)
    """
    if fraction is None or not any(seconds >= least and fraction >= share for least, share in _EARLY):
        return None
    return seconds * (1 - min(1.0, fraction)) / fraction


def shares_of(seconds: Sequence[float]) -> list[tuple[float, float]]:
    """Where parts of work begin and end, as :func:`part_of` takes them, by the seconds that each is thought to take.

    >>> shares_of([1.0, 3.0])
    [(0.0, 0.25), (0.25, 1.0)]
    """
    whole, ends = sum(seconds) or 1.0, [0.0]
    for one in seconds:
        ends.append(min(1.0, ends[-1] + one / whole))
    return list(pairwise(ends))


def part_of(callback: ProgressCallback | None, start: float, end: float) -> ProgressCallback | None:
    """A callback for a part of the work: its fractions 0..1 are mapped to ``start..end`` of the whole."""
    if callback is None:
        return None

    def inner(message: Progress) -> bool | None:
        fraction = None if message.fraction is None else start + (end - start) * message.fraction
        return callback(Progress(message.stage, fraction, message.values))

    return inner
