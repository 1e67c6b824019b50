"""The ops of .onnx files that are read, how many tensors each takes, and what to use instead of the others."""

from __future__ import annotations

from math import isfinite

from refq.importers.onnx_records import MICROSOFT, OnnxModel, OnnxNode, reject

MANY = 1 << 10
INPUTS: dict[tuple[str, str], tuple[int, int]] = {
    ("", "QuantizeLinear"): (2, 3), ("", "DequantizeLinear"): (2, 3),
    (MICROSOFT, "QuantizeLinear"): (2, 3), (MICROSOFT, "DequantizeLinear"): (2, 3),
    ("", "QLinearConv"): (8, 9), ("", "QLinearMatMul"): (8, 8), ("", "ConvInteger"): (2, 4),
    ("", "MatMulInteger"): (2, 4),
    (MICROSOFT, "QGemm"): (6, 9), (MICROSOFT, "QLinearAdd"): (7, 8), (MICROSOFT, "QLinearMul"): (7, 8),
    (MICROSOFT, "QLinearAveragePool"): (4, 5), (MICROSOFT, "QLinearGlobalAveragePool"): (5, 5),
    (MICROSOFT, "QLinearConcat"): (5, MANY), (MICROSOFT, "QLinearLeakyRelu"): (4, 5),
    (MICROSOFT, "QLinearSigmoid"): (4, 5), (MICROSOFT, "QLinearSoftmax"): (5, 5),
    ("", "Reshape"): (1, 2), ("", "Flatten"): (1, 1), ("", "Squeeze"): (1, 2), ("", "Unsqueeze"): (1, 2),
    ("", "Identity"): (1, 1), ("", "Dropout"): (1, 3), ("", "Transpose"): (1, 1), ("", "Concat"): (1, MANY),
    ("", "Split"): (1, 2), ("", "Slice"): (1, 5), ("", "Pad"): (1, 4), ("", "MaxPool"): (1, 1), ("", "ArgMax"): (1, 1),
    ("", "Conv"): (2, 3), ("", "ConvTranspose"): (2, 3), ("", "MatMul"): (2, 2), ("", "Gemm"): (2, 3),
    ("", "Add"): (2, 2), ("", "Sub"): (2, 2), ("", "Mul"): (2, 2), ("", "Relu"): (1, 1), ("", "Clip"): (1, 3),
    ("", "LeakyRelu"): (1, 1), ("", "Sigmoid"): (1, 1), ("", "Tanh"): (1, 1), ("", "Softmax"): (1, 1),
    ("", "AveragePool"): (1, 1), ("", "GlobalAveragePool"): (1, 1), ("", "ReduceMean"): (1, 2),
}  # fmt: skip
"""(domain, op) -> fewest and most inputs."""
OUTPUTS = {"Split": MANY, "MaxPool": 2, "Dropout": 3}
"""Most outputs of ops that may have more than one."""
KINDS: dict[str, type] = {
    **dict.fromkeys(("axis", "group", "transA", "transB", "block_size", "output_dtype", "saturate", "precision",
                     "ceil_mode", "storage_order", "count_include_pad", "channels_last", "keepdims", "opset",
                     "select_last_index", "noop_with_empty_axes", "num_outputs", "allowzero", "seed"), int),
    **dict.fromkeys(("alpha", "beta", "min", "max", "value", "ratio"), float),
    **dict.fromkeys(("auto_pad", "mode"), str),
    **dict.fromkeys(("perm", "pads", "strides", "dilations", "kernel_shape", "axes", "split", "starts", "ends", "shape",
                     "output_padding", "output_shape"), tuple),
}  # fmt: skip
"""The kinds of attributes by name; lists are of integers."""
NEAREST = {
    "Resize": "none; resize before the model", "DynamicQuantizeLinear": "QuantizeLinear with a constant scale",
    "BatchNormalization": "Conv, with the batch norm folded in", "Gather": "Slice", "Expand": "Reshape",
    "HardSwish": "LeakyRelu, or a .tflite file", "HardSigmoid": "Sigmoid", "GlobalMaxPool": "MaxPool over the image",
    "MatMulIntegerToFloat": "MatMulInteger and DequantizeLinear", "QLinearReduceMean": "QLinearGlobalAveragePool",
    "If": "a model without subgraphs", "Loop": "a model without subgraphs", "Scan": "a model without subgraphs",
    "Shape": "a model with constant shapes", "Cast": "none; export without it", "Div": "Mul by a reciprocal",
    "DynamicQuantizeMatMul": "QLinearMatMul", "MatMulNBits": "MatMul of an 8-bit DequantizeLinear",
    "QLinearWhere": "none", "ReduceSum": "ReduceMean", "Max": "Relu or Clip", "Min": "Clip",
}  # fmt: skip
"""What to use instead of ops that are not read."""


def check_ops(model: OnnxModel) -> None:
    """Every node is of a known op, with as many tensors as it takes, the first ones not left out."""
    for node in model.nodes:
        found = INPUTS.get((node.domain, node.op))
        if found is None:
            op = f"{node.domain}.{node.op}" if node.domain else node.op
            near = NEAREST.get(node.op, "one of the ops in docs/import_onnx.md")
            reject(model.file, node, f"op {op} is not supported; nearest: {near}")
        _check_counts(model, node, *found)
        for name, value in node.attributes.items():
            _check_kind(model, node, name, value)


def _check_counts(model: OnnxModel, node: OnnxNode, least: int, most: int) -> None:
    if not least <= len(node.inputs) <= most or not node.inputs[0]:
        reject(model.file, node, f"{len(node.inputs)} inputs; {node.op} takes {least}..{most}, the first always")
    if not 1 <= len(node.outputs) <= OUTPUTS.get(node.op, 1) or not node.outputs[0]:
        reject(model.file, node, f"{len(node.outputs)} outputs; {node.op} has at most {OUTPUTS.get(node.op, 1)}")


def _check_kind(model: OnnxModel, node: OnnxNode, name: str, value: object) -> None:
    kind = KINDS.get(name)
    if kind is None:
        reject(model.file, node, f"attribute {name} is unknown")
    of_integers = not isinstance(value, tuple) or all(isinstance(v, int) for v in value)
    if not isinstance(value, kind) or not of_integers or (isinstance(value, float) and not isfinite(value)):
        what = "a list of integers" if kind is tuple else f"a finite {kind.__name__}"
        reject(model.file, node, f"attribute {name} is not {what}")
