"""Backends of whole models for the tests: golden values from a file, with one planted fault each.

The file that the environment names holds the golden tensors of all samples, and the inputs as "input:NAME"; a call
answers the sample with its inputs, without them the next one.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

STATE: dict[str, Any] = {"calls": 0}
SAMPLES = 6
FAULTY = 4
"""The sample with the fault."""


def _rows(array: Any, place: int) -> Any:
    size = len(array) // SAMPLES
    return array[place * size : (place + 1) * size].copy()


def _next(inputs: Any) -> tuple[int, dict[str, Any]]:
    """The number of the sample and its tensors."""
    if "tensors" not in STATE:
        with np.load(os.environ["REFQ_TRACE_BOX"]) as file:
            STATE["tensors"] = {name: file[name] for name in file.files if ":" not in name}
            STATE["inputs"] = {name[6:]: file[name] for name in file.files if ":" in name}
    place = STATE["calls"]
    STATE["calls"] += 1
    for other in range(SAMPLES) if STATE["inputs"] else ():
        if all(_rows(array, other).tobytes() == inputs[name].tobytes() for name, array in STATE["inputs"].items()):
            place = other
    return place, {n: _rows(array, place) for n, array in STATE["tensors"].items()}


def _with(fault: Callable[[dict[str, Any]], Any]) -> Callable[[bytes, Any], Any]:
    def run(content: bytes, inputs: Any) -> Any:
        place, tensors = _next(inputs)
        if place != FAULTY:
            return tensors
        changed = fault(tensors)
        return tensors if changed is None else changed

    return run


def _flip(tensors: dict[str, Any]) -> None:
    tensors["b"][0, 2, 3, 4] ^= 1


def _float_bit(tensors: dict[str, Any]) -> None:
    tensors["yq_float"].view(np.uint32)[0, 3, 5, 5] ^= 1


def _nan(tensors: dict[str, Any]) -> None:
    tensors["yq_float"][0, 1, 2, 3] = np.nan


def _die(tensors: dict[str, Any]) -> None:
    os.abort()


def _hang(tensors: dict[str, Any]) -> None:
    time.sleep(60)


def _raise(tensors: dict[str, Any]) -> None:
    raise RuntimeError("no kernel for this sample")


def _everywhere(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes, Any], Any]:
    def run(content: bytes, inputs: Any) -> Any:
        return change(_next(inputs)[1])

    return run


def drifts(content: bytes, inputs: Any) -> Any:
    """The fault is in the fifth call, whatever it is asked."""
    tensors = _next(inputs)[1]
    if STATE["calls"] == FAULTY + 1:
        _flip(tensors)
    return tensors


def prints(content: bytes, inputs: Any) -> Any:
    """Noise on stdout and stderr, through Python and below it; and the inputs are spoilt for whoever reads them."""
    print("{not json \x1b[31m", flush=True)
    for stream in (1, 2):
        os.write(stream, b"\xff[bold]\n")
    tensors = _next(inputs)[1]
    for array in inputs.values():
        array[...] = 1
    return tensors


honest = _with(lambda tensors: None)
one_bit, one_float_bit, nan = _with(_flip), _with(_float_bit), _with(_nan)
crashes, hangs, raises = _with(_die), _with(_hang), _with(_raise)
other_shape = _with(lambda t: {**t, "c": t["c"][:, :3]})
wrong_dtype = _everywhere(lambda t: {**t, "c": t["c"].astype(np.int16)})
hides = _everywhere(lambda t: {n: a for n, a in t.items() if n not in ("a", "d")})
outputs_only = _everywhere(lambda t: {"y": t["y"]})
inner_only = _everywhere(lambda t: {n: a for n, a in t.items() if n != "y"})
dates = _everywhere(lambda t: {**t, "c": t["c"].astype("M8[s]")})
shows_nothing = _everywhere(lambda t: {})
shows_unknown = _everywhere(lambda t: {**t, "extra": np.int8([1])})
a_list = _everywhere(list)
