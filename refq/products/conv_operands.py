"""What a convolution multiplies: codes, zero points, padding code and bias, checked, with the channels last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import in_range, integer, integer_array
from refq.encodings import Encoding, Kind, parse_encoding
from refq.formats import INT64, IntFormat
from refq.products.bitplanes import refuse, some_illegal
from refq.products.geometry import LAYOUTS, Geometry, geometry


@dataclass(frozen=True)
class Side:
    """Input or weights: the values, the interval they lie in, and the encoding if one is declared."""

    name: str
    array: NDArray[Any]
    format: Any
    low: int
    high: int
    encoding: Encoding | None = None

    @property
    def odd(self) -> bool:
        """Odd levels: symmetric, and without 0."""
        return self.encoding is not None and self.encoding.kind is Kind.ODD

    @property
    def zero_points(self) -> tuple[int, int]:
        """The legal zero points: those of the interval; 0 for odd levels."""
        return (0, 0) if self.odd else (max(self.low, INT64.qmin), min(self.high, INT64.qmax))


@dataclass(frozen=True)
class Operands:
    """Everything a route needs. Zero points: an int, that of the weights also one a filter."""

    geometry: Geometry
    codes: NDArray[Any]
    """(batch * height * width, channels), C order, native."""
    weights: NDArray[Any]
    """(filters, taps, channels of a group), taps in the order (kernel line, kernel column)."""
    input_format: Any
    weight_format: Any
    input_zero_point: int
    weight_zero_point: int | NDArray[np.int64]
    pad: int
    """The code that stands outside of the input."""
    bias: NDArray[np.int64] | None


def _side(name: str, value: Any, fmt: Any) -> Side:
    """An integer array and its format; None: the dtype's whole range."""
    array = integer_array("conv", name, value)
    limits = np.iinfo(array.dtype)
    if fmt is None:
        return Side(name, array, fmt, int(limits.min), int(limits.max))
    if isinstance(fmt, IntFormat) and (fmt.bits > 16 or fmt.narrow_range):
        # The products go by the values that are there, which are checked here.
        return Side(name, array, None, fmt.qmin, fmt.qmax)
    encoding = parse_encoding(fmt, f"conv: {name.removesuffix('s')}_format")
    return Side(name, array, encoding, encoding.minimum, encoding.maximum, encoding)


def _check_values(side: Side) -> None:
    """Every value is in the format, also those that no output looks at."""
    if side.encoding is None:
        in_range("conv", side.name, side.array, side.low, side.high, f"; pass a wider {side.name}_format")
    elif some_illegal(side.array, side.encoding):
        refuse("conv", side.name, side.array, side.encoding)


def _filter_zeros(value: Any, side: Side) -> int | NDArray[np.int64]:
    """One zero point for all filters, or one each."""
    name, (low, high) = "weight_zero_point", side.zero_points
    if not np.ndim(value):
        return integer("conv", name, value[()] if isinstance(value, np.ndarray) else value, low, high)
    zeros, filters = integer_array("conv", name, value), side.array.shape[:1]
    if zeros.shape != filters:
        raise ValueError(f"conv: {name} has shape {zeros.shape}; pass one number or one a filter, {filters}")
    in_range("conv", name, zeros, low, high)
    return zeros.astype(np.int64)


def _checked_bias(value: Any, filters: int) -> NDArray[np.int64] | None:
    """One bias a filter, or None."""
    if value is None:
        return None
    bias = integer_array("conv", "bias", value)
    if bias.shape != (filters,):
        raise ValueError(f"conv: bias has shape {bias.shape}; pass one number a filter, ({filters},)")
    in_range("conv", "bias", bias, INT64.qmin, INT64.qmax)
    return bias.astype(np.int64)


def _pad_code(side: Side, zero_point: int, value: Any) -> int:
    """The code outside of the input."""
    if value is None and side.encoding and side.odd:
        raise ValueError(
            f"conv: the zero point 0 that padding stands for has no code in {side.encoding.name}, whose numbers are "
            "odd; pass padding_value=1 or -1, or padding_value=0 for padded taps that add nothing"
        )
    code = zero_point if value is None else integer("conv", "padding_value", value, side.low, side.high)
    if side.odd and code and code % 2 == 0:
        raise ValueError(f"conv: padding_value={code} is even; pass an odd number of {side.low}..{side.high}, or 0")
    if not np.iinfo(side.array.dtype).min <= code <= np.iinfo(side.array.dtype).max:
        raise ValueError(f"conv: the padding {code} is outside {side.array.dtype}, input's dtype; pass a wider one")
    return code


def _format_with(side: Side, code: int) -> Any:
    """The format of the values and the pad code: 0 among odd levels takes a signed one, past 16 bits the dtype."""
    if side.encoding is None or not side.odd or code:
        return side.format
    return Encoding(side.encoding.bits + 1, Kind.SIGNED) if side.encoding.bits < 16 else None


def operands(
    input: Any,
    weights: Any,
    layout: str,
    shape: dict[str, Any],
    formats: tuple[Any, Any],
    zeros: tuple[Any, Any],
    padding_value: Any,
    bias: Any,
) -> Operands:
    """The checked operands of `refq.conv`; shape: stride, padding, dilation, groups."""
    left, right = _side("input", input, formats[0]), _side("weights", weights, formats[1])
    g = geometry(left.array.shape, right.array.shape, layout, **shape)
    _check_values(left)
    _check_values(right)
    zero = integer("conv", "input_zero_point", zeros[0], *left.zero_points)
    pad = _pad_code(left, zero, padding_value) if g.padded or padding_value is not None else zero
    x, w = (
        np.ascontiguousarray(side.array if LAYOUTS[layout][1] == "last" else np.moveaxis(side.array, 1, -1))
        for side in (left, right)
    )
    return Operands(
        geometry=g,
        codes=x.reshape(-1, g.channels),
        weights=w.reshape(g.filters, g.height.kernel * g.width.kernel, w.shape[-1]),
        input_format=_format_with(left, pad) if g.padded else left.format,
        weight_format=right.format,
        input_zero_point=zero,
        weight_zero_point=_filter_zeros(zeros[1], right),
        pad=pad,
        bias=_checked_bias(bias, g.filters),
    )


def result_array(shape: tuple[int, ...], out: Any, task: Operands) -> NDArray[np.int64]:
    """A new array, or `out` if the result can be written there."""
    if out is None:
        return np.empty(shape, np.int64)
    if not isinstance(out, np.ndarray) or out.dtype != np.int64 or not out.dtype.isnative:
        kind = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
        raise TypeError(f"conv: out is {kind}; pass a native int64 array")
    if out.shape != shape:
        raise ValueError(f"conv: out has shape {out.shape}, the result {shape}; pass np.empty({shape}, np.int64)")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError("conv: out is read-only or not C-contiguous; pass np.empty(shape, np.int64)")
    if any(np.may_share_memory(out, array) for array in (task.codes, task.weights)):
        raise ValueError("conv: out shares memory with an operand; pass another array")
    return out
