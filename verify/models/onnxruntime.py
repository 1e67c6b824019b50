"""ONNX Runtime on whole models at each optimisation level, CPU, one thread, one inference a sample.

Inner tensors are seen in copies of the model that name them as graph outputs. An output more can forbid a rewrite, so
a copy counts only if ONNX Runtime makes the same ops of it as of the model itself.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from verify.models import Shown
from verify.models.onnx_copy import computed, showing

LEVELS = {
    "off": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
CODES = [f"tensor({sign}int{bits})" for sign in ("", "u") for bits in (4, 8, 16)]
UNCOUNTED = ("Transpose", "ReorderInput", "ReorderOutput", "DequantizeLinear", "Identity")
"""Ops that an output more may add without changing what others compute: layouts, one more copy of a dequantizer."""
QUIET = 3
MOST_COPIES = 64
"""Copies that show one tensor each, where one copy for all would change the rewrites."""


def _opened(content: bytes, level: str, save: str = "") -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    if save:
        options.optimized_model_filepath = save
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _with_ops(content: bytes, level: str) -> tuple[Any, Counter[str]]:
    """A session, and how many of each op that counts the rewritten graph has."""
    with tempfile.TemporaryDirectory(prefix="refq-onnx-") as folder:
        path = str(Path(folder) / "rewritten.onnx")
        session = _opened(content, level, path)
        nodes = onnx.load(path, load_external_data=False).graph.node
    return session, Counter(f"{n.domain}:{n.op_type}" for n in nodes if n.op_type not in UNCOUNTED)


def _copy(content: bytes, names: list[str], level: str, ops: Counter[str]) -> Any:
    """A session that shows those tensors; None if that changes a rewrite, or if the runtime refuses it."""
    try:
        session, found = _with_ops(showing(content, names), level)
    except Exception:
        # each way of refusing has a class of its own, which the runtime does not document
        return None
    return session if found == ops else None


def _quantized(content: bytes, names: list[str]) -> list[str]:
    """Those of the tensors that hold codes, by the types that an unchanged graph gives them."""
    try:
        session = _opened(showing(content, names), "off")
    except Exception:
        # as in _copy: then nothing is known to hold codes
        return []
    codes = {o.name for o in session.get_outputs() if o.type in CODES}
    return [name for name in names if name in codes]


def _copies(content: bytes, level: str, ops: Counter[str]) -> tuple[list[Any], tuple[str, ...]]:
    """Sessions of copies that together show what can be shown without changing a rewrite, and what to say of it."""
    names = computed(content)
    codes = _quantized(content, names)
    for shown in (names, codes):
        session = _copy(content, shown, level, ops)
        if session is not None:
            return [session], ()
    singles = [_copy(content, [name], level, ops) for name in codes[:MOST_COPIES]]
    kept = [session for session in singles if session is not None]
    lost = len(codes) - len(kept)
    return kept, (f"{lost} of {len(codes)} quantized tensors are rewritten away and cannot be shown",)


def _outputs(session: Any, feed: dict[str, Any]) -> dict[str, Any]:
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def _run(level: str, content: bytes, feeds: list[dict[str, Any]]) -> Iterator[Shown]:
    given, ops = _with_ops(content, level)
    copies, findings = _copies(content, level, ops)
    for feed in feeds:
        tensors: dict[str, Any] = {}
        for copy in copies:
            tensors |= _outputs(copy, feed)
        yield Shown(tensors, _outputs(given, feed), findings)


run_off = partial(_run, "off")
run_basic = partial(_run, "basic")
run_extended = partial(_run, "extended")
run_all = partial(_run, "all")
