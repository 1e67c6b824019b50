"""Small .onnx models, as a user meets them: the golden run equals ONNX Runtime at every optimisation level, in every
tensor that can be shown, and where two levels differ `refq trace` names the node and the rules of both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import refq
from graph_floats_cases import MEASURED
from onnx_models import LEVELS, N, Q, bias_of, dequantize, model, qdq, qlinear, qoperator, quantize
from onnx_qdq_cases import CASES
from refq_cases import assert_same

from refq.graphs.running import run
from refq.importers import read_onnx
from verify.models import FUSIONS, MODEL_BACKENDS, load_model_backend

pytestmark = MEASURED

SAMPLES = 6


def codes(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    ends = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(ends.min, ends.max + 1, shape).astype(dtype)


def powers(count: int) -> list[float]:
    """Scales that are powers of two, so that many sums lie on ties."""
    return [2.0**-k for k in (4, 5, 3, 6, 4, 5, 3, 7)][:count]


X, Y = Q("x", 2.0**-4, 131, "uint8", (1, 4, 7, 5)), Q("y", 2.0**-2, 77, "uint8", (None,) * 4)
PER_CHANNEL = Q("w", powers(6), 0, codes=codes((6, 4, 3, 3), "int8"), axis=0)
GROUPED = Q("w", powers(8), 0, codes=codes((8, 1, 3, 3), "int8", 1), axis=0)
PADDED: dict[str, Any] = {"pads": [1, 0, 2, 1], "strides": [2, 1]}
WIDE: dict[str, Any] = {"group": 4, "dilations": [2, 1], "pads": [2, 1, 2, 1]}
ROWS, COLUMNS = Q("x", 0.019, 101, "uint8", (3, 37)), Q("w", [0.03, 0.007, 0.011, 0.02, 0.005], 0, axis=1)
WEIGHTS = Q("w", COLUMNS.scale, 0, codes=codes((37, 5), "int8", 2), axis=1)
TURNED = Q("w", 0.013, 0, codes=codes((5, 37), "int8", 3))
FLAT = Q("y", 0.9, 31, "uint8", (None, None))
SIGNED = {"x": Q("x", 2.0**-4, 3, "int8", (1, 4, 7, 5)), "y": Q("y", 2.0**-2, -51, "int8", (None,) * 4)}
PAIR = [Q("a", 2.0**-3, 129, "uint8", (2, 3, 11)), Q("b", 2.0**-4, 3, "uint8", (3, 1))]


def classifier() -> bytes:
    """QOperator: float, QuantizeLinear, Conv, MaxPool, Conv in groups, a residual Add, average, Gemm, softmax."""
    a, b, c = (Q(n, s, z, "uint8") for n, s, z in (("a", 0.05, 127), ("b", 0.11, 3), ("c", 0.13, 91)))  # fmt: skip
    d, e, f = (Q(n, s, z, "uint8") for n, s, z in (("d", 0.17, 5), ("e", 0.09, 55), ("f", 0.4, 133)))
    made = [
        qlinear("Conv", [a, Q("v", powers(4), 0, codes=codes((4, 3, 3, 3), "int8"), axis=0)], b, [9, -7, 300, 5],
                pads=[1, 1, 1, 1]),
        qlinear("Conv", [Q("m", 0.11, 3, "uint8"), Q("u", 0.02, 0, codes=codes((4, 1, 3, 3), "int8"))], c, None,
                group=4, pads=[1, 1, 1, 1]),
        qlinear("Add", [c, Q("m", 0.11, 3, "uint8")], d),
        qlinear("GlobalAveragePool", [d], e, channels_last=0),
        qlinear("Gemm", [Q("r", 0.09, 55, "uint8"), Q("g", 0.03, 0, codes=codes((5, 4), "int8"))], f, [1, 2, 3, 4, 5],
                transB=1),
    ]  # fmt: skip
    conv, group, add, average, gemm = (node for node, _ in made)
    nodes = [quantize(a, "in"), conv, N("MaxPool", ["b"], ["m"], {"kernel_shape": [2, 2], "strides": [2, 2]}), group,
             add, average, N("Flatten", ["e"], ["r"]), gemm, dequantize(f),
             N("Softmax", ["f_float"], ["out"])]  # fmt: skip
    constants = {k: v for _, part in made for k, v in part.items()} | a.constants() | f.constants()
    return model(nodes, [("in", "float32", (1, 3, 9, 9))], [("out", "float32", (1, 5))], constants)


def perceptron() -> bytes:
    """QDQ: MatMul and Add of a float row, Relu, then a MatMul of weights that are stored as float32."""
    x, h = Q("x", 0.0173, 113, "uint8"), Q("h", 0.31, 0, "uint8")
    w = Q("w", 0.013, 0, codes=codes((300, 9), "int8"))
    rng = np.random.default_rng(4)
    constants = {**x.constants(), **h.constants(), **w.constants(), "row": rng.normal(size=9).astype(np.float32),
                 "u": (rng.normal(size=(9, 5)) / 16).astype(np.float32)}  # fmt: skip
    nodes = [quantize(x, "in"), dequantize(x), dequantize(w), N("MatMul", ["x_float", "w_float"], ["p"]),
             N("Add", ["p", "row"], ["s"]), N("Relu", ["s"], ["r"]), quantize(h, "r"), dequantize(h),
             N("MatMul", ["h_float", "u"], ["q"]), N("Sigmoid", ["q"], ["out"])]  # fmt: skip
    return model(nodes, [("in", "float32", ("N", 300))], [("out", "float32", ("N", 5))], constants)


MODELS: Mapping[str, bytes] = {
    "QLinearConv, per channel, uneven padding": qoperator("Conv", [X, PER_CHANNEL], Y, [7, -9, 300, 1, 0, 5], **PADDED),
    "QLinearConv, groups, dilation": qoperator("Conv", [X, GROUPED], Y, **WIDE),
    "QLinearConv, int8": qoperator("Conv", [SIGNED["x"], PER_CHANNEL], SIGNED["y"], **PADDED),
    "QLinearMatMul, per column": qoperator("MatMul", [ROWS, WEIGHTS], FLAT),
    "QGemm": qoperator("Gemm", [ROWS, TURNED], FLAT, [5, -6, 700, 8, 9], transB=1),
    "QLinearAdd": qoperator("Add", PAIR, Q("y", 2.0**-2, 77, "uint8", (None,) * 3)),
    "QLinearMul": qoperator("Mul", PAIR, Q("y", 2.0**-2, 77, "uint8", (None,) * 3)),
    "QLinearAveragePool": qoperator("AveragePool", [X], Y, kernel_shape=[3, 2], pads=[1, 0, 1, 1]),
    "QOperator classifier": classifier(),
    "QDQ Conv, per channel, uneven padding": qdq(
        "Conv", [X, PER_CHANNEL], Y, bias_of("b", [7, -9, 300, 1, 0, 5], X, PER_CHANNEL), **PADDED),
    "QDQ Conv, groups, dilation": qdq("Conv", [X, GROUPED], Y, **WIDE),
    "QDQ Conv, int8": qdq("Conv", [SIGNED["x"], PER_CHANNEL], SIGNED["y"], **PADDED),
    "QDQ Add": qdq("Add", PAIR, Q("y", 2.0**-2, 77, "uint8", (None,) * 3)),
    "QDQ perceptron": perceptron(),
    **{f"QDQ {case}": CASES[case][0] for case in ("uint8 residual", "int8 residual", "MatMul without Q, per column",
                                                  "two pairs in a row", "float weights")},
}  # fmt: skip
# models whose results depend on the level, and the levels at which they change
CHANGING = {
    "QDQ Add": ["extended"],
    "QDQ uint8 residual": ["extended"],
    "QDQ MatMul without Q, per column": ["extended"], "QDQ two pairs in a row": ["basic"],
    "QDQ float weights": ["basic", "extended"],
}  # fmt: skip


@cache
def feeds(content: bytes) -> dict[str, Any]:
    """Samples stacked, the first of every model its zero, its lowest and its highest values."""
    graph, found = read_onnx(content, fusion="none"), {}
    for name in graph.inputs:
        tensor, rng = graph.tensors[name], np.random.default_rng(5)
        shape = (SAMPLES, *tensor.shape)
        real = tensor.dtype == "float32"
        values = (rng.normal(size=shape) * 5).astype("float32") if real else codes(shape, tensor.dtype)
        values[0], values[1], values[2] = 0, values.min(), values.max()
        found[name] = values
    return found


@cache
def shown(backend: str, content: bytes) -> list[dict[str, Any]]:
    """What a runtime shows of each sample, the model's own outputs from the model as it is."""
    inputs = feeds(content)
    each = [{name: values[i] for name, values in inputs.items()} for i in range(SAMPLES)]
    runtime = load_model_backend(MODEL_BACKENDS[backend])
    return [{**one.tensors, **(one.outputs or {})} for one in runtime(content, each)]


