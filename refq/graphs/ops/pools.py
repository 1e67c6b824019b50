"""average_pool, max_pool, global_average_pool and mean of quantized tensors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import IntFormat, Rounding
from refq.graphs.ops.pools_elements import average_element, max_element
from refq.graphs.ops.pools_sites import (
    AVERAGE_ATTRIBUTES,
    MEAN_ATTRIBUTES,
    WINDOW_ATTRIBUTES,
    axes_of,
    batched,
    mean_shapes,
    parts_of,
    rules,
    tags,
    window_shapes,
    windows_at,
)
from refq.graphs.ops.records import EXACT, Arrays, Bound, Element, Op
from refq.graphs.sites import Site, format_of
from refq.layers.elementwise import Affine, clamp
from refq.layers.pools import window_counts, window_maxima, window_sums
from refq.layers.pools_float import WINDOWED
from refq.layers.pools_means import MEANS, X86, X86_LOOPS
from refq.layers.rescaling import activation_bounds

Codes = NDArray[Any]
Limits = tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Mean:
    """A site of averages: its parameters, and the bounds of its activation."""

    site: Site
    source: Affine
    output: Affine
    limits: Limits


@dataclass(frozen=True, eq=False)
class Sums:
    """What no rule of averages changes: the sums of raw codes, their numbers, and the codes themselves."""

    sums: NDArray[np.int64]
    counts: NDArray[np.int64]
    codes: Codes


def _limits(site: Site, output: Affine, rounding: Rounding) -> Limits:
    activation = site.attribute("activation", "none")
    return activation_bounds(activation, output.scale, output.zero_point, output.fmt, rounding)


def _gather_windows(bound: _Mean, inputs: Arrays) -> Sums:
    x = np.asarray(inputs[0])
    windows = windows_at(bound.site, x.shape)
    counts = window_counts(x.shape, windows, bool(bound.site.attribute("count_include_pad", False)))
    if (counts == 0).any():
        raise ValueError(f"{bound.site.node.op} {bound.site.node.name}: padding={windows.padding} has empty windows")
    # what padding adds to the count, it adds to the sum as codes of the real 0
    padded = counts - window_counts(x.shape, windows)
    return Sums(window_sums(x, windows) + padded * bound.source.zero_point, counts, x)


def _gather_mean(bound: _Mean, inputs: Arrays) -> Sums:
    x = np.asarray(inputs[0])
    axes = axes_of(bound.site.node.name, bound.site.node.attributes, x.shape)
    count = int(np.prod([x.shape[axis] for axis in axes]))
    if count == 0:
        raise ValueError(f"mean {bound.site.node.name}: input of shape {x.shape} is empty along axes={axes}")
    sums = x.sum(axis=axes, dtype=np.int64, keepdims=bool(bound.site.attribute("keep_dims", False)))
    return Sums(sums, np.full((1,) * sums.ndim, count, np.int64), x)


def _x86(bound: _Mean, gathered: Sums) -> NDArray[np.int64]:
    """The last dimension in a vector body of 16 channels and the rest of the loop."""
    found = []
    body = gathered.sums.shape[-1] // 16 * 16
    for part, mean in ((slice(0, body), X86_LOOPS[1]), (slice(body, None), X86_LOOPS[0])):
        found.append(mean(gathered.sums[..., part], gathered.counts, bound.source, bound.output))
    return np.concatenate(found, axis=-1)


def _finish(bound: _Mean, gathered: Sums, rule: str) -> tuple[Codes, ...]:
    if rule not in rules(bound.site):
        legal = ", ".join(rules(bound.site))
        raise ValueError(f"{bound.site.node.op} {bound.site.node.name}: rule={rule!r} is not for it; legal: {legal}")
    if rule in WINDOWED:
        padded = bool(bound.site.attribute("count_include_pad", False))
        windows = windows_at(bound.site, gathered.codes.shape)
        values = WINDOWED[rule](gathered.codes, windows, padded, bound.source, bound.output)
    elif rule == X86:
        values = _x86(bound, gathered)
    else:
        values = MEANS[rule](gathered.sums, gathered.counts, bound.source, bound.output)
    return (clamp(values, bound.output, bound.limits),)


def _element(bound: _Mean, inputs: Arrays, place: int, index: tuple[int, ...]) -> Element:
    return average_element(bound.source, bound.output, bound.site, inputs, index)


def _bind_mean(site: Site, rounding: Rounding) -> Bound:
    source, output = parts_of(site)
    # LiteRT's default delegate leaves average pools to TFLite's kernels, bounds included
    bounds = Rounding.TIES_AWAY if site.format == "tflite" else rounding
    bound = _Mean(site, source, output, _limits(site, output, bounds))
    gather = _gather_mean if site.node.op == "mean" else _gather_windows
    return Bound(partial(gather, bound), partial(_finish, bound), partial(_element, bound))


def _max_limits(site: Site, fmt: IntFormat, rounding: Rounding) -> Limits:
    """A max pool needs no scales, but for a fused activation."""
    quantized = [t.quantization is not None for t in (site.input(0), site.outputs[0])]
    if not any(quantized) and site.attribute("activation", "none") == "none":
        return fmt.qmin, fmt.qmax
    source, output = parts_of(site)
    if source.scale != output.scale or source.zero_point != output.zero_point:
        raise ValueError(
            f"max_pool {site.node.name}: scales or zero points of input and output differ; pass equal ones"
        )
    return _limits(site, output, rounding if _takes_xnnpack(site) else Rounding.TIES_AWAY)


def _takes_xnnpack(site: Site) -> bool:
    """Whether LiteRT's default delegate leaves a max pool to XNNPACK: 8 bits, no stride longer than its window."""
    windows = windows_at(site, site.input(0).shape)
    short = all(step <= size for step, size in zip(windows.stride, windows.kernel, strict=True))
    return site.format != "tflite" or (short and site.input(0).dtype in ("int8", "uint8"))


def _max_gather(site: Site, inputs: Arrays) -> Codes:
    x = np.asarray(inputs[0])
    return window_maxima(x, windows_at(site, x.shape))


def _max_finish(limits: Limits, gathered: Codes, rule: str) -> tuple[Codes, ...]:
    if rule not in EXACT:
        raise ValueError(f"max_pool: rule={rule!r} is unknown; legal: {', '.join(EXACT)}")
    return (np.clip(gathered, *(gathered.dtype.type(end) for end in limits)),)


def _bind_max(site: Site, rounding: Rounding) -> Bound:
    limits = _max_limits(site, format_of(site, site.input(0)), rounding)
    return Bound(partial(_max_gather, site), partial(_max_finish, limits), partial(max_element, site))


OPS = (
    Op("average_pool", "means of windows", partial(window_shapes, "average_pool"), _bind_mean, rules, tags,
       attributes=AVERAGE_ATTRIBUTES),
    Op("max_pool", "maxima of windows; padding never wins", partial(window_shapes, "max_pool"), _bind_max,
       attributes=WINDOW_ATTRIBUTES),
    Op("global_average_pool", "mean of each channel", partial(window_shapes, "global_average_pool"), _bind_mean,
       rules, tags, attributes={"layout": WINDOW_ATTRIBUTES["layout"]}),
    Op("mean", "mean over some dimensions", mean_shapes, _bind_mean, rules, tags, batched, MEAN_ATTRIBUTES),
)  # fmt: skip
