"""Float32 ops of graphs: stacks of samples, the arithmetic of one element, shapes, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest
from graph_floats_cases import BY_NAME, W_SCALE, biases, bound, dequantized, generator, result, same_bits, site
from refq_cases import assert_same

from refq.graphs import PROFILES
from refq.graphs.choosing import rule_of
from refq.graphs.records import Node, Tensor
from refq.graphs.sites import Site
from refq.layers.floats_matmul import nearest_float

CONV = {"layout": "NCHW", "stride": (2, 1), "dilation": (1, 2), "padding": ((1, 0), (2, 1)), "groups": 2}
POOL = {"kernel": (3, 2), "stride": (2, 2), "padding": ((1, 1), (0, 1))}
RNG = generator(0)
WEIGHTS = dequantized(RNG, (6, 2, 3, 2), W_SCALE, 0)
ONE = dequantized(RNG, (7,))

SITES = {
    "conv": site("float_conv", [(2, 4, 6, 5), (6, 2, 3, 2), (6,)], CONV, {1: WEIGHTS, 2: biases(RNG, 6)}),
    "conv of rows": site(
        "float_conv", [(1, 3, 17), (4, 3, 5), None],
        {"layout": "NCW", "stride": (1, 2), "dilation": (1, 1), "padding": ((0, 0), (1, 2)), "groups": 1},
    ),
    "matmul": site("float_matmul", [(1, 30), (30, 7)], data={1: dequantized(RNG, (30, 7), W_SCALE, 0)}),
    "matmul of activations": site("float_matmul", [(2, 3, 30), (2, 30, 5)]),
    "matmul of a constant first": site("float_matmul", [(4, 6), (6, 5)], data={0: dequantized(RNG, (4, 6))}),
    "matmul of vectors": site("float_matmul", [(3, 6), (6,)], data={1: dequantized(RNG, (6,))}),
    "gemm": site(
        "float_gemm", [(1, 30), (7, 30), (7,)], {"trans_b": True, "alpha": 0.7, "beta": 0.3},
        {1: dequantized(RNG, (7, 30)), 2: ONE},
    ),
    "gemm turned": site("float_gemm", [(6, 3), (6, 5), None], {"trans_a": True}),
    "average": site("float_average_pool", [(1, 3, 7, 6)], POOL),
    "average with padding": site("float_average_pool", [(1, 3, 7, 6)], {**POOL, "count_include_pad": True}),
    "average of rows": site(
        "float_average_pool", [(1, 3, 9)], {"layout": "NCW", "kernel": (4,), "stride": (3,), "padding": ((1, 1),)}
    ),
    "largest": site("float_max_pool", [(1, 3, 7, 6)], POOL),
    "global": site("float_global_average_pool", [(1, 5, 3, 3)]),
    "mean": site("float_mean", [(2, 3, 4)], {"axes": (2, 0), "keep_dims": True}),
    "mean of columns": site("float_mean", [(2, 3, 4)], {"axes": (-1,), "keep_dims": False}),
    "add": site("float_add", [(1, 3, 4), (3, 1)], data={1: dequantized(RNG, (3, 1))}),
    "sub": site("float_sub", [(1, 3, 4), (1, 3, 4)]),
    "mul": site("float_mul", [(2, 4), (2, 4)], data={1: dequantized(RNG, (2, 4))}),
    "relu": site("float_relu", [(1, 9)]),
    "clip": site("float_clip", [(1, 9)], {"low": -0.3, "high": None}),
    "leaky": site("float_leaky_relu", [(1, 9)], {"alpha": 0.3}),
    "concat": site("float_concat", [(1, 2, 3), (1, 4, 3)], {"axis": 1}),
    "concat of rows": site("float_concat", [(1, 3), (2, 3)], {"axis": 0}),
    "sigmoid": site("float_sigmoid", [(1, 9)]),
    "tanh": site("float_tanh", [(1, 9)]),
    "softmax": site("float_softmax", [(2, 3, 5)], {"axis": 1}),
    "softmax of rows": site("float_softmax", [(4, 5)], {"axis": 0}),
}  # fmt: skip


def arrays_for(made, samples, seed=0):
    rng = generator(seed)
    return tuple(
        None if t is None else t.data if t.data is not None else dequantized(rng, (t.shape[0] * samples, *t.shape[1:]))
        for t in made.inputs
    )


def rules_of(made):
    return BY_NAME[made.node.op].rules(made)


def part(array, tensor, place):
    rows = 0 if tensor is None or tensor.data is not None else tensor.shape[0]
    return array if rows == 0 else array[place * rows : (place + 1) * rows]


@pytest.mark.parametrize("name", SITES)
def test_a_sample_is_computed_as_it_is_alone(name):
    made = SITES[name]
    arrays = arrays_for(made, 3)
    assert BY_NAME[made.node.op].batched(made)
    for rule in rules_of(made):
        alone = [
            result(made, [part(a, t, i) for a, t in zip(arrays, made.inputs, strict=True)], rule) for i in range(3)
        ]
        assert alone[0].shape == made.outputs[0].shape
        same_bits(result(made, arrays, rule), np.concatenate(alone))


@pytest.mark.parametrize("name", SITES)
def test_the_arithmetic_of_an_element(name):
    made = SITES[name]
    arrays = arrays_for(made, 2, 5)
    expected = result(made, arrays, "exact")
    ready = bound(made)
    named = {t.name: a for t, a in zip(made.inputs, arrays, strict=True) if t is not None}
    for index in list(np.ndindex(expected.shape))[:: max(1, expected.size // 23)]:
        found = ready.element(arrays, 0, index)
        if found.value is None:
            value = Fraction(found.approximate)
            assert abs(value - Fraction(float(expected[index]))) <= abs(value) / (1 << 24)
        else:
            assert nearest_float(found.value) == expected[index]
        assert found.words
        assert {n for n, _ in found.fields} <= set(named)
        for tensor, slices in found.fields:
            assert len(slices) == named[tensor].ndim
            assert all(0 <= s.start <= s.stop <= size for s, size in zip(slices, named[tensor].shape, strict=True))


@pytest.mark.parametrize("name", SITES)
def test_only_the_field_counts(name):
    made = SITES[name]
    arrays = [None if a is None else a.copy() for a in arrays_for(made, 2, 6)]
    expected = result(made, arrays, "exact")
    index = tuple(size // 2 for size in expected.shape)
    fields = dict(bound(made).element(tuple(arrays), 0, index).fields)
    for tensor, array in zip(made.inputs, arrays, strict=True):
        if tensor is not None and array is not None:
            outside = np.ones(array.shape, bool)
            if tensor.name in fields:
                outside[fields[tensor.name]] = False
            array[outside] = 77
    assert result(made, arrays, "exact")[index] == expected[index]


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("profile", ["onnxruntime", "onnx-text", "onnx-reference"])
def test_profiles_have_a_rule(name, profile):
    made = SITES[name]
    assert rule_of(PROFILES[profile], BY_NAME[made.node.op], made) in rules_of(made)


def test_profiles_tell_sites_apart():
    packed = site("float_matmul", [(1, 6), (6, 5)], {"packed": True})
    assert rule_of(PROFILES["onnxruntime"], BY_NAME["float_matmul"], packed) == "mlas_avx512_packed"
    old = site("float_average_pool", [(1, 3, 7, 6)], {**POOL, "opset": 18})
    assert rule_of(PROFILES["onnxruntime"], BY_NAME["float_average_pool"], old) == "mlas_pool"


def test_entries_name_rules():
    for profile in PROFILES.values():
        for entry in profile.entries:
            if entry.op in BY_NAME:
                assert any(entry.rule in rules_of(made) for made in SITES.values() if made.node.op == entry.op)


REFUSED = [
    ("float_conv", [(1, 4, 6, 5), (6, 3, 3, 2)], {"groups": 2}, "do not fit input"),
    ("float_conv", [(1, 4, 6, 5), (6, 4, 3, 2), (5,)], {}, "bias of shape"),
    ("float_conv", [(1, 4, 2, 2), (6, 4, 3, 3)], {}, "does not fit the padded image"),
    ("float_conv", [(1, 4, 6), (6, 4, 3)], {}, "has 3 dimensions"),
    ("float_conv", [(1, 4, 6, 6), (6, 4, 3, 3)], {"stride": (0, 1)}, "1 or more"),
    ("float_conv", [(1, 4, 6, 6), (6, 4, 3, 3)], {"layout": "NHWC"}, "legal: NCHW, NCW"),
    ("float_conv", [(1, 4, 6, 6), None], {}, "input 1 is missing"),
    ("float_matmul", [(2, 3), (4, 5)], {}, "do not multiply"),
    ("float_matmul", [(2, 2, 3), (3, 3, 5)], {}, "do not broadcast"),
    ("float_gemm", [(2, 3), (4, 5), None], {}, "do not multiply"),
    ("float_gemm", [(2, 3), (3, 5), (4,)], {}, "c of shape"),
    ("float_average_pool", [(1, 3, 4, 4)], {}, "kernel is missing"),
    ("float_average_pool", [(1, 3, 4, 4)], {"kernel": (5, 1)}, "does not fit"),
    ("float_global_average_pool", [(1, 3)], {}, "pass (images, channels"),
    ("float_mean", [(1, 3)], {"axes": (2,)}, "outside"),
    ("float_add", [(2, 3), (4,)], {}, "do not broadcast"),
    ("float_softmax", [(2, 3)], {"axis": 2}, "outside"),
    ("float_concat", [(2, 3), (2, 4)], {"axis": 0}, "do not join"),
]


@pytest.mark.parametrize(("op", "shapes", "attributes", "words"), REFUSED)
def test_shapes_that_do_not_fit(op, shapes, attributes, words):
    with pytest.raises(ValueError) as refused:
        site(op, shapes, attributes)
    assert words in str(refused.value)


@pytest.mark.parametrize("op", BY_NAME)
def test_codes_are_refused(op):
    names = ("a", "b", "c")
    shapes = {"float_conv": [(1, 1, 4, 4), (1, 1, 2, 2)], "float_matmul": [(4, 4)] * 2, "float_gemm": [(4, 4)] * 2}
    given = shapes.get(op, [(1, 1, 4, 4)] * 2)
    inputs = tuple(Tensor(n, s, "int8") for n, s in zip(names, given, strict=False))
    attributes = {"kernel": (2, 2), "axes": (1,)}
    made = Site(Node("node", op, names[:2], ("y",), attributes), inputs, (Tensor("y", (1,), "float32"),), "onnx")
    with pytest.raises(ValueError) as refused:
        bound(made)
    assert f"{op} node: a is int8; pass float32" in str(refused.value)


@pytest.mark.parametrize("name", ["conv", "matmul", "average", "sigmoid", "tanh", "softmax"])
@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
def test_exact_rules_refuse_what_is_not_finite(name, wrong):
    made = SITES[name]
    arrays = [None if a is None else a.copy() for a in arrays_for(made, 1)]
    arrays[0].flat[0] = wrong
    with pytest.raises(ValueError) as refused:
        result(made, arrays, "exact")
    assert "not finite" in str(refused.value)


def test_overflow_is_infinite_without_a_warning():
    made = SITES["sub"]
    huge = np.full((1, 3, 4), 3e38, np.float32)
    assert np.isinf(result(made, [huge, -huge])).all()
    product = site("float_matmul", [(2, 2), (2, 2)])
    for rule in rules_of(product):
        found = result(product, [np.full((2, 2), 3e38, np.float32)] * 2, rule)
        assert_same(got=found, expected=np.full((2, 2), np.inf, np.float32))
