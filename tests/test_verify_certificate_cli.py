"""Certificates through the command: tied to a layer, and never written over it."""

import json
from pathlib import Path

import numpy as np
from command import refq, refused
from test_verify_batchnorm_cli import HALF, WORKED, saved


def test_nothing_is_written_over_what_is_read(tmp_path: Path) -> None:
    worked = saved(tmp_path / "worked.npz", WORKED)
    before = Path(worked).read_bytes()
    assert "is an input; name another file" in refused(4, "fit-bn", worked, "--certificate", worked)
    assert Path(worked).read_bytes() == before


def test_a_certificate_is_about_the_layer_that_is_named(tmp_path: Path) -> None:
    worked = saved(tmp_path / "worked.npz", WORKED)
    proof, other = str(tmp_path / "proof.json"), str(tmp_path / "other.npz")
    assert refq("fit-bn", worked, "--certificate", proof).returncode == 0
    found = json.loads(refq("check-certificate", proof, "--params", worked, "--json").stdout)
    assert found == {"accepted": True, "proved": found["proved"], "params": worked}
    with np.load(worked) as arrays:
        np.savez(other, **{**arrays, "beta": arrays["beta"] + [0, 0, 0, 1]})
    line = refused(7, "check-certificate", proof, "--params", other)
    assert "beta of channel 3 is" in line


def test_the_integers_are_written_as_arrays(tmp_path: Path) -> None:
    worked, output = saved(tmp_path / "worked.npz", WORKED), str(tmp_path / "integers.npz")
    assert refq("fit-bn", worked, "--shared-shift", "--output", output).returncode == 0
    with np.load(output) as arrays:
        got = {name: arrays[name].tolist() for name in arrays.files}
    assert got == {
        "multiplier": [76, -73, 146, 0],
        "bias": [-708, 116, -4480, 256],
        "divisor": [256] * 4,
        "qmin": [0] * 4,
        "qmax": [15] * 4,
    }
    half = saved(tmp_path / "half.npz", HALF)
    line = refused(4, "fit-bn", half, "--rounding", "ties_even", "--output", output)
    assert "channel 0 has no line under ties_even; use its thresholds" in line
    assert "output=/nowhere/a.npz cannot be written" in refused(4, "fit-bn", worked, "--output", "/nowhere/a.npz")
