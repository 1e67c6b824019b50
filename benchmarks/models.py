"""Speed of whole models as ratios measured in one run: python benchmarks/models.py [name ...]

run: ResNet-8 (shared/data/mlperf_tiny) on 100 samples at once, per inference, against LiteRT in its three modes on one
thread and on all. load: a .tflite file of 277 kB to a graph. trace: `refq trace` on 100 random inputs in a fresh
process, everything compiled in it; that one is a time and no ratio.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from bench import main, seconds, warm

from refq.graphs import prepare
from refq.graphs import run as run_graph
from refq.importers import read_tflite

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mlperf_tiny"
SAMPLES, ROUNDS = 100, 7
MODES = {
    "litert-reference": OpResolverType.BUILTIN_REF,
    "litert-builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "litert-xnnpack": OpResolverType.AUTO,
}


def interpreter(content: bytes, mode: str, threads: int) -> Interpreter:
    made = Interpreter(model_content=content, experimental_op_resolver_type=MODES[mode], num_threads=threads)
    made.allocate_tensors()
    return made


def each(runtime: Interpreter, samples: np.ndarray) -> None:
    """One inference a sample."""
    place = runtime.get_input_details()[0]["index"]
    for sample in samples:
        runtime.set_tensor(place, sample[None])
        runtime.invoke()


def run() -> None:
    """Per inference: the golden under each profile, and the mode that it equals."""
    content = (DATA / "resnet8_int8.tflite").read_bytes()
    x = np.random.default_rng(20261122).integers(-128, 128, (SAMPLES, 32, 32, 3)).astype(np.int8)
    graph = read_tflite(content)
    golden = {mode: prepare(graph, mode) for mode in MODES}
    runtimes = [(m, n, interpreter(content, m, n)) for m in MODES for n in sorted({1, os.cpu_count() or 1})]
    actions = [lambda g=g: run_graph(g, x) for g in golden.values()]
    actions += [lambda r=r: each(r, x) for _, _, r in runtimes]
    warm(*actions)
    times = [[seconds(action) for action in actions] for _ in range(ROUNDS)]
    for place, mode in enumerate(golden):
        print(f"run ResNet-8 under {mode:17} {median(t[place] for t in times) / SAMPLES * 1e3:6.3f} ms an inference")
    for place, (mode, threads, _) in enumerate(runtimes, len(golden)):
        taken = median(t[place] for t in times) / SAMPLES
        ratios = "  ".join(f"{median(t[place] / t[i] for t in times):5.1f} x" for i in range(len(golden)))
        name = f"{mode}, {threads} thread{'s' * (threads > 1)}"
        print(f"{name:28} {taken * 1e3:6.3f} ms; its time over the golden's: {ratios}")


def load() -> None:
    """The same bytes again and again, and the first time in a fresh process."""
    content = (DATA / "ad01_int8.tflite").read_bytes()
    warm(lambda: read_tflite(content))
    taken = median(seconds(lambda: read_tflite(content)) for _ in range(15))
    print(f"load {len(content)} bytes: {taken * 1e3:.1f} ms")


def trace() -> None:
    """The command itself, as a user starts it."""
    for backend, profile in (("litert-builtin", "litert-builtin"), ("litert-builtin", "litert-reference")):
        words = ["--backend", backend, "--profile", profile, "--random", str(SAMPLES), "--seed", "1"]
        command = [str(Path(sys.executable).with_name("refq")), "trace", str(DATA / "resnet8_int8.tflite"), *words]
        start = time.perf_counter()
        code = subprocess.run(command, capture_output=True, check=False).returncode
        print(f"trace {backend} under {profile}: {time.perf_counter() - start:.1f} s, exit code {code}")


if __name__ == "__main__":
    main({"run": run, "load": load, "trace": trace}, sys.argv[1:])