def assert_agrees(backend: str, content: bytes) -> int:
    """The golden run of stacked samples and of each alone equals the runtime; how many tensors were compared."""
    known, inputs = MODEL_BACKENDS[backend], feeds(content)
    graph, real = read_onnx(content, fusion=known.fusion), shown(backend, content)
    stacked = {name: np.concatenate([*values]) for name, values in inputs.items()}
    golden = run(graph, stacked, known.profile, keep=True)
    names = [name for name in real[0] if name in golden]
    assert set(graph.outputs) <= set(names)
    for name in names:
        assert_same(got=golden[name], expected=np.concatenate([one[name] for one in real]))
    alone = run(graph, {name: values[3] for name, values in inputs.items()}, known.profile)
    for name in graph.outputs:
        assert_same(got=alone[name], expected=real[3][name])
    return len(names)


@pytest.mark.parametrize("name", MODELS)
def test_golden_equals_onnxruntime_at_every_level(name: str) -> None:
    compared = {level: assert_agrees(f"onnxruntime:{level}", MODELS[name]) for level in LEVELS}
    written = sum(len(node.outputs) for node in read_onnx(MODELS[name], fusion="none").nodes)
    # nothing is hidden where nothing is rewritten
    assert compared["off"] == written


@pytest.mark.parametrize("name", MODELS)
def test_levels_change_results_where_they_are_known_to(name: str) -> None:
    last = read_onnx(MODELS[name], fusion="none").outputs

    def outputs(level: str) -> list[bytes]:
        return [one[key].tobytes() for one in shown(f"onnxruntime:{level}", MODELS[name]) for key in last]

    differing = [level for before, level in pairwise(LEVELS) if outputs(before) != outputs(level)]
    assert differing == CHANGING.get(name, [])


