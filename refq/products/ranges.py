"""From weights and an input interval, the exact interval of every accumulator, and of every partial sum on the way.

For inputs low[t] <= x[t] <= high[t], chosen freely, bias + sum of x[t] * w[t] is least where each term is least, and a
term is least at one end of its interval: x[t] = low[t] where w[t] > 0, high[t] where w[t] < 0. So

    lower = bias + sum of min(low[t] * w[t], high[t] * w[t]),    upper likewise with max,

and both are reached, by the same input for every partial sum in the order of the depth at once. docs/accumulators.md.
Intervals are of values: subtract the input zero point from low and high. A padded position is then 0; if 0 is not in
low..high and the layer pads, widen the interval to hold it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer, integer_array
from refq.formats import INT16, INT64


@dataclass(frozen=True, eq=False)
class Layer:
    """Checked operands: weights (K, N), low and high (K, 1), bias (N,); int64, or Python ints where sums need more."""

    weights: NDArray[Any]
    low: NDArray[Any]
    high: NDArray[Any]
    bias: NDArray[Any]

    def terms(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The least and the largest of each product, (K, N)."""
        at_low, at_high = self.weights * self.low, self.weights * self.high
        return np.minimum(at_low, at_high), np.maximum(at_low, at_high)

    def witness(self, channel: int, upper: bool) -> NDArray[Any]:
        """(K,) inputs at which every partial sum of the channel is the largest, or the least."""
        at_high = (self.weights[:, channel] > 0) if upper else (self.weights[:, channel] < 0)
        return np.where(at_high, self.high[:, 0], self.low[:, 0])


def _reach(array: NDArray[Any]) -> int:
    return max(-int(array.min()), int(array.max())) if array.size else 0


def _ends(function: str, name: str, value: Any, depth: int) -> NDArray[Any]:
    array = integer_array(function, name, value)
    if array.shape not in ((), (depth,)):
        raise ValueError(
            f"{function}: {name} has shape {array.shape}; pass one number or one a depth index, ({depth},)"
        )
    return np.broadcast_to(array, (depth,))[:, None]


def layer(function: str, weights: Any, low: Any, high: Any, bias: Any, axis: int) -> Layer:
    """The operands, checked; the depth runs over all axes but `axis`, in C order."""
    array = integer_array(function, "weights", weights)
    if array.ndim < 2:
        raise ValueError(
            f"{function}: weights has shape {array.shape}; pass (depth, channels), weights[:, None] for one channel"
        )
    integer(function, "axis", axis, -(1 << 31), 1 << 31)
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(
            f"{function}: axis={axis} is outside the {array.ndim} axes of weights; pass that of the channels"
        )
    channels = array.shape[axis]
    array = np.moveaxis(array, axis, -1)
    array = array.reshape(prod(array.shape[:-1]), channels)
    bottom, top = (_ends(function, n, v, array.shape[0]) for n, v in (("low", low), ("high", high)))
    if (bottom > top).any():
        t = int(np.argmax(bottom > top))
        raise ValueError(f"{function}: low[{t}]={bottom[t, 0]} is above high[{t}]={top[t, 0]}; swap them")
    start = integer_array(function, "bias", 0 if bias is None else bias)
    if start.shape not in ((), (channels,)):
        raise ValueError(f"{function}: bias has shape {start.shape}; pass one number or one a channel, ({channels},)")
    reach = array.shape[0] * _reach(array) * max(_reach(bottom), _reach(top)) + _reach(start)
    # A single value may need more than int64 too: uint64
    fits = max(reach, _reach(array), _reach(bottom), _reach(top)) <= INT64.qmax
    kind: Any = np.int64 if fits else object
    return Layer(*(a.astype(kind) for a in (array, bottom, top, np.broadcast_to(start, (channels,)))))


def signed_bits(lower: int, upper: int) -> int:
    """The least n with -2**(n - 1) <= lower and upper < 2**(n - 1), at least 1.

    >>> signed_bits(-128, 127), signed_bits(0, 128), signed_bits(0, 0)
    (8, 9, 1)
    """
    return max((v if v >= 0 else ~v).bit_length() for v in (int(lower), int(upper))) + 1


@dataclass(frozen=True, eq=False)
class AccumulatorRanges:
    """What every accumulator of a layer can be: arrays (N,), int64, or Python ints where sums need more.

    lower, upper: of the whole sum, bias included; both are reached. partial_lower, partial_upper: the least and the
    largest over the bias alone and every partial sum in the order of the depth. bits, partial_bits: the widths that
    hold them, signed.
    """

    lower: NDArray[Any]
    upper: NDArray[Any]
    partial_lower: NDArray[Any]
    partial_upper: NDArray[Any]
    operands: Layer

    @property
    def bits(self) -> NDArray[np.int64]:
        """The signed width each whole sum needs."""
        return np.array([signed_bits(a, b) for a, b in zip(self.lower, self.upper, strict=True)], np.int64)

    @property
    def partial_bits(self) -> NDArray[np.int64]:
        """The signed width that holds each sum at every step."""
        ends = zip(self.partial_lower, self.partial_upper, strict=True)
        return np.array([signed_bits(a, b) for a, b in ends], np.int64)

    def witness(self, channel: int, *, upper: bool) -> NDArray[Any]:
        """(K,) inputs at which the channel is `upper`, or `lower`, in the order of the depth."""
        return self.operands.witness(channel, upper)


