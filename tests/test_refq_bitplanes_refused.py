"""What is no bit plane and no value of the encoding is refused, with the place and the way out."""

import re
from itertools import product

import numpy as np
import pytest

from refq.encodings import Encoding, Kind, parse_encoding
from refq.formats import IntFormat
from refq.products.bitplanes import BitPlanes, pack_planes, packed, popcounts, row_sums, unpack_planes

ALL = [Encoding(bits, kind) for kind in Kind for bits in range(1, 17)]
WAY_OUT = "; pass an encoding that holds it or narrow values first"


def says(kind, text):
    return pytest.raises(kind, match=f"^{re.escape(text)}")


def is_legal(x, encoding):
    odd = encoding.kind is Kind.ODD
    return encoding.minimum <= x <= encoding.maximum and (x % 2 == 1 or not odd)


def refused(array, encoding):
    try:
        pack_planes(array, encoding)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_value_of_eight_bits_is_taken_or_refused(dtype):
    """All 256 values and all 48 encodings: no residue of a lane passes for a value of the encoding."""
    limits = np.iinfo(dtype)
    for encoding, x in product(ALL, range(limits.min, limits.max + 1)):
        assert refused(np.array([x], dtype), encoding) != is_legal(x, encoding), (encoding.name, x)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_ends_of_every_encoding_in_wider_dtypes(dtype):
    limits = np.iinfo(dtype)
    for encoding in ALL:
        ends = (encoding.minimum, encoding.maximum, 0, limits.min, limits.max, 1 << 8, 1 << 16, 1 << 32)
        near = {end + d for end in ends for d in (-2, -1, 0, 1, 2)}
        for x in sorted(x for x in near if limits.min <= x <= limits.max):
            assert refused(np.array([x], dtype), encoding) != is_legal(x, encoding), (encoding.name, x)


@pytest.mark.parametrize(
    ("x", "dtype", "name", "legal"),
    [
        (5, "uint8", "uint2", "uint2 0..3"),
        (-1, "int8", "uint8", "uint8 0..255"),
        (200, "uint8", "int8", "int8 -128..127"),
        (0, "int8", "bipolar", "bipolar -1..1, odd numbers only"),
        (2, "int64", "odd3", "odd3 -7..7, odd numbers only"),
        (-9, "int16", "odd3", "odd3 -7..7, odd numbers only"),
        (2**64 - 1, "uint64", "int16", "int16 -32768..32767"),
        (-(2**63), "int64", "uint16", "uint16 0..65535"),
        (256, "uint16", "uint8", "uint8 0..255"),
    ],
)
def test_the_first_offender_is_named(x, dtype, name, legal):
    """In a whole word, in the last lanes of a row, and before a later offender."""
    for depth, at in [(64, (3, 17)), (70, (3, 69)), (70, (4, 0)), (128, (0, 127)), (5, (4, 4))]:
        values = np.ones((5, depth), dtype)
        values[at] = values[4, depth - 1] = x
        for array in (values, np.asfortranarray(values)):
            with says(ValueError, f"pack_planes: values[{at[0]}, {at[1]}]={x} is outside {legal}{WAY_OUT}"):
                pack_planes(array, name)


def test_the_place_is_that_of_the_array_given():
    values = np.ones((2, 3, 70), np.int8)
    values[1, 0, 66] = 0
    with says(ValueError, "pack_planes: values[66, 0, 1]=0 is outside bipolar"):
        pack_planes(values.T, "bipolar")
    with says(ValueError, "pack_planes: values[66, 1]=0 is outside bipolar"):
        pack_planes(values[:, 0].T, "bipolar")
    with says(ValueError, "gemm: lhs[1]=7 is outside uint2 0..3; pass an encoding that holds it or narrow lhs first"):
        packed("gemm", "lhs", np.array([1, 7]), parse_encoding("uint2"))


