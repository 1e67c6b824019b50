"""accumulator -> stored value under a named rule, and real -> code: array functions over `refq.pipeline`.

Equal `refq.spec.requantize` element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import Real, in_range, integer_array, real
from refq.formats import INT8, IntFormat
from refq.parameters import check_format, find, paired, prepare
from refq.planned import run_prepared
from refq.planner import float_plan, laid_out
from refq.rules import Arithmetic, FixedScale, Rule, Scaling
from refq.semantics import QUANTIZE_RULES
from refq.spec.floats import FLOAT32, round_to_float


def requantize(
    acc: Any,
    rule: Rule | str,
    scale: Real | FixedScale | Sequence[Real | FixedScale] | NDArray[Any],
    *,
    zero_point: int | Sequence[int] | NDArray[Any] = 0,
    fmt: IntFormat = INT8,
    axis: int | None = None,
) -> NDArray[Any]:
    """clamp(round(acc * scale) + zero_point) in the rule's own arithmetic; equals `spec.requantize.requantize`.

    acc: any shape, integer dtype, inside the rule's accumulator width. rule: a name of RULES or a Rule.
    scale: real units per unit of the accumulator, > 0, or a FixedScale (multiplier / 2**shift); one value,
    or one a channel along `axis` (default: last). zero_point: inside fmt, one or one a channel.
    Returns the smallest NumPy dtype that holds `fmt`, of acc's shape.
    Raises TypeError for kinds, ValueError for ranges and shapes. Source: see `Rule.source`.

    >>> requantize([-2, 1, 2, 10], "gemmlowp_double", 0.25)
    array([-1,  1,  1,  3], dtype=int8)
    >>> requantize([-2, 1, 2, 10], "float32_ties_even", 0.25, zero_point=7)
    array([7, 7, 7, 9], dtype=int8)
    """
    array = integer_array("requantize", "acc", acc)
    prepared, (low, high) = prepare(rule, scale, zero_point, fmt)
    in_range("requantize", "acc", array, low, high)
    if array.dtype == np.uint64:
        array = array.astype(np.int64)
    return run_prepared("requantize", prepared, array, axis, fmt)


def quantize(
    x: Any,
    rule: Rule | str,
    scale: Real | Sequence[Real] | NDArray[Any],
    *,
    scaling: Scaling = Scaling.DIVISION,
    zero_point: int | Sequence[int] | NDArray[Any] = 0,
    fmt: IntFormat = INT8,
    axis: int | None = None,
) -> NDArray[Any]:
    """clamp(round(x / scale) + zero_point), or x times the rounded reciprocal; equals `spec.requantize.quantize`.

    x: any shape, float32 (taken exactly; infinities saturate, NaN is refused). rule: a name of
    QUANTIZE_RULES or a Rule of float arithmetic. scale: > 0, one or one a channel along `axis`, rounded to float32.
    Source: ONNX QuantizeLinear (division), XNNPACK f32 to qs8 (reciprocal).

    >>> import numpy as np
    >>> x, s = np.float32([0.273939937]), np.float32(0.00214854861)
    >>> [int(quantize(x, "float32_ties_even", s, scaling=how, fmt=IntFormat(9))[0])
    ...  for how in (Scaling.DIVISION, Scaling.RECIPROCAL)]
    [127, 128]
    """
    array = np.asarray(x)
    if array.dtype != np.float32:
        raise TypeError(f"quantize: x has dtype {array.dtype}; pass float32")
    if np.isnan(array).any():
        raise ValueError(f"quantize: x.flat[{int(np.argmax(np.isnan(array)))}] is NaN; NaN has no code")
    if scaling not in (Scaling.DIVISION, Scaling.RECIPROCAL):
        raise ValueError(f"quantize: scaling={scaling!r} is not Scaling.DIVISION or Scaling.RECIPROCAL")
    rule, fmt = find("quantize", rule, QUANTIZE_RULES), check_format("quantize", fmt)
    if rule.arithmetic not in (Arithmetic.FLOAT32, Arithmetic.FLOAT64):
        raise ValueError(f"quantize: rule={rule.name!r} has no float arithmetic; legal: {', '.join(QUANTIZE_RULES)}")
    scales, zeros = paired("quantize", scale, zero_point, fmt)
    exact = [round_to_float(real("quantize", "scale", s), FLOAT32) for s in scales]
    columns = [float_plan(rule, s, z, fmt, scaling) for s, z in zip(exact, zeros, strict=True)]
    return run_prepared("quantize", laid_out(rule.arithmetic, columns, np.float64, fmt), array, axis, fmt)
