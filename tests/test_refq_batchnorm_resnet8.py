"""The real ResNet-8: minimal shifts proved channel by channel, and docs/resnet8.md as the code tells it."""

import numpy as np
import pytest
import resnet8

from refq.batchnorm import (
    Share,
    certificate,
    fit_batchnorm,
    fit_steps,
    fixed_batchnorm,
    form_steps,
    naive_form,
    naive_min_shift,
    target_steps,
)
from refq.formats import Rounding
from refq.spec.batchnorm import batchnorm
from verify.certificate_checker import check

pytestmark = pytest.mark.skipif(not resnet8.DATA.is_dir(), reason="shared/data/mlperf_tiny is not here")


@pytest.mark.parametrize(("bits", "share"), [(4, Share.NONE), (4, Share.SHIFT), (4, Share.DIVISOR), (8, Share.SHIFT)])
def test_every_channel_is_proved_by_a_certificate(bits, share):
    layers = [fit_batchnorm(channels, share=share) for channels in resnet8.layers(bits).values()]
    assert [len(layer.fits) for layer in layers] == [16, 16, 16, 32, 32, 64, 64]
    if share == Share.DIVISOR:
        expected = [5537277, 304085, 1291126, 1461859, 607420, 12260424, 125387]
        assert [layer.shared for layer in layers] == expected
    for layer in layers:
        assert check(certificate(layer)).startswith(f"accepted: {len(layer.fits)} channels")


@pytest.mark.parametrize("bits", resnet8.BITS)
def test_the_line_equals_the_target_and_one_bit_less_has_none(bits):
    for channels in resnet8.layers(bits).values():
        for channel, fit in zip(channels, fit_batchnorm(channels).fits, strict=True):
            assert form_steps(fit.form, (channel.acc_min, channel.acc_max)) == fit.steps
            if fit.min_shift:
                less = fit_steps(fit.steps, channel.qmin, channel.qmax, divisor=1 << (fit.min_shift - 1))
                assert less.form is None


@pytest.mark.parametrize("bits", resnet8.BITS)
def test_every_threshold_is_where_the_definition_says(bits):
    for channels in resnet8.layers(bits).values():
        for channel in channels[:: 16 if bits == 8 else 4]:
            steps = target_steps(channel)
            for start, before, level in zip(steps.starts[1:], steps.levels, steps.levels[1:], strict=False):
                assert batchnorm(int(start), channel, Rounding.TIES_UP) == level
                assert batchnorm(int(start) - 1, channel, Rounding.TIES_UP) == before


def test_naive_rounding_is_exact_at_its_shift_and_not_below():
    for channels in resnet8.layers(4).values():
        for channel, fit in zip(channels, fit_batchnorm(channels).fits, strict=True):
            shift = naive_min_shift(channel, fit)
            domain = (channel.acc_min, channel.acc_max)
            assert form_steps(naive_form(channel, shift), domain) == fit.steps
            assert all(form_steps(naive_form(channel, k), domain) != fit.steps for k in range(shift))


def test_the_array_function_gives_the_codes_of_the_target():
    channels = resnet8.layers(8)["batch_normalization_3"]
    layer = fit_batchnorm(channels, share=Share.SHIFT)
    acc = np.random.default_rng(20261121).integers(
        [c.acc_min for c in channels], [c.acc_max + 1 for c in channels], (500, len(channels))
    )
    got = fixed_batchnorm(acc, [fit.form for fit in layer.fits])
    expected = np.stack([fit.steps(acc[:, c]) for c, fit in enumerate(layer.fits)], axis=1)
    assert got.dtype == np.uint8
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("bits", resnet8.BITS)
def test_the_page_holds_the_tables_of_this_code(bits):
    page = (resnet8.ROOT / "docs" / "resnet8.md").read_text(encoding="utf-8")
    table, lists, _, _ = resnet8.tables(bits)
    assert table in page
    assert lists in page
