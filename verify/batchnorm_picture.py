"""The picture of `refq analyze-bn --image`: what the schemes do to one channel, and what each bit buys the layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from verify.batchnorm import Record
from verify.batchnorm_panels import (
    COLORS,
    codes_by_shift,
    histogram,
    share_by_shift,
    staircases,
    step_moves,
    zoom,
)
from verify.batchnorm_report import plural
from verify.batchnorm_schemes import NAIVE, OPTIMAL, SHIFT_BN, Schemes, shift_record
from verify.batchnorm_views import View, view
from verify.drawing import STYLE
from verify.failures import UsageError
from verify.files import shown

BEYOND = 8


def hardest(schemes: Schemes) -> int:
    """The channel that needs the largest shift; the first that no line reproduces, where there is one."""
    shifts = [fit.min_shift for _, fit in schemes.pairs]
    return max(range(len(shifts)), key=lambda place: (shifts[place] is None, shifts[place] or 0, -place))


def curve(schemes: Schemes, record: Record) -> list[Record]:
    """Bound and exact error at the shifts of the dropped bits, and on to where naive rounding is exact."""
    naive = next(s["shift_needed"] for s in record["schemes"] if s["scheme"] == NAIVE)
    last = schemes.start + BEYOND if naive is None else min(max(naive, schemes.start) + 1, schemes.start + BEYOND)
    rows = {row["shift"]: row for row in record["dropped_bits"]}
    return [rows[k] for k in sorted(rows)] + [shift_record(schemes, k) for k in range(schemes.start + 1, last + 1)]


def _label(scheme: Record, total: int) -> str:
    """One scheme in the legend, with its exact count in the layer."""
    if not scheme["bits"]:
        return "thresholds, as no line is exact"
    name = scheme["scheme"] + ("" if scheme["shift"] is None else f", shift {scheme['shift']}")
    if scheme["scheme"] == SHIFT_BN:
        name += ", power-of-two slope"
    if not scheme["wrong"]:
        return f"{name}: exact everywhere"
    return f"{name}: {scheme['wrong']} of {total} wrong, at most {plural(scheme['max_codes'], 'code')} off"


def _headline(record: Record) -> str:
    """What the layer needs, in words."""
    name = Path(record["file"]).name
    needs = {s["scheme"]: s["shift_needed"] for s in record["schemes"]}
    if needs[OPTIMAL] is None:
        return f"{name}: no multiplier and bias reproduce batch norm exactly ({record['rounding']})"
    naive = "are never exact" if needs[NAIVE] is None else f"need {needs[NAIVE]}"
    lined = record["channels"] - len(record["without_line"])
    which = "all" if lined == record["channels"] else f"{lined} of"
    return (
        f"{name}: shift {needs[OPTIMAL]} reproduces batch norm exactly on {which} "
        f"{plural(record['channels'], 'channel')}; parameters rounded naively {naive}"
    )


def _panels(axes: Any, schemes: Schemes, record: Record, seen: View) -> None:
    rows = curve(schemes, record)
    shift_bn = next(s for s in record["schemes"] if s["scheme"] == SHIFT_BN)
    staircases(axes[0, 0], seen)
    zoom(axes[0, 1], seen)
    step_moves(axes[0, 2], seen)
    share_by_shift(axes[1, 0], rows, schemes.shared, shift_bn)
    codes_by_shift(axes[1, 1], rows, schemes.shared, shift_bn)
    histogram(axes[1, 2], record)


def draw(schemes: Schemes, record: Record, channel: int | None, image: str) -> None:
    """Write the picture; the same input gives the same bytes of SVG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    seen = view(schemes, hardest(schemes) if channel is None else channel, record["shift"])
    with rc_context(STYLE):
        figure = Figure(figsize=(15, 8.6), layout="constrained")
        _panels(figure.subplots(2, 3), schemes, record, seen)
        figure.suptitle(_headline(record), fontsize=12, weight="bold")
        labels = [(COLORS[s["scheme"]], _label(s, record["accumulators"])) for s in record["schemes"]]
        handles = [Line2D([], [], color=color, lw=3, label=label) for color, label in labels]
        handles.append(Line2D([], [], color="black", lw=1, label="exact line, before rounding"))
        handles.append(Line2D([], [], color="black", lw=1, ls="--", label="bound proved for centred"))
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        try:
            svg = image.lower().endswith(".svg")
            figure.savefig(image, dpi=110, metadata={"Date": None, "Creator": None} if svg else {"Software": None})
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"image={shown(image)} cannot be written: {why}") from None
