"""DoReFa-Net (Zhou et al. 2016, arXiv 1606.06160): weights through tanh, activations on [0, 1], gradients."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer
from refq.encodings import Encoding, Kind
from refq.formats import Rounding
from refq.quantizers.apply import finite_array
from refq.quantizers.grids import line_cuts
from refq.quantizers.quantizer import Quantizer, one_channel
from refq.quantizers.tanh_cuts import tanh_cuts
from refq.quantizers.xnor import mean_magnitudes, sign_quantizer


def fit_dorefa_weights(values: Any, bits: int) -> Quantizer:
    """2 quantize_k(tanh(w) / (2 max |tanh|) + 1/2) - 1; for one bit sign(w) mean |w|. Section 2.3.

    values: float16, float32 or float64 of any shape, one layer; bits: 1..16. Codes 2 l - n of odd{bits} (bipolar for
    1), n = 2**bits - 1, step 1 / n (for 1 bit the float64 nearest to the exact mean |w|). tanh is the real function:
    the codes are those of exact arithmetic and do not depend on a library. Zero gets the upper of the middle levels,
    code +1, and so does a tensor of zeros. `parameters["maximum"]` is max |w|; values beyond it get the end codes.
    TypeError for other dtypes, ValueError for no values, NaN, infinities and bits outside 1..16.

    >>> from refq.quantizers.apply import quantize
    >>> w = np.array([-1.0, -0.56, -0.55, 0.0, 0.55, 1.0])
    >>> quantize(w, fit_dorefa_weights(w, 2))
    array([-3, -3, -1,  1,  1,  3], dtype=int8)
    """
    array = finite_array("fit_dorefa_weights", "values", values)
    bits = integer("fit_dorefa_weights", "bits", bits, 1, 16)
    if bits == 1:
        return sign_quantizer("dorefa_weights", mean_magnitudes("fit_dorefa_weights", array, None), None)
    maximum, n = float(max(array.max(), -array.min())), (1 << bits) - 1
    return Quantizer(
        "dorefa_weights",
        Encoding(bits, Kind.ODD),
        lowest=-n,
        cuts=one_channel(tanh_cuts(maximum, bits)),
        step=np.array([1 / n]),
        zero_point=np.zeros(1, np.int64),
        parameters=MappingProxyType({"maximum": maximum}),
    )


def fit_dorefa_activations(bits: int) -> Quantizer:
    """quantize_k(clip(x, 0, 1)), section 2.4: codes 0..n of uint{bits}, n = 2**bits - 1, step 1 / n, ties to even.

    bits: 1..16, else ValueError (TypeError for no integer). Nothing is fitted. One bit: 1 for x > 1/2.

    >>> fit_dorefa_activations(2).cuts * 6
    array([[1., 3., 5.]])
    """
    n = (1 << integer("fit_dorefa_activations", "bits", bits, 1, 16)) - 1
    return Quantizer(
        "dorefa_activations",
        Encoding(bits),
        lowest=0,
        cuts=one_channel(line_cuts(Fraction(1, n), Rounding.TIES_EVEN, 0, n)),
        step=np.array([1 / n]),
        zero_point=np.zeros(1, np.int64),
    )


@dataclass(frozen=True, eq=False)
class GradientCodes:
    """codes 2 l - n of `encoding`, of the gradient's shape; step (samples,), max |g| / n of each sample."""

    codes: NDArray[Any]
    encoding: Encoding
    step: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float64]:
        """codes * step, one float64 product each."""
        step = self.step.reshape(-1, *[1] * (self.codes.ndim - 1))
        result: NDArray[np.float64] = self.codes * step
        return result


def dorefa_gradient(gradient: Any, uniform: Any, bits: int) -> GradientCodes:
    """2 M (quantize_k(clip(g / (2 M) + 1/2 + u / n, 0, 1)) - 1/2), section 2.5.

    M = max |g| of each sample, n = 2**bits - 1. gradient: float16, float32 or float64 (samples, ...), M is taken over
    all axes but the first; uniform: the u, floats of the same shape in -1/2..1/2 from any source, nothing is drawn
    here; bits: 1..16. Levels are decided exactly, ties to even. A sample of zeros has M = 0: its values are 0, its
    codes those of g / M = 0. No values: no codes. TypeError for other dtypes, ValueError for NaN, infinities, no
    axes, shapes that differ, u or bits out of range.

    >>> found = dorefa_gradient(np.array([[0.25, 1.0], [-4.0, 0.0]]), np.array([[-0.25, 0.5], [0.0, -0.5]]), 2)
    >>> found.codes
    array([[ 1,  3],
           [-3, -1]], dtype=int8)
    >>> found.values * 3
    array([[ 1.,  3.], [-12., -4.]])
    """
    bits = integer("dorefa_gradient", "bits", bits, 1, 16)
    g, u = _floats("gradient", gradient), _floats("uniform", uniform)
    _check_shapes(g, u)
    rows = np.abs(g).reshape(len(g), prod(g.shape[1:]))
    maximum = rows.max(axis=1, initial=0.0)
    encoding = Encoding(bits, Kind.ODD)
    n = encoding.maximum
    levels = _levels(g.reshape(rows.shape), u.reshape(rows.shape), maximum.reshape(-1, 1), n)
    dtype = np.int8 if bits < 8 else np.int16 if bits < 16 else np.int32
    return GradientCodes((2 * levels - n).astype(dtype).reshape(g.shape), encoding, maximum / n)


def _floats(name: str, values: Any) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype.kind == "f" and not array.size:
        return np.zeros(array.shape)
    return finite_array("dorefa_gradient", name, values).astype(np.float64)


def _check_shapes(g: NDArray[np.float64], u: NDArray[np.float64]) -> None:
    if not g.ndim:
        raise ValueError("dorefa_gradient: gradient has shape (), no samples; pass (samples, ...)")
    if g.shape != u.shape:
        raise ValueError(f"dorefa_gradient: uniform has shape {u.shape}; pass that of gradient, {g.shape}")
    outside = np.abs(u) > 0.5
    if outside.any():
        place = np.unravel_index(int(np.argmax(outside)), u.shape)
        at = [int(i) for i in place]
        raise ValueError(f"dorefa_gradient: uniform{at}={u[place]} is outside -0.5..0.5; subtract 0.5 from 0..1")


def _levels(g: NDArray[np.float64], u: NDArray[np.float64], m: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """clip(round(z), 0, n), z = n g / (2 m) + n / 2 + u: in float64 where that is certain, else in rationals.

    Five roundings of numbers up to n + 1 are off by less than n * 2**-49 together; z nearer than that to the middle
    of two levels is computed again. Only -1/2 <= z <= n + 1/2 exist, so the clip acts on such z alone.
    """
    share = np.divide(g, m, out=np.zeros_like(g), where=m > 0)
    z = share * (n / 2) + (n / 2 + u)
    levels = np.rint(z).astype(np.int64)
    for i, j in zip(*np.nonzero(np.abs(z - np.floor(z) - 0.5) < n * 2.0**-49), strict=True):
        levels[i, j] = _exact_level(float(g[i, j]), float(u[i, j]), float(m[i, 0]), n)
    return levels


def _exact_level(g: float, u: float, m: float, n: int) -> int:
    """The same in rationals: `round` of a Fraction takes ties to even."""
    share = Fraction(g) / Fraction(m) if m else Fraction(0)
    return max(0, min(round(n * share / 2 + Fraction(n, 2) + Fraction(u)), n))
