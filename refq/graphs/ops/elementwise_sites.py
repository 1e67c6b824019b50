"""What describes an add, sub or mul in a graph: operands, result shape, rules and variants."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from refq.graphs.ops.records import Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site, format_of, scale_of, zero_point_of
from refq.layers.elementwise import Affine, Operands
from refq.layers.elementwise_places import first_is_scalar
from refq.layers.elementwise_rules import WIDTHS, X86, X86_PRODUCT, is_defined, product_rules, sum_rules
from refq.layers.elementwise_tflite import power_of_two_shifts

ATTRIBUTES = {
    "activation": "fused: none, relu, relu6, relu_n1_to_1",
    "pot_scale_int16": "TFLite: int16 with power-of-two scales takes the shifting form, True or False",
}


def shapes(op: str, name: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    """The shape of the result."""
    if len(inputs) != 2 or inputs[0] is None or inputs[1] is None:
        raise ValueError(f"{op} {name}: inputs={len(inputs)}; pass two tensors")
    first, second = inputs[0].shape, inputs[1].shape
    try:
        return (np.broadcast_shapes(first, second),)
    except ValueError:
        raise ValueError(f"{op} {name}: shapes {first} and {second} do not broadcast") from None


def affine_of(site: Site, tensor: Tensor) -> Affine:
    """Scale, zero point and format of a tensor, checked."""
    fmt, zero = format_of(site, tensor), zero_point_of(site, tensor)
    if fmt.bits not in (8, 16):
        raise ValueError(f"{site.node.op} {site.node.name}: {tensor.name} is {tensor.dtype}; pass 8 or 16 bits")
    if not fmt.qmin <= zero <= fmt.qmax:
        raise ValueError(f"{site.node.op} {site.node.name}: zero_point={zero} of {tensor.name} is outside {fmt.name}")
    return Affine(scale_of(site, tensor), zero, fmt)


def check_ratio(site: Site, ratio: Fraction) -> None:
    """The scale of a result in steps of the output: beyond 2**60 no runtime computes anything but its bounds."""
    if not Fraction(1, 1 << 60) <= ratio <= 1 << 60:
        place = f"{site.node.op} {site.node.name}"
        raise ValueError(f"{place}: scale ratio {float(ratio):g} of an input to the output is outside 2**-60..2**60")


def _check_ratios(site: Site, first: Affine, second: Affine, output: Affine) -> None:
    scales = [Fraction(float(x.scale)) for x in (first, second, output)]
    whole = (scales[0] * scales[1],) if site.node.op == "mul" else (scales[0], scales[1])
    for scale in whole:
        check_ratio(site, scale / scales[2])


def operands_of(site: Site) -> Operands:
    """Both inputs and the output of a site."""
    first, second = site.input(0), site.input(1)
    parts = [affine_of(site, tensor) for tensor in (first, second, site.outputs[0])]
    if len({part.fmt for part in parts}) > 1:
        names = ", ".join(part.fmt.name for part in parts)
        raise ValueError(f"{site.node.op} {site.node.name}: dtypes {names} differ; pass three of one kind")
    _check_ratios(site, parts[0], parts[1], parts[2])
    swapped = first_is_scalar(first.shape, second.shape)
    return Operands(parts[0], parts[1], parts[2], sign=-1 if site.node.op == "sub" else 1, swapped=swapped)


def rules(site: Site) -> tuple[str, ...]:
    """The rules a site can follow: those of its op that are defined for its scales and dtype."""
    operands = operands_of(site)
    x86 = (X86,) if site.node.op in WIDTHS and operands.output.fmt.bits == 8 else ()
    if site.node.op == "mul":
        return (*product_rules(operands), *(rule for rule in x86 if is_defined(X86_PRODUCT, operands)))
    found = sum_rules(operands, bool(site.attribute("pot_scale_int16", False)))
    return (*found, *(x86 if "tflite:gemmlowp_double" in found else ()))


def takes_xnnpack(site: Site, operands: Operands) -> bool:
    """Whether LiteRT's default delegate leaves the op to XNNPACK: 8 bits, at most 6 dimensions, ratios it holds."""
    if operands.output.fmt.bits != 8 or len(site.outputs[0].shape) > 6:
        return False
    if site.node.op != "mul":
        return "xnnpack21" in sum_rules(operands)
    with np.errstate(over="ignore", under="ignore"):
        ratio = operands.first.scale * operands.second.scale / operands.output.scale
    return bool(np.float32(2.0**-16) <= ratio < np.float32(256))


def tags(site: Site) -> frozenset[str]:
    """dtype; "pot_scale"; "xnnpack" where LiteRT's default delegate takes the op."""
    operands = operands_of(site)
    pot = site.attribute("pot_scale_int16", False) and power_of_two_shifts(operands) is not None
    takes = takes_xnnpack(site, operands)
    found = {operands.output.fmt.name: True, "pot_scale": pot, "xnnpack": takes}
    return frozenset(name for name, holds in found.items() if holds)


def batched(site: Site) -> bool:
    """Whether neither input is shared between, or repeated along, the samples of dimension 0."""
    shape = site.outputs[0].shape
    return bool(shape) and all(_follows(tensor, shape) for tensor in site.inputs if tensor is not None)


def _follows(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    whole = len(tensor.shape) == len(shape)
    if tensor.data is not None:
        return not whole or tensor.shape[0] == 1
    return whole and tensor.shape[0] == shape[0]
