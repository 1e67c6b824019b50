"""Profiles: which rule each op follows in a runtime."""

from __future__ import annotations

from types import MappingProxyType

from refq.formats import Rounding
from refq.graphs.profiles import elementwise, floats, matmuls, pools, products, quantizing, shapes, softmax, tables
from refq.graphs.profiles.records import Entry, Profile

_FAMILIES = (products, matmuls, elementwise, pools, shapes, tables, softmax, quantizing, floats)

_ABOUT: dict[str, tuple[str, Rounding]] = {
    "litert-reference": ("LiteRT 2.3.0, reference kernels", Rounding.TIES_AWAY),
    "litert-builtin": ("LiteRT 2.3.0, optimised kernels without delegate, x86-64", Rounding.TIES_AWAY),
    "litert-xnnpack": (
        "LiteRT 2.3.0, default delegate (XNNPACK), x86-64; builtin kernels where it takes no part",
        Rounding.TIES_EVEN,
    ),
    "tflm": ("TensorFlow Lite for Microcontrollers, reference kernels", Rounding.TIES_AWAY),
    "cmsis-nn": ("CMSIS-NN, double rounding (the default build)", Rounding.TIES_AWAY),
    "cmsis-nn-single": ("CMSIS-NN built with CMSIS_NN_USE_SINGLE_ROUNDING", Rounding.TIES_AWAY),
    "onnxruntime": ("ONNX Runtime 1.31.1, CPU, x86-64", Rounding.TIES_EVEN),
    "onnx-text": ("the text of the ONNX operators, in real numbers", Rounding.TIES_EVEN),
    "onnx-reference": ("the ONNX reference evaluator 1.23.2", Rounding.TIES_EVEN),
    "tosa": ("TOSA RESCALE with scale32 and double rounding, as TFLite models are lowered to it", Rounding.TIES_AWAY),
}


def _entries(name: str) -> tuple[Entry, ...]:
    return tuple(entry for family in _FAMILIES for entry in family.ENTRIES.get(name, ()))


PROFILES: MappingProxyType[str, Profile] = MappingProxyType(
    {name: Profile(name, what, _entries(name), bounds) for name, (what, bounds) in _ABOUT.items()}
)
"""The profiles of released runtimes and of specifications, by name."""
