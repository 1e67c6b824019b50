"""A rule in words: its record of axes read out, so that the sentence cannot drift from the arithmetic."""

from __future__ import annotations

from refq import Arithmetic, Derivation, Rule, Scaling, Semantics, Split

_SCALING = {
    Scaling.FLOAT32_PRODUCT: "the float32 scale product",
    Scaling.DOUBLE_PRODUCT: "the double scale product",
    Scaling.MIXED_PRODUCT: "the mixed scale product (float32 product, double quotient)",
    Scaling.EXACT_PRODUCT: "the exact scale product",
}
_DERIVATION = {
    Derivation.Q31: "31-bit multiplier",
    Derivation.Q31_SATURATED: "31-bit multiplier",
    Derivation.MANTISSA24: "24-bit multiplier (the float32 significand)",
    Derivation.MANTISSA15: "15-bit multiplier",
    Derivation.REDUCED15: "31-bit multiplier cut to 15 bits",
    Derivation.TOSA32: "31-bit multiplier",
    Derivation.TOSA16: "15-bit multiplier",
    Derivation.DYADIC31: "31-bit dyadic multiplier",
}


def rounding_words(rule: Rule) -> str:
    """`ties up`, `floor`, ..."""
    return rule.rounding.name.lower().replace("_", " ")


def _roundings(rule: Rule) -> str:
    last, high = rounding_words(rule), rule.high_rounding.name.lower().replace("_", " ")
    if rule.split == Split.HIGH_MULTIPLY:
        return f"high-multiply rounding {high}, then a shift rounding {last}"
    if rule.split == Split.SHIFT_FIRST:
        return f"a shift to int16 rounding {high}, then a 15-bit multiply rounding {last}"
    if rule.split == Split.HALVE_LAST:
        return f"all bits but one by {high} into int32, then the last one rounding {last}"
    nudge = ", nudged by 2**30 away from zero" if rule.nudge else ""
    return f"one shift rounding {last}{nudge}"


def describe(semantics: Semantics) -> str:
    """One sentence.

    >>> from refq import parse_semantics
    >>> describe(parse_semantics("double_up")).split(", ")[1:]
    ['high-multiply rounding ties up', 'then a shift rounding ties up; zero point after']
    """
    rule, zero = semantics.rule, f"zero point {semantics.rule.zero_point.value}"
    if semantics.scaling in (Scaling.DIVISION, Scaling.RECIPROCAL):
        how = "division by the scale" if semantics.scaling == Scaling.DIVISION else "multiplication by its reciprocal"
        return f"{rule.arithmetic.value} {how}, {rounding_words(rule)}; {zero}"
    source = _SCALING[semantics.scaling]
    if rule.derivation == Derivation.FIXED_POINT:
        return f"multiplier of {rule.fraction_bits} fraction bits from {source}, {_roundings(rule)}; {zero}"
    if rule.arithmetic == Arithmetic.INTEGER:
        return f"{_DERIVATION[rule.derivation]} from {source}, {_roundings(rule)}; {zero}"
    dyadic = f"{_DERIVATION[rule.derivation]}, " if rule.derivation == Derivation.DYADIC31 else ""
    return f"{dyadic}{rule.arithmetic.value} multiply by {source}, {rounding_words(rule)}; {zero}"
