"""The twin in float32, as training evaluates it, against the twin in exact arithmetic: where they differ, and why.

One float32 pass. Of each layer's codes that differ from the exact twin's there are two kinds. Inherited: exact
arithmetic on the codes that the float32 pass itself fed the layer gives the same code, only those were other. Own:
it gives another code; then a rounding boundary must lie between exact and float32 value, and their distance must be
within what float32 sums can be off, else the difference is unexplained. So with classes: another one than that of the
exact logits on the codes that the pass fed them must be as good as tied. Additions of codes and pools do not round:
what they make of the codes of this pass must be what integers make of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor, isqrt

import numpy as np
from numpy.typing import NDArray

from refq.channels import Channel
from refq.spec.batchnorm import in_steps
from verify.digits.forward import Tape, forward
from verify.digits.frozen import TrainedLayer, TrainedNet, channel_of
from verify.digits.gradients import Array
from verify.digits.twin import Codes, Tensors, accumulators, each_accumulator, exact_rule, pooled

HALF, UNIT = Fraction(1, 2), 2.0**-24
ROOT_BITS = 160


@dataclass(frozen=True)
class Difference:
    """One code: place, accumulator, exact and float32 value in output steps, distance of the exact one to a tie.

    Of a class: (sample,), the largest logit, twice in steps of logits, its distance to the other's, both classes.
    """

    layer: str
    place: tuple[int, ...]
    accumulator: int
    exact: float
    distance: float
    float32: float
    codes: tuple[int, int]
    explained: bool


@dataclass(frozen=True)
class FloatLayer:
    """codes: compared; differ: from the exact twin; own: those of them, or hidden by others, that arise here.

    deviation: the largest distance of a float32 value from the real one; nearest: the least distance of a real value
    from a rounding boundary; both in output steps, over values that no clip decides, and computed in float64: they
    say why differences are few, nothing is decided by them. None for layers without batch norm. lost: values behind the
    layer's addition and pool that are not those of its codes, in nets with scales.
    """

    layer: str
    codes: int
    differ: int
    own: tuple[Difference, ...] = ()
    deviation: float | None = None
    nearest: float | None = None
    lost: int = 0


def exact_value(x: int, channel: Channel) -> Fraction:
    """The real value before rounding, in output steps, to 2**-ROOT_BITS of its root; exact where the root is.

    >>> exact_value(3, Channel(gamma=1, beta=0.5, mean=1, variance=4, epsilon=0))
    Fraction(3, 2)
    """
    p, q, v = in_steps(x, channel)
    scaled = v.numerator * v.denominator << 2 * ROOT_BITS
    return p + q * Fraction(isqrt(scaled), v.denominator << ROOT_BITS)


def boundary_between(exact: Fraction, value: float) -> bool:
    """Whether a half-integer lies between the two, ends included.

    >>> boundary_between(Fraction(1, 3), 0.5), boundary_between(Fraction(1, 3), 0.4)
    (True, False)
    """
    low, high = sorted((exact, Fraction(value)))
    return floor(high + HALF) - HALF >= low


def error_bound(layer: TrainedLayer, c: int) -> float:
    """What a float32 evaluation of channel c can be off at most, in output steps, in any order of its sum.

    Each of the depth + 8 roundings on the way is off by 2**-24 of a partial result, which never exceeds the sum of
    all magnitudes; twice that covers the terms of second order. The step of logits is that of their accumulators.
    """
    top = (1 << int(layer.input_format.removeprefix("uint"))) - 1
    largest = float(layer.acc_scale) * float(np.abs(layer.codes[c]).sum()) * top
    norm, activation, roundings = layer.norm, layer.activation, 2 * UNIT * (layer.plan.depth + 8)
    if norm is None or activation is None:
        bias = 0.0 if layer.bias is None else abs(float(layer.bias[c]))
        return roundings * (largest + bias) / float(layer.acc_scale)
    slope = abs(float(norm.gamma[c])) / (float(norm.variance[c]) + norm.epsilon) ** 0.5
    size = slope * (largest + abs(float(norm.mean[c]))) + abs(float(norm.beta[c]))
    return float(roundings * size / activation.step[0])


def _step(net: TrainedNet, layer: TrainedLayer) -> Array:
    """A layer's output step as the float32 pass has it."""
    return net.trained.parameters[f"{layer.plan.alpha}.alpha"] / np.float32(layer.code_range[1])


def _integers(net: TrainedNet, layer: TrainedLayer, values: Array) -> Codes:
    """The codes of the float32 pass: its values are multiples of a step; in shift nets they are the codes."""
    return (values if layer.norm is None else np.rint(values / _step(net, layer))).astype(np.int64)


def _explain(layer: TrainedLayer, at: tuple[int, ...], acc: int, line: float, codes: tuple[int, int]) -> Difference:
    exact = exact_value(acc, channel_of(layer, at[-1]))
    distance = abs(exact - (floor(exact) + HALF))
    near = abs(exact - Fraction(line)) <= error_bound(layer, at[-1])
    explained = near and boundary_between(exact, line)
    return Difference(layer.plan.name, at, acc, float(exact), float(distance), line, codes, explained)


