"""Backends of tests/boxes.py must be importable in the worker process too."""

import os
from pathlib import Path

_HERE = str(Path(__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_HERE, os.environ.get("PYTHONPATH", "")]))
