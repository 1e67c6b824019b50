"""Float32 convolution (NCHW, OIHW) in named orders of summation: channel, kernel row, kernel column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.layers.floats_mlas import mlas_patches, mlas_product, seven_by_seven
from refq.layers.floats_sums import PLAIN, add_floats, numpy_matmul, plain_product

CONV_RULES = ("mlas_avx512", *PLAIN)
"""The orders of `float_conv`."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """How a kernel moves: (rows, columns) of stride and dilation, ((top, bottom), (left, right)) of padding."""

    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))

    def places(self, image: Pair, kernel: Pair) -> Pair:
        """Rows and columns of the result, 0 or less where the kernel does not fit."""
        rows, columns = (
            (size + sum(pad) - (k - 1) * d - 1) // s + 1
            for size, k, s, d, pad in zip(image, kernel, self.stride, self.dilation, self.padding, strict=True)
        )
        return rows, columns


def patches(x: NDArray[Any], kernel: Pair, window: Window) -> NDArray[Any]:
    """(channels, height, width) -> (channels * kernel rows * kernel columns, places), zeros where padding is read."""
    padded = np.pad(x, ((0, 0), *window.padding))
    rows, columns = window.places((x.shape[1], x.shape[2]), kernel)
    found = np.empty((x.shape[0], *kernel, rows, columns), x.dtype)
    for i, j in np.ndindex(kernel):
        top, left = i * window.dilation[0], j * window.dilation[1]
        rows_read = slice(top, top + (rows - 1) * window.stride[0] + 1, window.stride[0])
        found[:, i, j] = padded[:, rows_read, left : left + (columns - 1) * window.stride[1] + 1 : window.stride[1]]
    return found.reshape(-1, rows * columns)


def float_conv(
    x: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any] | None, rule: str, window: Window, groups: int = 1
) -> NDArray[Any]:
    """Convolution of float32 (images, channels, height, width) with (filters, channels / groups, rows, columns).

    rule: one of `CONV_RULES`. "mlas_avx512": ONNX Runtime on x86-64 with AVX-512, one thread; the bias is added last.
    Every image is computed as it would be alone, but under "numpy_matmul", where a BLAS sees all of them at once.

    >>> x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    >>> float_conv(x, np.ones((1, 1, 2, 2), np.float32), None, "mlas_avx512", Window()).tolist()
    [[[[8.0, 12.0], [20.0, 24.0]]]]
    """
    kernel = (weights.shape[2], weights.shape[3])
    rows, columns = window.places((x.shape[2], x.shape[3]), kernel)
    result = np.zeros((x.shape[0], weights.shape[0], rows, columns), np.float32)
    if result.size == 0:
        return result
    if rule == "numpy_matmul":
        return _stacked(x, weights, bias, window, groups, result)
    for image, group in np.ndindex(x.shape[0], groups):
        taken = slice(group * weights.shape[1], (group + 1) * weights.shape[1])
        made = slice(group * (weights.shape[0] // groups), (group + 1) * (weights.shape[0] // groups))
        part = None if bias is None else bias[made]
        result[image, made] = _image(x[image, taken], weights[made], part, rule, window, groups > 1).reshape(
            -1, rows, columns
        )
    return result


def _image(
    x: NDArray[Any], w: NDArray[Any], bias: NDArray[Any] | None, rule: str, window: Window, grouped: bool
) -> NDArray[Any]:
    found = patches(x, (w.shape[2], w.shape[3]), window)
    start = np.zeros((w.shape[0], found.shape[1]), np.float32)
    if bias is not None:
        start = start + bias[:, None]
    flat = w.reshape(w.shape[0], -1)
    if rule != "mlas_avx512":
        return plain_product(flat, found, start, rule)
    sums = _direct(x, w, found, window)
    if sums is None and grouped and _seven(x, w, found, window):
        sums = np.empty_like(start)
        seven_by_seven(found, flat, _inside((x.shape[1], x.shape[2])), sums)
    sums = mlas_patches(flat, found) if sums is None else sums
    return sums if bias is None else add_floats(sums, start)


def _direct(x: NDArray[Any], w: NDArray[Any], found: NDArray[Any], window: Window) -> NDArray[Any] | None:
    """The cases in which MLAS multiplies with the image itself; None for all others."""
    if window.stride != (1, 1) or window.padding != ((0, 0), (0, 0)):
        return None
    kernel, image = (w.shape[2], w.shape[3]), (x.shape[1], x.shape[2])
    pointwise = kernel == (1, 1)
    single = x.shape[0] == 1 and window.dilation == (1, 1)
    rows = single and kernel[1] == image[1]
    columns = single and kernel[0] == image[0] and kernel[1] == 1
    if not (pointwise or rows or columns):
        return None
    transposed = rows and not pointwise
    start = np.zeros((w.shape[0], found.shape[1]), np.float32)
    step = found.shape[1] if pointwise else image[1]
    flat = w.reshape(w.shape[0], -1)
    return mlas_product(flat, found, start, transposed=(False, transposed), steps=(step, found.shape[1]))


_SEVEN = Window((2, 2), (1, 1), ((3, 3), (3, 3)))
"""The window for which MLAS has a depthwise kernel of its own, with 2 filters a channel."""


def _seven(x: NDArray[Any], w: NDArray[Any], found: NDArray[Any], window: Window) -> bool:
    return w.shape == (2, 1, 7, 7) and window == _SEVEN and found.shape[1] >= 2


def _inside(image: Pair) -> NDArray[np.bool_]:
    """For each place whether the 7 x 7 kernel lies in the image."""
    rows, columns = (
        (np.arange(places) * 2 >= 3) & (np.arange(places) * 2 + 4 <= size)
        for places, size in zip(_SEVEN.places(image, (7, 7)), image, strict=True)
    )
    inside: NDArray[np.bool_] = np.logical_and.outer(rows, columns).ravel()
    return inside


def _stacked(
    x: NDArray[Any], w: NDArray[Any], bias: NDArray[Any] | None, window: Window, groups: int, result: NDArray[Any]
) -> NDArray[Any]:
    """As the ONNX reference evaluator: one NumPy product a group over all images, dilated kernels filled with zeros."""
    rows, columns = ((k - 1) * d + 1 for k, d in zip(w.shape[2:], window.dilation, strict=True))
    filled = np.zeros((*w.shape[:2], rows, columns), np.float32)
    filled[:, :, :: window.dilation[0], :: window.dilation[1]] = w
    solid = Window(window.stride, (1, 1), window.padding)
    found = np.stack([patches(image, (rows, columns), solid) for image in x], 1)
    depth = filled[0].size
    product = numpy_matmul(filled.reshape(groups, -1, depth), found.reshape(groups, depth, -1))
    split = product.reshape(-1, x.shape[0], *result.shape[2:])
    result[:] = np.moveaxis(split, 1, 0)
    return result if bias is None else add_floats(result, bias[:, None, None])
