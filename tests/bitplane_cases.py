"""Shared by the tests of bit planes: encodings, their values, packing beside the definition."""

from math import prod

import numpy as np
import pytest

from refq.encodings import Encoding, Kind
from refq.products.bitplanes import pack_planes, popcounts, row_sums, unpack_planes
from refq.spec import bitserial as spec

ALL = [Encoding(bits, kind) for kind in Kind for bits in range(1, 17)]
DTYPES = [np.dtype(f"{sign}int{width}") for width in (8, 16, 32, 64) for sign in ("", "u")]
DEPTHS = [0, 1, 2, 63, 64, 65, 127, 128, 130]
each_encoding = pytest.mark.parametrize("encoding", ALL, ids=lambda e: e.name)


def levels(encoding):
    return np.arange(encoding.minimum, encoding.maximum + 1, 2 if encoding.kind is Kind.ODD else 1)


def some(encoding, shape, seed=0, dtype=np.int64):
    """Values of the encoding, or those of them that the dtype holds, both ends first."""
    legal = levels(encoding)
    limits = np.iinfo(dtype)
    legal = legal[(limits.min <= legal) & (legal <= limits.max)]
    flat = np.random.default_rng(seed).choice(legal, prod(shape))
    flat[:2] = [legal[0], legal[-1]][: flat.size]
    return flat.astype(dtype).reshape(shape)


def stored(encoding):
    """The smallest dtype of the values, written independently."""
    if encoding.kind is Kind.UNSIGNED:
        return "uint8" if encoding.bits <= 8 else "uint16"
    width = encoding.bits + (encoding.kind is Kind.ODD)
    return "int8" if width <= 8 else "int16" if width <= 16 else "int32"


def check(values, encoding):
    """Words, depth and encoding are those of the definition; back again are the values; sums are sums."""
    array = np.asarray(values)
    before = array.copy()
    planes = pack_planes(values, encoding)
    *lead, depth = array.shape
    words = np.zeros((encoding.bits, *lead, -(-depth // 64)), np.uint64)
    for place in np.ndindex(*lead):
        words[(slice(None), *place)] = np.array(spec.pack([int(x) for x in array[place]], encoding), np.uint64).reshape(
            encoding.bits, -1
        )
    assert (planes.depth, planes.encoding, planes.lead) == (depth, encoding, tuple(lead))
    assert np.array_equal(array, before)
    assert planes.words.dtype == np.uint64
    assert planes.words.shape == words.shape
    assert np.array_equal(planes.words, words)
    back = unpack_planes(planes)
    assert (back.dtype, back.shape) == (np.dtype(stored(encoding)), array.shape)
    assert np.array_equal(back, array)
    exact = array.astype(np.int64).sum(-1)
    for got, expected in [(row_sums(planes), exact), (popcounts(planes), exact - depth * encoding.offset)]:
        assert (got.dtype, got.shape) == (np.dtype(np.int64), tuple(lead))
        assert np.array_equal(got, expected)
    return array.size
