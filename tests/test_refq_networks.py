"""`run` equals the definition on every tensor of every sample; worked values; inputs of every kind and layout."""

from dataclasses import replace

import numpy as np
import pytest
from network_cases import NETS, conv, fixed_point_net, samples, shift_net
from refq_cases import assert_same

from refq.channels import FixedPoint, ShiftForm
from refq.networks import IntegerNetwork, Step, bind, run
from refq.spec.networks import evaluate


@pytest.mark.parametrize("name", NETS)
def test_every_tensor_of_every_sample_equals_the_definition(name):
    network, inputs = NETS[name](), samples(name)
    tensors = run(network, inputs, keep=True)
    assert list(tensors) == ["input", *(step.name for step in network.steps)]
    compared = 0
    for n, sample in enumerate(inputs):
        exact = evaluate(network, sample)
        for step in network.steps:
            got = tensors[step.name][n]
            compared += assert_same(got=got, expected=np.array(exact[step.name], got.dtype))
    assert compared > 700
    assert_same(got=run(network, inputs), expected=tensors["class"])


@pytest.mark.parametrize("name", NETS)
def test_every_code_and_class_occurs(name):
    """Otherwise the comparison above would say little: clamps at both ends, some codes between, ties."""
    tensors = run(NETS[name](), samples(name, 40), keep=True)
    assert len(np.unique(tensors["class"])) >= 2
    for step in NETS[name]().steps:
        if step.op == "requantize" and step.name != "q3":
            ends = [form.qmin for form in step.forms]
            assert set(ends) <= set(np.unique(tensors[step.name]))
            assert len(np.unique(tensors[step.name])) > 1


def test_ties_go_to_the_lowest_index():
    tensors = run(shift_net(), samples("shift", 40), keep=True)
    tied = np.sum(tensors["q3"] == tensors["q3"].max(axis=1, keepdims=True), axis=1) > 1
    assert tied.sum() >= 3
    weights = np.array([[1, 0], [0, 1], [1, 0]], np.int8)
    steps = (
        Step("line", "flatten", ("input",)),
        Step("sums", "dense", ("line",), weights, weight_format="int2", input_format="uint2"),
        Step("class", "argmax", ("sums",)),
    )
    network = IntegerNetwork(steps, "uint2", (1, 1, 2))
    pairs = np.array([[[[2, 1]]], [[[1, 2]]], [[[2, 2]]], [[[0, 0]]]])
    assert_same(got=run(network, pairs), expected=np.array([0, 1, 0, 0]))


def test_worked_by_hand():
    """[[1, 2], [3, 0]] under [[1, -1], [2, 3]] + 10, padded below and right by one."""
    kernel = np.array([1, -1, 2, 3], np.int8).reshape(1, 2, 2, 1)
    steps = (
        conv("sums", "input", kernel, ("int3", "uint2"), padding=((0, 1), (0, 1)), bias=np.array([10])),
        Step("codes", "requantize", ("sums",), forms=(FixedPoint(1, 1, 2, 0, 7),)),
        Step("twice", "add", ("codes", "codes"), qmin=-1, qmax=13),
        Step("most", "maxpool", ("twice",), pool=2),
    )
    network = IntegerNetwork(steps, "uint2", (2, 2, 1))
    tensors = run(network, np.array([[1, 2], [3, 0]]).reshape(1, 2, 2, 1), keep=True)
    assert_same(got=tensors["sums"].ravel(), expected=np.array([1 - 2 + 6 + 0 + 10, 2 + 10, 3 + 10, 10]))
    assert_same(got=tensors["codes"].ravel(), expected=np.array([7, 6, 7, 5], np.uint8))
    assert_same(got=tensors["twice"].ravel(), expected=np.array([13, 12, 13, 10], np.int8))
    assert_same(got=tensors["most"].ravel(), expected=np.array([13], np.int8))


def test_one_shift_after_the_residual_and_not_two():
    """papers.md 2.1: floor((3 + 3 - 1) / 4) = 1, where floor((3 - 1) / 4) + floor(3 / 4) = 0."""
    one = np.ones((1, 1, 1, 1), np.int8)
    steps = (
        conv("a", "input", one, ("int2", "uint3")),
        conv("b", "input", one, ("int2", "uint3")),
        Step("q", "requantize", ("a", "b"), forms=(ShiftForm(1, 2, -7, 7),)),
    )
    found = run(IntegerNetwork(steps, "uint3", (1, 5, 1)), np.array([0, 2, 3, 5, 7]).reshape(1, 1, 5, 1))
    assert_same(got=found.ravel(), expected=np.array([-1, 0, 1, 2, 3], np.int8))


