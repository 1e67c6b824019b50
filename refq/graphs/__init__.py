"""Whole models as data, run exactly under a profile of rules."""

from refq.graphs.accumulators import LayerRange, layer_ranges
from refq.graphs.catalogue import OPS
from refq.graphs.profile_files import changed, parse_profile, profile_text, read_profile
from refq.graphs.profiles import PROFILES
from refq.graphs.profiles.records import Entry, Profile
from refq.graphs.records import Graph, Node, Quantization, Tensor
from refq.graphs.running import Prepared, Step, evaluate, prepare, run

__all__ = [
    "OPS",
    "PROFILES",
    "Entry",
    "Graph",
    "LayerRange",
    "Node",
    "Prepared",
    "Profile",
    "Quantization",
    "Step",
    "Tensor",
    "changed",
    "evaluate",
    "layer_ranges",
    "parse_profile",
    "prepare",
    "profile_text",
    "read_profile",
    "run",
]
