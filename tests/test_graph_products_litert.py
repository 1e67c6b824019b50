"""conv and fully_connected against LiteRT in its three modes: every output, under the rule of the profile."""

from dataclasses import replace

import numpy as np
import pytest
from graph_product_cases import MODES, OP, built, golden, profile_rule, runtime, site
from refq_cases import assert_same

from refq.formats import Rounding

DOUBLE, UP = "gemmlowp_double/double_product/after", "double_up/double_product/after"
FLOAT32, FLOAT64 = "float32_ties_even/float32_product/after", "float64_ties_away/double_product/after"
WIDE = "reduced_int64/double_product/after"
RIVALS = (DOUBLE, UP, FLOAT32, FLOAT64)
CONVS = {
    "3x3": built("conv", (1, 9, 9, 5), (13, 3, 3, 5), 1),
    "per tensor": built("conv", (1, 9, 9, 5), (13, 3, 3, 5), 2, per_channel=False),
    "1x1": built("conv", (2, 6, 5, 16), (33, 1, 1, 16), 3),
    "1x7 valid": built("conv", (1, 3, 9, 3), (17, 1, 7, 3), 4, same=False),
    "10x4 strided": built("conv", (1, 49, 10, 1), (9, 10, 4, 1), 5, stride=(2, 2)),
    "dilated": built("conv", (1, 11, 9, 4), (9, 3, 3, 4), 6, dilation=(2, 3)),
    "dilated, strided": built("conv", (1, 13, 13, 4), (9, 3, 3, 4), 7, stride=(2, 3), dilation=(2, 2), same=False),
    "one pixel": built("conv", (1, 3, 3, 17), (130, 3, 3, 17), 8, same=False),
    "one filter": built("conv", (1, 19, 9, 20), (1, 3, 3, 20), 9),
    "groups": built("conv", (1, 9, 9, 6), (9, 3, 3, 2), 10),
    "groups of one channel": built("conv", (1, 9, 9, 6), (12, 3, 3, 1), 11),
    "int4": built("conv", (1, 9, 9, 5), (13, 3, 3, 5), 12, weight_dtype="int4"),
    "uint8": built("conv", (1, 9, 9, 5), (13, 3, 3, 5), 13, dtype="uint8", per_channel=False),
    "uint8, one pixel": built("conv", (1, 3, 3, 16), (130, 3, 3, 16), 14, dtype="uint8", per_channel=False, same=False),
    "uint8, groups": built("conv", (1, 9, 9, 6), (9, 3, 3, 2), 15, dtype="uint8", per_channel=False),
    "int16, int32 bias": built("conv", (1, 9, 9, 5), (13, 3, 3, 5), 16, dtype="int16"),
    "int16, int32 bias, groups": built("conv", (1, 9, 9, 6), (9, 3, 3, 2), 17, dtype="int16"),
    "int16, int64 bias": built("conv", (1, 9, 9, 5), (13, 3, 3, 5), 18, dtype="int16", bias="int64"),
    "int16, int64 bias, groups": built("conv", (1, 9, 9, 6), (9, 3, 3, 2), 19, dtype="int16", bias="int64"),
    "int16, int64 bias, int4": built(
        "conv", (1, 9, 9, 5), (13, 3, 3, 5), 20, dtype="int16", bias="int64", weight_dtype="int4"
    ),
    "relu6": built("conv", (1, 9, 9, 5), (13, 3, 3, 5), 21, activation="relu6"),
    "int4, groups": built("conv", (1, 9, 9, 6), (9, 3, 3, 2), 22, weight_dtype="int4"),
}
DENSE = {
    "one row": built("fully_connected", (1, 40), (170, 40), 1),
    "one row, shallow": built("fully_connected", (1, 6), (170, 6), 2),
    "one row, deep": built("fully_connected", (1, 641), (171, 641), 3, per_channel=False),
    "rows": built("fully_connected", (7, 41), (33, 41), 4),
    "rows, per tensor": built("fully_connected", (7, 41), (33, 41), 5, per_channel=False),
    "few outputs": built("fully_connected", (90, 40), (3, 40), 6, per_channel=False),
    "no bias": built("fully_connected", (7, 40), (33, 40), 7, bias=None),
    "no bias, per tensor": built("fully_connected", (7, 40), (33, 40), 8, bias=None, per_channel=False),
    "int4": built("fully_connected", (7, 40), (33, 40), 9, weight_dtype="int4"),
    "int4, odd depth": built("fully_connected", (7, 41), (33, 41), 10, weight_dtype="int4"),
    "int4, odd depth, per tensor": built(
        "fully_connected", (7, 41), (33, 41), 11, weight_dtype="int4", per_channel=False
    ),
    "weight zero point": built("fully_connected", (7, 40), (70, 40), 12, weight_zero_point=2, per_channel=False),
    "uint8": built("fully_connected", (7, 40), (33, 40), 13, dtype="uint8", per_channel=False),
    "uint8, one row": built("fully_connected", (1, 40), (170, 40), 14, dtype="uint8", per_channel=False),
    "relu": built("fully_connected", (7, 41), (33, 41), 15, activation="relu"),
    "int16, int32 bias": built("fully_connected", (30, 40), (33, 40), 16, dtype="int16"),
    "int16, int32 bias, per tensor": built("fully_connected", (30, 40), (33, 40), 17, dtype="int16", per_channel=False),
    "int16, int64 bias": built("fully_connected", (30, 40), (33, 40), 18, dtype="int16", bias="int64"),
    "int16, int64 bias, one row": built("fully_connected", (1, 40), (990, 40), 19, dtype="int16", bias="int64"),
    "int16, int64 bias, int4": built(
        "fully_connected", (30, 40), (33, 40), 20, dtype="int16", bias="int64", weight_dtype="int4", per_channel=False
    ),
    "int16, no bias": built("fully_connected", (30, 40), (33, 40), 21, dtype="int16", bias=None),
}


