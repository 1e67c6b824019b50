"""A fitted layer as a plain record: what `refq fit-bn --json` prints and its table shows."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from refq import Rounding
from refq.batchnorm import (
    Channel,
    Fit,
    LayerFit,
    Share,
    Widths,
    naive_form,
    naive_min_shift,
    reproduces,
    threshold_form,
    widths,
)

Record = dict[str, Any]


def width_record(found: Widths) -> Record:
    """The bits of one line."""
    return {"multiplier": found.multiplier, "bias": found.bias, "product": found.product, "sum": found.total}


def widest(found: Iterable[Widths]) -> Record | None:
    """The bits that hold every channel."""
    parts = [width_record(w) for w in found]
    return {name: max(part[name] for part in parts) for name in parts[0]} if parts else None


def _ends(ends: tuple[int | Fraction | None, ...] | None, as_text: bool = False) -> list[Any] | None:
    return ends and [str(end) if as_text and end is not None else end for end in ends]  # type: ignore[return-value]


def _channel_record(channel: Channel, fit: Fit, rounding: Rounding) -> Record:
    """One channel; without a line all is null but its thresholds."""
    form = fit.form
    record: Record = {
        "multiplier": form and form.multiplier,
        "bias": form and form.bias,
        "shift": form and form.shift,
        "divisor": form and form.divisor,
        "min_shift": fit.min_shift,
        "min_divisor": fit.min_divisor,
        "slope_interval": _ends(fit.slopes, as_text=True) if form else None,
        "naive_min_shift": naive_min_shift(channel, fit, rounding),
        "multiplier_range": _ends(fit.multiplier_range),
        "bias_range": _ends(fit.bias_range),
        "widths": form and width_record(widths(form, channel.acc_min, channel.acc_max)),
        "representable": form is not None,
        **{name: getattr(channel, name) for name in ("acc_min", "acc_max", "qmin", "qmax")},
    }
    if form is None:
        low, high = sorted((int(fit.steps.levels[0]), int(fit.steps.levels[-1])))
        steps = threshold_form(fit.steps, low, high)
        record["thresholds"] = {"sign": steps.sign, "lowest": low, "thresholds": list(steps.thresholds)}
    return record


def fit_record(layer: LayerFit) -> Record:
    """`refq fit-bn --json`; `naive` is what rounding gets wrong at the smallest shift that all channels could share."""
    pairs = [(c, f) for c, f in zip(layer.channels, layer.fits, strict=True) if f.form]
    shared = max((f.min_shift for _, f in pairs if f.min_shift is not None), default=None)
    wrong = [not reproduces(f, naive_form(c, shared, layer.rounding)) for c, f in pairs] if shared is not None else []
    return {
        "rounding": layer.rounding.name.lower(),
        "share": layer.share.name.lower(),
        "shared_shift": layer.shared if layer.share == Share.SHIFT else None,
        "shared_divisor": layer.shared if layer.share == Share.DIVISOR else None,
        "widths": widest(widths(f.form, c.acc_min, c.acc_max) for c, f in pairs if f.form),
        "naive": {"shift": shared, "channels_wrong": None if shared is None else sum(wrong)},
        "channels": [_channel_record(c, f, layer.rounding) for c, f in zip(layer.channels, layer.fits, strict=True)],
    }
