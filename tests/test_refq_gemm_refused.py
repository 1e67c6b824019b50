"""gemm refuses what it cannot answer exactly: one line that names argument, value, legal set and way out."""

import numpy as np
import pytest

from refq.accumulation import Accumulator, Register
from refq.formats import IntFormat, Overflow
from refq.products.bitplanes import pack_planes
from refq.products.gemm import gemm, prepare

A, B = np.ones((2, 3), np.int8), np.ones((3, 4), np.int8)
WIDE = np.arange(6).reshape(2, 3) << 40

VALUE = [
    ({"lhs": A, "rhs": A}, r"gemm: lhs \(2, 3\) and rhs \(2, 3\) do not match; pass \(M, K\) and \(K, N\)"),
    (
        {"lhs": A[:, :0], "rhs": B[:0]},
        r"gemm: lhs \(2, 0\) has depth 0, a sum of no products; pass at least one column",
    ),
    ({"lhs": [[1, 2, 3], [4]], "rhs": B}, "gemm: lhs is ragged; pass rows of equal length"),
    (
        {"lhs": A, "rhs": B, "path": "int8", "accumulator": "pairs16"},
        "gemm: path='int8' does not follow pairs16 through its partial sums; pass path='auto'",
    ),
    ({"lhs": A[0], "rhs": B}, r"gemm: lhs has shape \(3,\); pass two axes"),
    ({"lhs": A, "rhs": B[None]}, r"gemm: rhs has shape \(1, 3, 4\); pass two axes"),
    ({"lhs": A, "rhs": B, "path": "gpu"}, "gemm: path='gpu' is no path; legal: auto, popcount, subsets, int8"),
    ({"lhs": A * 2, "rhs": B, "lhs_format": "uint1"}, r"gemm: lhs\[0, 0\]=2 is outside uint1 0..1"),
    ({"lhs": A * 2, "rhs": B, "lhs_format": "uint1", "path": "int8"}, r"gemm: lhs\[0, 0\]=2 is outside uint1 0..1"),
    (
        {"lhs": A * 0, "rhs": B, "lhs_format": "bipolar", "path": "int64"},
        r"gemm: lhs\[0, 0\]=0 is outside bipolar -1..1, odd",
    ),
    ({"lhs": A, "rhs": B * 9, "rhs_format": "int4"}, r"gemm: rhs\[0, 0\]=9 is outside int4 -8..7"),
    ({"lhs": A, "rhs": B, "lhs_format": "int99"}, "gemm: lhs_format='int99' is no encoding; write uint1..uint16"),
    (
        {"lhs": WIDE, "rhs": B, "path": "int8"},
        "gemm: path='int8' is not exact here: .* does not fit 8 bits; possible: auto",
    ),
    ({"lhs": WIDE, "rhs": B, "path": "subsets"}, "an operand has no format of at most 16 bits; declare one"),
    ({"lhs": WIDE, "rhs": B, "path": "float32"}, r"can exceed 2\*\*24"),
    ({"lhs": WIDE, "rhs": B.astype(np.int64) << 40}, "could reach .*, outside int64; declare narrower formats"),
    ({"lhs": np.full((2, 3), (1 << 63), np.uint64), "rhs": B}, r"gemm: lhs\[0, 0\]=9223372036854775808 is outside"),
    (
        {"lhs": A, "rhs": B, "rhs_zero_point": [1, 2]},
        r"rhs_zero_point has shape \(2,\); pass one number or one a column, \(4,\)",
    ),
    ({"lhs": A, "rhs": B, "bias": [1, 2]}, r"bias has shape \(2,\)"),
    ({"lhs": A, "rhs": B, "lhs_zero_point": 1 << 63}, "gemm: lhs_zero_point=9223372036854775808 is outside"),
    ({"lhs": A, "rhs": B, "out": np.empty((4, 2), np.int64)}, r"gemm: out has shape \(4, 2\); pass \(2, 4\)"),
    (
        {"lhs": [[2**63 - 1]], "rhs": [[1]], "lhs_zero_point": -2, "accumulator": "saturate32_steps"},
        "gemm: lhs less its zero point can be 9223372036854775809, outside int64; declare a narrower format",
    ),
    (
        {"lhs": [[0]], "rhs": [[2**63 - 1]], "rhs_zero_point": -2, "accumulator": "saturate32_steps"},
        "gemm: rhs less its zero point can be 9223372036854775809",
    ),
    ({"lhs": A, "rhs": B, "out": np.empty((4, 2), np.int64).T}, "gemm: out is not C-contiguous and writeable"),
    ({"lhs": A, "rhs": B, "accumulator": "int31"}, "parse_accumulator: 'int31' is no rule; legal: exact"),
    ({"lhs": pack_planes(A, "int8"), "rhs": B, "lhs_format": "int4"}, r"gemm: lhs is int8 planes of shape \(2, 3\)"),
    ({"lhs": pack_planes(A[None], "int8"), "rhs": B}, r"gemm: lhs is int8 planes of shape \(1, 2, 3\); pass two axes"),
    ({"lhs": A, "rhs": prepare(B), "rhs_zero_point": 1}, "gemm: rhs is prepared and has its format and zero point"),
    (
        {"lhs": A * 100, "rhs": B * 100, "bias": 2**31 - 30_000, "accumulator": "int32"},
        r"sum\[0, 0\]=2147483648 is outside",
    ),
    ({"lhs": A, "rhs": B, "dtype": "int16"}, "gemm: dtype='int16' is no dtype of sums; legal: 'int64', 'int32'"),
    ({"lhs": A, "rhs": B, "dtype": "int32", "out": np.empty((2, 4), np.int64)}, "gemm: out is int64, dtype='int32'"),
    (
        {"lhs": A, "rhs": B, "dtype": "int32", "lhs_zero_point": 1 << 24},
        r"gemm: sums of 3 products of .* outside int32; declare narrower formats or pass dtype='int64'",
    ),
    (
        {"lhs": A, "rhs": B, "dtype": "int32", "bias": (1 << 31) - 5},
        "and a bias of up to 2147483643 could leave int32; declare narrower formats or pass dtype='int64'",
    ),
    (
        {"lhs": A, "rhs": B, "dtype": "int32", "accumulator": Accumulator("w", Register(IntFormat(33), Overflow.WRAP))},
        "gemm: accumulator=w ends in int33, wider than int32; pass dtype='int64'",
    ),
]
KIND = [
    ({"lhs": A, "rhs": B, "out": np.empty((2, 4), np.int16)}, r"gemm: out is int16; pass an array of int64 \(2, 4\)"),
    ({"lhs": A, "rhs": B, "out": np.empty((2, 4), ">i4")}, r"gemm: out is >i4; pass an array of int64 \(2, 4\), or"),
    ({"lhs": A, "rhs": B, "out": [[1]]}, "gemm: out is list; pass an array of int64"),
    ({"lhs": A.astype(float), "rhs": B}, "gemm: lhs has dtype float64; pass an integer dtype"),
    ({"lhs": A, "rhs": B > 0}, "gemm: rhs has dtype bool"),
    ({"lhs": A, "rhs": B, "lhs_zero_point": 0.5}, "gemm: lhs_zero_point=0.5 is not an integer"),
    ({"lhs": A, "rhs": B, "bias": [0.5] * 4}, "gemm: bias has dtype float64"),
    ({"lhs": A, "rhs": B, "lhs_format": 8}, "gemm: lhs_format=8 is no encoding"),
    ({"lhs": None, "rhs": B}, "gemm: lhs has dtype object"),
]


