"""The command as a user runs it: output, JSON, exit codes, one-line errors."""

import json
import subprocess
import sys

import pytest
from command import answer, process, refq

ISSUE_102943 = "0.05296124517917633*0.024093778803944588/0.11484327912330627"


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, verify.cli; print([m for m in ('numpy', 'numba', 'rich', 'onnx', 'refq') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert process("--help").returncode == 0


def test_list_has_backends_ops_and_rules() -> None:
    record = answer("list")
    assert {"onnxruntime", "onnx-reference", "litert", "litert-builtin", "litert-reference"} == {
        b["name"] for b in record["backends"]
    }
    assert "gemmlowp_double" in [r["name"] for r in record["rules"]]
    assert "CONV_2D" in record["ops"]
    assert "gemmlowp_double" in refq("list").stdout


def test_explain_the_scales_of_tensorflow_102943() -> None:
    record = answer("explain", "--acc", "585", "--scale", ISSUE_102943, "--zero-point", "-126")
    rules = {r["rounding"]: r for r in record["rules"]}
    assert rules["float32_ties_even"]["rounded"] == 6
    assert rules["gemmlowp_double"]["rounded"] == rules["single_up"]["rounded"] == rules["double_up"]["rounded"] == 7
    steps = {s["what"]: s["value"] for s in rules["float32_ties_even"]["steps"]}
    assert steps["product as float32"] == "13/2"
    assert "float32_ties_even/float32_product/after" in record["agree"]["-120"]
    assert "gemmlowp_double/double_product/after" in record["agree"]["-119"]


def test_explain_reads_the_float32_pattern_and_the_multiplier() -> None:
    pattern = answer("explain", "--acc", "585", "--scale", "0x3c360b61", "--rule", "float32_ties_even")
    assert pattern["rules"][0]["rounded"] == 6
    fixed = answer("explain", "--acc", "585", "--multiplier", "1527099593", "--shift", "37", "--rule", "double_up")
    assert fixed["rules"][0]["rounded"] == 7
    assert fixed["exact"] == str(585 * 1527099593) + "/137438953472"


def test_explain_says_why() -> None:
    text = refq("explain", "--acc", "585", "--scale", ISSUE_102943, "--zero-point", "-126", "--steps").stdout
    assert "product as float32: 6.5" in text
    assert "6.5, a tie" in text
    assert "rounded, ties_even: 6" in text
    assert "rounded, ties_away: 7" in text


def test_diff_counts_exactly() -> None:
    words = ("diff", "single_up", "gemmlowp_double", "--multiplier", "1518500250", "--shift", "44")
    done = refq(*words, "--json")
    record = json.loads(done.stdout)
    assert done.returncode == 1
    assert (record["count"], record["first"], record["last"]) == (182, -1465532, 1465532)
    assert len(record["intervals"]) == 182
    assert "182 differences on -2147483648..2147483647" in refq(*words).stdout


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("tosa_scale32_double", "gemmlowp_double"),
        ("tosa_scale32_single", "single_up"),
        ("qnnpack_q31/float32_product", "gemmlowp_double/float32_product"),
    ],
)
def test_diff_proves_equality(left: str, right: str) -> None:
    done = refq("diff", left, right, "--scale", ISSUE_102943)
    assert done.returncode == 0
    assert "PROVED equal" in done.stdout


def test_diff_of_a_domain() -> None:
    record = answer("diff", "single_up", "gemmlowp_double", "--scale", "0.0014402703931", "--domain", "0..9000")
    assert record["count"] == len([i for i in record["intervals"] if i["first"] == i["last"]]) > 0


def test_identify_json_has_the_documented_shape() -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install 'refq[litert]'")
    done = refq("identify", "litert-builtin", "--op", "FULLY_CONNECTED", "--json")
    record = json.loads(done.stdout)
    assert done.returncode == 0
    assert set(record["backend"]) == {"name", "version"}
    [op] = record["ops"]
    assert op["op"] == "FULLY_CONNECTED"
    [found] = op["consistent"]
    assert (found["rounding"], found["scale"], found["zero_point"]) == ("double_up", "mixed_product", "after")
    assert op["strength"] == "PROVED monotone"
    excluded = op["excluded"]["gemmlowp_double/mixed_product/after"]
    assert excluded["got"] != excluded["expected"]
    assert isinstance(op["probes"], int)


def test_identify_shows_the_excluding_inputs() -> None:
    done = refq("identify", "boxes:honest", "--op", "CONV_2D", "--details")
    assert done.returncode == 0
    assert "double_up/double_product/after" in done.stdout
    assert "gemmlowp_double/double_product/after" in done.stdout
    assert "refq explain --acc" in done.stdout.replace("\n", " ")


def test_verify_conforms_and_differs() -> None:
    good = refq("verify", "boxes:honest", "--op", "CONV_2D", "--rule", "double_up")
    assert (good.returncode, "conforms, PROVED monotone, 0 of" in good.stdout) == (0, True)
    bad = refq("verify", "boxes:honest", "--op", "CONV_2D", "--rule", "gemmlowp_double", "--errors", "2")
    assert bad.returncode == 1
    assert "differs" in bad.stdout
    assert len([line for line in bad.stdout.splitlines() if "=>" in line]) == 2


