"""The arithmetic of one accumulator under every rule: exact product, residue, each answer, and which agree."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from refq import RULES, Arithmetic, IntFormat, Scaling, Semantics
from refq.labels import usual_scaling
from refq.parameters import check_scale
from refq.spec.requantize import Step, requantize_steps
from verify.scales import Scale

_PRODUCTS = (Scaling.FLOAT32_PRODUCT, Scaling.DOUBLE_PRODUCT, Scaling.MIXED_PRODUCT)


@dataclass(frozen=True)
class Line:
    """One rule's way from the accumulator to the code; `refused` says why it has none."""

    semantics: Semantics
    steps: tuple[Step, ...]
    refused: str = ""

    @property
    def rounded(self) -> int:
        """The integer after the last rounding."""
        return int(self.steps[-2].value)

    @property
    def stored(self) -> int:
        """The code."""
        return int(self.steps[-1].value)


@dataclass(frozen=True)
class Explanation:
    """One accumulator: exact value, distance to the nearest tie, and a line a rule."""

    acc: int
    exact: Fraction
    residue: Fraction
    lines: tuple[Line, ...]

    def groups(self) -> dict[int, list[Line]]:
        """Lines by code, the largest group first."""
        found: dict[int, list[Line]] = {}
        for line in self.lines:
            if line.steps:
                found.setdefault(line.stored, []).append(line)
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def tie_residue(value: Fraction) -> Fraction:
    """value minus the nearest k + 1/2: zero at a tie.

    >>> tie_residue(Fraction(13, 2)), tie_residue(Fraction(1, 4))
    (Fraction(0, 1), Fraction(-1, 4))
    """
    return value - (floor(value) + Fraction(1, 2))


def every_rule(all_products: bool) -> list[Semantics]:
    """Every named rule, with the product runtimes feed it, or with all of them."""
    return [
        Semantics(rule, scaling)
        for rule in RULES.values()
        for scaling in (_PRODUCTS if all_products and rule.arithmetic != Arithmetic.EXACT else (usual_scaling(rule),))
    ]


def _line(acc: int, scale: Scale, semantics: Semantics, zero_point: int, fmt: IntFormat) -> Line:
    try:
        factor = check_scale("explain", semantics.rule, scale.under(semantics))
    except ValueError as error:
        return Line(semantics, (), str(error).split(": ", 1)[1])
    width = semantics.rule.acc_bits - 1
    if not -(1 << width) <= acc < 1 << width:
        return Line(semantics, (), f"acc={acc} is outside int{width + 1}")
    return Line(semantics, tuple(requantize_steps(acc, semantics.rule, factor, zero_point, fmt)))


def explain(acc: int, scale: Scale, zero_point: int, fmt: IntFormat, rules: list[Semantics]) -> Explanation:
    """Run the definition, step by step, for each rule.

    >>> from refq import INT8
    >>> from verify.scales import parse_scale
    >>> e = explain(585, parse_scale("0x3c360b61"), -126, INT8, every_rule(False))
    >>> {line.semantics.rule.name: line.rounded for line in e.lines if line.steps}["float32_ties_even"]
    6
    """
    exact = acc * scale.exact
    lines = tuple(_line(acc, scale, semantics, zero_point, fmt) for semantics in rules)
    return Explanation(acc, exact, tie_residue(exact), lines)
