"""From the sums of a layer to its codes, under a rule given by its label, with the bounds of a fused activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import SMALLEST_SCALE, in_range
from refq.fixedpoint import effective_scale
from refq.formats import IntFormat, Rounding
from refq.labels import parse_semantics
from refq.layers.plan_arrays import plan_codes
from refq.layers.ratios import nearest
from refq.parameters import prepare
from refq.rules import Scaling

ACTIVATIONS: dict[str, tuple[int | None, int | None]] = {
    "none": (None, None),
    "relu": (0, None),
    "relu6": (0, 6),
    "relu_n1_to_1": (-1, 1),
}
"""Fused activations and their real bounds."""


@dataclass(frozen=True, eq=False)
class Scales:
    """The float32 scales of a product layer: of the input, of the weights (channels,), of the output."""

    input: np.float32
    weight: NDArray[np.float32]
    output: np.float32

    def under(self, scaling: Scaling) -> list[Fraction]:
        """One factor a channel, rounded as the scaling says."""
        found = _in_floats(self, scaling)
        if found is None or not (np.isfinite(found) & (found >= float(SMALLEST_SCALE))).all():
            return [effective_scale(self.input, w, self.output, scaling) for w in self.weight]
        return [Fraction(float(factor)) for factor in found]


# scaling -> the format of the product, the format of the quotient
_FORMATS: dict[Scaling, tuple[Any, Any]] = {
    Scaling.FLOAT32_PRODUCT: (np.float32, np.float32),
    Scaling.MIXED_PRODUCT: (np.float32, np.float64),
    Scaling.DOUBLE_PRODUCT: (np.float64, np.float64),
}


def _in_floats(scales: Scales, scaling: Scaling) -> NDArray[Any] | None:
    """The factors by the operations of the processor, some forty times as fast; None for a product in real numbers."""
    if scaling not in _FORMATS:
        return None
    first, second = _FORMATS[scaling]
    with np.errstate(all="ignore"):
        product = first(scales.input) * np.asarray(scales.weight).astype(first)
        quotient: NDArray[Any] = product.astype(second) / second(scales.output)
    return quotient


def activation_bounds(
    activation: str, scale: np.float32, zero_point: int, fmt: IntFormat, rounding: Rounding = Rounding.TIES_AWAY
) -> tuple[int, int]:
    """The codes between which a fused activation keeps the result: zero_point + round(bound / scale), inside fmt.

    bound / scale is a float32 quotient. Ties to even are XNNPACK's: there the zero point is added before the rounding,
    in float32. Source: TFLite CalculateActivationRangeQuantized (ties away); XNNPACK's lrintf of the sum (ties even).

    >>> activation_bounds("relu6", np.float32(0.1), -100, IntFormat(8))
    (-100, -40)
    >>> [activation_bounds("relu6", np.float32(4), zero_point, IntFormat(8), Rounding.TIES_EVEN)
    ...  for zero_point in (-4, -3)]
    [(-4, -2), (-3, -2)]
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation_bounds: activation={activation!r} is unknown; legal: {', '.join(ACTIVATIONS)}")
    ends = zip(ACTIVATIONS[activation], (fmt.qmin, fmt.qmax), strict=True)
    low, high = (end if real is None else _bound(real, scale, zero_point, fmt, rounding) for real, end in ends)
    return low, high


def _bound(real: int, scale: np.float32, zero_point: int, fmt: IntFormat, rounding: Rounding) -> int:
    with np.errstate(over="ignore"):
        quotient = np.clip(np.float32(real) / np.float32(scale), np.float32(-(2.0**31)), np.float32(2.0**31))
    if rounding == Rounding.TIES_EVEN:
        code = int(np.rint(quotient + np.float32(zero_point)))
    else:
        code = zero_point + nearest(*float(quotient).as_integer_ratio(), rounding)
    return min(max(code, fmt.qmin), fmt.qmax)


def bind_rescaling(
    label: str, factors: Callable[[Scaling], list[Fraction]], zero_point: int, fmt: IntFormat, axis: int,
    limits: tuple[int, int] | None = None,
) -> Callable[[NDArray[Any]], NDArray[Any]]:  # fmt: skip
    """A function of accumulators (any shape, one channel a factor along `axis`) -> codes inside limits.

    label: RULE/PRODUCT/ZERO_POINT as `refq.parse_semantics` reads it. factors: the real scale a channel for a product
    of scales. A channel whose factor is 0 or does not fit the rule is refused when the label is bound.

    >>> scales = Scales(np.float32(0.5), np.array([0.5], np.float32), np.float32(1))
    >>> bind_rescaling("gemmlowp_double", scales.under, 7, IntFormat(8), -1)(np.array([[1], [-2]]))
    array([[8],
           [6]], dtype=int8)
    """
    semantics = parse_semantics(label)
    found = factors(semantics.scaling)
    plan, domain = prepare(semantics.rule, found, zero_point, fmt, "rescale")

    def rescale(acc: NDArray[Any]) -> NDArray[Any]:
        in_range("rescale", "acc", acc, *domain, way_out=f"; {semantics.rule.name} is not defined there")
        codes = plan_codes("rescale", plan, acc, axis, fmt)
        if limits is None or limits == (fmt.qmin, fmt.qmax):
            return codes
        result: NDArray[Any] = np.clip(codes, *(codes.dtype.type(end) for end in limits), out=codes)
        return result

    return rescale
