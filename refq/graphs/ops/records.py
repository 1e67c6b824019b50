"""What an op of a graph is: its rules, its result shapes, and how it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.records import EMPTY, Tensor
from refq.graphs.sites import Site

EXACT = ("exact",)
"""The rules of an op that has nothing to round."""

Arrays = tuple[NDArray[Any] | None, ...]
Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Element:
    """The arithmetic of one element of a result.

    fields: what it reads, for each input its name and a slice a dimension (the receptive field, cut to the tensor).
    accumulator: the exact integer sum, None where the op has none. scale: steps of the output per unit of it.
    value: the exact real result in steps of the output, zero point included; None where it is not rational.
    approximate: its decimal digits where it is not rational. words: what was summed, for people.
    """

    fields: tuple[tuple[str, tuple[slice, ...]], ...]
    accumulator: int | None = None
    scale: Fraction | None = None
    value: Fraction | None = None
    approximate: str = ""
    words: str = ""


@dataclass(frozen=True, eq=False)
class Accumulators:
    """The exact interval of each channel's sum over all codes of the input: int64 (channels,)."""

    low: NDArray[Any]
    high: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Bound:
    """A node ready to run, its constants checked and packed.

    gather: all inputs in order (None where absent, constants included) -> whatever no rule changes, such as the
    accumulators. finish: that and the name of a rule -> the outputs. element: the inputs, the place of the output and
    the index of one element -> its arithmetic. accumulators: their exact range, for ops that sum products.
    """

    gather: Callable[[Arrays], Any]
    finish: Callable[[Any, str], tuple[NDArray[Any], ...]]
    element: Callable[[Arrays, int, tuple[int, ...]], Element]
    accumulators: Callable[[], Accumulators] | None = None


def no_tags(site: Site) -> frozenset[str]:
    """No variants."""
    return frozenset()


def exact_only(site: Site) -> tuple[str, ...]:
    """One rule: there is nothing to round."""
    return EXACT


def always(site: Site) -> bool:
    """Samples along the first dimension never meet."""
    return True


@dataclass(frozen=True)
class Op:
    """One op. attributes: name -> meaning and legal values, for the documentation and the check.

    shapes: node attributes and input tensors -> the shape of each output; ValueError if the inputs do not fit.
    rules: the rules that this site can follow. tags: the variants by which profiles tell sites apart ("int16",
    "per_channel"). bind: the site made ready; the rounding is that of activation bounds (6 / scale).
    batched: whether samples stacked along dimension 0 are computed as each would be alone.
    """

    name: str
    what: str
    shapes: Callable[[str, Mapping[str, Any], tuple[Tensor | None, ...]], Shapes]
    bind: Callable[[Site, Rounding], Bound]
    rules: Callable[[Site], tuple[str, ...]] = exact_only
    tags: Callable[[Site], frozenset[str]] = no_tags
    batched: Callable[[Site], bool] = always
    attributes: Mapping[str, str] = field(default_factory=lambda: EMPTY)


def catalogue(*families: tuple[Op, ...]) -> Mapping[str, Op]:
    """Ops by name; a name may occur once."""
    ops = [op for family in families for op in family]
    found = {op.name: op for op in ops}
    assert len(found) == len(ops), "two ops of one name"
    return MappingProxyType(found)
