"""Sites that ops of one code, softmax, argmax and the quantizing ops refuse, in one line with node and way out."""

import numpy as np
import pytest
from table_cases import End, OneOp, golden, site, under

import refq.graphs as graphs
from refq.graphs import Graph, Node, Tensor

INT8, FLOAT = End("int8", 0.1, 3), End("float32")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (OneOp("tanh", End("int32", 0.1, 0), INT8, (4,)), "tanh it: x is int32; pass 8 or 16 bits"),
        (OneOp("relu", FLOAT, INT8, (4,)), "relu it: x is float32; pass integer codes"),
        (OneOp("relu", End("int8", float("nan")), INT8, (4,)), "relu it: Grids: scale=nan is not a finite number > 0"),
        (OneOp("relu", End("int8", 0.1, 200), INT8, (4,)), "relu it: Grids: zero_point=200 is outside int8 -128..127"),
        (OneOp("leaky_relu", INT8, INT8, (4,), {"alpha": float("inf")}), "leaky_relu it: alpha=inf is not a finite"),
        (OneOp("leaky_relu", INT8, INT8, (4,), {"alpha": "0.1"}), "leaky_relu it: alpha='0.1' is not a finite"),
        (OneOp("softmax", INT8, INT8, (4,), {"beta": 0.0}), "softmax it: beta=0.0 is not a finite number > 0"),
        (OneOp("softmax", INT8, INT8, (4,), {"beta": 1.0, "axis": 1}), "softmax it: axis=1 is outside -1..0"),
        (OneOp("softmax", INT8, INT8, (2, 0), {"beta": 1.0}), "softmax it: axis=1 has no elements"),
        (OneOp("quantize", INT8, INT8, (4,)), "quantize it: x is int8; pass float32"),
        (OneOp("dequantize", INT8, INT8, (4,)), "dequantize it: y is not float32"),
        (OneOp("dequantize", End("int8", [0.1, 0.2], 0, 0), FLOAT, (3,)), "x has 2 scales for shape"),
        (OneOp("dequantize", End("int8", [0.1, 0.2], 0, 4), FLOAT, (2,)), "x has 2 scales along axis=4"),
        (OneOp("dequantize", End("int8", [0.1, -0.2], 0, 0), FLOAT, (2,)), "x has a scale that is not finite and > 0"),
        (OneOp("quantize", FLOAT, End("int8", 0.1, 300), (2,)), "y has a zero point outside int8"),
    ],
)
def test_refused_when_bound(case: OneOp, words: str) -> None:
    with pytest.raises(ValueError, match=words.split(";")[0].replace("(", r"\(")) as error:
        graphs.OPS[case.op].bind(site(case), graphs.PROFILES["litert-builtin"].bounds)
    assert "\n" not in str(error.value)


def test_nan_has_no_code() -> None:
    case = OneOp("quantize", FLOAT, INT8, (1, 2))
    with pytest.raises(ValueError, match="NaN"):
        golden(case, np.float32([[0, np.nan]]), "litert-builtin")


def test_argmax_needs_an_integer_output_and_elements() -> None:
    for shape, dtype, words in (((2, 3), "int8", "pass int32 or int64"), ((2, 0), "int32", "has no elements")):
        node = Node("it", "argmax", ("x",), ("y",), {"axis": 1})
        tensors = {"x": Tensor("x", shape, "int8"), "y": Tensor("y", (2,), dtype)}
        graph = Graph((node,), tensors, ("x",), ("y",), "tflite")
        with pytest.raises(ValueError, match=words):
            graphs.prepare(graph, "litert-builtin")


def test_shapes() -> None:
    x = Tensor("x", (2, 3, 4), "int8")
    argmax = graphs.OPS["argmax"].shapes
    assert argmax("it", {"axis": 1, "keep_dims": False}, (x,)) == ((2, 4),)
    assert argmax("it", {"axis": -1, "keep_dims": True}, (x,)) == ((2, 3, 1),)
    assert graphs.OPS["softmax"].shapes("it", {}, (x,)) == ((2, 3, 4),)
    with pytest.raises(ValueError, match=r"argmax it: axis=3 is outside -3\.\.2"):
        argmax("it", {"axis": 3}, (x,))
    with pytest.raises(ValueError, match="relu it: inputs=2; pass one tensor"):
        graphs.OPS["relu"].shapes("it", {}, (x, x))


def test_every_rule_of_a_site_runs_and_every_profile_names_one() -> None:
    """All rules finish on an empty and a full tensor; profiles that have the op name a rule that the site knows."""
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    for op in (
        "relu",
        "relu6",
        "relu_n1_to_1",
        "leaky_relu",
        "hard_swish",
        "logistic",
        "tanh",
        "softmax",
        "requantize",
    ):
        y = End("int8", 1 / 256, -128)
        fields = {"alpha": 0.2} if op == "leaky_relu" else {"beta": 1.0} if op == "softmax" else {}
        case = OneOp(op, INT8, y, x.shape, fields)
        for rule in graphs.OPS[op].rules(site(case)):
            assert under(case, x, rule).shape == x.shape
        for name, profile in graphs.PROFILES.items():
            if any(entry.op == op for entry in profile.entries):
                assert golden(case, x, name).dtype == np.int8


def test_elements_tell_the_exact_value() -> None:
    """The real value in output steps: rational, or its digits."""
    x = np.array([[-20, 13]], np.int8)
    bounds = graphs.PROFILES["litert-builtin"].bounds
    texts = {}
    for op, fields in (("relu", {}), ("leaky_relu", {"alpha": 0.5}), ("logistic", {}), ("softmax", {"beta": 1.0})):
        case = OneOp(op, End("int8", 0.5, 3), End("int8", 0.25, -8), x.shape, fields)
        found = graphs.OPS[op].bind(site(case), bounds).element((x,), 0, (0, 1))
        texts[op] = found.approximate or found.value
    assert texts["relu"] == 12
    assert texts["leaky_relu"] == 12
    assert str(texts["logistic"]).startswith("-4.0267714")
    assert str(texts["softmax"]).startswith("-4.0000002")
