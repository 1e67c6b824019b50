"""refq: the exact arithmetic of quantized neural networks."""

from refq import batchnorm, networks, quantizers
from refq.accumulation import ACCUMULATORS, Accumulator, Register
from refq.encodings import Encoding, Kind, parse_encoding
from refq.fixedpoint import derive, effective_scale, high_multiply, saturating_add, saturating_left_shift
from refq.formats import INT8, INT16, INT32, INT64, UINT8, UINT16, IntFormat, Overflow, Rounding, parse_format
from refq.labels import find_rule, parse_semantics
from refq.products.bitplanes import BitPlanes, pack_planes, popcounts, row_sums, unpack_planes
from refq.products.bound import bind
from refq.products.choice import Choice
from refq.products.conv import conv
from refq.products.gemm import gemm, prepare
from refq.products.prepared import Prepared
from refq.products.proofs import Proof, prove_accumulator
from refq.products.ranges import accumulator_ranges, pairs_at_risk, partial_ranges
from refq.requantize import quantize, requantize
from refq.rounding import narrow, round_to_integer, shift_right
from refq.rules import Arithmetic, Clamp, Derivation, FixedScale, Rule, Scaling, Semantics, Split, ZeroPoint
from refq.runtimes import RUNTIMES
from refq.semantics import IDENTITIES, QUANTIZE_RULES, RULES
from refq.staircase import (
    Difference,
    Interval,
    Staircase,
    count_differences,
    difference,
    error_histogram,
    from_function,
    max_error,
    probes,
    staircase,
)

__version__ = "0.1.0"

__all__ = [
    "ACCUMULATORS",
    "IDENTITIES",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "QUANTIZE_RULES",
    "RULES",
    "RUNTIMES",
    "UINT8",
    "UINT16",
    "Accumulator",
    "Arithmetic",
    "BitPlanes",
    "Choice",
    "Clamp",
    "Derivation",
    "Difference",
    "Encoding",
    "FixedScale",
    "IntFormat",
    "Interval",
    "Kind",
    "Overflow",
    "Prepared",
    "Proof",
    "Register",
    "Rounding",
    "Rule",
    "Scaling",
    "Semantics",
    "Split",
    "Staircase",
    "ZeroPoint",
    "accumulator_ranges",
    "batchnorm",
    "bind",
    "conv",
    "count_differences",
    "derive",
    "difference",
    "effective_scale",
    "error_histogram",
    "find_rule",
    "from_function",
    "gemm",
    "high_multiply",
    "max_error",
    "narrow",
    "networks",
    "pack_planes",
    "pairs_at_risk",
    "parse_encoding",
    "parse_format",
    "parse_semantics",
    "partial_ranges",
    "popcounts",
    "prepare",
    "probes",
    "prove_accumulator",
    "quantize",
    "quantizers",
    "requantize",
    "round_to_integer",
    "row_sums",
    "saturating_add",
    "saturating_left_shift",
    "shift_right",
    "staircase",
    "unpack_planes",
]
