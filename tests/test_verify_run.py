"""refq run and refq show as a user runs them: text, JSON, files, exit codes, inputs that are not what they say."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from command import answer, refq, refused
from refq_cases import assert_same
from tflite_models import O, T, model

from refq.graphs import run
from refq.importers import read_tflite

WEIGHTS = np.array([[3, -1], [5, 2], [-7, 4]], np.int8)
CODES = np.array([[1, 2], [3, -2], [127, -128]], np.int8)


def small(names=("x", "y")):
    """One fully connected layer, scale 1/4."""
    x, y = names
    tensors = [
        T(x, (1, 2), scale=0.5, zero_point=-1),
        T("w", scale=0.5, data=WEIGHTS),
        T(y, (1, 3), scale=1.0, zero_point=7),
    ]
    dense = O("FULLY_CONNECTED", [x, "w", ""], [y], "FullyConnectedOptions", {}, 4)
    return model(tensors, [dense], [x], [y])


@pytest.fixture
def files(tmp_path):
    """A model, an input, a place for the output."""
    (tmp_path / "m.tflite").write_bytes(small())
    np.save(tmp_path / "x.npy", CODES)
    return [str(tmp_path / name) for name in ("m.tflite", "x.npy", "y.npz")]


def test_run_writes_what_the_library_computes(files):
    model_file, x, y = files
    done = refq("run", model_file, "--input", x, "--output", y, "--profile", "tflm")
    assert (done.returncode, done.stderr) == (0, "")
    assert "m.tflite under tflm" in done.stdout
    assert "widest accumulator: 12 bits, -1404..1401" in done.stdout
    assert "of 3 channels 0 can leave 16 bits, 0 can leave 32" in done.stdout
    with np.load(y) as found:
        assert found.files == ["y"]
        assert_same(found["y"], run(read_tflite(small()), CODES, "tflm")["y"])


def test_all_tensors_and_json(files):
    model_file, x, y = files
    record = answer("run", model_file, "--input", x, "--output", y, "--all-tensors")
    assert record["profile"] == "litert-reference"
    assert [t["name"] for t in record["tensors"]] == ["x", "y"]
    assert record["tensors"][0] == {"name": "x", "shape": [3, 2], "dtype": "int8", "first": CODES.ravel().tolist()}
    assert record["accumulators"][0]["bits"] == 12
    with np.load(y) as found:
        assert_same(found["x"], CODES)


def test_the_same_run_writes_the_same_bytes(files):
    model_file, x, y = files
    written = []
    for _ in range(2):
        assert refq("run", model_file, "--input", x, "--output", y).returncode == 0
        written.append(Path(y).read_bytes())
    assert written[0] == written[1]


def test_a_profile_file(files, tmp_path):
    model_file, x = files[:2]
    profile = tmp_path / "mine.toml"
    profile.write_text('name = "mine"\nbase = "tflm"\n[rules]\nfully_connected = "float32_ties_even"\n')
    record = answer("run", model_file, "--input", x, "--profile", str(profile))
    assert record["profile"] == "mine"
    assert record["rules"][0]["rule"] == "float32_ties_even/float32_product/after"


@pytest.mark.parametrize("name", ["../up", "/root", "a/b;c:0", "file", "a\\b", "é", "a//b"])
def test_names_of_tensors_are_no_ways_out(tmp_path, name):
    (tmp_path / "m.tflite").write_bytes(small(("x", name)))
    np.save(tmp_path / "x.npy", CODES)
    out = str(tmp_path / "y.npz")
    assert refq("run", str(tmp_path / "m.tflite"), "--input", str(tmp_path / "x.npy"), "--output", out).returncode == 0
    with zipfile.ZipFile(out) as archive:
        (member,) = archive.namelist()
    assert not member.startswith("/")
    assert ".." not in member.split("/")
    with np.load(out) as found:
        assert next(iter(found.values())).shape == (3, 3)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_inputs_from_archives(files, tmp_path):
    model_file = files[0]
    assert refq("run", model_file, "--input", npz(tmp_path / "a.npz", anything=CODES)).returncode == 0
    assert refq("run", model_file, "--input", npz(tmp_path / "b.npz", x=CODES, other=CODES[:1])).returncode == 0
    two = npz(tmp_path / "c.npz", a=CODES, b=CODES)
    assert "has no array x; the model reads it" in refused(4, "run", model_file, "--input", two)


def test_usage_errors(files, tmp_path):
    model_file, x = files[:2]
    np.save(tmp_path / "wide.npy", CODES.astype(np.int16))
    np.save(tmp_path / "shape.npy", CODES.T.copy())
    for words, arguments in [
        ("dtype int16; the model reads int8", ["--input", str(tmp_path / "wide.npy")]),
        ("has shape (2, 3); pass (N, 2)", ["--input", str(tmp_path / "shape.npy")]),
        ("profile='nope' is unknown; legal: litert-reference", ["--input", x, "--profile", "nope"]),
        ("is an input; name another file", ["--input", x, "--output", x]),
        ("cannot be written", ["--input", x, "--output", str(tmp_path / "no" / "y.npz")]),
    ]:
        assert words in refused(4, "run", model_file, *arguments)
    (tmp_path / "m.bin").write_bytes(small())
    assert "is neither .tflite nor .onnx" in refused(4, "run", str(tmp_path / "m.bin"), "--input", x)


def rejected_inputs():
    """Bytes that are no input, and a word of why."""
    yield "broken", b"nothing"
    yield "broken", b"PK\x03\x04nothing"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|i1", "fortran_order": False, "shape": (1 << 40, 2)})
    yield "declares shape", header.getvalue() + bytes(8)
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}]), allow_pickle=True)
    yield "dtype object", pickled.getvalue()


@pytest.mark.parametrize(("words", "content"), list(rejected_inputs()))
def test_inputs_that_are_rejected(files, tmp_path, words, content):
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    assert words in refused(7, "run", files[0], "--input", str(path))


def test_models_that_are_rejected(files, tmp_path):
    path = tmp_path / "bad.tflite"
    path.write_bytes(small()[:100])
    assert "bad.tflite" in refused(7, "run", str(path), "--input", files[1])
    assert "cannot be read" in refused(7, "run", str(tmp_path / "none.tflite"), "--input", files[1])
    assert "cannot be read" in refused(7, "run", files[0], "--input", str(tmp_path / "none.npy"))
    assert "cannot be read" in refused(
        7, "run", files[0], "--input", files[1], "--profile", str(tmp_path / "none.toml")
    )


def test_show_prints_the_graph_and_the_rules(files):
    text = refq("show", files[0]).stdout
    assert [line.split()[0] for line in text.splitlines()] == ["reads", "node", "FULLY_CONNECTED:0", "gives"]
    text = refq("show", files[0], "--profile", "tflm").stdout
    assert "rule under tflm" in text
    assert "gemmlowp_double/" in text


def test_show_as_json(files):
    record = answer("show", files[0], "--profile", "litert-builtin")
    assert record["nodes"][0]["op"] == "fully_connected"
    assert record["tensors"][0]["scale"] == [0.5]
    assert record["rules"][0]["rule"] == "double_up/mixed_product/after"
    assert json.dumps(record)
