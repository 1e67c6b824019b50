"""Convolutions to compare: geometries and operands as data, and the definition applied to whole arrays."""

from itertools import product
from typing import Any

import numpy as np

from refq.encodings import Kind, parse_encoding
from refq.spec import conv as spec

# (input N, [H,] W, C), (filters, [KH,] KW), options; the channels of the weights follow from groups
SHAPES_2D = {
    "one": ((1, 1, 1, 1), (1, 1, 1), {}),
    "plain": ((2, 4, 5, 3), (4, 3, 2), {}),
    "padded": ((1, 3, 4, 2), (3, 3, 3), {"padding": 1}),
    "stride2": ((1, 6, 5, 2), (2, 3, 2), {"stride": 2, "padding": 1}),
    "stride3_1": ((1, 7, 4, 2), (3, 2, 2), {"stride": (3, 1)}),
    "asymmetric": ((1, 4, 3, 2), (2, 2, 3), {"padding": ((0, 2), (3, 1))}),
    "only_padding": ((1, 2, 2, 1), (2, 2, 2), {"padding": ((3, 4), (4, 3)), "stride": (1, 2)}),
    "dilated": ((1, 7, 6, 2), (2, 3, 2), {"dilation": 2, "padding": ((2, 1), (0, 2))}),
    "dilated_1_3": ((1, 3, 8, 2), (2, 2, 3), {"dilation": (1, 3), "stride": (2, 1)}),
    "pointwise": ((2, 3, 3, 5), (4, 1, 1), {}),
    "pointwise_stride": ((2, 4, 5, 3), (2, 1, 1), {"stride": (2, 3)}),
    "pointwise_padded": ((1, 2, 2, 3), (2, 1, 1), {"padding": ((1, 0), (0, 1))}),
    "whole_image": ((2, 3, 4, 2), (3, 3, 4), {}),
    "wide_kernel": ((1, 1, 9, 2), (2, 1, 7), {"padding": ((0, 0), (3, 3))}),
    "groups": ((1, 4, 4, 4), (6, 3, 3), {"groups": 2, "padding": 1}),
    "groups_pointwise": ((1, 3, 3, 6), (3, 1, 1), {"groups": 3}),
    "groups_dilated": ((2, 5, 4, 6), (9, 2, 2), {"groups": 3, "dilation": 2, "stride": (1, 2)}),
    "depthwise": ((1, 5, 4, 5), (5, 3, 3), {"groups": 5, "padding": ((1, 0), (2, 1))}),
    "depthwise_2": ((2, 4, 4, 3), (6, 3, 2), {"groups": 3, "stride": 2, "padding": 1}),
    "depthwise_dilated": ((1, 6, 5, 2), (2, 2, 2), {"groups": 2, "dilation": (3, 2)}),
    "same": ((1, 5, 4, 2), (2, 2, 3), {"padding": "same"}),
    "same_stride": ((1, 5, 6, 2), (2, 3, 3), {"padding": "same", "stride": 2}),
    "same_lower": ((1, 5, 6, 2), (2, 2, 3), {"padding": "same_lower", "stride": (1, 2)}),
    "same_dilated": ((1, 5, 5, 1), (2, 2, 3), {"padding": "same", "dilation": 2}),
    "same_stride_past_kernel": ((1, 7, 5, 1), (2, 2, 1), {"padding": "same", "stride": 3}),
    "valid": ((1, 5, 6, 2), (2, 3, 2), {"padding": "valid", "stride": 2}),
    "channels63": ((1, 2, 2, 63), (2, 2, 1), {"padding": 1}),
    "channels64": ((1, 2, 2, 64), (2, 1, 2), {"padding": 1}),
    "channels65": ((1, 2, 2, 65), (2, 2, 2), {"padding": ((1, 0), (0, 0))}),
    "many_filters": ((1, 2, 3, 2), (33, 2, 2), {}),
}
SHAPES_1D = {
    "one": ((1, 1, 1), (1, 1), {}),
    "plain": ((2, 6, 3), (4, 3), {"padding": ((2, 0),)}),
    "stride3": ((1, 9, 2), (3, 2), {"stride": 3, "padding": 1}),
    "dilated": ((1, 9, 2), (2, 3), {"dilation": (3,), "stride": (2,)}),
    "pointwise": ((2, 4, 65), (2, 1), {}),
    "groups": ((1, 5, 4), (4, 2), {"groups": 2}),
    "depthwise": ((2, 6, 3), (6, 3), {"groups": 3, "padding": "same"}),
    "same_lower": ((1, 5, 2), (2, 4), {"padding": "same_lower"}),
}
SHAPES = {f"{name}_2d": shape for name, shape in SHAPES_2D.items()} | {
    f"{name}_1d": shape for name, shape in SHAPES_1D.items()
}
LAYOUTS = {(4, True): "NHWC", (4, False): "NCHW", (3, True): "NWC", (3, False): "NCW"}


