"""Balanced quantization of weights: the histogram is halved k times, by the mean or the median, into 2**k levels.

Zhou, Wang, Wen, He, Zou 2017 (arXiv 1706.07145), Algorithms 1 and 2. With g the leaf of w and r its place in it, 0..1,

    l = rtz(2**k * (g + r) / 2**k - 1/2),    W_q = scale * (2 * l - n) / n,    n = 2**k - 1, scale = max|W|

which is g, but the smallest number of a leaf, where r = 0, falls one level down: codes "literal" are l, codes "leaf" g.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer
from refq.encodings import Encoding, Kind
from refq.quantizers.apply import finite_array, quantize
from refq.quantizers.balanced_bins import Bins, tally
from refq.quantizers.balanced_layout import LAYOUTS
from refq.quantizers.balanced_splits import Splits, mean_splits, median_splits
from refq.quantizers.balanced_ties import NO_TIES, Ties, give_ties, ties_of
from refq.quantizers.quantizer import Quantizer

SPLITS: dict[str, Callable[[Bins, int, bool], Splits]] = {"mean": mean_splits, "median": median_splits}
CODES = {"leaf": False, "literal": True}


def fit_balanced(values: Any, bits: int, *, split: str = "mean", codes: str = "leaf") -> Quantizer:
    """The staircase of balanced quantization: odd codes 2 * l - n of `bits` 1..16, worth step = max|values| / n each.

    values: float16, float32 or float64 of any shape, finite, at least one. split: "mean", or "median" with the
    floor(count / 2) smallest in the lower half; codes: "leaf" or "literal". All decisions are exact. A level's cut is
    the mean itself, or the smallest number of the upper half; a literal one lies just above the smallest of a leaf.
    parameters: split, codes, scale = max|values|, and `tied`: how many numbers `balanced_codes` gives another code than
    `quantize`, because equal ones lie on both sides of a median; then `quantize` gives all of them the highest code.
    Constant tensors: leaf codes n, literal codes n - 2; the step of an all-zero tensor is 0.
    TypeError for other dtypes and kinds; ValueError for no values, NaN, infinities, bits outside 1..16, unknown names.
    Source: Zhou et al. 2017 (arXiv 1706.07145), algorithms 1 and 2.

    >>> worked = np.array([-8, -3, -2, -1, 0, 1, 2, 3, 5, 20.0])
    >>> quantize(worked, fit_balanced(worked, 2)).tolist()
    [-3, -3, -1, -1, -1, -1, 1, 1, 1, 3]
    >>> fit_balanced(worked, 2).cuts, fit_balanced(worked, 2, split="median").cuts
    (array([[-2.16666667,  1.7       ,  7.5       ]]), array([[-2.,  1.,  3.]]))
    """
    return _fit("fit_balanced", values, bits, split, codes)[1]


def balanced_codes(
    values: Any, bits: int, *, split: str = "mean", codes: str = "leaf"
) -> tuple[NDArray[np.signedinteger], Quantizer]:
    """The codes of the values themselves, of their shape, and the quantizer; arguments and errors of `fit_balanced`.

    Equal to `quantize(values, quantizer)` but for equal numbers on both sides of a median: there the first of them by
    index, in C order, belong to the lower half.

    >>> balanced_codes(np.array([1.0, 1, 1, 5]), 1, split="median")[0]
    array([-1, -1, 1, 1], dtype=int8)
    >>> quantize(np.array([1.0, 1, 1, 5]), fit_balanced(np.array([1.0, 1, 1, 5]), 1, split="median"))
    array([1, 1, 1, 1], dtype=int8)
    """
    bins, quantizer, ties = _fit("balanced_codes", values, bits, split, codes)
    if bins.x.size < bins.layout.bins:
        out = quantize(bins.x, quantizer)
    else:
        out = np.empty(bins.x.shape, quantizer.dtype)
        bins.codes(quantizer.cuts[0], quantizer.lowest, quantizer.spacing, out)
    if ties.values.size:
        give_ties(bins.x, out, quantizer.lowest, quantizer.levels, ties)
    return out.reshape(np.shape(values)), quantizer


def _weights(function: str, values: Any) -> NDArray[Any]:
    """The array, in C order; that its numbers are finite is seen when they are tallied."""
    x = np.asarray(values)
    return x if x.dtype in LAYOUTS and x.flags.c_contiguous and x.size else finite_array(function, "values", values)


def _fit(function: str, values: Any, bits: int, split: str, codes: str) -> tuple[Bins, Quantizer, Ties]:
    x, k = _weights(function, values), integer(function, "bits", bits, 1, 16)
    make, literal = _choice(function, "split", split, SPLITS), _choice(function, "codes", codes, CODES)
    bins = tally(x.reshape(-1))
    if not np.isfinite([bins.edges[0], bins.tops[-1]]).all():
        finite_array(function, "values", values)
    splits = make(bins, k, literal)
    lowest = _lowest(bins, splits, split == "median" or literal)
    cuts = _literal(splits, lowest) if literal else splits.starts
    ties = ties_of(bins, splits, lowest, literal) if split == "median" else NO_TIES
    scale, n = bins.scale, (1 << k) - 1
    parameters = MappingProxyType({"split": split, "codes": codes, "scale": scale, "tied": ties.moved})
    step, zero = np.array([scale / n]), np.zeros(1, np.int64)
    quantizer = Quantizer("balanced", Encoding(k, Kind.ODD), -n, cuts.reshape(1, -1), step, zero, None, parameters)
    return bins, quantizer, ties


def _lowest(bins: Bins, splits: Splits, needed: bool) -> NDArray[np.float64]:
    """The smallest number of every leaf; an empty one takes that of the next."""
    return bins.numbers(splits.ranks[:-1]) if needed else np.zeros(0)


def _literal(splits: Splits, lowest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Just above the smallest number of a leaf, or at it if the next leaf starts with it; an empty leaf has no cut."""
    empty = np.diff(splits.ranks)[1:] == 0
    again = np.append(lowest[2:] == lowest[1:-1], False)
    with np.errstate(over="ignore"):
        cuts = np.where(again, lowest[1:], np.nextafter(lowest[1:], inf))
    return np.where(empty, np.append(splits.starts[1:], inf), cuts)


def _choice(function: str, name: str, value: Any, legal: dict[str, Any]) -> Any:
    """What a name stands for."""
    if not isinstance(value, str):
        raise TypeError(f"{function}: {name}={value!r} is not a string; pass {' or '.join(map(repr, legal))}")
    if value not in legal:
        raise ValueError(f"{function}: {name}={value!r} is unknown; pass {' or '.join(map(repr, legal))}")
    return legal[value]
