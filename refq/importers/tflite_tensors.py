"""Tensors of a .tflite file as tensors of a graph: types, shapes, scales and the stored values checked."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.records import Quantization, Tensor
from refq.graphs.sites import INTEGERS
from refq.importers import limits
from refq.importers.limits import ModelRejectedError, at_most, checked_shape
from refq.importers.tflite_file import FileTensor

STORED = {
    "float32": np.dtype("<f4"),
    "bool": np.dtype("?"),
    "int8": np.dtype("i1"),
    "uint8": np.dtype("u1"),
    "int16": np.dtype("<i2"),
    "uint16": np.dtype("<u2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
}
HALVES = {"int4": np.dtype("i1"), "uint4": np.dtype("u1")}
"""Two codes a byte in the file, one a byte here."""


def unique_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, with #place added to those that are empty or were there before.

    >>> unique_names(("a", "", "a"))
    ('a', '#1', 'a#2')
    """
    found: dict[str, None] = {}
    taken = set(names)
    for place, name in enumerate(names):
        chosen = name
        while chosen in found or not chosen or (chosen != name and chosen in taken):
            chosen = f"{chosen}#{place}"
        found[chosen] = None
    return tuple(found)


def graph_tensors(file: str, tensors: tuple[FileTensor, ...]) -> dict[str, Tensor]:
    """All tensors of a file, in its order, by unique names."""
    names = unique_names(tuple(tensor.name for tensor in tensors))
    found, size, scales = {}, 0, 0
    for place, (name, tensor) in enumerate(zip(names, tensors, strict=True)):
        where = f"tensor {place} ({name})"
        _check_kind(file, where, tensor)
        size += prod(tensor.shape) * _width(tensor.dtype) if tensor.data.size else 0
        at_most(file, where, "bytes of constants up to here", size, limits.MOST_CONSTANT_BYTES)
        scales += max(tensor.scale.size, tensor.zero_point.size)
        at_most(file, where, "scales up to here", scales, limits.MOST_SCALES)
        found[name] = Tensor(
            name, tensor.shape, tensor.dtype, _quantization(file, where, tensor), _data(file, where, tensor)
        )
    return found


def _width(dtype: str) -> int:
    return (STORED | HALVES)[dtype].itemsize


def _check_kind(file: str, where: str, tensor: FileTensor) -> None:
    """A type and a shape that arrays can have."""
    if tensor.peculiar:
        raise ModelRejectedError(file, where, f"is {tensor.peculiar}")
    if tensor.dtype not in STORED | HALVES:
        raise ModelRejectedError(file, where, f"has type {tensor.dtype}; supported: {', '.join(STORED | HALVES)}")
    checked_shape(file, where, tensor.shape)
    if not tensor.signature:
        return
    rest = zip(tensor.signature[1:], tensor.shape[1:], strict=False)
    if len(tensor.signature) != len(tensor.shape) or any(a != b for a, b in rest):
        reason = f"shape signature {tensor.signature} of shape {tensor.shape}; only dimension 0 may be open (-1)"
        raise ModelRejectedError(file, where, reason)
    if tensor.signature[0] not in (-1, tensor.shape[0]):
        raise ModelRejectedError(file, where, f"shape signature {tensor.signature} of shape {tensor.shape}")


def _quantization(file: str, where: str, tensor: FileTensor) -> Quantization | None:
    """Scales and zero points; None for floats, booleans and plain integers."""
    scale, zeros = tensor.scale, tensor.zero_point
    if tensor.dtype not in INTEGERS or not scale.size:
        return None
    if zeros.size != scale.size:
        raise ModelRejectedError(file, where, f"{scale.size} scales and {zeros.size} zero points; pass as many of each")
    bad = np.flatnonzero(~(np.isfinite(scale) & (scale >= np.finfo(np.float32).tiny)))
    if bad.size:
        raise ModelRejectedError(file, where, f"scale[{bad[0]}]={scale[bad[0]]}; scales are finite and >= 2**-126")
    fmt = INTEGERS[tensor.dtype]
    out = np.flatnonzero((zeros < fmt.qmin) | (zeros > fmt.qmax))
    if out.size:
        raise ModelRejectedError(file, where, f"zero_point[{out[0]}]={zeros[out[0]]} is outside {tensor.dtype}")
    axis = _axis(file, where, tensor)
    return Quantization(scale.astype(np.float32), zeros.astype(np.int64), axis)


def _axis(file: str, where: str, tensor: FileTensor) -> int | None:
    """The dimension of the channels; None for one scale."""
    count, rank = tensor.scale.size, len(tensor.shape)
    if count == 1:
        return None
    if not 0 <= tensor.axis < rank:
        raise ModelRejectedError(file, where, f"quantized dimension {tensor.axis} of a tensor of rank {rank}")
    if tensor.shape[tensor.axis] != count:
        reason = f"{count} scales for {tensor.shape[tensor.axis]} channels along dimension {tensor.axis}"
        raise ModelRejectedError(file, where, reason)
    return tensor.axis


def _data(file: str, where: str, tensor: FileTensor) -> NDArray[Any] | None:
    """The values of a constant in memory of their own; None for a tensor that is computed."""
    elements = prod(tensor.shape)
    if not tensor.data.size:
        return None
    expected = (elements + 1) // 2 if tensor.dtype in HALVES else elements * STORED[tensor.dtype].itemsize
    if tensor.data.size != expected:
        reason = f"{tensor.data.size} bytes stored for shape {tensor.shape} of {tensor.dtype}, which takes {expected}"
        raise ModelRejectedError(file, where, reason)
    if tensor.dtype in HALVES:
        return _unpacked(tensor.data, elements, tensor.dtype).reshape(tensor.shape)
    if tensor.dtype == "bool":
        truths: NDArray[Any] = (tensor.data != 0).reshape(tensor.shape)
        return truths
    stored = tensor.data.copy().view(STORED[tensor.dtype])
    values: NDArray[Any] = stored.astype(stored.dtype.newbyteorder("="), copy=False).reshape(tensor.shape)
    return values


def _unpacked(data: NDArray[np.uint8], elements: int, dtype: str) -> NDArray[Any]:
    """Codes of 4 bits, the low half of a byte first; signed ones in two's complement."""
    codes = np.empty((data.size, 2), np.uint8)
    np.bitwise_and(data, 15, out=codes[:, 0])
    np.right_shift(data, 4, out=codes[:, 1])
    if dtype == "uint4":
        return codes.ravel()[:elements]
    codes ^= 8
    signed = codes.view(np.int8)
    signed -= 8
    return signed.ravel()[:elements]
