"""Shared by the tests of accumulator rules: the kernel against the definition, refusals included."""

import numpy as np
import pytest
from refq_cases import assert_same

from refq.products.accumulators import accumulate
from refq.spec import accumulators as spec


def check(lhs, rhs, rule, bias=None):
    """The kernel's answer is the definition's, or both refuse, at the same place."""
    lhs, rhs = np.asarray(lhs), np.asarray(rhs)
    expected = np.empty((lhs.shape[0], rhs.shape[1]), np.int64)
    start = np.broadcast_to(0 if bias is None else bias, rhs.shape[1]).tolist()
    for i, j in np.ndindex(expected.shape):
        try:
            expected[i, j] = spec.dot(lhs[i].tolist(), rhs[:, j].tolist(), rule, start[j])
        except ValueError:
            with pytest.raises(ValueError, match=rf"^gemm: (sum\[{i}, {j}\]|bias(\[{j}\])?)=-?\d+ is outside"):
                accumulate("gemm", lhs, rhs, rule, bias)
            return
    assert_same(got=accumulate("gemm", lhs, rhs, rule, bias), expected=expected)
