"""Random operators that move values: each function adds one that reads x, or nothing where none fits."""

import numpy as np
from random_tflite import Maker, V


def pad(m: Maker, x: V) -> None:
    if len(x.shape) > 4:
        return
    pads = [(0, 0), *((m.number(0, 3), m.number(0, 3)) for _ in x.shape[1:])]
    y = m.kept(x, [n + a + b for n, (a, b) in zip(x.shape, pads, strict=True)])
    if m.maybe(0.7):
        m.op("PAD", [x, m.const(*pads)], [y], "PadOptions")
        return
    value = m.constant((1,))
    m.tensors[-1].scale, m.tensors[-1].zero_point = x.scale, x.zero
    m.op("PADV2", [x, m.const(*pads), value], [y], "PadV2Options")


def concat(m: Maker, x: V) -> None:
    """int8 inputs of other scales, which LiteRT refuses, go through QUANTIZE."""
    parts = [x]
    same = [v for v in m.live if v.shape[:-1] == x.shape[:-1] and len(v.shape) == len(x.shape)]
    for v in [m.one_of(*same) for _ in range(m.number(1, 3))]:
        equal = m.dtype != "int8" or (v.scale, v.zero) == (x.scale, x.zero)
        parts.append(v if equal else m.op("QUANTIZE", [v], [m.kept(x, v.shape)], "QuantizeOptions"))
    y = m.kept(x, (*x.shape[:-1], sum(v.shape[-1] for v in parts)))
    m.op("CONCATENATION", parts, [y], "ConcatenationOptions", axis=m.one_of(len(x.shape) - 1, -1))


def reshape(m: Maker, x: V) -> None:
    rows, rest = x.shape[0], x.shape[1:]
    n = int(np.prod(rest))
    shape = m.one_of((rows, n), (rows, 1, n), (rows, 1, n, 1), (rows, *rest[::-1]), (rows, 1, *rest))
    if len(shape) > (5 if m.wild else 4):
        return
    first = -1 if m.maybe(0.5) else rows
    m.op("RESHAPE", [x, m.const(first, *shape[1:])], [m.kept(x, shape)], "ReshapeOptions", newShape=list(shape))


def ones(m: Maker, x: V) -> None:
    """A dimension of size 1 comes or goes."""
    if len(x.shape) < 4:
        at = m.number(1, len(x.shape) + 1)
        y = m.kept(x, (*x.shape[:at], 1, *x.shape[at:]))
        m.op("EXPAND_DIMS", [x, m.const(at)], [y], "ExpandDimsOptions")
    elif 1 in x.shape[1:]:
        at = x.shape[1:].index(1) + 1
        y = m.kept(x, (*x.shape[:at], *x.shape[at + 1 :]))
        m.op("SQUEEZE", [x], [y], "SqueezeOptions", squeezeDims=[at])


def transpose(m: Maker, x: V) -> None:
    perm = [0, *(1 + m.rng.permutation(len(x.shape) - 1))]
    m.op("TRANSPOSE", [x, m.const(*perm)], [m.kept(x, [x.shape[p] for p in perm])], "TransposeOptions")


def split(m: Maker, x: V) -> None:
    axis = m.number(1, len(x.shape))
    n = x.shape[axis]

    def parts(*sizes: int) -> list[V]:
        return [m.kept(x, (*x.shape[:axis], size, *x.shape[axis + 1 :])) for size in sizes]

    if n > 1 and m.maybe(0.5):
        first = m.number(1, n)
        inputs = [x, m.const(first, -1), m.const(axis)]
        m.op("SPLIT_V", inputs, parts(first, n - first), "SplitVOptions", numSplits=2)
    else:
        count = m.one_of(*(c for c in (1, 2, 3, 4, 5) if n % c == 0))
        inputs = [m.const(axis - len(x.shape)), x]
        m.op("SPLIT", inputs, parts(*[n // count] * count), "SplitOptions", numSplits=count)


def cut(m: Maker, x: V) -> None:
    begin = [0, *(m.number(0, n) for n in x.shape[1:])]
    places = list(zip(x.shape, begin, strict=True))[1:]
    size = [-1, *(m.one_of(-1, m.number(1, n - b + 1)) for n, b in places)]
    shape = [n - b if s == -1 else s for n, b, s in zip(x.shape, begin, size, strict=True)]
    m.op("SLICE", [x, m.const(*begin), m.const(*size)], [m.kept(x, shape)], "SliceOptions")


def _range(m: Maker, n: int) -> tuple[int, int, int, int]:
    """Begin, end and stride as a file may have them, and how many places they name."""
    step = m.one_of(1, 1, 2, -1)
    first, last = sorted((m.number(0, n + 1), m.number(0, n + 1)))
    if first == last:
        first, last = 0, n
    count = len(range(first, last, abs(step)))
    if step < 0:
        return last - 1, first - 1 if first else -n - 1, step, count
    return first - n if m.maybe(0.3) else first, last, step, count


def strided(m: Maker, x: V) -> None:
    ranges = [(0, 0, 1, x.shape[0]), *(_range(m, n) for n in x.shape[1:])]
    shape, masks = [r[3] for r in ranges], {"beginMask": 1, "endMask": 1}
    if m.maybe(0.3) and len(x.shape) > 2:
        # the last dimension goes
        place = m.number(0, x.shape[-1])
        ranges[-1] = (place, place + 1, 1, 1)
        shape, masks = shape[:-1], masks | {"shrinkAxisMask": 1 << len(x.shape) - 1}
    inputs = [x, *(m.const(*(r[i] for r in ranges)) for i in range(3))]
    m.op("STRIDED_SLICE", inputs, [m.kept(x, shape)], "StridedSliceOptions", **masks)


def stack(m: Maker, x: V) -> None:
    if len(x.shape) > 3:
        return
    axis = m.number(1, len(x.shape) + 1)
    y = m.kept(x, (*x.shape[:axis], 2, *x.shape[axis:]))
    m.op("PACK", [x, x], [y], "PackOptions", valuesCount=2, axis=axis)


def unstack(m: Maker, x: V) -> None:
    axis = m.number(1, len(x.shape))
    if len(x.shape) < 3 or x.shape[axis] > 6:
        return
    parts = [m.kept(x, (*x.shape[:axis], *x.shape[axis + 1 :])) for _ in range(x.shape[axis])]
    m.op("UNPACK", [x], parts, "UnpackOptions", num=len(parts), axis=axis)


KINDS = (pad, concat, reshape, ones, transpose, split, cut, strided, stack, unstack)
