"""Shapes, strides, padding, dilation and groups of a convolution: checked once, as one small record.

One dimension is two with height 1. Along each dimension, with the reach k' = (kernel - 1) dilation + 1 of the kernel,

    out = (before + size + after - k') // stride + 1

"same" is ONNX's SAME_UPPER and TFLite's SAME: out = ceil(size / stride), an odd amount has its larger half after;
"same_lower" has it before (ONNX operator text of Conv, `auto_pad`; TFLite `kernels/padding.h`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refq.arguments import integer

LAYOUTS = {"NHWC": (4, "last"), "NWC": (3, "last"), "NCHW": (4, "first"), "NCW": (3, "first")}
WEIGHTS = {"NHWC": "(O, KH, KW, C/groups)", "NWC": "(O, KW, C/groups)"} | {
    "NCHW": "(O, C/groups, KH, KW)",
    "NCW": "(O, C/groups, KW)",
}
NAMES = ("height", "width")
# start + tap * dilation - before stays far inside 64 bits
LARGEST = (1 << 31) - 1


class Line(NamedTuple):
    """One dimension: sizes of input, kernel and output, and how they meet."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    out: int


class Geometry(NamedTuple):
    """A 2-D convolution, as the kernels take it: plain ints only."""

    batch: int
    channels: int
    filters: int
    groups: int
    height: Line
    width: Line

    @property
    def pixels(self) -> int:
        """Output positions of all images."""
        return self.batch * self.height.out * self.width.out

    @property
    def depth(self) -> int:
        """Products in one sum."""
        return self.height.kernel * self.width.kernel * (self.channels // self.groups)

    @property
    def padded(self) -> bool:
        """Is anything padded?"""
        return any(line.before + line.after for line in (self.height, self.width))

    @property
    def pointwise(self) -> bool:
        """Is every output pixel a product of the input pixel at its place?"""
        return not self.padded and all(line.kernel == line.stride == 1 for line in (self.height, self.width))


def each_dimension(name: str, value: Any, count: int, low: int) -> tuple[int, ...]:
    """`value`, an int for all dimensions or a sequence of one int each."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return (integer("conv", name, value, low, LARGEST),) * count
    if len(value) != count:
        raise ValueError(f"conv: {name}={value!r} has {len(value)} entries for {count} dimensions; pass one each")
    return tuple(integer("conv", f"{name}[{i}]", entry, low, LARGEST) for i, entry in enumerate(value))


def _is_pair(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2


def _amounts(padding: Any, count: int) -> list[tuple[int, int]]:
    """(before, after) of each dimension from an int or the pairs."""
    if not isinstance(padding, Sequence):
        return [(integer("conv", "padding", padding, 0, LARGEST),) * 2] * count
    if isinstance(padding, str):
        raise ValueError(f"conv: padding={padding!r} is unknown; pass 'same', 'same_lower', 'valid' or numbers")
    if len(padding) != count or not all(_is_pair(pair) for pair in padding):
        example = ", ".join(["(1, 1)"] * count) + "," * (count == 1)
        raise ValueError(f"conv: padding={padding!r} is not one (before, after) a dimension; write ({example})")
    return [
        (
            integer("conv", f"padding[{i}][0]", before, 0, LARGEST),
            integer("conv", f"padding[{i}][1]", after, 0, LARGEST),
        )
        for i, (before, after) in enumerate(padding)
    ]


def _same(size: int, reach: int, stride: int, lower: bool) -> tuple[int, int]:
    """The least padding with ceil(size / stride) outputs."""
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def _line(name: str, size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> Line:
    """The record of one dimension; refused where not one output fits."""
    reach, padded = (kernel - 1) * dilation + 1, size + sum(pads)
    if reach > padded:
        raise ValueError(
            f"conv: kernel {kernel} with dilation {dilation} covers {reach}, the padded {name} is {padded}; "
            f"pad at least {reach - padded} more or dilate less"
        )
    return Line(size, kernel, stride, dilation, *pads, (padded - reach) // stride + 1)


def _sizes(shape: Sequence[int], layout: str) -> tuple[int, int, list[int]]:
    """(batch or filters, channels, spatial sizes) of a shape."""
    outer, *rest = shape
    return (outer, rest[-1], rest[:-1]) if LAYOUTS[layout][1] == "last" else (outer, rest[0], rest[1:])


def _check_ranks(input_shape: Sequence[int], weight_shape: Sequence[int], layout: str) -> None:
    """Layout and both shapes name the same number of dimensions, and nothing is empty but batch and filters."""
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise ValueError(f"conv: layout={layout!r} is unknown; pass NHWC or NCHW, in one dimension NWC or NCW")
    rank = LAYOUTS[layout][0]
    for name, shape, legal in (
        ("input", input_shape, f"({', '.join(layout)})"),
        ("weights", weight_shape, WEIGHTS[layout]),
    ):
        if len(shape) != rank:
            way_out = "" if len(shape) not in (3, 4) else f", or layout={'NWC' if len(shape) == 3 else 'NHWC'!r}"
            raise ValueError(
                f"conv: {name} has shape {tuple(shape)}, {layout} takes {legal}; pass {rank} axes{way_out}"
            )
        if 0 in shape[1:]:
            raise ValueError(f"conv: {name} has shape {tuple(shape)}; of {legal} only the first may be 0")


def _check_groups(channels: int, filters: int, depth: int, groups: int) -> None:
    """Channels and filters divide into the groups, and the weights hold the channels of one."""
    for name, count in (("channels", channels), ("filters", filters)):
        if count % groups:
            raise ValueError(f"conv: groups={groups} does not divide {count} {name}; pass a divisor of both counts")
    if depth != channels // groups:
        other = f", or groups={channels // depth}" if channels % depth == 0 else ""
        raise ValueError(
            f"conv: weights hold {depth} channels a filter, {channels} channels in groups={groups} need "
            f"{channels // groups}; pass weights of {channels // groups}{other}"
        )


def geometry(
    input_shape: Sequence[int],
    weight_shape: Sequence[int],
    layout: str,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
) -> Geometry:
    """The record of a convolution of these shapes; errors as `refq.conv` states them.

    >>> line = geometry((1, 5, 6, 8), (16, 3, 3, 8), "NHWC", stride=2, padding="same").width
    >>> line.before, line.after, line.out
    (0, 1, 3)
    >>> geometry((1, 2, 9), (4, 1, 3), "NCW", groups=2, dilation=2).width.out
    5
    """
    _check_ranks(input_shape, weight_shape, layout)
    batch, channels, sizes = _sizes(input_shape, layout)
    filters, depth, kernels = _sizes(weight_shape, layout)
    groups = integer("conv", "groups", groups, 1, LARGEST)
    _check_groups(channels, filters, depth, groups)
    strides, dilations = (each_dimension(*name, len(sizes), 1) for name in (("stride", stride), ("dilation", dilation)))
    if isinstance(padding, str) and padding in ("same", "same_lower"):
        reaches = [(k - 1) * d + 1 for k, d in zip(kernels, dilations, strict=True)]
        lower = padding == "same_lower"
        pads = [_same(n, k, s, lower) for n, k, s in zip(sizes, reaches, strides, strict=True)]
    else:
        pads = _amounts(0 if isinstance(padding, str) and padding == "valid" else padding, len(sizes))
    names = NAMES[-len(sizes) :]
    lines = [_line(*each) for each in zip(names, sizes, kernels, strides, dilations, pads, strict=True)]
    return Geometry(batch, channels, filters, groups, *[Line(1, 1, 1, 1, 0, 0, 1)] * (2 - len(lines)), *lines)
