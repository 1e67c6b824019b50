"""What add, sub, mul, pools and means refuse, and rules at extreme scales."""

import numpy as np
import pytest
from elementwise_cases import binary_graph, node_graph, quantization, site

from refq import Rounding
from refq.graphs import OPS, prepare, run
from refq.graphs.records import Graph, Tensor

PARTS = [(0.25, 1), (0.75, -7), (0.5, 9)]
POOL = {"layout": "NHWC", "kernel": (3, 2), "stride": (2, 1), "padding": ((1, 1), (0, 1))}


def graphs():
    """One graph of each op that is tested here."""
    x = {"x": ((1, 5, 4, 17), "int8", 0.25, 1)}
    return {
        "add": binary_graph("add", "int8", ((1, 3, 19), (1, 3, 1)), PARTS),
        "mul": binary_graph("mul", "int8", ((1, 19), (1, 19)), PARTS),
        "max_pool": node_graph("max_pool", x, (0.25, 1), **POOL),
        "mean": node_graph("mean", x, (0.5, 3), axes=(1, 2), keep_dims=True),
    }


def bound(graph):
    found = site(graph)
    return OPS[found.node.op].bind(found, Rounding.TIES_AWAY), OPS[found.node.op].rules(found), found


def changed(graph, name, **fields):
    tensor = graph.tensors[name]
    parts = {"name": name, "shape": tensor.shape, "dtype": tensor.dtype, "quantization": tensor.quantization}
    return Graph(
        graph.nodes, {**graph.tensors, name: Tensor(**{**parts, **fields})}, graph.inputs, graph.outputs, "tflite"
    )


two = quantization([0.5, 0.25], 0)
two_zeros = type(two)(np.float32([0.5, 0.25]), np.int64([0, 0]), 1)
REFUSED = [
    ("add", {"name": "a", "quantization": None}, r"add node: a \(int8\) has no scale"),
    ("add", {"name": "a", "quantization": two_zeros}, r"add node: a has 2 zero points; pass one"),
    ("mul", {"name": "a", "dtype": "float32"}, r"mul node: a is float32; pass integer codes"),
    (
        "mul",
        {"name": "b", "dtype": "uint8", "quantization": quantization(0.5, 3)},
        r"dtypes int8, uint8, int8 differ; pass three of one kind",
    ),
    ("add", {"name": "y", "dtype": "int32"}, r"add node: y is int32; pass 8 or 16 bits"),
    ("add", {"name": "y", "quantization": quantization(0.5, 128)}, r"zero_point=128 of y is outside int8"),
    (
        "mul",
        {"name": "y", "quantization": quantization(2.0**-70, 5)},
        r"mul node: scale ratio 2.21361e\+20 of an input",
    ),
    (
        "mean",
        {"name": "y", "quantization": quantization(2.0**90, 5)},
        r"mean node: scale ratio 2.01948e-28 of an input",
    ),
    ("mean", {"name": "y", "dtype": "uint8"}, r"mean node: dtypes int8 and uint8 differ; pass one kind"),
    ("max_pool", {"name": "y", "quantization": quantization(0.5, 1)}, r"max_pool node: scales or zero points"),
]


@pytest.mark.parametrize(("name", "fields", "message"), REFUSED)
def test_tensors_that_are_refused(name, fields, message):
    fields = dict(fields)
    graph = changed(graphs()[name], fields.pop("name"), **fields)
    with pytest.raises(ValueError, match=message):
        prepare(graph, "litert-reference")


SHAPES = [
    ("add", {"a": (2, 3), "b": (2, 4)}, {}, r"add n: shapes \(2, 3\) and \(2, 4\) do not broadcast"),
    ("add", {"a": (2, 3)}, {}, r"add n: inputs=1; pass two tensors"),
    ("mean", {"x": (2, 3)}, {"axes": (2,)}, r"mean n: axes=\(2,\) leave the 2 dimensions of \(2, 3\)"),
    ("mean", {"x": (2, 3)}, {}, r"mean n: axes=\(\) is empty"),
    ("max_pool", {"x": (2, 3)}, {"layout": "NHWC"}, r"layout=NHWC does not fit an input of shape \(2, 3\)"),
    ("max_pool", {"x": (1, 3, 3, 1)}, {"layout": "CHWN"}, r"layout='CHWN' is unknown; legal: NHWC"),
    (
        "max_pool",
        {"x": (1, 3, 3, 1)},
        {"kernel": (4, 4)},
        r"max_pool n: pool: dimension 1 of \(1, 3, 3, 1\) is smaller",
    ),
    ("average_pool", {"x": (1, 3, 3, 1)}, {"kernel": (2,)}, r"average_pool n: kernel=\(2,\); pass 2 numbers from 1"),
    ("average_pool", {"x": (1, 3, 3, 1)}, {"stride": (0, 1)}, r"average_pool n: stride=\(0, 1\); pass 2 numbers"),
    ("average_pool", {"x": (1, 3, 3, 1)}, {"padding": ((0, -1), (0, 0))}, r"padding=\(0, -1\); pass 2 numbers from 0"),
    ("average_pool", {"x": (1, 3, 3, 1)}, {"padding": ((0, 0),)}, r"padding=\(\(0, 0\),\); pass 2 pairs"),
]


