"""Which named rules are consistent with a backend's answers, and the input that excluded each other one.

Nothing here looks at the backend's name. A rule survives if it gives the box's code on every probe; the probes
hold the complete test set of every rule still alive, so for the survivors the verdict is a proof, given
that the box is monotone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq import IDENTITIES, QUANTIZE_RULES, RULES, Arithmetic, Clamp, Derivation, Rule, Scaling, Semantics, ZeroPoint
from refq.semantics import TRANSLATION_INVARIANT
from verify.cases import Case
from verify.compare import compare
from verify.failures import NothingComparedError
from verify.questions import (
    Answers,
    Positions,
    RuleMap,
    ask_box,
    cases_for,
    is_quantizing,
    rule_map,
    sentinels,
    smallest_first,
)
from verify.worker import Ask

Progress = Callable[[str, int, int], None]
Maps = dict[Semantics, RuleMap | None]


@dataclass(frozen=True)
class Witness:
    """The input that excluded a rule: the case, the integer asked, what came and what the rule says."""

    case: Case
    carrier: str
    x: int
    got: int
    expected: int
    positions: str = "blocks"


@dataclass
class Standing:
    """One candidate on the way: its clamp variants still alive, and what excluded each other one."""

    label: str
    variants: list[Semantics]
    asked: int = 0
    wrong: int = 0
    witness: Witness | None = None


@dataclass(frozen=True)
class Consistent:
    """A surviving candidate, with the clamp orders that survive and its other names."""

    semantics: Semantics
    clamps: tuple[Clamp, ...]
    also_known_as: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What is known of one op of one backend."""

    op: str
    positions: str
    consistent: list[Consistent]
    excluded: dict[str, Witness]
    probes: int
    strength: str
    nearest: list[tuple[str, int]] = field(default_factory=list)


# probes for every two rules that differ, where a complete set would take too many inferences
TELLING = 4
_ALIASES = {rule: twin for rule, twin, _ in IDENTITIES}


def _scalings(rule: Rule, quantizing: bool) -> tuple[Scaling, ...]:
    """The scale products that make a difference to the rule (docs/identify.md has the two theorems)."""
    if quantizing:
        return Scaling.DIVISION, Scaling.RECIPROCAL
    if rule.derivation == Derivation.MANTISSA15:
        return (Scaling.FLOAT32_PRODUCT,)
    if rule.derivation == Derivation.DYADIC31:
        # 31 bits hold a float32 scale exactly: there it is float64_ties_even
        return Scaling.DOUBLE_PRODUCT, Scaling.MIXED_PRODUCT
    if rule.arithmetic == Arithmetic.FLOAT32:
        # float32(float64(a / b)) = float32(a / b): the mixed product narrows to the float32 one
        return Scaling.FLOAT32_PRODUCT, Scaling.DOUBLE_PRODUCT
    products = (Scaling.FLOAT32_PRODUCT, Scaling.DOUBLE_PRODUCT, Scaling.MIXED_PRODUCT)
    return (*products, Scaling.EXACT_PRODUCT) if rule.arithmetic == Arithmetic.EXACT else products


def _orders(rule: Rule) -> tuple[ZeroPoint, ...]:
    """Before a translation-invariant rounding is after it; after comes first."""
    exact_sum = rule.arithmetic in (Arithmetic.INTEGER, Arithmetic.EXACT)
    if exact_sum and rule.rounding in TRANSLATION_INVARIANT:
        return (ZeroPoint.AFTER,)
    return ZeroPoint.AFTER, ZeroPoint.BEFORE


def clamps(rule: Rule) -> tuple[Clamp, ...]:
    """The clamp orders that make a difference to the rule, its own first."""
    if rule.arithmetic == Arithmetic.EXACT or rule.result_bits != 32:
        return (rule.clamp,)
    return (rule.clamp, *(c for c in Clamp if c != rule.clamp))


def candidates(op: str) -> list[list[Semantics]]:
    """Every semantics that could explain the op; those that differ in the clamp only stand together.

    Rules that are another rule by theorem (`IDENTITIES`) are left to their twin and named beside it.
    """
    quantizing = is_quantizing(op)
    rules = QUANTIZE_RULES if quantizing else {n: r for n, r in RULES.items() if n not in _ALIASES}
    return [
        [Semantics(replace(rule, zero_point=order, clamp=clamp), scaling) for clamp in clamps(rule)]
        for rule in rules.values()
        for scaling in _scalings(rule, quantizing)
        for order in _orders(rule)
    ]


def witness_at(case: Case, answers: Answers, expected: NDArray[Any], i: int) -> Witness:
    """Probe i of the answers as the input on which box and rule differ."""
    x, got, said = (int(values[i]) for values in (answers.xs, answers.got, expected))
    return Witness(case, answers.carrier, x, got, said, answers.positions)


def _first_wrong(case: Case, answers: Answers, expected: NDArray[Any]) -> Witness | None:
    """The difference with the smallest input."""
    wrong = compare(answers.got, expected).wrong
    if not wrong.size:
        return None
    return witness_at(case, answers, expected, int(wrong[np.argmin(np.abs(answers.xs[wrong]))]))


