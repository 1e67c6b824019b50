"""Backends: small functions from (op, parameters, inputs) to an array, one file a runtime.

parameters of the product ops: input_scale, weight_scale (scalar or one a channel), output_scale as
float32; input_zero_point, output_zero_point as int; dtype, the name of the output dtype. inputs: x, w, and
bias (int32) where the op has one, in the op's own layout. Quantizing ops: output_scale,
output_zero_point, dtype; x float32. This file imports no runtime and nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from verify.failures import UsageError

Run = Callable[[str, dict[str, Any], dict[str, Any]], Any]

_ONNX_OPS = ("QLinearConv", "QLinearMatMul", "QuantizeLinear")
_LITERT_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED:per_channel", "QUANTIZE")


@dataclass(frozen=True)
class Backend:
    """Name, distribution whose version counts, extra that installs it, module and function, ops."""

    name: str
    distribution: str
    extra: str
    module: str
    function: str
    ops: tuple[str, ...]
    what: str


BACKENDS: dict[str, Backend] = {
    b.name: b
    for b in (
        Backend(
            "onnxruntime",
            "onnxruntime",
            "onnxruntime",
            "verify.backends.onnxruntime",
            "run",
            _ONNX_OPS,
            "ONNX Runtime, CPU execution provider",
        ),
        Backend(
            "onnx-reference",
            "onnx",
            "onnx",
            "verify.backends.onnx_reference",
            "run",
            _ONNX_OPS,
            "the ONNX reference evaluator",
        ),
        Backend(
            "litert",
            "ai-edge-litert",
            "litert",
            "verify.backends.litert",
            "run_default",
            _LITERT_OPS,
            "LiteRT with its default delegate (XNNPACK)",
        ),
        Backend(
            "litert-builtin",
            "ai-edge-litert",
            "litert",
            "verify.backends.litert",
            "run_builtin",
            _LITERT_OPS,
            "LiteRT's optimized kernels without delegate",
        ),
        Backend(
            "litert-reference",
            "ai-edge-litert",
            "litert",
            "verify.backends.litert",
            "run_reference",
            _LITERT_OPS,
            "LiteRT's reference kernels",
        ),
    )
}


def find_backend(name: str, ops: tuple[str, ...] = ()) -> Backend:
    """A backend by name, or `module:function` of your own with the ops it answers."""
    if name in BACKENDS:
        return BACKENDS[name]
    module, colon, function = name.partition(":")
    if not (colon and all(part.isidentifier() for part in (*module.split("."), function))):
        raise UsageError(f"backend={name!r} is unknown; legal: {', '.join(BACKENDS)}, or module:function of your own")
    return Backend(name, module.partition(".")[0], "", module, function, ops, "your own")


def installed_version(backend: Backend) -> str | None:
    """The version of its distribution; None if it is not installed."""
    try:
        return version(backend.distribution)
    except PackageNotFoundError:
        return None


def load(backend: Backend) -> Run:
    """The function itself; UsageError names the extra if a package is missing."""
    try:
        module = import_module(backend.module)
    except ImportError as error:
        if backend.extra:
            missing = f"backend {backend.name} needs {error.name}"
            raise UsageError(f"{missing}; install it with: pip install 'refq[{backend.extra}]'") from None
        raise UsageError(f"backend={backend.name!r}: module {backend.module} cannot be imported: {error}") from None
    run = getattr(module, backend.function, None)
    if not callable(run):
        raise UsageError(f"backend={backend.name!r}: {backend.module} has no function {backend.function}")
    return run  # type: ignore[no-any-return]
