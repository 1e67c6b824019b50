"""Runtimes that run a whole model and show its tensors; by name, or a function of the user's own.

A runtime of this folder is a generator of (content of the file, inputs by name, how many samples) that yields one
`Shown` a sample. One of your own is a function of (content, inputs by name, exactly as the model declares them) to a
dict from the names of tensors to arrays, called once a sample. This file imports no runtime and nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from verify.backends import Backend, load
from verify.failures import UsageError

FUSIONS = ("none", "onnxruntime-basic", "onnxruntime", "integer")
"""Those of `refq.importers.read_onnx`, without importing it."""


@dataclass(frozen=True)
class ModelBackend:
    """A runtime in one of its modes.

    formats: the suffixes of files it reads. distribution, extra: whose version counts, what installs it. profile: the
    rules it is known to follow, "" for none. fusion: how an .onnx file is read to be compared with it.
    streams: whether it yields `Shown` records, as those of this folder do.
    """

    name: str
    formats: tuple[str, ...]
    distribution: str
    extra: str
    module: str
    function: str
    what: str
    profile: str
    fusion: str = "onnxruntime"
    streams: bool = True


@dataclass(frozen=True, eq=False)
class Shown:
    """One inference. tensors: what can be seen of it, by name, or by number in .tflite files.

    outputs: the final outputs of the model as it was given, where the tensors are those of a copy that shows more; the
    two must agree. findings: what is worth saying of the whole run, once.
    """

    tensors: Mapping[Any, Any]
    outputs: Mapping[Any, Any] | None = None
    findings: tuple[str, ...] = ()


def _litert(name: str, function: str, what: str, profile: str) -> ModelBackend:
    module = "verify.models.litert"
    return ModelBackend(name, ("tflite",), "ai-edge-litert", "litert", module, function, what, profile)


def _ort(level: str, what: str, fusion: str) -> ModelBackend:
    return ModelBackend(
        f"onnxruntime:{level}", ("onnx",), "onnxruntime", "onnxruntime", "verify.models.onnxruntime",
        f"run_{level}", f"ONNX Runtime, CPU, {what}", "onnxruntime", fusion,
    )  # fmt: skip


MODEL_BACKENDS: Mapping[str, ModelBackend] = MappingProxyType(
    {
        b.name: b
        for b in (
            _litert("litert", "run_default", "LiteRT with its default delegate (XNNPACK)", "litert-xnnpack"),
            _litert("litert-builtin", "run_builtin", "LiteRT's optimised kernels without delegate", "litert-builtin"),
            _litert("litert-reference", "run_reference", "LiteRT's reference kernels", "litert-reference"),
            _ort("off", "no graph rewrites", "none"),
            _ort("basic", "basic graph rewrites", "onnxruntime-basic"),
            _ort("extended", "extended graph rewrites", "onnxruntime"),
            _ort("all", "all graph rewrites", "onnxruntime"),
            ModelBackend(
                "onnx-reference", ("onnx",), "onnx", "onnx", "verify.models.onnx_reference", "run",
                "the ONNX reference evaluator", "onnx-reference", "none",
            ),
        )
    }
)  # fmt: skip
"""The runtimes known by name."""

ALIASES = {"onnxruntime": "onnxruntime:all"}


def find_model_backend(name: str, suffix: str) -> ModelBackend:
    """A runtime by name, or `module:function` of your own; UsageError if it does not read files of that format.

    >>> find_model_backend("onnxruntime", "onnx").name
    'onnxruntime:all'
    """
    known = MODEL_BACKENDS.get(ALIASES.get(name, name))
    if known is None:
        return _own(name, suffix)
    if suffix not in known.formats:
        fitting = ", ".join(b.name for b in MODEL_BACKENDS.values() if suffix in b.formats)
        raise UsageError(f"backend={name!r} reads .{known.formats[0]} files; for .{suffix}: {fitting}")
    return known


def _own(name: str, suffix: str) -> ModelBackend:
    module, colon, function = name.partition(":")
    named = all(part.isidentifier() for part in (*module.split("."), function))
    if not (colon and named) or module == "onnxruntime":
        legal = ", ".join((*MODEL_BACKENDS, *ALIASES))
        raise UsageError(f"backend={name!r} is unknown; legal: {legal}, or module:function of your own")
    distribution = module.partition(".")[0]
    return ModelBackend(name, (suffix,), distribution, "", module, function, "your own", "", streams=False)


def as_backend(backend: ModelBackend) -> Backend:
    """What loading and the version of a backend need of it."""
    return Backend(
        backend.name, backend.distribution, backend.extra, backend.module, backend.function, (), backend.what
    )


def load_model_backend(backend: ModelBackend) -> Callable[..., Any]:
    """The function itself; UsageError names the extra if a package is missing."""
    return load(as_backend(backend))
