"""Work shared between the cores: ranges of panels, one thread each. Results do not depend on the number of threads.

The caller lays its ranges on a pile, calls its helpers and takes ranges itself until none is left; a helper that wakes
late finds less to do, or nothing. Helpers watch for more work for a while after the last, then go back to their pool.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock, Thread, current_thread

import numpy as np
from numba import config
from numpy.typing import NDArray

from refq.products.spinning import BOARD, GONE, POSTED, next_ticket, post, watch_done

WORTH_SHARING = 8e-5
"""Seconds of work below which calling a helper costs more than it saves."""

_one_caller = Lock()


@dataclass(eq=False, slots=True)
class _Job:
    """A pile of ranges; `entered` has every helper that came, with a lock that it releases when it leaves."""

    work: Callable[[int, int], object]
    pile: list[tuple[int, int]]
    entered: list[tuple[_Helper, Lock]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def _next(self) -> tuple[int, int] | None:
        try:
            return self.pile.pop()
        except IndexError:
            return None

    def take(self) -> None:
        """Work until the pile is empty, or something fails."""
        try:
            while (part := self._next()) is not None:
                self.work(*part)
        except BaseException as error:
            self.pile.clear()
            self.errors.append(error)

    def wait(self) -> None:
        """Until all who entered have left: a helper enters before it takes a range."""
        for helper, leaves in self.entered:
            watch_done(helper.board, helper.ticket)
            leaves.acquire()


def _board() -> NDArray[np.int64]:
    board = np.zeros(BOARD, np.int64)
    board[POSTED] = GONE
    return board


@dataclass(eq=False, slots=True)
class _Helper:
    """A thread of the pool, or one that can be had from there."""

    ticket: int = 0
    board: NDArray[np.int64] = field(default_factory=_board)
    job: _Job | None = None
    thread: Thread | None = None

    def call(self, job: _Job) -> None:
        """Let it join the job as soon as it can."""
        self.job, last, self.ticket = job, self.ticket, self.ticket + 1
        if not post(self.board, last, self.ticket):
            self.board[POSTED] = self.ticket
            try:
                _pools[0].submit(self.attend)
            except RuntimeError:
                # at exit of the interpreter no thread can be had; the caller takes every range
                self.board[POSTED] = GONE

    def attend(self) -> None:
        """Join job after job until none comes for a while."""
        self.thread, ticket = current_thread(), int(self.board[POSTED])
        while ticket != GONE:
            if (job := self.job) is not None:
                leaves = Lock()
                with leaves:
                    job.entered.append((self, leaves))
                    job.take()
            del job
            ticket = next_ticket(self.board, ticket)


_helpers: list[_Helper] = []
_pools: list[ThreadPoolExecutor] = []


def _called(count: int, job: _Job) -> list[_Helper]:
    """So many helpers, called; a forked child has its parent's record of threads, none of which lives."""
    if any(helper.thread is not None and not helper.thread.is_alive() for helper in _helpers):
        _helpers.clear()
        _pools.clear()
    if not _pools:
        _pools.append(ThreadPoolExecutor(most_parts(), "refq"))
    _helpers.extend(_Helper() for _ in range(count - len(_helpers)))
    for helper in _helpers[:count]:
        helper.call(job)
    return _helpers[:count]


def most_parts() -> int:
    """Into how many ranges work is split at most."""
    return int(config.NUMBA_NUM_THREADS)


def parts(seconds: float) -> int:
    """Into how many ranges work of this estimated time is split, if it is long enough."""
    return 1 if seconds < WORTH_SHARING or _one_caller.locked() else most_parts()


def share(work: Callable[[int, int], object], count: int, seconds: float) -> None:
    """work(start, stop) over 0..count - 1, split into as many ranges as there are threads if that pays.

    `seconds` is an estimate of the whole. Work that is shared within shared work stays in its thread, and so does that
    of a second caller: every core has its part.
    """
    ranges = min(parts(seconds), count)
    if ranges < 2 or not _one_caller.acquire(blocking=False):
        work(0, count)
        return
    try:
        edges = [count * part // ranges for part in range(ranges, -1, -1)]
        job = _Job(work, [(start, stop) for stop, start in pairwise(edges)])
        helpers = _called(ranges - 1, job)
        job.take()
        job.wait()
        for helper in helpers:
            helper.job = None
    finally:
        _one_caller.release()
    if job.errors:
        raise job.errors[0]
