"""Shared by the tests of the products: operands of every encoding, and shapes around the sizes of tiles and words."""

from __future__ import annotations

import numpy as np

from refq.encodings import Kind, parse_encoding

# rows, depth, columns: 0, 1, around tiles (6 x 64, 8 x 48, 4 x 24), a word (64), columns (512) and rows (256) of a
# table, a group of rows (128), a piece of the depth (1024 for bytes)
SHAPES = [
    (1, 1, 1),
    (0, 5, 3),
    (4, 5, 0),
    (2, 63, 5),
    (9, 64, 48),
    (10, 65, 49),
    (64, 127, 7),
    (130, 1100, 70),
    (300, 70, 20),
    (65, 128, 25),
    (13, 200, 513),
]
MIXES = [
    ("uint1", "uint1"),
    ("bipolar", "bipolar"),
    ("bipolar", "uint2"),
    ("int2", "uint3"),
    ("odd2", "int4"),
    ("uint1", "int8"),
    ("int8", "odd3"),
    ("uint8", "int8"),
    ("int8", "int8"),
    ("uint8", "uint8"),
    ("int5", "int12"),
    ("uint9", "odd10"),
    ("int16", "int8"),
    ("uint16", "uint16"),
]


def legal(name: str) -> np.ndarray:
    """Every value of an encoding."""
    encoding = parse_encoding(name)
    return np.arange(encoding.minimum, encoding.maximum + 1, 2 if encoding.kind is Kind.ODD else 1)


def smallest(values: np.ndarray) -> np.ndarray:
    """In the smallest dtype that holds them."""
    names = ("uint8", "uint16") if not values.size or values.min() >= 0 else ("int8", "int16", "int32")
    return next(values.astype(n) for n in names if not values.size or np.array_equal(values.astype(n), values))


def codes(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Values of an encoding, both ends well represented."""
    rng, all_of_them = np.random.default_rng(seed), legal(name)
    inside = rng.choice(all_of_them, shape)
    ends = rng.choice([all_of_them[0], all_of_them[-1]], shape)
    return smallest(np.where(rng.integers(0, 3, shape) == 0, ends, inside))
