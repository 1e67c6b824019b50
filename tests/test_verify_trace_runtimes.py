"""`refq trace` on the installed runtimes: they agree under their own profile, and their rules are told apart."""

from pathlib import Path
from typing import Any

import pytest
import trace_models
from command import answer, refq

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mlperf_tiny"
LITERT = {"litert": "litert-xnnpack", "litert-builtin": "litert-builtin", "litert-reference": "litert-reference"}
EVERY_ONNX = ("onnxruntime:off", "onnxruntime:basic", "onnxruntime:extended", "onnxruntime:all", "onnx-reference")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.tflite").write_bytes(trace_models.small_net())
    (tmp_path / "qop.onnx").write_bytes(trace_models.qoperator_net())
    (tmp_path / "qdq.onnx").write_bytes(trace_models.qdq_net())
    return tmp_path


def traced(model: Path, backend: str, *more: str) -> Any:
    return answer("trace", str(model), "--backend", backend, "--random", "40", "--seed", "2", *more)


def all_agree(side: Any) -> None:
    assert "failure" not in side
    assert side["differing"] == 0
    assert side["compared"] > 0
    assert {layer["alone"]["verdict"] for layer in side["layers"]} == {"agrees"}


@pytest.mark.parametrize("backend", LITERT)
def test_litert_agrees_under_its_own_profile(folder: Path, backend: str) -> None:
    [side] = traced(folder / "small.tflite", backend)["sides"]
    assert (side["profile"], side["compared"]) == (LITERT[backend], 40 * 637)
    all_agree(side)


@pytest.mark.parametrize("backend", LITERT)
@pytest.mark.parametrize("build", [trace_models.transposing_net, trace_models.two_inputs])
def test_samples_that_meet_and_several_inputs(tmp_path: Path, build: Any, backend: str) -> None:
    (tmp_path / "model.tflite").write_bytes(build())
    [side] = traced(tmp_path / "model.tflite", backend)["sides"]
    all_agree(side)
    assert side["compared"] >= 40 * 27


# no level rewrites a QLinearConv
@pytest.mark.parametrize(
    ("backend", "model"),
    [(name, "qdq.onnx") for name in EVERY_ONNX] + [(name, "qop.onnx") for name in (EVERY_ONNX[0], *EVERY_ONNX[3:])],
)
def test_onnx_agrees_under_its_own_profile(folder: Path, backend: str, model: str) -> None:
    [side] = traced(folder / model, backend)["sides"]
    all_agree(side)


def test_the_right_profile_is_found_from_the_wrong_one(folder: Path) -> None:
    [side] = traced(folder / "small.tflite", "litert-builtin", "--profile", "litert-reference")["sides"]
    assert (side["first"]["node"], side["first"]["tensor"]) == ("CONV_2D:0", "a")
    assert "double_up/double_product/after" in side["first"]["rules"]
    assert "gemmlowp_double/double_product/after" not in side["first"]["rules"]
    # a tie, or one unit of the sum from it: what two roundings of the same product tell apart
    assert side["first"]["arithmetic"]["tie_residue"]["exact"] in ("0", "-1/256", "1/256")
    assert (side["remedy"]["base"], side["remedy"]["verified"]) == ("litert-builtin", True)


def test_two_modes_against_each_other(folder: Path) -> None:
    found = traced(folder / "small.tflite", "litert-reference", "--against", "litert")
    for side in found["sides"]:
        all_agree(side)
    first = found["between"]["first"]
    assert (first["node"], first["left"] != first["right"]) == ("CONV_2D:0", True)
    assert "gemmlowp_double/double_product/after" in first["rules"]
    assert "float32_ties_even/float32_product/after" in first["right_rules"]
    assert not set(first["rules"]) & set(first["right_rules"])
    said = {group["value"]: group["rules"] for group in first["arithmetic"]["answers"]}
    assert "gemmlowp_double/double_product/after" in said[first["left"]]
    assert "float32_ties_even/float32_product/after" in said[first["right"]]


def test_evaluator_against_onnxruntime(folder: Path) -> None:
    done = refq("trace", str(folder / "qop.onnx"), "--backend", "onnx-reference", "--against", "onnxruntime",
                "--random", "20")  # fmt: skip
    assert done.returncode == 1
    assert "float64_ties_even/float32_product/before" in done.stdout
    assert "a tie" in done.stdout


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data/mlperf_tiny")
@pytest.mark.parametrize("backend", LITERT)
@pytest.mark.parametrize("model", ["resnet8_int8", "ad01_int8"])
def test_real_models_agree(model: str, backend: str) -> None:
    path = DATA / f"{model}.tflite"
    [side] = answer("trace", str(path), "--backend", backend, "--random", "12", "--seed", "9")["sides"]
    all_agree(side)
    assert side["hidden"] == []


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data/mlperf_tiny")
def test_the_autoencoder_between_reference_and_builtin() -> None:
    path = str(DATA / "ad01_int8.tflite")
    found = answer("trace", path, "--backend", "litert-reference", "--against", "litert-builtin", "--random", "100",
                   "--seed", "1")["between"]  # fmt: skip
    first = found["first"]
    assert first["node"] == "FULLY_CONNECTED:0"
    assert "float64_ties_away/double_product/after" in first["rules"]
    assert "double_up/mixed_product/after" in first["right_rules"]
    assert not set(first["rules"]) & set(first["right_rules"])
    assert isinstance(first["arithmetic"]["accumulator"], int)
