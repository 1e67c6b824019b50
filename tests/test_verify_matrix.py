"""`refq matrix`: classes of runtimes, a witness for each two, and failures that leave the rest standing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trace_models
from command import answer, refq, refused

from refq.importers import read_tflite
from verify.trace_inputs import random_inputs


@pytest.fixture
def small(tmp_path: Path) -> str:
    (tmp_path / "small.tflite").write_bytes(trace_models.small_net())
    return str(tmp_path / "small.tflite")


def test_three_modes_are_three_classes(small: str) -> None:
    found = answer("matrix", small, "--backends", "litert, litert-builtin,litert-reference", "--random", "60")
    assert found["tensors"]["classes"] == [["litert"], ["litert-builtin"], ["litert-reference"]]
    pairs = [(w["left"], w["right"]) for w in found["tensors"]["witnesses"]]
    assert pairs == [
        ("litert", "litert-builtin"), ("litert", "litert-reference"), ("litert-builtin", "litert-reference"),
    ]  # fmt: skip
    for witness in found["tensors"]["witnesses"]:
        assert (witness["node"], witness["tensor"]) == ("CONV_2D:0", "a")
        assert witness["left_value"] != witness["right_value"]


def test_a_witness_can_be_asked_again(small: str) -> None:
    from verify.models import find_model_backend
    from verify.models.asking import ask

    found = answer("matrix", small, "--backends", "litert,litert-reference", "--random", "30", "--seed", "8")
    [witness] = found["tensors"]["witnesses"]
    content = Path(small).read_bytes()
    graph = read_tflite(content)
    x = random_inputs(graph, 30, 8)["x"][witness["sample"] : witness["sample"] + 1]
    for name, value in (("litert", witness["left_value"]), ("litert-reference", witness["right_value"])):
        again = ask(find_model_backend(name, "tflite"), content, graph, {"x": x}, 1, 60.0, lambda *_: None)
        assert int(again.tensors["a"][tuple(witness["index"])]) == value


def test_levels_that_agree_are_one_class(tmp_path: Path) -> None:
    model = tmp_path / "qop.onnx"
    model.write_bytes(trace_models.qoperator_net())
    found = answer("matrix", str(model), "--backends", "onnxruntime:off,onnxruntime,onnx-reference", "--random", "20")
    classes: Any = [["onnxruntime:off", "onnxruntime:all"], ["onnx-reference"]]
    assert (found["outputs"]["classes"], found["tensors"]["classes"]) == (classes, classes)
    assert [w["tensor"] for w in found["outputs"]["witnesses"]] == ["y"]
    assert [w["tensor"] for w in found["tensors"]["witnesses"]] == ["a"]


def test_a_failing_backend_leaves_the_rest(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "golden.npz", y=np.zeros((6, 7), np.int8))
    monkeypatch.setenv("REFQ_TRACE_BOX", str(tmp_path / "golden.npz"))
    backends = "litert-builtin,trace_boxes:raises,trace_boxes:shows_nothing,no_such_module:run,litert-reference"
    done = refq("matrix", small, "--backends", backends, "--random", "6", "--timeout", "30")
    assert done.returncode == 6
    lines = done.stderr.splitlines()[-3:]
    assert lines[0] == "refq: trace_boxes:raises: raised RuntimeError: no kernel for this sample while running sample 4"
    # who shows no output would agree with everybody
    assert lines[1] == "refq: trace_boxes:shows_nothing: does not show output y of the model"
    assert "module no_such_module cannot be imported" in lines[2]
    assert "2 classes" in done.stdout or "one class" in done.stdout
    assert "shows_nothing, " not in done.stdout
    assert "by final outputs" in done.stdout
    assert "litert-reference" in done.stdout


def test_same_values_are_no_difference(small: str) -> None:
    done = refq("matrix", small, "--backends", "litert-builtin,litert-reference", "--random", "1")
    assert done.returncode == 0
    assert "one class" in done.stdout


def test_usage(small: str) -> None:
    assert "is not two backends or more" in refused(4, "matrix", small, "--backends", "litert,litert")
    assert "reads .onnx files" in refused(4, "matrix", small, "--backends", "litert,onnxruntime")
