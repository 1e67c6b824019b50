"""Files the batch-norm verbs read and write: whatever is wrong with one is one line and exit 7; options are exit 4."""

import io
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from command import process, refq, refused
from test_verify_batchnorm_cli import HALF, WORKED, saved


class Trap:
    """A pickle of it would leave a mark when it is loaded."""

    def __reduce__(self) -> Any:
        return exec, ("import sys; sys.trapped = True",)


NAN, INFINITE = float("nan"), float("inf")
BAD_VALUES = [
    ({"gamma": [1.0, NAN]}, "channel 1: gamma=nan is not finite"),
    ({"mean": [1.0, 2.0, -INFINITE]}, "channel 2: mean=-inf is not finite"),
    ({"variance": [1.0, -0.5]}, "channel 1: variance=-0.5 is negative"),
    ({"epsilon": -1e-3}, "channel 0: epsilon=-0.001 is negative"),
    ({"variance": [1.0, 0.0]}, "channel 1: variance=0 and epsilon=0 leave nothing"),
    ({"acc_scale": [1.0, 0.0]}, "channel 1: acc_scale=0.0 is not positive"),
    ({"out_scale": -1.0}, "channel 0: out_scale=-1.0 is not positive"),
    ({"acc_min": [0, 9], "acc_max": 8}, "channel 1: acc_min=9 is above acc_max=8"),
    ({"qmin": [0, 0, 5], "qmax": 4}, "channel 2: qmin=5 is above qmax=4"),
    ({"acc_max": np.array([5, 2**63], np.uint64)}, f"channel 1: acc_max={2**63} is outside"),
    ({"acc_min": -(2**63)}, f"channel 0: acc_min={-(2**63)} is outside"),
    ({"acc_min": -(2.0**70)}, "acc_min has dtype float64"),
    ({"zero_point": 0.5}, "zero_point has dtype float64"),
    ({"qmax": 1 << 20}, "channel 0: qmax=1048576 is"),
    ({"gamma": np.ones((2, 2))}, "array gamma has shape (2, 2)"),
    ({"gamma": np.ones(3), "beta": np.ones(2)}, "beta has 2 values, gamma 3"),
    ({name: np.empty(0) for name in ("gamma", "beta")}, "gamma has 0 values"),
    ({"gamma": True}, "array gamma has dtype bool"),
    ({"gamma": "one"}, "array gamma has dtype <U3"),
    ({"gamma": 1j}, "array gamma has dtype complex128"),
    ({"gama": 1.0}, "array 'gama.npy' is unknown; legal: gamma beta"),
    ({"../gamma": 1.0}, "array '../gamma.npy' is unknown"),
]


@pytest.mark.parametrize("verb", ["fit-bn", "analyze-bn"])
@pytest.mark.parametrize(("changed", "message"), BAD_VALUES, ids=[message for _, message in BAD_VALUES])
def test_bad_values_are_one_line_and_exit_7(verb: str, changed: Any, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "bad.npz", HALF | changed)
    line = refused(7, verb, path)
    assert line.startswith(f"refq: {path}: ")
    assert message in line


def test_every_missing_array_is_named(tmp_path: Path) -> None:
    for name in HALF:
        path = saved(tmp_path / "less.npz", {key: value for key, value in HALF.items() if key != name})
        assert f"array {name} is missing" in refused(7, "fit-bn", path)


def npy(array: Any, **changes: Any) -> bytes:
    """An array as .npy, with some of its header replaced."""
    data = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | changes
    np.lib.format.write_array_header_1_0(data, header)
    return data.getvalue() + array.tobytes()


