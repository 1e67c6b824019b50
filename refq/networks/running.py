"""An integer network on arrays: whole batches through the golden kernels, no float from input codes to class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer_array
from refq.batchnorm.layout import smallest_dtype
from refq.encodings import Kind, parse_encoding
from refq.networks.checks import check
from refq.networks.records import INPUT, IntegerNetwork, Step, pads
from refq.networks.requantizing import apply_forms
from refq.products.bitplanes import refuse, some_illegal
from refq.products.bound import bind as bind_product
from refq.products.conv import conv

Tensors = dict[str, NDArray[Any]]
Function = Callable[..., NDArray[Any]]


def _bias(step: Step) -> NDArray[np.int64] | None:
    return None if step.bias is None else step.bias.copy()


def _conv(step: Step) -> Function:
    """Padded taps add 0, also where the codes are odd and have no 0."""
    odd = parse_encoding(step.input_format).kind is Kind.ODD
    return partial(
        _convolved, weights=np.array(step.weights), bias=_bias(step), stride=step.stride, padding=pads(step),
        input_format=step.input_format, weight_format=step.weight_format, padding_value=0 if odd else None,
    )  # fmt: skip


def _convolved(x: NDArray[Any], **arguments: Any) -> NDArray[Any]:
    result: NDArray[np.int64] = conv(x, **arguments)
    return result


def _dense(step: Step) -> Function:
    """The weights are packed once."""
    weights = np.array(step.weights).T
    return bind_product(weights, lhs_format=step.input_format, rhs_format=step.weight_format, bias=_bias(step))


def _requantize(step: Step) -> Function:
    assert step.forms is not None
    forms = step.forms
    return lambda acc, residual=None: apply_forms(acc, forms, residual)


def _add(step: Step) -> Function:
    assert step.qmin is not None
    assert step.qmax is not None
    low, high = step.qmin, step.qmax
    dtype = smallest_dtype([(low, high)])
    return lambda x, y: np.clip(x.astype(np.int64) + y.astype(np.int64), low, high).astype(dtype)


def _maxpool(step: Step) -> Function:
    assert step.pool is not None
    return partial(_pooled, pool=step.pool)


def _pooled(x: NDArray[Any], pool: int) -> NDArray[Any]:
    n, rows, columns, channels = x.shape[0], x.shape[1] // pool, x.shape[2] // pool, x.shape[3]
    whole = x[:, : rows * pool, : columns * pool]
    result: NDArray[Any] = whole.reshape(n, rows, pool, columns, pool, channels).max(axis=(2, 4))
    return result


def _flatten(step: Step) -> Function:
    return lambda x: x.reshape(x.shape[0], x.shape[1] * x.shape[2] * x.shape[3])


def _argmax(step: Step) -> Function:
    return lambda x: np.argmax(x, axis=1)


FUNCTIONS: dict[str, Callable[[Step], Function]] = {
    "conv": _conv,
    "dense": _dense,
    "requantize": _requantize,
    "add": _add,
    "maxpool": _maxpool,
    "flatten": _flatten,
    "argmax": _argmax,
}


def _codes(network: IntegerNetwork, inputs: Any) -> NDArray[Any]:
    """The input of a run: integers (N, H, W, C), codes of the network's format, in its smallest dtype."""
    array, code = integer_array("run", "inputs", inputs), parse_encoding(network.input_format)
    if array.ndim != 4 or array.shape[1:] != network.input_shape:
        expected = ", ".join(map(str, network.input_shape))
        raise ValueError(f"run: inputs has shape {array.shape}; pass (N, {expected})")
    if some_illegal(array, code):
        refuse("run", "inputs", array, code)
    # read-only arrays would have kernels compiled anew, which takes seconds; a copy does not
    return array.astype(smallest_dtype([(code.minimum, code.maximum)]), copy=not array.flags.writeable)


def _last_readers(network: IntegerNetwork) -> list[list[str]]:
    """For each step the tensors that no later step reads."""
    unread: list[list[str]] = [[] for _ in network.steps]
    for name, place in {name: place for place, step in enumerate(network.steps) for name in step.inputs}.items():
        unread[place].append(name)
    return unread


def bind(network: IntegerNetwork) -> Callable[..., Any]:
    """A function of (inputs, keep=False) that returns `run(network, inputs, keep)`, the network checked once.

    The weights of dense steps are packed once. Errors as in `run`, those of the network here.

    >>> sums = Step("sums", "dense", ("flat",), np.array([[3, -1], [0, 1]]), None, None, "int4", "uint2")
    >>> classify = bind(IntegerNetwork((Step("flat", "flatten", ("input",)), sums), "uint2", (1, 1, 2)))
    >>> classify(np.array([[[[1, 3]]]]))
    array([[0, 3]])
    """
    check(network)
    functions = [FUNCTIONS[step.op](step) for step in network.steps]
    unread = _last_readers(network)

    def result(inputs: Any, keep: bool = False) -> Any:
        tensors: Tensors = {INPUT: _codes(network, inputs)}
        for step, function, done in zip(network.steps, functions, unread, strict=True):
            tensors[step.name] = function(*(tensors[name] for name in step.inputs))
            for name in [] if keep else done:
                del tensors[name]
        return tensors if keep else tensors[network.steps[-1].name]

    return result


def run(network: IntegerNetwork, inputs: Any, keep: bool = False) -> Any:
    """The tensor of the last step, which after an argmax is the class of each sample.

    inputs: (N, H, W, C) integers, codes of `network.input_format`; N may be 0. keep: all tensors by name instead,
    "input" among them. Accumulators and classes are int64, codes the smallest dtype that holds all codes of the step.
    Equals `refq.spec.networks.evaluate` sample by sample. TypeError and ValueError as in `check`, and for inputs of
    another kind, shape or range, with the place of the first code that is not in the format.

    >>> sums = Step("sums", "dense", ("flat",), np.array([[3, -1], [0, 1]]), None, None, "int4", "uint2")
    >>> steps = (Step("flat", "flatten", ("input",)), sums, Step("class", "argmax", ("sums",)))
    >>> run(IntegerNetwork(steps, "uint2", (1, 1, 2)), np.array([[[[1, 3]]], [[[1, 1]]]]))
    array([1, 0])
    """
    return bind(network)(inputs, keep)
