"""Ops that move values against LiteRT's three modes, ONNX Runtime and the ONNX reference evaluator, whole files."""

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from refq_cases import assert_same
from tflite_models import MODES, O, T, model, run_litert

from refq.formats import Rounding
from refq.graphs.ops.shapes import OPS as FAMILY
from refq.graphs.profiles.shapes import ENTRIES
from refq.graphs.records import Node, Quantization, Tensor
from refq.graphs.sites import Site, site_of
from refq.importers.tflite import read_tflite

OPS = {op.name: op for op in FAMILY}
PROFILES = {"litert": "litert-xnnpack", "litert-builtin": "litert-builtin", "litert-reference": "litert-reference"}
SHAPE = (2, 4, 6, 3)


def whole(*values):
    return np.array(values, np.int32)


# operator, its constants, shape of each result, options
FILES = {
    "pad": ("PAD", [whole([0, 0], [1, 2], [0, 1], [0, 0])], [(2, 7, 7, 3)], "PadOptions", {}),
    "pad every dimension": ("PAD", [whole([1, 0], [1, 2], [0, 1], [2, 1])], [(3, 7, 7, 6)], "PadOptions", {}),
    "reshape": ("RESHAPE", [whole(2, -1, 6)], [(2, 12, 6)], "ReshapeOptions", {}),
    "expand": ("EXPAND_DIMS", [whole(-2)], [(2, 4, 6, 1, 3)], "ExpandDimsOptions", {}),
    "transpose": ("TRANSPOSE", [whole(0, 2, 3, 1)], [(2, 6, 3, 4)], "TransposeOptions", {}),
    "transpose all": ("TRANSPOSE", [whole(3, 1, 0, 2)], [(3, 4, 2, 6)], "TransposeOptions", {}),
    "split_v": ("SPLIT_V", [whole(1, -1, 2), whole(2)], [(2, 4, n, 3) for n in (1, 3, 2)], "SplitVOptions",
                {"numSplits": 3}),
    "unpack": ("UNPACK", [], [(2, 6, 3)] * 4, "UnpackOptions", {"num": 4, "axis": 1}),
    "slice": ("SLICE", [whole(0, 1, 2, 0), whole(2, 2, 3, -1)], [(2, 2, 3, 3)], "SliceOptions", {}),
    "s2b": ("SPACE_TO_BATCH_ND", [whole(2, 2), whole([1, 1], [0, 2])], [(8, 3, 4, 3)], "SpaceToBatchNDOptions", {}),
    "s2b rows": ("SPACE_TO_BATCH_ND", [whole(3, 1), whole([2, 0], [0, 0])], [(6, 2, 6, 3)],
                 "SpaceToBatchNDOptions", {}),
    "b2s": ("BATCH_TO_SPACE_ND", [whole(2, 1), whole([1, 0], [0, 2])], [(1, 7, 4, 3)], "BatchToSpaceNDOptions", {}),
}  # fmt: skip
# begin, end, strides, masks (begin, end, ellipsis, new axis, shrink), shape
STRIDED = [
    ((0, 0, -1, 0), (2, 4, 0, 3), (1, 2, -2, 1), (0, 0, 0, 0, 0), (2, 2, 3, 3)),
    ((0, 9, -1, -2), (0, 0, 0, 9), (1, -1, -1, 1), (1, 7, 0, 0, 0), (2, 4, 6, 2)),
    ((0, 2, 0, 0), (0, 3, 0, 0), (1, 1, 1, 1), (13, 13, 0, 0, 2), (2, 6, 3)),
    ((0, -1), (0, 0), (1, 1), (1, 1, 0, 0, 2), (2, 6, 3)),
    ((-2, 1, 0, 2), (-1, 3, 0, 3), (1, 1, 1, 1), (0, 4, 0, 0, 9), (2, 6)),
    ((-9, -9, -9, -9), (9, 9, 9, 9), (1, 3, 4, 2), (0, 0, 0, 0, 0), (2, 2, 2, 2)),
]


def run_file(content, mode, x):
    """What LiteRT and the ops compute; every op takes stacked samples where it says so."""
    expected = run_litert(content, mode, {"x": x})
    graph = read_tflite(content)
    tensors = {"x": x} | {n: t.data for n, t in graph.tensors.items() if t.data is not None}
    for node in graph.nodes:
        here = site_of(graph, node)
        bound = OPS[node.op].bind(here, Rounding.TIES_AWAY)
        results = bound.finish(bound.gather(tuple(tensors[n] for n in node.inputs)), rule_of(here, mode))
        tensors |= dict(zip(node.outputs, results, strict=True))
    return expected, [tensors[name] for name in graph.outputs]


def rule_of(here, mode):
    rules = OPS[here.node.op].rules(here)
    if rules == ("exact",):
        return "exact"
    tags = OPS[here.node.op].tags(here)
    return next(e.rule for e in ENTRIES[PROFILES[mode]] if e.op == here.node.op and tags.issuperset(e.tags.split()))


