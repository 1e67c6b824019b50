"""The ways a check can fail to be a verdict, each with its exit code (docs/commands.md)."""

from __future__ import annotations

CONFORMS, DIFFERS, INTERRUPTED, INTERNAL, USAGE, NOTHING, BACKEND, FILE = range(8)


class UsageError(Exception):
    """The question cannot be asked: unknown name, missing package, bad parameter."""


class BackendError(Exception):
    """The backend crashed, hung, raised, or answered with another dtype or shape."""


class NothingComparedError(Exception):
    """No input was compared, so there is nothing to pass."""


class FileRejectedError(Exception):
    """A file given to be read is missing, broken, or holds what cannot be."""
