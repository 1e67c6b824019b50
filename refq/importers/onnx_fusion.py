"""Which QDQ groups become ops on codes, chosen by name; docs/import_onnx.md has the table of what runtimes do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from refq.importers.onnx_basic import (
    drop_double_pairs,
    drop_equal_pairs,
    drop_identities,
    merge_dequantizers,
    unique_dequantizers,
)
from refq.importers.onnx_biases import join_biases, quantize_biases
from refq.importers.onnx_folding import dequantized
from refq.importers.onnx_fused_nodes import FORMS, check_channels
from refq.importers.onnx_groups import FITS, as_unsigned, drop_void_clips, group_of
from refq.importers.onnx_integer import fuse_integer
from refq.importers.onnx_propagation import carry_backward, carry_forward
from refq.importers.onnx_records import OnnxModel
from refq.importers.onnx_transposes import join_transposes
from refq.importers.onnx_working import DQ, Working, drop, each, finished, keep, working

ROUNDS = 10
"""How often ONNX Runtime repeats level basic at most."""


BASIC: tuple[Callable[[Working], None], ...] = (
    drop_equal_pairs, drop_identities, drop_double_pairs, join_biases, carry_forward, carry_backward, quantize_biases,
    unique_dequantizers, join_transposes,
)  # fmt: skip
"""One round of level basic, in its order."""


def fused(model: OnnxModel, fusion: str) -> OnnxModel:
    """The model whose nodes are those that a runtime computes."""
    work = working(model)
    FUSIONS[fusion](work)
    merge_dequantizers(work)
    _float_constants(work)
    return finished(work)


def _nothing(work: Working) -> None:
    """Every node as it stands."""


def _basic(work: Working) -> None:
    """Level basic of ONNX Runtime, as far as it touches codes."""
    unique_dequantizers(work)
    for _ in range(ROUNDS):
        before = work.changed
        # equal pairs first: that is a rule of single nodes, which does not see through an Identity of the same round
        for step in BASIC:
            step(work)
        if work.changed == before:
            break


def _extended(work: Working) -> None:
    """Levels extended and all of ONNX Runtime on x86-64."""
    _basic(work)
    drop_void_clips(work)
    drop_equal_pairs(work)
    as_unsigned(work)
    fuse_groups(work)


def fuse_groups(work: Working) -> None:
    """Every group that fits."""
    for node in each(work):
        if node.name not in work.nodes or node.op not in FITS or node.domain:
            continue
        group = group_of(work, work.nodes[node.name])
        if group is not None and FITS[node.op](work, group):
            check_channels(work, group)
            FORMS[node.op](work, group)


def _float_constants(work: Working) -> None:
    """Dequantized constants that are left become float constants: one product each, the same everywhere."""
    for node in each(work):
        if node.op == DQ and node.inputs[0] in work.constants and node.inputs[0] not in work.model.packed:
            data = dequantized(work, node)
            if data is not None:
                keep(work, node, node.outputs[0], data)
                work.model = replace(work.model, computed=work.model.computed | {node.outputs[0]})
                drop(work, node.name)


FUSIONS: dict[str, Callable[[Working], None]] = {
    "none": _nothing,
    "onnxruntime-basic": _basic,
    "onnxruntime": _extended,
    "integer": fuse_integer,
}
"""Names of fusions."""
