"""Straight-through gradients of all quantizers, as plain functions of arrays: rounding counts as the identity.

Every function takes the real values the quantizer saw and `upstream`, the gradient that reaches its output, and returns
what reaches the values: in the wider of both dtypes, float32 at least. Nothing is kept between calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.quantizers.apply import channel_rows, finite_array, real_array
from refq.quantizers.quantizer import Quantizer
from refq.quantizers.significand_sums import exact_sum

Comparison = Callable[[Any, Any], Any]
ENDS: dict[str, tuple[Comparison, Comparison]] = {
    "paper": (np.greater_equal, np.less),
    "inclusive": (np.greater_equal, np.less_equal),
    "open": (np.greater, np.less),
}
MAXIMA = ("constant", "differentiated")


def paired(function: str, values: Any, upstream: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both as float32 or float64 of one shape; values may be infinite, upstream may not."""
    x = real_array(function, "values", values)
    up = real_array(function, "upstream", upstream)
    if x.shape != up.shape:
        raise ValueError(f"{function}: upstream has shape {up.shape}; pass that of values, {x.shape}")
    return x, finite_array(function, "upstream", up) if up.size else up


def _masked(inside: NDArray[np.bool_], x: NDArray[Any], up: NDArray[Any]) -> NDArray[Any]:
    result: NDArray[Any] = np.where(inside, up, np.zeros((), up.dtype)).astype(np.result_type(x, up))
    return result


def clipped_gradient(values: Any, upstream: Any, low: Any, high: Any, *, ends: str = "inclusive") -> NDArray[Any]:
    """Upstream inside low..high, 0 outside: round(clip(x)) for PACT, SAWB, uniform grids, DoReFa activations (0, 1).

    low, high: numbers, or arrays that broadcast against values, compared in float64. ends: `inclusive` (TensorFlow's
    clip_by_value), `paper` low <= x < high (PACT), `open` low < x < high. TypeError for other dtypes, ValueError for
    NaN, an infinite upstream, shapes that differ, an unknown rule.

    >>> clipped_gradient(np.array([-0.5, 0.0, 1.0, 1.5]), np.ones(4), 0, 1)
    array([0., 1., 1., 0.])
    """
    x, up = paired("clipped_gradient", values, upstream)
    if not isinstance(ends, str) or ends not in ENDS:
        raise ValueError(f"clipped_gradient: ends={ends!r} is unknown; legal: {', '.join(ENDS)}")
    above, below = ENDS[ends]
    inside = above(x, _bound("low", low, x.shape)) & below(x, _bound("high", high, x.shape))
    return _masked(inside, x, up)


