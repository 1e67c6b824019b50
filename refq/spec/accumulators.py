"""The sum of products as an accumulator rule makes it: one output, term by term, in Python ints.

WRAP is applied after every addition here, as the register does it; that the end would do is a theorem, and tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refq.accumulation import Accumulator, Register
from refq.formats import Overflow
from refq.spec.rounding import narrow


def chunks(terms: Sequence[int], rule: Accumulator) -> Iterator[Sequence[int]]:
    """The terms of each chunk, in the order in which the chunks are added; those beyond the depth are left out.

    >>> from refq.accumulation import ACCUMULATORS
    >>> [list(c) for c in chunks(range(5), ACCUMULATORS["pairs16"])]
    [[0, 1], [2, 3], [4]]
    >>> [list(c) for c in chunks(range(11), ACCUMULATORS["pairs8_wrap16"])]
    [[0, 8], [1, 9], [2, 10], [3], [4], [5], [6], [7]]
    """
    block = rule.chunk_terms(len(terms)) * rule.stride
    for start in range(0, len(terms), block):
        for lane in range(min(rule.stride, len(terms))):
            yield terms[start : start + block][lane :: rule.stride]


def add(total: int, term: int, register: Register) -> int:
    """One addition into a register; ValueError if the register refuses it."""
    watched = register.each_step or register.overflow == Overflow.WRAP
    return narrow(total + term, register.fmt, register.overflow) if watched else total + term


def accumulate(terms: Sequence[int], rule: Accumulator, bias: int = 0) -> int:
    """The sum of the terms, in the order of the depth.

    ValueError where a register of ERROR is left, or where the bias is outside an outer register that is looked at
    after each step.

    >>> from refq.accumulation import ACCUMULATORS
    >>> [accumulate([30000, 10000, -20000], ACCUMULATORS[r]) for r in ("exact", "saturate16_steps", "saturate16")]
    [20000, 12767, 20000]
    >>> accumulate([255 * 127, 255 * 127, 255 * 127], ACCUMULATORS["pairs16"])
    65152
    """
    fmt = rule.outer.fmt
    if rule.outer.each_step and not fmt.qmin <= bias <= fmt.qmax:
        raise ValueError(f"accumulate: bias={bias} is outside {fmt.name} {fmt.qmin}..{fmt.qmax}")
    total = bias
    for chunk in chunks(terms, rule):
        if rule.inner is None:
            part = sum(chunk)
        else:
            part = 0
            for term in chunk:
                part = add(part, term, rule.inner)
            part = narrow(part, rule.inner.fmt, rule.inner.overflow)
        total = add(total, part, rule.outer)
    return narrow(total, fmt, rule.outer.overflow)


def dot(xs: Sequence[int], ys: Sequence[int], rule: Accumulator, bias: int = 0) -> int:
    """accumulate(x[0] * y[0], x[1] * y[1], ...).

    >>> from refq.accumulation import ACCUMULATORS
    >>> dot([210, 198], [-81, -80], ACCUMULATORS["pairs16"]), dot([210, 198], [-80, -80], ACCUMULATORS["pairs16"])
    (-32768, -32640)
    """
    return accumulate([x * y for x, y in zip(xs, ys, strict=True)], rule, bias)
