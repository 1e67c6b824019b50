"""Damaged, hostile and unsupported .onnx files are refused by name, and nothing else is raised."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import N, Q, dequantize, model, qdq, qoperator
from onnx_qdq_cases import CASES

from refq.importers import ModelRejectedError, read_onnx

X = Q("x", 0.1, 3, "uint8", (2, 3, 6, 6))
W = Q("w", [0.05, 0.06, 0.07, 0.08], 0, codes=np.ones((4, 3, 3, 3)), axis=0)
Y = Q("y", 0.5, 7, "uint8", (2, 4, 4, 4))


def rejected(content: Any, **options: Any) -> str:
    with pytest.raises(ModelRejectedError) as caught:
        read_onnx(content, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 900
    return text


def changed(change: Callable[[Any], Any], content: bytes | None = None) -> bytes:
    """A convolution in QOperator form with something done to its ModelProto."""
    proto = onnx.load_from_string(qoperator("Conv", [X, W], Y, bias=[1, 2, 3, 4]) if content is None else content)
    change(proto)
    result: bytes = proto.SerializeToString()
    return result


def stored(name: str, array: Any) -> Callable[[Any], Any]:
    def change(proto: Any) -> None:
        tensor = next(t for t in proto.graph.initializer if t.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(array), name))

    return change


def on(name: str, field: str, value: Any) -> Callable[[Any], Any]:
    """A field of a stored tensor set to a value."""

    def change(proto: Any) -> None:
        tensor = next(t for t in proto.graph.initializer if t.name == name)
        if field == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)
        else:
            setattr(tensor, field, value)

    return change


def node(field: str, value: Any) -> Callable[[Any], Any]:
    return lambda proto: setattr(proto.graph.node[0], field, value)


def attribute(name: str, value: Any) -> Callable[[Any], Any]:
    return lambda proto: proto.graph.node[0].attribute.append(helper.make_attribute(name, value))


def reading(place: int, name: str) -> Callable[[Any], Any]:
    def change(proto: Any) -> None:
        proto.graph.node[0].input[place] = name

    return change


def external(proto: Any) -> None:
    tensor = next(t for t in proto.graph.initializer if t.name == "w")
    tensor.data_location = TensorProto.EXTERNAL


def subgraph(proto: Any) -> None:
    inner = helper.make_graph([], "g", [], [])
    proto.graph.node.append(helper.make_node("If", ["x"], ["z"], name="branch", then_branch=inner, else_branch=inner))


def shape_of_input(*dims: Any) -> Callable[[Any], Any]:
    def change(proto: Any) -> None:
        proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.UINT8, dims))

    return change


FILES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "scale 0": (stored("y_scale", np.float32(0)), "QLinearConv QLinearConv_y: a scale of y is not finite and above 0"),
    "scale nan": (stored("x_scale", np.float32("nan")), "a scale of x is not finite"),
    "scale infinite": (stored("w_scale", np.full(4, np.inf, np.float32)), "a scale of w is not finite"),
    "scale of float64": (stored("x_scale", np.float64(1)), "element type 11"),
    "scale of integers": (stored("x_scale", np.int64(1)), "the scale of x is int64; pass float32"),
    "scales in two dimensions": (stored("w_scale", np.ones((2, 2), np.float32)), "has shape .2, 2."),
    "too many scales": (stored("w_scale", np.ones(5, np.float32)), "5 scales and 4 zero points"),
    "zero point of floats": (stored("x_zero", np.float32(1)), "the zero point of x is float32; pass integers"),
    "scale missing": (reading(1, "gone"), "tensor 'gone' is missing"),
    "scale computed": (reading(1, "x"), r"the scale of x \(x\) must be a constant"),
    "weights of another rank": (stored("w", np.ones((4, 3, 3), np.int8)), "weights w have 3 dimensions, the input 4"),
    "weights of other channels": (stored("w", np.ones((4, 5, 3, 3), np.int8)), "QLinearConv QLinearConv_y: "),
    "bias of another size": (stored("y_bias", np.ones(3, np.int32)), "pass int32, one for each of 4 channels"),
    "bias of int64": (stored("y_bias", np.ones(4, np.int64)), "the bias is int64"),
    "declared size beyond the data": (on("w", "dims", (4, 3, 3, 300)), "108 bytes for shape .4, 3, 3, 300."),
    "huge tensor": (on("w", "dims", (1 << 40, 1 << 40)), "elements"),
    "negative size": (on("w", "dims", (-1, 108)), "dimension 0 is -1"),
    "strings": (on("w", "data_type", TensorProto.STRING), "element type 8"),
    "external data": (external, "constant w: values are in another file"),
    "unknown op": (node("op_type", "Fancy"), "op Fancy is not supported"),
    "unknown domain": (node("domain", "ai.example"), "op ai.example.QLinearConv is not supported"),
    "an op of ours": (node("domain", "refq"), "op refq.QLinearConv is not supported"),
    "too few inputs": (
        lambda p: [p.graph.node[0].input.pop() for _ in range(4)], "5 inputs; QLinearConv takes 8..9"),
    "unknown attribute": (attribute("colour", 3), "attribute colour is unknown"),
    "attribute of another kind": (attribute("pads", [0.5] * 4), "attribute pads is not a list of integers"),
    "huge padding": (attribute("pads", [1 << 40] * 4), "pads="),
    "no stride": (attribute("strides", [0, 1]), "strides=.0, 1."),
    "unknown padding": (attribute("auto_pad", "SOME"), "auto_pad='SOME' is unknown"),
    "groups that do not divide": (attribute("group", 2), "QLinearConv QLinearConv_y: "),
    "subgraph": (subgraph, "If branch: attribute (then|else)_branch holds a graph"),
    "written twice": (lambda p: p.graph.node.append(p.graph.node[0]), "tensor 'y' is written twice"),
    "constant twice": (lambda p: p.graph.initializer.append(p.graph.initializer[0]), "is there twice"),
    "output missing": (lambda p: setattr(p.graph.output[0], "name", "gone"), "outputs: tensor 'gone' is missing"),
    "output of another shape": (lambda p: setattr(p.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 9),
                                "output y: is declared uint8 .2, 9, 4, 4.; the nodes make uint8 .2, 4, 4, 4."),
    "open image": (shape_of_input(1, 3, "h", 6), "only the first, the batch, may be"),
    "no shape": (lambda p: p.graph.input[0].type.tensor_type.ClearField("shape"), "input x: has no type or no shape"),
    "no outputs": (lambda p: p.graph.ClearField("output"), "no graph with outputs"),
    "old opset": (lambda p: setattr(p.opset_import[0], "version", 9), "opset 9 is outside 10..26; convert with"),
    "no opset": (lambda p: p.ClearField("opset_import"), "0 opsets of domain ''; the file is cut off"),
    "sparse": (lambda p: p.graph.sparse_initializer.add(), "SparseTensorProto is not supported"),
    "function": (lambda p: p.functions.add(), "FunctionProto is not supported"),
    "opset of the future": (lambda p: setattr(p.opset_import[0], "version", 99), "opset 99 is outside 10..26"),
    "opset 0": (lambda p: setattr(p.opset_import[0], "version", 0), "opset 0 is outside 10..26"),
    "values twice": (lambda p: p.graph.initializer[0].int32_data.append(1), "constant .*: has values in two fields"),
    "int32_data out of range": (lambda p: p.graph.initializer.append(
        TensorProto(name="n", data_type=3, dims=[2], int32_data=[1, 128])), "constant n: a value is outside -128..127"),
    "raw bytes too few": (on("w", "raw_data", b"123"), "3 bytes for shape .4, 3, 3, 3. of int8; there must be 108"),
    "elements beyond 64 bits": (on("w", "dims", (1 << 62, 4, 4)), "elements"),
    "a dimension too many": (on("w", "dims", (1,) * 4000), "4000 dimensions; a model may have 6"),
    "attribute twice": (lambda p: [attribute("pads", [0] * 4)(p) for _ in range(2)], "an attribute is there twice"),
    "many attributes": (lambda p: [attribute("pads", [0] * 4)(p) for _ in range(65)], "65 attributes"),
    "output twice": (lambda p: p.graph.output.append(p.graph.output[0]), "outputs: a tensor is there twice"),
    "many outputs": (lambda p: p.graph.output.extend([p.graph.output[0]] * 50_000), "50001 outputs; a model may have"),
    "many inputs": (lambda p: p.graph.input.extend([p.graph.input[0]] * 50_000), "50001 inputs; a model may have"),
    "input twice": (lambda p: p.graph.input.append(p.graph.input[0]), "input x: tensor 'x' is written twice"),
    "long name": (node("name", "n" * 5000), "5000 characters in a name"),
    "4 bits cut off": (lambda p: p.graph.initializer.append(
        TensorProto(name="n", data_type=22, dims=[5], raw_data=b"12")), "2 bytes for shape .5,. of int4; .* be 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_files_are_refused_by_name(case: str) -> None:
    change, words = FILES[case]
    with pytest.raises(ModelRejectedError, match=words):
        read_onnx(changed(change), name="file")


def test_cycles_and_wrong_order() -> None:
    relu = [N("Relu", ["a"], ["b"], name="one"), N("Relu", ["b"], ["a"], name="two")]
    text = rejected(model(relu, [("x", "float32", (1, 4))], [("b", "float32", None)], {}))
    assert text == "model: Relu one: tensor 'a' is read before it is written; sort the nodes, there may be a cycle"


def test_channels_along_no_dimension() -> None:
    for axis in (4, -5, 1):
        w = Q("w", [0.1] * 4, 0, codes=np.ones((4, 3, 3, 3)), axis=axis)
        for fusion in ("none", "onnxruntime", "integer"):
            assert "w" in rejected(qdq("Conv", [X, w], Y), fusion=fusion)
    proto = onnx.load_from_string(qdq("Conv", [X, W], Y))
    proto.graph.node[1].attribute.append(helper.make_attribute("block_size", 2))
    assert "block_size is not supported; quantize per tensor or per axis" in rejected(proto)


def test_truncated_at_every_length() -> None:
    content = CASES["uint8 residual"][0]
    refused = sum(bool(rejected(content[:size])) for size in range(0, len(content), 7))
    assert refused == len(range(0, len(content), 7))


def test_flipped_bytes_raise_nothing_else() -> None:
    rng, content = np.random.default_rng(11), CASES["int8 residual"][0]
    read = refused = 0
    for trial in range(400):
        data = bytearray(content)
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
        try:
            read_onnx(bytes(data), fusion=("none", "onnxruntime", "integer")[trial % 3])
            read += 1
        except ModelRejectedError:
            refused += 1
    assert read > 50
    assert refused > 100


def test_arguments(tmp_path: Any) -> None:
    with pytest.raises(
        ValueError, match="fusion='all' is unknown; legal: none, onnxruntime-basic, onnxruntime, integer"
    ):
        read_onnx(b"", fusion="all")
    assert rejected(b"").startswith("model: no graph with outputs")
    assert rejected(b"nothing of the kind", name="noise").startswith("noise: ")
    assert rejected(np.random.default_rng(0).bytes(4096)).startswith("model: ")
    path = tmp_path / "conv.onnx"
    path.write_bytes(qoperator("Conv", [X, W], Y))
    assert read_onnx(path).record["file"] == "conv.onnx"
    with pytest.raises(FileNotFoundError):
        read_onnx(tmp_path / "none.onnx")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'refq\[onnx\]'"):
        read_onnx(b"")


def test_a_dequantized_input_alone() -> None:
    x = Q("x", 0.1, 3, "uint8", (1, 4))
    content = model([dequantize(x)], [x.value()], [("x_float", "float32", (1, 4))], x.constants())
    assert [n.op for n in read_onnx(content).nodes] == ["dequantize"]
