"""The channels of a layer from an .npz file, read without pickle; sizes are checked before anything is allocated."""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from refq.batchnorm import Channel, channels_of
from refq.batchnorm.layers import MAX_CHANNELS, NEEDED, OPTIONAL
from verify.failures import FileRejectedError
from verify.files import require_readable, shown

NAMES = NEEDED + OPTIONAL
# the widest float NumPy has takes 16 bytes; a header is at most some 10,000
MAX_ARRAY = 16 * MAX_CHANNELS + (1 << 16)
MAX_FILE = len(NAMES) * MAX_ARRAY
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# what zipfile, zlib and NumPy's header parser raise at bytes that are not theirs
BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, EOFError, OSError, ValueError, TypeError,
    SyntaxError, RuntimeError, MemoryError, OverflowError, LookupError,
)  # fmt: skip


@contextmanager
def rejecting(where: str) -> Iterator[None]:
    """Any way of being broken as one line that names the place."""
    try:
        yield
    except BROKEN as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise FileRejectedError(f"{where} is broken: {why}") from None


def read_header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype, as the array says; nothing of the data is read."""
    with rejecting(where), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        version = npy.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"format version {version[0]}.{version[1]} is unknown")
        found: tuple[tuple[int, ...], bool, np.dtype[Any]] = HEADERS[version](stream)
        return found


def refuse_packing(info: zipfile.ZipInfo, most: int, where: str) -> None:
    """FileRejectedError for a member that is too large, encrypted or packed in an unknown way."""
    if info.file_size > most or info.compress_type not in METHODS or info.flag_bits & 1:
        how = f"{info.file_size} bytes, method {info.compress_type}{', encrypted' * (info.flag_bits & 1)}"
        raise FileRejectedError(f"{where} has {how}; at most {most} bytes, stored or deflated, are read")


def read_array(
    stream: IO[bytes], size: int, where: str, legal: Callable[[np.dtype[Any]], bool], words: str
) -> NDArray[Any]:
    """The array of a stream of `size` bytes, once its header and that size agree; words: what may be saved instead."""
    shape, fortran, dtype = read_header(stream, where)
    if dtype.hasobject or not legal(dtype):
        raise FileRejectedError(f"{where} has dtype {str(dtype)[:40]}; save {words}")
    if any(isinstance(size, bool) or size < 0 for size in shape):
        raise FileRejectedError(f"{where} has shape {shape}; save sizes of at least 0")
    with rejecting(where):
        declared, held = prod(shape) * dtype.itemsize, size - stream.tell()
        data = stream.read(declared + 1) if declared == held else b""
    if declared != held or len(data) != declared:
        raise FileRejectedError(f"{where} declares shape {shape}, {declared} bytes, but holds {held}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype, both legal for a parameter."""
    shape, _, dtype = read_header(stream, where)
    kind = str(dtype)[:40]
    if dtype.hasobject:
        raise FileRejectedError(f"{where} has dtype {kind}, Python objects that only pickle can read; save numbers")
    if dtype.kind not in "iuf":
        raise FileRejectedError(f"{where} has dtype {kind}; save floats or integers")
    if len(shape) > 1:
        raise FileRejectedError(f"{where} has shape {shape}; save one value, or one per channel")
    if any(isinstance(size, bool) or not 0 <= size <= MAX_CHANNELS for size in shape):
        raise FileRejectedError(f"{where} has shape {shape}; at most {MAX_CHANNELS} channels are read")
    return shape, dtype


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> NDArray[Any]:
    """One member, once its header, its declared size and its real size agree."""
    refuse_packing(info, MAX_ARRAY, where)
    with rejecting(where):
        stream = archive.open(info)
    with stream:
        shape, dtype = _header(stream, where)
        with rejecting(where):
            declared, real = prod(shape) * dtype.itemsize, info.file_size - stream.tell()
            data = stream.read(declared + 1) if declared == real else b""
        if len(data) != declared or declared != real:
            held = real if declared != real else len(data)
            raise FileRejectedError(f"{where} declares shape {shape}, {declared} bytes, but holds {held}")
    return np.frombuffer(data, dtype).reshape(shape)


def _arrays(path: str) -> dict[str, NDArray[Any]]:
    """The arrays by name; unknown and repeated names are refused before any is read."""
    require_readable(path, MAX_FILE)
    with rejecting(shown(path)):
        archive = zipfile.ZipFile(path)
    with archive:
        members: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name not in NAMES or not info.filename.endswith(".npy"):
                raise FileRejectedError(
                    f"{shown(path)}: array {info.filename[:40]!r} is unknown; legal: {' '.join(NAMES)}"
                )
            if name in members:
                raise FileRejectedError(f"{shown(path)}: array {name} is there twice")
            members[name] = info
        return {name: _array(archive, info, f"{shown(path)}: array {name}") for name, info in members.items()}


def read_channels(path: str) -> tuple[Channel, ...]:
    """The channels of a layer; FileRejectedError, in one line, for whatever is wrong with the file or a value."""
    arrays = _arrays(path)
    try:
        return channels_of(arrays)
    except (TypeError, ValueError) as error:
        raise FileRejectedError(f"{shown(path)}: {str(error).removeprefix('channels_of: ')}") from None
