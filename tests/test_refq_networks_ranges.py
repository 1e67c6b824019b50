"""Intervals of tensors against all inputs there are, and what they cost; forms frozen from float batch norm."""

import json
from itertools import product

import numpy as np
import pytest
from network_cases import NETS, codes, conv, fixed_point_net, odd_net, samples, shift_net
from refq_cases import assert_same

from refq.channels import FixedPoint, ShiftForm, ThresholdForm
from refq.formats import Rounding
from refq.networks import IntegerNetwork, Step, norm_forms, ranges, run, summary, tensor_ranges
from refq.products.ranges import accumulator_ranges
from refq.spec.batchnorm import batchnorm, threshold_batchnorm
from refq.spec.networks import by_form


@pytest.mark.parametrize("name", NETS)
def test_no_sample_leaves_its_interval(name):
    network = NETS[name]()
    intervals, tensors = tensor_ranges(network), run(network, samples(name, 40), keep=True)
    for step, tensor in tensors.items():
        found = intervals[step]
        assert found.shape == tensor.shape[1:]
        assert (found.low <= tensor).all()
        assert (tensor <= found.high).all()


PADS = [0, 1, 2, ((0, 1), (2, 0)), ((3, 3), (3, 3))]


@pytest.mark.parametrize("padding", PADS)
@pytest.mark.parametrize(("name", "kernel", "stride"), [("uint1", 2, 1), ("uint1", 3, 2), ("bipolar", 2, 2)])
def test_intervals_are_attained(name, kernel, stride, padding):
    """All inputs of 2 x 3 one-bit codes: the least and the largest sum of each filter, and of its codes."""
    if kernel == 3 and padding == 0:
        padding = 1
    weights = codes((3, kernel, kernel, 1), -4, 3, 2)
    forms = (FixedPoint(-1, 2, 3, -2, 1), ThresholdForm((-3, -1, 4), 0), ShiftForm(1, 1, -9, 9, -1))
    steps = (
        conv("sums", "input", weights, ("int3", name), stride=stride, padding=padding, bias=np.array([0, 7, -2])),
        Step("codes", "requantize", ("sums",), forms=forms),
    )
    network = IntegerNetwork(steps, name, (2, 3, 1))
    pair = (-1, 1) if name == "bipolar" else (0, 1)
    every = np.array(list(product(pair, repeat=6))).reshape(-1, 2, 3, 1)
    tensors, intervals = run(network, every, keep=True), tensor_ranges(network)
    for step in ("sums", "codes"):
        wide = tensors[step].astype(np.int64)
        assert_same(got=intervals[step].low, expected=wide.min(axis=(0, 1, 2)))
        assert_same(got=intervals[step].high, expected=wide.max(axis=(0, 1, 2)))


def test_where_a_position_sees_every_tap_it_is_the_range_of_the_layer():
    network = fixed_point_net()
    found, step = tensor_ranges(network)["c1"], network.steps[0]
    plain = accumulator_ranges(step.weights, 0, 15, axis=0)
    assert_same(got=found.low, expected=plain.lower)
    assert_same(got=found.high, expected=plain.upper)


@pytest.mark.parametrize("name", NETS)
def test_intervals_filter_by_filter_are_those_of_all_at_once(name, monkeypatch):
    network = NETS[name]()
    expected = tensor_ranges(network)
    monkeypatch.setattr(ranges, "MOST_TERMS", 1)
    for step, found in tensor_ranges(network).items():
        assert_same(got=found.low, expected=expected[step].low)
        assert_same(got=found.high, expected=expected[step].high)


def test_intervals_of_two_branches_add():
    intervals = tensor_ranges(shift_net())
    form, ends = shift_net().steps[4].forms[1], [intervals[name] for name in ("c2", "short")]
    low, high = (sum(int(getattr(tensor, end)[1]) for tensor in ends) for end in ("low", "high"))
    assert (int(intervals["q2"].low[1]), int(intervals["q2"].high[1])) == (by_form(low, form), by_form(high, form))


