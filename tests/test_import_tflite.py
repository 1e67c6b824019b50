"""Reading .tflite files: the real ones, whole models of the zoo, and what each operator becomes."""

from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from model_zoo import SAME, VALID, ZOO
from outside import FOLDER
from refq_cases import assert_same
from tflite_models import O, T, model

from refq.graphs.checks import check_graph
from refq.importers.tflite import CONVERTERS, NEAREST, read_tflite
from refq.importers.tflite_tensors import unique_names


def real(name):
    path = FOLDER / "mlperf_tiny" / name
    if not path.exists():
        pytest.skip(f"outside data is missing: expected ../shared/data/mlperf_tiny/{name} beside the repository")
    return path


def details(content):
    """What LiteRT says of the tensors that the file has."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    return interpreter, [d for d in interpreter.get_tensor_details() if "scratch" not in d["name"]]


@pytest.mark.parametrize(("name", "nodes"), [("ad01_int8.tflite", 10), ("resnet8_int8.tflite", 16)])
def test_the_real_models(name, nodes):
    path = real(name)
    graph = read_tflite(path)
    assert len(graph.nodes) == nodes
    assert graph.format == "tflite"
    assert graph.record["version"] == "3"
    assert same_as_litert(path.read_bytes(), graph) > 50_000


def test_a_real_model_is_read_in_under_a_fifth_of_a_second():
    path = real("ad01_int8.tflite")
    read_tflite(path)
    times = []
    for _ in range(5):
        start = perf_counter()
        read_tflite(path)
        times.append(perf_counter() - start)
    assert min(times) < 0.2


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo(name):
    content = ZOO[name]()
    graph = read_tflite(content)
    check_graph(graph)
    assert same_as_litert(content, graph) > 0
    assert {node.source for node in graph.nodes} <= set(CONVERTERS)


def same_as_litert(content, graph):
    """Tensor i of the graph is tensor i of LiteRT: name, shape, scales and constants; how many values were equal."""
    interpreter, found = details(content)
    compared = 0
    for place, (name, tensor) in enumerate(graph.tensors.items()):
        detail = found[place]
        assert (detail["index"], detail["name"]) == (place, name)
        assert tuple(detail["shape"]) == tensor.shape
        scales = detail["quantization_parameters"]["scales"]
        if tensor.quantization is None:
            assert scales.size == 0
        else:
            assert_same(tensor.quantization.scale, scales)
            assert_same(
                tensor.quantization.zero_point, detail["quantization_parameters"]["zero_points"].astype(np.int64)
            )
        if tensor.data is not None and tensor.dtype != "int4":
            compared += assert_same(tensor.data, interpreter.tensor(place)())
    return compared


def q(name, shape, zero=3, scale=0.5, dtype="int8"):
    return T(name, shape, dtype, scale, zero)


def one(code, tensors, inputs, outputs, options="", **fields):
    """The graph of one operator; inputs that are no constants are the model's."""
    constants = {t.name for t in tensors if t.data is not None}
    ends = [n for n in inputs if n and n not in constants]
    return read_tflite(model(tensors, [O(code, inputs, outputs, options, fields)], ends, outputs))


def window(code, x, kernel, y, stride, dilation, padding):
    """The padding of one convolution."""
    depthwise = code == "DEPTHWISE_CONV_2D"
    shape = (1, *kernel, x[3]) if depthwise else (y[3], *kernel, x[3])
    tensors = [q("x", x), T("w", shape, "int8", 0.1, 0, 0, np.ones(shape, np.int8)), q("y", y)]
    fields = {
        "strideH": stride[0],
        "strideW": stride[1],
        "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1],
    }
    options = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    graph = one(code, tensors, ["x", "w"], ["y"], options, padding=padding, **fields)
    assert graph.nodes[0].inputs == ("x", "w", None)
    return graph.nodes[0].attributes["padding"]


# input, kernel, stride, dilation, padding, output, expected numbers: out = ceil(in / stride), the smaller half first
WINDOWS = [
    ((7, 8), (3, 3), (1, 1), (1, 1), SAME, (7, 8), ((1, 1), (1, 1))),
    ((7, 8), (3, 3), (2, 2), (1, 1), SAME, (4, 4), ((1, 1), (0, 1))),
    ((7, 8), (2, 4), (1, 1), (1, 1), SAME, (7, 8), ((0, 1), (1, 2))),
    ((7, 8), (3, 3), (1, 1), (2, 3), SAME, (7, 8), ((2, 2), (3, 3))),
    ((49, 10), (10, 4), (2, 2), (1, 1), SAME, (25, 5), ((4, 5), (1, 1))),
    ((7, 8), (1, 1), (3, 2), (1, 1), SAME, (3, 4), ((0, 0), (0, 0))),
    ((7, 8), (3, 3), (2, 2), (1, 1), VALID, (3, 3), ((0, 0), (0, 0))),
    ((7, 8), (3, 3), (1, 1), (3, 3), VALID, (1, 2), ((0, 0), (0, 0))),
    ((1, 1), (5, 3), (1, 1), (1, 1), SAME, (1, 1), ((2, 2), (1, 1))),
]


