"""Ops of one code against LiteRT in its three modes: every code of 8 bits, every code of 16, built ties."""

import math

import numpy as np
import pytest
from refq_cases import assert_same
from table_cases import End, OneOp, agree, every, golden, under

from refq.layers import tables
from refq.layers.sigmoid_libm import tanh_glibc

SCALES = [(0.05, 3), (0.0625, -7), (0.1, 0), (0.25, 1), (0.5, 127), (1.0, -128), (2.0**-7, 5), (0.2420858, -123)]
WIDE = [2.0**-9, 1e-4, 0.003, 2.0**-10, 1.0, 2.0**-20, float(np.float32(2.0**-12) * np.float32(1.002))]
POWERS = [2.0**-12, float(np.float32(2.0**-12) * np.float32(1.0004))]


def bytes_of(dtype: str, scale: float, zero_point: int) -> End:
    return End(dtype, scale, zero_point + (128 if dtype == "uint8" else 0))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", ["logistic", "tanh", "hard_swish"])
def test_curves_of_8_bits(op: str, dtype: str) -> None:
    """256 codes under 8 scales; the output scale of LOGISTIC is fixed."""
    x = every(dtype)
    for scale, zero_point in SCALES:
        outputs = {
            "logistic": [(1 / 256, -128)],
            "tanh": [(1 / 128, 0), (0.01, 3), (1 / 64, -5)],
            "hard_swish": [(scale, -13), (max(scale / 3, 0.01), -100)],
        }[op]
        for out in outputs:
            agree(OneOp(op, bytes_of(dtype, scale, zero_point), bytes_of(dtype, *out), x.shape), x)


@pytest.mark.parametrize("op", ["relu", "relu6", "relu_n1_to_1"])
def test_relus_rescale(op: str) -> None:
    """Equal scales, dyadic ones with ties, and odd ones; int8, uint8, int16."""
    for dtype in ("int8", "uint8"):
        x = every(dtype)
        for scale, zero_point in SCALES:
            for out in [(scale, zero_point), (scale * 4, 5), (0.0437, -105), (scale / 2, -3)]:
                agree(OneOp(op, bytes_of(dtype, scale, zero_point), bytes_of(dtype, *out), x.shape), x)
    if op != "relu_n1_to_1":
        x = every("int16")
        for scale, out in [(2.0**-9, 2.0**-7), (1e-4, 0.00037), (0.003, 0.003)]:
            agree(OneOp(op, End("int16", scale), End("int16", out), x.shape), x)


@pytest.mark.parametrize("alpha", [0.1, 0.25, -0.3, 1.7, 1e-5])
def test_leaky_relu(alpha: float) -> None:
    """Slopes above 1, below 0, and one that XNNPACK does not take."""
    differ = 0
    for dtype in ("int8", "uint8"):
        x = every(dtype)
        for scale, zero_point in SCALES:
            for out in [(scale, zero_point), (scale * 2, 5), (0.04, -5)]:
                ends = bytes_of(dtype, scale, zero_point), bytes_of(dtype, *out)
                found = agree(OneOp("leaky_relu", *ends, x.shape, {"alpha": alpha}), x)
                differ += int((found["litert"] != found["litert-builtin"]).sum())
    assert (differ > 0) == (alpha != 1e-5)
    x = every("int16")
    for scale in (2.0**-9, 1e-4):
        for ratio in (1.0, 2.0, 1.7):
            ends = End("int16", scale), End("int16", scale * ratio)
            agree(OneOp("leaky_relu", *ends, x.shape, {"alpha": alpha}), x)


@pytest.mark.parametrize("alpha", [-2.0, -0.75, -0.5, -1.5, -0.375, -0.0625, -(2.0**-9), -192.0, -7.3])
def test_leaky_relu_falling(alpha: float) -> None:
    """Ties of gemmlowp's first rounding: negative multipliers are applied by size and negated, but by builtin int16."""
    signed, negated = "tflite:gemmlowp_double", "tflite:gemmlowp_double_negated"
    parted = 0
    for dtype in ("int8", "uint8"):
        x = every(dtype)
        for zero_point in (0, 127):
            for scale, out in ((0.0625, 1.0), (1.0, 1.0), (0.5, 0.25)):
                ends = bytes_of(dtype, scale, zero_point), bytes_of(dtype, out, -5)
                case = OneOp("leaky_relu", *ends, x.shape, {"alpha": alpha})
                assert_same(agree(case, x)["litert-builtin"], under(case, x, negated))
                parted += int((under(case, x, negated) != under(case, x, signed)).sum())
    x = every("int16")
    for ratio in (1.0, 2.0, 0.5):
        case = OneOp("leaky_relu", End("int16", 2.0**-9), End("int16", 2.0**-9 * ratio), x.shape, {"alpha": alpha})
        found = agree(case, x)
        parted += int((found["litert-builtin"] != found["litert-reference"]).sum())
        assert_same(found["litert-builtin"], under(case, x, signed))
    assert (parted > 0) == (alpha not in (-192.0, -7.3)), parted


