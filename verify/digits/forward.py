"""One pass through a net in float32 as the training loop does it, on a tape that gradients run back over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from verify.digits import gradients as ops
from verify.digits.gradients import Array, Pull, Result
from verify.digits.plan import PIXEL_MAX, Layer, Method
from verify.digits.weights import dequantized

EPSILON = np.float32(1e-5)
Statistics = dict[str, tuple[Array, Array]]
"""By layer: mean and variance of its accumulators' real values; of shift-BN mean and standard deviation."""


@dataclass(frozen=True)
class Tape:
    """Every value by name, parameters too, and what was computed from what."""

    method: Method
    values: dict[str, Array]
    statistics: Statistics = field(default_factory=dict)
    steps: list[tuple[str, tuple[str, ...], Pull]] = field(default_factory=list)

    def put(self, out: str, result: Callable[..., Result], *inputs: str, **settings: object) -> str:
        """Compute and note a value; returns its name."""
        self.values[out], pull = result(*(self.values[name] for name in inputs), **settings)
        self.steps.append((out, inputs, pull))
        return out


def gradients_of(tape: Tape, out: str, gradient: Array) -> dict[str, Array]:
    """The gradient of every value and parameter that `out` depends on."""
    found = {out: gradient}
    for name, inputs, pull in reversed(tape.steps):
        if name in found:
            for source, part in zip(inputs, pull(found[name]), strict=True):
                if part is not None:
                    found[source] = found[source] + part if source in found else part
    return found


def _quantized_weights(weights: Array, method: Method, layer: Layer) -> Result:
    """Straight through; the integer grid keeps the gradient of its clip."""
    quantized = dequantized(weights, method, layer)
    inside = np.abs(weights) <= ((1 << (method.bits - 1)) - 1) if method.weights == "grid" else np.float32(1)
    return quantized, lambda g: (g * inside,)


def _accumulate(tape: Tape, layer: Layer) -> str:
    """The layer's sums: integers times scales, or plain integers in a shift net."""
    name = layer.name
    weights = tape.put(f"{name}.q", lambda w: _quantized_weights(w, tape.method, layer), f"{name}.weight")
    if layer.kind == "dense":
        return tape.put(f"{name}.acc", ops.dense, layer.input, weights)
    need = layer.input != "input"
    return tape.put(f"{name}.acc", ops.convolve, layer.input, weights, padding=layer.padding, need_input=need)


def _with_statistics(tape: Tape, name: str, acc: str, given: Statistics | None) -> tuple[Array, Array]:
    """Those given, or those of the batch, which are kept."""
    if given is not None:
        return given[name]
    x = tape.values[acc].reshape(-1, tape.values[acc].shape[-1])
    shift = tape.method.activations == "shift"
    deviation = x.std(0, ddof=1) if shift else x.var(0)
    tape.statistics[name] = x.mean(0), np.maximum(deviation, np.float32(1e-3)) if shift else deviation
    return tape.statistics[name]


def _shift_layer(tape: Tape, layer: Layer, acc: str, given: Statistics | None) -> str:
    if layer.add:
        acc = tape.put(f"{layer.name}.sum", ops.add, acc, f"{layer.add}.acc")
    mean, deviation = _with_statistics(tape, layer.name, acc, given)
    frozen = {"mean": mean, "deviation": deviation, "bits": tape.method.bits, "signed": layer.name == "logits"}
    return tape.put(f"{layer.name}.act", ops.shift_quantize, acc, **frozen)


def _scaled_layer(tape: Tape, layer: Layer, acc: str, given: Statistics | None) -> str:
    name, alpha, high = layer.name, f"{layer.alpha}.alpha", (1 << tape.method.bits) - 1
    mean, variance = _with_statistics(tape, name, acc, given)
    settings = {"mean": mean, "variance": variance, "epsilon": EPSILON}
    normal = tape.put(f"{name}.norm", ops.normalize, acc, f"{name}.gamma", f"{name}.beta", **settings)
    if tape.method.activations == "relu":
        total = tape.put(f"{name}.sum", ops.add, normal, layer.add) if layer.add else normal
        return tape.put(f"{name}.act", ops.rectify, total)
    low = -high if layer.add else 0
    codes = tape.put(f"{name}.codes", ops.quantize_clipped, normal, alpha, low=low, high=high)
    if not layer.add:
        return codes
    total = tape.put(f"{name}.sum", ops.add, codes, f"{layer.add}")
    return tape.put(f"{name}.act", ops.clip_sum, total, alpha)


def forward(
    method: Method, parameters: dict[str, Array], pixels: Array, given: Statistics | None = None
) -> tuple[Tape, str]:
    """The tape and the name of the logits; pixels: float32 0..16. given None: statistics of this batch."""
    tape = Tape(method, dict(parameters))
    tape.values["input"] = pixels if method.activations == "shift" else pixels / np.float32(PIXEL_MAX)
    for layer in method.net:
        acc = _accumulate(tape, layer)
        if not layer.raw:
            after = (_shift_layer if method.activations == "shift" else _scaled_layer)(tape, layer, acc, given)
            tape.put(layer.name, ops.max_pool, after, size=layer.pool) if layer.pool > 1 else _same(tape, layer, after)
    if method.activations == "shift":
        return tape, "logits"
    return tape, tape.put("logits", lambda x, b: (x + b, lambda g: (g, g.sum(0))), "logits.acc", "logits.bias")


def _same(tape: Tape, layer: Layer, name: str) -> None:
    tape.put(layer.name, lambda x: (x, lambda g: (g,)), name)
