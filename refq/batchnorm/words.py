"""How many bits a line needs in hardware: multiplier, bias, and the sum before the shift."""

from __future__ import annotations

from dataclasses import dataclass

from refq.batchnorm.fit import LayerFit
from refq.channels import FixedPoint


@dataclass(frozen=True)
class Widths:
    """Two's complement bits of the multiplier, the bias, and multiplier * x + bias at every x."""

    multiplier: int
    bias: int
    total: int


def signed_width(*values: int) -> int:
    """The two's complement bits that hold every value; 1 for 0 and -1.

    >>> signed_width(127), signed_width(-129), signed_width(0)
    (8, 9, 1)
    """
    return max((~v if v < 0 else v).bit_length() for v in values) + 1


def widths(form: FixedPoint, first: int, last: int) -> Widths:
    """The bits a line needs on the accumulators first..last; the product alone may be one bit wider than the sum.

    >>> widths(FixedPoint(19, -177, 64, 0, 15), -256, 255)
    Widths(multiplier=6, bias=9, total=14)
    """
    ends = (form.multiplier * x + form.bias for x in (first, last))
    return Widths(signed_width(form.multiplier), signed_width(form.bias), signed_width(*ends))


def require_width(layer: LayerFit, bits: int) -> None:
    """Refuse a layer of which a multiplier, a bias or a sum leaves `bits` bits: ValueError with the width needed."""
    for i, (channel, fit) in enumerate(zip(layer.channels, layer.fits, strict=True)):
        if fit.form is None:
            continue
        needed = widths(fit.form, channel.acc_min, channel.acc_max)
        for name in ("multiplier", "bias", "total"):
            if getattr(needed, name) > bits:
                what = "multiplier * x + bias" if name == "total" else name
                raise ValueError(
                    f"require_width: bits={bits} is too few, {what} of channel {i} needs {getattr(needed, name)}; "
                    f"allow {max(needed.multiplier, needed.bias, needed.total)} or narrow acc_min..acc_max"
                )