def packed(path: Path, gamma: bytes, method: int = zipfile.ZIP_STORED, extra: tuple[str, ...] = ()) -> str:
    """The parameters with `gamma` given as the bytes of its member."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("gamma.npy", gamma)
        for name, value in HALF.items():
            if name != "gamma":
                archive.writestr(f"{name}.npy", npy(np.asarray(value)))
        for name in extra:
            archive.writestr(name, gamma)
    return str(path)


ONE = np.ones(2)
BAD_MEMBERS = [
    (npy(ONE, shape=(3,)), "declares shape (3,), 24 bytes, but holds 16"),
    (npy(ONE, shape=(1,)), "declares shape (1,), 8 bytes, but holds 16"),
    (npy(ONE, shape=(1 << 40,)), f"has shape ({1 << 40},); at most 1048576 channels"),
    (npy(ONE, shape=(-1,)), "has shape (-1,)"),
    (npy(ONE, descr="|O"), "has dtype object, Python objects that only pickle can read"),
    (npy(ONE, descr=[("a", "<f8")]), "has dtype [('a', '<f8')]"),
    (npy(ONE)[:-3], "declares shape (2,), 16 bytes, but holds 13"),
    (npy(ONE)[:20], "is broken"),
    (b"", "is broken"),
    (b"no array at all", "is broken: the magic string is not correct"),
    (b"\x93NUMPY\x07\x00" + npy(ONE)[8:], "is broken: format version 7.0 is unknown"),
    (npy(ONE)[:10] + b"[" * 60 + npy(ONE)[70:], "is broken"),
]


@pytest.mark.parametrize(("gamma", "message"), BAD_MEMBERS, ids=[message for _, message in BAD_MEMBERS])
def test_a_broken_member_is_rejected(gamma: bytes, message: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "bad.npz", gamma)
    assert f"refq: {path}: array gamma {message}" in refused(7, "fit-bn", path)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = saved(tmp_path / "trap.npz", HALF | {"gamma": np.array([Trap()])})
    assert "array gamma has dtype object" in refused(7, "fit-bn", path)
    assert not hasattr(sys, "trapped")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "bomb.npz", npy(np.zeros(1 << 23)), zipfile.ZIP_DEFLATED)
    with patch.object(zlib, "decompressobj", side_effect=AssertionError("unpacked")):
        line = refused(7, "fit-bn", path)
    assert "array gamma has 67108" in line
    packed(tmp_path / "lzma.npz", npy(ONE), zipfile.ZIP_LZMA)
    assert "method 14" in refused(7, "fit-bn", str(tmp_path / "lzma.npz"))


def test_a_member_that_lies_about_its_size_is_rejected(tmp_path: Path) -> None:
    path = Path(packed(tmp_path / "lie.npz", npy(np.zeros(4096)), zipfile.ZIP_DEFLATED))
    data, real = path.read_bytes(), len(npy(np.zeros(4096)))
    lie = len(npy(np.zeros(4))).to_bytes(4, "little")
    path.write_bytes(data.replace(real.to_bytes(4, "little"), lie))
    assert "array gamma" in refused(7, "fit-bn", str(path))


def test_members_there_twice_or_foreign_are_rejected(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = packed(tmp_path / "twice.npz", npy(ONE), extra=("beta.npy",))
    assert "array beta is there twice" in refused(7, "fit-bn", path)
    for name in ("readme.txt", "gamma", "a\nb.npy"):
        path = packed(tmp_path / "foreign.npz", npy(ONE), extra=(name,))
        assert f"array {name!r} is unknown" in refused(7, "fit-bn", path)


def test_files_that_are_none(tmp_path: Path) -> None:
    good = Path(saved(tmp_path / "good.npz", HALF)).read_bytes()
    for cut in (0, 10, len(good) // 2, len(good) - 5):
        (tmp_path / "cut.npz").write_bytes(good[:cut])
        assert f"{tmp_path}/cut.npz" in refused(7, "fit-bn", str(tmp_path / "cut.npz"))
    (tmp_path / "text.npz").write_text("gamma = 1")
    assert "is broken: File is not a zip file" in refused(7, "analyze-bn", str(tmp_path / "text.npz"))
    assert "No such file" in refused(7, "fit-bn", str(tmp_path / "none.npz"))
    assert "is no regular file" in refused(7, "fit-bn", str(tmp_path))
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    assert "array gamma is missing" in refused(7, "fit-bn", str(tmp_path / "empty.npz"))
    flipped = bytearray(good)
    flipped[good.index(np.float64(0.5).tobytes())] ^= 1
    (tmp_path / "flipped.npz").write_bytes(flipped)
    assert "array gamma is broken: Bad CRC" in refused(7, "fit-bn", str(tmp_path / "flipped.npz"))
    assert process("fit-bn", str(tmp_path / "none.npz")).returncode == 7


def test_unreadable_certificates_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{}")
    for name, text in (("not.json", "gamma"), ("list.json", "[]"), ("deep.json", "[" * 100000), ("none.json", "{}")):
        (tmp_path / name).write_text(text)
    for name in ("bytes.json", "not.json", "list.json", "deep.json", "none.json", "missing.json", "."):
        assert refused(7, "check-certificate", str(tmp_path / name)).startswith(f"refq: {tmp_path}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rounding", "half_up"), "rounding='half_up' is unknown; legal: floor, ceil,"),
        (("--shared-shift", "--shared-divisor"), "exclude each other"),
        (("--word-bits", "0"), "0 is not in the range x>=1"),
        (("--certificate", "/nowhere/at/all.json"), "certificate=/nowhere/at/all.json cannot be written: No such file"),
    ],
)
def test_wrong_options_of_fit_bn_are_exit_4(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in refused(4, "fit-bn", saved(tmp_path / "p.npz", HALF), *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shift", "129"), "129 is not in the range 0<=x<=128"),
        (("--channel", "0"), "--channel chooses the channel of the picture; add --image FILE"),
        (("--image", "a.png", "--channel", "4"), "channel=4 is outside 0..3"),
        (("--image", "a.jpeg"), "image=a.jpeg ends in neither .svg nor .png"),
    ],
)
def test_wrong_options_of_analyze_bn_are_exit_4(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in refused(4, "analyze-bn", saved(tmp_path / "p.npz", WORKED), *words)


def test_without_matplotlib_the_extra_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.npz", WORKED)
    with patch.dict(sys.modules, {"matplotlib": None, "matplotlib.figure": None}):
        assert "pip install 'refq[plots]'" in refused(4, "analyze-bn", path, "--image", str(tmp_path / "a.svg"))
    assert refq("analyze-bn", path).returncode == 0


@pytest.mark.parametrize(("changed", "rounding"), [(WORKED, "ties_up"), (HALF, "ties_even")], ids=["line", "none"])
def test_pictures_are_written_and_repeatable(changed: Any, rounding: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'refq[plots]'")
    path, words = saved(tmp_path / "p.npz", changed), ("--rounding", rounding, "--image")
    for name in ("a.svg", "b.svg", "a.png"):
        assert refq("analyze-bn", path, *words, str(tmp_path / name)).stderr == ""
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert "<svg" in svg
    assert "<dc:date>" not in svg


def test_each_layer_has_its_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'refq[plots]'")
    path = saved(tmp_path / "p.npz", WORKED)
    assert refq("analyze-bn", path, path, "--channel", "3", "--image", str(tmp_path / "a.svg")).returncode == 0
    assert {found.name for found in tmp_path.glob("*.svg")} == {"a-1.svg", "a-2.svg"}
    line = refq("analyze-bn", path, "--image", "/nowhere/a.svg").stderr
    assert line == "refq: image=/nowhere/a.svg cannot be written: its folder does not exist\n"
