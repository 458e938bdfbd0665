"""How much slower this computer is, now, than the one on which estimates of seconds were measured.

Estimates count what is to be done and multiply it by what it took on two free, ordinary server cores. A computer may be slower, and it
may be busy; both are measured here by a few milliseconds of work, which reads the processor's own clock beside that on the wall.
"""

import os
import threading
import time
from functools import cache
from typing import NamedTuple

import numpy as np

from .text import seconds_text

#: Seconds of one thread for one round on a core of the reference machine.
_REFERENCE = 0.0011
_ENOUGH = 0.06  # seconds of processor time for one measurement
_FRESH = 20.0  # seconds for which a measurement holds
#: Two threads that wait for each other after every small step both have to be given a core, so work suffers more than one thread's
#: waiting says. Chosen on 11 runs of all methods on all-MiniLM-L6-v2's table, on two cores under loads of 14 to 22: with it 9 took 0.5
#: to 1.6 times what would have been told, two (cluster, f = 24 and 64) 0.4 times.
_THREADS_WAIT = 1.3
#: Environment of processes that compute: threads that have nothing to do sleep instead of spinning. On a busy computer those that
#: spin take the cores from those that work: k-means with f = 24 then took 163 s and 58 CPU-seconds instead of 22 and 8.
SLEEPING_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
_BUSY = 1.5  # waiting from which on a computer is called busy
_MOST = 50.0


class Pace(NamedTuple):
    """What was measured."""

    speed: float  # times the processor time of the reference machine
    waiting: float  # about how many want the same core: 1 on a free computer

    @property
    def slowness(self) -> float:
        """Times the seconds that an estimate gives for two free cores."""
        return min(_MOST, max(0.2, self.speed * self.waiting**_THREADS_WAIT))


_lock = threading.Lock()
_last: tuple[float, Pace] | None = None


def slowness() -> float:
    """By how much seconds that were estimated for two free cores are to be multiplied on this computer, as busy as it is now."""
    return pace().slowness


def rough(seconds: float) -> str:
    """Seconds that were estimated for two free cores, in words for this computer as busy as it is now."""
    return rough_here(seconds * slowness())


def rough_here(seconds: float) -> str:
    """Seconds that were estimated for this computer, in words that say whether it is busy now."""
    return seconds_text(seconds) + (" (this computer is busy now)" if pace().waiting >= _BUSY else "")


def pace() -> Pace:
    """The pace of this computer now.

    Measured at most every _FRESH seconds: some hundredths of a second, on a busy computer some tenths.
    """
    global _last
    with _lock:
        if _last is None or time.monotonic() - _last[0] > _FRESH:
            _last = time.monotonic(), measured()
        return _last[1]


def measured(seconds: float = _ENOUGH) -> Pace:
    """Measure now. seconds: of processor time; a burst that is too short is over before anybody else gets a turn."""
    table, rounds = _table(), 0
    wall, own = time.perf_counter(), time.thread_time()
    while time.thread_time() - own < seconds or not rounds:
        # One thread whatever the settings, and no Python in between: sorting, comparing, adding.
        np.sort(table, axis=1).argmin(axis=1)
        np.square(table).sum(axis=1)
        rounds += 1
    wall, own = time.perf_counter() - wall, max(1e-6, time.thread_time() - own)
    return Pace(own / (rounds * _REFERENCE), max(1.0, wall / own * _queue()) ** 0.5)


def _queue() -> float:
    """How many processes want each core, by the last minute: what a burst of some milliseconds sees depends on chance."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1.0, os.getloadavg()[0] / cores) if hasattr(os, "getloadavg") else 1.0


@cache
def _table() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4096, 64), dtype=np.float32)
