"""Which rule softmax follows in each runtime; argmax has nothing to round."""

from __future__ import annotations

from refq.graphs.profiles.records import Entry

_FIXED, _TABLE, _INT16 = "tflite:fixed_point32", "tflite:float_table", "tflite:interpolated_tables"
_NAMES = (
    "litert-reference", "litert-builtin", "litert-xnnpack", "tflm", "cmsis-nn", "cmsis-nn-single", "onnxruntime",
    "onnx-text", "onnx-reference", "tosa",
)  # fmt: skip


def _argmax(profile: str) -> Entry:
    ran = profile.startswith("litert") or profile == "onnxruntime"
    text = profile in ("onnx-text", "tosa")
    return Entry("argmax", "", "exact", "run" if ran else "text" if text else "source")


_REFERENCE = (Entry("softmax", "int16", _INT16, "run"), Entry("softmax", "", _FIXED, "run"))
_BUILTIN = (Entry("softmax", "int16", _INT16, "run"), Entry("softmax", "", _TABLE, "run"))
_MICRO = (Entry("softmax", "int16", _INT16), Entry("softmax", "", _FIXED))

_SOFTMAX: dict[str, tuple[Entry, ...]] = {
    "litert-reference": _REFERENCE,
    "litert-builtin": _BUILTIN,
    "litert-xnnpack": _BUILTIN,
    "tflm": _MICRO,
    "cmsis-nn": _MICRO,
    "cmsis-nn-single": _MICRO,
    "onnxruntime": (Entry("softmax", "", "onnxruntime:float_table", "run"),),
    "onnx-text": (Entry("softmax", "", "real:ties_even", "text"),),
}

ENTRIES: dict[str, tuple[Entry, ...]] = {name: (*_SOFTMAX.get(name, ()), _argmax(name)) for name in _NAMES}
"""Profile -> entries."""
