"""Files of one operator, read and run, against LiteRT's three modes: the importer says what the runtime does."""

import numpy as np
import pytest
from model_zoo import ZOO
from refq_cases import assert_same
from tflite_models import MODES, O, T, model, run_litert

from refq.graphs import run
from refq.importers.tflite import read_tflite

PROFILES = {"litert": "litert-xnnpack", "litert-builtin": "litert-builtin", "litert-reference": "litert-reference"}
SAME, VALID = 0, 1
RNG = np.random.default_rng(23)


def q(name, shape, scale=0.043, zero=5, dtype="int8"):
    return T(name, shape, dtype, scale, zero)


def w(shape, axis, channels=None, dtype="int8"):
    """Random weights, scales a channel."""
    scales = RNG.uniform(0.005, 0.02, channels).astype(np.float32) if channels else np.float32(0.0093)
    return T(
        "w", shape, dtype, scales, 0, axis, RNG.integers(-8 if dtype == "int4" else -127, 8, shape).astype(np.int8)
    )


def k(name, *values):
    return T(name, data=np.array(values, np.int32))


def window(stride, padding, dilation=(1, 1), **more):
    found = {"strideH": stride[0], "strideW": stride[1], "padding": padding}
    return found | {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]} | more


def biased(x, weights, dtype="int32"):
    """Input, weights and a bias of the scale that goes with them; without one XNNPACK leaves the operator alone."""
    channels = weights.shape[weights.axis]
    scale = np.float32(x.scale) * weights.scale
    return [x, weights, T("b", None, dtype, scale, 0, 0, RNG.integers(-2000, 2000, channels).astype(dtype))]


def pooled(**fields):
    return {"strideH": 2, "strideW": 2, "padding": SAME} | fields


# tensors but the result, operator, inputs, shape of the result, options
CASES = {
    "conv same, stride 2, even": (biased(q("x", (1, 8, 7, 3)), w((5, 3, 2, 3), 0, 5)), "CONV_2D", (1, 4, 4, 5),
                                  "Conv2DOptions", window((2, 2), SAME, fusedActivationFunction=3)),
    "conv dilated, valid": (biased(q("x", (2, 9, 8, 3)), w((4, 3, 3, 3), 0, 4)), "CONV_2D", (2, 5, 2, 4),
                            "Conv2DOptions", window((1, 1), VALID, (2, 3), fusedActivationFunction=1)),
    "conv dilated, same": (biased(q("x", (1, 9, 8, 2)), w((4, 3, 3, 2), 0)), "CONV_2D", (1, 9, 8, 4),
                           "Conv2DOptions", window((1, 1), SAME, (2, 3))),
    "conv of int4": (biased(q("x", (1, 5, 5, 3)), w((3, 3, 3, 3), 0, 3, "int4")), "CONV_2D", (1, 5, 5, 3),
                     "Conv2DOptions", window((1, 1), SAME)),
    "depthwise, multiplier 2": (biased(q("x", (1, 6, 5, 3)), w((1, 3, 3, 6), 3, 6)), "DEPTHWISE_CONV_2D",
                                (1, 3, 3, 6), "DepthwiseConv2DOptions", window((2, 2), SAME, depthMultiplier=2)),
    "depthwise in time": (biased(q("x", (1, 1, 12, 7)), w((1, 1, 3, 7), 3, 7)), "DEPTHWISE_CONV_2D", (1, 1, 4, 7),
                          "DepthwiseConv2DOptions", window((1, 1), VALID, (1, 4), depthMultiplier=1)),
    "max pool": ([q("x", (1, 7, 6, 3))], "MAX_POOL_2D", (1, 4, 3, 3), "Pool2DOptions",
                 pooled(filterHeight=3, filterWidth=2)),
    "average pool": ([q("x", (1, 7, 6, 3))], "AVERAGE_POOL_2D", (1, 4, 3, 3), "Pool2DOptions",
                     pooled(filterHeight=3, filterWidth=2, fusedActivationFunction=1)),
    "dense": (biased(q("x", (2, 3, 4)), w((5, 12), 0)), "FULLY_CONNECTED", (2, 5), "FullyConnectedOptions", {}),
    "dense, dimensions kept": ([q("x", (2, 3, 4)), w((5, 4), 0)], "FULLY_CONNECTED", (2, 3, 5),
                               "FullyConnectedOptions", {"keepNumDims": True, "fusedActivationFunction": 1}),
    "mean": ([q("x", (1, 4, 5, 3)), k("axes", 1, 2)], "MEAN", (1, 3), "ReducerOptions", {}),
    "largest": ([q("x", (2, 4, 5)), k("axis", -1)], "ARG_MAX", (2, 4), "ArgMaxOptions", {"outputType": 2}),
    "add": ([q("x", (1, 4, 5)), q("z", (1, 1, 5), 0.031, -7)], "ADD", (1, 4, 5), "AddOptions",
            {"fusedActivationFunction": 1}),
    "sub": ([q("x", (1, 4, 5)), q("z", (1, 4, 5), 0.031, -7)], "SUB", (1, 4, 5), "SubOptions", {}),
    "mul": ([q("x", (1, 4, 5)), q("z", (1, 4, 5), 0.031, -7)], "MUL", (1, 4, 5), "MulOptions", {}),
    "matmul": ([q("x", (2, 3, 4)), q("z", (2, 4, 5), 0.031, -7)], "BATCH_MATMUL", (2, 3, 5), "BatchMatMulOptions", {}),
    "softmax": ([q("x", (3, 11))], "SOFTMAX", (3, 11), "SoftmaxOptions", {"beta": 0.7}),
    "leaky": ([q("x", (3, 11))], "LEAKY_RELU", (3, 11), "LeakyReluOptions", {"alpha": 0.2}),
    "relu6": ([q("x", (3, 11))], "RELU6", (3, 11), "", {}),
    "requantize": ([q("x", (3, 11))], "QUANTIZE", (3, 11), "QuantizeOptions", {}),
}  # fmt: skip
RESULTS = {"ARG_MAX": {"dtype": "int32", "scale": None}, "SOFTMAX": {"scale": 1 / 256, "zero_point": -128},
           "MAX_POOL_2D": {"scale": 0.043, "zero_point": 5}, "AVERAGE_POOL_2D": {"scale": 0.043, "zero_point": 5},
           "FULLY_CONNECTED": {"scale": 0.11, "zero_point": -3}, "MEAN": {"scale": 0.043, "zero_point": 5}}  # fmt: skip


