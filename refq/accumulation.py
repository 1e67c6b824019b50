"""How hardware adds products up: the axes on which accumulators differ as records, and the named rules.

Standard library only. What each rule computes is defined in `refq.spec.accumulators`; docs/accumulators.md says which
hardware each one is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from refq.formats import INT16, INT32, INT64, IntFormat, Overflow


@dataclass(frozen=True)
class Register:
    """What holds a running sum: a format, what happens outside it, and when that is looked at.

    `each_step`: after every addition, not only after the last one. WRAP has no use for it: the low bits of a sum are
    the low bits of the sum of the low bits. A register of ERROR refuses the sum instead of changing it.

    >>> Register(INT16, Overflow.SATURATE).name, Register(INT32, Overflow.ERROR, each_step=True).name
    ('int16 saturate', 'int32 error each step')
    """

    fmt: IntFormat
    overflow: Overflow
    each_step: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.fmt, IntFormat):
            raise TypeError(f"Register: fmt={self.fmt!r} is not an IntFormat; pass IntFormat(32)")
        if not isinstance(self.overflow, Overflow):
            raise TypeError(f"Register: overflow={self.overflow!r} is not an Overflow; pass Overflow.WRAP")
        if not isinstance(self.each_step, bool):
            raise TypeError(f"Register: each_step={self.each_step!r} is not a bool")
        if self.fmt.bits == 64 and not self.fmt.signed:
            raise ValueError("Register: fmt=uint64 is outside int64, in which sums are held; pass up to 63 bits")
        if self.overflow == Overflow.WRAP and self.fmt.narrow_range:
            raise ValueError(f"Register: overflow=WRAP has no meaning for {self.fmt.name}; saturate instead")
        if self.overflow == Overflow.WRAP and self.each_step:
            raise ValueError("Register: each_step=True makes no difference to WRAP; leave it out")

    @property
    def name(self) -> str:
        """`int32 wrap`, `int16 saturate each step`."""
        return f"{self.fmt.name} {self.overflow.name.lower()}{' each step' if self.each_step else ''}"


@dataclass(frozen=True)
class Accumulator:
    """A named way from the products of one output, in the order of the depth, to their sum.

    The depth is cut into chunks of `chunk` terms (0: as many as there are). The terms of a chunk are added in `inner`
    (None: exactly), which starts at 0; its chunk done, `inner` is narrowed and added to `outer`, which starts at the
    bias and is narrowed once more at the end. The terms of a chunk lie `stride` apart: a block of chunk * stride terms
    holds `stride` chunks, chunk l has the terms l, l + stride, ... Terms beyond the depth are 0.

    >>> ACCUMULATORS["pairs16"].inner.name, ACCUMULATORS["pairs16"].outer.name, ACCUMULATORS["pairs16"].chunk
    ('int16 saturate', 'int32 wrap', 2)
    """

    name: str
    outer: Register
    inner: Register | None = None
    chunk: int = 1
    stride: int = 1
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.outer, Register):
            raise TypeError(f"Accumulator: outer={self.outer!r} is not a Register; pass Register(INT32, Overflow.WRAP)")
        if self.inner is not None and not isinstance(self.inner, Register):
            raise TypeError(f"Accumulator: inner={self.inner!r} is not a Register; pass one, or None")
        for name, low in (("chunk", 0), ("stride", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"Accumulator: {name}={value!r} is not an int; pass {low} or more")
            if value < low:
                raise ValueError(f"Accumulator: {name}={value} is below {low}; pass {low} or more")

    @cached_property
    def only_end(self) -> bool:
        """Whether the rule is one narrowing of the exact sum, whatever the order of the terms."""
        return self.inner is None and not self.outer.each_step

    @cached_property
    def keeps_sums(self) -> bool:
        """Whether every sum that is proved to fit int64 stays as it is.

        >>> [name for name, rule in ACCUMULATORS.items() if rule.keeps_sums]
        ['exact']
        """
        return self.only_end and self.outer.fmt == INT64

    def chunk_terms(self, depth: int) -> int:
        """How many terms a chunk has at this depth, those beyond it included; at least 1.

        >>> ACCUMULATORS["pairs16"].chunk_terms(9), ACCUMULATORS["lanes8_saturate16"].chunk_terms(9)
        (2, 2)
        """
        longest = max(-(-depth // self.stride), 1)
        return min(self.chunk or longest, longest)


WRAP, SATURATE, ERROR = Overflow.WRAP, Overflow.SATURATE, Overflow.ERROR
_WRAP16, _WRAP32 = Register(INT16, WRAP), Register(INT32, WRAP)
_STEPS16, _STEPS32 = Register(INT16, SATURATE, True), Register(INT32, SATURATE, True)

_RULES = (
    Accumulator("exact", Register(INT64, ERROR), source="the sum of integers; TFLite int16x8 with an int64 bias"),
    Accumulator("int32", Register(INT32, ERROR), source="a sum that int32 is declared to hold, checked"),
    Accumulator(
        "int32_steps",
        Register(INT32, ERROR, True),
        source="signed 32-bit sums in C: overflow on the way is undefined; TOSA int8 convolution",
    ),
    Accumulator(
        "int48_steps", Register(IntFormat(48), ERROR, True), source="TOSA int16 x int8 convolution and int16 MATMUL"
    ),
    Accumulator("wrap16", _WRAP16, source="a 16-bit accumulator; ap_fixed<16, I> with AP_WRAP (hls4ml default)"),
    Accumulator("wrap24", Register(IntFormat(24), WRAP), source="a 24-bit accumulator in RTL"),
    Accumulator(
        "wrap32",
        _WRAP32,
        source="VPDPBUSD, VPMADDWD + VPADDD; Arm SDOT, UDOT, SMLAD; PULP sdotp; ONNX MatMulInteger, ConvInteger",
    ),
    Accumulator("wrap48", Register(IntFormat(48), WRAP), source="AMD DSP48E1, DSP48E2 slices without saturation logic"),
    Accumulator("saturate16", Register(INT16, SATURATE), source="a wide sum clamped to 16 bits when it is stored"),
    Accumulator("saturate32", Register(INT32, SATURATE), source="a wide sum clamped to 32 bits when it is stored"),
    Accumulator("saturate16_steps", _STEPS16, source="16-bit saturating adders; ap_fixed<16, I> with AP_SAT"),
    Accumulator("saturate32_steps", _STEPS32, source="32-bit saturating adders; ap_fixed<32, I> with AP_SAT"),
    Accumulator(
        "saturate40_steps",
        Register(IntFormat(40), SATURATE, True),
        source="40-bit accumulators with 8 guard bits: dsPIC (super saturation), Blackfin A0 and A1",
    ),
    Accumulator(
        "pairs16",
        _WRAP32,
        Register(INT16, SATURATE),
        chunk=2,
        source="VPMADDUBSW, VPMADDWD: oneDNN, ONNX Runtime, FBGEMM u8 x s8 without VNNI; wasm relaxed dot on x86",
    ),
    Accumulator(
        "pairs_wrap16",
        _WRAP32,
        _WRAP16,
        chunk=2,
        source="wasm i16x8.relaxed_dot_i8x16_i7x16_s where it wraps",
    ),
    Accumulator(
        "pairs8_wrap16",
        _WRAP32,
        _WRAP16,
        chunk=2,
        stride=8,
        source="NEON SMULL, SMLAL, SADALP on terms t and t + 8: ruy, gemmlowp, XNNPACK mlal kernels",
    ),
    Accumulator("pairs_saturate32", _STEPS32, chunk=2, source="VPDPWSSDS: s16 x s16"),
    Accumulator("quads_saturate32", _STEPS32, chunk=4, source="VPDPBUSDS: u8 x s8"),
    Accumulator(
        "lanes8_saturate16",
        _WRAP32,
        _STEPS16,
        chunk=0,
        stride=8,
        source="eight 16-bit lanes of saturating adds (VPADDSW, SQADD) over the whole depth, summed at the end",
    ),
    Accumulator(
        "split64_wrap16", _WRAP32, _WRAP16, chunk=64, source="tiles of 64 terms in 16 bits (Colbert et al. 2024, AXE)"
    ),
    Accumulator("split64_saturate16", _WRAP32, _STEPS16, chunk=64, source="the same with saturating adders"),
)

ACCUMULATORS = {rule.name: rule for rule in _RULES}


def parse_accumulator(value: object) -> Accumulator:
    """The rule a name stands for; an `Accumulator` is returned as it is.

    TypeError for other kinds, ValueError for a name that is not in `ACCUMULATORS`.

    >>> parse_accumulator("wrap32").outer.fmt.bits
    32
    """
    if isinstance(value, Accumulator):
        return value
    if not isinstance(value, str):
        raise TypeError(f"parse_accumulator: {value!r} is no rule; pass a name of ACCUMULATORS or an Accumulator")
    if value not in ACCUMULATORS:
        raise ValueError(f"parse_accumulator: {value!r} is no rule; legal: {', '.join(ACCUMULATORS)}")
    return ACCUMULATORS[value]