def legal_values(fmt: str) -> np.ndarray:
    """Every value of an encoding."""
    encoding = parse_encoding(fmt)
    return np.arange(encoding.minimum, encoding.maximum + 1, 2 if encoding.kind is Kind.ODD else 1)


def values(fmt: str, shape: tuple[int, ...], dtype: Any = None, seed: int = 0) -> np.ndarray:
    """Values of an encoding, both ends among them; dtype: by default the smallest that holds it."""
    legal = legal_values(fmt)
    flat = np.random.default_rng(seed).choice(legal, int(np.prod(shape)))
    flat[:2] = legal[[0, -1]][: flat.size]
    return flat.astype(dtype or np.min_scalar_type(int(legal[0])) if legal[0] < 0 else dtype or "uint16").reshape(shape)


def built(name: str, left: str = "uint8", right: str = "int8", dtypes: tuple[Any, Any] = ("uint8", "int8")) -> Any:
    """(input, weights, options) of a named geometry, channels last."""
    shape, (filters, *kernel), options = SHAPES[name]
    depth = shape[-1] // options.get("groups", 1)
    x = values(left, shape, dtypes[0], seed=1)
    w = values(right, (filters, *kernel, depth), dtypes[1], seed=2)
    return x, w, dict(options)


def turned(x: np.ndarray, w: np.ndarray, last: bool) -> tuple[np.ndarray, np.ndarray, str]:
    """Both operands in a layout, and its name."""
    layout = LAYOUTS[x.ndim, last]
    return (x, w, layout) if last else (np.moveaxis(x, -1, 1).copy(), np.moveaxis(w, -1, 1).copy(), layout)


def _each(value: Any, count: int) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value] * count


def _pairs(padding: Any, lines: list[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    """(before, after) of each dimension."""
    if padding in ("same", "same_lower"):
        return [spec.same_padding(*line, lower=padding == "same_lower") for line in lines]
    if isinstance(padding, tuple):
        return list(padding)
    return [(0 if padding == "valid" else padding,) * 2] * len(lines)


def expected_conv(x: np.ndarray, w: np.ndarray, options: dict[str, Any], **numbers: Any) -> np.ndarray:
    """The definition, one output at a time; channels last, int64. numbers: zero points, bias, padding_value."""
    count = x.ndim - 2
    strides, dilations = (_each(options.get(key, 1), count) for key in ("stride", "dilation"))
    lines = list(zip(x.shape[1:-1], w.shape[1:-1], strides, dilations, strict=True))
    pads = _pairs(options.get("padding", 0), lines)
    sizes = [spec.output_size(*line, *pad) for line, pad in zip(lines, pads, strict=True)]
    fixed = {"stride": strides, "padding": pads, "dilation": dilations, "groups": options.get("groups", 1)}
    zeros, bias = (np.broadcast_to(numbers.pop(key, 0), len(w)).tolist() for key in ("weight_zero_point", "bias"))
    out = np.empty((len(x), *sizes, len(w)), np.int64)
    nested, taps = x.tolist(), w.tolist()
    for at in product(*map(range, out.shape)):
        own = {"weight_zero_point": zeros[at[-1]], "bias": bias[at[-1]]}
        out[at] = spec.conv(nested, taps, at, **fixed, **own, **numbers)
    return out
