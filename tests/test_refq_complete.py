"""Every public name of a spec file has its array twin, with the same leading parameters, but for a written list."""

import inspect

import pytest

import refq
import refq.spec.fixedpoint
import refq.spec.floats
import refq.spec.requantize
import refq.spec.rounding
from refq import IDENTITIES, QUANTIZE_RULES, RULES, RUNTIMES, fixedpoint, parse_semantics, requantize, rounding

# Defined once a layer or only to explain: they need no kernel.
SPEC_ONLY = {
    "rounding": {"HALF"},
    "fixedpoint": {
        "quantize_multiplier",
        "quantize_multiplier_saturated",
        "mantissa24",
        "mantissa15",
        "reduced15",
        "reduce_multiplier",
        "tosa32",
        "tosa16",
        "dyadic31",
        "fixed_point",
        "fixed_scale",
        "reciprocal_scale",
    },
    "requantize": {"Step", "operand", "quantize_steps", "requantize_steps"},
}
# What the array side needs besides: kernels, plans and the checked front door.
ARRAY_ONLY = {
    "rounding": {"constants", "add_and_shift", "round_real"},
    "fixedpoint": {"derive"},
    "requantize": {"acc_limits", "prepare", "find", "check_fixed", "check_format", "check_scale"},
}
MODULES = {
    "rounding": (refq.spec.rounding, rounding),
    "fixedpoint": (refq.spec.fixedpoint, fixedpoint),
    "requantize": (refq.spec.requantize, requantize.__globals__),
}


def public_functions(namespace, module_name):
    return {
        name
        for name, value in namespace.items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module_name
    }


@pytest.mark.parametrize("subject", MODULES)
def test_public_names_match(subject):
    spec = public_functions(vars(MODULES[subject][0]), f"refq.spec.{subject}") - SPEC_ONLY[subject]
    array_side = MODULES[subject][1]
    namespace = array_side if isinstance(array_side, dict) else vars(array_side)
    arrays = public_functions(namespace, f"refq.{subject}") - ARRAY_ONLY[subject]
    assert arrays == spec


@pytest.mark.parametrize("subject", SPEC_ONLY)
def test_the_exception_lists_name_existing_things(subject):
    assert SPEC_ONLY[subject] <= set(vars(MODULES[subject][0]))


@pytest.mark.parametrize("name", ["shift_right", "round_to_integer", "narrow", "high_multiply", "saturating_add"])
def test_parameters_and_defaults_match(name):
    module = refq.spec.rounding if hasattr(refq.spec.rounding, name) else refq.spec.fixedpoint
    expected = inspect.signature(getattr(module, name)).parameters
    got = inspect.signature(getattr(refq, name)).parameters
    assert [(p.name.replace("value", "x"), p.default) for p in expected.values()] == [
        (p.name, p.default) for p in got.values()
    ]


def test_all_is_unique_and_present():
    assert len(set(refq.__all__)) == len(refq.__all__)
    assert all(hasattr(refq, name) for name in refq.__all__)


def test_rules_are_keyed_by_their_own_name_and_say_their_source():
    for table in (RULES, QUANTIZE_RULES):
        assert all(rule.name == name and rule.source for name, rule in table.items())


def test_the_runtime_table_and_identities_use_catalogue_names():
    for row in RUNTIMES:
        expected = row.semantics
        quantize = row.semantics.split("/")[1] in ("division", "reciprocal")
        assert parse_semantics(expected, quantize).label == expected
    assert {name for left, right, _ in IDENTITIES for name in (left, right)} <= set(RULES)
