"""The numbers others have printed for products of bits, right and wrong, and codes that stand for fractions."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from bitplane_cases import some

from refq.encodings import Encoding
from refq.spec import bitserial as spec


@pytest.mark.parametrize(("unlike", "expected"), [(200, 176), (288, 0), (289, -2)])
def test_larq_compute_engine(unlike, expected):
    """y = K - 2 popcount(XOR), K = 576 (semantics.md 3.18); its opposite bits give the same XOR."""
    xs = [1 - 2 * (k % 3 == 0) for k in range(576)]
    ys = [-x if k < unlike else x for k, x in enumerate(xs)]
    assert spec.xnor_dot(xs, ys) == spec.odd_dot(xs, ys, 1, 1) == expected


def test_embedded_bnn():
    """Its unit test of `bdot`: bytes {1, 175, 248} and {108, 178, 223}, highest bit first, N = 21 gives 1."""
    xs, ys = (
        [2 * int(b) - 1 for b in np.unpackbits(np.array(octets, np.uint8))][:21]
        for octets in ([1, 175, 248], [108, 178, 223])
    )
    assert spec.xnor_dot(xs, ys) == 1


def test_the_footnote_of_dorefa_is_misprinted():
    """x . y = N - 2 bitcount(xnor(x, y)) has the wrong sign: right only where the product is 0."""
    for n in (1, 2, 3, 4):
        for xs, ys in product(product([-1, 1], repeat=n), repeat=2):
            alike = sum(x == y for x, y in zip(xs, ys, strict=True))
            printed = n - 2 * alike
            assert printed == -spec.xnor_dot(xs, ys)
    assert spec.xnor_dot([1, 1], [1, 1]) == 2
    (a,) = spec.pack([1, 1], spec.BIPOLAR)
    assert 2 - 2 * spec.count_alike(a, a, 2) == -2


@pytest.mark.parametrize(("k", "ka"), list(product((1, 2, 3), (1, 2))))
def test_every_dorefa_and_balanced_dot_of_depth_two(k, ka):
    n, m = 2**k - 1, 2**ka - 1
    for ls, activations in product(product(range(n + 1), repeat=2), product(range(m + 1), repeat=2)):
        exact = sum(Fraction(2 * level - n, n) * Fraction(a, m) for level, a in zip(ls, activations, strict=True))
        assert spec.dorefa_dot(ls, activations, k, ka) == exact
        assert spec.balanced_dot(ls, activations, k, ka, Fraction(5, 7)) == Fraction(5, 7) * exact


@pytest.mark.parametrize("n", [0, 1, 64, 65])
def test_dorefa_of_the_widths_of_the_paper(n):
    for k, ka in [(1, 2), (8, 8), (1, 4), (16, 16)]:
        weights, activations = some(Encoding(k), (n,), 3).tolist(), some(Encoding(ka), (n,), 4).tolist()
        exact = sum(
            (Fraction(2 * w, 2**k - 1) - 1) * Fraction(a, 2**ka - 1) for w, a in zip(weights, activations, strict=True)
        )
        assert spec.dorefa_dot(weights, activations, k, ka) == exact


def test_balanced_codes_of_a_worked_tensor():
    """papers.md 3.2: -8 .. 20 at 2 bits has levels 0 0 0 1 1 1 1 2 2 2 and scale 20; sum(2 l - 3) = -10."""
    ls = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert spec.balanced_dot(ls, [3] * 10, 2, 2, Fraction(20)) == Fraction(-200, 3)
    # the tensor of ones: level 2, W = 1/3
    assert spec.balanced_dot([2], [1], 2, 1, Fraction(1)) == Fraction(1, 3)
