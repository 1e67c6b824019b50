"""Ops of .onnx files that move elements and change none, on codes and on floats alike."""

from __future__ import annotations

from math import prod
from typing import Any

from refq.graphs.records import Tensor
from refq.importers.onnx_making import Making, axis_of, emit, integers, known, plain, rescaled
from refq.importers.onnx_records import OnnxNode, reject
from refq.importers.onnx_scales import same
from refq.importers.onnx_windows import pooling

BIG = 1 << 40


def reshape(making: Making, node: OnnxNode) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout as it is after training."""
    x = plain(making, node, node.input(0))
    shape = TARGETS[node.op](making, node, x)
    if prod(shape) != prod(x.shape):
        reject(
            making.model.file, node, f"shape {shape} holds {prod(shape)} elements, the input {x.shape} {prod(x.shape)}"
        )
    emit(making, node, "reshape", [x], {}, x.dtype, (shape,))


def _reshaped(making: Making, node: OnnxNode, x: Tensor) -> tuple[int, ...]:
    asked = integers(making, node, 1, "shape", "the shape")
    if asked is None or any(v < -1 for v in asked) or asked.count(-1) > 1:
        reject(making.model.file, node, f"shape={asked} must be sizes >= 0 with at most one -1")
    keep = not node.attributes.get("allowzero", 0)
    sizes = [x.shape[i] if v == 0 and keep and i < len(x.shape) else v for i, v in enumerate(asked)]
    rest = prod(v for v in sizes if v != -1)
    return tuple(prod(x.shape) // max(rest, 1) if v == -1 else v for v in sizes)


def _flattened(making: Making, node: OnnxNode, x: Tensor) -> tuple[int, ...]:
    axis = int(node.attributes.get("axis", 1))
    axis = axis if axis == len(x.shape) else axis_of(making, node, axis, len(x.shape))
    return prod(x.shape[:axis]), prod(x.shape[axis:])


def _squeezed(making: Making, node: OnnxNode, x: Tensor) -> tuple[int, ...]:
    axes = integers(making, node, 1, "axes", "the axes")
    rank = len(x.shape)
    if axes is None:
        return tuple(n for n in x.shape if n != 1)
    gone = {axis_of(making, node, a, rank) for a in axes}
    return tuple(n for i, n in enumerate(x.shape) if i not in gone)


def _unsqueezed(making: Making, node: OnnxNode, x: Tensor) -> tuple[int, ...]:
    axes = integers(making, node, 1, "axes", "the axes")
    if axes is None:
        reject(making.model.file, node, "has no axes")
    rank = len(x.shape) + len(axes)
    new = {axis_of(making, node, a, rank) for a in axes}
    rest = iter(x.shape)
    return tuple(1 if i in new else next(rest, 1) for i in range(rank))


def _unchanged(making: Making, node: OnnxNode, x: Tensor) -> tuple[int, ...]:
    return x.shape


TARGETS = {"Reshape": _reshaped, "Flatten": _flattened, "Squeeze": _squeezed, "Unsqueeze": _unsqueezed,
           "Identity": _unchanged, "Dropout": _unchanged}  # fmt: skip


def transpose(making: Making, node: OnnxNode) -> None:
    """Transpose."""
    x = plain(making, node, node.input(0))
    perm = tuple(node.attributes.get("perm") or reversed(range(len(x.shape))))
    if sorted(perm) != list(range(len(x.shape))):
        reject(making.model.file, node, f"perm={perm} does not order the {len(x.shape)} dimensions")
    emit(making, node, "transpose", [x], {"perm": perm}, x.dtype)


def _alike(making: Making, node: OnnxNode, first: Tensor, name: str) -> Tensor:
    """A part to be joined, its codes under the scale of the first one: they are handed on as they are."""
    part = plain(making, node, name)
    if part.dtype == "float32" or same(part.quantization, first.quantization):
        return part
    return rescaled(making, node, part, first.quantization)


def concat(making: Making, node: OnnxNode) -> None:
    """Concat."""
    first = plain(making, node, node.input(0))
    parts: list[Tensor | None] = [_alike(making, node, first, name) for name in node.inputs]
    axis = axis_of(making, node, int(node.attributes.get("axis", 1)), len(first.shape))
    if any(part is None or part.dtype != first.dtype for part in parts):
        reject(making.model.file, node, f"joins tensors of several types; pass {first.dtype} only")
    op = "float_concat" if first.dtype == "float32" else "concat"
    found = {"axis": axis} if op == "float_concat" else {"axis": axis, "activation": "none"}
    emit(making, node, op, parts, found, first.dtype)


def split(making: Making, node: OnnxNode) -> None:
    """Split into sizes that are given, or into equal ones."""
    x = plain(making, node, node.input(0))
    axis = axis_of(making, node, int(node.attributes.get("axis", 0)), len(x.shape))
    sizes, parts = integers(making, node, 1, "split", "the sizes"), len(node.outputs)
    if sizes is None:
        chunk = -(-x.shape[axis] // parts)
        sizes = tuple(max(min(chunk, x.shape[axis] - i * chunk), 0) for i in range(parts))
    emit(making, node, "split", [x], {"axis": axis, "sizes": sizes}, x.dtype)


def cut(making: Making, node: OnnxNode) -> None:
    """Slice: starts, ends and steps of some axes, worked out for all of them."""
    x = plain(making, node, node.input(0))
    starts, ends = (integers(making, node, i, w, w) for i, w in ((1, "starts"), (2, "ends")))
    if starts is None or ends is None:
        reject(making.model.file, node, "has no starts or no ends")
    axes = integers(making, node, 3, "axes", "axes") or tuple(range(len(starts)))
    steps = integers(making, node, 4, "steps", "steps") or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        reject(making.model.file, node, "starts, ends, axes and steps must be as many, no step 0")
    found = [(0, n, 1) for n in x.shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = axis_of(making, node, axis, len(x.shape))
        found[place] = slice(_near(start), _near(end), _near(step)).indices(x.shape[place])
    begin, end_, step_ = (tuple(side) for side in zip(*found, strict=True))
    emit(making, node, "slice", [x], {"begin": begin, "end": end_, "step": step_}, x.dtype)


def _near(value: int) -> int:
    return min(max(value, -BIG), BIG)


def pad(making: Making, node: OnnxNode) -> None:
    """Pad with a constant; on codes the value is a code, 0 where none is given."""
    x = plain(making, node, node.input(0))
    if node.attributes.get("mode", "constant") != "constant":
        reject(making.model.file, node, f"mode={node.attributes['mode']!r} is not supported; pass 'constant'")
    flat, axes = integers(making, node, 1, "pads", "the pads"), integers(making, node, 3, "", "the axes")
    places = tuple(range(len(x.shape))) if axes is None else tuple(axis_of(making, node, a, len(x.shape)) for a in axes)
    if flat is None or len(flat) != 2 * len(places) or min(flat, default=0) < 0 or max(flat, default=0) > BIG:
        reject(making.model.file, node, f"pads={flat} must be two numbers >= 0 for each of {len(places)} axes")
    pairs = {p: (flat[i], flat[i + len(places)]) for i, p in enumerate(places)}
    found = {"pads": tuple(pairs.get(i, (0, 0)) for i in range(len(x.shape))), "value": _pad_value(making, node, x)}
    emit(making, node, "pad", [x], found, x.dtype)


def _pad_value(making: Making, node: OnnxNode, x: Tensor) -> Any:
    given = known(making, node, 2, "the value")
    value = node.attributes.get("value", 0) if given is None or given.size != 1 else given.ravel()[0].item()
    return float(value) if x.dtype == "float32" else int(value)


def max_pool(making: Making, node: OnnxNode) -> None:
    """MaxPool without indices."""
    x = plain(making, node, node.input(0))
    if len(node.outputs) > 1 and node.outputs[1]:
        reject(making.model.file, node, "indices are not supported; take the first output only")
    gone = ("count_include_pad", "activation") if x.dtype == "float32" else ("count_include_pad",)
    found = {k: v for k, v in pooling(making, node, x.shape).items() if k not in gone}
    one = OnnxNode(node.name, node.op, node.domain, node.inputs, node.outputs[:1], node.attributes)
    emit(making, one, "float_max_pool" if x.dtype == "float32" else "max_pool", [x], found, x.dtype)


def argmax(making: Making, node: OnnxNode) -> None:
    """ArgMax, the first of equals."""
    x = plain(making, node, node.input(0))
    if node.attributes.get("select_last_index", 0):
        reject(making.model.file, node, "select_last_index=1 is not supported; pass 0")
    axis = axis_of(making, node, int(node.attributes.get("axis", 0)), len(x.shape))
    emit(making, node, "argmax", [x], {"axis": axis, "keep_dims": bool(node.attributes.get("keepdims", 1))}, "int64")


MOVING = {
    **{("", op): reshape for op in TARGETS},
    ("", "Transpose"): transpose,
    ("", "Concat"): concat,
    ("", "Split"): split,
    ("", "Slice"): cut,
    ("", "Pad"): pad,
    ("", "MaxPool"): max_pool,
    ("", "ArgMax"): argmax,
}
