"""Layers of products that no runtime has: refused in one line that names the layer."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from graph_product_cases import OP, built, golden, site

from refq import INT8
from refq.formats import Rounding
from refq.graphs.records import Quantization, Tensor
from refq.layers.product_codes import Target, bind_codes

CONV = built("conv", (2, 4, 5, 4), (6, 3, 2, 2), 1, stride=(2, 1), activation="relu6")
DENSE = built("fully_connected", (3, 7), (11, 7), 6)


def test_sums_outside_the_accumulator_are_refused_with_their_place():
    case = built("conv", (1, 1, 2, 1), (2, 1, 1, 1), 60, per_channel=False)
    case = replace(case, bias=np.array([0, 2**31 - 1], np.int32), x=np.array([[[[3], [13]]]], np.int8))
    case = replace(case, w=np.ones((2, 1, 1, 1), np.int8))
    with pytest.raises(ValueError) as caught:
        golden(case, "double_up/double_product/after")
    assert str(caught.value) == (
        "conv layer: sum[0, 0, 1, 1]=2147483657 is outside -2147483648..2147483647; "
        "double_up/double_product/after is not defined there"
    )
    (clamped,) = golden(case, "float32_ties_even/float32_product/after")
    assert clamped[0, 0, 1, 1] == 127


def test_a_factor_that_does_not_fit_a_rule_is_refused_with_the_layer():
    target = Target("conv stem", lambda scaling: [Fraction(2) ** 40], np.float32(1), 0, INT8, channels=1)
    with pytest.raises(ValueError, match=r"^conv stem: scale=1099511627776 does not fit gemmlowp_double: "):
        bind_codes("gemmlowp_double", target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": np.ones(3, np.float32)}, "conv layer: w has 3 scales for 6 filters; pass one, or one a filter"),
        (
            {"scale": np.ones(6, np.float32), "axis": 3},
            "conv layer: w has its scales along axis=3; its filters run along 0",
        ),
        ({"bias": np.zeros(5, np.int32)}, "conv layer: bias has 5 values; pass one a filter, 6"),
        ({"activation": "gelu"}, "conv layer: activation='gelu' is unknown; legal: none, relu, relu6, relu_n1_to_1"),
    ],
)
def test_bad_layers_are_refused(change, message):
    place = site(CONV)
    x, w, b = place.inputs
    scale = change.get("scale", w.quantization.scale)
    w = replace(w, quantization=Quantization(scale, np.zeros(scale.size, np.int64), change.get("axis", 0)))
    b = replace(b, data=change.get("bias", b.data))
    node = replace(place.node, attributes=place.node.attributes | {"activation": change.get("activation", "none")})
    with pytest.raises(ValueError) as caught:
        OP["conv"].bind(replace(place, node=node, inputs=(x, w, b)), Rounding.TIES_AWAY)
    assert str(caught.value) == message


def test_a_bias_that_is_no_integer_is_refused():
    place = site(DENSE)
    x, w, b = place.inputs
    b = replace(b, dtype="float32", data=b.data.astype(np.float32))
    with pytest.raises(TypeError, match=r"^fully_connected layer: bias is float32; pass int32 or int64$"):
        OP["fully_connected"].bind(replace(place, inputs=(x, w, b)), Rounding.TIES_AWAY)


@pytest.mark.parametrize(
    ("op", "x", "w", "more", "message"),
    [
        ("conv", (1, 4, 4, 3), (5, 3, 3, 2), {}, "conv n: weights hold 2 channels a filter, 3 channels in groups=1"),
        ("conv", (1, 2, 2, 3), (5, 3, 3, 3), {}, "conv n: kernel 3 with dilation 1 covers 3, the padded height is 2"),
        ("depthwise_conv", (1, 4, 4, 3), (1, 3, 3, 5), {}, "depthwise_conv n: x has shape (1, 4, 4, 3), weights"),
        ("fully_connected", (2, 5), (3, 4), {}, "fully_connected n: x has shape (2, 5), weights (3, 4); pass weights"),
        ("fully_connected", (2, 6), (3, 4), {"keep_dims": True}, "fully_connected n: x has shape (2, 6), keep_dims"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(op, x, w, more, message):
    tensors = Tensor("x", x, "int8"), Tensor("w", w, "int8")
    with pytest.raises(ValueError) as caught:
        OP[op].shapes("n", {"layout": "NHWC"} | more, tensors)
    assert str(caught.value).startswith(message)


def test_inputs_that_are_missing_are_refused():
    with pytest.raises(ValueError, match=r"^conv n: 1 inputs; pass x, weights and, if there is one, a bias$"):
        OP["conv"].shapes("n", {}, (Tensor("x", (1, 4, 4, 3), "int8"),))
