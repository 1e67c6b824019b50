"""Which rule pools and means follow, per profile."""

from __future__ import annotations

from refq.graphs.profiles.records import Entry

_RAW, _DOUBLE = "raw:ties_away", "tflite:gemmlowp_double"


def _tflite(pool: str, mean: str) -> tuple[Entry, ...]:
    """TFLite's raw average pools, and its mean in integers, for both ops that average everything."""
    return (
        Entry("average_pool", "", _RAW, pool),
        Entry("max_pool", "", "exact", pool),
        Entry("mean", "", _DOUBLE, mean),
        Entry("global_average_pool", "", _DOUBLE, "source"),
    )


def _single(rule: str, average: str, evidence: str) -> tuple[Entry, ...]:
    return (
        Entry("average_pool", "", average, evidence),
        Entry("max_pool", "", "exact", evidence),
        Entry("mean", "", rule, evidence),
        Entry("global_average_pool", "", rule, evidence),
    )


_BUILTIN = (Entry("mean", "vectors", "tflite_x86", "run"), *_tflite("run", "run"))
_EVEN = "exact:ties_even/after"

ENTRIES: dict[str, tuple[Entry, ...]] = {
    "litert-reference": _tflite("run", "run"),
    "litert-builtin": _BUILTIN,
    "litert-xnnpack": (Entry("mean", "xnnpack", "xnnpack_mean", "run"), *_BUILTIN),
    "tflm": _tflite("source", "source"),
    "cmsis-nn": _tflite("source", "source"),
    "cmsis-nn-single": (Entry("mean", "", "tflite:single_up"), *_tflite("source", "source")),
    "onnxruntime": (
        Entry("average_pool", "", "mlas_float32", "run"),
        Entry("max_pool", "", "exact", "run"),
        Entry("global_average_pool", "", "mlas_global", "run"),
        Entry("mean", "", _EVEN, "text"),
    ),
    "onnx-text": _single(_EVEN, _EVEN, "text"),
    "onnx-reference": (
        Entry("average_pool", "", "qdq:float32_ties_even", "run"),
        Entry("max_pool", "", "exact", "run"),
        *_single(_EVEN, _EVEN, "text"),
    ),
    "tosa": _single("tosa:tosa_scale32_double", "tosa:reciprocal", "text"),
}
"""Profile name -> entries, the first that fits counts."""
