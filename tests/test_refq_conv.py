"""Convolution equals the definition output by output: geometries, layouts, widths, zero points, padding, paths."""

import numpy as np
import pytest
from conv_cases import SHAPES, built, expected_conv, legal_values, turned, values
from refq_cases import assert_same

from refq.products.conv import PATHS, conv

PER_FILTER = np.array([3, -128, 127, 0, -7, 5])
WIDTHS = [
    ("int8", "int8", ("int8", "int8")),
    ("uint8", "uint8", ("uint8", "uint8")),
    ("int16", "int8", ("int16", "int8")),
    ("uint16", "int16", ("uint16", "int16")),
    ("uint1", "bipolar", ("uint8", "int8")),
    ("bipolar", "bipolar", ("int8", "int8")),
    ("bipolar", "uint1", ("int8", "uint8")),
    ("int4", "uint2", ("int8", "int64")),
    ("odd2", "odd3", ("int32", "int8")),
    ("uint2", "int3", ("uint8", "int16")),
    ("int2", "bipolar", ("int64", "int8")),
]
SOME = ["padded_2d", "groups_2d", "depthwise_2_2d", "channels65_2d", "plain_1d"]


def check(x, w, options, numbers, last=True, **how):
    """conv in a layout equals the definition."""
    expected = expected_conv(x, w, options, **numbers)
    left, right, layout = turned(x, w, last)
    got = conv(left, right, layout=layout, **options, **numbers, **how)
    return assert_same(got=np.moveaxis(got, 1, -1) if not last else got, expected=expected)


@pytest.mark.parametrize("last", [True, False], ids=["channels_last", "channels_first"])
@pytest.mark.parametrize("name", SHAPES)
def test_every_geometry(name, last):
    x, w, options = built(name)
    zeros = {"input_zero_point": 131, "weight_zero_point": np.resize(PER_FILTER, len(w))}
    check(x, w, options, {}, last)
    check(x, w, options, zeros | {"bias": np.arange(len(w)) * 1000 - 999}, last)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize(("left", "right", "dtypes"), WIDTHS, ids=[f"{a}_{b}" for a, b, _ in WIDTHS])
def test_every_width(left, right, dtypes, name):
    x, w, options = built(name, left, right, dtypes)
    formats = {"input_format": left, "weight_format": right}
    odd = legal_values(left)[1] - legal_values(left)[0] == 2 and options.get("padding")
    numbers = {"padding_value": 1} if odd else {}
    check(x, w, options, numbers, **formats)


@pytest.mark.parametrize("path", [path for path in PATHS if path != "depthwise"])
@pytest.mark.parametrize("name", ["stride2_2d", "pointwise_2d", "groups_2d", "depthwise_2_2d", "dilated_1d"])
def test_every_path(name, path):
    x, w, options = built(name, "int4", "uint2", ("int8", "uint8"))
    numbers = {"input_zero_point": -3, "weight_zero_point": 1, "bias": np.arange(len(w)) - 5}
    formats = {"input_format": "int4", "weight_format": "uint2"}
    for last in (True, False):
        check(x, w, options, numbers, last, path=path, **formats)


@pytest.mark.parametrize("name", [name for name in SHAPES if "depthwise" in name])
@pytest.mark.parametrize("path", ["depthwise", "direct", "int64"])
def test_depthwise_paths(name, path):
    x, w, options = built(name)
    numbers = {"input_zero_point": 7, "weight_zero_point": np.resize(PER_FILTER, len(w)), "padding_value": 200}
    check(x, w, options, numbers, path=path)


@pytest.mark.parametrize("last", [True, False], ids=["channels_last", "channels_first"])
@pytest.mark.parametrize("name", ["stride2_2d", "depthwise_2_2d", "groups_dilated_2d", "pointwise_2d", "plain_1d"])
@pytest.mark.parametrize("fewest", [1, 5, 13])
def test_chunks_and_threads_make_no_difference(name, last, fewest, monkeypatch):
    """Chunks of a few pixels that end inside lines and images, each thread with its own."""
    monkeypatch.setattr("refq.products.conv_routes.CHUNK_BYTES", 1)
    monkeypatch.setattr("refq.products.conv_routes.FEWEST_ROWS", fewest)
    monkeypatch.setattr("refq.products.threads.WORTH_SHARING", 0)
    x, w, options = built(name)
    x = np.concatenate([x, x[:, ::-1], np.invert(x)])
    check(x, w, options, {"input_zero_point": 77, "bias": np.arange(len(w))}, last)


@pytest.mark.parametrize("shape", [(1, 40, 41, 16), (3, 17, 19, 33)])
def test_large_enough_for_both_threads(shape):
    x = values("uint8", shape, np.uint8)
    w = values("int8", (24, 3, 3, shape[-1]), np.int8, 1)
    options = {"padding": ((1, 1), (0, 2)), "stride": (1, 2), "input_zero_point": 3}
    got = conv(x, w, **options)
    assert_same(got=got, expected=conv(x, w, path="direct", **options))
    turned_got = conv(np.moveaxis(x, -1, 1), np.moveaxis(w, -1, 1), layout="NCHW", **options)
    assert_same(got=np.moveaxis(turned_got, 1, -1), expected=got)


PLANES = [
    ("bipolar", "bipolar", {"padding_value": -1}),
    ("bipolar", "uint2", {"padding_value": 0}),
    ("odd2", "int2", {"padding_value": 3}),
    ("uint3", "bipolar", {"input_zero_point": 5}),
    ("int4", "uint1", {"input_zero_point": -3, "weight_zero_point": 1}),
]


@pytest.mark.parametrize(("channels", "groups"), [(64, 1), (128, 1), (128, 2)])
@pytest.mark.parametrize(("left", "right", "numbers"), PLANES, ids=[f"{a}_{b}" for a, b, _ in PLANES])
def test_patches_of_bit_planes(left, right, numbers, channels, groups):
    """A pixel of 64 channels is a word of each plane; the pad code stands in whole words."""
    x = values(left, (2, 3, 4, channels), np.int8, 1)
    w = values(right, (2, 2, 3, channels // groups), np.int8, 2)
    options = {"padding": ((1, 0), (2, 2)), "stride": (1, 2), "dilation": (2, 1), "groups": groups}
    formats = {"input_format": left, "weight_format": right}
    expected = expected_conv(x, w, options, **numbers)
    for path in ("popcount", "subsets", "auto"):
        assert_same(got=conv(x, w, path=path, **options, **numbers, **formats), expected=expected)
