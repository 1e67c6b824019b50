"""A trace as one self-contained page: layers with their agreement, the first divergence, pictures, the profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refq.graphs.table import short
from verify.failures import UsageError
from verify.report import number
from verify.trace import AGREES, HIDDEN, NONE, OTHER, REFUSED, Difference, Divergence, Field, Layer, Side, Trace
from verify.trace_pictures import places_picture, samples_picture, staircase_picture

MOST_VALUES, MOST_RULES = 72, 12
MARKS = {AGREES: "good", OTHER: "other", NONE: "bad", REFUSED: "bad", HIDDEN: "hidden"}
GUTTER, ROW = 14, 46
"""Pixels between two arcs beside the layers, and from one layer to the next."""


def percent(found: Sequence[Difference]) -> float:
    """Which part of the elements agrees, 0..100; 100 only where all do.

    >>> percent([Difference("t", 1000000, 1)]) < 100
    True
    """
    compared, differing = sum(d.compared for d in found), sum(d.differing for d in found)
    return 100.0 * (compared - differing) / compared if compared else 0.0


def _arcs(layers: Sequence[Layer]) -> tuple[list[dict[str, int]], int]:
    """Edges between layers that are no neighbours, as arcs; how many lie side by side at most."""
    maker = {name: place for place, layer in enumerate(layers) for name in layer.outputs}
    spans = sorted(
        {(maker[name], place) for place, layer in enumerate(layers) for name in layer.reads if name in maker},
        key=lambda span: span[1] - span[0],
    )
    lanes: list[list[tuple[int, int]]] = []
    arcs = []
    for start, stop in (span for span in spans if span[1] - span[0] > 1):
        lane = next((i for i, held in enumerate(lanes) if all(b <= start or stop <= a for a, b in held)), len(lanes))
        lanes[lane:] = [[*(lanes[lane] if lane < len(lanes) else []), (start, stop)], *lanes[lane + 1 :]]
        arcs.append({"from": start * ROW + ROW // 2, "to": stop * ROW + ROW // 2, "lane": lane})
    return arcs, len(lanes)


def _layer(layer: Layer) -> dict[str, Any]:
    alone = layer.alone
    if alone.verdict == AGREES:
        words = "agrees"
    elif alone.verdict == OTHER:
        words = f"{alone.differing} of {alone.compared} differ; under {_listed(alone.rules, 3)} none"
    elif alone.verdict == NONE:
        words = f"{alone.differing} of {alone.compared} differ; {alone.note or f'none of {alone.tried} rules fits'}"
    else:
        words = alone.verdict if alone.verdict == HIDDEN else f"refused: {alone.note}"
    compared, differing = (sum(getattr(d, key) for d in layer.results) for key in ("compared", "differing"))
    return {
        "name": short(layer.node), "full": layer.node, "op": layer.op, "rule": layer.rule, "words": words,
        "mark": MARKS[alone.verdict], "shape": " x ".join(map(str, layer.shape)), "dtype": layer.dtype,
        "compared": compared, "differing": differing, "percent": percent(layer.results), "shown": bool(layer.results),
    }  # fmt: skip


def _listed(rules: Sequence[str], most: int = MOST_RULES) -> str:
    more = f" and {len(rules) - most} more" if len(rules) > most else ""
    return ", ".join(rules[:most]) + more


def _field(field: Field) -> dict[str, Any]:
    cut = ", ".join(f"{a}:{b}" if step == 1 else f"{a}:{b}:{step}" for a, b, step in field.slices)
    few = field.values is not None and field.values.size <= MOST_VALUES
    values = " ".join(map(str, field.values.ravel().tolist())) if few and field.values is not None else ""
    size = 0 if field.values is None else field.values.size
    return {"tensor": field.tensor, "cut": cut, "shown": values, "size": size}


def _divergence(found: Divergence, who: tuple[str, str], salt: str, channel: int) -> dict[str, Any]:
    """Everything the page says of the first divergence. who: says `got`, says the other value."""
    d, sums = found.difference, found.arithmetic
    record: dict[str, Any] = {
        "node": found.node, "op": found.op, "rule": found.rule, "d": d, "who": who, "got": found.got,
        "expected": found.expected, "rules": found.rules, "other": found.other, "index": list(d.index),
        "samples": 0 if d.by_sample is None else int((d.by_sample > 0).sum()),
        "places": places_picture(d, salt, channel), "by_sample": samples_picture(d, salt), "staircase": "",
        "sums": sums,
    }  # fmt: skip
    if sums is None:
        return record
    names = {found.got: who[0], found.expected: who[1]}
    record |= {
        "fields": [_field(f) for f in sums.fields],
        "answers": [(code, names.get(code, ""), _listed(rules)) for code, rules in sums.answers.items()],
        "scale": None if sums.scale is None else number(sums.scale),
        "value": None if sums.value is None else number(sums.value),
        "residue": None if sums.residue is None else number(sums.residue),
    }
    if sums.steps is not None and sums.accumulator is not None:
        exact = None if sums.scale is None or sums.value is None else (sums.scale, sums.value)
        record["staircase"] = staircase_picture(sums.steps, sums.accumulator, exact, salt)
    return record


def _side(side: Side, salt: str, channel: int) -> dict[str, Any]:
    arcs, lanes = _arcs(side.layers)
    first = None if side.first is None else _divergence(side.first, (side.backend, "golden"), salt, channel)
    return {
        "side": side, "layers": [_layer(layer) for layer in side.layers], "arcs": arcs, "first": first,
        "gutter": 8 + lanes * GUTTER, "height": ROW * len(side.layers),
    }  # fmt: skip


def trace_page(trace: Trace) -> str:
    """The page as text: no script, nothing loaded from elsewhere; names of files and nodes are escaped.

    UsageError without jinja2 or matplotlib, which `refq[plots]` installs.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    except ImportError:
        raise UsageError("--html needs jinja2; pip install 'refq[plots]'") from None
    # ONNX has channels before rows and columns, TFLite behind them
    channel = 0 if trace.format == "onnx" else 2
    between = None
    if trace.between is not None:
        names = (trace.sides[0].backend, trace.sides[1].backend)
        first = trace.between.first
        between = {
            "found": trace.between,
            "first": None if first is None else _divergence(first, names, "between", channel),
        }
    environment = Environment(
        loader=PackageLoader("verify"), autoescape=select_autoescape(["html"]), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    sides = [_side(side, f"{place} {side.backend}", channel) for place, side in enumerate(trace.sides)]
    page = environment.get_template("trace.html")
    return page.render(trace=trace, sides=sides, between=between, row=ROW, lane=GUTTER)
