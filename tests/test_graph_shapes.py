"""Layers that move values: each array function against the definition, place by place; the ops and their batches."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import assert_same

from refq import IntFormat
from refq.formats import Rounding
from refq.graphs.ops.concat import MIXED
from refq.graphs.ops.shapes import OPS as FAMILY
from refq.graphs.records import Node, Quantization, Tensor
from refq.graphs.sites import Site
from refq.layers import shapes as layers
from refq.spec.layers import shapes as spec

OPS = {op.name: op for op in FAMILY}
DTYPES = ("int8", "uint8", "int16", "float32")
U8 = IntFormat(8, False)


def numbered(shape, dtype="int32"):
    return np.arange(1, int(np.prod(shape)) + 1).reshape(shape).astype(dtype)


def moved(x, shape, place):
    """The definition on every place of a result; None is padding with -9."""
    found = [place(p) for p in spec.places(shape)]
    return np.array([-9 if p is None else x[p] for p in found], x.dtype).reshape(shape)


@pytest.mark.parametrize("shape", [(3,), (2, 1), (2, 3, 4), (1, 2, 0), (2, 1, 2, 1, 2)])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_pad(shape, before):
    pads = [(before, 2), (0, 1), (1, 0), (0, 0), (2, 1)][: len(shape)]
    x = numbered(shape)
    size = tuple(n + sum(ends) for n, ends in zip(shape, pads, strict=True))
    got = layers.pad(x, pads, -9)
    if got.size:
        assert_same(got, moved(x, size, lambda p: spec.padded(p, shape, pads)))
    assert got.shape == size


@pytest.mark.parametrize("bounds", [(0, 5, 1), (4, -1, -1), (1, 5, 3), (4, 0, -3), (2, 3, 7), (0, 1, 1), (3, -1, -3)])
def test_cut(bounds):
    begin, end, step = (0, bounds[0], 1), (2, bounds[1], 3), (1, bounds[2], 2)
    x = numbered((2, 5, 4))
    shape = tuple(len(range(b, e, s)) for b, e, s in zip(begin, end, step, strict=True))
    assert_same(layers.cut(x, begin, end, step), moved(x, shape, lambda p: spec.cut(p, begin, step)))


def test_nothing_cut_out():
    assert layers.cut(numbered((3, 4)), (1, 2), (1, 4), (1, 1)).shape == (0, 2)
    assert layers.cut(numbered((3, 4)), (2, 2), (2, 4), (-1, 1)).shape == (0, 2)


@pytest.mark.parametrize("sizes", [(5,), (1, 4), (2, 0, 3), (1, 1, 1, 1, 1)])
def test_split(sizes):
    x = numbered((2, 5, 3))
    for which, part in enumerate(layers.split(x, 1, sizes)):
        assert part.shape == (2, sizes[which], 3)
        if part.size:
            assert_same(part, moved(x, part.shape, lambda p, w=which: spec.part(p, 1, sizes, w)))


@pytest.mark.parametrize("perm", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_transpose_and_reshape(perm):
    x = numbered((2, 3, 4))
    y = x.transpose(perm)
    assert_same(y, moved(x, y.shape, lambda p: spec.transposed(p, perm)))
    assert_same(x.reshape(4, 6), moved(x, (4, 6), lambda p: spec.reshaped(p, x.shape, (4, 6))))


BLOCKS = [
    ((2,), ((0, 0),)),
    ((2,), ((1, 3),)),
    ((1, 2), ((0, 0), (4, 0))),
    ((2, 3), ((1, 1), (0, 2))),
    ((1,), ((0, 0),)),
]


@pytest.mark.parametrize(("block", "pads"), BLOCKS)
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_blocks_go_to_batches_and_come_back(block, pads, batch):
    x = numbered((batch, 2, 4, 3))
    got = layers.space_to_batch(x, block, pads, -9)
    assert_same(got, moved(x, got.shape, lambda p: spec.in_blocks(p, batch, block, x.shape, pads)))
    back = layers.batch_to_space(got, block, pads)
    assert_same(back, moved(got, x.shape, lambda p: spec.out_of_blocks(p, batch, block, pads)))
    assert_same(back, x)


@pytest.mark.parametrize(("block", "pads"), BLOCKS)
def test_samples_do_not_meet_in_blocks(block, pads):
    samples = [numbered((2, 2, 4, 3)) + 100 * i for i in range(3)]
    apart = [layers.space_to_batch(x, block, pads, -9) for x in samples]
    together = layers.space_to_batch(np.concatenate(samples), block, pads, -9, 3)
    assert_same(together, np.concatenate(apart))
    assert_same(layers.batch_to_space(together, block, pads, 3), np.concatenate(samples))


# ties, dyadic scales, odd zero points, the largest and the smallest ratio of scales
PAIRS = [(0.5, 1.0), (0.25, 1.0), (1.0, 1.0), (0.1, 0.037), (3.0, 7.0), (2.0**-8, 1.0), (1.0, 2.0**-8), (0.0235, 0.011)]


@pytest.mark.parametrize(("low", "high"), PAIRS)
@pytest.mark.parametrize("zeros", [(0, 0), (1, 7), (3, 128), (255, 1)])
def test_codes_of_another_scale(low, high, zeros):
    codes = np.arange(256).astype(np.uint8)
    scales = np.float32(low), np.float32(high)
    exact = Fraction(float(scales[0])), Fraction(float(scales[1]))
    affine = [spec.rescale_affine(c, exact, zeros, U8) for c in range(256)]
    assert_same(layers.rescale_affine(codes, scales, zeros, U8), np.array(affine, np.uint8))
    for even in (True, False):
        through = [spec.rescale_dequantized(c, exact, zeros, U8, even) for c in range(256)]
        assert_same(layers.rescale_dequantized(codes, scales, zeros, U8, even), np.array(through, np.uint8))


def tensor(name, shape, scale=None, zero=0, dtype="int8"):
    found = None if scale is None else Quantization(np.array([scale], np.float32), np.array([zero]))
    return Tensor(name, tuple(shape), dtype, found)


def site(op, inputs, outputs, **attributes):
    node = Node("n", op, tuple(t.name for t in inputs), tuple(t.name for t in outputs), attributes)
    return Site(node, tuple(inputs), tuple(outputs), "tflite")


MOVES = [
    ("pad", (2, 3, 4), {"pads": ((0, 0), (1, 2), (0, 1))}),
    ("pad", (1, 3), {"pads": ((0, 0), (1, 2)), "value": 11}),
    ("reshape", (2, 3, 4), {"to": (4, 6)}),
    ("reshape", (1, 4, 2), {"to": (1, 8)}),
    ("transpose", (2, 3, 4), {"perm": (0, 2, 1)}),
    ("split", (2, 6, 2), {"axis": 1, "sizes": (2, 0, 4)}),
    ("slice", (2, 6, 3), {"begin": (0, 1, 2), "end": (2, 5, -1), "step": (1, 2, -1)}),
    ("space_to_batch", (2, 4, 4, 3), {"block": (2, 2), "pads": ((1, 1), (0, 2))}),
    ("batch_to_space", (8, 2, 3, 3), {"block": (2, 2), "crops": ((1, 0), (0, 2))}),
]


@pytest.mark.parametrize(("op", "shape", "attributes"), MOVES)
def test_ops_run_on_stacked_samples_as_on_each_alone(op, shape, attributes):
    attributes = dict(attributes)
    x = tensor("x", shape, 0.5, 5)
    shapes = [attributes.pop("to")] if "to" in attributes else OPS[op].shapes("n", attributes, (x,))
    here = site(op, [x], [tensor(f"y{i}", s, 0.5, 5) for i, s in enumerate(shapes)], **attributes)
    assert OPS[op].batched(here)
    assert OPS[op].rules(here) == ("exact",)
    bound = OPS[op].bind(here, Rounding.TIES_AWAY)
    samples = [numbered(shape, "int8") + np.int8(7 * i) for i in range(3)]
    apart = [bound.finish(bound.gather((x,)), "exact") for x in samples]
    together = bound.finish(bound.gather((np.concatenate(samples),)), "exact")
    for place, declared in enumerate(shapes):
        assert apart[0][place].shape == tuple(declared)
        if 0 not in declared:
            assert_same(together[place], np.concatenate([outputs[place] for outputs in apart]))
    _check_elements(bound, samples[1], apart[1])


def _check_elements(bound, x, outputs):
    """Every element says where it comes from."""
    for place, output in enumerate(outputs):
        for index in spec.places(output.shape):
            element = bound.element((x,), place, index)
            assert element.value == output[index]
            for _, field in element.fields:
                assert x[field].ravel().tolist() == [output[index]]


def test_padding_holds_the_zero_point_of_the_output():
    here = site("pad", [tensor("x", (1, 2), 0.5, 3)], [tensor("y", (1, 4), 0.25, -7)], pads=((0, 0), (1, 1)))
    bound = OPS["pad"].bind(here, Rounding.TIES_AWAY)
    got = bound.finish(bound.gather((np.array([[1, 2]], np.int8),)), "exact")[0]
    assert_same(got, np.array([[-7, 1, 2, -7]], np.int8))


NOT_BATCHED = [
    ("pad", (2, 3), {"pads": ((1, 0), (0, 0))}, (3, 3)),
    ("transpose", (2, 3), {"perm": (1, 0)}, (3, 2)),
    ("split", (2, 3), {"axis": 0, "sizes": (2,)}, (2, 3)),
    ("slice", (2, 3), {"begin": (0, 0), "end": (1, 3), "step": (1, 1)}, (1, 3)),
    ("slice", (2, 3), {"begin": (1, 0), "end": (-1, 3), "step": (-1, 1)}, (2, 3)),
    ("reshape", (2, 3), {}, ()),
    ("reshape", (0, 3), {}, (3, 0)),
    ("concat", (2, 3), {"axis": 0}, (2, 3)),
]


@pytest.mark.parametrize(("op", "shape", "attributes", "result"), NOT_BATCHED)
def test_samples_that_meet_are_not_stacked(op, shape, attributes, result):
    assert not OPS[op].batched(site(op, [tensor("x", shape)], [tensor("y", result)], **attributes))


def concat_site(scales, zeros, shapes, axis, dtype="uint8"):
    inputs = [
        tensor(f"x{i}", s, *q, dtype)
        for i, (s, q) in enumerate(zip(shapes, zip(scales, zeros, strict=True), strict=False))
    ]
    (shape,) = OPS["concat"].shapes("n", {"axis": axis}, tuple(inputs))
    return site("concat", inputs, [tensor("y", shape, scales[-1], zeros[-1], dtype)], axis=axis, activation="none")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat_puts_each_code_where_the_definition_does(axis):
    shapes = [tuple(n if d == axis else s for d, s in enumerate((2, 3, 4))) for n in (1, 3, 2)]
    here = concat_site([0.5] * 4, [3] * 4, shapes, axis)
    assert OPS["concat"].rules(here) == ("exact",)
    arrays = [numbered(s, "uint8") + np.uint8(50 * i) for i, s in enumerate(shapes)]
    bound = OPS["concat"].bind(here, Rounding.TIES_AWAY)
    got = bound.finish(bound.gather(tuple(arrays)), "exact")[0]
    sizes = [s[axis] for s in shapes]
    found = [spec.joined(p, axis, sizes) for p in spec.places(got.shape)]
    assert_same(got, np.array([arrays[w][p] for w, p in found], np.uint8).reshape(got.shape))


@pytest.mark.parametrize("rule", MIXED)
def test_concat_accepts_every_rule_it_lists(rule):
    codes = np.arange(256).astype(np.uint8).reshape(1, 256)
    here = concat_site((0.25, 0.7, 0.5), (1, 200, 3), [(1, 256), (1, 256)], 1)
    assert OPS["concat"].rules(here) == MIXED
    bound = OPS["concat"].bind(here, Rounding.TIES_AWAY)
    gathered = bound.gather((codes, codes))
    got = bound.finish(gathered, rule)[0]
    exact = [bound.element((codes, codes), 0, (0, i)).value for i in range(512)]
    if rule != "copy":
        inside = np.array([0 < value < 255 for value in exact])
        errors = np.array([abs(Fraction(int(g)) - v) for g, v in zip(got[0], exact, strict=True)])
        assert inside.any()
        assert max(errors[inside]) <= 1
    assert got.dtype == np.uint8


def test_a_constant_is_joined_to_every_sample():
    here = concat_site([0.5] * 3, [3] * 3, [(1, 2), (1, 1)], 1)
    bound = OPS["concat"].bind(here, Rounding.TIES_AWAY)
    rows = np.array([[1, 2], [3, 4], [5, 6]], np.uint8)
    got = bound.finish(bound.gather((rows, np.array([[9]], np.uint8))), "exact")[0]
    assert_same(got, np.array([[1, 2, 9], [3, 4, 9], [5, 6, 9]], np.uint8))


REFUSED = [
    ("pad", {"pads": ((0, 0),)}, "pad n: pads=((0, 0),) does not fit shape (2, 3)"),
    ("pad", {"pads": ((0, 0), (-1, 0))}, "does not fit"),
    ("pad", {}, "pad n: attribute pads is missing"),
    ("transpose", {"perm": (0, 0)}, "perm=(0, 0) does not fit"),
    ("split", {"axis": 1, "sizes": (1, 1)}, "does not fit"),
    ("split", {"axis": 2, "sizes": (3,)}, "does not fit"),
    ("slice", {"begin": (0, 0), "end": (2, 4), "step": (1, 1)}, "does not fit"),
    ("slice", {"begin": (0, -1), "end": (2, 2), "step": (1, 1)}, "does not fit"),
    ("slice", {"begin": (0, 0), "end": (2, 3), "step": (1, 0)}, "does not fit"),
    ("space_to_batch", {"block": (2,), "pads": ((0, 0),)}, "does not fit"),
    ("space_to_batch", {"block": (0,), "pads": ((0, 0),)}, "does not fit"),
    ("batch_to_space", {"block": (3,), "crops": ((0, 0),)}, "does not fit"),
    ("batch_to_space", {"block": (2,), "crops": ((9, 0),)}, "does not fit"),
    ("concat", {"axis": 2}, "concat n: axis=2 of rank 2"),
    ("concat", {"axis": 0, "activation": "relu"}, "legal: none"),
]


@pytest.mark.parametrize(("op", "attributes", "words"), REFUSED)
def test_attributes_that_do_not_fit_are_refused(op, attributes, words):
    with pytest.raises(ValueError) as error:
        OPS[op].shapes("n", attributes, (tensor("x", (2, 3)),))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_refused_rules_and_values():
    here = site("pad", [tensor("x", (1, 2), 0.5, 3)], [tensor("y", (1, 2), 0.5, 3)], pads=((0, 0), (0, 0)), value=1.5)
    with pytest.raises(ValueError, match="is no code of int8"):
        OPS["pad"].bind(here, Rounding.TIES_AWAY)
    bound = OPS["concat"].bind(concat_site([0.5, 0.5, 1.0], [0, 0, 0], [(1, 2)] * 2, 1), Rounding.TIES_AWAY)
    with pytest.raises(ValueError, match="legal: copy, float32_affine"):
        bound.finish([np.zeros((1, 2), np.uint8)] * 2, "nonsense")
