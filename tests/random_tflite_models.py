"""Random .tflite models: operators that compute element by element, ends, and all of it in a row."""

import numpy as np
import random_tflite_moving as moving
import random_tflite_windows as windows
from random_tflite import Maker, V
from tflite_models import O, T, model

SHAPES = ((1, 7, 6, 3), (1, 9, 5, 8), (1, 1, 12, 10), (1, 12, 1, 4), (1, 6, 6, 16), (1, 5, 4, 1), (1, 30), (1, 8, 9))
# scale and zero point that LiteRT asks for, and how much finer those of int16 are
ENDS = {"LOGISTIC": (1 / 256, -128), "SOFTMAX": (1 / 256, -128), "TANH": (1 / 128, 0)}


def binary(m: Maker, x: V) -> None:
    code = m.one_of("ADD", "SUB", "MUL")
    same = [v for v in m.live if v.shape == x.shape]
    shape = m.one_of(x.shape, (1,) * (len(x.shape) - 1) + x.shape[-1:], (1,), x.shape[-1:])
    b = m.one_of(*same) if m.maybe(0.6) else m.constant(shape)
    fields = {"fusedActivationFunction": m.fused()}
    near = x.scale * b.scale * (60 if m.dtype != "int16" else 12000)
    if code != "MUL":
        near, fields["potScaleInt16"] = max(x.scale, b.scale) * m.rng.uniform(0.8, 1.8), m.wild and b.shape == x.shape
    pair = [x, b] if m.maybe(0.7) else [b, x]
    m.op(code, pair, [m.made(x.shape, m.scale(near))], f"{code.capitalize()}Options", **fields)


def mean(m: Maker, x: V) -> None:
    rank = len(x.shape)
    axes = m.one_of((1, 2), (1, 2), (-1,), (1,), (-1, 1)) if rank == 4 else m.one_of((1,), (-1,))
    gone, keep = {a % rank for a in axes}, m.maybe(0.5)
    shape = [1 if i in gone else n for i, n in enumerate(x.shape) if keep or i not in gone]
    if len(shape) < 2:
        return
    y = m.kept(x, shape) if m.maybe(0.4) else m.made(shape, m.scale(x.scale * m.rng.uniform(0.3, 1)))
    m.op("MEAN", [x, m.const(*axes)], [y], "ReducerOptions", keepDims=keep)


def pointwise(m: Maker, x: V) -> None:
    codes = ("QUANTIZE", "RELU", "LEAKY_RELU", *(("RELU6", "RELU_N1_TO_1", "HARD_SWISH") if m.dtype != "int16" else ()))
    code = m.one_of(*codes)
    y = m.made(x.shape, m.scale(x.scale * m.rng.uniform(0.5, 1.5)))
    slopes = (1.5, 0.003, 0.2, 1.0, 0.0) if m.wild else (0.1, 0.2, 0.01, 0.5, 0.3)
    fields = {"alpha": float(m.one_of(*slopes))} if code == "LEAKY_RELU" else {}
    m.op(code, [x], [y], {"QUANTIZE": "QuantizeOptions", "LEAKY_RELU": "LeakyReluOptions"}.get(code, ""), **fields)


def curve(m: Maker, x: V) -> None:
    code = m.one_of(*ENDS)
    scale, zero = ENDS[code] if m.dtype != "int16" else (1 / 32768, 0)
    y = m.made(x.shape, scale, zero + 128 * (m.dtype == "uint8"))
    options, fields = ("SoftmaxOptions", {"beta": float(m.one_of(1.0, 0.5, 2.3))}) if code == "SOFTMAX" else ("", {})
    m.op(code, [x], [y], options, **fields)


KINDS = (*windows.KINDS, *moving.KINDS, binary, binary, mean, pointwise, pointwise, pointwise, curve)


def begin(m: Maker) -> None:
    """An input of codes; or of floats, or of uint8 for an int8 model, that is quantized first."""
    shape, kind = m.one_of(*SHAPES), m.one_of("codes", "codes", "floats", "bytes")
    if kind == "codes" or (kind == "bytes" and m.dtype != "int8"):
        v = m.made(shape)
        m.inputs.append(v.name)
        m.live.append(v)
        return
    y = m.made(shape)
    name = f"x{len(m.tensors)}"
    floats = kind == "floats"
    m.tensors.append(T(name, shape, *(("float32",) if floats else ("uint8", y.scale, y.zero + 128))))
    m.inputs.append(name)
    m.op("QUANTIZE", [name], [y], "QuantizeOptions")


def end(m: Maker, x: V) -> None:
    """Floats, or the places of the largest codes."""
    if m.dtype == "int16" or m.maybe(0.6):
        m.tensors.append(T("floats", x.shape, "float32"))
        m.operators.append(O("DEQUANTIZE", [x.name], ["floats"], "DequantizeOptions"))
        return
    axis = m.number(1, len(x.shape))
    m.tensors.append(T("largest", (*x.shape[:axis], *x.shape[axis + 1 :]), "int32"))
    m.operators.append(O("ARG_MAX", [x.name, m.const(axis)], ["largest"], "ArgMaxOptions", {"outputType": 2}))


def random_model(seed: int, wild: bool = False) -> bytes:
    """A file of about 3 to 13 operators; whatever no operator reads is an output."""
    rng = np.random.default_rng([seed, 77])
    dtype = str(rng.choice(["int8"] * 6 + ["uint8"] * 2 + ["int16"] * 2))
    m = Maker(rng, dtype, bool(rng.random() < 0.4), bool(rng.random() < 0.2), wild)
    for _ in range(m.number(1, 3)):
        begin(m)
    count = m.number(3, 13)
    for _ in range(60):
        x = m.one_of(*(m.live[-3:] if m.maybe(0.8) else m.live))
        if len(m.operators) < count and np.prod(x.shape) <= 20000 and len(x.shape) > 1:
            m.one_of(*KINDS)(m, x)
    end(m, m.live[-1])
    read = {name for o in m.operators for name in o.inputs}
    outputs = [name for o in m.operators for name in o.outputs if name not in read]
    return model(m.tensors, m.operators, [name for name in m.inputs if name in read], outputs)
