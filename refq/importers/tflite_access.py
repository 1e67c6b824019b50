"""Vectors and strings of a flatbuffer, none longer than the caps or beyond the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.importers import limits
from refq.importers.limits import ModelRejectedError, at_most

# what struct, NumPy and flatbuffers raise where an offset leaves the file
OUTSIDE = (struct.error, ValueError, TypeError, IndexError, OverflowError)


@contextmanager
def inside(file: str, place: str) -> Iterator[None]:
    """Offsets that leave the file, as a rejection."""
    try:
        yield
    except ModelRejectedError:
        raise
    except OUTSIDE as error:
        reason = f"the file ends before its contents do or is damaged ({type(error).__name__})"
        raise ModelRejectedError(file, place, reason) from None


@cache
def _quick_table() -> Any:
    """Tables of flatbuffers whose list of offsets is read once, not anew for every field."""
    from flatbuffers.table import Table

    class QuickTable(Table):  # type: ignore[misc]
        """A table of a file, its list of offsets inside the file."""

        __slots__ = ("offsets",)

        def __init__(self, content: bytes, place: int) -> None:
            super().__init__(content, place)
            start = place - int(struct.unpack_from("<i", content, place)[0])
            if not 0 <= start < len(content):
                raise IndexError("a list of offsets outside the file")
            self.offsets = struct.unpack_from(f"<{struct.unpack_from('<H', content, start)[0] // 2}H", content, start)

        def Offset(self, slot: int) -> int:  # noqa: N802
            """The offset of a field, 0 where it is absent."""
            return int(self.offsets[slot // 2]) if slot // 2 < len(self.offsets) else 0

    return QuickTable


def quick(table: Any) -> Any:
    """A table of the generated schema that reads its list of offsets once."""
    table._tab = _quick_table()(table._tab.Bytes, table._tab.Pos)
    return table


def count_of(file: str, table: Any, field: str, most: int) -> int:
    """The length of a vector of tables, each at least an offset of 4 bytes in the file."""
    return at_most(file, "", field.lower(), getattr(table, field + "Length")(), most)


def vector(table: Any, field: str, dtype: Any) -> NDArray[Any]:
    """A vector of numbers as a view of the file; empty where it is absent."""
    found = getattr(table, field + "AsNumpy")()
    return found if isinstance(found, np.ndarray) else np.empty(0, dtype)


def text(file: str, place: str, table: Any, slot: int) -> str:
    """A string whose length was checked; `slot` is the field's place in the table's list of offsets."""
    tab = table._tab
    offset = tab.Offset(slot)
    if offset == 0:
        return ""
    start, length = tab.Vector(offset), tab.VectorLen(offset)
    at_most(file, place, "characters of a name", length, limits.MOST_NAME)
    if start + length > len(tab.Bytes):
        raise ModelRejectedError(file, place, f"a string of {length} bytes goes beyond the file")
    return bytes(tab.Bytes[start : start + length]).decode("utf-8", "replace")
