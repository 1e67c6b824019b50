"""What all pictures share: where they may go, and how they look."""

from __future__ import annotations

from pathlib import Path

from verify.failures import UsageError
from verify.files import shown

SUFFIXES = (".svg", ".png")
STYLE = {"svg.hashsalt": "refq", "font.size": 9, "font.family": "DejaVu Sans", "axes.titlesize": 9.5}


def require_drawable(option: str, path: str) -> None:
    """UsageError without matplotlib, without the folder, or for a suffix that is not drawn."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(f"{option}={shown(path)} ends in neither .svg nor .png; name it so")
    if not Path(path).parent.is_dir():
        raise UsageError(f"{option}={shown(path)} cannot be written: its folder does not exist")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise UsageError(f"--{option} needs matplotlib; pip install 'refq[plots]'") from None
