"""QLinearSigmoid, QLinearLeakyRelu, QLinearSoftmax, ArgMax and quantizing ops against ONNX Runtime."""

from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from refq_cases import assert_same
from table_cases import End, OneOp, every, golden

import refq.graphs as graphs
from refq.graphs import Graph, Node, Tensor
from refq.graphs.sites import INTEGERS

TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int16": TensorProto.INT16, "float32": TensorProto.FLOAT}
LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL")


def content(nodes: list[Any], constants: dict[str, Any], x: np.ndarray, y: str, shape: tuple[int, ...]) -> bytes:
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    ends = [
        [helper.make_tensor_value_info("x", TYPES[x.dtype.name], x.shape)],
        [helper.make_tensor_value_info("y", TYPES.get(y, TensorProto.INT64), shape)],
    ]
    graph = helper.make_graph(nodes, "g", *ends, initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def answers(model: bytes, x: np.ndarray) -> list[np.ndarray]:
    """What ONNX Runtime answers at its three levels."""
    found = []
    for level in LEVELS:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        found.append(session.run(None, {"x": x})[0])
    return found


def constants(case: OneOp) -> dict[str, Any]:
    x, y = case.x, case.y
    return {
        "xs": np.float32(x.scale), "xz": np.array(x.zero_point, x.dtype),
        "ys": np.float32(y.scale), "yz": np.array(y.zero_point, y.dtype),
    }  # fmt: skip


def check(case: OneOp, name: str, x: np.ndarray, **attributes: Any) -> None:
    """A com.microsoft op on x equals the golden at all levels."""
    node = helper.make_node(name, ["x", "xs", "xz", "ys", "yz"], ["y"], domain="com.microsoft", **attributes)
    wanted = golden(case, x, "onnxruntime")
    for found in answers(content([node], constants(case), x, case.y.dtype, x.shape), x):
        assert_same(wanted, found)


@cache
def sets(dtype: str) -> list[tuple[End, End]]:
    rng, fmt, found = np.random.default_rng(1), INTEGERS[dtype], []
    for k in range(8):
        scales = [float(2.0**-4 if k == 0 else rng.uniform(0.003, 0.3)), [1 / 256, 0.01, 2.0**-6][k % 3]]
        zeros = [int(rng.integers(fmt.qmin, fmt.qmax + 1)) for _ in range(2)]
        found.append((End(dtype, scales[0], zeros[0]), End(dtype, scales[1], zeros[1])))
    return found


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_sigmoid_and_leaky_relu(dtype: str) -> None:
    x = every(dtype)
    for k, (a, b) in enumerate(sets(dtype)):
        check(OneOp("logistic", a, b, x.shape), "QLinearSigmoid", x)
        alpha = (0.1, 0.25, -0.3)[k % 3]
        b = End(dtype, float(np.float32(a.scale) * (1, 2)[k % 2]), b.zero_point)
        check(OneOp("leaky_relu", a, b, x.shape, {"alpha": alpha}), "QLinearLeakyRelu", x, alpha=alpha)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_softmax(dtype: str) -> None:
    """Depth 1, where the runtime's product overflows, and others; rows built near ties of two values."""
    rng, fmt = np.random.default_rng(2), INTEGERS[dtype]
    for k, depth in enumerate((1, 2, 10, 33)):
        for scale in (0.06, 2.0**-4, 0.2):
            x = rng.integers(fmt.qmax - (40, 255)[k % 2], fmt.qmax + 1, (400, depth)).astype(dtype)
            b = End(dtype, (1 / 256, 1 / 255, 0.005)[k % 3], fmt.qmin + 3 * (k % 2))
            check(
                OneOp("softmax", End(dtype, scale, 3), b, x.shape, {"beta": 1.0}),
                "QLinearSoftmax",
                x,
                opset=13,
                axis=-1,
            )


def test_softmax_near_ties() -> None:
    """Scales at which a probability times 256 is next to half a step."""
    x = np.array([[120] * 2 + [120 - 31] * 3], np.uint8)
    for k in range(60, 120, 4):
        z = (256 / (k + 0.5) - 2) / 3
        if 0 < z < 1:
            case = OneOp(
                "softmax", End("uint8", float(np.float32(-np.log(z) / 31)), 0), End("uint8", 1 / 256, 0), x.shape
            )
            case.fields["beta"] = 1.0
            check(case, "QLinearSoftmax", x, opset=13, axis=-1)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_quantize_dequantize_requantize(dtype: str) -> None:
    """All codes through DequantizeLinear; halves of steps into QuantizeLinear; both in a row; the evaluator too."""
    codes, fmt = every(dtype), INTEGERS[dtype]
    for scale, out, zero in ((0.05, 0.2, 3), (2.0**-4, 0.25, -6), (0.3, 0.0437, 7)):
        a, b = End(dtype, scale, abs(zero)), End(dtype, out, abs(zero) + 1)
        dequantize = helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["y"])
        case = OneOp("dequantize", a, End("float32"), codes.shape)
        compare(case, [dequantize], {"xs": np.float32(scale), "xz": np.array(a.zero_point, dtype)}, codes)
        x = ((np.arange(-700, 700) + 0.5).astype(np.float32) * np.float32(out)).reshape(1, -1)
        quantize = helper.make_node("QuantizeLinear", ["x", "ys", "yz"], ["y"])
        case = OneOp("quantize", End("float32"), b, x.shape)
        compare(case, [quantize], {"ys": np.float32(out), "yz": np.array(b.zero_point, dtype)}, x)
        both = OneOp("requantize", a, b, codes.shape)
        pair = [
            helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["r"]),
            helper.make_node("QuantizeLinear", ["r", "ys", "yz"], ["y"]),
        ]
        compare(both, pair, constants(both), codes)
        assert fmt.qmin <= b.zero_point <= fmt.qmax


