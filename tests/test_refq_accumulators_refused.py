"""Accumulator rules refuse what they must, with the place and the way out, and nothing that fits."""

import numpy as np
import pytest
from accumulator_cases import check

from refq.accumulation import ACCUMULATORS, Accumulator, Register
from refq.formats import INT16, INT32, INT64, IntFormat, Overflow
from refq.products.accumulators import accumulate

WRAP, SATURATE, ERROR = Overflow.WRAP, Overflow.SATURATE, Overflow.ERROR


@pytest.mark.parametrize("name", ["exact", "wrap32", "saturate32_steps", "pairs16"])
def test_sums_up_to_the_last_of_64_bits(name):
    largest = (1 << 63) - 1
    check([[1]], [[largest]], ACCUMULATORS[name])
    check([[1, 1]], [[largest // 2]] * 2, ACCUMULATORS[name], 1)
    message = r"^gemm: sums of depth {} could reach {}, outside int64; split or narrow them"
    for lhs, rhs, bias, depth, reach in (
        ([[1]], [[largest]], 1, 1, largest + 1),
        ([[1]], [[-largest - 1]], 0, 1, largest + 1),
        (np.array([[1 << 63]], np.uint64), [[1]], 0, 1, 1 << 63),
        ([[1 << 31] * 2], [[-(1 << 31)]] * 2, 0, 2, 1 << 63),
        ([[1 << 62] * 4], [[1 << 62]] * 4, -7, 4, (1 << 126) + 7),
    ):
        with pytest.raises(ValueError, match=message.format(depth, reach)):
            accumulate("gemm", lhs, rhs, name, bias)
    unsigned = Accumulator("u", Register(INT64, WRAP), Register(IntFormat(62, signed=False), WRAP), 1)
    check([[1, 1]], [[-1], [-1]], unsigned)
    with pytest.raises(ValueError, match=message.format(4, 4 * ((1 << 62) - 1))):
        accumulate("gemm", [[1] * 4], [[-1]] * 4, unsigned)


def test_a_refusal_names_the_first_place_the_value_and_the_step():
    half = 1 << 30
    lhs, rhs = np.array([[1, 0, 0, 0], [1, 1, 1, -1]]), np.array([[0, half], [half, half], [half, half], [0, half]])
    text = r"gemm: sum\[1, 0\]=2147483648 is outside -2147483648\.\.2147483647, int32"
    end = "; pass 'exact', or a rule that wraps or saturates there$"
    with pytest.raises(ValueError, match=f"^{text}{end}"):
        accumulate("gemm", lhs, rhs, "int32")
    with pytest.raises(ValueError, match=f"^{text}, after 3 of 4 terms{end}"):
        accumulate("gemm", lhs, rhs, "int32_steps")
    with pytest.raises(ValueError, match=f"^{text.replace('1, 0', '0, 1')}, after 3 of 4 terms{end}"):
        accumulate("gemm", lhs[1:], rhs[:, [1, 0]] - [[half, 0]], "int32_steps")
    inner = Accumulator("inner", Register(INT32, WRAP), Register(INT16, ERROR, True), 2)
    with pytest.raises(ValueError, match=r"^conv: sum\[0, 2\]=-32769 is outside .* after 2 terms of chunk 1; pass"):
        accumulate("conv", [[9, 9, 1, 1]], [[1] * 3, [1] * 3, [0, 0, -1], [0, 0, -32768]], inner)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[1.0]], [[1]], "exact"), TypeError, r"^gemm: lhs has dtype float64; pass an integer dtype"),
        (([[1]], [[True]], "exact"), TypeError, r"^gemm: rhs has dtype bool"),
        (([[1, 2]], [[1]], "exact"), ValueError, r"^gemm: lhs \(1, 2\) and rhs \(1, 1\) do not match"),
        (([1], [[1]], "exact"), ValueError, r"^gemm: lhs \(1,\) and rhs"),
        (([[1]], [[1]], "exact", [1, 2]), ValueError, r"^gemm: bias has shape \(2,\); pass one number or one a column"),
        (([[1]], [[1]], "exact", 0.5), TypeError, r"^gemm: bias has dtype float64"),
        (
            ([[1]], [[1, 1]], "saturate16_steps", [0, 40000]),
            ValueError,
            r"^gemm: bias\[1\]=40000 is outside -32768\.\.",
        ),
        (([[1]], [[1]], "wrap31"), ValueError, r"^parse_accumulator: 'wrap31' is no rule; legal: exact, int32"),
        (([[1]], [[1]], 32), TypeError, r"^parse_accumulator: 32 is no rule; pass a name of ACCUMULATORS"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        accumulate("gemm", *arguments)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Register(16, WRAP), TypeError, "^Register: fmt=16 is not an IntFormat"),
        (lambda: Register(INT16, 1), TypeError, "^Register: overflow=1 is not an Overflow"),
        (lambda: Register(INT16, SATURATE, 1), TypeError, "^Register: each_step=1 is not a bool"),
        (lambda: Register(IntFormat(64, False), WRAP), ValueError, "^Register: fmt=uint64 is outside int64"),
        (
            lambda: Register(IntFormat(8, narrow_range=True), WRAP),
            ValueError,
            "^Register: overflow=WRAP has no meaning",
        ),
        (lambda: Register(INT16, WRAP, True), ValueError, "^Register: each_step=True makes no difference to WRAP"),
        (lambda: Accumulator("x", INT16), TypeError, "^Accumulator: outer=.* is not a Register"),
        (lambda: Accumulator("x", Register(INT16, WRAP), INT16), TypeError, "^Accumulator: inner=.* is not a Register"),
        (lambda: Accumulator("x", Register(INT16, WRAP), chunk=-1), ValueError, "^Accumulator: chunk=-1 is below 0"),
        (lambda: Accumulator("x", Register(INT16, WRAP), stride=0), ValueError, "^Accumulator: stride=0 is below 1"),
        (
            lambda: Accumulator("x", Register(INT16, WRAP), chunk=2.0),
            TypeError,
            "^Accumulator: chunk=2.0 is not an int",
        ),
    ],
)
def test_bad_records(build, error, message):
    with pytest.raises(error, match=message):
        build()
