"""Coefficients of SAWB, alpha = rms * sqrt(E w**2) + mean * E|w|, as published and as fitted here; data only.

They are those of released code; nothing comes from the paper's own tables, which were not readable.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

EVEN, ZERO, SHIFTED, FULL = "even", "zero", "shifted", "full"


@dataclass(frozen=True)
class CoefficientSet:
    """(rms, mean) by grid and bits, where they come from, and whether that was read at its source."""

    name: str
    source: str
    confirmed: bool
    pairs: MappingProxyType[tuple[str, int], tuple[float, float]]


def _set(
    name: str, source: str, *, confirmed: bool = True, **grids: dict[int, tuple[float, float]]
) -> tuple[str, CoefficientSet]:
    pairs = {(grid, bits): pair for grid, by_bits in grids.items() for bits, pair in by_bits.items()}
    return name, CoefficientSet(name, source, confirmed, MappingProxyType(pairs))


COEFFICIENTS: MappingProxyType[str, CoefficientSet] = MappingProxyType(
    dict(
        [
            _set(
                "ibm",
                "IBM code; at 8 bits one pair serves 256 and 255 levels",
                even={
                    2: (3.12, -2.064), 3: (7.509, -6.892), 4: (12.68, -12.80), 5: (17.74, -18.64), 8: (31.76, -35.04)
                },
                zero={2: (2.6, -1.71), 4: (12.035, -12.03), 7: (28.24, -30.81), 8: (31.76, -35.04)},
            ),
            _set("ibm_old", "an older line of the IBM code, and a second repository", even={2: (3.212, -2.178)}),
            _set("paper", "as remembered from print, rounded; not confirmed", confirmed=False, even={2: (3.2, -2.1)}),
            _set(
                "quantlib",
                "pulp-platform quantlib, symmetric grids by number of levels",
                even={
                    2: (3.22824, -2.19780), 3: (7.57111, -6.96333), 4: (12.16637, -12.19222), 5: (15.18684, -15.72128),
                    6: (20.54678, -22.29264), 7: (27.75226, -31.25157), 8: (34.97231, -40.26019),
                },
                zero={
                    2: (2.58072, -1.68371), 3: (6.99146, -6.34798), 4: (12.04287, -12.07040), 5: (14.71474, -15.13775),
                    6: (20.78714, -22.60234), 7: (27.15792, -30.50641), 8: (35.48044, -40.89530),
                },
            ),
            _set(
                "quantlib_full",
                "pulp-platform quantlib, asymmetric grids; that alpha is the lowest level is inferred from the values",
                confirmed=False,
                full={2: (4.74932, -3.32860), 3: (8.26900, -7.36509), 4: (12.06485, -11.86833)},
            ),
            _set(
                "refit",
                "fitted here: benchmarks/derive_sawb.py, six distributions",
                even={
                    2: (3.1149, -2.0500), 3: (7.3673, -6.7390), 4: (12.0960, -12.1628), 5: (17.0865, -17.9932),
                    6: (22.2410, -24.0732), 7: (27.4842, -30.2893), 8: (32.5532, -36.3176),
                },
                zero={
                    2: (2.5326, -1.6119), 3: (6.9432, -6.3052), 4: (11.8218, -11.8571), 5: (16.9204, -17.8015),
                    6: (22.1522, -23.9690), 7: (27.4296, -30.2248), 8: (32.5525, -36.3167),
                },
                full={2: (4.8132, -3.4051), 3: (8.3892, -7.5462), 4: (12.7834, -12.7632)},
            ),
        ]
    )
)  # fmt: skip
"""By name. Not here: NEMO's 2-bit pair (8.356, -7.841), which equals its 4-bit pair and looks like a copying error."""

ONE_BIT = (0.0, 1.0)
"""alpha = E|w|, the least-squares scale of signs; one repository lists it, and every set uses it for one bit."""
