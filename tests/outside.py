"""Data that others computed: found beside the repository, and a visible skip where it is missing."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def folder(name: str) -> Path:
    """A data folder, or a skip that says what is missing."""
    path = FOLDER / name
    if not path.is_dir():
        pytest.skip(f"outside data is missing: expected ../shared/data/{name} beside the repository")
    return path


@cache
def arrays(group: str, file: str) -> dict[str, np.ndarray]:
    """Every array of one file, decompressed once and read-only."""
    with np.load(folder(group) / file, allow_pickle=False) as members:
        loaded = {name: members[name] for name in members.files}
    for array in loaded.values():
        array.flags.writeable = False
    return loaded


@cache
def manifest(group: str) -> dict[str, Any]:
    return json.loads((folder(group) / "manifest.json").read_text())


def sha256(group: str, file: str) -> str:
    return hashlib.sha256((folder(group) / file).read_bytes()).hexdigest()
