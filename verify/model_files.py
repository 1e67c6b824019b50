"""Model files and their inputs: .tflite and .onnx to graphs, .npy and .npz to arrays; exit code 7 for broken ones."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from refq.graphs import Graph
from refq.importers.limits import MOST_FILE_BYTES, ModelRejectedError
from verify.failures import FileRejectedError, UsageError
from verify.files import require_readable, shown
from verify.npz import read_array, refuse_packing, rejecting

MAX_INPUT = 1 << 30


def _format(path: str) -> str:
    found = Path(path).suffix.lower()
    if found not in (".tflite", ".onnx"):
        raise UsageError(f"model={shown(path)} is neither .tflite nor .onnx")
    return found[1:]


def read_content(path: str) -> bytes:
    """The bytes of a model file, at most MOST_FILE_BYTES."""
    require_readable(path, MOST_FILE_BYTES)
    return Path(path).read_bytes()


def graph_of(path: str, content: bytes, fusion: str = "onnxruntime") -> Graph:
    """The graph of a file's content; its format is that of the file's name. fusion: of QDQ groups in .onnx."""
    try:
        if _format(path) == "tflite":
            from refq.importers import read_tflite

            return read_tflite(content, name=shown(Path(path).name))
        from refq.importers import read_onnx

        return read_onnx(content, fusion=fusion, name=shown(Path(path).name))
    except ModelRejectedError as error:
        raise FileRejectedError(str(error).partition("\n")[0]) from None
    except ImportError as error:
        raise UsageError(str(error)) from None


def _array(stream: IO[bytes], size: int, where: str) -> NDArray[Any]:
    """Codes, or floats."""
    return read_array(stream, size, where, lambda d: d.kind in "iuf" and d.itemsize <= 8, "integers or float32")


def _members(path: str) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    with rejecting(shown(path)):
        archive = zipfile.ZipFile(path)
    with archive:
        size = sum(info.file_size for info in archive.infolist())
        if size > MAX_INPUT:
            raise FileRejectedError(f"{shown(path)}: its arrays declare {size} bytes; at most {MAX_INPUT} are read")
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            where = f"{shown(path)}: array {shown(name)}"
            if name in found:
                raise FileRejectedError(f"{where} is there twice")
            refuse_packing(info, MAX_INPUT, where)
            with rejecting(where):
                stream = archive.open(info)
            with stream:
                found[name] = _array(stream, info.file_size, where)
    return found


def read_inputs(path: str, graph: Graph) -> Any:
    """An array for a model of one input, from .npy or the only array of an .npz; else arrays by the inputs' names."""
    require_readable(path, MAX_INPUT)
    with Path(path).open("rb") as stream:
        if stream.read(2) != b"PK":
            stream.seek(0)
            return _array(stream, Path(path).stat().st_size, shown(path))
    found = _members(path)
    if len(graph.inputs) == 1 and len(found) == 1:
        return next(iter(found.values()))
    missing = [name for name in graph.inputs if name not in found]
    if missing:
        held = ", ".join(shown(n) for n in found) or "nothing"
        raise UsageError(f"{shown(path)} has no array {shown(missing[0])}; the model reads it, the file holds {held}")
    return {name: found[name] for name in graph.inputs}


def _member(name: str) -> str:
    """A tensor's name as the name of a member; what would be a way out of a folder is written in percent signs."""
    plain = name.isprintable() and not name.startswith("/") and not {"..", ""} & set(name.split("/"))
    return (name if plain and "\\" not in name else quote(name, safe="")) + ".npy"


def write_tensors(path: str, tensors: dict[str, NDArray[Any]]) -> None:
    """An .npz of tensors by name, the same bytes for the same tensors."""
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in tensors.items():
                with archive.open(zipfile.ZipInfo(_member(name)), "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, array, allow_pickle=False)
    except OSError as error:
        raise UsageError(f"output={shown(path)} cannot be written: {error.strerror}") from None
