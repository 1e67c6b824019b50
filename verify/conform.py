"""Does a backend follow one named rule? The complete probe set, every carrier, with counterexamples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from refq import Semantics
from verify.cases import Case
from verify.compare import compare
from verify.failures import NothingComparedError
from verify.identify import Progress, Witness, witness_at
from verify.questions import Answers, Positions, RuleMap, ask_box, cases_for, rule_map, sentinels
from verify.worker import Ask

# about how many probes a case are asked again in the remainder of a vector
_REMAINDER = 61


@dataclass
class Conformance:
    """Verdict on one op: inputs compared, how many differ, the first of them, cases the rule is not defined on."""

    op: str
    semantics: Semantics
    compared: int = 0
    wrong: int = 0
    counterexamples: list[Witness] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def strength(self) -> str:
        """A monotone box that agrees on every probe agrees everywhere."""
        return f"SAMPLED {self.compared}" if self.wrong else "PROVED monotone"


def _some(xs: NDArray[np.int64]) -> NDArray[np.int64]:
    """An odd stride through the sorted probes, so that both sides of thresholds come up."""
    return xs[:: (len(xs) // _REMAINDER) | 1]


def _score(result: Conformance, known: RuleMap, case: Case, answers: list[Answers], errors: int) -> None:
    seen = {(w.case.name, w.carrier, w.x) for w in result.counterexamples}
    for a in answers:
        expected = known.codes(a.xs)
        found = compare(a.got, expected)
        result.compared += found.compared
        result.wrong += int(found.wrong.size)
        for i in found.wrong:
            if len(result.counterexamples) >= errors:
                break
            place = case.name, a.carrier, int(a.xs[i])
            if place not in seen:
                seen.add(place)
                result.counterexamples.append(witness_at(case, a, expected, int(i)))


def verify_op(
    ask: Ask, who: str, op: str, variants: list[Semantics], errors: int = 20, progress: Progress = lambda *_: None
) -> Conformance:
    """Ask the thresholds and the sentinels over the whole plan; keep the first `errors` differences.

    `variants` are the clamp orders of one rule; the one with the fewest differences is the verdict.
    """
    results = [Conformance(op, v) for v in variants]
    plan = cases_for(op)
    for done, case in enumerate(plan):
        progress(f"{op}: {case.name}", done, len(plan))
        maps = [rule_map(op, v, case) for v in variants]
        asked = [m.probes for m in maps if m]
        answers: list[Answers] = []
        if asked:
            xs = np.unique(np.concatenate([*asked, sentinels(op, case)]))
            answers = ask_box(ask, who, op, case, xs) + ask_box(ask, who, op, case, _some(xs), Positions.REMAINDER)
        for result, known in zip(results, maps, strict=True):
            if known:
                _score(result, known, case, answers, errors)
            else:
                result.skipped.append(f"{case.name}: {result.semantics.label} is not defined on its scales")
    best = min(results, key=lambda r: (not r.compared, r.wrong))
    if not best.compared:
        raise NothingComparedError(f"{who}: nothing was compared for {op}; the rule is defined on none of its cases")
    return best
