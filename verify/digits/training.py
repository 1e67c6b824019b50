"""The training loop: Adam on float32 parameters, seeded; float first, then quantized from the float weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

import numpy as np

from verify.digits.data import Digits
from verify.digits.forward import Statistics, forward, gradients_of
from verify.digits.gradients import Array, softmax_loss
from verify.digits.plan import FLOAT, Layer, Method

SEED = 5
KEEP, KEEP_SQUARE, ALPHA_DECAY = 0.9, 0.99, np.float32(1e-3)
Progress = Callable[[str, int, int], None]
Parameters = dict[str, Array]
Moments = dict[str, list[Array]]
"""The two moving averages of Adam."""


@dataclass(frozen=True)
class Budget:
    """Epochs of the float net, of one with scales and of a shift net; samples a batch; the largest step of Adam.

    shift_rate: that of a shift net, whose weights live on the integers.
    """

    float_epochs: int = 12
    scaled_epochs: int = 12
    shift_epochs: int = 16
    batch: int = 64
    rate: float = 4e-3
    shift_rate: float = 4e-2

    def epochs(self, method: Method) -> int:
        """Of this method."""
        by_activation = {"relu": self.float_epochs, "shift": self.shift_epochs}
        return by_activation.get(method.activations, self.scaled_epochs)


@dataclass(frozen=True, eq=False)
class Trained:
    """A net after training: its parameters, and the statistics over the whole training set."""

    method: Method
    parameters: Parameters
    statistics: Statistics


def _norm_parameters(layer: Layer) -> Parameters:
    out = layer.channels[1]
    if layer.raw:
        return {f"{layer.name}.bias": np.zeros(out, np.float32)} if layer.kind == "dense" else {}
    return {f"{layer.name}.gamma": np.ones(out, np.float32), f"{layer.name}.beta": np.zeros(out, np.float32)}


def initial(seed: int = SEED) -> Parameters:
    """Weights of the float net drawn by He et al. 2015, gamma 1, beta and bias 0."""
    random = np.random.default_rng(seed)
    found: Parameters = {}
    for layer in FLOAT.net:
        drawn = random.standard_normal(layer.shape) * (2 / layer.depth) ** 0.5
        found |= {f"{layer.name}.weight": drawn.astype(np.float32)} | _norm_parameters(layer)
    return found


def _mixed(keep: float, old: Array, new: Array) -> Array:
    """A moving average, one step on."""
    return np.float32(keep) * old + np.float32(1 - keep) * new


def _step(
    method: Method, parameters: Parameters, gradients: Parameters, moments: Moments, time: int, rate: float
) -> None:
    """Adam (Kingma & Ba 2015), in place; clipping levels are pulled to 0 by 1e-3 alpha (PACT), those of DoReFa stay."""
    for name in parameters:
        is_alpha = name.endswith(".alpha")
        if name not in gradients or (is_alpha and method.activations == "dorefa"):
            continue
        g = gradients[name] + ALPHA_DECAY * parameters[name] if is_alpha else gradients[name]
        first, second = moments.get(name, [np.zeros_like(g), np.zeros_like(g)])
        first, second = moments[name] = [_mixed(KEEP, first, g), _mixed(KEEP_SQUARE, second, g * g)]
        ahead = first / np.float32(1 - KEEP**time)
        spread = np.sqrt(second / np.float32(1 - KEEP_SQUARE**time)) + np.float32(1e-8)
        parameters[name] = (parameters[name] - np.float32(rate) * ahead / spread).astype(np.float32)


def train(method: Method, parameters: Parameters, data: Digits, budget: Budget, progress: Progress) -> Trained:
    """Epochs over shuffled batches, the step falling by half a cosine; then the statistics of the whole set."""
    random, parameters = np.random.default_rng(SEED), dict(parameters)
    moments: Moments = {}
    largest = budget.shift_rate if method.activations == "shift" else budget.rate
    epochs, batches, time = budget.epochs(method), len(data.labels) // budget.batch, 0
    for epoch in range(epochs):
        progress(f"{method.name}: training", epoch, epochs)
        order = random.permutation(len(data.labels))
        for at in range(batches):
            chosen, time = order[at * budget.batch : (at + 1) * budget.batch], time + 1
            tape, logits = forward(method, parameters, data.pixels[chosen].astype(np.float32))
            _, gradient = softmax_loss(tape.values[logits], data.labels[chosen])
            rate = largest * (1 + cos(pi * time / (epochs * batches + 1))) / 2
            _step(method, parameters, gradients_of(tape, logits, gradient), moments, time, rate)
    tape, _ = forward(method, parameters, data.pixels.astype(np.float32))
    return Trained(method, parameters, tape.statistics)


def accuracy(trained: Trained, data: Digits) -> float:
    """The share of samples whose largest logit, the first of equal ones, is their label's."""
    tape, logits = forward(trained.method, trained.parameters, data.pixels.astype(np.float32), trained.statistics)
    return float((tape.values[logits].argmax(1) == data.labels).mean())
