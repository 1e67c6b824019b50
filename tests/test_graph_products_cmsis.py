"""CMSIS-NN's own layers, whole: sums by refq, codes under the rules of its profile, against upstream's outputs."""

from fractions import Fraction

import numpy as np
import outside
import pytest
from refq_cases import assert_same

from refq import INT8, conv
from refq.graphs.profiles.products import ENTRIES
from refq.layers.product_codes import Target, bind_codes
from refq.layers.products import depthwise_weights, fully_connected_sums

OPS = {"conv_s8": "conv", "dw_s8": "depthwise_conv", "fc_s8": "fully_connected"}
CASES = [
    "basic conv_s8", "conv_1_x_n_6_generic conv_s8", "conv_2x3_dilation conv_s8", "grouped_conv_1 conv_s8",
    "kernel1x1_stride_x_y conv_s8", "basic dw_s8", "depthwise_dilation dw_s8", "depthwise_kernel_3x3 dw_s8",
    "depthwise_mult_batches dw_s8", "depthwise_null_bias_1 dw_s8", "depthwise_sub_block dw_s8",
    "in_ch_one_out_ch_larger_one dw_s8", "fc_per_ch fc_s8", "fully_connected_mve_0 fc_s8",
    "fully_connected_w_zp fc_s8", "fully_connected_null_bias_0 fc_s8",
]  # fmt: skip


def padding(params, x, kernel):
    """Upstream states what stands before; behind stands what the output asks for."""
    found = []
    for i, size in enumerate(x.shape[1:3]):
        reach = (params["out_hw"][i] - 1) * params["stride"][i] + (kernel[i] - 1) * params["dilation"][i] + 1
        found.append((params["pad"][i], max(reach - size - params["pad"][i], 0)))
    return tuple(found)


def sums(op, params, data):
    """The sums of a layer and the number of its channels."""
    x, w = data["input"], data["weights"]
    bias = data["bias"] if params["bias_present"] else None
    zero = -params["input_offset"]
    if op == "fc_s8":
        return fully_connected_sums(w, bias, zero, -params["filter_offset"])(x)
    groups, w = (params["groups"], w) if op == "conv_s8" else (x.shape[3], depthwise_weights(w[None]))
    pads = padding(params, x, w.shape[1:3])
    more = {"stride": params["stride"], "dilation": params["dilation"], "padding": pads, "groups": groups}
    acc = conv(x, w, input_zero_point=zero, bias=bias, **more)
    return acc[:, : params["out_hw"][0], : params["out_hw"][1]]


@pytest.mark.parametrize("name", CASES)
def test_whole_layers(name):
    case, op = name.split()
    entry = next(c for c in outside.manifest("cmsis_nn")["cases"] if (c["case"], c["op"]) == (case, op))
    params, data = entry["params"], outside.arrays("cmsis_nn", entry["file"])
    acc = sums(op, params, data)
    factors = [
        Fraction(int(m)) / Fraction(2) ** (31 - int(s)) for m, s in zip(data["multiplier"], data["shift"], strict=True)
    ]
    where = Target(name, lambda scaling: factors, np.float32(1), params["output_offset"], INT8, acc.shape[-1])
    rule = next(e.rule for e in ENTRIES["cmsis-nn"] if e.op == OPS[op] and not e.tags)
    got = np.clip(bind_codes(rule, where)(acc), np.int8(params["act_min"]), np.int8(params["act_max"]))
    assert_same(got=got.reshape(data["output"].shape), expected=data["output"])
