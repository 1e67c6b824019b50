"""Everything that can be wrong with a .tflite file, one fault at a time: refused with file, place and reason."""

import re
import struct
import sys

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from model_zoo import ZOO, pool_net

from refq.importers import limits
from refq.importers.limits import ModelRejectedError, read_bytes
from refq.importers.tflite import read_tflite

CONTENT = pool_net()
X, W, B, C, P, F, G, Y = range(8)


def edited(change, content=CONTENT):
    """The file with its objects changed."""
    whole = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(whole, whole.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor(place, **fields):
    """A fault in the fields of a tensor."""

    def change(whole, graph):
        for name, value in fields.items():
            setattr(graph.tensors[place], name, value)

    return change


def scales(place, **fields):
    """A fault in the quantization of a tensor."""

    def change(whole, graph):
        for name, value in fields.items():
            setattr(graph.tensors[place].quantization, name, value)

    return change


def operator(place, options=None, **fields):
    """A fault in an operator or its options."""

    def change(whole, graph):
        for name, value in fields.items():
            setattr(graph.operators[place], name, value)
        for name, value in (options or {}).items():
            setattr(graph.operators[place].builtinOptions, name, value)

    return change


def bias(data, kind):
    def change(whole, graph):
        whole.buffers[graph.tensors[B].buffer].data = np.frombuffer(data.tobytes(), np.uint8)
        graph.tensors[B].type, graph.tensors[B].shape = kind, np.array(data.shape, np.int32)

    return change


def renamed(code):
    """The operator MAX_POOL_2D as another one."""

    def change(whole, graph):
        whole.operatorCodes[1].builtinCode = getattr(schema.BuiltinOperator, code)
        whole.operatorCodes[1].deprecatedBuiltinCode = min(getattr(schema.BuiltinOperator, code), 127)
        whole.operatorCodes[1].customCode = "Mine" if code == "CUSTOM" else None

    return change


def two_subgraphs(whole, graph):
    whole.subgraphs.append(graph)


def no_subgraphs(whole, graph):
    whole.subgraphs = []


def version_four(whole, graph):
    whole.version = 4


def elsewhere(whole, graph):
    whole.buffers[graph.tensors[W].buffer].offset, whole.buffers[graph.tensors[W].buffer].size = 4096, 36


def sparse(whole, graph):
    graph.tensors[W].sparsity = schema.SparsityParametersT()


def swapped(whole, graph):
    graph.operators[:2] = graph.operators[1::-1]


def cyclic(whole, graph):
    graph.operators[0].inputs = np.array([P, W, B], np.int32)


def ints(*values):
    return np.array(values, np.int32)


TYPES = schema.TensorType
NAN, INF = float("nan"), float("inf")

# name: (fault, place, words of the reason)
FAULTS = {
    "version": (version_four, "", "schema version 4"),
    "two subgraphs": (two_subgraphs, "", "2 subgraphs"),
    "no subgraph": (no_subgraphs, "", "0 subgraphs"),
    "buffer elsewhere": (elsewhere, "buffer 1", "outside the tables"),
    "external buffer": (tensor(W, externalBuffer=3), "tensor 1 (w)", "external buffer"),
    "buffer out of range": (tensor(W, buffer=99), "tensor 1 (w)", "buffer 99 of 5"),
    "no buffer": (tensor(W, buffer=0), "CONV_2D:0", "weights (w) are computed"),
    "no bias buffer": (tensor(B, buffer=0), "CONV_2D:0", "bias (b) must be a constant"),
    "variable": (tensor(X, isVariable=True), "tensor 0 (x)", "make the state an input and an output"),
    "sparse": (sparse, "tensor 1 (w)", "sparse"),
    "unknown type": (tensor(X, type=77), "tensor 0 (x)", "type 77"),
    "string": (tensor(X, type=TYPES.STRING), "tensor 0 (x)", "type string"),
    "half floats": (tensor(X, type=TYPES.FLOAT16), "tensor 0 (x)", "type float16"),
    "two bits": (tensor(W, type=TYPES.INT2), "tensor 1 (w)", "type int2"),
    "negative dimension": (tensor(X, shape=ints(1, -4, 4, 2)), "tensor 0 (x)", "dimension 1 is -4"),
    "huge dimension": (tensor(X, shape=ints(1, 2**31 - 1, 4, 2)), "tensor 0 (x)", "elements"),
    "huge product": (tensor(X, shape=ints(1, 40000, 40000, 2)), "tensor 0 (x)", "elements"),
    "huge rank": (tensor(X, shape=ints(*[1] * 70)), "tensor 0 (x)", "70 dimensions"),
    "open row": (tensor(X, shapeSignature=ints(-1, -1, 4, 2)), "tensor 0 (x)", "only dimension 0 may be open"),
    "other signature": (tensor(X, shapeSignature=ints(2, 4, 4, 2)), "tensor 0 (x)", "shape signature"),
    "short signature": (tensor(X, shapeSignature=ints(-1)), "tensor 0 (x)", "shape signature"),
    "long name": (tensor(X, name=b"n" * 5000), "tensor 0", "5000 characters"),
    "wrong size": (tensor(W, shape=ints(2, 3, 3, 3)), "tensor 1 (w)", "36 bytes stored"),
    "wrong size of int4": (tensor(W, type=TYPES.INT4), "tensor 1 (w)", "which takes 18"),
    "scale 0": (scales(X, scale=np.float32([0])), "tensor 0 (x)", "scale[0]=0.0"),
    "scale negative": (scales(W, scale=np.float32([0.5, -1])), "tensor 1 (w)", "scale[1]=-1.0"),
    "scale subnormal": (scales(X, scale=np.float32([1e-40])), "tensor 0 (x)", "scales are finite and >= 2**-126"),
    "scale infinite": (scales(X, scale=np.float32([INF])), "tensor 0 (x)", "scale[0]=inf"),
    "scale NaN": (scales(X, scale=np.float32([NAN])), "tensor 0 (x)", "scale[0]=nan"),
    "zero point outside": (scales(X, zeroPoint=np.array([128])), "tensor 0 (x)", "zero_point[0]=128 is outside int8"),
    "zero point missing": (scales(X, zeroPoint=None), "tensor 0 (x)", "1 scales and 0 zero points"),
    "too few zero points": (scales(W, zeroPoint=np.array([0])), "tensor 1 (w)", "2 scales and 1 zero points"),
    "axis outside": (scales(W, quantizedDimension=4), "tensor 1 (w)", "quantized dimension 4"),
    "axis negative": (scales(W, quantizedDimension=-1), "tensor 1 (w)", "quantized dimension -1"),
    "axis of another size": (scales(W, quantizedDimension=1), "tensor 1 (w)", "2 scales for 3 channels"),
    "axis of inputs": (scales(W, quantizedDimension=3), "CONV_2D:0", "scales along dimension 3"),
    "weights with zero points": (scales(W, zeroPoint=np.array([0, 1])), "CONV_2D:0", "zero points"),
    "no scale": (tensor(X, quantization=None), "CONV_2D:0", "needs one scale"),
    "weights without scale": (tensor(W, quantization=None), "CONV_2D:0", "have no scale"),
    "scales a channel of x": (
        scales(X, scale=np.float32([1, 2]), zeroPoint=np.array([0, 0]), quantizedDimension=3), "CONV_2D:0", "one scale",
    ),
    "int16 bias": (bias(np.zeros(2, np.int16), TYPES.INT16), "CONV_2D:0", "bias (b) is int16; pass int32"),
    "int64 bias": (bias(np.zeros(2, np.int64), TYPES.INT64), "CONV_2D:0", "bias (b) is int64; pass int32"),
    "long bias": (bias(np.zeros(3, np.int32), TYPES.INT32), "CONV_2D:0", "must be a constant of shape (2,)"),
    "float model": (tensor(X, type=TYPES.FLOAT32), "CONV_2D:0", "float CONV_2D with int8 weights (dynamic range)"),
    "mixed types": (tensor(X, type=TYPES.UINT8), "CONV_2D:0", "uint8 input with int8 weights"),
    "other result type": (tensor(C, type=TYPES.INT16), "CONV_2D:0", "c is int16 beside int8"),
    "other result shape": (tensor(C, shape=ints(1, 4, 4, 3)), "CONV_2D:0", "declares (1, 4, 4, 3)"),
    "other pooled shape": (tensor(P, shape=ints(1, 3, 2, 2)), "MAX_POOL_2D:1", "declares (1, 3, 2, 2)"),
    "other dense shape": (tensor(Y, shape=ints(3)), "FULLY_CONNECTED:2", "declares (3,)"),
    "operator code": (operator(0, opcodeIndex=9), "operator 0", "operator code 9 of 3"),
    "input out of range": (operator(0, inputs=ints(X, 99, B)), "CONV_2D:0", "tensor 99 of 8"),
    "input negative": (operator(0, inputs=ints(X, -2, B)), "CONV_2D:0", "tensor -2 of 8"),
    "input absent": (operator(0, inputs=ints(-1, W, B)), "CONV_2D:0", "input 0 is missing"),
    "too many inputs": (operator(0, inputs=ints(X, W, B, B)), "CONV_2D:0", "4 inputs, 1 outputs; legal: 2 to 3, 1"),
    "no outputs": (operator(0, outputs=ints()), "CONV_2D:0", "3 inputs, 0 outputs"),
    "output out of range": (operator(0, outputs=ints(8)), "CONV_2D:0", "tensor 8 of 8"),
    "written twice": (operator(1, outputs=ints(C)), "MAX_POOL_2D:1", "writes c, which CONV_2D:0 wrote already"),
    "written constant": (operator(1, outputs=ints(F)), "MAX_POOL_2D:1", "writes f, which is a constant"),
    "out of order": (swapped, "MAX_POOL_2D:0", "reads c before CONV_2D:1 writes it"),
    "cyclic": (cyclic, "CONV_2D:0", "reads p before MAX_POOL_2D:1 writes it: cyclic or out of order"),
    "graph input": (lambda w, g: setattr(g, "inputs", ints(55)), "model", "tensor 55 of 8"),
    "graph input constant": (lambda w, g: setattr(g, "inputs", ints(X, W)), "w", "the graph, but a constant"),
    "graph input missing": (lambda w, g: setattr(g, "inputs", ints()), "CONV_2D:0", "reads x, which has no data"),
    "graph output": (lambda w, g: setattr(g, "outputs", ints(-1)), "model", "tensor -1 of 8"),
    "no graph outputs": (lambda w, g: setattr(g, "outputs", ints()), "graph", "no outputs"),
    "stride 0": (operator(0, {"strideH": 0}), "CONV_2D:0", "stride (0, 1)"),
    "dilation negative": (operator(0, {"dilationWFactor": -1}), "CONV_2D:0", "dilation (1, -1)"),
    "dilation huge": (operator(0, {"dilationWFactor": 2**31 - 1}), "CONV_2D:0", "elements"),
    "padding number": (operator(0, {"padding": 2}), "CONV_2D:0", "padding number 2"),
    "filter 0": (operator(1, {"filterHeight": 0}), "MAX_POOL_2D:1", "filter (0, 2)"),
    "filter too large": (operator(1, {"filterHeight": 9}), "MAX_POOL_2D:1", ""),
    "activation": (operator(0, {"fusedActivationFunction": 4}), "CONV_2D:0", "fused activation number 4"),
    "weights format": (operator(2, {"weightsFormat": 1}), "FULLY_CONNECTED:2", "weights format 1"),
    "options of another kind": (
        operator(0, builtinOptionsType=schema.BuiltinOptions.Pool2DOptions, builtinOptions=schema.Pool2DOptionsT()),
        "CONV_2D (operator 0)", "Conv2DOptions belong here",
    ),
    "no options": (
        operator(0, builtinOptionsType=0, builtinOptions=None), "CONV_2D (operator 0)", "Conv2DOptions belong here",
    ),
    "prelu": (renamed("PRELU"), "PRELU:1", "PRELU is not supported; use LEAKY_RELU"),
    "custom": (renamed("CUSTOM"), "CUSTOM Mine:1", "CUSTOM Mine is not supported; use one of CONV_2D"),
    "lstm": (renamed("UNIDIRECTIONAL_SEQUENCE_LSTM"), "UNIDIRECTIONAL_SEQUENCE_LSTM:1", "unrolled"),
    "floor": (renamed("FLOOR_MOD"), "FLOOR_MOD:1", "FLOOR_MOD is not supported; use"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_refused_with_place_and_reason(name):
    change, place, words = FAULTS[name]
    with pytest.raises(ModelRejectedError) as caught:
        read_tflite(edited(change), name="net.tflite")
    error = caught.value
    assert (error.file, error.place) == ("net.tflite", place)
    assert words in error.reason
    assert str(error) == ": ".join(part for part in ("net.tflite", place, error.reason) if part)
    assert "\n" not in str(error)
    assert isinstance(error, ValueError)


def test_the_file_without_a_fault_is_taken():
    assert [n.op for n in read_tflite(CONTENT).nodes] == ["conv", "max_pool", "fully_connected"]
    assert len(read_tflite(edited(lambda whole, graph: None)).nodes) == 3


def test_files_that_are_none():
    for content in (b"", b"TFL3", b"\x00" * 64, b"PK\x03\x04" + b"\x00" * 60):
        with pytest.raises(ModelRejectedError, match=re.escape("not a .tflite file: no identifier TFL3 at byte 4")):
            read_tflite(content)
    with pytest.raises(ModelRejectedError, match="ends before its contents"):
        read_tflite(struct.pack("<I4s", 2**31, b"TFL3") + b"\x00" * 8)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_tflite(tmp_path / "none.tflite")
    with pytest.raises(ModelRejectedError, match="not a regular file"):
        read_tflite(tmp_path)
    big = tmp_path / "big.tflite"
    with big.open("wb") as opened:
        opened.truncate(limits.MOST_FILE_BYTES + 1)
    with pytest.raises(ModelRejectedError, match=f"big.tflite: {limits.MOST_FILE_BYTES + 1} bytes"):
        read_tflite(big)
    assert read_bytes(b"abc", "n") == ("n", b"abc")


def test_long_and_unprintable_names_stay_on_one_short_line():
    change = tensor(X, name=b"a\nb\x1b[31m" * 300, type=TYPES.STRING)
    with pytest.raises(ModelRejectedError) as caught:
        read_tflite(edited(change))
    assert len(str(caught.value)) < 900
    assert str(caught.value).isprintable()


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(ImportError, match=r"install the extra refq\[litert\]"):
        read_tflite(CONTENT)


def test_the_zoo_has_no_fault():
    for build in ZOO.values():
        read_tflite(edited(lambda whole, graph: None, build()))
