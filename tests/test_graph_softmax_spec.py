"""softmax equals its definition, row by row, under every rule."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import assert_same
from table_cases import End, OneOp, site, under

import refq.graphs as graphs
from refq.graphs.sites import INTEGERS
from refq.layers.softmax_int16 import exp_nodes, reciprocal_nodes
from refq.spec.layers import softmax as spec

ROWS = [[-128, 127], [127, 127], [5, 4], [100, 40], [-3, -90]]
TENS = np.random.default_rng(1).integers(60, 128, (8, 10)).tolist()


def exact(value: float) -> Fraction:
    return Fraction(float(np.float32(value)))


def by_rule(rule: str, row: list[int], scale: float, beta: float, dtype: str) -> list[int]:
    """The definition of a rule, for the output that TFLite asks for."""
    out, s, b, step = INTEGERS[dtype], exact(scale), exact(beta), Fraction(1, 256)
    if rule == "tflite:fixed_point32":
        return spec.fixed(row, s, b, out)
    if rule == "tflite:float_table":
        return spec.float_table(row, s, b, step, out.qmin, out)
    if rule == "onnxruntime:float_table":
        return spec.onnxruntime(row, s, step, out.qmin, out)
    return spec.real(row, s, b, step, out.qmin, out)


@pytest.mark.parametrize(("scale", "beta"), [(0.06, 1.0), (0.25, 1.0), (2.0**-4, 0.3), (1.0, 0.5)])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_8_bits(dtype: str, scale: float, beta: float) -> None:
    zero = INTEGERS[dtype].qmin
    for rows in (ROWS, TENS, [[7]]):
        x = (np.array(rows) - (INTEGERS["int8"].qmin - zero)).astype(dtype)
        case = OneOp("softmax", End(dtype, scale, 3), End(dtype, 1 / 256, zero), x.shape, {"beta": beta})
        rules = graphs.OPS["softmax"].rules(site(case))
        assert ("onnxruntime:float_table" in rules) == (beta == 1.0)
        for rule in rules:
            if rule != "onnxruntime:float_table" or x.shape[1] > 1:
                found = [by_rule(rule, row, scale, beta, dtype) for row in x.tolist()]
                assert_same(under(case, x, rule), np.array(found, dtype))


def test_int16() -> None:
    """The nodes of both tables, and rows of 1, 2 and 10 codes."""
    exps, reciprocals = spec.exp_nodes(), spec.reciprocal_nodes()
    assert_same(exp_nodes(), np.array(exps))
    assert_same(reciprocal_nodes(), np.array(reciprocals))
    rng = np.random.default_rng(6)
    for scale, beta in ((2e-4, 1.0), (2.0**-12, 0.5), (0.003, 1.0)):
        for depth in (1, 2, 10):
            x = rng.integers(-32768, 32768, (6, depth)).astype(np.int16)
            case = OneOp("softmax", End("int16", scale), End("int16", 2.0**-15), x.shape, {"beta": beta})
            found = [spec.int16(row, exact(scale), exact(beta), exps, reciprocals) for row in x.tolist()]
            assert_same(under(case, x, "tflite:interpolated_tables"), np.array(found, np.int16))


def test_real_near_ties() -> None:
    """Scales at which one probability is within 1e-9 of half a step: decimals decide, as the definition does."""
    for k in range(128, 255, 7):
        probability = (k + 0.5) / 256
        scale = np.float32(np.log(probability / (1 - probability)) / 40)
        x = np.array([[90, 50]], np.int8)
        case = OneOp("softmax", End("int8", float(scale)), End("uint8", 1 / 256, 0), x.shape, {"beta": 1.0})
        wanted = spec.real([90, 50], Fraction(float(scale)), Fraction(1), Fraction(1, 256), 0, INTEGERS["uint8"])
        assert_same(under(case, x, "real:ties_even"), np.array([wanted], np.uint8))
