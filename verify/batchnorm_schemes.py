"""A layer of batch norm under each scheme, at any shift: exact counts of what each gets wrong, as plain records."""

from __future__ import annotations

from typing import Any

from refq import Rounding
from refq.batchnorm import (
    Channel,
    Deviation,
    FixedPoint,
    Share,
    ShiftForm,
    Widths,
    centred_form,
    code_error_bound,
    deviation,
    fit_batchnorm,
    fit_steps,
    from_shift,
    naive_form,
    naive_min_shift,
    reproduces,
    shift_form,
    widths,
)
from refq.batchnorm.approximate import MAX_SHIFT
from verify.batchnorm import Record, widest

Form = FixedPoint | ShiftForm
OPTIMAL, CENTRED, NAIVE, SHIFT_BN = SCHEMES = ("optimal", "centred", "naive", "shift-BN")
ROWS = 12


class Schemes:
    """The schemes of one layer; what was measured once is kept.

    pairs: (channel, fit) of every channel. shared: the smallest shift with which every channel that has a line
    is exact; None where none has one. total: the accumulators of all channels.
    """

    def __init__(self, channels: tuple[Channel, ...], rounding: Rounding) -> None:
        layer = fit_batchnorm(channels, rounding, Share.SHIFT)
        self.rounding, self.shared = layer.rounding, layer.shared
        self.pairs = tuple(zip(layer.channels, layer.fits, strict=True))
        self.total = sum(fit.steps.size for _, fit in self.pairs)
        self.naive_min_shifts = [naive_min_shift(c, f, layer.rounding) for c, f in self.pairs]
        self._measured: dict[tuple[str, int], list[Deviation]] = {}

    @property
    def lined(self) -> list[int]:
        """The channels that some line reproduces."""
        return [place for place, (_, fit) in enumerate(self.pairs) if fit.form]

    @property
    def start(self) -> int:
        """The shared shift; where no channel has a line, the smallest at which the bound is at its least."""
        if self.shared is not None:
            return self.shared
        return next(shift for shift in range(MAX_SHIFT + 1) if self.bound(shift) == self.bound(MAX_SHIFT))

    def bound(self, shift: int) -> int:
        """By how many codes the centred line of any channel can be off, proved from the shift alone."""
        return max(code_error_bound(fit, shift, self.rounding) for _, fit in self.pairs)

    def places(self, scheme: str) -> list[int]:
        """The channels a scheme serves: the optimal line only those that have one."""
        return self.lined if scheme == OPTIMAL else list(range(len(self.pairs)))

    def form(self, scheme: str, place: int, shift: int) -> Form:
        """The integer form of one of the channels served; an optimal line wants shift >= shared."""
        channel, fit = self.pairs[place]
        if scheme == SHIFT_BN:
            return shift_form(channel)
        if scheme == CENTRED:
            return centred_form(channel, fit, shift, self.rounding)
        if scheme == NAIVE:
            return naive_form(channel, shift, self.rounding)
        form = fit.form if shift == self.shared else fit_steps(fit.steps, fit.qmin, fit.qmax, 1 << shift).form
        if form is None:
            raise ValueError(f"form: shift={shift} is below {self.shared}; channel {place} has no line there")
        return form

    def forms(self, scheme: str, shift: int) -> list[Form]:
        """The forms of the channels served."""
        return [self.form(scheme, place, shift) for place in self.places(scheme)]

    def deviations(self, scheme: str, shift: int) -> list[Deviation]:
        """What each channel served gets wrong."""
        key = scheme, 0 if scheme == SHIFT_BN else shift
        if key not in self._measured:
            fits = [self.pairs[place][1] for place in self.places(scheme)]
            forms = self.forms(scheme, shift)
            self._measured[key] = [deviation(fit.steps, form) for fit, form in zip(fits, forms, strict=True)]
        return self._measured[key]

    def cost(self, scheme: str, shift: int) -> Record:
        """Exact counts over the layer."""
        found = self.deviations(scheme, shift)
        wrong = sum(d.wrong for d in found)
        return {
            "channels_exact": sum(not d.wrong for d in found),
            "wrong": wrong,
            "share": wrong / self.total,
            "max_codes": max((d.max_codes for d in found), default=0),
        }

    def needed(self, scheme: str) -> int | None:
        """The smallest shift with which the scheme is exact on every channel that has a line; None up to 128."""
        if scheme == OPTIMAL or self.shared is None:
            return self.shared
        if scheme == SHIFT_BN or (scheme == NAIVE and None in [self.naive_min_shifts[place] for place in self.lined]):
            return None
        for shift in range(self.shared, MAX_SHIFT + 1):
            made = ((self.pairs[place][1], self.form(scheme, place, shift)) for place in self.lined)
            if all(isinstance(form, FixedPoint) and reproduces(fit, form) for fit, form in made):
                return shift
        return None

    def bits(self, scheme: str, shift: int) -> Record | None:
        """The widths that hold every channel; a shift form has no multiplier, 0 bits."""
        channels = [self.pairs[place][0] for place in self.places(scheme)]
        forms = self.forms(scheme, shift)
        found = widest(_widths(form, channel) for form, channel in zip(forms, channels, strict=True))
        return found and (found | {"multiplier": 0} if scheme == SHIFT_BN else found)


