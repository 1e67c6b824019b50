"""Transposed convolution: the array function and the op against the definition, ranges, elements, bad input."""

from fractions import Fraction

import numpy as np
import pytest
from matmul_models import meaning, one_node, step_of, transposed
from refq_cases import assert_same

from refq import INT8
from refq.graphs import OPS, run
from refq.graphs.records import Tensor
from refq.layers import transposed as layer
from refq.layers.flat_vectors import FLAT_VECTORS, merged_flat
from refq.semantics import RULES
from refq.spec import requantize as spec_requantize
from refq.spec.layers.transposed import transposed_conv as defined

# (H, W), kernel, stride, dilation, before, size, I, O, groups
CASES = [
    ((3, 4), (3, 3), (2, 2), (1, 1), (0, 0), (7, 9), 3, 5, 1),
    ((3, 4), (3, 3), (2, 2), (1, 1), (1, 1), (5, 8), 4, 6, 2),
    ((2, 3), (2, 4), (3, 1), (2, 3), (0, 2), (6, 9), 6, 3, 3),
    ((1, 1), (1, 1), (1, 1), (1, 1), (0, 0), (1, 1), 1, 1, 1),
    ((2, 2), (2, 2), (5, 4), (1, 1), (0, 0), (9, 11), 2, 2, 1),
    ((4, 3), (5, 3), (1, 2), (1, 1), (2, 1), (4, 4), 5, 2, 1),
    ((2, 2), (1, 1), (1, 1), (1, 1), (3, 3), (2, 2), 2, 2, 1),
]
KINDS = [("int8", "int8", 3, 0), ("uint8", "uint8", 129, 7), ("int16", "int8", 0, 0), ("int8", "int4", -128, 0)]


