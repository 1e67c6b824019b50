"""Windows of convolutions and pools: strides, dilations and paddings as plain numbers, automatic ones worked out."""

from __future__ import annotations

from typing import Any

from refq.importers.onnx_making import Making
from refq.importers.onnx_records import OnnxNode, reject

Pairs = tuple[tuple[int, int], ...]
LAYOUTS = {1: "NCW", 2: "NCHW"}
MOST_PIXELS = 1 << 20
"""Of a stride, dilation, padding or side of a kernel."""


def numbers(making: Making, node: OnnxNode, name: str, default: tuple[int, ...], least: int = 1) -> tuple[int, ...]:
    """An attribute of as many integers as the default has."""
    found = tuple(node.attributes.get(name) or default)
    if len(found) != len(default) or not all(isinstance(v, int) and least <= v <= MOST_PIXELS for v in found):
        reject(making.model.file, node, f"{name}={found} must be {len(default)} integers in {least}..{MOST_PIXELS}")
    return found


def layout_of(making: Making, node: OnnxNode, rank: int) -> str:
    """The layout of a tensor of batch, channels and one or two spatial dimensions."""
    if rank - 2 not in LAYOUTS:
        reject(making.model.file, node, f"{rank} dimensions; pass batch, channels and one or two spatial ones")
    return LAYOUTS[rank - 2]


def window(making: Making, node: OnnxNode, image: tuple[int, ...], kernel: tuple[int, ...]) -> dict[str, Any]:
    """stride, dilation and padding of a node over an image of the given height and width."""
    ones = (1,) * len(image)
    stride, dilation = numbers(making, node, "strides", ones), numbers(making, node, "dilations", ones)
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    padding = _padding(making, node, image, stride, reach)
    return {"stride": stride, "dilation": dilation, "padding": _up(making, node, image, stride, reach, padding)}


def _padding(making: Making, node: OnnxNode, image: Any, stride: Any, reach: Any) -> Pairs:
    auto = node.attributes.get("auto_pad", "NOTSET")
    flat = numbers(making, node, "pads", (0,) * 2 * len(image), 0)
    given: Pairs = tuple(zip(flat[: len(image)], flat[len(image) :], strict=True))
    if auto in ("NOTSET", "", "VALID"):
        return tuple((0, 0) for _ in image) if auto == "VALID" else given
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        reject(making.model.file, node, f"auto_pad={auto!r} is unknown; legal: NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    totals = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip(image, stride, reach, strict=True)]
    halves = [(t // 2, t - t // 2) for t in totals]
    return tuple(half if auto == "SAME_UPPER" else half[::-1] for half in halves)


def _up(making: Making, node: OnnxNode, image: Any, stride: Any, reach: Any, padding: Pairs) -> Pairs:
    """ceil_mode as more padding at the ends: a last window counts if it starts inside the image or its padding."""
    if not node.attributes.get("ceil_mode", 0):
        return padding
    made = []
    for n, s, r, (before, after) in zip(image, stride, reach, padding, strict=True):
        left = (n + before + after - r) % s
        more = s - left if left and (n + before + after - r + s - left) // s * s < n + before else 0
        made.append((before, after + more))
    if tuple(made) != padding and node.attributes.get("count_include_pad", 0):
        reject(making.model.file, node, "ceil_mode=1 with count_include_pad=1 is not supported; pass ceil_mode=0")
    return tuple(made)


def pooling(making: Making, node: OnnxNode, shape: tuple[int, ...]) -> dict[str, Any]:
    """All attributes of a pool of a tensor of this shape."""
    layout = layout_of(making, node, len(shape))
    if node.attributes.get("channels_last", 0) or node.attributes.get("storage_order", 0):
        reject(making.model.file, node, "channels_last and storage_order are not supported; pass 0")
    if "kernel_shape" not in node.attributes:
        reject(making.model.file, node, "has no kernel_shape")
    kernel = numbers(making, node, "kernel_shape", (1,) * (len(shape) - 2))
    return {"layout": layout, "kernel": kernel, **window(making, node, shape[2:], kernel), "activation": "none",
            "count_include_pad": bool(node.attributes.get("count_include_pad", 0))}  # fmt: skip
