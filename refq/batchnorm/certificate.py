"""What was proved of a fit, as JSON that `refq check-certificate` accepts without sharing code with the solver.

docs/batchnorm.md lists the fields. Rationals are strings such as "8/27"; thresholds count u = -x where falling.
"""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from refq.batchnorm.choice import is_empty, mirror
from refq.batchnorm.fit import Fit
from refq.batchnorm.sharing import LayerFit
from refq.batchnorm.slopes import binding_pairs
from refq.channels import INTEGERS, REALS, Channel


def _text(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


def _thresholds(channel: Channel, fit: Fit) -> tuple[int, list[int]]:
    """The output at the low end of u, and min{u : output >= j} for each j above it that is reached."""
    steps = fit.steps.reflected() if channel.gamma < 0 else fit.steps
    # a start that jumps over codes is the threshold of each
    return int(steps.levels[0]), np.repeat(steps.starts[1:], np.diff(steps.levels)).tolist()


def _proof(channel: Channel, fit: Fit) -> dict[str, Any]:
    """Why this line, and why no smaller shift."""
    if fit.form is None or fit.min_shift is None or fit.multiplier_range is None or fit.bias_range is None:
        raise ValueError("certificate: fit has no line; its divisor was prescribed and none fits, drop it")
    low = fit.slopes[0] if channel.gamma >= 0 else mirror(fit.slopes)[0]
    impossible = None
    if fit.min_shift and low is not None:
        below = fit.min_shift - 1
        impossible = {"shift": below, "between": floor(low * (1 << below))}
    return {
        "slope_interval": [_text(end) for end in fit.slopes],
        "conflict": None,
        "min_shift": fit.min_shift,
        "impossible": impossible,
        "multiplier_range": list(fit.multiplier_range),
        "multiplier": fit.form.multiplier,
        "divisor": fit.form.divisor,
        "bias": fit.form.bias,
        "bias_range": list(fit.bias_range),
    }


def _refutation(fit: Fit) -> dict[str, Any]:
    """Why no line at all: one pair of points bounds the slope from above, one from below, and they cross."""
    none = dict.fromkeys(
        ("slope_interval", "min_shift", "impossible", "multiplier_range", "multiplier", "divisor", "bias", "bias_range")
    )
    return {**none, "conflict": binding_pairs(fit.points)[::-1]}


def parameters(channel: Channel) -> dict[str, Any]:
    """A channel as a certificate tells it."""
    reals = {name: str(getattr(channel, name)) for name in REALS}
    return reals | {name: getattr(channel, name) for name in INTEGERS}


def _channel(channel: Channel, fit: Fit) -> dict[str, Any]:
    lowest, thresholds = _thresholds(channel, fit)
    return {
        "parameters": parameters(channel),
        "falling": channel.gamma < 0,
        "lowest": lowest,
        "thresholds": thresholds,
        **(_refutation(fit) if is_empty(fit.slopes) else _proof(channel, fit)),
    }


def certificate(layer: LayerFit) -> str:
    """The certificate of a layer as one JSON text; its last field is the SHA-256 of all others.

    >>> from refq.batchnorm.sharing import fit_batchnorm
    >>> c = Channel(gamma=1, beta=0, mean=0, variance=1, epsilon=0, acc_min=0, acc_max=9, qmin=0, qmax=3)
    >>> json.loads(certificate(fit_batchnorm([c])))["channels"][0]["thresholds"]
    [1, 2, 3]
    """
    document = {
        "certificate": "refq-batchnorm",
        "version": 1,
        "rounding": layer.rounding.name.lower(),
        "share": layer.share.name.lower(),
        "shared": layer.shared,
        "channels": [_channel(channel, fit) for channel, fit in zip(layer.channels, layer.fits, strict=True)],
    }
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(plain.encode()).hexdigest()
    return f'{plain[:-1]},"sha256":"{digest}"}}\n'
