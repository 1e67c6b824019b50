"""Which rule conv, depthwise_conv and fully_connected follow in each runtime."""

from __future__ import annotations

from dataclasses import replace

from refq.graphs.profiles.records import Entry
from refq.layers.product_rules import VECTORS_OF_EIGHT

_DOUBLE = "gemmlowp_double/double_product/after"
_DOUBLE_MIXED = "gemmlowp_double/mixed_product/after"
_UP, _UP_MIXED = "double_up/double_product/after", "double_up/mixed_product/after"
_SINGLE, _SINGLE_MIXED = "single_up/double_product/after", "single_up/mixed_product/after"
_WIDE, _WIDE_MIXED = "reduced_int64/double_product/after", "reduced_int64/mixed_product/after"
_HALVED, _HALVED_MIXED = "reduced_int64_halved/double_product/after", "reduced_int64_halved/mixed_product/after"
_FLOAT32 = "float32_ties_even/float32_product/after"
_FLOAT64 = "float64_ties_away/double_product/after"


def _run(op: str, tags: str, rule: str) -> Entry:
    return Entry(op, tags, rule, "run")


_LITERT_INT16 = (
    _run("conv", "int16 int64_bias", _WIDE),
    _run("depthwise_conv", "int16", _WIDE),
    _run("fully_connected", "int16 int64_bias", _FLOAT64),
)
_REFERENCE = (
    *_LITERT_INT16,
    _run("conv", "uint8", _DOUBLE_MIXED),
    _run("conv", "", _DOUBLE),
    _run("depthwise_conv", "uint8", _DOUBLE_MIXED),
    _run("depthwise_conv", "", _DOUBLE),
    _run("fully_connected", "", _FLOAT64),
)
_BUILTIN_8_BITS = (
    _run("conv", "groups uint8", _DOUBLE_MIXED),
    _run("conv", "groups", _DOUBLE),
    _run("conv", "uint8", _UP_MIXED),
    _run("conv", "", _UP),
    _run("depthwise_conv", "uint8", _DOUBLE_MIXED),
    _run("depthwise_conv", "", VECTORS_OF_EIGHT),
    _run("fully_connected", "per_channel", _UP),
    _run("fully_connected", "", _UP_MIXED),
)
_BUILTIN = (*_LITERT_INT16, *_BUILTIN_8_BITS)
_LEFT_TO_BUILTIN = (
    *_LITERT_INT16,
    _run("conv", "int16 groups", _DOUBLE),
    _run("conv", "int16", _UP),
    _run("conv", "int4 groups", _DOUBLE),
    _run("conv", "int4", _UP),
    _run("depthwise_conv", "int4", VECTORS_OF_EIGHT),
    _run("fully_connected", "int16 per_channel", _UP),
    _run("fully_connected", "int16", _UP_MIXED),
    _run("fully_connected", "odd_depth per_channel", _UP),
    _run("fully_connected", "odd_depth", _UP_MIXED),
    _run("fully_connected", "int8 weight_zero_point", _UP_MIXED),
    *(replace(entry, tags=f"{entry.tags} bias_without_scale".strip()) for entry in _BUILTIN_8_BITS),
    _run("conv", "uint8 scale_axis groups", _DOUBLE_MIXED),
    _run("conv", "uint8 scale_axis", _UP_MIXED),
    _run("depthwise_conv", "uint8 scale_axis", _DOUBLE_MIXED),
    _run("fully_connected", "uint8 scale_axis", _UP_MIXED),
)
_XNNPACK = (
    *_LEFT_TO_BUILTIN,
    _run("conv", "", _FLOAT32),
    _run("depthwise_conv", "", _FLOAT32),
    _run("fully_connected", "", _FLOAT32),
)


def _integer(sums: str, sums_mixed: str, wide: str, wide_mixed: str) -> tuple[Entry, ...]:
    """Microcontroller kernels: one integer rule, another for sums of 64 bits; the host derives the multipliers."""
    return (
        Entry("conv", "int16 int64_bias", wide),
        Entry("conv", "", sums),
        Entry("depthwise_conv", "int16", wide),
        Entry("depthwise_conv", "", sums),
        Entry("fully_connected", "int16 int32_bias", sums_mixed),
        Entry("fully_connected", "int16 per_channel", wide),
        Entry("fully_connected", "int16", wide_mixed),
        Entry("fully_connected", "per_channel", sums),
        Entry("fully_connected", "", sums_mixed),
    )


def _alike(rule: str, evidence: str, int16: str = "") -> tuple[Entry, ...]:
    """One rule for all three; another for int16 codes."""
    ops = ("conv", "depthwise_conv", "fully_connected")
    wide = tuple(Entry(op, "int16", int16) for op in ops if int16)
    return wide + tuple(Entry(op, "", rule, evidence if op == "conv" else "source") for op in ops)


ENTRIES: dict[str, tuple[Entry, ...]] = {
    "litert-reference": _REFERENCE,
    "litert-builtin": _BUILTIN,
    "litert-xnnpack": _XNNPACK,
    "tflm": _integer(_DOUBLE, _DOUBLE_MIXED, _WIDE, _WIDE_MIXED),
    "cmsis-nn": _integer(_DOUBLE, _DOUBLE_MIXED, _HALVED, _HALVED_MIXED),
    "cmsis-nn-single": _integer(_SINGLE, _SINGLE_MIXED, _HALVED, _HALVED_MIXED),
    "onnxruntime": _alike(_FLOAT32, "run"),
    "onnx-text": _alike("exact_ties_even/exact_product/after", "text", "float64_ties_even/double_product/after"),
    "onnx-reference": _alike("float64_ties_even/float32_product/before", "run"),
    "tosa": (
        Entry("conv", "int16 int32_bias", "tosa_scale32_double/double_product/after"),
        Entry("fully_connected", "int16 int32_bias", "tosa_scale32_double/double_product/after"),
        *_alike("tosa_scale32_double/double_product/after", "source", "tosa_scale16/double_product/after"),
    ),
}
"""Profile -> entries, tried in this order. litert-xnnpack: what XNNPACK leaves to the builtin kernels comes first."""
