"""The constants of an .onnx file: sizes are compared with what is stored before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.importers.limits import MOST_CONSTANT_BYTES, ModelRejectedError, checked_shape

DTYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
          21: "uint4", 22: "int4"}  # fmt: skip
"""Element types by their number in the format."""
FOUR_BITS = {"uint4": "uint8", "int4": "int8"}
FIELDS = {"float32": "float_data", "int64": "int64_data"}
"""Where values stand that are not raw; all others in int32_data."""
VALUES = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
EXTERNAL = 1


def constants_of(file: str, tensors: Iterable[Any]) -> tuple[dict[str, NDArray[Any]], set[str]]:
    """The stored tensors of a graph by name, and those of 4 bits; together they stay below the cap."""
    found: dict[str, NDArray[Any]] = {}
    packed: set[str] = set()
    size = 0
    for tensor in tensors:
        if not isinstance(tensor.name, str) or not tensor.name or tensor.name in found:
            raise ModelRejectedError(file, f"constant {tensor.name[:40]!r}", "is there twice or has no proper name")
        found[tensor.name] = constant(file, tensor.name, tensor)
        size += found[tensor.name].nbytes
        if size > MOST_CONSTANT_BYTES:
            raise ModelRejectedError(
                file, f"constant {tensor.name}", f"constants take over {MOST_CONSTANT_BYTES} bytes"
            )
        if DTYPES[tensor.data_type] in FOUR_BITS:
            packed.add(tensor.name)
    return found, packed


def constant(file: str, name: str, tensor: Any) -> NDArray[Any]:
    """The values of a TensorProto; codes of 4 bits one a byte."""
    place = f"constant {name}"
    if tensor.data_type not in DTYPES:
        raise ModelRejectedError(file, place, f"element type {tensor.data_type}; legal: {', '.join(DTYPES.values())}")
    if tensor.data_location == EXTERNAL or len(tensor.external_data):
        raise ModelRejectedError(file, place, "values are in another file; save the model with its tensors inside")
    if sum(field.name in VALUES for field, _ in tensor.ListFields()) > 1:
        raise ModelRejectedError(file, place, "has values in two fields")
    if tensor.HasField("segment"):
        raise ModelRejectedError(file, place, "is a segment of a tensor; store it whole")
    shape = checked_shape(file, place, tuple(tensor.dims))
    return _values(file, place, tensor, shape, DTYPES[tensor.data_type])


def _values(file: str, place: str, tensor: Any, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    count, stored = prod(shape), np.dtype(FOUR_BITS.get(dtype, dtype))
    nibbles = dtype in FOUR_BITS
    entries = (count + 1) // 2 if nibbles else count
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != entries * stored.itemsize:
            reason = f"{len(tensor.raw_data)} bytes for shape {shape} of {dtype}"
            raise ModelRejectedError(file, place, f"{reason}; there must be {entries * stored.itemsize}")
        found = np.frombuffer(tensor.raw_data, stored.newbyteorder("<")).astype(stored)
    else:
        found = _typed(file, place, getattr(tensor, FIELDS.get(dtype, "int32_data")), entries, stored, nibbles)
    return (_unpacked(found, dtype, count) if nibbles else found).reshape(shape)


def _typed(file: str, place: str, field: Any, entries: int, stored: np.dtype[Any], nibbles: bool) -> NDArray[Any]:
    if len(field) != entries:
        raise ModelRejectedError(file, place, f"{len(field)} values stored where its shape needs {entries}")
    if stored == np.float32:
        return np.array(field, np.float32)
    wide = np.array(field, np.int64)
    if nibbles:
        return (wide & 255).astype(np.uint8)
    low, high = (0, 1) if stored == np.bool_ else (np.iinfo(stored).min, np.iinfo(stored).max)
    if wide.size and not low <= int(wide.min()) <= int(wide.max()) <= high:
        raise ModelRejectedError(file, place, f"a value is outside {low}..{high} of {stored}")
    return wide.astype(stored)


def _unpacked(codes: NDArray[Any], dtype: str, count: int) -> NDArray[Any]:
    """Two codes a byte, the low half first."""
    pairs = codes.view(np.uint8)
    flat = np.stack([pairs & 15, pairs >> 4], axis=-1).ravel()[:count]
    return ((flat ^ 8).astype(np.int8) - np.int8(8)) if dtype == "int4" else flat