def test_an_offender_belongs_to_its_own_row():
    """The word past a row's end, loaded with it, is another row's: its offender is not this row's."""
    values = np.ones((3, 70), np.int8)
    values[1] = 100
    with says(ValueError, "pack_planes: values[1, 0]=100 is outside"):
        pack_planes(values, "bipolar")


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        ([1.0], TypeError, "pack_planes: values has dtype float64; pass an integer dtype"),
        ([True], TypeError, "pack_planes: values has dtype bool; pass an integer dtype"),
        ([], TypeError, "pack_planes: values has dtype float64; pass an integer dtype"),
        (1, ValueError, "pack_planes: values has no axis; pass at least one, the last is the depth"),
    ],
)
def test_values_of_another_kind(values, kind, text):
    with says(kind, text):
        pack_planes(values, "uint2")


@pytest.mark.parametrize(
    ("encoding", "kind", "text"),
    [
        (
            "uint",
            ValueError,
            "pack_planes: encoding='uint' is no encoding; write uint1..uint16, int1..int16, bipolar, odd2..odd16",
        ),
        ("uint17", ValueError, "pack_planes: encoding='uint17' is no encoding"),
        ("odd0", ValueError, "pack_planes: encoding='odd0' is no encoding"),
        (IntFormat(32), ValueError, "pack_planes: encoding=int32 is no encoding"),
        (2, TypeError, "pack_planes: encoding=2 is no encoding; write uint1"),
    ],
)
def test_no_encoding(encoding, kind, text):
    with says(kind, text):
        pack_planes([1], encoding)


WORDS = np.zeros((2, 3, 2), np.uint64)


@pytest.mark.parametrize(
    ("words", "depth", "encoding", "kind", "text"),
    [
        (WORDS, 70, "uint2", TypeError, "encoding='uint2' is not an Encoding; pass parse_encoding('uint2')"),
        (WORDS, 70.0, Encoding(2), TypeError, "depth=70.0 is not an int; pass 0 or more"),
        (WORDS, True, Encoding(2), TypeError, "depth=True is not an int"),
        ([[1]], 70, Encoding(2), TypeError, "words is list; pass a NumPy array of native uint64"),
        (WORDS.astype(np.int64), 70, Encoding(2), TypeError, "words is int64; pass a NumPy array of native uint64"),
        (WORDS.astype(">u8"), 70, Encoding(2), TypeError, "words is >u8; pass a NumPy array of native uint64"),
        (WORDS, -1, Encoding(2), ValueError, "depth=-1 is outside 0..; pass the number of values in a row"),
        (WORDS, 64, Encoding(2), ValueError, "words has shape (2, 3, 2); depth 64 of uint2 needs (2, ..., 1)"),
        (WORDS, 129, Encoding(2), ValueError, "words has shape (2, 3, 2); depth 129 of uint2 needs (2, ..., 3)"),
        (WORDS, 70, Encoding(3), ValueError, "words has shape (2, 3, 2); depth 70 of uint3 needs (3, ..., 2)"),
        (WORDS[0, 0], 70, Encoding(2), ValueError, "words has shape (2,); depth 70 of uint2 needs (2, ..., 2)"),
        (WORDS[:, ::2], 70, Encoding(2), ValueError, "words is not C-contiguous; pass np.ascontiguousarray(words)"),
    ],
)
def test_no_record(words, depth, encoding, kind, text):
    with says(kind, f"BitPlanes: {text}"):
        BitPlanes(words, depth, encoding)


def test_bits_set_in_the_padding():
    words = WORDS.copy()
    words[1, 2, 1] = 1 << 6
    with says(ValueError, "BitPlanes: words[1, 2, 1] has bits set past depth=70; padding must be 0"):
        BitPlanes(words, 70, Encoding(2))
    assert BitPlanes(words, 71, Encoding(2)).depth == 71


@pytest.mark.parametrize("function", [unpack_planes, popcounts, row_sums])
def test_functions_of_planes(function):
    with says(TypeError, f"{function.__name__}: planes=ndarray is not BitPlanes; pass pack_planes(values, encoding)"):
        function(WORDS)
