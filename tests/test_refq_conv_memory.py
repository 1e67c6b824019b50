"""A convolution never holds its whole patch matrix, and its kernels stay inside their arrays."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from refq.products.conv import conv

SWEEP = """
import numba
import numpy as np
from refq.products.conv import conv

for layout, axis in (("NHWC", -1), ("NCHW", 1)):
    for groups, filters in ((1, 3), (2, 4), (4, 8)):
        x = np.moveaxis(np.arange(2 * 5 * 4 * 4).astype(np.uint8).reshape(2, 5, 4, 4), -1, axis)
        w = np.moveaxis(np.ones((filters, 3, 2, 4 // groups), np.int8), -1, axis)
        for path in ("int64", "direct", "auto"):
            conv(x, w, layout=layout, groups=groups, padding=((2, 3), (0, 4)), stride=(1, 2), path=path)
            conv(x, w, layout=layout, groups=groups, padding="same", dilation=2, path=path, padding_value=9)
            conv(x, w, layout=layout, groups=groups, path=path)
print("bounds check", numba.config.BOUNDSCHECK)
"""
SHAPE, KERNEL = (2, 96, 96, 64), (32, 5, 5, 64)


def peak(*arrays, **options):
    """Bytes that NumPy held at most during a call, its result included."""
    conv(*arrays, **options)
    tracemalloc.start()
    try:
        conv(*arrays, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("path", ["auto", "int64", "direct"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_memory_is_at_most_three_times_inputs_and_outputs(layout, path):
    """The patch matrix would be 23 times the input: 29 MB of 8-bit codes, 236 MB as int64."""
    axis = -1 if layout == "NHWC" else 1
    x = np.moveaxis(np.ones(SHAPE, np.uint8), -1, axis).copy()
    w = np.moveaxis(np.ones(KERNEL, np.int8), -1, axis).copy()
    options = {"layout": layout, "stride": 2 if path == "direct" else 1, "path": path}
    out = conv(x, w, **options)
    both = x.nbytes + w.nbytes + out.nbytes
    assert peak(x, w, **options) + x.nbytes + w.nbytes <= 3 * both


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_memory_of_a_depthwise_convolution(dtype):
    x, w = np.ones((1, 128, 128, 64), dtype), np.ones((64, 3, 3, 1), np.int8)
    for stride in (1, 2):
        out = conv(x, w, groups=64, stride=stride)
        both = x.nbytes + w.nbytes + out.nbytes
        assert peak(x, w, groups=64, stride=stride) + x.nbytes + w.nbytes <= 3 * both


@pytest.mark.sweep
def test_a_sweep_of_the_kernels_with_bounds_check():
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, "-W", "error", "-c", SWEEP]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "bounds check 1\n"
