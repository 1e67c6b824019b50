"""Bad input of batch norm is refused in one line that names function, argument, channel and value."""

import re
from fractions import Fraction

import numpy as np
import pytest
from batchnorm_cases import C1, THREE_RANGES, fitted

from refq.batchnorm import (
    Channel,
    FixedPoint,
    ThresholdForm,
    accumulator_range,
    channels_of,
    fit_batchnorm,
    fixed_batchnorm,
    require_width,
    threshold_batchnorm,
)

RANGES = [
    ({"variance": -1}, "variance=-1.0 is negative; pass a value >= 0"),
    ({"epsilon": -0.5}, "epsilon=-0.5 is negative; pass a value >= 0"),
    ({"variance": 0.0}, "variance=0 and epsilon=0 leave nothing to divide by; pass epsilon > 0"),
    ({"acc_scale": 0}, "acc_scale=0.0 is not positive; pass a scale > 0"),
    ({"out_scale": -0.1}, "out_scale=-0.1 is not positive; pass a scale > 0"),
    ({"out_scale": -Fraction(1, 3)}, "out_scale=-1/3 is not positive; pass a scale > 0"),
    ({"acc_min": 256}, "acc_min=256 is above acc_max=255; the range is empty"),
    ({"qmin": 16}, "qmin=16 is above qmax=15; the range is empty"),
    ({"qmax": 65536}, "qmax=65536 is 65536 codes above qmin; pass at most 65535"),
    ({"gamma": float("nan")}, "gamma=nan is not finite; pass a finite number"),
    ({"beta": np.float32("inf")}, "beta=inf is not finite; pass a finite number"),
    ({"mean": -np.inf}, "mean=-inf is not finite; pass a finite number"),
    ({"acc_max": 1 << 63}, f"acc_max={1 << 63} is outside -(2**63 - 1)..2**63 - 1, the 64 bits there are"),
    ({"acc_min": np.int64(-(1 << 63))}, f"acc_min={-(1 << 63)} is outside"),
    ({"zero_point": 1 << 70}, f"zero_point={1 << 70} is outside"),
]
KINDS = [
    ({"gamma": "1"}, "gamma='1' is not a number; pass an int, float or Fraction"),
    ({"beta": None}, "beta=None is not a number; pass an int, float or Fraction"),
    ({"mean": True}, "mean=True is not a number; pass an int, float or Fraction"),
    ({"variance": 1j}, "variance=1j is not a number; pass an int, float or Fraction"),
    ({"acc_min": -1.0}, "acc_min=-1.0 is not an integer"),
    ({"zero_point": Fraction(2)}, "zero_point=Fraction(2, 1) is not an integer"),
    ({"qmin": False}, "qmin=False is not an integer"),
    ({"qmax": np.float32(3)}, "qmax=np.float32(3.0) is not an integer"),
]


@pytest.mark.parametrize(
    ("wrong", "message", "error"), [(*row, ValueError) for row in RANGES] + [(*row, TypeError) for row in KINDS]
)
def test_errors_name_the_field_and_the_value(wrong, message, error):
    right = {"gamma": 1, "beta": 0, "mean": 0, "variance": 1, "epsilon": 0}
    right |= {"acc_min": -256, "acc_max": 255, "qmin": 0, "qmax": 15}
    right |= {"epsilon": 2} if "variance" in wrong and wrong["variance"] != 0 else {}
    with pytest.raises(error, match=f"^{re.escape('Channel: ' + message)}") as caught:
        Channel(**(right | wrong))
    assert "\n" not in str(caught.value)


LINE, STAIR = FixedPoint(19, -177, 64, 0, 15), ThresholdForm((2, 4, 4, 9), -2)
X = np.arange(12).reshape(3, 4)
ARRAYS = [
    (
        lambda: fixed_batchnorm([1.5], [LINE]),
        TypeError,
        "fixed_batchnorm: acc has dtype float64; pass an integer dtype",
    ),
    (lambda: fixed_batchnorm([True], [LINE]), TypeError, "fixed_batchnorm: acc has dtype bool; pass an integer dtype"),
    (lambda: threshold_batchnorm([1 << 70], [STAIR]), TypeError, "threshold_batchnorm: acc has dtype object; pass"),
    (lambda: fixed_batchnorm(X, [LINE, STAIR]), TypeError, "fixed_batchnorm: forms[1]=ThresholdForm("),
    (lambda: threshold_batchnorm(X, [LINE] * 4), TypeError, "threshold_batchnorm: forms[0]=FixedPoint("),
    (lambda: fixed_batchnorm(X, []), ValueError, "fixed_batchnorm: forms=[] is empty; pass one FixedPoint"),
    (lambda: threshold_batchnorm(X, []), ValueError, "threshold_batchnorm: forms=[] is empty; pass one ThresholdForm"),
    (lambda: fixed_batchnorm(X, [LINE] * 3), ValueError, "fixed_batchnorm: axis=-1 has 4 channels, forms has 3; pass"),
    (lambda: threshold_batchnorm(X, [STAIR] * 4, 0), ValueError, "threshold_batchnorm: axis=0 has 3 channels, forms"),
    (lambda: fixed_batchnorm(X, [LINE] * 4, 2), ValueError, "fixed_batchnorm: axis=2 is outside -2..1"),
    (lambda: fixed_batchnorm(X, [LINE] * 4, 1.0), TypeError, "fixed_batchnorm: axis=1.0 is not an integer"),
    (
        lambda: fixed_batchnorm(5, [LINE] * 2),
        ValueError,
        "fixed_batchnorm: acc is a scalar; pass an array",
    ),
    (
        lambda: threshold_batchnorm(X, [ThresholdForm((3, 2), 0)]),
        ValueError,
        "ThresholdForm: thresholds fall",
    ),
    (
        lambda: fixed_batchnorm(X, [FixedPoint(1, 1 << 63, 4, 0, 1)]),
        ValueError,
        "fixed_batchnorm: forms[0] needs 65 bits",
    ),
    (
        lambda: fixed_batchnorm(X[:0], [FixedPoint(1, 1 << 63, 4, 0, 1)]),
        ValueError,
        "fixed_batchnorm: forms[0] needs 65",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), ARRAYS)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}") as caught:
        call()
    assert "\n" not in str(caught.value)


