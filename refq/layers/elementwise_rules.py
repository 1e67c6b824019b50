"""The rules of elementwise sums and products by name, and functions of two arrays of codes under them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np

from refq.formats import Rounding
from refq.labels import parse_semantics
from refq.layers.elementwise import Codes, Ints, Operands, bind_product, clamp, product_factors
from refq.layers.elementwise_float import exact_sum, float_steps, mlas
from refq.layers.elementwise_integer import RATIOS, one_shift, tosa
from refq.layers.elementwise_places import BROADCAST, ELEMENTWISE, SCALAR
from refq.layers.elementwise_tflite import (
    power_of_two,
    power_of_two_shifts,
    three_rescalings,
    vectors_floor,
    vectors_product,
    vectors_shift_first,
)
from refq.parameters import check_scale

Binary = Callable[[Codes, Codes], Codes]
_Sum = Callable[[Codes, Codes, Operands], Ints]

X86 = "tflite_x86"
"""TFLite's optimized kernels on x86: their vector bodies differ from the loop over what is left."""

SUMS: dict[str, _Sum] = {
    "tflite:gemmlowp_double": partial(three_rescalings, "gemmlowp_double"),
    "tflite:single_up": partial(three_rescalings, "single_up"),
    "tflite:double_up": partial(three_rescalings, "double_up"),
    "tflite_pot16": power_of_two,
    "xnnpack21": partial(one_shift, bits=20, rounding=Rounding.TIES_UP),
    "qnnpack22": partial(one_shift, bits=21, rounding=Rounding.TIES_AWAY),
    "tosa:tosa_scale32_double": partial(tosa, rule="tosa_scale32_double"),
    "tosa:tosa_scale32_single": partial(tosa, rule="tosa_scale32_single"),
    "mlas_float32": mlas,
    "qdq:float32_ties_even": float_steps,
    "exact:ties_even/after": partial(exact_sum, rounding=Rounding.TIES_EVEN),
    "exact:ties_even/before": partial(exact_sum, rounding=Rounding.TIES_EVEN, before=True),
    "exact:ties_away/after": partial(exact_sum, rounding=Rounding.TIES_AWAY),
    "exact:ties_up/after": partial(exact_sum, rounding=Rounding.TIES_UP),
}
"""name -> the sum of two arrays of codes with the output's zero point, before it is clamped."""

PRODUCTS = (
    "gemmlowp_double/float32_product/after",
    "gemmlowp_double/double_product/after",
    "double_up/float32_product/after",
    "single_up/double_product/after",
    "single_up/float32_product/after",
    "float32_ties_even/float32_product/after",
    "float32_ties_even/float32_product/before/last",
    "float32_ties_away/float32_product/after",
    "tosa_scale32_double/double_product/after",
    "tosa_scale32_single/double_product/after",
    "qnnpack_precise/float32_product/after",
    "exact_ties_even/exact_product/after",
    "exact_ties_even/exact_product/before",
    "exact_ties_away/exact_product/after",
)
"""Labels of the rules for products; besides them QDQ_PRODUCT and X86."""
QDQ_PRODUCT = "qdq:float32_ties_even"
X86_PRODUCT = "gemmlowp_double/float32_product/after"

WIDTHS = {"add": {"int8": (16, 8), "uint8": (8, 8)}, "mul": {"int8": (16, 16), "uint8": (8, 8)}}
"""How many codes a round of TFLite's vector bodies takes: of two arrays, and of one number and an array."""


def bind_sum(rule: str, operands: Operands, limits: tuple[int, int] | None = None) -> Binary:
    """A function of two arrays of codes of one shape -> the codes of their sum (or difference) inside limits.

    rule: a name of SUMS. Equals `refq.spec.layers.elementwise.add`. ValueError for scales the rule is not defined on.

    >>> from refq.formats import INT8
    >>> from refq.layers.elementwise import Affine
    >>> half, one = Affine(np.float32(0.5), 0, INT8), Affine(np.float32(1), 0, INT8)
    >>> a, b = np.int8([1, -1, 3, -3]), np.int8([0, 0, 0, 0])
    >>> for rule in ("tflite:gemmlowp_double", "xnnpack21", "exact:ties_even/after"):
    ...     print(bind_sum(rule, Operands(half, half, one))(a, b))
    [ 1 -1  2 -2]
    [ 1  0  2 -1]
    [ 0  0  2 -2]
    """
    if rule not in SUMS:
        raise ValueError(f"add: rule={rule!r} is unknown; legal: {', '.join(SUMS)}")
    return lambda a, b: clamp(SUMS[rule](a, b, operands), operands.output, limits)


