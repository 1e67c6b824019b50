"""XNOR-Net weights: signs, and the mean magnitude as scale (Rastegari et al. 2016, arXiv 1603.05279, section 3.1)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.encodings import Encoding, Kind
from refq.quantizers.apply import channel_rows, finite_array
from refq.quantizers.quantizer import Quantizer
from refq.quantizers.significand_sums import absolute_sum

BIPOLAR = Encoding(1, Kind.ODD)


def mean_magnitudes(function: str, values: NDArray[Any], axis: int | None) -> NDArray[np.float64]:
    """The float64 nearest to the exact mean of |w|, one a channel: (channels,)."""
    rows = channel_rows(function, values, axis)
    return np.array([float(absolute_sum(row) / row.size) for row in rows])


def sign_quantizer(method: str, scales: NDArray[np.float64], axis: int | None) -> Quantizer:
    """+1 from zero on (-0.0 included), -1 below; worth scales (channels,)."""
    channels = len(scales)
    return Quantizer(
        method,
        BIPOLAR,
        lowest=-1,
        cuts=np.zeros((channels, 1)),
        step=scales,
        zero_point=np.zeros(channels, np.int64),
        axis=axis,
        parameters=MappingProxyType({"scale": scales.copy()}),
    )


def fit_xnor(values: Any, axis: int | None = None) -> Quantizer:
    """sign(w) * mean |w|: bipolar codes -1, +1, and +1 for zero; section 3.1.

    values: float16, float32 or float64 of any shape; axis: that of the filters, the paper's choice, or None for one
    scale. The scale is the float64 nearest to the exact mean. All zeros: scale 0, codes +1. TypeError for other
    dtypes and for an axis that is no integer, ValueError for no values, NaN, infinities and an axis outside the
    shape.

    >>> from refq.quantizers.apply import dequantize, quantize
    >>> quantizer = fit_xnor(np.array([[-3.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, -1.0]]), axis=0)
    >>> quantizer.step
    array([1.5 , 0.25])
    >>> dequantize(quantize(np.array([[-0.1], [-0.0]]), quantizer), quantizer)
    array([[-1.5 ], [ 0.25]])
    """
    array = finite_array("fit_xnor", "values", values)
    return sign_quantizer("xnor", mean_magnitudes("fit_xnor", array, axis), axis)