def _margins(layer: TrainedLayer, line: Array, acc: Codes) -> tuple[float, float]:
    """(deviation, nearest) of `FloatLayer`."""
    norm, activation = layer.norm, layer.activation
    assert norm is not None
    assert activation is not None
    gamma, beta, mean, variance = (x.astype(np.float64) for x in (norm.gamma, norm.beta, norm.mean, norm.variance))
    unit = (float(layer.acc_scale) * acc - mean) / np.sqrt(variance + norm.epsilon)
    real = (gamma * unit + beta) / activation.step[0]
    low, high = layer.code_range
    inside = (real > low - 1) & (real < high + 1)
    if not inside.any():
        return 0.0, 0.5
    distance = np.abs(real[inside] - np.floor(real[inside]) - 0.5)
    return float(np.abs(line[inside] - real[inside]).max()), float(distance.min())


def _on_own_inputs(layer: TrainedLayer, acc: Codes, tensors: Tensors) -> Codes:
    """The exact codes of the accumulators of the float32 pass: the twin's wherever they are its accumulators."""
    name = layer.plan.name
    other = (acc != tensors[f"{name}.acc"]).any(axis=tuple(range(acc.ndim - 1)))
    codes = tensors[f"{name}.codes"].copy()
    rule = exact_rule(layer)
    for c in np.flatnonzero(other).tolist():
        here = acc[..., c] != tensors[f"{name}.acc"][..., c]
        codes[here, c] = each_accumulator(acc[here, c][:, None], lambda _, x, c=c: rule(c, x))[:, 0]  # type: ignore[misc]
    return codes


def _scaled(net: TrainedNet, layer: TrainedLayer, tape: Tape, codes: Codes, tensors: Tensors) -> FloatLayer:
    """codes: what the float32 pass fed the layer."""
    name = layer.plan.name
    line = tape.values[f"{name}.norm"] / _step(net, layer)
    passed, acc = _integers(net, layer, tape.values[f"{name}.codes"]), accumulators(layer, codes)
    expected = _on_own_inputs(layer, acc, tensors)
    places = [tuple(int(i) for i in at) for at in np.argwhere(passed != expected)]
    own = (_explain(layer, at, int(acc[at]), float(line[at]), (int(expected[at]), int(passed[at]))) for at in places)
    differ = int((passed != tensors[f"{name}.codes"]).sum())
    return FloatLayer(name, passed.size, differ, tuple(own), *_margins(layer, line, acc))


def _lost(layer: TrainedLayer, passed: Codes, outputs: Tensors) -> int:
    """How many of the values that a layer passed on are not those of its codes after addition and pool."""
    plan, codes = layer.plan, passed
    if plan.add:
        codes = np.clip(codes + outputs[plan.add], 0, layer.code_range[1])
    return int((outputs[plan.name] != (pooled(codes, plan.pool) if plan.pool > 1 else codes)).sum())


def _classes(layer: TrainedLayer, logits: Array, codes: Codes, expected: Codes) -> FloatLayer:
    """Of a net with scales; codes: what the float32 pass fed the logits."""
    found, acc, scale = logits.argmax(1), accumulators(layer, codes), float(layer.acc_scale)
    own = []
    for n in np.flatnonzero(found != acc.argmax(1)).tolist():
        got, best = int(found[n]), int(acc[n].argmax())
        gap = int(acc[n, best] - acc[n, got])
        near = gap <= error_bound(layer, best) + error_bound(layer, got)
        value, largest = float(logits[n, got]) / scale, int(acc[n, best])
        own.append(Difference("class", (n,), largest, float(largest), float(gap), value, (best, got), near))
    return FloatLayer("class", len(found), int((found != expected).sum()), tuple(own))


def float_layers(net: TrainedNet, pixels: NDArray[np.uint8], tensors: Tensors) -> tuple[FloatLayer, ...]:
    """Each layer with codes, and last the classes.

    tensors: of the exact twin on the same pixels. A shift net in float32 computes with integers below 2**24 and
    powers of two, without rounding: its `own` stays empty, and `differ` must be 0 unless a float32 log2 or mean
    was rounded to another shift or bias than the exact one.
    """
    trained, found = net.trained, []
    tape, logits = forward(trained.method, trained.parameters, pixels.astype(np.float32), trained.statistics)
    outputs: Tensors = {"input": tensors["input"]}
    for layer in net.layers:
        name = layer.plan.name
        if layer.norm is not None:
            outputs[name] = _integers(net, layer, tape.values[name])
            passed = _integers(net, layer, tape.values[f"{name}.codes"])
            one = _scaled(net, layer, tape, outputs[layer.plan.input], tensors)
            found.append(replace(one, lost=_lost(layer, passed, outputs)))
        elif layer.forms is not None:
            wrong = int((tape.values[f"{name}.act"] != tensors[f"{name}.codes"]).sum())
            found.append(FloatLayer(name, tensors[f"{name}.codes"].size, wrong))
    last, values = net.layers[-1], tape.values[logits]
    if last.forms is None:
        return (*found, _classes(last, values, outputs[last.plan.input], tensors["class"]))
    classes = values.argmax(1)
    return (*found, FloatLayer("class", len(pixels), int((classes != tensors["class"]).sum())))