def run_one(content, mode, repeat=1):
    """Random inputs by LiteRT and by the graph."""
    graph = read_tflite(content)
    rng = np.random.default_rng(31)
    inputs = {n: rng.integers(-128, 128, graph.tensors[n].shape).astype(np.int8) for n in graph.inputs}
    expected = run_litert(content, mode, inputs)
    got = run(graph, inputs, PROFILES[mode])
    return sum(assert_same(got[n], e) for n, e in zip(graph.outputs, expected, strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_one_operator_as_litert_runs_it(case, mode):
    tensors, code, shape, options, fields = CASES[case]
    result = T("y", shape, **{"dtype": "int8", "scale": 0.09, "zero_point": 3} | RESULTS.get(code, {}))
    names = [t.name for t in tensors]
    ends = [t.name for t in tensors if t.data is None]
    content = model([*tensors, result], [O(code, names, ["y"], options, fields)], ends, ["y"])
    assert run_one(content, mode) > 0


TRANSPOSED = [((4, 5), (3, 3), (2, 2), SAME, (8, 10)), ((4, 5), (3, 3), (2, 2), SAME, (7, 9)),
              ((4, 5), (2, 2), (3, 3), SAME, (12, 15)), ((4, 5), (3, 3), (2, 2), VALID, (9, 11)),
              ((4, 5), (3, 3), (2, 2), VALID, (10, 12))]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("x", "kernel", "stride", "padding", "y"), TRANSPOSED)
def test_transposed_convolutions_as_litert_runs_them(x, kernel, stride, padding, y, mode):
    operands = biased(q("x", (1, *x, 3)), w((4, *kernel, 3), 0, 4))
    tensors = [k("s", 1, *y, 4), *operands, q("y", (1, *y, 4), 0.09, 3)]
    fields = {"strideH": stride[0], "strideW": stride[1], "padding": padding}
    operators = [O("TRANSPOSE_CONV", ["s", "w", "x", "b"], ["y"], "TransposeConvOptions", fields, 3)]
    assert run_one(model(tensors, operators, ["x"], ["y"]), mode) > 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["keyword_net", "streaming_net", "mobilenet_v1_int4"])
def test_whole_models_as_litert_runs_them(name, mode):
    assert run_one(ZOO[name](), mode) > 0
