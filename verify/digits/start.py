"""Where quantization-aware training starts: the float weights, brought to the ranges of the method."""

from __future__ import annotations

import numpy as np

from verify.digits.data import Digits
from verify.digits.forward import forward
from verify.digits.gradients import Array
from verify.digits.plan import Layer, Method
from verify.digits.training import SEED, Parameters, Trained

PERCENTILE = {2: 99.0, 4: 99.9}
"""Of the float activations: where the clipping level starts."""


def _levels(trained: Trained, method: Method, data: Digits) -> dict[str, Array]:
    """By name of a clipping level: the percentile of the activations it clips, the largest of its layers'."""
    tape, _ = forward(trained.method, trained.parameters, data.pixels.astype(np.float32), trained.statistics)
    found: dict[str, Array] = {}
    for layer in method.net:
        if not layer.raw:
            level = np.percentile(tape.values[f"{layer.name}.act"], PERCENTILE[method.bits])
            found[layer.alpha] = np.maximum(np.asarray(level, np.float32), found.get(layer.alpha, np.float32(0)))
    return found


def scaled_start(trained: Trained, method: Method, data: Digits) -> Parameters:
    """PACT: clipping levels at a percentile. DoReFa: the level is 1, so what it clips is divided by the percentile."""
    found, levels = dict(trained.parameters), _levels(trained, method, data)
    for layer in method.net:
        if method.activations == "dorefa" and not layer.raw:
            for name in (f"{layer.name}.gamma", f"{layer.name}.beta"):
                found[name] = found[name] / levels[layer.alpha]
    if method.activations == "dorefa":
        last = method.net[-1]
        found[f"{last.name}.weight"] = found[f"{last.name}.weight"] * levels[_source(method, last).alpha]
        levels = {name: np.ones((), np.float32) for name in levels}
    return found | {f"{name}.alpha": np.array(level, np.float32) for name, level in levels.items()}


def _source(method: Method, layer: Layer) -> Layer:
    return next(found for found in method.net if found.name == layer.input)


def grid_start(trained: Trained, method: Method) -> Parameters:
    """Float filters with the sign of their gamma, at a deviation of 2**(bits - 3) as IntegerNet draws them.

    Shift-BN undoes any scale of a filter; the shortcut, which the float net has not, is drawn.
    """
    random = np.random.default_rng(SEED)
    found: Parameters = {}
    for layer in method.net:
        name = f"{layer.name}.weight"
        weights = trained.parameters.get(name)
        if weights is None:
            weights = random.standard_normal(layer.shape).astype(np.float32)
        sign = np.sign(trained.parameters.get(f"{layer.name}.gamma", np.ones(1, np.float32)))
        rows = weights.reshape(len(weights), -1)
        rows = rows * (sign / rows.std(1) * np.float32(2.0 ** (method.bits - 3)))[:, None]
        high = np.float32((1 << (method.bits - 1)) - 1)
        found[name] = np.clip(rows, -high, high).reshape(weights.shape).astype(np.float32)
    return found


def start(trained: Trained, method: Method, data: Digits) -> Parameters:
    """The parameters that training of a method begins with."""
    return grid_start(trained, method) if method.activations == "shift" else scaled_start(trained, method, data)
