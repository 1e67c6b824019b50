"""Products by every path as one digest a path; as a program it prints them with the width of the target's vectors."""

import hashlib
import json

import numpy as np
from product_cases import MIXES, SHAPES, codes

from refq.products.gemm import gemm, prepare
from refq.products.problem import PATHS
from refq.products.vectors import vector_bits


def digests() -> dict[str, list]:
    """How many products a path is exact for, and the SHA-256 of all of them."""
    found, counts = {path: hashlib.sha256() for path in PATHS}, dict.fromkeys(PATHS, 0)
    for left, right in MIXES:
        for seed, (m, k, n) in enumerate(SHAPES[-5:]):
            a, b = codes(left, (m, k), seed), codes(right, (k, n), seed + 100)
            weights = prepare(b, rhs_format=right, rhs_zero_point=np.arange(n) - 3)
            for path in PATHS:
                try:
                    got = gemm(a, weights, lhs_format=left, lhs_zero_point=seed, path=path)
                except ValueError:
                    continue
                counts[path] += 1
                found[path].update(got.tobytes() + str(got.shape).encode())
    return {path: [counts[path], found[path].hexdigest()] for path in PATHS}


if __name__ == "__main__":
    print(json.dumps({"vector_bits": vector_bits(), "digests": digests()}))
