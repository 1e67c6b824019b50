"""Integer points between two envelopes of lines: the bias with most trailing zeros, without a scan.

For each multiplier A in first..last the biases run from a convex bound max(c_i + s_i A) to a concave one.
Multiples of 2**t between them are counted line by line with a floor sum, so ranges of 2**60 cost no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Line = tuple[int, int]
Piece = tuple[int, int, int, int]


def floor_sum(count: int, divisor: int, slope: int, offset: int) -> int:
    """sum of floor((slope * i + offset) / divisor) for i = 0..count - 1, by Euclid's algorithm.

    >>> floor_sum(4, 3, 2, -1), sum((2 * i - 1) // 3 for i in range(4))
    (1, 1)
    """
    total = 0
    while True:
        total += count * (count - 1) // 2 * (slope // divisor) + count * (offset // divisor)
        top = slope % divisor * count + offset % divisor
        if top < divisor:
            return total
        # the points under the line, counted by rows instead of columns
        slope, divisor, (count, offset) = divisor, slope % divisor, divmod(top, divisor)


def envelope(lines: Sequence[Line], first: int, last: int) -> list[Piece]:
    """max(offset + slope * a) over the lines as pieces (first, last, slope, offset) on the integers first..last.

    >>> envelope([(0, 0), (1, -3)], 0, 9)
    [(0, 3, 0, 0), (4, 9, 1, -3)]
    """
    pieces: list[Piece] = []
    while first <= last:
        slope, offset = max(lines, key=lambda line: (line[0] * first + line[1], line[0]))
        end = min([last, *((offset - o) // (s - slope) for s, o in lines if s > slope)])
        pieces.append((first, end, slope, offset))
        first = end + 1
    return pieces


def _sum_to(pieces: list[Piece], last: int, divisor: int) -> int:
    """sum over a <= last of floor(envelope(a) / divisor)."""
    return sum(
        floor_sum(min(end, last) - start + 1, divisor, slope, slope * start + offset)
        for start, end, slope, offset in pieces
        if start <= last
    )


def _last_true(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The largest k of low..high with holds(k): true at low, and once false it stays so."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def roundest_multiplier(least: Sequence[Line], most: Sequence[Line], first: int, last: int) -> int:
    """The smallest a of first..last for which some b with the most trailing zeros of all fits.

    least: lines (slope, offset) with b >= slope * a + offset; most: the same with <=. Some b must fit.

    >>> roundest_multiplier([(-3, 100)], [(-3, 101)], 1, 9)  # 101 - 3 * 7 = 80
    7
    """
    above = envelope([(-slope, -offset) for slope, offset in most], first, last)
    below = envelope(least, first, last)

    def count(end: int, zeros: int) -> int:
        # floor(most / 2**t) - ceil(least / 2**t) + 1, where least <= most counts the multiples exactly
        below_up = [(a, z, s, o + (1 << zeros) - 1) for a, z, s, o in below]
        above_up = [(a, z, s, o + (1 << zeros) - 1) for a, z, s, o in above]
        return end - first + 1 - _sum_to(above_up, end, 1 << zeros) - _sum_to(below_up, end, 1 << zeros)

    # beyond the longest bias only 0 is a multiple
    longest = max(abs(slope * a + offset) for a in (first, last) for slope, offset in (*least, *most)).bit_length() + 1
    zeros = _last_true(0, longest, lambda t: count(last, t) > 0)
    return last - _last_true(0, last - first, lambda back: count(last - back, zeros) > 0)
