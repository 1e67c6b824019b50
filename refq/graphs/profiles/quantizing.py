"""Which rule quantize, dequantize and requantize follow in each runtime."""

from __future__ import annotations

from refq.graphs.ops.quantizing import DEQUANTIZE_BLOCKS, QUANTIZE_BLOCKS, REQUANTIZE_BLOCKS
from refq.graphs.profiles.records import Entry

_AWAY, _EVEN = "float32_ties_away/division/after", "float32_ties_even/division/after"
_AWAY_INT32, _EVEN_INT32 = f"{_AWAY}/last", f"{_EVEN}/last"
_DOUBLE, _SINGLE = "gemmlowp_double/double_product/after", "single_up/double_product/after"
_PRODUCT, _QDQ = "float32_product", "qdq:float32_ties_even"

_REFERENCE = (
    Entry("quantize", "", _AWAY_INT32, "run"),
    Entry("dequantize", "", _PRODUCT, "run"),
    Entry("requantize", "", _DOUBLE, "run"),
)
_BUILTIN = (
    Entry("quantize", "per_channel", _AWAY_INT32, "run"),
    Entry("quantize", "", QUANTIZE_BLOCKS, "run"),
    Entry("dequantize", "per_channel", _PRODUCT, "run"),
    Entry("dequantize", "", DEQUANTIZE_BLOCKS, "run"),
    Entry("requantize", "8_to_8", REQUANTIZE_BLOCKS, "run"),
    Entry("requantize", "", _DOUBLE, "run"),
)
_XNNPACK = (
    Entry("quantize", "per_channel", _AWAY_INT32, "run"),
    Entry("quantize", "int16", QUANTIZE_BLOCKS, "run"),
    Entry("quantize", "", "float32_ties_even/reciprocal/after", "run"),
    Entry("dequantize", "", _PRODUCT, "run"),
    Entry("requantize", "xnnpack", "xnnpack:q8", "run"),
    *_BUILTIN[-2:],
)


def _micro(requantize: str) -> tuple[Entry, ...]:
    return (
        Entry("quantize", "", _AWAY),
        Entry("dequantize", "", "float64_product"),
        Entry("requantize", "", requantize),
    )


ENTRIES: dict[str, tuple[Entry, ...]] = {
    "litert-reference": _REFERENCE,
    "litert-builtin": _BUILTIN,
    "litert-xnnpack": _XNNPACK,
    "tflm": _micro(_DOUBLE),
    "cmsis-nn": _micro(_DOUBLE),
    "cmsis-nn-single": _micro(_SINGLE),
    "onnxruntime": (
        Entry("quantize", "", _EVEN, "run"),
        Entry("dequantize", "", _PRODUCT, "run"),
        Entry("requantize", "", _QDQ, "run"),
    ),
    "onnx-text": (
        Entry("quantize", "", "float64_ties_even/division/after", "text"),
        Entry("dequantize", "", "float64_product", "text"),
        Entry("requantize", "", "exact_ties_even/exact_product/after", "text"),
    ),
    "onnx-reference": (
        Entry("quantize", "", _EVEN_INT32, "run"),
        Entry("dequantize", "", _PRODUCT, "run"),
        Entry("requantize", "", _QDQ, "run"),
    ),
    "tosa": (
        Entry("quantize", "", _EVEN),
        Entry("dequantize", "", _PRODUCT),
        Entry("requantize", "", "tosa_scale32_double/double_product/after", "text"),
    ),
}
"""Profile -> entries."""