def test_a_rule_without_product_takes_the_usual_one() -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'refq[onnxruntime]'")
    record = answer("verify", "onnxruntime", "--op", "QLinearConv", "--rule", "float32_ties_even")
    [op] = record["ops"]
    assert (op["conforms"], op["rule"]["scale"], op["strength"]) == (True, "float32_product", "PROVED monotone")


USAGE = [
    (("identify", "nope"), "backend='nope' is unknown; legal: onnxruntime,"),
    (("identify", "onnxruntime", "--op", "Conv"), "op='Conv' is unknown to onnxruntime; legal: QLinearConv"),
    (("verify", "onnxruntime", "--rule", "half_up"), "'half_up'; legal there: gemmlowp_double"),
    (("verify", "onnxruntime", "--rule", "double_up/float16"), "'float16'; legal there: float32_product"),
    (("explain", "--acc", "1.5", "--scale", "1"), "'1.5' is not a valid integer"),
    (("explain", "--acc", "1", "--scale", "0"), "value=0.0 is not positive"),
    (("explain", "--acc", "1", "--scale", "-1"), "value=-1.0 is not positive"),
    (("explain", "--acc", "1", "--scale", "nan"), "value=nan is not finite"),
    (("explain", "--acc", "1", "--scale", "inf"), "value=inf is not finite"),
    (("explain", "--acc", "1", "--scale", "1e-40"), "below 2**-126"),
    (("explain", "--acc", "1", "--scale", "a quarter"), "scale='a quarter' is not a number; write 0.25, 1/4"),
    (("explain", "--acc", "1", "--scale", "1/0"), "scale='1/0' is not a number"),
    (("explain", "--acc", "1"), "give --scale"),
    (("explain", "--acc", "1", "--multiplier", "3"), "--multiplier and --shift go together"),
    (("explain", "--acc", "1", "--multiplier", "3", "--shift", "63"), "shift=63 is outside 0..62"),
    (("explain", "--acc", "1", "--multiplier", str(2**40), "--shift", "1"), f"multiplier={2**40} is outside"),
    (("explain", "--acc", "1", "--scale", "1", "--zero-point", "128"), "zero_point=128 is outside -128..127"),
    (("explain", "--acc", "1", "--scale", "1", "--format", "int99"), "bits=99 is outside 1..64"),
    (("explain", "--acc", "1", "--scale", "1", "--format", "float8"), "text='float8' is no format name"),
    (("explain", "--acc", str(2**70), "--scale", "1"), f"acc={2**70} is outside"),
    (("diff", "double_up", "foo", "--scale", "1"), "'foo'; legal there: gemmlowp_double"),
    (("diff", "double_up", "single_up", "--scale", "1", "--domain", "1-5"), "domain='1-5' is not FIRST..LAST"),
    (
        ("diff", "double_up", "single_up", "--scale", "1", "--domain", f"0..{2**40}"),
        "is outside -2147483648..2147483647",
    ),
    (("identify", "onnxruntime", "--timeout", "-1"), "--timeout=-1 is no time to wait"),
    (("verify", "onnxruntime", "--rule", "double_up", "--errors", "-1"), "-1 is not in the range x>=0"),
    (("verify", "onnxruntime"), "Missing option '--rule'"),
    (("diff", "exact_ties_even", "double_up", "--scale", "1/4", "--format", "int32"), "fmt.bits=32 is outside 1..16"),
    (("diff", "double_up", "single_up", "--scale", "1e9"), "wraps 1073741824 times"),
    (("frobnicate",), "No such command 'frobnicate'"),
]


@pytest.mark.parametrize(("words", "message"), USAGE, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_bad_input_is_one_line_and_exit_4(words: tuple[str, ...], message: str) -> None:
    done = refq(*words)
    assert done.returncode == 4
    assert done.stdout == ""
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("refq: ")
    assert message in line


def test_a_process_says_the_same() -> None:
    assert process("identify", "nope") == refq("identify", "nope")


def test_nothing_compared_is_exit_5() -> None:
    done = refq("diff", "double_up", "single_up", "--scale", "1/4", "--domain", "5..4")
    assert (done.returncode, done.stderr) == (5, "refq: domain=5..4 is empty; nothing was compared\n")


@pytest.mark.parametrize("box", ["raises", "crashes", "wrong_dtype", "wrong_shape"])
def test_failing_backend_is_exit_6(box: str) -> None:
    done = refq("identify", f"boxes:{box}", "--op", "CONV_2D", "--json")
    assert done.returncode == 6
    [op] = json.loads(done.stdout)["ops"]
    assert op["op"] == "CONV_2D"
    assert f"boxes:{box}" in op["error"]
    assert f"refq: CONV_2D: boxes:{box}" in done.stderr
