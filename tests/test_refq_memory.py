"""The kernels read and write inside their arrays: a small sweep in a process with Numba's bounds check on."""

import os
import subprocess
import sys

SWEEP = """
import numba
import numpy as np
from refq import IntFormat, Rounding, high_multiply, quantize, requantize, round_to_integer, shift_right, staircase

accs = np.arange(-60, 60).reshape(4, 5, 6)
for rule in ("gemmlowp_double", "exact_ties_up"):
    for axis in (1, 2):
        requantize(accs, rule, [0.25 + 0.125 * i for i in range(accs.shape[axis])], axis=axis)
    requantize(accs[:0], rule, 0.25)
    requantize(accs, rule, 0.25, fmt=IntFormat(2))
    staircase(rule, 0.25, fmt=IntFormat(3))
    staircase(rule, 3.7, fmt=IntFormat(1), domain=(-40, 40))
requantize(accs, "float32_ties_even", 0.25)
staircase("gemmlowp_double", 3.7)
for rounding in Rounding:
    shift_right(accs, 3, rounding)
    round_to_integer(accs / 4, rounding)
    high_multiply(accs, accs[:1], 8, rounding)
quantize(np.float32(accs), "float32_ties_even", 0.25)
print("bounds check", numba.config.BOUNDSCHECK)
"""


def test_a_sweep_of_the_kernels_with_bounds_check():
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, "-W", "error", "-c", SWEEP]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "bounds check 1\n"
