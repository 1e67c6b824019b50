"""Words of LLVM that the vector kernels share: target, splat, calls by name, pointers of arrays."""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.core.registry import cpu_target

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))


@cache
def target_features() -> frozenset[str]:
    """The processor features Numba compiles for, such as 'avx512vnni'; 'x86' is among them on that family.

    Numba's own variables choose the target (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES): it changes the code, never a result.
    """
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    family = {"x86"} if triple.startswith(("x86_64", "i686")) else set()
    return frozenset(f[1:] for f in features.split(",") if f.startswith("+")) | family


def vector_bits() -> int:
    """Width of the widest integer vector registers of the target; 128 where it is not known."""
    features = target_features()
    return 512 if "avx512bw" in features else 256 if "avx2" in features else 128


def call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """The value of an LLVM intrinsic."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def lanes_of(builder: Any, vector: Any, lanes: Any) -> Any:
    """A vector of the named lanes of another."""
    lanes = list(lanes)
    mask = ir.Constant(ir.VectorType(I32, len(lanes)), lanes)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def splat(builder: Any, scalar: Any, lanes: int) -> Any:
    """A vector whose lanes all hold the scalar."""
    vector = ir.VectorType(scalar.type, lanes)
    return lanes_of(builder, builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0)), [0] * lanes)


def resized(builder: Any, vector: Any, element: Any) -> Any:
    """A vector of signed lanes with lanes of another width, modulo their size."""
    width = vector.type.element.width
    if width == element.width:
        return vector
    cast = builder.sext if width < element.width else builder.trunc
    return cast(vector, ir.VectorType(element, vector.type.count))


def joined(builder: Any, parts: list[Any]) -> Any:
    """The vectors one after another; a power of two of them."""
    while len(parts) > 1:
        mask = ir.Constant(ir.VectorType(I32, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
        parts = [builder.shuffle_vector(a, b, mask) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def pointer(context: Any, builder: Any, kind: Any, array: Any, element: Any) -> Any:
    """The data of a Numba array, as a pointer to `element`."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(data, element.as_pointer())