def unscaled(case):
    """No scale for the bias; of one scale for all, as small beside the output's as LiteRT asks for then."""
    sx, sw, sy = case.scales
    return replace(case, bias_scale=None, scales=(sx, sw if sw.size > 1 else np.float32([1 / 64]), sy))


# what XNNPACK leaves to the builtin kernels for what the file says of bias and weights
LEFT = {
    "bias without scale": unscaled(CONVS["3x3"]),
    "per tensor, bias without scale": unscaled(CONVS["per tensor"]),
    "groups, bias without scale": unscaled(CONVS["groups"]),
    "uint8, bias without scale": unscaled(CONVS["uint8"]),
    "uint8, groups, bias without scale": unscaled(CONVS["uint8, groups"]),
    "uint8, axis 3": replace(CONVS["uint8"], scale_axis=3),
    "uint8, groups, axis 1": replace(CONVS["uint8, groups"], scale_axis=1),
    "int4, groups, bias without scale": unscaled(CONVS["int4, groups"]),
    "rows, bias without scale": unscaled(DENSE["rows"]),
    "rows, per tensor, bias without scale": unscaled(
        built("fully_connected", (40, 41), (33, 41), 23, per_channel=False)
    ),
    "int4, bias without scale": unscaled(DENSE["int4"]),
    "rows, uint8, bias without scale": unscaled(DENSE["uint8"]),
    "rows, uint8, axis 1": replace(DENSE["uint8"], scale_axis=1),
}
# of 8-bit signed weights with one scale the axis says nothing
TAKEN = {
    "per tensor, axis 3": replace(CONVS["per tensor"], scale_axis=3),
    "rows, axis 1": replace(DENSE["rows, per tensor"], scale_axis=1),
}
GROUPS = (CONVS, DENSE, LEFT, TAKEN)
CASES = {f"{case.op}: {name}": case for group in GROUPS for name, case in group.items()}


@pytest.mark.parametrize("name", CASES)
def test_every_output_in_every_mode(name):
    """The rule of the profile gives all of them; those rules that must be told apart give others somewhere."""
    case = CASES[name]
    legal = OP[case.op].rules(site(case))
    rivals = [rule for rule in (*RIVALS, WIDE) if rule in legal]
    answers = dict(zip(rivals, golden(case, *rivals), strict=True))
    for mode, profile in MODES.items():
        rule, got = profile_rule(case, profile), runtime(case, mode)
        assert rule in legal
        (want,) = golden(case, rule, bounds=Rounding.TIES_EVEN if mode == "litert" else Rounding.TIES_AWAY)
        assert_same(got=got, expected=want)
        # what an activation leaves are positive sums, on which both integer rules agree
        others = {
            r: a for r, a in answers.items() if r != rule.replace("mixed", "double") and case.activation == "none"
        }
        assert all((answer != got).any() for answer in others.values()), (mode, rule)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_rows_of_a_fully_connected_layer_may_lie_anywhere(dtype):
    case = built("fully_connected", (6, 5), (9, 10), 30, dtype=dtype, per_channel=False)
    for mode, profile in MODES.items():
        assert_same(got=runtime(case, mode), expected=golden(case, profile_rule(case, profile))[0])


def test_the_cases_cover_every_entry_that_was_run():
    from refq.graphs.profiles.products import ENTRIES

    depthwise = {"depthwise_conv"}
    for profile in MODES.values():
        met = {(case.op, profile_rule(case, profile)) for case in CASES.values()}
        named = {(e.op, e.rule) for e in ENTRIES[profile] if e.evidence == "run" and e.op not in depthwise}
        # uint8 layers in groups are alone in their rule
        assert named <= met, named - met


def test_a_large_sum_rounds_its_float32_first():
    """Sums above 2**24 are rounded to float32 by XNNPACK before they are scaled."""
    case = built("conv", (1, 1, 1, 1), (600, 1, 1, 1), 40, per_channel=False)
    random = np.random.default_rng(41)
    scale = np.float32(2.0**-24 * 1.1)
    bias = (random.integers(-115, 115, 600) * (1 << 24) + random.integers(-9, 9, 600)).astype(np.int32)
    bias += np.int32(round(0.5 / float(scale)))
    case = replace(case, bias=bias, scales=(np.float32(1), np.float32([scale]), np.float32(1)))
    assert_same(got=runtime(case, "litert"), expected=golden(case, FLOAT32)[0])
