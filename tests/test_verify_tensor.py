"""analyze-tensor as a user runs it: text, JSON, picture, exit codes, and files that are not what they say."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import resnet8
from command import answer, refq, refused

from refq.quantizers.error_table import METHODS, error_table
from verify.cli import main
from verify.report import console
from verify.tensor import tensor_record
from verify.tensor_cli import VERBS
from verify.tensor_report import print_tensor

for verb in VERBS:
    main.add_command(verb)

WEIGHTS = np.array([[-3, -1, -1, 0], [1, 2, 4, 6]], np.float32)


@pytest.fixture
def weights(tmp_path):
    np.save(tmp_path / "w.npy", WEIGHTS)
    return str(tmp_path / "w.npy")


@pytest.fixture
def layers(tmp_path):
    np.savez(tmp_path / "net.npz", first=WEIGHTS, second=-WEIGHTS.T)
    return str(tmp_path / "net.npz")


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def test_help_imports_nothing_heavy():
    code = "import sys, verify.tensor_cli; print([m for m in ('numpy', 'rich', 'refq') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "--picture" in refq("analyze-tensor", "--help").stdout


def test_the_record_is_that_of_the_table(weights):
    record = answer("analyze-tensor", weights, "--bits", "2")
    assert (record["shape"], record["dtype"], record["name"]) == ([2, 4], "float32", None)
    assert (record["minimum"], record["maximum"], record["zeros"]) == (-3.0, 6.0, 1)
    rows = error_table(WEIGHTS, [2])
    assert [row["method"] for row in record["rows"]] == [row.method for row in rows]
    for got, row in zip(record["rows"], rows, strict=True):
        loss = row.loss
        assert got["mean_squared_error"] == loss.mean_squared_error
        assert (got["ratio"], got["optimum"], got["place"]) == (row.ratio, row.optimum, list(loss.place))
        assert (got["used_levels"], got["entropy"], got["refused"]) == (loss.used_levels, loss.entropy, None)
        assert got["step"] == row.quantizer.step[0]


def test_the_text_has_the_numbers_of_the_json(weights):
    record, done = answer("analyze-tensor", weights, "--bits", "2,1"), refq("analyze-tensor", weights, "--bits", "2,1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].endswith("w.npy, 2x4 float32, -3..6, 1 zeros")
    for line, row in zip(lines[2:], record["rows"], strict=False):
        assert line.split()[0] == str(row["bits"])
        assert row["method"] in line
        assert f"{row['mean_squared_error']:.6g}" in line.split()
        assert line.split()[-1] == f"{row['entropy']:.3f}"
    assert [row["bits"] for row in record["rows"]] == [2] * 12 + [1] * 7


def test_one_array_of_several(layers, tmp_path):
    assert "holds 2 arrays; pass --name, one of first, second" in refused(4, "analyze-tensor", layers)
    assert "name='third' is not in" in refused(4, "analyze-tensor", layers, "--name", "third")
    record = answer("analyze-tensor", layers, "--name", "second", "--bits", "1")
    assert (record["name"], record["shape"], record["minimum"]) == ("second", [4, 2], -6.0)
    np.savez_compressed(tmp_path / "one.npz", only=WEIGHTS.astype(">f4"))
    record = answer("analyze-tensor", str(tmp_path / "one.npz"), "--bits", "1")
    assert (record["name"], record["dtype"]) == ("only", "float32")


def test_a_method_that_refuses_is_a_line(capsys):
    rows = error_table(WEIGHTS, [6], [method for method in METHODS if method.name == "sawb even"])
    print_tensor(console(), tensor_record("w.npy", None, WEIGHTS, rows))
    assert "6 bits, sawb even: fit_sawb: bits=6, grid='even' is not in coefficients='ibm'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bits", "0"), "bits='0' is not a list of widths 1..8; write --bits 2,3,4"),
        (("--bits", "2,x"), "bits='2,x' is not a list"),
        (("--bits", "2,2"), "bits='2,2' names a width twice"),
        (("--picture", "a.pdf"), "picture=a.pdf ends in neither .svg nor .png"),
        (("--picture", "/nowhere/a.svg"), "its folder does not exist"),
        (("--picture", "a.svg", "--bits", "1,2,3,4,5"), "draws at most 4 widths"),
        (("--name", "w"), "name='w' chooses an array of an .npz file"),
    ],
)
def test_usage(weights, words, said):
    assert said in refused(4, "analyze-tensor", weights, *words)
    assert "is the input" in refused(4, "analyze-tensor", weights, "--picture", weights)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is broken"),
        (b"PK\x03\x04 no archive", "is broken"),
        (npy(WEIGHTS)[:-3], "declares shape (2, 4), 32 bytes, but holds 29"),
        (npy(WEIGHTS) + b"x", "but holds 33"),
        (npy(WEIGHTS.astype(np.int8)), "has dtype int8; save float16, float32 or float64"),
        (npy(np.array([None])), "has dtype object"),
        (npy(WEIGHTS).replace(b"(2, 4)", b"(9**9)"), "is broken"),
        (npy(np.array([1.0, np.nan])), "values[1]=nan is no number"),
        (npy(np.array([np.inf])), "values[0]=inf is infinite"),
    ],
)
def test_a_file_that_is_rejected(tmp_path, data, said):
    path = tmp_path / "bad.npy"
    path.write_bytes(data)
    assert said in refused(7, "analyze-tensor", str(path))


def test_archives_that_are_rejected_and_empty_arrays(tmp_path):
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", npy(WEIGHTS)[:-4])
    assert "array w declares shape (2, 4), 32 bytes, but holds 28" in refused(7, "analyze-tensor", str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    assert "holds no array" in refused(7, "analyze-tensor", str(path))
    assert "cannot be read" in refused(7, "analyze-tensor", str(tmp_path / "missing.npy"))
    np.save(tmp_path / "empty.npy", np.zeros((0, 3), np.float32))
    assert "there is nothing to analyse" in refused(5, "analyze-tensor", str(tmp_path / "empty.npy"))


def test_the_picture_names_every_method_and_is_reproducible(weights, tmp_path):
    pytest.importorskip("matplotlib")
    pictures = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for picture in pictures:
        assert refq("analyze-tensor", weights, "--bits", "1,2", "--picture", str(picture)).returncode == 0
    text = pictures[0].read_text()
    assert text == pictures[1].read_text()
    assert all(f"<!-- {row.method}" in text for row in error_table(WEIGHTS, [1, 2]))
    zeros = tmp_path / "zeros.npy"
    np.save(zeros, np.zeros(3, np.float32))
    image = tmp_path / "zeros.png"
    assert refq("analyze-tensor", str(zeros), "--bits", "2", "--picture", str(image)).returncode == 0
    assert image.read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not resnet8.DATA.is_dir(), reason="shared/data/mlperf_tiny is not here")
def test_a_real_layer():
    path = Path(resnet8.DATA) / "resnet8_float.npz"
    done = refq("analyze-tensor", str(path), "--name", "conv2d_7.kernel", "--bits", "2", "--json")
    record = json.loads(done.stdout)
    rows = {row["method"]: row for row in record["rows"]}
    assert record["shape"] == [3, 3, 64, 64]
    assert 1 < rows["sawb even"]["ratio"] < 1.001
    assert rows["uniform min-max"]["entropy"] < 0.17
    assert rows["balanced median"]["entropy"] > 1.99999
