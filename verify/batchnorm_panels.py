"""The six panels of the picture of a layer; each is drawn into axes it is given, so nothing here needs matplotlib."""

from __future__ import annotations

from math import floor, log10
from typing import Any

import numpy as np

from verify.batchnorm import Record
from verify.batchnorm_schemes import CENTRED, NAIVE, OPTIMAL, SHIFT_BN
from verify.batchnorm_views import View, line_points, stair_points, widest_move

# Okabe and Ito 2008: told apart by colour-blind readers
COLORS = {OPTIMAL: "#0072B2", CENTRED: "#009E73", NAIVE: "#D55E00", SHIFT_BN: "#CC79A7"}
WIDTHS = {OPTIMAL: 4.0, CENTRED: 2.2, NAIVE: 1.3, SHIFT_BN: 1.6}
MARKS = {OPTIMAL: "s", CENTRED: "o", NAIVE: "^", SHIFT_BN: "D"}
GREY = "#666666"
LINEAR_MOVES = 8
LABEL = {"color": "white", "alpha": 0.8, "lw": 0, "pad": 1}


def _frame(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)


def _plain_x(axes: Any) -> None:
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)
    axes.locator_params(axis="x", nbins=5)


def staircases(axes: Any, seen: View) -> None:
    """The whole of the channel: exact line and every scheme's codes."""
    first, last = seen.open_range
    margin = max((last - first) // 8, 2)
    first, last = max(first - margin, seen.target.first), min(last + margin, seen.target.last)
    for scheme, steps in seen.steps.items():
        axes.plot(*stair_points(steps, first, last), color=COLORS[scheme], lw=WIDTHS[scheme], solid_joinstyle="miter")
    xs = np.linspace(first, last, 400)
    axes.plot(xs, line_points(seen.channel, xs), color="black", lw=1)
    low, high = seen.target.levels.min(), seen.target.levels.max()
    margin = 0.08 * (high - low) + (0.5 if high > low else 1.5)
    axes.set_ylim(low - margin, high + margin)
    axes.locator_params(axis="y", integer=True)
    _plain_x(axes)
    _frame(axes, f"a  Channel {seen.place}: codes against its exact line", "accumulator", "output code")


def _window(seen: View, index: int | None) -> tuple[int, int]:
    """A few accumulators to both sides of a step and of where naive and centred lines put it."""
    if index is None:
        middle, around = sum(seen.open_range) // 2, 6
    else:
        near = [abs(int(seen.moves[scheme][index])) for scheme in (CENTRED, NAIVE)]
        middle, around = seen.due[index], 4 + 2 * max(near)
    return max(middle - around, seen.target.first), min(middle + around, seen.target.last)


def zoom(axes: Any, seen: View) -> None:
    """The step that naive rounding moves most; every accumulator is a plateau, schemes are drawn slightly apart."""
    index = widest_move(seen)
    first, last = _window(seen, index)
    codes = stair_points(seen.target, first, last)[1]
    for row, (scheme, steps) in enumerate(seen.steps.items()):
        xs, ys = stair_points(steps, first, last)
        axes.plot(xs, ys - 0.05 * row, color=COLORS[scheme], lw=2.2)
    xs = np.linspace(first - 0.5, last + 0.5, 200)
    axes.plot(xs, line_points(seen.channel, xs), color="black", lw=1)
    if index is not None:
        axes.axhline(seen.boundaries[index], color=GREY, lw=0.8, ls=":")
        where = "from here" if seen.inclusive[index] else "above this"
        axes.text(1.0, seen.boundaries[index], f" rounds to\n {seen.codes[index]}\n {where}", color=GREY, size=7.5,
                  va="center", transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set_ylim(codes.min() - 0.8, codes.max() + 0.8)
    axes.set_yticks(range(int(codes.min()), int(codes.max()) + 1))
    _plain_x(axes)
    moved = int(seen.moves[NAIVE][index]) if index is not None else 0
    what = f"naive comes {_accumulators(abs(moved))} {'late' if moved > 0 else 'early'}" if moved else "naive is right"
    step = f"the step to look at; {what}" if index is not None else "no step moves"
    _frame(axes, f"b  Channel {seen.place}: {step}", "accumulator", "output code, lines drawn slightly apart")


def _accumulators(count: int) -> str:
    return f"{count} accumulator{'' if count == 1 else 's'}"


def step_moves(axes: Any, seen: View) -> None:
    """By how many accumulators each code begins too late or too early."""
    largest = 1
    for scheme, moves in seen.moves.items():
        ys = np.array([float(move) for move in moves])
        axes.plot(
            seen.codes, ys, color=COLORS[scheme], lw=0.8, marker=MARKS[scheme], ms=6 if scheme == OPTIMAL else 3.5
        )
        largest = max(largest, *(abs(int(move)) for move in moves)) if len(moves) else largest
    if largest > LINEAR_MOVES:
        axes.set_yscale("symlog", linthresh=1)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.locator_params(axis="y", integer=True)
        axes.set_ylim(min(axes.get_ylim()[0], -1.1), max(axes.get_ylim()[1], 1.1))
    axes.axhline(0, color=GREY, lw=0.6)
    axes.locator_params(axis="x", integer=True)
    if not seen.codes:
        axes.text(0.5, 0.6, "the output is constant: there are no steps", ha="center", transform=axes.transAxes)
        axes.set_xticks([])
    _frame(
        axes, f"c  Channel {seen.place}: where each code begins", "output code", "accumulators late (+) or early (−)"
    )


def _mark_shared(axes: Any, shared: int | None) -> None:
    """The shift from which on the optimal line is exact."""
    if shared is not None:
        axes.axvline(shared, color=COLORS[OPTIMAL], lw=2)
        axes.annotate(f"optimal: exact from {shared}", (shared, 1.0), (4, 0), axes.get_xaxis_transform(),
                      textcoords="offset points", color=COLORS[OPTIMAL], va="top", fontsize=8, bbox=LABEL)  # fmt: skip


def share_by_shift(axes: Any, rows: list[Record], shared: int | None, shift_bn: Record) -> None:
    """Wrong accumulators of all, logarithmic; none at all is drawn on a line of its own below."""
    shifts = [row["shift"] for row in rows]
    seen = [row[scheme]["share"] for row in rows for scheme in (CENTRED, NAIVE)] + [shift_bn["share"]]
    none = 10.0 ** (floor(log10(min((share for share in seen if share), default=0.1))) - 1)
    for scheme in (CENTRED, NAIVE):
        shares = [row[scheme]["share"] or none for row in rows]
        axes.plot(shifts, shares, color=COLORS[scheme], marker=MARKS[scheme], ms=4)
    axes.axhline(shift_bn["share"] or none, color=COLORS[SHIFT_BN], lw=1.6)
    _mark_shared(axes, shared)
    axes.set_yscale("log")
    ticks = [10.0**power for power in range(round(log10(none)) + 1, 1)]
    ticks = ticks[:: -(-len(ticks) // 6)] if len(ticks) > 6 else ticks
    axes.set_yticks([none, *ticks], ["none", *(f"{100 * tick:.6g} %" for tick in ticks)])
    axes.minorticks_off()
    axes.set_ylim(none / 2, 2)
    axes.locator_params(axis="x", integer=True)
    _frame(axes, "d  All channels: accumulators wrong", "shift", "share of all accumulators")


def codes_by_shift(axes: Any, rows: list[Record], shared: int | None, shift_bn: Record) -> None:
    """The largest error and the proved bound, in codes."""
    shifts = [row["shift"] for row in rows]
    heights = [{"bound": row["bound"], **{s: row[s]["max_codes"] for s in (CENTRED, NAIVE)}} for row in rows]
    axes.plot(shifts, [row["bound"] for row in rows], color="black", lw=1, ls="--")
    for scheme in (CENTRED, NAIVE):
        axes.plot(shifts, [row[scheme] for row in heights], color=COLORS[scheme], marker=MARKS[scheme], ms=4)
    axes.axhline(shift_bn["max_codes"], color=COLORS[SHIFT_BN], lw=1.6)
    _mark_shared(axes, shared)
    axes.set_yscale("symlog", base=2, linthresh=1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylim(-0.2, 2.5 * max(1, shift_bn["max_codes"], *(row[name] for row in heights for name in row)))
    axes.locator_params(axis="x", integer=True)
    _frame(axes, "e  All channels: largest error", "shift", "codes")


def histogram(axes: Any, record: Record) -> None:
    """The smallest shift of every channel, optimal and naive beside each other; the last place is for none."""
    pairs = {OPTIMAL: record["min_shifts"], NAIVE: record["naive_min_shifts"]}
    known = [shift for shifts in pairs.values() for shift in shifts if shift is not None]
    low, high = min(known, default=0), max(known, default=-1)
    none = None in [*pairs[OPTIMAL], *pairs[NAIVE]]
    for side, (scheme, shifts) in zip((-0.2, 0.2), pairs.items(), strict=True):
        places = [high + 2 if shift is None else shift for shift in shifts]
        heights = {place: places.count(place) for place in sorted(set(places))}
        axes.bar([place + side for place in heights], list(heights.values()), 0.4, color=COLORS[scheme])
    axes.locator_params(axis="y", integer=True)
    axes.set_xlim(low - 1, high + (3 if none else 1))
    step = max((high - low) // 10, 1)
    ticks = list(range(low, high + 1, step))
    axes.set_xticks([*ticks, high + 2] if none else ticks, [*map(str, ticks), *(["none"] if none else [])])
    _frame(axes, "f  Smallest shift with which a channel is exact", "shift", "channels")
