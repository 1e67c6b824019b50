"""Shift-based batch norm: the forms of frozen statistics and of channels, against the formulas on exact rationals."""

from dataclasses import replace
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, lattice

from refq.batchnorm.forms import form_steps
from refq.batchnorm.shift import shift_batchnorm
from refq.batchnorm.shift_forms import SPREAD, freeze_shift, rationals, shift_form
from refq.batchnorm.surds import nearest
from refq.batchnorm.surds import round_log2 as round_log2_array
from refq.batchnorm.target import target_steps
from refq.channels import Channel, ShiftForm
from refq.formats import Rounding
from refq.spec.batchnorm import round_log2, round_surd

FORMATS = [(bits, signed) for bits in range(2, 9) for signed in (True, False)]
LIMIT = (1 << 62) - 1


def bounds(bits, signed):
    return (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def test_round_log2_at_exact_ties():
    for r in [*range(-70, 71), 500, -501]:
        tie = Fraction(4) ** r * 2
        for square in (tie, tie * (1 + Fraction(1, 1 << 200)), tie * (1 - Fraction(1, 1 << 200)), tie + 1, tie / 2):
            assert round_log2_array(square) == round_log2(square)
        assert round_log2_array(tie) == r + r % 2
        if r > 0:
            assert (round_log2_array(tie - 1), round_log2_array(tie + 1)) == (r, r + 1)


@QUICK
@given(st.integers(1, 1 << 80), st.integers(1, 1 << 80))
def test_round_log2_and_nearest_equal_the_definition(p, q):
    square = Fraction(p, q)
    assert round_log2_array(square) == round_log2(square)
    for rational in (Fraction(p, q), Fraction(-p, 2), Fraction(q)):
        for factor, under in ((Fraction(1), square), (Fraction(-1, 2), Fraction(p)), (Fraction(-1), square * square)):
            assert nearest(rational, factor, under) == round_surd(rational, factor, under, Rounding.TIES_EVEN)


@QUICK
@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.sampled_from(FORMATS))
def test_freeze_is_the_formula_on_exact_rationals(mean, std, fmt):
    bits, signed = fmt
    (form,) = freeze_shift(mean, std, bits, signed)
    shift = round_log2(Fraction(std) ** 2) + SPREAD[signed] - bits if std else -bits
    assert form == ShiftForm(round(Fraction(mean)), shift, *bounds(bits, signed))
    (single,) = freeze_shift(np.float32([mean]), np.float32([std]), bits, signed)
    assert (single,) == freeze_shift(float(np.float32(mean)), float(np.float32(std)), bits, signed)


def test_numbers_of_every_kind_are_taken_exactly():
    values = [3, 0.1, Fraction(1, 3), np.int8(-3), np.uint64(2**64 - 1), np.float32(0.1), np.longdouble(0.5)]
    expected = [3, Fraction(0.1), Fraction(1, 3), -3, 2**64 - 1, Fraction(float(np.float32(0.1))), Fraction(1, 2)]
    assert rationals("f", "x", values) == expected
    assert rationals("f", "x", np.arange(3)) == [0, 1, 2]
    assert rationals("f", "x", 7) == [7]


def test_freeze_ties_and_the_float_beside_a_power():
    assert [form.bias for form in freeze_shift([0.5, 1.5, -0.5, -2.5], [1] * 4, 4, True)] == [0, 2, 0, -2]
    root = np.float64(sqrt(2.0))  # above the root of 2 by 1e-16
    shifts = [form.shift for form in freeze_shift([0, 0], [root, np.nextafter(root, 0)], 4, True)]
    assert shifts == [0, -1]


@pytest.mark.parametrize(("bits", "signed"), FORMATS)
def test_zero_deviation_is_the_limit(bits, signed):
    (form,) = freeze_shift(5, 0, bits, signed)
    xs = [*range(-300, 300), *(5 + d for d in lattice(-(1 << 61), 1 << 61))]
    expected = [form.qmin if x < 5 else form.qmax if x > 5 else 0 for x in xs]
    assert form.shift == -bits
    for shift in (-bits, -bits - 1, -63, -LIMIT):
        assert shift_batchnorm(np.array(xs), [replace(form, shift=shift)]).tolist() == expected


@QUICK
@given(st.integers(-9, 9).filter(bool), st.integers(-99, 99), st.integers(-300, 300), st.integers(1, 99))
def test_shift_form_is_the_formula(gamma, beta, mean, variance):
    scale, zero_point = 1 + variance % 64, variance - 50
    c = Channel(Fraction(gamma, 4), Fraction(beta, 8), Fraction(mean, 2), variance, Fraction(1, 3), Fraction(scale, 16),
                Fraction(3, scale), zero_point)  # fmt: skip
    form, v = shift_form(c), c.variance + c.epsilon
    assert form.shift == round_log2((c.out_scale / (c.gamma * c.acc_scale)) ** 2 * v)
    x0 = round_surd(
        form.sign * c.mean / c.acc_scale, -form.sign * c.beta / (c.gamma * c.acc_scale), v, Rounding.TIES_EVEN
    )
    assert form == ShiftForm(x0, form.shift, c.qmin, c.qmax, 1 if gamma > 0 else -1, zero_point)


def test_shift_form_of_a_power_of_two_is_the_floored_channel_and_of_gamma_zero_its_constant():
    for gamma in (1, -1):
        c = Channel(gamma, -3, 40, 256, 0, out_scale=Fraction(1, 4), zero_point=2, acc_min=-999, acc_max=999)
        assert form_steps(shift_form(c), (-999, 999)) == target_steps(c, Rounding.FLOOR)
    for beta, first, last in ((-3.25, -5, 900), (99, 7, 7), (-99, -(2**63 - 1), 2**63 - 1)):
        c = Channel(0, beta, 1, 1, 1, zero_point=3, acc_min=first, acc_max=last, qmin=-9, qmax=9)
        assert form_steps(shift_form(c), (first, last)) == target_steps(c, Rounding.FLOOR)


BAD = [
    (lambda: freeze_shift(0, 1, 1, True), ValueError, r"freeze_shift: bits=1 is outside 2\.\.8"),
    (lambda: freeze_shift(0, 1, 9, False), ValueError, r"bits=9 is outside 2\.\.8"),
    (lambda: freeze_shift(0, 1, 4, 1), TypeError, "signed=1 is not a bool"),
    (lambda: freeze_shift([0, 0], [1, float("nan")], 4, True), ValueError, r"std\[1\]=nan is not finite"),
    (lambda: freeze_shift([0, np.float32("inf")], [1, 1], 4, True), ValueError, r"mean\[1\]=inf is not finite"),
    (lambda: freeze_shift([0, 0], [1, -0.5], 4, True), ValueError, r"std\[1\]=-1/2 is negative"),
    (lambda: freeze_shift([0, 0], [1], 4, True), ValueError, "std has 1 channels, mean has 2"),
    (lambda: freeze_shift([[0]], [[1]], 4, True), ValueError, r"mean has shape \(1, 1\)"),
    (lambda: freeze_shift(["1"], [1], 4, True), TypeError, r"mean\[0\]='1' is not a number"),
    (lambda: freeze_shift([True], [1], 4, True), TypeError, r"mean\[0\]=True is not a number"),
    (lambda: shift_form(3), TypeError, "is not a Channel"),
    (lambda: rationals("f", "x", [None]), TypeError, r"x\[0\]=None is not a number"),
    (lambda: rationals("f", "x", np.array([1j])), TypeError, "is not a number"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_bad_input_names_the_argument(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
