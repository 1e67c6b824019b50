"""Convolution over arrays as they come: memory layouts, sizes 0, out, explain, padding codes, accumulators."""

import numpy as np
import pytest
from conv_cases import built, expected_conv, turned, values
from refq_cases import assert_same

from refq import IntFormat
from refq.accumulation import ACCUMULATORS
from refq.products.conv import conv
from refq.spec.accumulators import dot

LINE = {"layout": "NWC"}


def line(*numbers, dtype=np.int8):
    """One line of one channel."""
    return np.array(numbers, dtype).reshape(1, -1, 1)


@pytest.mark.parametrize("name", ["padded_2d", "depthwise_2_2d", "groups_2d", "pointwise_2d", "dilated_1d"])
def test_arrays_as_they_come(name):
    x, w, options = built(name)
    expected = expected_conv(x, w, options, input_zero_point=9)

    def same(left, right):
        layout = turned(x, w, True)[2]
        assert_same(got=conv(left, right, layout=layout, input_zero_point=9, **options), expected=expected)

    read_only = x.copy()
    read_only.flags.writeable = False
    doubled = np.repeat(x, 2, axis=1)[:, ::2]
    backwards = x[..., ::-1].copy()[..., ::-1]
    for left in (read_only, doubled, backwards, np.asfortranarray(x), x.astype(">u2"), x.astype("<i4"), x.tolist()):
        same(np.asarray(left, None if isinstance(left, np.ndarray) else np.int64), w)
    for right in (w.astype(">i2"), w[::-1].copy()[::-1], np.asfortranarray(w), w.astype(np.int64)):
        same(x, right)
    assert not read_only.flags.writeable


def test_one_value_seen_many_times():
    x = np.broadcast_to(np.uint8(3), (1, 4, 4, 2))
    w = np.broadcast_to(np.int8(-2), (3, 2, 2, 2))
    assert_same(got=conv(x, w), expected=np.full((1, 3, 3, 3), -48))


