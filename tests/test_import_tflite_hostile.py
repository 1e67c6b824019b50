"""Files cut off, damaged at random, and built to take memory: refused or read, quickly, in bounded memory."""

import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from time import process_time

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from model_zoo import pool_net, streaming_net
from tflite_models import O, T, model

from refq.importers import limits, tflite_tensors
from refq.importers.limits import ModelRejectedError
from refq.importers.tflite import read_tflite

CONTENT = pool_net()
SECONDS = 1.0
"""Of processor time: the wall clock of a busy machine says nothing."""


def outcome(content):
    """ "read" or the reason without its numbers; anything but a rejection is a failure of the importer."""
    start = process_time()
    found = "read"
    try:
        read_tflite(content)
    except ModelRejectedError as error:
        found = str(error)
    assert process_time() - start < SECONDS
    assert "\n" not in found
    return found


@pytest.mark.parametrize(("content", "step"), [(CONTENT, 7), (streaming_net(2, 3, 4, 3), 97)])
def test_every_file_that_is_cut_off_is_refused(content, step):
    found = Counter(outcome(content[:size]) for size in range(0, len(content), step))
    assert found.total() == -(-len(content) // step) > 50
    assert "read" not in found


def damaged(kind, rng):
    """A copy with some bits flipped, bytes replaced, or one 32-bit number set to a telling value."""
    content = np.frombuffer(CONTENT, np.uint8).copy()
    places = rng.integers(0, content.size, rng.integers(1, 4))
    if kind == "bits":
        content[places] ^= (1 << rng.integers(0, 8, places.size)).astype(np.uint8)
    elif kind == "bytes":
        content[places] = rng.integers(0, 256, places.size)
    else:
        value = rng.choice([-1, 0, 1, 4, 127, 1 << 16, 1 << 20, 2**31 - 1, -(2**31), content.size])
        start = places[0] // 4 * 4
        content[start : start + 4] = np.frombuffer(np.int32(value).tobytes(), np.uint8)[: content.size - start]
    return content.tobytes()


@pytest.mark.parametrize("kind", ["bits", "bytes", "numbers"])
def test_damage_at_random_is_refused_or_harmless(kind):
    rng = np.random.default_rng(sum(map(ord, kind)))
    found = Counter(outcome(damaged(kind, rng)) == "read" for _ in range(1000))
    assert found[False] > 100
    assert found[True] > 50


def packed(whole):
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def opened(content):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


class Once:
    """An object of the file that is written once and then pointed at again."""

    def __init__(self, whole):
        self.whole, self.place = whole, None

    def Pack(self, builder):  # noqa: N802
        self.place = self.whole.Pack(builder) if self.place is None else self.place
        return self.place


def chain(count):
    """Many tensors, one operator between two of them."""
    tensors = [T(f"t{i}", (1, 4), scale=0.5) for i in range(count + 1)]
    operators = [O("RELU", [f"t{i}"], [f"t{i + 1}"]) for i in range(count)]
    return tensors, operators


def test_one_vector_of_scales_for_many_tensors():
    """4 MiB of scales, said to belong to each of 300 tensors, would take 3.6 GB."""
    size = 1 << 20
    tensors, operators = chain(300)
    whole = opened(model(tensors, operators, ["t0"], ["t300"]))
    shared = whole.subgraphs[0].tensors[0].quantization
    shared.scale, shared.zeroPoint = np.ones(size, np.float32), np.zeros(size, np.int64)
    shared = Once(shared)
    for tensor in whole.subgraphs[0].tensors:
        tensor.shape, tensor.quantization = np.array([size, 1], np.int32), shared
    _refused_in_bounds(packed(whole), "scales up to here", 64 << 20)


def test_one_buffer_for_many_constants(monkeypatch):
    """1 MiB, said to be the values of each of 300 tensors, against a cap of 16 MiB."""
    monkeypatch.setattr(limits, "MOST_CONSTANT_BYTES", 1 << 24)
    tensors, operators = chain(300)
    tensors += [T(f"c{i}", data=np.zeros(1 << 20, np.int8)) for i in range(2)]
    whole = opened(model(tensors, operators, ["t0"], ["t300"]))
    graph = whole.subgraphs[0]
    for tensor in graph.tensors[:300]:
        tensor.shape, tensor.buffer, tensor.quantization = np.array([1 << 20], np.int32), graph.tensors[-1].buffer, None
    _refused_in_bounds(packed(whole), "bytes of constants up to here", 24 << 20)


def test_one_long_name_for_many_tensors(monkeypatch):
    monkeypatch.setattr(limits, "MOST_NAMES", 1 << 18)
    tensors, operators = chain(100)
    whole = opened(model(tensors, operators, ["t0"], ["t100"]))
    for tensor in whole.subgraphs[0].tensors:
        tensor.name = b"n" * limits.MOST_NAME
    _refused_in_bounds(packed(whole), "characters of names", 8 << 20)


def test_too_many_tensors_and_operators(monkeypatch):
    tensors, operators = chain(40)
    content = model(tensors, operators, ["t0"], ["t40"])
    for name, what in (
        ("MOST_TENSORS", "41 tensors"),
        ("MOST_NODES", "40 operators"),
        ("MOST_LINKS", "18 connections"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(limits, name, 16)
            _refused_in_bounds(content, f"{what}; a model may have 16", 1 << 20)


def test_as_many_as_a_model_may_have_and_a_fault_at_the_end():
    """The most expensive file: everything is read before the last operator turns out to be wrong."""
    tensors, operators = chain(limits.MOST_NODES - 1)
    tensors.append(T("last", (1, 5), scale=0.5))
    operators.append(O("RELU", [tensors[-2].name], ["last"]))
    content = model(tensors, operators, ["t0"], ["last"])
    start = process_time()
    with pytest.raises(ModelRejectedError, match=r"declares \(1, 5\)"):
        read_tflite(content)
    assert process_time() - start < SECONDS


def _refused_in_bounds(content, words, most):
    read_tflite(CONTENT)
    tracemalloc.start()
    start = process_time()
    with pytest.raises(ModelRejectedError, match=words):
        read_tflite(content)
    seconds, peak = process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < SECONDS
    assert peak < most + len(content)


CHILD = """
import resource, sys
sys.path[:0] = {paths!r}
from test_import_tflite_hostile import CONTENT, damaged, outcome
import numpy as np
read = outcome(CONTENT)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), used + (64 << 20)))
rng = np.random.default_rng(97)
found = [outcome(damaged(kind, rng)) for kind in ("bits", "bytes", "numbers") for _ in range(100)]
print(read, len(found), sum(word == "read" for word in found) < 250)
"""


def test_damaged_files_in_a_process_without_memory():
    """64 MiB more than the interpreter takes are enough for every one of 300 damaged files."""
    paths = [str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(paths=paths)], check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.split()) == (0, ["read", "300", "True"]), done.stderr[-2000:]


def test_the_stated_memory_holds_for_the_largest_constants(monkeypatch):
    """Codes of 4 bits take the most: 8 MiB of a file become 16 MiB, and no more than half as much beside them."""
    codes = np.zeros((1 << 14, 1 << 10), np.int8)
    tensors = [
        T("x", (1, 1 << 10), scale=0.5),
        T("w", codes.shape, "int4", 0.5, data=codes),
        T("y", (1, 1 << 14), scale=0.5),
    ]
    content = model(tensors, [O("FULLY_CONNECTED", ["x", "w"], ["y"], "FullyConnectedOptions")], ["x"], ["y"])
    read_tflite(CONTENT)
    tracemalloc.start()
    graph = read_tflite(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert graph.tensors["w"].data.nbytes == codes.size
    assert peak < 2 * codes.size
    assert limits.MOST_FILE_BYTES + 2 * limits.MOST_CONSTANT_BYTES <= limits.MOST_MEMORY
    assert set(tflite_tensors.STORED).isdisjoint(tflite_tensors.HALVES)
