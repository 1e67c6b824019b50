"""fit-bn, check-certificate and analyze-bn as a user runs them: the worked examples of reference/papers.md 1.10."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import answer, process, refq, refused

from refq.batchnorm import Channel, code_error_bound, deviation, fit_steps, naive_form, shift_form, target_steps

WORKED = {
    "gamma": [0.75, -0.5, 1.25, 0.0],
    "beta": [0.1, 0.3, -0.2, 0.3],
    "mean": [12.5, -4.0, 30.0, -4.0],
    "variance": [101.0, 50.0, 77.0, 50.0],
    "epsilon": 0.0,
    "acc_scale": 1.0,
    "out_scale": 0.25,
    "acc_min": -256,
    "acc_max": 255,
    "qmin": 0,
    "qmax": 15,
}
HALF = WORKED | {
    "gamma": 0.5,
    "beta": 0.0,
    "mean": 0.0,
    "variance": 1.0,
    "out_scale": 1.0,
    "acc_min": 0,
    "acc_max": 5,
    "qmax": 3,
}
LOADED = "print([m for m in ('numpy', 'rich', 'refq') if m in sys.modules])"
REQUIRED = {"multiplier", "bias", "shift", "min_shift", "slope_interval", "naive_min_shift"}


@pytest.fixture
def worked(tmp_path: Path) -> str:
    return saved(tmp_path / "worked.npz", WORKED)


@pytest.fixture
def half(tmp_path: Path) -> str:
    return saved(tmp_path / "half.npz", HALF)


def saved(path: Path, arrays: dict[str, Any]) -> str:
    np.savez(path, **arrays)
    return str(path)


def column(record: Any, name: str) -> list[Any]:
    return [channel[name] for channel in record["channels"]]


def test_help_imports_nothing_heavy() -> None:
    code = f"import sys, verify.cli, verify.batchnorm_cli; {LOADED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    text = refq("--help").stdout
    assert all(words in text for words in ("fit-bn", "check-certificate", "analyze-bn", "7 a file was"))


def test_each_channel_of_the_worked_examples(worked: str) -> None:
    record = answer("fit-bn", worked)
    assert all(set(channel) > REQUIRED for channel in record["channels"])
    assert (record["rounding"], record["share"]) == ("ties_up", "none")
    assert (record["shared_shift"], record["shared_divisor"]) == (None, None)
    assert column(record, "min_shift") == column(record, "shift") == [6, 8, 6, 0]
    assert column(record, "min_divisor") == [37, 46, 7, 1]
    assert column(record, "multiplier") == [19, -73, 37, 0]
    assert column(record, "bias")[:3] == [-177, 116, -1140]
    assert column(record, "slope_interval") == [
        ["8/27", "3/10"], ["-2/7", "-11/39"], ["13/23", "11/19"], ["-1/511", "1/511"]
    ]  # fmt: skip
    assert column(record, "naive_min_shift")[0] == 12
    assert record["channels"][0]["widths"] == {"multiplier": 6, "bias": 9, "product": 14, "sum": 14}
    assert record["channels"][0]["multiplier_range"] == [19, 19]
    assert record["channels"][0]["bias_range"] == [-177, -177]
    assert all(column(record, "representable"))


def test_one_shift_and_one_divisor_for_all(tmp_path: Path) -> None:
    path = saved(tmp_path / "c.npz", {name: v[:3] if isinstance(v, list) else v for name, v in WORKED.items()})
    shifted, divided = answer("fit-bn", path, "--shared-shift"), answer("fit-bn", path, "--shared-divisor")
    assert (shifted["shared_shift"], shifted["shared_divisor"]) == (8, None)
    assert column(shifted, "shift") == [8, 8, 8]
    assert (column(shifted, "multiplier")[:2], column(shifted, "bias")[:2]) == ([76, -73], [-708, 116])
    assert (divided["shared_shift"], divided["shared_divisor"]) == (None, 67)
    assert (column(divided, "multiplier"), column(divided, "shift")) == ([20, -19, 38], [None] * 3)
    assert column(divided, "bias")[:2] == [-190, 35]
    assert -1161 <= column(divided, "bias")[2] <= -1159


@pytest.mark.parametrize("way", [(), ("--shared-shift",), ("--shared-divisor",)])
def test_the_text_has_the_numbers_of_the_json(worked: str, way: tuple[str, ...]) -> None:
    record, done = answer("fit-bn", worked, *way), refq("fit-bn", worked, *way)
    lines = done.stdout.splitlines()
    by = "divisor" if "--shared-divisor" in way else "shift"
    for place, channel in enumerate(record["channels"]):
        names = ("multiplier", "bias", by, "min_shift", "min_divisor", "naive_min_shift")
        bits = "/".join(str(channel["widths"][name]) for name in ("multiplier", "bias", "sum"))
        assert lines[1 + place].split() == [str(place), *(str(channel[name]) for name in names), bits]
    assert done.returncode == 0
    assert lines[-1].startswith("4 of 4 channels reproduced exactly")
    assert "naive rounding at shift 8, the smallest for all, gets 2 of 4 wrong" in lines[-1]
    assert record["naive"] == {"shift": 8, "channels_wrong": 2}


def test_half_even_of_a_half_is_not_representable(half: str) -> None:
    done = refq("fit-bn", half, "--rounding", "ties_even")
    assert done.returncode == 1
    assert "channel 0: no multiplier and bias reproduce ties_even" in done.stdout
    assert "from code 0 on one more at each x >= 2 3\n" in done.stdout
    assert "0 of 1 channel reproduced exactly" in done.stdout
    [channel] = answer("fit-bn", half, "--rounding", "ties_even", "--shared-shift")["channels"]
    assert [channel[name] for name in sorted(REQUIRED)] == [None] * 6
    assert channel["representable"] is False
    assert channel["thresholds"] == {"sign": 1, "lowest": 0, "thresholds": [2, 3]}
    assert refq("fit-bn", half).returncode == 0


def test_word_bits_are_required_or_refused(worked: str) -> None:
    assert refq("fit-bn", worked, "--word-bits", "16").returncode == 0
    assert "channel 1 needs 16" in refused(4, "fit-bn", worked, "--word-bits", "15")
    assert "bias of channel 0 needs 9; the layer needs 16" in refused(4, "fit-bn", worked, "--word-bits", "7")


def test_a_certificate_is_accepted_and_with_a_digit_changed_rejected(worked: str, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    assert refq("fit-bn", worked, "--shared-shift", "--certificate", str(path)).returncode == 0
    accepted = process("check-certificate", str(path))
    assert (accepted.returncode, accepted.stderr) == (0, "")
    [line] = accepted.stdout.splitlines()
    assert line.startswith("accepted: 4 channels")
    text = path.read_text()
    places = [found.start() for found in re.finditer(r"\d", text)]
    for place in places[:: max(len(places) // 40, 1)]:
        path.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
        assert str(path) in refused(7, "check-certificate", str(path))


def test_the_certificate_of_a_channel_without_line(half: str, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    assert refq("fit-bn", half, "--rounding", "ties_even", "--certificate", str(path)).returncode == 1
    assert refq("check-certificate", str(path)).returncode == 0


def test_the_checker_loads_no_solver(tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    path.write_text("{}")
    run = "try: main(sys.argv[1:], standalone_mode=False)\nexcept Exception: pass"
    command = [sys.executable, "-c", f"import sys\nfrom verify.cli import main\n{run}\n{LOADED}"]
    done = subprocess.run([*command, "check-certificate", str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def channels() -> list[Channel]:
    spread = {name: v if isinstance(v, list) else [v] * 4 for name, v in WORKED.items()}
    return [Channel(**{name: values[place] for name, values in spread.items()}) for place in range(4)]


@pytest.mark.parametrize("shift", [8, 5])
def test_analysis_counts_exactly(worked: str, shift: int) -> None:
    [layer] = answer("analyze-bn", worked, *(() if shift == 8 else ("--shift", str(shift))))["layers"]
    assert (layer["channels"], layer["accumulators"], layer["shift"], layer["shared_shift"]) == (4, 2048, shift, 8)
    assert (layer["min_shifts"], layer["naive_min_shifts"][0]) == ([6, 8, 6, 0], 12)
    rows = {row["scheme"]: row for row in layer["schemes"]}
    assert (rows["optimal"]["shift"], rows["optimal"]["wrong"], rows["optimal"]["channels_exact"]) == (8, 0, 4)
    steps = [target_steps(c) for c in channels()]
    naive = [deviation(s, naive_form(c, shift)) for s, c in zip(steps, channels(), strict=True)]
    assert rows["naive"]["wrong"] == sum(d.wrong for d in naive)
    assert rows["naive"]["share"] == rows["naive"]["wrong"] / 2048
    assert rows["shift-BN"]["wrong"] == sum(
        deviation(s, shift_form(c)).wrong for s, c in zip(steps, channels(), strict=True)
    )
    assert rows["centred"]["bound"] == max(code_error_bound(fit_steps(s, 0, 15), shift) for s in steps)
    assert [row["shift"] for row in layer["dropped_bits"]][:3] == [8, 7, 6]
    assert all(row["centred"]["max_codes"] <= row["bound"] for row in layer["dropped_bits"])


def test_the_tables_have_the_numbers_of_the_json(worked: str) -> None:
    done = refq("analyze-bn", worked, worked, "--shift", "6")
    [layer, again] = answer("analyze-bn", worked, worked, "--shift", "6")["layers"]
    assert done.returncode == 0
    assert layer == again
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for row in layer["schemes"]:
        bits = "/".join(str(row["bits"][name]) for name in ("multiplier", "bias", "sum"))
        counts = f"{bits} {row['channels_exact']} of 4 {row['wrong']}"
        assert [line for line in lines if line.startswith(row["scheme"]) and counts in line]
    for row in layer["dropped_bits"]:
        start = f"{row['shift']} {row['bound']} {row['centred']['max_codes']} {row['naive']['max_codes']} "
        assert [line for line in lines if line.startswith(start + str(row["centred"]["wrong"]))]


def test_an_analysis_without_any_line_is_no_success(half: str) -> None:
    done = refq("analyze-bn", half, "--rounding", "ties_even")
    assert done.returncode == 1
    assert "channel 0: no line reproduces ties_even" in done.stdout
    [layer] = answer("analyze-bn", half, "--rounding", "ties_even")["layers"]
    assert (layer["without_line"], layer["shared_shift"]) == ([0], None)
    assert layer["schemes"][0]["bits"] is None
