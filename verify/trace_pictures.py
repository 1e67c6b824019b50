"""Pictures of a trace as SVG text: where in a tensor the differences lie, and the staircase around one sum."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.table import short
from verify.drawing import STYLE
from verify.trace import Difference, Staircase

# Okabe and Ito 2008
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
HEAT, GREY = "magma_r", "#666666"
MOST_LINES = 6
MOST_BARS = 256
NEAR = 3


def _svg(figure: Any, salt: str) -> str:
    """The figure as an <svg> element; `salt` keeps the names inside apart from those of other figures of a page."""
    from matplotlib import rc_context

    with rc_context({**STYLE, "svg.hashsalt": salt, "svg.fonttype": "none"}):
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def planes(counts: NDArray[Any], channel: int = 2) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Counts in the shape of one sample as a picture (rows, columns), and, for (H, W, C), as sums a channel.

    channel: the dimension of the channels, 0 for (C, H, W). A leading dimension of 1 is dropped; other shapes become
    one row a leading index.

    >>> [p.shape for p in planes(np.zeros((1, 4, 5, 3)))]
    [(4, 5), (3,)]
    >>> [p.shape for p in planes(np.zeros((1, 4, 5, 3)), 0)]
    [(5, 3), (4,)]
    >>> planes(np.zeros((1, 7)))[0].shape
    (1, 7)
    """
    array = counts[0] if counts.ndim > 1 and counts.shape[0] == 1 else counts
    if array.ndim == 3:
        return array.sum(axis=channel), array.sum(axis=tuple({0, 1, 2} - {channel}))
    return array.reshape(-1, array.shape[-1] if array.ndim else 1), None


def _whole(*axes: Any) -> None:
    """Ticks at integers only."""
    from matplotlib.ticker import MaxNLocator

    for axis in axes:
        axis.set_major_locator(MaxNLocator(integer=True))


def _bars(axes: Any, values: NDArray[Any], label: str) -> None:
    axes.bar(np.arange(len(values)), values, 1.0, color=COLORS[1], lw=0)
    axes.set(xlabel=label, ylabel="differing", xlim=(-0.5, len(values) - 0.5))
    _whole(axes.xaxis, axes.yaxis)
    axes.spines[["top", "right"]].set_visible(False)


def _image(figure: Any, axes: Any, plane: NDArray[Any], mark: tuple[int, ...] | None, labels: tuple[str, str]) -> None:
    shown = axes.imshow(plane, cmap=HEAT, interpolation="nearest", aspect="equal", vmin=0)
    _whole(figure.colorbar(shown, ax=axes, shrink=0.8, label="differing").ax.yaxis, axes.xaxis, axes.yaxis)
    if mark is not None:
        axes.plot(mark[1], mark[0], "o", ms=9, mfc="none", mec=COLORS[0], mew=1.5)
    axes.set(xlabel=labels[1], ylabel=labels[0])


def places_picture(found: Difference, salt: str, channel: int = 2) -> str:
    """Where in a sample elements differ, summed over samples; the explained element is circled.

    channel: see `planes`.
    """
    from matplotlib import rc_context

    if found.counts is None or not found.counts.size:
        return ""
    plane, channels = planes(found.counts, channel)
    flat = len(plane) == 1
    with rc_context(STYLE):
        figure = _figure(7.6, 2.4 if flat else 3.2)
        axes = figure.subplots(1, 1 if channels is None else 2, squeeze=False)[0]
        if flat and plane.shape[1] <= MOST_BARS:
            _bars(axes[0], plane[0], "element")
        else:
            spatial = channels is not None and len(found.index) >= 3
            mark = tuple(i for place, i in enumerate(found.index[-3:]) if place != channel) if spatial else None
            labels = ("row", "column") if channels is not None else ("leading index", "last index")
            _image(figure, axes[0], plane, mark, labels)
        if channels is not None:
            _bars(axes[1], channels, "channel")
    return _svg(figure, f"places {salt}")


def samples_picture(found: Difference, salt: str) -> str:
    """How many elements differ in each sample."""
    from matplotlib import rc_context

    if found.by_sample is None or len(found.by_sample) < 2:
        return ""
    with rc_context(STYLE):
        figure = _figure(7.6, 1.6)
        _bars(figure.subplots(), found.by_sample, "sample")
    return _svg(figure, f"samples {salt}")


def grouped(steps: Staircase) -> list[tuple[list[str], NDArray[Any]]]:
    """Rules that draw the same line, together.

    >>> codes = {"a": np.array([0, 1]), "b": np.array([1, 1]), "c": np.array([0, 1])}
    >>> [names for names, _ in grouped(Staircase(np.array([5, 6]), codes))]
    [['a', 'c'], ['b']]
    """
    found: dict[bytes, tuple[list[str], NDArray[Any]]] = {}
    for rule, codes in steps.codes.items():
        found.setdefault(codes.tobytes(), ([], codes))[0].append(rule)
    return list(found.values())


def _steps(axes: Any, steps: Staircase, accumulator: int, exact: Any, reach: int | None) -> None:
    """One line a group of rules that agree; reach: only so many sums to either side, as dots."""
    seen = slice(None) if reach is None else np.abs(steps.accumulators - accumulator) <= reach
    x = steps.accumulators[seen]
    if exact is not None:
        scale, value = exact
        line = [float(value + (int(a) - accumulator) * scale) for a in (x[0], x[-1])]
        axes.plot((x[0], x[-1]), line, color=GREY, lw=0.9, ls=":", label="exact real value")
    # lines that coincide for most of their way stay visible
    for place, (rules, codes) in enumerate(grouped(steps)[:MOST_LINES]):
        more = f" and {len(rules) - 1} more" if len(rules) > 1 else ""
        kind = {"lw": 1.6} if reach is None else {"lw": 0.8, "marker": "o", "ms": 4}
        y = codes[seen] + 0.02 * place
        axes.step(x, y, where="mid", color=COLORS[place], label=short(rules[0]) + more, **kind)
    axes.axvline(accumulator, color=GREY, lw=0.8, ls="--")
    axes.set(xlabel="accumulator", ylabel="code")
    _whole(axes.xaxis, axes.yaxis)
    axes.ticklabel_format(useOffset=False)
    axes.spines[["top", "right"]].set_visible(False)


def staircase_picture(steps: Staircase, accumulator: int, exact: Any, salt: str) -> str:
    """The codes that rules give to sums around one, and nearer; exact: (scale, value), what they all approximate."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = _figure(9.6, 3.6)
        left, right = figure.subplots(1, 2)
        _steps(left, steps, accumulator, exact, None)
        _steps(right, steps, accumulator, exact, NEAR)
        left.set_title("around the sum")
        right.set_title(f"the sum {accumulator} and its neighbours")
        figure.legend(*left.get_legend_handles_labels(), frameon=False, fontsize=7.5, loc="outside lower center")
    return _svg(figure, f"staircase {salt}")