def bind_multiply(rule: str, operands: Operands, limits: tuple[int, int] | None = None) -> Binary:
    """A function of two arrays of codes of one shape -> the codes of their product inside limits.

    rule: a label of `refq.parse_semantics`, such as those of PRODUCTS, or QDQ_PRODUCT.
    """
    if rule == QDQ_PRODUCT:
        return lambda a, b: clamp(float_steps(a, b, operands, product=True), operands.output, limits)
    return bind_product(rule, operands, limits)


def bind_x86(op: str, operands: Operands, limits: tuple[int, int] | None = None) -> dict[int, Binary]:
    """For each loop of TFLite's optimized add and mul of 8-bit codes, by `elementwise_places`, what it computes."""
    if op == "mul":
        loop = bind_multiply(X86_PRODUCT, operands, limits)
        bodies: tuple[_Sum, _Sum] = (
            vectors_product,
            partial(vectors_product, saturating=operands.first.fmt.signed),
        )
    else:
        loop = bind_sum("tflite:gemmlowp_double", operands, limits)
        bodies = (vectors_shift_first if operands.first.fmt.signed else vectors_floor), vectors_floor

    def clamped(body: _Sum) -> Binary:
        return lambda a, b: clamp(np.clip(body(a, b, operands), *_ends(operands)), operands.output, limits)

    return {SCALAR: loop, ELEMENTWISE: clamped(bodies[0]), BROADCAST: clamped(bodies[1])}


def _ends(operands: Operands) -> tuple[int, int]:
    return operands.output.fmt.qmin, operands.output.fmt.qmax


def is_defined(label: str, operands: Operands) -> bool:
    """Whether the factor of a product fits the rule of a label."""
    semantics = parse_semantics(label)
    try:
        check_scale("mul", semantics.rule, product_factors(operands)(semantics.scaling)[0])
    except (ValueError, OverflowError):
        return False
    return True


def product_rules(operands: Operands) -> tuple[str, ...]:
    """The rules of products that are defined for these scales."""
    return (*(label for label in PRODUCTS if is_defined(label, operands)), QDQ_PRODUCT)


def sum_rules(operands: Operands, pot_scale: bool = False) -> tuple[str, ...]:
    """The rules of SUMS that are defined for these scales and formats."""
    defined = {
        "tflite": _tflite_takes(operands),
        "tflite_pot16": _pot_takes(operands, pot_scale),
        "xnnpack21": _ratios_inside(operands, 20),
        "qnnpack22": _ratios_inside(operands, 21),
        "mlas_float32": operands.output.fmt.bits == 8,
        "tosa": _tflite_takes(operands),
    }
    return tuple(name for name in SUMS if defined.get(name.split(":")[0], True))


def _tflite_takes(operands: Operands) -> bool:
    largest = 2 * max(operands.first.scale, operands.second.scale) / operands.output.scale
    return bool(largest < 2.0 ** (20 if operands.output.fmt.bits == 8 else 15))


def _pot_takes(operands: Operands, pot_scale: bool) -> bool:
    shifts = power_of_two_shifts(operands)
    return pot_scale and shifts is not None and 0 in shifts and max(shifts) <= 0


def _ratios_inside(operands: Operands, bits: int) -> bool:
    low, high = RATIOS[bits]
    ratios = [Fraction(float(x.scale / operands.output.scale)) for x in (operands.first, operands.second)]
    return operands.output.fmt.bits == 8 and all(low <= ratio < high for ratio in ratios)
