"""Where the coefficients of SAWB come from, re-derived: python benchmarks/derive_sawb.py

Six distributions, each as the midpoint quantiles of a fixed grid (no randomness). For each the alpha of least mean
squared error is found exactly enough (1e-9) on sorted prefix sums: every level of a grid holds one run of the sorted
values, and its error is n v**2 - 2 v S1 + S2. Then alpha / E|w| is regressed on rms / E|w|: slope c1, intercept c2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

POINTS = 100_000
CONCENTRATION = 1.0
GOLDEN = (5**0.5 - 1) / 2


def von_mises(p: np.ndarray) -> np.ndarray:
    """Quantiles by the cumulated density exp(CONCENTRATION cos t), trapezoids on a fine grid."""
    t = np.linspace(-np.pi, np.pi, 400_001)
    density = np.exp(CONCENTRATION * np.cos(t))
    below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(p, below / below[-1], t)


def triangle(p: np.ndarray) -> np.ndarray:
    """Of the symmetric triangle on -1..1."""
    return np.where(p < 0.5, np.sqrt(2 * np.minimum(p, 0.5)) - 1, 1 - np.sqrt(2 * np.minimum(1 - p, 0.5)))


QUANTILES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Gaussian": lambda p: np.array([NormalDist().inv_cdf(x) for x in p.tolist()]),
    "uniform": lambda p: 2 * p - 1,
    "Laplace": lambda p: np.where(p < 0.5, np.log(2 * np.minimum(p, 0.5)), -np.log(2 * np.minimum(1 - p, 0.5))),
    "logistic": lambda p: np.log(p / (1 - p)),
    "triangle": triangle,
    "von Mises": von_mises,
}


def sample(name: str, points: int = POINTS) -> np.ndarray:
    """The quantiles of (i + 1/2) / points, ascending."""
    return QUANTILES[name]((np.arange(points) + 0.5) / points)


@dataclass(frozen=True)
class Sorted:
    """Ascending values with prefix sums of themselves and of their squares."""

    values: np.ndarray
    sums: np.ndarray
    squares: np.ndarray


def prepared(values: np.ndarray) -> Sorted:
    x = np.sort(values.astype(np.float64).ravel())
    zero = np.zeros(1)
    return Sorted(x, np.concatenate([zero, np.cumsum(x)]), np.concatenate([zero, np.cumsum(x * x)]))


def units(grid: str, bits: int) -> np.ndarray:
    """The levels for alpha = 1."""
    n, half = 2**bits - 1, 2 ** (bits - 1)
    whole = np.arange(-half, half, dtype=np.float64)
    return {"even": np.arange(-n, n + 1, 2) / n, "zero": whole[1:] / max(half - 1, 1), "full": whole / half}[grid]


def error(data: Sorted, levels: np.ndarray) -> float:
    """Mean squared error of nearest levels."""
    inner = np.searchsorted(data.values, (levels[1:] + levels[:-1]) / 2)
    ends = np.concatenate([[0], inner, [data.values.size]])
    count, s1, s2 = (np.diff(a[ends]) for a in (np.arange(data.values.size + 1), data.sums, data.squares))
    return float((count * levels**2 - 2 * levels * s1 + s2).sum() / data.values.size)


def golden(f: Callable[[float], float], low: float, high: float, tolerance: float = 1e-9) -> float:
    """The minimum of a function with one, to tolerance * high."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    fa, fb = f(a), f(b)
    end = tolerance * high
    while high - low > end:
        if fa < fb:
            high, b, fb = b, a, fa
            a = high - GOLDEN * (high - low)
            fa = f(a)
        else:
            low, a, fa = a, b, fb
            b = low + GOLDEN * (high - low)
            fb = f(b)
    return (low + high) / 2


def best_alpha(values: np.ndarray, grid: str, bits: int, scan: int = 400) -> float:
    """The alpha of least mean squared error: a scan for its valley, one of several, then golden section."""
    data, unit = prepared(values), units(grid, bits)
    top = 2 * float(np.abs(data.values).max())
    alphas = top * (np.arange(scan) + 1) / scan
    at = int(np.argmin([error(data, unit * alpha) for alpha in alphas]))
    return golden(
        lambda alpha: error(data, unit * alpha),
        float(alphas[max(at - 1, 0)]) * (at > 0),
        float(alphas[min(at + 1, scan - 1)]),
    )


def ratios(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """(rms, alpha), both over E|w|."""
    mean = float(np.abs(values).mean())
    return float(np.sqrt(np.square(values).mean())) / mean, alpha / mean


@dataclass(frozen=True)
class Refit:
    """c1, c2 and by how much the line misses each distribution's alpha, relative."""

    rms: float
    mean: float
    misses: dict[str, float]


def refit(grid: str, bits: int, samples: dict[str, np.ndarray]) -> Refit:
    """Least squares over the distributions."""
    points = {name: ratios(x, best_alpha(x, grid, bits)) for name, x in samples.items()}
    x, y = (np.array(column) for column in zip(*points.values(), strict=True))
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / np.square(x - x.mean()).sum())
    intercept = float(y.mean() - slope * x.mean())
    return Refit(slope, intercept, {name: (slope * r + intercept) / a - 1 for name, (r, a) in points.items()})


ROWS = [(grid, bits) for bits in range(2, 9) for grid in ("even", "zero")] + [("full", bits) for bits in (2, 3, 4)]


def resnet8_weights() -> dict[str, np.ndarray]:
    """The weight tensors of the float ResNet-8 of MLPerf Tiny, in the order of the network."""
    from resnet8 import DATA

    with np.load(DATA / "resnet8_float.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name.endswith(".kernel")}


def main() -> None:
    """The table of docs/sawb.md."""
    from refq.quantizers.sawb_coefficients import COEFFICIENTS

    samples = {name: sample(name) for name in QUANTILES}
    print("| grid | bits | c1, c2 fitted here | worst miss | at | published |\n|---|--:|---|--:|---|---|")
    for grid, bits in ROWS:
        found = refit(grid, bits, samples)
        worst = max(found.misses, key=lambda name: abs(found.misses[name]))
        known = [
            f"{s.name} {s.pairs[grid, bits]}"
            for s in COEFFICIENTS.values()
            if (grid, bits) in s.pairs and s.name != "refit"
        ]
        print(f"| {grid} | {bits} | ({found.rms:.4f}, {found.mean:.4f}) | {100 * found.misses[worst]:+.1f} % | {worst} "
              f"| {'; '.join(known)} |")  # fmt: skip


if __name__ == "__main__":
    main()
