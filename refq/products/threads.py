"""Work shared between the cores: ranges of panels, one thread each. Results do not depend on the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Thread, current_thread, local

from numba import get_num_threads

WORTH_SHARING = 2e-4
"""Seconds of work below which waking a thread (some 50 microseconds) costs more than it saves."""

_state = local()
_pools: list[ThreadPoolExecutor] = []
_workers: list[Thread] = []


def _pool() -> ThreadPoolExecutor:
    """The pool of this process; a forked child has its parent's record of threads, none of which lives."""
    if not _workers or not _workers[0].is_alive():
        _workers.clear()
        _pools[:] = [ThreadPoolExecutor(get_num_threads(), "refq", lambda: _workers.append(current_thread()))]
    return _pools[0]


def _alone(work: Callable[[int, int], object], start: int, stop: int) -> None:
    """work(start, stop), in which nothing is shared again: every core has its part."""
    _state.sharing = True
    try:
        work(start, stop)
    finally:
        _state.sharing = False


def share(work: Callable[[int, int], object], count: int, seconds: float) -> None:
    """work(start, stop) over 0..count - 1, split into as many ranges as there are threads if that pays.

    `seconds` is an estimate of the whole. The caller's thread takes the first range.
    """
    if seconds < WORTH_SHARING or count < 2 or getattr(_state, "sharing", False):
        work(0, count)
        return
    parts = min(get_num_threads(), count)
    edges = [count * part // parts for part in range(parts + 1)]
    others = [_pool().submit(_alone, work, a, b) for a, b in pairwise(edges[1:])]
    _alone(work, 0, edges[1])
    for other in others:
        other.result()
