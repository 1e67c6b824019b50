"""Shared by the tests of balanced quantization: every form of a tensor against the definition."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import assert_same

from refq.quantizers.apply import quantize
from refq.quantizers.balanced import balanced_codes
from refq.quantizers.quantizer import first_float
from refq.spec.quantizers import balanced as spec

WORKED = np.array([-8, -3, -2, -1, 0, 1, 2, 3, 5, 20], np.float64)
FORMS = [(split, codes) for split in ("mean", "median") for codes in ("leaf", "literal")]
BY_FORM = pytest.mark.parametrize(("split", "codes"), FORMS, ids=["-".join(form) for form in FORMS])
GAUSS = {seed: np.random.default_rng(seed).standard_normal(4096) for seed in (0, 1, 2, 3)}
LARGEST = np.finfo(np.float32).max


def levels(values, bits, **form):
    """Levels 0..2**bits - 1 of the values themselves."""
    codes, quantizer = balanced_codes(values, bits, **form)
    assert codes.dtype == quantizer.dtype
    return (codes.astype(np.int64) - quantizer.lowest) // 2


def check(values, bits):
    """All four forms: codes and cuts are those of the definition; by value, the highest code of equal ones."""
    for split, codes in FORMS:
        form = {"split": split, "codes": codes}
        exact = np.ravel(values).astype(np.float64).tolist()
        got, quantizer = balanced_codes(values, bits, **form)
        expected = spec.codes_of(spec.levels(exact, bits, **form), bits)
        assert_same(got, np.array(expected, quantizer.dtype).reshape(np.shape(values)))
        asked = spec.thresholds(exact, bits, **form)
        assert_same(quantizer.cuts, np.array([[first_float(*threshold) for threshold in asked]]))
        by_value = [2 * spec.level_of(Fraction(x), asked) - (1 << bits) + 1 for x in exact]
        assert_same(np.ravel(quantize(values, quantizer)), np.array(by_value, quantizer.dtype))
        assert quantizer.parameters["tied"] == sum(a != b for a, b in zip(expected, by_value, strict=True))
        for x in set(exact):
            copies = [i for i, other in enumerate(exact) if other == x]
            assert {by_value[i] for i in copies} == {max(expected[i] for i in copies)}


def entropy(codes):
    share = np.unique(codes, return_counts=True)[1] / codes.size
    return float(-(share * np.log2(share)).sum())


def plain_uniform(values, bits):
    """The nearest of the same levels scale * (2 l - n) / n without equalization."""
    n = (1 << bits) - 1
    return np.rint(n * (values / np.abs(values).max() / 2 + 0.5))
