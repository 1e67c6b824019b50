"""Graphs run under profiles: batches, blocks, inputs that are refused, rules chosen, profiles of one's own."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from refq_cases import assert_same
from small_graphs import WEIGHTS, dense, graph, tensor, turned

from refq import INT8, find_rule
from refq.graphs import (
    OPS,
    PROFILES,
    Node,
    Profile,
    changed,
    evaluate,
    layer_ranges,
    parse_profile,
    prepare,
    profile_text,
    read_profile,
    run,
    running,
)
from refq.graphs.choosing import find_profile
from refq.spec.requantize import requantize as definition

CODES = np.array([[a, b] for a in range(-128, 128, 5) for b in (-128, -2, -1, 0, 1, 127)], np.int8)


def by_definition(rule, x):
    """The layer of `dense`, one output at a time."""
    sums = (x.astype(int) + 1) @ WEIGHTS.T.astype(int)
    codes = [definition(int(s), find_rule(rule), Fraction(1, 4), 7, INT8) for s in sums.ravel()]
    return np.array(codes, np.int8).reshape(sums.shape)


@pytest.mark.parametrize(
    ("profile", "rule"),
    [("tflm", "gemmlowp_double"), ("litert-builtin", "double_up"), ("litert-reference", "float64_ties_away"),
     ("onnxruntime", "float32_ties_even"), ("cmsis-nn-single", "single_up")],
)  # fmt: skip
def test_a_layer_is_its_definition(profile, rule):
    assert_same(run(dense(), CODES, profile)["y"], by_definition(rule, CODES))


def test_rules_differ_on_these_inputs():
    found = [
        run(dense(), CODES, p)["y"].tobytes() for p in ("tflm", "litert-builtin", "litert-reference", "onnxruntime")
    ]
    assert len(set(found)) == 4


def test_samples_in_blocks_are_samples_alone(monkeypatch):
    whole = run(dense(), CODES, "tflm")["y"]
    monkeypatch.setattr(running, "BLOCK_VALUES", 7)
    assert running.samples_together(prepare(dense(), "tflm")) == 2
    assert_same(run(dense(), CODES, "tflm")["y"], whole)
    assert_same(np.concatenate([run(dense(), row[None], "tflm")["y"] for row in CODES]), whole)


def test_where_samples_would_meet_they_are_run_one_by_one():
    prepared = prepare(turned(), "tflm")
    assert not prepared.batched
    found = run(prepared, CODES[:6], keep=True)
    y = run(dense(2), CODES[:6], "tflm")["y"]
    assert_same(found["y"], y)
    assert_same(found["z"], np.concatenate([y[i : i + 2].T for i in (0, 2, 4)]))


def test_keep_gives_every_tensor_and_the_inputs():
    assert sorted(run(turned(), CODES[:2], "tflm", keep=True)) == ["x", "y", "z"]
    assert sorted(run(turned(), CODES[:2], "tflm")) == ["z"]


def test_an_output_may_be_an_input_or_a_tensor_that_others_read():
    made = turned()
    both = graph(made.tensors.values(), made.nodes, ["x"], ["y", "x", "z"])
    found = run(both, CODES[:2], "tflm")
    assert list(found) == ["y", "x", "z"]
    assert_same(found["x"], CODES[:2])


@pytest.mark.parametrize("kind", ["read-only", "strided", "fortran"])
def test_inputs_in_any_memory_order(kind):
    x = {"strided": np.repeat(CODES, 2, axis=1)[:, ::2], "fortran": np.asfortranarray(CODES)}.get(kind, CODES.copy())
    if kind == "read-only":
        x.flags.writeable = False
    assert_same(run(dense(), x, "tflm")["y"], run(dense(), CODES, "tflm")["y"])


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        (CODES.astype(np.int16), TypeError, "input x has dtype int16; the model reads int8"),
        (CODES.astype(float), TypeError, "dtype float64"),
        (CODES[:, :1], ValueError, r"shape \(312, 1\); pass \(N, 2\), N >= 1"),
        (CODES[0], ValueError, r"shape \(2,\); pass \(N, 2\)"),
        (CODES[:0], ValueError, "N >= 1"),
        ({"y": CODES}, ValueError, "input x is missing; the model reads x"),
        ({"x": CODES, "q": CODES}, ValueError, "input q is no input"),
        ("x", TypeError, "dtype <U1"),
    ],
)
def test_inputs_that_are_refused(inputs, error, words):
    with pytest.raises(error, match=words):
        run(dense(), inputs, "tflm")


def test_the_first_dimension_may_be_declared_larger():
    with pytest.raises(ValueError, match=r"pass \(N \* 2, 2\)"):
        run(dense(2), CODES[:3], "tflm")
    assert_same(run(dense(2), CODES[:4], "tflm")["y"], run(dense(), CODES[:4], "tflm")["y"])


def test_inputs_must_hold_as_many_samples():
    tensors = [tensor(n, (1, 2), scale=0.5) for n in ("a", "b", "c")]
    both = graph(tensors, [Node("sum", "add", ("a", "b"), ("c",), {"activation": "none"})], ["a", "b"], ["c"])
    with pytest.raises(ValueError, match="different numbers of samples"):
        run(both, {"a": CODES[:2], "b": CODES[:3]}, "tflm")
    with pytest.raises(ValueError, match="reads 2 inputs; pass a dict of a, b"):
        run(both, CODES, "tflm")


@pytest.mark.parametrize("dtype", ["int4", "uint4"])
def test_codes_of_four_bits_stand_in_bytes_and_are_checked(dtype):
    low, high = (-8, 7) if dtype == "int4" else (0, 15)
    tensors = [tensor("x", (1, 2), dtype, 1.0), tensor("y", (2, 1), dtype, 1.0)]
    made = graph(tensors, [Node("r", "reshape", ("x",), ("y",))], ["x"], ["y"])
    x = np.array([[low, high]], "int8" if dtype == "int4" else "uint8")
    assert_same(run(made, x, "tflm")["y"], x.reshape(2, 1))
    with pytest.raises(ValueError, match=rf"input x\[0, 1\]={high + 1} is outside {dtype} {low}..{high}"):
        run(made, x + np.array([[0, 1]], x.dtype), "tflm")


def test_a_profile_or_a_graph_that_is_none():
    with pytest.raises(TypeError, match="profile=None"):
        run(dense(), CODES)
    with pytest.raises(ValueError, match="profile='tf' is unknown; legal: litert-reference"):
        run(dense(), CODES, "tf")
    with pytest.raises(TypeError, match="profile=3 is not a Profile"):
        find_profile(3)
    with pytest.raises(TypeError, match="graph=str is not a Graph"):
        prepare("model.tflite", "tflm")


def test_a_node_without_rule_names_its_kind():
    with pytest.raises(ValueError, match=r"profile bare has no rule for fully_connected .*\(node dense\)"):
        run(dense(), CODES, Profile("bare", "", ()))


def test_rules_by_node_come_first_and_may_be_short():
    mine = changed(PROFILES["tflm"], {"dense": "double_up"})
    assert prepare(dense(), mine).steps[0].rule == "double_up/double_product/after"
    assert_same(run(dense(), CODES, mine)["y"], by_definition("double_up", CODES))


def test_a_rule_that_is_none_names_the_nearest():
    with pytest.raises(
        ValueError, match=r"'double_upp' is none of the \d+ rules of fully_connected .*nearest: double_up"
    ):
        prepare(dense(), changed(PROFILES["tflm"], {"dense": "double_upp"}))


def test_profiles_are_read_as_they_are_written(tmp_path):
    path = tmp_path / "mine.toml"
    node = 'a "b"\\c\n\x7f'
    path.write_text(profile_text("mine", "tflm", {"conv per_channel": "single_up", "conv": "double_up"}, {node: "x"}))
    found = read_profile(str(path))
    assert found.name == "mine"
    assert [(e.tags, e.rule) for e in found.entries[:2]] == [("per_channel", "single_up"), ("", "double_up")]
    assert found.nodes[node] == "x"
    assert found.entries[2:] == PROFILES["tflm"].entries
    assert read_profile("tflm") is PROFILES["tflm"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base = 3", "base=3 is no string"),
        ("base = 'x'", "profile='x' is unknown"),
        ("", "profile='' is unknown"),
        ("base = 'tflm'\nrule = 1", "'rule' is unknown; legal: name, base"),
        ("base = 'tflm'\n[rules]\nconvolve = 'x'", "'convolve' is no op; legal: conv"),
        ("base = 'tflm'\n[rules]\nconv = 3", "no table of strings"),
        ("base = 'tflm'\nrules = 3", "no table of strings"),
        ("base = 'tflm'\nbounds = 'floor'", "bounds='floor' is unknown; legal: ties_away, ties_even, ties_up"),
        ("base = ", "no TOML"),
    ],
)
def test_profiles_that_are_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse_profile(text)


def test_a_profile_file_that_is_too_large(tmp_path):
    path = tmp_path / "big.toml"
    path.write_text("#" * (1 << 20) + "\n")
    with pytest.raises(ValueError, match="at most 1048576 are read"):
        read_profile(str(path))


def test_ranges_of_sums_are_reached():
    (layer,) = layer_ranges(prepare(dense(), "tflm"))
    every = np.array([[a, b] for a in range(-128, 128) for b in (-128, 127)], np.int64) + 1
    every = np.concatenate([every, every[:, ::-1]])
    sums = every @ WEIGHTS.T.astype(np.int64)
    assert_same(layer.low, sums.min(axis=0))
    assert_same(layer.high, sums.max(axis=0))
    assert (layer.bits, layer.over16, layer.over32) == (12, 0, 0)


def test_the_table_names_every_node():
    text = str(turned())
    assert [line.split()[0] for line in text.splitlines()] == ["reads", "node", "dense", "turn", "gives"]
    assert "perm=(1, 0)" in text


def test_errors_of_a_node_name_it():
    made = dense()
    wide = replace(made.tensors["w"], quantization=replace(made.tensors["w"].quantization, scale=np.float32([2.0**40])))
    far = graph([made.tensors["x"], wide, made.tensors["y"]], made.nodes, ["x"], ["y"])
    with pytest.raises(ValueError, match="fully_connected dense: "):
        run(far, CODES, "tflm")


def test_every_profile_names_only_what_exists():
    for profile in PROFILES.values():
        assert profile.entries, profile.name
        for entry in profile.entries:
            assert entry.op in OPS
            assert entry.evidence in ("run", "source", "text")


def test_a_step_under_another_rule():
    step = prepare(dense(), "tflm").steps[0]
    assert_same(evaluate(step, {"x": CODES}, "double_up/double_product/after")[0], by_definition("double_up", CODES))


def test_a_graph_by_hand_is_checked_as_files_are():
    made = dense()
    twice = graph(made.tensors.values(), [*made.nodes, replace(made.nodes[0], name="again")], ["x"], ["y"])
    with pytest.raises(ValueError, match="y"):
        prepare(twice, "tflm")
    unknown = graph(made.tensors.values(), [replace(made.nodes[0], op="dense")], ["x"], ["y"])
    with pytest.raises(ValueError, match="dense"):
        prepare(unknown, "tflm")
    wide = graph([*list(made.tensors.values())[:2], tensor("y", (1, 4), scale=1.0)], made.nodes, ["x"], ["y"])
    with pytest.raises(ValueError, match="dense"):
        prepare(wide, "tflm")


def test_floats_beyond_float32_are_infinite():
    tensors = [tensor("x", (1, 2), scale=3e38, zero=-1), tensor("y", (1, 2), "float32")]
    made = graph(tensors, [Node("d", "dequantize", ("x",), ("y",))], ["x"], ["y"])
    assert_same(run(made, np.array([[127, -128]], np.int8), "tflm")["y"], np.array([[np.inf, -np.inf]], np.float32))
