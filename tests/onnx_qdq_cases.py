"""QDQ models of several ops, each for one thing that ONNX Runtime's optimiser does to it."""

from typing import Any

import numpy as np
from onnx_models import N, Q, bias_of, dequantize, model, quantize

X, H = Q("x", 0.1, 3, "uint8"), Q("h", 0.17, 5, "uint8")


def codes(shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(-128, 128, shape)


def floats(*shape: int) -> Any:
    return (np.random.default_rng(3).normal(size=shape) * 6).astype(np.float32)


def network(
    dtype: str, *, residual: bool = False, shown: tuple[str, ...] = (), bias: str = "codes", w2: str = "codes"
) -> bytes:
    """float, Q, DQ, Conv, Relu, Q, DQ, Conv, [Q, DQ, Add with the first result], Q, DQ, float.

    shown: tensors of codes that are outputs too. bias, w2: "codes", or "float" for constants without DQ.
    """
    middle, low = (128, 0) if dtype == "uint8" else (0, -128)
    x, h, m, y = (
        Q(n, s, z, dtype)
        for n, s, z in zip("xhmy", (0.1, 0.2, 0.4, 0.5), (middle + 3, low, middle + 1, middle + 7), strict=True)
    )
    w, v = Q("w", [0.05] * 4, 0, codes=codes((4, 4, 3, 3)), axis=0), Q("v", 0.03, 0, codes=codes((4, 4, 3, 3), 1))
    b = bias_of("b", [500, -600, 700, 90], x, w)
    operands = [x, h, w, v, y, *([m] if residual else []), *([b] if bias == "codes" else [])]
    constants = {k: c for q in operands for k, c in q.constants().items()}
    constants |= {"bias": np.array([0.1, 2, -3, 4], np.float32)} if bias == "float" else {}
    constants |= {"v_float": floats(4, 4, 3, 3)} if w2 == "float" else {}
    pads = {"pads": [1, 1, 1, 1]}
    nodes = [
        quantize(x, "in"), dequantize(x), dequantize(w), *([dequantize(b)] if bias == "codes" else []),
        N("Conv", ["x_float", "w_float", "b_float" if bias == "codes" else "bias"], ["c"], pads),
        N("Relu", ["c"], ["r"]),
        quantize(h, "r"), dequantize(h), *([dequantize(v)] if w2 == "codes" else []),
        N("Conv", ["h_float", "v_float"], ["d"], pads),
        *([quantize(m, "d"), dequantize(m), N("Add", ["m_float", "h_float"], ["s"])] if residual else []),
        quantize(y, "s" if residual else "d"), dequantize(y),
    ]  # fmt: skip
    outputs = [("y_float", "float32", (1, 4, 6, 6)), *((n, dtype, None) for n in shown)]
    return model(nodes, [("in", "float32", (1, 4, 6, 6))], outputs, constants)


def between(
    nodes: list[N], weights: Q, shape: Any, extra: dict[str, Any] | None = None, quantized: bool = True
) -> bytes:
    """float, Q, DQ, nodes that end in "m", [Q]; the first node reads "x_float"."""
    head = [quantize(X, "in"), dequantize(X), dequantize(weights)]
    constants = X.constants() | H.constants() | weights.constants() | (extra or {})
    tail, out = ([quantize(H, "m")], ("h", "uint8", None)) if quantized else ([], ("m", "float32", None))
    return model([*head, *nodes, *tail], [("in", "float32", shape)], [out], constants)


ROWS, COLUMNS = Q("w", 0.05, 0, codes=codes((16, 3))), Q("w", [0.05, 0.031, 0.007], 0, codes=codes((3, 16)), axis=0)
PER_COLUMN = Q("w", [0.05, 0.031, 0.007], 0, codes=codes((16, 3)), axis=1)
PRODUCT = N("MatMul", ["x_float", "w_float"], ["m"])
FLAT = {"flat": np.array([1, -1], np.int64)}
ROW = {"row": np.array([0.1, 2, -3], np.float32)}
BIASED = [N("MatMul", ["x_float", "w_float"], ["p"]), N("Add", ["p", "row"], ["m"])]
SIX = {"low": np.float32(0), "high": np.float32(6)}
IMAGE = (1, 4, 6, 6)

CASES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "uint8 chain": (network("uint8"), IMAGE),
    "uint8 residual": (network("uint8", residual=True), IMAGE),
    "uint8 residual, inner codes shown": (network("uint8", residual=True, shown=("h", "m")), IMAGE),
    "int8 chain": (network("int8"), IMAGE),
    "int8 residual": (network("int8", residual=True), IMAGE),
    "int8 chain, inner codes shown": (network("int8", shown=("h",)), IMAGE),
    "float bias": (network("uint8", bias="float"), IMAGE),
    "float weights": (network("uint8", w2="float"), IMAGE),
    "two pairs in a row": (
        model([quantize(X, "in"), dequantize(X), quantize(H, "x_float"), dequantize(H)], [("in", "float32", (4, 40))],
              [("h_float", "float32", (4, 40))], X.constants() | H.constants()), (4, 40)),
    "MatMul": (between([PRODUCT], ROWS, (2, 16)), (2, 16)),
    "MatMul without Q": (between([PRODUCT], ROWS, (2, 16), quantized=False), (2, 16)),
    "MatMul without Q, per column": (
        between([PRODUCT], PER_COLUMN, (2, 16), quantized=False), (2, 16)),
    "MatMul of turned weights": (
        between([N("Transpose", ["w_float"], ["t"], {"perm": [1, 0]}), N("MatMul", ["x_float", "t"], ["m"])], COLUMNS,
                (2, 16)), (2, 16)),
    "MatMul and Add of a float row": (between(BIASED, ROWS, (2, 16), ROW), (2, 16)),
    "the same, open batch": (between(BIASED, ROWS, ("N", 16), ROW), (2, 16)),
    "the same, three dimensions": (between(BIASED, ROWS, (2, 5, 16), ROW), (2, 5, 16)),
    "the same, three dimensions, open batch": (between(BIASED, ROWS, ("N", 5, 16), ROW), (2, 5, 16)),
    "the same without Q": (between(BIASED, ROWS, (2, 16), ROW, quantized=False), (2, 16)),
    "Reshape between": (
        between([N("Reshape", ["x_float", "flat"], ["f"]), N("MatMul", ["f", "w_float"], ["m"])], ROWS, (1, 4, 4),
                FLAT), (1, 4, 4)),
    "Flatten between": (
        between([N("Flatten", ["x_float"], ["f"]), N("MatMul", ["f", "w_float"], ["m"])], ROWS, (1, 4, 4)), (1, 4, 4)),
    "Identity between": (
        between([N("Identity", ["x_float"], ["f"]), N("MatMul", ["f", "w_float"], ["m"])], ROWS, (2, 16)), (2, 16)),
    "MaxPool before Q": (
        between([N("Conv", ["x_float", "w_float"], ["c"]), N("MaxPool", ["c"], ["m"], {"kernel_shape": [2, 2]})],
                Q("w", 0.01, 0, codes=codes((3, 4, 3, 3))), IMAGE), IMAGE),
    "Relu that Q makes void": (
        between([N("Conv", ["x_float", "w_float"], ["c"]), N("Relu", ["c"], ["m"])],
                Q("w", 0.01, 0, codes=codes((3, 4, 3, 3))), IMAGE, {"h_zero": np.uint8(0)}), IMAGE),
    "Relu that does something": (
        between([N("Conv", ["x_float", "w_float"], ["c"]), N("Relu", ["c"], ["m"])],
                Q("w", 0.01, 0, codes=codes((3, 4, 3, 3))), IMAGE), IMAGE),
    "Clip(0, 6) that Q makes void": (
        between([N("Conv", ["x_float", "w_float"], ["c"]), N("Clip", ["c", "low", "high"], ["m"])],
                Q("w", 0.01, 0, codes=codes((3, 4, 3, 3))), IMAGE,
                {"h_zero": np.uint8(0), "h_scale": np.float32(6 / 255), **SIX}), IMAGE),
    "Clip(0, 6) that does something": (
        between([N("Conv", ["x_float", "w_float"], ["c"]), N("Clip", ["c", "low", "high"], ["m"])],
                Q("w", 0.01, 0, codes=codes((3, 4, 3, 3))), IMAGE,
                {"h_zero": np.uint8(0), **SIX}), IMAGE),
    "Sub": (between([N("MatMul", ["x_float", "w_float"], ["p"]), N("Sub", ["p", "p"], ["m"])], ROWS, (2, 16)), (2, 16)),
}  # fmt: skip
"""Name -> (file, shape of its float input "in")."""
