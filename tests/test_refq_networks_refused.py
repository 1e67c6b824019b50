"""Everything that can be wrong with a network is refused by `check` in one line that names the step."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from network_cases import NETS, conv, fixed_point_net

from refq.channels import FixedPoint, ShiftForm, ThresholdForm
from refq.networks import IntegerNetwork, Step, check, checks

KERNEL = np.ones((2, 3, 3, 1), np.int8)
ROWS = np.ones((2, 16), np.int8)
FAT = np.broadcast_to(np.int8(0), (1, 4097, 4096, 1))
LINE = Step("line", "flatten", ("input",))
LINES = (FixedPoint(1, 0, 1, 0, 3),)
PIXELS = conv("x", "input", KERNEL, ("int2", "uint4"))
SUMS = Step("x", "dense", ("line",), ROWS, weight_format="int2", input_format="uint4")
CODES = Step("x", "requantize", ("input",), forms=LINES)
ADD = Step("x", "add", ("input", "input"), qmin=0, qmax=3)
POOL = Step("x", "maxpool", ("input",), pool=2)
BIG = (1 << 63) - 1


def network(*steps, input_format="uint4", shape=(4, 4, 1)):
    return IntegerNetwork(steps, input_format, shape)


def test_the_right_ones_pass():
    for step in (PIXELS, CODES, ADD, POOL):
        assert check(network(step)) is None
    check(network(LINE, SUMS))
    for net in NETS.values():
        check(net())


STEPS = [
    (replace(PIXELS, op="conv2d"), ValueError, "op='conv2d' is unknown; legal: conv, dense, requantize, add, maxpool"),
    (replace(PIXELS, op=None), ValueError, "op=None is unknown"),
    (replace(PIXELS, inputs=("later",)), ValueError, "inputs has 'later', which no earlier step makes; known: input, "),
    (replace(PIXELS, inputs=("x",)), ValueError, "inputs has 'x', which no earlier step makes"),
    (replace(PIXELS, inputs=(3,)), ValueError, "inputs has 3, which no earlier step makes"),
    (replace(PIXELS, inputs=("input", "input")), ValueError, "inputs=('input', 'input') does not suit conv; pass a "),
    (replace(ADD, inputs=("input",)), ValueError, "inputs=('input',) does not suit add; pass a tuple of 2 names"),
    (replace(CODES, inputs=()), ValueError, "inputs=() does not suit requantize; pass a tuple of 1 or 2 names"),
    (replace(PIXELS, inputs="input"), ValueError, "inputs='input' does not suit conv"),
    (replace(POOL, weights=KERNEL), ValueError, "weights is set, which maxpool does not use; leave it out"),
    (replace(POOL, stride=2), ValueError, "stride is set, which maxpool does not use"),
    (replace(SUMS, padding=1), ValueError, "padding is set, which dense does not use"),
    (replace(SUMS, padding=False), ValueError, "padding is set, which dense does not use"),
    (replace(PIXELS, weights=None), TypeError, "weights is NoneType; pass an array of an integer dtype"),
    (replace(PIXELS, weights=KERNEL * 1.0), TypeError, "weights is float64; pass an array of an integer dtype"),
    (replace(PIXELS, weights=KERNEL > 0), TypeError, "weights is bool; pass"),
    (replace(PIXELS, weights=KERNEL[0]), ValueError, "weights has shape (3, 3, 1); pass (O, kh, kw, I)"),
    (replace(PIXELS, weights=KERNEL[:0]), ValueError, "weights has shape (0, 3, 3, 1); pass (O, kh, kw, I)"),
    (replace(PIXELS, weights=FAT), ValueError, "weights has shape (1, 4097, 4096, 1), a filter of more than 16777216"),
    (replace(SUMS, weights=KERNEL), ValueError, "weights has shape (2, 3, 3, 1); pass (O, I)"),
    (replace(PIXELS, weights=KERNEL * 2), ValueError, "weights[0, 0, 0, 0]=2 is outside int2 -2..1"),
    (replace(PIXELS, weights=KERNEL * 2, weight_format="odd2"), ValueError, "weights[0, 0, 0, 0]=2 is outside odd2"),
    (replace(PIXELS, weight_format="int17"), ValueError, "weight_format='int17' is no encoding; write uint1..uint16"),
    (replace(PIXELS, weight_format=None), TypeError, "weight_format=None is not the name of an encoding; pass 'int4'"),
    (replace(PIXELS, input_format=4), TypeError, "input_format=4 is not the name of an encoding"),
    (replace(PIXELS, input_format="uint3"), ValueError, "input_format='uint3' holds 0..7, its input reaches 0..15"),
    (replace(PIXELS, input_format="odd5"), ValueError, "input_format='odd5' holds odd numbers only, its input even"),
    (replace(PIXELS, weights=np.ones((2, 3, 3, 2), int)), ValueError, "weights has shape (2, 3, 3, 2), its input (4,"),
    (replace(PIXELS, weights=np.ones((2, 5, 3, 1), int)), ValueError, "weights has a kernel of (5, 3), larger than it"),
    (replace(PIXELS, bias=np.ones(2, np.int32)), TypeError, "bias is int32; pass an array of int64"),
    (replace(PIXELS, bias=[1, 2]), TypeError, "bias is list; pass an array of int64"),
    (replace(PIXELS, bias=np.ones(3, np.int64)), ValueError, "bias has shape (3,); pass one number a filter, (2,)"),
    (replace(PIXELS, bias=np.array([0, BIG])), ValueError, "its sums could reach 9223372036854776077, outside int64"),
    (replace(PIXELS, bias=np.array([0, -BIG - 1])), ValueError, "its sums could reach 9223372036854776078, outside"),
    (replace(PIXELS, stride=0), ValueError, "stride=0 is outside 1..16384"),
    (replace(PIXELS, stride=1.0), TypeError, "stride=1.0 is not an integer"),
    (replace(PIXELS, stride=True), TypeError, "stride=True is not an integer"),
    (replace(PIXELS, padding=-1), ValueError, "padding=-1 is outside 0..16384"),
    (replace(PIXELS, padding=1 << 40), ValueError, "padding=1099511627776 is outside 0..16384"),
    (replace(PIXELS, padding="same"), TypeError, "padding='same' is neither an int nor ((top, bottom), (left, right))"),
    (replace(PIXELS, padding=(1, 1)), TypeError, "padding=(1, 1) is neither an int nor"),
    (replace(PIXELS, padding=((1, 1.5), (1, 1))), TypeError, "padding=1.5 is not an integer"),
    (replace(PIXELS, padding=16384), ValueError, "a tensor of shape (32770, 32770, 2) has more than 16777216 values"),
    (replace(SUMS, inputs=("input",)), ValueError, "its input has shape (4, 4, 1); pass (features,), through a flatte"),
    (replace(PIXELS, inputs=("line",)), ValueError, "its input has shape (16,); pass (H, W, C)"),
    (replace(CODES, forms=None), TypeError, "forms is NoneType, or empty; pass a tuple of forms, one a channel"),
    (replace(CODES, forms=()), TypeError, "forms is tuple, or empty"),
    (replace(CODES, forms=list(LINES)), TypeError, "forms is list, or empty"),
    (replace(CODES, forms=(Fraction(1),)), TypeError, "forms[0]=Fraction(1, 1) is no FixedPoint, ShiftForm or"),
    (replace(CODES, forms=LINES * 2), ValueError, "forms has 2, its input shape (4, 4, 1); pass one form a channel"),
    (replace(CODES, forms=(FixedPoint(BIG, 0, 1, 0, 3),)), ValueError, "fixed_batchnorm: forms[0] needs 68 bits for"),
    (replace(CODES, forms=(FixedPoint(1, 0, 1 << 63, 0, 3),)), ValueError, "forms[0].divisor=9223372036854775808 leav"),
    (replace(CODES, forms=(ShiftForm(1 << 62, 0, 0, 3),)), ValueError, "shift_batchnorm: forms[0].bias=46116860184273"),
    (replace(CODES, forms=(ThresholdForm((1 << 70,), 0),)), ValueError, f"forms[0].thresholds={1 << 70} leaves 64 bit"),
    (replace(CODES, inputs=("input", "input")), ValueError, "inputs has two tensors, which only shift forms add; use"),
    (replace(CODES, inputs=("input", "line"), forms=(ShiftForm(0, 0, 0, 3),)), ValueError, "inputs have shapes (4, 4,"),
    (replace(ADD, inputs=("input", "line")), ValueError, "inputs have shapes (4, 4, 1) and (16,); pass two of one sha"),
    (replace(ADD, qmin=None), TypeError, "qmin=None is not an integer"),
    (replace(ADD, qmin=4), ValueError, "qmax=3 is outside 4..9223372036854775807"),
    (replace(POOL, pool=None), TypeError, "pool=None is not an integer; pass 1..4"),
    (replace(POOL, pool=5), ValueError, "pool=5 is outside 1..4"),
    (replace(POOL, inputs=("line",)), ValueError, "its input has shape (16,); pass (H, W, C)"),
    (Step("x", "flatten", ("line",)), ValueError, "its input has shape (16,); pass (H, W, C)"),
    (Step("x", "argmax", ("input",)), ValueError, "its input has shape (4, 4, 1); pass (classes,)"),
]  # fmt: skip


@pytest.mark.parametrize(("step", "error", "message"), STEPS)
def test_refused_steps(step, error, message):
    with pytest.raises(error) as caught:
        check(network(LINE, step))
    assert str(caught.value).startswith(f"check: step 'x': {message}")
    assert "\n" not in str(caught.value)


NAMES = [
    ("", TypeError, "step '': name='' is not a printable string of 1..200 characters"),
    ("a\nb", TypeError, r"step 'a\nb': name='a\nb' is not a printable string"),
    (None, TypeError, "step 'None': name=None is not a printable string"),
    ("input", ValueError, "step 'input': name='input' is taken; pass another"),
    ("line", ValueError, "step 'line': name='line' is taken"),
]


@pytest.mark.parametrize(("name", "error", "message"), NAMES)
def test_refused_names(name, error, message):
    with pytest.raises(error) as caught:
        check(network(LINE, replace(PIXELS, name=name)))
    assert str(caught.value).startswith(f"check: {message}")


FRAMES = [
    ({"steps": ()}, TypeError, "steps is no tuple, or empty; pass at least one Step"),
    ({"steps": [LINE]}, TypeError, "steps is no tuple"),
    ({"steps": (LINE, "pool")}, TypeError, "steps[1]='pool' is not a Step"),
    ({"input_format": "float32"}, ValueError, "input_format='float32' is no encoding"),
    ({"input_format": None}, TypeError, "input_format=None is not the name of an encoding"),
    ({"input_shape": (4, 4)}, TypeError, "input_shape=(4, 4) is not a tuple (H, W, C)"),
    ({"input_shape": [4, 4, 1]}, TypeError, "input_shape=[4, 4, 1] is not a tuple (H, W, C)"),
    ({"input_shape": (4, 4.0, 1)}, TypeError, "input_shape=4.0 is not an integer"),
    ({"input_shape": (0, 4, 1)}, ValueError, "input_shape=0 is outside 1..16384"),
    ({"input_shape": (1 << 40, 4, 1)}, ValueError, "input_shape=1099511627776 is outside 1..16384"),
    ({"input_shape": (16384, 16384, 1)}, ValueError, "a tensor of shape (16384, 16384, 1) has more than 16777216 valu"),
    ({"record": None}, TypeError, "record=None is not a mapping of strings"),
    ({"record": {"method": 3}}, TypeError, "record has ('method', 3), which are not strings"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "error", "message"), FRAMES)
def test_refused_frames(wrong, error, message):
    with pytest.raises(error) as caught:
        check(replace(fixed_point_net(), **wrong))
    assert str(caught.value).startswith(f"check: {message}")


def test_many_large_tensors_are_refused(monkeypatch):
    """Each is legal; the intervals of all would fill the memory, and a file of 400 bytes can name them."""
    monkeypatch.setattr(checks, "MOST_INTERVALS", 40)
    lines = [replace(LINE, name=f"line{i}") for i in range(3)]
    check(network(*lines[:2], ADD))
    with pytest.raises(
        ValueError, match=r"^check: step 'line2': the tensors up to here have more than 40 channels and"
    ):
        check(network(*lines))


def test_sums_that_could_overflow():
    ones = (ShiftForm(0, 0, -BIG, BIG),)
    wide = Step("wide", "requantize", ("big",), forms=(ShiftForm(0, -58, -(1 << 60), 1 << 60),))
    big = Step("big", "requantize", ("input",), forms=(ShiftForm(0, -58, -(1 << 61), 1 << 61),))
    with pytest.raises(ValueError, match=r"^check: step 'big': shift_batchnorm: forms\[0\].qmin=-9223372036854775807"):
        check(network(replace(big, forms=ones)))
    with pytest.raises(ValueError, match=r"^check: step 'wide': shift_batchnorm: acc\[1, 0\]=2305843009213693952 is"):
        check(network(big, replace(wide, forms=(ShiftForm(1 << 61, 0, 0, 1),))))
    doubled = [Step(f"s{i}", "add", (f"s{i - 1}",) * 2, qmin=-BIG, qmax=BIG) for i in range(1, 4)]
    with pytest.raises(ValueError, match=r"^check: step 's2': its sums could reach 9223372036854775808, outside int64"):
        check(network(replace(big, name="s0"), *doubled))


def test_a_bias_may_reach_the_end_of_int64():
    step = replace(PIXELS, bias=np.array([BIG - 9 * 15 * 2, -(BIG - 9 * 15 * 2)]))
    check(network(step))
    with pytest.raises(ValueError, match="could reach 9223372036854775808"):
        check(network(replace(step, bias=step.bias + 1)))


def test_odd_codes_stay_odd():
    """Through pools and thresholds in pairs; not through sums, nor thresholds that stop at 0."""
    signs = Step("signs", "requantize", ("input",), forms=(ThresholdForm((0, 0), -1),))
    sign_sum = replace(PIXELS, inputs=("signs",), input_format="bipolar")
    check(network(signs, sign_sum))
    check(network(replace(PIXELS, input_format="odd2"), input_format="bipolar"))
    for forms in ((ThresholdForm((0, 1), -1),), (ThresholdForm((0,), -1),), (FixedPoint(1, 0, 8, 0, 1),)):
        with pytest.raises(ValueError, match=r"^check: step 'x': input_format='(bipolar|odd2)' holds odd numbers only"):
            check(network(replace(signs, forms=forms), sign_sum))
