"""Shared by the tests of batch norm: channels with answers from outside, hard ones built on purpose, seeded ones."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from math import sqrt
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from refq.batchnorm import Channel, Fit, FixedPoint, fit_steps, target_steps
from refq.channels import ACC_LIMIT
from refq.formats import Rounding
from refq.spec import batchnorm as spec

SOME = settings(derandomize=True, max_examples=80, deadline=None, database=None)
ROUNDINGS = list(Rounding)
TIES = [rounding for rounding in Rounding if rounding.name.startswith("TIES")]
F = Fraction


def channel(gamma: Any, beta: Any, mean: Any, variance: Any, **more: Any) -> Channel:
    """The setting of the worked examples: 9-bit accumulators, output step 1/4, codes 0..15."""
    usual = {"epsilon": 0, "out_scale": F(1, 4), "acc_min": -256, "acc_max": 255, "qmin": 0, "qmax": 15}
    return Channel(gamma, beta, mean, variance, **(usual | more))


C1 = channel(F(3, 4), F(1, 10), F(25, 2), 101)
C2 = channel(F(-1, 2), F(3, 10), -4, 50)
C3 = channel(F(5, 4), F(-1, 5), 30, 77)
C4 = channel(0, F(3, 10), -4, 50)
# thresholds of x, for C2 of -x
THRESHOLDS = {
    C1: [13, 17, 20, 23, 27, 30, 33, 37, 40, 43, 47, 50, 54, 57, 60],
    C2: [2, 6, 9, 13, 16, 20, 23, 27, 30, 34, 37, 41, 44, 48, 52],
    C3: [33, 35, 36, 38, 40, 42, 43, 45, 47, 49, 50, 52, 54, 56, 57],
    C4: [],
}


def line(slope: Any, offset: Any, first: int, last: int, qmin: int = -400, qmax: int = 399) -> Channel:
    """The channel that rounds slope * x + offset, for rational slope and offset."""
    return Channel(slope, offset, 0, 1, 0, acc_min=first, acc_max=last, qmin=qmin, qmax=qmax)


def fitted(channel: Channel, rounding: Rounding = Rounding.TIES_UP, divisor: int | None = None) -> Fit:
    return fit_steps(target_steps(channel, rounding), channel.qmin, channel.qmax, divisor)


def targets(channel: Channel, rounding: Rounding, xs: Iterable[int] | None = None) -> list[int]:
    """The definition at each accumulator, by default at all of them."""
    over = range(channel.acc_min, channel.acc_max + 1) if xs is None else xs
    return [spec.batchnorm(int(x), channel, rounding) for x in over]


def outputs(form: FixedPoint, xs: np.ndarray) -> np.ndarray:
    """A line over 64-bit accumulators, in NumPy alone."""
    return np.clip((form.multiplier * xs + form.bias) // form.divisor, form.qmin, form.qmax)


_HARD = [
    0,
    1e-38,
    2.0**-1074,
    -(2.0**-1074),
    np.float32(1e-45),
    -1e-5,
    1e-3,
    0.1,
    np.float32(0.1),
    3e38,
    -1e300,
    F(1, 3),
]
reals = st.one_of(
    st.integers(-40, 40),
    st.fractions(-40, 40, max_denominator=64),
    st.floats(-8, 8, width=32).map(np.float32),
    st.floats(-8, 8),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(_HARD),
)
positive = reals.map(abs).filter(bool)
dyadic = st.builds(lambda p, t: F(p, 1 << t), st.integers(-9, 9), st.integers(0, 5))
starts = st.one_of(
    st.integers(-30, 5),
    st.sampled_from([-ACC_LIMIT, ACC_LIMIT - 40, -(1 << 53) - 7]),
    st.integers(-ACC_LIMIT, ACC_LIMIT),
)


@st.composite
def domains(draw: st.DrawFn, width: int = 40) -> dict[str, int]:
    first = draw(starts)
    qmin = draw(st.one_of(st.integers(-12, 8), st.sampled_from([-128, -ACC_LIMIT, ACC_LIMIT - 30])))
    return {
        "acc_min": first,
        "acc_max": min(first + draw(st.integers(0, width)), ACC_LIMIT),
        "qmin": qmin,
        "qmax": qmin + draw(st.integers(0, 20)),
    }


@st.composite
def wild(draw: st.DrawFn) -> Channel:
    """Any parameters of any kind: thresholds coincide, leave the range, or there are none."""
    ends = draw(domains())
    names = ("gamma", "beta", "mean")
    zero_point = draw(st.one_of(st.integers(-9, 9), st.integers(-ACC_LIMIT, ACC_LIMIT), st.just(ends["qmin"])))
    return Channel(
        **{name: draw(reals) for name in names},
        variance=draw(reals.map(abs)),
        epsilon=draw(st.one_of(st.just(1e-5), st.just(2.0**-1074), positive)),
        acc_scale=draw(positive),
        out_scale=draw(positive),
        zero_point=zero_point,
        **ends,
    )


@st.composite
def built(draw: st.DrawFn) -> Channel:
    """A moderate slope through the domain, most often with exact ties: rational root, dyadic slope, odd zero point."""
    ends = draw(domains())
    x0 = draw(st.integers(ends["acc_min"], ends["acc_max"]))
    acc_scale = draw(st.sampled_from([F(1), F(1, 2), F(0.1), F(1, 3)]))
    out_scale = draw(st.sampled_from([F(1), F(1, 4), F(3, 4), F(float(np.float32(0.1)))]))
    slope = draw(st.one_of(dyadic, st.fractions(-9, 9, max_denominator=40)))
    root = draw(st.one_of(st.just(F(1)), dyadic.map(abs).filter(bool)))
    epsilon = draw(st.sampled_from([F(0), F(0), root * root, root * root / 5, F(1, 10**5)]))
    variance = draw(st.sampled_from([abs(root * root - epsilon), root * root, root * root + 1]))
    middle = draw(st.one_of(st.just(0), st.integers(ends["qmin"], ends["qmax"])))
    zero_point = draw(st.one_of(st.just(middle), st.just(middle | 1), st.integers(-9, 9)))
    return Channel(
        gamma=slope * root * out_scale / acc_scale,
        beta=out_scale * draw(st.integers(-20, 20)) / 4,
        mean=acc_scale * (x0 + F(draw(st.integers(-4, 4)), 2)),
        variance=variance,
        epsilon=epsilon if variance + epsilon else 1,
        acc_scale=acc_scale,
        out_scale=out_scale,
        zero_point=zero_point,
        **ends,
    )


channels = st.one_of(built(), wild())
roundings = st.sampled_from(ROUNDINGS)


def seeded(random: np.random.Generator, bits: int, levels: int | None = None) -> Channel:
    """A realistic channel: float32 parameters, some half of the accumulators inside the clamp."""
    height = levels or int(random.integers(3, 256))
    signed = random.random() < 0.3
    qmin = -(height // 2) if signed else 0
    half = 1 << (bits - 1)
    acc_scale, out_scale, variance = (np.float32(x) for x in random.lognormal(size=3))
    acc_scale = np.float32(acc_scale * 8 / half)
    # the active range is the fraction `share` of all accumulators
    share = random.uniform(0.05, 1.5)
    v = float(variance) + 1e-5
    gamma = np.float32(
        random.choice([-1, 1]) * height * float(out_scale) * sqrt(v) / (float(acc_scale) * 2 * half * share)
    )
    return Channel(
        gamma=gamma,
        beta=np.float32(random.normal() * height * float(out_scale) / 2),
        mean=np.float32(random.normal()),
        variance=variance,
        epsilon=np.float32(1e-5),
        acc_scale=acc_scale,
        out_scale=out_scale,
        zero_point=int(random.integers(-3, 4)),
        acc_min=-half,
        acc_max=half - 1,
        qmin=qmin,
        qmax=qmin + height,
    )


def hard(random: np.random.Generator, bits: int) -> Channel:
    """A channel with ties: rational root, small fractions, odd zero points; thresholds coincide or there are few."""
    size, height = 1 << bits, int(random.integers(1, 40))
    slope = F(int(random.integers(-40, 41)), int(random.choice([1, 2, 3, 7, 8, 64, size // 4, size - 2])))
    first = int(random.integers(-size, 1))
    offset = F(int(random.integers(-8, 9)), int(random.choice([1, 2, 4, 3]))) - slope * (first + size // 2)
    found = line(slope, offset, first, first + size - 1, 0, height)
    root = int(random.integers(1, 9))
    return replace(found, gamma=found.gamma * root, variance=F(root * root), zero_point=int(random.integers(-1, 4)))


# scales and ranges of a layer of three channels, as arrays and as single values
THREE_RANGES = {
    "acc_scale": 1,
    "out_scale": 0.25,
    "acc_min": [-8, -9, -7],
    "acc_max": 7,
    "qmin": np.int8(0),
    "qmax": [15] * 3,
}
