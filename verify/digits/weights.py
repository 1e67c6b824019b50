"""The weight quantizer of each method, layer by layer: the same in training, in the twin and in the export."""

from __future__ import annotations

import numpy as np

from refq.quantizers.apply import quantize
from refq.quantizers.quantizer import Quantizer
from verify.digits.gradients import Array
from verify.digits.plan import Layer, Method


def fit_weights(weights: Array, method: Method, layer: Layer) -> Quantizer:
    """SAWB on the even grid or balanced by means; first and last layer uniform, symmetric, 8 bits."""
    from refq.quantizers.balanced import fit_balanced
    from refq.quantizers.sawb import fit_sawb
    from refq.quantizers.uniform import fit_uniform

    bits = method.weight_bits(layer)
    if bits != method.bits:
        return fit_uniform(weights, bits, signed=True, symmetric=True)
    if method.weights == "sawb":
        return fit_sawb(weights, bits, grid="even")
    return fit_balanced(weights, bits, split="mean", codes="leaf")


def grid_weights(weights: Array, bits: int) -> Array:
    """clip(round(w), -(2**(bits - 1) - 1), 2**(bits - 1) - 1), ties to even: IntegerNet, no scale (papers 2.1)."""
    high = (1 << (bits - 1)) - 1
    return np.clip(np.rint(weights), -high, high).astype(np.float32)


def dequantized(weights: Array, method: Method, layer: Layer) -> Array:
    """The real values of the codes in float32, as the training loop multiplies them."""
    if method.weights == "float":
        return weights
    if method.weights == "grid":
        return grid_weights(weights, method.bits)
    quantizer = fit_weights(weights, method, layer)
    return (quantize(weights, quantizer) * quantizer.step).astype(np.float32)