def test_leaky_relu_falling_at_every_position() -> None:
    """-3 * -0.5 lies between 1 and 2: one answer in whole vectors and behind them."""
    for dtype, wanted in (("int8", 1), ("uint8", 129), ("int16", 2)):
        zero_point = 128 if dtype == "uint8" else 0
        for size in (1, 3, 4, 7, 8, 9, 15, 16, 17, 33, 65):
            x = np.full((1, size), zero_point - 3, dtype)
            end = End(dtype, 1.0, zero_point)
            found = agree(OneOp("leaky_relu", end, end, x.shape, {"alpha": -0.5}), x)
            assert_same(found["litert-builtin"], np.full((1, size), wanted, dtype))


@pytest.mark.parametrize("op", ["logistic", "tanh"])
def test_curves_of_16_bits(op: str) -> None:
    """65536 codes under 9 scales; the modes part at the powers of two that the fixed-point kernels take."""
    x = every("int16")
    for scale in [*WIDE, *POWERS, *([2.0**-11] if op == "tanh" else [])]:
        found = agree(OneOp(op, End("int16", scale), End("int16", 2.0**-15), x.shape), x)
        parted = int((found["litert-builtin"] != found["litert-reference"]).sum())
        assert (parted > 10_000) == (scale in POWERS or (op == "tanh" and scale == 2.0**-11))


def tie(function, target: float) -> tuple[np.float32, int] | None:  # type: ignore[no-untyped-def]
    """A float32 scale and a code whose function value is exactly target."""
    real = math.atanh(target) if function is tanh_glibc else math.log(target / (1 - target))
    for code in range(1, 128):
        start = np.float32(real / code)
        for near in (start, np.nextafter(start, np.float32(0)), np.nextafter(start, np.float32(9))):
            if function(np.array([near * np.float32(code)], np.float32))[0] == np.float32(target):
                return near, code
    return None


@pytest.mark.parametrize("function", [tables.logistic32, tables.logistic_once, tanh_glibc])
def test_built_ties_part_the_modes(function) -> None:  # type: ignore[no-untyped-def]
    """Scales at which one code's value is exactly half a step: away from zero in builtin, to even in XNNPACK."""
    op, steps, zero_point = ("tanh", 128, 0) if function is tanh_glibc else ("logistic", 256, -128)
    x, parted, ties = every("int8"), 0, 0
    for code in range(steps // 2 + 2, steps - 6, 2):
        found = tie(function, (code + 0.5) / steps)
        if found is not None:
            case = OneOp(op, End("int8", found[0]), End("int8", 1 / steps, zero_point), x.shape)
            answers = agree(case, x)
            parted += int((answers["litert"] != answers["litert-builtin"]).sum())
            ties += 1
    assert ties > 20
    assert parted > 10


def test_zero_point_before_the_rounding() -> None:
    """XNNPACK rounds the value with its zero point: an odd one turns a tie to even around."""
    x, parted = every("int8"), 0
    for code in range(9, 60, 2):
        found = tie(tanh_glibc, (code + 0.5) / 64)
        if found is not None:
            case = OneOp("tanh", End("int8", found[0]), End("int8", 1 / 64, 3), x.shape)
            answers = agree(case, x)["litert"]
            parted += int((answers != under(case, x, "onnxruntime:float_table")).sum())
    assert parted > 5


@pytest.mark.parametrize("op", ["relu6", "relu_n1_to_1"])
def test_bounds_of_relus_round_away(op: str) -> None:
    """6 / scale halfway between two codes, odd and even zero points: away from zero in all modes."""
    x = every("int8")
    for scale in (4.0, 12.0, 2.0, 4 / 3):
        for zero_point in (4, 5):
            agree(OneOp(op, End("int8", scale, zero_point), End("int8", scale, zero_point), x.shape), x)


def test_lengths_that_no_vector_divides() -> None:
    """Sizes around blocks of 8, 16 and 32, and 1: no op of this family depends on the position."""
    for size in (1, 7, 15, 17, 31, 33):
        x = every("int8")[:, 100 : 100 + size]
        for op in ("hard_swish", "tanh", "relu6"):
            agree(OneOp(op, End("int8", 0.25, 101), End("int8", 0.5, 3), x.shape), x)


def test_batches_are_stacked_samples() -> None:
    x = every("int8").reshape(4, 64)
    case = OneOp("hard_swish", End("int8", 0.05, 3), End("int8", 0.03, -100), (1, 64))
    alone = np.concatenate([golden(case, row[None], "litert-builtin") for row in x])
    assert_same(golden(case, x, "litert-builtin"), alone)
