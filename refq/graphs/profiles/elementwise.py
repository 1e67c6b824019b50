"""Which rule add, sub and mul follow, per profile."""

from __future__ import annotations

from refq.graphs.profiles.records import Entry

_DOUBLE, _SINGLE = "tflite:gemmlowp_double", "tflite:single_up"
_PRODUCT = "gemmlowp_double/float32_product/after"
_X86 = "tflite_x86"


def _sums(rule: str, evidence: str) -> tuple[Entry, ...]:
    """add and sub, with TFLite's power-of-two form where the model asks for it."""
    pot = tuple(Entry(op, "int16 pot_scale", "tflite_pot16", evidence) for op in ("add", "sub"))
    return (*pot, Entry("add", "", rule, evidence), Entry("sub", "", rule, evidence))


_BUILTIN = (
    Entry("add", "int8", _X86, "run"),
    Entry("add", "uint8", _X86, "run"),
    Entry("mul", "int8", _X86, "run"),
    Entry("mul", "uint8", _X86, "run"),
    Entry("mul", "", _PRODUCT, "run"),
    *_sums(_DOUBLE, "run"),
)
_XNNPACK = (
    Entry("add", "xnnpack", "xnnpack21", "run"),
    Entry("sub", "xnnpack", "xnnpack21", "run"),
    Entry("mul", "xnnpack", "float32_ties_even/float32_product/after", "run"),
    *_BUILTIN,
)

ENTRIES: dict[str, tuple[Entry, ...]] = {
    "litert-reference": (*_sums(_DOUBLE, "run"), Entry("mul", "", _PRODUCT, "run")),
    "litert-builtin": _BUILTIN,
    "litert-xnnpack": _XNNPACK,
    "tflm": (*_sums(_DOUBLE, "source"), Entry("mul", "", "gemmlowp_double/double_product/after")),
    "cmsis-nn": (*_sums(_DOUBLE, "source"), Entry("mul", "", "gemmlowp_double/double_product/after")),
    "cmsis-nn-single": (*_sums(_SINGLE, "source"), Entry("mul", "", "single_up/double_product/after")),
    "onnxruntime": (
        Entry("add", "int8", "mlas_float32", "run"),
        Entry("add", "uint8", "mlas_float32", "run"),
        Entry("mul", "int8", "float32_ties_even/float32_product/before/last", "run"),
        Entry("mul", "uint8", "float32_ties_even/float32_product/before/last", "run"),
        Entry("add", "", "qdq:float32_ties_even"),
        Entry("mul", "", "qdq:float32_ties_even"),
        Entry("sub", "", "qdq:float32_ties_even", "run"),
    ),
    "onnx-text": (
        Entry("add", "", "exact:ties_even/after", "text"),
        Entry("sub", "", "exact:ties_even/after", "text"),
        Entry("mul", "", "exact_ties_even/exact_product/after", "text"),
    ),
    "onnx-reference": tuple(Entry(op, "", "qdq:float32_ties_even", "run") for op in ("add", "sub", "mul")),
    "tosa": (
        Entry("add", "", "tosa:tosa_scale32_double", "text"),
        Entry("sub", "", "tosa:tosa_scale32_double", "text"),
        Entry("mul", "", "tosa_scale32_double/double_product/after", "text"),
    ),
}
"""Profile name -> entries, the first that fits counts."""
