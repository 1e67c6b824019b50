"""A run and a graph as JSON records, and as text."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape

from refq.graphs import Graph, Prepared, layer_ranges
from refq.graphs.table import short
from verify.report import table
from verify.trace_report import value_record

Record = dict[str, Any]
MOST_VALUES = 12


def _tensor_record(name: str, array: Any) -> Record:
    first = [value_record(value) for value in array.ravel()[:MOST_VALUES].tolist()]
    return {"name": name, "shape": list(array.shape), "dtype": str(array.dtype), "first": first}


def rules_record(prepared: Prepared) -> Record:
    """The profile, the rule of each node, and the ranges of the sums."""
    sums = [
        {
            "node": r.node,
            "op": r.op,
            "bits": r.bits,
            "low": int(r.low.min(initial=0)),
            "high": int(r.high.max(initial=0)),
            "channels": len(r.low),
            "channels_over_16_bits": r.over16,
            "channels_over_32_bits": r.over32,
        }
        for r in layer_ranges(prepared)
    ]
    rules = [{"node": s.site.node.name, "op": s.op.name, "rule": s.rule} for s in prepared.steps]
    return {"profile": prepared.profile.name, "rules": rules, "accumulators": sums}


def run_record(model: str, prepared: Prepared, tensors: dict[str, Any]) -> Record:
    """`refq run --json`."""
    found = [_tensor_record(name, array) for name, array in tensors.items()]
    return {"model": model, "tensors": found, **rules_record(prepared)}


def graph_record(model: str, graph: Graph) -> Record:
    """`refq show --json`."""
    nodes = [
        {
            "name": n.name,
            "op": n.op,
            "source": n.source,
            "inputs": list(n.inputs),
            "outputs": list(n.outputs),
            "attributes": {key: _plain(value) for key, value in n.attributes.items()},
        }
        for n in graph.nodes
    ]
    tensors = [
        {
            "name": t.name,
            "shape": list(t.shape),
            "dtype": t.dtype,
            "constant": t.data is not None,
            "scale": None if t.quantization is None else t.quantization.scale.tolist(),
            "zero_point": None if t.quantization is None else t.quantization.zero_point.tolist(),
            "axis": None if t.quantization is None else t.quantization.axis,
        }
        for t in graph.tensors.values()
    ]
    ends = {"inputs": list(graph.inputs), "outputs": list(graph.outputs)}
    return {"model": model, "format": graph.format, **ends, "nodes": nodes, "tensors": tensors}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value_record(value) if isinstance(value, str | int | float | bool | None) else str(value)


def print_rules(out: Console, record: Record) -> None:
    """One line a node: its rule, and for sums of products how wide they can get."""
    sums = {r["node"]: r for r in record["accumulators"]}
    rows = table("node", "op", f"rule under {record['profile']}", "bits of sums", "over 16", "over 32", "channels")
    for r in record["rules"]:
        s = sums.get(r["node"])
        wide = [] if s is None else [s["bits"], s["channels_over_16_bits"], s["channels_over_32_bits"], s["channels"]]
        rows.add_row(escape(short(r["node"])), r["op"], escape(r["rule"]), *map(str, wide))
    out.print("", rows)


def _widest(out: Console, sums: list[Record]) -> None:
    widest = max(sums, key=lambda r: r["bits"])
    over16, over32, channels = (
        sum(r[key] for r in sums) for key in ("channels_over_16_bits", "channels_over_32_bits", "channels")
    )
    where = f"{widest['bits']} bits, {widest['low']}..{widest['high']} ({escape(short(widest['node']))})"
    out.print(f"widest accumulator: {where}", soft_wrap=True)
    out.print(f"of {channels} channels {over16} can leave 16 bits, {over32} can leave 32 bits", soft_wrap=True)


def print_run(out: Console, record: Record) -> None:
    """The tensors with their first values, and the widest accumulator."""
    out.print(f"{escape(record['model'])} under {escape(record['profile'])}", soft_wrap=True)
    rows = table("tensor", "shape", "dtype", "first values")
    for t in record["tensors"]:
        shape, first = "x".join(map(str, t["shape"])), " ".join(map(str, t["first"]))
        rows.add_row(escape(short(t["name"])), shape, t["dtype"], first)
    out.print(rows)
    if record["accumulators"]:
        _widest(out, record["accumulators"])
