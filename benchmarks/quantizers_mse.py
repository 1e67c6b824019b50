"""Exact minimum-MSE clipping against a 1,000-point grid search, in one run: python benchmarks/quantizers_mse.py [size]

The grid search is plain NumPy, float32, one pass a point; beyond 20 points it is timed on 20 and scaled. Memory is the
peak of NumPy's allocations over the tensor's bytes.
"""

from __future__ import annotations

import sys
import time
import tracemalloc

import numpy as np

from refq.quantizers.apply import dequantize, quantize
from refq.quantizers.mse import minimum_affine_mse, minimum_mse
from refq.quantizers.uniform import fit_uniform

POINTS, TIMED = 1000, 20


def grid_search(values: np.ndarray, largest: int, points: np.ndarray) -> tuple[float, float]:
    """(error, step), the least of the points."""
    errors = []
    for step in points:
        rounded = np.clip(np.rint(values / step), -largest, largest) * step
        errors.append((float(np.mean((values - rounded) ** 2)), float(step)))
    return min(errors)


def timed(action):
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def peak(action) -> int:
    tracemalloc.start()
    action()
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


def clipping(size: int) -> None:
    values = np.random.default_rng(20261121).normal(size=size).astype(np.float32)
    minimum_mse(values[:1000], 2)
    for bits in (2, 4, 8):
        largest = (1 << (bits - 1)) - 1
        taken, found = min((timed(lambda bits=bits: minimum_mse(values, bits)) for _ in range(3)), key=lambda t: t[0])
        top = float(np.abs(values).max()) / largest
        points = (np.arange(1, POINTS + 1) / POINTS * top).astype(np.float32)
        some = points[:: POINTS // TIMED]
        slow, _ = timed(lambda some=some, largest=largest: grid_search(values, largest, some))
        slow *= POINTS / TIMED
        used = peak(lambda bits=bits: minimum_mse(values, bits)) / values.nbytes
        print(
            f"{size:9} values {bits} bits  exact {taken:6.3f} s  grid {slow:7.1f} s  {slow / taken:5.0f} x as long"
            f"  memory {used:4.2f} x the tensor  step {found.step:.9f} error {found.error:.6e}"
        )
    taken, _ = timed(lambda: minimum_affine_mse(values, 4))
    print(f"{size:9} values 4 bits  affine, every zero point {taken:6.3f} s")


def codes(size: int) -> None:
    values = np.random.default_rng(20261121).normal(size=size).astype(np.float32)
    for bits in (4, 8, 12):
        quantizer = fit_uniform(values, bits)
        step, top = np.float32(quantizer.step[0]), quantizer.highest
        quantize(values[:10], quantizer)
        quantize(values, quantizer)
        taken, found = timed(lambda quantizer=quantizer: quantize(values, quantizer))
        slow, _ = timed(
            lambda step=step, top=top, found=found: np.clip(np.rint(values / step), -top, top).astype(found.dtype)
        )
        used = peak(lambda quantizer=quantizer, found=found: dequantize(found, quantizer)) / (8 * size)
        print(
            f"quantize {bits:2} bits {size / taken / 1e6:6.0f} M/s  {slow / taken:4.1f} x NumPy's float32 line"
            f"   dequantize: memory {used:4.2f} x its result"
        )


if __name__ == "__main__":
    for size in [int(argument) for argument in sys.argv[1:]] or [10**6, 10**7]:
        clipping(size)
        codes(size)