def compare(case: OneOp, nodes: list[Any], named: dict[str, Any], x: np.ndarray) -> None:
    model = content(nodes, named, x, case.y.dtype, x.shape)
    wanted = golden(case, x, "onnxruntime")
    for found in answers(model, x):
        assert_same(wanted, found)
    assert_same(
        golden(case, x, "onnx-reference"), ReferenceEvaluator(onnx.load_from_string(model)).run(None, {"x": x})[0]
    )


@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", 7), ("int8", -7), ("uint8", 131), ("int16", -7)])
def test_quantize_beyond_int32(dtype: str, zero_point: int) -> None:
    """ONNX Runtime clips first; the evaluator converts to int32 first, and adds the zero point to what it gets."""
    near = [2.0**31, 2.0**31 - 128, 2.0**31 + 256, 3e9, 1e20, 3.4e38, np.inf]
    x = np.float32([[*near, *(-v for v in near)]])
    node = helper.make_node("QuantizeLinear", ["x", "ys", "yz"], ["y"])
    for scale in (1.0, 0.1):
        case = OneOp("quantize", End("float32"), End(dtype, scale, zero_point), x.shape)
        with np.errstate(invalid="ignore", over="ignore"):
            compare(case, [node], {"ys": np.float32(scale), "yz": np.array(zero_point, dtype)}, x)
        assert (golden(case, x, "onnxruntime") != golden(case, x, "onnx-reference")).any()


def test_dequantize_per_channel() -> None:
    """One scale and zero point a channel, along any axis."""
    x = np.random.default_rng(3).integers(-128, 128, (3, 4, 5)).astype(np.int8)
    for axis in range(3):
        scales, zeros = np.linspace(0.03, 0.3, x.shape[axis]).astype(np.float32), np.arange(x.shape[axis]) - 2
        case = OneOp("dequantize", End("int8", scales, zeros, axis), End("float32"), x.shape)
        node = helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["y"], axis=axis)
        compare(case, [node], {"xs": scales, "xz": zeros.astype(np.int8)}, x)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_argmax(dtype: str) -> None:
    x = np.random.default_rng(4).integers(100, 104, (20, 17)).astype(dtype)
    for axis, keep in ((1, 1), (0, 0)):
        shape = (20, 1) if axis == 1 else (17,)
        node = helper.make_node("ArgMax", ["x"], ["y"], axis=axis, keepdims=keep)
        attributes = {"axis": axis, "keep_dims": bool(keep)}
        tensors = {"x": Tensor("x", x.shape, dtype), "y": Tensor("y", shape, "int64")}
        graph = Graph((Node("it", "argmax", ("x",), ("y",), attributes),), tensors, ("x",), ("y",), "onnx")
        for found in answers(content([node], {}, x, "int64", shape), x):
            assert_same(graphs.run(graph, x, "onnxruntime")["y"], found)
