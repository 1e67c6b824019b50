"""Convolutions that are refused: one line with function, argument, value, what is legal and the way out."""

import numpy as np
import pytest

from refq import IntFormat
from refq.products.conv import conv

X = np.zeros((1, 5, 6, 4), np.uint8)
W = np.zeros((6, 3, 2, 4), np.int8)
ODD = {"input_format": "bipolar"}
ONES = np.ones(X.shape, np.int8)


def spoilt(array, at, value):
    out = array.copy()
    out[at] = value
    return out


VALUES = [
    ({"layout": "NHCW"}, "conv: layout='NHCW' is unknown; pass NHWC or NCHW, in one dimension NWC or NCW"),
    ({"input": X[0]}, r"conv: input has shape \(5, 6, 4\), NHWC takes \(N, H, W, C\); pass 4 axes, or layout='NWC'"),
    ({"input": X[0, 0]}, r"conv: input has shape \(6, 4\), NHWC takes \(N, H, W, C\); pass 4 axes$"),
    ({"layout": "NWC"}, r"conv: input has shape \(1, 5, 6, 4\), NWC takes \(N, W, C\); pass 3 axes, or layout='NHWC'"),
    ({"weights": W[0]}, r"conv: weights has shape \(3, 2, 4\), NHWC takes \(O, KH, KW, C/groups\)"),
    ({"input": X[:, :0]}, r"conv: input has shape \(1, 0, 6, 4\); of \(N, H, W, C\) only the first may be 0"),
    (
        {"weights": W[..., :0]},
        r"conv: weights has shape \(6, 3, 2, 0\); of \(O, KH, KW, C/groups\) only the first may be",
    ),
    ({"groups": 0}, "conv: groups=0 is outside 1.."),
    ({"groups": 3}, "conv: groups=3 does not divide 4 channels; pass a divisor of both counts"),
    ({"groups": 4}, "conv: groups=4 does not divide 6 filters; pass a divisor of both counts"),
    (
        {"groups": 2},
        "conv: weights hold 4 channels a filter, 4 channels in groups=2 need 2; pass weights of 2, or groups=1",
    ),
    (
        {"weights": W[..., :3]},
        "conv: weights hold 3 channels a filter, 4 channels in groups=1 need 4; pass weights of 4",
    ),
    ({"stride": 0}, "conv: stride=0 is outside 1.."),
    ({"stride": (1, -2)}, r"conv: stride\[1\]=-2 is outside 1.."),
    ({"stride": (1, 2, 3)}, r"conv: stride=\(1, 2, 3\) has 3 entries for 2 dimensions; pass one each"),
    ({"dilation": 0}, "conv: dilation=0 is outside 1.."),
    (
        {"dilation": (3, 1)},
        "conv: kernel 3 with dilation 3 covers 7, the padded height is 5; pad at least 2 more or dilate",
    ),
    (
        {"weights": np.zeros((6, 1, 7, 4), np.int8)},
        "conv: kernel 7 with dilation 1 covers 7, the padded width is 6; pad at",
    ),
    ({"padding": -1}, "conv: padding=-1 is outside 0.."),
    ({"padding": ((0, 0), (-3, 0))}, r"conv: padding\[1\]\[0\]=-3 is outside 0.."),
    ({"padding": ((0, -1), (0, 0))}, r"conv: padding\[0\]\[1\]=-1 is outside 0.."),
    (
        {"padding": (1, 1)},
        r"conv: padding=\(1, 1\) is not one \(before, after\) a dimension; write \(\(1, 1\), \(1, 1\)\)",
    ),
    ({"padding": [1, 1, 1, 1]}, r"conv: padding=\[1, 1, 1, 1\] is not one \(before, after\) a dimension"),
    ({"padding": "full"}, "conv: padding='full' is unknown; pass 'same', 'same_lower', 'valid' or numbers"),
    (
        {"input_format": "uint4", "input": spoilt(X, (0, 4, 5, 3), 16)},
        r"conv: input\[0, 4, 5, 3\]=16 is outside uint4 0..15",
    ),
    (
        {"weight_format": "int2", "weights": spoilt(W, (5, 0, 1, 2), -3)},
        r"conv: weights\[5, 0, 1, 2\]=-3 is outside int2 -2..1",
    ),
    (
        {**ODD, "input": spoilt(ONES, (0, 0, 2, 1), 0)},
        r"conv: input\[0, 0, 2, 1\]=0 is outside bipolar -1..1, odd numbers only",
    ),
    (
        {"weights": W + np.int8(-128), "weight_format": IntFormat(8, narrow_range=True)},
        r"weights\[0, 0, 0, 0\]=-128 is outside -127..127",
    ),
    ({"input_format": "int3x"}, "'int3x' is no encoding"),
    ({"input_zero_point": 256}, "conv: input_zero_point=256 is outside 0..255"),
    ({"input_zero_point": 3, "input_format": "uint1"}, "conv: input_zero_point=3 is outside 0..1"),
    ({**ODD, "input": ONES, "input_zero_point": 1}, "conv: input_zero_point=1 is outside 0..0"),
    ({"weight_zero_point": -129}, "conv: weight_zero_point=-129 is outside -128..127"),
    ({"weight_zero_point": [0, 0, 0, 200, 0, 0]}, r"conv: weight_zero_point\[3\]=200 is outside -128..127"),
    (
        {"weight_zero_point": [0, 0]},
        r"conv: weight_zero_point has shape \(2,\); pass one number or one a filter, \(6,\)",
    ),
    ({"bias": [1, 2]}, r"conv: bias has shape \(2,\); pass one number a filter, \(6,\)"),
    ({"bias": 7}, r"conv: bias has shape \(\); pass one number a filter, \(6,\)"),
    ({"bias": np.full(6, 1 << 63, np.uint64)}, r"conv: bias\[0\]=9223372036854775808 is outside"),
    (
        {**ODD, "input": ONES, "padding": 1},
        "conv: the zero point 0 that padding stands for has no code in bipolar, whose num",
    ),
    ({**ODD, "input": ONES, "padding": 1, "padding_value": 2}, "conv: padding_value=2 is outside -1..1"),
    (
        {"input_format": "odd2", "input": ONES, "padding_value": 2},
        "conv: padding_value=2 is even; pass an odd number of -3..3",
    ),
    (
        {**ODD, "input": X + 1, "padding": 1, "padding_value": -1},
        "conv: the padding -1 is outside uint8, input's dtype",
    ),
    ({"padding_value": 300}, "conv: padding_value=300 is outside 0..255"),
    ({"path": "winograd"}, "conv: path='winograd' is unknown; pass one of auto, depthwise, direct, "),
    ({"path": "depthwise"}, "conv: path='depthwise' needs groups=4, one a channel, not 1; pass 'auto'"),
    (
        {"path": "direct", "accumulator": "pairs16"},
        "conv: path='direct' does not follow pairs16 through its partial sums",
    ),
    ({"accumulator": "int12"}, "'int12'"),
    ({"out": np.zeros((1, 3, 5, 5), np.int64)}, r"conv: out has shape \(1, 3, 5, 5\), the result \(1, 3, 5, 6\)"),
    ({"out": np.zeros((1, 3, 5, 12), np.int64)[..., ::2]}, "conv: out is read-only or not C-contiguous"),
]
KINDS = [
    ({"input": X * 0.5}, "conv: input has dtype float64; pass an integer dtype"),
    ({"weights": W > 0}, "conv: weights has dtype bool; pass an integer dtype"),
    ({"stride": 1.0}, "conv: stride=1.0 is not an integer"),
    ({"stride": (True, 1)}, r"conv: stride\[0\]=True is not an integer"),
    ({"dilation": "2"}, "conv: dilation='2' is not an integer"),
    ({"padding": 1.5}, "conv: padding=1.5 is not an integer"),
    ({"padding": ((0, 0), (0, None))}, r"conv: padding\[1\]\[1\]=None is not an integer"),
    ({"groups": "2"}, "conv: groups='2' is not an integer"),
    ({"input_zero_point": 0.0}, "conv: input_zero_point=0.0 is not an integer"),
    ({"input_zero_point": [1]}, r"conv: input_zero_point=\[1\] is not an integer"),
    ({"weight_zero_point": 1.0}, "conv: weight_zero_point=1.0 is not an integer"),
    ({"weight_zero_point": np.zeros(6)}, "conv: weight_zero_point has dtype float64"),
    ({"padding_value": 0.5, "padding": 1}, "conv: padding_value=0.5 is not an integer"),
    ({"bias": np.zeros(6)}, "conv: bias has dtype float64; pass an integer dtype"),
    ({"input_format": 8}, "8 is no encoding"),
    ({"out": np.zeros((1, 3, 5, 6), np.int32)}, "conv: out is int32; pass a native int64 array"),
    ({"out": [0]}, "conv: out is list; pass a native int64 array"),
]


