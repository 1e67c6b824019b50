"""Work shared between threads: every part once, nothing shared twice, errors reach the caller, forked children live."""

import multiprocessing
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from product_cases import codes
from refq_cases import assert_same

from refq.products.gemm import gemm, prepare
from refq.products.threads import share


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 100])
@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_every_part_is_done_once(count, seconds):
    done = []
    share(lambda start, stop: done.extend(range(start, stop)), count, seconds)
    assert sorted(done) == list(range(count))


def test_work_within_shared_work_stays_in_its_thread():
    seen = []

    def outer(start: int, stop: int) -> None:
        here = threading.get_ident()
        share(lambda a, b: seen.append((b - a, threading.get_ident() == here)), 10, 1.0)

    share(outer, 2, 1.0)
    assert set(seen) == {(10, True)}


def test_an_error_reaches_the_caller():
    def fails(start: int, stop: int) -> None:
        raise ValueError(f"part {start}")

    with pytest.raises(ValueError, match="part"):
        share(fails, 8, 1.0)
    share(lambda start, stop: None, 8, 1.0)


@pytest.mark.parametrize("kind", [IndexError, KeyboardInterrupt])
def test_any_error_reaches_the_caller_from_any_part(kind):
    for failing in (0, 1):

        def fails(start: int, stop: int, failing: int = failing) -> None:
            if start == failing:
                raise kind("planted")

        with pytest.raises(kind, match="planted"):
            share(fails, 2, 1.0)


def test_helpers_that_wake_late_and_helpers_that_have_gone():
    """Between two calls a helper watches, is about to leave, or has left."""
    for pause in [0.0] * 50 + [0.0002 * i for i in range(50)] + [0.1] * 5:
        done: list[int] = []
        share(lambda start, stop, done=done: done.extend(range(start, stop)), 64, 1.0)
        assert sorted(done) == list(range(64))
        time.sleep(pause)


def test_work_at_the_exit_of_the_interpreter_is_done_by_the_caller():
    code = """
import atexit
import numpy as np
from refq.products.threads import share
share(lambda start, stop: None, 4, 1.0)
done = []
atexit.register(lambda: print(sorted(done)))
atexit.register(lambda: share(lambda start, stop: done.extend(range(start, stop)), 4, 1.0))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout == "[0, 1, 2, 3]\n"


LEFT, RIGHT = codes("uint8", (700, 300), 1), codes("int8", (300, 700), 2)
WEIGHTS, EXPECTED = prepare(RIGHT), LEFT.astype(np.int64) @ RIGHT.astype(np.int64)


def large() -> np.ndarray:
    return gemm(LEFT, WEIGHTS, path="int8")


def test_threads_of_the_caller_may_multiply_at_the_same_time():
    results: list[np.ndarray] = []
    callers = [threading.Thread(target=lambda: results.append(large())) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 6
    for result in results:
        assert_same(result, EXPECTED)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own():
    large()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert_same(pool.apply_async(large).get(timeout=60), EXPECTED)
