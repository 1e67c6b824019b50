"""The records of a trace: what a runtime computed on a model beside the golden run, layer by layer, as data.

Text, JSON and pages are made from these records (verify/trace_report.py, verify/trace_text.py, verify/trace_html.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

AGREES, OTHER, NONE, REFUSED, HIDDEN = "agrees", "other rules", "no rule", "refused", "not shown"
"""What a layer does when fed the runtime's own values: the profile's rule, other rules, no rule reproduces all of
its values; the rule is not defined there; the runtime does not show its values."""


@dataclass(frozen=True, eq=False)
class Difference:
    """Two arrays of one tensor, compared exactly: floats bit for bit.

    compared, differing: elements; where dtype or shape differ, `note` says so and all elements count as differing.
    largest: the largest difference, None where it is no number. sample, index: of the first differing element, in
    the order of samples and then of memory; index is inside one sample. counts: in how many samples each element
    differs, in the shape of one sample; None if nothing differs or nothing can be compared. by_sample: how many
    elements differ in each sample, int64 (samples,).
    """

    tensor: str
    compared: int
    differing: int
    largest: int | float | None = None
    sample: int | None = None
    index: tuple[int, ...] = ()
    note: str = ""
    counts: NDArray[np.int64] | None = None
    by_sample: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Judgement:
    """A layer alone: fed with the runtime's own values of what it reads, compared with what the runtime made of them.

    verdict: AGREES, OTHER, NONE, REFUSED or HIDDEN. compared, differing, largest: under the profile's rule. rules:
    the rules that reproduce all values; where the profile's does, the others were not tried, unless tried says so.
    tried: how many rules were. through: nodes before it whose values are hidden and were computed under the
    profile, so that they are judged together with it. note: why a rule is refused.
    """

    verdict: str
    compared: int = 0
    differing: int = 0
    largest: int | float | None = None
    rules: tuple[str, ...] = ()
    tried: int = 0
    through: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class Layer:
    """One node in graph order. op: a name of OPS, source: what the file calls it. tags: its variant in profiles.

    rule: the profile's. reads: the tensors it reads that are no constants. results: each of its tensors that the
    runtime shows, beside the golden run of the whole model. alone: the node judged alone.
    """

    node: str
    op: str
    source: str
    tags: str
    rule: str
    reads: tuple[str, ...]
    outputs: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    results: tuple[Difference, ...]
    alone: Judgement


@dataclass(frozen=True, eq=False)
class Field:
    """What one element reads of one input: its tensor, (start, stop, step) a dimension, the values; dimension 0 of an
    input that is no constant counts from the sample's own first row. values is None where there are too many."""

    tensor: str
    slices: tuple[tuple[int, int, int], ...]
    values: NDArray[Any] | None


@dataclass(frozen=True, eq=False)
class Staircase:
    """Codes around the accumulator: accumulators int64 (n,), for each rule its codes (n,)."""

    accumulators: NDArray[np.int64]
    codes: dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """One element of a result, by exact arithmetic and by every rule.

    fields: its receptive field. accumulator: the exact integer sum; None where the op has none. scale: output
    steps per unit of it. value: the exact real result in output steps, zero point included; approximate: its digits
    where it is not rational. residue: value minus the nearest tie, 0 at a tie. words: what was summed. answers:
    code -> the rules that give it. refused: rules that are not defined there, with why. steps: around the sum.
    """

    fields: tuple[Field, ...]
    accumulator: int | None
    scale: Fraction | None
    value: Fraction | None
    approximate: str
    residue: Fraction | None
    words: str
    answers: dict[Any, tuple[str, ...]]
    refused: tuple[tuple[str, str], ...] = ()
    steps: Staircase | None = None


@dataclass(frozen=True, eq=False)
class Divergence:
    """The first tensor that differs, and its first differing element.

    got: what the runtime says. expected: what the golden run says, or in a trace of two the second runtime. rules: the
    rules that reproduce all the runtime's values of this layer from its own inputs; other: the second runtime's.
    arithmetic is None where dtype or shape differ.
    """

    node: str
    op: str
    rule: str
    difference: Difference
    got: Any
    expected: Any
    rules: tuple[str, ...]
    arithmetic: Arithmetic | None
    other: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remedy:
    """A profile that makes the model agree. base: the profile it starts from. rules: "op" or "op tag tag" -> rule;
    nodes: node -> rule. toml: its text, for --profile FILE.toml. compared, differing: when it was run."""

    base: str
    rules: dict[str, str]
    nodes: dict[str, str]
    toml: str
    compared: int
    differing: int


@dataclass(frozen=True, eq=False)
class Side:
    """One runtime beside the golden run under one profile.

    samples: how many were compared. layers: in graph order. first: where it first differs, None if nowhere. remedy:
    the profile that makes it agree, None if none is needed or none exists. hidden: computed tensors it does not
    show. findings: what else is worth saying. failure: why it ended early. lost: final outputs among the hidden.
    """

    backend: str
    version: str
    profile: str
    samples: int
    layers: tuple[Layer, ...]
    first: Divergence | None
    remedy: Remedy | None
    hidden: tuple[str, ...]
    findings: tuple[str, ...] = ()
    failure: str = ""
    lost: tuple[str, ...] = ()

    @property
    def compared(self) -> int:
        """Elements compared with the golden run."""
        return sum(d.compared for layer in self.layers for d in layer.results)

    @property
    def differing(self) -> int:
        """Elements that differ from the golden run."""
        return sum(d.differing for layer in self.layers for d in layer.results)


@dataclass(frozen=True, eq=False)
class Between:
    """Two runtimes beside each other: every tensor that both show, in graph order, and the first that differs."""

    results: tuple[Difference, ...]
    first: Divergence | None

    @property
    def compared(self) -> int:
        """Elements compared."""
        return sum(d.compared for d in self.results)

    @property
    def differing(self) -> int:
        """Elements that differ."""
        return sum(d.differing for d in self.results)


@dataclass(frozen=True, eq=False)
class Trace:
    """A whole trace: one side, or two with what is between them. inputs: how they were made, in words."""

    model: str
    format: str
    samples: int
    inputs: str
    sides: tuple[Side, ...]
    between: Between | None = None
