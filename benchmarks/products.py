"""Exact integer products against the runtimes they judge: python benchmarks/products.py [--json] [case ...]

Every row is a ratio of one run: a second of warm-up, both sides interleaved, medians. The right operand (the weights)
is packed beforehand on both sides; packing of the left one is on the clock, as is the int64 result.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from statistics import median

import numpy as np
from bench import seconds, versions, warm
from ceiling import popcounts_per_second
from onnx_products import conv_integer, evaluator_conv, matmul_integer

from refq import bind, conv, gemm, prepare
from refq.encodings import parse_encoding

Row = dict[str, str | float]
Action = Callable[[], object]
SIZE = (1024, 4096, 1024)


def values(name: str, shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """Codes of an encoding, uniform, in 8 bits."""
    encoding = parse_encoding(name)
    dtype, step = np.uint8 if encoding.minimum >= 0 else np.int8, abs(encoding.plane_weights[0])
    steps = np.random.default_rng(seed).integers(0, (encoding.maximum - encoding.minimum) // step + 1, shape)
    return (steps * step + encoding.minimum).astype(dtype)


def _repeated(action: Action, duration: float) -> list[float]:
    taken, end = [seconds(action)], time.perf_counter() + duration
    while time.perf_counter() < end:
        taken.append(seconds(action))
    return taken


def block(action: Action) -> float:
    """Seconds of an action: the median of a tenth of a second of them.

    Before, a pause in which threads that the other side left spinning go to sleep (ONNX Runtime's take some 60 ms),
    and a little work to wake our own.
    """
    time.sleep(0.15)
    _repeated(action, 0.02)
    return median(_repeated(action, 0.1))


def row(case: str, path: str, baseline: str, work: float, ours: Action, theirs: Action, rounds: int = 9) -> Row:
    """`work` products by each side; ratio over 1: ours is that many times as fast.

    Blocks of a tenth of a second alternate.
    """
    warm(ours, theirs)
    pairs = [(block(ours), block(theirs)) for _ in range(rounds)]
    return {
        "case": case,
        "path": path,
        "baseline": baseline,
        "ours_per_s": work / median(a for a, _ in pairs),
        "baseline_per_s": work / median(b for _, b in pairs),
        "ratio": median(b / a for a, b in pairs),
    }


def product(left: str, right: str, size: tuple[int, int, int], path: str) -> tuple[Action, str]:
    """Our product of random codes, and the path it takes."""
    m, k, n = size
    weights = prepare(values(right, (k, n), 2), rhs_format=right)
    a = values(left, (m, k))
    _, choice = gemm(a, weights, lhs_format=left, path=path, explain=True)
    layer = bind(weights, lhs_format=left, path=path, dtype="int32")
    return lambda: layer(a), choice.path


def against_onnxruntime(left: str, right: str, size: tuple[int, int, int], path: str, theirs: str = "uint8") -> Row:
    """The baseline multiplies 8 bits by 8 bits, whatever our widths."""
    m, k, n = size
    ours, taken = product(left, right, size, path)
    baseline = matmul_integer(values(theirs, (m, k)), values("int8", (k, n), 2))
    name = f"{left} x {right} {m} x {k} x {n}"
    return row(name, taken, f"onnxruntime {theirs} x int8", m * k * n, ours, baseline)


def one_bit() -> Iterator[Row]:
    """One bit by one bit; the bound is that of and + popcount + add on two ports, from the popcount ceiling."""
    yield against_onnxruntime("uint1", "uint1", SIZE, "auto")
    yield against_onnxruntime("bipolar", "bipolar", SIZE, "auto")
    work = SIZE[0] * SIZE[1] * SIZE[2]
    for path in ("popcount", "subsets"):
        yield against_onnxruntime("uint1", "uint1", SIZE, path)
        ours, _ = product("uint1", "uint1", SIZE, path)
        yield against_bound(f"uint1 x uint1 {SIZE[0]} x {SIZE[1]} x {SIZE[2]}", path, work, 1, ours)


def against_bound(case: str, path: str, work: float, planes: int, ours: Action) -> Row:
    """The share of the bound: two thirds of the popcounts a second, 512 products each, for each pair of planes."""
    warm(ours)
    pairs = [(work / block(ours), popcounts_per_second() * 512 * 2 / 3 / planes) for _ in range(9)]
    return {
        "case": case,
        "path": path,
        "baseline": "bound: 2/3 of the popcount ceiling",
        "ours_per_s": median(a for a, _ in pairs),
        "baseline_per_s": median(b for _, b in pairs),
        "ratio": median(a / b for a, b in pairs),
    }


def two_bits() -> Iterator[Row]:
    """Two bits by two bits."""
    yield against_onnxruntime("uint2", "uint2", SIZE, "auto")
    yield against_onnxruntime("int2", "uint2", SIZE, "auto")
    ours, taken = product("uint2", "uint2", SIZE, "popcount")
    yield against_onnxruntime("uint2", "uint2", SIZE, "popcount")
    yield against_bound("uint2 x uint2", taken, SIZE[0] * SIZE[1] * SIZE[2], 4, ours)


def eight_bits() -> Iterator[Row]:
    """int8 on the large size and on small ones."""
    for left in ("uint8", "int8"):
        yield against_onnxruntime(left, "int8", SIZE, "auto", left)
    for n in (64, 128, 256, 512):
        yield against_onnxruntime("uint8", "int8", (n, n, n), "auto")
    yield from against_torch()


def against_torch() -> Iterator[Row]:
    """PyTorch's int8 x int8, where it is installed."""
    if find_spec("torch") is None:
        return
    import torch

    m, k, n = SIZE
    a, b = (torch.from_numpy(values("int8", shape, seed)) for shape, seed in (((m, k), 1), ((k, n), 2)))
    for left in ("int8", "uint1"):
        ours, path = product(left, left, SIZE, "auto")
        name = f"{left} x {left} {m} x {k} x {n}"
        yield row(name, path, f"torch {torch.__version__} _int_mm", m * k * n, ours, lambda: torch._int_mm(a, b))


def numpy_products() -> Iterator[Row]:
    """NumPy on the same values; its floats are exact here by luck or by bound, its int64 always."""
    m, k, n = SIZE
    ours, path = product("uint8", "int8", SIZE, "auto")
    a, b = values("uint8", (m, k)), values("int8", (k, n), 2)
    for dtype, rounds in ((np.float32, 7), (np.float64, 5)):
        x, y = a.astype(dtype), b.astype(dtype)
        name = f"uint8 x int8 {m} x {k} x {n}"
        yield row(name, path, f"numpy {dtype.__name__}", m * k * n, ours, lambda x=x, y=y: x @ y, rounds)
    small = (128, 512, 128)
    ours, path = product("uint8", "int8", small, "auto")
    x, y = (values(kind, shape, 3).astype(np.int64) for kind, shape in (("uint8", small[:2]), ("int8", small[1:])))
    yield row("uint8 x int8 128 x 512 x 128", path, "numpy int64", 128 * 512 * 128, ours, lambda: x @ y, 5)


def convolution() -> Iterator[Row]:
    """3 x 3, 64 -> 64 channels, 56 x 56."""
    work = 56 * 56 * 64 * 64 * 9
    image, kernels = values("uint8", (1, 64, 56, 56)), values("int8", (64, 64, 3, 3), 2)
    # ONNX Runtime's convolution of uint8 x uint8 is several times as fast as that of uint8 x int8
    theirs = {
        "uint8 x int8": conv_integer(image, kernels),
        "uint8 x uint8": conv_integer(image, kernels.view(np.uint8)),
    }
    slow = evaluator_conv(image, kernels)
    for layout, shape, kernel in (("NHWC", (1, 56, 56, 64), (64, 3, 3, 64)), ("NCHW", (1, 64, 56, 56), (64, 64, 3, 3))):
        for left, right in (("uint8", "int8"), ("int8", "int8"), ("uint1", "uint1")):
            x, w = values(left, shape), values(right, kernel, 2)
            arguments = {"layout": layout, "padding": 1, "input_format": left, "weight_format": right}
            _, choice = conv(x, w, explain=True, **arguments)

            def ours(x: np.ndarray = x, w: np.ndarray = w, arguments: dict[str, object] = arguments) -> object:
                return conv(x, w, **arguments)

            name = f"conv {left} x {right} {layout}"
            for kind, baseline in theirs.items():
                yield row(name, choice.path, f"onnxruntime ConvInteger {kind}", work, ours, baseline)
            if left == "uint8" and layout == "NCHW":
                yield row(name, choice.path, "onnx reference evaluator", work, ours, slow, 3)


def scaling() -> Iterator[Row]:
    """One side of 512 x 512 x 512 from 2**6 to 2**13; the baseline is the cost of 2**13 in proportion."""
    for left, right, path in (("uint8", "int8", "int8"), ("uint1", "uint1", "auto")):
        for axis, letter in enumerate("MKN"):
            sizes = [tuple(1 << p if i == axis else 512 for i in range(3)) for p in range(13, 5, -1)]
            whole, _ = product(left, right, sizes[0], path)
            work = float(np.prod(sizes[0], dtype=float))
            for size in sizes:
                ours, taken = product(left, right, size, path)
                found = row(
                    f"{left} x {right} {letter} = {size[axis]}", taken, f"{letter} = 8192", work, ours, whole, 5
                )
                share = size[axis] / 8192
                mine = float(found["ours_per_s"]) * share
                yield found | {"ours_per_s": mine, "ratio": float(found["ratio"]) * share}


CASES = {f.__name__: f for f in (one_bit, two_bits, eight_bits, numpy_products, convolution, scaling)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="default: all")
    options = parser.parse_args()
    print(json.dumps({"versions": versions()}) if options.json else versions())
    for name in options.cases or CASES:
        for found in CASES[name]():
            if options.json:
                print(json.dumps(found), flush=True)
                continue
            rates = f"{float(found['ours_per_s']) / 1e9:7.1f} {float(found['baseline_per_s']) / 1e9:7.1f} G/s"
            print(
                f"{found['case']:34} {found['path']:9} {rates} {found['ratio']:6.2f} x {found['baseline']}", flush=True
            )


if __name__ == "__main__":
    main()