def same_as_litert(content, mode, x):
    expected, got = run_file(content, mode, x)
    assert len(expected) == len(got) > 0
    return sum(assert_same(g, e) for g, e in zip(got, expected, strict=True))


def one_operator(code, constants, shapes, options, fields, dtype, shape=SHAPE):
    scale, zero = 0.25, 0 if dtype == "int16" else 7
    names = [f"c{i}" for i in range(len(constants))]
    outputs = [f"y{i}" for i in range(len(shapes))]
    tensors = [T("x", shape, dtype, scale, zero), *(T(n, data=c) for n, c in zip(names, constants, strict=True))]
    tensors += [T(n, s, dtype, scale, zero) for n, s in zip(outputs, shapes, strict=True)]
    return model(tensors, [O(code, ["x", *names], outputs, options, fields)], ["x"], outputs)


def codes(dtype, shape=SHAPE):
    info = np.iinfo(dtype)
    return np.random.default_rng(7).integers(info.min, info.max + 1, shape).astype(dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_moves_in_litert(case, dtype, mode):
    same_as_litert(one_operator(*FILES[case], dtype), mode, codes(dtype))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", STRIDED)
def test_strided_slices_in_litert(case, mode):
    begin, end, strides, masks, shape = case
    names = ("beginMask", "endMask", "ellipsisMask", "newAxisMask", "shrinkAxisMask")
    fields = dict(zip(names, masks, strict=True))
    constants = [whole(*begin), whole(*end), whole(*strides)]
    content = one_operator("STRIDED_SLICE", constants, [shape], "StridedSliceOptions", fields, "int8")
    same_as_litert(content, mode, codes("int8"))


@pytest.mark.parametrize("mode", MODES)
def test_squeeze_split_padv2_and_pack_in_litert(mode):
    shapes = {"x": (1, 4, 1, 6), "a": (1, 2, 1, 6), "b": (1, 2, 1, 6), "sa": (2, 6), "sb": (2, 6), "p": (2, 2, 6)}
    tensors = [T(name, shape, scale=0.5, zero_point=-3) for name, shape in (shapes | {"y": (2, 3, 8)}).items()]
    tensors += [T("axis", data=whole(1)[0]), T("pads", data=whole([0, 0], [1, 0], [0, 2]))]
    tensors.append(T("value", data=np.array([11], np.int8), scale=0.5, zero_point=-3))
    operators = [
        O("SPLIT", ["axis", "x"], ["a", "b"], "SplitOptions", {"numSplits": 2}),
        O("SQUEEZE", ["a"], ["sa"], "SqueezeOptions", {"squeezeDims": [0, 2]}),
        O("SQUEEZE", ["b"], ["sb"], "SqueezeOptions", {"squeezeDims": [0, 2]}),
        O("PACK", ["sa", "sb"], ["p"], "PackOptions", {"valuesCount": 2, "axis": 1}),
        O("PADV2", ["p", "pads", "value"], ["y"], "PadV2Options"),
    ]
    same_as_litert(model(tensors, operators, ["x"], ["y"]), mode, codes("int8", (1, 4, 1, 6)))


def concat_file(dtype, scales, zeros, shapes, axis):
    shape = [*shapes[0]]
    shape[axis] = sum(s[axis] for s in shapes)
    tensors = [T(f"x{i}", s, dtype, scales[i], zeros[i]) for i, s in enumerate(shapes)]
    tensors.append(T("y", tuple(shape), dtype, scales[-1], zeros[-1]))
    names = [f"x{i}" for i in range(len(shapes))]
    return model(tensors, [O("CONCATENATION", names, ["y"], "ConcatenationOptions", {"axis": axis})], names, ["y"])


def concat_pairs():
    """Scales and zero points of an input and of the result: ties, dyadic scales, odd zero points, extremes."""
    rng = np.random.default_rng(11)
    built = [(0.5, 1.0, 1, 7), (0.25, 1.0, 3, 5), (0.1, 0.037, 255, 0), (2.0**-7, 1.0, 9, 128), (1.0, 2.0**-7, 1, 254)]
    ties = [(float(np.float32(k) * np.float32(0.0625)), 0.125, int(rng.integers(256)), 7) for k in range(1, 12)]
    drawn = [(*(2 ** rng.uniform(-6, 0, 2)), *rng.integers(0, 256, 2)) for _ in range(30)]
    return built + ties + [(float(np.float32(a)), float(np.float32(b)), int(c), int(d)) for a, b, c, d in drawn]


@pytest.mark.parametrize("mode", MODES)
def test_concat_of_uint8_codes_of_other_scales_in_litert(mode):
    every = np.arange(256).astype(np.uint8)[None]
    compared = 0
    for low, high, zero, out in concat_pairs():
        scales, zeros, shapes = (low, high, high), (zero, out, out), [(1, 256)] * 2
        content = concat_file("uint8", scales, zeros, shapes, 1)
        expected = run_litert(content, mode, {"x0": every, "x1": every})[0]
        compared += assert_same(_concat(content, {"x0": every, "x1": every}, mode), expected)
    assert compared == 512 * len(concat_pairs())


def _concat(content, arrays, mode):
    graph = read_tflite(content)
    here = site_of(graph, graph.nodes[0])
    bound = OPS["concat"].bind(here, Rounding.TIES_AWAY)
    return bound.finish(bound.gather(tuple(arrays[n] for n in graph.nodes[0].inputs)), rule_of(here, mode))[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axis", [0, 1, 3, -1])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_concat_of_equal_scales_in_litert(dtype, axis, mode):
    shapes = [tuple(n if d == axis % 4 else s for d, s in enumerate((2, 3, 4, 5))) for n in (1, 3, 2)]
    zero = 0 if dtype == "int16" else 5
    content = concat_file(dtype, (0.5,) * 4, (zero,) * 4, shapes, axis)
    arrays = {f"x{i}": codes(dtype, s) for i, s in enumerate(shapes)}
    assert_same(_concat(content, arrays, mode), run_litert(content, mode, arrays)[0])


@pytest.mark.parametrize("mode", MODES)
def test_concat_of_int16_ignores_scales_in_litert(mode):
    content = concat_file("int16", (0.1, 0.037, 0.05), (0, 0, 0), [(1, 300)] * 2, 1)
    arrays = {"x0": codes("int16", (1, 300)), "x1": codes("int16", (1, 300))}
    assert_same(_concat(content, arrays, mode), run_litert(content, mode, arrays)[0])


@pytest.mark.parametrize("mode", MODES)
def test_litert_refuses_int8_of_other_scales(mode):
    content = concat_file("int8", (0.5, 0.5, 0.25), (0, 0, 0), [(1, 3)] * 2, 1)
    arrays = {name: codes("int8", (1, 3)) for name in ("x0", "x1")}
    with pytest.raises(RuntimeError, match="CONCATENATION"):
        run_litert(content, mode, arrays)
    with pytest.raises(StopIteration):
        _concat(content, arrays, mode)


def onnx_concat(dtype, scales, zeros, opset):
    """QLinearConcat, or the same as DequantizeLinear, Concat, QuantizeLinear."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    constants = [helper.make_tensor(f"s{i}", TensorProto.FLOAT, [], [s]) for i, s in enumerate(scales)]
    constants += [helper.make_tensor(f"z{i}", kind, [], [z]) for i, z in enumerate(zeros)]
    if opset == "com.microsoft":
        inputs = ["s2", "z2", "x0", "s0", "z0", "x1", "s1", "z1"]
        nodes = [helper.make_node("QLinearConcat", inputs, ["y"], domain=opset, axis=1)]
    else:
        nodes = [helper.make_node("DequantizeLinear", [f"x{i}", f"s{i}", f"z{i}"], [f"f{i}"]) for i in (0, 1)]
        nodes += [helper.make_node("Concat", ["f0", "f1"], ["f"], axis=1)]
        nodes += [helper.make_node("QuantizeLinear", ["f", "s2", "z2"], ["y"])]
    values = [helper.make_tensor_value_info(n, kind, [1, size]) for n, size in (("x0", 256), ("x1", 256), ("y", 512))]
    graph = helper.make_graph(nodes, "concat", values[:2], values[2:], constants)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def by_onnxruntime(proto, arrays):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, arrays)[0]


def by_evaluator(proto, arrays):
    return ReferenceEvaluator(proto).run(None, arrays)[0]


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(
    ("profile", "run", "opset"),
    [
        ("onnxruntime", by_onnxruntime, "com.microsoft"),
        ("onnxruntime", by_onnxruntime, ""),
        ("onnx-reference", by_evaluator, ""),
    ],
)
def test_concat_of_other_scales_in_onnx(profile, run, opset, dtype):
    low = np.iinfo(dtype).min
    every = np.arange(low, low + 256).astype(dtype)[None]
    (entry,) = ENTRIES[profile]
    for a, b, za, zb in concat_pairs()[::2]:
        scales, zeros = (a, b, b), (za + low, zb + low, zb + low)
        expected = run(onnx_concat(dtype, scales, zeros, opset), {"x0": every, "x1": every})
        parts = [
            Tensor(f"t{i}", (1, 512 if i == 2 else 256), dtype, Quantization(np.float32([s]), np.array([z])))
            for i, (s, z) in enumerate(zip(scales, zeros, strict=True))
        ]
        here = Site(Node("n", "concat", ("t0", "t1"), ("t2",), {"axis": 1}), tuple(parts[:2]), (parts[2],), "onnx")
        bound = OPS["concat"].bind(here, Rounding.TIES_EVEN)
        assert_same(bound.finish(bound.gather((every, every)), entry.rule)[0], expected)
