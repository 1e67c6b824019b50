"""Profiles of the float32 ops: the orders in which ONNX Runtime and the reference evaluator sum."""

from __future__ import annotations

from refq.graphs.profiles.records import Entry

_TEXT = (
    "float_conv", "float_matmul", "float_gemm", "float_average_pool", "float_global_average_pool", "float_mean",
    "float_sigmoid", "float_tanh", "float_softmax",
)  # fmt: skip

ENTRIES: dict[str, tuple[Entry, ...]] = {
    "onnxruntime": (
        Entry("float_conv", "", "mlas_avx512", "run"),
        Entry("float_matmul", "packed", "mlas_avx512_packed", "run"),
        Entry("float_matmul", "", "mlas_avx512", "run"),
        Entry("float_gemm", "packed", "mlas_avx512_packed", "run"),
        Entry("float_gemm", "", "mlas_avx512", "run"),
        Entry("float_average_pool", "opset18", "mlas_pool", "run"),
        Entry("float_average_pool", "", "float32_sequential", "run"),
        Entry("float_global_average_pool", "", "mlas_pool", "run"),
        Entry("float_mean", "", "onnxruntime_reduce", "run"),
        Entry("float_sigmoid", "", "mlas_fma3", "run"),
        Entry("float_tanh", "", "mlas_fma3", "run"),
        Entry("float_softmax", "", "mlas_avx512", "run"),
    ),
    "onnx-text": tuple(Entry(op, "", "exact", "text") for op in _TEXT),
    "onnx-reference": (
        Entry("float_conv", "", "numpy_matmul", "run"),
        Entry("float_matmul", "", "numpy_matmul", "run"),
        Entry("float_gemm", "", "numpy_matmul", "run"),
        Entry("float_average_pool", "", "numpy", "run"),
        Entry("float_global_average_pool", "", "numpy", "run"),
        Entry("float_mean", "", "numpy", "run"),
        Entry("float_sigmoid", "", "numpy", "run"),
        Entry("float_tanh", "", "numpy", "run"),
        Entry("float_softmax", "", "numpy", "run"),
    ),
}
