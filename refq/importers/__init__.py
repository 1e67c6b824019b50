"""Model files to graphs; each needs the package of its format, imported when a file is read."""

from refq.importers.limits import ModelRejectedError
from refq.importers.onnx_file import read_onnx
from refq.importers.tflite import read_tflite

__all__ = ["ModelRejectedError", "read_onnx", "read_tflite"]
