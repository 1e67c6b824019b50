"""Rules of concat where scales differ; the other ops that move values have nothing to round.

LiteRT refuses int8 inputs of other scales than the output's, so its profiles have no rule for them.
"""

from __future__ import annotations

from refq.graphs.profiles.records import Entry

_LITERT = (
    Entry("concat", "uint8", "float32_affine", "run"),
    Entry("concat", "int16", "copy", "run"),
)
_COPIED = (Entry("concat", "", "copy"),)
_THROUGH_FLOATS = "dequantized:float32_ties_even"

ENTRIES: dict[str, tuple[Entry, ...]] = {
    "litert-reference": _LITERT,
    "litert-builtin": _LITERT,
    "litert-xnnpack": _LITERT,
    "tflm": _COPIED,
    "cmsis-nn": _COPIED,
    "cmsis-nn-single": _COPIED,
    "onnxruntime": (Entry("concat", "", _THROUGH_FLOATS, "run"),),
    "onnx-text": (Entry("concat", "", _THROUGH_FLOATS, "text"),),
    "onnx-reference": (Entry("concat", "", _THROUGH_FLOATS, "run"),),
    "tosa": (Entry("concat", "", "copy", "text"),),
}
"""Profile -> entries."""
