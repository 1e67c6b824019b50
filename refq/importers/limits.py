"""What a model file may ask for, and the one error that says a file was not believed.

Every declared length is held against these caps and against the file before anything is looped over or allocated.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

MOST_FILE_BYTES = 1 << 27
"""Of a file."""
MOST_TENSORS = 1 << 12
MOST_NODES = 1 << 11
MOST_OPERANDS = 1 << 10
"""Tensors that one node reads or writes."""
MOST_LINKS = 1 << 16
"""Tensors that all nodes together read and write."""
MOST_RANK = 6
MOST_ELEMENTS = 1 << 28
"""Of one tensor, constant or computed."""
MOST_CONSTANT_BYTES = 1 << 28
"""Of all constants together, a code of 4 bits in a byte."""
MOST_MEMORY = 3 << 28
"""What importing takes at the most: the file, its constants, and half as much to unpack them."""
MOST_CHANNELS = 1 << 20
"""Scales of one tensor."""
MOST_SCALES = 1 << 21
"""Of all tensors together."""
MOST_NAME = 1 << 12
"""Characters of a name."""
MOST_NAMES = 1 << 22
"""Characters of all names together."""


class ModelRejectedError(ValueError):
    """A model file that is damaged, hostile, or asks for what is not supported; one line.

    file: what was read. place: the node or tensor, "" where it is the file itself. reason: what is wrong there.
    """

    def __init__(self, file: str, place: str, reason: str) -> None:
        self.file, self.place, self.reason = file, place, _short(reason, 400)
        super().__init__(": ".join(_short(part, 400) for part in (file, place, reason) if part))


def _short(text: str, most: int) -> str:
    """One line of printable characters."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    return line if len(line) <= most else line[: most - 3] + "..."


def read_bytes(source: Any, name: str) -> tuple[str, bytes]:
    """The name of a file and what it holds, its size checked before it is read; bytes are taken as they are."""
    if isinstance(source, bytes | bytearray | memoryview):
        file, size = name, memoryview(source).nbytes
    else:
        path = Path(source)
        file, size = path.name, path.stat().st_size
        if not path.is_file():
            raise ModelRejectedError(file, "", "not a regular file")
    if size > MOST_FILE_BYTES:
        raise ModelRejectedError(file, "", f"{size} bytes; a model may have {MOST_FILE_BYTES}")
    if isinstance(source, bytes | bytearray | memoryview):
        return file, bytes(source)
    with path.open("rb") as opened:
        return file, opened.read(MOST_FILE_BYTES + 1)


def at_most(file: str, place: str, what: str, count: int, most: int) -> int:
    """A declared count that is not beyond its cap."""
    if count > most:
        raise ModelRejectedError(file, place, f"{count} {what}; a model may have {most}")
    return count


def checked_shape(file: str, place: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without negative dimensions, of a rank and a number of elements inside the caps."""
    at_most(file, place, "dimensions", len(shape), MOST_RANK)
    for axis, size in enumerate(shape):
        if size < 0:
            raise ModelRejectedError(file, place, f"dimension {axis} is {size}; pass sizes that are known")
    if max(shape, default=0) > MOST_ELEMENTS or prod(shape) > MOST_ELEMENTS:
        raise ModelRejectedError(file, place, f"shape {shape} has over {MOST_ELEMENTS} elements")
    return shape
