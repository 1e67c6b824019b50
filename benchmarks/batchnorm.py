"""Speed of batch norm as ratios measured in one run: python benchmarks/batchnorm.py [name ...]

fit: the 240 channels of the real ResNet-8 (shared/data/mlperf_tiny), certificates included, against the O(m**2)
search over pairs of points with Fractions. arrays: fitted forms over 2**22 accumulators, against NumPy and a copy.
"""

from __future__ import annotations

import sys
import time
from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

import numpy as np
import resnet8
from bench import against, main

from refq.batchnorm import (
    Channel,
    Fit,
    FixedPoint,
    ShiftForm,
    certificate,
    fit_batchnorm,
    fixed_batchnorm,
    form_steps,
    shift_batchnorm,
    smallest_shared_divisor,
    threshold_batchnorm,
    threshold_form,
)
from refq.batchnorm.choice import mirror
from refq.formats import Rounding
from refq.spec.batchnorm import batchnorm
from verify.certificate_checker import check

T = TypeVar("T")
Points = list[tuple[int, int]]


def pairwise(lower: Points, upper: Points) -> tuple[Fraction | None, Fraction | None]:
    """The open slope interval as the minimum and maximum over all pairs of points."""
    low = high = None
    for u, j in lower:
        for other, k in upper:
            if other > u:
                slope = Fraction(k - j, other - u)
                high = slope if high is None or slope < high else high
            elif other < u:
                slope = Fraction(j - k, u - other)
                low = slope if low is None or slope > low else low
    return low, high


def timed(action: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def points_of(channel: Channel) -> tuple[Points, Points]:
    """The lower and upper points, each threshold by bisection of the definition."""

    def code(u: int) -> int:
        return batchnorm(-u if channel.gamma < 0 else u, channel, Rounding.TIES_UP)

    ends = (channel.acc_min, channel.acc_max)
    first, last = (-ends[1], -ends[0]) if channel.gamma < 0 else ends
    bottom, top = code(first), code(last)
    starts = [bisect_left(range(first, last + 1), j, key=code) + first for j in range(bottom + 1, top + 1)]
    lower = [(u, j) for j, u in enumerate(starts, bottom + 1)] + [(first, bottom)] * (bottom > channel.qmin)
    upper = [(u - 1, j) for j, u in enumerate(starts, bottom + 1)] + [(last, top + 1)] * (top < channel.qmax)
    return lower, upper


def fit() -> None:
    """All channels of the network: thresholds, interval, shift, line and certificate, on one core."""
    for bits in resnet8.BITS:
        layers = list(resnet8.layers(bits).values())
        fits = [found for channels in layers for found in fit_batchnorm(channels).fits]
        taken, texts = timed(lambda layers=layers: [certificate(fit_batchnorm(channels)) for channels in layers])
        found, points = timed(lambda layers=layers: [points_of(channel) for channels in layers for channel in channels])
        pairs, slow = timed(lambda points=points: [pairwise(*sides) for sides in points])
        checked, _ = timed(lambda texts=texts: [check(text) for text in texts])
        if any(fit.steps.levels.size > 1 and _of_u(fit) != ends for fit, ends in zip(fits, slow, strict=True)):
            raise SystemExit("fit: the pairwise solver found other intervals")
        print(f"fit {bits} bits, {len(fits)} channels, certificates included {taken:6.3f} s")
        print(f"    pairs of points, Fractions                  {pairs:6.1f} s {pairs / taken:6.0f} x as long")
        whole = found + pairs
        print(f"    the same with bisection of the definition   {whole:6.1f} s {whole / taken:6.0f} x as long")
        print(f"    checking the certificates                   {checked:6.3f} s {checked / taken:6.1f} x as long")


def _of_u(fit: Fit) -> tuple[Fraction | None, Fraction | None]:
    return fit.slopes if fit.sign > 0 else mirror(fit.slopes)


def divisors() -> None:
    """The smallest shared divisor of each layer, against its shared power of two."""
    for bits in resnet8.BITS:
        for name, channels in resnet8.layers(bits).items():
            layer = fit_batchnorm(channels)
            start = time.perf_counter()
            found = smallest_shared_divisor([fit.slopes for fit in layer.fits])
            taken = time.perf_counter() - start
            shift = max(fit.min_shift or 0 for fit in layer.fits)
            print(
                f"shared divisor {bits} bits {name:22} {found:11}, {found / (1 << shift):4.2f} of 2**{shift}"
                f" {taken:6.3f} s"
            )


def numpy_lines(acc: np.ndarray, forms: list[FixedPoint], axis: int) -> np.ndarray:
    """The same in NumPy, int64."""
    shape = (-1, 1) if axis == 1 else (-1,)
    a, b, k = (
        np.array(column).reshape(shape)
        for column in zip(*((f.multiplier, f.bias, f.shift) for f in forms), strict=True)
    )
    return np.clip((acc.astype(np.int64) * a + b) >> k, 0, 255).astype(np.uint8)


def arrays() -> None:
    """One core, 2**22 int32 accumulators, 64 channels; the copy converts int32 to uint8 and moves the same bytes."""
    channels = resnet8.layers(8)["batch_normalization_5"]
    lines = [fit.form for fit in fit_batchnorm(channels).fits]
    generator = np.random.default_rng(20261121)
    low, high = max(c.acc_min for c in channels), min(c.acc_max for c in channels)
    first = generator.integers(low, high, (16, 64, 4096)).astype(np.int32)
    last = np.ascontiguousarray(first.transpose(0, 2, 1))
    shifts = [ShiftForm(bias=100 * c, shift=10, qmin=0, qmax=255) for c in range(64)]
    steps = [form_steps(line, (low, high)) for line in lines]
    counted = [threshold_form(s, 0, 255) for s in steps]
    for axis, acc in ((1, first), (-1, last)):
        for name, action in (
            ("line", lambda acc=acc, axis=axis: fixed_batchnorm(acc, lines, axis)),
            ("shift", lambda acc=acc, axis=axis: shift_batchnorm(acc, shifts, axis=axis)),
            ("thresholds", lambda acc=acc, axis=axis: threshold_batchnorm(acc, counted, axis)),
        ):
            rounds = 15 if name != "thresholds" else 3
            taken, by_copy = against(action, lambda acc=acc: acc.astype(np.uint8), rounds)
            _, by_numpy = against(action, lambda acc=acc, axis=axis: numpy_lines(acc, lines, axis), 3)
            print(
                f"{name:10} channels {'first' if axis == 1 else 'last ':5} {acc.size / taken / 1e6:6.0f} M/s   "
                f"{by_numpy:5.1f} x NumPy   {by_copy:4.2f} of a copy's speed"
            )


if __name__ == "__main__":
    main({action.__name__: action for action in (fit, divisors, arrays)}, sys.argv[1:])
