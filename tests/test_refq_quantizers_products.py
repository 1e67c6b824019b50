"""Codes of every quantizer as operands of gemm and conv, by the names of their encodings, against exact rationals."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from refq import conv, gemm
from refq.quantizers import (
    dequantize,
    fit_balanced,
    fit_dorefa_activations,
    fit_dorefa_weights,
    fit_pact,
    fit_sawb,
    fit_ternary,
    fit_uniform,
    fit_xnor,
    quantize,
)

INPUTS = {
    "pact": lambda x: fit_pact(1.7, 4),
    "dorefa": lambda x: fit_dorefa_activations(2),
    "affine": lambda x: fit_uniform(x, 3, signed=False, symmetric=False),
    "affine signed": lambda x: fit_uniform(x, 8, symmetric=False),
}
WEIGHTS = {
    "xnor": fit_xnor,
    "xnor of filters": partial(fit_xnor, axis=0),
    "dorefa, one bit": partial(fit_dorefa_weights, bits=1),
    "dorefa": partial(fit_dorefa_weights, bits=3),
    "balanced": partial(fit_balanced, bits=2),
    "balanced literal medians": partial(fit_balanced, bits=5, split="median", codes="literal"),
    "sawb even": partial(fit_sawb, bits=2),
    "sawb zero": partial(fit_sawb, bits=4, grid="zero"),
    "sawb shifted": partial(fit_sawb, bits=2, grid="shifted"),
    "ternary of filters": partial(fit_ternary, axis=0),
    "uniform of filters": partial(fit_uniform, bits=4, axis=0, choose="mse"),
    "affine of filters": partial(fit_uniform, bits=3, axis=0, symmetric=False),
    "affine unsigned": partial(fit_uniform, bits=2, signed=False, symmetric=False),
}
FILTERS, DEPTH = 3, 4


def worth(codes, quantizer):
    """(code - zero_point) * step as Fractions, of which `dequantize` gives the nearest float64; channels first."""
    rows = codes.reshape(len(codes), -1).tolist()
    zero, step = (np.resize(part, len(rows)).tolist() for part in (quantizer.zero_point, quantizer.step))
    exact = [[(c - z) * Fraction(s) for c in row] for row, z, s in zip(rows, zero, step, strict=True)]
    assert [float(v) for row in exact for v in row] == dequantize(codes, quantizer).ravel().tolist()
    return exact


def scaled(sums, inputs, weights):
    """sums (rows, filters) times both steps, as Fractions."""
    steps = [Fraction(s) * Fraction(inputs.step[0]) for s in np.resize(weights.step, sums.shape[1]).tolist()]
    return [[total * step for total, step in zip(row, steps, strict=True)] for row in sums.tolist()]


def products(left, right):
    return [[sum(a * b for a, b in zip(x, w, strict=True)) for w in right] for x in left]


def zero_points(quantizer):
    zeros = quantizer.zero_point.tolist()
    return zeros if len(zeros) > 1 else zeros[0]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("inputs", INPUTS)
def test_codes_are_operands(inputs, weights):
    rng = np.random.default_rng(5)
    x, w = rng.normal(0.5, 0.8, (6, DEPTH)), rng.normal(size=(FILTERS, DEPTH)).astype(np.float32)
    left, right = INPUTS[inputs](x), WEIGHTS[weights](w)
    a, b = quantize(x, left), quantize(w, right)
    names, zero = (left.encoding.name, right.encoding.name), int(left.zero_point[0])
    expected = products(worth(a, left), worth(b, right))
    formats = {"lhs_format": names[0], "rhs_format": names[1]}
    sums = gemm(a, b.T, **formats, lhs_zero_point=zero, rhs_zero_point=zero_points(right))
    assert scaled(sums, left, right) == expected
    # The same numbers as a line of pixels under kernels of two taps; rows 0-1, 1-2, ... of x, two channels each.
    line, kernels = a[:, :2].reshape(1, 6, 2), b.reshape(FILTERS, 2, 2)
    formats = {"input_format": names[0], "weight_format": names[1]}
    zeros = {"input_zero_point": zero, "weight_zero_point": zero_points(right)}
    sums = conv(line, kernels, layout="NWC", padding=((0, 1),), **formats, **zeros)
    pixels = [*worth(a[:, :2], left), [Fraction(0)] * 2]
    windows = [pixels[i] + pixels[i + 1] for i in range(6)]
    assert scaled(sums[0], left, right) == products(windows, worth(b, right))
