"""Where in a tensor x86 kernels of elementwise operations run their vector body, and where the rest of the loop."""

from __future__ import annotations

from math import prod

SCALAR, ELEMENTWISE, BROADCAST = 0, 1, 2
"""Which loop computes an element: one at a time, the vector body of two arrays, that of one number and an array."""

Shape = tuple[int, ...]


def _padded(a: Shape, b: Shape) -> tuple[Shape, Shape]:
    rank = max(len(a), len(b))
    return (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b


def _fivefold(a: Shape, b: Shape) -> tuple[int, int, int, int, int] | None:
    """TFLite's five merged dimensions y0..y4 of a broadcast whose innermost unequal dimension is 1 in `a`."""
    sizes, left = [1] * 5, len(a)
    for place, one in ((4, None), (3, a), (2, None), (1, b), (0, None)):
        while left and (a[left - 1] == b[left - 1] if one is None else one[left - 1] == 1):
            left -= 1
            sizes[place] *= max(a[left], b[left])
    return None if left else (sizes[0], sizes[1], sizes[2], sizes[3], sizes[4])


def segments(first: Shape, second: Shape) -> tuple[int, int]:
    """(loop, length) of the runs into which TFLite's optimized kernels cut a result; length 0: one at a time.

    Source: TFLite ProcessBroadcastShapes, BinaryBroadcastFiveFold.

    >>> segments((1, 4, 4, 8), (1, 4, 4, 8)), segments((1, 4, 4, 8), (1, 1, 1, 8)), segments((4, 8), (4, 1))
    ((1, 128), (1, 8), (2, 8))
    """
    a, b = _padded(first, second)
    if a == b:
        return ELEMENTWISE, prod(a)
    unequal = [i for i in range(len(a)) if a[i] != b[i]]
    five = _fivefold(a, b) if a[unequal[-1]] == 1 else _fivefold(b, a)
    if five is None:
        return SCALAR, 0
    return (ELEMENTWISE, five[4]) if five[4] > 1 else (BROADCAST, five[3])


def vector_run(first: Shape, second: Shape, widths: tuple[int, int]) -> tuple[int, int, int]:
    """(loop, length, body): of each run of `length` results the first `body` come from the vector body of `loop`.

    widths: how many elements a round of the ELEMENTWISE and of the BROADCAST body takes. Shapes are those of one
    sample, whose results are a whole number of runs.

    >>> vector_run((1, 35), (1, 35), (16, 8)), vector_run((2, 9), (2, 1), (16, 8))
    ((1, 35, 32), (2, 9, 8))
    """
    loop, length = segments(first, second)
    width = widths[loop - ELEMENTWISE] if loop != SCALAR else 1
    return loop, length, length // width * width


def first_is_scalar(first: Shape, second: Shape) -> bool:
    """Whether ONNX Runtime's broadcaster hands its kernel single numbers of the first input and runs of the second.

    The innermost dimension that is not 1 in both decides. Source: ONNX Runtime, element_wise_ops.h (Broadcaster).

    >>> first_is_scalar((4, 1), (4, 8)), first_is_scalar((8,), (4, 8)), first_is_scalar((4, 8), (1,))
    (True, False, False)
    """
    a, b = _padded(first, second)
    inner = [(p, q) for p, q in zip(a, b, strict=True) if (p, q) != (1, 1)]
    return bool(inner) and inner[-1][0] == 1
