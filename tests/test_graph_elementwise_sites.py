"""Sites of add, sub, mul, pools and means: every rule runs, batches, one element's arithmetic, and what is refused."""

import numpy as np
import pytest
from elementwise_cases import binary_graph, codes, exactly, node_graph, site
from refq_cases import assert_same

from refq import Rounding
from refq.graphs import OPS, PROFILES, run
from refq.graphs.sites import format_of
from refq.layers.rescaling import activation_bounds
from refq.spec.layers.elementwise import Affine, stored
from refq.spec.rounding import round_to_integer

PARTS = [(0.25, 1), (0.75, -7), (0.5, 9)]
POOL = {"layout": "NHWC", "kernel": (3, 2), "stride": (2, 1), "padding": ((1, 1), (0, 1))}


def graphs(n=1):
    """One graph of every op, and a variant for most rules; n: the declared first dimension."""
    x = {"x": ((n, 5, 4, 17), "int8", 0.25, 1)}
    same = (0.25, 1)
    return {
        "add": binary_graph("add", "int8", ((n, 3, 19), (n, 3, 1)), PARTS),
        "add16": binary_graph("add", "int16", ((n, 9), (n, 9)), [(0.5, 0), (0.25, 0), (0.5, 0)], pot_scale_int16=True),
        "sub": binary_graph(
            "sub", "uint8", ((n, 9), (9,)), [(0.5, 3), (0.25, 4), (0.5, 5)], constant=np.arange(9, dtype=np.uint8)
        ),
        "mul": binary_graph("mul", "int8", ((n, 19), (n, 19)), PARTS, "relu6"),
        "average_pool": node_graph("average_pool", x, same, **POOL),
        "average_pool_padded": node_graph("average_pool", x, (0.5, 3), "onnx", **POOL, count_include_pad=True),
        "max_pool": node_graph("max_pool", x, same, **POOL, activation="relu"),
        "global_average_pool": node_graph("global_average_pool", x, (0.5, 3), layout="NHWC"),
        "mean": node_graph("mean", x, (0.5, 3), axes=(1, 2), keep_dims=True),
        "mean_flat": node_graph("mean", x, same, axes=(3, -3), keep_dims=False),
    }


def feeds_of(graph, samples, seed=0):
    rng = np.random.default_rng(seed)
    return {
        n: codes(rng, t.dtype, (t.shape[0] * samples, *t.shape[1:])) for n in graph.inputs for t in [graph.tensors[n]]
    }


def bound(graph):
    found = site(graph)
    return OPS[found.node.op].bind(found, Rounding.TIES_AWAY), OPS[found.node.op].rules(found), found


def given(graph, feeds):
    return tuple(feeds.get(n, graph.tensors[n].data) for n in graph.nodes[0].inputs)


@pytest.mark.parametrize("name", graphs())
def test_every_rule_runs_on_one_gathered_value_and_on_stacked_samples(name):
    graph = graphs()[name]
    feeds = feeds_of(graph, 3)
    op, rules, found = bound(graph)
    assert len(set(rules)) == len(rules)
    assert OPS[found.node.op].batched(found)
    gathered = op.gather(given(graph, feeds))
    for rule in rules:
        whole = op.finish(gathered, rule)[0]
        for i in range(3):
            part = {n: x[i : i + 1] for n, x in feeds.items()}
            alone = op.finish(op.gather(given(graph, part)), rule)[0]
            assert_same(got=whole[i : i + 1], expected=alone)
            assert alone.shape == graph.tensors["y"].shape


@pytest.mark.parametrize("name", graphs())
def test_every_profile_has_a_rule(name):
    graph = graphs()[name]
    for profile in PROFILES:
        if name in ("average_pool_padded",) and profile not in ("onnxruntime", "onnx-text", "onnx-reference"):
            continue  # unequal scales: TFLite, CMSIS-NN and TOSA have no such pool
        found = run(graph, feeds_of(graph, 2), profile)["y"]
        assert found.shape == (2 * graph.tensors["y"].shape[0], *graph.tensors["y"].shape[1:])


@pytest.mark.parametrize("name", graphs())
def test_the_arithmetic_of_one_element_is_the_exact_rule(name):
    graph = graphs(2)[name] if name != "sub" else graphs()[name]
    feeds = feeds_of(graph, 1)
    op, rules, found = bound(graph)
    inputs = given(graph, feeds)
    rule = next(
        (r for r in rules if r.startswith(("exact:ties_even/after", "exact_ties_even/exact_product/after"))), "exact"
    )
    result = op.finish(op.gather(inputs), rule)[0]
    output = graph.tensors["y"]
    scale, zero = exactly(output.quantization.scale[0]), int(output.quantization.zero_point[0])
    fmt = format_of(found, output)
    limits = activation_bounds(graph.nodes[0].attributes.get("activation", "none"), np.float32(float(scale)), zero, fmt)
    for index in list(np.ndindex(result.shape))[:: max(result.size // 40, 1)]:
        element = op.element(inputs, 0, index)
        value = round_to_integer(element.value - zero, Rounding.TIES_EVEN) + zero
        assert stored(value, Affine(scale, zero, fmt), limits) == result[index]
        if element.accumulator is not None:
            assert element.accumulator * element.scale + zero == element.value
        for (tensor, field), array in zip(element.fields, inputs, strict=True):
            assert tensor in graph.tensors
            assert array[field].size > 0


def test_samples_that_meet_are_not_stacked():
    def stacks(graph):
        return OPS[graph.nodes[0].op].batched(site(graph))

    x = {"x": ((2, 3), "int8", 0.5, 0)}
    assert not stacks(node_graph("mean", x, (0.5, 0), axes=(0,), keep_dims=True))
    assert not stacks(binary_graph("add", "int8", ((2, 3), (1, 3)), PARTS))
    assert not stacks(binary_graph("add", "int8", ((1, 3), (3,)), PARTS))
    constant = np.zeros((2, 3), np.int8)
    assert not stacks(binary_graph("add", "int8", ((2, 3), (2, 3)), PARTS, constant=constant))
    assert stacks(binary_graph("add", "int8", ((1, 3), (1, 3)), PARTS, constant=constant[:1]))
    assert not stacks(binary_graph("add", "int8", ((), ()), PARTS))


def test_scalars_and_single_elements():
    for op in ("add", "sub", "mul"):
        for shape in ((), (1,), (1, 1)):
            graph = binary_graph(op, "int8", (shape, shape), PARTS)
            made, rules, _ = bound(graph)
            gathered = made.gather((np.full(shape, 3, np.int8), np.full(shape, -8, np.int8)))
            for name in rules:
                found = made.finish(gathered, name)[0]
                assert (found.shape, found.dtype) == (shape, np.int8)
