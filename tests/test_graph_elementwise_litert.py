"""add, sub and mul under the LiteRT profiles equal LiteRT in its three modes."""

import numpy as np
import pytest
import tflite_models as tflite
from elementwise_cases import ACTIVATIONS, against_litert, binary_graph, binary_model, codes, every_pair, rule, shifted
from refq_cases import assert_same

from refq.graphs import run

# dyadic scales and odd zero points (ties exist), a ratio near the end of XNNPACK's range, one beyond it
EXHAUSTIVE = [
    [(0.5, 0), (0.5, 0), (1.0, 0)],
    [(0.25, 1), (1.0, -7), (0.5, 9)],
    [(0.1, 3), (0.037, -5), (0.093, 7)],
    [(0.0123, -128), (0.5, 5), (0.51, -3)],
    [(1.0, 3), (0.001, 9), (0.004, 1)],
    [(300.0, 3), (150.0, 9), (1.0, 1)],
]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("parts", EXHAUSTIVE, ids=str)
def test_every_pair_of_codes(parts, dtype):
    parts = shifted(parts, dtype)
    a, b = every_pair(dtype)
    shapes = a.shape, b.shape
    for op in ("add", "sub", "mul"):
        graph = binary_graph(op, dtype, shapes, parts)
        assert against_litert(graph, binary_model(op, dtype, shapes, parts), {"a": a, "b": b}) == 3 * 65536


def test_the_modes_differ_where_ties_are():
    """The share of all pairs on which the rules of two modes differ: half of the odd sums that are negative."""
    parts = [(0.5, 0), (0.5, 0), (1.0, 0)]
    a, b = every_pair("int8")
    graph = binary_graph("add", "int8", (a.shape, b.shape), parts)
    assert [rule(graph, p) for p in ("litert-xnnpack", "litert-builtin", "litert-reference")] == [
        "xnnpack21",
        "tflite_x86",
        "tflite:gemmlowp_double",
    ]
    found = [run(graph, {"a": a, "b": b}, p)["y"] for p in ("litert-xnnpack", "litert-reference")]
    odd_and_negative = ((a.astype(int) + b) % 2 == 1) & (a.astype(int) + b < 0)
    assert_same(got=found[0] != found[1], expected=odd_and_negative)


SHAPES = [((1, n), (1, n)) for n in (1, 7, 8, 9, 15, 16, 17, 33, 67)] + [
    ((1, 5, 67), (1, 1, 67)),
    ((1, 67, 5), (1, 67, 1)),
    ((1, 1, 40), (1, 1, 1)),
    ((1, 1, 1), (1, 3, 37)),
    ((1, 4, 9, 17), (17,)),
    ((1, 4, 9, 17), (1, 4, 1, 1)),
    ((1, 4, 9, 17), (1, 4, 1, 17)),
    ((1, 4, 1, 17), (1, 1, 9, 17)),
    ((1, 3, 1, 5, 1), (1, 1, 4, 1, 6)),
    ((2, 3, 4), (2, 3, 1)),
    ((1, 2, 2, 1, 2, 2, 9), (1, 2, 2, 1, 2, 2, 9)),
]
PARTS = [
    [(0.25, 1), (0.75, -7), (0.5, 9)],
    [(0.031, -11), (0.0017, 40), (0.05, 3)],
    [(200.0, 3), (100.0, -9), (0.7, 31)],
]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_sizes_and_broadcasts(shapes, dtype):
    rng = np.random.default_rng(len(str(shapes)))
    for number, parts in enumerate(PARTS):
        parts, act = shifted(parts, dtype), (number + len(shapes[0])) % 4
        feeds = {"a": codes(rng, dtype, shapes[0]), "b": codes(rng, dtype, shapes[1])}
        for op in ("add", "sub", "mul"):
            graph = binary_graph(op, dtype, shapes, parts, ACTIVATIONS[act])
            against_litert(graph, binary_model(op, dtype, shapes, parts, act), feeds)


@pytest.mark.parametrize("op", ["add", "sub", "mul"])
def test_a_constant_side(op):
    rng = np.random.default_rng(5)
    parts, shapes = [(0.25, 1), (0.75, -7), (0.5, 9)], ((1, 5, 5, 19), (19,))
    constant, a = codes(rng, "int8", (19,)), codes(rng, "int8", (1, 5, 5, 19))
    graph = binary_graph(op, "int8", shapes, parts, constant=constant)
    against_litert(graph, binary_model(op, "int8", shapes, parts, constant=constant), {"a": a})