@pytest.mark.parametrize(("arguments", "message"), VALUES, ids=range(len(VALUES)))
def test_values(arguments, message):
    arguments = {"input": X, "weights": W} | arguments
    with pytest.raises(ValueError, match=message) as refused:
        conv(**arguments)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("arguments", "message"), KINDS, ids=range(len(KINDS)))
def test_kinds(arguments, message):
    with pytest.raises(TypeError, match=message):
        conv(**({"input": X, "weights": W} | arguments))


def test_one_dimension_says_width():
    x, w = np.zeros((1, 3, 2), np.int8), np.zeros((1, 5, 2), np.int8)
    with pytest.raises(
        ValueError, match="conv: kernel 5 with dilation 1 covers 5, the padded width is 4; pad at least 1"
    ):
        conv(x, w, layout="NWC", padding=((1, 0),))
    with pytest.raises(
        ValueError, match=r"padding=\(1, 0\) is not one \(before, after\) a dimension; write \(\(1, 1\),\)"
    ):
        conv(x, w, layout="NWC", padding=(1, 0))


def test_out_over_its_operand():
    x = np.zeros((1, 2, 2, 1), np.int64)
    with pytest.raises(ValueError, match="conv: out shares memory with an operand; pass another array"):
        conv(x, np.ones((1, 1, 1, 1), np.int8), out=x)


@pytest.mark.parametrize("groups", [1, 2])
def test_an_accumulator_that_is_left_is_named_with_its_pixel(groups):
    x = spoilt(X, (0, 3, 4, 1), 255)
    w = np.full((6, 3, 2, 4 // groups), 127, np.int8)
    rule = {"accumulator": "int32", "bias": np.full(6, 2**31 - 1 - 255 * 127 + 1)}
    with pytest.raises(ValueError, match=r"^conv: image 0, output pixel \[1, 3\]: "):
        conv(x, w, groups=groups, **rule)
    exact = conv(x, w, groups=groups, accumulator="int32", bias=np.full(6, 2**31 - 1 - 255 * 127))
    assert exact.max() == 2**31 - 1


def test_sums_that_could_leave_64_bits():
    x, w = np.full((1, 2, 2), 2**40), np.full((1, 2, 2), 2**40)
    for path in ("auto", "direct"):
        with pytest.raises(ValueError, match="outside int64"):
            conv(x, w, layout="NWC", path=path)
    with pytest.raises(
        ValueError, match=r"conv: sums of 2 products up to 1099511627776 \* 1099511627776 .* could reach"
    ):
        conv(x, w[[0, 0], :, :1], layout="NWC", groups=2)
