"""Speed of SAWB as ratios measured in one run: python benchmarks/quantizers_sawb.py [name ...]

fit: 10**6 Gaussian weights, against a golden-section search of the alpha of least mean squared error, each of whose
steps is one NumPy pass over the tensor (scaling, rounding, clipping, squared difference), in float64 to 1e-8; and
against the same search on sorted prefix sums. loss: quantization_error, against the same sum in plain NumPy.
"""

from __future__ import annotations

import sys
from statistics import median

import numpy as np
from bench import against, main, seconds, warm
from derive_sawb import error, golden, prepared, units

from refq.quantizers.apply import dequantize, quantize
from refq.quantizers.error import quantization_error
from refq.quantizers.mse import minimum_mse
from refq.quantizers.sawb import fit_sawb

SIZE = 10**6
TOLERANCE = 1e-8
WEIGHTS = np.random.default_rng(20260101).normal(size=SIZE).astype(np.float32)


def plain_error(x: np.ndarray, alpha: float, n: int) -> float:
    """Mean squared error of the even grid, n steps, in one pass of NumPy."""
    level = np.clip(np.rint(x * (n / (2 * alpha)) + n / 2), 0, n)
    difference = x - (level * (2 * alpha / n) - alpha)
    return float(np.dot(difference, difference)) / x.size


def search(bits: int) -> float:
    """Golden section on passes over the tensor."""
    top, wide = float(np.abs(WEIGHTS).max()), WEIGHTS.astype(np.float64)
    return golden(lambda alpha: plain_error(wide, alpha, 2**bits - 1), 0.1 * top, top, TOLERANCE)


def sorted_search(bits: int) -> float:
    """Golden section on prefix sums of the sorted tensor."""
    data, unit = prepared(WEIGHTS), units("even", bits)
    top = float(np.abs(data.values).max())
    return golden(lambda alpha: error(data, unit * alpha), 0.1 * top, top, TOLERANCE)


def compare(bits: int) -> None:
    """Interleaved rounds of all four."""
    actions = [lambda: fit_sawb(WEIGHTS, bits), lambda: search(bits), lambda: sorted_search(bits),
               lambda: minimum_mse(WEIGHTS, bits, grid="even")]  # fmt: skip
    warm(*actions)
    rounds = [[seconds(action) for action in actions] for _ in range(5)]
    taken = median(row[0] for row in rounds)
    ratios = [median(row[at] / row[0] for row in rounds) for at in (1, 2, 3)]
    alphas = fit_sawb(WEIGHTS, bits).parameters["alpha"], search(bits), sorted_search(bits)
    print(f"fit_sawb {bits} bits, 10**6 float32: {taken * 1e3:5.2f} ms   {ratios[0]:4.0f} x golden section in NumPy   "
          f"{ratios[1]:4.0f} x on sorted prefix sums   {ratios[2]:4.0f} x minimum_mse   "
          f"alpha {alphas[0]:.4f}, searched {alphas[1]:.4f}, {alphas[2]:.4f}")  # fmt: skip


def fit() -> None:
    """At 2, 3 and 4 bits."""
    for bits in (2, 3, 4):
        compare(bits)


def loss() -> None:
    """The loss of 10**6 weights at 4 bits."""
    quantizer = fit_sawb(WEIGHTS, 4)

    def plain() -> float:
        return float(np.square(WEIGHTS - dequantize(quantize(WEIGHTS, quantizer), quantizer)).mean())

    taken, ratio = against(lambda: quantization_error(WEIGHTS, quantizer), plain, 9)
    print(f"quantization_error 4 bits, 10**6 float32: {taken * 1e3:5.2f} ms   {ratio:4.2f} x the mean alone in NumPy")


BENCHMARKS = {"fit": fit, "loss": loss}

if __name__ == "__main__":
    main(BENCHMARKS, sys.argv[1:])
