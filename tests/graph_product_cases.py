"""Layers of products for the tests: one record, from which a .tflite file and a site of a graph are made."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tflite_models import O, T, model, run_litert

from refq.formats import Rounding
from refq.graphs.ops.products import OPS
from refq.graphs.profiles.products import ENTRIES
from refq.graphs.records import Node, Quantization, Tensor
from refq.graphs.sites import Site

OP = {op.name: op for op in OPS}
FUSED = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
MODES = {"litert": "litert-xnnpack", "litert-builtin": "litert-builtin", "litert-reference": "litert-reference"}
CODES = {"conv": "CONV_2D", "depthwise_conv": "DEPTHWISE_CONV_2D", "fully_connected": "FULLY_CONNECTED"}
OPTIONS = {"conv": "Conv2DOptions", "depthwise_conv": "DepthwiseConv2DOptions"}


@dataclass(frozen=True, eq=False)
class Case:
    """One layer, with its input. scales and zeros: of x, weights, output. same: SAME padding, else none.

    bias_scale: of the file, in units of the right one; None for a bias without. scale_axis: of weights with one scale.
    """

    op: str
    x: Any
    w: Any
    bias: Any
    scales: tuple[Any, Any, Any]
    zeros: tuple[int, int, int] = (0, 0, 0)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    same: bool = True
    activation: str = "none"
    weight_dtype: str = ""
    bias_scale: Any = 1.0
    scale_axis: int = 0

    @property
    def groups(self) -> int:
        return self.x.shape[-1] // self.w.shape[-1] if self.op == "conv" else 1

    @property
    def weight_axis(self) -> int:
        return 3 if self.op == "depthwise_conv" else 0

    @property
    def padding(self):
        """TFLite's SAME: the larger half after."""
        sizes = zip(self.x.shape[1:3], self.w.shape[1:3], self.stride, self.dilation, strict=True)
        totals = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in sizes]
        return tuple((t // 2, t - t // 2) if self.same else (0, 0) for t in totals)


def attributes(case: Case) -> dict[str, Any]:
    found = {"activation": case.activation, "scale_axis": case.scale_axis}
    if case.op == "fully_connected":
        return found | {"keep_dims": False}
    found |= {"stride": case.stride, "dilation": case.dilation}
    extra = {"groups": case.groups} if case.op == "conv" else {"multiplier": case.w.shape[3] // case.x.shape[3]}
    return found | {"layout": "NHWC", "padding": case.padding} | extra


def site(case: Case) -> Site:
    """The node in its place, as an importer makes it."""
    sx, sw, sy = (np.atleast_1d(np.asarray(s, np.float32)) for s in case.scales)
    zx, zw, zy = case.zeros
    x = Tensor("x", case.x.shape, case.x.dtype.name, Quantization(sx, np.array([zx])))
    given = Quantization(sw, np.full(sw.size, zw), case.weight_axis if sw.size > 1 else None)
    w = Tensor("w", case.w.shape, case.weight_dtype or case.w.dtype.name, given, case.w)
    scaled = None if case.bias_scale is None else Quantization(sx * sw, np.zeros(sw.size, np.int64))
    b = None if case.bias is None else Tensor("b", case.bias.shape, case.bias.dtype.name, scaled, case.bias)
    (shape,) = OP[case.op].shapes("layer", attributes(case), (x, w, b))
    y = Tensor("y", shape, case.x.dtype.name, Quantization(sy, np.array([zy])))
    names = ("x", "w", None if b is None else "b")
    return Site(Node("layer", case.op, names, ("y",), attributes(case)), (x, w, b), (y,), "tflite")


def _fields(case: Case) -> dict[str, Any]:
    fused = {"fusedActivationFunction": FUSED[case.activation]}
    wide = case.bias is not None and case.x.dtype == np.int16
    # the kernels read a bias of int16 layers as int64 unless the file says otherwise (TensorType INT32 is 2)
    bias = {"quantizedBiasType": 2 if case.bias.dtype == np.int32 else 4} if wide else {}
    if case.op == "fully_connected":
        return fused | bias
    place = {"padding": 0 if case.same else 1, "strideH": case.stride[0], "strideW": case.stride[1]}
    place |= {"dilationHFactor": case.dilation[0], "dilationWFactor": case.dilation[1]}
    if case.op == "depthwise_conv":
        return fused | place | {"depthMultiplier": case.w.shape[3] // case.x.shape[3]}
    return fused | place | bias


def content(case: Case) -> bytes:
    """The .tflite file."""
    sx, sw, sy = case.scales
    zx, zw, zy = case.zeros
    dtype, axis = case.x.dtype.name, case.weight_axis if np.size(sw) > 1 else case.scale_axis
    tensors = [T("x", case.x.shape, dtype, sx, zx)]
    tensors += [T("w", case.w.shape, case.weight_dtype or case.w.dtype.name, sw, zw, axis, case.w)]
    if case.bias is not None:
        product = None if case.bias_scale is None else np.float32(sx * case.bias_scale) * np.asarray(sw, np.float32)
        tensors += [T("b", None, case.bias.dtype.name, product, 0, 0, case.bias)]
    tensors += [T("y", site(case).outputs[0].shape, dtype, sy, zy)]
    names = [t.name for t in tensors[:-1]]
    layer = O(CODES[case.op], names, ["y"], OPTIONS.get(case.op, "FullyConnectedOptions"), _fields(case))
    return model(tensors, [layer], ["x"], ["y"])


def runtime(case: Case, mode: str) -> np.ndarray:
    return run_litert(content(case), mode, {"x": case.x})[0]


def golden(case: Case, *rules: str, bounds: Rounding = Rounding.TIES_AWAY) -> list[np.ndarray]:
    """The codes under each rule."""
    bound = OP[case.op].bind(site(case), bounds)
    acc = bound.gather((case.x, case.w, case.bias))
    return [bound.finish(acc, rule)[0] for rule in rules]


def profile_rule(case: Case, profile: str) -> str:
    """The rule that a profile names for the layer."""
    place = site(case)
    tags = OP[case.op].tags(place)
    return next(e.rule for e in ENTRIES[profile] if e.op == case.op and set(e.tags.split()) <= tags)


def dyadic(random, count: int, reach: float) -> np.ndarray:
    """Weight scales 2**-s, s >= 2: sums up to `reach` then span some dozen codes, and many of them are ties.

    At s = 1 one rounding of two does nothing, and rules that differ in the other one are equal.
    """
    most = max(int(np.log2(max(reach / 24, 2))), 2)
    return (2.0 ** -random.integers(max(most - 1, 2), most + 2, count)).astype(np.float32)


def built(
    op: str, x_shape: tuple[int, ...], w_shape: tuple[int, ...], seed: int, *, dtype: str = "int8",
    bias: str | None = "int32", per_channel: bool = True, **more: Any,
) -> Case:  # fmt: skip
    """A layer of small codes whose real results are multiples of small powers of two."""
    random = np.random.default_rng(seed)
    filters = w_shape[3] if op == "depthwise_conv" else w_shape[0]
    depth = int(np.prod(w_shape)) // filters
    zx, zw, zy = {"int8": (3, 0, -5), "uint8": (121, 99, 117), "int16": (0, 0, 0)}[dtype]
    spread = 1500 if dtype == "int16" else 11
    x = random.integers(zx - spread, zx + spread + 1, x_shape).astype(dtype)
    w = random.integers(zw - 3, zw + 4, w_shape).astype("uint8" if dtype == "uint8" else "int8")
    reach = spread * 0.6 * 2 * depth**0.5 / (200 if dtype == "int16" else 1)
    b = None if bias is None else random.integers(-20, 21, filters).astype(bias)
    scale = dyadic(random, filters if per_channel else 1, reach)
    zw = more.pop("weight_zero_point", zw)
    return replace(Case(op, x, w, b, (np.float32(0.5), scale, np.float32(0.5)), (zx, zw, zy)), **more)
