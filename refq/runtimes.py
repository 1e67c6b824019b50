"""Which released runtime follows which rule, per op and mode: the table the documentation prints.

`evidence` is "run" where the tests of this project repeat the observation on the installed runtime,
"source" where it was read in the upstream code only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One op of one runtime in one mode, and the semantics it follows there."""

    runtime: str
    versions: str
    op: str
    mode: str
    semantics: str
    evidence: str
    source: str


def _litert(op: str, mode: str, semantics: str) -> Row:
    return Row("LiteRT (ai-edge-litert)", "2.3.0, x86-64", op, mode, semantics, "run", "refq identify")


def _onnx(runtime: str, versions: str, op: str, semantics: str) -> Row:
    return Row(runtime, versions, op, "CPU", semantics, "run", "refq identify")


def _read(runtime: str, op: str, mode: str, semantics: str, source: str) -> Row:
    return Row(runtime, "", op, mode, semantics, "source", source)


_ORT = ("ONNX Runtime", "1.31.1, x86-64")
_EVALUATOR = ("ONNX reference evaluator", "1.23.2")

RUNTIMES: tuple[Row, ...] = (
    _onnx(*_ORT, "QLinearConv", "float32_ties_even/float32_product/after"),
    _onnx(*_ORT, "QLinearMatMul", "float32_ties_even/float32_product/after"),
    _onnx(*_ORT, "QuantizeLinear", "float32_ties_even/division/after"),
    _onnx(*_EVALUATOR, "QLinearConv", "float64_ties_even/float32_product/before"),
    _onnx(*_EVALUATOR, "QLinearMatMul", "float64_ties_even/float32_product/before"),
    _onnx(*_EVALUATOR, "QuantizeLinear", "float32_ties_even/division/after"),
    _litert("CONV_2D", "default (XNNPACK)", "float32_ties_even/float32_product/after"),
    _litert("CONV_2D", "builtin, no delegate", "double_up/double_product/after"),
    _litert("CONV_2D", "reference", "gemmlowp_double/double_product/after"),
    _litert("DEPTHWISE_CONV_2D", "default (XNNPACK)", "float32_ties_even/float32_product/after"),
    _litert("DEPTHWISE_CONV_2D", "builtin, no delegate", "double_up/double_product/after"),
    _litert("DEPTHWISE_CONV_2D", "builtin, no delegate; remainder", "gemmlowp_double/double_product/after"),
    _litert("DEPTHWISE_CONV_2D", "reference", "gemmlowp_double/double_product/after"),
    _litert("FULLY_CONNECTED", "default (XNNPACK)", "float32_ties_even/float32_product/after"),
    _litert("FULLY_CONNECTED", "builtin, no delegate", "double_up/mixed_product/after"),
    _litert("FULLY_CONNECTED", "reference", "float64_ties_away/double_product/after"),
    _litert("FULLY_CONNECTED:per_channel", "default (XNNPACK)", "float32_ties_even/float32_product/after"),
    _litert("FULLY_CONNECTED:per_channel", "builtin, no delegate", "double_up/double_product/after"),
    _litert("FULLY_CONNECTED:per_channel", "reference", "float64_ties_away/double_product/after"),
    _litert("QUANTIZE", "default (XNNPACK)", "float32_ties_even/reciprocal/after"),
    _litert("QUANTIZE", "builtin, no delegate", "float32_ties_even/reciprocal/after"),
    _litert("QUANTIZE", "builtin, no delegate; remainder", "float64_ties_away/division/after"),
    _litert("QUANTIZE", "reference", "float32_ties_away/division/after"),
    _read("ruy", "all", "Arm", "single_up/double_product/after", "google/ruy PR #227"),
    _read("TFLM", "CONV_2D", "default", "gemmlowp_double/double_product/after", "tflite-micro common.cc"),
    _read("TFLM", "CONV_2D", "single rounding", "single_up/double_product/after", "tflite-micro common.cc"),
    _read("CMSIS-NN", "s8 ops", "default", "gemmlowp_double/double_product/after", "arm_nn_requantize"),
    _read("CMSIS-NN", "s8 ops", "single rounding", "single_up/double_product/after", "arm_nn_requantize"),
    _read("CMSIS-NN", "s16 ops, int64 bias", "", "reduced_int64_halved/double_product/after", "arm_nn_requantize_s64"),
    _read("TFLite", "CONV_2D int16x8, int64 bias", "", "reduced_int64/double_product/after", "common.cc"),
    _read("XNNPACK", "qs8 ops", "", "float32_ties_even/float32_product/after", "requantization.h"),
    _read("XNNPACK", "qu8 ops", "Arm", "xnnpack_rndnu/float32_product/after", "requantization.h"),
    _read("XNNPACK", "qu8 ops", "small AArch64", "xnnpack_rndnu16/float32_product/after", "requantization.h"),
    _read("QNNPACK", "q31", "", "qnnpack_q31/float32_product/after", "requantization/q31"),
    _read("QNNPACK", "precise", "", "qnnpack_precise/float32_product/after", "requantization/precise"),
    _read("FBGEMM, PyTorch", "quantized::linear", "x86", "float32_ties_even/float32_product/after", "QuantUtils"),
    _read("TOSA", "RESCALE", "SINGLE_ROUND", "tosa_scale32_single/double_product/after", "apply_scale_32"),
    _read("TOSA", "RESCALE", "DOUBLE_ROUND", "tosa_scale32_double/double_product/after", "apply_scale_32"),
    _read("TOSA", "RESCALE", "scale16", "tosa_scale16/double_product/after", "apply_scale_16"),
    _read("HAWQ-V3", "requantize", "", "dyadic_ties_even/mixed_product/after", "quant_utils.py"),
    _read("NEMO, DORY, PULP-NN", "requantize", "", "multiply_add_shift_floor/double_product/after", "pulp_nn"),
)
