"""Operands that are not the usual ones: 16 and 4 bits, channels, zero points of weights, constants, shared tensors."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx_models import MICROSOFT, N, Q, dequantize, model, qdq, qoperator, quantize
from test_import_onnx import BYTES, at_every_level, numbers

from refq.graphs.running import run
from refq.importers import read_onnx


@pytest.mark.parametrize("dtype", ["int16", "uint16"])
def test_sixteen_bits(dtype: str) -> None:
    x, y, z = Q("x", 0.001, 37, dtype), Q("y", 0.001, 37, dtype), Q("z", 0.002, 5, dtype)
    nodes = [
        quantize(x, "in"), dequantize(x), N("Transpose", ["x_float"], ["t"], {"perm": [1, 0]}), quantize(y, "t"),
        dequantize(y), N("Relu", ["y_float"], ["r"]), quantize(z, "r"),
    ]  # fmt: skip
    constants = x.constants() | y.constants() | z.constants()
    content = model(nodes, [("in", "float32", (5, 40))], [("z", dtype, None)], constants)
    at_every_level(content, {"in": numbers((5, 40), "float32")})
    a, b = Q("a", 0.001, 3, dtype, (4, 9)), Q("b", 0.002, 5, dtype, (4, 9))
    inputs = {"a": numbers((4, 9), dtype), "b": numbers((4, 9), dtype, 1)}
    at_every_level(qdq("Add", [a, b], Q("y", 0.003, 7, dtype, (4, 9))), inputs)


@pytest.mark.parametrize("dtype", BYTES)
def test_channels_of_activations(dtype: str) -> None:
    a = Q("a", [0.1, 0.2, 0.3], [1, 2, 3], dtype, (4, 3, 5), axis=1)
    b = Q("b", [0.11, 0.19, 0.27], [4, 5, 6], dtype, (4, 3, 5), axis=-2)
    nodes = [dequantize(a), N("Relu", ["a_float"], ["r"]), quantize(b, "r")]
    content = model(nodes, [a.value()], [b.value()], a.constants() | b.constants())
    at_every_level(content, {"a": numbers((4, 3, 5), dtype)})
    assert [n.op for n in read_onnx(content, fusion="integer").nodes] == ["dequantize", "float_relu", "quantize"]


@pytest.mark.parametrize("form", [qoperator, qdq])
def test_weights_with_zero_points(form: Any) -> None:
    x, y = Q("x", 0.1, 3, "uint8", (2, 4, 5, 5)), Q("y", 0.7, 9, "uint8", (2, 3, 3, 3))
    w = Q("w", [0.05, 0.06, 0.07], [100, 128, 13], "uint8", codes=numbers((3, 4, 3, 3), "uint8", 1), axis=0)
    at_every_level(form("Conv", [x, w], y), {"x": numbers((2, 4, 5, 5), "uint8")})


def test_weights_of_four_bits() -> None:
    """Two codes a byte, an odd number of them."""
    codes = np.random.default_rng(4).integers(-8, 8, (3, 3, 3, 3))
    x, y = Q("x", 0.1, 3, "uint8", (2, 3, 5, 5)), Q("y", 0.7, 9, "uint8", (2, 3, 3, 3))
    proto = onnx.load_from_string(qdq("Conv", [x, Q("w", 0.05, 0, codes=codes)], y))
    pairs = np.append(codes.ravel() & 15, 0)
    raw = (pairs[::2] + 16 * pairs[1::2]).astype(np.uint8).tobytes()
    for tensor in proto.graph.initializer:
        if tensor.name in ("w", "w_zero"):
            dims = codes.shape if tensor.name == "w" else ()
            stored = raw if tensor.name == "w" else b"\0"
            tensor.CopyFrom(TensorProto(name=tensor.name, data_type=TensorProto.INT4, dims=dims, raw_data=stored))
    inputs = {"x": numbers((2, 3, 5, 5), "uint8")}
    at_every_level(proto.SerializeToString(), inputs)
    assert read_onnx(proto, fusion="none").tensors["w"].dtype == "int4"


def test_constants_and_shared_tensors() -> None:
    x, y = Q("x", 0.1, 3, "uint8", (2, 16)), Q("y", 0.3, 7, "uint8", (2, 16))
    inputs = {"x": numbers((2, 16), "uint8")}
    at_every_level(qdq("Add", [x, Q("k", 0.2, 1, "uint8", codes=numbers((16,), "uint8"))], y), inputs)
    shown = [y.value(), ("x_float", "float32", (2, 16))]
    nodes = [dequantize(x), N("Mul", ["x_float", "factor"], ["r"]), quantize(y, "r")]
    constants = x.constants() | y.constants() | {"factor": np.float32(1.7)}
    at_every_level(model(nodes, [x.value()], shown, constants), inputs)
    twice = N("QLinearAdd", ["x", "s", "z", "x", "t", "u", "y_scale", "y_zero"], ["y"], {}, MICROSOFT)
    scales = {"s": np.float32(0.1), "z": np.uint8(4), "t": np.float32(0.3), "u": np.uint8(9)}
    content = model([twice], [x.value()], [y.value()], y.constants() | scales)
    at_every_level(content, inputs)
    assert [n.op for n in read_onnx(content).nodes] == ["reshape", "add"]


def test_means_and_softmax_of_inner_axes() -> None:
    x, y = Q("x", 0.1, 3, "uint8", (2, 4, 5, 5)), Q("y", 1 / 256, 0, "uint8", (2, 4, 5, 5))
    inputs = {"x": numbers((2, 4, 5, 5), "uint8")}
    at_every_level(qdq("Softmax", [x], y, axis=1), inputs)
    nodes = [dequantize(x), N("ReduceMean", ["x_float", "axes"], ["m"], {"keepdims": 0}), quantize(y, "m")]
    constants = x.constants() | y.constants() | {"axes": np.array([2, 3])}
    at_every_level(model(nodes, [x.value()], [("y", "uint8", None)], constants), inputs)


def test_many_samples_of_a_model_for_one() -> None:
    x, w = Q("x", 0.1, 3, "uint8", (1, 4, 5, 5)), Q("w", 0.05, 0, codes=numbers((3, 4, 3, 3), "int8"))
    graph = read_onnx(qoperator("Conv", [x, w], Q("y", 0.7, 9, "uint8", (1, 3, 3, 3))))
    data = numbers((7, 4, 5, 5), "uint8")
    together = run(graph, {"x": data}, "onnxruntime")["y"]
    apart = [run(graph, {"x": one[None]}, "onnxruntime")["y"] for one in data]
    assert together.shape == (7, 3, 3, 3)
    assert np.array_equal(together, np.concatenate(apart))


def test_open_batch_and_domain_of_quantizers() -> None:
    x, y = Q("x", 0.1, 3, "uint8", ("N", 4)), Q("y", 0.2, 5, "uint8", ("N", 4))
    nodes = [dequantize(x), N("Relu", ["x_float"], ["r"]), quantize(y, "r")]
    for domain in ("", MICROSOFT):
        for node in (nodes[0], nodes[2]):
            node.domain = domain
        content = model(nodes, [x.value()], [y.value()], x.constants() | y.constants())
        assert read_onnx(content).tensors["x"].shape == (1, 4)
        at_every_level(content, {"x": numbers((5, 4), "uint8")})
