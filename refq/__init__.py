"""refq: the exact arithmetic of quantized neural networks."""

from refq import batchnorm
from refq.fixedpoint import derive, effective_scale, high_multiply, saturating_add, saturating_left_shift
from refq.formats import INT8, INT16, INT32, INT64, UINT8, UINT16, IntFormat, Overflow, Rounding, parse_format
from refq.labels import find_rule, parse_semantics
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
    "Arithmetic",
    "Clamp",
    "Derivation",
    "Difference",
    "FixedScale",
    "IntFormat",
    "Interval",
    "Overflow",
    "Rounding",
    "Rule",
    "Scaling",
    "Semantics",
    "Split",
    "Staircase",
    "ZeroPoint",
    "batchnorm",
    "count_differences",
    "derive",
    "difference",
    "effective_scale",
    "error_histogram",
    "find_rule",
    "from_function",
    "high_multiply",
    "max_error",
    "narrow",
    "parse_format",
    "parse_semantics",
    "probes",
    "quantize",
    "requantize",
    "round_to_integer",
    "saturating_add",
    "saturating_left_shift",
    "shift_right",
    "staircase",
]
