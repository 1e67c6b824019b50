"""Faults planted in a runtime's answer are located: the node, the element, the rule; and what fails is reported."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trace_models
from command import Done, refq, refused
from trace_boxes import FAULTY, SAMPLES

from refq.graphs import PROFILES, run
from refq.graphs.profile_files import changed, parse_profile
from refq.importers import read_onnx, read_tflite
from verify.trace_inputs import random_inputs

RULES = {"conv": "gemmlowp_double/double_product/after", "add": "tflite:gemmlowp_double"}


def box(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, suffix: str, profile: Any) -> str:
    """A model file, and beside it the golden tensors that the boxes answer."""
    model = folder / f"model.{suffix}"
    model.write_bytes(content)
    graph = read_tflite(content) if suffix == "tflite" else read_onnx(content)
    tensors = run(graph, random_inputs(graph, SAMPLES, 5), profile, keep=True)
    kept = {n: tensors[n] for node in graph.nodes for n in node.outputs}
    kept |= {f"input:{n}": tensors[n] for n in graph.inputs}
    np.savez(folder / "golden.npz", **kept)  # type: ignore[arg-type]
    monkeypatch.setenv("REFQ_TRACE_BOX", str(folder / "golden.npz"))
    return str(model)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        box(folder, patch, trace_models.small_net(), "tflite", "litert-reference")
    return folder


@pytest.fixture
def small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REFQ_TRACE_BOX", str(folder / "golden.npz"))
    return str(folder / "model.tflite")


def words(model: str, name: str, *more: str) -> tuple[str, ...]:
    return ("trace", model, "--backend", f"trace_boxes:{name}", "--random", str(SAMPLES), "--seed", "5", *more)


@cache
def asked(model: str, name: str, *more: str) -> Done:
    """Each question is asked once: a process a runtime."""
    return refq(*words(model, name, *more), "--json")


def traced(model: str, name: str, *more: str) -> Any:
    return json.loads(asked(model, name, *more).stdout)["sides"][0]


def test_an_honest_backend_agrees(small: str) -> None:
    side = traced(small, "honest")
    assert (side["differing"], side["first"], side["remedy"], side["hidden"]) == (0, None, None, [])
    assert side["strength"] == f"SAMPLED {SAMPLES * (3 * 180 + 2 * 45 + 7)}"
    assert [layer["alone"]["verdict"] for layer in side["layers"]] == ["agrees"] * 6
    assert asked(small, "honest").returncode == 0


def test_one_bit_is_located(small: str) -> None:
    side = traced(small, "one_bit")
    first = side["first"]
    assert (first["node"], first["tensor"], first["differing"], first["largest"]) == ("DEPTHWISE_CONV_2D:1", "b", 1, 1)
    assert (first["sample"], first["index"], first["rules"]) == (FAULTY, [0, 2, 3, 4], [])
    assert abs(first["got"] - first["expected"]) == 1
    assert first["expected"] in [group["value"] for group in first["arithmetic"]["answers"]]
    alone = {layer["node"]: layer["alone"]["verdict"] for layer in side["layers"]}
    # the faulty layer follows no rule, and the add that reads it shows the golden values: it disagrees with its input
    assert alone["DEPTHWISE_CONV_2D:1"] == "no rule"
    assert [v for n, v in alone.items() if n not in ("DEPTHWISE_CONV_2D:1", "ADD:2")] == ["agrees"] * 4
    assert side["remedy"] is None
    assert asked(small, "one_bit").returncode == 1


def test_a_backend_that_does_not_say_the_same_twice(small: str) -> None:
    side = traced(small, "drifts")
    assert (side["first"]["sample"], side["first"]["tensor"]) == (FAULTY, "b")
    said = f"NON-DETERMINISTIC: asked again for sample {FAULTY} alone, 1 of 180 elements of tensor 'b' are not as in"
    assert side["findings"] == [said + " the first answer"]
    assert traced(small, "one_bit")["findings"] == []


def test_noise_does_not_reach_the_report(small: str, capfd: pytest.CaptureFixture[str]) -> None:
    side = traced(small, "prints")
    assert (side["differing"], side["findings"]) == (0, [])
    assert "not json" not in capfd.readouterr().out


def test_the_arithmetic_of_the_element_is_complete(small: str) -> None:
    found = traced(small, "one_bit")["first"]["arithmetic"]
    names = [field["tensor"] for field in found["fields"]]
    assert names == ["a", "w2", "b2"]
    x, w, bias = (np.array(field["values"], np.int64) for field in found["fields"])
    assert found["accumulator"] == int(((x + 7) * w).sum() + bias.sum())
    assert found["value"]["decimal"].lstrip("~-")[0].isdigit()


def test_a_wrong_rule_in_one_layer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = changed(PROFILES["litert-reference"], {"CONV_2D:0": "exact_ties_away/exact_product/after"})
    model = box(tmp_path, monkeypatch, trace_models.small_net(), "tflite", wrong)
    side = traced(model, "honest")
    assert side["first"]["node"] == "CONV_2D:0"
    assert "exact_ties_away/exact_product/after" in side["first"]["rules"]
    assert RULES["conv"] not in side["first"]["rules"]
    assert [la["node"] for la in side["layers"] if la["alone"]["verdict"] != "agrees"] == ["CONV_2D:0"]
    remedy = side["remedy"]
    assert remedy["verified"]
    assert remedy["compared"] == side["compared"]
    assert set(remedy["rules"]) == {"conv"}
    file = tmp_path / "found.toml"
    file.write_text(remedy["toml"], encoding="utf-8")
    assert parse_profile(remedy["toml"]).entries[0].op == "conv"
    assert refq(*words(model, "honest", "--profile", str(file))).returncode == 0


def test_a_released_profile_is_named_as_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = box(tmp_path, monkeypatch, trace_models.small_net(), "tflite", "litert-xnnpack")
    side = traced(model, "honest", "--profile", "litert-builtin")
    assert (side["remedy"]["base"], side["remedy"]["rules"], side["remedy"]["nodes"]) == ("litert-xnnpack", {}, {})
    assert side["remedy"]["verified"]


def test_hidden_tensors_are_computed_on_the_way(small: str) -> None:
    side = traced(small, "hides")
    assert side["hidden"] == ["a", "d"]
    layers = {layer["node"]: layer["alone"] for layer in side["layers"]}
    assert layers["CONV_2D:0"]["verdict"] == "not shown"
    assert (layers["ADD:2"]["verdict"], layers["ADD:2"]["through"]) == ("agrees", ["CONV_2D:0"])
    assert layers["RESHAPE:4"]["through"] == ["AVERAGE_POOL_2D:3"]


def test_outputs_alone_are_judged_through_the_whole_model(small: str) -> None:
    side = traced(small, "outputs_only")
    assert (side["compared"], side["differing"], len(side["hidden"])) == (SAMPLES * 7, 0, 5)
    assert len(side["layers"][-1]["alone"]["through"]) == 5


def test_another_dtype_or_shape_is_a_difference(small: str) -> None:
    first = traced(small, "wrong_dtype")["first"]
    assert (first["tensor"], first["note"]) == ("c", "dtype int16, expected int8")
    side = traced(small, "other_shape")
    assert "tensor 'c' is not shown alike in all samples" in side["findings"]
    assert side["hidden"] == ["c"]


def test_what_is_no_tensor_of_the_model_is_said(small: str) -> None:
    assert traced(small, "shows_unknown")["findings"] == ["1 tensors are none of the model's, the first is 'extra'"]


def test_nothing_compared_is_no_success(small: str) -> None:
    done = refq(*words(small, "shows_nothing"))
    assert done.returncode == 5
    assert "nothing was compared" in done.stderr


def test_an_output_that_was_not_compared_is_no_success(small: str) -> None:
    done = asked(small, "inner_only")
    assert done.returncode == 5
    assert done.stderr.splitlines()[-1] == "refq: output y of the model is not shown; it was not compared"


def test_a_page_that_cannot_be_drawn(small: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Known before anything is computed."""
    base = ("trace", small, "--backend", "litert-reference", "--html")
    for path in ("", "a\0b", str(tmp_path)):
        assert "cannot be written" in refused(4, *base, path)
    for missing in ("jinja2", "matplotlib"):
        monkeypatch.setattr("verify.models_cli.find_spec", lambda name, missing=missing: None if name == missing else 1)
        assert f"--html needs {missing}; pip install 'refq[plots]'" in refused(4, *base, str(tmp_path / "page.html"))


