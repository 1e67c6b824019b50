"""From every integer form to its staircase and back: two forms are equal iff their staircases are."""

from __future__ import annotations

from collections.abc import Sequence

from refq.arguments import integer, member
from refq.channels import ACC_LIMIT, Crossing, FixedPoint, ShiftForm, ThresholdForm
from refq.staircase.build import MAX_STEPS
from refq.staircase.steps import Staircase, empty, rising

Form = FixedPoint | ShiftForm | ThresholdForm


def from_shift(form: ShiftForm) -> FixedPoint:
    """The same function as a line: multiplier +-2**max(-shift, 0), divisor 2**max(shift, 0).

    >>> from_shift(ShiftForm(bias=3, shift=2, qmin=-7, qmax=7))
    FixedPoint(multiplier=1, bias=-3, divisor=4, qmin=-7, qmax=7)
    """
    gain, divisor = 1 << max(-form.shift, 0), 1 << max(form.shift, 0)
    bias = form.zero_point * divisor - form.bias * gain
    return FixedPoint(form.sign * gain, bias, divisor, form.qmin, form.qmax)


def threshold_form(steps: Staircase, qmin: int, qmax: int, crossing: Crossing = Crossing.INCLUSIVE) -> ThresholdForm:
    """A monotone staircase as thresholds, one for each code above qmin; out of reach ones one past the domain.

    A falling staircase gets sign -1 and thresholds of -x. Blott et al. 2018 (FINN-R); docs/batchnorm.md eq. 13.

    >>> threshold_form(rising(0, 9, 0, [2, 2, 5]), 0, 4)
    ThresholdForm(thresholds=(2, 2, 5, 10), qmin=0, crossing=<Crossing.INCLUSIVE: 0>, sign=1)
    """
    wanted = Crossing(member("threshold_form", "crossing", crossing, Crossing))
    if not steps.size or not steps.monotone:
        raise ValueError("threshold_form: steps is empty or not monotone; thresholds cannot tell it")
    sign = -1 if steps.levels[-1] < steps.levels[0] else 1
    up = steps if sign > 0 else steps.reflected()
    levels, starts = up.levels.tolist(), [*up.starts.tolist(), up.last + 1]
    if levels[0] < qmin or levels[-1] > qmax:
        raise ValueError(f"threshold_form: steps reaches {levels[0]}..{levels[-1]}, outside {qmin}..{qmax}")
    counts = [after - before for before, after in zip([qmin, *levels], [*levels, qmax], strict=True)]
    found = [start - wanted for start, count in zip(starts, counts, strict=True) for _ in range(count)]
    return ThresholdForm(tuple(found), qmin, wanted, sign)


def crossing_form(form: ThresholdForm, crossing: Crossing) -> ThresholdForm:
    """The same function under the other convention: x > t is x >= t + 1.

    >>> crossing_form(ThresholdForm((2, 5), 0), Crossing.STRICT).thresholds
    (1, 4)
    """
    wanted = Crossing(member("crossing_form", "crossing", crossing, Crossing))
    moved = tuple(t + form.crossing - wanted for t in form.thresholds)
    return ThresholdForm(moved, form.qmin, wanted, form.sign)


def _oriented(sign: int, domain: tuple[int, int], lowest: int, thresholds: Sequence[int]) -> Staircase:
    first, last = domain
    return (
        rising(first, last, lowest, thresholds) if sign > 0 else rising(-last, -first, lowest, thresholds).reflected()
    )


def _line_steps(form: FixedPoint, domain: tuple[int, int]) -> Staircase:
    sign, slope = (-1 if form.multiplier < 0 else 1), abs(form.multiplier)
    ends = ((form.multiplier * x + form.bias) // form.divisor for x in domain)
    low, high = sorted(max(form.qmin, min(end, form.qmax)) for end in ends)
    if high - low > MAX_STEPS:
        raise ValueError(f"form_steps: form reaches {low}..{high}, more than {MAX_STEPS} codes; pass a smaller domain")
    # ceil((level * divisor - bias) / slope)
    reached = [-((form.bias - level * form.divisor) // slope) for level in range(low + 1, high + 1)]
    return _oriented(sign, domain, low, reached)


def form_steps(form: Form, domain: tuple[int, int]) -> Staircase:
    """The whole of an integer form on the accumulators first..last of the domain, both included.

    >>> form_steps(FixedPoint(19, -177, 64, 0, 15), (-256, 255)).starts[:4].tolist()
    [-256, 13, 17, 20]
    """
    first, last = (integer("form_steps", "domain", x, -ACC_LIMIT, ACC_LIMIT) for x in domain)
    if first > last:
        return empty(first, last)
    if isinstance(form, ThresholdForm):
        inclusive = crossing_form(form, Crossing.INCLUSIVE)
        return _oriented(form.sign, (first, last), form.qmin, inclusive.thresholds)
    if isinstance(form, ShiftForm):
        return _line_steps(from_shift(form), (first, last))
    if isinstance(form, FixedPoint):
        return _line_steps(form, (first, last))
    raise TypeError(f"form_steps: form={form!r} is no FixedPoint, ShiftForm or ThresholdForm")
