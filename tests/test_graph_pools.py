"""Windows, pools and means of the array functions equal their definition, result by result, under every rule."""

from itertools import product

import numpy as np
import pytest
from elementwise_cases import codes, exactly
from refq_cases import assert_same

from refq import INT8, INT16, RULES, UINT8, Rounding
from refq.layers import elementwise as layer
from refq.layers import pools_float, pools_means
from refq.layers.pools import Windows, output_shape, window_counts, window_maxima, window_sums
from refq.spec.layers import elementwise as spec_sums
from refq.spec.layers import pools as spec

GEOMETRIES = [
    ((2, 5, 6, 3), Windows((1, 2), (2, 3), (2, 1), ((0, 1), (1, 1)), (1, 1))),
    ((1, 7, 7, 2), Windows((1, 2), (3, 2), (1, 2), ((2, 0), (0, 1)), (2, 3))),
    ((2, 3, 6, 5), Windows((2, 3), (6, 5), (1, 1), ((0, 0), (0, 0)), (1, 1))),
    ((1, 9, 2), Windows((1,), (4,), (3,), ((3, 2),), (1,))),
    ((1, 2, 3, 4, 2), Windows((2, 3, 4), (2, 2, 1), (1, 2, 1), ((1, 0), (0, 0), (0, 0)), (1, 1, 1))),
    ((0, 4, 4, 1), Windows((1, 2), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))),
]


def read(x, windows, index):
    """The codes that one result reads, in order."""
    sizes = [x.shape[axis] for axis in windows.axes]
    place = [index[axis] for axis in windows.axes]
    found = []
    for at in spec.window(place, sizes, windows.kernel, windows.stride, windows.padding, windows.dilation):
        where = list(index)
        for axis, i in zip(windows.axes, at, strict=True):
            where[axis] = i
        found.append(int(x[tuple(where)]))
    return found


def indices(shape):
    return product(*(range(size) for size in shape))


@pytest.mark.parametrize(("shape", "windows"), GEOMETRIES, ids=lambda v: str(v)[:40])
def test_windows_equal_their_definition(shape, windows):
    rng = np.random.default_rng(0)
    for dtype in ("int8", "uint8", "int16"):
        x = codes(rng, dtype, shape)
        result = output_shape(shape, windows)
        sums, maxima = window_sums(x, windows), window_maxima(x, windows)
        counts = np.broadcast_to(window_counts(shape, windows), result)
        assert sums.shape == maxima.shape == result
        for index in indices(result):
            here = read(x, windows, index)
            assert counts[index] == len(here)
            assert sums[index] == sum(here)
            assert maxima[index] == max(here, default=np.iinfo(dtype).min)


def test_sums_of_a_large_window_do_not_wrap():
    x = np.full((1, 300, 300, 1), -32768, np.int16)
    assert window_sums(x, Windows((1, 2), (300, 300), (1, 1), ((0, 0), (0, 0)), (1, 1))).item() == -32768 * 90000


# the mean of n codes: source and output; dyadic with odd zero points, equal, thirds, wide ratios
SCALES = [
    ((0.5, 7), (0.5, 7)),
    ((0.5, 7), (0.25, -3)),
    ((0.5, 7), (0.5, -3)),
    ((0.1, -128), (0.037, 5)),
    ((0.05, 3), (0.75, 127)),
    ((1.0, 0), (2.0**-12, 1)),
]
COUNTS = (1, 2, 3, 4, 6, 9, 16, 49, 64)


def parameters(parts, fmt):
    move = 128 if fmt == UINT8 else 0
    zeros = [0 if fmt == INT16 else zero + move for _, zero in parts]
    arrays = [layer.Affine(np.float32(s), z, fmt) for (s, _), z in zip(parts, zeros, strict=True)]
    return arrays, [spec_sums.Affine(exactly(s), z, fmt) for (s, _), z in zip(parts, zeros, strict=True)]


def _by_rule(name, function):
    return lambda c, s, o: function(c, RULES[name], s, o)


