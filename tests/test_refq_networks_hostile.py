"""Hostile and broken network files end in one line that names the file."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from network_cases import fixed_point_net, same

from refq.networks import IntegerNetwork, Step, files, load, save


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """The members of a good file, header parsed."""
    path = tmp_path_factory.mktemp("good") / "net.npz"
    save(path, fixed_point_net())
    with np.load(path) as found:
        return dict(found)


def edited(members, /, **changes):
    """The same with header fields changed."""
    header = json.loads(members["header"].tobytes()) | changes
    return members | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}


def step_edited(arrays, place, **changes):
    steps = json.loads(arrays["header"].tobytes())["steps"]
    steps[place] |= changes
    return edited(arrays, steps=steps)


def header_bytes(text):
    return np.frombuffer(text, np.uint8)


def dropped(arrays, name):
    return {key: array for key, array in arrays.items() if key != name}


def redeclared(arrays, name, array):
    """An array replaced, its declaration too."""
    declared = json.loads(arrays["header"].tobytes())["arrays"] | {name: [array.dtype.name, list(array.shape)]}
    return edited(arrays | {name: array}, arrays=declared)


HOSTILE = [
    (lambda a: edited(a, version=2), "version=2 is unknown; this program reads 1"),
    (lambda a: edited(a, version=True), "version=True is unknown"),
    (lambda a: edited(a, format="onnx"), "the header is not that of a refq-network file"),
    (lambda a: edited(a, extra=1), "the header has fields "),
    (lambda a: edited(a, steps={}), "header field steps is not of kind list"),
    (lambda a: edited(a, steps=[]), "array '0.weights' is of no step"),
    (lambda a: edited(a, steps=[{"name": "x"}]), "step 0 of the header has not the fields name, op, inputs"),
    (lambda a: edited(a, input_shape=[5, 6, -2]), "input_shape=-2 is outside 1..16777216"),
    (lambda a: edited(a, input_shape=[5, 6, 1e300]), "input_shape=1e+300 is not an integer"),
    (lambda a: edited(a, record={"a": 1}), "record has ('a', 1), which are not strings"),
    (lambda a: edited(a, arrays={"0.weights": "int8"}), "array 0.weights is declared as 'int8'"),
    (lambda a: a | {"header": header_bytes(b"[" * 100000)}, "maximum recursion depth exceeded"),
    (lambda a: a | {"header": header_bytes(b"{}")}, "the header is not that of a refq-network file"),
    (lambda a: a | {"header": header_bytes(b"\xff\xfe")}, "'utf-8' codec can't decode"),
    (lambda a: a | {"header": header_bytes(b"9" * 5000)}, "Exceeds the limit (4300 digits)"),
    (lambda a: a | {"header": np.zeros((2, 2), np.uint8)}, "array header is uint8 of shape (2, 2)"),
    (lambda a: dropped(a, "header"), "array header is missing"),
    (lambda a: dropped(a, "2.weights"), "array '2.weights' is missing"),
    (lambda a: a | {"9.weights": np.zeros(3, int)}, "array '9.weights' is not declared by the header"),
    (lambda a: redeclared(a, "9.weights", np.zeros(3, int)), "array '9.weights' is of no step"),
    (lambda a: redeclared(a, "0.scales", np.zeros(3, int)), "array '0.scales' is of no step"),
    (lambda a: a | {"0.weights": a["0.weights"].astype(int)}, "array 0.weights is int64 (3, 3, 3, 2), the header says"),
    (lambda a: a | {"0.weights": a["0.weights"][:2]}, "array 0.weights is int8 (2, 3, 3, 2), the header says ('int8',"),
    (lambda a: a | {"0.weights": a["0.weights"] * 1.0}, "array 0.weights has dtype float64; integers are legal"),
    (lambda a: a | {"0.weights": np.asfortranarray(a["0.weights"])}, "array 0.weights has shape (3, 3, 3, 2) or is in"),
    (lambda a: redeclared(a, "0.weights", a["0.weights"] * 3), "step 'c1': weights["),
    (lambda a: redeclared(a, "7.bias", np.zeros(4, np.int32)), "step 'logits': bias is int32"),
    (lambda a: redeclared(a, "1.fixed", a["1.fixed"][:, :4]), "array fixed has shape (2, 4); (forms, 6) is legal"),
    (lambda a: redeclared(a, "1.fixed", a["1.fixed"].astype(np.int32)), "array fixed has dtype int32; int64 is legal"),
    (lambda a: redeclared(a, "3.shift", np.zeros((0, 7), int)), "array shift has shape (0, 7); (forms, 7) is legal"),
    (lambda a: redeclared(a, "1.fixed", a["1.fixed"] * 0), "FixedPoint: divisor=0 is not positive"),
    (lambda a: redeclared(a, "1.fixed", a["1.fixed"][[0, 0]]), "the channels of its forms are not 0, 1, 2, ..."),
    (lambda a: redeclared(a, "1.fixed", a["1.fixed"][:1]), "the channels of its forms are not 0, 1, 2, ..."),
    (lambda a: redeclared(a, "1.threshold", a["1.threshold"] * 2), "array thresholds has 7 values, its forms have 14"),
    (lambda a: redeclared(a, "1.threshold", a["1.threshold"] - [[0, 0, -9, 0, 0]]), "9 is not a valid Crossing"),
    (lambda a: redeclared(a, "1.thresholds", a["1.thresholds"][::-1].copy()), "ThresholdForm: thresholds fall; sort t"),
    (lambda a: redeclared(a, "1.thresholds", a["1.thresholds"].reshape(1, 7)), "array thresholds is not int64 in one"),
    (lambda a: step_edited(a, 0, op="system"), "step 'c1': op='system' is unknown"),
    (lambda a: step_edited(a, 0, stride=1.5), "step 'c1': stride=1.5 is not an integer"),
    (lambda a: step_edited(a, 0, padding=[[1], [1, 1]]), "step 'c1': padding=((1,), (1, 1)) is neither"),
    (lambda a: step_edited(a, 0, padding=10**18), "step 'c1': padding=1000000000000000000 is outside"),
    (lambda a: step_edited(a, 2, inputs=["sum"]), "step 'c2': inputs has 'sum', which no earlier step makes"),
    (lambda a: step_edited(a, 2, name="c1"), "step 'c1': name='c1' is taken"),
    (lambda a: step_edited(a, 2, name={}), "step '{}': name={} is not a printable string"),
]  # fmt: skip


def refused(path):
    with pytest.raises(ValueError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"load: {path}: ")
    assert "\n" not in text
    assert len(text) < 600
    return text.removeprefix(f"load: {path}: ")


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_hostile_contents(change, message, arrays, tmp_path):
    np.savez(tmp_path / "net.npz", **change(arrays))
    assert refused(tmp_path / "net.npz").startswith(message)


def npy(shape, data=b"", dtype="<i8"):
    """A .npy with a header of our own."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


