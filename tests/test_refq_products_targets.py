"""Processors without AVX-512, AVX2 or VNNI: the same code compiled for them gives the same integers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from products_digest import digests

TARGETS = {
    "generic": (128, {"NUMBA_CPU_NAME": "generic"}),
    "haswell": (256, {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+popcnt,+fma"}),
    "skylake-avx512": (
        512,
        {
            "NUMBA_CPU_NAME": "skylake-avx512",
            "NUMBA_CPU_FEATURES": "+avx,+avx2,+popcnt,+fma,+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512cd",
        },
    ),
}


def able(name: str) -> bool:
    """Whether this processor can run code for the target."""
    flags = Path("/proc/cpuinfo")
    words = flags.read_text().split() if flags.exists() else []
    wanted = TARGETS[name][1].get("NUMBA_CPU_FEATURES", "").split(",")
    return all(word.removeprefix("+") in words for word in wanted if word)


@pytest.fixture(scope="module")
def ours():
    return digests()


@pytest.mark.parametrize(
    "name", ["generic", *(pytest.param(n, marks=pytest.mark.sweep) for n in TARGETS if n != "generic")]
)
def test_other_targets_give_the_same_integers(name, ours):
    if not able(name):
        pytest.skip(f"this processor cannot run code for {name}")
    bits, variables = TARGETS[name]
    script = Path(__file__).with_name("products_digest.py")
    run = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = json.loads(run.stdout)
    assert found["vector_bits"] == bits
    assert found["digests"] == ours
    all_of_them = {tuple(ours[path]) for path in ("popcount", "subsets", "float64", "int64")}
    assert len(all_of_them) == 1
    assert {path: ours[path][0] for path in ("int64", "int8", "int16")} == {"int64": 70, "int8": 50, "int16": 65}
