"""A network as named integer arrays and one JSON text, and back: what a file holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.channels import Crossing, FixedPoint, ShiftForm, ThresholdForm
from refq.networks.records import Form, IntegerNetwork, Step

FORMAT, VERSION = "refq-network", 1
HEADER = "header"
PLAIN = ("name", "op", "inputs", "weight_format", "input_format", "stride", "padding", "pool", "qmin", "qmax")
"""Fields of a step that stand in the header; the others are arrays."""
COLUMNS: dict[str, tuple[type, tuple[str, ...]]] = {
    "fixed": (FixedPoint, ("multiplier", "bias", "divisor", "qmin", "qmax")),
    "shift": (ShiftForm, ("bias", "shift", "qmin", "qmax", "sign", "zero_point")),
    "threshold": (ThresholdForm, ("qmin", "crossing", "sign")),
}
"""For each kind of form its table: a row a form, int64, the channel before these columns."""
THRESHOLDS = "thresholds"
PARTS = ("weights", "bias", *COLUMNS, THRESHOLDS)
Arrays = dict[str, NDArray[Any]]


def _row(channel: int, form: Form, names: Sequence[str]) -> list[int]:
    return [channel, *(int(getattr(form, name)) for name in names)]


def _form_arrays(forms: Sequence[Form]) -> Arrays:
    """A table a kind; thresholds in one line, as many of each form as its row says last."""
    arrays: Arrays = {}
    for part, (kind, names) in COLUMNS.items():
        rows = [_row(c, form, names) for c, form in enumerate(forms) if isinstance(form, kind)]
        if rows:
            arrays[part] = np.array(rows, np.int64)
    stairs = [form for form in forms if isinstance(form, ThresholdForm)]
    if stairs:
        counts = np.array([[len(form.thresholds)] for form in stairs], np.int64)
        arrays["threshold"] = np.hstack((arrays["threshold"], counts))
        arrays[THRESHOLDS] = np.array([t for form in stairs for t in form.thresholds], np.int64)
    return arrays


def _step_arrays(step: Step) -> Arrays:
    own = {"weights": step.weights, "bias": step.bias}
    return {part: array for part, array in own.items() if array is not None} | _form_arrays(step.forms or ())


def pack(network: IntegerNetwork) -> tuple[str, Arrays]:
    """The header's text and the arrays of a checked network, array `part` of step i as `i.part`."""
    arrays = {
        f"{place}.{part}": array
        for place, step in enumerate(network.steps)
        for part, array in _step_arrays(step).items()
    }
    header = {
        "format": FORMAT,
        "version": VERSION,
        "input_format": network.input_format,
        "input_shape": network.input_shape,
        "record": dict(network.record),
        "steps": [{name: getattr(step, name) for name in PLAIN} for step in network.steps],
        "arrays": {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()},
    }
    return json.dumps(header, default=int, separators=(",", ":")), arrays


def _fail(why: str) -> None:
    raise ValueError(why)


def _need(holds: bool, why: str) -> None:
    """One condition of a file."""
    if not holds:
        _fail(why)


def parse_header(text: str) -> dict[str, Any]:
    """The header, its format, version, fields and kinds known; what the values mean is `check`'s to say."""
    header: dict[str, Any] = json.loads(text)
    _need(isinstance(header, dict) and header.get("format") == FORMAT, f"the header is not that of a {FORMAT} file")
    version = header.get("version")
    _need(version == VERSION and type(version) is int, f"version={version!r} is unknown; this program reads {VERSION}")
    kinds = {
        "format": str, "version": int, "input_format": str, "input_shape": list, "record": dict, "steps": list,
        "arrays": dict,
    }  # fmt: skip
    _need(header.keys() == kinds.keys(), f"the header has fields {', '.join(header)}; legal: {', '.join(kinds)}")
    for name, kind in kinds.items():
        _need(isinstance(header[name], kind), f"header field {name} is not of kind {kind.__name__}")
    for place, step in enumerate(header["steps"]):
        right = isinstance(step, dict) and step.keys() == set(PLAIN)
        _need(right, f"step {place} of the header has not the fields {', '.join(PLAIN)}")
    return header


def declared(header: Mapping[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of every array by name; names are those of a step and a part."""
    legal = {f"{place}.{part}" for place in range(len(header["steps"])) for part in PARTS}
    found = {}
    for name, said in header["arrays"].items():
        _need(name in legal, f"array {name[:40]!r} is of no step")
        right = isinstance(said, list) and len(said) == 2 and isinstance(said[0], str) and isinstance(said[1], list)
        _need(right and all(type(size) is int for size in said[1]), f"array {name} is declared as {str(said)[:40]!r}")
        found[name] = (said[0], tuple(said[1]))
    return found


def _table(arrays: Mapping[str, NDArray[Any]], part: str, width: int) -> list[list[int]]:
    """A table's rows as Python ints."""
    array = arrays.get(part)
    if array is None:
        return []
    _need(array.dtype == np.int64, f"array {part} has dtype {array.dtype}; int64 is legal")
    _need(
        array.ndim == 2 and array.shape[1] == width and array.size > 0,
        f"array {part} has shape {array.shape}; (forms, {width}) is legal",
    )
    rows: list[list[int]] = array.tolist()
    return rows


def _stairs(arrays: Mapping[str, NDArray[Any]]) -> list[tuple[int, Form]]:
    """The threshold forms with their channels."""
    rows, line = _table(arrays, "threshold", 5), arrays.get(THRESHOLDS, np.empty(0, np.int64))
    _need(line.dtype == np.int64 and line.ndim == 1, f"array {THRESHOLDS} is not int64 in one line")
    counts = [row[-1] for row in rows]
    wrong = any(count < 0 for count in counts) or sum(counts) != line.size
    _need(not wrong, f"array {THRESHOLDS} has {line.size} values, its forms have {sum(counts)}")
    found: list[tuple[int, Form]] = []
    values, start = line.tolist(), 0
    for channel, qmin, crossing, sign, count in rows:
        own = tuple(values[start : start + count])
        found.append((channel, ThresholdForm(own, qmin, Crossing(crossing), sign)))
        start += count
    return found


def _forms(arrays: Mapping[str, NDArray[Any]]) -> tuple[Form, ...] | None:
    """The forms in the order of their channels, each channel once."""
    pairs = _stairs(arrays)
    for part in ("fixed", "shift"):
        kind, names = COLUMNS[part]
        rows = _table(arrays, part, len(names) + 1)
        pairs += [(row[0], kind(**dict(zip(names, row[1:], strict=True)))) for row in rows]
    pairs.sort(key=lambda pair: pair[0])
    _need(
        [channel for channel, _ in pairs] == list(range(len(pairs))), "the channels of its forms are not 0, 1, 2, ..."
    )
    return tuple(form for _, form in pairs) or None


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def unpack(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> IntegerNetwork:
    """The network of a parsed header and its arrays, not yet checked."""
    steps = []
    for place, plain in enumerate(header["steps"]):
        own = {part: arrays[name] for part in PARTS if (name := f"{place}.{part}") in arrays}
        fields = {name: _tuples(value) for name, value in plain.items()}
        steps.append(Step(**fields, weights=own.get("weights"), bias=own.get("bias"), forms=_forms(own)))
    shape = _tuples(header["input_shape"])
    return IntegerNetwork(tuple(steps), header["input_format"], shape, dict(header["record"]))
