"""Exhaustive sweeps of refq and their SHA-256, so that definition and kernels cannot drift together unseen.

Regenerate after a deliberate change of a number with `python tests/refq_digests.py`, and say in the
changelog which rule changed, on which input, and why. The values are those of the array functions; the other
tests prove that the definition gives the same.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from refq import (
    INT8,
    QUANTIZE_RULES,
    RULES,
    Arithmetic,
    Derivation,
    FixedScale,
    IntFormat,
    Overflow,
    Rounding,
    Scaling,
    ZeroPoint,
    derive,
    high_multiply,
    narrow,
    quantize,
    requantize,
    round_to_integer,
    saturating_add,
    saturating_left_shift,
    shift_right,
)

FILE = Path(__file__).with_name("digests.json")
Arrays = Iterator[np.ndarray]


def _shift_right() -> Arrays:
    for rounding in Rounding:
        for shift in range(13):
            yield shift_right(np.arange(-4096, 4096), shift, rounding)


def _round_to_integer() -> Arrays:
    for rounding in Rounding:
        yield round_to_integer(np.arange(-4096, 4096) / 64, rounding)


def _narrow() -> Arrays:
    for bits in range(1, 13):
        for signed in (True, False):
            yield narrow(np.arange(-4096, 4096), IntFormat(bits, signed=signed), Overflow.WRAP)
            yield narrow(np.arange(-4096, 4096), IntFormat(bits, signed=signed, narrow_range=True), Overflow.SATURATE)


def _high_multiply() -> Arrays:
    xs = np.arange(-128, 128)
    for rounding in Rounding:
        yield high_multiply(xs[:, None], xs, 8, rounding)


def _saturating() -> Arrays:
    xs = np.arange(-128, 128)
    yield saturating_add(xs[:, None], xs, 8)
    for shift in range(9):
        yield saturating_left_shift(xs, shift, 8)


def _derive() -> Arrays:
    scales = [m * 2.0**e for m in (1.0, 1.1, 1.5, 1.9999999, 2 - 2.0**-40, 1 + 2.0**-31) for e in range(-40, 14)]
    for derivation in Derivation:
        if derivation.value in ("float32", "float64", "exact"):
            continue
        found = [derive(scale, derivation) for scale in scales]
        yield np.array([(f.multiplier, f.shift) for f in found], np.int64)


def _requantize(name: str) -> Callable[[], Arrays]:
    def sweep() -> Arrays:
        for scale in (0.25, 0.5, 0.0390625, 0.009586980574, 0.7):
            for order in ZeroPoint:
                rule = replace(RULES[name], zero_point=order)
                yield requantize(np.arange(-2048, 2048), rule, scale, zero_point=7, fmt=IntFormat(10))

    return sweep


def _requantize_wide() -> Arrays:
    accs = np.arange(-(1 << 31), 1 << 31, (1 << 18) - 1)
    for rule in RULES.values():
        if rule.arithmetic == Arithmetic.INTEGER and rule.derivation in (Derivation.Q31, Derivation.Q31_SATURATED):
            for shift in range(29, 63):
                yield requantize(accs, rule, FixedScale(1518500250, shift), zero_point=-5)


def _quantize(name: str) -> Callable[[], Arrays]:
    def sweep() -> Arrays:
        xs = np.arange(-4096, 4096, dtype=np.float32) / np.float32(64)
        for scaling in (Scaling.DIVISION, Scaling.RECIPROCAL):
            for scale in np.float32([0.25, 0.3, 1.0]):
                yield quantize(xs, QUANTIZE_RULES[name], scale, scaling=scaling, zero_point=3, fmt=INT8)

    return sweep


SWEEPS: dict[str, Callable[[], Arrays]] = {
    "shift_right": _shift_right,
    "round_to_integer": _round_to_integer,
    "narrow": _narrow,
    "high_multiply": _high_multiply,
    "saturating": _saturating,
    "derive": _derive,
    "requantize_wide": _requantize_wide,
    **{f"requantize/{name}": _requantize(name) for name in RULES},
    **{f"quantize/{name}": _quantize(name) for name in QUANTIZE_RULES},
}


def digest(sweep: Callable[[], Arrays]) -> str:
    """SHA-256 over dtype, shape and little-endian bytes of every array of a sweep."""
    total = hashlib.sha256()
    for array in sweep():
        total.update(f"{array.dtype.name}{array.shape}".encode())
        total.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: digest(sweep) for name, sweep in SWEEPS.items()}, indent=1) + "\n")
