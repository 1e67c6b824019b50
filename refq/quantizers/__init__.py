"""Quantizers of the papers: choose the range or the bins, then quantize; real numbers in, integer codes out."""

from refq.quantizers.apply import dequantize, quantize, thresholds
from refq.quantizers.balanced import balanced_codes, fit_balanced
from refq.quantizers.dorefa import GradientCodes, dorefa_gradient, fit_dorefa_activations, fit_dorefa_weights
from refq.quantizers.error import QuantizationLoss, quantization_error
from refq.quantizers.error_table import ErrorRow, error_table
from refq.quantizers.gradients import (
    clipped_gradient,
    dorefa_weight_gradient,
    straight_through,
    xnor_gradient,
)
from refq.quantizers.mse import LeastError, minimum_affine_mse, minimum_mse
from refq.quantizers.pact import fit_pact, pact_gradients, pact_penalty
from refq.quantizers.quantizer import Quantizer
from refq.quantizers.sawb import fit_sawb, sawb_gradient
from refq.quantizers.sawb_coefficients import COEFFICIENTS
from refq.quantizers.ternary import fit_ternary
from refq.quantizers.uniform import fit_uniform
from refq.quantizers.xnor import fit_xnor

__all__ = [
    "COEFFICIENTS",
    "ErrorRow",
    "GradientCodes",
    "LeastError",
    "QuantizationLoss",
    "Quantizer",
    "balanced_codes",
    "clipped_gradient",
    "dequantize",
    "dorefa_gradient",
    "dorefa_weight_gradient",
    "error_table",
    "fit_balanced",
    "fit_dorefa_activations",
    "fit_dorefa_weights",
    "fit_pact",
    "fit_sawb",
    "fit_ternary",
    "fit_uniform",
    "fit_xnor",
    "minimum_affine_mse",
    "minimum_mse",
    "pact_gradients",
    "pact_penalty",
    "quantization_error",
    "quantize",
    "sawb_gradient",
    "straight_through",
    "thresholds",
    "xnor_gradient",
]
