"""Balanced quantization of 10 million float32 weights: python benchmarks/quantizers_balanced.py [name ...]

Fit and codes. The baseline is a straightforward NumPy recursion over sets of weights: split by mean (summed in float64)
or median, take both halves, recurse, put their codes together. Its means are floats and its medians are np.median, so
equal numbers stay together; how many codes differ is printed.
cpu is the ratio of processor time of both, which other work on the machine does not change much.
memory: the peak over the tensor's own.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import TypeVar

import numpy as np
from bench import main

from refq.quantizers.balanced import balanced_codes

T = TypeVar("T")
WEIGHTS = np.random.default_rng(20260105).standard_normal(10_000_000, dtype=np.float32)
BITS = (1, 2, 3, 4, 8)


def leaves(values: np.ndarray, bits: int, split: str) -> np.ndarray:
    """The leaf of every value."""
    if bits == 0 or not values.size:
        return np.zeros(values.shape, np.int16)
    upper = values >= (values.mean(dtype=np.float64) if split == "mean" else np.median(values))
    result = np.empty(values.shape, np.int16)
    result[~upper] = leaves(values[~upper], bits - 1, split)
    result[upper] = leaves(values[upper], bits - 1, split) + (1 << (bits - 1))
    return result


def recursion(bits: int, split: str) -> np.ndarray:
    """Codes 2 * leaf - n."""
    return 2 * leaves(WEIGHTS, bits, split) - ((1 << bits) - 1)


def timed(action: Callable[[], T]) -> tuple[float, float, T]:
    start, cpu = time.perf_counter(), time.process_time()
    result = action()
    return time.perf_counter() - start, time.process_time() - cpu, result


def ratios(split: str, target: int) -> None:
    """Interleaved; seconds and ratio are medians over the rounds."""
    for bits in BITS:
        balanced_codes(WEIGHTS, bits, split=split)
        pairs = []
        for _ in range(3):
            ours, our_cpu, (codes, _) = timed(lambda bits=bits: balanced_codes(WEIGHTS, bits, split=split))
            theirs, their_cpu, expected = timed(lambda bits=bits: recursion(bits, split))
            pairs.append((ours, theirs / ours, their_cpu / our_cpu))
        differing = int((codes != expected).sum())
        taken, ratio, cpu = (median(column) for column in zip(*pairs, strict=True))
        print(
            f"balanced {split:6} k={bits}: {taken * 1e3:6.0f} ms, {ratio:5.1f} x the NumPy recursion "
            f"(asked: {target}; cpu {cpu:.1f}), {differing} of {codes.size} codes differ"
        )


def mean() -> None:
    ratios("mean", 10)


def median_split() -> None:
    ratios("median", 3)


def memory() -> None:
    """The peak of tracemalloc while fitting and coding, in sizes of the tensor; on spread and on crowded numbers."""
    crowded = 1 + WEIGHTS / np.float32(4096)
    kinds = (("normal", WEIGHTS), ("in a few bins", crowded), ("normal, float64", WEIGHTS.astype(np.float64)))
    for name, weights in kinds:
        for split in ("mean", "median"):
            tracemalloc.start()
            balanced_codes(weights, 4, split=split, codes="literal")
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            print(f"balanced {split:6} k=4, {name}: peak {peak / weights.nbytes:.2f} x the tensor (asked: 3)")


BENCHMARKS = {"mean": mean, "median": median_split, "memory": memory}

if __name__ == "__main__":
    main(BENCHMARKS, sys.argv[1:])
