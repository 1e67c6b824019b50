"""A profile as data: which rule each op follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from refq.formats import Rounding


@dataclass(frozen=True)
class Entry:
    """Sites of `op` that have all of `tags` follow `rule`; the first entry that fits counts.

    tags: words separated by blanks, "" for every site. evidence: "run" where the tests repeat it on the runtime,
    "source" where it was read in the upstream code, "text" where it is a specification's.
    """

    op: str
    tags: str
    rule: str
    evidence: str = "source"


@dataclass(frozen=True)
class Profile:
    """Entries in the order in which they are tried. nodes: rules of single nodes by name, before any entry.

    bounds: how activation bounds such as 6 / scale are rounded.
    """

    name: str
    what: str
    entries: tuple[Entry, ...]
    bounds: Rounding = Rounding.TIES_AWAY
    nodes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
