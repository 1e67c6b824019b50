"""The definition of bit-serial products equals the plain sum of products, and the numbers others have printed."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK

from refq.encodings import Encoding, Kind, parse_encoding
from refq.spec import bitserial as spec

ALL = [Encoding(bits, kind) for kind in Kind for bits in range(1, 17)]
TINY = [encoding for encoding in ALL if encoding.bits <= 2]


def levels(encoding):
    """Every value, from the words of `Kind`, not from weights."""
    step = 2 if encoding.kind is Kind.ODD else 1
    return range(encoding.minimum, encoding.maximum + 1, step)


def plain(xs, ys):
    return sum(x * y for x, y in zip(xs, ys, strict=True))


def some(encoding, n, seed):
    """n values of the encoding, both ends among the first."""
    rest = np.random.default_rng(seed).choice(np.array(levels(encoding)), n).tolist()
    return ([encoding.minimum, encoding.maximum, *rest])[:n]


@pytest.mark.parametrize("encoding", ALL, ids=lambda e: e.name)
def test_levels_and_their_number(encoding):
    values = levels(encoding)
    assert len(values) == 2**encoding.bits
    ends = {Kind.UNSIGNED: (0, 2**encoding.bits - 1), Kind.ODD: (1 - 2**encoding.bits, 2**encoding.bits - 1)}
    half = 2**encoding.bits // 2
    assert (values[0], values[-1]) == ends.get(encoding.kind, (-half, half - 1))


@pytest.mark.parametrize("encoding", ALL, ids=lambda e: e.name)
def test_planes_and_back(encoding):
    values = levels(encoding) if encoding.bits <= 8 else some(encoding, 300, encoding.bits)
    for x in values:
        bits = spec.planes(x, encoding)
        assert len(bits) == encoding.bits
        assert set(bits) <= {0, 1}
        assert spec.value(bits, encoding) == x


@pytest.mark.parametrize(
    ("x", "name", "bits"),
    [
        (6, "uint3", (0, 1, 1)),
        (-1, "int3", (1, 1, 1)),
        (-4, "int3", (0, 0, 1)),
        (-1, "int1", (1,)),
        (-1, "bipolar", (0,)),
        (1, "bipolar", (1,)),
        (-3, "odd2", (0, 0)),
        (1, "odd2", (0, 1)),
        (7, "odd3", (1, 1, 1)),
    ],
)
def test_planes_by_hand(x, name, bits):
    assert spec.planes(x, parse_encoding(name)) == bits


@pytest.mark.parametrize("encoding", ALL, ids=lambda e: e.name)
def test_planes_refuse_what_the_encoding_has_not(encoding):
    step = 2 if encoding.kind is Kind.ODD else 1
    strangers = {encoding.minimum - step, encoding.minimum - 1, encoding.maximum + 1, encoding.maximum + step, 1 << 70}
    if encoding.kind is Kind.ODD:
        strangers |= {0, encoding.maximum - 1}
    for x in strangers:
        with pytest.raises(ValueError, match=f"planes: x={x} is no {encoding.name}, "):
            spec.planes(x, encoding)


def test_words_hold_64_values_lowest_bit_first():
    values = [0] * 130
    values[0] = values[63] = values[64] = values[129] = 1
    assert spec.pack(values, Encoding(1)) == [[1 | 1 << 63, 1, 2]]
    assert spec.pack([], Encoding(3)) == [[], [], []]
    assert spec.masks(0) == []
    assert spec.masks(64) == [2**64 - 1]
    assert spec.masks(129) == [2**64 - 1, 2**64 - 1, 1]


@pytest.mark.parametrize("ex", TINY, ids=lambda e: e.name)
def test_every_dot_of_tiny_widths(ex):
    for ey, n in product(TINY, range(3)):
        for xs, ys in product(product(levels(ex), repeat=n), product(levels(ey), repeat=n)):
            assert spec.dot(xs, ys, ex, ey) == plain(xs, ys)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 130])
def test_every_pair_of_kinds_at_depths_around_a_word(n):
    for k, (kx, ky) in enumerate(product(Kind, Kind)):
        for x_bits, y_bits in [(1, 1), (1, 16), (16, 16), (3, 5), (8, 8), (16, 2)]:
            ex, ey = Encoding(x_bits, kx), Encoding(y_bits, ky)
            xs, ys = some(ex, n, 2 * k), some(ey, n, 2 * k + 1)
            assert spec.dot(xs, ys, ex, ey) == plain(xs, ys)


@pytest.mark.parametrize("ends", list(product(["minimum", "maximum"], repeat=2)), ids="-".join)
def test_all_values_at_an_end(ends):
    for ex, ey in product(ALL[::5], ALL[::3]):
        x, y = getattr(ex, ends[0]), getattr(ey, ends[1])
        assert spec.dot([x] * 65, [y] * 65, ex, ey) == 65 * x * y


def test_a_term_is_negated_where_exactly_one_plane_is_a_sign_plane():
    """gemmbitserial, BISMO: only the top plane of -4 is set, so one term is left."""
    int3, uint3 = parse_encoding("int3"), parse_encoding("uint3")
    assert spec.dot([-4], [-4], int3, int3) == 16
    assert spec.dot([-4], [4], int3, uint3) == -16
    assert spec.dot([4], [-4], uint3, int3) == -16


@pytest.mark.parametrize("n", range(5))
def test_every_xnor_dot(n):
    for xs, ys in product(product([-1, 1], repeat=n), repeat=2):
        assert spec.xnor_dot(xs, ys) == spec.odd_dot(xs, ys, 1, 1) == plain(xs, ys)


def test_every_odd_dot_of_depth_two():
    for x_bits, y_bits in product((1, 2, 3), (1, 2)):
        left, right = levels(Encoding(x_bits, Kind.ODD)), levels(Encoding(y_bits, Kind.ODD))
        for xs, ys in product(product(left, repeat=2), product(right, repeat=2)):
            assert spec.odd_dot(xs, ys, x_bits, y_bits) == plain(xs, ys)


def test_every_bipolar_unsigned_dot_of_depth_two():
    for bits in (1, 2, 3):
        for xs, ys in product(product([-1, 1], repeat=2), product(range(2**bits), repeat=2)):
            assert spec.bipolar_unsigned_dot(xs, ys, bits) == plain(xs, ys)


def two_vectors(draw, ex, ey):
    n = draw(st.sampled_from([0, 1, 2, 63, 64, 65, 127, 129]))
    return [draw(st.lists(st.sampled_from(levels(e)), min_size=n, max_size=n)) for e in (ex, ey)]


@given(st.data(), st.sampled_from(ALL), st.sampled_from(ALL))
@QUICK
def test_any_pair_of_widths(data, ex, ey):
    xs, ys = two_vectors(data.draw, ex, ey)
    assert spec.dot(xs, ys, ex, ey) == plain(xs, ys)
    if ex.kind is ey.kind is Kind.ODD:
        assert spec.odd_dot(xs, ys, ex.bits, ey.bits) == plain(xs, ys)


@given(st.data(), st.integers(1, 16), st.integers(1, 16))
@QUICK
def test_any_odd_pair_and_bipolar_times_unsigned(data, x_bits, y_bits):
    xs, ys = two_vectors(data.draw, Encoding(x_bits, Kind.ODD), Encoding(y_bits, Kind.ODD))
    assert spec.odd_dot(xs, ys, x_bits, y_bits) == plain(xs, ys)
    xs, ys = two_vectors(data.draw, spec.BIPOLAR, Encoding(y_bits))
    assert spec.bipolar_unsigned_dot(xs, ys, y_bits) == plain(xs, ys)


def test_padding_is_masked_in_the_xnor_form():
    ones = [1] * 65
    assert spec.xnor_dot(ones, ones) == 65
    (a,) = spec.pack(ones, spec.BIPOLAR)
    unmasked = sum((~(u ^ u) & (2**64 - 1)).bit_count() for u in a)
    assert 2 * unmasked - 65 == 191


@pytest.mark.parametrize("function", [spec.xnor_dot, lambda x, y: spec.odd_dot(x, y, 1, 1),
                                      lambda x, y: spec.bipolar_unsigned_dot(x, y, 1),
                                      lambda x, y: spec.dot(x, y, Encoding(1), Encoding(1))])  # fmt: skip
def test_two_lengths_are_refused(function):
    with pytest.raises(ValueError, match="dot: ys has 1 values, xs 2"):
        function([1, 1], [1])
