"""Layers of products, one output element at a time, from the formula; nested sequences of ints, channels last.

    y = min(max(round(scale * sum) + zy, low), high),    sum = bias + sum of (x - zx) (w - zw)

`refq.spec.conv` sums a convolution and `refq.spec.requantize` rounds under one rule. Here stand what depthwise and
fully connected layers sum, which of two rules a channel follows, and the bounds low, high of a fused activation.
Standard library only. TFLite `reference_integer_ops/{conv,depthwise_conv,fully_connected}.h`, `kernel_util.cc`;
LiteRT `optimized_ops.h` for two rules in one layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from refq.formats import IntFormat, Rounding
from refq.rules import Semantics
from refq.spec.fixedpoint import effective_scale
from refq.spec.floats import FLOAT32, round_to_float
from refq.spec.requantize import requantize
from refq.spec.rounding import round_to_integer

REAL_BOUNDS: dict[str, tuple[int | None, int | None]] = {
    "none": (None, None),
    "relu": (0, None),
    "relu6": (0, 6),
    "relu_n1_to_1": (-1, 1),
}


def depthwise_sum(
    x: Any,
    weights: Any,
    at: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    multiplier: int = 1,
    input_zero_point: int = 0,
    weight_zero_point: int = 0,
    bias: int = 0,
) -> int:
    """The sum at = (n, line, column, o): x[n][line][column][c], weights[0][i][j][o] as TFLite stores them, c = o // m.

    >>> x, weights = [[[[1, 5]], [[2, 6]]]], [[[[1, 10]], [[3, 30]]]]
    >>> [depthwise_sum(x, weights, (0, 0, 0, o), stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1))
    ...  for o in range(2)]
    [7, 230]
    """
    n, line, column, o = at
    image, total = x[n], bias
    for i, taps in enumerate(weights[0]):
        for j, filters in enumerate(taps):
            row = line * stride[0] + i * dilation[0] - padding[0][0]
            col = column * stride[1] + j * dilation[1] - padding[1][0]
            if 0 <= row < len(image) and 0 <= col < len(image[0]):
                code = int(image[row][col][o // multiplier])
                total += (code - input_zero_point) * (int(filters[o]) - weight_zero_point)
    return total


def connected_sum(
    row: Sequence[int],
    weights: Sequence[int],
    *,
    input_zero_point: int = 0,
    weight_zero_point: int = 0,
    bias: int = 0,
) -> int:
    """The sum of one output: a row of x with that output's weights.

    >>> connected_sum([1, 2, 3], [1, 0, -1], input_zero_point=1, bias=10)
    8
    """
    pairs = zip(row, weights, strict=True)
    return bias + sum((int(x) - input_zero_point) * (int(w) - weight_zero_point) for x, w in pairs)


def rule_of_channel(label: str, channel: int, channels: int) -> str:
    """The label of one rule: of FIRST+SECOND_tail the second for the last channels mod 8, else the first.

    >>> label = "double_up+gemmlowp_double_tail/double_product/after"
    >>> [rule_of_channel(label, c, 10).partition("/")[0] for c in (0, 7, 8)]
    ['double_up', 'double_up', 'gemmlowp_double']
    """
    names, slash, rest = label.partition("/")
    if "+" not in names:
        return label
    first, second = names.split("+")
    last = channel >= channels - channels % 8
    return (second.removesuffix("_tail") if last else first) + slash + rest


def bounds(
    activation: str, scale: Fraction, zero_point: int, fmt: IntFormat, rounding: Rounding = Rounding.TIES_AWAY
) -> tuple[int, int]:
    """The codes that a fused activation leaves; scale: a float32 as a rational.

    TIES_AWAY, TFLite: zero point + round(float32(bound / scale)). TIES_EVEN, XNNPACK: the round of the float32 sum.

    >>> from refq.formats import INT8
    >>> [bounds("relu6", Fraction(4), -3, INT8, r) for r in (Rounding.TIES_AWAY, Rounding.TIES_EVEN)]
    [(-3, -1), (-3, -2)]
    """
    ends = []
    for real, end in zip(REAL_BOUNDS[activation], (fmt.qmin, fmt.qmax), strict=True):
        if real is None:
            ends.append(end)
            continue
        quotient = round_to_float(Fraction(real) / scale, FLOAT32)
        if rounding == Rounding.TIES_EVEN:
            code = round_to_integer(round_to_float(quotient + zero_point, FLOAT32), rounding)
        else:
            code = zero_point + round_to_integer(quotient, rounding)
        ends.append(min(max(code, fmt.qmin), fmt.qmax))
    return ends[0], ends[1]


def code(
    total: int,
    semantics: Semantics,
    scales: tuple[Fraction, Fraction, Fraction],
    zero_point: int,
    fmt: IntFormat,
    limits: tuple[int, int],
) -> int:
    """The code of a sum under a rule and a product of scales: float32 values of input, this channel's weights, output.

    >>> from refq.formats import INT8
    >>> from refq.rules import Scaling
    >>> from refq.semantics import RULES
    >>> quarter = Fraction(1, 4), Fraction(1), Fraction(1)
    >>> [code(-2, Semantics(RULES[n], Scaling.DOUBLE_PRODUCT), quarter, 7, INT8, (-128, 127))
    ...  for n in ("double_up", "gemmlowp_double")]
    [7, 6]
    """
    scale = effective_scale(*scales, semantics.scaling)
    low, high = limits
    return min(max(requantize(total, semantics.rule, scale, zero_point, fmt), low), high)
