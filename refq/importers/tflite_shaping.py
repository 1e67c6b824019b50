"""TFLite operators that move values and compute nothing."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from refq.graphs.records import Node, Tensor
from refq.importers import tflite_calls as calls
from refq.importers.tflite_calls import Call, Converted, converted, operand, refuse


def pad(call: Call) -> Converted:
    """PAD with the zero point, PADV2 with a code."""
    calls.arity(call, *((3, 3) if call.code == "PADV2" else (2, 2)))
    x, y = operand(call, 0), call.outputs[0]
    calls.same_type(call, x, y)
    flat = calls.integers(call, 1, "paddings", (len(x.shape), 2))
    if min(flat, default=0) < 0:
        raise refuse(call, f"paddings {flat}; each is 0 or more")
    pads = tuple(zip(flat[::2], flat[1::2], strict=True))
    if call.code == "PAD":
        return converted(call, "pad", (x,), pads=pads)
    return converted(call, "pad", (x,), pads=pads, value=_pad_value(call, x))


def _pad_value(call: Call, x: Tensor) -> int:
    """The one code that PADV2 pads with; its scale is that of the input."""
    value = operand(call, 2)
    calls.codes_only(call, x, value)
    if value.data is None or value.data.size != 1:
        raise refuse(call, f"padding value ({value.name}) must be one constant")
    if not calls.equal_scales(value, call.outputs[0]):
        raise refuse(call, f"padding value ({value.name}) has another scale or zero point than the output")
    return int(value.data.ravel()[0])


def concatenation(call: Call) -> Converted:
    """CONCATENATION along one axis."""
    calls.arity(call, 1, 1 << 10)
    inputs = tuple(operand(call, place) for place in range(len(call.inputs)))
    calls.same_type(call, *inputs, call.outputs[0])
    axis = calls.axis_of(call, "axis", int(call.options["Axis"]), len(inputs[0].shape))
    return converted(call, "concat", inputs, axis=axis, activation=calls.activation(call))


def _check_shape(call: Call, place: int) -> None:
    """A constant shape, with at most one -1, leads to the declared one; dimension 0 may be open for batches."""
    wanted, declared = calls.integers(call, place, "new shape"), call.outputs[0].shape
    fits = len(wanted) == len(declared) and all(w in (-1, n) for w, n in zip(wanted, declared, strict=True))
    if not fits or wanted.count(-1) > 1:
        raise refuse(call, f"new shape {wanted}, the file declares {declared}")


def reshape(call: Call) -> Converted:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the declared shape of the output counts."""
    calls.arity(call, *{"RESHAPE": (1, 2), "SQUEEZE": (1, 1), "EXPAND_DIMS": (2, 2)}[call.code])
    x, y = operand(call, 0), call.outputs[0]
    calls.same_type(call, x, y)
    if prod(x.shape) != prod(y.shape):
        raise refuse(call, f"{x.shape} has other elements than {y.shape}")
    if call.code == "RESHAPE" and calls.optional(call, 1) is not None:
        _check_shape(call, 1)
    if call.code == "EXPAND_DIMS":
        axis = calls.axis_of(call, "axis", calls.one_integer(call, 1, "axis"), len(x.shape) + 1)
        if y.shape != (*x.shape[:axis], 1, *x.shape[axis:]):
            raise refuse(call, f"axis {axis} added to {x.shape} is not {y.shape}")
    if call.code == "SQUEEZE" and [n for n in x.shape if n != 1] != [n for n in y.shape if n != 1]:
        raise refuse(call, f"{x.shape} squeezed is not {y.shape}")
    return converted(call, "reshape", (x,))


def transpose(call: Call) -> Converted:
    """TRANSPOSE by a constant permutation."""
    calls.arity(call, 2, 2)
    x, rank = operand(call, 0), len(operand(call, 0).shape)
    calls.same_type(call, x, call.outputs[0])
    perm = tuple(calls.axis_of(call, "dimension", p, rank) for p in calls.integers(call, 1, "permutation", (rank,)))
    if sorted(perm) != list(range(rank)):
        raise refuse(call, f"permutation {perm} does not name each of {rank} dimensions once")
    return converted(call, "transpose", (x,), perm=perm)


def split(call: Call) -> Converted:
    """SPLIT (axis, x) into equal parts, SPLIT_V (x, sizes, axis) into parts of constant sizes."""
    even = call.code == "SPLIT"
    calls.arity(call, *((2, 2) if even else (3, 3)), outputs=len(call.outputs))
    x = operand(call, 1 if even else 0)
    calls.same_type(call, x, *call.outputs)
    axis = calls.axis_of(call, "axis", calls.one_integer(call, 0 if even else 2, "axis"), len(x.shape))
    sizes = _equal_parts(call, x.shape[axis]) if even else _parts(call, x.shape[axis])
    if len(sizes) != len(call.outputs):
        raise refuse(call, f"{len(sizes)} parts and {len(call.outputs)} outputs")
    return converted(call, "split", (x,), axis=axis, sizes=sizes)


