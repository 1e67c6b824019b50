"""softmax and argmax against LiteRT in its three modes."""

from pathlib import Path

import numpy as np
import pytest
from refq_cases import assert_same
from table_cases import End, OneOp, agree, every, golden, under
from tflite_models import MODES, O, T, model, run_litert

import refq.graphs as graphs
from refq.graphs import Graph, Node, Tensor

SCALES = (0.06, 0.1, 2.0**-4, 1.0, 0.005, 0.25)
PAIRS = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1).reshape(-1, 2).astype(np.int8)
MODEL = Path(__file__).parents[2] / "shared" / "data" / "mlperf_tiny" / "resnet8_int8.tflite"


def rows(seed: int, count: int, depth: int, low: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, 128, (count, depth)).astype(np.int8)


def as_dtype(x: np.ndarray, dtype: str) -> np.ndarray:
    return (x.astype(np.int16) + 128).astype(np.uint8) if dtype == "uint8" else x


def softmax(dtype: str, out: str, scale: float, beta: float, shape: tuple[int, ...]) -> OneOp:
    """The output TFLite asks for: all of the format for 0..1, int16 from int16 its upper half."""
    end = {
        "int8": End("int8", 1 / 256, -128),
        "uint8": End("uint8", 1 / 256, 0),
        "int16": End("int16", 1 / 32768, 0) if dtype == "int16" else End("int16", 1 / 65536, -32768),
    }[out]
    return OneOp("softmax", End(dtype, scale, 0 if dtype == "int16" else 3), end, shape, {"beta": beta})


@pytest.mark.parametrize(("dtype", "out"), [("int8", "int8"), ("uint8", "uint8"), ("int8", "int16")])
def test_every_pair_of_codes(dtype: str, out: str) -> None:
    """65536 rows of two codes: every difference with every maximum, under 6 scales."""
    x, parted = as_dtype(PAIRS, dtype), 0
    for scale in SCALES:
        found = agree(softmax(dtype, out, scale, 1.0, x.shape), x)
        parted += int((found["litert-builtin"] != found["litert-reference"]).sum())
    assert (parted > 0) == (out == "int16")


def test_modes_differ_on_int8() -> None:
    """The float32 table and the fixed point give different codes now and then: the rules are told apart."""
    parted = 0
    for seed, scale in enumerate(SCALES):
        x = rows(seed, 4000, 10, 100)
        for beta in (1.0, 0.3):
            found = agree(softmax("int8", "int8", scale, beta, x.shape), x)
            parted += int((found["litert"] != found["litert-reference"]).sum())
    assert parted > 0


@pytest.mark.parametrize("depth", [1, 2, 3, 10, 33, 257])
def test_depths_and_betas(depth: int) -> None:
    for seed, (scale, beta) in enumerate([(0.06, 1.0), (0.25, 0.5), (2.0**-4, 0.3)]):
        for dtype in ("int8", "uint8"):
            x = as_dtype(rows(seed, 300, depth, 60), dtype)
            agree(softmax(dtype, dtype, scale, beta, x.shape), x)


@pytest.mark.parametrize("depth", [1, 2, 10, 257])
def test_int16(depth: int) -> None:
    """All int16 codes as rows beside random ones, under 4 scales; the three modes run one kernel."""
    for seed, scale in enumerate([2e-4, 2.0**-12, 0.06 / 256, 0.003]):
        codes = every("int16").reshape(-1, 1)
        count = codes.size if depth == 2 else 300
        others = np.random.default_rng(seed).integers(-32768, 32768, (count, depth)).astype(np.int16)
        if depth == 2:
            others[:, :1] = codes
        found = agree(softmax("int16", "int16", scale, 1.0, others.shape), others)
        assert_same(found["litert"], found["litert-reference"])


def test_other_axes_and_ranks() -> None:
    """Rank 1, 3 and 4; the last dimension is TFLite's."""
    for shape in ((10,), (2, 3, 4), (1, 2, 5, 3)):
        x = np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)
        agree(softmax("int8", "int8", 0.1, 1.0, shape), x)
    case = softmax("int8", "int8", 0.1, 1.0, (2, 3, 4))
    case.attributes["axis"] = 1
    x = np.random.default_rng(4).integers(-128, 128, (2, 3, 4)).astype(np.int8)
    moved = golden(softmax("int8", "int8", 0.1, 1.0, (2, 4, 3)), x.swapaxes(1, 2).copy(), "litert-builtin")
    assert_same(golden(case, x, "litert-builtin"), moved.swapaxes(1, 2))


@pytest.mark.skipif(not MODEL.exists(), reason="needs ../shared/data/mlperf_tiny")
def test_the_softmax_of_resnet8() -> None:
    """Its scale and depth, 20000 rows of likely scores, three modes."""
    from refq.importers.tflite import read_tflite

    graph = read_tflite(MODEL.read_bytes())
    node = next(n for n in graph.nodes if n.op == "softmax")
    found = graph.tensors[str(node.inputs[0])].quantization
    assert found is not None
    x = np.random.default_rng(8).normal(0, 50, (20_000, 10)).clip(-128, 127).astype(np.int8)
    case = softmax("int8", "int8", float(found.scale[0]), float(node.attributes["beta"]), x.shape)
    case.x.zero_point = int(found.zero_point[0])
    agree(case, x)


def test_real_softmax_rounds_ties_to_even() -> None:
    """Equal codes are the only ties: 1 / depth in steps of the output."""
    x = np.full((1, 2), 7, np.int8)
    for scale, wanted in ((1 / 64, 32), (1.0, 0), (2.0**-8, 128), (1 / 3, 1)):
        case = OneOp("softmax", End("int8", 0.1), End("uint8", scale, 0), (1, 2), {"beta": 1.0})
        assert_same(under(case, x, "real:ties_even"), np.full((1, 2), wanted, np.uint8))
    for depth, wanted in ((2, 16), (64, 0), (4, 8)):
        x = np.full((1, depth), -3, np.int8)
        case = OneOp("softmax", End("int8", 0.1), End("uint8", 2.0**-5, 0), x.shape, {"beta": 1.0})
        assert_same(under(case, x, "real:ties_even"), np.full(x.shape, wanted, np.uint8))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("out", ["int32", "int64"])
def test_argmax_takes_the_first(dtype: str, out: str) -> None:
    """Rows with the largest code several times, and all equal; lengths around vector sizes."""
    for depth in (1, 2, 7, 16, 17, 31, 33, 65):
        x = as_dtype(np.random.default_rng(depth).integers(120, 128, (50, depth)).astype(np.int8), dtype)
        x[0] = x[0, 0]
        tensors = [
            T("x", x.shape, dtype, 0.1, 3),
            T("axis", data=np.array(1, np.int32)),
            T("y", (50,), out),
        ]
        fields = {"outputType": 2 if out == "int32" else 4}
        content = model(tensors, [O("ARG_MAX", ["x", "axis"], ["y"], "ArgMaxOptions", fields, 2)], ["x"], ["y"])
        node = Node("it", "argmax", ("x",), ("y",), {"axis": 1, "keep_dims": False})
        graph = Graph(
            (node,), {"x": Tensor("x", x.shape, dtype), "y": Tensor("y", (50,), out)}, ("x",), ("y",), "tflite"
        )
        for mode in MODES:
            wanted = run_litert(content, mode, {"x": x})[0]
            assert_same(graphs.run(graph, x, "litert-builtin")["y"], wanted)
