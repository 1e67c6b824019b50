"""QUANTIZE and DEQUANTIZE: float32 -> codes, codes -> float32, codes -> codes of another scale.

A rule is the label of a semantics, or `blocksN:BODY+REST`: vector code that takes N elements at a time follows BODY,
and what is left at the end of one inference's flattened tensor follows REST.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import IntFormat
from refq.labels import parse_semantics
from refq.layers.lookup import Grids
from refq.layers.rescaling import Scales, bind_rescaling
from refq.requantize import quantize

Codes = NDArray[np.int64]
Floats = NDArray[np.float32]
Table = tuple[NDArray[Any], NDArray[Any]]


def split_rule(rule: str) -> tuple[int, str, str]:
    """(elements a block, rule of whole blocks, rule of the rest).

    >>> split_rule("blocks8:float32_ties_even/reciprocal+float64_ties_away/division")
    (8, 'float32_ties_even/reciprocal', 'float64_ties_away/division')
    >>> split_rule("gemmlowp_double")
    (1, 'gemmlowp_double', 'gemmlowp_double')
    """
    if not rule.startswith("blocks"):
        return 1, rule, rule
    size, _, both = rule.removeprefix("blocks").partition(":")
    body, _, rest = both.partition("+")
    if not size.isdigit() or int(size) < 1 or not body or not rest:
        raise ValueError(f"split_rule: rule={rule!r} is not blocksN:BODY+REST; write blocks8:A+B")
    return int(size), body, rest


def in_rest(count: int, block: int, period: int) -> NDArray[np.bool_]:
    """Which of `count` flattened elements lie past the last whole block of their inference of `period` elements.

    >>> in_rest(6, 2, 3)
    array([False, False,  True, False, False,  True])
    """
    place = np.arange(count, dtype=np.int64) % max(period, 1)
    return place >= period - period % block


def by_position(x: NDArray[Any], rule: str, period: int, apply: Callable[[NDArray[Any], str], NDArray[Any]]) -> Any:
    """apply(x, rule), element by element under the rule of its position."""
    block, body, rest = split_rule(rule)
    found = apply(x, body)
    if body == rest or block == 1 or period % block == 0:
        return found
    places = in_rest(x.size, block, period).reshape(x.shape)
    return np.where(places, apply(x, rest), found)


def quantize_reals(
    x: Floats, rule: str, scale: NDArray[np.float32], zero_point: Codes, fmt: IntFormat, axis: int | None, period: int
) -> NDArray[Any]:
    """clamp(round(x / scale) + zero_point) of float32 x, any shape, under a quantizing rule or blocksN.

    scale, zero_point: (channels,), channels along `axis` (None: one). period: elements of one inference.
    NaN is refused. Source: TFLite AffineQuantize, XNNPACK vcvt, ONNX QuantizeLinear.

    >>> one, none = np.ones(1, np.float32), np.zeros(1, np.int64)
    >>> quantize_reals(np.float32([0.5, 0.5]), "blocks2:float32_ties_even+float32_ties_away", one, none, IntFormat(8),
    ...                None, 2)
    array([0, 0], dtype=int8)
    """

    def apply(values: NDArray[Any], label: str) -> NDArray[Any]:
        semantics = parse_semantics(label, quantize=True)
        return quantize(
            values, semantics.rule, scale, scaling=semantics.scaling, zero_point=zero_point, fmt=fmt, axis=axis
        )

    return np.asarray(by_position(x, rule, period, apply))


def _along(values: NDArray[Any], rank: int, axis: int | None) -> NDArray[Any]:
    shape = [1] * rank
    if axis is not None and values.size > 1:
        shape[axis] = values.size
    return values.reshape(shape) if values.size > 1 else values.reshape(())


def dequantize_product(x: NDArray[Any], scale: Floats, zero_point: Codes) -> Floats:
    """(code - zero_point) * scale: the difference exact, converted to float32, the product rounded to float32."""
    return (x.astype(np.int64) - zero_point).astype(np.float32) * scale


def dequantize_double(x: NDArray[Any], scale: Floats, zero_point: Codes) -> Floats:
    """(code - zero_point) * scale in float64, rounded to float32 once; differs for differences above 2**24."""
    return ((x.astype(np.int64) - zero_point) * scale.astype(np.float64)).astype(np.float32)


def dequantize_shifted(x: NDArray[Any], scale: Floats, zero_point: Codes) -> Floats:
    """code * scale + (-zero_point * scale), three float32 roundings."""
    return x.astype(np.float32) * scale + (-zero_point).astype(np.float32) * scale


DEQUANTIZE: dict[str, Callable[[NDArray[Any], Floats, Codes], Floats]] = {
    "float32_product": dequantize_product,
    "float64_product": dequantize_double,
    "float32_shifted": dequantize_shifted,
}
"""Rules of DEQUANTIZE by name."""


def dequantize_codes(
    x: NDArray[Any], rule: str, scale: NDArray[np.float32], zero_point: Codes, axis: int | None, period: int
) -> Floats:
    """float32 values of codes, any shape; rule: a name of DEQUANTIZE or blocksN of two; channels along `axis`.

    >>> dequantize_codes(np.array([3, 5], np.int8), "float32_product", np.float32([0.5]), np.array([3]), None, 2)
    array([0., 1.], dtype=float32)
    """
    scales, zeros = _along(scale, x.ndim, axis), _along(zero_point, x.ndim, axis)
    found = by_position(x, rule, period, lambda values, name: DEQUANTIZE[name](values, scales, zeros))
    return np.asarray(found, np.float32)


def xnnpack_converts(grids: Grids) -> bool:
    """Whether XNNPACK has the conversion: one 8-bit format, ratio of scales in 2**-8..2**7."""
    inside = 2.0**-8 <= grids.scale / grids.out_scale <= 2.0**7
    return bool(inside) and grids.fmt == grids.out_fmt and grids.fmt.bits == 8


def requantize_q8(codes: Codes, grids: Grids) -> Codes:
    """((zero << 8) - K * in_zero + 128 + code * K) >> 8 with K = round_even(256 * scale / out_scale), in float32.

    The ratio lies in 2**-8..2**7. Source: XNNPACK qs8-vcvt.

    >>> fmt = IntFormat(8)
    >>> requantize_q8(np.array([35]), Grids(np.float32(0.1), 3, fmt, np.float32(0.037), -5, fmt))
    array([82])
    """
    if not xnnpack_converts(grids):
        raise ValueError(f"requantize_q8: grids={grids} are not of one 8-bit format with a ratio in 2**-8..2**7")
    factor = int(np.rint(np.float32(256) * (grids.scale / grids.out_scale)))
    total = ((grids.out_zero_point << 8) - factor * grids.zero_point + 128 + codes * factor) >> 8
    result: Codes = np.clip(total, grids.out_fmt.qmin, grids.out_fmt.qmax)
    return result


def requantize_through_float(codes: Codes, grids: Grids, rule: str) -> Codes:
    """Dequantize to float32, then quantize under a quantizing rule."""
    real = dequantize_product(codes, np.asarray(grids.scale), np.asarray(grids.zero_point))
    semantics = parse_semantics(rule, quantize=True)
    found = quantize(
        real, semantics.rule, grids.out_scale, scaling=semantics.scaling, zero_point=grids.out_zero_point,
        fmt=grids.out_fmt,
    )  # fmt: skip
    return found.astype(np.int64)


def rescale_codes(codes: Codes, grids: Grids, rule: str, limits: tuple[int, int] | None = None) -> Codes:
    """round((code - in_zero) * scale / out_scale) + zero under a label, between the limits.

    The product of scales is that of the label with 1 for the weights: float32_product is float32(scale / out_scale).
    """
    scales = Scales(grids.scale, np.ones(1, np.float32), grids.out_scale)
    run = bind_rescaling(rule, scales.under, grids.out_zero_point, grids.out_fmt, -1, limits)
    return run((codes - grids.zero_point)[:, None])[:, 0].astype(np.int64)
