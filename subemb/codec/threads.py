"""Parts of a compiled loop's work, shared by threads that stay: to begin and end one takes longer than a lookup of thousands of rows."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

FEWEST_NUMBERS = 2**21  # read in a millisecond; fewer are read sooner than a thread wakes up

_pool: ThreadPoolExecutor | None = None


def in_threads(work: Callable, parts: Sequence[tuple], numbers: int = FEWEST_NUMBERS) -> None:
    """Call ``work(*part)`` for all parts, in as many threads as torch would use, this one among them. numbers: how many are read in all.

    Raises what ``work`` raises, once no thread is at it any more.
    """
    threads = min(len(parts), torch.get_num_threads()) if numbers >= FEWEST_NUMBERS else 1
    left = iter(parts)  # whoever is free takes the next

    def take() -> None:
        for part in left:
            work(*part)

    helpers = [_helpers().submit(take) for _ in range(threads - 1)]
    try:
        take()
    finally:
        # One that has not begun finds nothing left. To wait for it could be for ever: those before it may wait in the same way.
        for helper in [helper for helper in helpers if not helper.cancel()]:
            helper.result()


def _helpers() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="subemb-loops")
    return _pool


def _forget() -> None:
    """A process that was forked has the pool, but none of its threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
