"""Whole QDQ models with nothing fused: every tensor of the graph is ONNX Runtime's, code for code and bit for bit."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from graph_floats_cases import MEASURED, generator
from onnx.reference import ReferenceEvaluator
from onnx_models import N, Q, bias_of, model, qdq, run_all
from refq_cases import assert_same

from refq.graphs import OPS, prepare, run
from refq.graphs.checks import check_graph
from refq.importers import read_onnx

pytestmark = MEASURED
WAYS = [("none", "off"), ("onnxruntime-basic", "basic")]


def codes(rng, shape, dtype="int8"):
    ends = np.iinfo(dtype)
    return rng.integers(ends.min, ends.max + 1, shape).astype(dtype)


def chain(rng, tail, opset=21):
    """x -> Conv -> Relu -> tail -> y, each between quantized tensors. tail: nodes that read "c_float", write "t"."""
    x = Q("x", 0.0371, 7, "int8", shape=(1, 3, 9, 9))
    scales = (0.0031 + 0.0007 * np.arange(6)).tolist()
    w = Q("w", scales, 0, "int8", codes=codes(rng, (6, 3, 3, 3)), axis=0)
    b = bias_of("b", rng.integers(-3000, 3000, 6), x, w)
    c, y = Q("c", 0.0911, -3, "int8"), Q("y", 0.0447, -5, "int8")
    every = (x, w, b, c, y)
    constants = {k: v for q in every for k, v in q.constants().items()}
    constants["axes"] = np.array([2, 3], np.int64)

    def dequantize(q):
        return N("DequantizeLinear", q.triple(), [f"{q.name}_float"], {} if q.axis is None else {"axis": q.axis})

    def quantize(q, source):
        return N("QuantizeLinear", [source, *q.triple()[1:]], [q.name])

    nodes = [dequantize(x), dequantize(w), dequantize(b)]
    nodes += [N("Conv", ["x_float", "w_float", "b_float"], ["real"], {"pads": [1, 1, 1, 1], "strides": [1, 2]})]
    nodes += [N("Relu", ["real"], ["kept"]), quantize(c, "kept"), dequantize(c), *tail, quantize(y, "t")]
    return model(nodes, [x.value()], [("y", "int8", None)], constants, opset)


TAILS = {
    "average": [
        N("AveragePool", ["c_float"], ["t"], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]})
    ],
    "global": [N("GlobalAveragePool", ["c_float"], ["t"])],
    "mean": [N("ReduceMean", ["c_float", "axes"], ["t"], {"keepdims": 0})],
    "largest": [N("MaxPool", ["c_float"], ["t"], {"kernel_shape": [2, 2], "strides": [2, 2]})],
    "sigmoid": [N("Sigmoid", ["c_float"], ["t"])],
    "tanh": [N("Tanh", ["c_float"], ["t"])],
    "softmax": [N("Softmax", ["c_float"], ["t"], {"axis": 1})],
    "leaky": [N("Sub", ["c_float", "real"], ["d"]), N("LeakyRelu", ["d"], ["t"], {"alpha": 0.13})],
    "sums": [N("Add", ["c_float", "real"], ["d"]), N("Mul", ["d", "c_float"], ["t"])],
    "joined": [N("Concat", ["c_float", "real"], ["t"], {"axis": 1})],
}


def agree(content, fusion, level, samples):
    """Golden tensors of a stack of samples against the runtime's of each sample alone; how many values."""
    graph = read_onnx(content, fusion=fusion)
    check_graph(graph, OPS)
    got = run(prepare(graph, "onnxruntime"), samples, keep=True)
    (name,) = graph.inputs
    rows = graph.tensors[name].shape[0]
    compared = 0
    for i in range(samples.shape[0] // rows):
        expected = run_all(content, level, {name: samples[i * rows : (i + 1) * rows]})
        for tensor in set(expected) & set(got):
            part = got[tensor].shape[0] * rows // samples.shape[0]
            compared += assert_same(got=got[tensor][i * part : (i + 1) * part], expected=expected[tensor])
        assert set(graph.outputs) <= set(expected) & set(got)
    return compared


@pytest.mark.parametrize(("fusion", "level"), WAYS)
@pytest.mark.parametrize("tail", TAILS)
def test_models_of_one_input(tail, fusion, level):
    rng = generator(len(tail))
    opset = 18 if tail == "largest" else 21
    assert agree(chain(rng, TAILS[tail], opset), fusion, level, codes(rng, (3, 3, 9, 9))) > 500


def evaluated(content, inputs):
    """Every tensor that a node writes, from the ONNX reference evaluator."""
    whole = onnx.load_from_string(content)
    names = [name for node in whole.graph.node for name in node.output]
    del whole.graph.output[:]
    whole.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    return dict(zip(names, ReferenceEvaluator(whole).run(None, inputs), strict=True))


@pytest.mark.parametrize("tail", [tail for tail in TAILS if tail != "largest"])
def test_models_in_the_reference_evaluator(tail):
    rng = generator(len(tail))
    content = chain(rng, TAILS[tail], 21)
    x = codes(rng, (1, 3, 9, 9))
    got = run(read_onnx(content, fusion="none"), x, "onnx-reference", keep=True)
    expected = evaluated(content, {"x": x})
    for name in {"real", "kept", "c", "t", "y"} & set(got):
        assert_same(got=got[name], expected=expected[name])
    assert {"real", "y"} <= set(got)


@pytest.mark.parametrize("opset", [18, 21])
def test_average_pool_follows_the_opset(opset):
    rng = generator(opset)
    assert agree(chain(rng, TAILS["average"], opset), "none", "off", codes(rng, (2, 3, 9, 9))) > 500


@pytest.mark.parametrize(("fusion", "level"), WAYS)
@pytest.mark.parametrize(("groups", "channels"), [(1, 20), (20, 1), (4, 5)])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_convolutions(groups, channels, dtype, fusion, level):
    rng = generator(groups)
    x = Q("x", 0.0371, 7, dtype, shape=(1, 20, 6, 5))
    w = Q("w", 0.0043, 0 if dtype == "int8" else 117, dtype, codes=codes(rng, (20, channels, 3, 3), dtype))
    b = bias_of("b", rng.integers(-9000, 9000, 20), x, w)
    content = qdq("Conv", [x, w], Q("y", 0.171, 9, dtype), b, pads=[1, 0, 1, 2], group=groups)
    assert agree(content, fusion, level, codes(rng, (2, 20, 6, 5), dtype)) > 500


@pytest.mark.parametrize(("fusion", "level"), WAYS)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_products(op, rows, fusion, level):
    rng = generator(rows)
    x = Q("x", 0.0371, 7, "int8", shape=(rows, 150))
    w = Q("w", 0.0043, 0, "int8", codes=codes(rng, (150, 21)))
    b = bias_of("b", rng.integers(-9000, 9000, 21), x, w) if op == "Gemm" else None
    content = qdq(op, [x, w], Q("y", 0.171, 9, "int8"), b)
    assert agree(content, fusion, level, codes(rng, (4 * rows, 150))) > 150


@pytest.mark.parametrize(("rows", "depth"), [(1, 150), (3, 300)])
def test_weights_stored_as_floats_are_packed(rows, depth):
    rng = generator(rows)
    x, y = Q("x", 0.0371, 7, "int8", shape=(rows, depth)), Q("y", 0.171, 9, "int8")
    weights = codes(rng, (depth, 80)).astype(np.float32) * np.float32(0.0043)
    constants = {k: v for q in (x, y) for k, v in q.constants().items()} | {"w": weights}
    nodes = [
        N("DequantizeLinear", x.triple(), ["x_float"]),
        N("MatMul", ["x_float", "w"], ["real"]),
        N("QuantizeLinear", ["real", *y.triple()[1:]], ["y"]),
    ]
    content = model(nodes, [x.value()], [("y", "int8", None)], constants)
    graph = read_onnx(content, fusion="none")
    (product,) = [node for node in graph.nodes if node.op == "float_matmul"]
    marked = replace(product, attributes={**product.attributes, "packed": True})
    packed = replace(graph, nodes=tuple(marked if node is product else node for node in graph.nodes))
    inputs = codes(rng, (rows, depth))
    expected = run_all(content, "off", {"x": inputs})
    got = run(packed, inputs, "onnxruntime", keep=True)
    assert_same(got=got["real"], expected=expected["real"])
    assert_same(got=got["y"], expected=expected["y"])
    loose = replace(product, attributes={**product.attributes, "packed": False})
    other = replace(graph, nodes=tuple(loose if node is product else node for node in graph.nodes))
    assert not np.array_equal(run(other, inputs, "onnxruntime", keep=True)["real"], expected["real"])


@pytest.mark.parametrize("scale", [0.25, 0.5])
def test_ties_of_dyadic_scales(scale):
    rng = generator(1)
    x = Q("x", scale, 3, "int8", shape=(1, 4, 5, 5))
    w = Q("w", 0.5, 0, "int8", codes=rng.integers(-3, 4, (3, 4, 3, 3)).astype(np.int8))
    content = qdq("Conv", [x, w], Q("y", 1.0, 5, "int8"), bias_of("b", [1, 2, 3], x, w))
    inputs = rng.integers(-8, 9, (8, 4, 5, 5)).astype(np.int8)
    assert agree(content, "none", "off", inputs) > 200
    graph = read_onnx(content, fusion="none")
    other = {name: run(graph, inputs, name)["y"] for name in ("onnxruntime", "onnx-text", "onnx-reference")}
    assert_same(got=other["onnxruntime"], expected=other["onnx-text"])
    assert_same(got=other["onnxruntime"], expected=other["onnx-reference"])
