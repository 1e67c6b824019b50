"""Graphs and files of one transposed convolution or one matrix product, and what runtimes make of them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from tflite_models import O, T, model

from refq import Scaling, derive, effective_scale
from refq.graphs import OPS, prepare
from refq.graphs.records import Graph, Node, Quantization, Tensor
from refq.graphs.running import Step

PROFILE = {"litert": "litert-xnnpack", "litert-builtin": "litert-builtin", "litert-reference": "litert-reference"}
"""The profile of each LiteRT mode."""

LEVELS = {
    "off": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def meaning(scale: Any, zero_point: Any = 0, axis: int | None = None) -> Quantization:
    """Scales, and a zero point for each."""
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    zeros = np.broadcast_to(np.asarray(zero_point, np.int64), scales.shape).copy()
    return Quantization(scales, zeros, axis if scales.size > 1 else None)


def one_node(op: str, inputs: Iterable[Tensor | None], result: Tensor, **attributes: Any) -> Graph:
    """A graph of one node; inputs without values are those of the graph."""
    given = list(inputs)
    node = Node("node", op, tuple(t.name if t else None for t in given), (result.name,), attributes)
    tensors = {t.name: t for t in [*given, result] if t}
    return Graph((node,), tensors, tuple(t.name for t in given if t and t.data is None), (result.name,), "tflite")


def step_of(graph: Graph, profile: str) -> Step:
    """The one node, ready to run."""
    return prepare(graph, profile).steps[0]


def reproducing(step: Step, cases: list[tuple[tuple[Any, ...], Any]]) -> set[str]:
    """The rules that give every expected array of (inputs, expected)."""
    left = set(OPS[step.op.name].rules(step.site))
    for inputs, expected in cases:
        gathered = step.bound.gather(inputs)
        left = {rule for rule in left if _gives(step, gathered, rule, expected)}
    return left


def _gives(step: Step, gathered: Any, rule: str, expected: Any) -> bool:
    try:
        return bool((step.bound.finish(gathered, rule)[0] == expected).all())
    except ValueError:
        return False


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TFLite SAME of the convolution that a transposed one undoes, `size` being its input."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def transposed(
    x: Any, w: Any, size: tuple[int, int], *, stride: tuple[int, int], padding: str = "VALID", activation: str = "NONE",
    scales: tuple[Any, Any, Any] = (0.5, 0.5, 1.0), zeros: tuple[int, int, int] = (0, 0, 0), bias: Any = None,
) -> tuple[bytes, Graph]:  # fmt: skip
    """The file and the graph of a TRANSPOSE_CONV; scales and zeros of input, weights and output."""
    shape, dtype = (x.shape[0], *size, w.shape[0]), x.dtype.name
    tensors = [
        T("shape", data=np.array(shape, np.int32)), T("w", data=w, scale=scales[1], zero_point=zeros[1]),
        T("x", x.shape, dtype, scales[0], zeros[0]), T("y", shape, dtype, scales[2], zeros[2]),
    ]  # fmt: skip
    fields = {"padding": getattr(schema.Padding, padding), "strideH": stride[0], "strideW": stride[1]}
    fields["fusedActivationFunction"] = getattr(schema.ActivationFunctionType, activation)
    if bias is not None:
        tensors.append(T("b", data=bias, scale=np.float32(scales[0]) * np.atleast_1d(np.float32(scales[1]))))
        fields["quantizedBiasType"] = getattr(schema.TensorType, bias.dtype.name.upper()) if dtype == "int16" else 0
    inputs = ["shape", "w", "x", *(["b"] if bias is not None else [])]
    node = O("TRANSPOSE_CONV", inputs, ["y"], "TransposeConvOptions", fields, 3)
    ends = zip(size, w.shape[1:3], stride, strict=True)
    cut = tuple(same_padding(*end) if padding == "SAME" else (0, 0) for end in ends)
    graph = one_node(
        "transpose_conv",
        [
            Tensor("x", x.shape, dtype, meaning(scales[0], zeros[0])),
            Tensor("w", w.shape, w.dtype.name, meaning(scales[1], zeros[1], 0), w),
            None if bias is None else Tensor("b", bias.shape, bias.dtype.name, meaning(1.0), bias),
        ],
        Tensor("y", shape, dtype, meaning(scales[2], zeros[2])),
        layout="NHWC", stride=stride, padding=cut, output_size=size, activation=activation.lower(),
        scheme=padding.lower(),
    )  # fmt: skip
    return model(tensors, [node], ["x"], ["y"]), graph


def batch_matmul(
    a: Any, b: Any, *, adj: tuple[bool, bool] = (False, False), constant: bool = False,
    scales: tuple[float, float, float] = (0.5, 0.5, 1.0), zeros: tuple[int, int, int] = (0, 0, 0),
) -> tuple[bytes, Graph]:  # fmt: skip
    """The file and the graph of a BATCH_MATMUL."""
    turned = [v.swapaxes(-1, -2) if t else v for v, t in zip((a, b), adj, strict=True)]
    shape = np.matmul(*(v.astype(np.int64) for v in turned)).shape
    tensors = [
        T("a", a.shape, a.dtype.name, scales[0], zeros[0]),
        T("b", b.shape, b.dtype.name, scales[1], zeros[1], data=b if constant else None),
        T("y", shape, a.dtype.name, scales[2], zeros[2]),
    ]
    node = O("BATCH_MATMUL", ["a", "b"], ["y"], "BatchMatMulOptions", {"adjX": adj[0], "adjY": adj[1]}, 4)
    graph = one_node(
        "batch_matmul",
        [
            Tensor("a", a.shape, a.dtype.name, meaning(scales[0], zeros[0])),
            Tensor("b", b.shape, b.dtype.name, meaning(scales[1], zeros[1]), b if constant else None),
        ],
        Tensor("y", shape, a.dtype.name, meaning(scales[2], zeros[2])),
        adj_x=adj[0], adj_y=adj[1],
    )  # fmt: skip
    return model(tensors, [node], ["a"] if constant else ["a", "b"], ["y"]), graph


def onnx_model(op: str, inputs: list[str], feeds: dict[str, Any], constants: dict[str, Any], dtype: str, **more: Any):
    """A file of one operator whose result is y."""
    types = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in feeds.items()}
    graph = helper.make_graph(
        [helper.make_node(op, inputs, ["y"], **more)],
        "graph",
        [helper.make_tensor_value_info(name, types[name], array.shape) for name, array in feeds.items()],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def run_onnx(file: onnx.ModelProto, feeds: dict[str, Any], level: str) -> Any:
    """The result under a level of LEVELS, or of the reference evaluator ("evaluator")."""
    if level == "evaluator":
        return ReferenceEvaluator(file).run(None, feeds)[0]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.log_severity_level = LEVELS[level], 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def aimed_sums(scale: float, codes: Iterable[int], reach: int = 1) -> list[int]:
    """The sums around every boundary between two codes, scale being the steps a unit."""
    found = {round((code + 0.5) / scale) + d for code in codes for d in range(-reach, reach + 1)}
    return sorted(found)


def telling_scale(input: float, output: float, start: float, derivation: str) -> float:
    """A weight scale near `start` whose multiplier tells a double product of scales from a float32 one."""
    weight = np.float32(start)
    while True:
        weight = np.nextafter(weight, np.float32(1))
        scales = [
            effective_scale(np.float32(input), weight, np.float32(output), scaling)
            for scaling in (Scaling.DOUBLE_PRODUCT, Scaling.MIXED_PRODUCT)
        ]
        if derive(scales[0], derivation) != derive(scales[1], derivation):
            return float(weight)


def columns_for(sums: list[int], largest: int = 127) -> tuple[Any, Any]:
    """A row a (1, K) and columns b (K, N) of codes of at most `largest` in magnitude whose products are these sums."""
    depth = max(abs(s) for s in sums) // (largest * largest) + 1
    row = np.full((1, depth + 2), largest, np.int64)
    row[0, -1] = 1
    columns = np.zeros((depth + 2, len(sums)), np.int64)
    rest = np.array(sums, np.int64)
    for k in range(depth + 1):
        columns[k] = np.clip(np.rint(rest / largest), -largest, largest)
        rest = rest - columns[k] * largest
    columns[-1] = rest
    assert (row @ columns == np.array(sums)).all()
    return row, columns
