"""Uniform quantizers: equal steps, zero a code; the range by the ends, by rank, or by least squared error."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer, member
from refq.encodings import Encoding, Kind
from refq.formats import Rounding
from refq.quantizers.apply import channel_rows, finite_array
from refq.quantizers.grids import line_cuts
from refq.quantizers.mse import LeastError, minimum_affine_mse, minimum_mse
from refq.quantizers.quantizer import Quantizer

CHOICES = ("minmax", "percentile", "mse")
NEAREST = tuple(rule for rule in Rounding if rule.name.startswith("TIES"))
Line = tuple[float, int]
"""Step and zero point."""


def _percentile(value: Any) -> Fraction:
    """As the decimal that it prints as: 99.9 is 999 / 1000."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction | np.floating | np.integer):
        raise TypeError(f"fit_uniform: percentile={value!r} is not a number; pass 0 < percentile <= 100")
    if not 0 < value <= 100:
        raise ValueError(f"fit_uniform: percentile={value} is outside 0 < percentile <= 100")
    return Fraction(str(value))


def _ranked(x: NDArray[Any], percentile: Fraction) -> Fraction:
    """The smallest value with at least percentile % of all at or below it."""
    place = ceil(percentile * x.size / 100) - 1
    return Fraction(float(x.max() if place == x.size - 1 else np.partition(x, place)[place]))


def _float_step(reach: Fraction, codes: int) -> float:
    """The nearest float64; 1 where the range is nothing."""
    if reach <= 0:
        return 1.0
    try:
        step = float(reach / codes)
    except OverflowError:
        step = 0.0
    if not step:
        raise ValueError("fit_uniform: values have a range whose step is no float64 > 0; scale them first")
    return step


def _symmetric(x: NDArray[Any], lowest: int, highest: int, percentile: Fraction) -> Line:
    reach = _ranked(np.abs(x) if lowest else x, percentile)
    return _float_step(reach, highest), 0


def _affine(x: NDArray[Any], lowest: int, highest: int, percentile: Fraction) -> Line:
    high = max(_ranked(x, percentile), Fraction(0))
    low = min(-_ranked(-x, percentile), Fraction(0))
    step = _float_step(high - low, highest - lowest)
    return step, max(lowest, min(round(lowest - low / Fraction(step)), highest))


def _parameters(bits: int, choose: str, percentile: object, rule: Rounding) -> dict[str, Any]:
    """What the quantizer records."""
    if choose not in CHOICES:
        raise ValueError(f"fit_uniform: choose={choose!r} is unknown; legal: {', '.join(CHOICES)}")
    if choose == "mse" and rule not in NEAREST:
        raise ValueError(f"fit_uniform: rounding={rule.name} is not to nearest; use choose='minmax' or a TIES_ rule")
    parameters: dict[str, Any] = {"bits": bits, "choose": choose, "rounding": rule.name}
    return parameters | ({"percentile": _percentile(percentile)} if choose == "percentile" else {})


def _fit(
    encoding: Encoding, lowest: int, symmetric: bool, parameters: dict[str, Any]
) -> Callable[[NDArray[Any]], Line]:
    """How one channel gets its step and zero point."""
    bits, signed = encoding.bits, encoding.kind is Kind.SIGNED
    if parameters["choose"] == "mse":
        return lambda x: _line_of(
            minimum_mse(x, bits, grid="zero" if signed else "unsigned")
            if symmetric
            else minimum_affine_mse(x, bits, signed=signed)
        )
    share = parameters.get("percentile", Fraction(100))
    return lambda x: (_symmetric if symmetric else _affine)(x, lowest, encoding.maximum, share)


def _line_of(found: LeastError) -> Line:
    return found.step, found.zero_point


def fit_uniform(
    values: Any,
    bits: int,
    *,
    signed: bool = True,
    symmetric: bool = True,
    axis: int | None = None,
    choose: str = "minmax",
    percentile: float | Fraction = 99.9,
    rounding: Rounding = Rounding.TIES_EVEN,
) -> Quantizer:
    """code = clamp(round(x / step) + zero_point), one step for the tensor, or one for each place on `axis`.

    values: float16, float32 or float64 of any shape, at least one, finite. bits: 1..16; 2..16 if signed and symmetric.
    symmetric: zero point 0, codes -(2**(bits-1) - 1)..2**(bits-1) - 1, unsigned 0..2**bits - 1 (negatives become 0).
    Else affine: all 2**bits codes, the range extended to contain 0, whose code is the zero point lowest - low / step,
    rounded half to even and clamped (ONNX DynamicQuantizeLinear).
    choose: "minmax", the ends; "percentile", nearest rank of |x| (of x if unsigned; affine: from both sides of x), the
    percentile read as the decimal it prints as; "mse", the exact optimum (`minimum_mse`, `minimum_affine_mse`), for
    rounding to nearest only. A range of nothing (zeros; unsigned without positive values) gets step 1.
    `parameters`: bits, choose, rounding, and percentile where used. Errors in one line, also for steps beyond float64.
    Jacob et al. 2018 (1712.05877) for the affine form.

    >>> quantizer = fit_uniform(np.array([-1.0, 0.25, 2.0]), 2, signed=False, symmetric=False)
    >>> quantizer.step.tolist(), quantizer.zero_point.tolist(), quantizer.cuts.tolist()
    ([1.0], [1], [[-0.5, 0.5000000000000001, 1.5]])
    """
    x = finite_array("fit_uniform", "values", values)
    bits = integer("fit_uniform", "bits", bits, 2 if signed and symmetric else 1, 16)
    rule = Rounding(member("fit_uniform", "rounding", rounding, Rounding))
    parameters = _parameters(bits, choose, percentile, rule)
    encoding = Encoding(bits, Kind.SIGNED if signed else Kind.UNSIGNED)
    lowest = -encoding.maximum if signed and symmetric else encoding.minimum
    fit = _fit(encoding, lowest, symmetric, parameters)
    lines = [fit(row) for row in channel_rows("fit_uniform", x, axis, "a tensor")]
    cuts = [line_cuts(Fraction(step), rule, lowest - zero, encoding.maximum - zero) for step, zero in lines]
    return Quantizer(
        "uniform",
        encoding,
        lowest,
        np.array(cuts, np.float64).reshape(len(lines), -1),
        np.array([step for step, _ in lines], np.float64),
        np.array([zero for _, zero in lines], np.int64),
        axis if axis is None else int(axis),
        parameters,
    )
