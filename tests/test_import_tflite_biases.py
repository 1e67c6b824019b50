"""What a .tflite file says of biases and scales beside the numbers, and which kernel LiteRT takes for it."""

import numpy as np
import pytest
from refq_cases import assert_same
from tflite_models import MODES, O, T, model, run_litert

from refq.graphs import run
from refq.importers.limits import ModelRejectedError
from refq.importers.tflite import read_tflite

PROFILES = {"litert": "litert-xnnpack", "litert-builtin": "litert-builtin", "litert-reference": "litert-reference"}
WINDOW = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
LAYERS = {
    "CONV_2D": ("Conv2DOptions", WINDOW, (24, 3, 3, 8), (1, 8, 8, 8), (1, 8, 8, 24)),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", WINDOW | {"depthMultiplier": 3}, (1, 3, 3, 24), (1, 8, 8, 8),
                          (1, 8, 8, 24)),
    "FULLY_CONNECTED": ("FullyConnectedOptions", {}, (24, 32), (64, 32), (64, 24)),
    "TRANSPOSE_CONV": ("TransposeConvOptions", {"strideH": 1, "strideW": 1}, (24, 3, 3, 8), (1, 8, 8, 8),
                       (1, 8, 8, 24)),
}  # fmt: skip
INT32, INT64 = 2, 4
ZEROS = {"int8": (5, 0, 3), "uint8": (131, 121, 127), "int16": (0, 0, 0)}


def layer(code, dtype, bias="int32", declared=None, scaled=True, axis=0, weights=""):
    """One layer at a scale of 1/64, where sums are ties now and then. bias: its type, "" for none."""
    options, fields, kernel, shape, result = LAYERS[code]
    rng, width = np.random.default_rng(7), weights or ("uint8" if dtype == "uint8" else "int8")
    zx, zw, zy = ZEROS[dtype]
    w = (zw + rng.integers(-7, 8, kernel)).astype("uint8" if width == "uint8" else "int8")
    tensors = [T("x", shape, dtype, 0.25, zx), T("w", kernel, width, 1 / 16, zw, axis, w), T("y", result, dtype, 1, zy)]
    names = ["x", "w"]
    if bias:
        names.append("b")
        tensors.append(T("b", None, bias, 1 / 64 if scaled else None, 0, 0, rng.integers(-99, 99, 24).astype(bias)))
    if code == "TRANSPOSE_CONV":
        tensors.append(T("shape", data=np.array(result, np.int32)))
        names = ["shape", "w", "x", *names[2:]]
    more = {} if declared is None else {"quantizedBiasType": declared}
    reach = 3000 if dtype == "int16" else 60
    x = np.clip(zx + rng.integers(-reach, reach, shape), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
    return model(tensors, [O(code, names, ["y"], options, fields | more)], ["x"], ["y"]), x


def differing(content, x, mode):
    """How many values each profile of LiteRT gets wrong."""
    graph, [expected] = read_tflite(content), run_litert(content, mode, {"x": x})
    assert_same(run(graph, x, PROFILES[mode])["y"], expected)
    return {profile: int((run(graph, x, profile)["y"] != expected).sum()) for profile in PROFILES.values()}


LEFT = [(code, dtype, axis) for code in LAYERS for dtype in ("int8", "uint8") for axis in (None, 1)
        if dtype == "uint8" or axis is None]  # fmt: skip


@pytest.mark.parametrize(("code", "dtype", "axis"), LEFT)
def test_xnnpack_leaves_biases_without_a_scale_and_other_axes_to_the_builtin_kernels(code, dtype, axis):
    odd = {"scaled": False} if axis is None else {"axis": axis}
    content, x = layer(code, dtype, **odd)
    assert differing(content, x, "litert")["litert-builtin"] == 0
    # the same layer with a scale and axis 0 follows another rule
    assert differing(*layer(code, dtype), "litert")["litert-builtin"] > 0
    assert differing(*layer(code, dtype, **odd), "litert-reference") is not None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("declared", [None, INT32, INT64])
@pytest.mark.parametrize("code", ["FULLY_CONNECTED", "TRANSPOSE_CONV"])
def test_the_declared_type_of_an_absent_bias_counts(code, declared, mode):
    wrong = differing(*layer(code, "int16", "", declared), mode)
    # 64-bit sums have one rule in all modes
    wide = declared == INT64 or (code == "TRANSPOSE_CONV" and declared is None)
    assert (wrong["litert-builtin"] == wrong["litert-reference"] == 0) is wide


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize(("bias", "declared"), [("int32", INT32), ("int64", INT64), ("int64", None)])
@pytest.mark.parametrize("code", ["CONV_2D", "FULLY_CONNECTED"])
def test_int16_layers(code, bias, declared, weights, mode):
    assert differing(*layer(code, "int16", bias, declared, weights=weights), mode)


MISREAD = "which quantized_bias_type does not declare, so that LiteRT reads it as int64; pass int64"
REFUSED = {
    "conv": (("CONV_2D", "int16", "int32"), f"bias (b) is int32, {MISREAD}"),
    "transposed": (("TRANSPOSE_CONV", "int16", "int32"), f"bias (b) is int32, {MISREAD}"),
    "dense": (("FULLY_CONNECTED", "int16", "int32"), f"bias (b) is int32, {MISREAD}"),
    "depthwise": (("DEPTHWISE_CONV_2D", "int16", "int32"), f"bias (b) is int32, {MISREAD}"),
    "another": (("CONV_2D", "int16", "int64", INT32), "bias (b) is int64, which quantized_bias_type declares int32"),
    "unknown": (("CONV_2D", "int16", "int64", 9), "quantized_bias_type 9; legal: 2 (int32), 4 (int64)"),
    "depthwise int4": (
        ("DEPTHWISE_CONV_2D", "int16", "int64", None, True, 0, "int4"),
        "which LiteRT does not unpack here",
    ),
    "transposed int4 beside int8": (("TRANSPOSE_CONV", "int8", "int32", None, True, 0, "int4"), "does not unpack here"),
    "transposed int4": (
        ("TRANSPOSE_CONV", "int16", "int64", None, True, 0, "int4"),
        "which LiteRT does not unpack here",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_runtime_would_misread_is_refused(name):
    given, reason = REFUSED[name]
    content, _ = layer(*given)
    with pytest.raises(ModelRejectedError) as caught:
        read_tflite(content)
    assert caught.value.place == f"{given[0]}:0"
    assert reason in caught.value.reason


def test_attributes_are_written_only_where_they_tell_something():
    def attributes(*given, **more):
        return read_tflite(layer(*given, **more)[0]).nodes[0].attributes

    plain = attributes("FULLY_CONNECTED", "int8")
    assert not {"bias_type", "scale_axis"} & set(plain)
    assert attributes("FULLY_CONNECTED", "int16", "", INT64)["bias_type"] == "int64"
    assert attributes("CONV_2D", "uint8", axis=3)["scale_axis"] == 3
    assert attributes("TRANSPOSE_CONV", "int8")["scheme"] == "same"
