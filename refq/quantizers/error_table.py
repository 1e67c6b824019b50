"""A tensor under every quantizer for weights, each beside the exact optimum of its own grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from refq.arguments import integer
from refq.encodings import Kind
from refq.quantizers.apply import finite_array
from refq.quantizers.balanced import fit_balanced
from refq.quantizers.dorefa import fit_dorefa_weights
from refq.quantizers.error import QuantizationLoss, best_factor, quantization_error
from refq.quantizers.mse import MOST_AFFINE_BITS, minimum_affine_mse, minimum_mse
from refq.quantizers.quantizer import Quantizer
from refq.quantizers.sawb import fit_sawb
from refq.quantizers.ternary import fit_ternary
from refq.quantizers.uniform import fit_uniform
from refq.quantizers.xnor import fit_xnor

Fit = Callable[[Any, int], Quantizer]


@dataclass(frozen=True)
class Method:
    """A way to fit `bits` from `lowest_bits` to `highest_bits`."""

    name: str
    fit: Fit
    lowest_bits: int = 1
    highest_bits: int = 8


def _fixed(fit: Callable[..., Quantizer], **options: Any) -> Fit:
    """A method that has one width only."""
    return lambda values, _: fit(values, **options)


METHODS: tuple[Method, ...] = (
    Method("uniform min-max", fit_uniform, 2),
    Method("uniform percentile", partial(fit_uniform, choose="percentile"), 2),
    Method("uniform mse", partial(fit_uniform, choose="mse"), 2),
    Method("affine min-max", partial(fit_uniform, symmetric=False)),
    Method("affine mse", partial(fit_uniform, symmetric=False, choose="mse")),
    Method("dorefa", fit_dorefa_weights),
    Method("balanced mean", partial(fit_balanced, split="mean")),
    Method("balanced median", partial(fit_balanced, split="median")),
    Method("sawb even", fit_sawb),
    Method("sawb zero, quantlib", partial(fit_sawb, grid="zero", coefficients="quantlib"), 2),
    Method("xnor", _fixed(fit_xnor), 1, 1),
    Method("ternary", _fixed(fit_ternary), 2, 2),
    Method("ternary mse", _fixed(fit_ternary, choose="mse"), 2, 2),
)
"""In the order of the table. PACT is for activations and has no place here."""


@dataclass(frozen=True)
class ErrorRow:
    """One method at one width. `refused`: why there is none; else quantizer, loss and optimum are there.

    grid: that of `optimum`, the least mean squared error of any step (and zero point) of the grid, exact and rounded
    once. rescaled: the mean squared error of the same codes, were all their values multiplied by the best factor; what
    counts for DoReFa, whose codes carry no scale, and for balanced bins, whose scale is max |w|.
    """

    method: str
    bits: int
    grid: str
    quantizer: Quantizer | None
    loss: QuantizationLoss | None
    optimum: float | None
    rescaled: float | None = None
    refused: str | None = None

    @property
    def ratio(self) -> float | None:
        """Mean squared error by optimum, 1 at best; None where the optimum is 0."""
        return self.loss.mean_squared_error / self.optimum if self.loss and self.optimum else None


def grid_of(quantizer: Quantizer) -> str:
    """`even`, `affine`, `zero` or `int`: which optimum the quantizer of one channel is measured by.

    >>> import numpy as np
    >>> grid_of(fit_xnor(np.ones(2))), grid_of(fit_ternary(np.ones(2)))
    ('even', 'zero')
    """
    if quantizer.encoding.kind is Kind.ODD:
        return "even"
    if quantizer.lowest == -quantizer.highest:
        return "zero"
    return "int" if quantizer.method == "sawb" else "affine"


def _optimum(x: NDArray[Any], bits: int, grid: str) -> float:
    """Of all zeros 0, which a grid without 0 comes as near as one likes by small steps."""
    if not x.any():
        return 0.0
    return (minimum_affine_mse(x, bits) if grid == "affine" else minimum_mse(x, bits, grid=grid)).error


def _rescaled(x: NDArray[Any], quantizer: Quantizer) -> float:
    step = quantizer.step * best_factor(x, quantizer)
    return quantization_error(x, replace(quantizer, step=step)).mean_squared_error


def _row(x: NDArray[Any], method: Method, bits: int, optima: dict[tuple[str, int], float]) -> ErrorRow:
    try:
        quantizer = method.fit(x, bits)
    except ValueError as error:
        return ErrorRow(method.name, bits, "", None, None, None, refused=str(error))
    grid = grid_of(quantizer)
    if (grid, bits) not in optima:
        optima[grid, bits] = _optimum(x, bits, grid)
    loss, rescaled = quantization_error(x, quantizer), _rescaled(x, quantizer)
    return ErrorRow(method.name, bits, grid, quantizer, loss, optima[grid, bits], rescaled)


def error_table(
    values: Any, bits: Sequence[int] = (2, 3, 4), methods: Sequence[Method] = METHODS
) -> tuple[ErrorRow, ...]:
    """Every method that has the width, at every width, in the order of `bits`, then of `methods`.

    values: float16, float32 or float64, any shape, not empty, finite; float64 magnitudes 0 or 2**-400..2**400, as the
    optimum needs them (`minimum_mse`). bits: 1..8, beyond which the search over all zero points takes minutes. A method
    that refuses the tensor (a set of coefficients without that width, say) has a row that says so. Errors as
    `quantization_error`.

    >>> import numpy as np
    >>> rows = error_table(np.array([-3.0, -1, -1, 0, 1, 2, 4, 6]), [2])
    >>> [(r.method, round(r.loss.mean_squared_error, 3), round(r.ratio, 3)) for r in rows if "sawb" in r.method]
    [('sawb even', 0.985, 1.051), ('sawb zero, quantlib', 1.469, 1.007)]
    """
    widths = [integer("error_table", f"bits[{at}]", width, 1, MOST_AFFINE_BITS) for at, width in enumerate(bits)]
    x = finite_array("error_table", "values", values)
    optima: dict[tuple[str, int], float] = {}
    return tuple(
        _row(x, method, width, optima)
        for width in widths
        for method in methods
        if method.lowest_bits <= width <= method.highest_bits
    )
