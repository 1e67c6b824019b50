"""LOGISTIC and TANH of int16 as TFLite computes them: a table of the logistic function, interpolated.

One table serves both, in steps of 1 / 24 and 16 bits, because tanh(x) = 2 sigmoid(2 x) - 1.
Source: TFLite reference/integer_ops/logistic.h, tanh.h and the preparation in activations.cc.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.layers import sigmoid_fixed
from refq.layers.lookup import Grids

Codes = NDArray[np.int64]
OUTPUT_SCALE = np.float32(2.0**-15)


def sigmoid_table() -> NDArray[np.int64]:
    """65536 (s - s'' / 16) for s = sigmoid(i / 24), i = 0..254, to the nearest integer, and 65535 last.

    Between the nodes of a concave curve a chord lies below it, by up to -s'' / 8 for a step of 1; raising the nodes
    by half of that halves the largest error. With t = i / 24, -s'' = s (1 - s) (2 s - 1) / 24**2 a step squared.

    >>> sigmoid_table()[[0, 24, 28, 255]]
    array([32768, 47911, 49975, 65535])
    """
    s = [1 / (1 + math.exp(-i / 24)) for i in range(255)]
    return np.array([*(round(65536 * (v + v * (1 - v) * (2 * v - 1) / (16 * 576))) for v in s), 65535], np.int64)


@dataclass(frozen=True)
class InputScale:
    """How the input reaches a scale of 1 / (3 * 4096): (x * multiplier + half) >> shift.

    power: log2 of scale * 2**12 where the scale is (nearly) such a power of two, else None.
    """

    multiplier: int
    shift: int
    power: int | None


def _power_of_two(scale: np.float32) -> int | None:
    """log2(scale), where its float32 value is within 1e-3 of an integer."""
    ratio = np.float32(math.log(float(scale))) * (np.float32(1) / np.float32(math.log(2.0)))
    nearest = math.floor(float(ratio) + 0.5)
    near = abs(ratio - np.float32(nearest)) < np.float32(1e-3)
    return int(nearest) if near else None


def input_scale(scale: np.float32, powers: tuple[int, ...]) -> InputScale:
    """The multiplier of a scale; `powers`: those of two that are taken as a plain shift (0, and 1 for tanh).

    >>> input_scale(np.float32(2.0**-12), (0,)), input_scale(np.float32(1e-3), (0,))
    (InputScale(multiplier=3, shift=0, power=0), InputScale(multiplier=25165, shift=11, power=None))
    """
    found = _power_of_two(scale)
    if found is not None and found + 12 in powers:
        return InputScale(3 << (found + 12), 0, found + 12)
    multiplier, shift = float(scale) * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    return InputScale(int(multiplier), shift, None)


def _scaled(codes: Codes, found: InputScale) -> Codes:
    half = 1 << (found.shift - 1) if found.shift else 0
    return (codes * found.multiplier + half) >> found.shift


def _interpolated(size: Codes, bits: int, largest: int) -> Codes:
    """The table at size / 2**bits, with `bits` fraction bits; `largest` from the last step on."""
    table = sigmoid_table()
    step = np.minimum(size >> bits, 254)
    value = (table[step] << bits) + (size & ((1 << bits) - 1)) * (table[step + 1] - table[step])
    return np.where(size >> bits >= 255, largest, value)


def takes(grids: Grids) -> bool:
    """Whether TFLite has LOGISTIC and TANH for these grids: int16 to int16 of scale 2**-15, zero points 0."""
    plain = (grids.zero_point, grids.out_zero_point, grids.out_scale) == (0, 0, OUTPUT_SCALE)
    return bool(plain) and grids.fmt.bits == grids.out_fmt.bits == 16 and float(grids.scale) < 5.0


def _check(name: str, grids: Grids) -> None:
    if not takes(grids):
        raise ValueError(f"{name}: grids={grids} is not int16 to int16, zero points 0, scale < 5, out_scale=2**-15")


def logistic_table(codes: Codes, grids: Grids) -> Codes:
    """LOGISTIC, int16 codes to int16 codes of scale 2**-15; zero points 0."""
    _check("logistic_table", grids)
    x = _scaled(codes, input_scale(grids.scale, (0,)))
    value = _interpolated(np.abs(x), 9, 0x7FFF << 10)
    return np.where(x >= 0, value + (1 << 9), (1 << 25) - value + (1 << 9) - 1) >> 10


def tanh_table(codes: Codes, grids: Grids) -> Codes:
    """TANH, int16 codes to int16 codes of scale 2**-15; zero points 0."""
    _check("tanh_table", grids)
    x = _scaled(codes, input_scale(grids.scale, (0, 1)))
    value = _interpolated(np.abs(x), 8, 0xFFFF << 8) - (1 << 23)
    return np.where(x >= 0, value + (1 << 7), -value + (1 << 7) - 1) >> 8


def logistic_fixed(codes: Codes, grids: Grids) -> Codes:
    """LOGISTIC in gemmlowp's 16-bit fixed point where the scale is 2**-12, else the table."""
    if input_scale(grids.scale, (0,)).power is None:
        return logistic_table(codes, grids)
    _check("logistic_fixed", grids)
    return sigmoid_fixed.logistic(codes, 3, 16)


def tanh_fixed(codes: Codes, grids: Grids) -> Codes:
    """TANH in gemmlowp's 16-bit fixed point where the scale is 2**-12 or 2**-11, else the table."""
    power = input_scale(grids.scale, (0, 1)).power
    if power is None:
        return tanh_table(codes, grids)
    _check("tanh_fixed", grids)
    return sigmoid_fixed.tanh(sigmoid_fixed.shift_left(codes, power, 16), 3, 16)


LOGISTIC: dict[str, Any] = {"tflite:sigmoid_table": logistic_table, "gemmlowp:fixed_point16": logistic_fixed}
TANH: dict[str, Any] = {"tflite:sigmoid_table": tanh_table, "gemmlowp:fixed_point16": tanh_fixed}
