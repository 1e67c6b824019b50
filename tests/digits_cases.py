"""Shared by the tests of `verify.digits`: nets of every method, trained once on a small budget."""

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from verify.digits import demo
from verify.digits.data import load_split
from verify.digits.plan import METHODS
from verify.digits.training import Budget
from verify.digits.twin import run_twin

NEEDS_DIGITS = pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn, with the digits, is missing")
BUDGET, SAMPLES = Budget(1, 1, 1), 3


def silent(*_):
    pass


def row(*values):
    return np.array(values, np.float32)


@cache
def trained_nets():
    """One epoch of each method on 128 samples: the base net, the nets by name and the test samples."""
    data, test = load_split()
    with demo.one_thread():
        base = demo.train_float(data.some(128), BUDGET, silent)
        found = {m.name: demo.train_quantized(base, m, data.some(128), BUDGET, silent) for m in METHODS}
    return base, found, test.some(SAMPLES)


@cache
def exact_twin(name):
    """Every tensor of one of those nets on the test samples."""
    _, found, test = trained_nets()
    return run_twin(found[name], test.pixels)