def _equal_parts(call: Call, size: int) -> tuple[int, ...]:
    count = int(call.options["NumSplits"])
    if count < 1 or size % count or count != len(call.outputs):
        raise refuse(call, f"{size} places into {count} parts, {len(call.outputs)} outputs")
    return (size // count,) * count


def _parts(call: Call, size: int) -> tuple[int, ...]:
    """Sizes of which one may be -1, the rest."""
    given = calls.integers(call, 1, "sizes")
    rest = size - sum(n for n in given if n != -1)
    found = tuple(rest if n == -1 else n for n in given)
    if given.count(-1) > 1 or min(found, default=0) < 0 or sum(found) != size:
        raise refuse(call, f"sizes {given} do not make {size}")
    return found


def blocks(call: Call) -> Converted:
    """SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: (x, block, paddings or crops)."""
    calls.arity(call, 3, 3)
    x = operand(call, 0)
    calls.same_type(call, x, call.outputs[0])
    block = calls.integers(call, 1, "block")
    pairs = calls.integers(call, 2, "paddings or crops", (len(block), 2))
    if not block or len(block) >= len(x.shape) or min(block) < 1 or min(pairs) < 0:
        raise refuse(call, f"block {block} with {pairs} on shape {x.shape}")
    op, name = ("space_to_batch", "pads") if call.code == "SPACE_TO_BATCH_ND" else ("batch_to_space", "crops")
    return converted(call, op, (x,), block=block, **{name: tuple(zip(pairs[::2], pairs[1::2], strict=True))})


def _equal_meaning(call: Call, *tensors: Tensor) -> None:
    """Stacking copies codes: they must mean the same in every tensor."""
    for tensor in tensors:
        if not calls.equal_scales(tensor, tensors[0]):
            raise refuse(call, f"{tensor.name} has another scale or zero point than {tensors[0].name}")


def pack(call: Call) -> Converted:
    """PACK: every input gets a new axis, then they are concatenated along it."""
    calls.arity(call, 1, 1 << 10)
    inputs, y = tuple(operand(call, place) for place in range(len(call.inputs))), call.outputs[0]
    calls.same_type(call, *inputs, y)
    _equal_meaning(call, *inputs, y)
    axis = calls.axis_of(call, "axis", int(call.options["Axis"]), len(y.shape))
    shape = (*y.shape[:axis], 1, *y.shape[axis + 1 :])
    if any((*x.shape[:axis], 1, *x.shape[axis:]) != shape for x in inputs) or y.shape[axis] != len(inputs):
        raise refuse(call, f"{len(inputs)} of shape {inputs[0].shape} along axis {axis} do not make {y.shape}")
    between = tuple(replace(x, name=f"{y.name}#{i}", shape=shape, data=None) for i, x in enumerate(inputs))
    parts = tuple(_moved(call, i, x, b) for i, (x, b) in enumerate(zip(inputs, between, strict=True)))
    joined = converted(call, "concat", between, axis=axis, activation="none")
    return Converted((*parts, *joined.nodes), between)


def unpack(call: Call) -> Converted:
    """UNPACK: split into parts of one place each, then the axis is dropped."""
    calls.arity(call, 1, 1, outputs=len(call.outputs))
    x = operand(call, 0)
    calls.same_type(call, x, *call.outputs)
    _equal_meaning(call, x, *call.outputs)
    axis = calls.axis_of(call, "axis", int(call.options["Axis"]), len(x.shape))
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    if x.shape[axis] != len(call.outputs) or any(y.shape != shape for y in call.outputs):
        raise refuse(call, f"{x.shape} along axis {axis} does not make {len(call.outputs)} of {shape}")
    names = [f"{call.outputs[0].name}#{i}" for i in range(len(call.outputs))]
    between = tuple(replace(x, name=n, shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]), data=None) for n in names)
    cut = converted(replace(call, outputs=between), "split", (x,), axis=axis, sizes=(1,) * len(between))
    parts = (_moved(call, i, b, y) for i, (b, y) in enumerate(zip(between, call.outputs, strict=True)))
    return Converted((*cut.nodes, *parts), between)


def _moved(call: Call, place: int, x: Tensor, y: Tensor) -> Node:
    """A reshape within PACK or UNPACK."""
    return Node(f"{call.name}/{place}", "reshape", (x.name,), (y.name,), {}, call.code)
