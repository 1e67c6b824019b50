"""A graph as a table for people: one line a node."""

from __future__ import annotations

from typing import Any

HEADINGS = ("node", "op", "reads", "result", "shape", "dtype", "scale", "zero point", "parameters")
# what is not worth a word: name -> value, None for any
_USUAL = {"layout": None, "activation": "none", "keep_dims": False, "dilation": (1, 1), "groups": 1}
_WIDEST = 40


def short(text: str, most: int = _WIDEST) -> str:
    """Long names by their end, which is what tells them apart.

    >>> short("a/very/long/path", 8)
    '…ng/path'
    """
    clean = text if text.isprintable() else repr(text)[1:-1]
    return clean if len(clean) <= most else "…" + clean[len(clean) - most + 1 :]


def _numbers(values: Any) -> str:
    """One number, or how many and between which."""
    if len(values) == 1:
        return f"{values[0]:.6g}"
    low, high = min(values), max(values)
    return f"{low:.6g}" if low == high else f"{len(values)}: {low:.3g}..{high:.3g}"


def _usual(name: str, value: Any) -> bool:
    return name in _USUAL and _USUAL[name] in (None, value)


def _parameters(graph: Any, node: Any) -> str:
    shown = [f"{name}={value}" for name, value in node.attributes.items() if not _usual(name, value)]
    for name in node.inputs:
        tensor = graph.tensors[name] if name else None
        if tensor is not None and tensor.data is not None:
            shape = "x".join(map(str, tensor.shape)) or "scalar"
            count = 0 if tensor.quantization is None else tensor.quantization.scale.size
            scales = f" {count} scale{'s' * (count > 1)}" if count else ""
            shown.append(f"{tensor.dtype} {shape}{scales}")
    return "; ".join(shown)


def row(graph: Any, node: Any) -> tuple[str, ...]:
    """The cells of one node, in the order of HEADINGS."""
    reads = ", ".join(short(n) for n in node.inputs if n and graph.tensors[n].data is None)
    out = graph.tensors[node.outputs[0]]
    more = f" (+{len(node.outputs) - 1})" if len(node.outputs) > 1 else ""
    found = out.quantization
    scale = "" if found is None else _numbers(found.scale.tolist())
    zero = "" if found is None else _numbers(found.zero_point.tolist())
    shape = "x".join(map(str, out.shape))
    return (short(node.name), node.op, reads, short(out.name) + more, shape, out.dtype, scale, zero,
            _parameters(graph, node))  # fmt: skip


def text(graph: Any) -> str:
    """The whole table, columns aligned, with the inputs above and the outputs below."""

    def ends(names: tuple[str, ...]) -> str:
        return ", ".join(
            f"{short(n)} {'x'.join(map(str, graph.tensors[n].shape))} {graph.tensors[n].dtype}" for n in names
        )

    rows = [HEADINGS, *(row(graph, node) for node in graph.nodes)]
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)).rstrip() for cells in rows]
    return "\n".join([f"reads {ends(graph.inputs)}", *lines, f"gives {ends(graph.outputs)}"])
