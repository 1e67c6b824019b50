"""Depthwise convolutions against LiteRT: two rules in one layer, and which channels follow which."""

from itertools import product

import numpy as np
import pytest
from graph_product_cases import MODES, built, golden, profile_rule, runtime
from refq_cases import assert_same

from refq.formats import Rounding
from refq.layers.product_rules import VECTORS_OF_EIGHT, tail_channels

DOUBLE, UP = "gemmlowp_double/double_product/after", "double_up/double_product/after"
FLOAT64 = "float64_ties_away/double_product/after"
KERNELS = [(3, 3), (5, 5), (1, 4), (3, 1), (10, 4), (1, 1)]
STRIDES = [(1, 1), (2, 2), (1, 2), (3, 1)]
DILATIONS = [(2, 2), (1, 3), (4, 1)]


def shapes():
    """Channels 1..70 and multipliers 1, 2, 3, 8, each with a kernel, a stride or a dilation, and a padding."""
    sizes = [(c, 1) for c in (*range(1, 20), 24, 31, 33, 47, 64, 70)] + list(product((1, 3, 5, 8), (2, 3, 8)))
    for i, (channels, multiplier) in enumerate(sizes):
        dilated = i % 3 == 2
        more = {"dilation": DILATIONS[i % 3]} if dilated else {"stride": STRIDES[i // 3 % 4]}
        yield channels, multiplier, KERNELS[i % 6], more | {"same": i % 4 < 2}


def made(channels, multiplier, kernel, more, seed, **other):
    lines, columns = ((k - 1) * d + 3 + seed % 5 for k, d in zip(kernel, more.get("dilation", (1, 1)), strict=True))
    x, w = (1, lines, columns, channels), (1, *kernel, channels * multiplier)
    return built("depthwise_conv", x, w, seed, **more, **other)


def test_whole_vectors_of_eight_channels_round_ties_up_and_the_rest_away():
    told_apart = {True: 0, False: 0}
    compared = 0
    for seed, shape in enumerate(shapes()):
        case = made(*shape, seed)
        up, away, both = golden(case, UP, DOUBLE, VECTORS_OF_EIGHT)
        got = runtime(case, "litert-builtin")
        compared += assert_same(got=got, expected=both)
        behind = tail_channels(got.shape[-1])
        for place in (True, False):
            told_apart[place] += int((up != away)[..., behind == place].sum())
    assert compared > 10_000
    assert min(told_apart.values()) > 200


FORMS = {
    "per channel": {},
    "per tensor": {"per_channel": False},
    "int4": {"weight_dtype": "int4"},
    "uint8": {"dtype": "uint8", "per_channel": False},
    "relu6": {"activation": "relu6"},
    "int16": {"dtype": "int16", "bias": "int64"},
    "int16, no bias": {"dtype": "int16", "bias": None},
}


TOLD_APART = ("per channel", "per tensor", "int4", "uint8")


@pytest.mark.parametrize("name", FORMS)
def test_every_output_in_every_mode(name):
    for seed, (channels, multiplier, more) in enumerate(
        [(11, 1, {}), (16, 1, {"stride": (2, 2)}), (5, 3, {"dilation": (2, 3)}), (1, 8, {"same": False})]
    ):
        case = made(channels, multiplier, (3, 3), more, seed, **FORMS[name])
        rivals = golden(case, DOUBLE, UP, FLOAT64) if name in TOLD_APART and channels == 11 else []
        for mode, profile in MODES.items():
            rule = profile_rule(case, profile)
            (want,) = golden(case, rule, bounds=Rounding.TIES_EVEN if mode == "litert" else Rounding.TIES_AWAY)
            got = runtime(case, mode)
            assert_same(got=got, expected=want)
            if rivals:
                assert sum(not (got != rival).any() for rival in rivals) == (rule.startswith("gemmlowp"))


def test_rows_and_pixels_do_not_move_the_remainder():
    """Two images, wide lines, more values a line than LiteRT's accumulator buffer of 2048 holds."""
    case = built("depthwise_conv", (2, 3, 260, 11), (1, 3, 3, 11), 50)
    up, away, both = golden(case, UP, DOUBLE, VECTORS_OF_EIGHT)
    assert_same(got=runtime(case, "litert-builtin"), expected=both)
    assert (both != up).any()
    assert (both != away).any()
    large = built("depthwise_conv", (1, 2, 3, 2051), (1, 1, 1, 2051), 51)
    assert_same(got=runtime(large, "litert-builtin"), expected=golden(large, VECTORS_OF_EIGHT)[0])


def test_tail_channels():
    assert [int(tail_channels(n).sum()) for n in range(18)] == [*range(8), *range(8), 0, 1]
    assert tail_channels(0).shape == (0,)
    assert np.flatnonzero(tail_channels(13)).tolist() == [8, 9, 10, 11, 12]
