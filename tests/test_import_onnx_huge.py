"""What an .onnx file may ask for: deep, long, wide and multiplying files are refused soon and in bounded
memory; odd names, defaults, and ops on codes that only floats have."""

from collections.abc import Callable
from resource import RUSAGE_SELF, getrusage
from time import process_time
from typing import Any

import numpy as np
import onnx
import pytest
from command import refused
from onnx import TensorProto, helper
from onnx_models import N, Q, dequantize, model, quantize
from onnx_qdq_cases import CASES
from test_import_onnx_refused import changed, node, on, rejected

from refq.importers import read_onnx
from refq.importers.limits import MOST_MEMORY


def nested(depth: int) -> bytes:
    """Graphs in attributes of nodes of graphs, as bytes, deeper than protobuf builds them."""

    def field(number: int, content: bytes) -> bytes:
        size, length = len(content), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    content = b""
    for _ in range(depth):
        content = field(1, field(5, field(6, content)))
    return field(7, content)


def chain(op: str, count: int, width: int, **attributes: Any) -> bytes:
    """A node that reads the one before it, on a stored square of float32 or on an input."""
    nodes = [N(op, [f"t{i}"], [f"t{i + 1}"], attributes) for i in range(count)]
    free = [("x", "float32", (width, width))]
    return model([*nodes, N("Add", [f"t{count}", "x"], ["y"])], free, [("y", "float32", None)],
                 {"t0": np.ones((width, width), np.float32)})  # fmt: skip


def turned_again(count: int) -> bytes:
    """One dequantized constant, turned by many nodes."""
    w = Q("w", 0.1, 0, codes=np.ones((512, 512)))
    turned = [N("Transpose", ["w_float"], [f"t{i}"]) for i in range(count)]
    sums = [N("Add", [f"t{i}", f"s{i}"], [f"s{i + 1}"]) for i in range(count)]
    return model([dequantize(w), *turned, *sums], [("s0", "float32", (512, 512))], [(f"s{count}", "float32", None)],
                 w.constants())  # fmt: skip


def read_many_times() -> bytes:
    """One dequantizer that feeds 60 000 inputs of nodes."""
    x = Q("x", 0.1, 3, "uint8", (1, 2))
    joined = [N("Concat", ["x_float"] * 1000, [f"c{i}"], {"axis": 0}) for i in range(60)]
    return model([dequantize(x), *joined], [x.value()], [("c0", "float32", None)], x.constants())


HUGE: dict[str, tuple[Callable[[], bytes], str]] = {
    "deep": (lambda: nested(3000), "not a protobuf of a model"),
    "nodes": (lambda: chain("Relu", 100_000, 1), "100001 nodes; a model may have 2048"),
    "constants": (lambda: chain("Transpose", 300, 1024), "constants that nodes make take over 268435456 bytes"),
    "constants behind scales": (lambda: turned_again(900), "constants that nodes make take over 268435456 bytes"),
    "copies": (read_many_times, "rewriting makes over 8192 nodes; pass fusion='none'"),
}


@pytest.mark.parametrize("case", HUGE)
def test_what_would_take_memory_or_time_is_refused_soon(case: str) -> None:
    build, words = HUGE[case]
    content = build()
    read_onnx(CASES["uint8 chain"][0])
    start, before = process_time(), getrusage(RUSAGE_SELF).ru_maxrss
    assert words in rejected(content)
    # seconds of this process: a loaded machine does not count
    assert process_time() - start < 2
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < (MOST_MEMORY >> 10)


def test_the_command_refuses_with_its_own_exit_code(tmp_path: Any) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(changed(on("w", "dims", (4, 3, 3, 300))))
    for words in (("show", str(path)), ("show", str(path), "--fusion", "none")):
        assert "constant w: 108 bytes" in refused(7, *words)


def test_constants_that_are_inputs_too() -> None:
    """From version 4 of the format on they are defaults, which ONNX Runtime rewrites nothing with."""
    proto = onnx.load_from_string(CASES["uint8 chain"][0])
    proto.graph.input.append(helper.make_tensor_value_info("h_scale", TensorProto.FLOAT, ()))
    assert "QuantizeLinear_6: h_scale is a constant and an input too" in rejected(proto)
    proto.ir_version = 3
    assert "h_scale" not in read_onnx(proto).inputs


def test_names_with_control_characters() -> None:
    text = rejected(changed(node("op_type", "a\n\x1b[31m\0b")))
    assert text.isprintable()


def test_relu_and_clip_on_codes() -> None:
    for op, words in (("Relu", "needs zero point 0"), ("Clip", "clip floats before QuantizeLinear")):
        x = Q("x", 0.1, 3, "uint8", (1, 4))
        nodes = [quantize(x, "in"), N(op, ["x", "low"][: 1 + (op == "Clip")], ["y"])]
        content = model(nodes, [("in", "float32", (1, 4))], [("y", "uint8", None)],
                        x.constants() | {"low": np.uint8(5)})  # fmt: skip
        assert words in rejected(content)