def _judge(standing: Standing, maps: Maps, case: Case, answers: list[Answers]) -> None:
    """Drop the variants that an answer contradicts; remember the first contradiction of the last one."""
    alive = []
    for semantics in standing.variants:
        known = maps[semantics]
        if known is None:
            alive.append(semantics)
            continue
        standing.asked += sum(a.got.size for a in answers)
        found = [_first_wrong(case, a, known.codes(a.xs)) for a in answers]
        witness = next((w for w in found if w), None)
        if witness is None:
            alive.append(semantics)
        standing.witness = witness or standing.witness
    standing.variants = alive


def _nearest(op: str, history: list[tuple[Case, list[Answers]]]) -> list[tuple[str, int]]:
    """The candidates with the fewest wrong answers, for a box that follows none of them."""
    counts: dict[str, int] = {}
    for variants in candidates(op):
        totals = [_wrong_in_all(op, semantics, history) for semantics in variants]
        known = [t for t in totals if t is not None]
        if known:
            counts[variants[0].label] = min(known)
    return sorted(counts.items(), key=lambda item: item[1])[:3]


def _wrong_in_all(op: str, semantics: Semantics, history: list[tuple[Case, list[Answers]]]) -> int | None:
    total = 0
    for case, answers in history:
        known = rule_map(op, semantics, case)
        if known is None:
            return None
        total += sum(int(compare(a.got, known.codes(a.xs)).wrong.size) for a in answers)
    return total


def _consistent(standing: Standing) -> Consistent:
    best = standing.variants[0]
    names = tuple(
        rule
        for rule, twin, _ in IDENTITIES
        if twin == best.rule.name
        and (RULES[rule].derivation != Derivation.MANTISSA24 or best.scaling == Scaling.FLOAT32_PRODUCT)
    )
    return Consistent(best, tuple(s.rule.clamp for s in standing.variants), names)


def _complete(op: str, case: Case, maps: Maps) -> NDArray[np.int64]:
    """The complete probe set of every rule still alive, and the sentinels."""
    return np.unique(np.concatenate([sentinels(op, case), *(m.probes for m in maps.values() if m)]))


def _telling(op: str, case: Case, maps: Maps) -> NDArray[np.int64]:
    """A few probes for every two rules still alive that differ: enough to tell them apart, not a proof."""
    xs = smallest_first(_complete(op, case, maps))
    rows = list({codes.tobytes(): codes for m in maps.values() if m for codes in [m.codes(xs)]}.values())
    found = [np.flatnonzero(a != b)[:TELLING] for a, b in combinations(rows, 2)]
    return np.unique(xs[np.unique(np.concatenate(found))]) if found else xs[:TELLING]


def _identify_at(ask: Ask, who: str, op: str, positions: Positions, progress: Progress) -> Verdict:
    choose = _complete if positions == Positions.BLOCKS else _telling
    standings = [Standing(v[0].label, v) for v in candidates(op)]
    excluded: dict[str, Witness] = {}
    history: list[tuple[Case, list[Answers]]] = []
    plan = cases_for(op)
    for done, case in enumerate(plan):
        progress(f"{op}: {case.name}", done, len(plan))
        alive = [s for s in standings if s.variants]
        maps = {v: rule_map(op, v, case) for s in alive for v in s.variants}
        xs = choose(op, case, maps)
        answers = ask_box(ask, who, op, case, xs, positions)
        history.append((case, answers))
        for standing in alive:
            _judge(standing, maps, case, answers)
            if not standing.variants and standing.witness:
                excluded[standing.label] = standing.witness
    asked = sum(a.got.size for _, answers in history for a in answers)
    if not asked:
        raise NothingComparedError(f"{who}: nothing was compared for {op}")
    consistent = [_consistent(s) for s in standings if s.variants and s.asked]
    proved = consistent and positions == Positions.BLOCKS
    strength = "PROVED monotone" if proved else f"SAMPLED {asked}"
    nearest = [] if consistent else _nearest(op, history)
    return Verdict(op, positions.value, consistent, excluded, asked, strength, nearest)


def _remainder_agrees(ask: Ask, who: str, op: str, verdict: Verdict) -> bool:
    """Ask every excluding input again, alone: does the remainder of a vector answer as its blocks did?"""
    witnesses = verdict.excluded.values()
    for case in dict.fromkeys(w.case for w in witnesses):
        known = {(w.carrier, w.x): w.got for w in witnesses if w.case == case}
        xs = np.unique(np.array([x for _, x in known], np.int64))
        for answers in ask_box(ask, who, op, case, xs, Positions.REMAINDER):
            for x, code in zip(answers.xs, answers.got, strict=True):
                if known.get((answers.carrier, int(x)), int(code)) != int(code):
                    return False
    return True


def identify_op(ask: Ask, who: str, op: str, progress: Progress = lambda *_: None) -> list[Verdict]:
    """Ask one op of a box over its whole plan and keep the rules that explain every answer.

    One verdict for all positions; two, for blocks and remainder, if the end of a vector follows another rule.
    """
    verdict = _identify_at(ask, who, op, Positions.BLOCKS, progress)
    if _remainder_agrees(ask, who, op, verdict):
        return [replace(verdict, positions="all")]
    return [verdict, _identify_at(ask, who, op, Positions.REMAINDER, progress)]
