"""TRANSPOSE_CONV of LiteRT in three modes: every value, under the profile of the mode, and no rule besides it."""

import numpy as np
import pytest
from matmul_models import PROFILE, aimed_sums, reproducing, step_of, telling_scale, transposed
from refq_cases import assert_same
from tflite_models import MODES, run_litert

from refq.graphs import run
from refq.layers.flat_vectors import FLAT_VECTORS
from refq.layers.product_rules import VECTORS_OF_EIGHT

# kernel, stride, (H, W), inputs, filters, padding, rows and columns beyond the least size, activation, samples
SHAPES = [
    ((3, 3), (2, 2), (4, 5), 3, 5, "SAME", (1, 1), "NONE", 1),
    ((3, 2), (2, 2), (4, 3), 8, 16, "VALID", (0, 0), "RELU", 2),
    ((2, 2), (3, 3), (3, 4), 9, 7, "VALID", (2, 1), "NONE", 1),
    ((5, 4), (1, 1), (5, 6), 7, 9, "SAME", (0, 0), "RELU6", 1),
    ((3, 3), (2, 1), (4, 4), 33, 12, "SAME", (0, 0), "RELU_N1_TO_1", 1),
    ((1, 1), (1, 1), (5, 3), 17, 19, "VALID", (0, 0), "NONE", 1),
    ((4, 1), (2, 1), (1, 4), 9, 2, "SAME", (0, 0), "NONE", 1),
]


def _size(case):
    kernel, stride, lines, _, _, padding, extra, *_ = case
    least = kernel if padding == "VALID" else (1, 1)
    return tuple(s * (n - 1) + k + e for s, n, k, e in zip(stride, lines, least, extra, strict=True))


def _drawn(case, dtype, seed):
    """Small weights, codes around the zero point: many ties under dyadic scales."""
    rng = np.random.default_rng(seed)
    kernel, _, lines, depth, filters, _, _, _, samples = case
    zeros = {"int8": (3, 0, -5), "uint8": (121, 123, 117), "int16": (0, 0, 0)}[dtype]
    reach = 300 if dtype == "int16" else 9
    x = (zeros[0] + rng.integers(-reach, reach + 1, (samples, *lines, depth))).astype(dtype)
    w = (zeros[1] + rng.integers(-3, 4, (filters, *kernel, depth))).astype("uint8" if dtype == "uint8" else "int8")
    return rng, x, w, zeros


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16/int32", "int16/int64", "int16"])
def test_every_value(mode, dtype):
    compared = 0
    for seed, case in enumerate(SHAPES):
        codes, _, wide = dtype.partition("/")
        rng, x, w, zeros = _drawn(case, codes, seed)
        each = (2.0 ** rng.integers(-3, 0, len(w))).astype(np.float32) if codes != "uint8" and seed % 2 else 0.25
        bias = (
            rng.integers(-90, 90, len(w)).astype(wide or "int32") if wide or (codes != "int16" and seed % 3) else None
        )
        scales = (0.5, each, 1.0) if seed != 3 else (0.37, each, 0.713)
        file, graph = transposed(
            x,
            w,
            _size(case),
            stride=case[1],
            padding=case[5],
            activation=case[7],
            scales=scales,
            zeros=zeros,
            bias=bias,
        )
        compared += assert_same(run(graph, x, PROFILE[mode])["y"], run_litert(file, mode, {"x": x})[0])
    assert compared > 3000


def _carried(sums, dtype, wide, scales):
    """Inputs of their zero point: each filter's sum is its bias."""
    bias = np.array(sums, wide or "int32")
    zeros = {"int8": (3, 0, 7), "uint8": (121, 123, 129), "int16": (0, 0, 0)}[dtype]
    x = np.full((1, 1, 1, 1), zeros[0], dtype)
    w = np.ones((len(bias), 1, 1, 1), "uint8" if dtype == "uint8" else "int8")
    return transposed(x, w, (1, 1), stride=(1, 1), scales=scales, zeros=zeros, bias=bias), x, w, bias