def _drawn(case, kind, layout, seed=0):
    rng = np.random.default_rng(seed)
    lines, kernel, stride, dilation, before, size, depth, filters, groups = case
    x_type, w_type, zx, zw = kind
    ends = np.iinfo(x_type)
    x = rng.integers(ends.min, ends.max + 1, (2, *lines, depth)).astype(x_type)
    low, high = (-8, 8) if w_type == "int4" else (np.iinfo(w_type).min, np.iinfo(w_type).max + 1)
    w = rng.integers(low, high, (filters, *kernel, depth // groups)).astype("int8" if w_type == "int4" else w_type)
    zeros = zw + np.arange(filters) if zw else np.zeros(filters, np.int64)
    bias = rng.integers(-(2**20), 2**20, filters)
    frame = {"stride": stride, "dilation": dilation, "before": before, "size": size, "groups": groups}
    expected = [
        defined(
            sample.tolist(), w.tolist(), **frame, input_zero_point=zx, weight_zero_points=zeros.tolist(),
            bias=bias.tolist(),
        )
        for sample in x
    ]  # fmt: skip
    expected = np.array(expected, np.int64)
    if layout == "NCHW":
        x, expected = x.transpose(0, 3, 1, 2), expected.transpose(0, 3, 1, 2)
        w = w.reshape(groups, filters // groups, *kernel, -1).transpose(0, 4, 1, 2, 3)
        w = w.reshape(depth, filters // groups, *kernel)
    given = {"input_zero_point": zx, "weight_zero_point": zeros, "bias": bias, "layout": layout, **frame}
    given |= {"input_format": x_type, "weight_format": w_type}
    return x, w, given, expected


@pytest.mark.parametrize("layout", layer.LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_sums_are_those_of_the_definition(case, kind, layout):
    x, w, given, expected = _drawn(case, kind, layout)
    assert_same(layer.transposed_conv(x, w, **given), expected)


def test_samples_in_turn(monkeypatch):
    x, w, given, expected = _drawn(CASES[0], KINDS[0], "NHWC")
    monkeypatch.setattr(layer, "TOGETHER", 1)
    assert_same(layer.transposed_conv(x, w, **given), expected)
    assert layer.transposed_conv(x[:0], w, **given).shape == (0, *expected.shape[1:])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"layout": "HWC"}, "layout='HWC' is unknown; legal: NHWC, NCHW"),
        ({"groups": 2}, "groups=2 does not divide the 5 rows"),
        ({"stride": (0, 1)}, r"stride=\(0, 1\) is no pair of numbers of at least 1"),
        ({"before": (-1, 0)}, r"before=\(-1, 0\) is no pair of numbers of at least 0"),
        ({"size": (0, 2)}, r"size=\(0, 2\) is no pair of numbers of at least 1"),
        ({"bias": np.zeros(4, np.int64)}, r"bias has shape \(4,\); pass one number or one a filter, \(5,\)"),
        ({"weight_zero_point": np.zeros(2, np.int64)}, r"weight_zero_point has shape \(2,\)"),
    ],
)
def test_refused(change, text):
    x, w, given, _ = _drawn(CASES[0], KINDS[0], "NHWC")
    with pytest.raises(ValueError, match=f"^transposed_conv: {text}"):
        layer.transposed_conv(x, w, **(given | change))


def test_wrong_channels_are_refused():
    x, w, given, _ = _drawn(CASES[0], KINDS[0], "NHWC")
    with pytest.raises(ValueError, match="has 2 channels, the weights take 3"):
        layer.transposed_conv(x[..., :2], w, **given)


def _site(case=CASES[5], seed=3):
    """A node, its inputs and the case's definition."""
    x, w, given, expected = _drawn(case, KINDS[0], "NHWC", seed)
    graph = one_node(
        "transpose_conv",
        [
            Tensor("x", x.shape, "int8", meaning(0.5, given["input_zero_point"])),
            Tensor("w", w.shape, "int8", meaning(np.full(len(w), 0.25), 0, 0), w),
            Tensor("b", (len(w),), "int32", None, given["bias"].astype(np.int32)),
        ],
        Tensor("y", expected.shape, "int8", meaning(1024.0, 7)),
        layout="NHWC", stride=given["stride"], dilation=given["dilation"], output_size=given["size"],
        padding=tuple((b, 0) for b in given["before"]), groups=given["groups"], activation="none",
    )  # fmt: skip
    return step_of(graph, "litert-reference"), (x, w, graph.tensors["b"].data), expected


@pytest.mark.parametrize("case", CASES[:6])
def test_codes_and_elements_are_those_of_the_definition(case):
    step, arrays, sums = _site(case)
    codes = step.bound.finish(step.bound.gather(arrays), "gemmlowp_double/double_product/after")[0]
    rule, scale = RULES["gemmlowp_double"], Fraction(1, 8 * 1024)
    for at in list(np.ndindex(sums.shape))[:: max(1, sums.size // 40)]:
        element = step.bound.element(arrays, 0, at)
        total = int(sums[at])
        assert (element.accumulator, element.scale, element.value) == (total, scale, total * scale + 7)
        assert codes[at] == spec_requantize.requantize(total, rule, scale, 7, INT8)


def test_the_receptive_field_holds_all_that_an_element_reads():
    step, (x, w, bias), sums = _site()
    for at in np.ndindex(sums.shape[:3]):
        ((_, field),) = step.bound.element((x, w, bias), 0, (*at, 0)).fields
        outside = np.ones(x.shape, np.bool_)
        outside[field] = False
        changed = np.where(outside, x ^ 1, x)
        assert step.bound.gather((changed, w, bias))[(*at, 0)] == sums[(*at, 0)]


@pytest.mark.parametrize("case", CASES)
def test_ranges_are_reached_and_never_left(case):
    """The sums are linear in the codes: their ends follow from the response to each code alone."""
    step, (x, w, bias), sums = _site(case)
    one, zero = x[:1].astype(np.int64) * 0 + 3, 3
    low = np.full(sums.shape[1:], 0) + bias.astype(np.int64)
    high = low.copy()
    for at in np.ndindex(one.shape):
        moved = one.copy()
        moved[at] += 1
        response = (step.bound.gather((moved.astype(np.int8), w, bias)) - bias)[0]
        ends = response * (-128 - zero), response * (127 - zero)
        low, high = low + np.minimum(*ends), high + np.maximum(*ends)
    found = step.bound.accumulators()
    assert_same(found.low, low.min(axis=(0, 1)))
    assert_same(found.high, high.max(axis=(0, 1)))


def test_batches_of_samples_are_each_their_own():
    """Flat vectors of uint8 start anew with each sample of the declared size."""
    rng = np.random.default_rng(4)
    x, w = (rng.integers(90, 160, shape).astype(np.uint8) for shape in ((1, 3, 3, 2), (3, 2, 2, 2)))
    _, graph = transposed(x, w, (4, 4), stride=(1, 1), scales=(0.5, 0.5, 64.0), zeros=(121, 123, 117))
    more = rng.integers(0, 256, (7, 3, 3, 2)).astype(np.uint8)
    together = run(graph, more, "litert-builtin")["y"]
    assert_same(together, np.concatenate([run(graph, one[None], "litert-builtin")["y"] for one in more]))
    assert step_of(graph, "litert-builtin").rule == FLAT_VECTORS
    with pytest.raises(ValueError, match="does not hold whole tensors of size=4"):
        merged_flat(together[:, :1, :1, :], together[:, :1, :1, :], 4)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"layout": "CHWN"}, "transpose_conv n: layout='CHWN' is unknown"),
        (
            {"groups": 2},
            r"transpose_conv n: the input \(2, 4, 3, 5\) and weights \(2, 5, 3, 5\) differ in the channels",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, text):
    site = _site()[0].site
    with pytest.raises(ValueError, match=text):
        OPS["transpose_conv"].shapes("n", dict(site.node.attributes) | change, site.inputs)


def test_sums_outside_the_rule_are_refused_with_their_place():
    x, w = np.zeros((1, 1, 1, 1), np.int8), np.zeros((1, 1, 1, 1), np.int8)
    bias = np.array([2**40])
    graph = one_node(
        "transpose_conv",
        [
            Tensor("x", x.shape, "int8", meaning(0.5)), Tensor("w", w.shape, "int8", meaning(0.5), w),
            Tensor("b", (1,), "int64", None, bias),
        ],
        Tensor("y", x.shape, "int8", meaning(1.0)), stride=(1, 1), output_size=(1, 1),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"transpose_conv node: sum\[0, 0, 0, 0\]=1099511627776 is outside"):
        run(graph, x, "litert-reference")