INT16 = [
    ([(0.5, 0), (0.5, 0), (1.0, 0)], False, "tflite:gemmlowp_double"),
    ([(0.001, 0), (0.00037, 0), (0.00093, 0)], False, "tflite:gemmlowp_double"),
    ([(2.0**-8, 0), (2.0**-9, 0), (2.0**-8, 0)], False, "tflite:gemmlowp_double"),
    ([(2.0**-8, 0), (2.0**-9, 0), (2.0**-8, 0)], True, "tflite_pot16"),
    ([(2.0**-11, 0), (2.0**-9, 0), (2.0**-9, 0)], True, "tflite_pot16"),
    ([(2.0**-8, 0), (2.0**-9, 0), (0.0041, 0)], True, "tflite:gemmlowp_double"),
]


@pytest.mark.parametrize(("parts", "pot", "expected"), INT16, ids=str)
def test_int16(parts, pot, expected):
    rng = np.random.default_rng(9)
    shapes = (1, 1003), (1, 1003)
    ends = np.array([-32768, -32767, -3, -2, -1, 0, 1, 2, 3, 32767], np.int16)
    feeds = {
        n: np.concatenate([p, codes(rng, "int16", 903)])[None]
        for n, p in (("a", np.repeat(ends, 10)), ("b", np.tile(ends, 10)))
    }
    for op in ("add", "sub", "mul"):
        more = {} if op == "mul" else {"pot_scale_int16": pot}
        graph = binary_graph(op, "int16", shapes, parts, **more)
        model = binary_model(op, "int16", shapes, parts, **({} if op == "mul" else {"potScaleInt16": pot}))
        against_litert(graph, model, feeds)
        assert op == "mul" or rule(graph, "litert-builtin") == expected


@pytest.mark.parametrize("zero_point", [0, 3])
@pytest.mark.parametrize("half", [10, 11, 100])
def test_bounds_of_relu6_on_a_tie(half, zero_point):
    """6 / scale = half + 1/2: XNNPACK rounds it with the zero point, to even; TFLite's kernels round away."""
    parts = [(1.0, 0), (1.0, 0), (6 / (half + 0.5), zero_point)]
    a = np.arange(-128, 128, dtype=np.int8)[None]
    feeds, shapes = {"a": a, "b": np.ones_like(a)}, (a.shape, a.shape)
    for op in ("add", "sub", "mul"):
        against_litert(
            binary_graph(op, "int8", shapes, parts, "relu6"), binary_model(op, "int8", shapes, parts, 3), feeds
        )


RATIOS = [
    ("add", 256.0, False),
    ("add", float(np.nextafter(np.float32(256), np.float32(0))), True),
    ("add", 2.0**-10, True),
    ("add", float(np.nextafter(np.float32(2.0**-10), np.float32(0))), False),
    ("mul", 256.0, False),
    ("mul", float(np.nextafter(np.float32(256), np.float32(0))), True),
    ("mul", 2.0**-16, True),
    ("mul", 2.0**-17, False),
]


@pytest.mark.parametrize(("op", "ratio", "taken"), RATIOS)
def test_which_ratios_the_default_delegate_takes(op, ratio, taken):
    rng = np.random.default_rng(2)
    parts, shapes = [(ratio, 3), (1.0, -5), (1.0, 7)], ((1, 4096), (1, 4096))
    graph = binary_graph(op, "int8", shapes, parts)
    assert ("tflite" in rule(graph, "litert-xnnpack")) is not taken
    feeds = {"a": codes(rng, "int8", shapes[0]), "b": codes(rng, "int8", shapes[1])}
    against_litert(graph, binary_model(op, "int8", shapes, parts), feeds, ["litert"])


def test_samples_are_computed_as_each_would_be_alone():
    """Vector bodies start anew in each sample: 3 samples of 19 elements are no 57 elements."""
    rng = np.random.default_rng(4)
    parts, shapes = [(0.0123, -128), (0.5, 5), (0.51, -3)], ((1, 4099), (1, 4099))
    feeds = {n: codes(rng, "int8", (3, 4099)) for n in "ab"}
    content = binary_model("add", "int8", shapes, parts)
    graph = binary_graph("add", "int8", shapes, parts)
    found = run(graph, feeds, "litert-builtin")["y"]
    for i in range(3):
        alone = tflite.run_litert(content, "litert-builtin", {n: x[i : i + 1] for n, x in feeds.items()})[0]
        assert_same(got=found[i : i + 1], expected=alone)
