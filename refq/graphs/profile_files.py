"""Profiles of your own: a few lines of TOML, read and written.

name = "my-chip"
base = "litert-reference"        # whatever is not said here is as there

[rules]                          # op, or op and tags
conv = "single_up/double_product/after"
"fully_connected per_channel" = "double_up/double_product/after"

[nodes]                          # one node, by the name the graph's table prints
"conv2d_3" = "gemmlowp_double/double_product/after"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from refq.formats import Rounding
from refq.graphs.catalogue import OPS
from refq.graphs.choosing import find_profile
from refq.graphs.profiles import PROFILES
from refq.graphs.profiles.records import Entry, Profile

MAX_BYTES = 1 << 20
_KEYS = ("name", "base", "what", "bounds", "rules", "nodes")
_BOUNDS = {rule.name.lower(): rule for rule in (Rounding.TIES_AWAY, Rounding.TIES_EVEN, Rounding.TIES_UP)}


def _table(found: Mapping[str, Any], key: str) -> dict[str, str]:
    table = found.get(key, {})
    if not isinstance(table, dict) or not all(isinstance(rule, str) for rule in table.values()):
        raise ValueError(f'profile: [{key}] is no table of strings; write name = "RULE"')
    return table


def _word(found: Mapping[str, Any], key: str, default: str) -> str:
    word = found.get(key, default)
    if not isinstance(word, str):
        raise ValueError(f"profile: {key}={word!r} is no string")
    return word


def _entry(key: str, rule: str) -> Entry:
    op, *tags = key.split() or [""]
    if op not in OPS:
        raise ValueError(f"profile: [rules] {key!r}: {op!r} is no op; legal: {', '.join(OPS)}")
    return Entry(op, " ".join(tags), rule, "yours")


def parse_profile(text: str) -> Profile:
    """The profile of a TOML text: its entries come before those of its base, the ones with more tags first.

    ValueError for what is no TOML, unknown keys, ops, bases, kinds. Whether a rule is one of its op's is checked when a
    graph is prepared.

    >>> made = parse_profile('base = "tflm"' + chr(10) + '[rules]' + chr(10) + 'conv = "single_up"')
    >>> made.name, made.entries[0].rule
    ('tflm (changed)', 'single_up')
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"profile: no TOML: {error}") from None
    except RecursionError:
        raise ValueError("profile: no TOML that is read: brackets inside brackets without end") from None
    unknown = sorted(set(found) - set(_KEYS))
    if unknown:
        raise ValueError(f"profile: {unknown[0]!r} is unknown; legal: {', '.join(_KEYS)}")
    base = find_profile(_word(found, "base", ""))
    entries = sorted((_entry(*pair) for pair in _table(found, "rules").items()), key=lambda e: -len(e.tags.split()))
    name = _word(found, "name", f"{base.name} (changed)")
    if not name or not name.isprintable():
        raise ValueError(f"profile: name={name!r} is not one line of text")
    nodes = MappingProxyType({**base.nodes, **_table(found, "nodes")})
    return Profile(name, _word(found, "what", base.what), (*entries, *base.entries), _bounds(found, base), nodes)


def _bounds(found: Mapping[str, Any], base: Profile) -> Rounding:
    word = _word(found, "bounds", base.bounds.name.lower())
    if word not in _BOUNDS:
        raise ValueError(f"profile: bounds={word!r} is unknown; legal: {', '.join(_BOUNDS)}")
    return _BOUNDS[word]


def read_profile(name: str) -> Profile:
    """A profile by its name in `PROFILES`, or from a file NAME.toml of at most 1 MiB; OSError where there is none."""
    if name in PROFILES or not name.endswith(".toml"):
        return find_profile(name)
    path = Path(name)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"profile: {name} has {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
    return parse_profile(path.read_text(encoding="utf-8"))


def profile_text(name: str, base: str, rules: Mapping[str, str], nodes: Mapping[str, str]) -> str:
    """The TOML that `parse_profile` reads back.

    >>> print(profile_text("found", "tflm", {"conv": "single_up"}, {"a b": "double_up"}))
    name = "found"
    base = "tflm"
    <BLANKLINE>
    [rules]
    "conv" = "single_up"
    <BLANKLINE>
    [nodes]
    "a b" = "double_up"
    """
    lines = [f"name = {_quoted(name)}", f"base = {_quoted(base)}"]
    for heading, table in (("rules", rules), ("nodes", nodes)):
        if table:
            lines += ["", f"[{heading}]", *(f"{_quoted(key)} = {_quoted(rule)}" for key, rule in table.items())]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    # a TOML basic string is a JSON string, but for the one control character JSON leaves as it is
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def changed(profile: Profile, nodes: Mapping[str, str]) -> Profile:
    """The same profile with other rules for some nodes.

    >>> changed(PROFILES["tflm"], {"a": "single_up"}).nodes["a"]
    'single_up'
    """
    return replace(profile, nodes=MappingProxyType({**profile.nodes, **nodes}))
