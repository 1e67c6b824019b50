"""A copy of an .onnx model in which computed tensors are graph outputs."""

from __future__ import annotations

import onnx


def computed(content: bytes) -> list[str]:
    """Names of the tensors that nodes compute from the inputs, in order; what hangs on constants only is left out."""
    graph = onnx.load_from_string(content).graph
    stored = {t.name for t in graph.initializer}
    live = {i.name for i in graph.input} - stored
    found: list[str] = []
    for node in graph.node:
        if any(name in live for name in node.input):
            made = [name for name in node.output if name]
            live |= set(made)
            found += made
    return found


def showing(content: bytes, names: list[str]) -> bytes:
    """The model with those tensors added to its outputs; the runtime infers their types."""
    model = onnx.load_from_string(content)
    present = {o.name for o in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    copy: bytes = model.SerializeToString()
    return copy
