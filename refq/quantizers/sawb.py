"""SAWB, statistics-aware weight binning (Choi et al. 2018/2019): the clip from two moments, no search.

Choi et al. 2018/2019 (arXiv 1807.06964), formulas as in released code; docs/sawb.md has all choices.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer, member
from refq.encodings import Encoding, Kind
from refq.formats import Rounding
from refq.quantizers.apply import finite_array, real_array
from refq.quantizers.grids import line_cuts
from refq.quantizers.lane_sums import LARGEST, magnitude_and_square_sums
from refq.quantizers.quantizer import Quantizer, one_channel
from refq.quantizers.sawb_coefficients import COEFFICIENTS, EVEN, FULL, ONE_BIT, SHIFTED, ZERO

GRIDS = (EVEN, ZERO, SHIFTED, FULL)
NEGATIVE = ("max", "absolute", "refuse")
OUTSIDE = ("pass", "zero")
SMALLEST = 1 / LARGEST
VANISHING = Fraction(1, 1 << 2000)
"""A step so small that every cut is 0 or the float beside it: the limit of alpha -> 0."""


@dataclass(frozen=True)
class Grid:
    """Levels with alpha = parts units, neighbours `pitch` units apart; codes of `kind` are lowest.. by `pitch`."""

    kind: Kind
    pitch: int
    parts: Fraction
    lowest: int
    levels: int


def _grid(name: str, bits: int) -> Grid:
    n, half = (1 << bits) - 1, 1 << (bits - 1)
    return {
        EVEN: Grid(Kind.ODD, 2, Fraction(n), -n, n + 1),
        ZERO: Grid(Kind.SIGNED, 1, Fraction(half - 1), 1 - half, n),
        SHIFTED: Grid(Kind.SIGNED, 1, Fraction(n, 2), -half, n + 1),
        FULL: Grid(Kind.SIGNED, 1, Fraction(half), -half, n + 1),
    }[name]


def _choice(function: str, name: str, value: object, legal: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{function}: {name}={value!r} is not a string; legal: {', '.join(legal)}")
    if value not in legal:
        raise ValueError(f"{function}: {name}={value!r} is unknown; legal: {', '.join(legal)}")
    return value


def _pair(coefficients: object, grid: str, bits: int) -> tuple[float, float]:
    """(rms, mean) of a named set or as given; one bit has its own."""
    if isinstance(coefficients, str):
        found = COEFFICIENTS[_choice("fit_sawb", "coefficients", coefficients, tuple(COEFFICIENTS))]
        # The integer path of the IBM code used the constants of the even grid.
        like = EVEN if grid == SHIFTED else grid
        if bits > 1 and (like, bits) not in found.pairs:
            has = ", ".join(f"{g} {k}" for g, k in found.pairs) or "none"
            raise ValueError(
                f"fit_sawb: bits={bits}, grid={grid!r} is not in coefficients={found.name!r}, which has {has}; "
                "pass (c1, c2), or search the clip of least error with minimum_mse"
            )
        return ONE_BIT if bits == 1 else found.pairs[like, bits]
    legal = isinstance(coefficients, tuple | list) and len(coefficients) == 2
    if not legal or not all(isinstance(c, float | int) and not isinstance(c, bool) for c in coefficients):  # type: ignore[attr-defined]
        raise TypeError(
            f"fit_sawb: coefficients={coefficients!r} is neither the name of a set nor a pair (c1, c2) of floats; "
            f"legal names: {', '.join(COEFFICIENTS)}"
        )
    rms, mean = (float(c) for c in coefficients)  # type: ignore[attr-defined]
    if not abs(rms) <= SPAN or not abs(mean) <= SPAN:
        raise ValueError(f"fit_sawb: coefficients={coefficients!r} is outside -1e6..1e6; pass finite ones")
    return rms, mean


SPAN = 1e6


def _largest(x: NDArray[Any]) -> float:
    return max(abs(float(x.min())), abs(float(x.max())))


def _alpha(x: NDArray[Any], pair: tuple[float, float], negative: str) -> tuple[float, bool]:
    """The clip, 0 of all zeros, and whether the policy for alpha <= 0 made it."""
    # every float32 is inside, and a pass over the tensor saved
    if x.dtype == np.float64 and (largest := _largest(x)) and not SMALLEST <= largest <= LARGEST:
        raise ValueError(f"fit_sawb: largest magnitude {largest} of values is outside 2**-400..2**400; scale them")
    magnitudes, squares = magnitude_and_square_sums(x)
    alpha = pair[0] * sqrt(squares / x.size) + pair[1] * (magnitudes / x.size)
    if alpha > 0 or magnitudes == 0:
        return alpha + 0.0, False
    if negative == "refuse" or (negative == "absolute" and alpha == 0):
        raise ValueError(
            f"fit_sawb: alpha={alpha} is not positive (sqrt E w**2 = {sqrt(squares / x.size)}, "
            f"E|w| = {magnitudes / x.size}); pass negative='max', or other coefficients"
        )
    return (_largest(x) if negative == "max" else -alpha), True


def fit_sawb(
    values: Any,
    bits: int,
    *,
    coefficients: str | tuple[float, float] = "ibm",
    grid: str = "even",
    negative: str = "max",
    rounding: Rounding = Rounding.TIES_EVEN,
) -> Quantizer:
    """The grid of SAWB: alpha = c1 * sqrt(E w**2) + c2 * E|w|, over all elements; n = 2**bits - 1.

    values: float16, float32 or float64, any shape, not empty, finite, the largest magnitude 0 or in 2**-400..2**400.
    bits: 1..16; sets of coefficients have 2..8 at most. One bit: alpha = E|w| with every set, even grid only.
    coefficients: the name of a set (`refq.quantizers.sawb_coefficients.COEFFICIENTS`) or a pair (c1, c2).
    grid: `even`, -alpha..alpha in n steps, codes odd{bits}; `zero`, -alpha..alpha in n - 1 steps, codes
    -(2**(bits-1) - 1)..; `shifted`, step 2 alpha / n, codes -2**(bits-1)..2**(bits-1) - 1 (2 bits: -4/3, -2/3, 0, 2/3
    of alpha); `full`, the same codes, step alpha / 2**(bits-1).
    negative: what replaces alpha <= 0: `max`, max|w|; `absolute`, |alpha|; `refuse`, ValueError.
    rounding: of levels; released code has TIES_EVEN. On the even grid w = 0 is a tie.

    Both sums are exact, rounded once to float64; then each operation is one of float64. An all-zero tensor: alpha and
    step are 0, codes are those of alpha -> 0, every value 0.
    parameters: alpha, coefficients (c1, c2), set, grid, replaced (whether `negative` was used).
    TypeError for the kind, ValueError for the range. Source: arXiv 1807.06964.

    >>> from refq.quantizers.apply import dequantize, quantize
    >>> w = np.array([-3, -1, -1, 0, 1, 2, 4, 6], np.float32)
    >>> fit = fit_sawb(w, 2)
    >>> fit.parameters["alpha"], quantize(w, fit), (quantize(w, fit) + 3) // 2
    (4.452284955958669, array([-3, -1, -1,  1,  1,  1,  3,  3], dtype=int8),
     array([0, 1, 1, 2, 2, 2, 3, 3], dtype=int8))
    >>> dequantize(quantize(w, fit), fit).round(2)
    array([-4.45, -1.48, -1.48,  1.48,  1.48,  1.48,  4.45,  4.45])
    """
    bits, grid = integer("fit_sawb", "bits", bits, 1, 16), _choice("fit_sawb", "grid", grid, GRIDS)
    if bits == 1 and grid != EVEN:
        raise ValueError(f"fit_sawb: grid={grid!r} has no levels for bits=1; pass grid='even'")
    negative = _choice("fit_sawb", "negative", negative, NEGATIVE)
    rule, pair = Rounding(member("fit_sawb", "rounding", rounding, Rounding)), _pair(coefficients, grid, bits)
    x = finite_array("fit_sawb", "values", values)
    alpha, replaced = _alpha(x, pair, negative)
    record = {"alpha": alpha, "coefficients": pair, "grid": grid, "replaced": replaced}
    record["set"] = coefficients if isinstance(coefficients, str) else None
    return _quantizer(alpha, _grid(grid, bits), bits, rule, record)


def _quantizer(alpha: float, grid: Grid, bits: int, rule: Rounding, record: dict[str, Any]) -> Quantizer:
    step = Fraction(alpha) * grid.pitch / grid.parts if alpha else VANISHING
    if grid.kind is Kind.ODD:
        # level i = round(w / step + n / 2)
        cuts = line_cuts(step, rule, 0, grid.levels - 1, grid.parts / 2)
    else:
        cuts = line_cuts(step, rule, grid.lowest, grid.lowest + grid.levels - 1)
    unit = np.array([float(Fraction(alpha) / grid.parts)])
    shown = MappingProxyType(record)
    return Quantizer(
        "sawb",
        Encoding(bits, grid.kind),
        grid.lowest,
        one_channel(cuts) + 0.0,
        unit,
        np.zeros(1, np.int64),
        None,
        shown,
    )


def sawb_gradient(values: Any, upstream: Any, quantizer: Quantizer, *, outside: str = "pass") -> NDArray[Any]:
    """The gradient through SAWB to the weights: straight through; `outside="zero"` stops it where |w| > alpha.

    values, upstream: floats of one shape; the answer has that shape, float32 if both are at most that wide, else
    float64. alpha gets none: it is no parameter. Both forms are in released code.

    >>> fit = fit_sawb(np.array([-3.0, -1, -1, 0, 1, 2, 4, 6]), 2)
    >>> sawb_gradient(np.array([-5.0, 1, 4]), np.array([0.5, 0.5, 0.5]), fit, outside="zero")
    array([0. , 0.5, 0.5])
    """
    outside = _choice("sawb_gradient", "outside", outside, OUTSIDE)
    x, g = real_array("sawb_gradient", "values", values), real_array("sawb_gradient", "upstream", upstream)
    if x.shape != g.shape:
        raise ValueError(f"sawb_gradient: upstream has shape {g.shape}, values {x.shape}; pass equal shapes")
    if quantizer.method != "sawb":
        raise ValueError(f"sawb_gradient: quantizer is of method {quantizer.method!r}; pass one of fit_sawb")
    dtype = np.result_type(x, g)
    if outside == "pass":
        return g.astype(dtype)
    inside = np.abs(x.astype(np.float64)) <= quantizer.parameters["alpha"]
    result: NDArray[Any] = np.where(inside, g, 0).astype(dtype)
    return result
