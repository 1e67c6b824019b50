"""Traces as JSON records."""

from __future__ import annotations

from fractions import Fraction
from math import isfinite
from typing import Any

import numpy as np

from verify.report import number
from verify.trace import Arithmetic, Between, Difference, Divergence, Field, Judgement, Layer, Remedy, Side, Trace

Record = dict[str, Any]


def value_record(value: Any) -> Any:
    """A number that JSON can hold: floats that are not finite as text."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def difference_record(found: Difference) -> Record:
    """One compared tensor."""
    record: Record = {"tensor": found.tensor, "compared": found.compared, "differing": found.differing}
    if found.note:
        return record | {"note": found.note}
    if found.differing and found.by_sample is not None:
        record |= {
            "largest": found.largest,
            "sample": found.sample,
            "index": list(found.index),
            "samples": int(np.count_nonzero(found.by_sample)),
        }
    return record


def _judgement_record(found: Judgement) -> Record:
    record: Record = {"verdict": found.verdict, "compared": found.compared, "differing": found.differing}
    if found.differing:
        record |= {"largest": found.largest, "tried": found.tried}
    record["rules"] = list(found.rules)
    record |= {"through": list(found.through)} if found.through else {}
    return record | ({"note": found.note} if found.note else {})


def _layer_record(layer: Layer) -> Record:
    return {
        "node": layer.node,
        "op": layer.op,
        "source": layer.source,
        "tags": layer.tags.split(),
        "rule": layer.rule,
        "shape": list(layer.shape),
        "dtype": layer.dtype,
        "results": [difference_record(d) for d in layer.results],
        "alone": _judgement_record(layer.alone),
    }


def _rational(value: Fraction | None) -> Record | None:
    return None if value is None else {"exact": str(value), "decimal": number(value)}


def _field_record(field: Field) -> Record:
    values = None if field.values is None else [value_record(v) for v in field.values.ravel().tolist()]
    return {"tensor": field.tensor, "slices": [list(s) for s in field.slices], "values": values}


def arithmetic_record(found: Arithmetic) -> Record:
    """One element; rationals as text, so that nothing is rounded on the way."""
    return {
        "fields": [_field_record(field) for field in found.fields],
        "accumulator": found.accumulator,
        "scale": _rational(found.scale),
        "value": _rational(found.value),
        "approximate": found.approximate or None,
        "tie_residue": _rational(found.residue),
        "words": found.words,
        "answers": [{"value": value_record(code), "rules": list(rules)} for code, rules in found.answers.items()],
        "refused": [{"rule": rule, "why": why} for rule, why in found.refused],
    }


def divergence_record(found: Divergence, names: tuple[str, str]) -> Record:
    """The first divergence; names: of who says `got` and who says the other value."""
    record = {
        "node": found.node,
        "op": found.op,
        "rule": found.rule,
        **difference_record(found.difference),
        names[0]: value_record(found.got),
        names[1]: value_record(found.expected),
        "rules": list(found.rules),
    }
    if found.arithmetic is not None:
        record["arithmetic"] = arithmetic_record(found.arithmetic)
    return record


def _remedy_record(found: Remedy) -> Record:
    return {
        "base": found.base,
        "rules": found.rules,
        "nodes": found.nodes,
        "toml": found.toml,
        "verified": not found.differing and bool(found.compared),
        "compared": found.compared,
        "differing": found.differing,
    }


def side_record(side: Side) -> Record:
    """One runtime beside the golden run."""
    record: Record = {
        "backend": {"name": side.backend, "version": side.version or None},
        "profile": side.profile,
        "strength": f"SAMPLED {side.compared}",
        "samples": side.samples,
        "compared": side.compared,
        "differing": side.differing,
        "layers": [_layer_record(layer) for layer in side.layers],
        "first": None if side.first is None else divergence_record(side.first, ("got", "expected")),
        "remedy": None if side.remedy is None else _remedy_record(side.remedy),
        "hidden": list(side.hidden),
        "findings": list(side.findings),
    }
    return record | ({"failure": side.failure} if side.failure else {})


def _between_record(found: Between) -> Record:
    first = None
    if found.first is not None:
        first = divergence_record(found.first, ("left", "right")) | {"right_rules": list(found.first.other)}
    return {
        "strength": f"SAMPLED {found.compared}",
        "compared": found.compared,
        "differing": found.differing,
        "results": [difference_record(d) for d in found.results],
        "first": first,
    }


def trace_record(trace: Trace) -> Record:
    """`refq trace --json`."""
    record: Record = {"model": trace.model, "format": trace.format, "samples": trace.samples, "inputs": trace.inputs}
    record["sides"] = [side_record(side) for side in trace.sides]
    return record | ({} if trace.between is None else {"between": _between_record(trace.between)})
