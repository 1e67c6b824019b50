"""Where values lie does not matter, nor who packs which part, nor the processor the kernels are compiled for."""

import os
import subprocess
import sys
from functools import partial
from hashlib import sha256
from itertools import product

import numpy as np
import pytest
from bitplane_cases import DTYPES, check, each_encoding, some
from refq_cases import assert_same

from refq.encodings import Encoding, parse_encoding
from refq.products.bitplanes import pack_planes, row_sums, unpack_planes
from refq.products.filling import lanes_in_order
from refq.products.packing import RUN, lanes_of, pack_rows
from refq.products.packing_columns import pack_columns


def test_layouts():
    encoding = parse_encoding("int4")
    base = some(encoding, (6, 5, 140), 3, np.int8)
    frozen = base.copy()
    frozen.flags.writeable = False
    for array in [base.T, base[::-1], base[:, ::2], base[..., ::-1], base[..., ::2], base[..., 3:70], frozen,
                  np.asfortranarray(base), base.astype(">i2"), base.astype("<i4"), base.astype(">i8"),
                  np.broadcast_to(base[0], (3, 5, 140)), base[0, 0].tolist()]:  # fmt: skip
        check(array, encoding)
    assert base.flags.writeable
    assert not frozen.flags.writeable


def test_an_array_at_an_odd_address():
    octets = np.zeros(201, np.uint8)
    octets[1:] = np.arange(200) % 2
    check(octets[1:].reshape(2, 100), Encoding(1))
    check(octets[1:].view(np.int16)[None, :70] & 1, Encoding(1))


@each_encoding
def test_values_in_columns(encoding):
    """Two axes in Fortran order are packed where they lie."""
    for columns, depth in [(2, 2), (3, 65), (64, 64), (65, 63), (67, 130), (2, 200)]:
        check(some(encoding, (depth, columns), depth).T, encoding)
    for dtype in DTYPES:
        check(some(encoding, (65, 3), 1, dtype).T, encoding)


@pytest.mark.parametrize("columns", [1, 3, 64, 150])
@pytest.mark.parametrize("depth", [1, 37, 64, 65, 128])
def test_parts_of_rows_and_columns(depth, columns):
    """Each part fills its own rows only and tells of its own illegal values only: threads may share them."""
    words, encoding, untouched = -(-depth // 64), Encoding(2), np.uint64(0x5555)
    values = some(encoding, (columns, depth), 2, np.uint8)
    expected = pack_planes(values, encoding).words
    values[-1, -1] = 4
    for turned in (False, True):
        lanes = lanes_in_order(values.T if turned else values)
        out = np.full((2, columns, words), untouched, np.uint64)

        def pack(start, stop, turned=turned, lanes=lanes, out=out):
            if turned:
                return pack_columns(lanes, depth, columns, start, stop, lanes_of(encoding), out)
            return pack_rows(lanes, depth, start, stop, lanes_of(encoding), out.reshape(2, -1))

        last, middle = columns - 1, columns // 3
        assert not pack(middle, last)
        assert (out[:, :middle] == untouched).all()
        assert (out[:, last:] == untouched).all()
        assert not pack(0, middle)
        assert not pack(last, last)
        assert pack(last, columns)
        assert np.array_equal(out[:, :last], expected[:, :last])


def test_lanes_never_end_before_a_vector():
    for size in (1, 63, 64, 65):
        values = np.arange(size, dtype=np.int16)
        lanes = lanes_in_order(values)
        assert_same(got=lanes[:size], expected=values.view(np.uint16))
        assert lanes.size == max(size, 64)
        assert np.shares_memory(lanes, values) == (size >= 64)


@pytest.mark.parametrize("shape", [(1, 70), (5, 64), (131, 70), (300, 65)], ids=str)
def test_threads(shape, monkeypatch):
    values = some(Encoding(3), shape, 4, np.uint8)
    alone = [pack_planes(v, "uint3").words for v in (values, np.asfortranarray(values))]
    monkeypatch.setattr("refq.products.threads.WORTH_SHARING", 0.0)
    for v, expected in zip((values, np.asfortranarray(values)), alone, strict=True):
        assert_same(got=pack_planes(v, "uint3").words, expected=expected)
        for place in [(0, 0), (shape[0] - 1, shape[1] - 1)]:
            wrong = v.copy(order="K")
            wrong[place] = 8
            with pytest.raises(ValueError, match=rf"values\[{place[0]}, {place[1]}\]=8 is outside uint3 0..7"):
                pack_planes(wrong, "uint3")


def digest():
    """Of the words of many encodings, depths and dtypes."""
    total = sha256()
    for name, depth in product(
        ["uint1", "uint2", "int8", "odd3", "int12", "odd16"], [1, 63, 64, 65, 200, 64 * RUN + 64]
    ):
        encoding = parse_encoding(name)
        for dtype in DTYPES[:3]:
            planes = pack_planes(some(encoding, (3, depth), depth, dtype), encoding)
            total.update(planes.words.astype("<u8").tobytes())
            total.update(pack_planes(np.asfortranarray(unpack_planes(planes)), name).words.astype("<u8").tobytes())
            total.update(row_sums(planes).astype("<i8").tobytes())
    return total.hexdigest()


BASELINE = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}


@pytest.mark.parametrize("switch", [BASELINE, {"NUMBA_BOUNDSCHECK": "1"}], ids=["baseline processor", "bounds check"])
def test_the_same_words_elsewhere(switch):
    """Compiled for the least processor of the family, and with every index checked."""
    command = [sys.executable, "-W", "error", "-c", "from test_refq_bitplanes_layouts import digest; print(digest())"]
    run = partial(subprocess.run, capture_output=True, text=True, check=False, timeout=300)
    finished = run(command, env=os.environ | switch)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == digest()
