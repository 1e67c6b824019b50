"""PACT activations (Choi et al. 2018, arXiv 1805.06085): a clip at a learned alpha, its gradients and its penalty."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import Real, integer, member, real
from refq.encodings import Encoding
from refq.formats import Rounding
from refq.quantizers.apply import quantize
from refq.quantizers.gradients import clipped_gradient, paired
from refq.quantizers.grids import line_cuts
from refq.quantizers.quantizer import Quantizer, one_channel
from refq.quantizers.significand_sums import exact_sum


def fit_pact(alpha: Real, bits: int, *, rounding: Rounding = Rounding.TIES_EVEN) -> Quantizer:
    """round(clip(x, 0, alpha) n / alpha) alpha / n, n = 2**bits - 1; section 3.

    alpha: a positive real number, 2**-126 to the largest float32, exact as it stands; bits: 1..16; rounding: the paper
    names none, implementations have TIES_EVEN. Codes 0..n of uint{bits}; step: the float64 nearest to alpha / n.
    TypeError for the kind, ValueError for alpha <= 0, not finite or out of range, for bits outside 1..16.

    >>> from refq.quantizers.apply import dequantize
    >>> quantizer = fit_pact(1.5, 2)
    >>> codes = quantize(np.array([-1.0, 0.25, 0.75, 0.8, 9.0]), quantizer)
    >>> codes, dequantize(codes, quantizer)
    (array([0, 0, 2, 2, 3], dtype=uint8), array([0. , 0. , 1. , 1. , 1.5]))
    """
    exact = real("fit_pact", "alpha", alpha)
    n = (1 << integer("fit_pact", "bits", bits, 1, 16)) - 1
    rule = Rounding(member("fit_pact", "rounding", rounding, Rounding))
    return Quantizer(
        "pact",
        Encoding(n.bit_length()),
        lowest=0,
        cuts=one_channel(line_cuts(exact / n, rule, 0, n)),
        step=np.array([float(exact / n)]),
        zero_point=np.zeros(1, np.int64),
        parameters=MappingProxyType({"alpha": float(exact)}),
    )


def pact_gradients(
    values: Any, alpha: float, upstream: Any, *, ends: str = "paper", plus_bits: int | None = None
) -> tuple[NDArray[Any], float]:
    """(dx, dalpha): what reaches x and alpha of the gradient `upstream` that reaches the quantizer; section 3.

    values, upstream: float16, float32 or float64 of one shape; alpha: a float > 0. dx, in the wider dtype of both, is
    upstream inside and 0 outside; inside is, by `ends`,

    - `paper`: 0 <= x < alpha (the derivative of the paper's formula, from the right at both ends);
    - `inclusive`: 0 <= x <= alpha (IBM's code: at alpha the gradient reaches both x and alpha);
    - `open`: 0 < x < alpha (frameworks whose ReLU has derivative 0 at 0).

    dalpha = sum of upstream over x >= alpha, under every rule. plus_bits: the PACT+ term, upstream * ((round(z) - z)
    / n) of 0 <= x < alpha is added, z = x * n / alpha in float64 from left to right, n = 2**plus_bits - 1, round(z)
    the exact code. The terms are float64 products; their sum is exact and rounded once, so the order does not matter
    (beyond float64: infinite). No values: 0.0. TypeError for other dtypes, ValueError for NaN, an infinite upstream,
    shapes that differ, an unknown rule, alpha <= 0.

    >>> x, upstream = np.array([-1.0, 0.0, 0.75, 1.5, 9.0]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> pact_gradients(x, 1.5, upstream)
    (array([0., 2., 3., 0., 0.]), 9.0)
    >>> pact_gradients(x, 1.5, upstream, ends="inclusive", plus_bits=2)
    (array([0., 2., 3., 4., 0.]), 9.5)
    """
    x, up = paired("pact_gradients", values, upstream)
    top = float(real("pact_gradients", "alpha", alpha))
    dx = clipped_gradient(x, up, 0.0, top, ends=ends)
    terms = np.where(x >= np.float64(top), up, 0).astype(np.float64)
    if plus_bits is not None:
        plus_bits = integer("pact_gradients", "plus_bits", plus_bits, 1, 16)
        terms += _plus_terms(x, up, top, plus_bits)
    return dx, _nearest(terms)


def _plus_terms(x: NDArray[Any], up: NDArray[Any], alpha: float, bits: int) -> NDArray[np.float64]:
    """upstream * ((round(z) - z) / n) where 0 <= x < alpha, else 0."""
    n = (1 << bits) - 1
    inside = (x >= 0) & (x < np.float64(alpha))
    wide = np.where(inside, x, 0).astype(np.float64)
    residue = quantize(wide, fit_pact(alpha, bits)) - wide * n / alpha
    return np.where(inside, up * (residue / n), 0.0)


def _nearest(terms: NDArray[np.float64]) -> float:
    total = exact_sum(terms)
    try:
        return float(total)
    except OverflowError:
        return float("inf") if total > 0 else float("-inf")


def pact_penalty(alpha: float, coefficient: float, *, half: bool = True) -> tuple[float, float]:
    """(term, gradient) of the L2 regularisation of alpha: coefficient * alpha**2 / 2, coefficient * alpha; section 3.

    half: as weight decay is in frameworks; False: coefficient * alpha**2 and 2 * coefficient * alpha. The paper takes
    the coefficient of the weights and does not print the form. alpha > 0, coefficient >= 0, finite, else ValueError
    (TypeError for no numbers). Float64, products from left to right.

    >>> pact_penalty(10.0, 0.5), pact_penalty(10.0, 0.5, half=False)
    ((25.0, 5.0), (50.0, 10.0))
    """
    top = float(real("pact_penalty", "alpha", alpha))
    if isinstance(coefficient, bool) or not isinstance(coefficient, int | float | np.floating):
        raise TypeError(f"pact_penalty: coefficient={coefficient!r} is not a number; pass a float >= 0")
    if not 0 <= coefficient < float("inf"):
        raise ValueError(f"pact_penalty: coefficient={coefficient} is not finite and >= 0; pass 0 for none")
    factor = float(coefficient) if half else 2 * float(coefficient)
    return factor * top * top / 2, factor * top
