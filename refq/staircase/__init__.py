"""A requantizer as a staircase: build it, compare it, measure it, probe with it."""

from refq.staircase.blackbox import from_function
from refq.staircase.build import staircase
from refq.staircase.error import error_histogram, max_error
from refq.staircase.steps import Difference, Interval, Staircase, difference, probes
from refq.staircase.sweep import count_differences

__all__ = [
    "Difference",
    "Interval",
    "Staircase",
    "count_differences",
    "difference",
    "error_histogram",
    "from_function",
    "max_error",
    "probes",
    "staircase",
]
