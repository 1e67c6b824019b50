"""How far shift-based batch norm is from the float batch norm it stands for: a bound, and the exact extremes.

All in output steps, on exact rationals. The theorem and its proof: docs/shift_batchnorm.md.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

from refq.batchnorm.shift_forms import SPREAD, freeze_shift, mean_and_std, output_range
from refq.channels import Channel, ShiftForm


def _one(function: str, mean: Any, std: Any) -> tuple[Fraction, Fraction]:
    """One channel with std > 0."""
    pairs = mean_and_std(function, mean, std)
    if len(pairs) != 1:
        raise ValueError(f"{function}: mean has {len(pairs)} channels; pass one")
    if not pairs[0][1]:
        raise ValueError(f"{function}: std=0 has no float batch norm; pass std > 0")
    return pairs[0]


def float_twin(mean: Any, std: Any, bits: int, signed: bool, acc_min: int, acc_max: int) -> Channel:
    """The float batch norm that the form of (mean, std) approximates: U of eq. S8 before its rounding.

    gamma 1, beta 0, epsilon 0, variance std**2, out_scale 2**(R - bits). mean, std: one number each, exact, std > 0,
    in accumulator steps; bits: 2..8. TypeError for the kind, ValueError for the range.

    >>> float_twin(2.5, 40, 4, True, -256, 255).out_scale
    Fraction(1, 2)
    """
    qmin, qmax = output_range("float_twin", bits, signed)
    exact_mean, exact_std = _one("float_twin", mean, std)
    step = Fraction(2) ** (SPREAD[signed] - bits)
    return Channel(
        gamma=Fraction(1), beta=Fraction(0), mean=exact_mean, variance=exact_std**2, epsilon=Fraction(0),
        out_scale=step, acc_min=acc_min, acc_max=acc_max, qmin=qmin, qmax=qmax,
    )  # fmt: skip


def shift_error_bound(mean: Any, std: Any, bits: int, signed: bool) -> tuple[Fraction, Fraction]:
    """(lower, upper) of q - U at every integer accumulator: eqs. S10 and S11; both attained where shift >= 0.

    q: the code of the shift form; U: the float batch norm clamped to qmin..qmax, not rounded; in output steps.
    mean, std: one number each, exact, std > 0; bits: 2..8. TypeError for the kind, ValueError for the range.
    Source: derived here.

    >>> [str(end) for end in shift_error_bound(0, 20, 4, True)], [str(end) for end in shift_error_bound(0, 24, 4, True)]
    (['-21/10', '7/5'], ['-31/12', '5/3'])
    """
    (form,), (exact_mean, exact_std) = freeze_shift(mean, std, bits, signed), _one("shift_error_bound", mean, std)
    qmin, qmax, grain = form.qmin, form.qmax, Fraction(2) ** -form.shift
    rho = exact_std * Fraction(2) ** (SPREAD[signed] - bits) * grain
    delta = (exact_mean - form.bias) * grain
    loss = max(1 - grain, Fraction(0))
    if rho >= 1:
        lower, upper = qmin - (qmin + loss - delta) / rho, qmax - (qmax - delta) / rho
    else:
        # J, the last code whose step ends at u <= qmax, and K, the first that starts at u >= qmin
        last, first = floor(rho * qmax + delta - loss), ceil(rho * qmin + delta)
        lower = min(last - (last + loss - delta) / rho, Fraction(last + 1 - qmax))
        upper = max(first - (first - delta) / rho, Fraction(first - 1 - qmin))
    return max(min(lower, Fraction(0)), Fraction(qmin - qmax)), min(max(upper, Fraction(0)), Fraction(qmax - qmin))


def _error(x: int, form: ShiftForm, mean: Fraction, step: Fraction) -> Fraction:
    """q - U at x; the code by whole shifts."""
    distance = x - form.bias
    code = distance >> form.shift if form.shift >= 0 else distance << -form.shift
    real = (x - mean) / step
    return min(max(code, form.qmin), form.qmax) - min(max(real, Fraction(form.qmin)), Fraction(form.qmax))


def shift_error(mean: Any, std: Any, bits: int, signed: bool) -> tuple[tuple[Fraction, int], tuple[Fraction, int]]:
    """((lowest q - U, an accumulator), (highest q - U, an accumulator)) over all integers: exact, with witnesses.

    q is constant on a step of the form and U rises, so the extremes are at the ends of steps. Arguments, units and
    errors as in `shift_error_bound`.

    >>> [(str(error), x) for error, x in shift_error(0, 20, 4, True)]
    [('-21/10', -49), ('7/5', 56)]
    """
    (form,), (exact_mean, exact_std) = freeze_shift(mean, std, bits, signed), _one("shift_error", mean, std)
    step = exact_std * Fraction(2) ** (SPREAD[signed] - bits)
    starts = [form.bias + ceil(j * Fraction(2) ** form.shift) for j in range(form.qmin + 1, form.qmax + 1)]
    ends = [floor(exact_mean + form.qmin * step), ceil(exact_mean + form.qmax * step)]
    places = {*starts, *(x - 1 for x in starts), min(*ends, *starts) - 1, max(*ends, *starts)}
    errors = [(_error(x, form, exact_mean, step), x) for x in sorted(places)]
    return min(errors), max(errors)
