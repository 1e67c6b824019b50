"""Which rule relu, relu6, relu_n1_to_1, leaky_relu, hard_swish, logistic and tanh follow in each runtime."""

from __future__ import annotations

from refq.graphs.profiles.records import Entry

_RELUS = ("relu", "relu6", "relu_n1_to_1")
_DOUBLE = "gemmlowp_double/float32_product/after"
_TABLE, _FIXED, _REAL = "tflite:float_table", "gemmlowp:fixed_point32", "real:ties_even"
_SIGMOIDS, _ONNXRUNTIME = "tflite:sigmoid_table", "onnxruntime:float_table"


def _each(ops: tuple[str, ...], tags: str, rule: str, evidence: str) -> tuple[Entry, ...]:
    return tuple(Entry(op, tags, rule, evidence) for op in ops)


def _tflite(relu: str, leaky: str, evidence: str) -> tuple[Entry, ...]:
    """What all TFLite kernels share."""
    return (
        *_each(_RELUS, "", relu, evidence),
        Entry("leaky_relu", "", leaky, evidence),
        Entry("hard_swish", "", "tflite:fixed_point16", evidence),
    )


_CURVES = ("logistic", "tanh")
_NEGATED = Entry("leaky_relu", "negative_alpha", "tflite:gemmlowp_double_negated", "run")
_SIGNED16 = Entry("leaky_relu", "negative_alpha int16", "tflite:gemmlowp_double", "run")
_OWN_INT16 = _each(_CURVES, "int16", "gemmlowp:fixed_point16", "run")
_REFERENCE = (
    _NEGATED,
    *_tflite(_DOUBLE, "tflite:gemmlowp_double", "run"),
    *_each(_CURVES, "int16", _SIGMOIDS, "run"),
    *_each(_CURVES, "", _TABLE, "run"),
)
_BUILTIN = (
    _SIGNED16,
    _NEGATED,
    *_tflite(_DOUBLE, "tflite:gemmlowp_double", "run"),
    *_OWN_INT16,
    *_each(_CURVES, "", _TABLE, "run"),
)
_XNNPACK = (
    Entry("leaky_relu", "xnnpack", "xnnpack:q8", "run"),
    _SIGNED16,
    _NEGATED,
    *_tflite(_DOUBLE, "tflite:gemmlowp_double", "run"),
    *_OWN_INT16,
    *_each(_CURVES, "", "xnnpack:float_table", "run"),
)


def _micro(relu: str, leaky: str) -> tuple[Entry, ...]:
    return (
        *_tflite(relu, leaky, "source"),
        *_each(_CURVES, "int16", _SIGMOIDS, "source"),
        *_each(_CURVES, "", _FIXED, "source"),
    )


_MICRO = _micro(_DOUBLE, "tflite:gemmlowp_double")

ENTRIES: dict[str, tuple[Entry, ...]] = {
    "litert-reference": _REFERENCE,
    "litert-builtin": _BUILTIN,
    "litert-xnnpack": _XNNPACK,
    "tflm": _MICRO,
    "cmsis-nn": _MICRO,
    "cmsis-nn-single": _micro("single_up/float32_product/after", "tflite:single_up"),
    "onnxruntime": (
        *_each(_RELUS, "", "qdq:float32_ties_even", "source"),
        *_each(("logistic", "leaky_relu"), "", _ONNXRUNTIME, "run"),
        *_each(("tanh", "hard_swish"), "", _ONNXRUNTIME, "source"),
    ),
    "onnx-text": (*_each((*_RELUS, "logistic", "tanh", "leaky_relu", "hard_swish"), "", _REAL, "text"),),
    "tosa": _each(_RELUS, "", "tosa_scale32_double/double_product/after", "text"),
}
"""Profile -> entries."""