@pytest.mark.parametrize(("x", "kernel", "stride", "dilation", "padding", "y", "expected"), WINDOWS)
@pytest.mark.parametrize("code", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_padding_becomes_numbers(code, x, kernel, stride, dilation, padding, y, expected):
    assert window(code, (1, *x, 3), kernel, (1, *y, 3), stride, dilation, padding) == expected


TRANSPOSED = [
    ((4, 5), (3, 3), (2, 2), SAME, (8, 10), ((0, 1), (0, 1))),
    ((4, 5), (3, 3), (2, 2), SAME, (7, 9), ((1, 1), (1, 1))),
    ((4, 5), (2, 2), (3, 3), SAME, (12, 15), ((0, -1), (0, -1))),
    ((4, 5), (3, 3), (2, 2), VALID, (9, 11), ((0, 0), (0, 0))),
    ((4, 5), (3, 3), (2, 2), VALID, (10, 12), ((0, -1), (0, -1))),
]


@pytest.mark.parametrize(("x", "kernel", "stride", "padding", "y", "expected"), TRANSPOSED)
def test_transposed_convolutions(x, kernel, stride, padding, y, expected):
    w = np.ones((2, *kernel, 3), np.int8)
    tensors = [
        T("s", data=np.array([1, *y, 2], np.int32)),
        T("w", scale=0.1, data=w),
        q("x", (1, *x, 3)),
        q("y", (1, *y, 2)),
    ]
    fields = {"strideH": stride[0], "strideW": stride[1], "padding": padding}
    node = one("TRANSPOSE_CONV", tensors, ["s", "w", "x"], ["y"], "TransposeConvOptions", **fields).nodes[0]
    assert node.inputs == ("x", "w", None)
    assert node.attributes["padding"] == expected
    assert node.attributes["output_size"] == y


def test_groups_and_multipliers_follow_from_the_shapes():
    w = T("w", scale=0.1, data=np.ones((4, 3, 3, 2), np.int8))
    graph = one("CONV_2D", [q("x", (1, 5, 5, 4)), w, q("y", (1, 5, 5, 4))], ["x", "w"], ["y"], "Conv2DOptions",
                strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)  # fmt: skip
    assert graph.nodes[0].attributes["groups"] == 2
    w = T("w", scale=0.1, data=np.ones((1, 3, 3, 8), np.int8))
    graph = one("DEPTHWISE_CONV_2D", [q("x", (1, 5, 5, 4)), w, q("y", (1, 5, 5, 8))], ["x", "w"], ["y"],
                "DepthwiseConv2DOptions", strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)  # fmt: skip
    assert graph.nodes[0].attributes["multiplier"] == 2


def test_codes_of_four_bits_are_unpacked_low_half_first():
    codes = np.arange(-8, 7).astype(np.int8).reshape(3, 5)
    scales = np.float32([0.1, 0.2, 0.3])
    tensors = [q("x", (1, 5)), T("w", (3, 5), "int4", scales, 0, 0, codes), q("y", (1, 3))]
    graph = one("FULLY_CONNECTED", tensors, ["x", "w"], ["y"], "FullyConnectedOptions")
    weights = graph.tensors["w"]
    assert (weights.dtype, weights.quantization.axis) == ("int4", 0)
    assert_same(weights.data, codes)


def test_constants_are_writable_and_their_own():
    content = ZOO["keyword_net"]()
    one_read, other = read_tflite(content), read_tflite(content)
    name = next(n for n, t in one_read.tensors.items() if t.data is not None)
    assert one_read.tensors[name].data.flags.writeable
    assert one_read.tensors[name].data.flags.aligned
    one_read.tensors[name].data[:] = 0
    assert other.tensors[name].data.any()


UNARY = {"RELU": "relu", "RELU6": "relu6", "RELU_N1_TO_1": "relu_n1_to_1", "HARD_SWISH": "hard_swish",
         "LOGISTIC": "logistic", "TANH": "tanh"}  # fmt: skip


@pytest.mark.parametrize("code", UNARY)
def test_functions_of_one_input(code):
    node = one(code, [q("x", (1, 4)), q("y", (1, 4))], ["x"], ["y"]).nodes[0]
    assert (node.name, node.op, node.inputs, node.source) == (f"{code}:0", UNARY[code], ("x",), code)


def attributes(code, tensors, inputs, options="", **fields):
    return dict(one(code, tensors, inputs, ["y"], options, **fields).nodes[0].attributes)


def test_attributes_of_operators():
    x, y = q("x", (2, 4, 6, 3)), q("y", (2, 4, 6, 3))
    assert attributes("LEAKY_RELU", [x, y], ["x"], "LeakyReluOptions", alpha=0.25) == {"alpha": 0.25}
    assert attributes("SOFTMAX", [x, y], ["x"], "SoftmaxOptions", beta=2.0) == {"beta": 2.0, "axis": -1}
    axes = T("axes", data=np.array([-1, 1, 1], np.int32))
    found = attributes("MEAN", [x, axes, q("y", (2, 6))], ["x", "axes"], "ReducerOptions", keepDims=False)
    assert found == {"axes": (1, 3), "keep_dims": False}
    axis, largest = T("axis", data=np.array(-1, np.int32)), T("y", (2, 4, 6), "int64")
    assert attributes("ARG_MAX", [x, axis, largest], ["x", "axis"], "ArgMaxOptions") == {"axis": 3, "keep_dims": False}
    found = attributes("MAX_POOL_2D", [x, q("y", (2, 4, 6, 3))], ["x"], "Pool2DOptions", filterHeight=2, filterWidth=3,
                       strideH=1, strideW=1, fusedActivationFunction=2)  # fmt: skip
    assert found["padding"] == ((0, 1), (1, 1))
    assert found["activation"] == "relu_n1_to_1"
    found = attributes("BATCH_MATMUL", [q("a", (2, 5, 4)), q("b", (2, 5, 3)), q("y", (2, 4, 3))], ["a", "b"],
                       "BatchMatMulOptions", adjX=True)  # fmt: skip
    assert found == {"adj_x": True, "adj_y": False}
    found = attributes(
        "ADD", [q("a", (1, 4)), q("b", (4,)), q("y", (1, 4))], ["a", "b"], "AddOptions", potScaleInt16=False
    )
    assert found == {"activation": "none", "pot_scale_int16": False}


def test_quantize_requantize_and_dequantize():
    tensors = [T("f", (1, 4), "float32"), q("a", (1, 4)), q("b", (1, 4), 128, 0.25, "uint8"), T("g", (1, 4), "float32")]
    operators = [O("QUANTIZE", ["f"], ["a"]), O("QUANTIZE", ["a"], ["b"]), O("DEQUANTIZE", ["b"], ["g"])]
    graph = read_tflite(model(tensors, operators, ["f"], ["g"]))
    assert [node.op for node in graph.nodes] == ["quantize", "requantize", "dequantize"]
    assert [node.name for node in graph.nodes] == ["QUANTIZE:0", "QUANTIZE:1", "DEQUANTIZE:2"]


def test_dimensions_that_come_and_go_take_two_nodes():
    values = {"b": [0, 1, 0], "e": [0, 2, 0], "s": [1, 1, 1]}
    tensors = [q("x", (1, 4, 6)), *(T(n, data=np.array(v, np.int32)) for n, v in values.items()), q("y", (1, 6))]
    fields = {"beginMask": 5, "endMask": 5, "shrinkAxisMask": 2}
    graph = one("STRIDED_SLICE", tensors, ["x", "b", "e", "s"], ["y"], "StridedSliceOptions", **fields)
    assert [(n.name, n.op) for n in graph.nodes] == [("STRIDED_SLICE:0/slice", "slice"), ("STRIDED_SLICE:0", "reshape")]
    assert list(graph.tensors) == ["x", "b", "e", "s", "y", "y#slice"]
    assert graph.tensors["y#slice"].shape == (1, 1, 6)


def test_names_are_made_unique():
    assert unique_names(("a", "", "a", "a#2", "")) == ("a", "#1", "a#2#2", "a#2", "#4")
    tensors = [q("x", (1, 4)), q("y", (1, 4))]
    content = model(tensors, [O("RELU", ["x"], ["y"])], ["x"], ["y"])
    graph = read_tflite(content.replace(b"\x01\x00\x00\x00y", b"\x01\x00\x00\x00x"))
    assert list(graph.tensors) == ["x", "x#1"]
    assert (graph.inputs, graph.outputs) == (("x",), ("x#1",))


def test_an_open_first_dimension_is_taken_as_declared(tmp_path):
    graph = read_tflite(real("ad01_int8.tflite"))
    assert graph.tensors[graph.inputs[0]].shape == (1, 640)
    copied = tmp_path / "copy.tflite"
    copied.write_bytes(ZOO["keyword_net"]())
    assert len(read_tflite(str(copied)).nodes) == len(read_tflite(Path(copied)).nodes) == 13


def test_every_advice_is_a_supported_form():
    plain = {advice for advice in NEAREST.values() if advice.replace("_", "").isalnum() and advice.isupper()}
    assert plain <= set(CONVERTERS)
    assert not set(NEAREST) & set(CONVERTERS)
