"""Which rule transposed convolutions and matrix products follow.

LiteRT: tests/test_graph_transposed_litert.py and test_graph_matmuls_litert.py; ONNX Runtime and the evaluator:
test_graph_matmuls_onnx.py and test_graph_matmuls_integer.py.
"""

from __future__ import annotations

from refq.graphs.profiles.records import Entry
from refq.layers.flat_vectors import FLAT_VECTORS
from refq.layers.product_rules import VECTORS_OF_EIGHT

_DOUBLE, _MIXED = "double_product/after", "mixed_product/after"
_FLOAT = "float32_ties_even/float32_product/after"


def _transposed(rule: str, wide: str, evidence: str = "source") -> tuple[Entry, ...]:
    """int8 and int16 with 32-bit sums, and int16 with 64-bit ones."""
    return (
        Entry("transpose_conv", "int16 int64_bias", f"{wide}/{_DOUBLE}", evidence),
        Entry("transpose_conv", "", rule, evidence),
    )


def _batch(rule: str, wide: str, evidence: str = "source", product: str = _MIXED) -> tuple[Entry, ...]:
    """The multiplier is that of a float32 product of the input scales over the output scale, for all dtypes."""
    return (
        Entry("batch_matmul", "int16", f"{wide}/{product}", evidence),
        Entry("batch_matmul", "", f"{rule}/{product}", evidence),
    )


def _integer(rule: str, evidence: str) -> tuple[Entry, ...]:
    return Entry("conv_integer", "", rule, evidence), Entry("matmul_integer", "", rule, evidence)


_TEXT = "exact_ties_even/exact_product/after"
_REFERENCE = f"gemmlowp_double/{_DOUBLE}"
_BATCH_RUN = _batch("gemmlowp_double", "reduced_int64", "run")

ENTRIES: dict[str, tuple[Entry, ...]] = {
    "litert-reference": (
        Entry("transpose_conv", "uint8", f"gemmlowp_double/{_MIXED}", "run"),
        *_transposed(_REFERENCE, "reduced_int64", "run"),
        *_BATCH_RUN,
    ),
    "litert-builtin": (
        Entry("transpose_conv", "uint8", FLAT_VECTORS, "run"),
        *_transposed(VECTORS_OF_EIGHT, "reduced_int64", "run"),
        *_BATCH_RUN,
    ),
    "litert-xnnpack": (
        Entry("transpose_conv", "int16 int64_bias", f"reduced_int64/{_DOUBLE}", "run"),
        Entry("transpose_conv", "int16", VECTORS_OF_EIGHT, "run"),
        Entry("transpose_conv", "int8 same_over_kernel", VECTORS_OF_EIGHT, "run"),
        Entry("transpose_conv", "uint8 same_over_kernel", FLAT_VECTORS, "run"),
        Entry("transpose_conv", "int8 bias_without_scale", VECTORS_OF_EIGHT, "run"),
        Entry("transpose_conv", "uint8 bias_without_scale", FLAT_VECTORS, "run"),
        Entry("transpose_conv", "uint8 scale_axis", FLAT_VECTORS, "run"),
        Entry("transpose_conv", "", _FLOAT, "run"),
        Entry("batch_matmul", "int8 symmetric_right", _FLOAT, "run"),
        *_BATCH_RUN,
    ),
    "tflm": (*_transposed(_REFERENCE, "reduced_int64"), *_batch("gemmlowp_double", "reduced_int64")),
    "cmsis-nn": (*_transposed(_REFERENCE, "reduced_int64"), *_batch("gemmlowp_double", "reduced_int64_halved")),
    "cmsis-nn-single": (
        *_transposed(f"single_up/{_DOUBLE}", "reduced_int64"),
        *_batch("single_up", "reduced_int64_halved"),
    ),
    "onnxruntime": (Entry("matmul", "", _FLOAT, "run"), *_integer("wrap32", "run")),
    "onnx-text": (
        Entry("transpose_conv", "", _TEXT, "text"),
        Entry("matmul", "", _TEXT, "text"),
        *_integer("exact", "text"),
    ),
    "onnx-reference": (
        Entry("matmul", "", "float64_ties_even/float32_product/before", "run"),
        *_integer("wrap32", "run"),
    ),
    "tosa": (
        *_transposed(f"tosa_scale32_double/{_DOUBLE}", "tosa_scale16"),
        *_batch("tosa_scale32_double", "tosa_scale16", product=_DOUBLE),
    ),
}
