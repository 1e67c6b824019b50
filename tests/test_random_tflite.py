"""Random .tflite models against LiteRT in its three modes: every tensor it shows, bit for bit, alone and in batches."""

import numpy as np
import pytest
from model_zoo import NONE, RELU, RELU6, VALID, Stack
from random_tflite_models import random_model
from refq_cases import assert_same
from tflite_models import O, T

from refq.graphs import prepare, run
from refq.importers.tflite import read_tflite
from verify.models import litert

RUNNERS = {
    "litert-xnnpack": litert.run_default,
    "litert-builtin": litert.run_builtin,
    "litert-reference": litert.run_reference,
}
SEEDS = range(40)


def feeds_of(graph, seed):
    """Three samples: codes alike, codes around the middle, the least code; floats that reach beyond the codes."""
    rng = np.random.default_rng([seed, 3])

    def drawn(tensor, kind):
        if tensor.dtype == "float32":
            return rng.normal(0, 3, tensor.shape).astype(np.float32)
        info = np.iinfo(tensor.dtype)
        middle, spread = (info.min + info.max + 1) // 2, (info.max - info.min + 1) / 12
        codes = {0: rng.integers(info.min, info.max + 1, tensor.shape), 2: np.full(tensor.shape, info.min)}
        around = np.clip(np.rint(rng.normal(middle, spread, tensor.shape)), info.min, info.max)
        return codes.get(kind, around).astype(tensor.dtype)

    return [{name: drawn(graph.tensors[name], kind) for name in graph.inputs} for kind in range(3)]


def bits(array):
    """Floats compared as they are stored."""
    return array.view(np.uint32) if array.dtype == np.float32 else array


def all_tensors(content, profile, seed):
    """How many elements agreed: those of every tensor shown, and of the batch of all samples."""
    graph = read_tflite(content)
    prepared, names = prepare(graph, profile), list(graph.tensors)
    feeds = feeds_of(graph, seed)
    golden = [run(prepared, feed, keep=True) for feed in feeds]
    compared = 0
    for shown, want in zip(RUNNERS[profile](content, feeds), golden, strict=True):
        for source in (shown.tensors, shown.outputs or {}):
            compared += sum(assert_same(bits(a), bits(want[names[n]])) for n, a in source.items() if names[n] in want)
    together = run(prepared, {name: np.concatenate([feed[name] for feed in feeds]) for name in graph.inputs})
    return compared + sum(
        assert_same(bits(together[name]), bits(np.concatenate([want[name] for want in golden])))
        for name in graph.outputs
    )


@pytest.mark.parametrize("profile", RUNNERS)
def test_random_models(profile):
    compared = sum(all_tensors(random_model(seed), profile, seed) for seed in SEEDS)
    assert compared > 30_000


def padded(net):
    """PAD before a VALID convolution of stride 2, which XNNPACK draws into it."""
    rows, columns, channels = net.shape[1:]
    pads = net.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    net.kept("PAD", (1, rows + 2, columns + 2, channels), [pads], "PadOptions")


def with_constant(net, code, shape, activation=NONE):
    info, name = np.iinfo(net.dtype), f"c{len(net.tensors)}"
    codes = net.rng.integers(info.min, info.max + 1, shape).astype(net.dtype)
    fine = net.dtype == "int16"
    net.tensors.append(T(name, shape, net.dtype, 0.0002 if fine else 0.037, 0 if fine else 5, 0, codes))
    inputs, (scale, zero) = [net.x, name], net.next_scale(NONE)
    result = net.result(net.shape, scale, zero)
    fields = {"fusedActivationFunction": activation}
    net.operators.append(O(code, inputs, [result], f"{code.capitalize()}Options", fields))


def mended(dtype):
    """What converters leave of a batch norm: MUL and ADD with constants, RELU by itself; floats at the end."""
    net = Stack(1, (1, 15, 13, 5), dtype)
    padded(net)
    net.conv(9, (3, 3), (2, 2), RELU6, VALID)
    padded(net)
    net.depthwise((3, 3), (2, 2), NONE, VALID)
    with_constant(net, "MUL", (1, 1, 1, 9))
    with_constant(net, "ADD", (9,))
    x, shape, (scale, zero) = net.x, net.shape, net.next_scale(RELU)
    net.operators.append(O("RELU", [x], [net.result(shape, scale, zero)]))
    with_constant(net, "SUB", (1,), RELU)
    net.dense(21, RELU)
    net.dense(10)
    net.tensors.append(T("floats", net.shape, "float32"))
    net.operators.append(O("DEQUANTIZE", [net.x], ["floats"], "DequantizeOptions"))
    net.x = "floats"
    return net.content()


@pytest.mark.parametrize("profile", RUNNERS)
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_what_converters_leave(dtype, profile):
    assert all_tensors(mended(dtype), profile, 5) > 5_000
