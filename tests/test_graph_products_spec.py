"""conv, depthwise_conv and fully_connected against their definition; elements, ranges, batches, refusals."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from graph_product_cases import OP, Case, attributes, built, golden, site
from refq_cases import assert_same

from refq.formats import Rounding
from refq.graphs.ops.records import Bound
from refq.graphs.records import Node
from refq.graphs.sites import Site, format_of
from refq.labels import parse_semantics
from refq.layers.product_rules import VECTORS_OF_EIGHT, parse_product_rule, product_rules
from refq.layers.products import quantized_conv, quantized_depthwise_conv, quantized_fully_connected
from refq.layers.rescaling import Scales
from refq.spec import conv as spec_conv
from refq.spec.layers import products as spec

CASES = {
    "conv": built("conv", (2, 4, 5, 4), (6, 3, 2, 2), 1, stride=(2, 1), activation="relu6"),
    "dilated": built("conv", (1, 5, 5, 3), (9, 2, 2, 3), 2, dilation=(2, 3)),
    "uint8": built("conv", (1, 4, 4, 3), (5, 3, 3, 3), 3, dtype="uint8", per_channel=False),
    "depthwise": built("depthwise_conv", (2, 4, 4, 5), (1, 3, 2, 10), 4, stride=(2, 2)),
    "depthwise, dilated": built("depthwise_conv", (1, 5, 5, 9), (1, 2, 2, 9), 5, dilation=(2, 1), same=False),
    "dense": built("fully_connected", (3, 7), (11, 7), 6),
    "dense, zero point": built("fully_connected", (3, 7), (4, 7), 7, per_channel=False, weight_zero_point=-2),
    "dense, no bias": built("fully_connected", (2, 5), (3, 5), 8, bias=None),
}


def bound(case: Case) -> Bound:
    return OP[case.op].bind(site(case), Rounding.TIES_AWAY)


def sums(case: Case) -> np.ndarray:
    """The sums by the definition."""
    shape = site(case).outputs[0].shape
    zx, zw, _ = case.zeros
    zeros = {"input_zero_point": zx, "weight_zero_point": zw}
    where = {"stride": case.stride, "dilation": case.dilation}
    x, w = case.x.tolist(), case.w.tolist()
    found = np.empty(shape, np.int64)
    for at in product(*map(range, shape)):
        more = zeros | {"bias": 0 if case.bias is None else int(case.bias[at[-1]])}
        if case.op == "fully_connected":
            found[at] = spec.connected_sum(x[at[0]], w[at[1]], **more)
        elif case.op == "conv":
            found[at] = spec_conv.conv(x, w, at, padding=case.padding, groups=case.groups, **where, **more)
        else:
            multiplier = case.w.shape[3] // case.x.shape[3]
            found[at] = spec.depthwise_sum(x, w, at, padding=case.padding, multiplier=multiplier, **where, **more)
    return found


def codes(case: Case, acc: np.ndarray, rule: str) -> np.ndarray:
    """The codes by the definition."""
    place, (sx, sw, sy) = site(case), case.scales
    fmt, channels = format_of(place, place.outputs[0]), acc.shape[-1]
    limits = spec.bounds(case.activation, Fraction(float(sy)), case.zeros[2], fmt)
    weights = np.broadcast_to(sw, channels)
    found = np.empty(acc.shape, case.x.dtype)
    for at in np.ndindex(acc.shape):
        scales = tuple(Fraction(float(s)) for s in (sx, weights[at[-1]], sy))
        semantics = parse_semantics(spec.rule_of_channel(rule, at[-1], channels))
        found[at] = spec.code(int(acc[at]), semantics, scales, case.zeros[2], fmt, limits)
    return found


@pytest.mark.parametrize("name", CASES)
def test_sums_and_codes_equal_their_definition(name):
    case = CASES[name]
    acc = sums(case)
    layer = bound(case)
    gathered = layer.gather((case.x, case.w, case.bias))
    assert_same(got=gathered, expected=acc)
    rules = OP[case.op].rules(site(case))
    few = rules if name == "depthwise" else rules[:4]
    for rule in few:
        assert_same(got=layer.finish(gathered, rule)[0], expected=codes(case, acc, rule))


@pytest.mark.parametrize("name", CASES)
def test_array_functions_are_the_same_layers(name):
    case, rule = CASES[name], "double_up/double_product/after"
    sx, sw, sy = case.scales
    zx, zw, zy = case.zeros
    fmt = format_of(site(case), site(case).outputs[0])
    common = {"scales": Scales(sx, np.atleast_1d(sw), sy), "zero_points": (zx, zw, zy), "fmt": fmt}
    common |= {"activation": case.activation}
    arrays = case.x, case.w, case.bias, rule
    if case.op == "fully_connected":
        got = quantized_fully_connected(*arrays, **common)
    else:
        common |= {"stride": case.stride, "dilation": case.dilation, "padding": case.padding}
        more = {"groups": case.groups} if case.op == "conv" else {}
        function = quantized_conv if case.op == "conv" else quantized_depthwise_conv
        got = function(*arrays, **common, **more)
    assert_same(got=got, expected=golden(case, rule)[0])


@pytest.mark.parametrize("name", CASES)
def test_an_element_is_the_sum_of_its_receptive_field(name):
    case = CASES[name]
    place, layer = site(case), bound(case)
    acc = layer.gather((case.x, case.w, case.bias))
    sx, sw, sy = case.scales
    zx, zw, zy = case.zeros
    for at in np.ndindex(acc.shape):
        element = layer.element((case.x, case.w, case.bias), 0, at)
        assert element.accumulator == acc[at]
        weight = np.atleast_1d(sw)[at[-1] if np.size(sw) > 1 else 0]
        scale = Fraction(float(sx)) * Fraction(float(weight)) / Fraction(float(sy))
        assert (element.scale, element.value) == (scale, int(acc[at]) * scale + zy)
        fields = dict(element.fields)
        left, right = case.x[fields["x"]].astype(np.int64), case.w[fields["w"]].astype(np.int64)
        assert left.size == right.size > 0
        total = int(((left.ravel() - zx) * (right.ravel() - zw)).sum())
        assert total + (0 if case.bias is None else int(case.bias[fields["b"]][0])) == acc[at]
    assert place.outputs[0].shape == acc.shape


@pytest.mark.parametrize("name", CASES)
def test_ranges_are_reached_and_never_left(name):
    case = CASES[name]
    found = bound(case).accumulators()
    limits = np.iinfo(case.x.dtype)
    at_low, at_high = (np.full_like(case.x, end) for end in (limits.min, limits.max))
    signs = np.where(case.w.astype(np.int64) > case.zeros[1], 1, -1)
    filters = case.w.shape[case.weight_axis]
    start = np.zeros(filters, np.int64) if case.bias is None else case.bias.astype(np.int64)
    rows = np.moveaxis(case.w.astype(np.int64) - case.zeros[1], case.weight_axis, 0).reshape(filters, -1)
    ends = [limits.min - case.zeros[0], limits.max - case.zeros[0]]
    assert_same(got=found.high, expected=start + np.maximum(rows * ends[0], rows * ends[1]).sum(axis=1))
    assert_same(got=found.low, expected=start + np.minimum(rows * ends[0], rows * ends[1]).sum(axis=1))
    assert signs.shape == case.w.shape
    for x in (case.x, at_low, at_high):
        acc = bound(case).gather((x, case.w, case.bias))
        assert (found.low <= acc).all()
        assert (acc <= found.high).all()


@pytest.mark.parametrize("name", CASES)
def test_stacked_samples_are_computed_as_each_would_be_alone(name):
    case, rule = CASES[name], "gemmlowp_double/double_product/after"
    place, layer = site(case), bound(case)
    assert OP[case.op].batched(place)
    other = np.roll(case.x, 1, axis=-1)
    both = np.concatenate([case.x, other, case.x])
    (got,) = layer.finish(layer.gather((both, case.w, case.bias)), rule)
    alone = [layer.finish(layer.gather((x, case.w, case.bias)), rule)[0] for x in (case.x, other, case.x)]
    assert_same(got=got, expected=np.concatenate(alone))


def test_channels_first_and_one_dimension():
    """NCHW and NCW are the turned NHWC and NWC."""
    case, rule = CASES["conv"], "float32_ties_even/float32_product/after"
    (want,) = golden(case, rule)
    turned = [None if a is None else np.ascontiguousarray(a.transpose(0, 3, 1, 2)) for a in (case.x, case.w)]
    scales = Scales(case.scales[0], case.scales[1], case.scales[2])
    more = {"scales": scales, "zero_points": case.zeros, "activation": "relu6", "groups": case.groups}
    got = quantized_conv(
        *turned, case.bias, rule, layout="NCHW", stride=case.stride, padding=case.padding, **more
    )  # fmt: skip
    assert_same(got=got, expected=np.ascontiguousarray(want.transpose(0, 3, 1, 2)))
    place = site(case)
    x = replace(place.input(0), shape=turned[0].shape)
    w = replace(place.input(1), shape=turned[1].shape, data=turned[1])
    (shape,) = OP["conv"].shapes("layer", attributes(case) | {"layout": "NCHW"}, (x, w, None))
    y = replace(place.outputs[0], shape=shape)
    node = Node("layer", "conv", ("x", "w", "b"), ("y",), attributes(case) | {"layout": "NCHW"})
    layer = OP["conv"].bind(Site(node, (x, w, place.inputs[2]), (y,), "onnx"), Rounding.TIES_AWAY)
    acc = layer.gather((turned[0], turned[1], case.bias))
    assert_same(got=layer.finish(acc, rule)[0], expected=got)
    element = layer.element((turned[0], turned[1], case.bias), 0, (1, 4, 1, 2))
    fields = dict(element.fields)
    left, right = turned[0][fields["x"]].astype(np.int64) - case.zeros[0], turned[1][fields["w"]].astype(np.int64)
    assert int((left * right).sum()) + int(case.bias[4]) == element.accumulator == acc[1, 4, 1, 2]


def test_every_rule_of_the_list_is_known_and_named_once():
    for bits, wide, tail in product((8, 16), (False, True), (False, True)):
        rules = product_rules(bits, wide=wide, tail=tail)
        assert len(set(rules)) == len(rules)
        assert (VECTORS_OF_EIGHT in rules) == tail
        for rule in rules:
            ahead, behind = parse_product_rule(rule)
            assert (ahead == behind) == ("+" not in rule)


def test_an_empty_batch_has_an_empty_answer():
    case = CASES["conv"]
    (got,) = golden(replace(case, x=case.x[:0]), "gemmlowp_double/double_product/after")
    assert got.shape == (0, *golden(case, "double_up/double_product/after")[0].shape[1:])
    assert got.dtype == np.int8
