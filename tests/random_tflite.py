"""What random .tflite models are made with: scales, constants, layers of products, operators in a row."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tflite_models import O, T

SAME, VALID = 0, 1
INT32 = 2
STEPS = {"int8": 1, "uint8": 1, "int16": 256}
"""Codes of a type for one of int8."""


@dataclass(frozen=True)
class V:
    """A computed tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero: int


@dataclass
class Maker:
    """A model while it is built. live: tensors that later operators may read.

    dyadic: every scale is a power of two, so that ties abound. unscaled: half the biases have no scale. wild: scales
    up to 2**9 apart, unusual slopes, five dimensions.
    """

    rng: Any
    dtype: str = "int8"
    dyadic: bool = False
    unscaled: bool = False
    wild: bool = False
    tensors: list[T] = field(default_factory=list)
    operators: list[O] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    live: list[V] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return STEPS[self.dtype]

    def one_of(self, *values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def maybe(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def number(self, low: int, high: int) -> int:
        """low <= number < high."""
        return int(self.rng.integers(low, high))

    def scale(self, near: float | None = None) -> float:
        found = near or float(self.rng.uniform(0.01, 0.09)) / self.steps
        if self.wild and self.maybe(0.15):
            found *= 2.0 ** self.rng.uniform(-9, 9)
        return float(np.float32(2.0 ** np.round(np.log2(found)) if self.dyadic else found))

    def zero(self) -> int:
        if self.dtype == "int16":
            return 0
        drawn = self.one_of(0, -128, 127, self.number(-128, 128), self.number(-20, 20) | 1)
        return int(drawn + 128 * (self.dtype == "uint8"))

    def made(self, shape: Any, scale: float | None = None, zero: int | None = None) -> V:
        """A tensor that an operator will write."""
        sizes = tuple(int(n) for n in shape)
        scale, zero = self.scale() if scale is None else scale, self.zero() if zero is None else zero
        v = V(f"t{len(self.tensors)}", sizes, self.dtype, scale, zero)
        self.tensors.append(T(v.name, v.shape, v.dtype, v.scale, v.zero))
        return v

    def kept(self, x: V, shape: Any) -> V:
        """One of the scale of x."""
        return self.made(shape, x.scale, x.zero)

    def const(self, *values: Any) -> str:
        name = f"k{len(self.tensors)}"
        self.tensors.append(T(name, data=np.array(values, np.int32)))
        return name

    def codes(self, shape: Any) -> Any:
        """All codes alike, or most of them around the middle."""
        info = np.iinfo(self.dtype)
        found = self.rng.integers(info.min, info.max + 1, shape)
        if self.maybe(0.5):
            drawn = self.rng.normal(128 * (self.dtype == "uint8"), 30 * self.steps, shape)
            found = np.clip(np.rint(drawn), info.min, info.max)
        return found.astype(self.dtype)

    def constant(self, shape: tuple[int, ...], zero: int | None = None) -> V:
        """Stored codes with a scale of their own."""
        v = V(f"c{len(self.tensors)}", shape, self.dtype, self.scale(), self.zero() if zero is None else zero)
        self.tensors.append(T(v.name, v.shape, v.dtype, v.scale, v.zero, 0, self.codes(shape)))
        return v

    def op(self, code: str, inputs: list[V | str], outputs: list[V], options: str = "", **fields: Any) -> V:
        names = [i if isinstance(i, str) else i.name for i in inputs]
        self.operators.append(O(code, names, [o.name for o in outputs], options, fields))
        self.live += outputs
        return outputs[0]

    def fused(self) -> int:
        return self.one_of(0, 0, 1, 3, 2)

    def _weights(self, code: str, kernel: tuple[int, ...]) -> tuple[str, Any, int]:
        """Type, codes and zero point."""
        if self.dtype == "uint8":
            return "uint8", self.rng.integers(0, 256, kernel).astype(np.uint8), self.number(0, 256)
        halves = {"CONV_2D": True, "FULLY_CONNECTED": True, "DEPTHWISE_CONV_2D": self.dtype == "int8"}.get(code, False)
        if halves and self.maybe(0.2):
            return "int4", self.rng.integers(-8, 8, kernel).astype(np.int8), 0
        return "int8", self.rng.integers(-127, 128, kernel).astype(np.int8), 0

    def _bias(self, code: str, reach: float, channels: int, scales: Any, fields: dict[str, Any]) -> str:
        wide = self.dtype == "int16" and (code == "DEPTHWISE_CONV_2D" or self.maybe(0.7))
        if self.dtype == "int16" and not wide:
            fields["quantizedBiasType"] = INT32
        bias = self.rng.integers(-int(reach) - 1, int(reach) + 2, channels).astype("int64" if wide else "int32")
        name = f"b{len(self.tensors)}"
        given = None if self.unscaled and self.maybe(0.5) else scales
        self.tensors.append(T(name, None, bias.dtype.name, given, 0, 0, bias))
        return name

    def product(
        self, code: str, x: V, kernel: tuple[int, ...], axis: int, shape: Any, options: str, fields: dict[str, Any],
        before: tuple[str, ...] = (),
    ) -> V:  # fmt: skip
        """A layer of products whose result is spread over its codes. before: what TRANSPOSE_CONV reads first."""
        channels, taps = kernel[axis], max(int(np.prod(kernel)) // kernel[axis], 1)
        dtype, w, middle = self._weights(code, kernel)
        each, y = dtype != "uint8" and self.maybe(0.6), self.made(shape)
        reach = 50 * self.steps * np.sqrt(taps) * {"int4": 16, "int8": 255, "uint8": 256}[dtype] / 3.4
        spread = self.one_of(40, 40, 40, 90) * self.steps / reach
        ratio = np.atleast_1d(spread * (self.rng.uniform(0.5, 1.5, channels) if each else 1.0)) * y.scale / x.scale
        scales = (2.0 ** np.round(np.log2(ratio)) if self.dyadic else ratio).astype(np.float32)
        name = f"w{len(self.tensors)}"
        self.tensors.append(T(name, kernel, dtype, scales, middle, axis if each else 0, w))
        names: list[V | str] = [*before, name, x] if before else [x, name]
        if code not in ("FULLY_CONNECTED", "TRANSPOSE_CONV") or self.maybe(0.75):
            names.append(self._bias(code, reach, channels, np.float32(x.scale) * scales, fields))
        return self.op(code, names, [y], options, **fields)
