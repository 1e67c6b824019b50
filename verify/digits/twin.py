"""The quantization-aware twin in exact arithmetic: the formulas of training, no float, none of refq's kernels.

Products are int64 sums by NumPy. From accumulator to code the formula itself is evaluated by `refq.spec.batchnorm`,
one accumulator at a time, and not the lines or thresholds that the integer network runs on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.spec.batchnorm import batchnorm, shift_batchnorm
from verify.digits.frozen import TrainedLayer, TrainedNet, channel_of
from verify.digits.gradients import patches
from verify.digits.plan import Layer

Codes = NDArray[np.int64]
Tensors = dict[str, Codes]
Progress = Callable[[str, int, int], None]


def output_name(layer: Layer) -> str:
    """The tensor that other layers read."""
    return (
        f"{layer.name}.pool" if layer.pool > 1 else f"{layer.name}.sum" if adds_codes(layer) else f"{layer.name}.codes"
    )


def adds_codes(layer: Layer) -> bool:
    """Whether codes are added, and not accumulators."""
    return layer.add not in (None, "shortcut")


def accumulators(layer: TrainedLayer, codes: Codes) -> Codes:
    """The exact sums; |sum| < 2**31 for all nets here, far inside int64."""
    plan, rows = layer.plan, layer.codes.reshape(len(layer.codes), -1).T
    if plan.kind == "dense":
        found = codes.reshape(len(codes), -1) @ rows
        return found if layer.bias_codes is None else found + layer.bias_codes
    return (patches(codes, plan.size, plan.padding) @ rows).reshape(*codes.shape[:3], -1)


def each_accumulator(acc: Codes, rule: Callable[[int, int], int]) -> Codes:
    """rule(channel, accumulator) of every element, evaluated once for each pair that occurs."""
    flat = acc.reshape(-1, acc.shape[-1])
    found = np.empty_like(flat)
    for c in range(flat.shape[1]):
        distinct, place = np.unique(flat[:, c], return_inverse=True)
        found[:, c] = np.array([rule(c, x) for x in distinct.tolist()], np.int64)[place]
    return found.reshape(acc.shape)


def exact_rule(layer: TrainedLayer) -> Callable[[int, int], int]:
    """Batch norm and quantizer as the formula says, in rationals and one root; or the shift of a shift net."""
    if layer.forms is not None:
        forms = layer.forms
        return lambda c, x: shift_batchnorm(x, forms[c])
    channels = [channel_of(layer, c) for c in range(len(layer.codes))]
    return lambda c, x: batchnorm(x, channels[c], Rounding.TIES_EVEN)


def pooled(codes: Codes, size: int) -> Codes:
    """The largest code of each square of size x size."""
    n, h, w, c = codes.shape
    found: Codes = codes.reshape(n, h // size, size, w // size, size, c).max((2, 4))
    return found


def _evaluate(layer: TrainedLayer, tensors: Tensors, outputs: dict[str, str]) -> None:
    plan, name = layer.plan, layer.plan.name
    tensors[f"{name}.acc"] = total = accumulators(layer, tensors[outputs[plan.input]])
    if plan.raw:
        return
    if plan.add and not adds_codes(plan):
        total = total + tensors[f"{plan.add}.acc"]
    tensors[f"{name}.codes"] = codes = each_accumulator(total, exact_rule(layer))
    if plan.add and adds_codes(plan):
        tensors[f"{name}.sum"] = codes = np.clip(codes + tensors[outputs[plan.add]], 0, layer.code_range[1])
    if plan.pool > 1:
        tensors[f"{name}.pool"] = pooled(codes, plan.pool)
    outputs[name] = output_name(plan)


def run_twin(net: TrainedNet, pixels: NDArray[Any], progress: Progress = lambda *_: None) -> Tensors:
    """Every intermediate tensor of the twin, int64, by the names the integer network uses; `class` last.

    pixels: integers 0..16, (N, 8, 8, 1).
    """
    tensors, outputs = {"input": pixels.astype(np.int64)}, {"input": "input"}
    for place, layer in enumerate(net.layers):
        progress(f"{net.method.name}: exact twin", place, len(net.layers))
        _evaluate(layer, tensors, outputs)
    last = tensors["logits.codes" if net.layers[-1].forms is not None else "logits.acc"]
    # argmax takes the first of equal logits
    tensors["class"] = last.argmax(1)
    return tensors
