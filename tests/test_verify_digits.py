"""Integer-only networks against their training twins: every integer of every tensor, and that a fault is seen."""

import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from digits_cases import NEEDS_DIGITS, SAMPLES, exact_twin, row, silent, trained_nets
from refq_cases import assert_same

from refq.channels import FixedPoint, ShiftForm
from refq.networks import load, run, summary
from verify import demo_cli, failures
from verify.digits import demo
from verify.digits.comparison import compare
from verify.digits.data import load_split
from verify.digits.export import export
from verify.digits.plan import METHODS
from verify.failures import NothingComparedError, UsageError

pytestmark = NEEDS_DIGITS
SCALED = {
    "input", "conv1.acc", "conv1.codes", "conv2.acc", "conv2.codes", "conv3.acc", "conv3.codes", "conv3.sum",
    "conv3.pool", "conv4.acc", "conv4.codes", "conv4.pool", "logits.acc", "class",
}  # fmt: skip
SHIFT = (SCALED - {"conv3.sum"}) | {"shortcut.acc", "logits.codes"}


@pytest.fixture(scope="module")
def nets():
    return trained_nets()


def test_the_split_never_changes():
    data, test = load_split()
    assert data.pixels.shape == (1438, 8, 8, 1)
    assert test.pixels.shape == (359, 8, 8, 1)
    assert (test.pixels.dtype, int(test.pixels.min()), int(test.pixels.max())) == (np.uint8, 0, 16)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    assert_same(test.pixels[..., 0].astype(float), bunch.images[4::5])
    assert_same(test.labels, bunch.target[4::5])
    assert data.labels[:9].tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 0]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_every_integer_equals_that_of_the_exact_twin(nets, method):
    base, found, test = nets
    outcome = demo.examine(base, found[method.name], test, silent)
    assert {one.name for one in outcome.compared} == (SHIFT if method.activations == "shift" else SCALED)
    assert sum(one.count for one in outcome.compared) > SAMPLES * 8000
    assert (outcome.differ, outcome.unexplained) == (0, 0)
    assert outcome.accuracies["integer"] == outcome.accuracies["exact_twin"]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_the_network_holds_integers_only(nets, method):
    network = export(nets[1][method.name])
    arrays = [a for step in network.steps for a in (step.weights, step.bias) if a is not None]
    assert {a.dtype.kind for a in arrays} == {"i"}
    forms = {type(form) for step in network.steps for form in step.forms or ()}
    bits = {step.weight_format for step in network.steps if step.weights is not None}
    requantizing = sum(step.multiplications for step in summary(network).steps if step.op == "requantize")
    if method.activations == "shift":
        assert (forms, bits, requantizing) == ({ShiftForm}, {"int4"}, 0)
    else:
        assert (forms, bits, requantizing) == ({FixedPoint}, {"int8", f"odd{method.bits}"}, 3584)


def test_a_weight_a_bias_or_a_shift_off_by_one_is_seen(nets):
    for name, place in (("pact-sawb-4", "conv3"), ("shift-4", "conv2")):
        net, pixels = nets[1][name], nets[2].pixels
        network, twin = export(net), exact_twin(name)
        tampered = [replace(step, **fault(step, place)) for step in network.steps]
        got = run(replace(network, steps=tuple(tampered)), pixels, keep=True)
        wrong = [one for one in compare(got, twin) if one.differ]
        assert wrong[0].name == f"{place}.codes"
        assert got[wrong[0].name][wrong[0].first] != twin[wrong[0].name][wrong[0].first]


def fault(step, place):
    """One channel of one requantizer off by one unit of code."""
    if step.name != f"{place}.codes":
        return {}
    first = next(c for c, form in enumerate(step.forms) if isinstance(form, ShiftForm) or form.multiplier)
    form, forms = step.forms[first], list(step.forms)
    more = 1 << form.shift if isinstance(form, ShiftForm) else form.divisor
    forms[first] = replace(form, bias=form.bias - more if isinstance(form, ShiftForm) else form.bias + more)
    return {"forms": tuple(forms)}


