"""Whole CMSIS-NN layers: accumulators by plain NumPy, requantized by refq, against upstream's expected outputs."""

import numpy as np
import outside
import pytest
from refq_cases import assert_same

from refq import INT8, FixedScale, requantize

CASES = [
    "basic",
    "conv_1_x_n_2",
    "conv_1_x_n_4",
    "conv_1_x_n_6_generic",
    "conv_1_x_n_8",
    "conv_2x2_dilation",
    "conv_2x3_dilation",
    "conv_3x2_dilation",
    "conv_4",
    "conv_dilation_golden",
    "grouped_conv_1",
    "grouped_conv_3",
    "kernel1x1",
    "kernel1x1_stride_x_y",
    "kernel1x1_stride_x_y_2",
]
CONNECTED = ["fc_per_ch", "fully_connected_mve_0", "fully_connected_null_bias_0", "fully_connected_w_zp"]


def case(name, op):
    entry = next(c for c in outside.manifest("cmsis_nn")["cases"] if (c["case"], c["op"]) == (name, op))
    assert outside.sha256("cmsis_nn", entry["file"]) == entry["sha256"]
    return entry["params"], outside.arrays("cmsis_nn", entry["file"])


def conv_accumulators(params, data):
    """NHWC input, OHWI weights, groups; padded taps add zero because the input offset is added first."""
    x = data["input"].astype(np.int64) + params["input_offset"]
    weights, groups = data["weights"].astype(np.int64), params["groups"]
    (pad_h, pad_w), (stride_h, stride_w), (dilation_h, dilation_w) = (params[k] for k in ("pad", "stride", "dilation"))
    out_h, out_w = params["out_hw"]
    filters, kernel_h, kernel_w, depth = weights.shape
    x = np.pad(x, ((0, 0), (pad_h, kernel_h * dilation_h), (pad_w, kernel_w * dilation_w), (0, 0)))
    total = np.zeros((x.shape[0], out_h, out_w, filters), np.int64)
    each = filters // groups
    for i in range(kernel_h):
        for j in range(kernel_w):
            rows = np.arange(out_h) * stride_h + i * dilation_h
            cols = np.arange(out_w) * stride_w + j * dilation_w
            inside = (rows < x.shape[1])[:, None] & (cols < x.shape[2])
            tap = x[:, np.minimum(rows, x.shape[1] - 1)][:, :, np.minimum(cols, x.shape[2] - 1)] * inside[..., None]
            for g in range(groups):
                outputs = slice(g * each, (g + 1) * each)
                total[..., outputs] += tap[..., g * depth : (g + 1) * depth] @ weights[outputs, i, j].T
    return total + (data["bias"] if params["bias_present"] else 0)


def stored(accs, params, data, rule):
    scales = [FixedScale(int(m), 31 - int(s)) for m, s in zip(data["multiplier"], data["shift"], strict=True)]
    codes = requantize(accs, rule, scales, zero_point=params["output_offset"], fmt=INT8)
    return np.clip(codes, np.int8(params["act_min"]), np.int8(params["act_max"]))


@pytest.mark.parametrize("name", CASES)
def test_convolution(name):
    params, data = case(name, "conv_s8")
    accs = conv_accumulators(params, data)
    assert np.abs(accs).max() == params["acc_abs_max"]
    assert_same(got=stored(accs, params, data, "gemmlowp_double"), expected=data["output"])


def connected_accumulators(params, data):
    x = data["input"].astype(np.int64) + params["input_offset"]
    accs = x @ (data["weights"].astype(np.int64) + params["filter_offset"]).T
    return accs + (data["bias"] if params["bias_present"] else 0)


@pytest.mark.parametrize("name", CONNECTED)
def test_fully_connected(name):
    params, data = case(name, "fc_s8")
    got = stored(connected_accumulators(params, data), params, data, "gemmlowp_double")
    assert_same(got=got, expected=data["output"])


@pytest.mark.parametrize("name", ["conv_2x2_dilation", "kernel1x1_stride_x_y"])
def test_the_wrong_rule_misses_as_many_outputs_as_upstream_data_say(name):
    entry = next(c for c in outside.manifest("cmsis_nn")["cases"] if (c["case"], c["op"]) == (name, "conv_s8"))
    params, data = case(name, "conv_s8")
    accs = conv_accumulators(params, data)
    for rule, column in (("single_up", "single"), ("double_up", "double_up")):
        missed = int((stored(accs, params, data, rule) != data["output"]).sum())
        assert missed == entry["mismatches_by_semantics"][column]
