"""QDQ models of several ops: what is fused is what ONNX Runtime saves, and golden equals it at every level."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from graph_floats_cases import MEASURED
from onnx_models import LEVELS, N, Q, model, qdq, quantize, run_onnx, session
from onnx_qdq_cases import CASES
from refq_cases import assert_same
from test_import_onnx import FUSION_OF, at_every_level, numbers

from refq.graphs.catalogue import OPS
from refq.graphs.checks import check_graph
from refq.graphs.running import run
from refq.importers import ModelRejectedError, read_onnx

pytestmark = MEASURED

PAGE = Path(__file__).parent.parent / "docs" / "import_onnx.md"
SHORT = {"QuantizeLinear": "Q", "DequantizeLinear": "DQ"}
SOURCES = {"conv": "QLinearConv", "float_conv": "Conv"}


def saved(content: bytes, level: str, folder: Path) -> onnx.GraphProto:
    """The graph that ONNX Runtime makes of a file at a level."""
    path = str(folder / f"{level}.onnx")
    session(content, level, path)
    return onnx.load(path).graph


def listed(graph: onnx.GraphProto) -> str:
    """Its ops with their counts, in order of appearance, without DequantizeLinear of constants."""
    stored = {t.name for t in graph.initializer}
    kept = [n for n in graph.node if n.op_type != "DequantizeLinear" or n.input[0] not in stored]
    counts = Counter(SHORT.get(n.op_type, n.op_type) for n in kept)
    return ", ".join(op if count == 1 else f"{count} {op}" for op, count in counts.items())


def fused_ops(graph: onnx.GraphProto) -> Counter[str]:
    """Its ops as our nodes name their sources: copies of a DequantizeLinear once, fused floats as they were."""
    stored, outputs = {t.name for t in graph.initializer}, {o.name for o in graph.output}
    found, seen = Counter[str](), set()
    for node in graph.node:
        key = (node.op_type, *node.input)
        if node.op_type == "DequantizeLinear":
            if node.input[0] in stored or (key in seen and node.output[0] not in outputs):
                continue
            seen.add(key)
        parts = {
            "MatMulIntegerToFloat": ["MatMulInteger", "DequantizeLinear"],
            "FusedConv": ["Conv", *(a.s.decode() for a in node.attribute if a.name == "activation")],
        }.get(node.op_type, [node.op_type])
        found.update(parts)
    return found


@pytest.mark.parametrize("case", CASES)
def test_groups_are_those_of_onnxruntime(case: str, tmp_path: Path) -> None:
    content = CASES[case][0]
    graph = read_onnx(content, fusion="onnxruntime")
    check_graph(graph, OPS)
    assert Counter(n.source for n in graph.nodes) == fused_ops(saved(content, "extended", tmp_path))


@pytest.mark.parametrize("case", CASES)
def test_golden_at_every_level(case: str) -> None:
    content, shape = CASES[case]
    at_every_level(content, {"in": numbers(shape, "float32", 5)})


@pytest.mark.parametrize(
    "case", ["uint8 residual", "int8 chain", "float bias", "two pairs in a row", "Reshape between"]
)
def test_every_tensor_as_an_output(case: str) -> None:
    """Looking at inner tensors keeps groups from fusing; the importer sees what the runtime sees."""
    content, shape = CASES[case]
    proto = onnx.load_from_string(content)
    inner = [name for n in proto.graph.node for name in n.output if name != proto.graph.output[0].name]
    proto.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in inner)
    at_every_level(proto.SerializeToString(), {"in": numbers(shape, "float32", 5)})


def test_which_levels_differ() -> None:
    """Level basic differs from off where it merges pairs or quantizes weights; extended from basic by rounding."""
    found: dict[str, dict[str, int]] = {}
    for case, (content, shape) in CASES.items():
        inputs = {"in": numbers(shape, "float32", 5)}
        real = {level: run_onnx(content, level, inputs) for level in LEVELS}
        found[case] = {
            level: sum(int((a != b).sum()) for a, b in zip(real[level], real["off"], strict=True)) for level in LEVELS
        }
    assert all(counts["extended"] == counts["all"] for counts in found.values())
    assert {"float weights", "two pairs in a row"} <= {case for case, counts in found.items() if counts["basic"]}
    assert found["two pairs in a row"]["basic"] == 155
    assert found["MatMul without Q"]["basic"] == 0 < found["MatMul without Q"]["extended"]


def table(folder: Path) -> str:
    """The table of docs/import_onnx.md: what ONNX Runtime makes of each case."""
    lines = ["| model | off | basic | extended | all |", "|---|---|---|---|---|"]
    for case, (content, _) in CASES.items():
        cells = [listed(saved(content, level, folder)) for level in LEVELS]
        shown = [cell if i == 0 or cell != cells[i - 1] else "as before" for i, cell in enumerate(cells)]
        lines.append(f"| {case} | {' | '.join(shown)} |")
    return "\n".join(lines)


def test_the_table_of_levels_is_what_the_runtime_does(tmp_path: Path) -> None:
    assert table(tmp_path) in PAGE.read_text()


def test_int8_fuses_where_a_session_allows_it() -> None:
    """session.qdqisint8allowed=1, as on Arm: the groups of fusion integer."""
    x, w = Q("x", 0.25, 3, "int8", (2, 5, 6, 6)), Q("w", 0.031, 0, codes=numbers((3, 5, 3, 3), "int8"))
    y = Q("y", 0.5, 7, "int8", (2, 3, 4, 4))
    content, inputs = qdq("Conv", [x, w], y), {"x": numbers((2, 5, 6, 6), "int8")}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    real = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]).run(None, inputs)
    graph = read_onnx(content, fusion="integer")
    assert [n.op for n in graph.nodes] == ["conv"]
    assert [n.op for n in read_onnx(content).nodes] == ["dequantize", "float_conv", "quantize"]
    assert_same(got=run(graph, inputs, "onnxruntime")["y"], expected=real[0])


def test_precision_option_changes_weights_and_no_values(tmp_path: Path) -> None:
    """session.x64quantprecision=1: int8 weights become uint8, the sums are the same."""
    content, shape = CASES["int8 chain"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = LEVELS["extended"]
    options.optimized_model_filepath = str(tmp_path / "precise.onnx")
    options.add_session_config_entry("session.x64quantprecision", "1")
    inputs = {"in": numbers(shape, "float32", 5)}
    real = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]).run(None, inputs)
    assert_same(got=run(read_onnx(content), inputs, "onnxruntime")["y_float"], expected=real[0])
    filters = [t for t in onnx.load(str(tmp_path / "precise.onnx")).graph.initializer if len(t.dims) == 4]
    assert {t.data_type for t in filters} == {onnx.TensorProto.UINT8}


def integer_ops(content: bytes) -> list[str]:
    return [n.op for n in read_onnx(content, fusion="integer").nodes]


def test_integer_fusion_takes_every_group_that_has_an_op() -> None:
    a, b = Q("a", 0.1, 3, "int8", (1, 4, 6, 6)), Q("b", 0.1, 5, "int8", (1, 4, 6, 6))
    w, y = Q("w", 0.1, 0, codes=numbers((4, 4, 2, 2), "int8")), Q("y", 0.2, 7, "int8", [None] * 4)
    after = (N("Relu", ["real"], ["real_end"]),)
    six = (N("Clip", ["real"], ["real_end"], {}),)
    assert integer_ops(qdq("Sub", [a, b], y)) == ["sub"]
    assert integer_ops(qdq("Tanh", [a], y)) == ["tanh"]
    assert integer_ops(qdq("Relu", [a], y)) == ["relu"]
    assert integer_ops(qdq("ConvTranspose", [a, w], y, strides=[2, 2])) == ["transpose_conv"]
    assert integer_ops(qdq("Conv", [a, w], y, after=after)) == ["conv"]
    assert read_onnx(qdq("Conv", [a, w], y, after=after), fusion="integer").nodes[0].attributes["activation"] == "relu"
    assert integer_ops(qdq("Conv", [a, w], y, after=six)) == ["conv"]
    again = model([N("DequantizeLinear", a.triple(), ["f"]), quantize(y, "f")], [a.value()], [y.value()],
                  a.constants() | y.constants())  # fmt: skip
    assert integer_ops(again) == ["requantize"]


def test_what_is_refused_by_the_chosen_fusion() -> None:
    x, w = Q("x", 0.1, 3, "uint8", (2, 16)), Q("w", 0.05, 0, codes=numbers((16, 3), "int8"))
    nodes = [N("DequantizeLinear", q.triple(), [f"{q.name}_float"]) for q in (x, w)]
    gemm = N("Gemm", ["x_float", "w_float"], ["m"], name="last")
    content = model([*nodes, gemm], [x.value()], [("m", "float32", None)], x.constants() | w.constants())
    with pytest.raises(ModelRejectedError, match=r"Gemm last: .* QGemm with a float result.*fusion='none'"):
        read_onnx(content)
    at_off = run(read_onnx(content, fusion="none"), {"x": numbers((2, 16), "uint8")}, "onnxruntime")["m"]
    assert_same(got=at_off, expected=run_onnx(content, "off", {"x": numbers((2, 16), "uint8")})[0])
    a, v = Q("a", 0.1, 3, "int8", (1, 4, 6, 6)), Q("w", 0.1, 0, codes=numbers((4, 4, 2, 2), "int8"))
    turned = qdq("ConvTranspose", [a, v], Q("y", 0.2, 7, "int8", [None] * 4), strides=[2, 2])
    with pytest.raises(ModelRejectedError, match=r"ConvTranspose_2: ConvTranspose of floats .*fusion='integer'"):
        read_onnx(turned)


def test_the_same_graph_for_the_same_file() -> None:
    content: Any = CASES["uint8 residual"][0]
    one, other = read_onnx(content), read_onnx(onnx.load_from_string(content))
    assert [n.outputs for n in one.nodes] == [n.outputs for n in other.nodes]
    assert list(one.tensors) == list(other.tensors)
    assert one.record["fusion"] == "onnxruntime"
    assert {level: FUSION_OF[level] for level in LEVELS}.keys() == LEVELS.keys()
    assert np.array_equal(one.tensors["w"].data, other.tensors["w"].data)  # type: ignore[arg-type]
