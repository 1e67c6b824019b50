"""quantize, dequantize and requantize against LiteRT in its three modes; blocks and remainders included."""

import numpy as np
import pytest
from refq_cases import assert_same
from table_cases import End, OneOp, agree, every, golden, under

from refq.formats import IntFormat
from refq.graphs.sites import INTEGERS

SIZES = (1, 7, 8, 15, 16, 17, 31, 33, 301)
ENDS = {"int8": (3, -7, 127), "uint8": (131, 0, 255), "int16": (0, 0, 0)}


def near_ties(fmt: IntFormat, zero_point: int, scale: np.float32, size: int, seed: int) -> np.ndarray:
    """Halves of steps, some one float32 nearer to zero, beyond both ends of the format too."""
    rng = np.random.default_rng(seed)
    halves = rng.integers(fmt.qmin - 3 - zero_point, fmt.qmax + 3 - zero_point, size) + 0.5
    x = halves.astype(np.float32) * scale
    return np.where(rng.random(size) < 0.3, np.nextafter(x, np.float32(0)), x).astype(np.float32).reshape(1, -1)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_quantize(dtype: str) -> None:
    """Ties on dyadic and odd scales; sizes whose remainder follows another rule in builtin mode."""
    parted = 0
    for size in SIZES:
        for seed, scale in enumerate((2.0**-5, 0.1, 0.0021485486)):
            zero_point = ENDS[dtype][seed]
            x = near_ties(INTEGERS[dtype], zero_point, np.float32(scale), size, seed)
            found = agree(OneOp("quantize", End("float32"), End(dtype, scale, zero_point), x.shape), x)
            parted += int((found["litert-builtin"] != found["litert-reference"]).sum())
    assert parted > 0


def test_quantize_saturates_large_values() -> None:
    """Values far outside the format whose quotients stay inside int32."""
    x = np.float32([[1e9, -1e9, 3e5, -3e5, 0, -0.0, 1e-30, -1e-30]])
    for dtype in ("int8", "uint8"):
        agree(OneOp("quantize", End("float32"), End(dtype, 0.5, ENDS[dtype][0]), x.shape), x)


def beyond_int32(scale: np.float32) -> np.ndarray:
    """Both signs of quotients of 2**31 and its float32 neighbours, far beyond, infinities; 45 values."""
    inside, outside = [scale * np.float32(2.0**31)], [scale * np.float32(2.0**31)]
    for _ in range(6):
        inside.append(np.nextafter(inside[-1], np.float32(0)))
        outside.append(np.nextafter(outside[-1], np.float32(np.inf)))
    far = [scale * np.float32(2.0**32), scale * np.float32(2.0**63), np.finfo(np.float32).max, np.float32(np.inf), 1, 0]
    found = np.float32([*inside, *outside, *far])
    return np.resize(np.concatenate([found, -found]), 45)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_quantize_beyond_int32(dtype: str) -> None:
    """Builtin and reference kernels convert to int32, -2**31 for all beyond it, add the zero point, wrap, then clip.

    Each value stands at whole blocks and behind them; XNNPACK clips first, but leaves int16 to the builtin kernel.
    """
    fmt, parted = INTEGERS[dtype], 0
    zero_points = (0,) if dtype == "int16" else (fmt.qmin, fmt.qmin + 121, fmt.qmin + 131, fmt.qmax)
    for scale in (1.0, 0.1, 2.0**-5, 1e-30, 3e5):
        values = beyond_int32(np.float32(scale))
        for zero_point in zero_points:
            case = OneOp("quantize", End("float32"), End(dtype, scale, zero_point), (1, 45))
            for turn in range(0, 45, 5):
                x = np.roll(values, turn).reshape(1, -1)
                found = agree(case, x)
                first = under(case, x, "float32_ties_away/division/after/first")
                parted += int((found["litert-reference"] != first).sum())
    assert parted > 0


