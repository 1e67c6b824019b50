"""Average pools in float32, as ONNX Runtime computes QLinearAveragePool."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from refq.layers.elementwise import Affine
from refq.layers.elementwise_float import converted, real_of
from refq.layers.pools import Codes, Ints, Windows, output_shape, taps, window_counts, window_sums
from refq.layers.pools_means import MEANS


def whole_window(shape: tuple[int, ...], windows: Windows) -> bool:
    """Whether one window covers the whole picture, without padding."""
    covered = all(shape[axis] == size for axis, size in zip(windows.axes, windows.kernel, strict=True))
    return covered and not any(map(any, windows.padding))


def _float_means(x: Codes, windows: Windows, include_padding: bool, source: Affine) -> NDArray[np.float32]:
    """Reals added row by row, divided by their number, every operation in float32."""
    reals = real_of(x, source)
    total = np.zeros(output_shape(x.shape, windows), np.float32)
    for results, reads in taps(x.shape, windows):
        total[results] += reals[reads]
    counts = window_counts(x.shape, windows, include_padding).astype(np.float32)
    return np.asarray(total / counts, np.float32)


def mlas_average(x: Codes, windows: Windows, include_padding: bool, source: Affine, output: Affine) -> Ints:
    """rint(mean / so + zo) in float32, the zero point before the rounding; codes that are not clamped.

    One window that covers everything is a global pool, which is summed in integers (rule mlas_global).
    Source: ONNX Runtime qlinear_pool.cc.
    """
    if whole_window(x.shape, windows):
        counts = window_counts(x.shape, windows, include_padding)
        return MEANS["mlas_global"](window_sums(x, windows), counts, source, output)
    mean = _float_means(x, windows, include_padding, source)
    return converted(mean / output.scale + np.float32(output.zero_point))


def float_average(x: Codes, windows: Windows, include_padding: bool, source: Affine, output: Affine) -> Ints:
    """rint(mean / so) + zo in float32: the three operators of an unfused QDQ group; codes that are not clamped.

    Source: ONNX DequantizeLinear, AveragePool, QuantizeLinear as ONNX Runtime and the reference evaluator run them.
    """
    return converted(_float_means(x, windows, include_padding, source) / output.scale) + output.zero_point


WINDOWED: dict[str, Callable[[Codes, Windows, bool, Affine, Affine], Ints]] = {
    "mlas_float32": mlas_average,
    "qdq:float32_ties_even": float_average,
}
"""The rules of average pools in which the order of additions matters."""
