"""The operations of the training loop in float32: each returns its result and how a gradient is pulled back.

Arrays are (N, H, W, C); convolution weights (O, KH, KW, I), dense weights (O, I), as `refq.conv` has them.
A pull takes the gradient of the result and returns those of the arguments, in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Pull = Callable[[Array], tuple[Array | None, ...]]
Result = tuple[Array, Pull]


def patches(x: NDArray[Any], size: int, padding: int) -> NDArray[Any]:
    """(N * OH * OW, size * size * C): the taps under a kernel of stride 1, line by line; any dtype."""
    n, h, w, c = x.shape
    wide = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    oh, ow = h + 2 * padding - size + 1, w + 2 * padding - size + 1
    taps = np.empty((n, oh, ow, size * size, c), x.dtype)
    for t in range(size * size):
        i, j = divmod(t, size)
        taps[:, :, :, t] = wide[:, i : i + oh, j : j + ow]
    return taps.reshape(n * oh * ow, size * size * c)


def _unpatched(taps: Array, shape: tuple[int, ...], size: int, padding: int) -> Array:
    """The sum of all taps of each pixel: the transposed `patches`."""
    n, h, w, c = shape
    wide = np.zeros((n, h + 2 * padding, w + 2 * padding, c), np.float32)
    oh, ow = h + 2 * padding - size + 1, w + 2 * padding - size + 1
    taps = taps.reshape(n, oh, ow, size * size, c)
    for t in range(size * size):
        i, j = divmod(t, size)
        wide[:, i : i + oh, j : j + ow] += taps[:, :, :, t]
    return wide[:, padding : padding + h, padding : padding + w]


def convolve(x: Array, weights: Array, *, padding: int, need_input: bool = True) -> Result:
    """A convolution of stride 1; need_input False: no gradient of x, which the first layer does not need."""
    filters, size = weights.shape[:2]
    taps, rows = patches(x, size, padding), weights.reshape(filters, -1)
    lines, columns = (length + 2 * padding - size + 1 for length in x.shape[1:3])
    result = (taps @ rows.T).reshape(len(x), lines, columns, filters)

    def pull(g: Array) -> tuple[Array | None, ...]:
        flat = g.reshape(-1, filters)
        back = _unpatched(flat @ rows, x.shape, size, padding) if need_input else None
        return back, (flat.T @ taps).reshape(weights.shape)

    return result, pull


def dense(x: Array, weights: Array) -> Result:
    """x, flattened behind its first axis, times the transposed weights."""
    flat = x.reshape(len(x), -1)
    return flat @ weights.T, lambda g: ((g @ weights).reshape(x.shape), g.T @ flat)


def normalize(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: np.float32) -> Result:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta; its gradients take mean and variance as those of x."""
    axes = tuple(range(x.ndim - 1))
    scale = np.float32(1) / np.sqrt(variance + epsilon)
    unit = (x - mean) * scale

    def pull(g: Array) -> tuple[Array | None, ...]:
        dgamma, dbeta, count = (g * unit).sum(axes), g.sum(axes), np.float32(x.size // x.shape[-1])
        return gamma * scale * (g - dbeta / count - unit * (dgamma / count)), dgamma, dbeta

    return gamma * unit + beta, pull


def rectify(x: Array) -> Result:
    """max(x, 0)."""
    return np.maximum(x, np.float32(0)), lambda g: (g * (x > 0),)


def add(x: Array, y: Array) -> Result:
    """x + y."""
    return x + y, lambda g: (g, g)


def quantize_clipped(y: Array, alpha: Array, low: int, high: int) -> Result:
    """clip(round(y * high / alpha), low, high) * alpha / high: PACT, on codes 0..n, or -n..n before an addition.

    Straight through the rounding: the gradient of y is 1 between the clips, that of alpha -1 or 1 beyond them.
    """
    step = alpha / np.float32(high)
    codes = np.clip(np.rint(y / step), low, high)
    over, under = y >= alpha, (y <= -alpha) & (low < 0)
    passes = (y < alpha) & (y >= (-alpha if low < 0 else 0))
    return codes * step, lambda g: (g * passes, _total(g, over) - _total(g, under))


def _total(g: Array, where: NDArray[np.bool_]) -> Array:
    return np.asarray(g[where].sum(dtype=np.float32))


def clip_sum(x: Array, alpha: Array) -> Result:
    """clip(x, 0, alpha) of a sum of two multiples of one step: the end of a residual block."""
    passes, over = (x >= 0) & (x < alpha), x >= alpha
    return np.minimum(np.maximum(x, np.float32(0)), alpha), lambda g: (g * passes, _total(g, over))


def max_pool(x: Array, size: int) -> Result:
    """The maximum of each size x size block; a gradient is shared by equal maxima."""
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // size, size, w // size, size, c)
    top = blocks.max((2, 4), keepdims=True)

    def pull(g: Array) -> tuple[Array | None, ...]:
        hit = (blocks == top).astype(np.float32)
        share = g.reshape(top.shape) / hit.sum((2, 4), keepdims=True)
        return ((hit * share).reshape(x.shape),)

    return top.reshape(n, h // size, w // size, c), pull


def softmax_loss(logits: Array, labels: NDArray[np.int64]) -> tuple[float, Array]:
    """The mean cross entropy and its gradient."""
    shifted = logits - logits.max(1, keepdims=True)
    odds = np.exp(shifted)
    share = odds / odds.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -float(np.log(np.maximum(share[rows, labels], np.float32(1e-12))).mean())
    share[rows, labels] -= np.float32(1)
    return loss, share / np.float32(len(labels))


def shift_quantize(acc: Array, mean: Array, deviation: Array, bits: int, signed: bool) -> Result:
    """clip(floor((acc - round(mean)) / 2**shift)), shift = round(log2(deviation)) + R - bits: shift-BN of one batch.

    Straight through all three roundings, clip with its own gradient; mean and deviation are those of acc.
    """
    high = (1 << (bits - signed)) - 1
    low = -high if signed else 0
    power = np.exp2(np.rint(np.log2(deviation)) + np.float32((3 if signed else 2) - bits))
    line = np.floor((acc - np.rint(mean)) / power)
    unit, axes = (acc - mean) / deviation, tuple(range(acc.ndim - 1))

    def pull(g: Array) -> tuple[Array | None, ...]:
        g = g * ((line >= low) & (line <= high))
        count = np.float32(acc.size // acc.shape[-1])
        return ((g - g.sum(axes) / count - unit * ((g * unit).sum(axes) / (count - 1))) / power,)

    return np.clip(line, low, high), pull
