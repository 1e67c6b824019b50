"""One tensor from an .npy or .npz file, without pickle; sizes are checked before anything is allocated."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from verify.failures import FileRejectedError, UsageError
from verify.files import require_readable, shown
from verify.npz import read_array, refuse_packing, rejecting

MAX_FILE = 1 << 32
FLOATS = ("f2", "f4", "f8")


def _read(stream: IO[bytes], size: int, where: str) -> NDArray[Any]:
    """Floats."""
    return read_array(stream, size, where, lambda dtype: dtype.str[1:] in FLOATS, "float16, float32 or float64")


def _member(archive: zipfile.ZipFile, path: str, name: str | None) -> zipfile.ZipInfo:
    """The member asked for, or the only one."""
    infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    names = [info.filename.removesuffix(".npy") for info in infos]
    if not infos:
        raise FileRejectedError(f"{shown(path)} holds no array")
    some = ", ".join(shown(n) for n in names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    if name is None and len(infos) > 1:
        raise UsageError(f"{shown(path)} holds {len(infos)} arrays; pass --name, one of {some}")
    if name is not None and name not in names:
        raise UsageError(f"name={name!r} is not in {shown(path)}; legal: {some}")
    if name is not None and names.count(name) > 1:
        raise FileRejectedError(f"{shown(path)}: array {shown(name)} is there twice")
    return infos[0] if name is None else infos[names.index(name)]


def _from_archive(path: str, name: str | None) -> tuple[str, NDArray[Any]]:
    with rejecting(shown(path)):
        archive = zipfile.ZipFile(path)
    with archive:
        info = _member(archive, path, name)
        found = info.filename.removesuffix(".npy")
        where = f"{shown(path)}: array {shown(found)}"
        refuse_packing(info, MAX_FILE, where)
        with rejecting(where):
            stream = archive.open(info)
        with stream:
            return found, _read(stream, info.file_size, where)


def read_tensor(path: str, name: str | None) -> tuple[str | None, NDArray[Any]]:
    """(its name in the archive, the array); .npz by its first bytes, else .npy.

    FileRejectedError for whatever is wrong with the file, UsageError for a name that is missing or not there.
    """
    require_readable(path, MAX_FILE)
    with Path(path).open("rb") as stream:
        if stream.read(2) == b"PK":
            return _from_archive(path, name)
        if name is not None:
            raise UsageError(f"name={name!r} chooses an array of an .npz file; {shown(path)} is none")
        stream.seek(0)
        return None, _read(stream, Path(path).stat().st_size, shown(path))
