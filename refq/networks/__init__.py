"""Integer networks as data, and what runs, checks, sums up, saves and freezes them (docs/networks.md)."""

from refq.networks.checks import check, tensor_ranges
from refq.networks.costs import NetworkSummary, StepSummary, summary
from refq.networks.files import load, save
from refq.networks.freeze import FrozenNorm, norm_forms
from refq.networks.ranges import Tensor
from refq.networks.records import IntegerNetwork, Step
from refq.networks.running import bind, run

__all__ = [
    "FrozenNorm",
    "IntegerNetwork",
    "NetworkSummary",
    "Step",
    "StepSummary",
    "Tensor",
    "bind",
    "check",
    "load",
    "norm_forms",
    "run",
    "save",
    "summary",
    "tensor_ranges",
]
