"""Pools and means under the LiteRT profiles equal LiteRT in its three modes."""

import numpy as np
import pytest
import tflite_models as tflite
from elementwise_cases import ACTIVATIONS, against_litert, codes, node_graph, rule, shifted

# rows, columns, channels, window, stride, SAME: channels around the vector widths, the whole picture, windows of one
POOLS = [
    (5, 5, 1, (2, 2), (2, 2), True),
    (8, 8, 19, (8, 8), (1, 1), False),
    (7, 9, 33, (3, 2), (2, 3), True),
    (13, 4, 16, (5, 4), (1, 2), False),
    (3, 3, 8, (1, 1), (2, 2), True),
    (25, 5, 40, (25, 5), (1, 1), False),
]


def padding(size, kernel, stride, same):
    """TFLite's SAME padding: what is missing, the larger half behind."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0) if same else 0
    return total // 2, total - total // 2


def pool_model(code, x, y, part, case, activation):
    _, _, _, kernel, stride, same = case
    fields = {"padding": 0 if same else 1, "strideH": stride[0], "strideW": stride[1], "filterHeight": kernel[0],
              "filterWidth": kernel[1], "fusedActivationFunction": activation}  # fmt: skip
    tensors = [tflite.T("x", x.shape, x.dtype.name, *part), tflite.T("y", y, x.dtype.name, *part)]
    return tflite.model(tensors, [tflite.O(code, ["x"], ["y"], "Pool2DOptions", fields, 2)], ["x"], ["y"])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("case", POOLS, ids=str)
def test_pools(case, dtype):
    rows, columns, channels, kernel, stride, same = case
    pads = tuple(padding(*row, same) for row in zip((rows, columns), kernel, stride, strict=True))
    x = codes(np.random.default_rng(rows), dtype, (2, rows, columns, channels))
    attributes = {"layout": "NHWC", "kernel": kernel, "stride": stride, "padding": pads, "dilation": (1, 1)}
    for act, part in enumerate([(0.5, 7), (0.031, -11), (6 / 11.5, 3), (6 / 101.5, 3)]):
        part = (part[0], 0) if dtype == "int16" else shifted([part], dtype)[0]
        for op, code in (("average_pool", "AVERAGE_POOL_2D"), ("max_pool", "MAX_POOL_2D")):
            graph = node_graph(op, {"x": (x.shape, dtype, *part)}, part, activation=ACTIVATIONS[act], **attributes)
            shape = graph.tensors["y"].shape
            against_litert(graph, pool_model(code, x, shape, part, case, act), {"x": x})


def mean_model(x, axes, keep, y, parts):
    tensors = [tflite.T("x", x.shape, x.dtype.name, *parts[0]), tflite.T("axes", data=np.array(axes, np.int32)),
               tflite.T("y", y, x.dtype.name, *parts[1])]  # fmt: skip
    return tflite.model(
        tensors, [tflite.O("MEAN", ["x", "axes"], ["y"], "ReducerOptions", {"keepDims": keep}, 2)], ["x"], ["y"]
    )


MEANS = [
    ((1, 6, 5, 37), (1, 2), True),
    ((1, 8, 8, 64), (2, 1), True),
    ((2, 7, 3, 15), (-3, -2), True),
    ((1, 6, 5, 37), (1, 2), False),
    ((1, 5, 7, 21), (1,), True),
    ((1, 300, 8), (2,), False),
    ((2, 3, 4, 5, 6), (1, 3), False),
    ((3, 7), (0,), False),
]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(("shape", "axes", "keep"), MEANS, ids=str)
def test_means(shape, axes, keep, dtype):
    rng = np.random.default_rng(len(shape))
    for first, second in (
        ((0.5, 7), (0.5, 7)),
        ((0.5, 7), (0.25, -3)),
        ((0.071, -20), (0.0263, 31)),
        ((0.5, 7), (0.5, 9)),
    ):
        parts = [(s, 0) if dtype == "int16" else shifted([(s, z)], dtype)[0] for s, z in (first, second)]
        center = parts[0][1]
        ends = np.iinfo(dtype)
        x = np.clip(center + rng.integers(-25, 26, shape), ends.min, ends.max).astype(dtype)
        graph = node_graph("mean", {"x": (shape, dtype, *parts[0])}, parts[1], axes=axes, keep_dims=keep)
        against_litert(graph, mean_model(x, axes, keep, graph.tensors["y"].shape, parts), {"x": x})


def test_which_kernel_takes_a_mean():
    def rules(dtype, axes, keep):
        graph = node_graph("mean", {"x": ((1, 4, 4, 32), dtype, 0.5, 0)}, (0.25, 0), axes=axes, keep_dims=keep)
        return [rule(graph, p) for p in ("litert-reference", "litert-builtin", "litert-xnnpack")]

    double = "tflite:gemmlowp_double"
    assert rules("int8", (1, 2), True) == [double, "tflite_x86", "xnnpack_mean"]
    assert rules("int8", (1, 2), False) == [double, double, "xnnpack_mean"]
    assert rules("int16", (1, 2), True) == [double] * 3


def test_xnnpack_means_beside_a_tie():
    """Sums whose mean lies within float32's rounding of a tie: only one order of its operations gives these codes."""
    cases = [(16, 0.037014965, 0.012338319, 4, -5, 8), (6, 0.04488686, 0.13466059, -3, -4, -567),
             (56, 0.04325827, 0.04325828, -5, 1, -28), (52, 0.02106029, 0.010530148, 4, -4, -39)]  # fmt: skip
    for count, first, second, zi, zo, acc in cases:
        sums = acc + zi * count + np.arange(-40, 41)
        whole, rest = np.divmod(sums, count)
        x = (whole + (np.arange(count)[:, None] < rest)).astype(np.int8)[None]
        graph = node_graph("mean", {"x": (x.shape, "int8", first, zi)}, (second, zo), axes=(1,), keep_dims=False)
        model = mean_model(x, (1,), False, graph.tensors["y"].shape, [(first, zi), (second, zo)])
        against_litert(graph, model, {"x": x}, ["litert"])
