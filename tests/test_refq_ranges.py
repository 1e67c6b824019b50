"""Reachable intervals are exact: every input of small boxes tried, ends reached by witnesses, numbers of others."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.accumulation import ACCUMULATORS
from refq.products.accumulators import accumulate
from refq.products.ranges import accumulator_ranges, pairs_at_risk, partial_ranges, signed_bits
from refq.spec import accumulators as spec

PAIRS = ACCUMULATORS["pairs16"]


@st.composite
def layers(draw, depth=4, channels=3):
    """weights (K, N), low, high (K,), bias (N,): a box of at most 3**K inputs, with 0 inside or not."""
    k, n = draw(st.integers(0, depth)), draw(st.integers(1, channels))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = random.integers(-3, 3, k)
    return random.integers(-4, 5, (k, n)), low, low + random.integers(0, 3, k), random.integers(-5, 6, n)


def box(low, high):
    return product(*(range(a, b + 1) for a, b in zip(low.tolist(), high.tolist(), strict=True)))


@given(layers())
@QUICK
def test_the_interval_is_that_of_all_inputs(case):
    weights, low, high, bias = case
    ranges = accumulator_ranges(weights, low, high, bias=bias)
    lower, upper = partial_ranges(weights, low, high, bias=bias)
    inputs = np.array(list(box(low, high)), np.int64)
    terms = inputs[:, :, None] * weights[None]
    start = np.broadcast_to(bias, (len(inputs), 1, bias.size))
    sums = np.cumsum(np.concatenate([start, terms], axis=1), axis=1)
    assert_same(got=lower, expected=sums.min(axis=0))
    assert_same(got=upper, expected=sums.max(axis=0))
    assert_same(got=ranges.lower, expected=sums[:, -1].min(axis=0))
    assert_same(got=ranges.upper, expected=sums[:, -1].max(axis=0))
    assert_same(got=ranges.partial_lower, expected=sums.min(axis=(0, 1)))
    assert_same(got=ranges.partial_upper, expected=sums.max(axis=(0, 1)))
    for n, up in product(range(bias.size), (False, True)):
        witness = ranges.witness(n, upper=up)
        assert ((low <= witness) & (witness <= high)).all()
        on_the_way = np.cumsum([bias[n], *(witness * weights[:, n])])
        assert on_the_way.tolist() == (upper if up else lower)[:, n].tolist()


@given(st.integers(-(1 << 70), 1 << 70), st.integers(0, 1 << 70))
@QUICK
def test_signed_bits_is_the_least_width(lower, length):
    upper = lower + length
    n = signed_bits(lower, upper)
    assert -(1 << n - 1) <= lower <= upper < 1 << n - 1
    assert n == 1 or not -(1 << n - 2) <= lower <= upper < 1 << n - 2


def test_bounds_of_accumulator_aware_quantization():
    """Colbert et al. 2023 (A2Q, arXiv 2308.13504) and 2024 (A2Q+, arXiv 2401.10432).

    The data type bound: K weights of M bits and unsigned inputs below 2**N need P = ceil(log2(K 2**(N + M - 1) + 1))
    + 1 bits at most. A2Q+: weights that sum to 0 fit P bits iff |w|_1 <= (2**P - 2) / (2**N - 1).
    """
    for depth, n, m in ((1, 8, 8), (64, 8, 8), (512, 4, 4), (4608, 8, 8), (9, 1, 2)):
        worst = np.full((depth, 1), -(1 << m - 1))
        bound = (depth << n + m - 1).bit_length() + 1
        assert bound - 1 <= accumulator_ranges(worst, 0, (1 << n) - 1).bits[0] <= bound
    for p, n in ((16, 8), (12, 4), (20, 6)):
        half = ((1 << p) - 2) // ((1 << n) - 1) // 2
        weights = np.array([[half, half + 1], [-half, -half - 1]])
        assert accumulator_ranges(weights, 0, (1 << n) - 1).bits.tolist() == [p, p + 1]


def test_depths_at_the_ends_of_16_and_32_bits():
    assert accumulator_ranges(np.ones((128, 1), np.int8), 0, 255).bits.tolist() == [16]
    assert accumulator_ranges(np.ones((129, 1), np.int8), 0, 255).bits.tolist() == [17]
    # The deepest s8 x s8 sum that int32 holds: 2**31 / 2**14 = 131072 terms of -128 * -128 are one too many
    assert accumulator_ranges(np.full((131071, 1), -128), -128, 127).bits.tolist() == [32]
    assert accumulator_ranges(np.full((131072, 1), -128), -128, 127).bits.tolist() == [33]


def test_partial_sums_can_be_wider_than_the_sum():
    ranges = accumulator_ranges([[100], [-100]], 5, 5)
    assert (ranges.lower[0], ranges.upper[0], ranges.partial_lower[0], ranges.partial_upper[0]) == (0, 0, 0, 500)
    assert (ranges.bits.tolist(), ranges.partial_bits.tolist()) == ([1], [10])
    assert accumulator_ranges([[7]], 0, 1, bias=-9).partial_lower.tolist() == [-9]


def test_sums_beyond_int64_are_python_ints():
    ranges = accumulator_ranges([[1 << 40], [-(1 << 40)]], -(1 << 30), 1 << 30, bias=[5])
    assert (ranges.lower[0], ranges.upper[0], ranges.bits[0]) == (5 - (1 << 71), 5 + (1 << 71), 73)
    assert ranges.witness(0, upper=True).tolist() == [1 << 30, -(1 << 30)]
    top = (1 << 64) - 1
    wide = accumulator_ranges(np.array([[top]], np.uint64), np.uint64(0), np.uint64(top))
    assert (wide.upper[0], wide.bits[0]) == (top * top, 129)
    assert accumulator_ranges([[1 << 61], [1]], 0, 1).upper.dtype == np.int64


@pytest.mark.parametrize("dtype", ["int8", ">i2", "uint8", "int32", "int64"])
def test_layouts_and_axes(dtype):
    random = np.random.default_rng(1)
    kernel = random.integers(0, 127, (5, 3, 3, 4)).astype(dtype)
    flat = kernel.reshape(5, -1).T
    low, high = random.integers(-9, 1, 36), random.integers(0, 9, 36)
    expected = accumulator_ranges(flat.astype(np.int64), low, high, bias=np.arange(5))
    fixed = kernel.copy()
    fixed.flags.writeable = False
    for weights in (fixed, np.asfortranarray(kernel)):
        ranges = accumulator_ranges(weights, low.astype(">i4"), high, bias=np.arange(5, dtype=np.uint8), axis=0)
        for name in ("lower", "upper", "partial_lower", "partial_upper", "bits", "partial_bits"):
            assert_same(got=getattr(ranges, name), expected=getattr(expected, name))
    depthwise = random.integers(-9, 9, (1, 3, 3, 6))
    assert_same(got=accumulator_ranges(depthwise, -1, 1).upper, expected=np.abs(depthwise).sum(axis=(0, 1, 2)))
    assert accumulator_ranges(np.empty((0, 3), np.int8), 0, 1, bias=4).upper.tolist() == [4, 4, 4]
    assert accumulator_ranges(np.empty((3, 0), np.int8), [0] * 3, 1).bits.shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[0.5]], 0, 1), TypeError, "^accumulator_ranges: weights has dtype float64"),
        (([[1]], 0.0, 1), TypeError, "^accumulator_ranges: low has dtype float64"),
        (([[1]], [0, 0], 1), ValueError, r"^accumulator_ranges: low has shape \(2,\); pass one number or one a depth"),
        (([[1], [1]], 0, [3, -1]), ValueError, r"^accumulator_ranges: low\[1\]=0 is above high\[1\]=-1; swap them"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        accumulator_ranges(*arguments)
    with pytest.raises(error, match=message.replace("accumulator", "partial")):
        partial_ranges(*arguments)


def test_bad_bias_and_axis():
    with pytest.raises(ValueError, match=r"bias has shape \(2,\); pass one number or one a channel, \(1,\)"):
        accumulator_ranges([[1]], 0, 1, bias=[1, 2])
    with pytest.raises(ValueError, match="axis=2 is outside the 2 axes of weights"):
        accumulator_ranges([[1]], 0, 1, axis=2)
    with pytest.raises(ValueError, match=r"weights has shape \(\); pass \(depth, channels\)"):
        accumulator_ranges(1, 0, 1)
    with pytest.raises(ValueError, match=r"weights has shape \(2,\); .* weights\[:, None\] for one channel"):
        accumulator_ranges([127, 127], 0, 255)
    with pytest.raises(TypeError, match=r"axis=1\.0 is not an integer"):
        accumulator_ranges([[1]], 0, 1, axis=1.0)
    with pytest.raises(ValueError, match=r"^pairs_at_risk: sums could leave int64"):
        pairs_at_risk([[1 << 62]] * 2, 0, 255)


def every_pair():
    """All 65,536 pairs of int8 weights, a channel each."""
    values = np.arange(-128, 128)
    return np.stack([np.repeat(values, 256), np.tile(values, 256)])


def test_pair_saturation_over_all_weights_and_its_exact_condition():
    """u8 x s8: a pair is at risk iff its positive weights sum to more than 128, or its negative ones to less."""
    weights = every_pair()
    risk = pairs_at_risk(weights)
    at_risk = np.isin(np.arange(65536), risk.channels)
    positive, negative = np.maximum(weights, 0).sum(axis=0), np.minimum(weights, 0).sum(axis=0)
    assert_same(got=at_risk, expected=(positive > 128) | (negative < -128))
    # semantics.md 3.9 names -64..63 as safe; -64..64 is, and neither end can move
    for bound, safe in ((63, True), (64, True), (65, False)):
        assert (not at_risk[(weights >= -64).all(axis=0) & (weights <= bound).all(axis=0)].any()) is safe
    assert at_risk[(weights >= -65).all(axis=0) & (weights <= 64).all(axis=0)].any()
    # and inputs up to 127; up to 128 they are, for 2 * 128 * -128 is -32768
    for most, safe in ((127, True), (128, True), (129, False)):
        assert (pairs_at_risk(weights, 0, most).pairs.size == 0) is safe
    # s8 x s8, the NEON pairs: -128 * -128 twice and nothing else
    both = pairs_at_risk(weights, -128, 127)
    assert weights[:, both.channels].T.tolist() == [[-128, -128]]
    assert both.exact.tolist() == [32768]


def test_every_witness_saturates_where_the_analysis_says_and_the_rest_never_does():
    weights = every_pair()[:, ::37]
    risk = pairs_at_risk(weights)
    for r, channel in enumerate(risk.channels.tolist()):
        pair = weights[:, channel].tolist()
        assert spec.dot(risk.inputs[r].tolist(), pair, ACCUMULATORS["exact"]) == risk.exact[r]
        assert spec.dot(risk.inputs[r].tolist(), pair, PAIRS) == risk.saturated[r] != risk.exact[r]
    # A bilinear sum is extreme at the corners of its box, so four inputs decide the pair
    corners = np.array([[0, 0], [0, 255], [255, 0], [255, 255]])
    differs = (accumulate("gemm", corners, weights, "pairs16") != corners @ weights).any(axis=0)
    assert np.flatnonzero(differs).tolist() == risk.channels.tolist()


def test_pairs_of_a_layer_by_place_with_an_odd_depth():
    weights = np.array([[127, 1], [127, 1], [1, -128], [1, -128], [127, -128]], np.int8)
    risk = pairs_at_risk(weights)
    assert (risk.pairs.tolist(), risk.channels.tolist()) == ([0, 1], [0, 1])
    assert (risk.exact.tolist(), risk.saturated.tolist()) == ([64770, -65280], [32767, -32768])
    assert risk.inputs.tolist() == [[255, 255], [255, 255]]
    assert pairs_at_risk(np.array([[127, 1]], np.int16)).pairs.tolist() == []
    last = pairs_at_risk(np.array([[0], [0], [200]]))
    assert (last.pairs.tolist(), last.inputs.tolist(), last.exact.tolist()) == ([1], [[255, 0]], [51000])
    assert pairs_at_risk(weights.T, axis=0).pairs.tolist() == [0, 1]
    ends = pairs_at_risk([[32767, 32768, -32768, -32769], [0] * 4], 0, 1)
    assert (ends.channels.tolist(), ends.exact.tolist()) == ([1, 3], [32768, -32769])
    mixed = pairs_at_risk([[127], [127]], [0, 200], [255, 200])
    assert mixed.inputs.tolist() == [[255, 200]]