def _bound(name: str, value: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    bound = np.asarray(value, np.float64)
    if np.isnan(bound).any():
        raise ValueError(f"clipped_gradient: {name} has nan; pass numbers or infinities")
    try:
        return np.broadcast_to(bound, shape)
    except ValueError as error:
        raise ValueError(f"clipped_gradient: {name} has shape {bound.shape}; pass one for values, {shape}") from error


def straight_through(values: Any, upstream: Any, quantizer: Quantizer, *, outside: str = "pass") -> NDArray[Any]:
    """The gradient of any fitted quantizer: upstream as it is, or 0 outside the values of the end codes.

    outside: `pass`, the identity of balanced quantization, TWN, DoReFa's one bit and SAWB+; `zero`, that of a clip:
    values beyond what the lowest and highest code are worth (`dequantize`, float64, ends included) get nothing.
    Errors as `clipped_gradient`; ValueError for channels that do not match.

    >>> from refq.quantizers.dorefa import fit_dorefa_activations
    >>> straight_through(np.array([-1.0, 1.0, 2.0]), np.ones(3), fit_dorefa_activations(4), outside="zero")
    array([0., 1., 0.])
    """
    x, up = paired("straight_through", values, upstream)
    if outside not in ("pass", "zero"):
        raise ValueError(f"straight_through: outside={outside!r} is unknown; legal: pass, zero")
    if outside == "pass":
        return _masked(np.ones(x.shape, np.bool_), x, up)
    low, high = ((code - quantizer.zero_point) * quantizer.step for code in (quantizer.lowest, quantizer.highest))
    shape = [1] * x.ndim
    if quantizer.axis is not None:
        axis = quantizer.axis
        if not -x.ndim <= axis < x.ndim or x.shape[axis] != len(low):
            raise ValueError(f"straight_through: shape {x.shape} has not {len(low)} channels on axis {axis}")
        shape[axis] = len(low)
    return clipped_gradient(x, up, low.reshape(shape), high.reshape(shape))


def dorefa_weight_gradient(values: Any, upstream: Any, *, maximum: str = "constant") -> NDArray[Any]:
    """Through 2 quantize_k(tanh(w) / (2 M) + 1/2) - 1, M = max |tanh(w)|, for bits >= 2; section 2.3.

    maximum: `constant`, upstream * (1 - t**2) / M with t = tanh(w); `differentiated`, as automatic differentiation of
    the code does, M also passes its share, -sum(upstream * t) / M**2, to those w with |t| = M, in equal parts, times
    sign(t) (1 - t**2). float64 tanh of NumPy and float64 products: no codes depend on it, and the last bits are those
    of the machine. M = 0: all 0. Infinite values are refused; else as `clipped_gradient`.

    >>> w, up = np.array([0.0, 0.5, -1.0]), np.array([1.0, 1.0, 1.0])
    >>> dorefa_weight_gradient(w, up).round(4).tolist()
    [1.313, 1.0326, 0.5514]
    >>> dorefa_weight_gradient(w, up, maximum="differentiated").round(4).tolist()
    [1.313, 1.0326, 0.3346]
    """
    x, up = paired("dorefa_weight_gradient", values, upstream)
    if maximum not in MAXIMA:
        raise ValueError(f"dorefa_weight_gradient: maximum={maximum!r} is unknown; legal: {', '.join(MAXIMA)}")
    dtype = np.result_type(x, up)
    t = np.tanh((finite_array("dorefa_weight_gradient", "values", x) if x.size else x).astype(np.float64))
    top = np.abs(t).max(initial=0.0)
    if top == 0:
        return np.zeros(x.shape, dtype)
    slope = (1 - t * t) / top
    result = up * slope
    if maximum == "differentiated":
        at = np.abs(t) == top
        share = float(exact_sum(up * t)) / top / np.count_nonzero(at)
        result = result - np.where(at, share * np.sign(t) * slope, 0.0)
    rounded: NDArray[Any] = np.asarray(result, dtype)
    return rounded


def xnor_gradient(values: Any, upstream: Any, axis: int | None = None) -> NDArray[Any]:
    """upstream * (1 / N + alpha [|w| <= 1]), N the numbers of a channel, alpha its mean |w|; XNOR-Net, section 3.1.

    The derivative of sign(w) mean |w| with sign' = 1 on -1..1, of the element itself (the paper's form: what the mean
    sends to the other elements is left out). Float64, rounded to the dtype at the end. axis as `fit_xnor`; infinite
    values and no values are refused; else as `clipped_gradient`.

    >>> xnor_gradient(np.array([0.5, -1.5]), np.array([1.0, 1.0]))
    array([1.5, 0.5])
    """
    x, up = paired("xnor_gradient", values, upstream)
    x = finite_array("xnor_gradient", "values", x)
    rows = channel_rows("xnor_gradient", x, axis)
    shape = [1] * x.ndim
    if axis is not None:
        shape[axis] = len(rows)
    means = np.array([float(exact_sum(np.abs(row)) / row.size) for row in rows]).reshape(shape)
    factor = 1 / rows.shape[1] + np.where(np.abs(x) <= 1, means, 0.0)
    result: NDArray[Any] = np.asarray(up * factor, np.result_type(x, up))
    return result
