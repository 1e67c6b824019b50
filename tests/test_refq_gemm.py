"""gemm: every path equals the definition, bit for bit, on every mix of encodings and around every size that matters."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from product_cases import MIXES, SHAPES, codes
from refq_cases import QUICK, assert_same

import refq.spec.products as spec
from refq.accumulation import Accumulator, Register
from refq.encodings import parse_encoding
from refq.formats import INT16, Overflow
from refq.products.bitplanes import pack_planes
from refq.products.gemm import gemm, prepare
from refq.products.problem import PATHS

MANY_PLANES = 40


def exact(a: np.ndarray, b: np.ndarray, zx: int, zy: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (a.astype(np.int64) - zx) @ (b.astype(np.int64) - zy) + bias


def paths_for(left: str, right: str) -> list[str]:
    """The paths that are exact for a mix, `auto` among them; products of very many planes only where they are small."""
    wide = max(parse_encoding(left).bits, parse_encoding(right).bits)
    paths = ["auto", "popcount", "subsets", "float64", "int64"]
    return paths + ["int8"] * (wide <= 8) + ["int16"] * (wide <= 12 or {left, right} == {"int16", "int8"})


@pytest.mark.parametrize(("left", "right"), MIXES)
def test_every_path_is_exact(left, right):
    compared = 0
    for seed, (m, k, n) in enumerate(SHAPES):
        a, b = codes(left, (m, k), seed), codes(right, (k, n), seed + 100)
        rng = np.random.default_rng(seed)
        zx, zy, bias = int(rng.integers(-9, 9)), rng.integers(-9, 9, n), rng.integers(-1000, 1000, n)
        expected = exact(a, b, zx, zy, bias)
        arguments = {"lhs_format": left, "lhs_zero_point": zx, "bias": bias}
        weights = prepare(b, rhs_format=right, rhs_zero_point=zy)
        for path in paths_for(left, right):
            got, choice = gemm(a, weights, path=path, explain=True, **arguments)
            assert path in ("auto", choice.path)
            assert got.shape == expected.shape
            assert got.dtype == np.int64
            if got.size:
                compared += assert_same(got, expected)
    assert compared > 10_000


def test_against_the_definition_in_python_integers():
    for seed, (left, right) in enumerate(MIXES):
        a, b = codes(left, (3, 70), seed), codes(right, (70, 4), seed)
        expected = spec.gemm(a.tolist(), b.tolist(), 3, [1, -1, 0, 7], [5, 0, -5, 1 << 40])
        for path in paths_for(left, right):
            got = gemm(
                a,
                b,
                lhs_format=left,
                rhs_format=right,
                lhs_zero_point=3,
                rhs_zero_point=[1, -1, 0, 7],
                bias=[5, 0, -5, 1 << 40],
                path=path,
            )
            assert_same(got, np.array(expected, np.int64))


@QUICK
@given(st.data())
def test_random_problems(data):
    left, right = data.draw(st.sampled_from(MIXES))
    m, k, n = (data.draw(st.integers(low, top)) for low, top in ((0, 20), (1, 140), (0, 60)))
    a, b = codes(left, (m, k), data.draw(st.integers(0, 99))), codes(right, (k, n), data.draw(st.integers(0, 99)))
    path = data.draw(st.sampled_from(paths_for(left, right)))
    zy = np.array(data.draw(st.lists(st.integers(-300, 300), min_size=n, max_size=n)), np.int64)
    zx = data.draw(st.integers(-300, 300))
    got = gemm(a, b, lhs_format=left, rhs_format=right, lhs_zero_point=zx, rhs_zero_point=zy, path=path)
    np.testing.assert_array_equal(got, exact(a, b, zx, zy, np.zeros(n, np.int64)))


@pytest.mark.parametrize("path", ["popcount", "subsets", "int8", "int16", "float32", "float64", "int64"])
def test_the_largest_sums_of_bytes(path):
    """All products at their extreme, deep enough to pass 2**31 and every piece of the depth."""
    depth = 70_001
    for x, y in ((255, -128), (255, 127), (1, 1)):
        a, b = np.full((2, depth), x, np.uint8), np.full((depth, 3), y, np.int8)
        got = gemm(a, b, path=path)
        assert_same(got, np.full((2, 3), depth * x * y, np.int64))


@pytest.mark.parametrize(("left", "right", "path"), [("uint1", "bipolar", "popcount"), ("uint1", "uint1", "subsets")])
def test_pieces_of_a_deep_product_of_bits(left, right, path):
    a, b = codes(left, (5, 33_000), 1), codes(right, (33_000, 65), 2)
    got = gemm(a, b, lhs_format=left, rhs_format=right, path=path)
    assert_same(got, exact(a, b, 0, np.zeros(65, np.int64), 0))


@pytest.mark.parametrize("path", PATHS)
def test_zero_points_at_the_end_of_int64(path):
    top = (1 << 63) - 1
    assert_same(gemm(np.ones((1, 4), np.int8), np.zeros((4, 1), np.int8), lhs_zero_point=top // 600, path=path), [[0]])
    if path in ("int8", "int16", "float32", "float64", "int64"):
        ones, zeros = np.ones((1, 4), np.int8), np.zeros((4, 1), np.int64)
        assert_same(gemm(ones, zeros, lhs_zero_point=top, path=path), [[0]])
        assert_same(gemm(zeros.T, ones.T, rhs_zero_point=-top, path=path), [[0]])
    if path in ("int8", "int16", "int64"):
        assert_same(gemm([[top]], [[1]], lhs_zero_point=top, path=path), [[0]])


def test_a_rule_of_the_users_is_followed_whatever_its_name():
    rule = Accumulator("exact", Register(INT16, Overflow.SATURATE))
    assert_same(gemm([[300]], [[300]], accumulator=rule), [[32767]])


@pytest.mark.parametrize("bits", range(9, 16))
def test_the_largest_sums_of_wider_values(bits):
    """Lanes of 32 bits hold fewer and fewer products; every depth around what they hold."""
    low = -(1 << (bits - 1))
    held = ((1 << 31) - 1) // (low * low)
    compared = 0
    for depth in sorted({1, 2, held - 1, held, held + 1, 2 * held + 3, 700, 5 * held} & set(range(1, 20_000))):
        for x, y in ((low, low), (low, -low - 1)):
            a, b = np.full((3, depth), x, np.int16), np.full((depth, 2), y, np.int16)
            for path in ("auto", "int16", "float32", "float64", "int64"):
                with contextlib.suppress(ValueError):  # not exact there, which test_refq_gemm_refused.py looks at
                    got = gemm(a, b, lhs_format=f"int{bits}", rhs_format=f"int{bits}", path=path)
                    compared += assert_same(got, np.full((3, 2), depth * x * y, np.int64))
    assert compared > 100


@pytest.mark.parametrize("path", ["popcount", "subsets"])
def test_counts_beyond_sixteen_bits(path):
    for depth in ((1 << 16) - 64, (1 << 16) - 63, 1 << 17):
        ones = np.ones((1, depth), np.uint8)
        assert_same(gemm(ones, ones.T, lhs_format="uint1", rhs_format="uint1", path=path), np.array([[depth]]))


def test_sums_up_to_the_end_of_int64():
    top = (1 << 31) - 1
    a, b = np.array([[top, top]]), np.array([[top], [top]])
    assert_same(gemm(a, b), np.array([[2 * top * top]]))
    rest = (1 << 63) - 1 - 2 * top * top
    assert_same(gemm(a, b, bias=[rest]), np.array([[(1 << 63) - 1]]))
    with pytest.raises(ValueError, match="could leave int64"):
        gemm(a, b, bias=[rest + 1])
    with pytest.raises(ValueError, match="outside int64; declare narrower formats or split the depth"):
        gemm(np.array([[top, top, 1]]), np.array([[top], [top], [top]]), lhs_zero_point=-top)


def test_layout_and_byte_order_do_not_matter():
    a, b = codes("int8", (40, 130), 1), codes("uint8", (130, 50), 2)
    expected = exact(a, b, 0, np.zeros(50, np.int64), 0)
    read_only = a.copy()
    read_only.flags.writeable = False
    for left in (a, read_only, np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2], a[::-1][::-1], a.astype(">i4")):
        for right in (b, np.asfortranarray(b), np.repeat(b, 3, axis=0)[::3], b.astype(">u2")):
            for path in ("popcount", "subsets", "int8", "int16", "float64", "int64"):
                assert_same(gemm(left, right, lhs_format="int8", rhs_format="uint8", path=path), expected)


def test_bit_planes_are_operands():
    a, b = codes("odd2", (7, 70), 1), codes("int3", (70, 9), 2)
    expected = exact(a, b, 0, np.zeros(9, np.int64), 0)
    left, right = pack_planes(a, "odd2"), pack_planes(b.T, "int3")
    for path in PATHS:
        assert_same(gemm(left, right, path=path), expected)
        assert_same(gemm(left, prepare(right), path=path), expected)
        assert_same(gemm(a, right, lhs_format="odd2", path=path), expected)


def test_a_prepared_operand_serves_every_left_one():
    b = codes("int8", (70, 9), 2)
    weights = prepare(b, rhs_zero_point=3)
    for seed, fmt in enumerate(["uint8", "int8", "uint2", "bipolar", "int16", "uint8"]):
        for rows in (1, 5, 70):
            a = codes(fmt, (rows, 70), seed)
            for zx in (0, 5):
                got = gemm(a, weights, lhs_format=fmt, lhs_zero_point=zx)
                assert_same(got, exact(a, b, zx, np.full(9, 3), 0))


def test_out_is_written_and_returned():
    a, b = codes("uint8", (5, 6), 1), codes("int8", (6, 7), 2)
    for path in PATHS:
        out = np.full((5, 7), -1, np.int64)
        assert gemm(a, b, path=path, out=out) is out
        assert_same(out, exact(a, b, 0, np.zeros(7, np.int64), 0))


def test_wide_values_take_their_actual_range():
    a, b = np.array([[3, -4]], np.int64), np.array([[100_000], [2]], np.int32)
    product, choice = gemm(a, b, explain=True)
    assert_same(product, np.array([[299_992]]))
    assert dict(choice.others)["int8"] == "-4..3 times 2..100000 does not fit 8 bits"
    assert_same(gemm(np.array([[3, 200]], np.int64), np.array([[-2], [5]]), path="int8"), np.array([[994]]))


def test_the_choice_is_explained():
    a, b = np.zeros((256, 1024), np.uint8), np.zeros((1024, 1024), np.int8)
    _, few = gemm(a, b, lhs_format="uint1", rhs_format="int2", explain=True)
    assert few.path in ("popcount", "subsets")
    assert few.reason.startswith("2 products of bit planes, counts of at most 1024; about ")
    _, bytes_ = gemm(a, b, explain=True)
    assert bytes_.path == "int8"
    assert "32-bit lanes hold sums of" in bytes_.reason
    _, wide = gemm(a.astype(np.uint16), b.astype(np.int16), explain=True)
    assert wide.path == "float64"
    assert "sums of 1024 products of 0..65535 times -32768..32767 stay within 2**53" in wide.reason
    _, asked = gemm(a, b, path="int64", explain=True)
    assert asked.reason == "asked for; int64 modulo 2**64, and the result fits"
    assert set(dict(few.others)) | {few.path} == set(PATHS)
