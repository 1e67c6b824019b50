"""The catalogue: every requantization rule in real use, by name, each one record of axes.

Names, meanings and equivalences are tabulated in docs/rules.md, which is generated from here.
"""

from __future__ import annotations

from dataclasses import replace

from refq.formats import Rounding
from refq.rules import Arithmetic, Clamp, Derivation, Rule, Split


def _float(name: str, arithmetic: Arithmetic, rounding: Rounding, source: str) -> Rule:
    derivation = Derivation(arithmetic.value)
    return Rule(name, arithmetic, derivation, rounding, acc_bits=64, clamp=Clamp.FIRST, source=source)


_REQUANTIZE = (
    Rule(
        "gemmlowp_double",
        Arithmetic.INTEGER,
        Derivation.Q31,
        Rounding.TIES_AWAY,
        Split.HIGH_MULTIPLY,
        source="gemmlowp fixedpoint.h; TFLite, TFLM and CMSIS-NN reference kernels",
    ),
    Rule(
        "double_up",
        Arithmetic.INTEGER,
        Derivation.Q31,
        Rounding.TIES_UP,
        Split.HIGH_MULTIPLY,
        source="ruy x86 kernels; TFLite NEON 4-row helper; SQRDMULH then SRSHL",
    ),
    Rule(
        "single_up",
        Arithmetic.INTEGER,
        Derivation.Q31_SATURATED,
        Rounding.TIES_UP,
        source="TFLITE_SINGLE_ROUNDING; ruy portable and Arm kernels; CMSIS_NN_USE_SINGLE_ROUNDING",
    ),
    Rule(
        "single_away",
        Arithmetic.INTEGER,
        Derivation.Q31,
        Rounding.TIES_AWAY,
        source="one rounding of the 31-bit product, ties away; no released runtime known",
    ),
    Rule(
        "single_even",
        Arithmetic.INTEGER,
        Derivation.Q31,
        Rounding.TIES_EVEN,
        source="one rounding of the 31-bit product, ties even; common in RTL",
    ),
    Rule(
        "reduced_int64",
        Arithmetic.INTEGER,
        Derivation.REDUCED15,
        Rounding.TIES_UP,
        acc_bits=48,
        source="TFLite MultiplyByQuantizedMultiplier(int64): int16x8 with int64 bias",
    ),
    Rule(
        "reduced_int64_halved",
        Arithmetic.INTEGER,
        Derivation.REDUCED15,
        Rounding.TIES_UP,
        Split.HALVE_LAST,
        high_rounding=Rounding.FLOOR,
        acc_bits=48,
        source="CMSIS-NN arm_nn_requantize_s64: narrows to int32 before the last halving",
    ),
    _float("float32_ties_even", Arithmetic.FLOAT32, Rounding.TIES_EVEN, "ONNX Runtime; XNNPACK fp32; FBGEMM"),
    _float("float32_ties_away", Arithmetic.FLOAT32, Rounding.TIES_AWAY, "C roundf on a float32 product"),
    _float("float64_ties_even", Arithmetic.FLOAT64, Rounding.TIES_EVEN, "NumPy evaluators (rint of a double)"),
    replace(
        _float("float64_ties_away", Arithmetic.FLOAT64, Rounding.TIES_AWAY, "LiteRT reference FULLY_CONNECTED"),
        acc_bits=32,
        clamp=Clamp.LAST,
    ),
    _float("exact_ties_even", Arithmetic.EXACT, Rounding.TIES_EVEN, "the ONNX text, in real numbers"),
    _float("exact_ties_away", Arithmetic.EXACT, Rounding.TIES_AWAY, "C round, in real numbers"),
    _float("exact_ties_up", Arithmetic.EXACT, Rounding.TIES_UP, "floor(x + 1/2), in real numbers"),
    Rule(
        "qnnpack_q31",
        Arithmetic.INTEGER,
        Derivation.MANTISSA24,
        Rounding.TIES_AWAY,
        Split.HIGH_MULTIPLY,
        clamp=Clamp.FIRST,
        source="QNNPACK requantization/q31",
    ),
    Rule(
        "qnnpack_precise",
        Arithmetic.INTEGER,
        Derivation.MANTISSA24,
        Rounding.TIES_AWAY,
        clamp=Clamp.FIRST,
        source="QNNPACK requantization/precise",
    ),
    Rule(
        "xnnpack_rndnu",
        Arithmetic.INTEGER,
        Derivation.MANTISSA24,
        Rounding.TIES_UP,
        clamp=Clamp.FIRST,
        source="XNNPACK requantization.h, rndnu; qu8 on Arm",
    ),
    Rule(
        "xnnpack_rndnu16",
        Arithmetic.INTEGER,
        Derivation.MANTISSA15,
        Rounding.TIES_UP,
        Split.SHIFT_FIRST,
        clamp=Clamp.FIRST,
        source="XNNPACK requantization.h, rndnu16; qu8 on small AArch64 cores",
    ),
    Rule(
        "tosa_scale32_single",
        Arithmetic.INTEGER,
        Derivation.TOSA32,
        Rounding.TIES_UP,
        source="TOSA apply_scale_32, SINGLE_ROUND",
    ),
    Rule(
        "tosa_scale32_double",
        Arithmetic.INTEGER,
        Derivation.TOSA32,
        Rounding.TIES_UP,
        nudge=True,
        source="TOSA apply_scale_32, DOUBLE_ROUND",
    ),
    Rule(
        "tosa_scale16",
        Arithmetic.INTEGER,
        Derivation.TOSA16,
        Rounding.TIES_UP,
        acc_bits=48,
        source="TOSA apply_scale_16",
    ),
    Rule(
        "dyadic_ties_even",
        Arithmetic.FLOAT64,
        Derivation.DYADIC31,
        Rounding.TIES_EVEN,
        acc_bits=64,
        clamp=Clamp.FIRST,
        source="HAWQ-V3, I-BERT: round(z * m / 2**e) in float64",
    ),
    Rule(
        "multiply_add_shift_floor",
        Arithmetic.INTEGER,
        Derivation.FIXED_POINT,
        Rounding.FLOOR,
        acc_bits=64,
        result_bits=64,
        clamp=Clamp.FIRST,
        source="NEMO, DORY, PULP-NN: (k * x + l) >> d",
    ),
)
RULES: dict[str, Rule] = {rule.name: rule for rule in _REQUANTIZE}