SINGLE = RULES["tosa_scale32_single"]
SPEC_MEANS = {
    **{f"tflite:{n}": _by_rule(n, spec.tflite_mean) for n in ("gemmlowp_double", "single_up", "double_up")},
    **{f"tosa:{n}": _by_rule(n, spec.tosa_rescale) for n in ("tosa_scale32_double", "tosa_scale32_single")},
    "raw:ties_away": lambda c, s, o: spec.raw_mean(c, len(c), Rounding.TIES_AWAY),
    "raw:ties_even": lambda c, s, o: spec.raw_mean(c, len(c), Rounding.TIES_EVEN),
    "raw:ties_up": lambda c, s, o: spec.raw_mean(c, len(c), Rounding.TIES_UP),
    "xnnpack_mean": spec.xnnpack_mean,
    "mlas_global": _by_rule("float32_ties_even", spec.mlas_global),
    "tosa:reciprocal": lambda c, s, o: spec.tosa_reciprocal(c, len(c), SINGLE, s, o),
    "exact:ties_even/after": lambda c, s, o: spec.exact_mean(c, len(c), s, o, Rounding.TIES_EVEN),
    "exact:ties_even/before": lambda c, s, o: spec.exact_mean(c, len(c), s, o, Rounding.TIES_EVEN, True),
    "exact:ties_away/after": lambda c, s, o: spec.exact_mean(c, len(c), s, o, Rounding.TIES_AWAY),
    "exact:ties_up/after": lambda c, s, o: spec.exact_mean(c, len(c), s, o, Rounding.TIES_UP),
}


def rows(fmt, count):
    """Rows of codes: both ends, all zero points, and small sums of either sign next to the ties."""
    rng = np.random.default_rng(count)
    low, high = (0, 20) if not fmt.signed else (-10, 10)
    near = rng.integers(low, high, (12, count), endpoint=True)
    wide = rng.integers(fmt.qmin, fmt.qmax, (6, count), endpoint=True)
    ends = np.full((1, count), fmt.qmin), np.full((1, count), fmt.qmax)
    return np.concatenate([near, wide, *ends]).tolist()


def test_every_rule_of_means_has_a_definition():
    assert set(SPEC_MEANS) == set(pools_means.MEANS)


@pytest.mark.parametrize("fmt", [INT8, UINT8, INT16], ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("parts", SCALES, ids=str)
def test_means_equal_their_definition(parts, fmt):
    arrays, exact = parameters(parts, fmt)
    groups = [row for count in COUNTS for row in rows(fmt, count)]
    sums = np.array([sum(row) for row in groups], np.int64)
    counts = np.array([len(row) for row in groups], np.int64)
    for name in pools_means.mean_rules(*arrays):
        values = pools_means.MEANS[name](sums, counts, *arrays)
        expected = [spec_sums.stored(SPEC_MEANS[name](row, *exact), exact[1]) for row in groups]
        assert_same(got=layer.clamp(values, arrays[1]), expected=np.array(expected, fmt.name))


@pytest.mark.parametrize("fmt", [INT8, UINT8], ids=lambda fmt: fmt.name)
def test_the_optimized_mean_equals_its_definition(fmt):
    for parts in SCALES:
        arrays, exact = parameters(parts, fmt)
        groups = [row for count in COUNTS for row in rows(fmt, count)]
        sums, counts = (np.array([f(row) for row in groups], np.int64) for f in (sum, len))
        for mean, rule in zip(pools_means.X86_LOOPS, ("gemmlowp_double", "double_up"), strict=True):
            expected = [spec_sums.stored(spec.x86_mean(row, RULES[rule], *exact), exact[1]) for row in groups]
            got = layer.clamp(mean(sums, counts, *arrays), arrays[1])
            assert_same(got=got, expected=np.array(expected, fmt.name))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("shape", "windows"), GEOMETRIES[:4], ids=lambda v: str(v)[:40])
def test_float_averages_equal_their_definition(shape, windows, padded):
    x = codes(np.random.default_rng(3), "int8", shape)
    counts = np.broadcast_to(window_counts(shape, windows, padded), output_shape(shape, windows))
    for parts in SCALES[1:4]:
        arrays, exact = parameters(parts, INT8)
        for name, before in (("mlas_float32", True), ("qdq:float32_ties_even", False)):
            values = pools_float.WINDOWED[name](x, windows, padded, *arrays)
            got = layer.clamp(values, arrays[1])
            expected = np.empty_like(got)
            for index in indices(got.shape):
                here = read(x, windows, index)
                value = spec.float_mean(here, int(counts[index]), *exact, before)
                if before and pools_float.whole_window(shape, windows):
                    value = spec.mlas_global(here, RULES["float32_ties_even"], *exact)
                expected[index] = spec_sums.stored(value, exact[1])
            assert_same(got=got, expected=expected)