@pytest.mark.parametrize(("op", "shapes", "attributes", "message"), SHAPES)
def test_shapes_that_are_refused(op, shapes, attributes, message):
    tensors = tuple(Tensor(name, shape, "int8", quantization(0.5, 0)) for name, shape in shapes.items())
    with pytest.raises(ValueError, match=message):
        OPS[op].shapes("n", attributes, tensors)


EXTREMES = [
    (2.0**-60, 2.0**-60, 1.0),
    (2.0**60, 2.0**-60, 1.0),
    (2.0**-100, 2.0**-90, 2.0**-100),
    (2.0**100, 2.0**90, 2.0**110),
    (2.0**19, 2.0**-30, 1.0),
    (1.0, 1.0, 2.0**-29),
]


def extreme(op, scales):
    if op in ("add", "sub", "mul"):
        return binary_graph(op, "int8", ((1, 5), (1, 5)), list(zip(scales, (1, -3, 5), strict=True)))
    more = {"axes": (1, 2), "keep_dims": True} if op == "mean" else {"layout": "NHWC"}
    return node_graph(op, {"x": ((1, 1, 5, 1), "int8", scales[0], 1)}, (scales[2], 5), **more)


@pytest.mark.parametrize("op", ["add", "sub", "mul", "mean", "global_average_pool", "average_pool"])
@pytest.mark.parametrize("scales", EXTREMES, ids=str)
def test_every_rule_of_a_site_runs_at_extreme_scales(scales, op):
    x = np.array([-128, -1, 0, 1, 127], np.int8)
    graph = extreme(op, scales)
    ratio = scales[0] * scales[1] / scales[2] if op == "mul" else scales[0] / scales[2]
    if not 2.0**-60 <= ratio <= 2.0**60:
        with pytest.raises(ValueError, match=r"is outside 2\*\*-60"):
            bound(graph)
        return
    made, rules, _ = bound(graph)
    assert any("exact" in name for name in rules)
    shapes = [graph.tensors[n].shape for n in graph.inputs]
    gathered = made.gather(tuple(x[:: 1 - 2 * i].reshape(shape).copy() for i, shape in enumerate(shapes)))
    for name in rules:
        assert made.finish(gathered, name)[0].dtype == np.int8


def test_rules_that_do_not_fit():
    op, rules, _ = bound(graphs()["add"])
    gathered = op.gather((np.zeros((1, 3, 19), np.int8), np.zeros((1, 3, 1), np.int8)))
    with pytest.raises(ValueError, match=r"add: rule='nothing' is unknown; legal: tflite:gemmlowp_double"):
        op.finish(gathered, "nothing")
    assert "tflite_pot16" not in rules
    wide = binary_graph("add", "int8", ((1, 4), (1, 4)), [(2.0**30, 0), (1.0, 0), (1.0, 0)])
    assert not {"tflite:gemmlowp_double", "xnnpack21", "qnnpack22", "tflite_x86"} & set(OPS["add"].rules(site(wide)))
    op, rules, _ = bound(graphs()["mean"])
    assert "raw:ties_away" not in rules
    gathered = op.gather((np.zeros((1, 5, 4, 17), np.int8),))
    with pytest.raises(ValueError, match=r"mean node: rule='raw:ties_away' is not for it; legal: tflite"):
        op.finish(gathered, "raw:ties_away")


def test_sums_beyond_int32_are_refused_by_rules_that_are_defined_there_only():
    x = {"x": ((1, 1 << 17), "int16", 0.5, 0)}
    graph = node_graph("mean", x, (0.5, 0), axes=(1,), keep_dims=False)
    huge = np.full((1, 1 << 17), 32767, np.int16)
    assert run(graph, {"x": huge}, "onnx-text")["y"].item() == 32767
    with pytest.raises(ValueError, match=r"mean node: rescale: acc\[0\]=4294836224 is outside -2147483648"):
        run(graph, {"x": huge}, "litert-reference")


def test_empty_windows_and_empty_means_are_refused():
    graph = node_graph("average_pool", {"x": ((1, 1, 1, 1), "int8", 0.5, 0)}, (0.5, 0), layout="NHWC", kernel=(1, 1),
                       stride=(1, 1), padding=((1, 1), (0, 0)))  # fmt: skip
    with pytest.raises(ValueError, match=r"average_pool node: padding=.* has empty windows"):
        run(graph, {"x": np.zeros((1, 1, 1, 1), np.int8)}, "litert-reference")
    graph = node_graph("mean", {"x": ((1, 0, 2), "int8", 0.5, 0)}, (0.5, 0), axes=(1,), keep_dims=False)
    with pytest.raises(ValueError, match=r"mean node: input of shape \(1, 0, 2\) is empty along axes=\(1,\)"):
        run(graph, {"x": np.zeros((1, 0, 2), np.int8)}, "litert-reference")
