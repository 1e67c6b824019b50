"""Networks built by hand for the tests of `refq.networks`, and inputs that reach their ends."""

from collections.abc import Iterator
from dataclasses import fields
from itertools import cycle

import numpy as np
from refq_cases import assert_same

from refq.channels import Crossing, FixedPoint, ShiftForm, ThresholdForm
from refq.networks import IntegerNetwork, Step


def numbers(count: int, low: int, high: int, start: int = 7) -> Iterator[int]:
    """Integers of low..high that look drawn: a linear congruential generator with a fixed start."""
    state = start
    for _ in range(count):
        state = (state * 1103515245 + 12345) % (1 << 31)
        yield low + (state >> 8) % (high - low + 1)


def codes(shape: tuple[int, ...], low: int, high: int, start: int = 7, dtype: str = "int8") -> np.ndarray:
    """An array of them."""
    return np.array(list(numbers(int(np.prod(shape)), low, high, start)), dtype).reshape(shape)


def conv(name: str, source: str, weights: np.ndarray, formats: tuple[str, str], **more) -> Step:
    return Step(name, "conv", (source,), weights, weight_format=formats[0], input_format=formats[1], **more)


def fixed_point_net() -> IntegerNetwork:
    """Residual block in fixed point with thresholds in one channel, padding at one side, a pool with a rest."""
    first = (FixedPoint(19, -177, 64, 0, 7), FixedPoint(-5, 40, 32, 0, 7), ThresholdForm((-9, 0, 0, 3, 8, 9, 30), 0))
    second = (FixedPoint(1, 0, 7, -7, 7), FixedPoint(3, -20, 16, -7, 7), FixedPoint(-9, 4, 64, -7, 7))
    steps = (
        conv("c1", "input", codes((3, 3, 3, 2), -8, 7), ("int4", "uint4"), padding=1),
        Step("r1", "requantize", ("c1",), forms=first),
        conv("c2", "r1", codes((3, 3, 3, 3), -7, 7, 8), ("int4", "uint3"), padding=((2, 0), (1, 1))),
        Step("r2", "requantize", ("c2",), forms=second),
        Step("sum", "add", ("r2", "r1"), qmin=0, qmax=7),
        Step("pool", "maxpool", ("sum",), pool=2),
        Step("line", "flatten", ("pool",)),
        Step(
            "logits", "dense", ("line",), codes((4, 18), -127, 127, 9), np.array([5, -300, 0, 12]),
            weight_format="int8", input_format="uint3",
        ),
        Step("class", "argmax", ("logits",)),
    )  # fmt: skip
    return IntegerNetwork(steps, "uint4", (5, 6, 2), {"method": "hand", "block": "fixed point"})


def shift_net() -> IntegerNetwork:
    """Raw accumulators of two branches added before one shift; classes from few codes, so that they tie."""
    first = tuple(ShiftForm(bias, shift, 0, 15) for bias, shift in ((3, 3), (-20, 4), (0, 2), (11, 5)))
    second = tuple(ShiftForm(bias, shift, 0, 15) for bias, shift in ((5, 4), (-9, -1), (0, 3)))
    third = tuple(ShiftForm(bias, 6, -1, 1, sign) for bias, sign in ((0, 1), (9, -1), (-30, 1)))
    steps = (
        conv("c1", "input", codes((4, 3, 3, 1), -7, 7, 3), ("int4", "uint5"), padding=1),
        Step("q1", "requantize", ("c1",), forms=first),
        conv("c2", "q1", codes((3, 3, 3, 4), -7, 7, 4), ("int4", "uint4"), padding=1, stride=2),
        conv("short", "q1", codes((3, 1, 1, 4), -7, 7, 5), ("int4", "uint4"), stride=2),
        Step("q2", "requantize", ("c2", "short"), forms=second),
        Step("line", "flatten", ("q2",)),
        Step("sums", "dense", ("line",), codes((3, 27), -1, 1, 6), weight_format="int2", input_format="uint4"),
        Step("q3", "requantize", ("sums",), forms=third),
        Step("class", "argmax", ("q3",)),
    )
    return IntegerNetwork(steps, "uint5", (5, 5, 1), {"method": "shift"})


def odd_net() -> IntegerNetwork:
    """One-bit codes: padding that adds nothing, and thresholds that jump over 0."""
    signs = tuple(ThresholdForm((t, t), -1, crossing, sign) for t, crossing, sign in (
        (0, Crossing.INCLUSIVE, 1), (1, Crossing.STRICT, -1), (-4, Crossing.INCLUSIVE, 1),
    ))  # fmt: skip
    pick = cycle((1, -1, -1, 1, 1, 1, -1))
    steps = (
        conv("c1", "input", 2 * codes((3, 3, 3, 2), -2, 1, 5) + 1, ("odd2", "bipolar"), padding=1),
        Step("signs", "requantize", ("c1",), forms=signs),
        Step("pool", "maxpool", ("signs",), pool=2),
        Step("line", "flatten", ("pool",)),
        Step(
            "votes", "dense", ("line",), np.array([next(pick) for _ in range(24)], np.int8).reshape(2, 12),
            weight_format="bipolar", input_format="bipolar",
        ),
        Step("class", "argmax", ("votes",)),
    )  # fmt: skip
    return IntegerNetwork(steps, "bipolar", (4, 5, 2))


NETS = {"fixed": fixed_point_net, "shift": shift_net, "odd": odd_net}
SOURCES = {"fixed": (0, 15, 1), "shift": (0, 31, 1), "odd": (-1, 1, 2)}


def samples(name: str, count: int = 6) -> np.ndarray:
    """All codes at the low end, at the high end, then codes that look drawn."""
    shape, (low, high, by) = NETS[name]().input_shape, SOURCES[name]
    drawn = low + by * codes((count, *shape), 0, (high - low) // by, 21, "int16")
    drawn[0], drawn[1] = low, high
    return drawn


def same(got, expected):
    """Field by field; arrays with their dtypes."""
    assert (got.input_format, got.input_shape, dict(got.record)) == (
        expected.input_format, expected.input_shape, dict(expected.record),
    )  # fmt: skip
    assert len(got.steps) == len(expected.steps)
    for one, other in zip(got.steps, expected.steps, strict=True):
        for field in fields(Step):
            a, b = getattr(one, field.name), getattr(other, field.name)
            if isinstance(b, np.ndarray):
                assert_same(got=a, expected=b)
            else:
                assert a == b
                assert type(a) is type(b)
