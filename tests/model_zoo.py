"""Whole models as .tflite files, built in memory: random weights, scales under which codes neither die nor saturate."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tflite_models import O, T, model

SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3
SPREAD = 40
"""Standard deviation in codes that the scales of a layer aim at."""


@dataclass
class Stack:
    """A model while it is built: x names the tensor that the next layer reads, shape and scale are its own."""

    seed: int
    shape: tuple[int, ...]
    dtype: str = "int8"
    weights: str = "int8"
    scale: float = 0.043
    zero: int = 0
    x: str = "x"
    tensors: list[T] = field(default_factory=list)
    operators: list[O] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    rng: Any = None

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.zero = {"int8": 3, "uint8": 131, "int16": 0}[self.dtype]
        self.scale = self.scale if self.dtype != "int16" else self.scale / 256
        self.tensors.append(T(self.x, self.shape, self.dtype, self.scale, self.zero))
        self.inputs.append(self.x)

    def content(self) -> bytes:
        return model(self.tensors, self.operators, self.inputs, [*self.outputs, self.x])

    def constant(self, data: Any) -> str:
        name = f"constant_{len(self.tensors)}"
        self.tensors.append(T(name, data=np.asarray(data)))
        return name

    def result(self, shape: tuple[int, ...], scale: float, zero: int) -> str:
        """A new tensor, which the next layer reads."""
        self.x, self.shape, self.scale, self.zero = f"t{len(self.tensors)}", shape, scale, zero
        self.tensors.append(T(self.x, shape, self.dtype, scale, zero))
        return self.x

    def kept(self, code: str, shape: tuple[int, ...], inputs: list[str], options: str = "", **fields: Any) -> str:
        """An operator whose result has the scale of its input."""
        x = [self.x, *inputs]
        self.operators.append(O(code, x, [self.result(shape, self.scale, self.zero)], options, fields))
        return self.x

    def next_scale(self, activation: int) -> tuple[float, int]:
        """Scale and zero point of a result; the zero point is odd."""
        if self.dtype == "int16":
            return float(np.float32(self.rng.uniform(1e-4, 3e-4))), 0
        low = 128 if self.dtype == "uint8" else 0
        if activation == NONE:
            return float(np.float32(self.rng.uniform(0.02, 0.06))), low + int(self.rng.integers(-20, 20)) | 1
        return float(np.float32(6 / 255 if activation == RELU6 else self.rng.uniform(0.02, 0.05))), low - 127

    def product(self, code: str, kernel: tuple[int, ...], axis: int, shape: tuple[int, ...], activation: int,
                options: str, per_channel: bool = True, **fields: Any) -> str:  # fmt: skip
        """An operator with weights and a bias: scales so that the result is spread over its codes."""
        channels, taps = kernel[axis], int(np.prod(kernel)) // kernel[axis]
        low, high = (-7, 8) if self.weights == "int4" else (-127, 128)
        old, middle = self.weights == "uint8", 121 if self.weights == "uint8" else 0
        codes = self.rng.integers(low, high, kernel).astype(np.int16) + (127 if old else 0)
        codes, per_channel = codes.astype(np.uint8 if old else np.int8), per_channel and not old
        steps = 256 if self.dtype == "int16" else 1
        spread = np.sqrt(taps) * (high / 1.7) * 50 * steps
        scale, zero = self.next_scale(activation)
        ratio = SPREAD * steps / spread * (self.rng.uniform(0.6, 1.4, channels) if per_channel else 1.0)
        scales = np.atleast_1d(ratio * scale / self.scale).astype(np.float32)
        number = len(self.tensors)
        width = "int64" if self.dtype == "int16" else "int32"
        bias = self.rng.integers(-int(spread), int(spread) + 1, channels).astype(width)
        self.tensors.append(T(f"w{number}", kernel, self.weights, scales, middle, axis, codes))
        self.tensors.append(T(f"b{number}", None, width, np.float32(self.scale) * scales, 0, 0, bias))
        inputs = [self.x, f"w{number}", f"b{number}"]
        fields["fusedActivationFunction"] = activation
        self.operators.append(O(code, inputs, [self.result(shape, scale, zero)], options, fields))
        return self.x

    def window(self, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: int) -> Any:
        """Rows and columns of the result."""
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        sizes = zip(self.shape[1:3], spans, stride, strict=True)
        return [-(-n // s) if padding == SAME else (n - span) // s + 1 for n, span, s in sizes]

    def conv(self, channels: int, kernel: tuple[int, int] = (1, 1), stride: tuple[int, int] = (1, 1),
             activation: int = NONE, padding: int = SAME, dilation: tuple[int, int] = (1, 1)) -> str:  # fmt: skip
        rows, columns = self.window(kernel, stride, dilation, padding)
        return self.product(
            "CONV_2D", (channels, *kernel, self.shape[3]), 0, (self.shape[0], rows, columns, channels), activation,
            "Conv2DOptions", padding=padding, strideH=stride[0], strideW=stride[1],
            dilationHFactor=dilation[0], dilationWFactor=dilation[1],
        )  # fmt: skip

    def depthwise(self, kernel: tuple[int, int] = (3, 3), stride: tuple[int, int] = (1, 1), activation: int = NONE,
                  padding: int = SAME, dilation: tuple[int, int] = (1, 1), multiplier: int = 1) -> str:  # fmt: skip
        rows, columns = self.window(kernel, stride, dilation, padding)
        channels = self.shape[3] * multiplier
        return self.product(
            "DEPTHWISE_CONV_2D", (1, *kernel, channels), 3, (self.shape[0], rows, columns, channels), activation,
            "DepthwiseConv2DOptions", padding=padding, strideH=stride[0], strideW=stride[1],
            dilationHFactor=dilation[0], dilationWFactor=dilation[1], depthMultiplier=multiplier,
        )  # fmt: skip

    def dense(self, channels: int, activation: int = NONE, per_channel: bool = False) -> str:
        kernel = (channels, int(np.prod(self.shape[1:])))
        return self.product(
            "FULLY_CONNECTED", kernel, 0, (self.shape[0], channels), activation, "FullyConnectedOptions", per_channel
        )

    def average_pool(self) -> str:
        """Over all rows and columns."""
        size = self.shape[1:3]
        return self.kept(
            "AVERAGE_POOL_2D", (self.shape[0], 1, 1, self.shape[3]), [], "Pool2DOptions", padding=VALID,
            strideH=size[0], strideW=size[1], filterHeight=size[0], filterWidth=size[1],
        )  # fmt: skip

    def reshape(self, *shape: int) -> str:
        return self.kept("RESHAPE", shape, [self.constant(np.array([-1, *shape[1:]], np.int32))])

    def softmax(self) -> str:
        scale, zero = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)}[self.dtype]
        self.operators.append(O("SOFTMAX", [self.x], [], "SoftmaxOptions", {"beta": 1.0}))
        self.operators[-1].outputs.append(self.result(self.shape, scale, zero))
        return self.x

    def add(self, other: str, activation: int = NONE) -> str:
        """With a tensor of the same shape."""
        mine = self.x
        scale, zero = self.next_scale(activation)
        result = self.result(self.shape, scale, zero)
        fields = {"fusedActivationFunction": activation, "potScaleInt16": False}
        self.operators.append(O("ADD", [mine, other], [result], "AddOptions", fields))
        return result


STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
WIDTHS = (2, 4, 4, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32)


def mobilenet_v1(seed: int = 0, size: int = 64, width: int = 8, classes: int = 11, weights: str = "int8") -> bytes:
    """A 3x3 convolution and 13 pairs of depthwise and pointwise ones with relu6, pool, 1x1 classifier, softmax.

    weights: int8, int4, or uint8 for a model of the old kind, all of it uint8 with one scale a tensor.
    """
    net = Stack(seed, (1, size, size, 3), "uint8" if weights == "uint8" else "int8", weights)
    net.conv(width, (3, 3), (2, 2), RELU6)
    for stride, factor in zip(STRIDES, WIDTHS, strict=True):
        net.depthwise((3, 3), (stride, stride), RELU6)
        net.conv(width * factor, activation=RELU6)
    net.average_pool()
    net.conv(classes)
    net.reshape(1, classes)
    net.softmax()
    return net.content()


def keyword_net(seed: int = 1, channels: int = 64, classes: int = 12, dtype: str = "int8") -> bytes:
    """A DS-CNN: 49 frames of 10 features, a 10x4 kernel, four depthwise-separable layers, pool, dense, softmax."""
    net = Stack(seed, (1, 49, 10, 1), dtype)
    net.conv(channels, (10, 4), (2, 2), RELU)
    for _ in range(4):
        net.depthwise((3, 3), activation=RELU)
        net.conv(channels, activation=RELU)
    net.average_pool()
    net.reshape(1, channels)
    net.dense(classes)
    net.softmax()
    return net.content()


def _stream(net: Stack, kernel: int, dilation: int, place: int) -> None:
    """A causal depthwise layer in time: old columns joined to the new, the last ones kept for the next call."""
    past, channels, new = (kernel - 1) * dilation, net.shape[3], net.shape[2]
    state = f"state_{place}"
    net.tensors.append(T(state, (1, 1, past, channels), net.dtype, net.scale, net.zero))
    net.inputs.append(state)
    joined, shape = f"joined_{place}", (1, 1, past + new, channels)
    net.tensors.append(T(joined, shape, net.dtype, net.scale, net.zero))
    net.operators.append(O("CONCATENATION", [state, net.x], [joined], "ConcatenationOptions", {"axis": 2}))
    net.tensors.append(T(f"next_{place}", (1, 1, past, channels), net.dtype, net.scale, net.zero))
    begin = net.constant(np.array([0, 0, -past, 0], np.int32))
    end, step = net.constant(np.zeros(4, np.int32)), net.constant(np.ones(4, np.int32))
    masks = {"beginMask": 0b1011, "endMask": 0b1111}
    inputs = [joined, begin, end, step]
    net.operators.append(O("STRIDED_SLICE", inputs, [f"next_{place}"], "StridedSliceOptions", masks))
    net.outputs.append(f"next_{place}")
    net.x, net.shape = joined, shape
    net.depthwise((1, kernel), padding=VALID, dilation=(1, dilation), activation=RELU)


def streaming_net(seed: int = 2, channels: int = 13, frames: int = 8, classes: int = 5) -> bytes:
    """Dilated depthwise convolutions in time with their states as inputs and outputs, residual sums, dense, softmax.

    The third layer dilates through SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, as older converters write it.
    """
    net = Stack(seed, (1, 1, frames, channels))
    for place, dilation in enumerate((1, 2)):
        before = net.x
        _stream(net, 3, dilation, place)
        net.conv(channels)
        net.add(before, RELU)
    block, pads = net.constant(np.array([1, 2], np.int32)), net.constant(np.array([[0, 0], [4, 0]], np.int32))
    net.kept("SPACE_TO_BATCH_ND", (2, 1, frames // 2 + 2, channels), [block, pads])
    net.depthwise((1, 3), padding=VALID, activation=RELU)
    crops = net.constant(np.zeros((2, 2), np.int32))
    net.kept("BATCH_TO_SPACE_ND", (1, 1, frames, channels), [block, crops])
    scale, zero = net.scale, net.zero
    axes, x = net.constant(np.array([1, 2], np.int32)), net.x
    net.operators.append(O("MEAN", [x, axes], [net.result((1, channels), scale, zero)], "ReducerOptions"))
    net.dense(classes)
    net.softmax()
    return net.content()


def int16_net(seed: int = 3, channels: int = 12, classes: int = 5) -> bytes:
    """The keyword net with int16 activations, int8 weights and int64 biases."""
    return keyword_net(seed, channels, classes, "int16")


def pool_net() -> bytes:
    """Convolution, pool, dense: small, with every kind of tensor."""
    w, f = np.ones((2, 3, 3, 2), np.int8), np.ones((3, 8), np.int8)
    tensors = [
        T("x", (1, 4, 4, 2), scale=0.5, zero_point=3), T("w", scale=[0.1, 0.2], data=w),
        T("b", data=np.zeros(2, np.int32)),
        T("c", (1, 4, 4, 2), scale=0.5, zero_point=3), T("p", (1, 2, 2, 2), scale=0.5, zero_point=3),
        T("f", scale=0.1, data=f), T("g", data=np.zeros(3, np.int32)), T("y", (1, 3), scale=0.25, zero_point=-7),
    ]  # fmt: skip
    window = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    pool = {"padding": 1, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
    operators = [
        O("CONV_2D", ["x", "w", "b"], ["c"], "Conv2DOptions", window),
        O("MAX_POOL_2D", ["c"], ["p"], "Pool2DOptions", pool),
        O("FULLY_CONNECTED", ["p", "f", "g"], ["y"], "FullyConnectedOptions"),
    ]
    return model(tensors, operators, ["x"], ["y"])


ZOO = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v1_int4": lambda: mobilenet_v1(4, 32, 4, 10, "int4"),
    "mobilenet_v1_uint8": lambda: mobilenet_v1(5, 32, 4, 10, "uint8"),
    "keyword_net": keyword_net,
    "streaming_net": streaming_net,
    "int16_net": int16_net,
}
"""The models by name."""
