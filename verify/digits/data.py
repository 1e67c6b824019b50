"""The handwritten digits of scikit-learn: 8 x 8 pixels 0..16, a fixed split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.failures import UsageError

EVERY = 5
"""Every fifth sample is for the test; which ones never changes."""


@dataclass(frozen=True, eq=False)
class Digits:
    """pixels: uint8 (N, 8, 8, 1), 0..16; labels: int64 (N,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def some(self, count: int | None) -> Digits:
        """The first `count` of them; None: all."""
        return Digits(self.pixels[:count], self.labels[:count])


def load_split() -> tuple[Digits, Digits]:
    """(training, test): 1438 and 359 samples. UsageError without scikit-learn."""
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise UsageError("demo: scikit-learn is not installed; pip install 'refq[digits]'") from None
    return _split(load_digits())


def _split(bunch: Any) -> tuple[Digits, Digits]:
    pixels = bunch.images.astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    test = np.arange(len(labels)) % EVERY == EVERY - 1
    return Digits(pixels[~test], labels[~test]), Digits(pixels[test], labels[test])
