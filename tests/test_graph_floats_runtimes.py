"""Float32 products against ONNX Runtime on one thread and the ONNX reference evaluator, to the last bit."""

import numpy as np
import pytest
from graph_floats_cases import (
    MEASURED,
    W_SCALE,
    biases,
    dequantized,
    generator,
    in_evaluator,
    in_runtime,
    onnx_window,
    same_bits,
)

from refq.layers.floats_conv import Window, float_conv
from refq.layers.floats_matmul import float_gemm, float_matmul

pytestmark = MEASURED
EDGES = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 70]
DEPTHS = [
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    15,
    16,
    17,
    63,
    64,
    65,
    127,
    128,
    129,
    255,
    256,
    257,
    300,
    512,
    513,
    600,
    1025,
    2100,
]


def product_shapes():
    rng = generator(0)
    drawn = [(int(rng.choice(EDGES)), int(rng.choice(EDGES)), depth) for depth in DEPTHS for _ in range(3)]
    rows = [(1, n, depth) for n in (1, 2, 3, 4, 7, 16, 33) for depth in (1, 3, 8, 30, 257)]
    columns = [(m, 1, depth) for m in (2, 3, 5, 8, 33) for depth in (1, 3, 8, 30, 257)]
    return drawn + rows + columns


def test_matmul_is_onnxruntimes():
    compared = 0
    for rows, columns, depth in product_shapes():
        rng = generator(depth * 100 + rows)
        a, b = dequantized(rng, (rows, depth)), dequantized(rng, (depth, columns), W_SCALE, 0)
        loose, packed = in_runtime("MatMul", {"a": a, "b": b}), in_runtime("MatMul", {"a": a}, {"b": b})
        compared += same_bits(float_matmul(a, b, "mlas_avx512"), loose)
        compared += same_bits(float_matmul(a, b, "mlas_avx512_packed"), packed)
    assert compared > 90_000


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 5, 40), (40, 7)), ((2, 3, 5, 40), (2, 3, 40, 7)), ((4, 1, 40), (40, 1)), ((40,), (40, 7)), ((5, 40), (40,)),
     ((40,), (40,)), ((3, 5, 40), (3, 40, 1)), ((5, 40), (3, 40, 7)), ((2, 1, 1, 40), (3, 40, 6)),
     ((2, 3, 40), (40,)), ((40,), (3, 40, 6)), ((3, 1, 40), (1, 40, 6)), ((1, 40), (3, 40, 6))],
)  # fmt: skip
def test_matmul_broadcasts_as_onnxruntime(left, right):
    rng = generator(len(left))
    a, b = dequantized(rng, left), dequantized(rng, right, W_SCALE, 0)
    expected = in_runtime("MatMul", {"a": a, "b": b})
    same_bits(np.atleast_1d(float_matmul(a, b, "mlas_avx512")), np.atleast_1d(expected))


@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("factors", [(1, 1), (0.7, 0.3), (1, 0), (2, 1)])
def test_gemm_is_onnxruntimes(transposed, factors):
    rng = generator(11)
    for rows, columns, depth in [
        (1, 9, 40),
        (9, 1, 40),
        (1, 1, 300),
        (5, 7, 130),
        (3, 40, 300),
        (2, 3, 1),
        (6, 2, 700),
    ]:
        a, b = dequantized(rng, (rows, depth)), dequantized(rng, (depth, columns), W_SCALE, 0)
        stored = [np.ascontiguousarray(m.T) if t else m for m, t in zip((a, b), transposed, strict=True)]
        for shape in (None, (columns,), (rows, 1), (rows, columns), (1,)):
            c = None if shape is None else biases(rng, shape)
            extra = {} if c is None else {"c": c}
            names = {
                "transA": transposed[0],
                "transB": transposed[1],
                "alpha": float(factors[0]),
                "beta": float(factors[1]),
            }
            for rule, inputs, constants in (
                ("mlas_avx512", {"a": stored[0], "b": stored[1]}, extra),
                ("mlas_avx512_packed", {"a": stored[0]}, {"b": stored[1], **extra}),
            ):
                expected = in_runtime("Gemm", inputs, constants, **names)
                got = float_gemm(*stored, c, rule, (bool(transposed[0]), bool(transposed[1])), *factors)
                same_bits(got, expected)


