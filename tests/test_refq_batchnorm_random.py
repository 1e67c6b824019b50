"""10,000 random channels: the line is the target at every threshold, one bit less has none, and a checker agrees."""

import numpy as np
import pytest
from batchnorm_cases import ROUNDINGS, hard, seeded

from refq.batchnorm import certificate, fit_batchnorm, form_steps
from refq.batchnorm.choice import integers_inside, is_empty, some
from refq.formats import Rounding
from verify.certificate_checker import check

BATCH = 50
# the rules that real ties or whole numbers can leave without a line
UNEVEN = (Rounding.TIES_EVEN, Rounding.TIES_ODD, Rounding.TOWARD_ZERO, Rounding.AWAY_FROM_ZERO, Rounding.JAM)


def batch(number):
    """A rounding, and channels of 8..20-bit accumulators, two realistic ones to each hard one."""
    random = np.random.default_rng([2008, 13128, number])
    rounding = ROUNDINGS[number // 2 % 11] if number % 2 else Rounding.TIES_UP
    makers = (seeded, seeded, hard)
    return rounding, [makers[i % 3](random, int(random.integers(8, 21))) for i in range(BATCH)]


def check_batch(number):
    """Returns how many channels have a line, and how many need a shift."""
    rounding, channels = batch(number)
    layer = fit_batchnorm(channels, rounding)
    for channel, fit in zip(channels, layer.fits, strict=True):
        assert (fit.form is None) == is_empty(fit.slopes)
        if fit.form is None:
            assert rounding in UNEVEN
            continue
        assert form_steps(fit.form, (channel.acc_min, channel.acc_max)) == fit.steps
        assert fit.form.divisor == 1 << fit.min_shift
        assert fit.min_shift <= 2 * 20 - 1
        assert fit.min_shift == 0 or not some(integers_inside(fit.slopes, 1 << (fit.min_shift - 1)))
    assert check(certificate(layer)).startswith(f"accepted: {BATCH} channels")
    return sum(fit.form is not None for fit in layer.fits), sum(bool(fit.min_shift) for fit in layer.fits)


def check_batches(numbers):
    with_line, with_shift = np.sum([check_batch(number) for number in numbers], axis=0)
    drawn = BATCH * len(numbers)
    print(f"{drawn} channels: {with_line} lines, {with_shift} with a shift")
    assert drawn * 9 // 10 < with_line < drawn
    assert with_shift > drawn * 6 // 10


@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_random_channels(part):
    check_batches(range(20 * part, 20 * part + 20))


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(10, 100))
def test_a_hundred_thousand_random_channels(part):
    check_batches(range(20 * part, 20 * part + 20))