def partial_ranges(
    weights: Any, low: Any, high: Any, *, bias: Any = None, axis: int = -1
) -> tuple[NDArray[Any], NDArray[Any]]:
    """(lower, upper) of every partial sum: (K + 1, N) each, row t after t terms, row 0 the bias.

    Arguments and errors as for `accumulator_ranges`.

    >>> lower, upper = partial_ranges([[1], [-2]], 0, 3)
    >>> lower.tolist(), upper.tolist()
    ([[0], [0], [-6]], [[0], [3], [3]])
    """
    operands = layer("partial_ranges", weights, low, high, bias, axis)
    least, largest = operands.terms()
    lower, upper = (np.cumsum(np.concatenate([operands.bias[None], t]), axis=0) for t in (least, largest))
    return lower, upper


def accumulator_ranges(weights: Any, low: Any, high: Any, *, bias: Any = None, axis: int = -1) -> AccumulatorRanges:
    """The exact interval of every accumulator, and of its partial sums.

    weights: integer values, channels along `axis`, (K, N) by default; (O, KH, KW, I) is axis=0. low, high: the interval
    of the inputs, a number each or one a depth index, (K,); a padded input is 0. bias: None, a number or (N,).
    TypeError for kinds, ValueError for shapes, and where low is above high.

    >>> ranges = accumulator_ranges([[3, -1], [-2, -1]], 0, 255, bias=[10, 0])
    >>> ranges.lower.tolist(), ranges.upper.tolist(), ranges.bits.tolist()
    ([-500, -510], [775, 0], [11, 10])
    >>> ranges.witness(0, upper=True).tolist()
    [255, 0]
    """
    operands = layer("accumulator_ranges", weights, low, high, bias, axis)
    least, largest = operands.terms()
    start = operands.bias
    lower, upper = start + least.sum(axis=0), start + largest.sum(axis=0)
    below, above = start + _furthest(np.minimum, least), start + _furthest(np.maximum, largest)
    return AccumulatorRanges(lower, upper, below, above, operands)


def _furthest(extreme: Any, terms: NDArray[Any]) -> NDArray[Any]:
    """The extreme of the partial sums, the empty one included."""
    sums = np.cumsum(terms, axis=0)
    furthest: NDArray[Any] = extreme(0, extreme.reduce(sums, axis=0)) if len(sums) else sums.sum(axis=0)
    return furthest


@dataclass(frozen=True, eq=False)
class PairsAtRisk:
    """Pairs (2 t, 2 t + 1) whose sum can leave int16, a row each, by pair, then channel.

    pairs: t. channels. inputs: (R, 2), a witness. exact: what the pair sums to there. saturated: what VPMADDUBSW makes.
    """

    pairs: NDArray[np.int64]
    channels: NDArray[np.int64]
    inputs: NDArray[np.int64]
    exact: NDArray[np.int64]
    saturated: NDArray[np.int64]


def pairs_at_risk(weights: Any, low: Any = 0, high: Any = 255, *, axis: int = -1) -> PairsAtRisk:
    """The weight pairs, neighbours in the depth, that can saturate in 16 bits (rule `pairs16`), with a witness each.

    weights, low, high, axis: as for `accumulator_ranges`. The witness is the largest sum where that leaves int16, else
    the least. At an odd depth the last partner is 0. Errors as there, and ValueError where sums could leave int64.

    >>> risk = pairs_at_risk([[127, 64], [127, 64]])
    >>> risk.channels.tolist(), risk.inputs.tolist(), risk.exact.tolist(), risk.saturated.tolist()
    ([0], [[255, 255]], [64770], [32767])
    """
    operands = layer("pairs_at_risk", weights, low, high, None, axis)
    if operands.weights.dtype == object:
        raise ValueError("pairs_at_risk: sums could leave int64; narrow the weights or the interval")
    odd = ((0, len(operands.weights) % 2), (0, 0))
    least, largest = (np.pad(terms, odd) for terms in operands.terms())
    lower, upper = (t[0::2] + t[1::2] for t in (least, largest))
    pairs, channels = np.nonzero((lower < INT16.qmin) | (upper > INT16.qmax))
    up = upper[pairs, channels] > INT16.qmax
    exact = np.where(up, upper[pairs, channels], lower[pairs, channels])
    both = np.pad(operands.weights, odd)[2 * pairs[:, None] + np.array([0, 1]), channels[:, None]]
    ends = np.pad(operands.low[:, 0], odd[0]), np.pad(operands.high[:, 0], odd[0])
    places = 2 * pairs[:, None] + np.array([0, 1])
    inputs = np.where((both > 0) == up[:, None], ends[1][places], ends[0][places])
    return PairsAtRisk(pairs, channels, inputs, exact, np.clip(exact, INT16.qmin, INT16.qmax))
