"""Biases as ONNX Runtime rewrites them at level basic: into the product before them, and to int32 codes.

Source: onnxruntime/core/optimizer, matmul_add_fusion and qdq_transformer/weight_bias_quantization; confirmed in the
files that the installed release saves of its optimised graphs.
"""

from __future__ import annotations

import numpy as np

from refq.importers.onnx_records import OnnxNode, reject
from refq.importers.onnx_working import (
    DQ,
    Q,
    Working,
    drop,
    each,
    edges,
    fresh,
    is_scalar,
    only_reader,
    put,
    redirect,
    written_by,
)


def join_biases(work: Working) -> None:
    """MatMul and the Add of a row become a Gemm; a left side of more than two dimensions is flattened around it, where
    none of them is open.
    """
    for node in each(work):
        if node.op != "MatMul" or node.domain or node.name not in work.nodes:
            continue
        add = only_reader(work, node.outputs[0])
        right, left = _constant_shape(work, node.input(1)), work.model.dims.get(node.inputs[0], ())
        if add is None or add.op != "Add" or len(right) != 2 or len(left) < 2 or (len(left) > 2 and None in left):
            continue
        bias = next((name for name in add.inputs if name != node.outputs[0]), "")
        if _constant_shape(work, bias) in ((right[1],), (1, right[1])):
            _as_gemm(work, node, add, bias)


def _constant_shape(work: Working, name: str) -> tuple[int, ...]:
    """Of a constant or of a dequantized one, else ()."""
    node = written_by(work, name)
    data = work.constants.get(node.inputs[0] if node is not None and node.op == DQ else name)
    return () if data is None else data.shape


def _as_gemm(work: Working, node: OnnxNode, add: OnnxNode, bias: str) -> None:
    x, y, outer = node.inputs[0], add.outputs[0], work.model.dims[node.inputs[0]][:-1]
    drop(work, node.name)
    drop(work, add.name)
    if len(outer) > 1:
        x = _reshape(work, x, f"{node.name}/rows", (-1, work.constants[_codes(work, node.inputs[1])].shape[0]))
        y = fresh(work, f"{y}/rows")
    put(work, OnnxNode(node.name, "Gemm", "", (x, node.inputs[1], bias), (y,), {}))
    if len(outer) > 1:
        columns = work.constants[_codes(work, node.inputs[1])].shape[1]
        _reshape(
            work, y, f"{node.name}/unrows", (-1, *(n for n in outer[1:] if n is not None), columns), add.outputs[0]
        )


def _codes(work: Working, name: str) -> str:
    """The constant itself, or the one that is dequantized."""
    source = written_by(work, name)
    return name if source is None else source.inputs[0]


def _reshape(work: Working, tensor: str, name: str, shape: tuple[int, ...], output: str = "") -> str:
    sizes, made = fresh(work, f"{name}/shape"), output or fresh(work, f"{tensor}/{name}")
    work.constants[sizes] = np.array(shape, np.int64)
    put(work, OnnxNode(fresh(work, name), "Reshape", "", (tensor, sizes), (made,), {}))
    return made


def quantize_biases(work: Working) -> None:
    """Float weights and biases of Conv and Gemm between pairs become codes: int8, and int32 of x_scale * w_scale."""
    for node in each(work):
        if node.op not in ("Conv", "Gemm") or node.domain or not _to_quantizer(work, node):
            continue
        x, w = (written_by(work, name) for name in node.inputs[:2])
        bias = work.constants.get(node.input(2))
        plain = bias is not None and bias.ndim == 1 and bias.dtype == np.float32
        if x is None or x.op != DQ or not is_scalar(work, x.input(1)) or (node.input(2) and not plain):
            continue
        if w is None and work.constants.get(node.inputs[1], np.zeros(0)).dtype == np.float32:
            w = _quantized_weights(work, node)
        if w is not None and w.op == DQ and bias is not None:
            _quantized_bias(work, work.nodes[node.name], x, w)


def _quantized_weights(work: Working, node: OnnxNode) -> OnnxNode:
    """int8 codes of one scale: the range of the weights and 0 in 255 steps, all in float32."""
    data = work.constants[node.inputs[1]]
    low, high = min(data.min(initial=0), np.float32(0)), max(data.max(initial=0), np.float32(0))
    scale = np.float32(1) if low == high else np.float32((high - low) / np.float32(255))
    zero = np.rint(np.clip(np.float32(-128) - low / scale, -128, 127))
    name = fresh(work, f"{node.inputs[1]}/codes/{node.name}")
    work.constants[name] = np.clip(np.rint(data / scale) + zero, -128, 127).astype(np.int8)
    work.constants[f"{name}/scale"], work.constants[f"{name}/zero"] = np.asarray(scale), np.asarray(zero, np.int8)
    made = OnnxNode(name, DQ, "", (name, f"{name}/scale", f"{name}/zero"), (f"{name}/float",), {})
    redirect(work, work.nodes[node.name], 1, made.outputs[0])
    return put(work, made)


def _to_quantizer(work: Working, node: OnnxNode) -> bool:
    """Whether Relu and Clip alone lead from a node to a Q; it does not count that tensors on the way are outputs."""
    while edges(work, node.outputs[0]) == 1:
        node = work.nodes[next(iter(work.readers[node.outputs[0]]))]
        if node.op not in ("Relu", "Clip"):
            return node.op == Q
    return False


def _quantized_bias(work: Working, node: OnnxNode, x: OnnxNode, w: OnnxNode) -> None:
    bias, scale = work.constants[node.inputs[2]], work.constants.get(w.input(1))
    if scale is None or scale.size not in (1, bias.size):
        return
    factor = np.asarray(work.constants[x.inputs[1]].ravel()[0] * scale.ravel(), np.float32)
    codes = np.rint(bias / factor)
    if not (np.abs(codes) < 2.0**31).all():
        reject(work.model.file, node, "a bias divided by x_scale * w_scale does not fit int32")
    base = fresh(work, f"{node.inputs[2]}/codes/{node.name}")
    work.constants[base] = codes.astype(np.int32)
    work.constants[f"{base}/scale"] = factor if scale.size > 1 else np.asarray(factor[0])
    made = put(work, OnnxNode(base, DQ, "", (base, f"{base}/scale"), (f"{base}/float",), {"axis": 0}))
    redirect(work, work.nodes[node.name], 2, made.outputs[0])