EVALUATED = [name for name in MODELS if name.startswith("QDQ") or "Conv" in name or "MatMul" in name]
# the classifier and the ops of com.microsoft are ONNX Runtime's own; the evaluator has none of them


@pytest.mark.parametrize("name", EVALUATED)
def test_golden_equals_the_reference_evaluator(name: str) -> None:
    assert assert_agrees("onnx-reference", MODELS[name]) > 0


def between(folder: Path, content: bytes) -> Any:
    path = folder / "model.onnx"
    path.write_bytes(content)
    done = refq("trace", str(path), "--backend", "onnxruntime:off", "--against", "onnxruntime:all", "--random", "20",
                "--json")  # fmt: skip
    assert done.returncode == 1
    return json.loads(done.stdout)


def test_trace_names_what_two_levels_do_differently(tmp_path: Path) -> None:
    found = between(tmp_path, CASES["uint8 chain"][0])
    assert [side["differing"] for side in found["sides"]] == [0, 0]
    first = found["between"]["first"]
    assert (first["node"], first["op"], first["tensor"]) == ("QuantizeLinear_6", "quantize", "h")
    assert first["differing"] > 0
    # the float sum is rounded to float32 on the way at level off, the exact one is scaled once at level all
    assert "float32_ties_even/division/after" in first["rules"]
    assert "float32_ties_even/float32_product/after" in first["right_rules"]
    assert "float32_ties_even/float32_product/after" not in first["rules"]


def test_trace_names_levels_that_compute_another_function(tmp_path: Path) -> None:
    found = between(tmp_path, CASES["two pairs in a row"][0])
    assert [side["differing"] for side in found["sides"]] == [0, 0]
    assert (found["between"]["first"]["node"], found["between"]["first"]["tensor"]) == ("DequantizeLinear_3", "h_float")


def test_fusions_of_the_commands_are_those_of_the_importer() -> None:
    from refq.importers.onnx_fusion import FUSIONS as THEIRS

    assert set(FUSIONS) == set(THEIRS)
    assert {level: MODEL_BACKENDS[f"onnxruntime:{level}"].fusion for level in LEVELS} == {
        "off": "none", "basic": "onnxruntime-basic", "extended": "onnxruntime", "all": "onnxruntime"}  # fmt: skip
