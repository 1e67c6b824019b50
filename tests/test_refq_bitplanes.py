"""Packing is the definition row by row: every encoding, depths around a word, dtypes, shapes."""

from itertools import product

import numpy as np
import pytest
from bitplane_cases import ALL, DTYPES, check, each_encoding, levels, some, stored
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.encodings import Encoding, Kind, parse_encoding
from refq.formats import INT8, IntFormat
from refq.products.bitplanes import BitPlanes, pack_planes, row_sums, unpack_planes
from refq.products.packing import RUN


@each_encoding
def test_every_dtype(encoding):
    for dtype, depth in product(DTYPES, (64, 67)):
        check(some(encoding, (2, depth), 7, dtype), encoding)


@each_encoding
def test_every_value_of_the_encoding(encoding):
    values = levels(encoding)
    assert_same(got=unpack_planes(pack_planes(values, encoding)), expected=values.astype(stored(encoding)))


@pytest.mark.parametrize(
    "shape",
    [(0,), (1,), (0, 5), (5, 0), (0, 0), (2, 0, 3), (1, 1, 1), (2, 3, 4, 65), (70, 1), (33, 2), (9, 63)],
    ids=str,
)
def test_shapes(shape):
    for name, dtype in product(["uint1", "int2", "bipolar", "odd3", "int9"], ["int8", "int16", "int64"]):
        encoding = parse_encoding(name)
        check(some(encoding, shape, 1, dtype), encoding)


@pytest.mark.parametrize("name", ["uint1", "uint3", "int2", "bipolar", "odd2", "uint12"])
def test_numpy_packbits(name):
    """Runs longer than one, and rows whose last word is loaded early, beside numpy.packbits of each bit."""
    encoding = parse_encoding(name)
    for shape in [(1, 64 * RUN), (1, 64 * RUN + 64), (3, 64 * (RUN + 3)), (2, 64 * RUN + 1), (301, 64), (300, 65)]:
        values = some(encoding, shape, 5, "int8" if encoding.bits <= 6 else "int16")
        codes = values.astype(np.int64) % (1 << encoding.bits)
        if encoding.kind is Kind.ODD:
            codes = (values.astype(np.int64) + (1 << encoding.bits) - 1) // 2
        bits = np.zeros((encoding.bits, shape[0], -(-shape[1] // 64) * 64), np.uint8)
        for b in range(encoding.bits):
            bits[b, :, : shape[1]] = codes >> b & 1
        expected = np.packbits(bits, axis=-1, bitorder="little").view("<u8").astype(np.uint64)
        assert_same(got=pack_planes(values, name).words, expected=expected)


def test_order_by_hand():
    planes = pack_planes([[0, 1, 2, 3], [3, 0, 0, 1]], "uint2")
    assert_same(planes.words, np.array([[[0b1010], [0b1001]], [[0b1100], [0b0001]]], np.uint64))
    values = np.zeros(130, np.int8)
    values[[0, 63, 64, 129]] = -1
    assert_same(pack_planes(values, "int1").words, np.array([[1 | 1 << 63, 1, 2]], np.uint64))


def test_embedded_bnn_bytes():
    """{1, 175, 248}, highest bit first, in words: bit 0 is the first value, so each byte is mirrored."""
    bits = np.unpackbits(np.array([1, 175, 248], np.uint8)).astype(np.int8)
    assert_same(pack_planes(2 * bits - 1, "bipolar").words, np.array([[0x1F_F5_80]], np.uint64))


def test_what_stands_for_an_encoding():
    for given_as, name in [(INT8, "int8"), (IntFormat(3, signed=False), "uint3"), (Encoding(2, Kind.ODD), "odd2")]:
        assert pack_planes([1, 1], given_as).encoding == parse_encoding(name)


@given(st.data(), st.sampled_from(ALL))
@QUICK
def test_any_values(data, encoding):
    rows, depth = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 200))
    dtype = data.draw(st.sampled_from(DTYPES))
    check(some(encoding, (rows, depth), data.draw(st.integers(0, 9)), dtype), encoding)


def test_record_of_words_made_elsewhere():
    words = np.array([[[5, 0]], [[6, 1]]], np.uint64)
    planes = BitPlanes(words, 65, parse_encoding("int2"))
    expected = np.zeros((1, 65), np.int8)
    expected[0, [0, 1, 2, 64]] = 1, -2, -1, -2
    assert_same(unpack_planes(planes), expected)
    assert_same(row_sums(planes), np.array([-4]))