@pytest.mark.parametrize("path", ["auto", "direct", "int64"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_nothing_in_nothing_out(groups, path):
    w = np.ones((4, 2, 2, 4 // groups), np.int8)
    for x, some, shape in (
        (np.empty((0, 5, 5, 4), np.uint8), w, (0, 4, 4, 4)),
        (np.empty((3, 5, 5, 4), np.uint8), w[:0], (3, 4, 4, 0)),
    ):
        got, choice = conv(x, some, groups=groups, path=path, explain=True)
        assert (got.shape, got.dtype) == (shape, np.int64)
        assert choice.reason
    got = conv(np.empty((0, 4, 5), np.uint8), w[:, 0].swapaxes(1, 2), layout="NCW", groups=groups, path=path)
    assert got.shape == (0, 4, 4)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("name", ["padded_2d", "depthwise_2d", "groups_1d"])
def test_out_is_filled_and_returned(name, last):
    x, w, options = built(name)
    left, right, layout = turned(x, w, last)
    expected = conv(left, right, layout=layout, **options)
    out = np.full(expected.shape, -1)
    assert conv(left, right, layout=layout, out=out, **options) is out
    assert_same(got=out, expected=expected)


def test_explain_says_which_path():
    x, w, options = built("padded_2d")
    for path in ("direct", "int64", "float64"):
        got, choice = conv(x, w, path=path, explain=True, **options)
        assert choice.path == path
        assert_same(got=got, expected=conv(x, w, **options))
    x, w, options = built("depthwise_2d")
    _, choice = conv(x, w, explain=True, **options)
    assert choice.path == "depthwise"
    reach = 255 * int(np.abs(w.astype(int)).sum((1, 2, 3)).max())
    assert choice.reason == f"every filter sees one channel; |sums| <= {reach} are kept in int32"


def test_depthwise_sums_up_to_the_last_of_32_bits_and_beyond():
    """65535 * 32767 + 32767 = 2**31 - 2**15 < 2**31 is kept in int32; with 65536 products more it is not."""
    x = np.full((1, 1, 3, 2), 65535, np.uint16)
    for second, kept in ((1, "int32"), (2, "int64")):
        w = np.array([[32767, second], [-32767, -second]], np.int16).reshape(2, 1, 2, 1)
        got, choice = conv(x, w, groups=2, explain=True)
        assert choice.reason.endswith(kept)
        total = 65535 * (32767 + second)
        assert (total < 1 << 31) == (kept == "int32")
        assert_same(got=got, expected=np.tile([total, -total], (1, 1, 2, 1)))


def test_the_padding_value_counts_in_the_bound():
    """An image of zeros in a frame of 65535: two taps of 32767 on the frame leave int32."""
    x, w = np.zeros((1, 2, 2), np.uint16), np.full((2, 3, 1), 32767, np.int16)
    got = conv(x, w, **LINE, groups=2, padding=2, padding_value=65535)
    one = 65535 * 32767
    assert_same(got=got[0, :, 0], expected=np.array([2 * one, one, one, 2 * one]))


def test_formats_past_16_bits_and_narrow_ones():
    x, w = line(-(2**20), 2**20 - 1, dtype=np.int32), line(127, -127)
    wide = {"input_format": IntFormat(21), "weight_format": IntFormat(8, narrow_range=True)}
    for path in ("auto", "float64", "direct"):
        got = conv(x, w, **LINE, path=path, **wide)
        assert got.ravel().tolist() == [-(2**20) * 127 - (2**20 - 1) * 127]
    with pytest.raises(ValueError, match=r"conv: input\[0, 0, 0\]=-1048576 is outside -524288..524287"):
        conv(x, w, **LINE, input_format=IntFormat(20))


@pytest.mark.parametrize("path", ["auto", "direct"])
def test_sums_up_to_the_ends_of_64_bits(path):
    """(2**31 - 1) * 2**31 * 2 = 2**63 - 2**32; the bias brings it to 2**63 - 1, one more is refused."""
    x, w = line(2**31 - 1, 2**31 - 1, dtype=np.int64), np.full((1, 2, 1), 2**31)
    got = conv(x, w, **LINE, bias=[2**32 - 1], path=path)
    assert_same(got=got, expected=np.full((1, 1, 1), 2**63 - 1))
    assert_same(got=conv(-x, w, **LINE, bias=[1 - 2**32], path=path), expected=np.full((1, 1, 1), 1 - 2**63))
    with pytest.raises(ValueError, match="outside int64"):
        conv(x, w, **LINE, bias=[2**32], path=path)


# By hand: x = 1, -1, 1 under the kernel 1, -1, 1, a column p on each side: p - 1 - 1, 1 + 1 + 1, -1 - 1 + p.
@pytest.mark.parametrize(("code", "sums"), [(1, [-1, 3, -1]), (-1, [-3, 3, -3]), (0, [-2, 3, -2])])
@pytest.mark.parametrize("path", ["auto", "popcount", "direct", "int64"])
def test_padding_of_bipolar_codes(code, sums, path):
    x, w = line(1, -1, 1), line(1, -1, 1)
    formats = {"input_format": "bipolar", "weight_format": "bipolar"}
    got = conv(x, w, **LINE, padding=1, padding_value=code, path=path, **formats)
    assert got.ravel().tolist() == sums


@pytest.mark.parametrize("fmt", ["odd2", "odd15", "odd16"])
def test_zeros_beside_odd_levels(fmt):
    x = values(fmt, (1, 3, 2), np.int32)
    w = values("int4", (2, 2, 2), np.int8)
    options = {"padding": 2}
    got = conv(x, w, **LINE, **options, input_format=fmt, weight_format="int4", padding_value=0)
    assert_same(got=got, expected=expected_conv(x, w, options))


@pytest.mark.parametrize("name", ["asymmetric_2d", "only_padding_2d", "depthwise_2_2d", "groups_2d", "plain_1d"])
def test_padding_value_is_not_the_zero_point(name):
    x, w, options = built(name)
    layout = turned(x, w, True)[2]
    numbers = {"input_zero_point": 5, "padding_value": 250, "weight_zero_point": -3}
    expected = expected_conv(x, w, options, **numbers)
    for path in ("auto", "direct", "int64"):
        assert_same(got=conv(x, w, layout=layout, path=path, **options, **numbers), expected=expected)
    padded = expected_conv(x, w, options, input_zero_point=5, weight_zero_point=-3)
    assert not np.array_equal(padded, expected)


def products_of(x, w, n, i, j, o):
    """The terms of one output in their order, stride 1, padding 1 of zeros, channels last, one group."""
    around = np.pad(x.astype(int), ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = around[n, i : i + w.shape[1], j : j + w.shape[2]]
    return seen.ravel().tolist(), w[o].ravel().tolist()


@pytest.mark.parametrize("rule", ["wrap16", "saturate16", "pairs16", "saturate16_steps", "lanes8_saturate16"])
def test_accumulators_see_the_taps_in_order(rule):
    x, w = values("uint8", (1, 3, 3, 3), np.uint8, 3), values("int8", (2, 2, 3, 3), np.int8, 4)
    got = conv(x, w, padding=1, accumulator=rule)
    expected = np.empty_like(got)
    for at in np.ndindex(got.shape):
        expected[at] = dot(*products_of(x, w, *at), ACCUMULATORS[rule])
    assert_same(got=got, expected=expected)
    assert not np.array_equal(got, conv(x, w, padding=1))


@pytest.mark.parametrize("path", ["auto", "depthwise", "direct"])
@pytest.mark.parametrize("rule", ["wrap16", "saturate16"])
def test_depthwise_narrows_at_the_end(rule, path):
    x, w, options = built("depthwise_2_2d")
    exact = conv(x * 0 + 255, np.full_like(w, 127), bias=np.full(len(w), 7), **options)
    got = conv(x * 0 + 255, np.full_like(w, 127), bias=np.full(len(w), 7), accumulator=rule, path=path, **options)
    narrow = np.clip(exact, -(1 << 15), (1 << 15) - 1) if rule == "saturate16" else exact.astype(np.int16)
    assert_same(got=got, expected=narrow.astype(np.int64))
    assert not np.array_equal(got, exact)
