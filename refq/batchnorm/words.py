"""How many bits a line needs in hardware: multiplier, bias, and the sum before the shift."""

from __future__ import annotations

from dataclasses import dataclass

from refq.batchnorm.sharing import LayerFit
from refq.channels import FixedPoint


@dataclass(frozen=True)
class Widths:
    """Two's complement bits of the multiplier, the bias, multiplier * x, and multiplier * x + bias at every x."""

    multiplier: int
    bias: int
    product: int
    total: int


def signed_width(*values: int) -> int:
    """The two's complement bits that hold every value; 1 for 0 and -1.

    >>> signed_width(127), signed_width(-129), signed_width(0)
    (8, 9, 1)
    """
    return max((~v if v < 0 else v).bit_length() for v in values) + 1


def widths(form: FixedPoint, first: int, last: int) -> Widths:
    """The bits a line needs on the accumulators first..last; the product can need more than the sum.

    >>> widths(FixedPoint(19, -177, 64, 0, 15), -256, 255)
    Widths(multiplier=6, bias=9, product=14, total=14)
    """
    ends = [form.multiplier * x for x in (first, last)]
    total = signed_width(*(end + form.bias for end in ends))
    return Widths(signed_width(form.multiplier), signed_width(form.bias), signed_width(*ends), total)


def require_width(layer: LayerFit, bits: int) -> None:
    """Refuse a layer of which any multiplier, bias, product or sum leaves `bits` bits, with the width it needs."""
    found = {
        (place, name): width
        for place, (channel, fit) in enumerate(zip(layer.channels, layer.fits, strict=True))
        if fit.form is not None
        for name, width in vars(widths(fit.form, channel.acc_min, channel.acc_max)).items()
    }
    for (place, name), width in found.items():
        if width > bits:
            what = {"product": "multiplier * x", "total": "multiplier * x + bias"}.get(name, name)
            raise ValueError(
                f"require_width: bits={bits} is too few, {what} of channel {place} needs {width}; "
                f"the layer needs {max(found.values())}"
            )