@pytest.mark.parametrize(("arguments", "message"), VALUE)
def test_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        gemm(arguments.pop("lhs"), arguments.pop("rhs"), **arguments)


@pytest.mark.parametrize(("arguments", "message"), KIND)
def test_kinds(arguments, message):
    with pytest.raises(TypeError, match=message):
        gemm(arguments.pop("lhs"), arguments.pop("rhs"), **arguments)


def test_out_is_nobody_elses_memory():
    square, bias = np.ones((3, 3), np.int64), np.ones((3, 3), np.int64)
    other = np.ones((3, 3), np.int64)
    for name, arguments in (
        ("lhs", (square, other, None, square)),
        ("rhs", (other, square, None, square[::1])),
        ("rhs", (other, prepare(square), None, square)),
        ("bias", (other, square, bias[1], bias)),
    ):
        lhs, rhs, start, out = arguments
        with pytest.raises(ValueError, match=f"gemm: out shares memory with {name}; pass another array"):
            gemm(lhs, rhs, bias=start, out=out)


def test_the_place_is_that_of_the_argument():
    right = np.ones((70, 4), np.int8)
    right[68, 3] = 5
    for path in ("popcount", "int8"):
        with pytest.raises(ValueError, match=r"gemm: rhs\[68, 3\]=5 is outside uint2 0..3"):
            gemm(np.ones((2, 70), np.int8), right, rhs_format="uint2", path=path)
