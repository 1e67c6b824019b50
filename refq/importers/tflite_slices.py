"""STRIDED_SLICE resolved to numbers: masks, negative places and strides.

Source: TensorFlow's strided_slice and TFLite's BuildStridedSliceParams.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from refq.graphs.records import Node, Tensor
from refq.importers import tflite_calls as calls
from refq.importers.tflite_calls import Call, Converted, converted, operand, refuse


@dataclass(frozen=True)
class Cut:
    """One dimension: range(begin, end, step); dropped where its one place makes no dimension of the result."""

    begin: int
    end: int
    step: int
    dropped: bool = False


def slice_of(call: Call) -> Converted:
    """SLICE: (x, begin, size); a size of -1 is the rest."""
    calls.arity(call, 3, 3)
    x, rank = operand(call, 0), len(operand(call, 0).shape)
    calls.same_type(call, x, call.outputs[0])
    begin, size = (calls.integers(call, place, what, (rank,)) for place, what in ((1, "begin"), (2, "size")))
    end = tuple(n if s == -1 else b + s for b, s, n in zip(begin, size, x.shape, strict=True))
    if not all(0 <= b <= e <= n for b, e, n in zip(begin, end, x.shape, strict=True)):
        raise refuse(call, f"begin {begin} and size {size} are not inside {x.shape}")
    return converted(call, "slice", (x,), begin=begin, end=end, step=(1,) * rank)


def strided_slice(call: Call) -> Converted:
    """STRIDED_SLICE: (x, begin, end, strides) with its masks; a reshape follows where dimensions come or go."""
    calls.arity(call, 4, 4)
    x, y = operand(call, 0), call.outputs[0]
    calls.same_type(call, x, y)
    cuts = cuts_of(call, x.shape)
    numbers = {name: tuple(getattr(cut, name) for cut in cuts) for name in ("begin", "end", "step")}
    shape = tuple(len(range(cut.begin, cut.end, cut.step)) for cut in cuts)
    if not call.options["NewAxisMask"] and not any(cut.dropped for cut in cuts):
        return converted(call, "slice", (x,), **numbers)
    _check_result(call, cuts, shape, y)
    between = Tensor(f"{y.name}#slice", shape, x.dtype, x.quantization)
    first = Node(f"{call.name}/slice", "slice", (x.name,), (between.name,), numbers, call.code)
    return Converted((first, Node(call.name, "reshape", (between.name,), (y.name,), {}, call.code)), (between,))


def _check_result(call: Call, cuts: list[Cut], shape: tuple[int, ...], y: Tensor) -> None:
    """The declared shape, new dimensions of size 1 aside, is what is left."""
    left = [size for size, cut in zip(shape, cuts, strict=True) if not cut.dropped and size != 1]
    if [size for size in y.shape if size != 1] != left:
        raise refuse(call, f"cuts {shape} out of {operand(call, 0).shape}, the file declares {y.shape}")


def cuts_of(call: Call, shape: tuple[int, ...]) -> list[Cut]:
    """One cut a dimension of x, given the numbers of the file, an ellipsis in them standing for whole dimensions."""
    begin = calls.integers(call, 1, "begin")
    end, stride = (calls.integers(call, place, what, (len(begin),)) for place, what in ((2, "end"), (3, "strides")))
    masks = {name: int(call.options[name]) for name in call.options}
    if masks["Offset"]:
        end = tuple(b + e for b, e in zip(begin, end, strict=True))
    taken = [i for i in range(len(begin)) if not (masks["NewAxisMask"] | masks["EllipsisMask"]) >> i & 1]
    ellipses = [i for i in range(len(begin)) if masks["EllipsisMask"] >> i & 1]
    if len(ellipses) > 1 or len(taken) > len(shape):
        raise refuse(call, f"{len(taken)} ranges and {len(ellipses)} ellipses for rank {len(shape)}")
    before = sum(i < ellipses[0] for i in taken) if ellipses else len(taken)
    whole = [Cut(0, n, 1) for n in shape[before : len(shape) - len(taken) + before]]
    sizes = (*shape[:before], *shape[len(shape) - len(taken) + before :])
    cuts = [_cut(call, masks, i, begin[i], end[i], stride[i], n) for i, n in zip(taken, sizes, strict=True)]
    return [*cuts[:before], *whole, *cuts[before:]]


def _cut(call: Call, masks: dict[str, int], place: int, begin: int, end: int, step: int, size: int) -> Cut:
    """One range, negative places counted from the end, cut to the dimension."""
    if step == 0:
        raise refuse(call, f"stride {place} is 0")
    if masks["ShrinkAxisMask"] >> place & 1:
        found = begin + size if begin < 0 else begin
        if not 0 <= found < size or step < 0:
            raise refuse(call, f"place {begin} with stride {step} of a dimension of size {size}")
        return Cut(found, found + 1, 1, True)
    low, high = (0, size) if step > 0 else (-1, size - 1)
    ends = [low, high] if step > 0 else [high, low]
    given = [min(max(n + size if n < 0 else n, low), high) for n in (begin, end)]
    open_ = [masks[name] >> place & 1 for name in ("BeginMask", "EndMask")]
    first, last = (e if o else g for e, o, g in zip(ends, open_, given, strict=True))
    cut = Cut(first, last, step)
    return cut if len(range(cut.begin, cut.end, step)) else replace(cut, end=cut.begin)
