"""Where the left operand of a convolution's products comes from: codes as they lie, or patches of codes or of words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refq.encodings import Encoding
from refq.products.bitplanes import BitPlanes, packed
from refq.products.conv_operands import Operands
from refq.products.patches import fill_patches

Source = Callable[[int, int, int], Any]
"""source(group, start, count): rows of the group's patch matrix, which the next call overwrites."""


def codes_as_they_lie(task: Operands) -> Callable[[], Source]:
    """Of a 1 x 1 kernel without groups, strides and padding the codes are the patch matrix."""
    return lambda: lambda _, start, count: task.codes[start : start + count]


def code_patches(task: Operands, rows: int) -> Callable[[], Source]:
    """Patches of codes. Only codes move: an unsigned view of each width serves every dtype, and the bits of pad."""
    g, depth = task.geometry, task.geometry.channels // task.geometry.groups
    words = f"u{task.codes.itemsize}"
    flat = task.codes.reshape(-1).view(words)
    pad = np.array(task.pad, task.codes.dtype).view(words)[()]
    height, width = tuple(g.height), tuple(g.width)

    def new_source() -> Source:
        patches = np.empty((rows, g.depth), task.codes.dtype)
        target = patches.view(words)

        def source(group: int, start: int, count: int) -> Any:
            fill_patches(flat, height, width, g.channels, group * depth, start, pad, target[:count])
            return patches[:count]

        return source

    return new_source


def plane_patches(task: Operands, rows: int, encoding: Encoding) -> Callable[[], Source]:
    """Patches of bit planes, every pixel packed once; the channels of a group are a multiple of 64.

    Words move as bytes, for which the kernel is there anyway (and short runs of bytes move faster).
    """
    g, depth = task.geometry, task.geometry.channels // task.geometry.groups // 8
    planes = packed("conv", "input", task.codes, encoding).words.view(np.uint8)
    # where nothing is padded, the code that stands outside need not be one of the encoding
    code = packed("conv", "padding_value", np.array([[task.pad if g.padded else encoding.minimum]]), encoding)
    pads = np.where(code.words[:, 0, 0] & np.uint64(1), np.uint8(255), np.uint8(0))
    height, width, words = tuple(g.height), tuple(g.width), g.depth // 64

    def new_source() -> Source:
        buffer = np.empty(encoding.bits * rows * words, np.uint64)

        def source(group: int, start: int, count: int) -> BitPlanes:
            patches = buffer[: encoding.bits * count * words].reshape(encoding.bits, count, words)
            for plane, pad, target in zip(planes, pads, patches.view(np.uint8), strict=True):
                fill_patches(plane.reshape(-1), height, width, g.channels // 8, group * depth, start, pad, target)
            return BitPlanes(patches, g.depth, encoding)

        return source

    return new_source
