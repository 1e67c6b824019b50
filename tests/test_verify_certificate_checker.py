"""The certificate checker accepts the worked examples, typed from their table, and nothing that was changed in them."""

import ast
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from fractions import Fraction
from functools import reduce
from itertools import product
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from refq import Rounding
from refq.spec.rounding import round_to_integer
from verify.certificate_checker import RejectedError, check

Json = dict[str, Any]
CHECKER = Path(__file__).parents[1] / "verify" / "certificate_checker.py"
FORM = ("min_shift", "impossible", "multiplier_range", "multiplier", "divisor", "bias", "bias_range")
SHARED = {"none": None, "shift": 8, "divisor": 67}
T1 = [13, 17, 20, 23, 27, 30, 33, 37, 40, 43, 47, 50, 54, 57, 60]
T2 = [2, 6, 9, 13, 16, 20, 23, 27, 30, 34, 37, 41, 44, 48, 52]
T3 = [33, 35, 36, 38, 40, 42, 43, 45, 47, 49, 50, 52, 54, 56, 57]
# gamma, beta, mean, variance; lowest, thresholds, slopes; the smallest shift, and where the one before fails
TABLE: list[tuple[Any, ...]] = [
    (("3/4", "1/10", "25/2", "101"), 0, T1, ["8/27", "3/10"], 6, 9),
    (("-1/2", "3/10", "-4", "50"), 0, T2, ["-2/7", "-11/39"], 8, 36),
    (("5/4", "-1/5", "30", "77"), 0, T3, ["13/23", "11/19"], 6, 18),
    (("0", "3/10", "-4", "50"), 1, [], ["-1/511", "1/511"], 0, None),
]
# of the four channels: the first and last multiplier, the one taken; the bias taken, the first and last bias
FORMS = {
    "none": "19 19 19 -177 -177 -177, -73 -73 -73 116 116 116, 37 37 37 -1140 -1140 -1140, 0 0 0 1 1 1",
    "shift": "76 76 76 -708 -708 -705, -73 -73 -73 116 116 116, 145 148 145 -4424 -4425 -4419, 0 0 0 256 256 511",
    "divisor": "20 20 20 -190 -190 -190, -19 -19 -19 35 35 35, 38 38 38 -1160 -1161 -1159, 0 0 0 128 67 133",
}


def parameters(gamma: str, beta: str, mean: str, variance: str, **others: Any) -> Json:
    real = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance, "epsilon": "0", "acc_scale": "1"}
    whole = {"out_scale": "1/4", "zero_point": 0, "acc_min": -256, "acc_max": 255, "qmin": 0, "qmax": 15}
    return real | whole | others


def channel(row: int, share: str) -> Json:
    real, lowest, thresholds, slopes, shift, between = TABLE[row]
    first, last, multiplier, bias, least, most = map(int, FORMS[share].split(", ")[row].split())
    impossible = {"shift": shift - 1, "between": between} if shift else None
    divisor = {"none": 2**shift, "shift": 256, "divisor": 67}[share]
    form = (shift, impossible, [first, last], multiplier, divisor, bias, [least, most])
    target = {"parameters": parameters(*real), "falling": real[0].startswith("-"), "lowest": lowest}
    target |= {"thresholds": thresholds, "slope_interval": slopes, "conflict": None}
    return deepcopy(target | dict(zip(FORM, form, strict=True)))


def half_even() -> Json:
    """round(x / 2) on 0..5, ties to even: 0 0 1 2 2 2."""
    real = parameters("1/2", "0", "0", "1", out_scale="1", acc_min=0, acc_max=5)
    target = {"parameters": real, "falling": False, "lowest": 0, "thresholds": [2, 3], "slope_interval": None}
    return target | {"conflict": [[[3, 2], [5, 3]], [[3, 2], [1, 1]]]} | dict.fromkeys(FORM)


