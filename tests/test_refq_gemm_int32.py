"""Results as int32: the same integers on every path, wherever they are proved to fit, whatever the terms reach."""

import numpy as np
import pytest
from product_cases import MIXES, SHAPES, codes
from refq_cases import assert_same
from test_refq_gemm import exact, paths_for

from refq.products.gemm import gemm
from refq.products.problem import PATHS

LARGEST = (1 << 31) - 1


@pytest.mark.parametrize(("left", "right"), [mix for mix in MIXES if "16" not in "".join(mix) and mix[0][-2] != "1"])
def test_every_path_gives_the_same_integers(left, right):
    compared = 0
    for seed, (m, k, n) in enumerate(shape for shape in SHAPES if all(shape)):
        a, b = codes(left, (m, k), seed), codes(right, (k, n), seed + 100)
        rng = np.random.default_rng(seed)
        zeros = rng.integers(-9, 9, n) if seed % 2 else np.zeros(n, np.int64)
        zx, bias = int(rng.integers(-9, 9)), rng.integers(-1000, 1000, n)
        arguments = {"lhs_format": left, "rhs_format": right, "lhs_zero_point": zx, "rhs_zero_point": zeros}
        for path in paths_for(left, right):
            got = gemm(a, b, **arguments, bias=bias, path=path, dtype=np.int32)
            assert_same(got, exact(a, b, zx, zeros, bias).astype(np.int32))
            compared += got.size
    assert compared > 100_000


@pytest.mark.parametrize("path", PATHS)
def test_tiles_inside_and_at_the_edges_of_the_result(path):
    for m in (1, 5, 6, 7, 12, 13):
        for n in (1, 63, 64, 65, 128, 130):
            a, b = codes("uint2", (m, 70), m), codes("int2", (70, n), n)
            expected = exact(a, b, 0, np.zeros(n, np.int64), np.arange(n))
            for dtype in (np.int32, np.int64):
                out = np.full((m + 2, n), 77, dtype)
                gemm(a, b, lhs_format="uint2", rhs_format="int2", bias=np.arange(n), path=path, out=out[1:-1])
                assert_same(out[1:-1], expected.astype(dtype))
                assert (out[[0, -1]] == 77).all()


def test_the_largest_sums():
    for value in (LARGEST, -LARGEST):
        assert_same(gemm([[value]], [[1]], dtype="int32"), np.array([[value]], np.int32))
        assert_same(gemm([[value - value // 9]], [[1]], bias=value // 9, dtype="int32"), np.array([[value]], np.int32))
    with pytest.raises(ValueError, match="could reach 2147483648, outside int32"):
        gemm([[1 << 31]], [[1]], dtype="int32")


@pytest.mark.parametrize("path", ["float64", "int64"])
def test_terms_beyond_int32(path):
    """The sum fits although x * y and zero point * y do not."""
    a, b = np.arange(12).reshape(3, 4) + (1 << 30), codes("int8", (4, 5), 1)
    got = gemm(a, b, lhs_zero_point=1 << 30, path=path, dtype="int32")
    assert_same(got, (np.arange(12).reshape(3, 4) @ b.astype(np.int64)).astype(np.int32))


def test_rules_that_end_in_32_bits():
    a, b = codes("uint8", (5, 40), 1), codes("int8", (40, 7), 2)
    for rule in ("pairs16", "saturate32", "wrap16", "saturate16_steps"):
        expected = gemm(a, b, accumulator=rule)
        assert_same(gemm(a, b, accumulator=rule, dtype="int32"), expected.astype(np.int32))
