"""Does a backend follow one named rule? The complete probe set, every carrier, with counterexamples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refq import Semantics
from verify.compare import compare
from verify.failures import NothingComparedError
from verify.identify import Progress, Witness
from verify.questions import Positions, ask_box, cases_for, rule_map, sentinels
from verify.worker import Ask

# probes a case asked again in the remainder of a vector: the smallest, where most ties are
_REMAINDER = 60


@dataclass(frozen=True)
class Conformance:
    """Verdict on one op: inputs compared, how many differ, the first of them, cases the rule is not defined on."""

    op: str
    compared: int
    wrong: int
    counterexamples: list[Witness]
    skipped: list[str]

    @property
    def strength(self) -> str:
        """A monotone box that agrees on every probe agrees everywhere."""
        return f"SAMPLED {self.compared}" if self.wrong else "PROVED monotone"


def verify_op(
    ask: Ask, who: str, op: str, semantics: Semantics, errors: int = 20, progress: Progress = lambda *_: None
) -> Conformance:
    """Ask the rule's thresholds and the sentinels over the whole plan; keep the first `errors` differences a case."""
    compared, wrong = 0, 0
    found: list[Witness] = []
    skipped: list[str] = []
    plan = cases_for(op)
    for done, case in enumerate(plan):
        progress(f"{op}: {case.name}", done, len(plan))
        known = rule_map(op, semantics, case)
        if known is None:
            skipped.append(f"{case.name}: {semantics.label} is not defined on its scales")
            continue
        xs = np.unique(np.concatenate([known.probes, sentinels(op, case)]))
        few = np.sort(xs[np.argsort(np.abs(xs), kind="stable")][:_REMAINDER])
        answers = ask_box(ask, who, op, case, xs) + ask_box(ask, who, op, case, few, Positions.REMAINDER)
        for a in answers:
            expected = known.codes(a.xs)
            result = compare(a.got, expected)
            compared, wrong = compared + result.compared, wrong + result.wrong.size
            for i in result.wrong[: max(errors - len(found), 0)]:
                found.append(Witness(case, a.carrier, int(a.xs[i]), int(a.got[i]), int(expected[i])))
    if not compared:
        raise NothingComparedError(f"{who}: nothing was compared for {op}; the rule is defined on none of its cases")
    return Conformance(op, compared, wrong, found, skipped)
