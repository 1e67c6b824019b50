"""Sums, products and pools under the CMSIS-NN profiles equal the outputs that upstream's unit tests expect."""

import numpy as np
import outside
import pytest
from elementwise_cases import binary_graph, node_graph, rule, site
from refq_cases import assert_same

from refq import derive, effective_scale
from refq.graphs import run
from refq.graphs.ops.elementwise_sites import operands_of
from refq.layers.elementwise_tflite import rescalings

POOLS = ["avgpooling", "avgpooling_2", "avgpooling_4", "maxpooling", "maxpooling_2", "maxpooling_4", "maxpooling_6"]


def case(name):
    entry = next(c for c in outside.manifest("cmsis_nn")["cases"] if c["case"] == name)
    assert outside.sha256("cmsis_nn", entry["file"]) == entry["sha256"]
    return entry["params"], outside.arrays("cmsis_nn", entry["file"])


def both(op, params, data, scales):
    zeros = -params["input1_offset"], -params["input2_offset"], params["output_offset"]
    shapes = data["input1"].shape, data["input2"].shape
    graph = binary_graph(op, "int8", shapes, list(zip(scales, zeros, strict=True)))
    feeds = {"a": data["input1"].copy(), "b": data["input2"].copy()}
    return graph, {p: run(graph, feeds, p)["y"] for p in ("cmsis-nn", "cmsis-nn-single", "onnx-text")}


def test_add():
    params, data = case("add")
    graph, found = both("add", params, data, (0.5, 0.5, 1.0))
    plan = rescalings(operands_of(site(graph)))
    for fixed, name in ((plan.first, "input1"), (plan.second, "input2"), (plan.output, "output")):
        assert (fixed.multiplier, 31 - fixed.shift) == (params[f"{name}_mult"], params[f"{name}_shift"])
    assert plan.left == params["left_shift"]
    assert_same(got=found["cmsis-nn"], expected=data["output"])
    assert_same(got=found["cmsis-nn-single"], expected=data["output"])
    assert (found["onnx-text"] != data["output"]).sum() == 29


def test_mul():
    params, data = case("mul")
    scale = np.float32(1 / 255)
    fixed = derive(effective_scale(scale, scale, scale))
    assert (fixed.multiplier, 31 - fixed.shift) == (params["output_mult"], params["output_shift"])
    graph, found = both("mul", params, data, (scale, scale, scale))
    assert rule(graph, "cmsis-nn") == "gemmlowp_double/double_product/after"
    assert_same(got=found["cmsis-nn"], expected=data["output"])


@pytest.mark.parametrize("name", POOLS)
def test_pools(name):
    params, data = case(name)
    x, expected = data["input"].copy(), data["output"]
    ends = zip(expected.shape[1:3], params["stride"], params["filter_hw"], params["pad"], x.shape[1:3], strict=True)
    padding = tuple((pad, max((n - 1) * step + size - pad - have, 0)) for n, step, size, pad, have in ends)
    op = "average_pool" if name.startswith("avg") else "max_pool"
    graph = node_graph(
        op, {"x": (x.shape, "int8", 0.5, 0)}, (0.5, 0), layout="NHWC", kernel=tuple(params["filter_hw"]),
        stride=tuple(params["stride"]), padding=padding,
    )  # fmt: skip
    for profile in ("cmsis-nn", "cmsis-nn-single", "tflm"):
        assert_same(got=run(graph, {"x": x}, profile)["y"], expected=expected)
