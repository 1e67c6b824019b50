"""One method from float weights to an integer-only network, with everything that is claimed of it counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from refq.networks import IntegerNetwork, NetworkSummary, load, run, save, summary
from verify.digits.comparison import Compared, compare
from verify.digits.data import Digits
from verify.digits.export import export
from verify.digits.float_twin import FloatLayer, float_layers
from verify.digits.frozen import TrainedNet, freeze
from verify.digits.plan import FLOAT, Method
from verify.digits.start import start
from verify.digits.training import Budget, Trained, accuracy, initial, train
from verify.digits.twin import Tensors, run_twin
from verify.failures import UsageError

Progress = Callable[[str, int, int], None]
Record = dict[str, Any]
KINDS = ("FixedPoint", "ShiftForm", "ThresholdForm")
SHOWN = 10
"""Differences of the float32 twin that a record holds, a layer."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Of one method: accuracies of float net, float32 twin, exact twin and integer network; what was compared."""

    method: Method
    accuracies: dict[str, float]
    compared: tuple[Compared, ...]
    float32: tuple[FloatLayer, ...]
    network: IntegerNetwork

    @property
    def differ(self) -> int:
        """Elements of the integer network that are not those of its exact twin."""
        return sum(one.differ for one in self.compared)

    @property
    def unexplained(self) -> int:
        """Of the float32 twin, what no rounding explains; in shift nets, which do not round, every difference."""
        if all(layer.deviation is None for layer in self.float32):
            return sum(layer.differ for layer in self.float32)
        return sum(layer.lost + sum(not one.explained for one in layer.own) for layer in self.float32)


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrix products on one thread: those here are too small to share, and two threads may add in another order."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, import-not-found, unused-ignore]

    with threadpool_limits(1):
        yield


def train_float(data: Digits, budget: Budget, progress: Progress) -> Trained:
    """The float net that every method starts from."""
    return train(FLOAT, initial(), data, budget, progress)


def train_quantized(base: Trained, method: Method, data: Digits, budget: Budget, progress: Progress) -> TrainedNet:
    """A quantized net, trained from the float weights and frozen."""
    return freeze(train(method, start(base, method, data), data, budget, progress))


def examine(base: Trained, net: TrainedNet, test: Digits, progress: Progress) -> Outcome:
    """The integer network on the test samples, every tensor beside its twin's; then the float32 twin beside both."""
    network, twin = export(net), run_twin(net, test.pixels, progress)
    tensors: Tensors = run(network, test.pixels, keep=True)
    right = {"exact_twin": twin["class"], "integer": tensors["class"]}
    accuracies = {"float": accuracy(base, test), "quantized": accuracy(net.trained, test)}
    accuracies |= {name: float((classes == test.labels).mean()) for name, classes in right.items()}
    found = float_layers(net, test.pixels, twin)
    return Outcome(net.method, accuracies, compare(tensors, twin), found, network)


@contextmanager
def _writing(directory: str) -> Iterator[None]:
    """What the file system refuses is a usage error."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"save={directory!r} cannot be written: {error.strerror or error}") from None


def make_directory(directory: str) -> None:
    """Make it, before anything is trained. UsageError where it cannot be, or no file can be made in it."""
    with _writing(directory):
        Path(directory).mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=directory).close()


def save_network(directory: str, outcome: Outcome, test: Digits) -> str:
    """DIRECTORY/METHOD.npz, read back and run again: its classes must be the same. UsageError where it cannot be."""
    path = Path(directory) / f"{outcome.method.name}.npz"
    with _writing(directory):
        save(path, outcome.network)
    again, first = run(load(path), test.pixels), run(outcome.network, test.pixels)
    if not np.array_equal(again, first):
        raise RuntimeError(f"{path} gives other classes than the network that was saved")
    return str(path)


def _layer_record(outcome: Outcome) -> list[Record]:
    """The products of the network with the bits of their operands and of their accumulators."""
    rows = [step for step in summary(outcome.network).steps if step.op in ("conv", "dense")]
    names = ("low", "high", "weight_bits", "input_bits", "accumulator_bits", "products", "multiplications")
    return [{"name": row.name.removesuffix(".acc")} | {name: getattr(row, name) for name in names} for row in rows]


def _float_record(layer: FloatLayer) -> Record:
    shown = [asdict(one) | {"place": list(one.place), "codes": list(one.codes)} for one in layer.own[:SHOWN]]
    counts = {"layer": layer.layer, "codes": layer.codes, "differ": layer.differ, "lost": layer.lost}
    margins = {"largest_deviation": layer.deviation, "nearest_tie": layer.nearest}
    return counts | {"own": len(layer.own), "differences": shown} | margins


def outcome_record(outcome: Outcome, samples: int) -> Record:
    """The outcome as JSON."""
    method, plain = outcome.method, summary(outcome.network)
    serial: NetworkSummary = summary(outcome.network, plain_bits=method.bits)
    requantized = sum(step.multiplications for step in plain.steps if step.op == "requantize")
    forms = [form for step in outcome.network.steps for form in step.forms or ()]
    kinds = {kind: sum(type(form).__name__ == kind for form in forms) for kind in KINDS}
    return {
        "method": method.name,
        "title": method.title,
        "samples": samples,
        "accuracy": outcome.accuracies,
        "compared": sum(one.count for one in outcome.compared),
        "differ": outcome.differ,
        "tensors": [asdict(one) for one in outcome.compared],
        "float32": [_float_record(layer) for layer in outcome.float32],
        "unexplained": outcome.unexplained,
        "layers": _layer_record(outcome),
        "widest_accumulator": plain.accumulator_bits,
        "products": plain.products,
        "multiplications": plain.multiplications,
        "multiplications_bit_serial": serial.multiplications,
        "multiplications_requantize": requantized,
        "forms": kinds,
        "parameter_bytes": plain.parameter_bytes,
    }