def test_comparing_needs_the_same_tensors_and_something_to_compare():
    one, two = np.zeros((2, 3), np.int64), np.zeros((3, 2), np.int64)
    assert compare({"a": one.astype(np.uint8), "a.flat": two}, {"a": one})[0].count == 6
    with pytest.raises(ValueError, match=r"compare: b has no counterpart"):
        compare({"a": one}, {"a": one, "b": one})
    with pytest.raises(ValueError, match=r"compare: b has no counterpart"):
        compare({"a": one, "b": one}, {"a": one})
    with pytest.raises(ValueError, match=r"compare: a has shape \(2, 3\), its twin \(3, 2\)"):
        compare({"a": one}, {"a": two})
    with pytest.raises(NothingComparedError, match="nothing was compared"):
        compare({"a": one[:0]}, {"a": one[:0]})
    wrong = compare({"a": one}, {"a": np.array([[0, 0, 0], [0, 1, 2]])})[0]
    assert (wrong.differ, wrong.first) == (2, (1, 1))


def test_the_bias_of_the_logits_lies_on_the_grid_of_the_accumulators(nets):
    last = nets[1]["pact-sawb-4"].layers[-1]
    half = replace(last, quantizer=replace(last.quantizer, step=np.array([0.5])), input_step=Fraction(1, 2))
    assert half.acc_scale == Fraction(1, 4)
    assert replace(half, bias=row(0.125, 0.375, -0.6, 7)).bias_codes.tolist() == [0, 2, -2, 28]
    stored = nets[1]["pact-sawb-4"].trained.parameters["logits.bias"]
    assert stored.tolist() == [float(np.float32(float(int(b) * last.acc_scale))) for b in last.bias_codes]


def invoke(*words):
    return CliRunner().invoke(demo_cli.demo, ["digits", *words], standalone_mode=False)


def test_the_command_counts_compares_and_saves(tmp_path):
    done = invoke("--method", "shift-4", "--epochs", "1", "--samples", "5", "--json", "--save", str(tmp_path / "new"))
    assert (done.return_value, done.exception) == (failures.CONFORMS, None)
    [record] = json.loads(done.stdout)["methods"]
    assert (record["samples"], record["differ"], record["unexplained"]) == (5, 0, 0)
    assert record["compared"] == sum(tensor["count"] for tensor in record["tensors"]) == 43305
    assert [layer["name"] for layer in record["layers"]] == ["conv1", "conv2", "shortcut", "conv3", "conv4", "logits"]
    assert record["multiplications_bit_serial"] == record["multiplications_requantize"] == 0
    assert done.stderr.splitlines() == ["refq: float: training", "refq: shift-4: training", "refq: shift-4: exact twin"]
    network = load(record["file"])
    assert network.record["method"] == "shift-4"
    assert run(network, load_split()[1].pixels[:5]).shape == (5,)


def test_the_command_prints_and_fails_where_an_integer_differs(monkeypatch, nets):
    def tampered(net):
        network = export(net)
        return replace(network, steps=tuple(replace(step, **fault(step, "conv2")) for step in network.steps))

    monkeypatch.setattr(demo, "export", tampered)
    monkeypatch.setattr(demo, "train_float", lambda *_: nets[0])
    monkeypatch.setattr(demo, "train_quantized", lambda base, method, *_: nets[1][method.name])
    done = invoke("--method", "shift-4", "--epochs", "1", "--samples", "2")
    assert done.return_value == failures.DIFFERS
    assert "17,322 integers of 2 samples compared with the exact twin, " in done.stdout
    assert "\n  conv2.codes: " in done.stdout


def test_what_cannot_be_asked_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    done = invoke("--method", "shift-4", "--epochs", "1", "--samples", "1", "--save", str(tmp_path / "file" / "in"))
    assert isinstance(done.exception, UsageError)
    assert "cannot be written" in str(done.exception)
    if Path("/proc/self").is_dir():
        # it exists, and not even root can make a file in it
        assert "save='/proc/self' cannot be written" in str(invoke("--save", "/proc/self").exception)
    assert "'pact-sawb-3' is not one of" in str(invoke("--method", "pact-sawb-3").exception)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert str(invoke().exception) == "demo: scikit-learn is not installed; pip install 'refq[digits]'"


def test_the_command_knows_every_method():
    assert tuple(method.name for method in METHODS) == demo_cli.METHODS


@pytest.mark.sweep
def test_the_whole_demo_holds_what_the_issue_asks():
    done = invoke("--json")
    assert done.return_value == failures.CONFORMS
    for record in json.loads(done.stdout)["methods"]:
        rates = record["accuracy"]
        assert rates["integer"] == rates["exact_twin"]
        assert abs(rates["integer"] - rates["quantized"]) <= 0.01
        assert not record["method"].endswith("4") or rates["integer"] >= rates["float"] - 0.015
