"""What fit_sawb refuses, by the words of its errors."""

from math import inf

import numpy as np
import pytest

from refq.quantizers.sawb import fit_sawb


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.zeros((0, 3)), 2), ValueError, r"fit_sawb: values has shape \(0, 3\), no values; pass at least one"),
        ((np.array([1.0, np.nan]), 2), ValueError, r"fit_sawb: values\[1\]=nan is no number"),
        ((np.array([[1.0], [-np.inf]]), 2), ValueError, r"fit_sawb: values\[1, 0\]=-inf is infinite"),
        ((np.arange(3), 2), TypeError, "fit_sawb: values has dtype int64; pass float16, float32 or float64"),
        ((np.ones(3), 0), ValueError, r"fit_sawb: bits=0 is outside 1\.\.16"),
        ((np.ones(3), 17), ValueError, r"fit_sawb: bits=17 is outside 1\.\.16"),
        ((np.ones(3), 2.0), TypeError, r"fit_sawb: bits=2.0 is not an integer"),
        ((np.array([2.0**401]), 2), ValueError, r"largest magnitude .* is outside 2\*\*-400\.\.2\*\*400; scale them"),
        ((np.array([1e-200, 5e-324]), 2), ValueError, r"largest magnitude 1e-200 of values is outside"),
        (
            (np.ones(3), 6),
            ValueError,
            r"fit_sawb: bits=6, grid='even' is not in coefficients='ibm', which has even 2, ",
        ),
    ],
)
def test_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        fit_sawb(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"coefficients": "nemo"}, ValueError, "coefficients='nemo' is unknown; legal: ibm, ibm_old, paper, quantlib"),
        ({"coefficients": 3.12}, TypeError, "coefficients=3.12 is neither the name of a set nor a pair"),
        ({"coefficients": (1, True)}, TypeError, "is neither the name of a set nor a pair"),
        ({"coefficients": (1.0, inf)}, ValueError, r"is outside -1e6\.\.1e6; pass finite ones"),
        ({"coefficients": (float("nan"), 1.0)}, ValueError, r"is outside -1e6\.\.1e6; pass finite ones"),
        ({"coefficients": "paper", "grid": "zero"}, ValueError, "which has even 2; pass"),
        ({"grid": "odd"}, ValueError, "grid='odd' is unknown; legal: even, zero, shifted, full"),
        ({"grid": 2}, TypeError, "grid=2 is not a string; legal: even, zero, shifted, full"),
        ({"negative": "zero"}, ValueError, "negative='zero' is unknown; legal: max, absolute, refuse"),
        ({"rounding": "even"}, ValueError, "rounding='even' is no Rounding"),
    ],
)
def test_refused_options(options, error, words):
    with pytest.raises(error, match=words):
        fit_sawb(np.ones(3), 2, **options)
