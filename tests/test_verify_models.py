"""Runtimes that run whole models: names, what they show, that showing more changes nothing, and how they may fail."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trace_models
from command import answer
from onnx_models import optimized
from refq_cases import assert_same
from tflite_models import run_litert

from refq.importers import read_onnx, read_tflite
from verify.failures import UsageError
from verify.models import MODEL_BACKENDS, find_model_backend
from verify.models.asking import Answer, ask
from verify.trace_inputs import random_inputs

SAMPLES = 5


def quiet(*_: Any) -> None:
    """No progress."""


def asked(name: str, content: bytes, suffix: str, samples: int = SAMPLES, timeout: float = 60.0) -> Answer:
    backend = find_model_backend(name, suffix)
    graph = read_tflite(content) if suffix == "tflite" else read_onnx(content, fusion=backend.fusion)
    return ask(backend, content, graph, random_inputs(graph, samples, 3), samples, timeout, quiet)


@pytest.mark.parametrize("name", ["litert", "litert-builtin", "litert-reference"])
def test_litert_shows_every_tensor(name: str) -> None:
    content = trace_models.small_net()
    answer = asked(name, content, "tflite")
    assert (answer.samples, answer.failure, answer.findings) == (SAMPLES, "", ())
    assert {n: a.shape for n, a in answer.tensors.items()} == {
        "a": (5, 6, 6, 5), "b": (5, 6, 6, 5), "c": (5, 6, 6, 5), "d": (5, 3, 3, 5), "e": (5, 45), "y": (5, 7),
    }  # fmt: skip
    inputs = random_inputs(read_tflite(content), SAMPLES, 3)["x"]
    for place in range(SAMPLES):
        [alone] = run_litert(content, name, {"x": inputs[place : place + 1]})
        assert_same(answer.tensors["y"][place : place + 1], alone)


def test_the_default_delegate_is_asked_twice() -> None:
    """Its outputs are those of the model itself, not of the copy that shows more."""
    from verify.models.litert import run_default

    feed = random_inputs(read_tflite(trace_models.small_net()), 1, 3)
    [shown] = run_default(trace_models.small_net(), [feed])
    assert shown.outputs is not None
    assert list(shown.outputs) == [13]
    assert_same(shown.tensors[13], shown.outputs[13])


def test_a_copy_that_changes_the_result_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    from verify.models import Shown, asking

    graph = read_tflite(trace_models.small_net())
    y, other = np.int8([[1, 2, 3, 4, 5, 6, 7]]), np.int8([[1, 2, 3, 4, 5, 6, 8]])
    found = [Shown({9: y, 13: y}, {13: y}), Shown({9: y, 13: other}, {13: y})]
    answer = asking._answer(MODEL_BACKENDS["litert"], "", graph, found, "")
    assert answer.findings == ("naming inner tensors as outputs changed the result of sample 1; only outputs shown",)
    assert list(answer.tensors) == ["y"]
    assert_same(answer.tensors["y"], np.concatenate([y, y]))


@pytest.mark.parametrize("level", ["off", "all"])
def test_onnxruntime_shows_the_codes_between_ops(level: str) -> None:
    answer = asked(f"onnxruntime:{level}", trace_models.qoperator_net(), "onnx")
    assert (answer.failure, answer.findings, set(answer.tensors)) == ("", (), {"a", "y"})


@pytest.mark.parametrize(("level", "floats"), [("off", True), ("basic", True), ("extended", False), ("all", False)])
def test_onnxruntime_shows_floats_only_where_they_exist(level: str, floats: bool) -> None:
    answer = asked(f"onnxruntime:{level}", trace_models.qdq_net(), "onnx")
    assert {"xq", "a", "yq", "yq_float"} <= set(answer.tensors)
    assert ("real" in answer.tensors) == floats


def test_outputs_added_for_showing_keep_the_rewrites(tmp_path: Path) -> None:
    """A tensor inside a fused group would undo the fusion: such a copy is seen to have other ops."""
    from verify.models.onnx_copy import showing

    content = trace_models.qdq_net()
    given, spoiled = (optimized(c, "all", tmp_path) for c in (content, showing(content, ["sum"])))
    assert "QLinearAdd" in given
    assert "QLinearAdd" not in spoiled


def test_the_reference_evaluator_shows_every_tensor() -> None:
    answer = asked("onnx-reference", trace_models.qdq_net(), "onnx")
    assert list(answer.tensors) == ["xq", "xq_float", "real", "relu", "a", "a_float", "sum", "yq", "yq_float"]


def test_the_list_names_them() -> None:
    found = answer("list")
    assert [b["name"] for b in found["model_backends"]] == list(MODEL_BACKENDS)
    assert {b["profile"] for b in found["model_backends"]} <= {p["name"] for p in found["profiles"]}
    assert {"backends", "ops", "rules", "quantize_rules"} <= set(found)


def test_names() -> None:
    for name in ("../x:y", "a:b:c", ":x", "x:", "[bold]:x"):
        with pytest.raises(UsageError, match="is unknown; legal"):
            find_model_backend(name, "onnx")
    assert find_model_backend("onnxruntime", "onnx") is MODEL_BACKENDS["onnxruntime:all"]
    with pytest.raises(UsageError, match=r"reads \.tflite files; for \.onnx: onnxruntime:off, onnxruntime:basic"):
        find_model_backend("litert", "onnx")
    with pytest.raises(UsageError, match=r"backend='onnxruntime:fast' is unknown; legal: litert, litert-builtin"):
        find_model_backend("onnxruntime:fast", "onnx")
    with pytest.raises(UsageError, match="backend='ort' is unknown"):
        find_model_backend("ort", "onnx")


def test_a_module_that_is_missing() -> None:
    with pytest.raises(UsageError, match="module no_such_module cannot be imported"):
        asked("no_such_module:run", trace_models.small_net(), "tflite")