LAYER = {"gamma": [1.0, -2.0, 3.0], "beta": 0.5, "mean": np.float32(0), "variance": [1.0], "epsilon": 0.0}
LAYER |= THREE_RANGES
NAMES = "gamma beta mean variance epsilon acc_scale out_scale acc_min acc_max qmin qmax and, if any, zero_point"
LAYERS = [
    ({"gamma": np.ones((3, 1))}, ValueError, "gamma has shape (3, 1); pass one value, or one per channel"),
    ({"beta": [1.0, 2.0]}, ValueError, "beta has 2 values, gamma 3; pass 1 or as many"),
    ({"mean": []}, ValueError, "mean has 0 values; pass 1.."),
    ({"zero_point": [0] * 4}, ValueError, "gamma has 3 values, zero_point 4; pass 1 or as many"),
    ({"scale": 1.0}, ValueError, f"array scale is unknown; pass {NAMES}"),
    ({"gamma": np.array([1, None, 2])}, TypeError, "gamma has dtype object; pass floats or integers"),
    ({"gamma": [True, False, True]}, TypeError, "gamma has dtype bool; pass floats or integers"),
    ({"variance": ["1"]}, TypeError, "variance has dtype <U1; pass floats or integers"),
    ({"mean": [1j]}, TypeError, "mean has dtype complex128; pass floats or integers"),
    ({"acc_min": [-8.0, -9.0, -7.0]}, TypeError, "acc_min has dtype float64; pass integers"),
    ({"zero_point": 1.0}, TypeError, "zero_point has dtype float64; pass integers"),
    ({"qmax": [1 << 70] * 3}, TypeError, "qmax has dtype object; pass integers"),
    ({"gamma": [1.0, np.nan, 2.0]}, ValueError, "channel 1: gamma=nan is not finite; pass a finite number"),
    ({"mean": [0, 0, -np.inf]}, ValueError, "channel 2: mean=-inf is not finite; pass a finite number"),
    ({"variance": [1, -0.5, 1]}, ValueError, "channel 1: variance=-0.5 is negative; pass a value >= 0"),
    ({"variance": [1.0, 1.0, 0.0]}, ValueError, "channel 2: variance=0 and epsilon=0 leave nothing to divide by"),
    ({"out_scale": np.float32([1, 0, 1])}, ValueError, "channel 1: out_scale=0.0 is not positive; pass a scale > 0"),
    ({"acc_min": [-8, 8, -7]}, ValueError, "channel 1: acc_min=8 is above acc_max=7; the range is empty"),
    ({"qmax": [15, 15, -1]}, ValueError, "channel 2: qmin=0 is above qmax=-1; the range is empty"),
    ({"acc_max": np.uint64(1 << 63)}, ValueError, f"channel 0: acc_max={1 << 63} is outside -(2**63 - 1)..2**63 - 1"),
    ({"acc_min": np.int64([0, -(1 << 63), 0])}, ValueError, f"channel 1: acc_min={-(1 << 63)} is outside"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), LAYERS)
def test_a_layer_names_array_channel_and_value(wrong, error, message):
    with pytest.raises(error, match=f"^{re.escape('channels_of: ' + message)}") as caught:
        channels_of(LAYER | wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", LAYER)
def test_a_missing_array_is_named(name):
    with pytest.raises(ValueError, match=f"^channels_of: array {name} is missing; pass {NAMES}$"):
        channels_of({other: value for other, value in LAYER.items() if other != name})


RANGES_OF_WEIGHTS = [
    (lambda: accumulator_range([[0.5]], 0, 1), TypeError, "accumulator_range: weights has dtype float64; pass"),
    (lambda: accumulator_range([[1]], 0.0, 1), TypeError, "accumulator_range: input_min=0.0 is not an integer"),
    (lambda: accumulator_range([[1]], 2, 1), ValueError, "accumulator_range: input_max=1 is outside 2.."),
    (lambda: accumulator_range(3, 0, 1), ValueError, "accumulator_range: weights has no axis of output channels; pass"),
    (lambda: accumulator_range([[1]], 0, 1, 2), ValueError, "accumulator_range: axis=2 is outside -2..1"),
    (lambda: accumulator_range([[1], [1]], 0, 1 << 62), ValueError, "accumulator_range: weights up to 1 times inputs"),
]


@pytest.mark.parametrize(("call", "error", "message"), RANGES_OF_WEIGHTS)
def test_weights_that_are_refused(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call()


def test_words_that_are_too_short():
    layer = fit_batchnorm([C1, C1])
    assert fitted(C1).form == layer.fits[0].form
    require_width(layer, 14)
    for bits, name, needed in ((5, "multiplier", 6), (8, "bias", 9), (13, "multiplier * x", 14)):
        message = f"require_width: bits={bits} is too few, {name} of channel 0 needs {needed}; the layer needs 14"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            require_width(layer, bits)
