"""Every benchmark of the quantizers in turn: python benchmarks/quantizers.py"""

from __future__ import annotations

import runpy
from pathlib import Path

if __name__ == "__main__":
    for name in ("mse", "balanced", "sawb"):
        runpy.run_path(str(Path(__file__).with_name(f"quantizers_{name}.py")), run_name="__main__")
