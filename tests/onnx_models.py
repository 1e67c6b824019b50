"""Models in .onnx files, built in memory for the tests, and ONNX Runtime at each of its optimisation levels."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

LEVELS = {
    "off": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
MICROSOFT = "com.microsoft"
QLINEAR = {
    "Conv": ("", "QLinearConv"),
    "MatMul": ("", "QLinearMatMul"),
    "Gemm": (MICROSOFT, "QGemm"),
    "Add": (MICROSOFT, "QLinearAdd"),
    "Mul": (MICROSOFT, "QLinearMul"),
    "AveragePool": (MICROSOFT, "QLinearAveragePool"),
    "GlobalAveragePool": (MICROSOFT, "QLinearGlobalAveragePool"),
    "LeakyRelu": (MICROSOFT, "QLinearLeakyRelu"),
    "Sigmoid": (MICROSOFT, "QLinearSigmoid"),
    "Softmax": (MICROSOFT, "QLinearSoftmax"),
    "Concat": (MICROSOFT, "QLinearConcat"),
}


@dataclass
class N:
    """A node. domain: "" for ONNX's own ops, MICROSOFT for ONNX Runtime's."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    domain: str = ""
    name: str = ""


@dataclass
class Q:
    """A quantized operand: scale (a number, or one a channel), zero point, dtype; codes of a constant, or a shape."""

    name: str
    scale: Any
    zero_point: Any = 0
    dtype: str = "int8"
    shape: tuple[Any, ...] | None = None
    codes: Any = None
    axis: int | None = None

    def constants(self) -> dict[str, Any]:
        """Scale, zero point and codes as initializers."""
        scale = np.asarray(self.scale, np.float32)
        zeros = np.broadcast_to(np.asarray(self.zero_point, self.dtype), scale.shape).copy()
        found = {f"{self.name}_scale": scale, f"{self.name}_zero": zeros}
        return found if self.codes is None else {**found, self.name: np.asarray(self.codes, self.dtype)}

    def triple(self) -> list[str]:
        """What a QLinear op takes for it."""
        return [self.name, f"{self.name}_scale", f"{self.name}_zero"]

    def value(self) -> tuple[str, str, Any]:
        """Its declaration as an input or output of the graph."""
        return self.name, self.dtype, self.shape


def value(name: str, dtype: str, shape: Any) -> Any:
    """The declaration of an input or output; a string in the shape is a free dimension."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def model(
    nodes: list[N], inputs: list[tuple[str, str, Any]], outputs: list[tuple[str, str, Any]], constants: dict[str, Any],
    opset: int = 21, ir: int = 10,
) -> bytes:  # fmt: skip
    """The bytes of a file with one graph; inputs and outputs are (name, dtype, shape)."""
    made = []
    for i, n in enumerate(nodes):
        name = n.name or f"{n.op}_{i}"
        made.append(helper.make_node(n.op, n.inputs, n.outputs, name=name, domain=n.domain, **n.attributes))
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(made, "g", [value(*v) for v in inputs], [value(*v) for v in outputs], stored)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=ir).SerializeToString()
    return content


def qoperator(op: str, operands: list[Q], y: Q, bias: Any = None, opset: int = 21, **attributes: Any) -> bytes:
    """One op in QOperator form; op is the name of the float op ("Conv" gives QLinearConv)."""
    extra = {"opset": opset} if op == "Softmax" else {}
    node, constants = qlinear(op, operands, y, bias, **attributes, **extra)
    free = [q.value() for q in operands if q.codes is None]
    return model([node], free, [y.value()], constants, opset)


def qlinear(op: str, operands: list[Q], y: Q, bias: Any = None, **attributes: Any) -> tuple[N, dict[str, Any]]:
    """The node of a QLinear op and the constants that it reads."""
    domain, name = QLINEAR[op]
    triples = [part for q in operands for part in q.triple()]
    extra = [] if bias is None else [f"{y.name}_bias"]
    inputs = {
        "Concat": [*y.triple()[1:], *triples],
        "Gemm": [*triples, *(extra or [""]), *y.triple()[1:]],
    }.get(op, [*triples, *y.triple()[1:], *extra])
    constants = {k: v for q in (*operands, y) for k, v in q.constants().items()}
    if bias is not None:
        constants[extra[0]] = np.asarray(bias, np.int32)
    return N(name, inputs, [y.name], attributes, domain, f"{name}_{y.name}"), constants


def dequantize(q: Q) -> N:
    """The DequantizeLinear node of an operand; its result is named NAME_float."""
    return N("DequantizeLinear", q.triple(), [f"{q.name}_float"], {} if q.axis is None else {"axis": q.axis})


def quantize(q: Q, source: str) -> N:
    """The QuantizeLinear node that makes an operand of a float tensor."""
    return N("QuantizeLinear", [source, *q.triple()[1:]], [q.name], {} if q.axis is None else {"axis": q.axis})


def qdq(op: str, operands: list[Q], y: Q, bias: Q | None = None, after: tuple[N, ...] = (), opset: int = 21,
        **attributes: Any) -> bytes:  # fmt: skip
    """One float op between DequantizeLinear and QuantizeLinear nodes.

    bias: an int32 operand with scale x_scale * w_scale. after: float nodes between the op and the QuantizeLinear, the
    first reads "real", the last writes "real_end".
    """
    every = [*operands, *([] if bias is None else [bias])]
    end = "real_end" if after else "real"
    float_node = N(op, [f"{q.name}_float" for q in every], ["real"], attributes)
    nodes = [*(dequantize(q) for q in every), float_node, *after, quantize(y, end)]
    constants = {k: v for q in (*every, y) for k, v in q.constants().items()}
    return model(nodes, [q.value() for q in every if q.codes is None], [y.value()], constants, opset)


def bias_of(name: str, codes: Any, x: Q, w: Q) -> Q:
    """The int32 operand of a bias: scale float32(x_scale * w_scale), zero point 0."""
    scale = np.float32(x.scale) * np.asarray(w.scale, np.float32)
    return Q(name, scale, 0, "int32", codes=codes, axis=0 if scale.ndim else None)


def session(content: bytes, level: str = "all", save: str = "") -> onnxruntime.InferenceSession:
    """A session of one thread; save: where to write the optimized model."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if save:
        options.optimized_model_filepath = save
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run_onnx(content: bytes, level: str, inputs: dict[str, Any]) -> list[Any]:
    """The outputs of a file at one of LEVELS, one thread; inputs by name."""
    return list(session(content, level).run(None, inputs))


def run_all(content: bytes, level: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Every tensor that a node writes, made a graph output; this forbids the rewriting of what is now read outside."""
    whole = onnx.load_from_string(content)
    present = {v.name for v in whole.graph.output}
    added = [o for n in whole.graph.node for o in n.output if o and o not in present]
    whole.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in added)
    names = [v.name for v in whole.graph.output]
    return dict(zip(names, session(whole.SerializeToString(), level).run(names, inputs), strict=True))


def optimized(content: bytes, level: str, folder: Any) -> list[str]:
    """The ops that ONNX Runtime makes of a file at one of LEVELS, in order; folder: a place for the file."""
    path = str(folder / f"optimized_{level}.onnx")
    session(content, level, path)
    return [node.op_type for node in onnx.load(path).graph.node]


__all__ = ["LEVELS", "MICROSOFT", "TensorProto", "bias_of", "model", "optimized", "qdq", "qoperator", "run_onnx"]
