"""The tensors of an .onnx file against each other: each is written once, and before it is read."""

from __future__ import annotations

from collections.abc import Iterable

from refq.importers.limits import MOST_LINKS, ModelRejectedError, at_most
from refq.importers.onnx_records import OnnxModel


def check_order(model: OnnxModel) -> None:
    """Every tensor is written once, and before it is read."""
    known: set[str] = set(model.constants)
    for value in model.inputs:
        _new(model.file, f"input {value.name}", value.name, known)
    links = 0
    written = {name for node in model.nodes for name in node.outputs}
    for node in model.nodes:
        links += len(node.inputs) + len(node.outputs)
        at_most(model.file, "", "links between nodes", links, MOST_LINKS)
        _defined(model.file, f"{node.op} {node.name}", (n for n in node.inputs if n), known, written)
        for name in filter(None, node.outputs):
            _new(model.file, f"{node.op} {node.name}", name, known)
    if len({v.name for v in model.outputs}) < len(model.outputs):
        raise ModelRejectedError(model.file, "outputs", "a tensor is there twice")
    _defined(model.file, "outputs", (v.name for v in model.outputs), known, written)


def _new(file: str, place: str, name: str, known: set[str]) -> None:
    if not name or name in known:
        raise ModelRejectedError(file, place, f"tensor {name!r} is written twice or has no name")
    known.add(name)


def _defined(file: str, place: str, names: Iterable[str], known: set[str], written: set[str]) -> None:
    for name in names:
        if name not in known:
            way = (
                "is read before it is written; sort the nodes, there may be a cycle"
                if name in written
                else "is missing"
            )
            raise ModelRejectedError(file, place, f"tensor {name!r} {way}")