def _widths(form: Form, channel: Channel) -> Widths:
    """Of a shift form the bias before the shift; the zero point is added after it."""
    if isinstance(form, FixedPoint):
        return widths(form, channel.acc_min, channel.acc_max)
    line = from_shift(ShiftForm(form.bias, min(form.shift, 0), form.qmin, form.qmax, form.sign))
    bias = widths(FixedPoint(form.sign, form.bias, 1, form.qmin, form.qmax), 0, 0).bias
    found = widths(line, channel.acc_min, channel.acc_max)
    return Widths(0, bias, found.product, found.total)


def _scheme_record(schemes: Schemes, scheme: str, shift: int) -> Record:
    at = max(shift, schemes.start) if scheme == OPTIMAL else shift
    shiftless = scheme == SHIFT_BN or (scheme == OPTIMAL and schemes.shared is None)
    return {
        "scheme": scheme,
        "shift": None if shiftless else at,
        "shift_needed": schemes.needed(scheme),
        "bits": schemes.bits(scheme, at),
        "bound": schemes.bound(at) if scheme == CENTRED else None,
        **schemes.cost(scheme, at),
        "forms": dict(zip(schemes.places(scheme), map(_form_record, schemes.forms(scheme, at)), strict=True)),
    }


def _form_record(form: Form) -> Record:
    """The integers of one channel; a shift form has a sign instead of a multiplier."""
    if isinstance(form, FixedPoint):
        return {"multiplier": form.multiplier, "bias": form.bias, "shift": form.shift}
    return {"sign": form.sign, "bias": form.bias, "shift": form.shift, "zero_point": form.zero_point}


def dropped_bits(schemes: Schemes) -> list[Record]:
    """Bound and exact error from the shared shift down to where the bound says nothing any more, in at most 13 rows."""
    codes = max(fit.qmax - fit.qmin for _, fit in schemes.pairs)
    useless = (shift for shift in range(schemes.start, 0, -1) if schemes.bound(shift) > codes // 2)
    span = schemes.start - next(useless, 0)
    return [shift_record(schemes, schemes.start - drop) for drop in range(0, span + 1, max(-(-span // ROWS), 1))]


def shift_record(schemes: Schemes, shift: int) -> Record:
    """What centred and naive lines get wrong at one shift, beside the bound of the former."""
    costs: Record = {scheme: schemes.cost(scheme, shift) for scheme in (CENTRED, NAIVE)}
    return {"shift": shift, "bound": schemes.bound(shift), **costs}


def analysis_record(schemes: Schemes, path: str, shift: int | None) -> dict[str, Any]:
    """One layer of `refq analyze-bn --json`; shift: by default the smallest that all channels can share."""
    chosen = schemes.start if shift is None else shift
    return {
        "file": path,
        "rounding": schemes.rounding.name.lower(),
        "channels": len(schemes.pairs),
        "without_line": [place for place, (_, fit) in enumerate(schemes.pairs) if not fit.form],
        "accumulators": schemes.total,
        "shift": chosen,
        "shared_shift": schemes.shared,
        "schemes": [_scheme_record(schemes, scheme, chosen) for scheme in SCHEMES],
        "dropped_bits": dropped_bits(schemes),
        "min_shifts": [fit.min_shift for _, fit in schemes.pairs],
        "naive_min_shifts": schemes.naive_min_shifts,
    }
