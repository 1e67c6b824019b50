"""A network in one .npz without pickle; on reading, everything is checked before it is allocated or believed.

Members: `header.npy`, the JSON of `packing.pack` as uint8, and an integer array for each that the header declares.
"""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import prod
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from refq.networks.checks import check
from refq.networks.packing import HEADER, declared, pack, parse_header, unpack
from refq.networks.records import IntegerNetwork

MOST_BYTES = 1 << 28
"""Of all arrays of a file, unpacked."""
MOST_HEADER = 1 << 24
MOST_MEMBERS = 1 << 16
ROOM = 256
"""More than the header of one array takes."""
WHEN = (1980, 1, 1, 0, 0, 0)
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# what zipfile, zlib, json, NumPy's header parser and the records raise at contents that are not theirs
BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, EOFError, OSError, ValueError, TypeError,
    SyntaxError, RuntimeError, MemoryError, OverflowError, LookupError, NotImplementedError,
)  # fmt: skip


@contextmanager
def _rejecting(path: Any) -> Iterator[None]:
    """Whatever is wrong as one line that names the file."""
    try:
        yield
    except BROKEN as error:
        why = str(error).partition("\n")[0].removeprefix("check: ") or type(error).__name__
        raise ValueError(f"load: {path}: {why[:400]}") from None


def save(path: Any, network: IntegerNetwork) -> None:
    """Write a checked network to one .npz, without pickle; equal networks make equal bytes.

    path: a string or path, overwritten. TypeError and ValueError as in `check`; OSError where it cannot be written.
    """
    check(network)
    text, arrays = pack(network)
    size = sum(array.nbytes for array in arrays.values())
    if size + len(arrays) * ROOM > MOST_BYTES or len(text) > MOST_HEADER - ROOM:
        raise ValueError(f"save: network has {size} bytes of arrays and {len(text)} of header, more than load reads")
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in {HEADER: np.frombuffer(text.encode(), np.uint8), **arrays}.items():
            with BytesIO() as stream:
                npy.write_array(stream, np.ascontiguousarray(array, array.dtype.newbyteorder("<")), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", WHEN), stream.getvalue())


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """By name, once each, and together below the cap by their declared sizes."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if not info.filename.endswith(".npy") or name in found or len(found) >= MOST_MEMBERS:
            raise ValueError(f"member {info.filename[:40]!r} is no .npy, there twice or one too many")
        if info.compress_type not in METHODS or info.flag_bits & 1:
            raise ValueError(f"array {name[:40]} is encrypted or packed by method {info.compress_type}; save it stored")
        found[name] = info
    size = sum(info.file_size for info in found.values())
    if size > MOST_BYTES:
        raise ValueError(f"its arrays declare {size} bytes; at most {MOST_BYTES} are read")
    if HEADER not in found or found[HEADER].file_size > MOST_HEADER:
        raise ValueError(f"array {HEADER} is missing or larger than {MOST_HEADER} bytes")
    return found


def _form(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of an array; nothing of its data is read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        version = npy.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"array {name} has format version {version[0]}.{version[1]}, which is unknown")
        shape, fortran, dtype = HEADERS[version](stream)
    if dtype.kind not in "iu":
        raise ValueError(f"array {name} has dtype {str(dtype)[:40]}; integers are legal")
    if fortran or any(type(size) is not int or size < 0 for size in shape):
        raise ValueError(f"array {name} has shape {str(shape)[:40]} or is in Fortran order; save it in C order")
    return shape, dtype


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> NDArray[Any]:
    """One array, once its header and its declared size agree; what is read is at most the declared size."""
    with archive.open(info) as stream:
        shape, dtype = _form(stream, name)
        size, real = prod(shape) * dtype.itemsize, info.file_size - stream.tell()
        if size != real:
            raise ValueError(f"array {name} declares shape {str(shape)[:40]}, {size} bytes, but holds {real}")
        data = stream.read(size + 1)
    if len(data) != size:
        raise ValueError(f"array {name} declares {size} bytes, but holds {len(data)}")
    array: NDArray[Any] = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read(archive: zipfile.ZipFile) -> IntegerNetwork:
    members = _members(archive)
    text = _array(archive, members.pop(HEADER), HEADER)
    if text.dtype != np.uint8 or text.ndim != 1:
        raise ValueError(f"array {HEADER} is {text.dtype} of shape {text.shape}; uint8 in one line is legal")
    header = parse_header(text.tobytes().decode())
    said = declared(header)
    if said.keys() != members.keys():
        odd = sorted(said.keys() ^ members.keys())[0]
        raise ValueError(f"array {odd[:40]!r} is {'missing' if odd in said else 'not declared by the header'}")
    arrays = {name: _array(archive, info, name) for name, info in members.items()}
    for name, array in arrays.items():
        if (array.dtype.name, array.shape) != said[name]:
            raise ValueError(f"array {name} is {array.dtype} {array.shape}, the header says {said[name]}")
    return unpack(header, arrays)


def load(path: Any) -> IntegerNetwork:
    """The network of a file that `save` wrote, checked; nothing is unpickled.

    Raises OSError where the file cannot be read, and ValueError `load: path: what is wrong` for anything else: another
    version, arrays that are missing, unknown, repeated, encrypted, of other dtypes, shapes or sizes than declared, or
    together beyond 256 MiB, a file cut short or changed (the checksums of zip), and whatever `check` refuses. At most
    the declared sizes are read. The arrays of the network are read-only.
    """
    with open(path, "rb") as file, _rejecting(path), zipfile.ZipFile(file) as archive:
        network = _read(archive)
        check(network)
        return network
