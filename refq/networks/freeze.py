"""A layer's float batch norm as integer forms: the shortest line that gives every code, thresholds where none does.

Lin et al. 2020 (arXiv 2008.13128) for the lines, Blott et al. 2018 (FINN-R) for the thresholds; docs/batchnorm.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refq.arguments import integer
from refq.batchnorm import LayerFit, certificate, channels_of, fit_batchnorm, threshold_form
from refq.batchnorm.fit import Fit
from refq.batchnorm.words import signed_width
from refq.channels import FixedPoint, ThresholdForm
from refq.formats import Rounding


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """The forms of a layer, one a channel, and the fit they come from."""

    forms: tuple[FixedPoint | ThresholdForm, ...]
    fit: LayerFit

    @property
    def certificate(self) -> str:
        """What was proved of every channel, as JSON for `refq check-certificate`."""
        return certificate(self.fit)


def _bits(form: FixedPoint, reach: int) -> int:
    """Signed bits for the divisor, the multiplier, the bias and multiplier * x + bias, |x| <= reach."""
    return signed_width(form.divisor, abs(form.multiplier) * reach + abs(form.bias))


def _form(fit: Fit, reach: int, bits: int) -> FixedPoint | ThresholdForm:
    if fit.form is not None and _bits(fit.form, reach) <= bits:
        return fit.form
    return threshold_form(fit.steps, fit.qmin, fit.qmax)


def norm_forms(
    gamma: Any,
    beta: Any,
    mean: Any,
    variance: Any,
    epsilon: Any,
    *,
    acc_scale: Any,
    out_scale: Any,
    acc_min: Any,
    acc_max: Any,
    qmin: Any,
    qmax: Any,
    zero_point: Any = 0,
    rounding: Rounding = Rounding.TIES_EVEN,
    bits: int = 64,
) -> FrozenNorm:
    """Forms equal to the exact batch norm, activation and quantizer at every accumulator acc_min..acc_max.

    The target is clamp(round((gamma (acc_scale x - mean) / sqrt(variance + epsilon) + beta) / out_scale) + zero_point)
    in exact arithmetic; every argument one number or (channels,), floats taken as the rationals they are.
    acc_min, acc_max: of `tensor_ranges`. rounding: that of the activation's quantizer. bits: a line is taken where
    2's complement words of so many bits, 8..64, hold its divisor and its sums for the largest |x| of the layer, else
    thresholds. TypeError and ValueError as in `refq.batchnorm.channels_of` and for rounding and bits.

    >>> frozen = norm_forms([0.75, -0.5], [0.1, 0.3], [12.5, -4], [101, 50], 0, acc_scale=1, out_scale=0.25,
    ...     acc_min=-256, acc_max=255, qmin=0, qmax=15, rounding=Rounding.TIES_UP)
    >>> frozen.forms[1]
    FixedPoint(multiplier=-73, bias=116, divisor=256, qmin=0, qmax=15)
    """
    width = integer("norm_forms", "bits", bits, 8, 64)
    arrays = {
        "gamma": gamma, "beta": beta, "mean": mean, "variance": variance, "epsilon": epsilon, "acc_scale": acc_scale,
        "out_scale": out_scale, "acc_min": acc_min, "acc_max": acc_max, "qmin": qmin, "qmax": qmax,
        "zero_point": zero_point,
    }  # fmt: skip
    channels = channels_of(arrays)
    fit = fit_batchnorm(channels, rounding)
    reach = max(max(-channel.acc_min, channel.acc_max) for channel in channels)
    return FrozenNorm(tuple(_form(one, reach, width) for one in fit.fits), fit)
