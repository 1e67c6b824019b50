"""The error analysis of a tensor as a JSON record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.quantizers.error_table import ErrorRow

Record = dict[str, Any]


def row_record(row: ErrorRow) -> Record:
    """One method at one width; all but the first three are None where the method refused."""
    loss, fit = row.loss, row.quantizer
    return {
        "method": row.method,
        "bits": row.bits,
        "refused": row.refused,
        "encoding": fit.encoding.name if fit else None,
        "step": float(fit.step[0]) if fit else None,
        "zero_point": int(fit.zero_point[0]) if fit else None,
        "mean_squared_error": loss.mean_squared_error if loss else None,
        "rescaled_mean_squared_error": row.rescaled,
        "grid": row.grid or None,
        "optimum": row.optimum,
        "ratio": row.ratio,
        "maximum_error": loss.maximum_error if loss else None,
        "place": list(loss.place) if loss else None,
        "used_levels": loss.used_levels if loss else None,
        "levels": loss.levels if loss else None,
        "entropy": loss.entropy if loss else None,
    }


def tensor_record(file: str, name: str | None, values: NDArray[Any], rows: Sequence[ErrorRow]) -> Record:
    """What is asked about, and every row."""
    wide = values.astype(np.float64)
    return {
        "file": file,
        "name": name,
        "shape": list(values.shape),
        "dtype": values.dtype.newbyteorder("=").name,
        "minimum": float(wide.min()),
        "maximum": float(wide.max()),
        "zeros": int((wide == 0).sum()),
        "rows": [row_record(row) for row in rows],
    }