def _aimed(dtype, wide, start):
    """Sums around the boundaries between codes, and one that a register of 31 bits does not hold doubled."""
    weight = telling_scale(0.071, 0.37, start, "reduced15" if wide == "int64" else "q31")
    factor = float(np.float32(0.071) * np.float32(weight)) / float(np.float32(0.37))
    sums = aimed_sums(factor, range(-2000, 2000, 41) if dtype == "int16" else range(-120, 120), 2)
    most = 2**47 if wide == "int64" else 2**31
    sums = [s for s in [*sums, int(1.5 * 2**30 / factor)] if abs(s) < most]
    return _carried(sums, dtype, wide, (0.071, weight, 0.37))


def _ties(dtype, wide):
    """Every sum of a range at a scale of a quarter, with an odd zero point; the last ones lie behind all vectors."""
    return _carried([*range(-403, 400), -2, -6, -10], dtype, wide, (0.5, 0.5, 1.0))


DOUBLE = {"gemmlowp_double/double_product/after", "tosa_scale32_double/double_product/after"}
# of the same 15 bits wherever the 31-bit multiplier was cut without a tie
WIDE = {"reduced_int64/double_product/after", "tosa_scale16/double_product/after"}
FLOAT = {"float32_ties_even/float32_product/after"}
ONLY = {
    ("int8", None, "litert"): FLOAT,
    ("int8", None, "litert-builtin"): {VECTORS_OF_EIGHT},
    ("int8", None, "litert-reference"): DOUBLE,
    ("uint8", None, "litert"): FLOAT,
    ("uint8", None, "litert-builtin"): {FLAT_VECTORS},
    ("uint8", None, "litert-reference"): {"gemmlowp_double/mixed_product/after"},
    ("int16", "int32", "litert"): {VECTORS_OF_EIGHT},
    ("int16", "int32", "litert-builtin"): {VECTORS_OF_EIGHT},
    ("int16", "int32", "litert-reference"): DOUBLE,
    ("int16", "int64", "litert"): WIDE,
    ("int16", "int64", "litert-builtin"): WIDE,
    ("int16", "int64", "litert-reference"): WIDE,
}


@pytest.mark.parametrize(("dtype", "wide", "mode"), list(ONLY))
def test_no_other_rule(dtype, wide, mode):
    left = None
    for made in (_ties(dtype, wide), _aimed(dtype, wide, 3e-3), _aimed(dtype, wide, 1e-6)):
        (file, graph), x, w, bias = made
        expected = run_litert(file, mode, {"x": x})[0]
        step = step_of(graph, PROFILE[mode])
        found = reproducing(step, [((x, w, bias), expected)])
        left = found if left is None else left & found
        assert step.rule in found
    assert left == ONLY[dtype, wide, mode]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_default_mode_leaves_strides_over_the_kernel_to_the_builtin_kernel_under_same(dtype):
    rules = []
    for padding in ("SAME", "VALID"):
        case = ((2, 1), (2, 3), (4, 5), 5, 11, padding, (0, 2), "NONE", 1)
        _, x, w, zeros = _drawn(case, dtype, 5)
        bias = np.arange(-5, 6).astype(np.int32)
        file, graph = transposed(
            x, w, _size(case), stride=case[1], padding=padding, scales=(0.5, 0.5, 1.0), zeros=zeros, bias=bias
        )
        step, expected = step_of(graph, "litert-xnnpack"), run_litert(file, "litert", {"x": x})[0]
        found = reproducing(step, [((x, w, bias), expected)])
        assert step.rule in found
        rules.append((step.rule, found))
    kernel = VECTORS_OF_EIGHT if dtype == "int8" else FLAT_VECTORS
    assert rules[0][0] == kernel
    assert rules[1][0] not in rules[0][1]
    assert kernel not in rules[1][1]
