"""Small models for the tests of `refq trace`: scales are dyadic and zero points odd, so ties exist."""

from typing import Any

import numpy as np
import onnx_models as om
from tflite_models import O, T, model


def _draw() -> Any:
    return np.random.Generator(np.random.PCG64(7))


def small_net() -> bytes:
    """x (1, 6, 6, 3) -> conv -> depthwise conv -> add -> average pool -> reshape -> fully connected, in int8."""
    rng = _draw()
    w1, w2 = rng.integers(-127, 128, (5, 3, 3, 3), np.int8), rng.integers(-127, 128, (1, 3, 3, 5), np.int8)
    w3 = rng.integers(-127, 128, (7, 45), np.int8)
    b1, b2, b3 = (rng.integers(-300, 300, n, np.int32) for n in (5, 5, 7))
    conv = {"padding": 0, "strideW": 1, "strideH": 1}
    tensors = [
        T("x", (1, 6, 6, 3), scale=0.5, zero_point=-3),
        T("w1", data=w1, scale=[2.0**-8] * 5, zero_point=0, axis=0),
        T("b1", data=b1, scale=[2.0**-9] * 5),
        T("a", (1, 6, 6, 5), scale=0.5, zero_point=-7),
        T("w2", data=w2, scale=[2.0**-9, 0.0031, 2.0**-8, 0.0017, 0.0022], axis=3),
        T("b2", data=b2, scale=[2.0**-10, 0.00155, 2.0**-9, 0.00085, 0.0011]),
        T("b", (1, 6, 6, 5), scale=0.25, zero_point=5),
        T("c", (1, 6, 6, 5), scale=0.5, zero_point=1),
        T("d", (1, 3, 3, 5), scale=0.5, zero_point=1),
        T("shape", data=np.int32([1, 45])),
        T("e", (1, 45), scale=0.5, zero_point=1),
        T("w3", data=w3, scale=2.0**-9),
        T("b3", data=b3, scale=2.0**-10),
        T("y", (1, 7), scale=0.125, zero_point=3),
    ]
    pool = {"padding": 1, "strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}
    depthwise = {"padding": 0, "strideW": 1, "strideH": 1, "depthMultiplier": 1}
    operators = [
        O("CONV_2D", ["x", "w1", "b1"], ["a"], "Conv2DOptions", conv, 3),
        O("DEPTHWISE_CONV_2D", ["a", "w2", "b2"], ["b"], "DepthwiseConv2DOptions", depthwise, 3),
        O("ADD", ["a", "b"], ["c"], "AddOptions", {}, 2),
        O("AVERAGE_POOL_2D", ["c"], ["d"], "Pool2DOptions", pool, 2),
        O("RESHAPE", ["d", "shape"], ["e"], "ReshapeOptions", {"newShape": [1, 45]}),
        O("FULLY_CONNECTED", ["e", "w3", "b3"], ["y"], "FullyConnectedOptions", {}, 4),
    ]
    return model(tensors, operators, ["x"], ["y"])


def qoperator_net() -> bytes:
    """x (1, 3, 6, 6) uint8 -> QLinearConv per channel -> QLinearConv in groups, odd zero points."""
    rng = _draw()
    x = om.Q("x", 0.5, 121, "uint8", (1, 3, 6, 6))
    w1 = om.Q("w1", [2.0**-8, 0.003, 2.0**-9, 0.0021], 0, "int8", codes=rng.integers(-127, 128, (4, 3, 3, 3)), axis=0)
    a = om.Q("a", 0.5, 7, "uint8", (1, 4, 6, 6))
    w2 = om.Q("w2", 2.0**-7, 0, "int8", codes=rng.integers(-127, 128, (6, 2, 3, 3)))
    y = om.Q("y", 0.5, 131, "uint8", (1, 6, 6, 6))
    one, first = om.qlinear("Conv", [x, w1], a, rng.integers(-300, 300, 4), pads=[1, 1, 1, 1])
    two, second = om.qlinear("Conv", [a, w2], y, rng.integers(-300, 300, 6), pads=[1, 1, 1, 1], group=2)
    return om.model([one, two], [x.value()], [y.value()], {**first, **second})


def qdq_net() -> bytes:
    """x float32 -> quantize -> conv with relu -> add of itself -> dequantize, between QDQ nodes."""
    rng = _draw()
    x = om.Q("xq", 0.5, 121, "uint8")
    w = om.Q("w", [2.0**-8, 0.003, 2.0**-9, 0.0021], 0, "int8", codes=rng.integers(-127, 128, (4, 3, 3, 3)), axis=0)
    bias = om.bias_of("bias", rng.integers(-300, 300, 4), x, w)
    a, y = om.Q("a", 0.5, 0, "uint8"), om.Q("yq", 0.5, 3, "uint8")
    nodes = [
        om.quantize(x, "x"), *map(om.dequantize, (x, w, bias)),
        om.N("Conv", ["xq_float", "w_float", "bias_float"], ["real"], {"pads": [1, 1, 1, 1]}),
        om.N("Relu", ["real"], ["relu"]), om.quantize(a, "relu"), om.dequantize(a),
        om.N("Add", ["a_float", "a_float"], ["sum"]), om.quantize(y, "sum"), om.dequantize(y),
    ]  # fmt: skip
    constants = {k: v for q in (x, w, bias, a, y) for k, v in q.constants().items()}
    ends = [("x", "float32", (1, 3, 6, 6))], [("yq_float", "float32", (1, 4, 6, 6))]
    return om.model(nodes, *ends, constants)


def transposing_net() -> bytes:
    """x (1, 3, 4) -> (3, 1, 4) -> fully connected: samples would meet in the transpose, so they are run one by one."""
    rng = _draw()
    tensors = [
        T("x", (1, 3, 4), scale=0.5, zero_point=-3),
        T("perm", data=np.int32([1, 0, 2])),
        T("t", (3, 1, 4), scale=0.5, zero_point=-3),
        T("w", data=rng.integers(-127, 128, (5, 4), np.int8), scale=2.0**-8),
        T("b", data=rng.integers(-99, 99, 5, np.int32), scale=2.0**-9),
        T("y", (3, 5), scale=0.5, zero_point=7),
    ]
    operators = [
        O("TRANSPOSE", ["x", "perm"], ["t"], "TransposeOptions", {}, 2),
        O("FULLY_CONNECTED", ["t", "w", "b"], ["y"], "FullyConnectedOptions", {}, 4),
    ]
    return model(tensors, operators, ["x"], ["y"])


def two_inputs() -> bytes:
    """p, q (2, 3, 5) -> p + q: two inputs, and a batch of two in the model itself."""
    tensors = [
        T("p", (2, 3, 5), scale=0.5, zero_point=-3),
        T("q", (2, 3, 5), scale=0.25, zero_point=4),
        T("y", (2, 3, 5), scale=0.5, zero_point=1),
    ]
    return model(tensors, [O("ADD", ["p", "q"], ["y"], "AddOptions", {}, 2)], ["p", "q"], ["y"])
