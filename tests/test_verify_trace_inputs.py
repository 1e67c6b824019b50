"""Random inputs of models: every sample can be made again alone."""

import numpy as np
import pytest
import trace_models
from refq_cases import assert_same

from refq.graphs import Graph, Node, Quantization, Tensor
from refq.importers import read_tflite
from verify.trace_inputs import random_inputs


def test_first_samples_are_extremes() -> None:
    x = random_inputs(read_tflite(trace_models.small_net()), 5, 1)["x"]
    assert (x.shape, x.dtype.name) == ((5, 6, 6, 3), "int8")
    assert [set(sample.ravel().tolist()) for sample in x[:3]] == [{-3}, {-128}, {127}]


def test_a_sample_does_not_depend_on_how_many_there_are() -> None:
    graph = read_tflite(trace_models.small_net())
    assert_same(random_inputs(graph, 9, 4)["x"][:6], random_inputs(graph, 6, 4)["x"])


def test_seeds_differ_and_all_codes_occur() -> None:
    graph = read_tflite(trace_models.small_net())
    left, right = (random_inputs(graph, 60, seed)["x"][3:] for seed in (1, 2))
    assert (left != right).any()
    assert set(left.ravel().tolist()) == set(range(-128, 128))


def float_graph(scale: float, zero: int) -> Graph:
    quantized = Quantization(np.float32([scale]), np.int64([zero]))
    tensors = {"x": Tensor("x", (1, 4000), "float32"), "q": Tensor("q", (1, 4000), "uint8", quantized)}
    return Graph((Node("q", "quantize", ("x",), ("q",)),), tensors, ("x",), ("q",), "onnx")


def test_floats_fill_the_range_of_their_quantizer() -> None:
    x = random_inputs(float_graph(0.5, 20), 4, 0)["x"]
    assert [float(s.min()) for s in x[:3]] == [0.0, -10.0, 117.5]
    assert x.dtype.name == "float32"
    assert -10 <= x[3].min() < -9
    assert 116 < x[3].max() <= 117.5


@pytest.mark.parametrize("dtype", ["int16", "uint8", "int32", "bool"])
def test_other_dtypes(dtype: str) -> None:
    tensors = {"x": Tensor("x", (2, 3), dtype), "y": Tensor("y", (2, 3), dtype)}
    graph = Graph((Node("n", "reshape", ("x",), ("y",)),), tensors, ("x",), ("y",), "tflite")
    x = random_inputs(graph, 5, 0)["x"]
    assert (x.shape, x.dtype.name) == ((10, 3), dtype)
