"""What ops that move values share: their one input, their attributes, and how they are bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.ops.records import EXACT, Arrays, Bound, Element
from refq.graphs.records import Tensor
from refq.graphs.sites import Site

Attributes = Mapping[str, Any]
Inputs = tuple[Tensor | None, ...]
Move = Callable[[NDArray[Any], Any], tuple[NDArray[Any], ...]]
"""An input and what padding holds -> the outputs."""


def one_shape(op: str, node: str, inputs: Inputs) -> tuple[int, ...]:
    """The shape of the one input."""
    if len(inputs) != 1 or inputs[0] is None:
        raise ValueError(f"{op} {node}: {len(inputs)} inputs; pass one")
    return inputs[0].shape


def asked(op: str, node: str, attributes: Attributes, *names: str) -> list[Any]:
    """Attributes that must be there."""
    missing = [name for name in names if name not in attributes]
    if missing:
        raise ValueError(f"{op} {node}: attribute {missing[0]} is missing; pass {', '.join(names)}")
    return [attributes[name] for name in names]


def fitting(op: str, node: str, fits: bool, shape: Sequence[int], **values: Any) -> None:
    """The attributes belong to the shape."""
    if not fits:
        said = ", ".join(f"{name}={value}" for name, value in values.items())
        raise ValueError(f"{op} {node}: {said} does not fit shape {tuple(shape)}")


def bind_moving(site: Site, move: Move, padding: Any = 0) -> Bound:
    """A site that moves values of its one input."""

    def gather(arrays: Arrays) -> tuple[NDArray[Any], ...]:
        assert arrays[0] is not None
        return move(arrays[0], padding)

    def finish(gathered: Any, rule: str) -> tuple[NDArray[Any], ...]:
        if rule not in EXACT:
            raise ValueError(f"{site.node.op} {site.node.name}: rule={rule!r}; legal: exact")
        found: tuple[NDArray[Any], ...] = gathered
        return found

    def element(arrays: Arrays, output: int, index: tuple[int, ...]) -> Element:
        x = arrays[0]
        assert x is not None
        # every place numbered from 1: what arrives at the index says where it came from, 0 that it is padding
        source = int(move(np.arange(1, x.size + 1).reshape(x.shape), 0)[output][index])
        if source == 0:
            return Element((), value=Fraction(padding), words=f"padding with {padding}")
        place = tuple(int(i) for i in np.unravel_index(source - 1, x.shape))
        return Element((field_of(site, 0, place),), value=Fraction(x[place].item()), words="copied")

    return Bound(gather, finish, element)


def field_of(site: Site, which: int, place: tuple[int, ...]) -> tuple[str, tuple[slice, ...]]:
    """One place of an input as a receptive field."""
    return site.input(which).name, tuple(slice(i, i + 1) for i in place)


def padding_of(site: Site) -> Any:
    """What padding holds: the zero point of the output unless the node says otherwise."""
    found = site.outputs[0].quantization
    value = site.attribute("value", 0 if found is None else int(found.zero_point[0]))
    stored = site.input(0).dtype
    if stored != "float32" and not float(np.int64(value)) == value:
        raise ValueError(f"{site.node.op} {site.node.name}: value={value!r} is no code of {stored}")
    return value


def samples_of(site: Site, x: NDArray[Any]) -> int:
    """How many samples of the declared model the rows are."""
    declared = site.input(0).shape
    return x.shape[0] // declared[0] if declared and declared[0] else 1
