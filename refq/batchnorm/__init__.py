"""Batch norm without floats: exact target, optimal fixed point, shift and threshold forms (docs/batchnorm.md)."""

from refq.batchnorm.apply import fixed_batchnorm, threshold_batchnorm
from refq.batchnorm.approximate import (
    Deviation,
    centred_form,
    code_error_bound,
    deviation,
    naive_form,
    naive_min_shift,
)
from refq.batchnorm.certificate import certificate
from refq.batchnorm.divisors import smallest_shared_divisor
from refq.batchnorm.fit import Fit, fit_steps, multipliers_for, reproduces
from refq.batchnorm.forms import crossing_form, form_steps, from_shift, threshold_form
from refq.batchnorm.layers import accumulator_range, channels_of, columns_of
from refq.batchnorm.sharing import LayerFit, Share, fit_batchnorm
from refq.batchnorm.shift import shift_batchnorm
from refq.batchnorm.shift_bounds import float_twin, shift_error, shift_error_bound
from refq.batchnorm.shift_forms import freeze_shift, shift_form
from refq.batchnorm.shift_training import RunningStatistics, batch_statistics, training_forms, update_running
from refq.batchnorm.target import target_steps
from refq.batchnorm.words import Widths, require_width, widths
from refq.channels import Channel, Crossing, FixedPoint, ShiftForm, ThresholdForm

__all__ = [
    "Channel",
    "Crossing",
    "Deviation",
    "Fit",
    "FixedPoint",
    "LayerFit",
    "RunningStatistics",
    "Share",
    "ShiftForm",
    "ThresholdForm",
    "Widths",
    "accumulator_range",
    "batch_statistics",
    "centred_form",
    "certificate",
    "channels_of",
    "code_error_bound",
    "columns_of",
    "crossing_form",
    "deviation",
    "fit_batchnorm",
    "fit_steps",
    "fixed_batchnorm",
    "float_twin",
    "form_steps",
    "freeze_shift",
    "from_shift",
    "multipliers_for",
    "naive_form",
    "naive_min_shift",
    "reproduces",
    "require_width",
    "shift_batchnorm",
    "shift_error",
    "shift_error_bound",
    "shift_form",
    "smallest_shared_divisor",
    "target_steps",
    "threshold_batchnorm",
    "threshold_form",
    "training_forms",
    "update_running",
    "widths",
]
