"""Whether an accumulator rule can change a sum of a layer: a proof that it cannot, or an input on which it does.

A rule leaves every sum exact if no register it looks at can leave its format. What a register can hold is known exactly
(`refq.products.ranges`): the bounds of all its sums are reached by one input. docs/accumulators.md has the theorem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.accumulation import Accumulator, Register, parse_accumulator
from refq.formats import Overflow
from refq.products.accumulators import add_up_one, in_chunk_order
from refq.products.ranges import Layer, layer
from refq.products.summing import chunk_order


@dataclass(frozen=True, eq=False)
class Proof:
    """The verdict on one layer under one rule.

    channels, depth: how the weights were read.
    safe: no register can be left, so the rule's result is the exact sum for every input of the interval.
    register: "inner" or "outer": the one that is left or, if safe, the one with the least room. lower, upper: all it
    can hold when it is looked at, over all channels. margin: what is left to the nearer end of its format, negative if
    it can be left.
    channel, inputs, exact, result: if not safe, an input (K,) that leaves the register, its exact sum and that of the
    rule, None if the rule refuses it.
    """

    rule: Accumulator
    channels: int
    depth: int
    safe: bool
    register: str
    lower: int
    upper: int
    margin: int
    channel: int | None = None
    inputs: NDArray[Any] | None = None
    exact: int | None = None
    result: int | None = None

    @property
    def differs(self) -> bool:
        """Whether the rule does not give the exact sum on the witness.

        Always, if 0 is an input everywhere and there is no inner register. Else a sum can leave a register on the way
        and still come out right.
        """
        return not self.safe and self.result != self.exact

    def __str__(self) -> str:
        held = f"{self.register} register holds {self.lower}..{self.upper}"
        read = f"{self.rule.name}, {self.channels} channel{'s' * (self.channels != 1)} of depth {self.depth}"
        if self.safe:
            return f"{read}: cannot overflow; {held}, margin {self.margin}"
        outcome = "refused" if self.result is None else f"gives {self.result}"
        return f"{read}: can overflow; {held}; channel {self.channel}, exact sum {self.exact}, {outcome}"


@dataclass(frozen=True, eq=False)
class _View:
    """What one register holds whenever it is looked at: bounds (chunks, steps, channels)."""

    name: str
    register: Register
    lower: NDArray[Any]
    upper: NDArray[Any]

    @property
    def margins(self) -> tuple[int, int]:
        """Room below and above, in Python ints: int64 may not hold it."""
        return int(self.lower.min()) - self.register.fmt.qmin, self.register.fmt.qmax - int(self.upper.max())


def _views(operands: Layer, rule: Accumulator) -> list[_View]:
    """The registers whose overflow can matter, the inner one first."""
    depth = len(operands.weights)
    order, chunk = chunk_order(depth, rule), rule.chunk_terms(depth)
    ends = [np.pad(t, ((0, 1), (0, 0)))[order].reshape(-1, chunk, t.shape[1]) for t in operands.terms()]
    inner = [np.cumsum(t, axis=1) for t in ends]
    outer = [np.cumsum(np.concatenate([operands.bias[None], t[:, -1]]), axis=0)[:, None] for t in inner]
    views = []
    if rule.inner is not None and depth and not _absorbed(rule.inner, rule.outer):
        views.append(_View("inner", rule.inner, *(t if rule.inner.each_step else t[:, -1:] for t in inner)))
    views.append(_View("outer", rule.outer, *(t if rule.outer.each_step else t[-1:] for t in outer)))
    return views


def _absorbed(inner: Register, outer: Register) -> bool:
    """Wraps of the inner register are multiples of a power of two that the outer one drops."""
    return inner.overflow == outer.overflow == Overflow.WRAP and inner.fmt.bits >= outer.fmt.bits


def _span(view: _View, chunk: int, step: int, length: int) -> tuple[int, int]:
    """First and last + 1 of the terms that make the sum at that place, in the order of addition."""
    start = chunk * length
    if view.name == "outer":
        return 0, start
    return start, start + (step + 1 if view.register.each_step else length)


def _candidates(view: _View, operands: Layer, rule: Accumulator) -> Iterator[tuple[int, NDArray[Any]]]:
    """Channels and inputs that leave the register, at the place furthest outside, above and below."""
    depth = len(operands.weights)
    order = chunk_order(depth, rule)
    near_zero = np.minimum(np.maximum(operands.low[:, 0], 0), operands.high[:, 0])
    places = (int(np.argmax(view.upper)), int(np.argmin(view.lower)))
    for upper, room, place in zip((True, False), reversed(view.margins), places, strict=True):
        if room >= 0:
            continue
        chunk, step, channel = (int(i) for i in np.unravel_index(place, view.lower.shape))
        ends = operands.witness(channel, upper)
        yield channel, ends
        # Up to that place only: what follows must not undo it
        start, stop = _span(view, chunk, step, rule.chunk_terms(depth))
        yield channel, np.where(np.isin(np.arange(depth), order[start:stop]), ends, near_zero)


def _check_bias(bias: NDArray[Any], rule: Accumulator) -> None:
    fmt = rule.outer.fmt
    outside = (bias < fmt.qmin) | (bias > fmt.qmax)
    if rule.outer.each_step and outside.any():
        n = int(np.argmax(outside))
        raise ValueError(
            f"prove_accumulator: bias[{n}]={bias[n]} is outside {fmt.qmin}..{fmt.qmax}, the accumulator of {rule.name}"
        )


def _outcome(operands: Layer, rule: Accumulator, channel: int, inputs: NDArray[Any]) -> tuple[int, int | None]:
    """(exact sum, what the rule makes of it or None), in Python ints."""
    terms = [int(x) * int(w) for x, w in zip(inputs, operands.weights[:, channel], strict=True)]
    bias = int(operands.bias[channel])
    try:
        return bias + sum(terms), add_up_one(in_chunk_order(terms, rule), rule, bias, "")
    except ValueError:
        return bias + sum(terms), None


def prove_accumulator(
    weights: Any, low: Any, high: Any, rule: Accumulator | str, bias: Any = None, *, axis: int = -1
) -> Proof:
    """That the rule gives the exact sum for every input of the interval, or an input on which a register is left.

    Arguments as for `accumulator_ranges`, rule as for `parse_accumulator`. A wrap is looked at when its sum is done
    only, since what wraps on the way cancels; a register of each step after each step; and the inner one chunk by
    chunk. ValueError also for a bias outside an outer register that is looked at after each step.

    >>> print(prove_accumulator([[127], [127]], 0, 127, "pairs16"))
    pairs16, 1 channel of depth 2: cannot overflow; inner register holds 0..32258, margin 509
    >>> print(prove_accumulator([[127], [127]], 0, 255, "pairs16"))
    pairs16, 1 channel of depth 2: can overflow; inner register holds 0..64770; channel 0, exact sum 64770, gives 32767
    """
    rule = parse_accumulator(rule)
    operands = layer("prove_accumulator", weights, low, high, bias, axis)
    if not operands.weights.shape[1]:
        raise ValueError("prove_accumulator: weights have no channel; pass one or more")
    _check_bias(operands.bias, rule)
    views = _views(operands, rule)
    left = [view for view in views if min(view.margins) < 0]
    view = left[0] if left else min(views, key=lambda v: min(v.margins))
    ends = int(view.lower.min()), int(view.upper.max())
    depth, channels = operands.weights.shape
    proof = Proof(rule, channels, depth, not left, view.name, *ends, min(view.margins))
    first = None
    for channel, inputs in _candidates(view, operands, rule) if left else ():
        exact, result = _outcome(operands, rule, channel, inputs)
        found = replace(proof, channel=channel, inputs=inputs, exact=exact, result=result)
        first = first or found
        if found.differs:
            return found
    return first or proof
