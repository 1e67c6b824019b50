"""An operator of a .tflite file with its tensors, and what converters to nodes ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from refq.graphs.records import Node, Tensor
from refq.importers.limits import MOST_ELEMENTS, ModelRejectedError
from refq.importers.tflite_options import ACTIVATIONS, PADDINGS

CODES = ("int8", "uint8", "int16")
"""What quantized activations are stored in."""
Sizes = tuple[int, int]
Window = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Call:
    """An operator in its place; inputs are None where they are absent.

    axes: the quantized dimension that the file names for each input, also where there is one scale.
    """

    file: str
    name: str
    code: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Mapping[str, Any]
    axes: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Converted:
    """The nodes of an operator, and tensors between them that the file does not have."""

    nodes: tuple[Node, ...]
    between: tuple[Tensor, ...] = ()


def refuse(call: Call, reason: str) -> ModelRejectedError:
    """What to raise where an operator cannot be taken."""
    return ModelRejectedError(call.file, call.name, reason)


def operand(call: Call, place: int) -> Tensor:
    """An input that must be there."""
    tensor = call.inputs[place] if place < len(call.inputs) else None
    if tensor is None:
        raise refuse(call, f"input {place} is missing")
    return tensor


def optional(call: Call, place: int) -> Tensor | None:
    """An input that may be absent."""
    return call.inputs[place] if place < len(call.inputs) else None


def arity(call: Call, least: int, most: int, outputs: int = 1) -> None:
    """As many inputs and outputs as the operator has."""
    if not least <= len(call.inputs) <= most or len(call.outputs) != outputs:
        legal = f"{least} to {most}" if most > least else f"{least}"
        raise refuse(call, f"{len(call.inputs)} inputs, {len(call.outputs)} outputs; legal: {legal}, {outputs}")


def integers(call: Call, place: int, what: str, shape: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """The flat values of an input that must be constant integers, of a shape if one is given."""
    tensor = operand(call, place)
    if tensor.data is None:
        raise refuse(call, f"{what} ({tensor.name}) is computed; only constants are supported")
    if tensor.dtype not in ("int32", "int64"):
        raise refuse(call, f"{what} ({tensor.name}) is {tensor.dtype}; pass int32 or int64")
    if (shape is not None and tensor.shape != shape) or tensor.data.size > 64:
        raise refuse(call, f"{what} ({tensor.name}) has shape {tensor.shape}" + (f"; pass {shape}" if shape else ""))
    return tuple(int(n) for n in tensor.data.ravel())


def one_integer(call: Call, place: int, what: str) -> int:
    """The value of an input that must be one constant integer."""
    values = integers(call, place, what)
    if len(values) != 1:
        raise refuse(call, f"{what} has {len(values)} values; pass one")
    return values[0]


def axis_of(call: Call, what: str, axis: int, rank: int) -> int:
    """A dimension counted from the front."""
    if not -rank <= axis < rank:
        raise refuse(call, f"{what} {axis} of rank {rank}")
    return axis % rank


def codes_only(call: Call, *tensors: Tensor) -> None:
    """Quantized activations of one dtype, each with one scale."""
    for tensor in tensors:
        if tensor.dtype == "float32":
            raise refuse(call, f"float {call.code}; pass the int8 model")
        if tensor.dtype not in CODES:
            raise refuse(call, f"{tensor.name} is {tensor.dtype}; supported: {', '.join(CODES)}")
        if tensor.dtype != tensors[0].dtype:
            raise refuse(call, f"{tensor.name} is {tensor.dtype} beside {tensors[0].dtype}; pass one type")
        if tensor.quantization is None or tensor.quantization.axis is not None:
            raise refuse(call, f"{tensor.name} needs one scale and zero point")


def same_type(call: Call, *tensors: Tensor) -> None:
    """Values that are moved and not computed with: of one type, scales one a tensor."""
    for tensor in tensors:
        if tensor.dtype != tensors[0].dtype:
            raise refuse(call, f"{tensor.name} is {tensor.dtype} beside {tensors[0].dtype}; pass one type")
        if tensor.quantization is not None and tensor.quantization.axis is not None:
            raise refuse(call, f"{tensor.name} has scales a channel; only constants of products may")


def activation(call: Call) -> str:
    """The name of the fused activation."""
    number = call.options["FusedActivationFunction"]
    if number not in ACTIVATIONS:
        raise refuse(call, f"fused activation number {number}; supported: {', '.join(ACTIVATIONS.values())}")
    return ACTIVATIONS[number]


def pair(call: Call, what: str, height: str, width: str) -> tuple[int, int]:
    """Two fields of the options that count from 1."""
    found = (int(call.options[height]), int(call.options[width]))
    if min(found) < 1:
        raise refuse(call, f"{what} {found}; each is at least 1")
    return found


def padding_of(call: Call, x: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Window:
    """Explicit padding of a window over the rows and columns of x.

    SAME: out = ceil(in / stride), the padding that makes it so, the smaller half first.
    """
    kind = PADDINGS.get(call.options["Padding"])
    if kind is None:
        raise refuse(call, f"padding number {call.options['Padding']}; legal: SAME, VALID")
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if kind == "VALID":
        return (0, 0), (0, 0)
    sizes = zip(x.shape[1:3], spans, stride, strict=True)
    totals = [max((-(-n // s) - 1) * s + span - n, 0) for n, span, s in sizes]
    padded = [n + total for n, total in zip(x.shape[1:3], totals, strict=True)]
    if prod(padded) * x.shape[0] * x.shape[3] > MOST_ELEMENTS:
        raise refuse(call, f"padding {totals} of {x.shape} makes over {MOST_ELEMENTS} elements")
    top, left = (total // 2 for total in totals)
    return (top, totals[0] - top), (left, totals[1] - left)


def rank_of(call: Call, tensor: Tensor, rank: int) -> Tensor:
    """A tensor that must have a rank."""
    if len(tensor.shape) != rank:
        raise refuse(call, f"{tensor.name} has shape {tensor.shape}; pass rank {rank}")
    return tensor


def converted(call: Call, op: str, inputs: tuple[Tensor | None, ...], **attributes: Any) -> Converted:
    """One node that writes the operator's outputs."""
    names = tuple(None if tensor is None else tensor.name for tensor in inputs)
    outputs = tuple(tensor.name for tensor in call.outputs)
    return Converted((Node(call.name, op, names, outputs, attributes, call.code),))


def equal_scales(a: Tensor, b: Tensor) -> bool:
    """Whether codes of two tensors mean the same values."""
    if a.quantization is None or b.quantization is None:
        return a.quantization is b.quantization
    one, two = a.quantization, b.quantization
    return np.array_equal(one.scale, two.scale) and np.array_equal(one.zero_point, two.zero_point)
