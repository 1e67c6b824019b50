"""Float ops of .onnx files, as they stand between DequantizeLinear and QuantizeLinear where nothing is fused."""

from __future__ import annotations

from typing import Any

from refq.graphs.records import Quantization, Tensor
from refq.graphs.sites import INTEGERS
from refq.importers.onnx_making import Making, axis_of, emit, integers, known, plain
from refq.importers.onnx_products import conv_attributes
from refq.importers.onnx_records import OnnxNode, reject
from refq.importers.onnx_windows import layout_of, pooling


def _inputs(making: Making, node: OnnxNode) -> list[Tensor | None]:
    found = [plain(making, node, name) if name else None for name in node.inputs]
    for tensor in found:
        if tensor is not None and tensor.dtype != "float32":
            reject(making.model.file, node, f"{tensor.name} is {tensor.dtype}; on codes use {_nearest(node.op)}")
    return found


def _nearest(op: str) -> str:
    forms = {"Conv": "QLinearConv or ConvInteger", "MatMul": "QLinearMatMul or MatMulInteger", "Gemm": "QGemm"}
    return forms.get(op, f"com.microsoft QLinear{op} or DequantizeLinear before it")


def conv(making: Making, node: OnnxNode) -> None:
    """Conv."""
    inputs = _inputs(making, node)
    x, w = inputs[0], inputs[1] if len(inputs) > 1 else None
    if x is None or w is None:
        reject(making.model.file, node, "has no weights")
    found = {k: v for k, v in conv_attributes(making, node, x, w).items() if k != "activation"}
    emit(making, node, "float_conv", [x, w, inputs[2] if len(inputs) > 2 else None], found, "float32")


def plain_float(making: Making, node: OnnxNode) -> None:
    """Ops whose attributes are none, or are handed on by name."""
    op, defaults = PLAIN[node.op]
    found = {ours: type(default)(node.attributes.get(theirs, default)) for ours, theirs, default in defaults}
    inputs = _inputs(making, node)
    emit(making, node, op, inputs, found, "float32")


def product(making: Making, node: OnnxNode) -> None:
    """MatMul and Gemm: ONNX Runtime packs a right side that is a constant of its graph."""
    op, defaults = PLAIN[node.op]
    found = {ours: type(default)(node.attributes.get(theirs, default)) for ours, theirs, default in defaults}
    inputs = _inputs(making, node)
    right = inputs[1]
    fixed = right is not None and right.data is not None and len(right.shape) == 2
    if fixed and node.inputs[1] not in making.model.computed:
        found["packed"] = True
    emit(making, node, op, inputs, found, "float32")


PLAIN: dict[str, tuple[str, tuple[tuple[str, str, Any], ...]]] = {
    "MatMul": ("float_matmul", ()),
    "Gemm": ("float_gemm", (("alpha", "alpha", 1.0), ("beta", "beta", 1.0), ("trans_a", "transA", False),
                            ("trans_b", "transB", False))),
    "Add": ("float_add", ()),
    "Sub": ("float_sub", ()),
    "Mul": ("float_mul", ()),
    "Relu": ("float_relu", ()),
    "LeakyRelu": ("float_leaky_relu", (("alpha", "alpha", 0.01),)),
    "Sigmoid": ("float_sigmoid", ()),
    "Tanh": ("float_tanh", ()),
}  # fmt: skip


def relu(making: Making, node: OnnxNode) -> None:
    """Relu; on codes it keeps those above code 0, which is a relu where the zero point is 0."""
    x = plain(making, node, node.input(0))
    if x.dtype == "float32":
        plain_float(making, node)
    elif _zero_is_zero(x.quantization):
        emit(making, node, "relu", [x], {}, x.dtype)
    else:
        reject(making.model.file, node, f"Relu on {x.dtype} codes needs zero point 0; dequantize before it")


def _zero_is_zero(quantization: Quantization | None) -> bool:
    return quantization is not None and not quantization.zero_point.any()


def _bound(making: Making, node: OnnxNode, place: int, name: str) -> float | None:
    """A bound of a Clip, None where it is absent; an attribute below opset 11."""
    data = known(making, node, place, name)
    if data is None:
        return float(node.attributes[name]) if name in node.attributes else None
    if data.size != 1:
        reject(making.model.file, node, f"{name} has shape {data.shape}; pass one value")
    return float(data.ravel()[0])


def clip(making: Making, node: OnnxNode) -> None:
    """Clip; on codes only where it changes none."""
    x = plain(making, node, node.input(0))
    if x.dtype not in ("float32", *INTEGERS):
        reject(making.model.file, node, f"{x.name} is {x.dtype}; pass float32 or codes")
    low, high = _bound(making, node, 1, "min"), _bound(making, node, 2, "max")
    if x.dtype == "float32":
        emit(making, node, "float_clip", [x], {"low": low, "high": high}, "float32")
        return
    ends = INTEGERS[x.dtype]
    if (low is not None and low > ends.qmin) or (high is not None and high < ends.qmax):
        reject(making.model.file, node, f"Clip on {x.dtype} codes is not supported; clip floats before QuantizeLinear")
    emit(making, node, "reshape", [x], {}, x.dtype, (x.shape,))


def softmax(making: Making, node: OnnxNode) -> None:
    """Softmax; below opset 13 all dimensions from the axis on are one row."""
    (x,) = _inputs(making, node)
    if x is None:
        reject(making.model.file, node, "has no input")
    axis = axis_of(making, node, int(node.attributes.get("axis", -1 if making.model.opset >= 13 else 1)), len(x.shape))
    if making.model.opset < 13 and any(n != 1 for n in x.shape[axis + 1 :]):
        reject(making.model.file, node, f"axis={axis} joins dimensions below opset 13; pass the last one")
    emit(making, node, "float_softmax", [x], {"axis": axis}, "float32")


def average_pool(making: Making, node: OnnxNode) -> None:
    """AveragePool."""
    (x,) = _inputs(making, node)
    if x is None:
        reject(making.model.file, node, "has no input")
    found = {k: v for k, v in pooling(making, node, x.shape).items() if k != "activation"}
    emit(making, node, "float_average_pool", [x], {**found, "opset": making.model.opset}, "float32")


def mean(making: Making, node: OnnxNode) -> None:
    """ReduceMean."""
    x = plain(making, node, node.input(0))
    axes = integers(making, node, 1, "axes", "the axes") or ()
    if x.dtype != "float32" or (not axes and node.attributes.get("noop_with_empty_axes", 0)):
        reject(making.model.file, node, f"of {x.dtype} without work is not supported; pass float32 and axes")
    places = tuple(axis_of(making, node, axis, len(x.shape)) for axis in axes) or tuple(range(len(x.shape)))
    found = {"axes": places, "keep_dims": bool(node.attributes.get("keepdims", 1))}
    emit(making, node, "float_mean", [x], found, "float32")


def global_average_pool(making: Making, node: OnnxNode) -> None:
    """GlobalAveragePool."""
    (x,) = _inputs(making, node)
    if x is None:
        reject(making.model.file, node, "has no input")
    emit(making, node, "float_global_average_pool", [x], {"layout": layout_of(making, node, len(x.shape))}, "float32")


FLOATS = {
    **{("", op): plain_float for op in PLAIN},
    ("", "MatMul"): product,
    ("", "Gemm"): product,
    ("", "Conv"): conv,
    ("", "Relu"): relu,
    ("", "Clip"): clip,
    ("", "Softmax"): softmax,
    ("", "AveragePool"): average_pool,
    ("", "ReduceMean"): mean,
    ("", "GlobalAveragePool"): global_average_pool,
}
