"""The x86 instructions themselves, run on this processor, against the rules that stand for them."""

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from refq_cases import assert_same

from refq.products.accumulators import accumulate

X86 = llvm.get_process_triple().startswith("x86_64")
FEATURES = llvm.get_host_cpu_features() if X86 else {}


def needs(*features):
    missing = [f for f in features if not FEATURES.get(f)]
    return pytest.mark.skipif(bool(missing), reason=f"this processor lacks {', '.join(missing)}")


BYTES, SHORTS, WORDS = (ir.VectorType(ir.IntType(bits), 128 // bits) for bits in (8, 16, 32))
PAIRS = "llvm.x86.ssse3.pmadd.ub.sw.128", SHORTS, BYTES
VNNI = {
    name: (f"llvm.x86.avx512.{name}.128", WORDS, WORDS) for name in ("vpdpbusd", "vpdpbusds", "vpdpwssd", "vpdpwssds")
}


def instruction(name, result, operand):
    """function(acc, lhs, rhs) on rows of 16 bytes: the LLVM intrinsic that is the instruction, acc its last result."""
    with_acc = result is WORDS

    @intrinsic
    def run(typing_context, acc, lhs, rhs):
        def generate(context, builder, signature, arguments):
            kinds = (result, operand, operand)
            places = [builder.inttoptr(a, t.as_pointer()) for a, t in zip(arguments, kinds, strict=True)]
            loaded = [builder.load(p, align=1) for p in places][0 if with_acc else 1 :]
            kind = ir.FunctionType(result, kinds[0 if with_acc else 1 :])
            made = builder.call(builder.module.declare_intrinsic(name, (), kind), loaded)
            builder.store(made, places[0], align=1)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, types.intp), generate

    @njit
    def call(acc, lhs, rhs):
        run(acc, lhs, rhs)

    def function(acc, lhs, rhs):
        for a, x, y in zip(acc, lhs, rhs, strict=True):
            assert a.nbytes == x.nbytes == y.nbytes == 16
            call(a.ctypes.data, x.ctypes.data, y.ctypes.data)
        return acc

    return function


def grid(*values):
    """Every combination of the values, a row each."""
    return np.stack([v.ravel() for v in np.meshgrid(*map(np.array, values), indexing="ij")], axis=1)


def check(rule, named, acc, lhs, rhs):
    """Row by row: acc (R,), lhs and rhs (R, terms)."""
    rows = np.arange(-(-len(acc) // (16 // acc.itemsize)) * (16 // acc.itemsize)) % len(acc)
    operands = [np.ascontiguousarray(a[rows].reshape(-1, 16 // a.itemsize)) for a in (acc, lhs, rhs)]
    got = instruction(*named)(*operands).reshape(-1)
    expected = [accumulate("gemm", lhs[r][None], rhs[r][:, None], rule, int(acc[r]))[0, 0] for r in range(len(acc))]
    assert_same(got=got.astype(np.int64), expected=np.array(expected)[rows])


@needs("ssse3")
def test_vpmaddubsw_is_a_pair():
    lhs, rhs = [0, 1, 127, 128, 129, 210, 255], [-128, -127, -81, -80, -65, -64, -1, 0, 1, 63, 64, 65, 127]
    cases = grid(lhs, lhs, rhs, rhs)
    inputs, weights = cases[:, :2].astype(np.uint8), cases[:, 2:].astype(np.int8)
    check("pairs16", PAIRS, np.zeros(len(cases), np.int16), inputs, weights)


@needs("avx512vnni", "avx512vl")
def test_vpdpbusds_and_vpdpbusd_are_quads():
    accs = [-(1 << 31), -(1 << 31) + 130560, -1, 0, (1 << 31) - 1 - 129540, (1 << 31) - 1]
    cases = grid(accs, [0, 255], [255], [1, 255], [254, 255], [-128, 127], [-128, 127], [127, -128], [-128, 127])
    acc, inputs = cases[:, 0].astype(np.int32), cases[:, 1:5].astype(np.uint8)
    check("quads_saturate32", VNNI["vpdpbusds"], acc.copy(), inputs, cases[:, 5:].astype(np.int8))
    check("wrap32", VNNI["vpdpbusd"], acc.copy(), inputs, cases[:, 5:].astype(np.int8))


@needs("avx512vnni", "avx512vl")
def test_vpdpwssds_and_vpdpwssd_are_pairs():
    ends = [-32768, -1, 32767]
    accs = [-(1 << 31), -(1 << 31) + 1, 0, (1 << 31) - 2, (1 << 31) - 1]
    cases = grid(accs, ends, ends, ends, ends)
    acc, words = cases[:, 0].astype(np.int32), cases[:, 1:].astype(np.int16)
    check("pairs_saturate32", VNNI["vpdpwssds"], acc.copy(), words[:, :2].copy(), words[:, 2:].copy())
    check("wrap32", VNNI["vpdpwssd"], acc.copy(), words[:, :2].copy(), words[:, 2:].copy())
