"""The ONNX reference evaluator on whole models, with its intermediate results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from verify.models import Shown
from verify.models.onnx_copy import computed


def run(content: bytes, feeds: list[dict[str, Any]]) -> Iterator[Shown]:
    """Every tensor that a node computes from the inputs."""
    evaluator, names = ReferenceEvaluator(onnx.load_from_string(content)), computed(content)
    for feed in feeds:
        found = evaluator.run(None, feed, intermediate=True)
        yield Shown({name: found[name] for name in names if isinstance(found.get(name), np.ndarray | np.generic)})
