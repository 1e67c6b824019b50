"""conv on channels-first graphs against ONNX Runtime and the ONNX reference evaluator, on exact ties."""

from fractions import Fraction

import numpy as np
import onnxruntime as ort
import pytest
from graph_product_cases import OP
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from refq_cases import assert_same

from refq.formats import Rounding
from refq.graphs.profiles.products import ENTRIES
from refq.graphs.records import Node, Quantization, Tensor
from refq.graphs.sites import Site

TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}
KINDS = [("uint8", "int8"), ("int8", "int8"), ("uint8", "uint8")]
FORMS = {
    "padded": ((1, 3, 9, 9), (4, 3, 3, 3), {"padding": ((1, 1), (2, 0))}),
    "strided": ((2, 3, 9, 8), (5, 3, 3, 2), {"stride": (2, 3)}),
    "dilated": ((1, 3, 11, 9), (5, 3, 3, 2), {"dilation": (2, 3), "padding": ((2, 2), (0, 0))}),
    "groups": ((1, 6, 9, 9), (4, 3, 3, 3), {"groups": 2, "padding": ((1, 1), (1, 1))}),
    "one channel a group": ((1, 9, 9, 9), (9, 1, 3, 3), {"groups": 9}),
    "1x1, deep": ((1, 33, 7, 7), (17, 33, 1, 1), {}),
}


def layer(form, x_type, w_type, seed):
    """Arrays and parameters; real results are multiples of 1/4 and 1/8, the zero point is odd."""
    x_shape, w_shape, more = FORMS[form]
    random = np.random.default_rng(seed)
    zx, zw, zy = (131 if x_type == "uint8" else 3), (127 if w_type == "uint8" else 0), 101 if x_type == "uint8" else -27
    x = random.integers(zx - 9, zx + 10, x_shape).astype(x_type)
    w = random.integers(zw - 3, zw + 4, w_shape).astype(w_type)
    bias = random.integers(-20, 21, w_shape[0]).astype(np.int32)
    count = w_shape[0] if w_type == "int8" else 1
    scale = (2.0 ** -random.integers(2, 4, count)).astype(np.float32)
    return (
        x,
        w,
        bias,
        scale,
        (zx, zw, zy),
        {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0),) * 2, "groups": 1} | more,
    )


def model(arrays, shape):
    x, w, bias, scale, (zx, zw, zy), a = arrays
    zeros = [np.array(z, t.dtype) for z, t in ((zx, x), (zw, w), (zy, x))]
    zeros[1] = np.full(scale.shape, zw, w.dtype) if scale.size > 1 else zeros[1]
    constants = {
        "xs": np.float32(0.5), "xz": zeros[0], "w": w, "ws": scale if scale.size > 1 else scale[0], "wz": zeros[1],
        "ys": np.float32(0.5), "yz": zeros[2], "b": bias,
    }  # fmt: skip
    (top, bottom), (left, right) = a["padding"]
    node = helper.make_node(
        "QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], strides=a["stride"],
        dilations=a["dilation"], pads=[top, left, bottom, right], group=a["groups"], kernel_shape=w.shape[2:],
    )  # fmt: skip
    kind = TYPES[x.dtype.name]
    ends = [helper.make_tensor_value_info(n, kind, s) for n, s in (("x", x.shape), ("y", shape))]
    stored = [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def site(arrays):
    x, w, bias, scale, (zx, zw, zy), a = arrays
    half, attributes = np.array([0.5], np.float32), a | {"layout": "NCHW"}
    tensors = (
        Tensor("x", x.shape, x.dtype.name, Quantization(half, np.array([zx]))),
        Tensor("w", w.shape, w.dtype.name, Quantization(scale, np.full(scale.size, zw), 0), w),
        Tensor("b", bias.shape, "int32", None, bias),
    )
    (shape,) = OP["conv"].shapes("layer", attributes, tensors)
    y = Tensor("y", shape, x.dtype.name, Quantization(half, np.array([zy])))
    return Site(Node("layer", "conv", ("x", "w", "b"), ("y",), attributes), tensors, (y,), "onnx")


def session(proto, x):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"]).run(None, {"x": x})[0]


def evaluator(proto, x):
    return ReferenceEvaluator(proto).run(None, {"x": x})[0]


def rule(profile, tags):
    return next(e.rule for e in ENTRIES[profile] if e.op == "conv" and set(e.tags.split()) <= tags)


@pytest.mark.parametrize("form", FORMS)
def test_every_output_of_qlinearconv(form):
    for seed, kinds in enumerate(KINDS):
        arrays = layer(form, *kinds, seed)
        place = site(arrays)
        layer_ = OP["conv"].bind(place, Rounding.TIES_EVEN)
        acc = layer_.gather((arrays[0], arrays[1], arrays[2]))
        proto = model(arrays, place.outputs[0].shape)
        runtimes = {"onnxruntime": session} | {"onnx-reference": evaluator}
        answers = {p: layer_.finish(acc, rule(p, OP["conv"].tags(place)))[0] for p in ("onnxruntime", "onnx-reference")}
        assert (answers["onnxruntime"] != answers["onnx-reference"]).any()
        for profile, run in runtimes.items():
            assert_same(got=run(proto, arrays[0]), expected=answers[profile])
        for other in ("double_up", "gemmlowp_double"):
            assert (layer_.finish(acc, f"{other}/double_product/after")[0] != answers["onnxruntime"]).any()
        text = layer_.finish(acc, rule("onnx-text", OP["conv"].tags(place)))[0]
        assert_same(got=text, expected=answers["onnxruntime"])


def test_the_value_of_an_element_is_what_the_text_rounds():
    arrays = layer("padded", "uint8", "int8", 0)
    place = site(arrays)
    layer_ = OP["conv"].bind(place, Rounding.TIES_EVEN)
    inputs = arrays[0], arrays[1], arrays[2]
    codes = layer_.finish(layer_.gather(inputs), "exact_ties_even/exact_product/after")[0]
    zero_point = arrays[4][2]
    for at in np.ndindex(codes.shape):
        value = layer_.element(inputs, 0, at).value
        assert isinstance(value, Fraction)
        assert codes[at] == min(max(round(value - zero_point) + zero_point, 0), 255)
