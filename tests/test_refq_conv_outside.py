"""Convolutions that others computed: the ONNX evaluator, ONNX Runtime, CMSIS-NN layers, Larq's padding with ones."""

import numpy as np
import outside
import pytest
from refq_cases import assert_same

from refq import INT8, FixedScale, requantize
from refq.products.conv import conv

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

# (input, weights), channels first, and attributes of ConvInteger with what conv calls them
CONVOLUTIONS = {
    "plain": ((2, 3, 5, 6), (4, 3, 3, 3), {}, {}),
    "padded": ((1, 2, 4, 5), (3, 2, 3, 2), {"pads": [1, 0, 2, 1]}, {"padding": ((1, 2), (0, 1))}),
    "strided": ((1, 2, 7, 8), (3, 2, 3, 3), {"strides": [2, 3]}, {"stride": (2, 3)}),
    "dilated": ((1, 2, 8, 7), (3, 2, 2, 3), {"dilations": [3, 2]}, {"dilation": (3, 2)}),
    "groups": ((1, 6, 4, 4), (4, 3, 2, 2), {"group": 2}, {"groups": 2}),
    "depthwise": ((1, 3, 5, 4), (6, 1, 3, 3), {"group": 3, "pads": [1] * 4}, {"groups": 3, "padding": 1}),
    "upper": ((1, 2, 5, 6), (2, 2, 2, 3), {"auto_pad": "SAME_UPPER"}, {"padding": "same"}),
    "upper2": (
        (1, 2, 6, 5),
        (2, 2, 3, 3),
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"padding": "same", "stride": 2},
    ),
    "lower": ((1, 2, 5, 6), (2, 2, 2, 2), {"auto_pad": "SAME_LOWER"}, {"padding": "same_lower"}),
    "lower2": (
        (1, 2, 6, 5),
        (2, 2, 3, 4),
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"padding": "same_lower", "stride": 2},
    ),
    "valid": ((1, 2, 6, 5), (2, 2, 3, 3), {"auto_pad": "VALID", "strides": [2, 2]}, {"padding": "valid", "stride": 2}),
    "line": ((2, 3, 9), (4, 3, 3), {"pads": [2, 1], "strides": [2]}, {"padding": ((2, 1),), "stride": 2}),
    "line_groups": ((1, 4, 8), (4, 2, 2), {"group": 2, "dilations": [3]}, {"groups": 2, "dilation": 3}),
}
# ONNX Runtime has no kernel for int8 inputs with uint8 weights
TYPES = [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")]


def conv_integer(x, w, zeros, attributes):
    """A model of one ConvInteger node."""
    kind = {"uint8": onnx.TensorProto.UINT8, "int8": onnx.TensorProto.INT8}
    names, arrays = ["x", "w", "zx", "zw"], [x, w, *zeros]
    infos = [
        onnx.helper.make_tensor_value_info(n, kind[str(a.dtype)], a.shape) for n, a in zip(names, arrays, strict=True)
    ]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None)
    node = onnx.helper.make_node("ConvInteger", names, ["y"], **attributes)
    graph = onnx.helper.make_graph([node], "g", infos, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    return model, dict(zip(names, arrays, strict=True))


def built(name, types, seed=0):
    x_shape, w_shape, attributes, options = CONVOLUTIONS[name]
    random = np.random.default_rng(seed)
    limits = [np.iinfo(t) for t in types]
    x, w = (
        random.integers(i.min, i.max, s, i.dtype, endpoint=True)
        for i, s in zip(limits, (x_shape, w_shape), strict=True)
    )
    x.flat[:2], w.flat[:2] = (limits[0].min, limits[0].max), (limits[1].max, limits[1].min)
    zeros = [np.array(limits[0].max - 100, types[0]), np.array(limits[1].min + 131, types[1])]
    return x, w, zeros, attributes, options | {"layout": "NCHW" if x.ndim == 4 else "NCW"}


def ours(x, w, zeros, options):
    got = conv(x, w, input_zero_point=int(zeros[0]), weight_zero_point=int(zeros[1]), **options)
    assert np.abs(got).max() < 1 << 31
    return got.astype(np.int32)


@pytest.mark.parametrize("types", TYPES, ids="_".join)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_onnx_runtime(name, types):
    x, w, zeros, attributes, options = built(name, types)
    model, feeds = conv_integer(x, w, zeros, attributes)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert_same(got=ours(x, w, zeros, options), expected=session.run(None, feeds)[0])


@pytest.mark.parametrize("types", [*TYPES, ("int8", "uint8")], ids="_".join)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_onnx_evaluator(name, types):
    from onnx.reference import ReferenceEvaluator

    x, w, zeros, attributes, options = built(name, types)
    model, feeds = conv_integer(x, w, zeros, attributes)
    assert_same(got=ours(x, w, zeros, options), expected=ReferenceEvaluator(model).run(None, feeds)[0].astype(np.int32))


def test_larq_sums_of_bits():
    """Larq Compute Engine: a bit is 1 for -1, the sum is K - 2 popcount(xor), padding with ones packs as 0."""
    random = np.random.default_rng(0)
    x, w = random.integers(0, 2, (2, 4, 5, 70)), random.integers(0, 2, (3, 3, 3, 70))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.empty((2, 4, 5, 3), np.int64)
    for n, i, j, o in np.ndindex(expected.shape):
        left, right = (int("".join(map(str, a.ravel())), 2) for a in (padded[n, i : i + 3, j : j + 3], w[o]))
        expected[n, i, j, o] = 9 * 70 - 2 * (left ^ right).bit_count()
    formats = {"input_format": "bipolar", "weight_format": "bipolar"}
    got = conv(1 - 2 * x, 1 - 2 * w, padding=1, padding_value=1, **formats)
    assert_same(got=got, expected=expected)


def cmsis_cases():
    """(case, op) of the convolutions in the CMSIS-NN data, by name so that collection needs no file."""
    conv = "basic conv_1_x_n_2 conv_1_x_n_4 conv_1_x_n_6_generic conv_1_x_n_8 conv_2x2_dilation conv_2x3_dilation"
    conv += " conv_3x2_dilation conv_4 conv_dilation_golden grouped_conv_1 grouped_conv_3 kernel1x1"
    conv += " kernel1x1_stride_x_y kernel1x1_stride_x_y_2"
    depthwise = "basic depthwise_dilation depthwise_kernel_3x3 depthwise_mult_batches depthwise_null_bias_1"
    depthwise += " depthwise_sub_block in_ch_one_out_ch_larger_one"
    return [(name, "conv_s8") for name in conv.split()] + [(name, "dw_s8") for name in depthwise.split()]


def after(params, x, kernel):
    """The padding after, which the data leave out: what their output sizes need."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, params["dilation"], strict=True)]
    steps = [(n - 1) * s for n, s in zip(params["out_hw"], params["stride"], strict=True)]
    sizes = zip(steps, reach, x.shape[1:3], params["pad"], strict=True)
    return [max(step + r - size - before, 0) for step, r, size, before in sizes]


@pytest.mark.parametrize(("name", "op"), cmsis_cases())
def test_cmsis_nn_layers(name, op):
    """Accumulators by conv, requantized by the rule of upstream, are upstream's outputs; so is the largest one."""
    entry = next(c for c in outside.manifest("cmsis_nn")["cases"] if (c["case"], c["op"]) == (name, op))
    assert outside.sha256("cmsis_nn", entry["file"]) == entry["sha256"]
    params, data = entry["params"], outside.arrays("cmsis_nn", entry["file"])
    x, weights = data["input"], data["weights"]
    if op == "dw_s8":
        # TFLite's (KH, KW, C * multiplier) to one filter a row
        weights = weights.transpose(2, 0, 1)[..., None]
    padding = tuple(zip(params["pad"], after(params, x, weights.shape[1:3]), strict=True))
    accs = conv(
        x,
        weights,
        stride=tuple(params["stride"]),
        padding=padding,
        dilation=tuple(params["dilation"]),
        groups=x.shape[-1] // weights.shape[-1],
        input_zero_point=-params["input_offset"],
        bias=data["bias"] if params["bias_present"] else None,
    )[:, : params["out_hw"][0], : params["out_hw"][1]]
    assert np.abs(accs).max() == params["acc_abs_max"]
    scales = [FixedScale(int(m), 31 - int(s)) for m, s in zip(data["multiplier"], data["shift"], strict=True)]
    codes = requantize(accs, "gemmlowp_double", scales, zero_point=params["output_offset"], fmt=INT8)
    got = np.clip(codes, np.int8(params["act_min"]), np.int8(params["act_max"]))
    assert_same(got=got, expected=data["output"])
