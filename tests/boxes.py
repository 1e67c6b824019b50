"""Backends of our own for the tests: one that follows any rule it is told, and ones that misbehave."""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from refq import IntFormat, Semantics, effective_scale, parse_format, parse_semantics, requantize


def accumulators(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    """The exact integer sums of a one-pixel layer, one a channel (or a row and column of QLinearMatMul)."""
    x = inputs["x"].astype(np.int64) - parameters["input_zero_point"]
    w = inputs["w"].astype(np.int64)
    if op == "QLinearMatMul":
        return x @ w
    products = x.ravel() * w.ravel() if op == "DEPTHWISE_CONV_2D" else w.reshape(len(w), -1) @ x.ravel()
    return products + inputs["bias"]


Requantizer = Callable[[np.ndarray, dict[str, Any], IntFormat], np.ndarray]


def box(requantizer: Requantizer) -> Callable[[str, dict[str, Any], dict[str, Any]], np.ndarray]:
    """A backend with exact sums and the given way to narrow them."""

    def run(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
        fmt = parse_format(parameters["dtype"])
        return requantizer(accumulators(op, parameters, inputs), parameters, fmt)

    return run


def real_scale(parameters: dict[str, Any], semantics: Semantics) -> Any:
    """One factor: the tests' boxes are asked with the same weight scale in every channel."""
    weight = np.ravel(parameters["weight_scale"])[0]
    return effective_scale(parameters["input_scale"], weight, parameters["output_scale"], semantics.scaling)


def following(semantics: Semantics) -> Callable[[str, dict[str, Any], dict[str, Any]], np.ndarray]:
    """A backend that follows a rule exactly."""

    def narrowed(acc: np.ndarray, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
        scale, zero_point = real_scale(parameters, semantics), parameters["output_zero_point"]
        return requantize(acc, semantics.rule, scale, zero_point=zero_point, fmt=fmt)

    return box(narrowed)


def honest(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    return following(parse_semantics("double_up"))(op, parameters, inputs)


def raises(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    raise RuntimeError("no kernel for this op")


def crashes(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    os.abort()


def leaves(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    os._exit(17)


def hangs(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    time.sleep(600)
    raise AssertionError


def wrong_dtype(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    return honest(op, parameters, inputs).astype(np.int16)


def wrong_shape(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    return honest(op, parameters, inputs)[:-1]


def a_list(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> list[int]:
    return honest(op, parameters, inputs).tolist()


def writes_and_dies(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    os.write(2, b"assertion failed: kernel.c:12\n")
    os._exit(3)


not_a_function = 5
