"""Rules and semantics by name: reading labels such as `gemmlowp_double/mixed_product/after`."""

from __future__ import annotations

from dataclasses import replace

from refq.rules import Arithmetic, Clamp, Derivation, Rule, Scaling, Semantics, ZeroPoint
from refq.semantics import QUANTIZE_RULES, RULES


def find_rule(name: str) -> Rule:
    """The requantization rule of that name.

    >>> find_rule("double_up").rounding.name
    'TIES_UP'
    """
    if name not in RULES:
        raise ValueError(f"find_rule: name={name!r} is no rule; legal: {', '.join(RULES)}")
    return RULES[name]


def usual_scaling(rule: Rule) -> Scaling:
    """The product that runtimes feed the rule: float32 arithmetic and significands the float32 one.

    >>> usual_scaling(RULES["float32_ties_even"]).value, usual_scaling(RULES["double_up"]).value
    ('float32_product', 'double_product')
    """
    if rule.arithmetic == Arithmetic.FLOAT32 or rule.derivation in (Derivation.MANTISSA24, Derivation.MANTISSA15):
        return Scaling.FLOAT32_PRODUCT
    return Scaling.EXACT_PRODUCT if rule.arithmetic == Arithmetic.EXACT else Scaling.DOUBLE_PRODUCT


def _pick(text: str, words: list[str], at: int, default: str, legal: tuple[str, ...]) -> str:
    word = words[at] if len(words) > at else default
    if word not in legal:
        raise ValueError(f"parse_semantics: text={text!r} has {word!r}; legal there: {', '.join(legal)}")
    return word


def parse_semantics(text: str, quantize: bool = False) -> Semantics:
    """RULE[/SCALING[/ZERO_POINT[/CLAMP]]]; without them the usual product (quantize: division), after, its clamp.

    >>> parse_semantics("gemmlowp_double/mixed_product").label
    'gemmlowp_double/mixed_product/after'
    """
    rules = QUANTIZE_RULES if quantize else RULES
    scalings = tuple(s.value for s in Scaling if quantize == (s in (Scaling.DIVISION, Scaling.RECIPROCAL)))
    words = text.split("/")
    if len(words) > 4:
        raise ValueError(f"parse_semantics: text={text!r} has {len(words)} parts; write RULE/SCALING/ZERO_POINT/CLAMP")
    rule = rules[_pick(text, words, 0, "", tuple(rules))]
    scaling = _pick(text, words, 1, "division" if quantize else usual_scaling(rule).value, scalings)
    order = _pick(text, words, 2, "after", ("before", "after"))
    clamp = _pick(text, words, 3, rule.clamp.value, ("first", "last"))
    return Semantics(replace(rule, zero_point=ZeroPoint(order), clamp=Clamp(clamp)), Scaling(scaling))