def pickled():
    with io.BytesIO() as stream:
        np.lib.format.write_array(stream, np.array([print], object))
        return stream.getvalue()


MEMBERS = [
    ("0.weights.npy", lambda: npy((1 << 62, 1 << 62)), "array 0.weights declares shape (4611686018427387904, "),
    ("0.weights.npy", lambda: npy((3,), bytes(23)), "array 0.weights declares shape (3,), 24 bytes, but holds 23"),
    ("0.weights.npy", lambda: npy((3,), bytes(25)), "array 0.weights declares shape (3,), 24 bytes, but holds 25"),
    ("0.weights.npy", lambda: npy((-1,)), "array 0.weights has shape (-1,) or is in Fortran order"),
    ("0.weights.npy", pickled, "array 0.weights has dtype object; integers are legal"),
    ("0.weights.npy", lambda: npy((1,), bytes(8), [("a", "<i8")]), "array 0.weights has dtype"),
    ("0.weights.npy", lambda: b"\x93NUMPY\x09\x00" + bytes(50), "array 0.weights has format version 9.0, which is"),
    ("0.weights.npy", lambda: b"MZ", "EOF: reading magic string, expected 8 bytes got 2"),
    ("evil.py", lambda: b"import os", "member 'evil.py' is no .npy, there twice or one too many"),
]


@pytest.mark.parametrize(("name", "data", "message"), MEMBERS)
def test_hostile_members(name, data, message, arrays, tmp_path):
    path = tmp_path / "net.npz"
    np.savez(path, **dropped(arrays, name.removesuffix(".npy")))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, data())
    assert refused(path).startswith(message)


def test_members_that_are_there_twice(arrays, tmp_path):
    path = tmp_path / "net.npz"
    np.savez(path, **arrays)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("header.npy", npy((0,)))
    assert refused(path).startswith("member 'header.npy' is no .npy, there twice")


def test_bombs_and_odd_methods(arrays, tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    monkeypatch.setattr(files, "MOST_BYTES", 1 << 20)
    np.savez_compressed(path, **arrays | {"0.weights": np.zeros(1 << 21, np.uint8)})
    assert path.stat().st_size < 1 << 15
    assert "bytes; at most 1048576 are read" in refused(path)
    large = replace(fixed_point_net(), record={"why": "x" * (1 << 24)})
    with pytest.raises(ValueError, match=r"^save: network has .* more than load reads"):
        save(path, large)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("header.npy", npy((1 << 16,), bytes(1 << 19)))
    assert refused(path).startswith("array header is encrypted or packed by method 12; save it stored")


@pytest.mark.parametrize(
    ("values", "real", "message"),
    [(1, 1 << 20, "Bad CRC-32"), (1024, 8184, "array header declares 8192 bytes, but holds 8184")],
)
def test_members_that_unpack_to_another_size_than_declared(values, real, message, tmp_path):
    """Directory and header agree on a size that the packed stream, whose checksum is right, does not have."""
    path, whole = tmp_path / "net.npz", npy((values,), bytes(real))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", whole)
    said = len(whole) - real + 8 * values
    path.write_bytes(path.read_bytes().replace(len(whole).to_bytes(4, "little"), said.to_bytes(4, "little")))
    assert refused(path).startswith(message)


def outcome(path):
    """The network, or what is wrong."""
    try:
        return load(path)
    except ValueError as error:
        return str(error)


def test_every_cut_and_many_flipped_bytes(tmp_path):
    """A file cut short anywhere is refused; a flipped byte is refused or changes nothing that is believed."""
    good, path = tmp_path / "good.npz", tmp_path / "net.npz"
    steps = (Step("line", "flatten", ("input",)),)
    save(good, IntegerNetwork(steps, "uint2", (1, 1, 2)))
    data = good.read_bytes()
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        assert refused(path)
    for place in range(0, len(data), 5):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :])
        found = outcome(path)
        if isinstance(found, str):
            assert found.startswith(f"load: {path}: ")
        else:
            same(found, load(good))
