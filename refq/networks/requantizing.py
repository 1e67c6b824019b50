"""Accumulators to codes by one form a channel, forms of several kinds in one step among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.batchnorm import fixed_batchnorm, shift_batchnorm, threshold_batchnorm
from refq.batchnorm.layout import smallest_dtype
from refq.channels import FixedPoint, ShiftForm, ThresholdForm
from refq.networks.records import Form

BY_KIND: dict[type, Any] = {
    FixedPoint: fixed_batchnorm,
    ShiftForm: shift_batchnorm,
    ThresholdForm: threshold_batchnorm,
}


def code_range(form: Form) -> tuple[int, int]:
    """The least and the greatest code of a form, reached or not.

    >>> code_range(ThresholdForm((2, 4, 9), -1))
    (-1, 2)
    """
    if isinstance(form, ThresholdForm):
        return form.qmin, form.qmin + len(form.thresholds)
    return form.qmin, form.qmax


def only_odd(form: Form) -> bool:
    """Whether no even code comes out: thresholds equal in pairs jump over them.

    >>> only_odd(ThresholdForm((4, 4), -1)), only_odd(ThresholdForm((4, 5), -1))
    (True, False)
    """
    if not isinstance(form, ThresholdForm) or form.qmin % 2 == 0:
        return False
    return form.thresholds[::2] == form.thresholds[1::2]


def apply_forms(acc: NDArray[Any], forms: Sequence[Form], residual: NDArray[Any] | None = None) -> NDArray[Any]:
    """The codes of accumulators (..., channels), one form a channel, in the smallest dtype that holds all of them.

    residual: for shift forms only, accumulators of the same shape, added before the shift. Errors as those of
    `refq.batchnorm.fixed_batchnorm`, `shift_batchnorm`, `threshold_batchnorm`.

    >>> apply_forms(np.array([[13, 13]]), [FixedPoint(19, -177, 64, 0, 15), ThresholdForm((2, 4, 20), 0)])
    array([[1, 2]], dtype=uint8)
    """
    out = np.empty(acc.shape, smallest_dtype(code_range(form) for form in forms))
    for kind, function in BY_KIND.items():
        channels = [c for c, form in enumerate(forms) if isinstance(form, kind)]
        if not channels:
            continue
        chosen = [forms[c] for c in channels]
        beside = {} if residual is None else {"residual": _some(residual, channels)}
        out[..., channels] = function(_some(acc, channels), chosen, **beside)
    return out


def _some(array: NDArray[Any], channels: list[int]) -> NDArray[Any]:
    """These channels, all in one dtype, for which the kernels are compiled once."""
    wide = array.astype(np.int64, copy=False)
    return wide if len(channels) == array.shape[-1] else wide[..., channels]