_QUANTIZE = (
    _float("float32_ties_even", Arithmetic.FLOAT32, Rounding.TIES_EVEN, "ONNX Runtime, XNNPACK"),
    _float("float32_ties_away", Arithmetic.FLOAT32, Rounding.TIES_AWAY, "TFLite reference QUANTIZE (TfLiteRound)"),
    _float("float32_ties_up", Arithmetic.FLOAT32, Rounding.TIES_UP, "floor(x + 1/2) without its rounding error"),
    _float("float64_ties_even", Arithmetic.FLOAT64, Rounding.TIES_EVEN, "the ONNX text in float64"),
    _float("float64_ties_away", Arithmetic.FLOAT64, Rounding.TIES_AWAY, "C round in float64"),
)
QUANTIZE_RULES: dict[str, Rule] = {rule.name: rule for rule in _QUANTIZE}

# (rule, its twin, under which condition): theorems of docs/rules.md, proved case by case in the tests.
IDENTITIES: tuple[tuple[str, str, str], ...] = (
    ("tosa_scale32_double", "gemmlowp_double", "same multiplier, shift >= 31"),
    ("tosa_scale32_single", "single_up", "same multiplier, 2 <= shift <= 62"),
    ("qnnpack_q31", "gemmlowp_double", "float32_product, result inside int32"),
    ("xnnpack_rndnu", "single_up", "float32_product, result inside int32"),
    ("qnnpack_precise", "single_away", "float32_product, result inside int32"),
)

# Adding an integer before these roundings is adding it after them: parity and sign do not matter.
TRANSLATION_INVARIANT = frozenset({Rounding.FLOOR, Rounding.CEIL, Rounding.TIES_UP, Rounding.TIES_DOWN})
