"""The picture of `refq analyze-tensor --picture`: the histogram, and under it the bins and levels of each method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.quantizers.error import level_values
from refq.quantizers.error_table import ErrorRow
from verify.drawing import STYLE
from verify.failures import UsageError
from verify.files import shown
from verify.tensor import Record

BINS = 120
# Neighbouring bins of a row; Okabe and Ito 2008 for the marks
SHADES = ("#d8e6f2", "#a9c6df")
LEVEL, GREY = "#D55E00", "#666666"


def edges(cuts: NDArray[np.float64], left: float, right: float) -> NDArray[np.float64]:
    """The ends of the bins that can be seen, the picture's own ends included.

    >>> edges(np.array([-5.0, 0.0, 2.0]), -1.0, 1.0)
    array([-1., -1.,  0.,  1.,  1.])
    """
    return np.concatenate([[left], np.clip(cuts, left, right), [right]])


def _bins(axes: Any, place: int, row: ErrorRow, span: tuple[float, float]) -> None:
    """One row: a shaded bar a bin, a mark a level; levels out of sight are counted at the ends."""
    assert row.quantizer is not None
    ends, worth = edges(row.quantizer.cuts[0], *span), level_values(row.quantizer)
    colors = [SHADES[i % 2] for i in range(len(ends) - 1)]
    axes.barh([place] * len(colors), np.diff(ends), 0.8, ends[:-1], color=colors, lw=0)
    seen = worth[(worth >= span[0]) & (worth <= span[1])]
    size = 3.5 if len(worth) <= 16 else 1.5
    axes.plot(seen, [place] * len(seen), ls="none", marker="o", ms=size, color=LEVEL)
    for x, count, side in ((span[0], (worth < span[0]).sum(), "left"), (span[1], (worth > span[1]).sum(), "right")):
        if count:
            text = f"< {count}" if side == "left" else f"{count} >"
            axes.text(x, place, f" {text} ", ha=side, va="center", color=LEVEL, fontsize=7.5)


def _loss(row: ErrorRow) -> str:
    assert row.loss is not None
    ratio = "" if row.ratio is None else f"  {row.ratio:.3g}x"
    return f" {row.loss.mean_squared_error:.2e}{ratio}  {row.loss.entropy:.2f} bits"


def _rows(axes: Any, rows: Sequence[ErrorRow], span: tuple[float, float], named: bool) -> None:
    drawn = [row for row in rows if row.quantizer is not None]
    for place, row in enumerate(drawn):
        _bins(axes, place, row, span)
        axes.text(1.0, place, _loss(row), va="center", fontsize=7.5, transform=axes.get_yaxis_transform())
    axes.set_yticks(range(len(drawn)), [row.method for row in drawn] if named else [""] * len(drawn))
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.set_xlabel("value")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _histogram(axes: Any, x: NDArray[np.float64], span: tuple[float, float], bits: int) -> None:
    axes.stairs(*np.histogram(x, BINS, span), fill=True, color=GREY, lw=0)
    axes.set_title(f"{bits} bit{'s' if bits > 1 else ''}", loc="left", weight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelbottom=False)
    axes.set_xlim(*span)


def _span(x: NDArray[np.float64]) -> tuple[float, float]:
    """All values and a margin, symmetric around 0."""
    reach = 1.05 * float(np.abs(x).max()) or 1.0
    return -reach, reach


def _headline(record: Record) -> str:
    name = f": {record['name']}" if record["name"] else ""
    shape = "x".join(map(str, record["shape"])) or "one value"
    return f"{Path(record['file']).name}{name}, {shape}"


def draw(values: NDArray[Any], rows: Sequence[ErrorRow], record: Record, picture: str) -> None:
    """Write the picture; the same input gives the same bytes of SVG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    x = values.astype(np.float64).ravel()
    widths, span = list(dict.fromkeys(row.bits for row in rows)), _span(x)
    most = max(sum(row.bits == bits for row in rows) for bits in widths)
    with rc_context(STYLE):
        figure = Figure(figsize=(2.2 + 4.9 * len(widths), 2.9 + 0.3 * most), layout="constrained")
        shape = {"height_ratios": [1.6, 0.3 * most], "hspace": 0.02}
        axes = figure.subplots(2, len(widths), sharex="col", squeeze=False, gridspec_kw=shape)
        for column, bits in enumerate(widths):
            _histogram(axes[0, column], x, span, bits)
            _rows(axes[1, column], [row for row in rows if row.bits == bits], span, named=True)
        figure.suptitle(_headline(record), fontsize=11, weight="bold")
        note = (
            "Shaded: the values that share a code. Dots: what the codes are worth (counted at the side if outside). "
            "Right: mean squared error, by the exact optimum of the grid, entropy."
        )
        figure.text(0.5, -0.02, note, ha="center", va="top", color=GREY, fontsize=8)
        _save(figure, picture)


def _save(figure: Any, picture: str) -> None:
    svg = picture.lower().endswith(".svg")
    metadata = {"Date": None, "Creator": None} if svg else {"Software": None}
    try:
        figure.savefig(picture, dpi=110, metadata=metadata, bbox_inches="tight")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"picture={shown(picture)} cannot be written: {why}") from None
