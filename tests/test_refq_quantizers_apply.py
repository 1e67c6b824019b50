"""quantize and dequantize on built staircases: every cut and its neighbours, by comparing, halving and buckets."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import assert_same

from refq.encodings import parse_encoding
from refq.formats import Rounding
from refq.quantizers.apply import dequantize, quantize, thresholds
from refq.quantizers.buckets import buckets_of
from refq.quantizers.grids import line_cuts
from refq.quantizers.quantizer import Quantizer, first_float, one_channel
from refq.quantizers.uniform import fit_uniform
from refq.spec.rounding import round_to_integer


def staircase(name, cuts, axis=None, zero=0):
    """A quantizer with the cuts given, one row a channel."""
    cuts, encoding = np.array(cuts, np.float64), parse_encoding(name)
    channels = len(cuts)
    steps, zeros = np.arange(1, channels + 1) / 4.0, np.full(channels, zero, np.int64)
    return Quantizer("built", encoding, encoding.minimum, cuts, steps, zeros, axis)


def counted(values, quantizer, channel=0):
    """The definition: lowest + spacing * the number of cuts <= x, compared as exact rationals or infinities."""
    cuts = [Fraction(c) if np.isfinite(c) else c for c in quantizer.cuts[channel].tolist()]
    flat = [Fraction(x) if np.isfinite(x) else x for x in np.asarray(values, np.float64).ravel().tolist()]
    codes = [quantizer.lowest + quantizer.spacing * sum(c <= x for c in cuts) for x in flat]
    return np.array(codes, quantizer.dtype).reshape(np.shape(values))


EVEN = np.linspace(-1.0, 1.0, 31)
ROWS = {
    "few": ("int4", np.sort(np.random.default_rng(1).normal(size=15))),
    "equal steps": ("uint5", EVEN / 3),
    "equal cuts": ("odd5", np.repeat(EVEN[::2], 2)[:31]),
    "all equal": ("uint5", np.full(31, 0.1)),
    "crowded": ("uint5", np.concatenate([[-1e30], np.linspace(0, 1e-30, 29), [1e30]])),
    "neighbours": ("uint5", np.array([1.0 + k * 2.0**-52 for k in range(31)])),
    "infinite": ("uint5", np.concatenate([[-np.inf], EVEN[1:30], [np.inf]])),
    "subnormal": ("uint5", np.arange(31) * 5e-324),
    "widest": ("uint5", EVEN * 1.7e308),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROWS)
def test_at_every_cut_and_beside_it(name, dtype):
    quantizer = staircase(ROWS[name][0], [ROWS[name][1]])
    with np.errstate(over="ignore"):
        near = quantizer.cuts[0].astype(dtype)
    ends = np.array([-np.inf, np.inf, -0.0, np.finfo(dtype).max, np.finfo(dtype).min], dtype)
    values = np.concatenate([near, np.nextafter(near, dtype(np.inf)), np.nextafter(near, dtype(-np.inf)), ends])
    assert_same(got=quantize(values, quantizer), expected=counted(values, quantizer))
    many = np.tile(values, 40)
    assert_same(got=quantize(many, quantizer), expected=np.tile(counted(values, quantizer), 40))


def test_which_staircases_have_tables():
    usable = {name: buckets_of(np.array([row]), 0, 1, 10**6) is not None for name, (_, row) in ROWS.items()}
    without = {name for name, yes in usable.items() if not yes}
    assert without == {"all equal", "crowded", "infinite", "subnormal", "widest"}
    assert buckets_of(np.array([EVEN]), 0, 1, 100) is None


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("repeat", [1, 400])
def test_channels_with_and_without_tables(axis, repeat):
    shape = [2, 3, 4]
    channels = shape[axis]
    quantizer = staircase("int5", [EVEN * (c + 1) for c in range(channels)], axis)
    values = np.random.default_rng(2).normal(size=(*shape[:-1], 4) if axis == -1 else (*shape[:-1], 4 * repeat))
    codes = quantize(values, quantizer)
    for c in range(channels):
        one = np.take(values, c, axis)
        expected = np.searchsorted(quantizer.cuts[c], one, side="right") + quantizer.lowest
        assert_same(got=np.take(codes, c, axis), expected=expected.astype(np.int8))
        worth = np.take(codes, c, axis).astype(np.float64) * quantizer.step[c]
        assert_same(got=np.take(dequantize(codes, quantizer), c, axis), expected=worth)


def test_layouts_and_small_floats_and_sizes():
    quantizer = staircase("uint5", [EVEN])
    base = (np.arange(-24, 24) / 16.0).reshape(6, 8)
    expected = counted(base, quantizer)
    frozen = base.copy()
    frozen.flags.writeable = False
    for values in (frozen, base.astype(np.float16), base.astype(">f8"), np.repeat(base, 2, 1)[:, ::2]):
        assert_same(got=quantize(values, quantizer), expected=expected)
    assert_same(got=quantize(base.T, quantizer), expected=expected.T)
    assert quantize(np.empty((0, 3)), quantizer).shape == (0, 3)
    assert dequantize(np.empty(0, np.int8), quantizer).shape == (0,)
    assert_same(got=quantize(np.float64(0.0), quantizer), expected=np.array(16, np.uint8))


def test_values_of_codes():
    quantizer = staircase("odd2", [[-1.0, 0.0, 1.0]], zero=0)
    assert_same(
        got=dequantize(np.array([-3, -1, 1, 3], ">i2"), quantizer), expected=np.array([-0.75, -0.25, 0.25, 0.75])
    )
    affine = staircase("uint2", [[-1.0, 0.0, 1.0]], zero=2)
    assert_same(got=dequantize(np.array([0, 2, 3], np.uint64), affine), expected=np.array([-0.5, 0.0, 0.25]))
    steps = thresholds(affine)
    steps[:] = 9
    assert affine.cuts.tolist() == [[-1.0, 0.0, 1.0]]


@pytest.mark.parametrize("rounding", list(Rounding))
def test_cuts_are_the_first_floats_of_their_levels(rounding):
    step = Fraction(1, 3)
    for level, cut in enumerate(line_cuts(step, rounding, -3, 3, Fraction(1, 7)), -2):
        below = float(np.nextafter(cut, -np.inf))
        levels = [round_to_integer(Fraction(x) / step + Fraction(1, 7), rounding) for x in (below, cut)]
        assert levels[0] < level <= levels[1]


def test_first_float_beyond_the_range():
    assert first_float(Fraction(10) ** 400, True) == np.inf
    assert first_float(Fraction(-(10**400)), False) == -np.finfo(np.float64).max
    assert first_float(Fraction(0), False) == 5e-324
    assert one_channel([1.0, 2.0]).shape == (1, 2)


def test_infinity_gets_the_end_code_also_where_the_first_cut_is_beyond_the_range():
    quantizer = fit_uniform(np.array([-1.79e308, 1.7e308]), 2, symmetric=False, rounding=Rounding.CEIL)
    assert quantize(np.array([-np.inf, -1.79e308, np.inf]), quantizer).tolist() == [-2, -1, 1]


def test_one_code_without_axes():
    quantizer = staircase("int5", [EVEN])
    for code in (3, np.int8(3), np.array(3, np.uint8)):
        assert_same(got=dequantize(code, quantizer), expected=np.array(0.75))


def test_bad_input():
    quantizer, odd = staircase("int4", [np.arange(15.0)]), staircase("odd2", [[-1.0, 0.0, 1.0]])
    rows = staircase("int4", [np.arange(15.0)] * 2, axis=1)
    cases = [
        (quantize, ([1, 2], quantizer), TypeError, "quantize: values has dtype int64"),
        (quantize, ([[0.0], [np.nan]], quantizer), ValueError, "quantize: values[1, 0]=nan is no number"),
        (quantize, (np.zeros((2, 3)), rows), ValueError, "quantize: shape (2, 3) has not 2 channels on axis 1"),
        (dequantize, ([0.0], quantizer), TypeError, "dequantize: codes has dtype float64"),
        (dequantize, ([0, 8], quantizer), ValueError, "dequantize: codes[1]=8 is no code of -8..7 by 1"),
        (dequantize, ([1, 3, 2], odd), ValueError, "dequantize: codes[2]=2 is no code of -3..3 by 2"),
        (dequantize, ([1, -5], odd), ValueError, "dequantize: codes[1]=-5 is no code of -3..3 by 2"),
    ]
    for function, arguments, error, message in cases:
        with pytest.raises(error) as caught:
            function(*arguments)
        assert message in str(caught.value)
