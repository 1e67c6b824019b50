"""What values may be decides the path: padding outside the codes, narrower chunks, odd levels without padding."""

import numpy as np
import pytest
from product_cases import codes
from refq_cases import assert_same

from refq.products.conv import conv


def same(x: np.ndarray, w: np.ndarray, path: str, **arguments: object) -> None:
    assert_same(conv(x, w, path=path, **arguments), conv(x, w, path="direct", **arguments))


@pytest.mark.parametrize("path", ["auto", "popcount", "subsets", "int8"])
@pytest.mark.parametrize("name", ["bipolar", "odd2"])
def test_odd_levels_without_padding(name, path):
    x, w = codes(name, (1, 9, 8, 64), 1), codes(name, (5, 3, 3, 64), 2)
    formats = {"input_format": name, "weight_format": name}
    same(x, w, path, **formats)
    same(x, w[:, :1, :1], path, stride=2, **formats)
    same(x, w, path, padding=1, padding_value=1, **formats)
    same(x, w, path, padding_value=0, **formats)


def test_padding_outside_the_codes():
    rng = np.random.default_rng(1)
    x, w = rng.integers(0, 200, (1, 12, 12, 64)), rng.integers(-100, 100, (6, 3, 3, 64)).astype(np.int8)
    for arguments in ({"input_zero_point": 1000}, {"padding_value": 300}, {"input_zero_point": -70_000}):
        same(x, w, "auto", padding=1, **arguments)


def test_a_chunk_may_be_narrower_than_the_whole():
    rng = np.random.default_rng(2)
    x = rng.integers(32760, 32768, (1, 40, 40, 64))
    x[0, -1, -1, -1] = 32800
    same(x, rng.integers(-32768, 32768, (6, 3, 3, 64)).astype(np.int16), "auto")


def test_an_overflow_in_a_group_names_its_filter():
    x, w = np.full((1, 1, 1, 4), 127, np.int8), np.zeros((4, 1, 1, 2), np.int8)
    w[3] = 127
    for path in ("auto", "direct"):
        with pytest.raises(ValueError, match=r"output pixel \[0, 0\]: sum\[0, 3\]=2147483648 is outside"):
            conv(x, w, groups=2, path=path, bias=np.full(4, 2**31 - 2 * 127 * 127), accumulator="int32")
