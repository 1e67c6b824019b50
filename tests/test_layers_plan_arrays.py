"""Plans on arrays give what the kernels give: every rule, one channel and several, any axis, ends and ties."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import assert_same

from refq import INT8, RULES, Arithmetic, IntFormat
from refq.layers import plan_arrays
from refq.layers.plan_arrays import FEW, plan_codes
from refq.parameters import prepare
from refq.planned import run_prepared
from refq.spec import requantize as spec

# shifts to the left and to the right, a dyadic one, one whose codes leave int32
SCALES = [Fraction(1, 4), Fraction(3, 1 << 10), Fraction(5, 2), Fraction(11_863_283, 1 << 33), Fraction(1 << 9)]


def _plan(rule, scales, zero_point, fmt):
    """The plan, and the sums it is exact on; a rule that has no plan for some scale is asked about the others."""
    kept = []
    for scale in scales:
        try:
            prepare(rule, scale, zero_point, fmt)
        except ValueError:
            continue
        kept.append(scale)
    return kept, *prepare(rule, kept, zero_point, fmt)


def _sums(low, high, channels):
    """Ends of the domain, ties of dyadic scales, both signs, the last codes before saturation: (n, channels)."""
    near = np.arange(-70, 71)
    ends = [low, low + 1, high - 1, high, -(1 << 24) - 1, (1 << 24) + 1, 12_345_678, -87_654_321, 6754, -6754]
    values = [int(x) for x in (*near, *near * 1024 + 512, *ends) if low <= x <= high]
    return np.repeat(np.array(values, np.int64)[:, None], channels, 1)


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("zero_point", [0, -7])
def test_every_rule_against_its_kernel(rule, zero_point):
    kept, plan, (low, high) = _plan(rule, SCALES, zero_point, INT8)
    acc = _sums(max(low, -(1 << 47)), min(high, 1 << 47), len(kept))
    expected = run_prepared("kernel", plan, acc, -1, INT8)
    assert_same(plan_codes("arrays", plan, acc, -1, INT8), expected)
    turned = np.ascontiguousarray(acc.T)[None]
    assert_same(plan_codes("arrays", plan, turned, 1, INT8), expected.T[None])


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_against_its_definition(rule):
    fmt = IntFormat(8, signed=False)
    kept, plan, (low, high) = _plan(rule, SCALES[:1], 131, fmt)
    acc = _sums(max(low, -(1 << 31)), min(high, (1 << 31) - 1), 1)[:, 0]
    expected = np.array([spec.requantize(int(x), RULES[rule], kept[0], 131, fmt) for x in acc], np.uint8)
    assert_same(plan_codes("arrays", plan, acc, -1, fmt), expected)


def test_many_values_take_the_kernel(monkeypatch):
    calls = []
    monkeypatch.setattr(plan_arrays, "run_prepared", lambda *a: calls.append(a[2].size) or run_prepared(*a))
    _, plan, _ = _plan("float64_ties_away", SCALES[:2], 3, INT8)
    assert plan.arithmetic == Arithmetic.FLOAT64
    acc = np.arange(-FEW // 2, FEW // 2 + 2, dtype=np.int64).reshape(-1, 2)
    many, few = plan_codes("arrays", plan, acc, -1, INT8), plan_codes("arrays", plan, acc[:-1], -1, INT8)
    assert calls == [FEW + 2]
    assert_same(many[:-1], few)