@pytest.mark.parametrize("text", ["nan", "inf", "1e300", "0", "-1"])
def test_times_that_are_no_times(small: str, text: str) -> None:
    assert "is no time to wait" in refused(4, "trace", small, "--backend", "litert", "--timeout", text)


def test_profiles_that_are_none(small: str, tmp_path: Path) -> None:
    base = ("trace", small, "--backend", "litert-reference", "--profile")
    assert "profile='' is unknown" in refused(4, *base, "")
    for place, (code, text, words) in enumerate(
        [
            (7, "a=" + "[" * 5000, "brackets inside brackets"),
            (7, 'base = "tflm"\n[rules]\n"" = "single_up"', "'' is no op"),
            (7, 'base = "tflm"\nname = "\\u001b[31m"', "is not one line of text"),
            (7, 'base = "\udcff"', "cannot be read"),
            (4, 'base = "tflm"\n[nodes]\n"CONV_2D:7" = "single_up"', "'CONV_2D:7' is no node of the model; nearest"),
        ]
    ):
        file = tmp_path / f"{place}.toml"
        file.write_bytes(text.encode(errors="surrogateescape"))
        assert words in refused(code, *base, str(file))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (
            "dates",
            "raised TypeError: returned datetime64[s] for tensor 'c'; pass integers, bools or floats while running "
            "sample 0",
        ),
        ("crashes", f"crashed with signal SIGABRT while running sample {FAULTY}"),
        ("raises", f"raised RuntimeError: no kernel for this sample while running sample {FAULTY}"),
        ("hangs", f"no answer within 3 s while running sample {FAULTY}"),
        ("a_list", "raised TypeError: returned list; pass a dict of arrays by tensor name while running sample 0"),
    ],
)
def test_what_came_before_a_failure_is_kept(small: str, name: str, what: str) -> None:
    done = refq(*words(small, name, "--timeout", "3"))
    assert done.returncode == 6
    assert done.stderr.splitlines()[-1] == f"refq: trace_boxes:{name}: {what}"
    samples = 0 if name in ("a_list", "dates") else FAULTY
    assert f"{samples * 637} elements of {samples} samples" in done.stdout or not samples


