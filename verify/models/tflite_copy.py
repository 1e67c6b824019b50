"""A copy of a .tflite model in which every computed tensor is a graph output."""

from __future__ import annotations

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


def computed(content: bytes) -> list[int]:
    """Numbers of the tensors that operators of the main subgraph write, in order."""
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    return list(dict.fromkeys(int(i) for o in graph.operators for i in _numbers(o.outputs)))


def _numbers(tensors: object) -> list[int]:
    """Of an operator; -1 stands for an absent one."""
    return [] if tensors is None else [int(i) for i in tensors if int(i) >= 0]  # type: ignore[attr-defined]


def showing_all(content: bytes) -> bytes:
    """The model with all computed tensors added to its outputs, behind those it has."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    present = _numbers(graph.outputs)
    graph.outputs = present + [i for i in computed(content) if i not in present]
    # a signature names the outputs; without one the interpreter takes those of the subgraph
    model.signatureDefs = None
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
