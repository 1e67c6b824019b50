"""How many bits the accumulators of a real network need: the int8 ResNet-8 of MLPerf Tiny (docs/accumulators.md)."""

from pathlib import Path

import numpy as np
import pytest
from outside import folder

from refq.products.accumulators import accumulate
from refq.products.proofs import prove_accumulator
from refq.products.ranges import accumulator_ranges, pairs_at_risk

PAGE = Path(__file__).resolve().parents[1] / "docs" / "accumulators.md"


@pytest.fixture(scope="module")
def layers():
    """(weights, channels first, bias, input zero point) of every convolution and the last layer."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="pip install refq[litert] reads the weights")
    kind = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    model = litert.Interpreter(str(folder("mlperf_tiny") / "resnet8_int8.tflite"), experimental_op_resolver_type=kind)
    model.allocate_tensors()
    points = {t["index"]: t["quantization"][1] for t in model.get_tensor_details()}
    sums = [op for op in model._get_ops_details() if op["op_name"] in ("CONV_2D", "FULLY_CONNECTED")]
    inputs = [op["inputs"].tolist() for op in sums]
    return [(model.get_tensor(w), model.get_tensor(b), points[x]) for x, w, b in inputs]


def row(weights, bias, zero_point):
    """One line of the table: shape, depth, bits of the sums and on the way, worst type bound, pairs at risk."""
    low, high = -128 - zero_point, 127 - zero_point
    ranges = accumulator_ranges(weights, low, high, bias=bias, axis=0)
    depth = weights[0].size
    bound = (depth << 8 + 8 - 1).bit_length() + 1
    risk = pairs_at_risk(weights, low, high, axis=0)
    pairs = len(weights) * -(-depth // 2)
    shape = " x ".join(map(str, weights.shape))
    bits = f"{ranges.bits.min()}..{ranges.bits.max()} | {ranges.partial_bits.max()}"
    return f"| {shape} | {depth} | {bits} | {bound} | {len(risk.pairs)} of {pairs} |"


def test_the_page_has_these_numbers(layers):
    table = [row(*layer) for layer in layers]
    assert len(table) == 10
    text = PAGE.read_text()
    assert [line for line in table if line not in text] == []


def test_every_verdict_holds_on_the_real_weights(layers):
    for weights, bias, zero_point in layers:
        low, high = -128 - zero_point, 127 - zero_point
        assert (low, high) == (0, 255)
        flat = weights.reshape(len(weights), -1).T
        for name in ("int32", "int32_steps", "wrap32", "quads_saturate32", "saturate32_steps", "wrap24"):
            assert prove_accumulator(weights, low, high, name, bias, axis=0).safe
        for name in ("saturate16", "wrap16", "pairs16"):
            proof = prove_accumulator(weights, low, high, name, bias, axis=0)
            column, start = flat[:, [proof.channel]], bias[proof.channel]
            assert proof.differs
            assert accumulate("conv", proof.inputs[None], column, name, start).tolist() == [[proof.result]]
            assert (proof.inputs.astype(np.int64) @ column + start).tolist() == [proof.exact]