def test_published_thresholds():
    """papers.md 1.10, channel c1: codes change at 13 17 20 23 27 30 33 37 40 43 47 50 54 57 60."""
    steps = (Step("codes", "requantize", ("input",), forms=(FixedPoint(19, -177, 64, 0, 15),)),)
    found = run(IntegerNetwork(steps, "int9", (1, 512, 1)), np.arange(-256, 256).reshape(1, 1, 512, 1)).ravel()
    jumps = np.flatnonzero(np.diff(found.astype(int))) + 1 - 256
    assert_same(got=jumps, expected=np.array([13, 17, 20, 23, 27, 30, 33, 37, 40, 43, 47, 50, 54, 57, 60]))


@pytest.mark.parametrize("dtype", ["uint8", ">i2", "int32", "int64", "uint64"])
def test_inputs_of_every_dtype_and_layout(dtype):
    network, inputs = fixed_point_net(), samples("fixed")
    classify = bind(network)
    expected = classify(inputs)
    frozen = inputs.astype(dtype)
    frozen.setflags(write=False)
    spread = np.zeros((6, 5, 12, 2), dtype)
    spread[:, :, ::2] = inputs
    for given in (frozen, spread[:, :, ::2], np.asfortranarray(frozen), frozen.tolist()):
        assert_same(got=classify(given), expected=expected)


@pytest.mark.parametrize("dtype", ["<i1", ">i2"])
def test_weights_of_every_layout(dtype):
    network, inputs = fixed_point_net(), samples("fixed")

    def turned(array):
        other = np.repeat(array.astype(dtype), 2, axis=0)[::2] if dtype == "<i1" else np.asfortranarray(array, dtype)
        other.setflags(write=False)
        return other

    steps = (step if step.weights is None else replace(step, weights=turned(step.weights)) for step in network.steps)
    tensors, expected = run(replace(network, steps=tuple(steps)), inputs, keep=True), run(network, inputs, keep=True)
    assert sum(assert_same(got=tensors[name], expected=tensor) for name, tensor in expected.items()) > 1000


def test_batches_of_none_and_of_one():
    network, inputs = fixed_point_net(), samples("fixed")
    classify = bind(network)
    alone = np.concatenate([classify(sample[None]) for sample in inputs])
    assert_same(got=alone, expected=classify(inputs))
    empty = classify(inputs[:0], keep=True)
    assert empty["class"].shape == (0,)
    assert empty["class"].dtype == np.int64
    assert empty["pool"].shape == (0, 2, 3, 3)


def test_a_bound_network_keeps_its_own_weights():
    network, inputs = fixed_point_net(), samples("fixed")
    classify, expected = bind(network), run(network, inputs, keep=True)
    for step in network.steps:
        for array in (step.weights, step.bias):
            if array is not None:
                array[...] = 0
    assert_same(got=classify(inputs, keep=True)["logits"], expected=expected["logits"])


REFUSED = [
    (np.zeros((1, 5, 6, 2)), TypeError, "run: inputs has dtype float64; pass an integer dtype"),
    (np.zeros((1, 5, 6, 2), bool), TypeError, "run: inputs has dtype bool"),
    (np.zeros((5, 6, 2), int), ValueError, r"run: inputs has shape \(5, 6, 2\); pass \(N, 5, 6, 2\)"),
    (np.zeros((1, 6, 5, 2), int), ValueError, r"run: inputs has shape \(1, 6, 5, 2\)"),
    (np.full((1, 5, 6, 2), 16), ValueError, r"run: inputs\[0, 0, 0, 0\]=16 is outside uint4 0..15"),
    (np.full((1, 5, 6, 2), -1), ValueError, r"run: inputs\[0, 0, 0, 0\]=-1 is outside uint4"),
]


@pytest.mark.parametrize(("inputs", "error", "message"), REFUSED)
def test_refused_inputs(inputs, error, message):
    with pytest.raises(error, match=f"^{message}"):
        run(fixed_point_net(), inputs)