def conv_cases():
    rng = generator(21)
    cases = []
    for number in range(150):
        groups = int(rng.choice([1, 1, 1, 2, 5]))
        channels, filters = int(rng.choice([1, 1, 2, 3, 16, 40])), int(rng.choice([1, 1, 2, 3, 8, 33]))
        image = tuple(int(n) for n in rng.integers(1, 20, 2))
        kernel = [(1, 1), (3, 3), (5, 5), (1, 7), (3, 1), (2, 3), image, (image[0], 1), (3, image[1])][number % 9]
        unit = number % 3 == 0
        stride, dilation = (
            ((1, 1), (1, 1)) if unit else tuple(tuple(int(n) for n in v) for v in rng.integers(1, 3, (2, 2)))
        )
        padding = ((0, 0), (0, 0)) if unit else tuple(tuple(int(n) for n in v) for v in rng.integers(0, 3, (2, 2)))
        cases.append((groups, channels, filters, image, kernel, Window(stride, dilation, padding)))
    seven = Window((2, 2), (1, 1), ((3, 3), (3, 3)))
    return cases + [(g, 1, f, (n, 13), (7, 7), seven) for g in (1, 3) for f in (1, 2, 3) for n in (2, 9, 14)]


def conv_operands(case, number):
    groups, channels, filters, image, kernel, _ = case
    rng = generator(number)
    x = dequantized(rng, (1 + number % 2, groups * channels, *image))
    w = dequantized(rng, (groups * filters, channels, *kernel), W_SCALE, 0)
    return x, w, biases(rng, groups * filters) if number % 2 else None


def test_conv_is_onnxruntimes_and_the_evaluators():
    compared = 0
    for number, case in enumerate(conv_cases()):
        groups, _, _, image, kernel, window = case
        if min(window.places(image, kernel)) < 1:
            continue
        x, w, b = conv_operands(case, number)
        inputs = {"a": x, "b": w} | ({} if b is None else {"c": b})
        stored = {k: inputs[k] for k in inputs if number % 4 == 3 and k != "a"}
        free = {k: v for k, v in inputs.items() if k not in stored}
        names = onnx_window(window, groups)
        expected = in_runtime("Conv", free, stored, **names)
        compared += same_bits(float_conv(x, w, b, "mlas_avx512", window, groups), expected)
        if number % 3 == 0:
            expected = in_evaluator("Conv", inputs, **names)
            same_bits(float_conv(x, w, b, "numpy_matmul", window, groups), expected)
    assert compared > 50_000


def test_one_dimensional_conv():
    rng = generator(31)
    x, w = dequantized(rng, (2, 6, 23)), dequantized(rng, (8, 3, 5), W_SCALE, 0)
    expected = in_runtime("Conv", {"a": x, "b": w}, strides=[2], pads=[2, 1], group=2)
    window = Window((1, 2), (1, 1), ((0, 0), (2, 1)))
    same_bits(float_conv(x[:, :, None], w[:, :, None], None, "mlas_avx512", window, 2)[:, :, 0], expected)


def test_matmul_and_gemm_of_the_evaluator():
    rng = generator(61)
    for rows, columns, depth in [(1, 5, 40), (9, 1, 300), (17, 33, 130)]:
        a, b, c = dequantized(rng, (rows, depth)), dequantized(rng, (depth, columns), W_SCALE, 0), biases(rng, columns)
        same_bits(float_matmul(a, b, "numpy_matmul"), in_evaluator("MatMul", {"a": a, "b": b}))
        same_bits(float_gemm(a, b, c, "numpy_matmul"), in_evaluator("Gemm", {"a": a, "b": b, "c": c}))


def test_orders_differ_on_such_values():
    rng = generator(71)
    a, b = dequantized(rng, (64, 600)), dequantized(rng, (600, 80), W_SCALE, 0)
    rules = ("mlas_avx512", "mlas_avx512_packed", "float32_fma_ascending", "float32_sequential", "exact")
    results = {rule: float_matmul(a, b, rule) for rule in rules}
    for first in rules:
        for second in rules:
            differing = int((results[first] != results[second]).sum())
            assert (differing == 0) == (first == second)
