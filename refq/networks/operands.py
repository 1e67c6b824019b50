"""What each op asks of its fields and of the tensors it reads; all that is wrong is refused in one line.

Every function takes a step and its input tensors and raises TypeError or ValueError; `checks` adds who is meant.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.channels import ACC_LIMIT, FixedPoint, ShiftForm, ThresholdForm
from refq.encodings import Encoding, Kind, parse_encoding
from refq.networks.ranges import Tensor, conv_sizes
from refq.networks.records import Step, pads
from refq.products.bitplanes import refuse, some_illegal

MOST_SIDE = 1 << 14
"""Of height, width, stride and padding."""
MOST_CELLS = 1 << 24
"""Of one tensor of one sample: what is allocated for a sample stays below 128 MiB a tensor."""


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A Python or NumPy integer inside low..high."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r} is not an integer; pass {low}..{high}")
    if not low <= value <= high:
        raise ValueError(f"{name}={value} is outside {low}..{high}")
    return int(value)


def encoding_of(name: str, value: Any) -> Encoding:
    """An encoding by its name, the only way a step tells it."""
    if not isinstance(value, str):
        raise TypeError(
            f"{name}={value!r} is not the name of an encoding; pass 'int4', 'uint5', 'odd2', 'bipolar', ..."
        )
    return parse_encoding(value, name)


def small_enough(shape: tuple[int, ...]) -> None:
    """A result that a run may allocate."""
    if prod(shape) > MOST_CELLS:
        raise ValueError(f"a tensor of shape {shape} has more than {MOST_CELLS} values; pass smaller images")


def need_shape(x: Tensor, dimensions: int, what: str) -> None:
    """A tensor with this many dimensions."""
    if len(x.shape) != dimensions:
        raise ValueError(f"its input has shape {x.shape}; pass {what}")


def _inside(x: Tensor, code: Encoding) -> None:
    """Every value an input can have is a value of the encoding."""
    low, high = int(x.low.min()), int(x.high.max())
    if low < code.minimum or high > code.maximum:
        raise ValueError(
            f"input_format={code.name!r} holds {code.minimum}..{code.maximum}, its input reaches {low}..{high}"
        )
    if code.kind is Kind.ODD and not x.odd:
        raise ValueError(f"input_format={code.name!r} holds odd numbers only, its input even ones too")


def _weights(step: Step, dimensions: int) -> NDArray[Any]:
    array = step.weights
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"weights is {kind}; pass an array of an integer dtype")
    if array.ndim != dimensions or not array.size:
        raise ValueError(f"weights has shape {array.shape}; pass {'(O, kh, kw, I)' if dimensions == 4 else '(O, I)'}")
    code = encoding_of("weight_format", step.weight_format)
    if prod(array.shape[1:]) > MOST_CELLS:
        raise ValueError(f"weights has shape {array.shape}, a filter of more than {MOST_CELLS} weights")
    if some_illegal(array, code):
        refuse("check", "weights", array, code)
    return array


def _bias(step: Step, filters: int) -> int:
    """The largest magnitude; refused unless int64 (O,)."""
    if step.bias is None:
        return 0
    if not isinstance(step.bias, np.ndarray) or step.bias.dtype != np.int64:
        kind = step.bias.dtype if isinstance(step.bias, np.ndarray) else type(step.bias).__name__
        raise TypeError(f"bias is {kind}; pass an array of int64")
    if step.bias.shape != (filters,):
        raise ValueError(f"bias has shape {step.bias.shape}; pass one number a filter, ({filters},)")
    return max(-int(step.bias.min()), int(step.bias.max()))


def _products(step: Step, x: Tensor, dimensions: int) -> None:
    """Weights, bias and formats of one step; its sums fit int64 by the bound that the products go by."""
    array = _weights(step, dimensions)
    code, weight = encoding_of("input_format", step.input_format), encoding_of("weight_format", step.weight_format)
    if array.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"weights has shape {array.shape}, its input {x.shape}; {x.shape[-1]} input channels are asked"
        )
    _inside(x, code)
    reach = [max(-e.minimum, e.maximum) for e in (code, weight)]
    most = prod(array.shape[1:]) * reach[0] * reach[1] + _bias(step, len(array))
    if most > ACC_LIMIT:
        raise ValueError(f"its sums could reach {most}, outside int64; pass smaller biases or narrower formats")


def check_conv(step: Step, x: Tensor) -> None:
    """A kernel that fits into the padded input."""
    need_shape(x, 3, "(H, W, C)")
    whole("stride", step.stride, 1, MOST_SIDE)
    sides = step.padding if not isinstance(step.padding, int) or isinstance(step.padding, bool) else pads(step)
    if not isinstance(sides, tuple) or [type(s) is tuple and len(s) for s in sides] != [2, 2]:
        raise TypeError(f"padding={step.padding!r} is neither an int nor ((top, bottom), (left, right))")
    for side in sides:
        for amount in side:
            whole("padding", amount, 0, MOST_SIDE)
    _products(step, x, 4)
    assert step.weights is not None
    sizes = conv_sizes(step, x.shape)
    if min(sizes) < 1:
        raise ValueError(
            f"weights has a kernel of {step.weights.shape[1:3]}, larger than its padded input of {x.shape}"
        )
    small_enough((*sizes, len(step.weights)))


def check_dense(step: Step, x: Tensor) -> None:
    """As many weights a row as features."""
    need_shape(x, 1, "(features,), through a flatten")
    _products(step, x, 2)


def check_requantize(step: Step, x: Tensor, residual: Tensor | None = None) -> None:
    """One form a channel, all of shift where two tensors are added."""
    if not isinstance(step.forms, tuple) or not step.forms:
        raise TypeError(f"forms is {type(step.forms).__name__}, or empty; pass a tuple of forms, one a channel")
    for c, form in enumerate(step.forms):
        if not isinstance(form, FixedPoint | ShiftForm | ThresholdForm):
            raise TypeError(f"forms[{c}]={form!r} is no FixedPoint, ShiftForm or ThresholdForm")
        _small_form(c, form)
    if not x.shape or len(step.forms) != x.shape[-1]:
        raise ValueError(f"forms has {len(step.forms)}, its input shape {x.shape}; pass one form a channel")
    if residual is None:
        return
    if not all(isinstance(form, ShiftForm) for form in step.forms):
        raise ValueError("inputs has two tensors, which only shift forms add; use an add step")
    same_shape(x, residual)


def _small_form(c: int, form: Any) -> None:
    """Every integer of a form fits 64 bits, in which a file keeps it."""
    for name, value in vars(form).items():
        for number in value if name == "thresholds" else (value,):
            if abs(number) > ACC_LIMIT:
                raise ValueError(f"forms[{c}].{name}={number} leaves 64 bits")


def same_shape(x: Tensor, y: Tensor) -> None:
    """Two tensors that are added."""
    if x.shape != y.shape:
        raise ValueError(f"inputs have shapes {x.shape} and {y.shape}; pass two of one shape")


def check_add(step: Step, x: Tensor, y: Tensor) -> None:
    """Two tensors of one shape, and a range that is not empty."""
    same_shape(x, y)
    low = whole("qmin", step.qmin, -ACC_LIMIT, ACC_LIMIT)
    whole("qmax", step.qmax, low, ACC_LIMIT)
    most = sum(max(-int(t.low.min()), int(t.high.max()), 0) for t in (x, y))
    if most > ACC_LIMIT:
        raise ValueError(f"its sums could reach {most}, outside int64")


def check_maxpool(step: Step, x: Tensor) -> None:
    """A window that fits."""
    need_shape(x, 3, "(H, W, C)")
    whole("pool", step.pool, 1, min(x.shape[:2]))


def check_flatten(step: Step, x: Tensor) -> None:
    """An image."""
    need_shape(x, 3, "(H, W, C)")


def check_argmax(step: Step, x: Tensor) -> None:
    """Values of classes."""
    need_shape(x, 1, "(classes,)")


CHECKS: dict[str, tuple[Any, int, int]] = {
    "conv": (check_conv, 1, 1),
    "dense": (check_dense, 1, 1),
    "requantize": (check_requantize, 1, 2),
    "add": (check_add, 2, 2),
    "maxpool": (check_maxpool, 1, 1),
    "flatten": (check_flatten, 1, 1),
    "argmax": (check_argmax, 1, 1),
}
"""For each op its check, and the least and the most inputs."""
