"""Float32 averages, curves and elementwise ops against ONNX Runtime and the reference evaluator, to the last bit."""

import numpy as np
import pytest
from graph_floats_cases import (
    MEASURED,
    dequantized,
    generator,
    in_evaluator,
    in_runtime,
    onnx_window,
    same_bits,
    single,
)
from onnx.reference import ReferenceEvaluator

from refq.graphs.ops.floats_elementwise import float_clip, float_leaky_relu, float_relu
from refq.graphs.ops.floats_pools import pool_order
from refq.layers.floats_conv import Window
from refq.layers.floats_curves import float_sigmoid, float_softmax, float_tanh
from refq.layers.floats_pools import float_average_pool, float_global_average_pool, float_max_pool, float_mean

pytestmark = MEASURED


def pool_cases(opset):
    rng = generator(41)
    for number in range(90):
        image = tuple(int(n) for n in rng.integers(1, 18, 2))
        kernel = image if number % 8 == 0 else tuple(int(n) for n in rng.integers(1, 7, 2))
        stride = (1, 1) if number % 8 == 0 else tuple(int(n) for n in rng.integers(1, 4, 2))
        dilation = (2, 1) if opset >= 19 and number % 3 == 2 else (1, 1)
        padding = tuple(tuple(int(rng.integers(0, min(3, k))) for _ in range(2)) for k in kernel)
        padding = ((0, 0), (0, 0)) if number % 8 == 0 else padding
        window = Window(stride, dilation, padding)
        if min(window.places(image, kernel)) >= 1:
            yield image, kernel, window, bool(number % 2), number


@pytest.mark.parametrize(("opset", "rule"), [(18, "mlas_pool"), (21, "float32_sequential")])
def test_pools_are_onnxruntimes(opset, rule):
    for image, kernel, window, padded, number in pool_cases(opset):
        x = dequantized(generator(number), (2, 3, *image))
        names = onnx_window(window, 1) | {"kernel_shape": kernel}
        del names["group"]
        expected = in_runtime("MaxPool", {"a": x}, opset=opset, **names)
        same_bits(float_max_pool(x, kernel, window), expected)
        if opset < 19:
            del names["dilations"]
        expected = in_runtime("AveragePool", {"a": x}, opset=opset, count_include_pad=int(padded), **names)
        order = pool_order(rule, False, image, kernel, window)
        same_bits(float_average_pool(x, kernel, window, order, padded), expected)


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 5, 2, 2), (1, 16, 7, 7), (1, 4, 31, 33), (2, 8, 100), (1, 3, 3)])
def test_global_average_pool_is_onnxruntimes(shape):
    x = dequantized(generator(shape[-1]), shape)
    same_bits(float_global_average_pool(x, "mlas_lanes4"), in_runtime("GlobalAveragePool", {"a": x}))


def test_reduce_mean_is_onnxruntimes():
    compared = 0
    for number in range(160):
        rng = generator(number)
        shape = tuple(int(n) for n in rng.integers(1, 12 if number % 3 else 40, rng.integers(1, 5)))
        axes = tuple(sorted({int(a) for a in rng.integers(0, len(shape), rng.integers(1, len(shape) + 1))}))
        x = dequantized(rng, shape)
        expected = in_runtime("ReduceMean", {"a": x}, {"b": np.array(axes, np.int64)}, keepdims=number % 2)
        compared += same_bits(float_mean(x, axes, bool(number % 2), "onnxruntime_reduce"), expected)
    assert compared > 5_000


def curve_inputs():
    rng = generator(51)
    fixed = np.array([0, -0.0, 1e-45, -1e-40, 18, 18.0001, -18, 9, -9, 1e30, -1e30], np.float32)
    return np.concatenate([fixed, np.linspace(-100, 100, 50_001).astype(np.float32), dequantized(rng, 5000, 0.0713)])


def test_curves_are_onnxruntimes():
    for x in (curve_inputs(), dequantized(generator(1), 7), dequantized(generator(1), 9)):
        same_bits(float_sigmoid(x, "mlas_fma3"), in_runtime("Sigmoid", {"a": x}))
        same_bits(float_tanh(x, "mlas_fma3"), in_runtime("Tanh", {"a": x}))


@pytest.mark.parametrize("scale", [0.0173, 0.9])
def test_softmax_is_onnxruntimes(scale):
    for depth in (1, 2, 10, 15, 16, 17, 47, 48, 49, 100, 1000):
        x = dequantized(generator(depth), (3, depth), scale)
        same_bits(float_softmax(x, -1, "mlas_avx512"), in_runtime("Softmax", {"a": x}, axis=-1))
    x = dequantized(generator(3), (2, 3, 4, 5), scale)
    for axis in range(4):
        same_bits(float_softmax(x, axis, "mlas_avx512"), in_runtime("Softmax", {"a": x}, axis=axis))


def test_elementwise_ops_are_onnxruntimes():
    x, y = curve_inputs(), dequantized(generator(2), 55_012, 0.37)
    for op, expected in (("Add", x + y), ("Sub", x - y), ("Mul", x * y)):
        same_bits(expected, in_runtime(op, {"a": x, "b": y}))
    assert np.array_equal(float_relu(x), in_runtime("Relu", {"a": x}))
    same_bits(float_leaky_relu(x, 0.013), in_runtime("LeakyRelu", {"a": x}, alpha=0.013))
    bounds = {"b": np.float32(-0.7), "c": np.float32(6)}
    same_bits(float_clip(x, -0.7, 6), in_runtime("Clip", {"a": x}, bounds))


def test_pools_of_the_evaluator():
    for image, kernel, window, padded, number in list(pool_cases(21))[::4]:
        x = dequantized(generator(number), (1, 2, *image))
        names = onnx_window(window, 1) | {"kernel_shape": kernel, "count_include_pad": int(padded)}
        del names["group"]
        expected = in_evaluator("AveragePool", {"a": x}, **names)
        same_bits(float_average_pool(x, kernel, window, "numpy", padded), expected)
        same_bits(float_global_average_pool(x, "numpy"), in_evaluator("GlobalAveragePool", {"a": x}))
        axes = np.array([0, 2], np.int64)
        model = single("ReduceMean", {"a": x}, {"b": axes}, 21, keepdims=0)
        same_bits(float_mean(x, (0, 2), False, "numpy"), ReferenceEvaluator(model).run(None, {"a": x})[0])


def test_curves_of_the_evaluator():
    x = dequantized(generator(1), (3, 4, 50), 0.09)
    same_bits(float_sigmoid(x, "numpy"), in_evaluator("Sigmoid", {"a": x}))
    same_bits(float_tanh(x, "numpy"), in_evaluator("Tanh", {"a": x}))
    for axis in (1, 2):
        same_bits(float_softmax(x, axis, "numpy"), in_evaluator("Softmax", {"a": x}, axis=axis))
    same_bits(float_leaky_relu(x, 0.013), in_evaluator("LeakyRelu", {"a": x}, alpha=0.013))
