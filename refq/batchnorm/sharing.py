"""Optimal fixed-point batch norm of a layer: each channel for itself, or one shift or divisor for all.

Lin et al. 2020 (arXiv 2008.13128); docs/batchnorm.md eq. 10-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from refq.arguments import member
from refq.batchnorm.divisors import smallest_shared_divisor
from refq.batchnorm.fit import Fit, fit_steps, with_divisor
from refq.batchnorm.target import target_steps
from refq.channels import Channel, FixedPoint
from refq.formats import Rounding


class Share(IntEnum):
    """What all channels of a layer have in common."""

    NONE = 0
    SHIFT = 1
    DIVISOR = 2


@dataclass(frozen=True)
class LayerFit:
    """The fits of all channels; shared is the common shift or divisor, None where nothing is shared."""

    rounding: Rounding
    share: Share
    shared: int | None
    channels: tuple[Channel, ...]
    fits: tuple[Fit, ...]

    @property
    def forms(self) -> tuple[FixedPoint, ...]:
        """The lines of all channels, as `fixed_batchnorm` takes them; ValueError names the first channel without."""
        for place, fit in enumerate(self.fits):
            if fit.form is None:
                rule = self.rounding.name.lower()
                raise ValueError(f"LayerFit: channel {place} has no line under {rule}; use its thresholds")
        return tuple(fit.form for fit in self.fits if fit.form is not None)


def fit_batchnorm(
    channels: Sequence[Channel], rounding: Rounding = Rounding.TIES_UP, share: Share = Share.NONE
) -> LayerFit:
    """Every channel as (multiplier * x + bias) >> shift, equal to the exact target on acc_min..acc_max.

    share: SHIFT takes one shift for all, the largest of the smallest; DIVISOR the smallest common divisor,
    at most 2**32, which need not be a power of two. A channel no line reproduces keeps `form` None and its
    thresholds in `steps`. Lin et al. 2020 (arXiv 2008.13128).

    >>> c = Channel(gamma=0.75, beta=0.1, mean=12.5, variance=101, epsilon=0, out_scale=0.25,
    ...             acc_min=-256, acc_max=255, qmin=0, qmax=15)
    >>> fit_batchnorm([c]).fits[0].form
    FixedPoint(multiplier=19, bias=-177, divisor=64, qmin=0, qmax=15)
    """
    rule = Rounding(member("fit_batchnorm", "rounding", rounding, Rounding))
    way = Share(member("fit_batchnorm", "share", share, Share))
    if isinstance(channels, Channel) or not all(isinstance(channel, Channel) for channel in channels):
        raise TypeError("fit_batchnorm: channels is no sequence of Channel; pass [channel]")
    if not channels:
        raise ValueError("fit_batchnorm: channels is empty; nothing to fit")
    made = (fit_steps(target_steps(channel, rule), channel.qmin, channel.qmax) for channel in channels)
    fits = [replace(fit, rounding=rule) for fit in made]
    shifts = [fit.min_shift for fit in fits if fit.min_shift is not None]
    if way == Share.NONE or not shifts:
        return LayerFit(rule, way, None, tuple(channels), tuple(fits))
    shared = max(shifts) if way == Share.SHIFT else smallest_shared_divisor([fit.slopes for fit in fits if fit.form])
    divisor = 1 << shared if way == Share.SHIFT else shared
    fits = [with_divisor(fit, divisor) if fit.form else fit for fit in fits]
    return LayerFit(rule, way, shared, tuple(channels), tuple(fits))