def two_codes(rule: Rounding, code: int, threshold: int, multiplier: int = 1) -> Json:
    """Is round(x / 4) + 1 at least `code`? For x in -14..14."""
    span = {"acc_min": -14, "acc_max": 14, "qmin": code - 1, "qmax": code}
    real = parameters("1/4", "0", "0", "1", out_scale="1", zero_point=1, **span)
    target = {"parameters": real, "falling": False, "lowest": code - 1, "thresholds": [threshold]}
    biases = [code - multiplier * threshold, code - 1 - multiplier * (threshold - 1)]
    form = (0, None, [1, None], multiplier, 1, max(biases, key=lambda b: (b & -b) or 1 << 9), biases)
    ends = {"slope_interval": ["0", None], "conflict": None}
    return document([target | ends | dict(zip(FORM, form, strict=True))], rounding=rule.name.lower())


def document(channels: list[Any], share: str = "none", shared: Any = None, rounding: str = "ties_up") -> Json:
    names = {"certificate": "refq-batchnorm", "version": 1, "rounding": rounding}
    return names | {"share": share, "shared": shared, "channels": channels}


def sealed(plain: Json) -> str:
    body = json.dumps({k: v for k, v in plain.items() if k != "sha256"}, sort_keys=True, separators=(",", ":"))
    return json.dumps(plain | {"sha256": hashlib.sha256(body.encode()).hexdigest()}, indent=1)


def table(share: str) -> Json:
    return document([channel(row, share) for row in range(4)], share, SHARED[share])


def refused(text: str) -> str:
    with pytest.raises(RejectedError) as caught:
        check(text)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_worked_examples() -> None:
    for share, told in {"none": "nothing shared", "shift": "shared shift 8", "divisor": "shared divisor 67"}.items():
        assert check(sealed(table(share))) == f"accepted: 4 channels, 45 thresholds, {told}"
        assert refused(sealed(table(share) | {"rounding": "floor"})).startswith("channel 0 thresholds: found 13")


@pytest.mark.parametrize(("share", "shared"), [("none", None), ("shift", 6)])
def test_a_channel_that_no_slope_fits(share: str, shared: int | None) -> None:
    accepted = document([half_even(), channel(0, "none")], share, shared, "ties_even")
    assert check(sealed(accepted)).startswith("accepted: 2 channels, 17 thresholds")
    assert check(sealed(document([half_even()], share, None, "ties_even"))).startswith("accepted: 1 ")
    assert "expected null" in refused(sealed(document([half_even()], share, 6, "ties_even")))
    assert refused(sealed(accepted | {"rounding": "ties_up"})).startswith("channel 0 last level: found 2")


@pytest.mark.parametrize("rule", Rounding)
def test_every_rounding_at_its_thresholds(rule: Rounding) -> None:
    for code in range(-1, 4):
        threshold = next(x for x in range(-14, 15) if round_to_integer(Fraction(x, 4), rule) + 1 >= code)
        assert "1 thresholds" in check(sealed(two_codes(rule, code, threshold)))
        for wrong in (threshold - 1, threshold + 1):
            assert refused(sealed(two_codes(rule, code, wrong))).startswith("channel 0 thresholds: found")
        assert refused(sealed(two_codes(rule, code, threshold, 2))).startswith("channel 0 multiplier: found 2")


def test_any_of_the_shortest_multipliers_will_do() -> None:
    plain = table("shift")
    plain["channels"][2] |= {"multiplier": 148, "bias": -4560, "bias_range": [-4560, -4557]}
    check(sealed(plain))
    plain["channels"][2]["bias"] = -4558
    assert refused(sealed(plain)).startswith("channel 2 bias: found -4558")


def test_what_is_shared_is_the_smallest() -> None:
    doubled = channel(0, "none") | {"multiplier_range": [38, 38], "multiplier": 38, "divisor": 128}
    doubled |= {"bias": -354, "bias_range": [-354, -353]}
    assert refused(sealed(document([doubled]))) == "channel 0 divisor: found 128, expected 64"
    assert "expected 64" in refused(sealed(document([doubled], "shift", 7)))
    assert "expected 37" in refused(sealed(document([channel(0, "divisor")], "divisor", 67)))
    for shared in (7, 9, 8.0, "8", True, None, 10**9):
        assert refused(sealed(table("shift") | {"shared": shared})).endswith("expected 8")


