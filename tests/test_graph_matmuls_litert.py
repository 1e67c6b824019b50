"""BATCH_MATMUL of LiteRT in three modes: every value, under the profile of the mode, and no rule besides it."""

import numpy as np
import pytest
from matmul_models import PROFILE, aimed_sums, batch_matmul, columns_for, reproducing, step_of, telling_scale
from refq_cases import assert_same
from tflite_models import MODES, run_litert

from refq.graphs import run

# leading dimensions of both sides, M, K, N, adj_x, adj_y, constant right side
SHAPES = [
    ((), (), 5, 17, 19, False, False, True),
    ((), (), 5, 17, 19, False, True, True),
    ((2,), (2,), 5, 17, 19, True, False, False),
    ((2,), (2,), 5, 17, 19, True, True, False),
    ((2, 3), (1, 3), 4, 8, 9, False, False, False),
    ((2, 3), (2, 1), 4, 8, 9, True, False, False),
    ((2, 3), (2, 1), 4, 8, 9, False, True, False),
    ((3,), (1,), 16, 64, 32, False, True, True),
    ((1,), (3,), 1, 64, 32, False, True, False),
    ((), (3,), 3, 1, 1, False, False, False),
    ((3,), (), 6, 33, 7, False, False, True),
]


def _operands(case, left, right, seed):
    rng = np.random.default_rng(seed)
    lead_a, lead_b, rows, depth, columns, adj_x, adj_y, constant = case
    zeros = (3, -5 * (seed % 2), 7) if left == "int8" else (0, 0, 0)
    reach = 9 if left == "int8" else 300
    a = (zeros[0] + rng.integers(-reach, reach + 1, (*lead_a, rows, depth))).astype(left)
    b = (zeros[1] + rng.integers(-9, 10, (*lead_b, depth, columns))).astype(right)
    a, b = (np.ascontiguousarray(v.swapaxes(-1, -2)) if t else v for v, t in ((a, adj_x), (b, adj_y)))
    return a, b, zeros, (adj_x, adj_y), constant


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize(("left", "right"), [("int8", "int8"), ("int16", "int16"), ("int16", "int8")])
def test_every_value(mode, left, right):
    compared = 0
    for seed, case in enumerate(SHAPES):
        a, b, zeros, adj, constant = _operands(case, left, right, seed)
        scales = (0.5, 0.25, 1.0) if seed % 2 else (0.37, 0.171, 0.713)
        file, graph = batch_matmul(a, b, adj=adj, constant=constant, scales=scales, zeros=zeros)
        feeds = {"a": a} if constant else {"a": a, "b": b}
        got = run(graph, feeds, PROFILE[mode])["y"]
        compared += assert_same(got, run_litert(file, mode, {"a": a, "b": b})[0])
    assert compared > 2900


def _carried(sums, dtype, scales, right_zero):
    """A row and columns whose products are these sums."""
    largest = 120 if dtype == "int8" else 32767
    row, columns = columns_for(sums, largest)
    a, b = row[None].astype(dtype), (columns + right_zero)[None].astype(dtype)
    return batch_matmul(a, b, scales=scales, zeros=(0, right_zero, 7 if dtype == "int8" else 0)), a, b


def _aimed(dtype, start, right_zero):
    weight = telling_scale(0.071, 0.37, start, "q31" if dtype == "int8" else "reduced15")
    factor = float(np.float32(0.071) * np.float32(weight)) / float(np.float32(0.37))
    most = 10**7 if dtype == "int8" else 2**40
    sums = aimed_sums(factor, range(-120, 120) if dtype == "int8" else range(-2000, 2000, 41), 2)
    sums = [s for s in [*sums, int(1.5 * 2**30 / factor)] if abs(s) < most]
    return _carried(sums, dtype, (0.071, weight, 0.37), right_zero)


BUILTIN, XNNPACK = "gemmlowp_double/mixed_product/after", "float32_ties_even/float32_product/after"
WIDE = "reduced_int64/mixed_product/after"
CASES = [
    ("int8", "litert", 0, XNNPACK),
    ("int8", "litert", 5, BUILTIN),
    ("int8", "litert-builtin", 0, BUILTIN),
    ("int8", "litert-reference", 5, BUILTIN),
    *(("int16", mode, 0, WIDE) for mode in MODES),
]


@pytest.mark.parametrize(("dtype", "mode", "right_zero", "rule"), CASES)
def test_no_other_rule(dtype, mode, right_zero, rule):
    left = None
    ties = _carried([*range(-403, 400)], dtype, (0.5, 0.5, 1.0), right_zero)
    starts = (3e-2, 1e-4) if dtype == "int8" else (3e-2, 3e-3, 1e-4)
    for (file, graph), a, b in (ties, *(_aimed(dtype, start, right_zero) for start in starts)):
        expected, step = run_litert(file, mode, {"a": a, "b": b})[0], step_of(graph, PROFILE[mode])
        found = reproducing(step, [((a, b), expected)])
        left = found if left is None else left & found
        assert step.rule == rule
    assert left == {rule}


def test_stacked_samples_are_each_their_own_product():
    rng = np.random.default_rng(8)
    a, b = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((1, 4, 5, 6), (1, 4, 6, 3)))
    _, graph = batch_matmul(a, b, scales=(0.5, 0.5, 32.0), zeros=(3, 1, 7))
    more = [rng.integers(-128, 128, (5, *shape[1:])).astype(np.int8) for shape in (a.shape, b.shape)]
    together = run(graph, dict(zip("ab", more, strict=True)), "litert-builtin")["y"]
    apart = [run(graph, {"a": more[0][i : i + 1], "b": more[1][i : i + 1]}, "litert-builtin")["y"] for i in range(5)]
    assert_same(together, np.concatenate(apart))