def test_the_sum_of_two_branches_is_an_accumulator_too():
    """7 * 15 = 105 takes 8 bits, 105 + 105 = 210 takes 9."""
    seven = np.full((1, 1, 1, 1), 7, np.int8)
    steps = (
        conv("a", "input", seven, ("int4", "uint4")),
        conv("b", "input", seven, ("int4", "uint4")),
        Step("one", "requantize", ("a",), forms=(ShiftForm(0, 4, -7, 7),)),
        Step("both", "requantize", ("a", "b"), forms=(ShiftForm(0, 4, -7, 7),)),
    )
    found = summary(IntegerNetwork(steps, "uint4", (1, 1, 1)))
    assert [step.accumulator_bits for step in found.steps] == [8, 8, None, 9]
    assert found.accumulator_bits == 9


def test_summary_counted_by_hand():
    found = summary(shift_net())
    steps = {step.name: step for step in found.steps}
    c1 = shift_net().steps[0].weights
    plain = sum(abs(int(w)) in (0, 1, 2, 4) for w in c1.ravel())
    assert steps["c1"].products == 25 * 36
    assert steps["c1"].multiplications == 25 * (36 - plain)
    assert (steps["c1"].weight_bits, steps["c1"].input_bits, steps["c1"].shape) == (4, 5, (5, 5, 4))
    assert steps["c1"].parameter_bytes == 18
    # biases 3 -20 0 11 in 6 bits, shifts 3 4 2 5 in 3
    assert steps["q1"].parameter_bytes == -(-(4 * 6 + 4 * 3) // 8)
    assert steps["sums"].multiplications == steps["q1"].multiplications == steps["class"].multiplications == 0
    assert (steps["sums"].products, steps["sums"].parameter_bytes) == (81, -(-81 * 2 // 8))
    assert found.products == sum(step.products for step in found.steps)
    assert found.accumulator_bits == max(steps[name].accumulator_bits for name in ("c1", "c2", "short", "sums"))
    for step in found.steps[:1]:
        low, high = step.low, step.high
        bits = step.accumulator_bits
        assert -(2 ** (bits - 1)) <= low
        assert high < 2 ** (bits - 1)
        assert low < -(2 ** (bits - 2)) or high >= 2 ** (bits - 2)


def test_fixed_point_forms_multiply_and_thresholds_do_not():
    steps = {step.name: step for step in summary(fixed_point_net()).steps}
    assert steps["r1"].multiplications == 2 * 5 * 6
    assert steps["r2"].multiplications == 3 * 5 * 6
    # multipliers 19 -5 and biases -177 40 signed, shifts 6 5; 7 thresholds -9..30
    assert steps["r1"].parameter_bytes == -(-(2 * 6 + 2 * 9 + 2 * 3 + 7 * 6) // 8)
    assert sum(step.multiplications for step in summary(odd_net()).steps) == 0
    few = summary(fixed_point_net(), plain_bits=8)
    assert few.multiplications == 5 * 5 * 6
    with pytest.raises(ValueError, match=r"^summary: plain_bits=17 is outside 0..16"):
        summary(fixed_point_net(), plain_bits=17)
    with pytest.raises(TypeError, match=r"^check: network=None is not an IntegerNetwork"):
        summary(None)


PUBLISHED = {
    "gamma": np.array([0.75, -0.5, 1.25, 0]), "beta": [0.1, 0.3, -0.2, 0.3], "mean": [12.5, -4, 30, -4],
    "variance": [101, 50, 77, 50], "epsilon": 0, "acc_scale": 1, "out_scale": 0.25, "acc_min": -256, "acc_max": 255,
    "qmin": 0, "qmax": 15,
}  # fmt: skip


def test_published_lines():
    """papers.md 1.10: (19, -177) K=6, (-73, 116) K=8, (37, -1140) K=6, constant 1."""
    forms = norm_forms(**PUBLISHED, rounding=Rounding.TIES_UP).forms
    lines = [(form.multiplier, form.bias, form.shift) for form in forms]
    assert lines == [(19, -177, 6), (-73, 116, 8), (37, -1140, 6), (0, 1, 0)]


@pytest.mark.parametrize(("bits", "kind"), [(13, ThresholdForm), (14, FixedPoint)])
def test_a_line_that_its_words_just_hold(bits, kind):
    """19 * 256 + 177 = 5041 takes 14 bits."""
    (form,) = norm_forms(
        0.75, 0.1, 12.5, 101, 0, acc_scale=1, out_scale=0.25, acc_min=-256, acc_max=255, qmin=0, qmax=15,
        rounding=Rounding.TIES_UP, bits=bits,
    ).forms  # fmt: skip
    assert isinstance(form, kind)


def test_thresholds_where_no_line_exists():
    """papers.md 1.5: round-half-even(x / 2) on 0..5 is 0 0 1 2 2 2, which no line gives; on 0..4 one does."""
    half = {"gamma": [1, 1], "beta": 0, "mean": 0, "variance": 1, "epsilon": 0, "acc_scale": 0.5, "out_scale": 1}
    frozen = norm_forms(**half, acc_min=0, acc_max=[5, 4], qmin=-7, qmax=7)
    assert isinstance(frozen.forms[0], ThresholdForm)
    assert isinstance(frozen.forms[1], FixedPoint)
    assert [threshold_batchnorm(x, frozen.forms[0]) for x in range(6)] == [0, 0, 1, 2, 2, 2]
    assert [channel["conflict"] is None for channel in json.loads(frozen.certificate)["channels"]] == [False, True]


@pytest.mark.parametrize("bits", [8, 16, 64])
@pytest.mark.parametrize("rounding", [Rounding.TIES_EVEN, Rounding.FLOOR])
def test_frozen_forms_equal_the_exact_batch_norm_everywhere(bits, rounding):
    frozen = norm_forms(**PUBLISHED, rounding=rounding, bits=bits)
    kinds = {type(form) for form in frozen.forms}
    assert (ThresholdForm in kinds) == (bits == 8)
    for form, channel in zip(frozen.forms, frozen.fit.channels, strict=True):
        xs = range(channel.acc_min, channel.acc_max + 1)
        assert [by_form(x, form) for x in xs] == [batchnorm(x, channel, rounding) for x in xs]


def test_a_frozen_layer_runs():
    weights = codes((4, 8), -7, 7)
    low, high = (end.tolist() for end in (lambda r: (r.lower, r.upper))(accumulator_ranges(weights, 0, 15, axis=0)))
    frozen = norm_forms(**PUBLISHED | {"acc_min": low, "acc_max": high})
    steps = (
        Step("line", "flatten", ("input",)),
        Step("sums", "dense", ("line",), weights, weight_format="int4", input_format="uint4"),
        Step("codes", "requantize", ("sums",), forms=frozen.forms),
    )
    network = IntegerNetwork(steps, "uint4", (1, 2, 4))
    tensors = run(network, codes((50, 1, 2, 4), 0, 15), keep=True)
    exact = [
        [batchnorm(int(x), channel, Rounding.TIES_EVEN) for x, channel in zip(row, frozen.fit.channels, strict=True)]
        for row in tensors["sums"]
    ]
    assert_same(got=tensors["codes"], expected=np.array(exact, np.uint8))


WRONG = [
    ({"bits": 7}, ValueError, "norm_forms: bits=7 is outside 8..64"),
    ({"bits": 8.0}, TypeError, "norm_forms: bits=8.0 is not an integer"),
    ({"rounding": "even"}, ValueError, "fit_batchnorm: rounding='even' is no Rounding"),
    ({"out_scale": 0.0}, ValueError, "channels_of: channel 0: out_scale=0.0 is not positive"),
    ({"beta": [1.0, np.nan, 0.0, 0.0]}, ValueError, "channels_of: channel 1: beta=nan is not finite"),
    ({"mean": [1.0, 2.0]}, ValueError, "channels_of: mean has 2 values, gamma 4"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG)
def test_refused_norms(wrong, error, message):
    with pytest.raises(error, match=f"^{message}"):
        norm_forms(**PUBLISHED | wrong)