def test_quantize_beyond_int32_per_channel() -> None:
    """All modes run one kernel, which divides; LiteRT has zero points of 0 there."""
    x = np.stack([beyond_int32(np.float32(1)), beyond_int32(np.float32(0.1))])
    found = agree(OneOp("quantize", End("float32"), End("int8", [1.0, 0.1], [0, 0], 0), x.shape), x)
    assert (found["litert"][x >= 2.0**32] == -128).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_dequantize(dtype: str) -> None:
    """All codes; builtin mode rounds three times in whole blocks of 8, once in the remainder."""
    whole = every(dtype)
    for size in (whole.size, *SIZES):
        x, parted = whole[:, :size], 0
        for zero_point, scale in zip(ENDS[dtype], (0.05, 0.1, 2.0**-7), strict=True):
            found = agree(OneOp("dequantize", End(dtype, scale, zero_point), End("float32"), x.shape), x)
            parted += int((found["litert-builtin"] != found["litert-reference"]).sum())
        assert (parted > 0) == (size >= 8 and dtype != "int16")


@pytest.mark.parametrize("op", ["quantize", "dequantize"])
def test_per_channel(op: str) -> None:
    """One scale and zero point a channel, along the first and the last dimension."""
    for axis, shape in ((0, (3, 16)), (1, (5, 3))):
        end = End("int8", [0.05, 0.1, 2.0**-4], [0, 0, 0], axis)
        if op == "quantize":
            x = near_ties(INTEGERS["int8"], 0, np.float32(0.05), int(np.prod(shape)), 5).reshape(shape)
            case = OneOp(op, End("float32"), end, shape)
        else:
            x = np.random.default_rng(5).integers(-128, 128, shape).astype(np.int8)
            case = OneOp(op, end, End("float32"), shape)
        agree(case, x)


PAIRS = [(a, b) for a in ENDS for b in ENDS if (a, b) != ("int16", "uint8")]
"""LiteRT has no QUANTIZE from int16 to uint8."""


@pytest.mark.parametrize(("dtype", "out"), PAIRS)
def test_requantize_every_code(dtype: str, out: str) -> None:
    """Dyadic ratios with ties, odd ones, and ratios that XNNPACK does not take."""
    x, parted = every(dtype), 0
    for seed, ratio in enumerate((0.25, 0.5, 0.75, 1.0, 4.0, 0.337, 1.93, 300.0, 1 / 300)):
        scale = 0.05 if seed % 2 else 2.0**-5
        case = OneOp(
            "requantize",
            End(dtype, scale, ENDS[dtype][seed % 3]),
            End(out, float(np.float32(scale) / np.float32(ratio)), ENDS[out][(seed + 1) % 3]),
            x.shape,
        )
        found = agree(case, x)
        parted += int((found["litert-builtin"] != found["litert-reference"]).sum())
    assert (parted > 0) == ("int16" not in (dtype, out))


def test_requantize_blocks_of_sixteen() -> None:
    """Negative ties at every position of 1 to 49 codes: up in whole blocks of 16, away from zero behind them."""
    for size in (1, 8, 15, 16, 17, 31, 32, 33, 49):
        x = (98 - 4 * (np.arange(size) % 8)).astype(np.int8).reshape(1, -1)
        case = OneOp("requantize", End("int8", 0.25, 100), End("int8", 1.0, 4), x.shape)
        found = agree(case, x)
        away = (found["litert-builtin"] == found["litert-reference"]).ravel()
        assert_same(away, np.arange(size) >= size - size % 16)


def test_int32_to_codes() -> None:
    """int32 sums; beyond 2**30 the left shift of a ratio above 1 would wrap."""
    x = np.array([[0, 1, -1, 5, -6, 1000, -1001, 123456, -654321, 2**20, -(2**20)]], np.int32)
    for out in ("int8", "int16"):
        for ratio in (0.25, 0.001, 1.5):
            agree(OneOp("requantize", End("int32", ratio, 0), End(out, 1.0, ENDS[out][0]), x.shape), x)


def test_remainders_are_those_of_one_inference() -> None:
    """A batch of stacked samples is computed as each sample alone: positions count within it."""
    x = near_ties(INTEGERS["int8"], 3, np.float32(2.0**-5), 60, 1).reshape(4, 15)
    case = OneOp("quantize", End("float32"), End("int8", 2.0**-5, 3), (1, 15))
    alone = np.concatenate([golden(case, row[None], "litert-builtin") for row in x])
    assert_same(golden(case, x, "litert-builtin"), alone)
    together = golden(OneOp("quantize", End("float32"), End("int8", 2.0**-5, 3), (4, 15)), x, "litert-builtin")
    assert (together != alone).any()
