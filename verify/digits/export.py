"""A trained net as an integer-only network for `refq.networks`: integers in, a class out, no float between."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from refq.networks import IntegerNetwork, Step, norm_forms, tensor_ranges
from verify.digits.frozen import INPUT_FORMAT, TrainedLayer, TrainedNet
from verify.digits.plan import Method
from verify.digits.twin import adds_codes, output_name

INPUT_SHAPE = (8, 8, 1)
Steps = list[Step]


def _network(steps: Steps, method: Method) -> IntegerNetwork:
    record = {"method": method.name, "title": method.title, "data": "scikit-learn digits, pixels 0..16"}
    return IntegerNetwork(tuple(steps), INPUT_FORMAT, INPUT_SHAPE, record)


def _products(layer: TrainedLayer, source: str) -> Steps:
    plan, name, codes = layer.plan, f"{layer.plan.name}.acc", layer.codes.astype(np.int8)
    formats = layer.weight_format, layer.input_format
    if plan.kind == "conv":
        return [Step(name, "conv", (source,), codes, None, None, *formats, padding=plan.padding)]
    flat = Step(f"{plan.name}.flat", "flatten", (source,))
    return [flat, Step(name, "dense", (flat.name,), codes, layer.bias_codes, None, *formats)]


def _lines(layer: TrainedLayer, steps: Steps, method: Method) -> Step:
    """Each channel's line with the fewest bits that gives every code on its accumulators, or its thresholds."""
    name, norm, activation = layer.plan.name, layer.norm, layer.activation
    assert norm is not None
    assert activation is not None
    reach = tensor_ranges(_network(steps, method))[f"{name}.acc"]
    low, high = layer.code_range
    frozen = norm_forms(
        norm.gamma, norm.beta, norm.mean, norm.variance, norm.epsilon, acc_scale=[layer.acc_scale],
        out_scale=[Fraction(float(activation.step[0]))], acc_min=reach.low, acc_max=reach.high, qmin=low, qmax=high,
    )  # fmt: skip
    return Step(f"{name}.codes", "requantize", (f"{name}.acc",), forms=frozen.forms)


def _shifts(layer: TrainedLayer) -> Step:
    """The residual's accumulators are a second input: they are added before the one shift."""
    plan = layer.plan
    inputs = (f"{plan.name}.acc", f"{plan.add}.acc") if plan.add else (f"{plan.name}.acc",)
    return Step(f"{plan.name}.codes", "requantize", inputs, forms=layer.forms)


def _after(layer: TrainedLayer, outputs: dict[str, str]) -> Steps:
    """The addition of codes and the pool, where a layer has them."""
    plan, steps, last = layer.plan, [], f"{layer.plan.name}.codes"
    if adds_codes(plan):
        top = layer.code_range[1]
        steps.append(Step(f"{plan.name}.sum", "add", (last, outputs[str(plan.add)]), qmin=0, qmax=top))
        last = steps[-1].name
    if plan.pool > 1:
        steps.append(Step(f"{plan.name}.pool", "maxpool", (last,), pool=plan.pool))
    return steps


def export(net: TrainedNet) -> IntegerNetwork:
    """The network; every tensor has the name that the twin gives it, besides `logits.flat`."""
    steps, outputs = [], {"input": "input"}
    for layer in net.layers:
        steps += _products(layer, outputs[layer.plan.input])
        if layer.forms is not None:
            steps.append(_shifts(layer))
        elif layer.norm is not None:
            steps.append(_lines(layer, steps, net.method))
        steps += _after(layer, outputs)
        outputs[layer.plan.name] = output_name(layer.plan)
    steps.append(Step("class", "argmax", (steps[-1].name,)))
    return _network(steps, net.method)