def test_every_digit_counts() -> None:
    text = sealed(document([channel(0, "none"), channel(1, "none")]))
    check(text)
    for n in (n for n, char in enumerate(text) if char.isdigit()):
        for digit in "0123456789".replace(text[n], ""):
            refused(text[:n] + digit + text[n + 1 :])


def nodes(value: Any) -> Iterator[list[Any]]:
    """Paths of the values inside. Other parameters and other lists of channels can be as true."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from [[key]] if key != "channels" else []
        yield from ([key, *path] for path in nodes(value[key]) if key != "parameters")


def others(old: Any) -> list[Any]:
    new: list[Any] = [None, True, "0", [], {}, [None, None], str(old), [old]]
    if isinstance(old, int):
        new += [old + 1, old - 1, -old, float(old), bool(old)]
    if isinstance(old, str) and "/" in old:
        top, bottom = map(int, old.split("/"))
        new += [f"{2 * top}/{2 * bottom}", f"{top}/0", f"{old}/1", f" {old}", str(top / bottom), f"{top + 1}/{bottom}"]
        new += [str(Fraction(old) + step) for step in (Fraction(1, 1000), Fraction(-1, 1000))]
    if isinstance(old, list) and old:
        new += [old[:-1], old[1:], old[::-1], [*old, old[-1]], dict.fromkeys("ab", 0), [None, *old[1:]]]
    if isinstance(old, dict):
        new += [old | {"unknown": 0}, *({k: v for k, v in old.items() if k != name} for name in old)]
    return [value for value in new if json.dumps(value) != json.dumps(old)]


@pytest.mark.parametrize("share", ["divisor", "unfit"])
def test_every_field_counts_even_under_a_new_digest(share: str) -> None:
    right = document([half_even(), channel(0, "none")], rounding="ties_even") if share == "unfit" else table(share)
    for path in nodes(right):
        for new in others(reduce(getitem, path, right)):
            wrong = deepcopy(right)
            reduce(getitem, path[:-1], wrong)[path[-1]] = new
            place = f"channel {path[1]}" if path[0] == "channels" else ("certificate", "share", "channel 0")
            assert refused(sealed(wrong)).startswith(place)


def test_every_parameter_counts() -> None:
    strange = ["6/8", "3/0", "-101", "1e1000000000", "0.75", " 3/4", 0.75, "", True, None, [], "9" * 5000]
    for name, value in product(parameters("1", "0", "0", "1"), strange):
        plain = table("none")
        plain["channels"][0]["parameters"][name] = value
        assert refused(sealed(plain)).startswith("channel 0")


def test_malformed_text_is_one_line() -> None:
    good = sealed(table("none"))
    texts = ["", "[]", "0", "null", "{}", "[" * 100000, '{"a":' * 100000, "NaN", "9" * 5000, "\x00\x7f\ud800", '"xxx']
    texts += [good.replace("256", "NaN"), good.replace("256", "1e999"), good.replace("-177", "-177.0")]
    texts += [good.replace('"version": 1', '"version": 1, "version": 1'), json.dumps(table("none"))]
    texts += [sealed(table("none") | {"channels": []}), sealed(table("none") | {"channels": {}})]
    for text in texts:
        refused(text)


def test_the_checker_stands_alone_and_is_short() -> None:
    source = CHECKER.read_text(encoding="utf-8")
    tree = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    names |= {"." * node.level + str(node.module) for node in tree if isinstance(node, ast.ImportFrom)}
    assert {"json", "fractions"} <= names <= sys.stdlib_module_names
    assert len(source.splitlines()) < 150


def test_run_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(sealed(table("shift")))
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe")
    how: Any = {"cwd": tmp_path, "capture_output": True, "text": True}
    names = ("good.json", "bad.json", "none.json")
    runs = [subprocess.run([sys.executable, "-I", str(CHECKER), name], check=False, **how) for name in names]
    assert [run.returncode for run in runs] == [0, 7, 7]
    assert runs[0].stdout == "accepted: 4 channels, 45 thresholds, shared shift 8\n"
    assert [(run.stdout, run.stderr.count("\n")) for run in runs[1:]] == [("", 1), ("", 1)]
