"""Where the float32 twin differs from the exact one: what counts as explained, as inherited, and as neither."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from digits_cases import NEEDS_DIGITS, exact_twin, row, trained_nets

from refq.formats import Rounding
from refq.quantizers.pact import fit_pact
from refq.quantizers.uniform import fit_uniform
from refq.spec.batchnorm import batchnorm
from verify.digits import float_twin, gradients
from verify.digits.frozen import Norm, TrainedLayer, channel_of
from verify.digits.plan import Layer


def tie_layer():
    """One weight 5 of step float64(0.1), which is above 1/10; norm the identity; 15 codes of step 1."""
    unit = np.ones(1, np.float32)
    norm = Norm(unit, 0 * unit, 0 * unit, unit, 0.0)
    quantizer = replace(fit_uniform(row(12.7), 8), step=np.array([0.1]))
    codes = np.full((1, 1, 1, 1), 5, np.int64)
    layer = Layer("conv1", "input", (1, 1), size=1)
    return TrainedLayer(layer, codes, "int8", "uint5", quantizer, Fraction(1), norm, fit_pact(15.0, 4))


def test_a_difference_of_float32_is_explained_by_a_tie_within_its_rounding_and_by_nothing_else():
    layer = tie_layer()
    # 5 * float64(0.1) is above 1/2, in float32 it is 1/2, a tie
    assert batchnorm(5, channel_of(layer, 0), Rounding.TIES_EVEN) == 1
    assert row(5) * row(0.1) == row(0.5)
    found = float_twin._explain(layer, (0, 0, 0, 0), 5, 0.5, (1, 0))
    assert found.explained
    assert found.distance == float(5 * Fraction(0.1) - Fraction(1, 2)) == 2.0**-55
    # no boundary between, and a boundary beyond what float32 can be off
    assert not float_twin._explain(layer, (0, 0, 0, 0), 5, 0.7, (1, 0)).explained
    assert not float_twin._explain(layer, (0, 0, 0, 0), 5, 0.49, (1, 0)).explained


def test_exact_values_and_boundaries():
    layer = tie_layer()
    assert float_twin.exact_value(5, channel_of(layer, 0)) == Fraction(0.1) * 5
    assert float_twin.boundary_between(Fraction(3, 2), 1.5)
    assert float_twin.boundary_between(Fraction(-3, 4), -0.25)
    assert not float_twin.boundary_between(Fraction(-1, 4), 0.25)


def test_a_class_is_explained_where_logits_are_as_good_as_tied_and_by_nothing_else():
    """Code 1 under weights 3 and 3: both logits are 3, float32 may take either."""
    plan = Layer("logits", "conv4", (1, 2), size=1, kind="dense", raw=True)
    quantizer = replace(fit_uniform(row(12.7), 8), step=np.array([0.1]))
    layer = TrainedLayer(plan, np.array([[3], [3]]), "int8", "uint2", quantizer, Fraction(1), bias=row(0, 0))
    logits = np.array([[0.3, 0.3000001], [0.3, 0.2]], np.float32)
    tied = float_twin._classes(layer, logits, np.array([[1], [1]]), np.array([0, 0]))
    assert [(one.place, one.codes, one.distance, one.explained) for one in tied.own] == [((0,), (0, 1), 0.0, True)]
    apart = replace(layer, codes=np.array([[3], [2]]))
    found = float_twin._classes(apart, logits, np.array([[1], [1]]), np.array([0, 0]))
    assert [(one.place, one.distance, one.explained) for one in found.own] == [((0,), 1.0, False)]
    inherited = float_twin._classes(apart, logits[1:], np.array([[1]]), np.array([1]))
    assert (inherited.differ, inherited.own) == (1, ())


@NEEDS_DIGITS
def test_a_float32_pass_with_another_gamma_is_not_explained_and_what_follows_is_inherited():
    _, found, test = trained_nets()
    net = found["pact-sawb-2"]
    gamma = {"conv1.gamma": net.trained.parameters["conv1.gamma"] * np.float32(1.5)}
    other = replace(net, trained=replace(net.trained, parameters=net.trained.parameters | gamma))
    layers = float_twin.float_layers(other, test.pixels, exact_twin("pact-sawb-2"))
    assert layers[0].differ == len(layers[0].own) > 0
    assert not any(one.explained for one in layers[0].own)
    assert all(layer.differ > 0 and not layer.own for layer in layers[1:4])


@NEEDS_DIGITS
def test_a_float32_pass_that_adds_pools_or_classifies_otherwise_is_not_explained(monkeypatch):
    _, found, test = trained_nets()
    net = found["pact-sawb-2"]
    twin = exact_twin("pact-sawb-2")
    bias = {
        "logits.bias": net.trained.parameters["logits.bias"] - 1000 * np.eye(10, dtype=np.float32)[twin["class"][0]]
    }
    other = replace(net, trained=replace(net.trained, parameters=net.trained.parameters | bias))
    last = float_twin.float_layers(other, test.pixels, twin)[-1]
    assert last.differ == len(last.own) > 0
    assert not any(one.explained for one in last.own)
    pool = gradients.max_pool
    monkeypatch.setattr(gradients, "max_pool", lambda x, size: (-pool(-x, size)[0], None))
    lost = {layer.layer: layer.lost for layer in float_twin.float_layers(net, test.pixels, twin)}
    assert lost["conv1"] == lost["conv2"] == 0 < min(lost["conv3"], lost["conv4"])
