"""Speed as ratios measured in one run: python benchmarks/bench.py [name ...]

Every line names its baseline. The two sides of a ratio are interleaved after a second of warm-up, and the
median of the pairwise ratios is printed; absolute figures are medians of the same run.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numba
import numpy as np

import refq

ACC = np.random.default_rng(20260101).integers(-(1 << 31), 1 << 31, 1 << 20).astype(np.int32)
SCALE = refq.FixedScale(1518500250, 44)


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def warm(*actions: Callable[[], object]) -> None:
    """A second of work, so that clocks have risen and kernels are compiled."""
    end = time.perf_counter() + 1.0
    while time.perf_counter() < end:
        for action in actions:
            action()


def against(action: Callable[[], object], baseline: Callable[[], object], rounds: int = 15) -> tuple[float, float]:
    """(median seconds of action, median of baseline / action): over 1, the action is that many times as fast."""
    warm(action, baseline)
    pairs = [(seconds(action), seconds(baseline)) for _ in range(rounds)]
    return median(a for a, _ in pairs), median(b / a for a, b in pairs)


def numpy_double() -> np.ndarray:
    """gemmlowp double rounding in NumPy int64 arithmetic."""
    high = (ACC.astype(np.int64) * SCALE.multiplier + (1 << 30)) >> 31
    shift = SCALE.shift - 31
    return np.clip((high + (1 << (shift - 1)) + (high >> 63)) >> shift, -128, 127).astype(np.int8)


def numpy_float32() -> np.ndarray:
    """float32 multiply, ties to even, in NumPy."""
    scale = np.float32(SCALE.multiplier / 2**SCALE.shift)
    return np.clip(np.rint(ACC.astype(np.float32) * scale), -128, 127).astype(np.int8)


def requantize() -> None:
    """Array requantize, one core, 2**20 int32 accumulators to int8, public function with its checks."""
    baselines = {True: numpy_float32, False: numpy_double}
    for rule in refq.RULES.values():
        name = rule.name
        baseline = baselines[rule.arithmetic != refq.Arithmetic.INTEGER]
        scale = 0.001234 if rule.derivation.value in ("reduced15", "mantissa15", "tosa16") else SCALE
        taken, ratio = against(lambda name=name, scale=scale: refq.requantize(ACC, name, scale), baseline)
        print(f"requantize {name:26} {ACC.size / taken / 1e6:6.0f} M/s   {ratio:5.1f} x {baseline.__name__}")


def channels() -> None:
    """The same with one scale a channel, channels first (planes) and last."""
    scales = [refq.FixedScale(SCALE.multiplier - 7 * c, 44) for c in range(64)]
    acc = ACC.reshape(64, -1)
    for axis, array in ((0, acc), (1, np.ascontiguousarray(acc.T))):
        taken, ratio = against(
            lambda array=array, axis=axis: refq.requantize(array, "gemmlowp_double", scales, axis=axis), numpy_double
        )
        print(
            f"requantize per channel axis {axis}        {ACC.size / taken / 1e6:6.0f} M/s   {ratio:5.1f} x numpy_double"
        )


def staircase() -> None:
    """A staircase of an 8-bit rule; the baseline is the definition's Fractions on 2,048 accumulators."""
    for name in ("gemmlowp_double", "float32_ties_even", "exact_ties_even"):
        rule = refq.RULES[name]
        from refq.spec.requantize import requantize as definition

        def spec(rule: refq.Rule = rule) -> None:
            for x in range(2048):
                definition(x, rule, SCALE, 0, refq.INT8)

        taken, ratio = against(lambda name=name: refq.staircase(name, SCALE), spec, 5)
        print(f"staircase {name:20} {taken * 1e3:6.2f} ms   {ratio:5.0f} x as fast as the definition on 2,048 inputs")


def sweep() -> None:
    """Two rules compared on all 2**32 accumulators, all cores; the baseline is one NumPy pass over 2**22 of them."""
    refq.count_differences("single_up", "gemmlowp_double", SCALE)
    acc = np.arange(-(1 << 21), 1 << 21, dtype=np.int32)

    def numpy_pass() -> int:
        x = acc.astype(np.int64) * SCALE.multiplier
        high = (x + (1 << 30)) >> 31
        double = np.clip((high + (1 << 12) + (high >> 63)) >> 13, -128, 127)
        return int((np.clip((x + (1 << 43)) >> 44, -128, 127) != double).sum())

    pairs = []
    for _ in range(7):
        start = time.perf_counter()
        found = refq.count_differences("single_up", "gemmlowp_double", SCALE)
        taken = time.perf_counter() - start
        pairs.append((taken, seconds(numpy_pass) * 1024 / taken))
    print(f"sweep of 2**32, two rules: {median(p[0] for p in pairs):.2f} s, {found} differences", end="   ")
    print(f"{median(p[1] for p in pairs):.0f} x numpy on one core (scaled from 2**22)")


def command() -> None:
    """Whole processes; the baseline is an interpreter that does nothing."""
    refq_command = str(Path(sys.executable).with_name("refq"))
    nothing = [sys.executable, "-c", "pass"]

    def run(words: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run(words, capture_output=True, check=True)

    taken, ratio = against(run([refq_command, "--help"]), run(nothing), 9)
    print(f"refq --help: {taken:.3f} s, {1 / ratio:.1f} x an empty interpreter")
    empty = median(seconds(run(nothing)) for _ in range(5))
    asked = (("onnxruntime", "QLinearConv"), ("onnxruntime", "QLinearMatMul"), ("litert-builtin", "CONV_2D"))
    for backend, op in asked:
        took = median(seconds(run([refq_command, "identify", backend, "--op", op])) for _ in range(3))
        print(
            f"refq identify {backend} --op {op}, fresh process: {took:.1f} s, {took / empty:.0f} x an empty interpreter"
        )


def identify() -> None:
    """identify_op in a warm process; the baseline is the backend's own time inside it."""
    from verify.backends import find_backend
    from verify.identify import identify_op
    from verify.worker import started

    for name, op in (("onnxruntime", "QLinearConv"), ("onnxruntime", "QLinearMatMul"), ("litert", "CONV_2D")):
        with started(find_backend(name)) as ask:
            identify_op(ask, name, op)
            inside = []

            def timed(*question: object, ask: Callable[..., object] = ask, inside: list[float] = inside) -> object:
                start = time.perf_counter()
                answer = ask(*question)
                inside.append(time.perf_counter() - start)
                return answer

            taken = seconds(lambda timed=timed, name=name, op=op: identify_op(timed, name, op))
        print(f"identify {name} {op}, warm: {taken:.2f} s, {taken / sum(inside):.1f} x the backend's own time in it")


BENCHMARKS = {f.__name__: f for f in (requantize, channels, staircase, sweep, identify, command)}


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def versions() -> str:
    """Packages, processor and threads, one line."""
    packages = f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {numba.__version__}"
    return f"refq {refq.__version__}, {packages}, {processor()}, {numba.config.NUMBA_NUM_THREADS} threads"


def main(benchmarks: dict[str, Callable[[], None]], names: list[str]) -> None:
    """Print versions and processor, then run the named benchmarks, or all."""
    print(versions())
    for wanted in names or benchmarks:
        benchmarks[wanted]()


if __name__ == "__main__":
    main(BENCHMARKS, sys.argv[1:])
