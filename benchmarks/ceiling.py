"""How many vectors of 512 bits the machine popcounts a second, on all cores: a loop that does nothing else."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from llvmlite import ir
from numba import get_num_threads, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from refq.products.threads import share
from refq.products.vectors import I64, call, pointer

CHAINS, ROUNDS = 12, 1_000_000
VECTOR = ir.VectorType(I64, 8)


@intrinsic
def _popcount_registers(typing_context: Any, words: Any, rounds: Any) -> Any:
    """Popcount CHAINS registers over and over; the words keep the result, so that nothing is left out."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = pointer(context, builder, signature.args[0], arguments[0], VECTOR)
        places = [builder.gep(data, [I64(i)]) for i in range(CHAINS)]
        chains = [cgutils.alloca_once_value(builder, builder.load(place, align=8)) for place in places]
        with cgutils.for_range(builder, arguments[1]):
            for chain in chains:
                builder.store(call(builder, "llvm.ctpop.v8i64", VECTOR, [builder.load(chain)]), chain)
        for chain, place in zip(chains, places, strict=True):
            builder.store(builder.load(chain), place, align=8)
        return context.get_dummy_value()

    return types.void(words, types.int64), code


@njit(nogil=True)
def _run(words, rounds):
    _popcount_registers(words, rounds)


def popcounts_per_second() -> float:
    """Vectors of 512 bits a second, every core at work."""
    cores = get_num_threads()
    words = np.full((cores, 8 * CHAINS), 12345, np.uint64)
    _run(words[0], 1)
    start = time.perf_counter()
    share(lambda first, last: [_run(words[i], ROUNDS) for i in range(first, last)], cores, 1.0)
    return cores * CHAINS * ROUNDS / (time.perf_counter() - start)