@pytest.mark.parametrize(("name", "index"), [("one_float_bit", [0, 3, 5, 5]), ("nan", [0, 1, 2, 3])])
def test_floats_are_compared_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, index: list[int]
) -> None:
    model = box(tmp_path, monkeypatch, trace_models.qdq_net(), "onnx", "onnxruntime")
    side = traced(model, name, "--profile", "onnxruntime")
    assert (side["first"]["tensor"], side["first"]["differing"]) == ("yq_float", 1)
    assert (side["first"]["sample"], side["first"]["index"]) == (FAULTY, index)
    assert [la["alone"]["verdict"] for la in side["layers"]][-1] == "no rule"


def test_memory_is_bounded(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verify.trace_making.MOST_BYTES", 5000)
    done = refq("trace", small, "--backend", "litert-reference", "--random", "7")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "refq: 7 samples of 745 bytes of tensors are beyond 5000; pass at most 6\n"


def test_usage(small: str, tmp_path: Path) -> None:
    np.save(tmp_path / "int16.npy", np.zeros((2, 6, 6, 3), np.int16))
    np.save(tmp_path / "flat.npy", np.zeros((2, 108), np.int8))
    base = ("trace", small, "--backend", "litert-reference")
    assert "input x has dtype int16; the model reads int8" in refused(4, *base, "--input", str(tmp_path / "int16.npy"))
    assert "input x has shape (2, 108)" in refused(4, *base, "--input", str(tmp_path / "flat.npy"))
    assert "exclude each other" in refused(4, *base, "--input", "x.npy", "--random", "3")
    assert "'ort' is unknown" in refused(4, "trace", small, "--backend", "ort")
    assert "none.npy cannot be read" in refused(7, *base, "--input", str(tmp_path / "none.npy"))
    assert "folder does not exist" in refused(4, *base, "--html", str(tmp_path / "no" / "page.html"))
    assert "profile='gemmlowp' is unknown" in refused(4, *base, "--profile", "gemmlowp")
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"TFL3")
    refused(7, "trace", str(broken), "--backend", "litert-reference")
    assert "is neither .tflite nor .onnx" in refused(4, "trace", str(tmp_path / "m.pb"), "--backend", "litert")
